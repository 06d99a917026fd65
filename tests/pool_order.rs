//! The order of pools of manual::tables, The order of pools, in every combination of weights,
//! health, shedding, `move_within` and failover, against the naive model, which works the order itself
//! out a second time, in floating-point numbers.

mod naive;
mod support;

use std::time::Instant;

use naive::{
    Ask, NaivePool, Service, Session, Sources, Step, Walk, World, drawn, shedding_hash,
    shedding_hash_of_key,
};
use session_affinity::failover::{FailoverScope, MoveWithin, OnLoss};
use session_affinity::limits::{CoolingOff, Retries};
use session_affinity::outcome::Created;
use session_affinity::token::Pin;
use session_affinity::{Affinity, AffinityPolicy, EndpointId, FailoverMode, Health, Pools, Record};
use support::{Chance, Client, Kind, NOW, PinnedTo, Random, at, keyring};

const NAMES: [&str; 4] = ["a", "b", "c", "f"];
const MODES: [FailoverMode; 3] =
    [FailoverMode::None, FailoverMode::Temporary, FailoverMode::Sticky];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Own {
    Healthy,
    Unhealthy,
    Suspect,
    Removed,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum OwnPool {
    Open,
    Critical,
    Disabled,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fallback {
    None,
    Own,
    Apart,
    /// The pool of the pin stands apart.
    OwnApart,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Shedding {
    None,
    DefaultOne,
    DefaultAll,
    SessionOne,
    SessionTwo,
    SessionAll,
}

/// The conditions of one combination.
#[derive(Clone, Copy, Debug)]
struct Place {
    weights: [u8; 3],
    is_steered: bool,
    move_within: Option<MoveWithin>,
    own: Own,
    own_pool: OwnPool,
    has_sibling: bool,
    others_open: [bool; 2],
    fallback: Fallback,
    shedding: Shedding,
    across: bool,
}

const PLACES: usize = 5 * 2 * 3 * 4 * 3 * 2 * 4 * 4 * 6 * 2;

/// A number, each digit of which is one condition.
struct Digits(usize);

impl Digits {
    fn take<const N: usize, V: Copy>(&mut self, values: [V; N]) -> V {
        let value = values[self.0 % N];
        self.0 /= N;
        value
    }
}

impl Place {
    fn number(number: usize) -> Self {
        let mut digits = Digits(number);
        Self {
            own: digits.take([Own::Healthy, Own::Unhealthy, Own::Suspect, Own::Removed]),
            own_pool: digits.take([OwnPool::Open, OwnPool::Critical, OwnPool::Disabled]),
            weights: digits.take([
                [100, 100, 100],
                [5, 95, 40],
                [0, 60, 40],
                [50, 0, 30],
                [0, 0, 0],
            ]),
            shedding: digits.take([
                Shedding::None,
                Shedding::DefaultOne,
                Shedding::DefaultAll,
                Shedding::SessionOne,
                Shedding::SessionTwo,
                Shedding::SessionAll,
            ]),
            is_steered: digits.take([true, false]),
            move_within: digits.take([None, Some(MoveWithin::Order), Some(MoveWithin::OwnPool)]),
            fallback: digits.take([
                Fallback::None,
                Fallback::Own,
                Fallback::Apart,
                Fallback::OwnApart,
            ]),
            others_open: digits.take([[true, true], [true, false], [false, true], [false, false]]),
            across: digits.take([false, true]),
            has_sibling: digits.take([true, false]),
        }
    }

    fn world(&self, empty: &World) -> World {
        let mut world = empty.clone();
        world.rules.across_pools = self.across;
        world.rules.cooling_off = 1;
        world.move_within = self.move_within;
        for (pool, weight) in world.pools.iter_mut().zip(self.weights) {
            pool.weight = weight;
        }
        match self.own_pool {
            OwnPool::Open => {}
            OwnPool::Critical => world.pools[0].minimum_origins = 9,
            OwnPool::Disabled => world.pools[0].service = Service::Disabled(None),
        }
        for (pool, is_open) in world.pools[1..].iter_mut().zip(self.others_open) {
            pool.minimum_origins = if is_open { 1 } else { 9 };
        }
        let endpoints = &mut world.pools[0].endpoints;
        if !self.has_sibling {
            endpoints[1].health = Health::Unhealthy;
        }
        match self.own {
            Own::Healthy | Own::Suspect => {}
            Own::Unhealthy => endpoints[0].health = Health::Unhealthy,
            Own::Removed => {
                let removed = endpoints.remove(0).id;
                world.removed.push((removed, 0));
            }
        }
        for (index, pool) in world.pools.iter_mut().enumerate() {
            (pool.default_percent, pool.session_percent) = match self.shedding {
                Shedding::DefaultOne if index == 1 => (100, 0),
                Shedding::DefaultAll => (100, 0),
                Shedding::SessionOne if index == 0 => (0, 100),
                Shedding::SessionTwo if index < 2 => (0, 100),
                Shedding::SessionAll => (0, 100),
                _ => (0, 0),
            };
        }
        world
    }
}

fn pin_id() -> EndpointId {
    EndpointId::new("a", "pin")
}

fn empty_world(fallback: Fallback) -> World {
    let endpoints: [&[&'static str]; 4] = [&["pin", "s"], &["1", "2"], &["1"], &["1"]];
    let pools = NAMES.into_iter().zip(endpoints);
    let mut world = World::new(pools.map(|(name, names)| NaivePool::new(name, names)).collect());
    world.pools[0].in_order = fallback != Fallback::OwnApart;
    world.pools[3].in_order = false;
    world.fallback = match fallback {
        Fallback::None => None,
        Fallback::Own | Fallback::OwnApart => Some(0),
        Fallback::Apart => Some(3),
    };
    world
}

/// A world without conditions, its snapshot, and the one without the pinned endpoint.
type Topology = (World, Pools<EndpointId>, Pools<EndpointId>);

struct Bench {
    kind: Kind,
    topologies: Vec<Topology>,
    nodes: Vec<Affinity<Box<dyn AffinityPolicy>>>,
    refuser: Affinity<PinnedTo>,
    now: u64,
    random: Random,
    combinations: usize,
    steps: usize,
}

impl Bench {
    fn new(kind: Kind) -> Self {
        let topology = |number: usize| {
            let mut digits = Digits(number);
            use Fallback::*;
            let mut world = empty_world(digits.take([None, Own, Apart, OwnApart]));
            world.is_steered = digits.take([true, false]);
            let whole = world.describe(Pools::builder());
            let mut without = world.clone();
            without.pools[0].endpoints.remove(0);
            let without = without.describe(whole.rebuild());
            (world, whole, without)
        };
        let node = |number: usize| {
            let mut digits = Digits(number);
            let mode = match digits.take(MODES) {
                FailoverMode::Sticky if kind == Kind::Header => FailoverMode::None,
                mode => mode,
            };
            let affinity = Affinity::new(kind.policy(&keyring()))
                .with_failover_mode(mode)
                .unwrap()
                .with_failover_scope(digits.take([FailoverScope::OwnPool, FailoverScope::AllPools]))
                .with_retries(Retries::new(3).unwrap())
                .with_cooling_off(CoolingOff::new(1).unwrap())
                .with_on_loss(digits.take([OnLoss::Move, OnLoss::Lend]));
            match digits.take([None, Some(MoveWithin::Order), Some(MoveWithin::OwnPool)]) {
                None => affinity,
                Some(move_within) => affinity.with_move_within(move_within),
            }
        };
        let refuser = Affinity::new(PinnedTo::new(pin_id()));
        Self {
            kind,
            topologies: (0..8).map(topology).collect(),
            nodes: (0..3 * 2 * 2 * 3).map(node).collect(),
            refuser: refuser.with_cooling_off(CoolingOff::new(1).unwrap()),
            now: NOW.as_secs(),
            random: Random(5),
            combinations: 0,
            steps: 0,
        }
    }

    /// One request in one combination, refused until it gives up.
    fn check(&mut self, place: Place, is_live: bool) {
        self.combinations += 1;
        // No endpoint is suspect any more.
        self.now += 16;
        let now = self.now;
        let mode = self.random.below(3);
        let on_loss = self.random.below(2);
        let (empty, whole, without) =
            &self.topologies[place.fallback as usize + 4 * usize::from(!place.is_steered)];
        let mut world = place.world(empty);
        world.rules.mode = match MODES[mode] {
            FailoverMode::Sticky if self.kind == Kind::Header => FailoverMode::None,
            mode => mode,
        };
        world.rules.on_loss = [OnLoss::Move, OnLoss::Lend][on_loss];
        world.rules.retries = 3;
        if place.own == Own::Suspect {
            let visit = self.refuser.recall(&Client::default().request(), at(now));
            let (attempt, _) = self.refuser.route(visit, Record::Absent, whole, || 0).unwrap();
            let _ = self.refuser.failover(attempt, whole).unwrap_err();
            world.failed(pin_id(), now);
        }
        let pools = world.edit(if place.own == Own::Removed { without } else { whole });

        let pin = Pin { endpoint: pin_id(), issued: at(now - 5), expires: at(now + 80_000) };
        let client = Client::number(self.random.below(60_000) as u16);
        let (client, record) = match (self.kind, is_live) {
            (Kind::Header, true) => {
                let record = Record::Found { endpoint: pin.endpoint, issued: pin.issued };
                (client.with_user(&format!("u{now}")), record)
            }
            (Kind::Header, false) => (client.with_user(&format!("u{now}")), Record::Absent),
            (_, true) => (client.with_pin(pin), Record::Absent),
            (_, false) => (client, Record::Absent),
        };
        let within = place.move_within.map_or(0, |move_within| 1 + move_within as usize);
        let node = mode + 3 * usize::from(place.across) + 6 * on_loss + 12 * within;
        let affinity = &self.nodes[node];
        let visit = affinity.recall(&client.request(), at(now));
        let key = visit.lookup().map(|lookup| lookup.key);
        let entropy = self.random.next();
        if place.is_steered {
            let pin = is_live.then_some(pin);
            let sources = Sources { key, pin, drawn: Some(entropy), ..Sources::default() };
            world.drawn = Some(drawn(sources.seed(), &world));
        }
        let ask = Ask {
            now,
            session: match (is_live, self.kind) {
                (true, _) => Session::Live(pin_id()),
                (false, Kind::Header) => Session::New(Created::NoRecord),
                (false, _) => Session::New(Created::NoCookie),
            },
            hash: client.ip.map(|ip| shedding_hash("shop.example.com", ip)),
            key_hash: key.map(|key| shedding_hash_of_key("shop.example.com", key)),
        };
        let mut taken: Vec<Step> = Vec::new();
        let explain = |permitted: &[Step], taken: &[Step]| {
            let (rules, drawn) = (world.rules, &world.drawn);
            format!("{place:?}\n{rules:?} {drawn:?}\n{ask:?}\n{taken:?}\nof {permitted:?}")
        };
        let routed = affinity.route(visit, record, &pools, || entropy);
        let (mut attempt, mut permitted) = match (routed, world.route(&ask)) {
            (Ok((attempt, _)), Ok(permitted)) => (attempt, permitted),
            (Err(error), Err(outcome)) if error.outcome() == outcome => return,
            (routed, permitted) => {
                panic!("{routed:?}, {permitted:?}\n{}", explain(&[], &taken));
            }
        };
        let mut model = world.clone();
        let mut walk: Option<Walk> = None;
        loop {
            let step = Step { endpoint: attempt.endpoint(), outcome: attempt.outcome() };
            taken.push(step);
            self.steps += 1;
            assert!(permitted.contains(&step), "{}", explain(&permitted, &taken));
            let walk = match &mut walk {
                None => walk.insert(Walk::begin(ask, step)),
                Some(walk) => {
                    walk.go_on(step);
                    walk
                }
            };
            permitted = walk.fail(&mut model);
            attempt = match affinity.failover(attempt, &pools) {
                Ok((next, _)) => next,
                Err(_) => {
                    assert!(permitted.is_empty(), "gave up: {}", explain(&permitted, &taken));
                    return;
                }
            };
        }
    }

    /// Checks a live session in one of as many places as `every`, and a new one in a third of those.
    fn run(kind: Kind, every: u64) {
        let start = Instant::now();
        let mut bench = Self::new(kind);
        for number in 0..PLACES {
            // What is left out is spread over all conditions.
            let mut spread = Random(number as u64);
            if spread.next().is_multiple_of(every) {
                bench.check(Place::number(number), true);
                if spread.next().is_multiple_of(3) {
                    bench.check(Place::number(number), false);
                }
            }
        }
        let Self { combinations, steps, .. } = bench;
        let line = format!(
            "{kind:?}: {combinations} combinations, {steps} attempts, {:?}\n",
            start.elapsed()
        );
        // Past the capture of the test runner: the counts are to be seen when the test passes.
        let _ = std::io::Write::write_all(&mut std::io::stdout().lock(), line.as_bytes());
    }
}

/// manual::tables, The order of pools, for sessions in a cookie: by the pin, and by random bits.
#[test]
fn every_combination_of_the_order_for_cookie() {
    Bench::run(Kind::Cookie, 3);
}

/// manual::tables, The order of pools, for sessions in a store: by the session key.
#[test]
fn every_combination_of_the_order_for_header() {
    Bench::run(Kind::Header, 5);
}
