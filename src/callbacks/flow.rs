//! One request on its way through the callbacks.

use std::fmt;
use std::mem;
use std::sync::Arc;

use http::StatusCode;

use crate::affinity::{Affinity, Attempt, NoRoute, Trace, Visit};
use crate::outcome::Outcome;
use crate::policy::{AffinityPolicy, Settlement, is_interim};
use crate::pools::Pools;
use crate::response::ResponseMeta;
use crate::store::Record;

/// One request on its way through the callbacks of a stack: put it into the context that the stack
/// keeps for each request. It begins unrouted; a new one is made by [`Flow::default`].
///
/// Every method may be called at any time. A call that is not due changes nothing and promises
/// nothing to the client. Dropping a flow costs nothing.
///
/// | the request is | `target` | `failover` | `answered` | `broke_off` | `settle` | `outcome` |
/// |---|---|---|---|---|---|---|
/// | unrouted | `None` | `None` | | | nothing | `None` |
/// | trying an endpoint | its target | the next one, or over | answered | over | nothing | `None` |
/// | answered | its target | `None` | | over | the session, and over | `None` |
/// | over | `None` | `None` | | | nothing | the outcome |
///
/// An empty cell, `None` and *nothing* leave the request as it is. [`Flow::route`] is due for an
/// unrouted request, and begins a new one at any other time. Of the interim responses (1xx) only
/// 101 is an answer that can be settled.
///
/// `T` is the embedder's own value for an endpoint, as in [`Pools`].
///
/// ```
/// use session_affinity::callbacks::Flow;
/// let flow = Flow::<&str>::default();
/// assert_eq!((flow.target(), flow.outcome()), (None, None));
/// ```
/// ```
/// fn holds<T: Send + Sync + 'static>() {}
/// holds::<session_affinity::callbacks::Flow<std::net::SocketAddr>>();
/// ```
/// ```compile_fail,E0599
/// fn twice(flow: session_affinity::callbacks::Flow<()>) -> [session_affinity::callbacks::Flow<()>; 2] {
///     [flow.clone(), flow]
/// }
/// ```
pub struct Flow<T> {
    stage: Stage<T>,
}

/// The snapshot stands beside the attempt, so that one snapshot serves the whole request.
#[derive(Default)]
enum Stage<T> {
    #[default]
    Unrouted,
    /// An endpoint was chosen, and has not answered.
    Trying(Attempt, Arc<Pools<T>>),
    /// The endpoint has answered, and the session is not settled.
    Answered(Attempt, Arc<Pools<T>>),
    Over(Trace),
}

impl<T> Flow<T> {
    /// Chooses the endpoint: the arguments and the error are those of [`Affinity::route`]. The
    /// snapshot is held until the request is over.
    ///
    /// A flow that was routed before begins again, as the flow of another request.
    ///
    /// # Errors
    /// [`NoRoute`] when there is no endpoint to try, or the session is refused. The request is
    /// over.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use session_affinity::callbacks::Flow;
    /// # use session_affinity::{Affinity, AffinityPolicy, Pools, RequestMeta, SessionStore, UnixTime};
    /// # fn random() -> u64 { 4 }
    /// # fn on_request<T, P: AffinityPolicy, S: SessionStore>(
    /// #     affinity: &Affinity<P>, store: &S, pools: Arc<Pools<T>>, request: &RequestMeta, now: UnixTime, flow: &mut Flow<T>,
    /// # ) -> Result<(), http::StatusCode> {
    /// let visit = affinity.recall(request, now);
    /// let record = store.record(visit.lookup()); // with `.await` for `RedisStore`
    /// flow.route(affinity, visit, record, pools, random).map_err(|no_route| no_route.status())
    /// # }
    /// ```
    pub fn route<P: AffinityPolicy>(
        &mut self,
        affinity: &Affinity<P>,
        visit: Visit,
        record: Record,
        pools: Arc<Pools<T>>,
        entropy: impl FnOnce() -> u64,
    ) -> Result<(), NoRoute> {
        let (stage, routed) = match affinity.route(visit, record, &pools, entropy) {
            Ok((attempt, _)) => (Stage::Trying(attempt, pools), Ok(())),
            Err(no_route) => (Stage::Over(no_route.trace()), Err(no_route)),
        };
        self.stage = stage;
        routed
    }

    /// Returns the embedder's own value for the endpoint to connect to; `None` for a request that
    /// is unrouted or over. It stays the same until [`Flow::failover`], so a stack may ask again
    /// for a fresh connection to the same endpoint.
    ///
    /// ```
    /// # use session_affinity::callbacks::Flow;
    /// # use std::net::{SocketAddr, TcpStream};
    /// fn on_connect(flow: &Flow<SocketAddr>) -> std::io::Result<TcpStream> {
    ///     let address = flow.target().ok_or(std::io::ErrorKind::NotConnected)?;
    ///     TcpStream::connect(address)
    /// }
    /// ```
    pub fn target(&self) -> Option<&T> {
        match &self.stage {
            Stage::Trying(attempt, pools) | Stage::Answered(attempt, pools) => {
                pools.target(attempt.endpoint())
            }
            Stage::Unrouted | Stage::Over(_) => None,
        }
    }

    /// Chooses the next endpoint, only after a connection could not be made, and returns the
    /// embedder's own value for it. Nothing may have been sent to the first, and the failure must
    /// be the endpoint's: one on the proxy's own side (no socket, no port) does not count.
    ///
    /// `None` says that no endpoint may be tried: answer 502. The request is then over with
    /// [`Outcome::GaveUp`], unless it was unrouted, answered or over before.
    ///
    /// ```
    /// # use session_affinity::callbacks::Flow;
    /// # use session_affinity::{Affinity, AffinityPolicy};
    /// # struct ConnectError { retry: bool }
    /// fn on_connect_error<P: AffinityPolicy>(affinity: &Affinity<P>, flow: &mut Flow<&str>, error: &mut ConnectError) {
    ///     error.retry = flow.failover(affinity).is_some();
    /// }
    /// ```
    #[must_use = "the request is retried when there is a target, and has failed when there is none"]
    pub fn failover<P: AffinityPolicy>(&mut self, affinity: &Affinity<P>) -> Option<&T> {
        match mem::take(&mut self.stage) {
            Stage::Trying(attempt, pools) => match affinity.failover(attempt, &pools) {
                Ok((next, _)) => {
                    self.stage = Stage::Trying(next, pools);
                    self.target()
                }
                Err(gave_up) => {
                    self.stage = Stage::Over(gave_up.trace());
                    None
                }
            },
            other => {
                self.stage = other;
                None
            }
        }
    }

    /// Notes that the head of a response has come from the endpoint, with this status. An interim
    /// response (1xx) other than 101 is no answer yet.
    ///
    /// Call it where the stack hands over what came from the endpoint itself, before its cache.
    ///
    /// ```
    /// # use session_affinity::callbacks::Flow;
    /// # fn on_upstream_response(response: &http::Response<()>, flow: &mut Flow<&str>) {
    /// flow.answered(response.status());
    /// # }
    /// ```
    pub fn answered(&mut self, status: StatusCode) {
        self.stage = match mem::take(&mut self.stage) {
            Stage::Trying(attempt, pools) if !is_interim(status) => Stage::Answered(attempt, pools),
            other => other,
        };
    }

    /// Notes that the endpoint broke off after the request was sent, so no other endpoint may be
    /// asked. The request is over with [`Outcome::GaveUp`], and nothing is written. A request that
    /// was settled keeps its outcome.
    ///
    /// ```
    /// # use session_affinity::callbacks::Flow;
    /// # fn on_end(error: Option<&std::io::Error>, flow: &mut Flow<&str>) {
    /// if error.is_some() {
    ///     flow.broke_off();
    /// }
    /// let outcome = flow.outcome();
    /// # }
    /// ```
    pub fn broke_off(&mut self) {
        self.stage = match mem::take(&mut self.stage) {
            Stage::Trying(attempt, _) | Stage::Answered(attempt, _) => {
                Stage::Over(attempt.give_up().trace())
            }
            other => other,
        };
    }

    /// Returns the cookie or the issued header for the client and the write for the store, once, and only after an
    /// endpoint has answered; at any other time [`Settlement::nothing`]. `status` is that of the
    /// response that goes to the client, as a cache may turn the endpoint's 304 into a 200.
    ///
    /// An interim response (1xx) other than 101 leaves the session for the final one. A 304 gets
    /// neither, because a shared cache may copy its fields into the response that it has stored for
    /// all clients (RFC 9111 section 4.3.4); the write for the store stays.
    ///
    /// Do not settle an error response that the stack itself makes: call [`Flow::broke_off`].
    ///
    /// ```
    /// # use session_affinity::callbacks::Flow;
    /// # use session_affinity::cookies::FieldChange;
    /// # use session_affinity::{Affinity, AffinityPolicy, SessionStore};
    /// # struct Response { status: http::StatusCode, headers: http::HeaderMap }
    /// # impl Response { fn change(&mut self, _: FieldChange) {} }
    /// # fn on_response<P: AffinityPolicy, S: SessionStore>(affinity: &Affinity<P>, store: &S, response: &mut Response, flow: &mut Flow<&str>) -> Result<(), S::Error> {
    /// let (changes, write) = flow.settle(affinity, response.status).changes(&response.headers);
    /// for change in changes {
    ///     response.change(change); // your own: a match of two lines
    /// }
    /// store.commit(write)
    /// # }
    /// ```
    pub fn settle<P: AffinityPolicy>(
        &mut self,
        affinity: &Affinity<P>,
        status: StatusCode,
    ) -> Settlement {
        self.settled(status, |attempt, pools| affinity.settle(attempt, pools))
    }

    /// Does as [`Flow::settle`], and shows the response to the policy, as
    /// [`Affinity::settle_response`] does: for policies that learn from responses.
    ///
    /// ```
    /// # use session_affinity::callbacks::Flow;
    /// # use session_affinity::{Affinity, AffinityPolicy, ResponseMeta, SessionStore};
    /// # struct Response { status: http::StatusCode, headers: http::HeaderMap }
    /// # fn on_response<P: AffinityPolicy, S: SessionStore>(affinity: &Affinity<P>, store: &S, response: &mut Response, flow: &mut Flow<&str>) -> Result<(), S::Error> {
    /// let meta = ResponseMeta::new(response.status, &response.headers);
    /// let settlement = flow.settle_response(affinity, meta);
    /// store.commit(settlement.apply_to(response.status, &mut response.headers))
    /// # }
    /// ```
    pub fn settle_response<'r, P: AffinityPolicy>(
        &mut self,
        affinity: &Affinity<P>,
        response: impl Into<ResponseMeta<'r>>,
    ) -> Settlement {
        let response = response.into();
        self.settled(response.status, |attempt, pools| {
            affinity.settle_response(attempt, pools, response)
        })
    }

    fn settled(
        &mut self,
        status: StatusCode,
        settle: impl FnOnce(Attempt, &Pools<T>) -> Settlement,
    ) -> Settlement {
        match mem::take(&mut self.stage) {
            Stage::Answered(attempt, pools) if !is_interim(status) => {
                self.stage = Stage::Over(attempt.trace());
                settle(attempt, &pools).for_status(status)
            }
            other => {
                self.stage = other;
                Settlement::nothing()
            }
        }
    }

    /// Returns the outcome of a request that is over. `None` for any other: an access log shows it
    /// for a request that was answered from a cache, or whose client has left.
    ///
    /// ```
    /// # use session_affinity::callbacks::Flow;
    /// # fn on_end(flow: &Flow<&str>) {
    /// let label = flow.outcome().map_or("-", |outcome| outcome.label());
    /// # }
    /// ```
    pub fn outcome(&self) -> Option<Outcome> {
        self.trace().map(|trace| trace.outcome())
    }

    /// Returns the way of a request that is over: its outcome, its pin and the endpoints that were
    /// tried.
    pub fn trace(&self) -> Option<Trace> {
        match self.stage {
            Stage::Over(trace) => Some(trace),
            Stage::Unrouted | Stage::Trying(..) | Stage::Answered(..) => None,
        }
    }
}

impl<T> Default for Flow<T> {
    fn default() -> Self {
        Self { stage: Stage::Unrouted }
    }
}

/// Leaves the snapshot out, because it is long and `T` need not be `Debug`.
impl<T> fmt::Debug for Flow<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stage, outcome) = match &self.stage {
            Stage::Unrouted => ("unrouted", None),
            Stage::Trying(attempt, _) => ("trying", Some(attempt.outcome())),
            Stage::Answered(attempt, _) => ("answered", Some(attempt.outcome())),
            Stage::Over(trace) => ("over", Some(trace.outcome())),
        };
        f.debug_struct("Flow").field("stage", &stage).field("outcome", &outcome).finish()
    }
}
