//! The client's address and the two numbers made of it: who is chosen, who is shed.

use std::net::{IpAddr, Ipv6Addr};

use hmac::digest::Digest;
use sha2::Sha256;
use siphasher::sip::SipHasher24;

use crate::bounds::Ipv6Prefix;
use crate::names::Name;

/// Turns client addresses into numbers, under keys of the load balancer's own. The
/// keys are no secrets: rotating signing keys moves no client.
#[derive(Clone, Debug)]
pub(crate) struct ClientHash {
    seed: SipHasher24,
    shed: SipHasher24,
    ipv6_prefix: Ipv6Prefix,
}

/// A client's address as 16 bytes: IPv4 as `::ffff:a.b.c.d`, IPv6 with the bits past
/// the prefix zeroed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientAddress([u8; 16]);

impl ClientHash {
    pub(crate) fn new(load_balancer: &Name, ipv6_prefix: Ipv6Prefix) -> Self {
        Self {
            seed: keyed(b"session-affinity v1 ip", load_balancer),
            shed: keyed(b"session-affinity v1 shed", load_balancer),
            ipv6_prefix,
        }
    }

    /// Normalises an address. IPv4-mapped IPv6 is IPv4.
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

    /// The number that decides whether the client is shed; it says nothing of the seed.
    pub(crate) fn shed(&self, address: ClientAddress) -> u64 {
        self.shed.hash(&address.0)
    }
}

/// SipHash-2-4 under the first 16 bytes of SHA-256(label ‖ 0x00 ‖ load balancer).
fn keyed(label: &[u8], load_balancer: &Name) -> SipHasher24 {
    let digest = Sha256::new().chain_update(label).chain_update([0]).chain_update(load_balancer.as_str()).finalize();
    let key: [u8; 16] = std::array::from_fn(|i| digest.get(i).copied().unwrap_or_default());
    SipHasher24::new_with_key(&key)
}
