//! The error of a text that names no store.

use crate::store::InvalidCapacity;
#[cfg(feature = "redis")]
use crate::store::InvalidRedisUrl;

/// The error of a text that names no store. The text is not shown, because it may contain a
/// password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidStore {
    /// The text is not one of those in [`AnyStore::open`](super::AnyStore::open).
    #[error("the store is unknown; allowed: none, memory, memory:SESSIONS, or a Redis URL")]
    UnknownKind,
    /// The text is a Redis URL, and the crate was built without its feature `redis`.
    #[error(
        "the store is Redis, and the feature redis is off; allowed: none, memory, memory:SESSIONS"
    )]
    WithoutRedis,
    /// The capacity of a store in memory is 0, or too great.
    #[error(transparent)]
    Capacity(#[from] InvalidCapacity),
    /// The URL is not one of Redis.
    #[cfg(feature = "redis")]
    #[error(transparent)]
    Redis(#[from] InvalidRedisUrl),
}
