//! The client's address and the two numbers made of it: one for choices, one for shedding. A
//! session with a key is shed by the number of its key.

use std::net::{IpAddr, Ipv6Addr};

use hmac::digest::Digest;
use sha2::Sha256;
use siphasher::sip::SipHasher24;

use crate::limits::Ipv6Prefix;
use crate::names::LoadBalancer;

/// Hashes client addresses under two keys that are derived from the load balancer's name. The
/// keys are not secret, so rotating signing keys moves no client.
#[derive(Clone, Debug)]
pub(crate) struct ClientHash {
    seed: SipHasher24,
    shed: SipHasher24,
    ipv6_prefix: Ipv6Prefix,
}

/// A client's address as 16 bytes: IPv4 as `::ffff:a.b.c.d`, IPv6 with the bits past
/// the prefix zeroed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(8))] // as a session key is, and for the same reason
pub(crate) struct ClientAddress([u8; 16]);

impl ClientHash {
    pub(crate) fn new(load_balancer: &LoadBalancer, ipv6_prefix: Ipv6Prefix) -> Self {
        Self {
            seed: keyed(b"session-affinity v1 ip", load_balancer),
            shed: keyed(b"session-affinity v1 shed", load_balancer),
            ipv6_prefix,
        }
    }

    /// Normalises an address. IPv4-mapped IPv6 counts as IPv4.
    #[inline]
    pub(crate) fn address(&self, ip: IpAddr) -> ClientAddress {
        let bits = match ip.to_canonical() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
            IpAddr::V6(v6) => {
                let past = 128_u32.saturating_sub(self.ipv6_prefix.get().into());
                // A shift by 128 would be everything; the prefix has at least one bit.
                v6.to_bits() & u128::MAX.checked_shl(past).unwrap_or(0)
            }
        };
        ClientAddress(Ipv6Addr::from_bits(bits).octets())
    }

    /// The seed of the client's first choice.
    pub(crate) fn seed(&self, address: ClientAddress) -> u64 {
        self.seed.hash(&address.0)
    }

    /// The number that decides whether the client is shed. It is independent of the seed.
    pub(crate) fn shed(&self, address: ClientAddress) -> u64 {
        self.shed.hash(&address.0)
    }

    /// The number that decides whether a live session with this key is shed, whatever address
    /// states the key.
    pub(crate) fn shed_session(&self, key: &[u8; 16]) -> u64 {
        self.shed.hash(key)
    }
}

/// SipHash-2-4 under the first 16 bytes of SHA-256(label ‖ 0x00 ‖ load balancer).
fn keyed(label: &[u8], load_balancer: &LoadBalancer) -> SipHasher24 {
    let digest = Sha256::new()
        .chain_update(label)
        .chain_update([0])
        .chain_update(load_balancer.as_str())
        .finalize();
    let key: [u8; 16] = std::array::from_fn(|i| digest.get(i).copied().unwrap_or_default());
    SipHasher24::new_with_key(&key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_and_shed_hashes_are_those_of_the_vectors() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/vectors/token.json")).unwrap();
        let entries = vectors["ip_seeds"].as_array().unwrap();
        for entry in entries {
            let name = LoadBalancer::new(entry["load_balancer"].as_str().unwrap()).unwrap();
            let prefix = Ipv6Prefix::new(entry["ipv6_prefix"].as_u64().unwrap()).unwrap();
            let clients = ClientHash::new(&name, prefix);
            let address = clients.address(entry["address"].as_str().unwrap().parse().unwrap());
            assert_eq!(format!("{:016x}", clients.seed(address)), entry["seed"], "{entry}");
            assert_eq!(format!("{:016x}", clients.shed(address)), entry["shed_hash"], "{entry}");
        }
        assert!(entries.len() >= 6);
    }

    #[test]
    fn shed_hashes_of_session_keys_are_those_of_the_vectors() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/vectors/more.json")).unwrap();
        let name = LoadBalancer::new(vectors["scope"]["load_balancer"].as_str().unwrap()).unwrap();
        let clients = ClientHash::new(&name, Ipv6Prefix::default());
        let entries = vectors["session_keys"].as_array().unwrap().iter();
        let mut count = 0;
        for entry in entries.filter(|entry| entry["key"].is_string()) {
            let key = u128::from_str_radix(entry["key"].as_str().unwrap(), 16).unwrap();
            let hash = clients.shed_session(&key.to_be_bytes());
            assert_eq!(format!("{hash:016x}"), entry["shed_hash"], "{entry}");
            count += 1;
        }
        assert!(count >= 12, "{count} keys");
    }

    #[test]
    fn the_prefix_says_which_bits_tell_clients_apart() {
        let name = LoadBalancer::new("shop").unwrap();
        let parse = |text: &str| text.parse::<IpAddr>().unwrap();
        for bits in [1_u64, 48, 63, 64, 65, 127, 128] {
            let clients = ClientHash::new(&name, Ipv6Prefix::new(bits).unwrap());
            let ours = u128::MAX;
            let inside = if bits < 128 { ours ^ 1_u128 << (127 - bits) } else { ours ^ 1 };
            let at_edge = ours ^ 1_u128 << (128 - bits);
            let address = |bits: u128| clients.address(IpAddr::V6(Ipv6Addr::from_bits(bits)));
            assert_eq!(address(ours) == address(inside), bits < 128, "{bits}");
            assert_ne!(address(ours), address(at_edge), "{bits}");
            assert_eq!(
                clients.address(parse("192.0.2.1")),
                clients.address(parse("::ffff:192.0.2.1"))
            );
            assert_ne!(clients.address(parse("192.0.2.1")), clients.address(parse("192.0.2.2")));
        }
    }
}
