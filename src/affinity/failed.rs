//! The two errors of a request: no endpoint to try, and none that could be connected to.

use http::StatusCode;

use super::trace::Trace;
use crate::endpoint::EndpointId;
use crate::outcome::{Lost, Outcome};

/// The error of a request that is routed to no endpoint. Answer 503, without a cookie: the session
/// is as it was.
///
/// ```
/// use session_affinity::outcome::Lost;
/// use session_affinity::{EndpointId, NoRoute};
/// let lost = NoRoute::lost(EndpointId::new("eu", "eu-1"), Lost::Unhealthy);
/// assert_eq!((lost.status().as_u16(), lost.outcome().label()), (503, "lost:unhealthy"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum NoRoute {
    /// The snapshot has no endpoint: no pool takes new sessions, and the fallback pool has no
    /// enabled endpoint with a weight.
    #[error("no endpoint to try: no pool is open, and no fallback pool has an enabled endpoint")]
    #[non_exhaustive]
    NoEndpoint {
        /// The endpoint that a live session is pinned to; `None` without one.
        pinned: Option<EndpointId>,
    },
    /// The endpoint of a live session does not take it, and lost sessions are refused: see
    /// [`OnLoss::Refuse`](crate::failover::OnLoss::Refuse). The session comes back to the endpoint
    /// when that takes it again.
    #[error(
        "the session's endpoint {pinned} does not take it ({}), and on_loss is refuse",
        Outcome::Lost(*reason)
    )]
    #[non_exhaustive]
    Lost {
        /// The endpoint that the session is pinned to.
        pinned: EndpointId,
        /// The reason for which the endpoint does not take the session.
        reason: Lost,
    },
}

impl NoRoute {
    /// Creates the error about a snapshot without an endpoint, for tests of the code that handles it.
    pub const fn no_endpoint(pinned: Option<EndpointId>) -> Self {
        Self::NoEndpoint { pinned }
    }

    /// Creates the error about a session that is refused, for tests of the code that handles it.
    pub const fn lost(pinned: EndpointId, reason: Lost) -> Self {
        Self::Lost { pinned, reason }
    }

    /// The outcome `no_endpoint`, or `lost:` and the reason.
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::NoEndpoint { .. } => Outcome::NoEndpoint,
            Self::Lost { reason, .. } => Outcome::Lost(reason),
        }
    }

    /// The status to answer with: 503.
    pub const fn status(self) -> StatusCode {
        StatusCode::SERVICE_UNAVAILABLE
    }

    /// The way of the request, for logs: its outcome, and the pin of a live session.
    pub fn trace(&self) -> Trace {
        let pinned = match *self {
            Self::NoEndpoint { pinned } => pinned,
            Self::Lost { pinned, .. } => Some(pinned),
        };
        Trace::new(self.outcome(), self.outcome(), pinned, None, &[])
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

    /// The status to answer with: 502.
    pub const fn status(self) -> StatusCode {
        StatusCode::BAD_GATEWAY
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
