//! The note of a session in the census of its endpoint.

use crate::endpoint::mark::Mark;
use crate::policy::{Life, Settlement, Transition};
use crate::time::UnixTime;

/// Notes a session that was served at `now` under the endpoint that it is pinned to. A kept session
/// whose client gets a token is renewed: it lasts as long as one that begins now.
#[inline]
pub(super) fn note(
    pinned: &Mark,
    transition: Transition,
    settlement: &Settlement,
    life: Life,
    now: UnixTime,
) {
    let kept = match transition {
        Transition::Kept(_) if settlement.response.is_some() => None,
        Transition::Kept(pin) | Transition::Lent { pin, .. } => Some(pin),
        Transition::Created { .. } | Transition::Moved { .. } => None,
    };
    let end = match (life, kept) {
        (Life::Idle(ttl), _) | (Life::Absolute(ttl), None) => now.saturating_add(ttl.get()),
        (Life::Absolute(_) | Life::Unknown | Life::Sessionless, Some(pin)) => pin.expires,
        (Life::Unknown, None) => UnixTime::MAX,
        (Life::Sessionless, None) => now,
    };
    pinned.pinned(kept.map_or(now, |pin| pin.issued), end);
}
