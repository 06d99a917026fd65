//! The two errors of a request: no endpoint to try, and none that could be connected to.

use super::trace::Trace;
use crate::outcome::Outcome;

/// The error of a request for which the snapshot has no endpoint: no pool takes new sessions,
/// and the fallback pool has no enabled endpoint with a weight. Answer 503.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, thiserror::Error)]
#[error("no endpoint to try: no pool is open, and no fallback pool has an enabled endpoint")]
#[non_exhaustive]
pub struct NoEndpoint;

impl NoEndpoint {
    /// Creates the error, for tests of the code that handles it.
    pub const fn new() -> Self {
        Self
    }

    /// The outcome `no_endpoint`.
    pub const fn outcome(self) -> Outcome {
        Outcome::NoEndpoint
    }
}

/// The error of a request whose tried endpoints have failed and which may try no other. Answer
/// 502, without a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("gave up: none of the tried endpoints answered")]
#[non_exhaustive]
pub struct GaveUp {
    pub(super) trace: Trace,
}

impl GaveUp {
    /// Creates the error without any endpoint tried, for tests of the code that handles it. In a
    /// request, [`Attempt::give_up`](super::Attempt::give_up) returns it.
    pub const fn new() -> Self {
        Self { trace: Trace::ended(Outcome::GaveUp) }
    }

    pub(super) const fn after(trace: Trace) -> Self {
        Self { trace }
    }

    /// The outcome `gave_up`.
    pub const fn outcome(self) -> Outcome {
        Outcome::GaveUp
    }

    /// The way of the request: its pin, the endpoints that were tried, and the outcome that it
    /// would have had if the first of them had answered.
    pub const fn trace(&self) -> Trace {
        self.trace
    }
}

impl Default for GaveUp {
    fn default() -> Self {
        Self::new()
    }
}
