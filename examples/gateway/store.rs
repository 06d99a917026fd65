//! Where header sessions are kept.

use std::fmt::Display;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use session_affinity::{MemoryStore, Record, SessionStore, StoreWrite, UnixTime, Visit};

/// How many sessions the store in memory is made for: 45 bytes for each, taken at the start.
const CAPACITY: usize = 100_000;

/// The session store. Its methods are async because a store across the network is no
/// different to the proxy.
pub(crate) struct Store {
    memory: MemoryStore,
    warned: Mutex<Option<Instant>>,
}

impl Store {
    pub(crate) fn memory() -> Result<Self, String> {
        let memory = MemoryStore::new(CAPACITY).map_err(|error| format!("store: {error}"))?;
        Ok(Self { memory, warned: Mutex::default() })
    }

    /// What the store says of a visit's session. Out of reach is an answer too: the request
    /// is served all the same.
    pub(crate) async fn record(&self, visit: &Visit) -> Record {
        let record = self.memory.record(visit);
        if record == Record::Unreachable {
            self.warn("it could not be read");
        }
        record
    }

    /// Writes what a settlement asks for. The response has been decided: an error is
    /// reported and that is all.
    pub(crate) async fn save(&self, write: StoreWrite) {
        if let Err(error) = self.memory.save(&write) {
            self.warn(error);
        }
    }

    pub(crate) fn live(&self, now: UnixTime) -> usize {
        self.memory.live(now)
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
