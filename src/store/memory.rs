//! The store of one process: bounded, shared by threads, without a background thread.

use std::convert::Infallible;
use std::fmt;
use std::sync::PoisonError;

use crate::endpoint::EndpointId;
use crate::store::{Lookup, Record, SessionKey, SessionStore, StoreWrite};
use crate::sync::{Mutex, MutexGuard};
use crate::time::UnixTime;
use crate::token::Pin;

/// Header sessions of one process. Share it behind an `Arc`.
///
/// **Capacity** is fixed when it is made, and memory with it: about 45 bytes for each
/// session of it, allocated at once. **Full**, it drops a session to take a new one: first
/// one that has idled out, then one that was never used again after its first request, then
/// the one that has been idle longest. So made-up sessions displace each other rather than
/// those in use. **Time** comes with each call; there is no background thread and no
/// sweep. **Threads** share it: a key locks one of up to 64 shards, for a search of 16
/// places.
///
/// ```
/// use session_affinity::{EndpointId, Lookup, MemoryStore, Record, SessionKey, SessionStore, StoreWrite, UnixTime};
/// let store = MemoryStore::new(100_000)?;
/// let (key, now) = (SessionKey([7; 16]), UnixTime::from_secs(1_800_000_000));
/// store.save(&StoreWrite::Create { key, endpoint: EndpointId::new("eu", "eu-1"), ttl: 1_800, now })?;
/// assert!(matches!(store.load(&Lookup { key, ttl: 1_800, now })?, Record::Found(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct MemoryStore {
    shards: Box<[Mutex<Shard>]>,
    capacity: usize,
}

impl MemoryStore {
    /// A store for this many sessions.
    ///
    /// # Errors
    /// [`InvalidCapacity`] for none, or for more than there is memory.
    pub fn new(capacity: usize) -> Result<Self, InvalidCapacity> {
        let invalid = || InvalidCapacity { capacity };
        if capacity == 0 {
            return Err(invalid());
        }
        let shards = (capacity / 1_024).clamp(1, 64);
        // A quarter more places than sessions: two choices of 8 places then lose fewer than one
        // live session in ten thousand when the store is full to its capacity.
        let places = capacity.saturating_add(capacity / 4);
        let sets = places.div_ceil(shards).div_ceil(WAYS).max(2);
        let shard = || Some(Mutex::new(Shard::new(sets)?));
        let shards: Option<_> = (0..shards).map(|_| shard()).collect();
        Ok(Self { shards: shards.ok_or_else(invalid)?, capacity })
    }

    /// How many sessions it is made for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many sessions are live: it counts them, one shard at a time.
    pub fn live(&self, now: UnixTime) -> usize {
        self.shards
            .iter()
            .map(|shard| {
                lock(shard).sets.iter().flatten().filter(|place| place.is_live(now)).count()
            })
            .fold(0, usize::saturating_add)
    }

    fn shard(&self, key: SessionKey) -> Option<(MutexGuard<'_, Shard>, u64)> {
        let hash = spread(key);
        Some((lock(self.shards.get(scale(hash, self.shards.len()))?), hash))
    }
}

impl SessionStore for MemoryStore {
    type Error = Infallible;

    fn load(&self, lookup: &Lookup) -> Result<Record, Infallible> {
        let Some((mut shard, hash)) = self.shard(lookup.key) else { return Ok(Record::Absent) };
        Ok(match shard.find(lookup.key, hash, lookup.now) {
            None => Record::Absent,
            Some(place) => Record::Found(Pin {
                endpoint: place.endpoint(),
                issued: place.issued(),
                expires: lookup.now.saturating_add(lookup.ttl),
            }),
        })
    }

    fn save(&self, write: &StoreWrite) -> Result<(), Infallible> {
        let (StoreWrite::Touch { key, ttl, now }
        | StoreWrite::Create { key, ttl, now, .. }
        | StoreWrite::Replace { key, ttl, now, .. }) = *write;
        let Some((mut shard, hash)) = self.shard(key) else { return Ok(()) };
        let end = now.saturating_add(ttl);
        match (shard.find(key, hash, now), *write) {
            (Some(place), StoreWrite::Touch { .. }) => place.touch(end),
            (None, StoreWrite::Touch { .. }) | (Some(_), StoreWrite::Create { .. }) => {}
            (Some(place), StoreWrite::Replace { endpoint, .. }) => {
                *place = Place::new(key, endpoint, now, end).used()
            }
            (None, StoreWrite::Create { endpoint, .. } | StoreWrite::Replace { endpoint, .. }) => {
                if let Some(place) = shard.make_room(hash, now) {
                    *place = Place::new(key, endpoint, now, end);
                }
            }
        }
        Ok(())
    }
}

/// Capacity only: the sessions are nobody's business.
impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

/// A store for no sessions, or for more than there is memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "capacity is {capacity}; allowed: 1 or more sessions, as many as there is memory for at 45 bytes each"
)]
pub struct InvalidCapacity {
    /// What was given.
    pub capacity: usize,
}

/// How many places a set has. A key may stand in either of two sets.
const WAYS: usize = 8;

struct Shard {
    sets: Vec<[Place; WAYS]>,
}

impl Shard {
    /// `None` when there is no memory for it.
    fn new(count: usize) -> Option<Self> {
        let mut sets = Vec::new();
        sets.try_reserve_exact(count).ok()?;
        sets.resize(count, [Place::default(); WAYS]);
        Some(Self { sets })
    }

    /// The two sets of a key, one in each half. Ties go to the left one: that fills them more
    /// evenly than two of all.
    fn choices(&self, hash: u64) -> [usize; 2] {
        let left = self.sets.len() / 2;
        let right = self.sets.len().saturating_sub(left);
        // The shard has used up the upper bits: mixed once more.
        [scale(fold(hash, TO_LEFT), left), left.saturating_add(scale(fold(hash, TO_RIGHT), right))]
    }

    fn find(&mut self, key: SessionKey, hash: u64, now: UnixTime) -> Option<&mut Place> {
        let [first, second] = self.choices(hash);
        let words = words(key);
        let holds = |set: &[Place; WAYS]| {
            set.iter().position(|place| place.key == words && place.is_live(now))
        };
        let (set, way) = match self.sets.get(first).and_then(holds) {
            Some(way) => (first, way),
            None => (second, self.sets.get(second).and_then(holds)?),
        };
        self.sets.get_mut(set)?.get_mut(way)
    }

    /// A place for a new session: a free one in the emptier set, else the one that will be
    /// missed least.
    fn make_room(&mut self, hash: u64, now: UnixTime) -> Option<&mut Place> {
        let [first, second] = self.choices(hash);
        let [mut one, mut other] = self.sets.get_disjoint_mut([first, second]).ok()?;
        let free = |set: &[Place; WAYS]| set.iter().filter(|place| !place.is_live(now)).count();
        if free(other) > free(one) {
            std::mem::swap(&mut one, &mut other);
        }
        if free(one) > 0 {
            return one.iter_mut().find(|place| !place.is_live(now));
        }
        one.iter_mut().chain(other).min_by_key(|place| (place.is_used(), place.end()))
    }
}

/// One session in 36 bytes, of words of 32 bits so that nothing is lost to alignment. All
/// zero: free.
#[derive(Clone, Copy, Default)]
struct Place {
    key: [u32; 4],
    endpoint: [u32; 2],
    issued: u32,
    end: u32,
    /// Bits 32 to 39 of `issued` and of `end`, then whether it was used again.
    rest: [u8; 4],
}

impl Place {
    fn new(key: SessionKey, endpoint: EndpointId, issued: UnixTime, end: UnixTime) -> Self {
        let [issued_high, issued] = halves(issued.as_secs());
        let [end_high, end] = halves(end.as_secs());
        Self {
            key: words(key),
            endpoint: halves(endpoint.as_u64()),
            issued,
            end,
            // Times have 40 bits: the upper halves fit a byte.
            rest: [issued_high as u8, end_high as u8, 0, 0],
        }
    }

    fn used(mut self) -> Self {
        self.rest = [self.rest[0], self.rest[1], 1, 0];
        self
    }

    fn touch(&mut self, end: UnixTime) {
        let [end_high, end] = halves(end.as_secs());
        self.end = end;
        self.rest = [self.rest[0], end_high as u8, 1, 0];
    }

    fn endpoint(&self) -> EndpointId {
        let [high, low] = self.endpoint;
        EndpointId::from_u64(u64::from(high) << 32 | u64::from(low))
    }

    fn issued(&self) -> UnixTime {
        UnixTime::from_secs(u64::from(self.rest[0]) << 32 | u64::from(self.issued))
    }

    fn end(&self) -> UnixTime {
        UnixTime::from_secs(u64::from(self.rest[1]) << 32 | u64::from(self.end))
    }

    fn is_used(&self) -> bool {
        self.rest[2] != 0
    }

    fn is_live(&self, now: UnixTime) -> bool {
        self.end() > now
    }
}

fn halves(number: u64) -> [u32; 2] {
    [(number >> 32) as u32, number as u32]
}

fn words(SessionKey([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]): SessionKey) -> [u32; 4] {
    [
        u32::from_be_bytes([a, b, c, d]),
        u32::from_be_bytes([e, f, g, h]),
        u32::from_be_bytes([i, j, k, l]),
        u32::from_be_bytes([m, n, o, p]),
    ]
}

/// The key as one number. Keys of [`HeaderPolicy`](crate::HeaderPolicy) are keyed hashes
/// that no client can aim; mixing spreads those of other policies too.
fn spread(key: SessionKey) -> u64 {
    let both = u128::from_be_bytes(key.0);
    fold((both >> 64) as u64 ^ TO_RIGHT, both as u64 ^ TO_LEFT)
}

/// Both halves of the product: each bit depends on many of both numbers.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a).wrapping_mul(b.into());
    (product >> 64) as u64 ^ product as u64
}

/// Odd, and of no pattern.
const TO_LEFT: u64 = 0xd6e8_feb8_6659_fd93;
const TO_RIGHT: u64 = 0x9e37_79b9_7f4a_7c15;

/// A number below `count`, in proportion.
fn scale(hash: u64, count: usize) -> usize {
    ((u128::from(hash).saturating_mul(count as u128)) >> 64) as usize
}

/// A panic in another thread leaves every place readable: each is written whole.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
