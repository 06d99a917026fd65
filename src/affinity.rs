//! The four verbs: recall, route, failover, settle.

use std::fmt;

use crate::bounds::{CoolingOff, DrainDuration, Ipv6Prefix, Retries};
use crate::client::ClientHash;
use crate::cookies::{CacheGuard, CookieName};
use crate::endpoint::EndpointId;
use crate::failover::{FailoverMode, Standing, Verdict, decide};
use crate::marks::Mark;
use crate::names::Name;
use crate::outcome::{Lent, Moved};
use crate::policy::{AffinityPolicy, Life, Served, Settlement, Transition};
use crate::pools::{EndpointView, Pools};
use crate::request::RequestMeta;
use crate::search::{Entropy, Search, Seeds};
use crate::store::Record;
use crate::time::UnixTime;
use crate::token::Pin;

mod attempt;
mod parameters;
mod session;
mod visit;

pub use attempt::{Attempt, GaveUp, NoEndpoint};
pub use parameters::{AcrossPools, UnsupportedMode};
pub use visit::Visit;

use attempt::{Course, Tried};
use session::Session;

/// Session affinity for one load balancer: a policy and what holds for all policies.
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
/// The order of calls cannot be mistaken, and none can be made twice: the values move.
///
/// ```compile_fail,E0382
/// # use session_affinity::*;
/// # fn f(affinity: &Affinity<NoAffinity>, visit: Visit, pools: &Pools<()>) {
/// let first = affinity.route(visit, Record::Absent, pools, || 4);
/// let second = affinity.route(visit, Record::Absent, pools, || 4); // the visit is gone
/// # }
/// ```
#[derive(Clone)]
pub struct Affinity<P> {
    policy: P,
    clients: ClientHash,
    load_balancer: Name,
    mode: FailoverMode,
    retries: Retries,
    across_pools: AcrossPools,
    drain_duration: DrainDuration,
    cooling_off: CoolingOff,
    cache_guard: CacheGuard,
}

impl<P: AffinityPolicy> Affinity<P> {
    /// With the default of every parameter. The name keys the hashes of clients'
    /// addresses, so that two load balancers choose independently.
    pub fn new(load_balancer: &Name, policy: P) -> Self {
        Self {
            policy,
            clients: ClientHash::new(load_balancer, Ipv6Prefix::default()),
            load_balancer: load_balancer.clone(),
            mode: FailoverMode::default(),
            retries: Retries::default(),
            across_pools: AcrossPools::default(),
            drain_duration: DrainDuration::default(),
            cooling_off: CoolingOff::default(),
            cache_guard: CacheGuard::default(),
        }
    }

    /// First: what does this request say about its session? If the visit has a
    /// [`lookup`](Visit::lookup), ask the store.
    pub fn recall(&self, request: &RequestMeta<'_>, now: UnixTime) -> Visit {
        let recall = self.policy.recall(request, now);
        Visit {
            claim: recall.claim,
            seed: recall.seed,
            client: request.client_ip.map(|ip| self.clients.address(ip)),
            scheme: request.scheme,
            now,
        }
    }

    /// Second: which endpoint serves it? `record` is what the store had to say, and
    /// [`Record::Absent`] where there was nothing to ask. `entropy` draws 64 random bits
    /// and is called only when they are needed: never for a live session.
    ///
    /// # Errors
    /// [`NoEndpoint`] when there is nobody to try. Nothing was promised then.
    pub fn route<T>(
        &self,
        visit: Visit,
        record: Record,
        pools: &Pools<T>,
        entropy: impl FnOnce() -> u64,
    ) -> Result<Attempt, NoEndpoint> {
        pools.begin_census(visit.now);
        let session = Session::of(&visit, record);
        let seeds = visit.seeds(session.pin());
        let mut source = Some(entropy);
        let mut draw = || source.take().map(|entropy| entropy());
        let entropy = Entropy::new(&mut draw);
        let search = self.search(pools, seeds, &visit, &[], &entropy);
        let (endpoint, course) = match session {
            Session::Live(pin) => self.route_live(pin, &search)?,
            Session::New(reason) => (search.for_new().ok_or(NoEndpoint)?, Course::Created(reason)),
            Session::Unbound => (search.for_new().ok_or(NoEndpoint)?, Course::Unbound),
        };
        Ok(Attempt {
            endpoint: endpoint.id(),
            position: endpoint.position(),
            pool: endpoint.pool().id(),
            drawn: entropy.drawn(),
            tried: Tried::none(),
            passed_over: course.passed_over(),
            seeds,
            course,
            record,
            visit,
        })
    }

    /// The rows of the session table for a live session: the first that matches wins.
    fn route_live<'p, T>(
        &self,
        pin: Pin,
        search: &Search<'p, '_, T>,
    ) -> Result<(EndpointView<'p, T>, Course), NoEndpoint> {
        let moved =
            |reason| Ok((search.for_moved().ok_or(NoEndpoint)?, Course::Moved(pin, reason)));
        let Some(endpoint) = search.pools.endpoint(pin.endpoint) else {
            return moved(Moved::Removed);
        };
        let kept = (endpoint, Course::Kept(pin));
        if search.is_last_resort(endpoint) {
            return Ok(kept);
        }
        if let Err(reason) = search.takes_pinned(endpoint, self.drain_duration) {
            return moved(reason);
        }
        if search.sheds_session(endpoint.pool()) {
            let shed = search.for_shed(endpoint.pool());
            return Ok(shed.map_or(kept, |endpoint| (endpoint, Course::Moved(pin, Moved::Shed))));
        }
        if search.is_suspect(endpoint) {
            let next = search.next_trusted(endpoint.pool().id());
            return Ok(
                match (decide(self.mode, Standing::Pinned, next.map(|next| next.id())), next) {
                    (Verdict::Lend(_), Some(next)) => (next, Course::Lent(pin, Lent::Suspect)),
                    (Verdict::Rebind(_), Some(next)) => (next, Course::Moved(pin, Moved::Suspect)),
                    _ => kept,
                },
            );
        }
        Ok(kept)
    }

    /// In between, and only after a passive failure (a connection that could not be made,
    /// so that nothing was sent): who is tried instead?
    ///
    /// # Errors
    /// [`GaveUp`] when the mode forbids it, retries are used up, or nobody is left. The
    /// attempt is gone, nothing is written, and the client's session is as it was.
    pub fn failover<T>(&self, mut attempt: Attempt, pools: &Pools<T>) -> Result<Attempt, GaveUp> {
        if let Some(mark) = pools.mark(attempt.endpoint) {
            mark.failed(attempt.visit.now, self.cooling_off);
        }
        let next = match attempt.tried.add(attempt.endpoint, self.retries) {
            Ok(()) => self.next(&attempt, pools),
            Err(GaveUp) => None,
        };
        let course = match decide(self.mode, attempt.course.standing(), next.map(|next| next.id()))
        {
            Verdict::GiveUp => return Err(GaveUp),
            Verdict::Lend(_) => attempt.course.lent(),
            Verdict::Rebind(_) => attempt.course.rebound(),
        };
        let next = next.ok_or(GaveUp)?;
        attempt.course = course.unless_pinned_to(next.id());
        attempt.endpoint = next.id();
        attempt.position = next.position();
        attempt.pool = next.pool().id();
        Ok(attempt)
    }

    fn next<'p, T>(&self, attempt: &Attempt, pools: &'p Pools<T>) -> Option<EndpointView<'p, T>> {
        let mut drawn = || attempt.drawn;
        let entropy = Entropy::new(&mut drawn);
        let tried = attempt.tried.as_slice();
        let search = self.search(pools, attempt.seeds, &attempt.visit, tried, &entropy);
        // A suspect pin that was passed over comes back before other suspects do.
        let passed_over = attempt.passed_over.filter(|pin| !tried.contains(pin));
        match passed_over.and_then(|pin| pools.endpoint(pin)) {
            Some(pin) if search.takes_pinned(pin, self.drain_duration).is_ok() => {
                search.next_trusted(attempt.pool).or(Some(pin))
            }
            _ => search.next(attempt.pool),
        }
    }

    fn search<'p, 's, T>(
        &'s self,
        pools: &'p Pools<T>,
        seeds: Seeds,
        visit: &Visit,
        tried: &'s [EndpointId],
        entropy: &'s Entropy<'s>,
    ) -> Search<'p, 's, T> {
        Search {
            pools,
            clients: &self.clients,
            client: visit.client,
            seeds,
            entropy,
            tried,
            now: visit.now,
            across_pools: self.across_pools,
            cooling_off: self.cooling_off,
        }
    }

    /// Last, and only after the endpoint has answered: what must the client and the store
    /// be told? If you never settle, nothing was ever promised to the client.
    pub fn settle<T>(&self, attempt: Attempt, pools: &Pools<T>) -> Settlement {
        let now = attempt.visit.now;
        let mark = pools.mark_at(attempt.position, attempt.endpoint);
        if let Some(mark) = mark {
            mark.seen(now);
        }
        let Some(transition) = attempt.transition() else { return Settlement::nothing() };
        let pinned = match transition {
            Transition::Lent { pin, .. } => pools.mark(pin.endpoint),
            Transition::Kept(_) | Transition::Created { .. } | Transition::Moved { .. } => mark,
        };
        if let Some(mark) = pinned {
            self.note(transition, now, mark);
        }
        let served = Served {
            transition,
            claim: attempt.visit.claim,
            record: attempt.record,
            scheme: attempt.visit.scheme,
            now,
        };
        let mut settlement = self.policy.remember(&served);
        settlement.cache_guard = self.cache_guard;
        settlement
    }

    /// The census: a session is noted under the endpoint that it is pinned to.
    fn note(&self, transition: Transition, now: UnixTime, pinned: &Mark) {
        let kept = match transition {
            Transition::Kept(pin) | Transition::Lent { pin, .. } => Some(pin),
            Transition::Created { .. } | Transition::Moved { .. } => None,
        };
        let issued = kept.map_or(now, |pin| pin.issued);
        let end = match (self.policy.life(), kept) {
            (Some(Life::Idle(ttl)), _) | (Some(Life::Absolute(ttl)), None) => {
                now.saturating_add(ttl)
            }
            (Some(Life::Absolute(_)) | None, Some(pin)) => pin.expires,
            (None, None) => UnixTime::MAX,
        };
        pinned.pinned(issued, end);
    }

    /// The cookie to take out of what goes upstream, by [`CookieName::strip`]; `None` for a
    /// policy that has none.
    ///
    /// ```
    /// # use session_affinity::{Affinity, AffinityPolicy};
    /// fn prepare<P: AffinityPolicy>(affinity: &Affinity<P>, headers: &mut http::HeaderMap) {
    ///     if let Some(cookie) = affinity.cookie_name() {
    ///         cookie.strip(headers);
    ///     }
    /// }
    /// ```
    pub fn cookie_name(&self) -> Option<&CookieName> {
        self.policy.cookie_name()
    }

    /// How long the policy's sessions live.
    pub(crate) fn life(&self) -> Option<Life> {
        self.policy.life()
    }

    /// For how long a disabled endpoint drains.
    pub(crate) fn drain_duration(&self) -> DrainDuration {
        self.drain_duration
    }
}

/// The policy is left out: it may hold keys, and need not be `Debug`.
impl<P> fmt::Debug for Affinity<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Affinity")
            .field("load_balancer", &self.load_balancer)
            .field("mode", &self.mode)
            .field("retries", &self.retries)
            .field("across_pools", &self.across_pools)
            .field("drain_duration", &self.drain_duration)
            .field("cooling_off", &self.cooling_off)
            .field("cache_guard", &self.cache_guard)
            .finish_non_exhaustive()
    }
}
