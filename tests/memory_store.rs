//! The store of one process, against a map, and when it is full.

use std::sync::Arc;

use proptest::prelude::*;
use session_affinity::*;

mod store_laws;
mod support;
use store_laws::{Found, Subject, endpoint, found, key};
use support::NOW;

fn save(store: &MemoryStore, write: StoreWrite) {
    store.save(&write).unwrap();
}

fn load(store: &MemoryStore, key: SessionKey, ttl: u64, now: UnixTime) -> Option<Found> {
    found(store.load(&Lookup { key, ttl, now }).unwrap())
}

/// Time is what each call says.
struct InMemory {
    store: MemoryStore,
    now: UnixTime,
}

impl InMemory {
    fn new() -> Self {
        Self { store: MemoryStore::new(1_000).unwrap(), now: NOW }
    }
}

impl Subject for InMemory {
    fn load(&self, lookup: &Lookup) -> Record {
        self.store.load(lookup).unwrap()
    }

    fn save(&self, write: &StoreWrite) {
        self.store.save(write).unwrap();
    }

    fn live(&self) -> usize {
        self.store.live(self.now)
    }

    fn now(&self) -> UnixTime {
        self.now
    }

    fn wait(&mut self, seconds: u64) {
        self.now = self.now.saturating_add(seconds);
    }
}

store_laws::laws!(InMemory::new());

#[test]
fn it_behaves_as_a_map_does() {
    store_laws::it_behaves_as_a_map_does(256, InMemory::new);
}

proptest! {
    #[test]
    fn any_times_and_ids_survive(number: u64, pinned: u64, now in 0_u64..(1 << 40) - 100) {
        let store = MemoryStore::new(1).unwrap();
        let now = UnixTime::from_secs(now);
        save(&store, StoreWrite::Create { key: key(number), endpoint: endpoint(pinned), ttl: 50, now });
        prop_assert_eq!(load(&store, key(number), 50, now), Some((endpoint(pinned), now, now.saturating_add(50))));
    }
}

/// manual::security, Memory and time: "Full, it drops those that have idled out, then those that
/// were never used again, then the one idle longest". A session that has idled out goes first
/// although it was in use before.
#[test]
fn where_one_has_idled_out_no_live_session_is_dropped() {
    // The least store has 16 places, and each key may stand in any of them.
    let store = MemoryStore::new(1).unwrap();
    assert_eq!((store.capacity(), MemoryStore::new(7).unwrap().capacity()), (1, 7));
    let create = |number, ttl, now| {
        save(&store, StoreWrite::Create { key: key(number), endpoint: endpoint(number), ttl, now });
    };
    create(0, 60, NOW);
    save(&store, StoreWrite::Touch { key: key(0), ttl: 60, now: NOW });
    let later = NOW.saturating_add(60);
    (1..16).for_each(|number| create(number, 1_800, NOW));
    create(16, 1_800, later);
    assert_eq!(load(&store, key(0), 60, later), None);
    assert!((1..=16).all(|number| load(&store, key(number), 1_800, later).is_some()));
}

/// A store that is full to its capacity has lost less than 0.1 % of the live sessions.
#[test]
fn a_store_that_is_full_to_its_capacity_has_lost_almost_nobody() {
    for capacity in [10_000_u64, 200_000] {
        let store = MemoryStore::new(capacity as usize).unwrap();
        for number in 0..capacity {
            save(
                &store,
                StoreWrite::Create {
                    key: key(number),
                    endpoint: endpoint(1),
                    ttl: 1_800,
                    now: NOW,
                },
            );
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

/// Of the sessions that were used twice, 95 % survive eight times as many made-up ones.
#[test]
fn made_up_sessions_displace_few_that_are_in_use() {
    let capacity = 50_000_u64;
    let store = MemoryStore::new(capacity as usize).unwrap();
    for number in 0..capacity {
        save(
            &store,
            StoreWrite::Create { key: key(number), endpoint: endpoint(1), ttl: 1_800, now: NOW },
        );
        save(&store, StoreWrite::Touch { key: key(number), ttl: 1_800, now: NOW });
    }
    let later = NOW.saturating_add(60);
    for number in 0..8 * capacity {
        let made_up = key(u64::MAX - number);
        save(
            &store,
            StoreWrite::Create { key: made_up, endpoint: endpoint(2), ttl: 1_800, now: later },
        );
    }
    let survivors =
        (0..capacity).filter(|number| load(&store, key(*number), 1_800, later).is_some()).count();
    assert!(survivors * 100 >= capacity as usize * 95, "{survivors} of {capacity} survive");
}

/// manual::security, Memory and time: "Full, it drops those that have idled out, then those that
/// were never used again, then the one idle longest".
#[test]
fn the_idle_go_before_the_active() {
    let store = MemoryStore::new(1_000).unwrap();
    let at = |seconds| NOW.saturating_add(seconds);
    for number in 0..2_000 {
        save(
            &store,
            StoreWrite::Create {
                key: key(number),
                endpoint: endpoint(1),
                ttl: 1_000,
                now: at(number / 100),
            },
        );
    }
    let alive = |range: std::ops::Range<u64>| {
        range.filter(|n| load(&store, key(*n), 1_000, at(20)).is_some()).count()
    };
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
                    save(
                        &store,
                        StoreWrite::Create { key, endpoint: endpoint(thread), ttl: 30, now: NOW },
                    );
                    save(
                        &store,
                        StoreWrite::Create {
                            key: self::key(number),
                            endpoint: endpoint(thread),
                            ttl: 30,
                            now: NOW,
                        },
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
    assert_eq!(
        none,
        "capacity is 0; allowed: 1 or more sessions, as many as there is memory for at 45 bytes each"
    );
    assert!(MemoryStore::new(usize::MAX).is_err());
    assert_eq!(MemoryStore::new(1).unwrap().capacity(), 1);
}
