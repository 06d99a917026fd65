//! Stores of header sessions: the trait, the values that it exchanges, and two stores.
//!
//! [`MemoryStore`] serves one process, `RedisStore` (feature `redis`) gateways on several
//! machines, and [`AnyStore`] is the one that a configuration names. Cookie sessions need no store.

use std::sync::Arc;

use crate::endpoint::EndpointId;
use crate::limits::Ttl;
use crate::time::UnixTime;

mod any;
mod asynchronous;
mod health;
mod key;
mod memory;
#[cfg(feature = "redis")]
mod redis;

pub use any::{AnyStore, InvalidStore};
pub use asynchronous::{AsyncSessionStore, NoStore};
pub use health::{StoreConnection, StoreHealth};
pub use key::{InvalidSessionKey, SessionKey};
pub use memory::{InvalidCapacity, MemoryStore, StoredSession};
#[cfg(all(fuzzing, feature = "redis"))]
pub use redis::check_redis_answers;
#[cfg(feature = "redis-tls")]
pub use redis::{InvalidRedisTls, RedisTls};
#[cfg(feature = "redis")]
pub use redis::{InvalidRedisUrl, RedisError, RedisStore};

/// A question to a store, made by [`Visit::lookup`](crate::Visit::lookup): the session of one
/// request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "callers of a store build it whole")]
pub struct Lookup {
    /// The key of the session.
    pub key: SessionKey,
    /// The time without use after which a record is gone, in seconds.
    pub ttl: Ttl,
    /// The time of the request.
    pub now: UnixTime,
}

/// The answer of a store to a [`Lookup`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a request is routed by each of the four")]
pub enum Record {
    /// A live record. It carries no end: a record that has idled out is [`Record::Absent`].
    Found {
        /// The endpoint that the session is pinned to.
        endpoint: EndpointId,
        /// The time at which the session was pinned to this endpoint.
        issued: UnixTime,
    },
    /// No live record under this key, or nothing to look up.
    #[default]
    Absent,
    /// A record of an unknown version, or a damaged one.
    Unreadable,
    /// No answer: the store returned an error, or its deadline has passed.
    Unreachable,
}

/// A write to a store, returned by [`Settlement::apply`](crate::Settlement::apply). It may be
/// done after the response has been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "policies build it whole")]
#[must_use = "a session that is not written to the store is lost"]
pub struct StoreWrite {
    /// The key of the session.
    pub key: SessionKey,
    /// The time without use after which the record is gone, counted from `now`, in seconds.
    pub ttl: Ttl,
    /// The time of the request. Of a new record, the time of issue.
    pub now: UnixTime,
    /// The change to make.
    pub kind: WriteKind,
}

/// The change that a [`StoreWrite`] makes to the record of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a store carries out every kind")]
pub enum WriteKind {
    /// Restart the idle timer of a live record and change nothing else, so that the move made by
    /// another node stays. Without a live record, do nothing.
    Touch,
    /// Write a record with this endpoint unless a live one exists: of two first requests that
    /// race on two nodes, one wins.
    Create(EndpointId),
    /// Write a record with this endpoint over any other.
    Replace(EndpointId),
    /// End the session: remove the record, if there is one.
    Remove,
}

/// A synchronous store of header sessions. [`MemoryStore`] is the default.
///
/// A store across a network has async methods of the same names and keeps the same laws instead
/// of implementing this trait: see `RedisStore` (feature `redis`).
///
/// # Laws
/// A store *may*
/// - lose a record: the next request creates the session by the same stable choice;
/// - be late with a write;
/// - return a record that was replaced a moment ago: one more request goes to the former endpoint.
///
/// A store must *never*
/// - return a record of another key, or one that was never written;
/// - return a record `ttl` seconds or more after its last touch, create or replace;
/// - change a live record, or its idle time, by [`WriteKind::Create`];
/// - make a record by [`WriteKind::Touch`], or change the endpoint or the time of issue of one;
/// - return a record after [`WriteKind::Remove`] was carried out, until another one is written.
///
/// # Example
/// A store over a map. It grows without bound, unlike [`MemoryStore`].
///
/// ```
/// use std::collections::HashMap;
/// use std::sync::Mutex;
/// use session_affinity::store::{Lookup, Record, SessionKey, SessionStore, StoreWrite, WriteKind};
/// use session_affinity::{EndpointId, UnixTime};
///
/// struct Row {
///     endpoint: EndpointId,
///     issued: UnixTime,
///     end: UnixTime,
/// }
///
/// #[derive(Default)]
/// struct Table(Mutex<HashMap<SessionKey, Row>>);
///
/// impl SessionStore for Table {
///     type Error = &'static str;
///
///     fn load(&self, lookup: &Lookup) -> Result<Record, Self::Error> {
///         let rows = self.0.lock().map_err(|_| "a thread has panicked")?;
///         let live = rows.get(&lookup.key).filter(|row| row.end > lookup.now);
///         Ok(live.map_or(Record::Absent, |row| Record::Found { endpoint: row.endpoint, issued: row.issued }))
///     }
///
///     fn save(&self, write: &StoreWrite) -> Result<(), Self::Error> {
///         let StoreWrite { key, ttl, now, kind } = *write;
///         let end = now.saturating_add(ttl.get());
///         let mut rows = self.0.lock().map_err(|_| "a thread has panicked")?;
///         match (rows.get_mut(&key).filter(|row| row.end > now), kind) {
///             (Some(row), WriteKind::Touch) => row.end = end,
///             (None, WriteKind::Touch) | (Some(_), WriteKind::Create(_)) => {}
///             (_, WriteKind::Remove) => drop(rows.remove(&key)),
///             (_, WriteKind::Create(endpoint) | WriteKind::Replace(endpoint)) => {
///                 rows.insert(key, Row { endpoint, issued: now, end });
///             }
///         }
///         Ok(())
///     }
/// }
///
/// assert_eq!(Table::default().record(None), Record::Absent);
/// ```
pub trait SessionStore: Send + Sync {
    /// The error of a store that did not answer or could not write.
    type Error;

    /// Reads the record of a session. Errors take the place of [`Record::Unreachable`], which is
    /// never returned.
    ///
    /// # Errors
    /// An error of the store, when it did not answer.
    fn load(&self, lookup: &Lookup) -> Result<Record, Self::Error>;

    /// Carries out a write.
    ///
    /// # Errors
    /// An error of the store. The response is not affected: report the error and continue.
    fn save(&self, write: &StoreWrite) -> Result<(), Self::Error>;

    /// Returns the record for [`Affinity::route`](crate::Affinity::route):
    /// [`Record::Absent`] without a lookup, [`Record::Unreachable`] for an error.
    fn record(&self, lookup: Option<Lookup>) -> Record {
        match lookup {
            None => Record::Absent,
            Some(lookup) => self.load(&lookup).unwrap_or(Record::Unreachable),
        }
    }

    /// Carries out the write that [`Settlement::apply`](crate::Settlement::apply) returned, if
    /// there is one.
    ///
    /// # Errors
    /// As [`SessionStore::save`].
    fn commit(&self, write: Option<StoreWrite>) -> Result<(), Self::Error> {
        write.map_or(Ok(()), |write| self.save(&write))
    }
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<S: SessionStore + ?Sized> SessionStore for $pointer {
            type Error = S::Error;

            fn load(&self, lookup: &Lookup) -> Result<Record, S::Error> {
                (**self).load(lookup)
            }

            fn save(&self, write: &StoreWrite) -> Result<(), S::Error> {
                (**self).save(write)
            }

            fn record(&self, lookup: Option<Lookup>) -> Record {
                (**self).record(lookup)
            }

            fn commit(&self, write: Option<StoreWrite>) -> Result<(), S::Error> {
                (**self).commit(write)
            }
        }
    )*};
}

forward!(&S, Box<S>, Arc<S>);
