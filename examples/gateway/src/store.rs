//! The store of header sessions.

use std::fmt::Display;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use session_affinity::store::Lookup;
use session_affinity::{LoadBalancer, MemoryStore, Record, SessionStore, StoreWrite, UnixTime};

#[cfg(feature = "redis")]
mod redis;

/// The capacity of the store in memory, in sessions. It takes 45 bytes for each, at the start.
const CAPACITY: usize = 100_000;

/// The session store, in this process or across the network.
pub(crate) struct Store {
    backend: Backend,
    warned: Mutex<Option<Instant>>,
}

enum Backend {
    Memory(MemoryStore),
    #[cfg(feature = "redis")]
    Redis(redis::Redis),
}

impl Store {
    /// Creates the store that `store` and `store_deadline_ms` of the file describe.
    pub(crate) fn new(
        store: Option<&str>,
        deadline: Option<u64>,
        load_balancer: &LoadBalancer,
    ) -> Result<Self, String> {
        let backend = match store {
            None | Some("memory") if deadline.is_some() => {
                return Err("store_deadline_ms is set, and a store in memory has no deadline; expected a Redis store".into());
            }
            None | Some("memory") => Backend::Memory(
                MemoryStore::new(CAPACITY).map_err(|error| format!("store: {error}"))?,
            ),
            Some(url) if is_redis(url) => across_the_network(url, deadline, load_balancer)?,
            Some(_) => {
                return Err("store: expected \"memory\" or \"redis://host:port/database\"".into());
            }
        };
        Ok(Self { backend, warned: Mutex::default() })
    }

    /// Connects to a store across the network. The gateway starts without a connection too, after a
    /// warning.
    pub(crate) async fn connect(&self) {
        match &self.backend {
            Backend::Memory(_) => {}
            #[cfg(feature = "redis")]
            Backend::Redis(redis) => redis.connect().await.unwrap_or_else(|error| self.warn(error)),
        }
    }

    /// Returns the record of a session. A request whose store is out of reach is served all the
    /// same, with [`Record::Unreachable`].
    pub(crate) async fn record(&self, lookup: Option<Lookup>) -> Record {
        match &self.backend {
            Backend::Memory(memory) => memory.record(lookup),
            #[cfg(feature = "redis")]
            Backend::Redis(redis) => redis.record(lookup).await.unwrap_or_else(|error| {
                self.warn(error);
                Record::Unreachable
            }),
        }
    }

    /// Carries out the write of a settlement, if there is one. The response does not wait for a
    /// write across the network, and an error causes a warning only.
    pub(crate) fn commit(self: &Arc<Self>, write: Option<StoreWrite>) {
        match &self.backend {
            Backend::Memory(memory) => {
                memory.commit(write).unwrap_or_else(|error| self.warn(error));
            }
            #[cfg(feature = "redis")]
            Backend::Redis(redis) => {
                let Some(write) = write else { return };
                let (running, store) = (redis.running(), self.clone());
                tokio::spawn(async move {
                    if let Backend::Redis(redis) = &store.backend {
                        redis.save(&write).await.unwrap_or_else(|error| store.warn(error));
                    }
                    drop(running);
                });
            }
        }
    }

    /// Waits for the writes that are running.
    pub(crate) async fn finish(&self) {
        match &self.backend {
            Backend::Memory(_) => {}
            #[cfg(feature = "redis")]
            Backend::Redis(redis) => redis.finish().await,
        }
    }

    /// Counts the live sessions. `None` for Redis, which would have to read every key of a database
    /// that may contain keys of other programs too.
    pub(crate) fn live(&self, now: UnixTime) -> Option<usize> {
        match &self.backend {
            Backend::Memory(memory) => Some(memory.live(now)),
            #[cfg(feature = "redis")]
            Backend::Redis(_) => None,
        }
    }

    /// Prints a warning, once a minute at most: every request of an outage would cause the same
    /// one.
    fn warn(&self, what: impl Display) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.is_none_or(|at| at.elapsed() >= Duration::from_secs(60)) {
            *warned = Some(Instant::now());
            let _ = writeln!(std::io::stderr(), "gateway: warning: the session store: {what}");
        }
    }
}

fn is_redis(store: &str) -> bool {
    ["redis:", "rediss:", "redis+unix:"].iter().any(|scheme| store.starts_with(scheme))
}

#[cfg(feature = "redis")]
fn across_the_network(
    url: &str,
    deadline: Option<u64>,
    load_balancer: &LoadBalancer,
) -> Result<Backend, String> {
    redis::Redis::new(url, deadline, load_balancer).map(Backend::Redis)
}

/// Refuses the URL without showing it, because it may contain a password.
#[cfg(not(feature = "redis"))]
fn across_the_network(_: &str, _: Option<u64>, _: &LoadBalancer) -> Result<Backend, String> {
    Err("store: Redis is not built into this gateway (feature redis); expected \"memory\"".into())
}
