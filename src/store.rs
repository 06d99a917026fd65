//! Where header sessions are remembered.

use std::fmt;

use crate::endpoint::EndpointId;
use crate::policy::Settlement;
use crate::time::UnixTime;
use crate::token::Pin;

mod memory;
#[cfg(feature = "redis")]
mod redis;

pub use memory::{InvalidCapacity, MemoryStore};
#[cfg(feature = "redis")]
pub use redis::{InvalidRedisUrl, RedisError, RedisStore};

/// Under which key a header session is stored: 16 bytes of a keyed hash of the
/// configured headers. The store never sees a header's value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey(pub [u8; 16]);

/// 32 hexadecimal digits.
impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionKey({self})")
    }
}

/// What a [`Visit`](crate::Visit) asks of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// Under which key.
    pub key: SessionKey,
    /// For how long the record lives without use, in seconds.
    pub ttl: u64,
    /// The time of the request.
    pub now: UnixTime,
}

/// What the store had to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Record {
    /// A live record. Its pin's `expires` is now + ttl: it carries no expiry of its own.
    Found(Pin),
    /// None, or one that has idled out. Also what is said when nothing was asked.
    #[default]
    Absent,
    /// One that could not be read: of another version, or damaged.
    Unreadable,
    /// The store did not answer in time.
    Unreachable,
}

/// What a [`Settlement`] asks the store to do. It may be done after the response has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the session is forgotten unless this is written"]
pub enum StoreWrite {
    /// Restart the idle timer of the record, if it is there; change nothing else, so that
    /// it cannot undo another node's move.
    Touch {
        /// Under which key.
        key: SessionKey,
        /// Idle time from `now` on, in seconds.
        ttl: u64,
        /// The time of the request.
        now: UnixTime,
    },
    /// Write a record unless there is one: of two first requests that race, one wins.
    Create {
        /// Under which key.
        key: SessionKey,
        /// The endpoint that has answered.
        endpoint: EndpointId,
        /// Idle time from `now` on, in seconds.
        ttl: u64,
        /// The time of the request, which is when the session was issued.
        now: UnixTime,
    },
    /// Write a record, whatever is there.
    Replace {
        /// Under which key.
        key: SessionKey,
        /// The endpoint that has answered.
        endpoint: EndpointId,
        /// Idle time from `now` on, in seconds.
        ttl: u64,
        /// The time of the request, which is when the session was issued.
        now: UnixTime,
    },
}

/// A store of header sessions inside the process. [`MemoryStore`] is the default.
///
/// A store that is reached over a network does not implement this trait: it has async
/// methods of the same names and keeps the same laws, as `RedisStore` does (feature `redis`).
///
/// # Laws
/// A store *may* lose a record (the session is created anew, by the same stable choice),
/// be late with a write, and serve a record that was replaced a moment ago (the session
/// goes to its former endpoint once more).
///
/// It must *never* return a record of another key, or one that was never written; return
/// a record `ttl` seconds or more after its last `Touch`, `Create` or `Replace`; let
/// `Create` change a live record; or let `Touch` make one, or change its endpoint.
pub trait SessionStore {
    /// What can go wrong.
    type Error;

    /// Reads a record. It never says [`Record::Unreachable`]; errors mean that.
    ///
    /// # Errors
    /// The store's own, when it did not answer.
    fn load(&self, lookup: &Lookup) -> Result<Record, Self::Error>;

    /// Writes what a settlement asks for.
    ///
    /// # Errors
    /// The store's own. The response has been decided by then: report it and go on.
    fn save(&self, write: &StoreWrite) -> Result<(), Self::Error>;

    /// The record for a visit: [`Record::Absent`] when none is asked for, and
    /// [`Record::Unreachable`] for an error.
    fn record(&self, visit: &crate::affinity::Visit) -> Record {
        match visit.lookup() {
            None => Record::Absent,
            Some(lookup) => self.load(&lookup).unwrap_or(Record::Unreachable),
        }
    }

    /// Writes what a settlement asks for, if it does.
    ///
    /// # Errors
    /// As [`SessionStore::save`].
    fn settle(&self, settlement: &Settlement) -> Result<(), Self::Error> {
        settlement.store_write.as_ref().map_or(Ok(()), |write| self.save(write))
    }
}
