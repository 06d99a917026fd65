//! The laws of [`SessionStore`], for each store that claims to keep them.

use std::collections::HashMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use session_affinity::*;

/// A store, and the time by which its records grow old.
pub trait Subject {
    fn load(&self, lookup: &Lookup) -> Record;
    fn save(&self, write: &StoreWrite);
    /// How many records are live.
    fn live(&self) -> usize;
    fn now(&self) -> UnixTime;
    /// Lets this many seconds pass.
    fn wait(&mut self, seconds: u64);
}

/// A test for each law, of a subject that is new to it.
macro_rules! laws {
    ($subject:expr) => {
        $crate::store_laws::laws! { $subject =>
            a_record_is_alive_until_one_second_before_its_idle_time_is_over
            a_replacement_lives_for_its_own_time
            a_load_does_not_restart_the_timer
            a_touch_makes_no_record_and_wakes_none
            a_touch_keeps_endpoint_and_time_of_the_record
            a_create_keeps_what_came_first_and_a_replace_does_not
            a_create_that_comes_second_does_not_restart_the_timer
            a_key_shows_no_record_but_its_own
            an_idle_time_of_nothing_leaves_no_record
            the_longest_idle_time_can_be_stored
        }
    };
    ($subject:expr => $($law:ident)*) => {$(
        #[test]
        fn $law() {
            $crate::store_laws::$law(&mut $subject);
        }
    )*};
}
pub(crate) use laws;

pub fn key(number: u64) -> SessionKey {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    SessionKey(bytes)
}

pub fn endpoint(number: u64) -> EndpointId {
    EndpointId::from_u64(number)
}

/// Endpoint, issued and expires.
pub type Found = (EndpointId, UnixTime, UnixTime);

pub fn found(record: Record) -> Option<Found> {
    match record {
        Record::Found(pin) => Some((pin.endpoint, pin.issued, pin.expires)),
        Record::Absent => None,
        other => panic!("{other:?}"),
    }
}

fn load(store: &impl Subject, number: u64, ttl: u64) -> Option<Found> {
    found(store.load(&Lookup { key: key(number), ttl, now: store.now() }))
}

fn create(store: &impl Subject, number: u64, pinned: u64, ttl: u64) {
    store.save(&StoreWrite::Create {
        key: key(number),
        endpoint: endpoint(pinned),
        ttl,
        now: store.now(),
    });
}

fn replace(store: &impl Subject, number: u64, pinned: u64, ttl: u64) {
    store.save(&StoreWrite::Replace {
        key: key(number),
        endpoint: endpoint(pinned),
        ttl,
        now: store.now(),
    });
}

fn touch(store: &impl Subject, number: u64, ttl: u64) {
    store.save(&StoreWrite::Touch { key: key(number), ttl, now: store.now() });
}

/// A record idles out at its last use + TTL, and is alive one second before. SessionStore, Laws: a
/// store never returns "a record `ttl` seconds or more after its last `Touch`, `Create` or
/// `Replace`".
pub fn a_record_is_alive_until_one_second_before_its_idle_time_is_over(store: &mut impl Subject) {
    let begun = store.now();
    create(store, 1, 7, 30);
    store.wait(29);
    let last = begun.saturating_add(29);
    assert_eq!(load(store, 1, 30), Some((endpoint(7), begun, last.saturating_add(30))));
    touch(store, 1, 30);
    store.wait(29);
    assert!(load(store, 1, 30).is_some(), "a touch restarts the timer");
    store.wait(1);
    assert_eq!(load(store, 1, 30), None);
}

/// The idle time of a replacement counts from the replacement.
pub fn a_replacement_lives_for_its_own_time(store: &mut impl Subject) {
    create(store, 1, 7, 30);
    store.wait(29);
    replace(store, 1, 8, 60);
    store.wait(59);
    assert_eq!(load(store, 1, 60).map(|found| found.0), Some(endpoint(8)));
    store.wait(1);
    assert_eq!(load(store, 1, 60), None);
}

/// SessionStore, Laws: the time counts from the "last `Touch`, `Create` or `Replace`", and not from
/// a load.
pub fn a_load_does_not_restart_the_timer(store: &mut impl Subject) {
    create(store, 1, 7, 30);
    store.wait(29);
    assert!(load(store, 1, 30).is_some());
    store.wait(1);
    assert_eq!(load(store, 1, 30), None);
}

/// SessionStore, Laws: never "let `Touch` make one".
pub fn a_touch_makes_no_record_and_wakes_none(store: &mut impl Subject) {
    touch(store, 1, 30);
    assert_eq!(load(store, 1, 30), None);
    create(store, 1, 7, 30);
    store.wait(30);
    touch(store, 1, 30);
    assert_eq!(load(store, 1, 30), None);
}

/// SessionStore, Laws: never let `Touch` "change its endpoint", so it does not undo the move of
/// another node.
pub fn a_touch_keeps_endpoint_and_time_of_the_record(store: &mut impl Subject) {
    create(store, 1, 7, 30);
    store.wait(5);
    let moved = store.now();
    replace(store, 1, 8, 30);
    store.wait(5);
    touch(store, 1, 30);
    assert_eq!(load(store, 1, 30), Some((endpoint(8), moved, store.now().saturating_add(30))));
}

/// A create keeps a live record that came first; a replacement overwrites it.
pub fn a_create_keeps_what_came_first_and_a_replace_does_not(store: &mut impl Subject) {
    for (number, expected) in [(1, 1), (2, 1)] {
        create(store, 1, number, 30);
        assert_eq!(load(store, 1, 30).unwrap().0, endpoint(expected));
    }
    store.wait(1);
    replace(store, 1, 3, 30);
    let (pinned, issued, _) = load(store, 1, 30).unwrap();
    assert_eq!((pinned, issued), (endpoint(3), store.now()));
    store.wait(100);
    create(store, 1, 4, 30);
    assert_eq!(load(store, 1, 30).unwrap().0, endpoint(4), "what has idled out does not stay");
}

/// SessionStore, Laws: never "let `Create` change a live record", its timer included.
pub fn a_create_that_comes_second_does_not_restart_the_timer(store: &mut impl Subject) {
    create(store, 1, 7, 30);
    store.wait(20);
    create(store, 1, 8, 30);
    store.wait(10);
    assert_eq!(load(store, 1, 30), None);
}

/// SessionStore, Laws: "It must *never* return a record of another key, or one that was never
/// written"
pub fn a_key_shows_no_record_but_its_own(store: &mut impl Subject) {
    create(store, 1, 7, 30);
    assert_eq!(load(store, 2, 30), None);
    create(store, 2, 8, 30);
    assert_eq!(load(store, 1, 30).unwrap().0, endpoint(7));
    assert_eq!(load(store, 2, 30).unwrap().0, endpoint(8));
}

/// SessionStore, Laws: never return "a record `ttl` seconds or more after its last `Touch`,
/// `Create` or `Replace`", where `ttl` is 0.
pub fn an_idle_time_of_nothing_leaves_no_record(store: &mut impl Subject) {
    create(store, 1, 7, 0);
    assert_eq!(load(store, 1, 0), None);
    create(store, 1, 7, 30);
    create(store, 1, 8, 0);
    assert_eq!(load(store, 1, 30).unwrap().0, endpoint(7), "a create changes no live record");
    touch(store, 1, 0);
    assert_eq!(load(store, 1, 30), None);
    create(store, 1, 7, 30);
    replace(store, 1, 8, 0);
    assert_eq!(load(store, 1, 30), None);
}

pub fn the_longest_idle_time_can_be_stored(store: &mut impl Subject) {
    create(store, 1, 7, u64::MAX);
    replace(store, 2, 8, u64::MAX);
    touch(store, 1, u64::MAX);
    assert_eq!(
        load(store, 1, u64::MAX).map(|found| (found.0, found.2)),
        Some((endpoint(7), UnixTime::MAX))
    );
    assert_eq!(
        load(store, 2, u64::MAX).map(|found| (found.0, found.2)),
        Some((endpoint(8), UnixTime::MAX))
    );
}

#[derive(Clone, Debug)]
enum Step {
    Load(u64),
    Touch(u64),
    Create(u64, u64),
    Replace(u64, u64),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let number = 0_u64..30;
    prop_oneof![
        number.clone().prop_map(Step::Load),
        number.clone().prop_map(Step::Touch),
        (number.clone(), any::<u64>()).prop_map(|(key, endpoint)| Step::Create(key, endpoint)),
        (number, any::<u64>()).prop_map(|(key, endpoint)| Step::Replace(key, endpoint)),
        (0_u64..20).prop_map(Step::Wait),
    ]
}

/// With room for all, a store is a map whose records idle out. Each case has an empty store.
pub fn it_behaves_as_a_map_does<S: Subject>(cases: u32, empty: impl Fn() -> S) {
    let steps = proptest::collection::vec(step(), 1..300);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&steps, |steps| {
        let (mut store, ttl) = (empty(), 30);
        let mut map: HashMap<u64, Found> = HashMap::new();
        for step in steps {
            let now = store.now();
            let end = now.saturating_add(ttl);
            match step {
                Step::Load(number) => {
                    let expected =
                        map.get(&number).map(|(endpoint, issued, _)| (*endpoint, *issued, end));
                    prop_assert_eq!(load(&store, number, ttl), expected);
                }
                Step::Touch(number) => {
                    touch(&store, number, ttl);
                    map.entry(number).and_modify(|record| record.2 = end);
                }
                Step::Create(number, pinned) => {
                    create(&store, number, pinned, ttl);
                    map.entry(number).or_insert((endpoint(pinned), now, end));
                }
                Step::Replace(number, pinned) => {
                    replace(&store, number, pinned, ttl);
                    map.insert(number, (endpoint(pinned), now, end));
                }
                Step::Wait(seconds) => {
                    store.wait(seconds);
                    map.retain(|_, (_, _, end)| *end > store.now());
                }
            }
            prop_assert_eq!(store.live(), map.len());
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}
