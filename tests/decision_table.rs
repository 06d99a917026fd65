//! Every combination of the conditions of manual::tables against the naive model, through every
//! failover step: the endpoint, the outcome, and what is written.

mod naive;
mod support;

use std::cell::Cell;
use std::time::Instant;

use http::header::COOKIE;
use naive::{
    Ask, NaiveEndpoint, NaivePool, Service, Session, Step, Walk, World, Write, shedding_hash,
    shedding_hash_of_key, write_of,
};
use session_affinity::failover::{FailoverScope, OnLoss};
use session_affinity::limits::{CoolingOff, DrainDuration, Retries};
use session_affinity::outcome::Created;
use session_affinity::store::{SessionKey, WriteKind};
use session_affinity::token::Pin;
use session_affinity::{
    Affinity, AffinityPolicy, EndpointId, FailoverMode, Health, Key, Keyring, Pools, Record,
    Secret, Settlement, StoreWrite,
};
use support::{Chance, Client, Kind, NOW, PinnedTo, Random, at, key, keyring, token_of, ttl};

/// Combinations are numbered; each digit of the number is one condition.
struct Digits(usize);

impl Digits {
    fn take<const N: usize, V: Copy>(&mut self, values: [V; N]) -> V {
        let value = values[self.0 % N];
        self.0 /= N;
        value
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Own {
    Healthy,
    WeightZero,
    Draining,
    DrainOver,
    NoStamp,
    Unhealthy,
    DrainingUnhealthy,
    DrainOverUnhealthy,
    Unchecked,
    DrainingUnchecked,
    Removed,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum OwnPool {
    Enabled,
    Critical,
    Draining,
    DrainOver,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum OtherPool {
    Open,
    /// Open, with an unhealthy endpoint.
    Mixed,
    /// As `Mixed`, but not open.
    CriticalMixed,
    NoneHealthy,
    Disabled,
}

/// The health of the other endpoints in the pin's pool.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Siblings {
    Healthy,
    Mixed,
    NoneHealthy,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fallback {
    None,
    Own,
    OwnApart,
    Other,
    Apart,
    ApartMixed,
    ApartUnhealthy,
    ApartUnusable,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Shedding {
    None,
    DefaultOwn,
    DefaultAll,
    SessionOwn,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Suspect {
    No,
    Pin,
    PinAndSome,
    Others,
    All,
}

/// The conditions of one combination that concern the pools.
#[derive(Clone, Copy, Debug)]
struct Place {
    own: Own,
    own_pool: OwnPool,
    siblings: Siblings,
    other: OtherPool,
    fallback: Fallback,
    shedding: Shedding,
    suspect: Suspect,
    across: bool,
    drain: u64,
}

const PLACES: usize = 11 * 4 * 5 * 5 * 8 * 4 * 2 * 3 * 2;
const LOAD_BALANCER: &str = "shop.example.com";
const ENDPOINTS: [&str; 7] = ["a/pin", "a/s1", "a/s2", "b/1", "b/2", "f/1", "f/2"];
const DRAIN: u64 = 600;
const FALLBACKS: [Fallback; 8] = [
    Fallback::None,
    Fallback::Own,
    Fallback::OwnApart,
    Fallback::Other,
    Fallback::Apart,
    Fallback::ApartMixed,
    Fallback::ApartUnhealthy,
    Fallback::ApartUnusable,
];

impl Place {
    fn number(number: usize) -> Self {
        let mut digits = Digits(number);
        use {Own::*, Suspect::*};
        Self {
            own: digits.take([
                Healthy,
                WeightZero,
                Own::Draining,
                Own::DrainOver,
                NoStamp,
                Own::Unhealthy,
                DrainingUnhealthy,
                DrainOverUnhealthy,
                Own::Unchecked,
                DrainingUnchecked,
                Removed,
            ]),
            own_pool: digits.take([
                OwnPool::Enabled,
                OwnPool::Critical,
                OwnPool::Draining,
                OwnPool::DrainOver,
            ]),
            suspect: digits.take([No, Pin, PinAndSome, Others, All]),
            other: digits.take([
                OtherPool::Open,
                OtherPool::Mixed,
                OtherPool::CriticalMixed,
                OtherPool::NoneHealthy,
                OtherPool::Disabled,
            ]),
            fallback: digits.take(FALLBACKS),
            shedding: digits.take([
                Shedding::None,
                Shedding::DefaultOwn,
                Shedding::DefaultAll,
                Shedding::SessionOwn,
            ]),
            across: digits.take([false, true]),
            siblings: digits.take([Siblings::Healthy, Siblings::Mixed, Siblings::NoneHealthy]),
            drain: digits.take([DRAIN, 0]),
        }
    }

    /// Returns whether the combination is checked: without a drain duration only what would drain
    /// differs, and healthy siblings show that. An unhealthy endpoint beside a healthy one makes a
    /// difference in the fallback pool alone.
    fn is_of_interest(&self) -> bool {
        let is_own = matches!(self.fallback, Fallback::Own | Fallback::OwnApart);
        let is_other = self.fallback == Fallback::Other;
        if (self.siblings == Siblings::Mixed && !is_own)
            || (matches!(self.other, OtherPool::Mixed | OtherPool::CriticalMixed) && !is_other)
        {
            return false;
        }
        let would_drain = matches!(
            self.own,
            Own::Draining | Own::DrainOver | Own::DrainingUnhealthy | Own::DrainingUnchecked
        ) || self.own_pool == OwnPool::Draining;
        self.drain > 0 || (would_drain && self.siblings == Siblings::Healthy)
    }

    fn world(&self, empty: &World, now: u64) -> World {
        let mut world = empty.clone();
        world.rules.drain_duration = self.drain;
        world.rules.across_pools = self.across;
        world.rules.cooling_off = 1;
        let draining = Service::Disabled(Some(now - 10));
        let over = Service::Disabled(Some(now - DRAIN));
        let own_pool = &mut world.pools[0];
        match self.own_pool {
            OwnPool::Enabled => {}
            OwnPool::Critical => own_pool.minimum_origins = 9,
            OwnPool::Draining => own_pool.service = draining,
            OwnPool::DrainOver => own_pool.service = over,
        }
        match self.siblings {
            Siblings::Healthy => {}
            Siblings::Mixed => own_pool.endpoints[1].health = Health::Unhealthy,
            Siblings::NoneHealthy => none_healthy(&mut own_pool.endpoints[1..]),
        }
        let own = &mut own_pool.endpoints[0];
        own.health = match self.own {
            Own::Unhealthy | Own::DrainingUnhealthy | Own::DrainOverUnhealthy => Health::Unhealthy,
            Own::Unchecked | Own::DrainingUnchecked => Health::Unchecked,
            _ => Health::Healthy,
        };
        match self.own {
            Own::WeightZero => own.weight = 0,
            Own::Draining | Own::DrainingUnhealthy | Own::DrainingUnchecked => {
                own.service = draining;
            }
            Own::DrainOver | Own::DrainOverUnhealthy => own.service = over,
            Own::NoStamp => own.service = Service::Disabled(None),
            Own::Healthy | Own::Unhealthy | Own::Unchecked | Own::Removed => {}
        }
        if self.own == Own::Removed {
            own_pool.endpoints.remove(0);
        }
        let other_pool = &mut world.pools[1];
        match self.other {
            OtherPool::Open => {}
            OtherPool::Mixed => other_pool.endpoints[0].health = Health::Unhealthy,
            OtherPool::CriticalMixed => {
                other_pool.endpoints[0].health = Health::Unhealthy;
                other_pool.minimum_origins = 9;
            }
            OtherPool::NoneHealthy => none_healthy(&mut other_pool.endpoints),
            OtherPool::Disabled => other_pool.service = Service::Disabled(None),
        }
        match self.fallback {
            Fallback::ApartMixed => world.pools[2].endpoints[0].health = Health::Unhealthy,
            Fallback::ApartUnhealthy => none_healthy(&mut world.pools[2].endpoints),
            Fallback::ApartUnusable => world.pools[2].service = Service::Disabled(None),
            _ => {}
        }
        match self.shedding {
            Shedding::None => {}
            Shedding::DefaultOwn => world.pools[0].default_percent = 100,
            Shedding::DefaultAll => {
                world.pools.iter_mut().for_each(|pool| pool.default_percent = 100)
            }
            Shedding::SessionOwn => world.pools[0].session_percent = 100,
        }
        world
    }

    /// The values of `on_loss` to check for a live session. Where its endpoint may be lost: `move`,
    /// and each other one in a third of the places. Elsewhere: one of them, as it changes nothing.
    fn losses(&self, spread: &mut Random) -> Vec<OnLoss> {
        let may_be_lost = !matches!(self.own, Own::Healthy | Own::WeightZero | Own::Unchecked)
            || matches!(self.own_pool, OwnPool::Draining | OwnPool::DrainOver);
        if !may_be_lost {
            return vec![spread.one_of(&LOSSES)];
        }
        let mut losses = vec![OnLoss::Move];
        losses.extend(LOSSES[1..].iter().filter(|_| spread.next().is_multiple_of(3)));
        losses
    }

    fn suspects(&self) -> Vec<EndpointId> {
        let pin = vec![pin_id()];
        let others = || ENDPOINTS[1..].iter().map(|path| id(path)).collect();
        match self.suspect {
            Suspect::No => vec![],
            Suspect::Pin => pin,
            Suspect::PinAndSome => ["a/pin", "a/s1", "b/2"].map(id).into(),
            Suspect::Others => others(),
            Suspect::All => ENDPOINTS.map(id).into(),
        }
    }
}

fn id(path: &str) -> EndpointId {
    let (pool, endpoint) = path.split_once('/').unwrap();
    EndpointId::new(pool, endpoint)
}

/// One endpoint is unhealthy, and the other one has not been checked yet.
fn none_healthy(endpoints: &mut [NaiveEndpoint]) {
    endpoints[0].health = Health::Unhealthy;
    endpoints[1].health = Health::Unchecked;
}

fn pin_id() -> EndpointId {
    id("a/pin")
}

fn empty_world(fallback: Fallback) -> World {
    let mut world = World::new(vec![
        NaivePool::new("a", &["pin", "s1", "s2"]),
        NaivePool::new("b", &["1", "2"]),
        NaivePool::new("f", &["1", "2"]),
    ]);
    world.pools[0].in_order = fallback != Fallback::OwnApart;
    world.pools[2].in_order = false;
    world.fallback = match fallback {
        Fallback::None => None,
        Fallback::Own | Fallback::OwnApart => Some(0),
        Fallback::Other => Some(1),
        Fallback::Apart
        | Fallback::ApartMixed
        | Fallback::ApartUnhealthy
        | Fallback::ApartUnusable => Some(2),
    };
    world
}

/// The session that a request states, told to both sides.
#[derive(Clone, Debug)]
struct Case {
    session: Session,
    record: Record,
    client: Client,
}

/// The crate's side: snapshots of each topology, and two nodes of each configuration.
struct Bench {
    kind: Kind,
    topologies: Vec<(World, Pools<EndpointId>, Pools<EndpointId>)>,
    nodes: Vec<[Affinity<Box<dyn AffinityPolicy>>; 2]>,
    refusers: Vec<(EndpointId, Affinity<PinnedTo>)>,
    now: u64,
    random: Random,
    entropy: u64,
    combinations: usize,
    steps: usize,
    settled: usize,
}

const MODES: [FailoverMode; 3] =
    [FailoverMode::None, FailoverMode::Temporary, FailoverMode::Sticky];
const LOSSES: [OnLoss; 3] = [OnLoss::Move, OnLoss::Lend, OnLoss::Refuse];

/// The rules of a request that do not belong to its place.
#[derive(Clone, Copy, Debug)]
struct Rules {
    mode: FailoverMode,
    retries: usize,
    on_loss: OnLoss,
}

impl Bench {
    fn new(kind: Kind) -> Self {
        let topology = |fallback| {
            let world = empty_world(fallback);
            let whole = world.describe(Pools::builder());
            let mut without = world.clone();
            without.pools[0].endpoints.remove(0);
            let without = without.describe(whole.rebuild());
            (world, whole, without)
        };
        let node = |number: usize| {
            let mut digits = Digits(number);
            let mode = digits.take(MODES);
            let mode = if kind == Kind::Header && mode == FailoverMode::Sticky {
                FailoverMode::None
            } else {
                mode
            };
            Affinity::new(kind.policy(&keyring()))
                .with_failover_mode(mode)
                .unwrap()
                .with_retries(Retries::new(digits.take([1, 2])).unwrap())
                .with_failover_scope(digits.take([FailoverScope::OwnPool, FailoverScope::AllPools]))
                .with_drain_duration(DrainDuration::new(digits.take([DRAIN, 0])).unwrap())
                .with_on_loss(digits.take(LOSSES))
                .with_cooling_off(CoolingOff::new(1).unwrap())
        };
        let refuser = |id| {
            let cooling_off = CoolingOff::new(1).unwrap();
            (id, Affinity::new(PinnedTo::new(id)).with_cooling_off(cooling_off))
        };
        Self {
            kind,
            topologies: FALLBACKS.map(topology).into(),
            nodes: (0..3 * 2 * 2 * 2 * 3).map(|number| [node(number), node(number)]).collect(),
            refusers: ENDPOINTS.map(|path| refuser(id(path))).into(),
            now: NOW.as_secs(),
            random: Random(1),
            entropy: 0,
            combinations: 0,
            steps: 0,
            settled: 0,
        }
    }

    /// Makes endpoints suspect: each is refused once.
    fn refuse(&self, pools: &Pools<EndpointId>, suspects: &[EndpointId]) {
        let client = Client::default();
        for (id, affinity) in self.refusers.iter().filter(|(id, _)| suspects.contains(id)) {
            if pools.endpoint(*id).is_some() {
                let visit = affinity.recall(&client.request(), at(self.now));
                let (attempt, target) = affinity.route(visit, Record::Absent, pools, || 0).unwrap();
                assert_eq!((attempt.endpoint(), target), (*id, id));
                let _ = affinity.failover(attempt, pools).unwrap_err();
            }
        }
    }

    /// One combination, settled after 0, 1, 2 … passive failures until it gives up.
    fn check(&mut self, place: Place, case: &Case, rules: Rules) {
        self.combinations += 1;
        self.entropy = self.random.next();
        let mut before: Vec<Step> = Vec::new();
        for failures in 0..=rules.retries + 1 {
            // No endpoint is suspect any more.
            self.now += 16;
            match self.chain(place, case, rules, failures) {
                None => break,
                Some(taken) => {
                    // The same seeds, snapshot and marks, on the other node: the same choices.
                    assert_eq!(before[..], taken[..before.len()], "two nodes: {place:?} {case:?}");
                    before = taken;
                }
            }
        }
    }

    /// One request: so many passive failures, then an answer. `None` if it does not come
    /// so far.
    fn chain(
        &mut self,
        place: Place,
        case: &Case,
        rules: Rules,
        failures: usize,
    ) -> Option<Vec<Step>> {
        let (now, Rules { mode, retries, on_loss }) = (self.now, rules);
        let (empty, whole, without) = &self.topologies[place.fallback as usize];
        let mut world = place.world(empty, now);
        world.rules.mode = mode;
        world.rules.retries = retries;
        world.rules.on_loss = on_loss;
        let suspects = place.suspects();
        self.refuse(whole, &suspects);
        suspects.iter().for_each(|suspect| world.failed(*suspect, now));
        let pools = world.edit(if place.own == Own::Removed { without } else { whole });

        let node = mode as usize
            + 3 * (retries - 1)
            + 6 * usize::from(place.across)
            + 12 * usize::from(place.drain == 0)
            + 24 * on_loss as usize;
        let affinity = &self.nodes[node][failures % 2];
        let visit = affinity.recall(&case.client.request(), at(now));
        let key = visit.lookup().map(|lookup| lookup.key);
        let drawn = Cell::new(false);
        let entropy = || {
            drawn.set(true);
            self.entropy
        };
        let ask = Ask {
            now,
            session: case.session,
            hash: case.client.ip.map(|ip| shedding_hash(LOAD_BALANCER, ip)),
            key_hash: key.map(|key| shedding_hash_of_key(LOAD_BALANCER, key)),
        };
        let mut taken: Vec<Step> = Vec::new();
        let explain = |law: &str, permitted: &[Step], taken: &[Step]| {
            let kind = self.kind;
            format!(
                "{law}\n{place:?}\n{case:?}\n{kind:?}, {rules:?}\n{taken:?}\nthen permitted: {permitted:?}"
            )
        };
        let routed = affinity.route(visit, case.record, &pools, entropy);
        let (mut attempt, mut target, mut permitted) = match (routed, world.route(&ask)) {
            (Ok((attempt, target)), Ok(permitted)) => (attempt, target, permitted),
            (Err(error), Err(outcome)) if error.outcome() == outcome => return None,
            (routed, permitted) => {
                let law = format!("the crate: {routed:?}, the tables: {permitted:?}");
                panic!("{}", explain(&law, &[], &taken));
            }
        };
        if case.session.pinned().is_some() {
            assert!(
                !drawn.get(),
                "{}",
                explain("a live session draws no entropy", &permitted, &taken)
            );
        } else if matches!(self.kind, Kind::Cookie | Kind::NoAffinity | Kind::IssuedHeader) {
            assert!(drawn.get(), "{}", explain("a choice by entropy draws it", &permitted, &taken));
        }
        let mut walk: Option<Walk> = None;
        loop {
            let step = Step { endpoint: attempt.endpoint(), outcome: attempt.outcome() };
            assert_eq!(*target, step.endpoint, "a target is its endpoint's");
            taken.push(step);
            self.steps += 1;
            assert!(
                permitted.contains(&step),
                "{}",
                explain("the last step is not permitted", &permitted, &taken)
            );
            let walk = match &mut walk {
                None => walk.insert(Walk::begin(ask, step)),
                Some(walk) => {
                    walk.go_on(step);
                    walk
                }
            };
            if taken.len() > failures {
                break;
            }
            permitted = walk.fail(&mut world);
            match affinity.failover(attempt, &pools) {
                Ok(next) => (attempt, target) = next,
                Err(_) => {
                    assert!(
                        permitted.is_empty(),
                        "{}",
                        explain("gave up too early", &permitted, &taken)
                    );
                    return None;
                }
            }
        }
        let Step { endpoint, outcome } = taken[failures];
        let settlement = affinity.settle(attempt, &pools);
        let written = written(&settlement, self.kind, endpoint, key, now);
        let expected = write_of(outcome, self.kind.has_token(), case.record);
        assert_eq!(written, expected, "{}", explain("what is written", &permitted, &taken));
        let takes_back = matches!(case.session, Session::Foreign(_)) && written == Write::SetCookie;
        assert_eq!(
            settlement.removals().len(),
            usize::from(takes_back),
            "{}",
            explain("the other cookie is taken back when ours is set", &permitted, &taken)
        );
        self.settled += 1;
        Some(taken)
    }

    /// The sessions that a policy can find, live and new.
    fn cases(&self) -> Vec<Case> {
        let now = self.now;
        let pin = Pin { endpoint: pin_id(), issued: at(now), expires: at(now + 80_000) };
        let client = Client::number(7);
        let new =
            |reason, client| Case { session: Session::New(reason), record: Record::Absent, client };
        let carry = |token: &str| self.kind.with_token(client.clone(), token);
        let with_token = |pin, keyring| carry(self.kind.codec(&keyring).seal(&pin).as_str());
        let stored =
            |session, record| Case { session, record, client: client.clone().with_user("ann") };
        match self.kind {
            Kind::Cookie
            | Kind::IpCookie
            | Kind::IssuedHeader
            | Kind::Sliding
            | Kind::Migrating => {
                let early = Pin { issued: at(now + 900_000), expires: at(now + 980_000), ..pin };
                let late = Pin { issued: at(now - 90_000), expires: at(now - 10_000), ..pin };
                let forger = Keyring::from(Key::new(1, Secret::new([77; 32]).unwrap()));
                let version_2 =
                    format!("Ag{}", &self.kind.codec(&keyring()).seal(&pin).as_str()[2..]);
                let (live, client) = match self.kind {
                    Kind::Migrating => {
                        (Session::Foreign(pin_id()), client.clone().with_old_cookie("a.pin"))
                    }
                    _ => (Session::Live(pin_id()), with_token(pin, keyring())),
                };
                let live = Case { session: live, record: Record::Absent, client };
                let client = Client::number(7);
                let cases = vec![
                    live,
                    new(self.kind.missing(), client.clone()),
                    new(self.kind.missing(), Client::without_address()),
                    new(Created::Expired, with_token(late, keyring())),
                    new(Created::Premature, with_token(early, keyring())),
                    new(Created::Malformed, carry("short")),
                    new(Created::Forged, with_token(pin, forger)),
                    new(Created::UnknownKey, with_token(pin, Keyring::from(key(5)))),
                    new(Created::UnknownVersion, carry(&version_2)),
                ];
                // A cookie of ours that is not valid does not fall back to the other one.
                let with_old = |mut case: Case| {
                    if case.session.pinned().is_none() && case.client.headers.contains_key(COOKIE) {
                        case.client = case.client.with_old_cookie("a.pin");
                    }
                    case
                };
                match self.kind {
                    Kind::Migrating => cases.into_iter().map(with_old).collect(),
                    _ => cases,
                }
            }
            Kind::Header => vec![
                stored(
                    Session::Live(pin_id()),
                    Record::Found { endpoint: pin_id(), issued: at(now) },
                ),
                stored(Session::New(Created::NoRecord), Record::Absent),
                stored(Session::New(Created::Unreadable), Record::Unreadable),
                stored(Session::New(Created::StoreUnreachable), Record::Unreachable),
                Case { session: Session::Unbound, record: Record::Absent, client: client.clone() },
            ],
            Kind::NoAffinity => {
                vec![Case { session: Session::Unbound, record: Record::Absent, client }]
            }
        }
    }

    /// Checks a live session in each of these modes and a new one in one of them. Of as many places
    /// as the number beside a mode, or `new_every`, about one is checked. `on_loss` is spread over
    /// the places.
    fn run(kind: Kind, modes: &[(FailoverMode, u64)], new_every: u64) {
        let start = Instant::now();
        let mut bench = Self::new(kind);
        let mut cases = bench.cases();
        let mut renewed = bench.now;
        for number in 0..PLACES {
            let place = Place::number(number);
            if !place.is_of_interest() {
                continue;
            }
            if bench.now > renewed + 40_000 {
                renewed = bench.now;
                cases = bench.cases();
            }
            // What is left out is spread over all conditions.
            let mut spread = Random(number as u64);
            let (live, new): (Vec<&Case>, Vec<_>) =
                cases.iter().partition(|case| case.session.pinned().is_some());
            for (mode, every) in modes {
                if spread.next().is_multiple_of(*every) {
                    let retries = 1 + spread.below(2);
                    for on_loss in place.losses(&mut spread) {
                        bench.check(place, live[0], Rules { mode: *mode, retries, on_loss });
                    }
                }
            }
            if spread.next().is_multiple_of(new_every) {
                let mode = modes.get(spread.below(3)).map_or(FailoverMode::None, |(mode, _)| *mode);
                let (case, retries) = (new[spread.below(new.len())], 1 + spread.below(2));
                bench.check(place, case, Rules { mode, retries, on_loss: spread.one_of(&LOSSES) });
            }
        }
        print(&format!(
            "{kind:?}: {} combinations, {} attempts, {} settled, {:?}",
            bench.combinations,
            bench.steps,
            bench.settled,
            start.elapsed()
        ));
    }
}

/// Returns the kind of write in a settlement, every field of which must be right.
fn written(
    settlement: &Settlement,
    policy: Kind,
    endpoint: EndpointId,
    key: Option<SessionKey>,
    now: u64,
) -> Write {
    const IDLE: u64 = 1_800;
    const ABSOLUTE: u64 = 82_800;
    let now = at(now);
    match (&settlement.response, settlement.store_write) {
        (None, None) => Write::Nothing,
        (Some(_), None) => {
            let token = token_of(settlement).unwrap();
            let pin = policy.codec(&keyring()).open(token.as_bytes(), now).unwrap();
            assert_eq!(pin, Pin { endpoint, issued: now, expires: now.saturating_add(ABSOLUTE) });
            Write::SetCookie
        }
        (None, Some(write)) => {
            let key = key.expect("only header sessions are stored");
            let (kind, written) = match write.kind {
                WriteKind::Touch => (WriteKind::Touch, Write::Touch),
                WriteKind::Create(_) => (WriteKind::Create(endpoint), Write::Create),
                WriteKind::Replace(_) => (WriteKind::Replace(endpoint), Write::Replace),
                WriteKind::Remove => panic!("no session is taken back"),
            };
            assert_eq!(write, StoreWrite { key, ttl: ttl(IDLE), now, kind });
            written
        }
        (Some(_), Some(_)) => panic!("a session lives in one place"),
    }
}

// The policies differ in where they look and what they write, not in the tables: `temporary`
// and `sticky` meet every combination with one of them, and a part with the others.

/// The tables of manual::tables, for sessions in a store.
#[test]
fn every_combination_of_the_tables_for_header() {
    Bench::run(Kind::Header, &[(FailoverMode::None, 5), (FailoverMode::Temporary, 1)], 3);
}

/// The tables of manual::tables, for sessions in a cookie.
#[test]
fn every_combination_of_the_tables_for_cookie() {
    let modes = [(FailoverMode::None, 9), (FailoverMode::Temporary, 9), (FailoverMode::Sticky, 1)];
    Bench::run(Kind::Cookie, &modes, 9);
}

/// The tables of manual::tables, where the client's address makes the first choice.
#[test]
fn every_combination_of_the_tables_for_ip_cookie() {
    let modes =
        [(FailoverMode::None, 25), (FailoverMode::Temporary, 25), (FailoverMode::Sticky, 25)];
    Bench::run(Kind::IpCookie, &modes, 9);
}

/// The tables of manual::tables, for sessions in a header that the gateway issues.
#[test]
fn every_combination_of_the_tables_for_an_issued_header() {
    let modes =
        [(FailoverMode::None, 49), (FailoverMode::Temporary, 49), (FailoverMode::Sticky, 49)];
    Bench::run(Kind::IssuedHeader, &modes, 25);
}

/// The tables of manual::tables, for sessions that another proxy has pinned.
#[test]
fn every_combination_of_the_tables_for_sessions_of_another_system() {
    let modes =
        [(FailoverMode::None, 25), (FailoverMode::Temporary, 25), (FailoverMode::Sticky, 25)];
    Bench::run(Kind::Migrating, &modes, 25);
}

/// manual::tables, The session: "unbound: steering chooses each time, in the same pools | nothing"
#[test]
fn every_combination_of_the_tables_for_none() {
    Bench::run(Kind::NoAffinity, &[], 5);
}

/// Past the capture of the test runner: the counts are to be seen when the test passes.
fn print(line: &str) {
    let _ =
        std::io::Write::write_all(&mut std::io::stdout().lock(), format!("{line}\n").as_bytes());
}
