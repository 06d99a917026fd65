//! Every combination of room, trust and failover mode against the naive model of manual::tables,
//! through every failover step, and the laws of manual::tables, Room, said once more by themselves.

mod naive;
mod support;

use std::time::Instant;

use naive::{Ask, Crowd, NaivePool, Service, Session, Step, Walk, World, shedding_hash};
use session_affinity::failover::FailoverScope;
use session_affinity::limits::{CoolingOff, DrainDuration, Retries};
use session_affinity::outcome::Created;
use session_affinity::token::Pin;
use session_affinity::{
    Affinity, CookiePolicy, EndpointId, FailoverMode, Health, Outcome, Pools, Record,
};
use support::{Client, NOW, PinnedTo, at, cookie_policy};

const ENDPOINTS: [(&str, &str); 5] =
    [("a", "pin"), ("a", "s1"), ("a", "s2"), ("b", "1"), ("b", "2")];
const MODES: [FailoverMode; 3] =
    [FailoverMode::None, FailoverMode::Temporary, FailoverMode::Sticky];
const DRAIN: u64 = 600;

/// The state of the pinned endpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Own {
    Healthy,
    WeightZero,
    Draining,
    Unchecked,
    Unhealthy,
}

/// The pools beside the endpoints' own state.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Site {
    /// Both pools are open.
    Open,
    /// The pin's pool is critical.
    Critical,
    /// The pin's pool is critical and the fallback pool, and no pool is open.
    Fallback,
    /// The pin's pool has no rule of room.
    NoRule,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    own: Own,
    site: Site,
    across: bool,
    mode: FailoverMode,
    /// A bit for each endpoint.
    full: usize,
    suspect: usize,
}

fn id(number: usize) -> EndpointId {
    let (pool, name) = ENDPOINTS[number];
    EndpointId::new(pool, name)
}

fn of_bits(bits: usize) -> Vec<EndpointId> {
    (0..ENDPOINTS.len()).filter(|number| bits & (1 << number) != 0).map(id).collect()
}

impl Place {
    fn world(&self, crowd: &Crowd, now: u64) -> World {
        let mut world = World::new(vec![
            NaivePool::new("a", &["pin", "s1", "s2"]),
            NaivePool::new("b", &["1", "2"]),
        ]);
        world.rules.mode = self.mode;
        world.rules.retries = 2;
        world.rules.across_pools = self.across;
        world.rules.drain_duration = DRAIN;
        world.rules.cooling_off = 1;
        world.pools.iter_mut().for_each(|pool| pool.crowd = Some(crowd.clone()));
        let [a, b] = &mut world.pools[..] else { unreachable!() };
        match self.site {
            Site::Open => {}
            Site::Critical => a.minimum_origins = 9,
            Site::Fallback => {
                (a.minimum_origins, b.minimum_origins) = (9, 9);
                world.fallback = Some(0);
            }
            Site::NoRule => a.crowd = None,
        }
        let own = &mut a.endpoints[0];
        match self.own {
            Own::Healthy => {}
            Own::WeightZero => own.weight = 0,
            Own::Draining => own.service = Service::Disabled(Some(now - 10)),
            Own::Unchecked => own.health = Health::Unchecked,
            Own::Unhealthy => own.health = Health::Unhealthy,
        }
        world
    }
}

fn node(mode: FailoverMode, across: bool) -> Affinity<CookiePolicy> {
    let scope = if across { FailoverScope::AllPools } else { FailoverScope::OwnPool };
    Affinity::new(cookie_policy())
        .with_failover_mode(mode)
        .unwrap()
        .with_failover_scope(scope)
        .with_retries(Retries::new(2).unwrap())
        .with_drain_duration(DrainDuration::new(DRAIN).unwrap())
        .with_cooling_off(CoolingOff::new(1).unwrap())
}

/// Refuses each of these endpoints once.
fn refuse(refusers: &[Affinity<PinnedTo>], pools: &Pools<EndpointId>, bits: usize, now: u64) {
    for number in (0..ENDPOINTS.len()).filter(|number| bits & (1 << number) != 0) {
        let affinity = &refusers[number];
        let visit = affinity.recall(&Client::default().request(), at(now));
        let (attempt, _) = affinity.route(visit, Record::Absent, pools, || 0).unwrap();
        let _ = affinity.failover(attempt, pools).unwrap_err();
    }
}

/// The laws, from the text and without the model's order of choices.
fn check_laws(place: Place, world: &World, now: u64, step: Step, tried: &[EndpointId]) {
    let Step { endpoint, outcome } = step;
    let (own, e) = world.find(endpoint).unwrap();
    let explain = || format!("{place:?}\n{step:?} after {tried:?}");
    if matches!(outcome.label(), "lent:full" | "moved:full") {
        assert!(!world.is_full(own, &e), "lent to a full one: {}", explain());
        assert!(!world.is_suspect(&e, now), "lent to a suspect: {}", explain());
        let (home, pin) = world.find(id(0)).unwrap();
        assert!(world.is_full(home, &pin), "lent needlessly: {}", explain());
        assert!(own == home || place.across, "out of reach: {}", explain());
    }
    // "no full endpoint takes a new session or a retry while another one within reach has room"
    let is_choice = outcome != Outcome::Kept || !tried.is_empty();
    if is_choice && world.is_full(own, &e) {
        for (index, pool) in world.pools.iter().enumerate() {
            let within = index == own || (place.across && pool.is_open());
            for other in &pool.endpoints {
                let has_room = pool.takes_new(other)
                    && !tried.contains(&other.id)
                    && !world.is_full(index, other)
                    && !world.is_suspect(other, now);
                assert!(!(within && has_room), "{} has room: {}", other.name, explain());
            }
        }
    }
}

#[test]
fn every_combination_of_room_trust_and_mode() {
    let start = Instant::now();
    let crowd = Crowd::default();
    let refusers: Vec<_> = (0..ENDPOINTS.len())
        .map(|number| {
            let cooling_off = CoolingOff::new(1).unwrap();
            Affinity::new(PinnedTo::new(id(number))).with_cooling_off(cooling_off)
        })
        .collect();
    let mut now = NOW.as_secs();
    let (mut combinations, mut steps) = (0, 0);
    for site in [Site::Open, Site::Critical, Site::Fallback, Site::NoRule] {
        let healthy = Place {
            own: Own::Healthy,
            site,
            across: false,
            mode: FailoverMode::None,
            full: 0,
            suspect: 0,
        };
        let pools = healthy.world(&crowd, now).describe(Pools::builder());
        for across in [false, true] {
            for mode in MODES {
                let nodes = [node(mode, across), node(mode, across)];
                for own in
                    [Own::Healthy, Own::WeightZero, Own::Draining, Own::Unchecked, Own::Unhealthy]
                {
                    for number in 0..1_usize << (2 * ENDPOINTS.len()) {
                        let (full, suspect) = (number & 31, number >> 5);
                        // Where the pin is never full, a part is enough.
                        if own != Own::Healthy && !number.is_multiple_of(7) {
                            continue;
                        }
                        let place = Place { own, site, across, mode, full, suspect };
                        for is_live in [true, false] {
                            if !is_live && !number.is_multiple_of(3) {
                                continue;
                            }
                            combinations += 1;
                            steps +=
                                check(place, is_live, &nodes, &refusers, &pools, &crowd, &mut now);
                        }
                    }
                }
            }
        }
    }
    print(&format!("{combinations} combinations, {steps} attempts, {:?}", start.elapsed()));
}

/// One combination, through all of its failures, on both nodes at once. Returns the number of
/// attempts.
fn check(
    place: Place,
    is_live: bool,
    nodes: &[Affinity<CookiePolicy>; 2],
    refusers: &[Affinity<PinnedTo>],
    pools: &Pools<EndpointId>,
    crowd: &Crowd,
    clock: &mut u64,
) -> usize {
    *clock += 16; // No endpoint is suspect any more.
    let now = *clock;
    crowd.set(&[]);
    let mut world = place.world(crowd, now);
    refuse(refusers, pools, place.suspect, now);
    of_bits(place.suspect).into_iter().for_each(|suspect| world.failed(suspect, now));
    crowd.set(&of_bits(place.full));
    let pools = world.edit(pools);
    let pin = Pin { endpoint: id(0), issued: at(now), expires: at(now + 80_000) };
    let client = Client::number(7);
    let (client, session) = match is_live {
        true => (client.with_pin(pin), Session::Live(id(0))),
        false => (client, Session::New(Created::NoCookie)),
    };
    let hash = client.ip.map(|ip| shedding_hash("shop.example.com", ip));
    let ask = Ask { now, session, hash, key_hash: None };
    let routed = nodes.each_ref().map(|node| {
        let visit = node.recall(&client.request(), at(now));
        node.route(visit, Record::Absent, &pools, || now).map(|(attempt, _)| attempt)
    });
    let mut permitted = match world.route(&ask) {
        Ok(permitted) => permitted,
        Err(outcome) => {
            assert!(routed.iter().all(|it| it.as_ref().is_err_and(|it| it.outcome() == outcome)));
            return 0;
        }
    };
    let [one, two] = routed;
    let (mut one, mut two) = (one.unwrap(), two.unwrap());
    let mut walk: Option<Walk> = None;
    let mut tried = Vec::new();
    loop {
        let step = Step { endpoint: one.endpoint(), outcome: one.outcome() };
        assert!(
            permitted.contains(&step),
            "{place:?}\n{ask:?}\n{step:?} after {tried:?}, permitted: {permitted:?}"
        );
        let other = Step { endpoint: two.endpoint(), outcome: two.outcome() };
        assert_eq!(step, other, "two nodes: {place:?}");
        check_laws(place, &world, now, step, &tried);
        match &mut walk {
            None => walk = Some(Walk::begin(ask, step)),
            Some(walk) => walk.go_on(step),
        }
        tried.push(step.endpoint);
        permitted = walk.as_mut().unwrap().fail(&mut world);
        match (nodes[0].failover(one, &pools), nodes[1].failover(two, &pools)) {
            (Ok((first, _)), Ok((second, _))) => (one, two) = (first, second),
            (first, second) => {
                assert!(first.is_err() && second.is_err() && permitted.is_empty(), "{place:?}");
                return tried.len();
            }
        }
    }
}

/// Past the capture of the test runner: the counts are to be seen when the test passes.
fn print(line: &str) {
    let _ =
        std::io::Write::write_all(&mut std::io::stdout().lock(), format!("{line}\n").as_bytes());
}
