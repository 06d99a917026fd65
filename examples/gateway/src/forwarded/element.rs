//! The field `Forwarded` of RFC 7239, as far as it tells the client's address and scheme.

use std::net::IpAddr;

use session_affinity::Scheme;

use super::entry::{is_hidden, node};

/// An element of the field: the words of one proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element {
    /// The address of `for`, which the proxy was asked from.
    pub(super) client: Node,
    /// The scheme of `proto`, by which the proxy was asked; http where it is not told.
    pub(super) scheme: Scheme,
}

/// The value of `for`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Ip(IpAddr),
    /// Not told: absent, `unknown`, or a name such as `_hidden`.
    Hidden,
    /// Neither an address nor hidden in a way that the standard knows.
    Odd,
}

/// Reads the elements of one line of the field, in their order. `None` for a line that is not well
/// formed: quotation marks decide where an element ends, so a part of such a line says nothing.
pub(super) fn elements(line: &[u8]) -> Option<Vec<Element>> {
    let mut rest = line;
    let mut elements = Vec::new();
    let mut parameters = Parameters::default();
    loop {
        rest = blank(rest);
        match rest.split_first() {
            None | Some((b',', _)) => {
                // RFC 9110 section 5.6.1: empty elements are ignored.
                if !parameters.is_empty {
                    elements.push(parameters.element());
                }
                parameters = Parameters::default();
                match rest.split_first() {
                    None => return Some(elements),
                    Some((_, after)) => rest = after,
                }
            }
            Some((b';', after)) => rest = after,
            Some(_) => {
                let (name, after) = token(rest)?;
                let (value, after) = value(after.strip_prefix(b"=")?)?;
                parameters.set(name, value)?;
                rest = blank(after);
                if !matches!(rest.first(), None | Some(b',' | b';')) {
                    return None;
                }
            }
        }
    }
}

/// The parameters of an element so far.
struct Parameters {
    is_empty: bool,
    client: Option<Vec<u8>>,
    proto: Option<Vec<u8>>,
}

impl Default for Parameters {
    fn default() -> Self {
        Self { is_empty: true, client: None, proto: None }
    }
}

impl Parameters {
    /// Notes a parameter, which an element has once at most.
    fn set(&mut self, name: &[u8], value: Vec<u8>) -> Option<()> {
        self.is_empty = false;
        let place = match name {
            _ if name.eq_ignore_ascii_case(b"for") => &mut self.client,
            _ if name.eq_ignore_ascii_case(b"proto") => &mut self.proto,
            _ => return Some(()),
        };
        place.replace(value).is_none().then_some(())
    }

    fn element(self) -> Element {
        let client = match &self.client {
            None => Node::Hidden,
            Some(text) if is_hidden(text) => Node::Hidden,
            Some(text) => std::str::from_utf8(text).ok().and_then(node).map_or(Node::Odd, Node::Ip),
        };
        let scheme = super::scheme_of(self.proto.as_deref().unwrap_or_default());
        Element { client, scheme }
    }
}

fn blank(text: &[u8]) -> &[u8] {
    text.trim_ascii_start()
}

/// Splits a token off, which is not empty.
fn token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let end = text.iter().position(|byte| !is_part(byte)).unwrap_or(text.len());
    text.split_at_checked(end).filter(|(token, _)| !token.is_empty())
}

/// Splits a value off: a token or a quoted string. Colons and brackets, which the standard wants
/// quoted, are taken without quotation marks too, since proxies write them so.
fn value(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    if let Some(quoted) = text.strip_prefix(b"\"") {
        return quoted_string(quoted);
    }
    let is_end = |byte: &u8| byte.is_ascii_whitespace() || b",;\"=".contains(byte);
    let end = text.iter().position(is_end).unwrap_or(text.len());
    let (value, rest) = text.split_at_checked(end)?;
    (!value.is_empty()).then(|| (value.to_vec(), rest))
}

fn quoted_string(mut text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut value = Vec::new();
    loop {
        let (first, rest) = text.split_first()?;
        text = rest;
        match first {
            b'"' => return Some((value, text)),
            b'\\' => {
                let (escaped, rest) = text.split_first()?;
                value.push(*escaped);
                text = rest;
            }
            byte => value.push(*byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> Element {
        Element { client: Node::Ip(text.parse().expect("an address")), scheme: Scheme::Http }
    }

    #[test]
    fn lines_of_the_standard_are_read() {
        let hidden = Element { client: Node::Hidden, scheme: Scheme::Http };
        let odd = Element { client: Node::Odd, scheme: Scheme::Http };
        for (line, expected) in [
            ("for=\"_gazonk\"", vec![hidden]),
            ("For=\"[2001:db8:cafe::17]:4711\"", vec![of("2001:db8:cafe::17")]),
            ("for=192.0.2.60;proto=http;by=203.0.113.43", vec![of("192.0.2.60")]),
            ("for=192.0.2.43, for=198.51.100.17", vec![of("192.0.2.43"), of("198.51.100.17")]),
            ("proto=https", vec![Element { scheme: Scheme::Https, ..hidden }]),
            (
                "for=192.0.2.1;PROTO=\"HTTPS\"",
                vec![Element { scheme: Scheme::Https, ..of("192.0.2.1") }],
            ),
            ("for=unknown", vec![hidden]),
            ("by=\"a,b;for=192.0.2.9\";for=192.0.2.1", vec![of("192.0.2.1")]),
            ("for=\"192.0.2.\\1\"", vec![of("192.0.2.1")]),
            ("for=\"192.0.2.1:_p\"", vec![of("192.0.2.1")]),
            ("for=192.0.2.1:80", vec![of("192.0.2.1")]),
            ("for=[::1]:80 ;; secret=x ,, ", vec![of("::1")]),
            ("for=\"::1\"", vec![odd]),
            ("for=nonsense", vec![odd]),
            ("", vec![]),
            (" , ", vec![]),
        ] {
            assert_eq!(elements(line.as_bytes()), Some(expected), "{line:?}");
        }
    }

    #[test]
    fn a_line_that_is_not_well_formed_says_nothing() {
        for line in [
            "for",
            "for=",
            "=192.0.2.1",
            "192.0.2.1",
            "for=\"192.0.2.1",
            "for=\"192.0.2.1\\",
            "for=192.0.2.1 for=192.0.2.2",
            "for=192.0.2.1;for=192.0.2.2",
            "for=192.0.2.1, by=\"",
            "for =192.0.2.1",
            "for=\"192.0.2.1\"x",
            "for=a=b",
        ] {
            assert_eq!(elements(line.as_bytes()), None, "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_refused(line in "[a-z0-9 =;,:\"\\\\.\\[\\]_\u{ff}]{0,40}") {
            if let Some(elements) = elements(line.as_bytes()) {
                prop_assert!(elements.len() <= line.len().div_ceil(2));
            }
        }

        #[test]
        fn each_list_of_addresses_is_read_back(ips: Vec<IpAddr>, port: u16) {
            let node = |ip: &IpAddr| format!("for=\"{}\"", std::net::SocketAddr::new(*ip, port));
            let line = ips.iter().map(node).collect::<Vec<_>>().join(", ");
            let read: Vec<_> = elements(line.as_bytes())
                .expect("a line")
                .into_iter()
                .map(|element| element.client)
                .collect();
            let expected: Vec<_> = ips.iter().map(|ip| Node::Ip(ip.to_canonical())).collect();
            prop_assert_eq!(read, expected);
        }
    }
}
