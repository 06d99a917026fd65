//! Random bits, for requests that begin a session.

use std::hash::{BuildHasher, RandomState};

/// Draws 64 random bits, for [`Affinity::route`](crate::Affinity::route): a SipHash-1-3 under the
/// keys of a new [`RandomState`], which the standard library takes from the operating system once
/// in each thread. It makes no system call after that. A target without a source of random numbers,
/// such as `wasm32-unknown-unknown`, has the same keys in every run: pass your own there.
///
/// The bits spread sessions over endpoints and keep nothing secret: a client that could predict
/// them would know the endpoint of a new session, and could still make no token. They are drawn
/// only for a request that begins a session, or that has none, where the choice is not decided by
/// the client's address or the session key.
///
/// Pass another source to `route` where a simulation must repeat itself, or where your policy
/// requires random bits of a certain origin.
///
/// ```
/// assert_ne!(session_affinity::entropy(), session_affinity::entropy());
/// ```
pub fn entropy() -> u64 {
    RandomState::new().hash_one(())
}
