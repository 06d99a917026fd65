//! The way of one request through the verbs, for logs.

use std::fmt;

use crate::endpoint::EndpointId;
use crate::limits::Retries;
use crate::outcome::Outcome;

/// The way of one request: its outcome, and the endpoints that it has seen. Log it to explain why a
/// request went where it went.
///
/// [`Attempt::trace`](super::Attempt::trace) returns it for an attempt, [`GaveUp::trace`] for a
/// request that was given up. [`Exchange`](crate::Exchange) puts it into the extensions of each
/// response. `Display` writes it as one line:
///
/// ```
/// # use session_affinity::{Affinity, Endpoint, LoadBalancer, NoAffinity, Pool, Pools, Record, RequestMeta, Scheme, UnixTime};
/// # let affinity = Affinity::new(NoAffinity::new(&LoadBalancer::new("shop")?));
/// # let headers = http::HeaderMap::new();
/// # let now = UnixTime::from_secs(1_800_000_000);
/// # let visit = affinity.recall(&RequestMeta::new(&headers, Scheme::Https), now);
/// let pools = Pools::builder()
///     .pool(Pool::new("eu").with_endpoint(Endpoint::new("eu-1", "10.0.0.1:80")))
///     .build()?;
/// let (attempt, _) = affinity.route(visit, Record::Absent, &pools, session_affinity::entropy)?;
/// assert_eq!(attempt.trace().to_string(), "unbound endpoint=bf54fd3b4b4ea9db");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`GaveUp::trace`]: super::GaveUp::trace
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Trace {
    outcome: Outcome,
    first_outcome: Outcome,
    // Places and counts in place of options, so that an error that has a trace stays below the 128
    // bytes from which on clippy calls a `Result` large.
    is_pinned: bool,
    has_endpoint: bool,
    count: u8,
    pinned: EndpointId,
    endpoint: EndpointId,
    tried: [EndpointId; MOST_TRIES],
}

/// The first endpoint, and as many retries as can be configured.
const MOST_TRIES: usize = Retries::MAX.get() as usize + 1;

/// Stands where there is no endpoint.
const NO_ID: EndpointId = EndpointId::from_u64(0);

impl Trace {
    /// The trace of a request that never reached an endpoint.
    pub(crate) const fn ended(outcome: Outcome) -> Self {
        Self {
            outcome,
            first_outcome: outcome,
            is_pinned: false,
            has_endpoint: false,
            count: 0,
            pinned: NO_ID,
            endpoint: NO_ID,
            tried: [NO_ID; MOST_TRIES],
        }
    }

    pub(super) fn new(
        first_outcome: Outcome,
        outcome: Outcome,
        pinned: Option<EndpointId>,
        endpoint: Option<EndpointId>,
        tried: &[EndpointId],
    ) -> Self {
        let mut trace = Self {
            first_outcome,
            is_pinned: pinned.is_some(),
            has_endpoint: endpoint.is_some(),
            pinned: pinned.unwrap_or(NO_ID),
            endpoint: endpoint.unwrap_or(NO_ID),
            ..Self::ended(outcome)
        };
        for id in tried {
            trace.push(*id);
        }
        trace
    }

    /// Notes one more endpoint that was tried: there is room for each that can be.
    pub(super) fn push(&mut self, id: EndpointId) {
        if let Some(place) = self.tried.get_mut(usize::from(self.count)) {
            *place = id;
            self.count = self.count.saturating_add(1);
        }
    }

    /// The outcome of the request.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The outcome that routing decided on. It differs from [`Trace::outcome`] after a passive
    /// failure.
    pub fn first_outcome(&self) -> Outcome {
        self.first_outcome
    }

    /// The endpoint that the session was pinned to when the request arrived.
    pub fn pinned(&self) -> Option<EndpointId> {
        self.is_pinned.then_some(self.pinned)
    }

    /// The endpoint that the request is on its way to, or that has answered. `None` when no
    /// endpoint is left.
    pub fn endpoint(&self) -> Option<EndpointId> {
        self.has_endpoint.then_some(self.endpoint)
    }

    /// The endpoints that could not be connected to, or that broke off, in the order in which they
    /// were tried: at most nine.
    pub fn tried(&self) -> &[EndpointId] {
        self.tried.get(..usize::from(self.count)).unwrap_or_default()
    }
}

/// Writes the outcome, and the other parts as far as they say more: `first`, `pinned`, `tried`,
/// `endpoint`.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.outcome)?;
        if self.first_outcome != self.outcome {
            write!(f, " first={}", self.first_outcome)?;
        }
        if let Some(pinned) = self.pinned() {
            write!(f, " pinned={pinned}")?;
        }
        for (place, id) in self.tried().iter().enumerate() {
            write!(f, "{}{id}", if place == 0 { " tried=" } else { "," })?;
        }
        if let Some(endpoint) = self.endpoint() {
            write!(f, " endpoint={endpoint}")?;
        }
        Ok(())
    }
}

/// Shows the parts, without the empty places.
impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace")
            .field("outcome", &self.outcome)
            .field("first_outcome", &self.first_outcome)
            .field("pinned", &self.pinned())
            .field("endpoint", &self.endpoint())
            .field("tried", &self.tried())
            .finish()
    }
}
