//! The four verbs: recall, route, failover, settle.

use std::fmt;

use crate::carrier::Carrier;
use crate::endpoint::EndpointId;
use crate::failover::{Verdict, decide};
use crate::limits::{CoolingOff, Ipv6Prefix, Ttl};
use crate::outcome::Created;
use crate::policy::{AffinityPolicy, Claim, Life};
use crate::pools::{EndpointView, Pools};
use crate::request::{ClientAddress, ClientHash, RequestMeta};
use crate::store::{Record, SessionKey};
use crate::time::UnixTime;

mod attempt;
mod census;
mod drain;
mod draw;
mod failed;
mod forget;
mod order;
mod parameters;
mod room;
mod route;
mod rules;
mod search;
mod settle;
mod trace;
mod visit;

pub use attempt::Attempt;
pub use failed::{GaveUp, NoRoute};
pub use trace::Trace;
pub use visit::Visit;

use attempt::{AttemptSeed, Course, UNTRIED};
use route::route;
use rules::Rules;
use search::{Chooser, Search};
use visit::Session;

/// Session affinity for one load balancer: a policy, and the parameters that hold for every
/// policy.
///
/// It does no I/O, reads no clock and draws no random numbers. Share it behind an `Arc`;
/// every method takes `&self`.
///
/// ```text
///  request ──recall──▶ Visit ──route──▶ Attempt ──settle──▶ Settlement ──▶ Set-Cookie
///                       │  ▲             │    ▲                      └───▶ StoreWrite
///                lookup ▼  │ record      └────┘ failover (connect error)
///                    your store: sync, async, or none
/// ```
///
/// The types enforce the order of the calls, and that each is made once: the values move.
///
/// ```compile_fail,E0382
/// # use session_affinity::*;
/// # fn f(affinity: &Affinity<NoAffinity>, visit: Visit, pools: &Pools<()>) {
/// let first = affinity.route(visit, Record::Absent, pools, || 4);
/// let second = affinity.route(visit, Record::Absent, pools, || 4); // the visit is gone
/// # }
/// ```
#[derive(Clone)]
pub struct Affinity<P = Box<dyn AffinityPolicy>> {
    policy: P,
    clients: ClientHash,
    rules: Rules,
}

impl<P: AffinityPolicy> Affinity<P> {
    /// Creates an affinity with defaults: failover `none`, one retry, no drain, no cooling off, and
    /// lost sessions move. The policy brings the name of the load balancer.
    ///
    /// ```
    /// use session_affinity::cookies::SetCookie;
    /// use session_affinity::limits::DrainDuration;
    /// use session_affinity::{Affinity, CookiePolicy, FailoverMode, Key, Keyring, LoadBalancer, Secret};
    /// let shop = LoadBalancer::new("shop.example.com")?;
    /// let secret = Secret::from_base64("dGhpcyBpcyBhbiBleGFtcGxlLCBub3QgYSBzZWNyZXQ=")?;
    /// let keyring = Keyring::from(Key::new(1, secret));
    /// let affinity = Affinity::new(CookiePolicy::new(&shop, &keyring, SetCookie::default()))
    ///     .with_failover_mode(FailoverMode::Sticky)?
    ///     .with_drain_duration(DrainDuration::new(3_600)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(policy: P) -> Self {
        let clients = ClientHash::new(policy.load_balancer(), Ipv6Prefix::default());
        Self { policy, clients, rules: Rules::default() }
    }

    /// Step 1: reads the session of a request. If the visit has a
    /// [`lookup`](Visit::lookup), ask the store.
    ///
    /// ```
    /// # use session_affinity::{Affinity, AffinityPolicy, Pools, RequestMeta, Scheme, SessionStore, UnixTime};
    /// # fn serve<P: AffinityPolicy, S: SessionStore>(affinity: &Affinity<P>, store: &S, request: &http::Request<()>) {
    /// let meta = RequestMeta::new(request.headers(), Scheme::Https);
    /// let visit = affinity.recall(&meta, UnixTime::from(std::time::SystemTime::now()));
    /// let record = store.record(visit.lookup());
    /// # }
    /// ```
    #[inline(always)] // its parts would be moved more often than read
    pub fn recall(&self, request: &RequestMeta<'_>, now: UnixTime) -> Visit {
        let client = request.client_ip.map(|ip| self.clients.address(ip));
        let recall = self.policy.read(request, now);
        let mut visit = Visit::new(recall, client, request.scheme, now);
        match visit.recall.claim {
            Claim::Stored(_) => visit.ttl = self.idle_time(),
            Claim::New(None) => visit.missing = self.missing(),
            Claim::New(Some(_)) | Claim::Carried(_) | Claim::Foreign(_) | Claim::Unbound => {}
        }
        visit
    }

    #[inline]
    fn missing(&self) -> Created {
        match self.policy.carrier() {
            Some(Carrier::Header(_)) => Created::NoHeader,
            Some(Carrier::Cookie(_)) | None => Created::NoCookie,
        }
    }

    #[inline]
    fn idle_time(&self) -> Ttl {
        match self.policy.life() {
            Life::Absolute(ttl) | Life::Idle(ttl) => ttl,
            Life::Unknown | Life::Sessionless => Ttl::MAX,
        }
    }

    /// Step 2: chooses the endpoint, and returns the attempt with the embedder's own value for
    /// the endpoint. `record` is the answer of the store, and [`Record::Absent`] for a visit
    /// without a lookup. `entropy` draws 64 random bits; it is called only when they are needed,
    /// and never for a live session.
    ///
    /// # Errors
    /// [`NoRoute`] when there is no endpoint to try, or the session's endpoint does not take it and
    /// [`OnLoss::Refuse`](crate::failover::OnLoss::Refuse) is set. The session is as it was.
    ///
    /// # Panics
    /// In debug builds, when a header session comes with [`Record::Absent`] and no store can have
    /// been asked, because neither [`Visit::lookup`] nor [`Visit::claim`] was called: such a
    /// program creates the session again for every request.
    ///
    /// ```
    /// # use session_affinity::{Affinity, AffinityPolicy, NoRoute, Pools, Record, Visit};
    /// # fn random() -> u64 { 4 }
    /// # fn serve<P: AffinityPolicy>(affinity: &Affinity<P>, visit: Visit, pools: &Pools<&str>) -> Result<(), NoRoute> {
    /// let (attempt, address) = affinity.route(visit, Record::Absent, pools, random)?;
    /// println!("{address}: {}", attempt.outcome());
    /// # Ok(())
    /// # }
    /// ```
    #[inline(always)] // as `recall`
    pub fn route<'p, T>(
        &self,
        visit: Visit,
        record: Record,
        pools: &'p Pools<T>,
        entropy: impl FnOnce() -> u64,
    ) -> Result<(Attempt, &'p T), NoRoute> {
        visit.asked.check(visit.recall.claim, record);
        pools.begin_census(visit.now);
        let session = Session::of(&visit, record);
        let (endpoint, course, seed) = match self.undisturbed(&session, pools) {
            Some(endpoint) => (endpoint, Course::Kept, AttemptSeed::new(visit.recall.seed, None)),
            None => self.choose(session, &visit, pools, entropy)?,
        };
        let attempt = Attempt {
            session,
            session_key: visit.session_key().copied(),
            client: visit.client,
            seed,
            scheme: visit.scheme,
            now: visit.now,
            endpoint: endpoint.id(),
            position: endpoint.position(),
            pool: endpoint.pool().id(),
            course,
            first_course: course,
            passed_over: course.passes_over(),
            tried: UNTRIED,
            failures: 0,
        };
        Ok((attempt, endpoint.target()))
    }

    /// Returns the endpoint of a live session against which nothing can stand: row 5 of the session
    /// table for most requests, without the questions of the rows before it.
    #[inline]
    fn undisturbed<'p, T>(
        &self,
        session: &Session,
        pools: &'p Pools<T>,
    ) -> Option<EndpointView<'p, T>> {
        let Session::Live(pin) = session else { return None };
        let may_be_passed_over = self.rules.cooling_off > CoolingOff::OFF || pools.has_room_rule();
        if may_be_passed_over { None } else { pools.undisturbed(pin.endpoint) }
    }

    /// Asks the session table. What it returns is little, as all of it is moved.
    #[inline(never)]
    fn choose<'p, T>(
        &self,
        session: Session,
        visit: &Visit,
        pools: &'p Pools<T>,
        entropy: impl FnOnce() -> u64,
    ) -> Result<(EndpointView<'p, T>, Course, AttemptSeed), NoRoute> {
        let session_key = visit.session_key();
        let by_client = || visit.client.map(|client| self.clients.seed(client));
        let seed = visit.recall.seed;
        let chooser = Chooser::of(&session, session_key.is_some(), seed, by_client);
        let mut search = self.search(pools, chooser, visit.client, session_key, visit.now, &[]);
        if session.pin().is_none() {
            search.begin(entropy);
        }
        let (position, course) = route(&session, &search)?;
        let endpoint = pools.at(position).ok_or(NoRoute::no_endpoint(None))?;
        Ok((endpoint, course, AttemptSeed::new(seed, search.drawn)))
    }

    /// Step 3, only after a connection could not be made: chooses the next endpoint, and returns
    /// the attempt with the embedder's own value for it. Nothing may have been sent to the first.
    ///
    /// # Errors
    /// [`GaveUp`] when the mode forbids another endpoint, the retries are used up, or no endpoint
    /// is left. Nothing is written, and the client's session is as it was.
    ///
    /// ```
    /// # use session_affinity::{Affinity, AffinityPolicy, GaveUp, Pools, Attempt};
    /// # fn connect(address: &str) -> bool { true }
    /// # fn serve<P: AffinityPolicy>(affinity: &Affinity<P>, attempt: Attempt, address: &str, pools: &Pools<&str>) -> Result<(), GaveUp> {
    /// let (mut attempt, mut address) = (attempt, address);
    /// while !connect(address) {
    ///     (attempt, address) = affinity.failover(attempt, pools).map(|(next, target)| (next, *target))?;
    /// }
    /// # drop(attempt);
    /// # Ok(())
    /// # }
    /// ```
    pub fn failover<'p, T>(
        &self,
        mut attempt: Attempt,
        pools: &'p Pools<T>,
    ) -> Result<(Attempt, &'p T), GaveUp> {
        if let Some(mark) = pools.mark_at(attempt.position, attempt.endpoint) {
            mark.failed(attempt.now, self.rules.cooling_off);
        }
        attempt.fail(self.rules.retries)?;
        let next = self.next(&attempt, pools);
        let (next, course) = match decide(self.rules.failover_mode, attempt.course.standing(), next)
        {
            Verdict::GiveUp => return Err(attempt.exhausted()),
            Verdict::Lend(next) => (next, attempt.course.lent()),
            Verdict::Rebind(next) => (next, attempt.course.rebound()),
        };
        attempt.course = course.towards(next.id(), &attempt.session);
        attempt.endpoint = next.id();
        attempt.position = next.position();
        attempt.pool = next.pool().id();
        Ok((attempt, next.target()))
    }

    fn next<'p, T>(&self, attempt: &Attempt, pools: &'p Pools<T>) -> Option<EndpointView<'p, T>> {
        let Attempt { client, now, .. } = *attempt;
        let session_key = attempt.session_key.as_ref();
        let (seed, drawn) = attempt.seed.parts();
        let by_client = || client.map(|client| self.clients.seed(client));
        let chooser = Chooser::of(&attempt.session, session_key.is_some(), seed, by_client);
        let tried = attempt.tried();
        let mut search = self.search(pools, chooser, client, session_key, now, tried);
        search.drawn = drawn;
        // A suspect pin that was passed over comes back before other suspects do, and a full one
        // before other full ones.
        match attempt.passed_over().and_then(|pinned| pools.endpoint(pinned)) {
            Some(pinned) if search.takes_pinned(pinned).is_ok() => {
                let is_suspect = search.is_suspect(pinned);
                let better = if is_suspect { Search::next_trusted } else { Search::next_with_room };
                better(&search, attempt.pool).or(Some(pinned))
            }
            _ => search.next(attempt.pool),
        }
    }

    fn search<'p, 's, T>(
        &'s self,
        pools: &'p Pools<T>,
        chooser: Chooser<'s>,
        client: Option<ClientAddress>,
        session_key: Option<&'s SessionKey>,
        now: UnixTime,
        tried: &'s [EndpointId],
    ) -> Search<'p, 's, T> {
        let (rules, clients) = (&self.rules, &self.clients);
        let (taker, drawn) = (None, None);
        Search { pools, rules, clients, client, session_key, chooser, taker, drawn, tried, now }
    }
}

/// Leaves the policy out, because it may hold keys and need not be `Debug`.
impl<P: AffinityPolicy> fmt::Debug for Affinity<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Affinity")
            .field("load_balancer", self.policy.load_balancer())
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}
