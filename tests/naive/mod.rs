//! The tables of manual::tables once more, written as plainly as possible: lists, loops and copies,
//! row by row in the order of the text. Where a rendezvous decides among several endpoints, all of
//! them are permitted here.

#![allow(dead_code, unused_imports)] // Each test uses its part.

mod order;

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

pub(crate) use order::{Sources, drawn};

use session_affinity::failover::{MoveWithin, OnLoss};
use session_affinity::limits::{BoundedLoad, Percent};
use session_affinity::outcome::{Created, Lent, Lost, Moved};
use session_affinity::pools::{LoadShedding, NotInSnapshot, PoolsBuilder, PoolsEdit, ShedBy};
use session_affinity::steering::{IpHash, Random, Room};
use session_affinity::store::SessionKey;
use session_affinity::{
    Endpoint, EndpointId, FailoverMode, Health, Outcome, Pool, Pools, Record, State, UnixTime,
    Weight,
};
use sha2::{Digest, Sha256};
use siphasher::sip::SipHasher24;

/// The rules of the whole load balancer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) mode: FailoverMode,
    pub(crate) retries: usize,
    pub(crate) across_pools: bool,
    pub(crate) drain_duration: u64,
    pub(crate) cooling_off: u64,
    pub(crate) on_loss: OnLoss,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            mode: FailoverMode::None,
            retries: 1,
            across_pools: false,
            drain_duration: 0,
            cooling_off: 0,
            on_loss: OnLoss::Move,
        }
    }
}

/// The state that the operator has set: enabled, or disabled, perhaps with the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Enabled,
    Disabled(Option<u64>),
}

impl Service {
    pub(crate) fn state(self) -> State {
        match self {
            Self::Enabled => State::Enabled,
            Self::Disabled(at) => State::Disabled { at: at.map(UnixTime::from_secs) },
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct NaiveEndpoint {
    pub(crate) name: &'static str,
    pub(crate) id: EndpointId,
    pub(crate) weight: u8,
    pub(crate) health: Health,
    pub(crate) service: Service,
    /// The end of the time as a suspect.
    pub(crate) suspect_until: u64,
    /// Passive failures since the last answer, those while already suspect not counted.
    pub(crate) failures: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct NaivePool {
    pub(crate) name: &'static str,
    /// A fallback pool may stand apart from the failover order.
    pub(crate) in_order: bool,
    pub(crate) weight: u8,
    pub(crate) service: Service,
    pub(crate) minimum_origins: u32,
    pub(crate) default_percent: u8,
    pub(crate) default_by_hash: bool,
    pub(crate) session_percent: u8,
    /// The address chooses among the endpoints, where no pin or key does.
    pub(crate) by_address: bool,
    /// The endpoints without room; `None` in a pool without a rule.
    pub(crate) crowd: Option<Crowd>,
    pub(crate) endpoints: Vec<NaiveEndpoint>,
}

/// The endpoints without room, shared with the rule of the crate's pools: a list of them, or with a
/// bound their loads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Crowd {
    full: Arc<Mutex<HashSet<EndpointId>>>,
    loads: Arc<Mutex<HashMap<EndpointId, u32>>>,
    /// `percent` and `at_least`; `None` with a predicate.
    bound: Option<(u64, u64)>,
}

impl Crowd {
    pub(crate) fn bounded(percent: u64, at_least: u64) -> Self {
        Self { bound: Some((percent, at_least)), ..Self::default() }
    }

    pub(crate) fn set(&self, endpoints: &[EndpointId]) {
        *self.full.lock().unwrap() = endpoints.iter().copied().collect();
    }

    pub(crate) fn set_load(&self, id: EndpointId, load: u32) {
        self.loads.lock().unwrap().insert(id, load);
    }

    /// Takes the room of an endpoint that has some, and gives it to one that has none.
    pub(crate) fn flip(&self, id: EndpointId) {
        let mut full = self.full.lock().unwrap();
        if !full.remove(&id) {
            full.insert(id);
        }
    }

    pub(crate) fn has(&self, id: EndpointId) -> bool {
        self.full.lock().unwrap().contains(&id)
    }

    fn load(&self, id: EndpointId) -> u32 {
        self.loads.lock().unwrap().get(&id).copied().unwrap_or(0)
    }

    pub(crate) fn room(&self) -> Room<EndpointId> {
        let crowd = self.clone();
        match self.bound {
            None => Room::full_when(move |id| crowd.has(*id)),
            Some((percent, at_least)) => {
                let bound = BoundedLoad::new(percent, at_least).unwrap();
                Room::bounded(bound, move |id: &EndpointId| crowd.load(*id))
            }
        }
    }

    /// manual::tables, Room: "load + 1  ≤  max(at_least, ceil(percent / 100 × (total + 1) × weight /
    /// weights))", where "*total* and *weights* are sums over the endpoints of the pool that take new
    /// sessions". With a predicate those on the list are full.
    fn is_full(&self, e: &NaiveEndpoint, pool: &NaivePool) -> bool {
        let Some((percent, at_least)) = self.bound else { return self.has(e.id) };
        let takers = || pool.endpoints.iter().filter(|e| pool.takes_new(e));
        let total: u64 = takers().map(|e| u64::from(self.load(e.id))).sum();
        let weights: u64 = takers().map(|e| u64::from(e.weight)).sum();
        let share = (percent * (total + 1) * u64::from(e.weight)).div_ceil(100 * weights);
        u64::from(self.load(e.id)) + 1 > at_least.max(share)
    }
}

/// All pools and all rules.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) rules: Rules,
    pub(crate) pools: Vec<NaivePool>,
    pub(crate) fallback: Option<usize>,
    /// The pools are steered, by their weights.
    pub(crate) is_steered: bool,
    /// All pools in the order that was drawn for this request, if the pools are steered.
    pub(crate) drawn: Option<Vec<usize>>,
    pub(crate) move_within: Option<MoveWithin>,
    /// The endpoints that were removed, with their pools.
    pub(crate) removed: Vec<(EndpointId, usize)>,
}

/// The session that a request states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Session {
    Live(EndpointId),
    /// Live, by the cookie of another system.
    Foreign(EndpointId),
    New(Created),
    Unbound,
}

impl Session {
    pub(crate) fn pinned(self) -> Option<EndpointId> {
        match self {
            Self::Live(pin) | Self::Foreign(pin) => Some(pin),
            Self::New(_) | Self::Unbound => None,
        }
    }

    /// The outcome at its own endpoint.
    pub(crate) fn at_home(self) -> Outcome {
        match self {
            Self::Foreign(_) => Outcome::Migrated,
            _ => Outcome::Kept,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub(crate) now: u64,
    pub(crate) session: Session,
    /// The client's shedding hash, if its address is known.
    pub(crate) hash: Option<u64>,
    /// The shedding hash of the session key, for a request with one.
    pub(crate) key_hash: Option<u64>,
}

/// One endpoint that may be tried now, and the outcome for the session if it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) endpoint: EndpointId,
    pub(crate) outcome: Outcome,
}

/// The write that follows once an endpoint has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    Nothing,
    SetCookie,
    Touch,
    Create,
    Replace,
}

impl NaivePool {
    pub(crate) fn new(name: &'static str, endpoints: &[&'static str]) -> Self {
        Self {
            name,
            in_order: true,
            weight: 100,
            service: Service::Enabled,
            minimum_origins: 1,
            default_percent: 0,
            default_by_hash: false,
            session_percent: 0,
            by_address: false,
            crowd: None,
            endpoints: endpoints
                .iter()
                .map(|endpoint| NaiveEndpoint::new(name, endpoint))
                .collect(),
        }
    }

    pub(crate) fn shedding(&self) -> LoadShedding {
        LoadShedding {
            default_percent: Percent::new(self.default_percent.into()).unwrap(),
            shed_by: if self.default_by_hash { ShedBy::Hash } else { ShedBy::Random },
            session_percent: Percent::new(self.session_percent.into()).unwrap(),
        }
    }

    /// States what these pools do not know from before.
    fn described(&self, before: Option<&Pools<EndpointId>>) -> Pool<EndpointId> {
        let mut pool = Pool::new(self.name);
        pool.room = self.crowd.as_ref().map(Crowd::room);
        if self.by_address {
            pool = pool.with_steering(IpHash);
        }
        if before.is_none_or(|before| before.pool(self.name).is_none()) {
            pool = pool
                .with_state(self.service.state())
                .with_weight(Weight::new(self.weight.into()).unwrap())
                .with_minimum_origins(self.minimum_origins)
                .with_shedding(self.shedding());
        }
        let endpoint = |e: &NaiveEndpoint| match before.and_then(|before| before.endpoint(e.id)) {
            Some(_) => Endpoint::new(e.name, e.id),
            None => e.described(),
        };
        pool.with_endpoints(self.endpoints.iter().map(endpoint))
    }

    /// manual::concepts, Words: "*critical* pool | fewer than `minimum_origins` of its endpoints
    /// are healthy and enabled". manual::tables, The endpoint: "An endpoint of weight 0 counts; a
    /// draining one, and one not checked yet, does not."
    pub(crate) fn is_critical(&self) -> bool {
        let good = self
            .endpoints
            .iter()
            .filter(|e| e.is_healthy() && e.service == Service::Enabled)
            .count();
        good < self.minimum_origins as usize
    }

    /// manual::concepts, Words: "*open* pool | enabled, not critical, and one of its endpoints
    /// takes new sessions"
    pub(crate) fn is_open(&self) -> bool {
        let enabled = self.service == Service::Enabled;
        enabled && !self.is_critical() && self.endpoints.iter().any(|e| self.takes_new(e))
    }

    /// manual::tables, The endpoint: the column "gets new ones".
    pub(crate) fn takes_new(&self, e: &NaiveEndpoint) -> bool {
        e.is_healthy()
            && e.service == Service::Enabled
            && self.service == Service::Enabled
            && e.weight > 0
    }
}

impl NaiveEndpoint {
    fn new(pool: &str, name: &'static str) -> Self {
        let id = EndpointId::new(pool, name);
        Self {
            name,
            id,
            weight: 100,
            health: Health::Healthy,
            service: Service::Enabled,
            suspect_until: 0,
            failures: 0,
        }
    }

    /// Its target is its id, so that a target tells its endpoint.
    fn described(&self) -> Endpoint<EndpointId> {
        Endpoint::new(self.name, self.id)
            .with_weight(self.weight())
            .with_health(self.health)
            .with_state(self.service.state())
    }

    fn weight(&self) -> Weight {
        Weight::new(self.weight.into()).unwrap()
    }

    /// manual::tables, The endpoint: "not checked yet" is neither healthy nor unhealthy.
    pub(crate) fn is_healthy(&self) -> bool {
        self.health == Health::Healthy
    }
}

impl World {
    pub(crate) fn new(pools: Vec<NaivePool>) -> Self {
        Self {
            rules: Rules::default(),
            pools,
            fallback: None,
            is_steered: false,
            drawn: None,
            move_within: None,
            removed: Vec::new(),
        }
    }

    /// The same pools for the crate, of which everything is stated.
    pub(crate) fn describe(&self, builder: PoolsBuilder<EndpointId>) -> Pools<EndpointId> {
        self.add_to(builder, None)
    }

    /// The same pools for the crate, of which only what is new is stated. manual::gateways,
    /// Changing the endpoints: "An endpoint that stays keeps its health, weight and state".
    ///
    /// For one half of all lists, each pool gets its endpoints by itself first; for the other half the
    /// rebuild alone makes all changes.
    pub(crate) fn rebuild(&self, before: &Pools<EndpointId>) -> Pools<EndpointId> {
        let mut next = before.clone();
        let endpoints: usize = self.pools.iter().map(|pool| pool.endpoints.len()).sum();
        for pool in self.pools.iter().filter(|_| endpoints.is_multiple_of(2)) {
            if next.pool(pool.name).is_some() {
                let endpoints = pool.described(Some(&next)).endpoints;
                let changed = next.with_endpoints_of(pool.name, endpoints, Health::Unchecked);
                next = changed.unwrap();
            }
        }
        self.add_to(next.rebuild(), Some(&next))
    }

    fn add_to(
        &self,
        mut builder: PoolsBuilder<EndpointId>,
        before: Option<&Pools<EndpointId>>,
    ) -> Pools<EndpointId> {
        for (index, pool) in self.pools.iter().enumerate() {
            builder = match (pool.in_order, self.fallback == Some(index)) {
                (true, _) => builder.pool(pool.described(before)),
                (false, true) => builder.fallback_apart(pool.described(before)),
                (false, false) => builder,
            };
        }
        if let Some(index) = self.fallback {
            let pool = &self.pools[index];
            if pool.in_order {
                builder = builder.fallback_in_order(pool.name);
            }
        }
        if self.is_steered {
            builder = builder.with_pool_steering(Random);
        }
        builder.build().unwrap()
    }

    /// A changed copy of the crate's snapshot that says the same as this world. The
    /// membership is the same.
    pub(crate) fn edit(&self, pools: &Pools<EndpointId>) -> Pools<EndpointId> {
        let known = |pool: &&NaivePool| pools.pool(pool.name).is_some();
        let change = |edit: &mut PoolsEdit<_>| -> Result<(), NotInSnapshot> {
            for pool in self.pools.iter().filter(known) {
                edit.pool_state(pool.name, pool.service.state())?;
                edit.pool_minimum_origins(pool.name, pool.minimum_origins)?;
                edit.pool_shedding(pool.name, pool.shedding())?;
                edit.pool_weight(pool.name, Weight::new(pool.weight.into()).unwrap())?;
                for endpoint in &pool.endpoints {
                    edit.health(endpoint.id, endpoint.health)?;
                    edit.state(endpoint.id, endpoint.service.state())?;
                    edit.weight(endpoint.id, endpoint.weight())?;
                }
            }
            Ok(())
        };
        pools.edited(change).unwrap()
    }

    pub(crate) fn find(&self, id: EndpointId) -> Option<(usize, NaiveEndpoint)> {
        self.pools.iter().enumerate().find_map(|(index, pool)| {
            let known = pool.in_order || self.fallback == Some(index);
            Some((index, *pool.endpoints.iter().find(|e| known && e.id == id)?))
        })
    }

    fn endpoint_mut(&mut self, id: EndpointId) -> Option<&mut NaiveEndpoint> {
        self.pools.iter_mut().flat_map(|pool| &mut pool.endpoints).find(|e| e.id == id)
    }

    /// Both the endpoint and its pool are enabled.
    fn in_service(&self, pool: usize, e: &NaiveEndpoint) -> bool {
        e.service == Service::Enabled && self.pools[pool].service == Service::Enabled
    }

    /// manual::tables, The endpoint: "An endpoint *drains* for `drain_duration` seconds from the
    /// moment that it was disabled. A disabled pool drains all its endpoints; where both are
    /// disabled, the earlier end counts. Disabled without a time stamp means that the drain is
    /// over." With a duration of 0 it is over too.
    pub(crate) fn is_draining(&self, pool: usize, e: &NaiveEndpoint, now: u64) -> bool {
        let drain = self.rules.drain_duration;
        let disabled =
            [e.service, self.pools[pool].service].into_iter().filter(|s| *s != Service::Enabled);
        let goes_on = |service| matches!(service, Service::Disabled(Some(at)) if now < at + drain);
        drain > 0 && !self.in_service(pool, e) && disabled.into_iter().all(goes_on)
    }

    /// manual::tables, The endpoint: the column "serves the sessions pinned to it".
    pub(crate) fn takes_pinned(&self, pool: usize, e: &NaiveEndpoint, now: u64) -> bool {
        e.health != Health::Unhealthy
            && (self.in_service(pool, e) || self.is_draining(pool, e, now))
    }

    /// manual::tables, Cooling off: "Off by default (`cooling_off` is 0)."
    pub(crate) fn is_suspect(&self, e: &NaiveEndpoint, now: u64) -> bool {
        self.rules.cooling_off > 0 && now < e.suspect_until
    }

    /// manual::tables, Cooling off: "a passive failure makes its endpoint *suspect* for that many
    /// seconds, on this node. When it fails again afterwards the time doubles, up to eight times".
    /// A failure of an endpoint that is suspect already does not double the time.
    pub(crate) fn failed(&mut self, id: EndpointId, now: u64) {
        let cooling_off = self.rules.cooling_off;
        let Some(e) = self.endpoint_mut(id) else { return };
        if cooling_off == 0 || now < e.suspect_until {
            return;
        }
        e.failures += 1;
        e.suspect_until = now + (cooling_off * (1 << (e.failures - 1).min(3)));
    }

    /// manual::tables, Cooling off: "one answer ends it."
    pub(crate) fn answered(&mut self, id: EndpointId) {
        if let Some(e) = self.endpoint_mut(id) {
            e.suspect_until = 0;
            e.failures = 0;
        }
    }

    /// The open pools, in failover order.
    pub(crate) fn open(&self) -> Vec<usize> {
        (0..self.pools.len())
            .filter(|index| self.pools[*index].in_order && self.pools[*index].is_open())
            .collect()
    }

    /// The open pools in the order of this request. manual::tables, The order of pools: "A pool of
    /// weight 0 takes no new session while an open pool of more weight is there […] While only such
    /// pools are open they are used as given. With `off` weights do not count."
    fn ordered(&self) -> Vec<usize> {
        let open = self.open();
        let Some(drawn) = &self.drawn else { return open };
        let is_weighted = |pool: &usize| open.contains(pool) && self.pools[*pool].weight > 0;
        let weighted: Vec<usize> = drawn.iter().copied().filter(is_weighted).collect();
        if weighted.is_empty() { open } else { weighted }
    }

    /// The open pools for a session that leaves an endpoint of this pool: the two rows of
    /// `move_within`, with their defaults.
    fn ordered_from(&self, own: Option<usize>) -> Vec<usize> {
        let default = if self.drawn.is_some() { MoveWithin::OwnPool } else { MoveWithin::Order };
        let mut pools = self.ordered();
        if let Some(own) = own.filter(|own| self.open().contains(own))
            && self.move_within.unwrap_or(default) == MoveWithin::OwnPool
        {
            pools.retain(|pool| *pool != own);
            pools.insert(0, own);
        }
        pools
    }

    /// The open pools for a live session that this pool sheds. manual::tables, The order of pools:
    /// "a pool after its own. Where `steering_policy` is not `off` …: it moves to the first of the
    /// other pools in its order that does not shed it in turn."
    fn ordered_after(&self, own: usize, ask: &Ask) -> Vec<usize> {
        let mut pools = self.ordered();
        match self.drawn {
            // A pool apart from the order has none after it.
            None => pools.retain(|pool| self.pools[own].in_order && *pool > own),
            Some(_) => pools.retain(|pool| *pool != own && !self.sheds_session(*pool, ask)),
        }
        pools
    }

    /// manual::tables, Room: "An endpoint that takes no new sessions (draining, weight 0, not checked
    /// yet) is never full".
    pub(crate) fn is_full(&self, pool: usize, e: &NaiveEndpoint) -> bool {
        let pool = &self.pools[pool];
        pool.takes_new(e) && pool.crowd.as_ref().is_some_and(|crowd| crowd.is_full(e, pool))
    }

    /// manual::tables, Room: "those with room come first, then full ones, then suspects".
    fn rank(&self, pool: usize, e: &NaiveEndpoint, now: u64) -> usize {
        if self.is_suspect(e, now) { 2 } else { usize::from(self.is_full(pool, e)) }
    }

    /// The endpoints that may be chosen first, of these pools in this order. manual::tables,
    /// Cooling off: "Suspects come last in their pool, and before other pools unless
    /// `failover_across_pools` is on."
    fn first_of(&self, pools: &[usize], tried: &[EndpointId], now: u64) -> Vec<EndpointId> {
        let of = |index: &usize, rank: usize| -> Vec<EndpointId> {
            let pool = &self.pools[*index];
            let eligible = |e: &&NaiveEndpoint| {
                pool.takes_new(e) && !tried.contains(&e.id) && self.rank(*index, e, now) == rank
            };
            pool.endpoints.iter().filter(eligible).map(|e| e.id).collect()
        };
        let mut groups = Vec::new();
        if self.rules.across_pools {
            groups.extend((0..3).flat_map(|rank| pools.iter().map(move |pool| of(pool, rank))));
        } else {
            groups.extend(pools.iter().flat_map(|pool| (0..3).map(move |rank| of(pool, rank))));
        }
        groups.into_iter().find(|group| !group.is_empty()).unwrap_or_default()
    }

    /// manual::tables, The session: "the fallback pool: an endpoint that takes new sessions; where
    /// there is no such endpoint, any enabled one with a weight, its health ignored". The pool is
    /// enabled; its `minimum_origins` and shedding are ignored. Full ones come after those with room
    /// here too, and suspects last.
    fn of_fallback(&self, now: u64) -> Vec<EndpointId> {
        let Some(index) = self.fallback else { return Vec::new() };
        let pool = &self.pools[index];
        let takers: Vec<&NaiveEndpoint> =
            pool.endpoints.iter().filter(|e| pool.takes_new(e)).collect();
        let enabled: Vec<&NaiveEndpoint> =
            pool.endpoints.iter().filter(|e| self.in_service(index, e) && e.weight > 0).collect();
        let usable = if takers.is_empty() { enabled } else { takers };
        let of = |rank: usize| -> Vec<EndpointId> {
            let wanted = usable.iter().filter(|e| self.rank(index, e, now) == rank);
            wanted.map(|e| e.id).collect()
        };
        (0..3).map(of).find(|group| !group.is_empty()).unwrap_or_default()
    }

    /// manual::tables, The session: "it is pinned to an enabled endpoint of the enabled fallback
    /// pool, no pool is open, and no endpoint of the fallback pool takes new sessions either".
    pub(crate) fn is_last_resort(&self, pool: usize, e: &NaiveEndpoint) -> bool {
        let fallback = &self.pools[pool];
        self.fallback == Some(pool)
            && self.in_service(pool, e)
            && self.open().is_empty()
            && !fallback.endpoints.iter().any(|e| fallback.takes_new(e))
    }

    /// The endpoints that may take a new session when exactly these pools shed it.
    fn for_new(&self, sheds: &dyn Fn(usize) -> bool, now: u64) -> Vec<EndpointId> {
        let open = self.ordered();
        let willing: Vec<usize> = open.iter().copied().filter(|pool| !sheds(*pool)).collect();
        if !willing.is_empty() {
            return self.first_of(&willing, &[], now);
        }
        // manual::tables, Shedding: "New, and shed by every open pool: the fallback pool, and
        // without one the first open pool after all."
        let fallback = self.of_fallback(now);
        if fallback.is_empty() { self.first_of(&open, &[], now) } else { fallback }
    }

    /// All endpoints that may take a new session: where a pool's shedding is drawn, both ways.
    fn all_for_new(&self, ask: &Ask) -> Vec<EndpointId> {
        let share = |pool: usize| -> Option<bool> {
            let pool = &self.pools[pool];
            match (pool.default_percent, pool.default_by_hash, ask.hash) {
                (0, ..) => Some(false),
                (100, ..) => Some(true),
                (percent, true, Some(hash)) => Some(is_shed(hash, percent)),
                _ => None,
            }
        };
        let mut all = Vec::new();
        for drawn in 0..1_u32 << self.pools.len() {
            let sheds = |pool: usize| share(pool).unwrap_or(drawn & (1 << pool) != 0);
            all.extend(self.for_new(&sheds, ask.now));
        }
        all.sort();
        all.dedup();
        all
    }

    /// Returns whether this pool sheds this live session. manual::tables, Shedding: "Live sessions
    /// are shed by a hash of the client's address, and those of `header` by a hash of the session
    /// key".
    pub(crate) fn sheds_session(&self, pool: usize, ask: &Ask) -> bool {
        let percent = self.pools[pool].session_percent;
        ask.key_hash.or(ask.hash).is_some_and(|hash| is_shed(hash, percent))
    }

    /// The reason for which a live session's endpoint does not serve it. manual::tables, A lost
    /// endpoint: "Where several reasons hold, disabled and drained come before unhealthy."
    fn why_lost(&self, pool: usize, e: &NaiveEndpoint, now: u64) -> Lost {
        if !self.in_service(pool, e) && !self.is_draining(pool, e, now) {
            if self.rules.drain_duration == 0 { Lost::Disabled } else { Lost::Drained }
        } else {
            Lost::Unhealthy
        }
    }

    /// manual::tables, A lost endpoint: the row of `on_loss`.
    fn lost(&self, reason: Lost, own: Option<usize>, now: u64) -> Result<Vec<Step>, Outcome> {
        let moved = Outcome::Moved(match reason {
            Lost::Unhealthy => Moved::Unhealthy,
            Lost::Removed => Moved::Removed,
            Lost::Disabled => Moved::Disabled,
            Lost::Drained => Moved::Drained,
            reason => panic!("the tables do not know {reason:?}"),
        });
        let outcome = match self.rules.on_loss {
            OnLoss::Move => moved,
            OnLoss::Lend if reason == Lost::Unhealthy => Outcome::Lent(Lent::Unhealthy),
            OnLoss::Lend => moved,
            OnLoss::Refuse => return Err(Outcome::Lost(reason)),
        };
        // manual::tables, The session: "moved to the first open pool"; where "no pool is open", to
        // the fallback pool.
        let open = self.first_of(&self.ordered_from(own), &[], now);
        let to = if open.is_empty() { self.of_fallback(now) } else { open };
        Ok(to.into_iter().map(|endpoint| Step { endpoint, outcome }).collect())
    }

    /// All steps that manual::tables, The session, permits now; or the outcome of a request that
    /// has none.
    pub(crate) fn route(&self, ask: &Ask) -> Result<Vec<Step>, Outcome> {
        let steps = self.steps(ask)?;
        if steps.is_empty() { Err(Outcome::NoEndpoint) } else { Ok(steps) }
    }

    fn steps(&self, ask: &Ask) -> Result<Vec<Step>, Outcome> {
        let all = |endpoints: Vec<EndpointId>, outcome| -> Result<Vec<Step>, Outcome> {
            Ok(endpoints.into_iter().map(|endpoint| Step { endpoint, outcome }).collect())
        };
        let now = ask.now;
        let pinned = match ask.session {
            Session::Unbound => return all(self.all_for_new(ask), Outcome::Unbound),
            Session::New(reason) => return all(self.all_for_new(ask), Outcome::Created(reason)),
            Session::Live(pinned) | Session::Foreign(pinned) => pinned,
        };
        // manual::tables, The session: "where another one is kept, it is migrated".
        let kept = Ok(vec![Step { endpoint: pinned, outcome: ask.session.at_home() }]);
        let Some((pool, e)) = self.find(pinned) else {
            let own = self.removed.iter().find(|(id, _)| *id == pinned).map(|(_, pool)| *pool);
            return self.lost(Lost::Removed, own, now);
        };
        // "kept, its health ignored: there is nothing better"
        if self.is_last_resort(pool, &e) {
            return kept;
        }
        if !self.takes_pinned(pool, &e, now) {
            return self.lost(self.why_lost(pool, &e, now), Some(pool), now);
        }
        if self.sheds_session(pool, ask) {
            let mut to = self.first_of(&self.ordered_after(pool, ask), &[], now);
            if to.is_empty() && self.fallback != Some(pool) {
                to = self.of_fallback(now);
            }
            return if to.is_empty() { kept } else { all(to, Outcome::Moved(Moved::Shed)) };
        }
        if self.is_suspect(&e, now) {
            let others = self.others(pool, &[], now);
            return match self.rules.mode {
                _ if others.is_empty() => kept,
                FailoverMode::None => kept,
                FailoverMode::Temporary => all(others, Outcome::Lent(Lent::Suspect)),
                FailoverMode::Sticky => all(others, Outcome::Moved(Moved::Suspect)),
            };
        }
        if self.is_full(pool, &e) {
            let others = self.with_room(pool, &[], now);
            return match self.rules.mode {
                _ if others.is_empty() => kept,
                FailoverMode::None => kept,
                FailoverMode::Temporary => all(others, Outcome::Lent(Lent::Full)),
                FailoverMode::Sticky => all(others, Outcome::Moved(Moved::Full)),
            };
        }
        kept
    }

    /// The pools that failover tries from this one: the pool itself, then perhaps the other open
    /// ones.
    fn reachable(&self, own: usize) -> Vec<usize> {
        let mut pools = vec![own];
        if self.rules.across_pools {
            pools.extend(self.ordered().into_iter().filter(|pool| *pool != own));
        }
        pools
    }

    /// The endpoints that failover may try next and that are not suspect.
    fn others(&self, own: usize, tried: &[EndpointId], now: u64) -> Vec<EndpointId> {
        let mut first = self.first_of(&self.reachable(own), tried, now);
        first.retain(|id| self.find(*id).is_some_and(|(_, e)| !self.is_suspect(&e, now)));
        first
    }

    /// Those of them that have room.
    fn with_room(&self, own: usize, tried: &[EndpointId], now: u64) -> Vec<EndpointId> {
        let mut first = self.others(own, tried, now);
        first.retain(|id| self.find(*id).is_some_and(|(pool, e)| !self.is_full(pool, &e)));
        first
    }
}

/// A request on its way.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    ask: Ask,
    pub(crate) step: Step,
    tried: Vec<EndpointId>,
    /// Its pin, suspect or full, was passed over.
    skipped: bool,
}

impl Walk {
    /// The crate has chosen one of the permitted steps.
    pub(crate) fn begin(ask: Ask, step: Step) -> Self {
        let skipped = matches!(
            step.outcome,
            Outcome::Lent(Lent::Suspect | Lent::Full)
                | Outcome::Moved(Moved::Suspect | Moved::Full)
        );
        Self { ask, step, tried: Vec::new(), skipped }
    }

    pub(crate) fn go_on(&mut self, step: Step) {
        self.step = step;
    }

    /// All steps that manual::tables, A failed connection, permits after a passive failure. An
    /// empty list means giving up.
    pub(crate) fn fail(&mut self, world: &mut World) -> Vec<Step> {
        let (now, Step { endpoint: failed, outcome }) = (self.ask.now, self.step);
        world.failed(failed, now);
        self.tried.push(failed);
        let pinned = matches!(outcome, Outcome::Kept | Outcome::Migrated | Outcome::Lent(_));
        if self.tried.len() > world.rules.retries
            || (pinned && world.rules.mode == FailoverMode::None)
        {
            return Vec::new();
        }
        let Some((own, _)) = world.find(failed) else { return Vec::new() };
        let live = self.ask.session.pinned();
        let mut next = world.first_of(&world.reachable(own), &self.tried, now);
        // manual::tables, Cooling off: "Where no other endpoint is left, the suspect is tried." A
        // suspect pin that was passed over comes after all trusted endpoints and before other
        // suspects. manual::tables, Room: a full one after those with room and before other full ones.
        let back = |pin: &EndpointId| {
            let takes = |(pool, e): (usize, NaiveEndpoint)| world.takes_pinned(pool, &e, now);
            self.skipped && !self.tried.contains(pin) && world.find(*pin).is_some_and(takes)
        };
        if let Some(pin) = live.filter(back) {
            let is_suspect = world.find(pin).is_some_and(|(_, e)| world.is_suspect(&e, now));
            let tried = &self.tried;
            let better = match is_suspect {
                true => world.others(own, tried, now),
                false => world.with_room(own, tried, now),
            };
            next = if better.is_empty() { vec![pin] } else { better };
        }
        let outcome = match outcome {
            Outcome::Kept | Outcome::Migrated | Outcome::Lent(_)
                if world.rules.mode == FailoverMode::Temporary =>
            {
                Outcome::Lent(Lent::ConnectFailed)
            }
            Outcome::Kept | Outcome::Migrated | Outcome::Lent(_) | Outcome::Moved(_) => {
                Outcome::Moved(Moved::ConnectFailed)
            }
            Outcome::Created(_) => Outcome::Created(Created::ConnectFailed),
            other => other,
        };
        let step = |endpoint| match live {
            Some(pin) if pin == endpoint => Step { endpoint, outcome: self.ask.session.at_home() },
            _ => Step { endpoint, outcome },
        };
        next.into_iter().map(step).collect()
    }
}

/// The writes of manual::tables, The session: Set-Cookie for "a new pin" in a cookie; Create,
/// Replace or Touch where sessions are stored.
pub(crate) fn write_of(outcome: Outcome, in_cookie: bool, record: Record) -> Write {
    match (outcome, in_cookie) {
        (Outcome::Kept | Outcome::Lent(_), true) => Write::Nothing,
        (Outcome::Migrated | Outcome::Created(_) | Outcome::Moved(_), true) => Write::SetCookie,
        (Outcome::Kept | Outcome::Lent(_), false) => Write::Touch,
        (Outcome::Moved(_), false) => Write::Replace,
        (Outcome::Created(_), false) => match record {
            Record::Absent | Record::Unreachable => Write::Create,
            Record::Unreadable | Record::Found { .. } => Write::Replace,
        },
        (Outcome::Unbound | Outcome::NoEndpoint | Outcome::Lost(_) | Outcome::GaveUp, _) => {
            Write::Nothing
        }
        (outcome, _) => panic!("the tables do not know {outcome}"),
    }
}

/// Returns whether a hash is within the percentage: hash × 100 < percent × 2^64, in integers.
pub(crate) fn is_shed(hash: u64, percent: u8) -> bool {
    u128::from(hash) * 100 < u128::from(percent) << 64
}

/// The hash by which a load balancer sheds a client: of 16 bytes of its address. An IPv4 address is
/// hashed as ::ffff:a.b.c.d, of an IPv6 address the first 64 bits.
pub(crate) fn shedding_hash(load_balancer: &str, ip: IpAddr) -> u64 {
    keyed_hash(SHED, load_balancer, &address(ip))
}

/// The hash of an address under another label, for the load balancer of all tests.
fn hash_of_address(label: &[u8], ip: IpAddr) -> u64 {
    keyed_hash(label, "shop.example.com", &address(ip))
}

fn address(ip: IpAddr) -> [u8; 16] {
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => (v6.to_bits() >> 64 << 64).to_be_bytes(),
    }
}

/// The hash by which a load balancer sheds a session with a key: of the 16 bytes of the key.
pub(crate) fn shedding_hash_of_key(load_balancer: &str, key: SessionKey) -> u64 {
    keyed_hash(SHED, load_balancer, &key.0)
}

const SHED: &[u8] = b"session-affinity v1 shed\0";

/// SipHash-2-4 under the first 16 bytes of SHA-256 over a label and the load balancer's name.
fn keyed_hash(label: &[u8], load_balancer: &str, bytes: &[u8; 16]) -> u64 {
    let digest = Sha256::digest([label, load_balancer.as_bytes()].concat());
    let key: [u8; 16] = digest[..16].try_into().unwrap();
    SipHasher24::new_with_key(&key).hash(bytes)
}
