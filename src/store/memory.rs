//! The store of one process.

use std::convert::Infallible;
use std::fmt;
use std::sync::PoisonError;

use crate::store::{Lookup, Record, SessionStore, StoreWrite, WriteKind};
use crate::sync::{Mutex, MutexGuard};
use crate::time::UnixTime;

mod address;
mod handover;
mod place;
mod shard;
mod stored_session;

use address::Address;
use shard::Shard;
pub use stored_session::StoredSession;

/// Header sessions of one process, in bounded memory. Share the store behind an `Arc`.
///
/// **Capacity** is fixed at construction, and memory with it: about 45 bytes per session,
/// allocated at once. A **full** store drops a session to take a new one: first one that has
/// idled out, then one that was not used again after its first request, then one that was used
/// little or long ago: [the whole order](crate::manual::security#a-full-memorystore). So sessions
/// that a client makes up displace each other rather than sessions in use. **Time** comes with
/// each call: the store has no background thread and never sweeps. **Threads** share up to 64
/// shards; a call locks one of them to search 8 places. A **process** that ends can hand its
/// [sessions](MemoryStore::sessions) over to the next one, which [restores](MemoryStore::restore) them.
///
/// # Example
/// ```
/// use session_affinity::limits::Ttl;
/// use session_affinity::store::{Lookup, MemoryStore, Record, SessionKey, SessionStore, StoreWrite, WriteKind};
/// use session_affinity::{EndpointId, UnixTime};
///
/// let store = MemoryStore::new(100_000)?;
/// let (key, ttl, now) = (SessionKey([7; 16]), Ttl::new(1_800)?, UnixTime::from_secs(1_800_000_000));
///
/// let endpoint = EndpointId::new("eu", "eu-1");
/// store.save(&StoreWrite { key, ttl, now, kind: WriteKind::Create(endpoint) })?;
/// assert_eq!(store.load(&Lookup { key, ttl, now })?, Record::Found { endpoint, issued: now });
///
/// let later = now.saturating_add(1_800);
/// assert_eq!(store.load(&Lookup { key, ttl, now: later })?, Record::Absent);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct MemoryStore {
    shards: Box<[Apart]>,
    capacity: usize,
}

/// A lock with two lines of the cache for itself, as processors fetch two at once: threads that
/// take different locks do not take lines from each other.
#[repr(align(128))]
struct Apart(Mutex<Shard>);

impl MemoryStore {
    /// Creates a store for `capacity` sessions and allocates its memory.
    ///
    /// # Errors
    /// [`InvalidCapacity`] if `capacity` is 0 or the memory cannot be allocated.
    pub fn new(capacity: usize) -> Result<Self, InvalidCapacity> {
        let invalid = || InvalidCapacity { capacity };
        if capacity == 0 {
            return Err(invalid());
        }
        let shards = (capacity / 1_024).clamp(1, 64);
        // A quarter more places than sessions: a store that is full to its capacity has then lost
        // few of them, see the tests.
        let places = capacity.saturating_add(capacity / 4).div_ceil(shards);
        let shard = || Some(Apart(Mutex::new(Shard::new(places)?)));
        let shards: Option<_> = (0..shards).map(|_| shard()).collect();
        Ok(Self { shards: shards.ok_or_else(invalid)?, capacity })
    }

    /// The number of sessions that the store was made for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Counts the live sessions, one shard at a time.
    pub fn live(&self, now: UnixTime) -> usize {
        self.shards.iter().map(|shard| lock(shard).live(now)).fold(0, usize::saturating_add)
    }

    #[inline(always)]
    fn shard(&self, at: &Address) -> Option<MutexGuard<'_, Shard>> {
        Some(lock(self.shards.get(at.shard(self.shards.len()))?))
    }
}

impl SessionStore for MemoryStore {
    type Error = Infallible;

    #[inline(always)]
    fn load(&self, lookup: &Lookup) -> Result<Record, Infallible> {
        let at = Address::of(lookup.key);
        let Some(mut shard) = self.shard(&at) else { return Ok(Record::Absent) };
        Ok(match shard.find(&at, lookup.now) {
            None => Record::Absent,
            Some(place) => Record::Found { endpoint: place.endpoint(), issued: place.issued() },
        })
    }

    #[inline(always)]
    fn save(&self, write: &StoreWrite) -> Result<(), Infallible> {
        let StoreWrite { key, ttl, now, kind } = *write;
        let at = Address::of(key);
        let Some(mut shard) = self.shard(&at) else { return Ok(()) };
        match kind {
            WriteKind::Touch => {
                if let Some(place) = shard.find(&at, now) {
                    place.touch(now.saturating_add(ttl.get()));
                }
            }
            WriteKind::Remove => shard.remove(&at),
            WriteKind::Create(endpoint) => shard.create(&at, endpoint, now, ttl),
            WriteKind::Replace(endpoint) => shard.replace(&at, endpoint, now, ttl),
        }
        Ok(())
    }
}

/// Shows the capacity, not the sessions.
impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

/// The error of a capacity that is 0, or too great for the memory of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "capacity is {capacity}; allowed: 1 or more sessions, as many as there is memory for at 45 bytes each"
)]
#[non_exhaustive]
pub struct InvalidCapacity {
    /// The capacity that was asked for, in sessions.
    pub capacity: usize,
}

/// Locks a shard. A panic in another thread leaves every place readable, as each is written
/// whole.
#[inline(always)]
fn lock(shard: &Apart) -> MutexGuard<'_, Shard> {
    shard.0.lock().unwrap_or_else(PoisonError::into_inner)
}
