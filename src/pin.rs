//! The memory of a session: one small value, whichever policy keeps it.

use siphasher::sip::SipHasher24;

use crate::endpoint::EndpointId;
use crate::time::UnixTime;

/// The memory of a session: its endpoint, and the time from which and until which it holds.
///
/// ```
/// use session_affinity::token::Pin;
/// use session_affinity::{EndpointId, UnixTime};
/// let now = UnixTime::from_secs(1_800_000_000);
/// let pin = Pin { endpoint: EndpointId::new("eu", "eu-1"), issued: now, expires: now.saturating_add(60) };
/// assert_eq!(pin.expires.seconds_since(pin.issued), 60);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "the token's bytes have exactly these fields")]
pub struct Pin {
    /// The endpoint that answered when the session was pinned.
    pub endpoint: EndpointId,
    /// The time at which the session was pinned.
    pub issued: UnixTime,
    /// The first second in which the pin is no longer valid.
    pub expires: UnixTime,
}

impl Pin {
    /// The seed of every choice for this session when it is live. It is made of the endpoint and
    /// the issued time, so that concurrent requests of one session agree on every node.
    pub(crate) fn seed(&self) -> u64 {
        self.seed_for(self.issued.as_secs())
    }

    /// The seed of every choice for a session at this endpoint that this number tells from others.
    pub(crate) fn seed_for(&self, number: u64) -> u64 {
        let mut message = [0; 16];
        let (endpoint, rest) = message.split_at_mut(8);
        endpoint.copy_from_slice(&self.endpoint.as_u64().to_be_bytes());
        rest.copy_from_slice(&number.to_be_bytes());
        SipHasher24::new_with_key(b"session-affinity").hash(&message)
    }
}
