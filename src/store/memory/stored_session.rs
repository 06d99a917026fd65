//! A session outside of the store's memory.

use crate::endpoint::EndpointId;
use crate::store::SessionKey;
use crate::time::UnixTime;

/// One live session of a [`MemoryStore`](super::MemoryStore), as
/// [`MemoryStore::sessions`](super::MemoryStore::sessions) returns it and
/// [`MemoryStore::restore`](super::MemoryStore::restore) takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "embedders build it from what they have written")]
pub struct StoredSession {
    /// The key of the session.
    pub key: SessionKey,
    /// The endpoint that the session is pinned to.
    pub endpoint: EndpointId,
    /// The time at which the session was pinned to this endpoint.
    pub issued: UnixTime,
    /// The time at which the session ends unless it is used again.
    pub end: UnixTime,
    /// The number of times that the session was used after its first request; 3 stands for 3 or more.
    /// A full store drops sessions of few uses first.
    pub uses: u8,
}
