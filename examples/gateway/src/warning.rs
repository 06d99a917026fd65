//! Warnings about what every request of an outage would run into.

use std::error::Error;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The time in which one part of the gateway warns once at most.
const PAUSE: Duration = Duration::from_secs(60);

/// The warnings about one part of the gateway.
#[derive(Debug)]
pub(crate) struct Warnings {
    about: &'static str,
    last: Mutex<Option<Instant>>,
}

impl Warnings {
    pub(crate) fn about(about: &'static str) -> Self {
        Self { about, last: Mutex::default() }
    }

    /// Prints a warning, once a minute at most.
    pub(crate) fn warn(&self, error: &dyn Error) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|at| at.elapsed() >= PAUSE) {
            *last = Some(Instant::now());
            let _ = writeln!(std::io::stderr(), "gateway: warning: {}: {error}", self.about);
        }
    }
}
