//! The time since when a client's connection waits for its next request.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A connection without a request in flight gives its place away after this time, if another one
/// waits for a place.
const COURTESY: Duration = Duration::from_secs(1);

/// The idle time of a connection.
#[derive(Debug)]
pub(crate) struct Idle {
    /// `None` while a request is in flight.
    since: Mutex<Option<Instant>>,
}

/// A request in flight, until this is dropped.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Idle>);

impl Idle {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { since: Mutex::new(Some(Instant::now())) })
    }

    pub(crate) fn begin(self: &Arc<Self>) -> Busy {
        *self.since() = None;
        Busy(self.clone())
    }

    /// Returns whether the connection may be closed for another one that waits.
    pub(crate) fn may_give_way(&self) -> bool {
        self.since().is_some_and(|since| since.elapsed() >= COURTESY)
    }

    fn since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        *self.0.since() = Some(Instant::now());
    }
}
