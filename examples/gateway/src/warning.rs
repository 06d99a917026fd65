//! Warnings about what every request would run into.

use std::error::Error;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::json::one_line;

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

/// A warning that is printed once, about what does not change until the configuration does, here or
/// elsewhere.
#[derive(Debug)]
pub(crate) struct Notice {
    about: &'static str,
    is_given: AtomicBool,
}

impl Notice {
    pub(crate) fn about(about: &'static str) -> Self {
        Self { about, is_given: AtomicBool::new(false) }
    }

    /// Prints the warning, the first time.
    pub(crate) fn give(&self, text: impl FnOnce() -> String) {
        if !self.is_given.swap(true, Relaxed) {
            let text = one_line(&text());
            let _ = writeln!(std::io::stderr(), "gateway: warning: {}: {text}", self.about);
        }
    }
}
