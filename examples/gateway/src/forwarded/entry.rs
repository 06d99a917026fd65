//! An entry of a forwarded field: the address of a client or of a proxy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The treatment of an address with a port in `X-Forwarded-For`, where Azure writes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a port is read or not")]
pub enum Ports {
    /// It is no address.
    Refused,
    /// It is an address, and the port is ignored.
    Ignored,
}

/// Reads an entry of `X-Forwarded-For` or `X-Real-IP`.
pub(super) fn entry(entry: &[u8], ports: Ports) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim();
    match ports {
        Ports::Refused => text.parse().ok().map(|ip: IpAddr| ip.to_canonical()),
        Ports::Ignored => {
            text.parse().ok().map(|ip: IpAddr| ip.to_canonical()).or_else(|| node(text))
        }
    }
}

/// Reads a node of RFC 7239 section 6 that is an address: `192.0.2.1`, `192.0.2.1:80`,
/// `[2001:db8::1]`, `[2001:db8::1]:80`. A port may be hidden, as in `192.0.2.1:_p`.
pub(super) fn node(text: &str) -> Option<IpAddr> {
    let (ip, rest) = match text.strip_prefix('[') {
        Some(text) => {
            let (ip, rest) = text.split_once(']')?;
            (IpAddr::from(ip.parse::<Ipv6Addr>().ok()?), rest)
        }
        None => {
            let end = text.find(':').unwrap_or(text.len());
            let (ip, rest) = text.split_at_checked(end)?;
            (IpAddr::from(ip.parse::<Ipv4Addr>().ok()?), rest)
        }
    };
    let is_port = |port: &str| {
        !port.is_empty()
            && port.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port)).then(|| ip.to_canonical())
}

/// Returns whether an entry says that its address is not told, as RFC 7239 has it.
pub(super) fn is_hidden(entry: &[u8]) -> bool {
    let entry = entry.trim_ascii();
    entry.eq_ignore_ascii_case(b"unknown") || entry.starts_with(b"_")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_entry_is_a_bare_address_and_with_ports_also_one_with_a_port() {
        for (text, bare, with_port) in [
            ("192.0.2.1", Some("192.0.2.1"), Some("192.0.2.1")),
            (" \t192.0.2.1 ", Some("192.0.2.1"), Some("192.0.2.1")),
            ("::ffff:192.0.2.1", Some("192.0.2.1"), Some("192.0.2.1")),
            ("2001:db8::1", Some("2001:db8::1"), Some("2001:db8::1")),
            ("192.0.2.1:5678", None, Some("192.0.2.1")),
            ("[::1]:80", None, Some("::1")),
            ("[::1]", None, Some("::1")),
            ("[::ffff:192.0.2.1]:80", None, Some("192.0.2.1")),
            ("192.0.2.1:", None, None),
            ("[::1]:", None, None),
            ("[::1]80", None, None),
            ("[192.0.2.1]:80", None, None),
            ("192.0.2.1:80:90", None, None),
            ("192.0.2.1.:80", None, None),
            ("192.0.2:80", None, None),
            ("[::1", None, None),
            ("\"192.0.2.1\"", None, None),
            ("unknown", None, None),
            ("", None, None),
            (":80", None, None),
        ] {
            let address = |text: Option<&str>| text.map(|text| text.parse().expect("an address"));
            assert_eq!(entry(text.as_bytes(), Ports::Refused), address(bare), "{text:?}");
            assert_eq!(entry(text.as_bytes(), Ports::Ignored), address(with_port), "{text:?}");
        }
        assert_eq!(entry(b"192.0.2.1\xff", Ports::Ignored), None);
    }

    proptest! {
        #[test]
        fn each_address_is_read_with_its_port_and_without(ip: IpAddr, port: u16) {
            let canonical = Some(ip.to_canonical());
            let socket = std::net::SocketAddr::new(ip, port).to_string();
            prop_assert_eq!(entry(ip.to_string().as_bytes(), Ports::Refused), canonical);
            prop_assert_eq!(entry(socket.as_bytes(), Ports::Ignored), canonical);
            prop_assert_eq!(node(&socket), canonical);
            prop_assert_eq!(entry(socket.as_bytes(), Ports::Refused), None);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let bare = entry(&bytes, Ports::Refused);
            let with_port = entry(&bytes, Ports::Ignored);
            prop_assert!(bare.is_none() || bare == with_port);
        }
    }
}
