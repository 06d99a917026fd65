//! One server that takes requests: its identity, its health, its state.

use std::fmt;

use siphasher::sip::SipHasher24;

use crate::bounds::Weight;
use crate::time::UnixTime;

/// Who an endpoint is, on every node and across restarts: 64 bits of its pool's
/// name and its own.
///
/// `SipHash-2-4(b"session-affinity", pool name ‖ 0x00 ‖ endpoint name)`. It says
/// nothing of addresses or positions, so an endpoint keeps its sessions when its
/// address changes or the list is sorted anew.
///
/// ```
/// use session_affinity::EndpointId;
/// assert_eq!(EndpointId::new("eu", "eu-1").as_u64(), 0xbf54_fd3b_4b4e_a9db);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId(u64);

impl EndpointId {
    /// The id of the endpoint of this name in the pool of that name.
    pub fn new(pool: &str, endpoint: &str) -> Self {
        let mut name =
            Vec::with_capacity(pool.len().saturating_add(endpoint.len()).saturating_add(1));
        name.extend_from_slice(pool.as_bytes());
        name.push(0);
        name.extend_from_slice(endpoint.as_bytes());
        Self(SipHasher24::new_with_key(b"session-affinity").hash(&name))
    }

    /// An id that was stored as a number, by a session store for example.
    pub const fn from_u64(id: u64) -> Self {
        Self(id)
    }

    /// The id as a number.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

/// 16 hexadecimal digits.
impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// `EndpointId(bf54fd3b4b4ea9db)`
impl fmt::Debug for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EndpointId({self})")
    }
}

/// What the embedder's health checks last said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Health {
    /// It serves.
    #[default]
    Healthy,
    /// It does not: it takes neither pinned nor new sessions.
    Unhealthy,
}

/// What the operator says of an endpoint or of a whole pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum State {
    /// In service.
    #[default]
    Enabled,
    /// Taken out of service. It takes no new sessions; it keeps its pinned ones
    /// while it drains, that is, for the drain duration after `at`.
    Disabled {
        /// When it was disabled. Without it the drain is over.
        at: Option<UnixTime>,
    },
}

impl State {
    /// Whether this is [`State::Enabled`].
    pub const fn is_enabled(self) -> bool {
        matches!(self, Self::Enabled)
    }
}

/// An endpoint as the embedder describes it, to be put into a [`Pool`](crate::Pool).
///
/// `T` is the embedder's own: an address, a peer, a connection pool.
///
/// ```
/// use session_affinity::{Endpoint, Health, Weight};
/// let endpoint = Endpoint {
///     weight: Weight::new(50)?,
///     health: Health::Unhealthy,
///     ..Endpoint::new("eu-1", "10.0.0.1:8080")
/// };
/// # Ok::<(), session_affinity::OutOfRange>(())
/// ```
#[derive(Clone, Debug)]
pub struct Endpoint<T> {
    /// Its name, unique in its pool: 1 to 255 bytes without control characters.
    pub name: String,
    /// What the embedder connects to.
    pub target: T,
    /// Its share of new sessions.
    pub weight: Weight,
    /// What health checks say.
    pub health: Health,
    /// What the operator says.
    pub state: State,
}

impl<T> Endpoint<T> {
    /// A healthy, enabled endpoint of full weight.
    pub fn new(name: impl Into<String>, target: T) -> Self {
        Self {
            name: name.into(),
            target,
            weight: Weight::default(),
            health: Health::default(),
            state: State::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Table B.1 of the SipHash paper and the first of its reference vectors: the
    // building block itself.
    #[test]
    fn siphash_2_4_gives_the_results_of_its_paper() {
        let key: [u8; 16] = std::array::from_fn(|i| i as u8);
        let message: [u8; 15] = std::array::from_fn(|i| i as u8);
        let sip = SipHasher24::new_with_key(&key);
        assert_eq!(sip.hash(&message), 0xa129_ca61_49be_45e5);
        assert_eq!(sip.hash(&[]), 0x726f_db47_dd0e_0e31);
        assert_eq!(sip.hash(&message[..1]), 0x74f8_39c5_93dc_67fd);
    }

    #[test]
    fn the_bar_between_pool_and_endpoint_cannot_be_moved() {
        assert_ne!(EndpointId::new("eu", "eu-1"), EndpointId::new("eue", "u-1"));
        assert_ne!(EndpointId::new("eu", "eu-1"), EndpointId::new("us", "eu-1"));
    }
}
