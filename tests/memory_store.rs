//! The store of one process, against a map, and when it is full.

use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;
use session_affinity::*;

mod support;
use support::NOW;

fn key(number: u64) -> SessionKey {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    SessionKey(bytes)
}

fn endpoint(number: u64) -> EndpointId {
    EndpointId::from_u64(number)
}

fn save(store: &MemoryStore, write: StoreWrite) {
    store.save(&write).unwrap();
}

fn load(store: &MemoryStore, key: SessionKey, ttl: u64, now: UnixTime) -> Option<(EndpointId, UnixTime, UnixTime)> {
    match store.load(&Lookup { key, ttl, now }).unwrap() {
        Record::Found(pin) => Some((pin.endpoint, pin.issued, pin.expires)),
        Record::Absent => None,
        other => panic!("{other:?}"),
    }
}

/// "a record that is gone has idled out (at last use + ttl; alive one second before)"
#[test]
fn a_record_is_alive_until_one_second_before_its_idle_time_is_over() {
    let store = MemoryStore::new(10).unwrap();
    save(&store, StoreWrite::Create { key: key(1), endpoint: endpoint(7), ttl: 30, now: NOW });
    let last = NOW.saturating_add(29);
    assert_eq!(load(&store, key(1), 30, last), Some((endpoint(7), NOW, last.saturating_add(30))));
    assert_eq!(load(&store, key(1), 30, NOW.saturating_add(30)), None);
    save(&store, StoreWrite::Touch { key: key(1), ttl: 30, now: last });
    assert!(load(&store, key(1), 30, last.saturating_add(29)).is_some());
    assert!(load(&store, key(1), 30, last.saturating_add(30)).is_none());
}

/// "`Touch` (kept, lent) restarts the timer and changes nothing else"
#[test]
fn a_touch_makes_no_record_and_wakes_none() {
    let store = MemoryStore::new(10).unwrap();
    save(&store, StoreWrite::Touch { key: key(1), ttl: 30, now: NOW });
    assert_eq!(load(&store, key(1), 30, NOW), None);
    save(&store, StoreWrite::Create { key: key(1), endpoint: endpoint(7), ttl: 30, now: NOW });
    save(&store, StoreWrite::Touch { key: key(1), ttl: 30, now: NOW.saturating_add(30) });
    assert_eq!(load(&store, key(1), 30, NOW.saturating_add(30)), None);
}

/// "`Create` keeps a record that came first"; "`Replace` overwrites"
#[test]
fn a_create_keeps_what_came_first_and_a_replace_does_not() {
    let store = MemoryStore::new(10).unwrap();
    for (number, expected) in [(1, 1), (2, 1)] {
        save(&store, StoreWrite::Create { key: key(1), endpoint: endpoint(number), ttl: 30, now: NOW });
        assert_eq!(load(&store, key(1), 30, NOW).unwrap().0, endpoint(expected));
    }
    save(&store, StoreWrite::Replace { key: key(1), endpoint: endpoint(3), ttl: 30, now: NOW.saturating_add(1) });
    let (pinned, issued, _) = load(&store, key(1), 30, NOW).unwrap();
    assert_eq!((pinned, issued), (endpoint(3), NOW.saturating_add(1)));
    let idled_out = NOW.saturating_add(100);
    save(&store, StoreWrite::Create { key: key(1), endpoint: endpoint(4), ttl: 30, now: idled_out });
    assert_eq!(load(&store, key(1), 30, idled_out).unwrap().0, endpoint(4));
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

proptest! {
    /// With room for all, the store is a map whose records idle out.
    #[test]
    fn it_behaves_as_a_map_does(steps in proptest::collection::vec(step(), 1..300)) {
        let store = MemoryStore::new(1_000).unwrap();
        let mut map: HashMap<u64, (EndpointId, UnixTime, UnixTime)> = HashMap::new();
        let (mut now, ttl) = (NOW, 30);
        for step in steps {
            map.retain(|_, (_, _, end)| *end > now);
            let end = now.saturating_add(ttl);
            match step {
                Step::Load(number) => {
                    let expected = map.get(&number).map(|(endpoint, issued, _)| (*endpoint, *issued, end));
                    prop_assert_eq!(load(&store, key(number), ttl, now), expected);
                }
                Step::Touch(number) => {
                    save(&store, StoreWrite::Touch { key: key(number), ttl, now });
                    map.entry(number).and_modify(|record| record.2 = end);
                }
                Step::Create(number, pinned) => {
                    save(&store, StoreWrite::Create { key: key(number), endpoint: endpoint(pinned), ttl, now });
                    map.entry(number).or_insert((endpoint(pinned), now, end));
                }
                Step::Replace(number, pinned) => {
                    save(&store, StoreWrite::Replace { key: key(number), endpoint: endpoint(pinned), ttl, now });
                    map.insert(number, (endpoint(pinned), now, end));
                }
                Step::Wait(seconds) => now = now.saturating_add(seconds),
            }
            prop_assert_eq!(store.live(now), map.values().filter(|(_, _, end)| *end > now).count());
        }
    }

    #[test]
    fn any_times_and_ids_survive(number: u64, pinned: u64, now in 0_u64..(1 << 40) - 100) {
        let store = MemoryStore::new(1).unwrap();
        let now = UnixTime::from_secs(now);
        save(&store, StoreWrite::Create { key: key(number), endpoint: endpoint(pinned), ttl: 50, now });
        prop_assert_eq!(load(&store, key(number), 50, now), Some((endpoint(pinned), now, now.saturating_add(50))));
    }
}

/// "losing under 0.1 % of live ones when full to it"
#[test]
fn a_store_that_is_full_to_its_capacity_has_lost_almost_nobody() {
    for capacity in [10_000_u64, 200_000] {
        let store = MemoryStore::new(capacity as usize).unwrap();
        for number in 0..capacity {
            save(&store, StoreWrite::Create { key: key(number), endpoint: endpoint(1), ttl: 1_800, now: NOW });
        }
        let lost = capacity as usize - store.live(NOW);
        assert!(lost * 1_000 < capacity as usize, "{lost} of {capacity} lost");
    }
}

/// A policy of one's own may have keys that are no hashes.
#[test]
fn keys_that_are_far_from_random_are_spread_as_well() {
    let capacity = 20_000_u64;
    let patterns: [fn(u64) -> u128; 6] = [
        |number| u128::from(number) << 64,
        |number| u128::from(number) << 100,
        |number| u128::from(number) << 40,
        |number| u128::from(number) << 64 | u128::from(number),
        |number| u128::from(number * 4_096),
        |number| u128::from(number.reverse_bits()) << 64 | 7,
    ];
    for (index, pattern) in patterns.iter().enumerate() {
        let store = MemoryStore::new(capacity as usize).unwrap();
        for number in 0..capacity {
            let key = SessionKey(pattern(number).to_be_bytes());
            save(&store, StoreWrite::Create { key, endpoint: endpoint(1), ttl: 1_800, now: NOW });
        }
        let lost = capacity as usize - store.live(NOW);
        assert!(lost * 1_000 < capacity as usize, "pattern {index}: {lost} of {capacity} lost");
    }
}

/// "95 % of the sessions used twice survive eight times as many made-up ones"
#[test]
fn made_up_sessions_displace_few_that_are_in_use() {
    let capacity = 50_000_u64;
    let store = MemoryStore::new(capacity as usize).unwrap();
    for number in 0..capacity {
        save(&store, StoreWrite::Create { key: key(number), endpoint: endpoint(1), ttl: 1_800, now: NOW });
        save(&store, StoreWrite::Touch { key: key(number), ttl: 1_800, now: NOW });
    }
    let later = NOW.saturating_add(60);
    for number in 0..8 * capacity {
        let made_up = key(u64::MAX - number);
        save(&store, StoreWrite::Create { key: made_up, endpoint: endpoint(2), ttl: 1_800, now: later });
    }
    let survivors = (0..capacity).filter(|number| load(&store, key(*number), 1_800, later).is_some()).count();
    assert!(survivors * 100 >= capacity as usize * 95, "{survivors} of {capacity} survive");
}

/// "a full store drops idle sessions before active ones"
#[test]
fn the_idle_go_before_the_active() {
    let store = MemoryStore::new(1_000).unwrap();
    let at = |seconds| NOW.saturating_add(seconds);
    for number in 0..2_000 {
        save(&store, StoreWrite::Create { key: key(number), endpoint: endpoint(1), ttl: 1_000, now: at(number / 100) });
    }
    let alive = |range: std::ops::Range<u64>| range.filter(|n| load(&store, key(*n), 1_000, at(20)).is_some()).count();
    let (older, newer) = (alive(0..1_000), alive(1_000..2_000));
    assert!(newer > 950 && older < 400, "{older} older and {newer} newer ones are left");
}

#[test]
fn threads_share_it() {
    let store = Arc::new(MemoryStore::new(100_000).unwrap());
    let threads: Vec<_> = (0..4_u64)
        .map(|thread| {
            let store = store.clone();
            std::thread::spawn(move || {
                for number in 0..5_000 {
                    let key = key((thread + 1) << 32 | number);
                    save(&store, StoreWrite::Create { key, endpoint: endpoint(thread), ttl: 30, now: NOW });
                    save(
                        &store,
                        StoreWrite::Create { key: self::key(number), endpoint: endpoint(thread), ttl: 30, now: NOW },
                    );
                    assert_eq!(load(&store, key, 30, NOW).unwrap().0, endpoint(thread));
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(store.live(NOW), 25_000);
}

#[test]
fn a_capacity_that_cannot_be_is_an_error() {
    let none = MemoryStore::new(0).unwrap_err().to_string();
    assert_eq!(none, "capacity is 0; allowed: 1 or more sessions, as many as there is memory for at 45 bytes each");
    assert!(MemoryStore::new(usize::MAX).is_err());
    assert_eq!(MemoryStore::new(1).unwrap().capacity(), 1);
}
