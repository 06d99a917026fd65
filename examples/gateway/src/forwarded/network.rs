//! A network: the addresses with the same first bits.

use std::net::IpAddr;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error};

/// The addresses with the same first bits: `10.0.0.0/8`, `fd00::/8`, or one address. Bits after the
/// prefix are ignored. An IPv4-mapped IPv6 address counts as the IPv4 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    first: u128,
    mask: u128,
}

impl Network {
    pub(super) fn contains(&self, ip: IpAddr) -> bool {
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
