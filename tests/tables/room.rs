//! The room of endpoints. From manual::tables, Room:
//!
//! > Off by default. An endpoint is *full* by a rule that the embedder gives a pool.
//!
//! | request | while its endpoint is full and another one within reach has room |
//! |---|---|
//! | live session, `none` | kept |
//! | live session, `temporary` | lent for this request; costs no retry |
//! | live session, `sticky` | moved; costs no retry |
//! | new or moved session, retry | goes to one with room |
//!
//! > Where no other endpoint has room, the session is kept, and a new one goes to a full endpoint.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use session_affinity::failover::FailoverScope;
use session_affinity::limits::{BoundedLoad, CoolingOff, DrainDuration, Retries};
use session_affinity::outcome::{Lent, Moved};
use session_affinity::pools::{NotInSnapshot, PoolsEdit};
use session_affinity::steering::{InFlight, InFlightGuard, IpHash, LeastOutstandingRequests, Room};
use session_affinity::{
    Affinity, Attempt, CookiePolicy, Endpoint, EndpointId, FailoverMode, Health, Outcome, Pool,
    Pools, Record, State, Weight,
};

use crate::naive::{Crowd, NaivePool, World};
use crate::site::{NOW, eu, live, us};
use crate::support::{Chance, Client, Random, at, cookie_policy};

/// A node whose endpoints are filled by hand.
struct Place {
    affinity: Affinity<CookiePolicy>,
    pools: Pools<EndpointId>,
    crowd: Crowd,
    draws: u64,
}

/// The pools `eu` with three endpoints and `us` with two.
fn place(mode: FailoverMode) -> Place {
    let crowd = Crowd::default();
    let mut world = World::new(vec![
        NaivePool::new("eu", &["eu-1", "eu-2", "eu-3"]),
        NaivePool::new("us", &["us-1", "us-2"]),
    ]);
    world.pools.iter_mut().for_each(|pool| pool.crowd = Some(crowd.clone()));
    let affinity = Affinity::new(cookie_policy()).with_failover_mode(mode).unwrap();
    Place { affinity, pools: world.describe(Pools::builder()), crowd, draws: 0 }
}

impl Place {
    fn with(
        mut self,
        change: impl FnOnce(Affinity<CookiePolicy>) -> Affinity<CookiePolicy>,
    ) -> Self {
        self.affinity = change(self.affinity);
        self
    }

    fn across_pools(self) -> Self {
        self.with(|affinity| affinity.with_failover_scope(FailoverScope::AllPools))
    }

    fn cooling_off(self) -> Self {
        self.with(|affinity| affinity.with_cooling_off(CoolingOff::new(60).unwrap()))
    }

    fn full(self, endpoints: &[EndpointId]) -> Self {
        self.crowd.set(endpoints);
        self
    }

    fn edit(
        &mut self,
        change: impl FnOnce(&mut PoolsEdit<EndpointId>) -> Result<(), NotInSnapshot>,
    ) {
        self.pools = self.pools.edited(change).unwrap();
    }

    fn route(&mut self, client: &Client) -> Attempt {
        let visit = self.affinity.recall(&client.request(), at(NOW));
        self.draws += 1;
        let draws = self.draws;
        let routed =
            self.affinity.route(visit, Record::Absent, &self.pools, || Random(draws).next());
        routed.unwrap().0
    }

    fn outcome(&mut self, client: &Client) -> Outcome {
        self.route(client).outcome()
    }

    /// Has one connection to the endpoint of this client's session refused.
    fn refuse(&mut self, endpoint: EndpointId) {
        self.crowd.set(&[]);
        let attempt = self.route(&live(endpoint));
        assert_eq!(attempt.endpoint(), endpoint);
        let _ = self.affinity.failover(attempt, &self.pools);
    }

    fn new_sessions(&mut self) -> HashSet<EndpointId> {
        (0..64).map(|number| self.route(&Client::number(number)).endpoint()).collect()
    }
}

/// manual::tables, Room: "Off by default."
#[test]
fn without_a_rule_no_endpoint_is_full() {
    let pool = Pool::new("eu").with_endpoint(Endpoint::new("eu-1", ()));
    assert!(pool.room.is_none());
    let pools = Pools::builder().pool(pool).build().unwrap();
    assert!(!pools.endpoint(eu(1)).unwrap().is_full());
}

/// manual::tables, Room: the lines of live sessions. "The next request tries home first."
#[test]
fn a_live_session_of_a_full_endpoint_is_kept_lent_or_moved_and_comes_home() {
    for (mode, outcome) in [
        (FailoverMode::None, Outcome::Kept),
        (FailoverMode::Temporary, Outcome::Lent(Lent::Full)),
        (FailoverMode::Sticky, Outcome::Moved(Moved::Full)),
    ] {
        let mut place = place(mode).full(&[eu(1)]);
        assert!(place.pools.endpoint(eu(1)).unwrap().is_full());
        let attempt = place.route(&live(eu(1)));
        assert_eq!(attempt.outcome(), outcome);
        assert_eq!(attempt.endpoint() == eu(1), mode == FailoverMode::None);
        let settlement = place.affinity.settle(attempt, &place.pools);
        assert_eq!(settlement.set_cookie().is_some(), mode == FailoverMode::Sticky, "{mode}");
        place.crowd.set(&[]);
        assert_eq!(place.outcome(&live(eu(1))), Outcome::Kept, "the same pin, room at home");
    }
}

/// manual::tables, Room: "costs no retry" and marks no endpoint.
#[test]
fn a_session_that_is_lent_for_room_has_its_retry_still_and_marks_no_endpoint() {
    for (mode, then) in [
        (FailoverMode::Temporary, Outcome::Lent(Lent::ConnectFailed)),
        (FailoverMode::Sticky, Outcome::Moved(Moved::ConnectFailed)),
    ] {
        let mut place = place(mode).cooling_off().full(&[eu(1)]);
        let attempt = place.route(&live(eu(1)));
        let first = attempt.endpoint();
        let (next, _) = place.affinity.failover(attempt, &place.pools).unwrap();
        assert_eq!(next.outcome(), then);
        assert!(![eu(1), first].contains(&next.endpoint()));
        assert!(!place.pools.endpoint(eu(1)).unwrap().is_suspect(at(NOW)));
    }
}

/// manual::tables, Room: "Where no other endpoint has room, the session is kept".
#[test]
fn a_session_is_kept_where_no_endpoint_within_reach_has_room() {
    for mode in [FailoverMode::Temporary, FailoverMode::Sticky] {
        let mut place = place(mode).full(&[eu(1), eu(2), eu(3)]);
        assert_eq!(place.outcome(&live(eu(1))), Outcome::Kept, "us has room, but is out of reach");
        let mut across = self::place(mode).across_pools().full(&[eu(1), eu(2), eu(3), us(1)]);
        let attempt = across.route(&live(eu(1)));
        assert_eq!(attempt.endpoint(), us(2));
        assert_ne!(attempt.outcome(), Outcome::Kept);
        across.crowd.set(&[eu(1), eu(2), eu(3), us(1), us(2)]);
        assert_eq!(across.outcome(&live(eu(1))), Outcome::Kept);
    }
}

/// manual::tables, Room: "never to a suspect".
#[test]
fn a_session_is_not_lent_to_a_suspect() {
    for mode in [FailoverMode::Temporary, FailoverMode::Sticky] {
        let mut place = place(mode).cooling_off();
        place.refuse(eu(2));
        place.refuse(eu(3));
        place.crowd.set(&[eu(1)]);
        assert_eq!(place.outcome(&live(eu(1))), Outcome::Kept);
    }
}

/// manual::tables, Room: "An endpoint that takes no new sessions (draining, weight 0, not checked
/// yet) is never full".
#[test]
fn an_endpoint_that_takes_no_new_sessions_is_never_full() {
    let changes: [fn(&mut PoolsEdit<EndpointId>) -> Result<(), NotInSnapshot>; 4] = [
        |edit| edit.weight(eu(1), Weight::ZERO),
        |edit| edit.state(eu(1), State::Disabled { at: Some(at(NOW)) }),
        |edit| edit.pool_state("eu", State::Disabled { at: Some(at(NOW)) }),
        |edit| edit.health(eu(1), Health::Unchecked),
    ];
    for change in changes {
        let drain = DrainDuration::new(600).unwrap();
        let mut place = place(FailoverMode::Temporary)
            .with(|affinity| affinity.with_drain_duration(drain))
            .full(&[eu(1)]);
        assert_eq!(place.outcome(&live(eu(1))), Outcome::Lent(Lent::Full));
        place.edit(change);
        assert!(!place.pools.endpoint(eu(1)).unwrap().is_full());
        assert_eq!(place.outcome(&live(eu(1))), Outcome::Kept);
    }
}

/// manual::tables, Room: "new or moved session, retry | goes to one with room".
#[test]
fn new_and_moved_sessions_and_retries_go_to_endpoints_with_room() {
    for mode in crate::site::MODES {
        let mut place = place(mode).full(&[eu(1), eu(3)]);
        assert_eq!(place.new_sessions(), HashSet::from([eu(2)]));
        place.edit(|edit| edit.health(eu(1), Health::Unhealthy));
        assert_eq!(place.route(&live(eu(1))).endpoint(), eu(2), "moved");
    }
    let mut retry = place(FailoverMode::Temporary).full(&[eu(2)]);
    let attempt = retry.route(&live(eu(1)));
    assert_eq!(attempt.endpoint(), eu(1));
    assert_eq!(retry.affinity.failover(attempt, &retry.pools).unwrap().0.endpoint(), eu(3));
}

/// manual::tables, Room: "In one choice those with room come first, then full ones, then
/// suspects", and full ones "before other pools unless `failover_across_pools` is on".
#[test]
fn full_endpoints_come_before_suspects_and_before_other_pools_unless_failover_goes_across() {
    let mut place = place(FailoverMode::None).cooling_off();
    place.refuse(eu(3));
    place.crowd.set(&[eu(1)]);
    assert_eq!(place.new_sessions(), HashSet::from([eu(2)]), "with room");
    place.crowd.set(&[eu(1), eu(2)]);
    assert_eq!(place.new_sessions(), HashSet::from([eu(1), eu(2)]), "full, and no suspect");
    place.edit(|edit| edit.health(eu(1), Health::Unhealthy));
    place.edit(|edit| edit.health(eu(2), Health::Unhealthy));
    assert_eq!(place.new_sessions(), HashSet::from([eu(3)]), "a suspect");
    let everyone = [eu(1), eu(2), eu(3)];
    let mut across = self::place(FailoverMode::None).across_pools().full(&everyone);
    assert_eq!(across.new_sessions(), HashSet::from([us(1), us(2)]));
    across.crowd.set(&[eu(1), eu(2), eu(3), us(1), us(2)]);
    assert_eq!(across.new_sessions(), HashSet::from(everyone));
}

/// manual::tables, Room: "A session that was lent or moved for room returns to its full endpoint
/// before another full one is tried".
#[test]
fn a_lent_session_whose_second_home_fails_goes_home_before_it_goes_to_another_full_endpoint() {
    let mut place = place(FailoverMode::Temporary).full(&[eu(1), eu(3)]);
    for number in 0..20 {
        let pin = crate::site::pin(eu(1));
        let issued = at(NOW - number);
        let pin = session_affinity::token::Pin { issued, ..pin };
        let attempt = place.route(&Client::number(7).with_pin(pin));
        assert_eq!((attempt.endpoint(), attempt.outcome()), (eu(2), Outcome::Lent(Lent::Full)));
        let (back, _) = place.affinity.failover(attempt, &place.pools).unwrap();
        assert_eq!((back.endpoint(), back.outcome()), (eu(1), Outcome::Kept));
    }
}

/// manual::tables, Room: "the first endpoint with room in the session's own order, which is the same
/// on every node".
#[test]
fn a_session_overflows_along_one_order_of_its_own_on_every_node() {
    let mut place = place(FailoverMode::Temporary).across_pools();
    let mut other = self::place(FailoverMode::Temporary).across_pools();
    let all = [eu(1), eu(2), eu(3), us(1), us(2)];
    let mut second_homes = HashSet::new();
    for session in 0..30 {
        let pin = crate::site::pin(eu(1));
        let pin = session_affinity::token::Pin { issued: at(NOW - session), ..pin };
        let client = Client::number(7).with_pin(pin);
        // The order, found by filling one endpoint after another.
        let mut order = vec![eu(1)];
        while order.len() < all.len() {
            place.crowd.set(&order);
            order.push(place.route(&client).endpoint());
        }
        second_homes.insert(order[1]);
        assert!(order[3..].iter().all(|id| [us(1), us(2)].contains(id)), "own pool first");
        for bits in 0..1_u32 << all.len() {
            let full: Vec<_> =
                (0..all.len()).filter(|it| bits & (1 << it) != 0).map(|it| all[it]).collect();
            let first = order.iter().find(|id| !full.contains(id)).unwrap_or(&eu(1)).to_owned();
            for node in [&mut place, &mut other] {
                node.crowd.set(&full);
                assert_eq!(node.route(&client).endpoint(), first, "{full:?} of {order:?}");
            }
        }
    }
    assert_eq!(second_homes, HashSet::from([eu(2), eu(3)]), "sessions differ in their order");
}

/// A peer whose requests are counted.
type Peer = Arc<InFlight>;

/// Endpoints of these weights under a bound, and a client's request that is in flight.
struct Loop {
    affinity: Affinity<CookiePolicy>,
    pools: Pools<Peer>,
    bound: (u64, u64),
    in_flight: Vec<(EndpointId, InFlightGuard)>,
}

impl Loop {
    fn new(mode: FailoverMode, weights: &[u64], bound: (u64, u64)) -> Self {
        let rule = BoundedLoad::new(bound.0, bound.1).unwrap();
        let endpoint = |(number, weight): (usize, &u64)| {
            Endpoint::new(format!("eu-{}", number + 1), Arc::new(InFlight::default()))
                .with_weight(Weight::new(*weight).unwrap())
        };
        let pool = Pool::new("eu")
            .with_endpoints(weights.iter().enumerate().map(endpoint))
            .with_steering(LeastOutstandingRequests(|peer: &Peer| peer.count()))
            .with_room(Room::bounded(rule, |peer: &Peer| peer.count()));
        let affinity = Affinity::new(cookie_policy())
            .with_failover_mode(mode)
            .unwrap()
            .with_retries(Retries::new(8).unwrap());
        let pools = Pools::builder().pool(pool).build().unwrap();
        Self { affinity, pools, bound, in_flight: Vec::new() }
    }

    fn load(&self, id: EndpointId) -> u64 {
        self.in_flight.iter().filter(|(endpoint, _)| *endpoint == id).count() as u64
    }

    /// The formula of manual::tables, Room, over endpoints of a weight: the greatest load.
    fn most(&self, id: EndpointId) -> u64 {
        let pool = self.pools.pool("eu").unwrap();
        let takers: Vec<_> = pool.endpoints().filter(|e| e.weight() > Weight::ZERO).collect();
        let total: u64 = takers.iter().map(|e| self.load(e.id())).sum();
        let weights: u64 = takers.iter().map(|e| u64::from(e.weight().get())).sum();
        let weight = u64::from(self.pools.endpoint(id).unwrap().weight().get());
        (self.bound.0 * (total + 1) * weight).div_ceil(100 * weights).max(self.bound.1)
    }

    fn route(&mut self, client: &Client, entropy: u64) -> Attempt {
        let visit = self.affinity.recall(&client.request(), at(NOW));
        self.affinity.route(visit, Record::Absent, &self.pools, || entropy).unwrap().0
    }

    fn begin(&mut self, id: EndpointId) {
        self.in_flight.push((id, self.pools.target(id).unwrap().begin()));
    }
}

/// manual::tables, Room: "where every request goes through the rule, no endpoint's load exceeds the
/// bound", whatever sessions there are: their own endpoint serves them while it has room.
#[test]
fn in_a_closed_loop_the_load_stays_within_the_bound() {
    let mut random = Random(7);
    let mut lent = 0;
    for (mode, weights, bound) in [
        (FailoverMode::Temporary, &[100, 100, 100][..], (100, 1)),
        (FailoverMode::Sticky, &[100, 100, 100][..], (125, 2)),
        (FailoverMode::Temporary, &[100, 50, 25, 1][..], (125, 1)),
        (FailoverMode::Sticky, &[100, 50, 25, 1][..], (200, 4)),
        // An endpoint of weight 0 keeps its sessions, which count for no other one.
        (FailoverMode::Temporary, &[100, 100, 0][..], (110, 1)),
    ] {
        let mut closed = Loop::new(mode, weights, bound);
        for _ in 0..3_000 {
            if random.percent(45) && !closed.in_flight.is_empty() {
                let place = random.below(closed.in_flight.len());
                drop(closed.in_flight.swap_remove(place));
                continue;
            }
            // Half of the live sessions are pinned to the first two endpoints.
            let home = eu(1 + random.below(weights.len().max(2)) as u8);
            let client = if random.percent(80) { live(home) } else { Client::number(9) };
            let attempt = closed.route(&client, random.next());
            let (id, most, load) = (
                attempt.endpoint(),
                closed.most(attempt.endpoint()),
                closed.load(attempt.endpoint()),
            );
            let weight = closed.pools.endpoint(id).unwrap().weight();
            assert!(
                load < most || weight == Weight::ZERO,
                "{id}: {load} of {most}, {weights:?}, {bound:?}"
            );
            if let Some(pinned) = attempt.pinned() {
                let has_room = closed.load(pinned) < closed.most(pinned)
                    || closed.pools.endpoint(pinned).unwrap().weight() == Weight::ZERO;
                assert_eq!(attempt.outcome() == Outcome::Kept, has_room, "not lent needlessly");
                lent += usize::from(!has_room);
            }
            closed.begin(id);
        }
    }
    assert!(lent > 1_000, "{lent}");
}

/// manual::tables, Room: "up to `at_least` a load is within the bound, whatever the others carry".
#[test]
fn a_load_below_at_least_is_within_the_bound_and_the_load_of_others_is_not_asked() {
    let mut closed = Loop::new(FailoverMode::Temporary, &[100, 100, 100], (100, 4));
    for _ in 0..3 {
        closed.begin(eu(1));
    }
    assert_eq!(closed.route(&live(eu(1)), 0).outcome(), Outcome::Kept, "the fourth");
    closed.begin(eu(1));
    assert_eq!(closed.route(&live(eu(1)), 0).outcome(), Outcome::Lent(Lent::Full), "the fifth");
    drop(closed.in_flight.pop());
    assert_eq!(closed.route(&live(eu(1)), 0).outcome(), Outcome::Kept, "home has room");
}

/// A rule is asked for the endpoints of its own pool, and only while it may matter.
#[test]
fn a_rule_is_asked_for_the_endpoints_of_its_own_pool_alone() {
    struct Target {
        is_full: Arc<AtomicBool>,
        asked: AtomicBool,
    }
    let is_full = Arc::new(AtomicBool::new(false));
    let target = || Target { is_full: is_full.clone(), asked: AtomicBool::new(false) };
    let pool = |name: &str| {
        Pool::new(name)
            .with_endpoint(Endpoint::new(format!("{name}-1"), target()))
            .with_endpoint(Endpoint::new(format!("{name}-2"), target()))
    };
    let rule = Room::full_when(|target: &Target| {
        target.asked.store(true, Relaxed);
        target.is_full.load(Relaxed)
    });
    let pools = Pools::builder().pool(pool("eu").with_room(rule)).pool(pool("us")).build().unwrap();
    let affinity =
        Affinity::new(cookie_policy()).with_failover_mode(FailoverMode::Temporary).unwrap();
    let outcome = |id| {
        let visit = affinity.recall(&live(id).request(), at(NOW));
        affinity.route(visit, Record::Absent, &pools, || 0).unwrap().0.outcome()
    };
    let asked = |id| pools.target(id).unwrap().asked.swap(false, Relaxed);
    assert_eq!(outcome(eu(1)), Outcome::Kept);
    assert_eq!((asked(eu(1)), asked(eu(2))), (true, false), "a kept request asks its own");
    is_full.store(true, Relaxed);
    assert_eq!(outcome(eu(1)), Outcome::Kept, "both are full");
    assert_eq!((asked(eu(1)), asked(eu(2))), (true, true));
    assert_eq!(outcome(us(1)), Outcome::Kept);
    assert_eq!((asked(us(1)), asked(us(2))), (false, false), "a pool without a rule");
}

/// Random bits are drawn where the pool that makes the choice steers by them, which is not the first
/// one while that is full.
#[test]
fn random_bits_are_drawn_for_the_pool_that_has_room() {
    let affinity = Affinity::new(cookie_policy()).with_failover_scope(FailoverScope::AllPools);
    for (eu_by_address, eu_is_full, draws) in
        [(true, true, true), (true, false, false), (false, true, false), (false, false, true)]
    {
        let pool = |name: &str, by_address, is_full| {
            let endpoints = (1..=3).map(|n| Endpoint::new(format!("{name}-{n}"), ()));
            let pool = Pool::new(name)
                .with_endpoints(endpoints)
                .with_room(Room::full_when(move |()| is_full));
            if by_address { pool.with_steering(IpHash) } else { pool }
        };
        let eu = pool("eu", eu_by_address, eu_is_full);
        let us = pool("us", !eu_by_address, false);
        let pools = Pools::builder().pool(eu).pool(us).build().unwrap();
        let mut chosen = HashSet::new();
        for number in 0..32 {
            let mut drawn = false;
            let entropy = || {
                drawn = true;
                Random(number).next()
            };
            let visit = affinity.recall(&Client::number(7).request(), at(NOW));
            let (attempt, ()) = affinity.route(visit, Record::Absent, &pools, entropy).unwrap();
            chosen.insert(attempt.endpoint());
            assert_eq!(drawn, draws);
        }
        // One client: its address always chooses the same endpoint, random bits choose all.
        assert_eq!(chosen.len(), if draws { 3 } else { 1 }, "{chosen:?}");
    }
}
