//! Where header sessions are kept.

use std::fmt::Display;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use session_affinity::{MemoryStore, Name, Record, SessionStore, StoreWrite, UnixTime, Visit};

#[cfg(feature = "redis")]
mod redis;

/// How many sessions the store in memory is made for: 45 bytes for each, taken at the start.
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
    /// The store that `store` and `store_deadline_ms` of the file ask for.
    pub(crate) fn new(
        store: Option<&str>,
        deadline: Option<u64>,
        load_balancer: &Name,
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

    /// Connects, where there is something to connect to. The gateway starts without it too.
    pub(crate) async fn connect(&self) {
        match &self.backend {
            Backend::Memory(_) => {}
            #[cfg(feature = "redis")]
            Backend::Redis(redis) => redis.connect().await.unwrap_or_else(|error| self.warn(error)),
        }
    }

    /// What the store says of a visit's session. Out of reach is an answer too: the request
    /// is served all the same.
    pub(crate) async fn record(&self, visit: &Visit) -> Record {
        match &self.backend {
            Backend::Memory(memory) => memory.record(visit),
            #[cfg(feature = "redis")]
            Backend::Redis(redis) => redis.record(visit).await.unwrap_or_else(|error| {
                self.warn(error);
                Record::Unreachable
            }),
        }
    }

    /// Writes what a settlement asks for. The response does not wait for it where that takes
    /// time, and an error is reported and that is all.
    pub(crate) fn save(self: &Arc<Self>, write: StoreWrite) {
        match &self.backend {
            Backend::Memory(memory) => memory.save(&write).unwrap_or_else(|error| self.warn(error)),
            #[cfg(feature = "redis")]
            Backend::Redis(redis) => {
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

    /// How many sessions are live. `None` for Redis: it would have to look at every key of a
    /// database that may hold others' too.
    pub(crate) fn live(&self, now: UnixTime) -> Option<usize> {
        match &self.backend {
            Backend::Memory(memory) => Some(memory.live(now)),
            #[cfg(feature = "redis")]
            Backend::Redis(_) => None,
        }
    }

    /// Once a minute at most: every request of an outage would say the same.
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
    load_balancer: &Name,
) -> Result<Backend, String> {
    redis::Redis::new(url, deadline, load_balancer).map(Backend::Redis)
}

/// A URL may have a password in it: it is not shown.
#[cfg(not(feature = "redis"))]
fn across_the_network(_: &str, _: Option<u64>, _: &Name) -> Result<Backend, String> {
    Err("store: Redis is not built into this gateway (feature redis); expected \"memory\"".into())
}
