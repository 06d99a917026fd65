//! The address of an endpoint: `10.0.0.1:8080`, `[::1]:8080`, `shop.internal:8080`, or one of these
//! without the port, which then is 80.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Ip(SocketAddr),
    /// A host name and a port. The name is looked up each time a connection is made.
    Name(String, u16),
}

pub(crate) const ALLOWED: &str = "an IP address or a host name, perhaps with :port";

const DEFAULT_PORT: u16 = 80;

impl FromStr for Address {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self::Ip((ip, DEFAULT_PORT).into()));
        }
        if let Some((host, rest)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
            let ip = host.parse::<Ipv6Addr>().map_err(|_| ())?;
            let port = if rest.is_empty() {
                DEFAULT_PORT
            } else {
                port(rest.strip_prefix(':').ok_or(())?)?
            };
            return Ok(Self::Ip((ip, port).into()));
        }
        let (host, port) = match text.split_once(':') {
            Some((host, digits)) => (host, port(digits)?),
            None => (text, DEFAULT_PORT),
        };
        match host.parse::<IpAddr>() {
            Ok(ip) => Ok(Self::Ip((ip, port).into())),
            Err(_) if is_host_name(host) => Ok(Self::Name(host.into(), port)),
            Err(_) => Err(()),
        }
    }
}

/// Writes the address as in a `Host` header.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Name(host, port) => write!(f, "{host}:{port}"),
        }
    }
}

fn port(digits: &str) -> Result<u16, ()> {
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|port| is_number && *port != 0).ok_or(())
}

/// Returns whether a text is a host name: labels of letters, digits, `-` and `_`. A text whose last
/// label is a number is a mistyped address.
fn is_host_name(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let last_is_number = host
        .rsplit('.')
        .next()
        .is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    host.len() <= 253 && host.split('.').all(is_label) && !last_is_number
}
