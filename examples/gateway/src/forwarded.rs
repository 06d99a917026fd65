//! The address and scheme of the client, and the proxies that are believed about them:
//! `X-Forwarded-For`, `-Proto`, `-Host`.

use std::net::IpAddr;
use std::str::FromStr;

use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use serde::de::{Deserialize, Deserializer, Error};
use session_affinity::Scheme;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST_NAME: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The proxies in front of the gateway. Only their statements about clients are believed.
pub(crate) struct TrustedProxies(Vec<Network>);

/// The client of a request, as trusted proxies state it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) ip: IpAddr,
    pub(crate) scheme: Scheme,
}

impl TrustedProxies {
    pub(crate) fn new(networks: Vec<Network>) -> Self {
        Self(networks)
    }

    /// Returns the client of a request that came from `peer`.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Client {
        let peer = peer.to_canonical();
        match self.trusts(peer) {
            true => Client { ip: self.walk(peer, headers), scheme: scheme(headers) },
            false => Client { ip: peer, scheme: Scheme::Http },
        }
    }

    /// Returns the right-most address of the chain that is not trusted; the left-most if all are.
    /// An entry other than a bare address ends the walk.
    fn walk(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let lines = headers.get_all(FOR).iter().collect::<Vec<_>>().into_iter().rev();
        let entries = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        let mut last = peer;
        for entry in entries {
            let Some(ip) = ip(entry) else { break };
            last = ip;
            if !self.trusts(ip) {
                break;
            }
        }
        last
    }

    /// Sets the fields that tell the endpoint about the client: adds to those of a trusted proxy,
    /// and replaces those of any other peer.
    pub(crate) fn tell(&self, peer: IpAddr, headers: &mut HeaderMap) {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            let spoofed = headers.keys().filter(|name| name.as_str().starts_with("x-forwarded-"));
            for name in spoofed.cloned().collect::<Vec<_>>() {
                headers.remove(name);
            }
        }
        let mut chain = Vec::new();
        for line in headers.get_all(FOR).iter().filter(|line| !line.is_empty()) {
            chain.extend_from_slice(line.as_bytes());
            chain.extend_from_slice(b", ");
        }
        chain.extend_from_slice(peer.to_string().as_bytes());
        if let Ok(chain) = HeaderValue::from_bytes(&chain) {
            headers.insert(FOR, chain);
        }
        headers.entry(PROTO).or_insert(HeaderValue::from_static("http"));
        if let Some(host) = headers.get(HOST).cloned() {
            headers.entry(HOST_NAME).or_insert(host);
        }
    }

    fn trusts(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(ip))
    }
}

/// Returns the scheme by the first entry, which is of the hop that the client spoke to. Some
/// proxies write `wss` for a WebSocket over TLS.
fn scheme(headers: &HeaderMap) -> Scheme {
    let first =
        headers.get(PROTO).and_then(|line| line.as_bytes().split(|byte| *byte == b',').next());
    match first.map(<[u8]>::trim_ascii) {
        Some(proto)
            if proto.eq_ignore_ascii_case(b"https") || proto.eq_ignore_ascii_case(b"wss") =>
        {
            Scheme::Https
        }
        _ => Scheme::Http,
    }
}

fn ip(entry: &[u8]) -> Option<IpAddr> {
    let ip: IpAddr = std::str::from_utf8(entry).ok()?.trim().parse().ok()?;
    Some(ip.to_canonical())
}

/// The addresses with the same first bits: `10.0.0.0/8`, `fd00::/8`, or one address. Bits after the
/// prefix are ignored. An IPv4-mapped IPv6 address counts as the IPv4 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    first: u128,
    mask: u128,
}

impl Network {
    fn contains(&self, ip: IpAddr) -> bool {
        bits(ip) & self.mask == self.first
    }
}

impl FromStr for Network {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (ip, prefix) = match text.split_once('/') {
            Some((ip, prefix)) => (ip, Some(prefix)),
            None => (text, None),
        };
        let ip: IpAddr = ip.parse().map_err(|_| ())?;
        let (width, offset) = if ip.is_ipv4() { (32, 96) } else { (128, 0) };
        let prefix = match prefix {
            None => width,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| ())?
            }
            Some(_) => return Err(()),
        };
        if prefix > width {
            return Err(());
        }
        let mask = u128::MAX.checked_shl(128 - (prefix + offset)).unwrap_or(0);
        Ok(Self { first: bits(ip) & mask, mask })
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let network = String::deserialize(input)?.parse();
        network.map_err(|()| {
            D::Error::custom("expected an IP address or a network such as 10.0.0.0/8")
        })
    }
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(ip.to_ipv6_mapped()),
        IpAddr::V6(ip) => u128::from(ip),
    }
}
