//! The readers of the example gateway: the PROXY protocol, the fields in which proxies state a
//! client, and the configuration file. Only the example gateway has this target:
//! `examples/gateway/tests/fuzz_target.rs` runs it without a fuzzer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use gateway::readers::{Forwarded, Parsed, Ports, configuration, proxy_protocol};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

/// The first byte chooses the reader.
pub fn check(input: &[u8]) {
    let Some((reader, input)) = input.split_first() else { return };
    match reader % 3 {
        0 => introductions(input),
        1 => statements(input),
        _ => files(input),
    }
}

/// A header is whole at its last byte and not before, and what follows changes nothing; what it says
/// is what a plain reader finds in it.
fn introductions(bytes: &[u8]) {
    let whole = proxy_protocol(bytes);
    let expected = plain_version_1(bytes).or_else(|| plain_version_2(bytes));
    match &whole {
        Ok(Parsed::Whole { length, client }) => {
            assert_eq!(Some((*length, *client)), expected, "{bytes:?}");
            for end in 0..*length {
                assert_eq!(
                    proxy_protocol(&bytes[..end]),
                    Ok(Parsed::Partial),
                    "{end} of {bytes:?}"
                );
            }
            assert_eq!(proxy_protocol(&bytes[..*length]), whole);
        }
        Ok(Parsed::Partial) => {
            assert_eq!(expected, None, "{bytes:?}");
            assert!(bytes.len() < 16 + 65_535);
            for end in 0..bytes.len().min(300) {
                assert_eq!(
                    proxy_protocol(&bytes[..end]),
                    Ok(Parsed::Partial),
                    "{end} of {bytes:?}"
                );
            }
        }
        Err(_) => {
            assert_eq!(expected, None, "{bytes:?}");
            assert_eq!(proxy_protocol(&[bytes, b"\r\n"].concat()), whole, "{bytes:?}");
        }
    }
}

/// The length and the client of a header of version 1, by its words.
fn plain_version_1(bytes: &[u8]) -> Option<(usize, Option<IpAddr>)> {
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    let (line, _) = text.split_once("\r\n")?;
    let length = line.chars().count() + 2;
    if length > 107 || std::str::from_utf8(&bytes[..length]).is_err() {
        return None;
    }
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        ["PROXY", "UNKNOWN", ..] => Some((length, None)),
        ["PROXY", family, source, destination, from, to] => {
            let (source, destination): (IpAddr, IpAddr) =
                (source.parse().ok()?, destination.parse().ok()?);
            let is_ipv4 = match family {
                "TCP4" => true,
                "TCP6" => false,
                _ => return None,
            };
            let is_port = |text: &str| {
                (1..=5).contains(&text.len())
                    && text.bytes().all(|byte| byte.is_ascii_digit())
                    && (text == "0" || !text.starts_with('0'))
                    && text.parse::<u32>().is_ok_and(|port| port <= 65_535)
            };
            let is_whole = source.is_ipv4() == is_ipv4
                && destination.is_ipv4() == is_ipv4
                && is_port(from)
                && is_port(to);
            is_whole.then(|| (length, Some(source.to_canonical())))
        }
        _ => None,
    }
}

/// The same of version 2, by the table of its specification.
fn plain_version_2(bytes: &[u8]) -> Option<(usize, Option<IpAddr>)> {
    let rest = bytes.strip_prefix(b"\r\n\r\n\0\r\nQUIT\n")?;
    let [command, family, high, low, body @ ..] = rest else { return None };
    let length = usize::from(*high) * 256 + usize::from(*low);
    let body = body.get(..length)?;
    let client = match (command, family >> 4, family & 15) {
        (0x20, ..) => None,
        (0x21, 0..4, 3..) | (0x21, 4.., _) => return None,
        // Of a transport that is not told, the addresses are not told either.
        (0x21, 0, _) | (0x21, _, 0) => None,
        (0x21, 1, transport) => {
            let ip: [u8; 4] = body.get(..12)?[..4].try_into().unwrap();
            (transport == 1).then(|| Ipv4Addr::from(ip).into())
        }
        (0x21, 2, transport) => {
            let ip: [u8; 16] = body.get(..36)?[..16].try_into().unwrap();
            (transport == 1).then(|| IpAddr::from(Ipv6Addr::from(ip)).to_canonical())
        }
        (0x21, ..) => {
            body.get(..216)?;
            None
        }
        _ => return None,
    };
    Some((16 + length, client))
}

/// The address that the gateway is asked from, one that it trusts, and another gateway's before it.
const PEERS: [[u8; 4]; 3] = [[192, 0, 2, 9], [10, 0, 0, 1], [10, 0, 0, 2]];
const FIELDS: [&str; 8] = [
    "x-forwarded-for",
    "forwarded",
    "x-real-ip",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x_forwarded_for",
    "host",
    "x-other",
];

/// Made once, as each warns once of what it does not understand.
static READERS: LazyLock<[(Ports, Forwarded); 2]> = LazyLock::new(|| {
    let trusted = ["10.0.0.0/8", "fd00::/8", "::1"];
    [Ports::Refused, Ports::Ignored]
        .map(|ports| (ports, Forwarded::new(&trusted, ports).expect("networks")))
});

/// Two bytes choose the peer and the ports; of each line that follows the first byte chooses the
/// field.
fn statements(input: &[u8]) {
    let Some(([peer, ports], lines)) = input.split_first_chunk() else { return };
    let peer = IpAddr::from(PEERS[usize::from(*peer) % PEERS.len()]);
    let (ports, readers) = &READERS[usize::from(*ports) % READERS.len()];
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let Some((field, value)) = line.split_first() else { continue };
        let name = HeaderName::from_static(FIELDS[usize::from(*field) % FIELDS.len()]);
        // A server takes the blanks around a value away.
        if let Ok(value) = HeaderValue::from_bytes(value.trim_ascii()) {
            headers.append(name, value);
        }
    }

    let client = readers.client(peer, &headers);
    let (ip, _) = client;
    assert_eq!(ip, ip.to_canonical());
    if !readers.trusts(peer) {
        assert_eq!(ip, peer);
        assert!(readers.client(peer, &HeaderMap::new()) == client, "a stranger is believed");
    } else if let Some(expected) = plain_walk(readers, *ports, peer, &headers) {
        assert_eq!(ip, expected, "{headers:?}");
    }
    what_a_client_wrote_first_does_not_count(readers, peer, client, &headers);

    let mut told = headers.clone();
    readers.tell(peer, client, &mut told);
    let chain: Vec<_> = told.get_all("x-forwarded-for").iter().collect();
    let last = chain[0].as_bytes().rsplit(|byte| *byte == b',').next().unwrap();
    assert_eq!((chain.len(), last.trim_ascii()), (1, peer.to_string().as_bytes()));
    assert!(!told.contains_key("x_forwarded_for"));
    assert_eq!(
        (told.get("x-other"), told.get_all("host").iter().count()),
        (headers.get("x-other"), headers.get_all("host").iter().count())
    );
    if !readers.trusts(peer) {
        assert_eq!(chain[0].as_bytes(), peer.to_string().as_bytes());
        assert!(!told.contains_key("forwarded") && !told.contains_key("x-real-ip"));
    }
    // The next gateway, which trusts this one, finds the same client.
    let this = IpAddr::from([10, 9, 9, 9]);
    assert!(readers.client(this, &told) == client, "{told:?} from {headers:?}");
}

/// The right-most address of `X-Forwarded-For` that is not trusted, or the left-most before an entry
/// that is no address; `None` without the field.
fn plain_walk(
    readers: &Forwarded,
    ports: Ports,
    peer: IpAddr,
    headers: &HeaderMap,
) -> Option<IpAddr> {
    let lines = headers.get_all("x-forwarded-for").iter().map(HeaderValue::as_bytes);
    let lines: Vec<&[u8]> = lines.collect();
    if lines.iter().all(|line| line.is_empty()) {
        return None;
    }
    let joined = lines.join(&b","[..]);
    let mut found = peer;
    for entry in joined.rsplit(|byte| *byte == b',') {
        let text = String::from_utf8_lossy(entry);
        let text = text.trim();
        let with_port = || {
            let (ip, port) = text.rsplit_once(':')?;
            let is_port = !port.is_empty()
                && port.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
            bracketed(ip)
                .or_else(|| ip.parse::<Ipv4Addr>().ok().map(IpAddr::from))
                .filter(|_| is_port)
        };
        let address = match ports {
            Ports::Refused => text.parse().ok(),
            Ports::Ignored => text.parse().ok().or_else(|| bracketed(text)).or_else(with_port),
        };
        let Some(address) = address.map(|ip: IpAddr| ip.to_canonical()) else { break };
        found = address;
        if !readers.trusts(address) {
            break;
        }
    }
    Some(found)
}

fn bracketed(text: &str) -> Option<IpAddr> {
    let ip = text.strip_prefix('[')?.strip_suffix(']')?;
    ip.parse::<Ipv6Addr>().ok().map(IpAddr::from)
}

/// What stands before the address of a client that is found is the client's own words.
fn what_a_client_wrote_first_does_not_count(
    readers: &Forwarded,
    peer: IpAddr,
    (ip, scheme): (IpAddr, session_affinity::Scheme),
    headers: &HeaderMap,
) {
    if readers.trusts(ip) {
        return;
    }
    for (name, forged) in [
        ("x-forwarded-for", "203.0.113.66"),
        ("forwarded", "for=203.0.113.66;proto=https"),
        ("x-real-ip", "203.0.113.66"),
    ] {
        if !headers.contains_key(name) {
            continue;
        }
        let mut lied = HeaderMap::new();
        lied.append(name, HeaderValue::from_static(forged));
        for (field, line) in headers {
            lied.append(field, line.clone());
        }
        // A field that is there counts only if one of its lines has something in it.
        let is_empty = headers.get_all(name).iter().all(|line| line.is_empty());
        if !is_empty {
            assert!(readers.client(peer, &lied) == (ip, scheme), "{lied:?} from {headers:?}");
        }
    }
}

/// A file that is accepted is an object of JSON, is accepted in another spelling too, and is refused
/// with a key that no gateway knows. A message has words.
fn files(text: &[u8]) {
    if let Err(message) = configuration(text) {
        return assert!(!message.trim().is_empty());
    }
    // What the gateway passes over need not be a value: `1e999` is none.
    let Ok(mut file) = serde_json::from_slice::<Value>(text) else { return };
    let spelled = serde_json::to_vec_pretty(&file).unwrap();
    assert_eq!(configuration(&spelled), Ok(()), "{file}");
    let keys = file.as_object_mut().unwrap();
    assert!(keys.contains_key("load_balancer") && keys.contains_key("pools"));
    keys.insert("no_such_key".into(), Value::Null);
    let refused = configuration(file.to_string().as_bytes()).unwrap_err();
    assert!(refused.contains("no_such_key"), "{refused}");
}
