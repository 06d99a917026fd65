//! The address and scheme of the client, and the proxies that are believed about them:
//! `X-Forwarded-For`, `-Proto`, `-Host`, `Forwarded`, `X-Real-IP`.

mod element;
mod entry;
mod network;

use std::net::IpAddr;

use bytes::Bytes;
use hyper::header::{FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue};
use session_affinity::Scheme;

use crate::warning::Notice;
use element::{Node, elements};
use entry::{entry, is_hidden};

pub use entry::Ports;
pub(crate) use network::Network;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST_NAME: HeaderName = HeaderName::from_static("x-forwarded-host");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// The greatest number of bytes of a field that a warning shows.
const SHOWN: usize = 80;

/// The proxies in front of the gateway. Only their statements about clients are believed.
#[derive(Debug)]
pub(crate) struct TrustedProxies {
    networks: Vec<Network>,
    ports: Ports,
    not_understood: Notice,
}

/// The other end of a connection: a client, or a proxy in front of the gateway.
#[derive(Debug)]
pub(crate) struct Peer {
    ip: IpAddr,
    /// The address as the endpoints get it. It is the same for all requests of the connection.
    text: HeaderValue,
}

/// The client of a request, as trusted proxies state it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) ip: IpAddr,
    pub(crate) scheme: Scheme,
}

impl Peer {
    /// Returns the peer of this address.
    pub(crate) fn new(ip: IpAddr) -> Self {
        let ip = ip.to_canonical();
        // Every address is a valid value.
        let text = HeaderValue::try_from(ip.to_string());
        Self { ip, text: text.unwrap_or(HeaderValue::from_static("unknown")) }
    }
}

impl TrustedProxies {
    pub(crate) fn new(networks: Vec<Network>, ports: Ports) -> Self {
        Self { networks, ports, not_understood: Notice::about("trusted_proxies") }
    }

    /// Returns whether the statements of this address are believed.
    pub(crate) fn trusts(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.networks.iter().any(|network| network.contains(ip))
    }

    /// Returns the client of a request that came from `peer`. Of the fields that a trusted peer may
    /// state it in, the first that is there counts: `X-Forwarded-For`, `Forwarded`, `X-Real-IP`.
    pub(crate) fn client(&self, peer: &Peer, headers: &HeaderMap) -> Client {
        let mut client = Client { ip: peer.ip, scheme: Scheme::Http };
        if !self.trusts(peer.ip) {
            return client;
        }
        if is_stated(headers, &FOR) {
            client.ip = self.walk(peer.ip, headers);
        } else if is_stated(headers, &FORWARDED) {
            client = self.walk_elements(client, headers);
        } else if let Some(ip) = self.real_ip(headers) {
            client.ip = ip;
        }
        if let Some(line) = headers.get(PROTO) {
            // The first entry is of the hop that the client spoke to.
            client.scheme = scheme_of(line.as_bytes().split(|b| *b == b',').next().unwrap_or(&[]));
        }
        client
    }

    /// Returns the right-most address of the chain that is not trusted; the left-most if all are.
    /// An entry other than an address ends the walk.
    fn walk(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let lines = headers.get_all(FOR).iter().collect::<Vec<_>>().into_iter().rev();
        let entries = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        let mut last = peer;
        for text in entries {
            let Some(ip) = entry(text, self.ports) else {
                self.note_odd(&FOR, text);
                break;
            };
            last = ip;
            if !self.trusts(ip) {
                break;
            }
        }
        last
    }

    /// Walks the elements of `Forwarded` likewise. The scheme is of the last element that was
    /// visited: what stands before it may be the client's own.
    fn walk_elements(&self, mut client: Client, headers: &HeaderMap) -> Client {
        for line in headers.get_all(FORWARDED).iter().collect::<Vec<_>>().into_iter().rev() {
            let Some(elements) = elements(line.as_bytes()) else {
                self.note_odd(&FORWARDED, line.as_bytes());
                return client;
            };
            for element in elements.into_iter().rev() {
                client.scheme = element.scheme;
                match element.client {
                    Node::Ip(ip) => client.ip = ip,
                    Node::Hidden => return client,
                    Node::Odd => {
                        self.note_odd(&FORWARDED, line.as_bytes());
                        return client;
                    }
                }
                if !self.trusts(client.ip) {
                    return client;
                }
            }
        }
        client
    }

    fn real_ip(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let line = headers.get_all(REAL_IP).iter().next_back()?;
        let ip = entry(line.as_bytes(), self.ports);
        if ip.is_none() {
            self.note_odd(&REAL_IP, line.as_bytes());
        }
        ip
    }

    /// Says once that a trusted proxy has stated something else than an address.
    fn note_odd(&self, field: &HeaderName, text: &[u8]) {
        if text.trim_ascii().is_empty() || is_hidden(text) {
            return;
        }
        self.not_understood.give(|| {
            let shown = String::from_utf8_lossy(text.get(..SHOWN).unwrap_or(text));
            format!("{field} of a trusted proxy is not understood: {:?}", shown.trim())
        });
    }

    /// Sets the fields that tell the endpoint about the client: adds to those of a trusted proxy,
    /// and replaces those of any other peer.
    pub(crate) fn tell(&self, peer: &Peer, client: Client, headers: &mut HeaderMap) {
        let is_trusted = self.trusts(peer.ip);
        let is_dropped =
            |name: &&HeaderName| is_statement(name) && (!is_trusted || name.as_str().contains('_'));
        for name in headers.keys().filter(is_dropped).cloned().collect::<Vec<_>>() {
            headers.remove(name);
        }
        if let Some(chain) = chain(peer, client, headers) {
            headers.insert(FOR, chain);
        }
        headers.entry(PROTO).or_insert(HeaderValue::from_static(match client.scheme {
            Scheme::Https => "https",
            _ => "http",
        }));
        if let Some(host) = headers.get(HOST).cloned() {
            headers.entry(HOST_NAME).or_insert(host);
        }
    }
}

/// Returns the addresses that a request came by: those of its fields, then the peer's.
fn chain(peer: &Peer, client: Client, headers: &HeaderMap) -> Option<HeaderValue> {
    let mut chain = Vec::new();
    if is_stated(headers, &FOR) {
        // An empty line ends the walk, and does so at the next gateway too.
        for line in headers.get_all(FOR) {
            chain.extend_from_slice(line.as_bytes());
            chain.extend_from_slice(b", ");
        }
    }
    if chain.is_empty() {
        if client.ip == peer.ip {
            return Some(peer.text.clone());
        }
        // Stated in another field.
        chain.extend_from_slice(client.ip.to_string().as_bytes());
        chain.extend_from_slice(b", ");
    }
    chain.extend_from_slice(peer.text.as_bytes());
    HeaderValue::from_maybe_shared(Bytes::from(chain)).ok()
}

/// Returns whether a field states something of the client, in any spelling: programs behind CGI and
/// the like read `X_Forwarded_For` as `X-Forwarded-For`.
pub(crate) fn is_statement(name: &HeaderName) -> bool {
    let name = name.as_str().as_bytes();
    let is = |known: &[u8]| name.len() == known.len() && starts_like(name, known);
    starts_like(name, b"x-forwarded-") || is(b"forwarded") || is(b"x-real-ip")
}

fn starts_like(name: &[u8], known: &[u8]) -> bool {
    let is_same = |(a, b): (&u8, &u8)| a == b || (*a == b'_' && *b == b'-');
    name.len() >= known.len() && name.iter().zip(known).all(is_same)
}

fn is_stated(headers: &HeaderMap, name: &HeaderName) -> bool {
    headers.get_all(name).iter().any(|line| !line.as_bytes().trim_ascii().is_empty())
}

/// Returns the scheme of this name. Some proxies write `wss` for a WebSocket over TLS.
fn scheme_of(name: &[u8]) -> Scheme {
    let name = name.trim_ascii();
    match name.eq_ignore_ascii_case(b"https") || name.eq_ignore_ascii_case(b"wss") {
        true => Scheme::Https,
        false => Scheme::Http,
    }
}
