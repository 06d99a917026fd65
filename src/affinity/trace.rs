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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Trace {
    /// The outcome of the request.
    pub outcome: Outcome,
    /// The outcome that routing decided on. It differs from `outcome` after a passive failure.
    pub first_outcome: Outcome,
    /// The endpoint that the session was pinned to when the request arrived.
    pub pinned: Option<EndpointId>,
    /// The endpoint that the request is on its way to, or that has answered. `None` when no
    /// endpoint is left.
    pub endpoint: Option<EndpointId>,
    tried: Tried,
}

impl Trace {
    /// The trace of a request that never reached an endpoint.
    pub(crate) const fn ended(outcome: Outcome) -> Self {
        Self { outcome, first_outcome: outcome, pinned: None, endpoint: None, tried: Tried::NONE }
    }

    pub(super) fn new(
        first_outcome: Outcome,
        outcome: Outcome,
        pinned: Option<EndpointId>,
        endpoint: Option<EndpointId>,
        tried: &[EndpointId],
    ) -> Self {
        let mut trace = Self { outcome, first_outcome, pinned, endpoint, tried: Tried::NONE };
        for id in tried {
            trace.push(*id);
        }
        trace
    }

    /// Notes one more endpoint that was tried: there is room for each that can be.
    pub(super) fn push(&mut self, id: EndpointId) {
        let Tried { ids, count } = &mut self.tried;
        if let Some(place) = ids.get_mut(usize::from(*count)) {
            *place = id;
            *count = count.saturating_add(1);
        }
    }

    /// The endpoints that could not be connected to, or that broke off, in the order in which they
    /// were tried: at most nine.
    pub fn tried(&self) -> &[EndpointId] {
        self.tried.as_slice()
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
        if let Some(pinned) = self.pinned {
            write!(f, " pinned={pinned}")?;
        }
        for (place, id) in self.tried().iter().enumerate() {
            write!(f, "{}{id}", if place == 0 { " tried=" } else { "," })?;
        }
        if let Some(endpoint) = self.endpoint {
            write!(f, " endpoint={endpoint}")?;
        }
        Ok(())
    }
}

/// The endpoints that a request has tried, in order.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Tried {
    ids: [EndpointId; MOST_TRIES],
    count: u8,
}

/// The first endpoint, and as many retries as can be configured.
const MOST_TRIES: usize = Retries::MAX.get() as usize + 1;

impl Tried {
    const NONE: Self = Self { ids: [EndpointId::from_u64(0); MOST_TRIES], count: 0 };

    fn as_slice(&self) -> &[EndpointId] {
        self.ids.get(..usize::from(self.count)).unwrap_or_default()
    }
}

/// Shows the endpoints, without the empty places.
impl fmt::Debug for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}
