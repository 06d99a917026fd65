//! The PROXY protocol, versions 1 and 2: before the first request, a proxy that passes on bytes
//! tells the address of its client (HAProxy's `doc/proxy-protocol.txt`).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// The use of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProxyProtocol {
    /// No peer speaks it.
    Off,
    /// Trusted peers speak it, on each connection. Other peers do not: a receiver must not guess.
    FromTrusted,
}

/// The beginning of a connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Introduction {
    /// The address of the client; `None` where the proxy speaks for itself, or does not tell it.
    pub(crate) client: Option<IpAddr>,
    /// The bytes that came with the header and belong to the first request.
    pub(crate) early: Bytes,
}

/// The state of a header of which some bytes have come.
#[derive(Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a header has come, or more bytes are to come")]
pub enum Parsed {
    /// More bytes have to come.
    Partial,
    /// The header is there.
    Whole {
        /// The number of its bytes.
        length: usize,
        /// The address of the client; `None` where the proxy speaks for itself, or does not tell it.
        client: Option<IpAddr>,
    },
}

/// Bytes that are no header of the protocol.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Malformed;

/// The beginning of version 1.
const WORD: &[u8] = b"PROXY ";
/// The length of the longest header of version 1, its line break included.
const LONGEST_LINE: usize = 107;
/// The beginning of version 2.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The length of the part of version 2 that says how long the rest is.
const FIXED: usize = 16;

/// Reads the header. The memory is bounded by the longest one, of 65,551 bytes.
///
/// # Errors
/// `InvalidData` for what is no header, else the error of the connection.
pub(crate) async fn read(tcp: &mut TcpStream) -> io::Result<Introduction> {
    let mut bytes = BytesMut::with_capacity(512);
    loop {
        match parse(&bytes).map_err(|Malformed| io::ErrorKind::InvalidData)? {
            Parsed::Whole { length, client } => {
                bytes.advance(length.min(bytes.len()));
                return Ok(Introduction { client, early: bytes.freeze() });
            }
            Parsed::Partial => {
                if tcp.read_buf(&mut bytes).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        }
    }
}

pub(crate) fn parse(bytes: &[u8]) -> Result<Parsed, Malformed> {
    let begins = |with: &[u8]| bytes.iter().zip(with).all(|(byte, expected)| byte == expected);
    match bytes.first() {
        None => Ok(Parsed::Partial),
        Some(b'P') if begins(WORD) => version_1(bytes),
        Some(b'\r') if begins(SIGNATURE) => version_2(bytes),
        Some(_) => Err(Malformed),
    }
}

/// `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443`, and a line break.
fn version_1(bytes: &[u8]) -> Result<Parsed, Malformed> {
    let bytes = bytes.get(..LONGEST_LINE).unwrap_or(bytes);
    let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else {
        return if bytes.len() < LONGEST_LINE { Ok(Parsed::Partial) } else { Err(Malformed) };
    };
    let line = bytes.get(WORD.len()..end).and_then(|line| std::str::from_utf8(line).ok());
    let (family, rest) = split(line.ok_or(Malformed)?);
    let client = match family {
        "UNKNOWN" => None,
        "TCP4" => Some(source(rest, IpAddr::is_ipv4)?),
        "TCP6" => Some(source(rest, IpAddr::is_ipv6)?),
        _ => return Err(Malformed),
    };
    Ok(Parsed::Whole { length: end.saturating_add(2), client })
}

/// Reads source, destination and their ports, and returns the source.
fn source(text: &str, is_of_family: impl Fn(&IpAddr) -> bool) -> Result<IpAddr, Malformed> {
    let parts: Vec<&str> = text.split(' ').collect();
    let [source, destination, ports @ ..] = parts.as_slice() else { return Err(Malformed) };
    let ip = |text: &str| text.parse().ok().filter(&is_of_family).ok_or(Malformed);
    let is_port = |port: &&str| port.parse().is_ok_and(|number: u16| number.to_string() == **port);
    let (source, _) = (ip(source)?, ip(destination)?);
    if ports.len() != 2 || !ports.iter().all(is_port) {
        return Err(Malformed);
    }
    Ok(source.to_canonical())
}

fn split(text: &str) -> (&str, &str) {
    text.split_once(' ').unwrap_or((text, ""))
}

/// Signature, version and command, family and protocol, length; addresses; more that is skipped.
fn version_2(bytes: &[u8]) -> Result<Parsed, Malformed> {
    let Some([command, family, high, low]) = bytes.get(SIGNATURE.len()..FIXED) else {
        return Ok(Parsed::Partial);
    };
    let length = FIXED.saturating_add(u16::from_be_bytes([*high, *low]).into());
    let Some(body) = bytes.get(FIXED..length) else {
        // What is wrong at the beginning is not waited for.
        return known(*command, *family).map(|()| Parsed::Partial);
    };
    known(*command, *family)?;
    let client = match (command, family) {
        (0x20, _) => None,
        (_, 0x11 | 0x12) => {
            let client = Ipv4Addr::from(*addresses::<4, 12>(body)?);
            (*family == 0x11).then_some(IpAddr::from(client))
        }
        (_, 0x21 | 0x22) => {
            let client = Ipv6Addr::from(*addresses::<16, 36>(body)?);
            (*family == 0x21).then_some(IpAddr::from(client).to_canonical())
        }
        (_, 0x31 | 0x32) => {
            addresses::<0, 216>(body)?;
            None
        }
        _ => None,
    };
    Ok(Parsed::Whole { length, client })
}

/// Refuses another version than 2, and commands, families and protocols that are not known. The family
/// of a connection that the proxy itself has made (`LOCAL`) is ignored.
fn known(command: u8, family: u8) -> Result<(), Malformed> {
    let is_command = matches!(command, 0x20 | 0x21);
    let is_family = command == 0x20 || (family >> 4 <= 3 && family & 0xf <= 2);
    (is_command && is_family).then_some(()).ok_or(Malformed)
}

/// Returns the source, the first of addresses that have `ALL` bytes together with their ports.
fn addresses<const SOURCE: usize, const ALL: usize>(
    body: &[u8],
) -> Result<&[u8; SOURCE], Malformed> {
    body.get(..ALL).and_then(<[u8]>::first_chunk).ok_or(Malformed)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use proptest::prelude::*;

    use super::*;

    fn whole(length: usize, client: Option<&str>) -> Result<Parsed, Malformed> {
        let client = client.map(|client| client.parse().expect("an address"));
        Ok(Parsed::Whole { length, client })
    }

    /// A header of version 2 with these addresses.
    fn binary(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).expect("a length").to_be_bytes();
        [SIGNATURE, &[command, family], &length, body].concat()
    }

    #[test]
    fn lines_of_version_1_tell_the_source() {
        let longest = format!("PROXY UNKNOWN {}\r\n", "f".repeat(107 - 16));
        for (line, client) in [
            ("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", Some("192.0.2.1")),
            ("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", Some("255.255.255.255")),
            ("PROXY TCP6 2001:db8::1 ::1 0 443\r\n", Some("2001:db8::1")),
            ("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", Some("192.0.2.1")),
            ("PROXY UNKNOWN\r\n", None),
            ("PROXY UNKNOWN ffff::1 what ever 1 2\r\n", None),
            (&longest, None),
        ] {
            assert_eq!(parse(line.as_bytes()), whole(line.len(), client), "{line:?}");
            let more = [line.as_bytes(), b"GET / HTTP/1.1\r\n\r\n"].concat();
            assert_eq!(parse(&more), whole(line.len(), client), "{line:?}");
            for end in 0..line.len() {
                assert_eq!(parse(&line.as_bytes()[..end]), Ok(Parsed::Partial), "{line:?} {end}");
            }
        }
    }

    #[test]
    fn other_lines_are_malformed() {
        let long = format!("PROXY UNKNOWN {}\r\n", "f".repeat(108 - 16));
        for line in [
            "GET / HTTP/1.1\r\n",
            "proxy TCP4 192.0.2.1 198.51.100.1 1 2\r\n",
            "PROXYTCP4 192.0.2.1 198.51.100.1 1 2\r\n",
            "PROXY \r\n",
            "PROXY TCP5 192.0.2.1 198.51.100.1 1 2\r\n",
            "PROXY TCP4\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 1\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 1 2 3\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 1 65536\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 1 02\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 1 +2\r\n",
            "PROXY TCP4  192.0.2.1 198.51.100.1 1 2\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 1 2 \r\n",
            "PROXY TCP4 192.0.2.01 198.51.100.1 1 2\r\n",
            "PROXY TCP4 ::1 ::1 1 2\r\n",
            "PROXY TCP4 192.0.2.1 ::1 1 2\r\n",
            "PROXY TCP6 192.0.2.1 198.51.100.1 1 2\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 1 2\n\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 1 \u{b2}\r\n",
            &long,
        ] {
            assert_eq!(parse(line.as_bytes()), Err(Malformed), "{line:?}");
        }
    }

    #[test]
    fn headers_of_version_2_tell_the_source() {
        let v4 = [192, 0, 2, 1, 198, 51, 100, 1, 0x12, 0x34, 0x01, 0xbb];
        let v6 = [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[1], &[0; 16], &[1, 2, 3, 4]].concat();
        let tlvs = [&v4[..], &[0x04, 0x00, 0x03, 1, 2, 3]].concat();
        for (command, family, body, client) in [
            (0x21, 0x11, &v4[..], Some("192.0.2.1")),
            (0x21, 0x21, &v6, Some("2001:db8::1")),
            (0x21, 0x11, &tlvs, Some("192.0.2.1")),
            (0x21, 0x00, &[], None),
            (0x21, 0x00, &[1, 2, 3], None),
            (0x21, 0x12, &v4, None),
            (0x21, 0x22, &v6, None),
            (0x21, 0x31, &[0; 216], None),
            (0x20, 0x00, &[], None),
            (0x20, 0x11, &v4, None),
            (0x20, 0x11, &[], None),
        ] {
            let header = binary(command, family, body);
            assert_eq!(parse(&header), whole(header.len(), client), "{header:02x?}");
            let more = [&header[..], b"GET / HTTP/1.1\r\n\r\n"].concat();
            assert_eq!(parse(&more), whole(header.len(), client), "{header:02x?}");
            for end in 0..header.len() {
                assert_eq!(parse(&header[..end]), Ok(Parsed::Partial), "{header:02x?} {end}");
            }
        }
        let longest = binary(0x21, 0x11, &[9; 65_535]);
        assert_eq!(parse(&longest), whole(65_551, Some("9.9.9.9")));
    }

    #[test]
    fn other_headers_are_malformed() {
        for (command, family, body) in [
            (0x11, 0x11, &[0; 12][..]),
            (0x31, 0x11, &[0; 12]),
            (0x22, 0x11, &[0; 12]),
            (0x2f, 0x00, &[]),
            (0x21, 0x41, &[0; 12]),
            (0x21, 0x13, &[0; 12]),
            (0x21, 0x11, &[0; 11]),
            (0x21, 0x21, &[0; 35]),
            (0x21, 0x31, &[0; 215]),
        ] {
            let header = binary(command, family, body);
            assert_eq!(parse(&header), Err(Malformed), "{header:02x?}");
        }
        assert_eq!(parse(b"\r\n\r\n\0\r\nQUIX\n"), Err(Malformed));
        // It is refused before the rest has come.
        assert_eq!(parse(&binary(0x22, 0x11, &[0; 12])[..FIXED]), Err(Malformed));
    }

    proptest! {
        #[test]
        fn each_client_is_told_by_both_versions(source: SocketAddr, port: u16, tlv: Vec<u8>) {
            let (ip, client) = (source.ip(), Some(source.ip().to_canonical()));
            let (name, family, bytes) = match ip {
                IpAddr::V4(ip) => ("TCP4", 0x11, ip.octets().to_vec()),
                IpAddr::V6(ip) => ("TCP6", 0x21, ip.octets().to_vec()),
            };
            let line = format!("PROXY {name} {ip} {ip} {} {port}\r\n", source.port());
            prop_assert_eq!(parse(line.as_bytes()), Ok(Parsed::Whole { length: line.len(), client }));
            let header = binary(0x21, family, &[&bytes[..], &bytes, &[0; 4], &tlv].concat());
            prop_assert_eq!(parse(&header), Ok(Parsed::Whole { length: header.len(), client }));
        }

        #[test]
        fn any_bytes_are_a_header_the_beginning_of_one_or_malformed(
            begin in prop_oneof![Just(&b""[..]), Just(WORD), Just(SIGNATURE), Just(&b"PROXY TCP4 "[..])],
            rest in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let bytes = [begin, &rest].concat();
            match parse(&bytes) {
                Ok(Parsed::Whole { length, .. }) => {
                    prop_assert!(length <= bytes.len());
                    // More bytes behind it change nothing, and with fewer it is not whole.
                    prop_assert_eq!(parse(&bytes[..length]), parse(&bytes));
                    prop_assert_eq!(parse(&bytes[..length - 1]), Ok(Parsed::Partial));
                }
                Ok(Parsed::Partial) => prop_assert!(bytes.len() < 65_551),
                Err(Malformed) => {
                    let more = [&bytes[..], b"\r\n"].concat();
                    prop_assert_eq!(parse(&more), Err(Malformed));
                }
            }
        }
    }
}
