//! A store for synchronous tests, and the calls that they make.

use std::sync::Arc;
use std::time::{Duration, Instant};

use session_affinity::EndpointId;
use session_affinity::limits::{StoreDeadline, TouchInterval};
use session_affinity::store::{Lookup, Record, RedisError, RedisStore, StoreWrite, WriteKind};
use tokio::runtime::Runtime;

use crate::redis_server::RedisServer;
use crate::store_laws::{endpoint, found, key, ttl};
use crate::support::{NOW, shop};

pub(crate) const TTL: u64 = 1_800;

/// The name of key 1 of `shop()` on the server.
pub(crate) const RAW_KEY: &str =
    "session-affinity:1:shop.example.com:00000000000000000000000000000001";
/// Endpoint 7, issued at `NOW`, by the table in the documentation.
pub(crate) const RAW_VALUE: [u8; 20] =
    [2, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0x6b, 0x49, 0xd2, 0, 0, 0, 0, 0, 0, 1];

/// A store and a runtime, for synchronous tests. The deadline is longer than a busy machine
/// needs.
pub(crate) struct Client {
    pub(crate) store: Arc<RedisStore>,
    pub(crate) runtime: Runtime,
}

impl Client {
    pub(crate) fn of(server: &RedisServer) -> Self {
        Self::at(&server.url())
    }

    pub(crate) fn at(url: &str) -> Self {
        Self::with_deadline(url, 1_000)
    }

    pub(crate) fn with_deadline(url: &str, milliseconds: u64) -> Self {
        let store = RedisStore::new(shop(), url)
            .unwrap()
            .with_deadline(StoreDeadline::new(milliseconds).unwrap());
        assert_eq!(store.deadline().get(), milliseconds);
        Self { store: Arc::new(store), runtime: runtime() }
    }

    /// One whose touches are repeated after this many seconds at the earliest.
    pub(crate) fn with_touch_interval(server: &RedisServer, seconds: u64) -> Self {
        let interval = TouchInterval::new(seconds).unwrap();
        let Self { store, runtime } = Self::of(server);
        let store = Arc::into_inner(store).unwrap().with_touch_interval(interval);
        assert_eq!(store.touch_interval(), interval);
        Self { store: Arc::new(store), runtime }
    }

    pub(crate) fn connect(&self) -> Result<(), RedisError> {
        self.runtime.block_on(self.store.connect())
    }

    pub(crate) fn load(&self, number: u64) -> Result<Record, RedisError> {
        self.runtime.block_on(self.store.load(&lookup(number)))
    }

    pub(crate) fn pinned(&self, number: u64) -> Option<EndpointId> {
        found(self.load(number).unwrap()).map(|(endpoint, _)| endpoint)
    }

    pub(crate) fn save(&self, write: StoreWrite) -> Result<(), RedisError> {
        self.runtime.block_on(self.store.save(&write))
    }

    pub(crate) fn wait_until_it_answers(&self) {
        wait_until("an answer", || self.load(1).is_ok());
    }
}

/// A runtime with a thread of its own, so that background tasks run between calls.
pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

pub(crate) fn lookup(number: u64) -> Lookup {
    Lookup { key: key(number), ttl: ttl(TTL), now: NOW }
}

pub(crate) fn create(number: u64, pinned: u64) -> StoreWrite {
    write(number, WriteKind::Create(endpoint(pinned)))
}

pub(crate) fn replace(number: u64, pinned: u64) -> StoreWrite {
    write(number, WriteKind::Replace(endpoint(pinned)))
}

pub(crate) fn touch(number: u64) -> StoreWrite {
    write(number, WriteKind::Touch)
}

pub(crate) fn remove(number: u64) -> StoreWrite {
    write(number, WriteKind::Remove)
}

fn write(number: u64, kind: WriteKind) -> StoreWrite {
    StoreWrite { key: key(number), ttl: ttl(TTL), now: NOW, kind }
}

pub(crate) fn timed<T>(call: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    (call(), start.elapsed())
}

#[track_caller]
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(15), "waited too long for this: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn runtime_of_one_thread() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}
