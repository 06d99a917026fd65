//! The store that a configuration names: none, memory or Redis.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::{
    AsyncSessionStore, Lookup, MemoryStore, NoStore, Record, SessionStore, StoreHealth, StoreWrite,
};
#[cfg(feature = "redis")]
use super::{RedisStore, redis::Writes};
use crate::limits::{OutageSessions, StoreDeadline, TouchInterval};
use crate::names::LoadBalancer;
use crate::time::UnixTime;

mod invalid;
#[cfg(test)]
mod tests;

pub use invalid::InvalidStore;

/// A store that is chosen at run time: none, [`MemoryStore`] or `RedisStore` (feature `redis`).
/// Share it behind an `Arc`, or by reference.
///
/// A write to Redis runs in a Tokio task of its own, so no response waits for it;
/// [`AnyStore::finish`] waits for the writes that are running. Errors go to the function set by
/// [`AnyStore::with_report`], and a request whose store did not answer is routed with
/// [`Record::Unreachable`].
///
/// ```
/// use session_affinity::store::{AnyStore, AsyncSessionStore, Record};
/// use session_affinity::LoadBalancer;
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
///
/// let shop = LoadBalancer::new("shop.example.com")?; // or an `Affinity`, which has the name
/// let store = AnyStore::open("memory:50000", &shop)? // from your configuration
///     .with_report(|error| eprintln!("session store: {error}"));
/// assert_eq!(store.record(None).await, Record::Absent);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct AnyStore {
    backend: Backend,
    report: Report,
}

type Report = Arc<dyn Fn(&(dyn Error + 'static)) + Send + Sync>;

enum Backend {
    /// The program has not said whether there is a store.
    #[cfg_attr(not(feature = "tower"), expect(dead_code, reason = "made by the layer's Site"))]
    Unset,
    None,
    Memory(MemoryStore),
    #[cfg(feature = "redis")]
    Redis(Writes),
}

impl AnyStore {
    /// The capacity of the store that `memory` names, in sessions.
    pub const DEFAULT_CAPACITY: usize = 100_000;

    /// No store: header sessions go by their stable choice, and each request creates them again.
    pub fn none() -> Self {
        Self::of(Backend::None)
    }

    /// The store of a gateway that was given none: see [`NoStore`].
    #[cfg(feature = "tower")]
    pub(crate) fn unset() -> Self {
        Self::of(Backend::Unset)
    }

    /// Opens the store that a text names:
    ///
    /// | text | store |
    /// |---|---|
    /// | `none` | none: see [`AnyStore::none`] |
    /// | `memory` | [`MemoryStore`] for 100,000 sessions, which takes 4.5 MB |
    /// | `memory:50000` | [`MemoryStore`] for this many sessions |
    /// | `redis://…`, `rediss://…`, `redis+unix://…`, the same with `valkey`, `unix://…` | `RedisStore`, not connected yet |
    ///
    /// `load_balancer` is the name that the keys in Redis carry: that of the affinity, so pass the
    /// affinity.
    ///
    /// # Errors
    /// [`InvalidStore`], which never shows the text: it may contain a password.
    pub fn open(text: &str, load_balancer: impl Into<LoadBalancer>) -> Result<Self, InvalidStore> {
        let memory = |capacity| Ok(MemoryStore::new(capacity)?.into());
        match text.split_once(':') {
            None if text == "none" => Ok(Self::none()),
            None if text == "memory" => memory(Self::DEFAULT_CAPACITY),
            Some(("memory", "")) => Err(InvalidStore::UnknownKind),
            Some(("memory", capacity)) if capacity.bytes().all(|byte| byte.is_ascii_digit()) => {
                // A number that is too long is a capacity that is too great.
                memory(capacity.parse().unwrap_or(usize::MAX))
            }
            Some((
                "redis" | "rediss" | "redis+unix" | "valkey" | "valkeys" | "valkey+unix" | "unix",
                _,
            )) => redis(text, load_balancer.into()),
            _ => Err(InvalidStore::UnknownKind),
        }
    }

    /// Sets the deadline of each call to Redis that a request waits for. By default 20 ms. The other
    /// stores have no deadline and stay as they are.
    #[must_use]
    #[cfg_attr(not(feature = "redis"), expect(unused_variables))]
    pub fn with_deadline(self, deadline: StoreDeadline) -> Self {
        #[cfg(feature = "redis")]
        return self.with_redis(|store| store.with_deadline(deadline));
        #[cfg(not(feature = "redis"))]
        self
    }

    /// Sets the deadline of each write to Redis. By default a second. See
    /// `RedisStore::with_write_deadline`. The other stores stay as they are.
    #[must_use]
    #[cfg_attr(not(feature = "redis"), expect(unused_variables))]
    pub fn with_write_deadline(self, deadline: StoreDeadline) -> Self {
        #[cfg(feature = "redis")]
        return self.with_redis(|store| store.with_write_deadline(deadline));
        #[cfg(not(feature = "redis"))]
        self
    }

    /// Sets the time for which a touch is not sent to Redis again. By default 0: every touch is
    /// sent. See `RedisStore::with_touch_interval` for what it saves and costs. The other stores
    /// stay as they are.
    #[must_use]
    #[cfg_attr(not(feature = "redis"), expect(unused_variables))]
    pub fn with_touch_interval(self, interval: TouchInterval) -> Self {
        #[cfg(feature = "redis")]
        return self.with_redis(|store| store.with_touch_interval(interval));
        #[cfg(not(feature = "redis"))]
        self
    }

    /// Sets the number of sessions to remember for an outage of Redis. By default 20,000. See
    /// `RedisStore::with_outage_sessions`. The other stores stay as they are.
    #[must_use]
    #[cfg_attr(not(feature = "redis"), expect(unused_variables))]
    pub fn with_outage_sessions(self, sessions: OutageSessions) -> Self {
        #[cfg(feature = "redis")]
        return self.with_redis(|store| store.with_outage_sessions(sessions));
        #[cfg(not(feature = "redis"))]
        self
    }

    #[cfg(feature = "redis")]
    fn with_redis(mut self, change: impl FnOnce(RedisStore) -> RedisStore) -> Self {
        self.backend = match self.backend {
            Backend::Redis(writes) => Backend::Redis(writes.set(change)),
            other => other,
        };
        self
    }

    /// Sets the function that is told each error, and each counts: [`AnyStore::health`] has their
    /// numbers. It is called by every request of an outage, up to twice, so limit what it prints,
    /// and return from it soon.
    #[must_use]
    pub fn with_report(
        mut self,
        report: impl Fn(&(dyn Error + 'static)) + Send + Sync + 'static,
    ) -> Self {
        self.report = Arc::new(report);
        self
    }

    /// Connects to Redis now rather than at the first request, and checks that the server can be
    /// used. Takes little more than a second at most. After an error the store goes on trying to connect. The
    /// other stores do nothing here.
    ///
    /// # Errors
    /// `RedisError` if the server is out of reach or refuses the connection.
    pub async fn connect(&self) -> Result<(), Box<dyn Error + Send + Sync>> {
        match &self.backend {
            Backend::Unset | Backend::None | Backend::Memory(_) => Ok(()),
            #[cfg(feature = "redis")]
            Backend::Redis(writes) => Ok(writes.store().connect().await?),
        }
    }

    /// Waits, before the program ends, for the writes that are running: two seconds at most.
    pub async fn finish(&self) {
        match &self.backend {
            Backend::Unset | Backend::None | Backend::Memory(_) => {}
            #[cfg(feature = "redis")]
            Backend::Redis(writes) => writes.finish().await,
        }
    }

    /// Returns the store in memory, if it is one: to show one of its sessions, or to hand all of them
    /// over to the next process.
    pub fn memory(&self) -> Option<&MemoryStore> {
        match &self.backend {
            Backend::Memory(memory) => Some(memory),
            _ => None,
        }
    }

    /// Returns the store in Redis, if it is one: to share censuses through it.
    #[cfg(feature = "redis")]
    pub fn redis(&self) -> Option<&RedisStore> {
        match &self.backend {
            Backend::Redis(writes) => Some(writes.store()),
            _ => None,
        }
    }

    /// Returns the health of a store in Redis; `None` for the others, which do not fail.
    pub fn health(&self) -> Option<StoreHealth> {
        match &self.backend {
            #[cfg(feature = "redis")]
            Backend::Redis(writes) => Some(writes.store().health()),
            _ => None,
        }
    }

    /// Counts the live sessions of a store in memory; `None` for the others. Redis would have to
    /// read every key of a database that may have keys of other programs.
    pub fn live(&self, now: UnixTime) -> Option<usize> {
        self.memory().map(|memory| memory.live(now))
    }

    fn of(backend: Backend) -> Self {
        Self { backend, report: Arc::new(|_| {}) }
    }
}

#[cfg(feature = "redis")]
fn redis(url: &str, load_balancer: LoadBalancer) -> Result<AnyStore, InvalidStore> {
    Ok(RedisStore::new(load_balancer, url)?.into())
}

#[cfg(not(feature = "redis"))]
fn redis(_: &str, _: LoadBalancer) -> Result<AnyStore, InvalidStore> {
    Err(InvalidStore::WithoutRedis)
}

impl AsyncSessionStore for AnyStore {
    async fn record(&self, lookup: Option<Lookup>) -> Record {
        match (&self.backend, lookup) {
            (Backend::Unset, lookup) => NoStore.record(lookup).await,
            (_, None) | (Backend::None, _) => Record::Absent,
            (Backend::Memory(memory), lookup) => memory.record(lookup),
            #[cfg(feature = "redis")]
            (Backend::Redis(writes), lookup) => {
                writes.store().record_or(lookup, |error| (self.report)(error)).await
            }
        }
    }

    async fn commit(&self, write: Option<StoreWrite>) {
        match (&self.backend, write) {
            (_, None) | (Backend::Unset | Backend::None, _) => {}
            (Backend::Memory(memory), write) => {
                let Ok(()) = memory.commit(write);
            }
            #[cfg(feature = "redis")]
            (Backend::Redis(writes), Some(write)) => {
                let report = self.report.clone();
                writes.spawn(write, move |error| report(error));
            }
        }
    }
}

impl From<MemoryStore> for AnyStore {
    fn from(store: MemoryStore) -> Self {
        Self::of(Backend::Memory(store))
    }
}

#[cfg(feature = "redis")]
impl From<RedisStore> for AnyStore {
    fn from(store: RedisStore) -> Self {
        Self::of(Backend::Redis(Writes::new(store)))
    }
}

/// Shows the store, and no password.
impl fmt::Debug for AnyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.backend {
            Backend::Unset | Backend::None => f.write_str("AnyStore(none)"),
            Backend::Memory(memory) => f.debug_tuple("AnyStore").field(memory).finish(),
            #[cfg(feature = "redis")]
            Backend::Redis(writes) => f.debug_tuple("AnyStore").field(writes.store()).finish(),
        }
    }
}
