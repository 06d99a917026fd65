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
    /// the address, a port beside an empty address, and an address that is not well-formed; here such
    /// an address is returned as it is.
    ///
    /// ```
    /// use session_affinity::config::OriginConfig;
    /// let origin = OriginConfig { port: Some(8080), ..OriginConfig::new("eu-1", "2001:db8::1") };
    /// assert_eq!(origin.authority(), "[2001:db8::1]:8080");
    /// ```
    pub fn authority(&self) -> String {
        match (self.fixed_port(), Written::read(&self.address)) {
            (Some(_), Written::Host("")) => String::new(),
            (Some(port), Written::Host(host)) => format!("{host}:{port}"),
            (Some(port), Written::BareIpv6(ip)) => format!("[{ip}]:{port}"),
            (None, _) | (_, Written::WithPort(_) | Written::Malformed) => self.address.clone(),
        }
    }

    /// The port, unless it is the one of the scheme, which Cloudflare writes as 0.
    fn fixed_port(&self) -> Option<u16> {
        self.port.filter(|port| *port != 0)
    }
}

/// Refuses an origin whose address is not well-formed, or has another port than its `port`. Without a
/// `port` the address may be empty, or be of a kind that the embedder's own targets know.
pub(super) fn check_address(pool: &PoolConfig, origin: &OriginConfig) -> Result<(), InvalidConfig> {
    let (pool, name, address) = (pool.id.clone(), origin.name.clone(), origin.address.clone());
    match (origin.fixed_port(), Written::read(&origin.address)) {
        (_, Written::Malformed) => Err(InvalidConfig::Address { pool, origin: name, address }),
        (Some(_), Written::Host("")) => Err(InvalidConfig::Address { pool, origin: name, address }),
        (Some(port), Written::WithPort(own)) if own != port.to_string() => {
            Err(InvalidConfig::Port { pool, origin: name, port, address })
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
    /// An address with white space, with brackets around no IPv6 address or with more than a port
    /// behind them, without a host before its port, or with a port that is a number written in another
    /// way: with zeros or a sign before it.
    Malformed,
}

impl<'a> Written<'a> {
    fn read(address: &'a str) -> Self {
        if address.contains(|it: char| it.is_whitespace() || it.is_control()) {
            return Self::Malformed;
        }
        if is_ipv6(address) {
            return Self::BareIpv6(address);
        }
        let after_host = match address.strip_prefix('[').map(|rest| rest.split_once(']')) {
            Some(Some((ip, ""))) if is_ipv6(ip) => return Self::Host(address),
            Some(Some((ip, rest))) if is_ipv6(ip) => rest.strip_prefix(':'),
            Some(_) => None,
            None => match address.split_once(':') {
                Some((host, port)) => Some(port).filter(|_| !host.is_empty()),
                None => return Self::Host(address),
            },
        };
        let is_plain =
            |port: &str| port.parse::<u64>().map_or(true, |number| number.to_string() == port);
        after_host.filter(|port| is_plain(port)).map_or(Self::Malformed, Self::WithPort)
    }
}

/// Returns whether a text is an IPv6 address, perhaps with a zone.
fn is_ipv6(text: &str) -> bool {
    text.split('%').next().is_some_and(|text| text.parse::<Ipv6Addr>().is_ok())
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
            assert_eq!(check_address(&pool, &origin(address, Some(8080))), Ok(()), "{address}");
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
                assert_eq!(check_address(&PoolConfig::new("eu"), &origin), Ok(()), "{address}");
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
            let refused = check_address(&pool, &origin(address, Some(8080))).unwrap_err();
            assert_eq!(
                refused.to_string(),
                format!(
                    "pools[eu].origins[a].port is 8080 with the address {address:?}; allowed: an address without a port, or with this one"
                )
            );
            for absent in [None, Some(0)] {
                assert_eq!(check_address(&pool, &origin(address, absent)), Ok(()), "{address}");
            }
        }
    }

    #[test]
    fn an_address_that_is_not_well_formed_is_refused() {
        let pool = PoolConfig::new("eu");
        let refused = |address: &str, port| {
            let refused = check_address(&pool, &origin(address, port)).unwrap_err();
            assert_eq!(origin(address, port).authority(), address);
            assert_eq!(
                refused.to_string(),
                format!(
                    "pools[eu].origins[a].address is {address:?}; allowed: an IP address or a host name, perhaps with :port, IPv6 then in brackets"
                )
            );
        };
        for address in [
            " ",
            "10.0.0.1 ",
            " 10.0.0.1:80",
            "shop.internal\n",
            "shop internal",
            "shop.internal\u{a0}",
            "shop.internal\0",
            "[::1",
            "[::1]x",
            "[::1]80",
            "[::1] ",
            "[::1]]",
            "[]",
            "[shop.internal]:80",
            ":80",
            // Ports, each of which `u16` or a resolver reads as 80.
            "shop.internal:+80",
            "shop.internal:080",
            "10.0.0.1:00080",
            "[::1]:+80",
            "[::1]:080",
            "shop.internal:00",
        ] {
            for port in [None, Some(0), Some(80)] {
                refused(address, port);
            }
        }
        // An embedder that makes its targets of something else leaves it out.
        refused("", Some(80));
        for absent in [None, Some(0)] {
            assert_eq!(check_address(&pool, &origin("", absent)), Ok(()));
        }
    }
}
