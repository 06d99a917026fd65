//! Marks, counts, a store and the current snapshot that threads share, in every order of the threads'
//! steps:
//! `RUSTFLAGS="--cfg session_affinity_loom" cargo test -p session-affinity --release --lib interleavings`.

use std::collections::BTreeSet;
use std::sync::Arc;

use loom::thread;

use crate::endpoint::mark::{Mark, begin};
use crate::endpoint::{Census, Endpoint, EndpointId, Health};
use crate::limits::{CoolingOff, Ttl};
use crate::pools::{LivePools, Pool, Pools};
use crate::steering::{InFlight, PoolLoad};
use crate::store::{Lookup, MemoryStore, Record, SessionKey, SessionStore, StoreWrite, WriteKind};
use crate::sync::AtomicU64;
use crate::time::UnixTime;

fn at(secs: u64) -> UnixTime {
    UnixTime::from_secs(1_800_000_000 + secs)
}

fn mark() -> Arc<Mark> {
    Arc::new(Mark::new(Arc::new(AtomicU64::new(0))))
}

/// Runs two steps at the same time, and waits for both.
fn both(one: impl FnOnce() + Send + 'static, other: impl FnOnce()) {
    let one = thread::spawn(one);
    other();
    one.join().unwrap();
}

/// The time from `now` on for which the mark is suspect, in seconds.
fn suspect_for(mark: &Mark, now: u64) -> u64 {
    (0..1_000).find(|later| !mark.is_suspect(at(now + later))).unwrap()
}

#[test]
fn two_requests_that_meet_the_same_failure_double_nothing() {
    loom::model(|| {
        let (mark, ten) = (mark(), CoolingOff::new(10).unwrap());
        let other = mark.clone();
        both(move || other.failed(at(0), ten), || mark.failed(at(0), ten));
        assert_eq!(suspect_for(&mark, 0), 10);

        let other = mark.clone();
        both(move || other.failed(at(10), ten), || mark.failed(at(10), ten));
        assert_eq!(suspect_for(&mark, 10), 20);
    });
}

#[test]
fn an_answer_beside_a_failure_comes_before_or_after_it() {
    loom::model(|| {
        let (mark, ten) = (mark(), CoolingOff::new(10).unwrap());
        mark.failed(at(0), ten);
        let other = mark.clone();
        both(move || other.seen(at(10)), || mark.failed(at(10), ten));
        assert!([0, 10].contains(&suspect_for(&mark, 10)), "{}", suspect_for(&mark, 10));
        assert_eq!(mark.census().last_seen, Some(at(10)));
    });
}

#[test]
fn a_census_keeps_the_latest_of_each_time_and_never_goes_back() {
    loom::model(|| {
        let mark = mark();
        let (one, other) = (mark.clone(), mark.clone());
        let one = thread::spawn(move || one.pinned(at(2), at(50)));
        let other = thread::spawn(move || other.pinned(at(1), at(100)));
        let (first, second) = (mark.census(), mark.census());
        assert_eq!(first.merge(second), second);
        one.join().unwrap();
        other.join().unwrap();
        let census = mark.census();
        assert_eq!(
            census,
            Census { latest_issued: Some(at(2)), latest_end: Some(at(100)), ..Census::default() }
        );
    });
}

#[test]
fn a_census_begins_once() {
    loom::model(|| {
        let began = Arc::new(AtomicU64::new(0));
        let (ours, theirs) = (Mark::new(began.clone()), began.clone());
        let noted = thread::spawn(move || {
            begin(&theirs, at(1));
            Mark::new(theirs).census().began
        });
        begin(&began, at(2));
        let seen = ours.census().began;
        assert!(seen == Some(at(1)) || seen == Some(at(2)), "{seen:?}");
        assert_eq!(noted.join().unwrap(), seen);
    });
}

#[test]
fn requests_in_flight_are_counted_once_each_and_none_is_left() {
    loom::model(|| {
        let eu = PoolLoad::default();
        let (one, other) = (InFlight::of(&eu), InFlight::of(&eu));
        let (shared, elsewhere) = (one.clone(), other.clone());
        let _kept = other.begin();
        both(
            move || drop([shared.begin(), elsewhere.begin()]),
            || {
                let guard = one.begin();
                assert!((1..=2).contains(&one.count()), "{}", one.count());
                assert!((2..=4).contains(&eu.total()), "{}", eu.total());
                drop(guard);
            },
        );
        assert_eq!((one.count(), other.count(), eu.total()), (0, 1, 1));
    });
}

#[test]
fn a_change_and_a_rebuild_at_once_are_made_one_from_the_other() {
    let eu = |names: &[&'static str]| {
        Pool::new("eu").with_endpoints(names.iter().map(|name| Endpoint::new(*name, ())))
    };
    let health = |pools: &Pools<()>, name| {
        pools.endpoint(EndpointId::new("eu", name)).map(|endpoint| endpoint.health())
    };
    loom::model(move || {
        let pools = Pools::builder().pool(eu(&["a"])).build().unwrap();
        let live = Arc::new(LivePools::new(pools));
        let checked = live.clone();
        let check = thread::spawn(move || {
            let id = EndpointId::new("eu", "a");
            checked.edit(|edit| edit.health(id, Health::Unhealthy)).unwrap();
        });
        let rebuilt = live.update(|now| now.rebuild().pool(eu(&["a", "b"])).build()).unwrap();
        assert_eq!(health(&rebuilt, "b"), Some(Health::Healthy));
        check.join().unwrap();
        let pools = live.load();
        let found = (health(&pools, "a"), health(&pools, "b"));
        assert_eq!(found, (Some(Health::Unhealthy), Some(Health::Healthy)));
    });
}

const TTL: u64 = 1_800;

/// The steps of one thread with a store: at most two, or there are too many orders.
type Steps = &'static [Step];

#[derive(Clone, Copy)]
enum Step {
    Load(u8),
    Touch(u8),
    Create(u8, u64),
    Replace(u8, u64),
}
use Step::{Create, Load, Replace, Touch};

/// Takes a step, and returns the endpoint that it has loaded.
fn run(store: &MemoryStore, step: Step) -> Option<u64> {
    let endpoint = EndpointId::from_u64;
    match step {
        Load(of) => return load(store, of, at(1)),
        Touch(of) => save(store, of, at(1), WriteKind::Touch),
        Create(of, to) => save(store, of, at(1), WriteKind::Create(endpoint(to))),
        Replace(of, to) => save(store, of, at(1), WriteKind::Replace(endpoint(to))),
    }
    None
}

fn load(store: &MemoryStore, of: u8, now: UnixTime) -> Option<u64> {
    let (key, ttl) = (SessionKey([of; 16]), Ttl::new(TTL).unwrap());
    match store.load(&Lookup { key, ttl, now }) {
        Ok(Record::Found { endpoint, .. }) => Some(endpoint.as_u64()),
        _ => None,
    }
}

fn save(store: &MemoryStore, of: u8, now: UnixTime, kind: WriteKind) {
    let (key, ttl) = (SessionKey([of; 16]), Ttl::new(TTL).unwrap());
    let Ok(()) = store.save(&StoreWrite { key, ttl, now, kind });
}

/// The endpoints that each of two threads has loaded, and those stored in the end.
type Seen = (Vec<Option<u64>>, Vec<Option<u64>>, Vec<Option<u64>>);

fn in_the_end(store: &MemoryStore) -> Vec<Option<u64>> {
    // The sessions of before end at TTL: a second earlier all are live, and at TTL those touched.
    [(1, at(TTL - 1)), (2, at(TTL - 1)), (1, at(TTL))].map(|(of, now)| load(store, of, now)).into()
}

fn store(before: Steps) -> MemoryStore {
    let store = MemoryStore::new(1).unwrap();
    for step in before {
        let Create(of, to) = *step else { panic!("only Create comes before") };
        save(&store, of, at(0), WriteKind::Create(EndpointId::from_u64(to)));
    }
    store
}

/// The results of all orders of the steps of two threads, each run in one thread.
fn one_after_the_other(before: Steps, one: Steps, other: Steps) -> BTreeSet<Seen> {
    let mut all = BTreeSet::new();
    for order in 0..1_u32 << (one.len() + other.len()) {
        if order.count_ones() as usize != one.len() {
            continue;
        }
        let store = store(before);
        let (mut left, mut right) = (one.iter(), other.iter());
        let (mut saw, mut other_saw) = (Vec::new(), Vec::new());
        for turn in 0..one.len() + other.len() {
            match order >> turn & 1 {
                1 => saw.push(run(&store, *left.next().unwrap())),
                _ => other_saw.push(run(&store, *right.next().unwrap())),
            }
        }
        all.insert((saw, other_saw, in_the_end(&store)));
    }
    all
}

#[test]
fn what_two_threads_do_with_a_store_is_as_if_it_were_done_one_after_the_other() {
    const CASES: &[(Steps, Steps, Steps)] = &[
        (&[], &[Create(1, 7)], &[Create(1, 8), Load(1)]),
        (&[], &[Create(1, 7), Load(1)], &[Replace(1, 8), Load(1)]),
        (&[], &[Create(1, 7), Load(1)], &[Create(2, 8), Load(1)]),
        (&[Create(1, 7)], &[Touch(1)], &[Replace(1, 8), Load(1)]),
        (&[Create(1, 7)], &[Replace(1, 8), Touch(1)], &[Replace(1, 9), Load(1)]),
        (&[Create(1, 7)], &[Load(1), Load(1)], &[Replace(1, 8), Replace(1, 9)]),
        (&[Create(1, 7), Create(2, 7)], &[Touch(1), Replace(2, 8)], &[Load(2), Replace(1, 9)]),
    ];
    for &(before, one, other) in CASES {
        let found = Arc::new(std::sync::Mutex::new(BTreeSet::new()));
        let seen = found.clone();
        loom::model(move || {
            let store = Arc::new(store(before));
            let shared = store.clone();
            let thread = thread::spawn(move || {
                one.iter().map(|step| run(&shared, *step)).collect::<Vec<_>>()
            });
            let other_saw = other.iter().map(|step| run(&store, *step)).collect();
            let saw = thread.join().unwrap();
            seen.lock().unwrap().insert((saw, other_saw, in_the_end(&store)));
        });
        let orders = Arc::new(std::sync::Mutex::new(BTreeSet::new()));
        let all = orders.clone();
        loom::model(move || *all.lock().unwrap() = one_after_the_other(before, one, other));
        assert_eq!(*found.lock().unwrap(), *orders.lock().unwrap());
    }
}
