//! The current snapshot, shared: writers at the same time lose nothing, readers never wait.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use http::HeaderMap;
use session_affinity::pools::{LivePools, NotInSnapshot};
use session_affinity::*;

mod support;
use support::{NOW, cookie_policy, request};

/// These are in every snapshot.
const STAY: [&str; 4] = ["stay-1", "stay-2", "stay-3", "stay-4"];
const ROUNDS: u32 = 3_000;

fn eu(name: &str) -> EndpointId {
    EndpointId::new("eu", name)
}

fn pool(names: &[String]) -> Pool<String> {
    let endpoints = names.iter().map(|name| Endpoint::new(name, name.clone()));
    Pool::new("eu").with_endpoints(endpoints)
}

fn stay() -> Vec<String> {
    STAY.map(str::to_owned).into()
}

fn live() -> LivePools<String> {
    Pools::builder().pool(pool(&stay())).build().unwrap().into()
}

/// The endpoints of a round of discovery: those that stay, and a pair of its own.
fn found(round: u32) -> Vec<String> {
    let mut names = stay();
    names.extend(["a", "b"].map(|half| format!("round-{round}-{half}")));
    names
}

/// Adds one to a number in the snapshot that both writers write.
fn count(now: &Pools<String>) -> Result<Pools<String>, NotInSnapshot> {
    let count = now.pool("eu").map_or(0, |pool| pool.minimum_origins());
    now.edited(|edit| edit.pool_minimum_origins("eu", count + 1))
}

/// A health check: it alone writes health and weight, and finds them as it has left them.
fn check(live: &LivePools<String>) {
    let mut checked = [Health::Healthy; 4];
    for round in 0..ROUNDS {
        let place = round as usize % 4;
        let id = eu(STAY[place]);
        let health = [Health::Healthy, Health::Unhealthy, Health::Unchecked][round as usize % 3];
        let found = live.load();
        let found = STAY.map(|name| found.endpoint(eu(name)).unwrap().health());
        assert_eq!(found, checked, "before round {round}");
        checked[place] = health;
        let weight = Weight::new(u64::from(round % 101)).unwrap();
        let edited = live.edit(|edit| {
            STAY.iter().try_for_each(|name| edit.weight(eu(name), weight))?;
            edit.health(id, health)
        });
        for pools in [edited.unwrap(), live.load()] {
            let endpoint = pools.endpoint(id).unwrap();
            assert_eq!((endpoint.health(), endpoint.weight()), (health, weight), "round {round}");
        }
        live.update(count).unwrap();
    }
}

/// Discovery: it alone writes the list of endpoints, and finds it as it has left it.
fn discover(live: &LivePools<String>) {
    for round in 0..ROUNDS {
        live.update(|now| now.rebuild().pool(pool(&found(round))).build()).unwrap();
        let pools = live.load();
        let names = pools.pool("eu").unwrap().endpoints().map(|endpoint| endpoint.name());
        assert_eq!(names.collect::<Vec<_>>(), found(round));
        live.update(count).unwrap();
    }
}

/// Requests, until the writers are done: each sees a whole snapshot. Returns the latest end of a
/// session of each endpoint that stays.
fn serve(live: &LivePools<String>, done: &AtomicBool) -> HashMap<EndpointId, Option<UnixTime>> {
    let (affinity, headers) = (Affinity::new(cookie_policy()), HeaderMap::new());
    let mut ends: HashMap<_, _> = STAY.map(|name| (eu(name), None)).into();
    let mut requests = 0;
    while !done.load(Ordering::Relaxed) || requests < 100 {
        let pools = live.load();
        let endpoints: Vec<_> = pools.pool("eu").unwrap().endpoints().collect();
        let weights = endpoints[..4].iter().map(|endpoint| endpoint.weight().get());
        let mut weights: Vec<_> = weights.collect();
        weights.dedup();
        assert_eq!(weights.len(), 1, "one edit set them all");
        assert!([4, 6].contains(&endpoints.len()), "a pair comes and goes together");

        requests += 1;
        let now = NOW.saturating_add(requests);
        let visit = affinity.recall(&request(&headers), now);
        if let Ok((attempt, _)) = affinity.route(visit, Record::Absent, &pools, || requests) {
            if let Some(end) = ends.get_mut(&attempt.endpoint()) {
                *end = Some(now.saturating_add(82_800));
            }
            let _ = affinity.settle(attempt, &pools);
        }
    }
    ends
}

/// manual::gateways, Changing the endpoints: "Each change is made from the snapshot that the writer
/// before left, so none is lost".
#[test]
fn a_health_check_and_a_discovery_at_once_lose_no_change_and_no_mark() {
    let (live, done) = (live(), AtomicBool::new(false));
    live.edit(|edit| edit.pool_minimum_origins("eu", 0)).unwrap();
    let ends = thread::scope(|scope| {
        let serving = scope.spawn(|| serve(&live, &done));
        let checking = scope.spawn(|| check(&live));
        let discovering = scope.spawn(|| discover(&live));
        let wrote = [checking.join(), discovering.join()];
        done.store(true, Ordering::Relaxed);
        wrote.into_iter().for_each(|writer| writer.unwrap());
        serving.join().unwrap()
    });
    let pools = live.load();
    assert_eq!(pools.pool("eu").unwrap().minimum_origins(), 2 * ROUNDS);
    for (id, end) in ends {
        assert_eq!(pools.endpoint(id).unwrap().census().latest_end, end);
    }
}

/// The discovery of one pool, beside that of another one: it finds the list as it has left it, and
/// the pools, their order and the fallback pool as they were at the start.
fn discover_one(live: &LivePools<String>, own: &str) {
    for round in 0..ROUNDS {
        let names = found(round);
        let endpoints = || names.iter().map(|name| Endpoint::new(name, name.clone()));
        live.update(|now| now.with_endpoints_of(own, endpoints(), Health::Unchecked)).unwrap();
        let pools = live.load();
        let of = |pool: &str| pools.pool(pool).unwrap().endpoints().map(|it| it.name());
        assert_eq!(of(own).collect::<Vec<_>>(), names);
        assert_eq!(of("last").collect::<Vec<_>>(), STAY);
        assert_eq!(pools.iter().map(|pool| pool.name()).collect::<Vec<_>>(), ["eu", "us", "last"]);
        assert_eq!(pools.fallback().map(|pool| pool.name()), Some("last"));
        for name in STAY {
            let health = pools.endpoint(EndpointId::new(own, name)).unwrap().health();
            assert_eq!(health, Health::Unhealthy, "as the health check left it");
        }
    }
}

/// manual::embedding, Discovery: "the discovery of another pool does not lose any of it".
#[test]
fn the_discoveries_of_two_pools_at_once_lose_nothing() {
    let pool = |name: &str| Pool::new(name).with_endpoints(pool(&stay()).endpoints);
    let first = Pools::builder().pool(pool("eu")).pool(pool("us")).fallback_apart(pool("last"));
    let live = LivePools::new(first.build().unwrap());
    let ill = live.edit(|edit| {
        let ids = ["eu", "us"].map(|pool| STAY.map(|name| EndpointId::new(pool, name)));
        ids.iter().flatten().try_for_each(|id| edit.health(*id, Health::Unhealthy))
    });
    ill.unwrap();
    thread::scope(|scope| {
        for own in ["eu", "us"] {
            let live = &live;
            scope.spawn(move || discover_one(live, own));
        }
    });
    let pools = live.load();
    for own in ["eu", "us"] {
        let names = pools.pool(own).unwrap().endpoints().map(|endpoint| endpoint.name());
        assert_eq!(names.collect::<Vec<_>>(), found(ROUNDS - 1));
    }
}

/// manual::gateways, Changing the endpoints: "readers do not wait".
#[test]
fn a_reader_does_not_wait_for_a_writer() {
    let live = live();
    thread::scope(|scope| {
        let updated = live.update(|now| {
            let (send, receive) = mpsc::channel();
            let live = &live;
            scope.spawn(move || send.send(live.load()));
            let seen = receive.recv_timeout(Duration::from_secs(20)).expect("it does not wait");
            assert!(std::ptr::eq(&raw const *seen, now), "the snapshot before");
            now.edited(|edit| edit.health(eu("stay-1"), Health::Unhealthy))
        });
        assert!(Arc::ptr_eq(&updated.unwrap(), &live.load()));
    });
}

#[test]
fn a_change_that_fails_or_panics_leaves_everything_as_it_was() {
    let live = live();
    let before = live.load();
    let stranger = eu("stranger");
    let refused = live.edit(|edit| {
        edit.health(eu("stay-1"), Health::Unhealthy)?;
        edit.health(stranger, Health::Unhealthy)
    });
    assert_eq!(refused.unwrap_err(), NotInSnapshot::Endpoint(stranger));
    let twice = ["a", "a"].map(str::to_owned);
    live.update(|now| now.rebuild().pool(pool(&twice)).build()).unwrap_err();
    let panicked = AssertUnwindSafe(|| live.edit(|_| panic!("as a closure may")));
    catch_unwind(panicked).unwrap_err();
    assert!(Arc::ptr_eq(&before, &live.load()));

    let after = live.edit(|edit| edit.health(eu("stay-1"), Health::Unhealthy)).unwrap();
    assert_eq!(after.endpoint(eu("stay-1")).unwrap().health(), Health::Unhealthy);
    assert_eq!(before.endpoint(eu("stay-1")).unwrap().health(), Health::Healthy);
}

/// A target that changes the pools when it is dropped.
struct Leaving(Weak<LivePools<Leaving>>);

impl Drop for Leaving {
    fn drop(&mut self) {
        if let Some(live) = self.0.upgrade() {
            live.edit(|edit| edit.pool_state("eu", State::Disabled { at: None })).unwrap();
        }
    }
}

#[test]
fn the_targets_of_the_snapshot_before_are_dropped_without_a_lock() {
    let live = Arc::new_cyclic(|live: &Weak<_>| {
        let eu = Pool::new("eu").with_endpoint(Endpoint::new("eu-1", Leaving(live.clone())));
        LivePools::new(Pools::builder().pool(eu).build().unwrap())
    });
    let (send, receive) = mpsc::channel();
    let shared = live.clone();
    thread::spawn(move || {
        shared.update(|now| now.rebuild().pool(Pool::new("eu")).build()).unwrap();
        send.send(()).unwrap();
    });
    receive.recv_timeout(Duration::from_secs(20)).expect("it does not wait for itself");
    assert_eq!(live.load().pool("eu").unwrap().state(), State::Disabled { at: None });
}

#[test]
fn debug_shows_the_current_snapshot() {
    let shown = format!("{:?}", live());
    assert!(shown.starts_with("LivePools(Pools { ") && shown.contains("stay-4"), "{shown}");
}
