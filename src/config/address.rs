//! The address of an origin, with its port.

use std::net::Ipv6Addr;

use super::invalid::InvalidConfig;
use super::pool::{OriginConfig, PoolConfig};

impl OriginConfig {
    /// Returns the address, followed by the port where the port is not part of the address:
    /// `10.0.0.1:8080`, `[2001:db8::1]:8080`, `shop.internal:8080`.
    ///
    /// Without a port (absent or 0) this is the address as it was given, and the embedder adds its
    /// default. [`Config::pools`](super::Config::pools) refuses a port that differs from the one in
    /// the address; here the one in the address counts.
    ///
    /// ```
    /// use session_affinity::config::OriginConfig;
    /// let origin = OriginConfig { port: Some(8080), ..OriginConfig::new("eu-1", "2001:db8::1") };
    /// assert_eq!(origin.authority(), "[2001:db8::1]:8080");
    /// ```
    pub fn authority(&self) -> String {
        match (self.fixed_port(), Written::read(&self.address)) {
            (Some(port), Written::Host(host)) => format!("{host}:{port}"),
            (Some(port), Written::BareIpv6(ip)) => format!("[{ip}]:{port}"),
            (None, _) | (_, Written::WithPort(_)) => self.address.clone(),
        }
    }

    /// The port, unless it is the one of the scheme, which Cloudflare writes as 0.
    fn fixed_port(&self) -> Option<u16> {
        self.port.filter(|port| *port != 0)
    }
}

/// Refuses an origin whose address has another port than its `port`.
pub(super) fn check_port(pool: &PoolConfig, origin: &OriginConfig) -> Result<(), InvalidConfig> {
    match (origin.fixed_port(), Written::read(&origin.address)) {
        (Some(port), Written::WithPort(own)) if own.parse() != Ok(port) => {
            Err(InvalidConfig::Port {
                pool: pool.id.clone(),
                origin: origin.name.clone(),
                port,
                address: origin.address.clone(),
            })
        }
        _ => Ok(()),
    }
}

/// An address by the way in which it is written.
enum Written<'a> {
    /// A host name, an IPv4 address, or an IPv6 address in brackets.
    Host(&'a str),
    /// An IPv6 address without brackets. Its colons part no port.
    BareIpv6(&'a str),
    /// An address with a port: its text, which may be no number.
    WithPort(&'a str),
}

impl<'a> Written<'a> {
    fn read(address: &'a str) -> Self {
        let without_zone = address.split('%').next().unwrap_or(address);
        if without_zone.parse::<Ipv6Addr>().is_ok() {
            return Self::BareIpv6(address);
        }
        let after_brackets = match address.starts_with('[') {
            true => address.split_once(']').map_or(address, |(_, rest)| rest),
            false => address,
        };
        match after_brackets.split_once(':') {
            Some((_, port)) => Self::WithPort(port),
            None => Self::Host(address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(address: &str, port: Option<u16>) -> OriginConfig {
        OriginConfig { port, ..OriginConfig::new("a", address) }
    }

    #[test]
    fn an_address_without_a_port_takes_the_port_of_its_origin() {
        for (address, expected) in [
            ("10.0.0.1", "10.0.0.1:8080"),
            ("shop.internal", "shop.internal:8080"),
            ("shop.internal.", "shop.internal.:8080"),
            ("2001:db8::1", "[2001:db8::1]:8080"),
            ("::1", "[::1]:8080"),
            ("::ffff:10.0.0.1", "[::ffff:10.0.0.1]:8080"),
            // The last group looks like a port, and is a part of the address.
            ("2001:db8::1:80", "[2001:db8::1:80]:8080"),
            ("fe80::1%eth0", "[fe80::1%eth0]:8080"),
            ("[2001:db8::1]", "[2001:db8::1]:8080"),
            ("[fe80::1%eth0]", "[fe80::1%eth0]:8080"),
        ] {
            assert_eq!(origin(address, Some(8080)).authority(), expected);
            for absent in [None, Some(0)] {
                assert_eq!(origin(address, absent).authority(), address);
            }
            let pool = PoolConfig::new("eu");
            assert_eq!(check_port(&pool, &origin(address, Some(8080))), Ok(()), "{address}");
        }
    }

    #[test]
    fn an_address_with_a_port_stays_as_it_is() {
        for address in
            ["10.0.0.1:8080", "shop.internal:8080", "[2001:db8::1]:8080", "[fe80::1%eth0]:8080"]
        {
            for port in [None, Some(0), Some(8080)] {
                let origin = origin(address, port);
                assert_eq!(origin.authority(), address);
                assert_eq!(check_port(&PoolConfig::new("eu"), &origin), Ok(()), "{address}");
            }
        }
    }

    #[test]
    fn a_port_that_differs_from_the_one_in_the_address_is_refused() {
        let pool = PoolConfig::new("eu");
        for address in [
            "10.0.0.1:80",
            "10.0.0.1:0",
            "shop.internal:80",
            "shop.internal:",
            "shop.internal:http",
            "shop.internal:73616",
            "[2001:db8::1]:80",
            "http://shop.internal",
            "http://shop.internal:8080",
        ] {
            let refused = check_port(&pool, &origin(address, Some(8080))).unwrap_err();
            assert_eq!(
                refused.to_string(),
                format!(
                    "pools[eu].origins[a].port is 8080 with the address {address:?}; allowed: an address without a port, or with this one"
                )
            );
            for absent in [None, Some(0)] {
                assert_eq!(check_port(&pool, &origin(address, absent)), Ok(()), "{address}");
            }
        }
    }
}
