//! The order of the pools once more, in floating-point numbers, and the number that decides it.

use std::net::IpAddr;

use session_affinity::EndpointId;
use session_affinity::store::SessionKey;
use session_affinity::token::Pin;
use siphasher::sip::SipHasher24;

use super::{World, hash_of_address};

/// All pools in the order of this seed: of each the logarithm of a number between 0 and 1, divided by
/// the weight.
pub(crate) fn drawn(seed: u64, world: &World) -> Vec<usize> {
    let sip = SipHasher24::new_with_key(b"session-affinity");
    let own = sip.hash(&[&b"session-affinity v1 pool\0"[..], &seed.to_be_bytes()].concat());
    // The finaliser of SplitMix64.
    let mix = |x: u64| {
        let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    };
    let score = |pool: &usize| {
        let pool = &world.pools[*pool];
        let part = mix(own ^ sip.hash(pool.name.as_bytes())) as f64 / 2_f64.powi(64);
        -part.ln() / f64::from(pool.weight)
    };
    let mut order: Vec<usize> = (0..world.pools.len()).collect();
    order.sort_by(|one, other| score(one).total_cmp(&score(other)));
    order
}

/// The sources of the number that decides all choices of one request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sources {
    pub(crate) key: Option<SessionKey>,
    /// The pin of a live session.
    pub(crate) pin: Option<Pin>,
    /// The endpoint that another system has pinned the session to, and the time of the request.
    pub(crate) foreign: Option<(EndpointId, u64)>,
    /// The policy is `ip_cookie`.
    pub(crate) by_address: bool,
    pub(crate) ip: Option<IpAddr>,
    /// The random bits, if the request has drawn some.
    pub(crate) drawn: Option<u64>,
}

impl Sources {
    /// manual::tables, The order of pools: "The seed is that of the choice of the endpoint […]: random
    /// bits with `cookie`, the address with `ip_cookie`, the session key with `header`, the pin of a
    /// live session." A choice that comes to need bits when it is too late has the address, or 0.
    pub(crate) fn seed(&self) -> u64 {
        let address = self.ip.map(|ip| hash_of_address(b"session-affinity v1 ip\0", ip));
        let of_session = |endpoint: EndpointId, number: u64| {
            let message = [endpoint.as_u64().to_be_bytes(), number.to_be_bytes()].concat();
            SipHasher24::new_with_key(b"session-affinity").hash(&message)
        };
        if let Some((endpoint, now)) = self.foreign {
            return of_session(endpoint, address.unwrap_or(now));
        }
        match (self.key, self.pin) {
            (Some(key), _) => u64::from_be_bytes(key.0[..8].try_into().unwrap()),
            (None, Some(pin)) => of_session(pin.endpoint, pin.issued.as_secs()),
            (None, None) if self.by_address => address.or(self.drawn).unwrap_or(0),
            (None, None) => self.drawn.or(address).unwrap_or(0),
        }
    }
}
