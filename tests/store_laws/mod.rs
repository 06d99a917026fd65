//! The laws of [`SessionStore`](session_affinity::store::SessionStore), as tests for any store.

use std::collections::HashMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use session_affinity::limits::Ttl;
use session_affinity::store::{Lookup, Record, SessionKey, StoreWrite, WriteKind};
use session_affinity::{EndpointId, UnixTime};

/// A store, and a time that a test can let pass.
pub trait Subject {
    fn load(&self, lookup: &Lookup) -> Record;
    fn save(&self, write: &StoreWrite);
    /// The number of live records.
    fn live(&self) -> usize;
    fn now(&self) -> UnixTime;
    /// Lets this many seconds pass.
    fn wait(&mut self, seconds: u64);
}

/// One test for each law, with a new subject.
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
            a_remove_ends_the_session_and_no_other
            a_touch_does_not_bring_back_what_was_removed
            the_shortest_idle_time_ends_after_one_second
            the_longest_idle_time_lasts_until_one_second_before_its_end
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

pub fn ttl(seconds: u64) -> Ttl {
    Ttl::new(seconds).unwrap()
}

/// The endpoint and the time of issue.
pub type Found = (EndpointId, UnixTime);

pub fn found(record: Record) -> Option<Found> {
    match record {
        Record::Found { endpoint, issued } => Some((endpoint, issued)),
        Record::Absent => None,
        other => panic!("{other:?}"),
    }
}

fn load(store: &impl Subject, number: u64, seconds: u64) -> Option<Found> {
    found(store.load(&Lookup { key: key(number), ttl: ttl(seconds), now: store.now() }))
}

fn save(store: &impl Subject, number: u64, seconds: u64, kind: WriteKind) {
    store.save(&StoreWrite { key: key(number), ttl: ttl(seconds), now: store.now(), kind });
}

fn create(store: &impl Subject, number: u64, pinned: u64, seconds: u64) {
    save(store, number, seconds, WriteKind::Create(endpoint(pinned)));
}

fn replace(store: &impl Subject, number: u64, pinned: u64, seconds: u64) {
    save(store, number, seconds, WriteKind::Replace(endpoint(pinned)));
}

fn touch(store: &impl Subject, number: u64, seconds: u64) {
    save(store, number, seconds, WriteKind::Touch);
}

fn remove(store: &impl Subject, number: u64, seconds: u64) {
    save(store, number, seconds, WriteKind::Remove);
}

/// A record is live for less than `ttl` seconds after its last touch, create or replace.
pub fn a_record_is_alive_until_one_second_before_its_idle_time_is_over(store: &mut impl Subject) {
    let begun = store.now();
    create(store, 1, 7, 30);
    store.wait(29);
    assert_eq!(load(store, 1, 30), Some((endpoint(7), begun)));
    touch(store, 1, 30);
    store.wait(29);
    assert!(load(store, 1, 30).is_some(), "a touch restarts the timer");
    store.wait(1);
    assert_eq!(load(store, 1, 30), None);
}

/// A replace begins the idle time again, with the `ttl` of the write.
pub fn a_replacement_lives_for_its_own_time(store: &mut impl Subject) {
    create(store, 1, 7, 30);
    store.wait(29);
    replace(store, 1, 8, 60);
    store.wait(59);
    assert_eq!(load(store, 1, 60).map(|found| found.0), Some(endpoint(8)));
    store.wait(1);
    assert_eq!(load(store, 1, 60), None);
}

/// The idle time runs from the last touch, create or replace. A load leaves it as it is.
pub fn a_load_does_not_restart_the_timer(store: &mut impl Subject) {
    create(store, 1, 7, 30);
    store.wait(29);
    assert!(load(store, 1, 30).is_some());
    store.wait(1);
    assert_eq!(load(store, 1, 30), None);
}

/// A touch does nothing without a live record: where a record was never created, or has idled out.
pub fn a_touch_makes_no_record_and_wakes_none(store: &mut impl Subject) {
    touch(store, 1, 30);
    assert_eq!(load(store, 1, 30), None);
    create(store, 1, 7, 30);
    store.wait(30);
    touch(store, 1, 30);
    assert_eq!(load(store, 1, 30), None);
}

/// A touch restarts the idle timer and changes nothing else, so a move made by another node stays.
pub fn a_touch_keeps_endpoint_and_time_of_the_record(store: &mut impl Subject) {
    create(store, 1, 7, 30);
    store.wait(5);
    let moved = store.now();
    replace(store, 1, 8, 30);
    store.wait(5);
    touch(store, 1, 30);
    assert_eq!(load(store, 1, 30), Some((endpoint(8), moved)));
}

/// A create leaves a live record as it is. A replace writes over any record.
pub fn a_create_keeps_what_came_first_and_a_replace_does_not(store: &mut impl Subject) {
    for (number, expected) in [(1, 1), (2, 1)] {
        create(store, 1, number, 30);
        assert_eq!(load(store, 1, 30).unwrap().0, endpoint(expected));
    }
    store.wait(1);
    replace(store, 1, 3, 30);
    let (pinned, issued) = load(store, 1, 30).unwrap();
    assert_eq!((pinned, issued), (endpoint(3), store.now()));
    store.wait(100);
    create(store, 1, 4, 30);
    assert_eq!(load(store, 1, 30).unwrap().0, endpoint(4), "what has idled out does not stay");
}

/// A create changes neither a live record nor its idle time.
pub fn a_create_that_comes_second_does_not_restart_the_timer(store: &mut impl Subject) {
    create(store, 1, 7, 30);
    store.wait(20);
    create(store, 1, 8, 30);
    store.wait(10);
    assert_eq!(load(store, 1, 30), None);
}

/// A load returns the record of its own key, and only a record that was written.
pub fn a_key_shows_no_record_but_its_own(store: &mut impl Subject) {
    create(store, 1, 7, 30);
    assert_eq!(load(store, 2, 30), None);
    create(store, 2, 8, 30);
    assert_eq!(load(store, 1, 30).unwrap().0, endpoint(7));
    assert_eq!(load(store, 2, 30).unwrap().0, endpoint(8));
}

/// A record that was removed is returned no more, until another one is written.
pub fn a_remove_ends_the_session_and_no_other(store: &mut impl Subject) {
    remove(store, 1, 30);
    assert_eq!(load(store, 1, 30), None, "nothing was there to remove");
    create(store, 1, 7, 30);
    create(store, 2, 8, 30);
    remove(store, 1, 30);
    assert_eq!(load(store, 1, 30), None);
    assert_eq!(load(store, 2, 30).unwrap().0, endpoint(8));
    assert_eq!(store.live(), 1);
    create(store, 1, 9, 30);
    assert_eq!(load(store, 1, 30).unwrap().0, endpoint(9), "a create finds no record");
    remove(store, 1, 30);
    replace(store, 1, 10, 30);
    assert_eq!(load(store, 1, 30).unwrap().0, endpoint(10));
}

/// A touch makes no record, so that a request which was served meanwhile does not undo a logout.
pub fn a_touch_does_not_bring_back_what_was_removed(store: &mut impl Subject) {
    create(store, 1, 7, 30);
    remove(store, 1, 30);
    touch(store, 1, 30);
    assert_eq!(load(store, 1, 30), None);
}

/// A record of the shortest idle time, `Ttl::MIN`, is live for less than one second: in the second
/// of its write.
pub fn the_shortest_idle_time_ends_after_one_second(store: &mut impl Subject) {
    let shortest = Ttl::MIN.get();
    assert_eq!(shortest, 1);
    create(store, 1, 7, shortest);
    assert_eq!(load(store, 1, shortest).map(|found| found.0), Some(endpoint(7)));
    store.wait(1);
    assert_eq!(load(store, 1, shortest), None);

    create(store, 1, 7, 30);
    create(store, 1, 8, shortest);
    store.wait(1);
    assert_eq!(load(store, 1, 30).unwrap().0, endpoint(7), "a create changes no live record");
    touch(store, 1, shortest);
    assert_eq!(load(store, 1, shortest).map(|found| found.0), Some(endpoint(7)));
    store.wait(1);
    assert_eq!(load(store, 1, 30), None, "a touch shortens as well");

    create(store, 1, 7, 30);
    replace(store, 1, 8, shortest);
    assert_eq!(load(store, 1, shortest).map(|found| found.0), Some(endpoint(8)));
    store.wait(1);
    assert_eq!(load(store, 1, 30), None);
}

/// A record of the longest idle time, `Ttl::MAX`, is live for less than ten years of 365 days.
pub fn the_longest_idle_time_lasts_until_one_second_before_its_end(store: &mut impl Subject) {
    let longest = Ttl::MAX.get();
    create(store, 1, 7, longest);
    replace(store, 2, 8, longest);
    create(store, 3, 9, 30);
    touch(store, 3, longest);
    store.wait(longest - 1);
    for (number, pinned) in [(1, 7), (2, 8), (3, 9)] {
        assert_eq!(load(store, number, longest).map(|found| found.0), Some(endpoint(pinned)));
    }
    store.wait(1);
    for number in 1..=3 {
        assert_eq!(load(store, number, longest), None);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Load(u64),
    Touch(u64),
    Create(u64, u64),
    Replace(u64, u64),
    Remove(u64),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let number = 0_u64..30;
    prop_oneof![
        number.clone().prop_map(Step::Load),
        number.clone().prop_map(Step::Touch),
        (number.clone(), any::<u64>()).prop_map(|(key, endpoint)| Step::Create(key, endpoint)),
        (number.clone(), any::<u64>()).prop_map(|(key, endpoint)| Step::Replace(key, endpoint)),
        number.prop_map(Step::Remove),
        (0_u64..20).prop_map(Step::Wait),
    ]
}

/// A store that has room for every record is a map whose records idle out. Each case begins with
/// an empty store.
pub fn it_behaves_as_a_map_does<S: Subject>(cases: u32, empty: impl Fn() -> S) {
    let steps = proptest::collection::vec(step(), 1..300);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&steps, |steps| {
        let (mut store, ttl) = (empty(), 30);
        // Each record, and its end.
        let mut map: HashMap<u64, (Found, UnixTime)> = HashMap::new();
        for step in steps {
            let now = store.now();
            let end = now.saturating_add(ttl);
            match step {
                Step::Load(number) => {
                    let expected = map.get(&number).map(|(found, _)| *found);
                    prop_assert_eq!(load(&store, number, ttl), expected);
                }
                Step::Touch(number) => {
                    touch(&store, number, ttl);
                    map.entry(number).and_modify(|record| record.1 = end);
                }
                Step::Create(number, pinned) => {
                    create(&store, number, pinned, ttl);
                    map.entry(number).or_insert(((endpoint(pinned), now), end));
                }
                Step::Replace(number, pinned) => {
                    replace(&store, number, pinned, ttl);
                    map.insert(number, ((endpoint(pinned), now), end));
                }
                Step::Remove(number) => {
                    remove(&store, number, ttl);
                    map.remove(&number);
                }
                Step::Wait(seconds) => {
                    store.wait(seconds);
                    map.retain(|_, (_, end)| *end > store.now());
                }
            }
            prop_assert_eq!(store.live(), map.len());
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}
