//! A request on its way to one endpoint.

use super::failed::GaveUp;
use super::trace::Trace;
use super::visit::Session;
use crate::endpoint::EndpointId;
use crate::endpoint::member::Position;
use crate::failover::Standing;
use crate::limits::Retries;
use crate::outcome::{Created, Lent, Moved, Outcome};
use crate::policy::{ChoiceSeed, Transition};
use crate::pools::PoolId;
use crate::request::{ClientAddress, Scheme};
use crate::store::SessionKey;
use crate::time::UnixTime;

/// One request on its way to one endpoint. Connect to the endpoint; then call
/// [`settle`](crate::Affinity::settle) when it has answered, or
/// [`failover`](crate::Affinity::failover) when no connection could be made. Dropping an attempt
/// costs nothing and promises nothing.
///
/// Owned, `'static + Send + Sync`, and not `Clone`, because it is settled once.
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
/// let (attempt, address) = affinity.route(visit, Record::Absent, &pools, session_affinity::entropy)?;
/// assert_eq!(*address, "10.0.0.1:80");
/// assert_eq!(attempt.outcome().label(), "unbound");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
    pub(super) session: Session,
    pub(super) session_key: Option<SessionKey>,
    pub(super) client: Option<ClientAddress>,
    pub(super) seed: AttemptSeed,
    pub(super) scheme: Scheme,
    pub(super) now: UnixTime,
    pub(super) endpoint: EndpointId,
    /// The place of the endpoint in the snapshot that it was chosen from.
    pub(super) position: Position,
    pub(super) pool: PoolId,
    pub(super) course: Course,
    /// The course before any passive failure.
    pub(super) first_course: Course,
    /// The pinned endpoint is a suspect or full, and another one was chosen in its place.
    pub(super) passed_over: bool,
    /// The endpoints that could not be connected to: the first ones, as many as `failures`.
    pub(super) tried: [EndpointId; MOST_RETRIES],
    pub(super) failures: u8,
}

impl Attempt {
    /// The endpoint to connect to.
    pub fn endpoint(&self) -> EndpointId {
        self.endpoint
    }

    /// The outcome of the request if this endpoint answers.
    pub fn outcome(&self) -> Outcome {
        self.course.outcome()
    }

    /// The endpoint that the session was pinned to when the request arrived; `None` without a live
    /// session.
    pub fn pinned(&self) -> Option<EndpointId> {
        self.session.pin().map(|pin| pin.endpoint)
    }

    /// The endpoints that could not be connected to for this request, in the order in which they
    /// were tried: at most eight.
    pub fn tried(&self) -> &[EndpointId] {
        self.tried.get(..usize::from(self.failures)).unwrap_or_default()
    }

    /// The way of the request so far, for logs: the outcome if this endpoint answers, the outcome
    /// that routing had decided on, and the endpoints of both.
    pub fn trace(&self) -> Trace {
        let first = self.first_course.outcome();
        Trace::new(first, self.outcome(), self.pinned(), Some(self.endpoint), self.tried())
    }

    /// Gives the request up, when an endpoint broke off after the request was sent and no other
    /// endpoint may be asked. Nothing is written: the session stays as it was.
    ///
    /// ```
    /// # use session_affinity::{Affinity, AffinityPolicy, Attempt, GaveUp, Pools, SessionStore};
    /// # fn send(_: &str) -> std::io::Result<http::Response<()>> { Ok(http::Response::default()) }
    /// # fn serve<P: AffinityPolicy>(affinity: &Affinity<P>, attempt: Attempt, address: &str, pools: &Pools<&str>) -> Result<http::Response<()>, GaveUp> {
    /// let Ok(mut response) = send(address) else { return Err(attempt.give_up()) };
    /// let write = affinity.settle(attempt, pools).apply(&mut response);
    /// # assert!(write.is_none());
    /// # Ok(response)
    /// # }
    /// ```
    #[must_use]
    pub fn give_up(self) -> GaveUp {
        self.ended()
    }

    /// The error of this request, whose last endpoint has failed too.
    fn ended(&self) -> GaveUp {
        let mut gave_up = self.exhausted();
        gave_up.trace.push(self.endpoint);
        gave_up
    }

    /// The change of the session if the endpoint answers; `None` when there is no session.
    #[inline]
    pub(super) fn transition(&self) -> Option<Transition> {
        let endpoint = self.endpoint;
        match (self.course, self.session.pin()) {
            // No policy of ours has pinned it before.
            (Course::Created(_) | Course::Migrated, _) => Some(Transition::Created { endpoint }),
            (Course::Kept, Some(pin)) => Some(Transition::Kept(*pin)),
            (Course::Moved(_), Some(pin)) => Some(Transition::Moved { from: *pin, endpoint }),
            (Course::Lent(_), Some(pin)) => Some(Transition::Lent { pin: *pin, endpoint }),
            (Course::Unbound, _) | (Course::Kept | Course::Moved(_) | Course::Lent(_), None) => {
                None
            }
        }
    }

    /// Notes that the endpoint could not be connected to, if a retry is left after it.
    pub(super) fn fail(&mut self, retries: Retries) -> Result<(), GaveUp> {
        let room = self.tried.get_mut(usize::from(self.failures));
        let Some(place) = room.filter(|_| self.failures < retries.get()) else {
            return Err(self.ended());
        };
        *place = self.endpoint;
        self.failures = self.failures.saturating_add(1);
        Ok(())
    }

    /// The error of this request, for which no endpoint is left after those that were noted.
    pub(super) fn exhausted(&self) -> GaveUp {
        let first = self.first_course.outcome();
        GaveUp::after(Trace::new(first, Outcome::GaveUp, self.pinned(), None, self.tried()))
    }

    /// The pinned endpoint, if it was passed over and has not been tried since.
    pub(super) fn passed_over(&self) -> Option<EndpointId> {
        let pinned = self.pinned().filter(|_| self.passed_over);
        pinned.filter(|pinned| !self.tried().contains(pinned))
    }
}

/// The course of a session on the way that its request has taken so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    Kept,
    /// As kept, by the cookie of another system.
    Migrated,
    Created(Created),
    Moved(Moved),
    Lent(Lent),
    Unbound,
}

impl Course {
    pub(super) fn outcome(self) -> Outcome {
        match self {
            Self::Kept => Outcome::Kept,
            Self::Migrated => Outcome::Migrated,
            Self::Created(reason) => Outcome::Created(reason),
            Self::Moved(reason) => Outcome::Moved(reason),
            Self::Lent(reason) => Outcome::Lent(reason),
            Self::Unbound => Outcome::Unbound,
        }
    }

    pub(super) fn standing(self) -> Standing {
        match self {
            Self::Kept | Self::Migrated | Self::Lent(_) => Standing::Pinned,
            Self::Created(_) | Self::Moved(_) | Self::Unbound => Standing::Unpinned,
        }
    }

    /// Returns whether the pinned endpoint was left aside because it is a suspect or full.
    #[inline]
    pub(super) fn passes_over(self) -> bool {
        matches!(
            self,
            Self::Lent(Lent::Suspect | Lent::Full) | Self::Moved(Moved::Suspect | Moved::Full)
        )
    }

    /// The course after a passive failure which leaves the pin unchanged.
    pub(super) fn lent(self) -> Self {
        match self {
            Self::Kept | Self::Migrated | Self::Lent(_) => Self::Lent(Lent::ConnectFailed),
            Self::Created(_) | Self::Moved(_) | Self::Unbound => self,
        }
    }

    /// The course after a passive failure which pins the session to another endpoint.
    pub(super) fn rebound(self) -> Self {
        match self {
            Self::Kept | Self::Migrated | Self::Lent(_) | Self::Moved(_) => {
                Self::Moved(Moved::ConnectFailed)
            }
            Self::Created(_) => Self::Created(Created::ConnectFailed),
            Self::Unbound => Self::Unbound,
        }
    }

    /// The course on the way to this endpoint: a session that returns to its pin is kept, or
    /// migrated.
    pub(super) fn towards(self, endpoint: EndpointId, session: &Session) -> Self {
        match (self, session) {
            (Self::Moved(_) | Self::Lent(_), Session::Live(pin)) if pin.endpoint == endpoint => {
                Self::Kept
            }
            (Self::Moved(_) | Self::Lent(_), Session::Foreign(pin)) if pin.endpoint == endpoint => {
                Self::Migrated
            }
            _ => self,
        }
    }
}

/// The seed of the choices for a request, with the random bits if some were drawn: together, so
/// that an attempt stays small.
#[derive(Clone, Copy, Debug)]
pub(super) enum AttemptSeed {
    Undrawn(ChoiceSeed),
    /// [`ChoiceSeed::Steering`], and the bits.
    Steering(u64),
    /// [`ChoiceSeed::ClientIp`], and the bits.
    ClientIp(u64),
}

impl AttemptSeed {
    #[inline]
    pub(super) fn new(seed: ChoiceSeed, drawn: Option<u64>) -> Self {
        match (seed, drawn) {
            (ChoiceSeed::Steering, Some(bits)) => Self::Steering(bits),
            (ChoiceSeed::ClientIp, Some(bits)) => Self::ClientIp(bits),
            // A fixed seed decides every choice; bits were drawn for shedding, which is over.
            (ChoiceSeed::Fixed(_), _) | (_, None) => Self::Undrawn(seed),
        }
    }

    /// The seed, and the random bits if some were drawn.
    pub(super) fn parts(self) -> (ChoiceSeed, Option<u64>) {
        match self {
            Self::Undrawn(seed) => (seed, None),
            Self::Steering(bits) => (ChoiceSeed::Steering, Some(bits)),
            Self::ClientIp(bits) => (ChoiceSeed::ClientIp, Some(bits)),
        }
    }
}

/// No endpoint was tried yet.
pub(super) const UNTRIED: [EndpointId; MOST_RETRIES] = [EndpointId::from_u64(0); MOST_RETRIES];

const MOST_RETRIES: usize = Retries::MAX.get() as usize;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_has_at_most_200_bytes() {
        assert!(size_of::<Attempt>() <= 200, "{} bytes", size_of::<Attempt>());
    }
}
