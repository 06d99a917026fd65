//! A node with two pools of two endpoints, and the clients that ask it.

use std::collections::HashSet;

use session_affinity::drain::{Census, Drain};
use session_affinity::failover::{FailoverScope, OnLoss};
use session_affinity::limits::{CoolingOff, DrainDuration, Percent, Retries};
use session_affinity::pools::{LoadShedding, NotInSnapshot, PoolsEdit, ShedBy};
use session_affinity::token::Pin;
use session_affinity::{
    Affinity, AffinityPolicy, Attempt, CookiePolicy, Endpoint, EndpointId, FailoverMode, GaveUp,
    HeaderPolicy, Health, NoRoute, Outcome, Pool, Pools, Record, Settlement, State, Weight,
};

use crate::support::{
    self, Chance, Client, Random, at, codec, cookie_policy, header, keyring, token_of,
};

pub(crate) const NOW: u64 = support::NOW.as_secs();
/// The default lifetime of a cookie session, in seconds.
pub(crate) const TTL: u64 = 82_800;
/// The default idle time of a header session, in seconds.
pub(crate) const IDLE: u64 = 1_800;
pub(crate) const MODES: [FailoverMode; 3] =
    [FailoverMode::None, FailoverMode::Temporary, FailoverMode::Sticky];

/// One node, its snapshot and its clock. By default `eu` has two endpoints and so has `us`,
/// which comes after it.
pub(crate) struct Site<P> {
    pub(crate) affinity: Affinity<P>,
    pub(crate) pools: Pools<()>,
    pub(crate) now: u64,
    /// The answer of the store to every request.
    pub(crate) record: Record,
    /// The number of random numbers drawn so far. Nodes that start at different counts draw
    /// different numbers.
    pub(crate) draws: u64,
}

/// The end of a request that an endpoint has answered.
pub(crate) struct Answered {
    pub(crate) endpoint: EndpointId,
    pub(crate) outcome: Outcome,
    pub(crate) settlement: Settlement,
}

/// A node of the policy `cookie`.
pub(crate) fn site() -> Site<CookiePolicy> {
    Site::new(cookie_policy())
}

/// A node of header sessions, and a client whose record names this endpoint.
pub(crate) fn stored(endpoint: EndpointId) -> (Site<HeaderPolicy>, Client) {
    let mut site = Site::new(header());
    site.record = record(endpoint);
    (site, Client::number(7).with_user("ann"))
}

/// A client with a live session in a cookie.
pub(crate) fn live(endpoint: EndpointId) -> Client {
    Client::number(7).with_pin(pin(endpoint))
}

/// A pin that was issued a minute ago.
pub(crate) fn pin(endpoint: EndpointId) -> Pin {
    Pin { endpoint, issued: at(NOW - 60), expires: at(NOW - 60 + TTL) }
}

/// The record of a header session that was pinned a minute ago.
pub(crate) fn record(endpoint: EndpointId) -> Record {
    Record::Found { endpoint, issued: pin(endpoint).issued }
}

pub(crate) fn eu(number: u8) -> EndpointId {
    EndpointId::new("eu", &format!("eu-{number}"))
}

pub(crate) fn us(number: u8) -> EndpointId {
    EndpointId::new("us", &format!("us-{number}"))
}

/// A pool of this many endpoints, which are named after it.
pub(crate) fn pool(name: &str, endpoints: u8) -> Pool<()> {
    (1..=endpoints).fold(Pool::new(name), |pool, n| {
        pool.with_endpoint(Endpoint::new(format!("{name}-{n}"), ()))
    })
}

/// The pools `eu` and `us` in order, one of which is the fallback pool too.
pub(crate) fn with_fallback(name: &str) -> Pools<()> {
    let in_order = Pools::builder().pool(pool("eu", 2)).pool(pool("us", 2));
    in_order.fallback_in_order(name).build().unwrap()
}

/// The pool `eu` in order, and the fallback pool `us` outside of the order.
pub(crate) fn with_fallback_apart() -> Pools<()> {
    Pools::builder().pool(pool("eu", 2)).fallback_apart(pool("us", 2)).build().unwrap()
}

/// The pin in a settlement's cookie.
pub(crate) fn pin_in(settlement: &Settlement, now: u64) -> Option<Pin> {
    codec(&keyring()).open(token_of(settlement)?.as_bytes(), at(now)).ok()
}

/// Returns whether a settlement writes neither a cookie nor a record.
pub(crate) fn is_nothing(settlement: &Settlement) -> bool {
    settlement.set_cookie().is_none() && settlement.store_write.is_none()
}

impl<P: AffinityPolicy> Site<P> {
    pub(crate) fn new(policy: P) -> Self {
        let pools = Pools::builder().pool(pool("eu", 2)).pool(pool("us", 2)).build().unwrap();
        Self { affinity: Affinity::new(policy), pools, now: NOW, record: Record::Absent, draws: 0 }
    }

    pub(crate) fn with(mut self, change: impl FnOnce(Affinity<P>) -> Affinity<P>) -> Self {
        self.affinity = change(self.affinity);
        self
    }

    pub(crate) fn mode(self, mode: FailoverMode) -> Self {
        self.with(|affinity| affinity.with_failover_mode(mode).unwrap())
    }

    pub(crate) fn across_pools(self) -> Self {
        self.with(|affinity| affinity.with_failover_scope(FailoverScope::AllPools))
    }

    pub(crate) fn retries(self, retries: u64) -> Self {
        self.with(|affinity| affinity.with_retries(Retries::new(retries).unwrap()))
    }

    pub(crate) fn cooling_off(self, seconds: u64) -> Self {
        self.with(|affinity| affinity.with_cooling_off(CoolingOff::new(seconds).unwrap()))
    }

    pub(crate) fn on_loss(self, on_loss: OnLoss) -> Self {
        self.with(|affinity| affinity.with_on_loss(on_loss))
    }

    pub(crate) fn drain(self, seconds: u64) -> Self {
        self.with(|affinity| affinity.with_drain_duration(DrainDuration::new(seconds).unwrap()))
    }

    pub(crate) fn pools(mut self, pools: Pools<()>) -> Self {
        self.pools = pools;
        self
    }

    pub(crate) fn edit(
        &mut self,
        change: impl FnOnce(&mut PoolsEdit<()>) -> Result<(), NotInSnapshot>,
    ) {
        self.pools = self.pools.edited(change).unwrap();
    }

    pub(crate) fn unhealthy(&mut self, endpoints: &[EndpointId]) {
        self.edit(|edit| endpoints.iter().try_for_each(|id| edit.health(*id, Health::Unhealthy)));
    }

    pub(crate) fn unchecked(&mut self, endpoints: &[EndpointId]) {
        self.edit(|edit| endpoints.iter().try_for_each(|id| edit.health(*id, Health::Unchecked)));
    }

    pub(crate) fn disable(&mut self, endpoint: EndpointId, since: Option<u64>) {
        self.edit(|edit| edit.state(endpoint, State::Disabled { at: since.map(at) }));
    }

    pub(crate) fn disable_pool(&mut self, pool: &str, since: Option<u64>) {
        self.edit(|edit| edit.pool_state(pool, State::Disabled { at: since.map(at) }));
    }

    pub(crate) fn weight(&mut self, endpoint: EndpointId, weight: u64) {
        self.edit(|edit| edit.weight(endpoint, Weight::new(weight).unwrap()));
    }

    pub(crate) fn shed(&mut self, pool: &str, default: u64, session: u64) {
        let shedding = LoadShedding {
            default_percent: Percent::new(default).unwrap(),
            shed_by: ShedBy::Hash,
            session_percent: Percent::new(session).unwrap(),
        };
        self.edit(|edit| edit.pool_shedding(pool, shedding));
    }

    pub(crate) fn route(&mut self, client: &Client) -> Result<Attempt, NoRoute> {
        let visit = self.affinity.recall(&client.request(), at(self.now));
        // The answer to it is the record of the row.
        let _ = visit.lookup();
        let draws = &mut self.draws;
        let (attempt, ()) = self.affinity.route(visit, self.record, &self.pools, || {
            *draws += 1;
            Random(*draws).next()
        })?;
        Ok(attempt)
    }

    pub(crate) fn failover(&self, attempt: Attempt) -> Result<Attempt, GaveUp> {
        self.affinity.failover(attempt, &self.pools).map(|(next, ())| next)
    }

    pub(crate) fn answer(&mut self, client: &Client) -> Answered {
        let attempt = self.route(client).unwrap();
        self.settle(attempt)
    }

    pub(crate) fn settle(&self, attempt: Attempt) -> Answered {
        let (endpoint, outcome) = (attempt.endpoint(), attempt.outcome());
        Answered { endpoint, outcome, settlement: self.affinity.settle(attempt, &self.pools) }
    }

    /// Routes a request, has this many connections refused, then an answer.
    pub(crate) fn after(&mut self, failures: usize, client: &Client) -> Answered {
        let mut attempt = self.route(client).unwrap();
        for _ in 0..failures {
            attempt = self.failover(attempt).unwrap();
        }
        self.settle(attempt)
    }

    /// Routes a request, has one connection refused, and returns whether that ends the request.
    pub(crate) fn gives_up(&mut self, client: &Client) -> bool {
        let attempt = self.route(client).unwrap();
        self.failover(attempt).is_err()
    }

    /// The endpoints of 64 new sessions, which differ in address and in random number.
    pub(crate) fn new_sessions(&mut self) -> HashSet<EndpointId> {
        (0..64)
            .filter_map(|number| Some(self.route(&Client::number(number)).ok()?.endpoint()))
            .collect()
    }

    /// The two columns of the endpoint table: takes its pinned sessions, takes new ones.
    pub(crate) fn takes(&mut self, endpoint: EndpointId) -> (bool, bool) {
        let kept =
            self.route(&live(endpoint)).is_ok_and(|attempt| attempt.outcome() == Outcome::Kept);
        (kept, self.new_sessions().contains(&endpoint))
    }

    pub(crate) fn drain_of(&self, endpoint: EndpointId) -> Drain {
        self.drain_by(endpoint, self.census(endpoint))
    }

    /// The drain of an endpoint by the census of several nodes.
    pub(crate) fn drain_by(&self, endpoint: EndpointId, census: Census) -> Drain {
        self.affinity.drain(self.pools.endpoint(endpoint).unwrap(), census, at(self.now))
    }

    pub(crate) fn census(&self, endpoint: EndpointId) -> Census {
        self.pools.endpoint(endpoint).unwrap().census()
    }
}
