//! The rivals of the memory store, behind the same few calls. All hash with [`Plain`]: the keys are
//! hashes already, and hashing them again would slow the rivals down.

use std::cell::Cell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use session_affinity::limits::Ttl;
use session_affinity::store::{Lookup, SessionKey, WriteKind};
use session_affinity::{
    EndpointId, HeaderPolicy, MemoryStore, Record, SessionStore, StoreWrite, UnixTime,
};

use crate::scene::mix;

const TTL: Ttl = HeaderPolicy::DEFAULT_TTL;

/// Returns the key of the session with this number.
pub fn key(number: u64) -> SessionKey {
    let (high, low) = (mix(number ^ 0x5e55_1011), mix(number.wrapping_add(0x9e37_79b9_7f4a_7c15)));
    SessionKey((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
}

/// Sessions by key, with the calls that a request makes.
pub trait Sessions {
    fn with_room_for(capacity: usize) -> Self;
    /// Creates a session that does not exist.
    fn create(&self, key: SessionKey, now: UnixTime);
    /// Reads a session and restarts its idle timer.
    fn hit(&self, key: SessionKey, now: UnixTime) -> Option<u64>;
    /// Returns the number of sessions.
    fn count(&self, now: UnixTime) -> usize;
}

impl Sessions for MemoryStore {
    fn with_room_for(capacity: usize) -> Self {
        Self::new(capacity).expect("there is memory")
    }

    fn create(&self, key: SessionKey, now: UnixTime) {
        let kind = WriteKind::Create(EndpointId::from_u64(7));
        let Ok(()) = self.save(&StoreWrite { key, ttl: TTL, now, kind });
    }

    fn hit(&self, key: SessionKey, now: UnixTime) -> Option<u64> {
        let lookup = Lookup { key, ttl: TTL, now };
        let Ok(Record::Found { endpoint, .. }) = self.load(&lookup) else { return None };
        let Ok(()) = self.save(&StoreWrite { key, ttl: TTL, now, kind: WriteKind::Touch });
        Some(endpoint.as_u64())
    }

    fn count(&self, now: UnixTime) -> usize {
        self.live(now)
    }
}

/// A hash that is eight bytes of the key, unchanged.
#[derive(Default)]
pub struct Plain(u64);

impl Hasher for Plain {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    }
}

type Build = BuildHasherDefault<Plain>;

/// [`SessionKey`] without the length that the hash of a slice begins with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Id([u8; 16]);

impl Hash for Id {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

/// The record of a session: endpoint, issued, end.
type Session = (u64, u64, Cell<u64>);

fn end(now: UnixTime) -> u64 {
    now.as_secs() + TTL.get()
}

/// Restarts the timer of a session that has not ended.
fn touched((endpoint, _, until): &Session, now: UnixTime) -> Option<u64> {
    (until.get() > now.as_secs()).then(|| {
        until.set(end(now));
        *endpoint
    })
}

/// One map of one thread: the lower bound.
pub struct Unlocked(std::cell::RefCell<HashMap<Id, Session, Build>>);

impl Sessions for Unlocked {
    fn with_room_for(capacity: usize) -> Self {
        Self(HashMap::with_capacity_and_hasher(capacity, Build::default()).into())
    }

    fn create(&self, key: SessionKey, now: UnixTime) {
        self.0.borrow_mut().insert(Id(key.0), (7, now.as_secs(), Cell::new(end(now))));
    }

    fn hit(&self, key: SessionKey, now: UnixTime) -> Option<u64> {
        touched(self.0.borrow().get(&Id(key.0))?, now)
    }

    fn count(&self, _: UnixTime) -> usize {
        self.0.borrow().len()
    }
}

/// 64 maps behind locks.
pub struct Sharded(Vec<Mutex<HashMap<Id, Session, Build>>>);

impl Sharded {
    fn shard(&self, key: SessionKey) -> std::sync::MutexGuard<'_, HashMap<Id, Session, Build>> {
        self.0[usize::from(key.0[15] % 64)].lock().expect("no thread panics")
    }
}

impl Sessions for Sharded {
    fn with_room_for(capacity: usize) -> Self {
        Self(
            (0..64)
                .map(|_| HashMap::with_capacity_and_hasher(capacity / 64, Build::default()).into())
                .collect(),
        )
    }

    fn create(&self, key: SessionKey, now: UnixTime) {
        self.shard(key).insert(Id(key.0), (7, now.as_secs(), Cell::new(end(now))));
    }

    fn hit(&self, key: SessionKey, now: UnixTime) -> Option<u64> {
        touched(self.shard(key).get(&Id(key.0))?, now)
    }

    fn count(&self, _: UnixTime) -> usize {
        self.0.iter().map(|shard| shard.lock().expect("no thread panics").len()).sum()
    }
}

pub struct Dash(dashmap::DashMap<Id, (u64, u64, u64), Build>);

impl Sessions for Dash {
    fn with_room_for(capacity: usize) -> Self {
        Self(dashmap::DashMap::with_capacity_and_hasher(capacity, Build::default()))
    }

    fn create(&self, key: SessionKey, now: UnixTime) {
        self.0.insert(Id(key.0), (7, now.as_secs(), end(now)));
    }

    fn hit(&self, key: SessionKey, now: UnixTime) -> Option<u64> {
        let mut session = self.0.get_mut(&Id(key.0)).filter(|session| session.2 > now.as_secs())?;
        session.2 = end(now);
        Some(session.0)
    }

    fn count(&self, _: UnixTime) -> usize {
        self.0.len()
    }
}

/// A session behind an `Arc`, because the cache returns clones of its values.
type Shared = Arc<(u64, u64, AtomicU64)>;
type QuickCache = quick_cache::sync::Cache<Id, Shared, quick_cache::UnitWeighter, Build>;

pub struct Quick(QuickCache);

impl Sessions for Quick {
    fn with_room_for(capacity: usize) -> Self {
        let (weighter, lifecycle) = Default::default();
        Self(QuickCache::with(capacity, capacity as u64, weighter, Build::default(), lifecycle))
    }

    fn create(&self, key: SessionKey, now: UnixTime) {
        self.0.insert(Id(key.0), Arc::new((7, now.as_secs(), end(now).into())));
    }

    fn hit(&self, key: SessionKey, now: UnixTime) -> Option<u64> {
        let session = self.0.get(&Id(key.0))?;
        (session.2.load(Ordering::Relaxed) > now.as_secs()).then(|| {
            session.2.store(end(now), Ordering::Relaxed);
            session.0
        })
    }

    fn count(&self, _: UnixTime) -> usize {
        self.0.len()
    }
}

/// A cache with an idle timer and a clock of its own.
pub struct Moka(moka::sync::Cache<Id, (u64, u64), Build>);

impl Sessions for Moka {
    fn with_room_for(capacity: usize) -> Self {
        let builder =
            moka::sync::Cache::builder().max_capacity(capacity as u64).initial_capacity(capacity);
        Self(builder.time_to_idle(TTL.into()).build_with_hasher(Build::default()))
    }

    fn create(&self, key: SessionKey, now: UnixTime) {
        self.0.insert(Id(key.0), (7, now.as_secs()));
    }

    fn hit(&self, key: SessionKey, _: UnixTime) -> Option<u64> {
        self.0.get(&Id(key.0)).map(|(endpoint, _)| endpoint)
    }

    fn count(&self, _: UnixTime) -> usize {
        self.0.run_pending_tasks();
        self.0.entry_count() as usize
    }
}
