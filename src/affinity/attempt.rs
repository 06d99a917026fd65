//! A request on its way to one endpoint.

use super::Visit;
use crate::bounds::Retries;
use crate::endpoint::EndpointId;
use crate::failover::Standing;
use crate::outcome::{Created, Lent, Moved, Outcome};
use crate::policy::Transition;
use crate::pools::PoolId;
use crate::search::Seeds;
use crate::store::Record;
use crate::token::Pin;

/// One request on its way to one endpoint. Connect there, then
/// [`settle`](crate::Affinity::settle) when it has answered, or
/// [`failover`](crate::Affinity::failover) when no connection could be made. Dropping it
/// costs nothing and promises nothing.
///
/// Owned, `'static + Send + Sync`, and not `Clone`: it is settled once.
///
/// ```
/// fn holds<T: Send + Sync + 'static>() {}
/// holds::<session_affinity::Attempt>();
/// ```
/// ```compile_fail,E0599
/// fn twice(attempt: session_affinity::Attempt) -> [session_affinity::Attempt; 2] {
///     [attempt.clone(), attempt]
/// }
/// ```
/// ```compile_fail,E0382
/// # use session_affinity::*;
/// # fn f(affinity: &Affinity<NoAffinity>, attempt: Attempt, pools: &Pools<()>) {
/// let settlement = affinity.settle(attempt, pools);
/// let again = affinity.failover(attempt, pools); // settled already
/// # }
/// ```
#[derive(Debug)]
#[must_use = "an attempt that is not settled leaves no session behind"]
pub struct Attempt {
    pub(super) visit: Visit,
    pub(super) record: Record,
    pub(super) endpoint: EndpointId,
    /// Where it stood in the snapshot that it was chosen from.
    pub(super) position: usize,
    pub(super) pool: PoolId,
    pub(super) course: Course,
    pub(super) seeds: Seeds,
    pub(super) drawn: Option<u64>,
    pub(super) tried: Tried,
    /// The session's own endpoint, where another one is tried first as it is suspect.
    pub(super) passed_over: Option<EndpointId>,
}

impl Attempt {
    /// The endpoint to connect to: [`Pools::target`](crate::Pools::target) has the
    /// embedder's own value for it.
    pub fn endpoint(&self) -> EndpointId {
        self.endpoint
    }

    /// What becomes of the session if this endpoint answers.
    pub fn outcome(&self) -> Outcome {
        match self.course {
            Course::Kept(_) => Outcome::Kept,
            Course::Created(reason) => Outcome::Created(reason),
            Course::Moved(_, reason) => Outcome::Moved(reason),
            Course::Lent(_, reason) => Outcome::Lent(reason),
            Course::Unbound => Outcome::Unbound,
        }
    }

    /// Gives the request up: an endpoint broke off after the request was sent, so nobody
    /// else may be asked.
    #[must_use]
    pub fn give_up(self) -> GaveUp {
        GaveUp
    }

    /// What happens to the session if the endpoint answers; `None` when there is none.
    pub(super) fn transition(&self) -> Option<Transition> {
        let endpoint = self.endpoint;
        match self.course {
            Course::Kept(pin) => Some(Transition::Kept(pin)),
            Course::Created(_) => Some(Transition::Created { endpoint }),
            Course::Moved(from, _) => Some(Transition::Moved { from, endpoint }),
            Course::Lent(pin, _) => Some(Transition::Lent { pin, endpoint }),
            Course::Unbound => None,
        }
    }
}

/// What becomes of the session on the way that the request has taken so far.
#[derive(Clone, Copy, Debug)]
pub(super) enum Course {
    Kept(Pin),
    Created(Created),
    Moved(Pin, Moved),
    Lent(Pin, Lent),
    Unbound,
}

impl Course {
    pub(super) fn standing(self) -> Standing {
        match self {
            Self::Kept(_) | Self::Lent(..) => Standing::Pinned,
            Self::Created(_) | Self::Moved(..) | Self::Unbound => Standing::Unpinned,
        }
    }

    /// The pin's endpoint, if it is left aside for being suspect.
    pub(super) fn passed_over(self) -> Option<EndpointId> {
        match self {
            Self::Lent(pin, Lent::Suspect) | Self::Moved(pin, Moved::Suspect) => Some(pin.endpoint),
            _ => None,
        }
    }

    /// After a passive failure with the pin unchanged.
    pub(super) fn lent(self) -> Self {
        match self {
            Self::Kept(pin) | Self::Lent(pin, _) => Self::Lent(pin, Lent::ConnectFailed),
            Self::Created(_) | Self::Moved(..) | Self::Unbound => self,
        }
    }

    /// After a passive failure that pins the session anew.
    pub(super) fn rebound(self) -> Self {
        match self {
            Self::Kept(pin) | Self::Lent(pin, _) | Self::Moved(pin, _) => {
                Self::Moved(pin, Moved::ConnectFailed)
            }
            Self::Created(_) => Self::Created(Created::ConnectFailed),
            Self::Unbound => Self::Unbound,
        }
    }

    /// A session that comes to its own pin after all is kept.
    pub(super) fn unless_pinned_to(self, endpoint: EndpointId) -> Self {
        match self {
            Self::Moved(pin, _) | Self::Lent(pin, _) if pin.endpoint == endpoint => Self::Kept(pin),
            other => other,
        }
    }
}

/// The endpoints that could not be connected to for this request: as many as there can
/// be retries, and the one before.
#[derive(Debug)]
pub(super) struct Tried {
    endpoints: [EndpointId; MOST_RETRIES],
    count: usize,
}

const MOST_RETRIES: usize = Retries::MAX.get() as usize;

impl Tried {
    pub(super) fn none() -> Self {
        Self { endpoints: [EndpointId::from_u64(0); MOST_RETRIES], count: 0 }
    }

    /// Notes one more, if a retry is left after it.
    pub(super) fn add(&mut self, endpoint: EndpointId, retries: Retries) -> Result<(), GaveUp> {
        if self.count >= usize::from(retries.get()) {
            return Err(GaveUp);
        }
        *self.endpoints.get_mut(self.count).ok_or(GaveUp)? = endpoint;
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    pub(super) fn as_slice(&self) -> &[EndpointId] {
        self.endpoints.get(..self.count).unwrap_or_default()
    }
}

/// There is nobody to try: no pool takes new sessions and the fallback pool has no
/// enabled endpoint with a weight. Answer 503.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no endpoint to try: no pool is open and there is no fallback")]
pub struct NoEndpoint;

impl NoEndpoint {
    /// `no_endpoint`
    pub const fn outcome(self) -> Outcome {
        Outcome::NoEndpoint
    }
}

/// Those that were tried have failed and nobody else may be. Answer 502, without a
/// cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("gave up: none of the endpoints that were tried has answered")]
pub struct GaveUp;

impl GaveUp {
    /// `gave_up`
    pub const fn outcome(self) -> Outcome {
        Outcome::GaveUp
    }
}
