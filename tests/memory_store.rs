//! The store of one process: against the laws, against a map, and when it is full.

use std::convert::Infallible;
use std::sync::Arc;

use proptest::prelude::*;
use session_affinity::limits::Ttl;
use session_affinity::store::{
    Lookup, MemoryStore, Record, SessionKey, SessionStore, StoreWrite, StoredSession, WriteKind,
};
use session_affinity::{EndpointId, UnixTime};

mod store_laws;
mod support;
use store_laws::{Found, Subject, endpoint, found, key, ttl};
use support::NOW;

fn load(store: &MemoryStore, key: SessionKey, seconds: u64, now: UnixTime) -> Option<Found> {
    found(store.load(&Lookup { key, ttl: ttl(seconds), now }).unwrap())
}

fn create(store: &MemoryStore, key: SessionKey, to: EndpointId, seconds: u64, now: UnixTime) {
    let kind = WriteKind::Create(to);
    store.save(&StoreWrite { key, ttl: ttl(seconds), now, kind }).unwrap();
}

fn touch(store: &MemoryStore, key: SessionKey, seconds: u64, now: UnixTime) {
    let kind = WriteKind::Touch;
    store.save(&StoreWrite { key, ttl: ttl(seconds), now, kind }).unwrap();
}

/// A store and a time, which passes only by `wait`.
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
        create(&store, key(number), endpoint(pinned), 50, now);
        prop_assert_eq!(load(&store, key(number), 50, now), Some((endpoint(pinned), now)));
        let (last, end) = (now.saturating_add(49), now.saturating_add(50));
        prop_assert_eq!(load(&store, key(number), 50, last), Some((endpoint(pinned), now)));
        prop_assert_eq!(load(&store, key(number), 50, end), None);
    }
}

/// Sums of times saturate: a record that would end after the last second is live until then.
#[test]
fn near_the_end_of_time_a_record_lives_until_the_last_second() {
    let store = MemoryStore::new(1).unwrap();
    let (now, last) = (UnixTime::MAX.saturating_sub(10), UnixTime::MAX.saturating_sub(1));
    create(&store, key(1), endpoint(7), Ttl::MAX.get(), now);
    assert_eq!(load(&store, key(1), Ttl::MAX.get(), last), Some((endpoint(7), now)));
    touch(&store, key(1), Ttl::MAX.get(), last);
    assert_eq!(load(&store, key(1), Ttl::MAX.get(), last), Some((endpoint(7), now)));
    assert_eq!(load(&store, key(1), Ttl::MAX.get(), UnixTime::MAX), None);
}

/// manual::security, A full MemoryStore: "one of the 8 places that a new session can take holds
/// one that has idled out | no live session is dropped". So goes one that was in use before.
#[test]
fn where_one_has_idled_out_no_live_session_is_dropped() {
    // The smallest store has 8 places, and each key may stand in any of them.
    let store = MemoryStore::new(1).unwrap();
    assert_eq!((store.capacity(), MemoryStore::new(7).unwrap().capacity()), (1, 7));
    let create = |number, seconds, now| create(&store, key(number), endpoint(number), seconds, now);
    create(0, 60, NOW);
    touch(&store, key(0), 60, NOW);
    let later = NOW.saturating_add(60);
    (1..8).for_each(|number| create(number, 1_800, NOW));
    create(8, 1_800, later);
    assert_eq!(load(&store, key(0), 60, later), None);
    assert!((1..=8).all(|number| load(&store, key(number), 1_800, later).is_some()));
}

/// manual::security, A full MemoryStore: "it is full to its capacity | fewer than 0.1 % of the live
/// sessions are lost"
#[test]
fn a_store_that_is_full_to_its_capacity_has_lost_almost_no_session() {
    for capacity in [10_000_u64, 200_000] {
        let store = MemoryStore::new(capacity as usize).unwrap();
        (0..capacity).for_each(|number| create(&store, key(number), endpoint(1), 1_800, NOW));
        let lost = capacity as usize - store.live(NOW);
        assert!(lost * 1_000 < capacity as usize, "{lost} of {capacity} lost");
    }
}

/// A custom policy may have keys that are not hashes.
#[test]
fn keys_that_are_far_from_random_are_spread_as_well() {
    let capacity = 20_000_u64;
    let patterns: [fn(u64) -> u128; 7] = [
        |number| u128::from(number) << 64,
        |number| u128::from(number) << 100,
        |number| u128::from(number) << 40,
        |number| u128::from(number) << 64 | u128::from(number),
        |number| u128::from(number * 4_096),
        |number| u128::from(number.reverse_bits()) << 64 | 7,
        |number| u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_d6e8_feb8_6659_fd93),
    ];
    for (index, pattern) in patterns.iter().enumerate() {
        let store = MemoryStore::new(capacity as usize).unwrap();
        for number in 0..capacity {
            let key = SessionKey(pattern(number).to_be_bytes());
            create(&store, key, endpoint(number), 1_800, NOW);
        }
        let is_found = |number: &u64| {
            let key = SessionKey(pattern(*number).to_be_bytes());
            load(&store, key, 1_800, NOW) == Some((endpoint(*number), NOW))
        };
        let found = (0..capacity).filter(is_found).count();
        assert_eq!(found, store.live(NOW), "pattern {index}");
        let lost = capacity as usize - found;
        assert!(lost * 1_000 < capacity as usize, "pattern {index}: {lost} of {capacity} lost");
    }
}

/// Of 1,000 sessions of a store that is full to its capacity, how many are left after a flood of
/// `times` as many made-up ones, a minute later. `uses`: how often each of the sessions is used, and
/// how often each made-up one.
fn left_after_a_flood(times: u64, uses: (u64, u64)) -> u64 {
    let capacity = 20_000_u64;
    let store = MemoryStore::new(capacity as usize).unwrap();
    let serve = |number, uses, now| {
        create(&store, key(number), endpoint(1), 1_800, now);
        (1..uses).for_each(|_| touch(&store, key(number), 1_800, now));
    };
    (0..capacity).for_each(|number| serve(number, uses.0, NOW));
    let later = NOW.saturating_add(60);
    (0..times * capacity).for_each(|number| serve(u64::MAX - number, uses.1, later));
    let is_left = |number: &u64| load(&store, key(*number), 1_800, later).is_some();
    (0..capacity).filter(is_left).count() as u64 * 1_000 / capacity
}

/// manual::security, A full MemoryStore: "eight times its capacity of made-up sessions come, each
/// used once | 99 % of the sessions that were used twice survive"
#[test]
fn made_up_sessions_displace_few_that_are_in_use() {
    let left = left_after_a_flood(8, (2, 1));
    assert!(left >= 990, "{left} of 1,000");
}

/// manual::security, A full MemoryStore: "four times its capacity of made-up sessions come, each
/// used twice | 90 % of the sessions that were used twice or more survive"
#[test]
fn made_up_sessions_that_are_used_twice_displace_few_that_were_used_as_often() {
    for uses in [2, 3, 9] {
        let left = left_after_a_flood(4, (uses, 2));
        assert!(left >= 900, "used {uses} times: {left} of 1,000");
    }
}

/// manual::security, A full MemoryStore: "as many come, each used four times or more | 90 % of the
/// sessions that were used four times or more survive, and next to none of those used less"
#[test]
fn made_up_sessions_that_are_used_often_displace_those_that_were_used_less() {
    for (uses, least, most) in [(3, 0, 10), (4, 900, 1_000), (9, 900, 1_000)] {
        let left = left_after_a_flood(4, (uses, 9));
        assert!((least..=most).contains(&left), "used {uses} times: {left} of 1,000");
    }
}

/// manual::security, A full MemoryStore: "A use counts for a quarter of the idle time". So where the
/// clients of many sessions have left, new ones that are in use take their places.
#[test]
fn sessions_of_clients_that_have_left_make_room() {
    let capacity = 20_000_u64;
    let store = MemoryStore::new(capacity as usize).unwrap();
    let serve = |number, now| {
        create(&store, key(number), endpoint(1), 1_800, now);
        touch(&store, key(number), 1_800, now);
    };
    (0..capacity).for_each(|number| serve(number, NOW));
    let later = NOW.saturating_add(450);
    (capacity..2 * capacity).for_each(|number| serve(number, later));
    let is_left = |number: &u64| load(&store, key(*number), 1_800, later).is_some();
    let left = (capacity..2 * capacity).filter(is_left).count() as u64;
    assert!(left * 100 >= capacity * 97, "{left} of {capacity}");
}

/// manual::security, A full MemoryStore: "one that was not used after its first request, and of
/// these the one that would end first".
#[test]
fn the_idle_go_before_the_active() {
    let store = MemoryStore::new(1_000).unwrap();
    let at = |seconds| NOW.saturating_add(seconds);
    for number in 0..2_000 {
        create(&store, key(number), endpoint(1), 1_000, at(number / 100));
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
                    let own = key((thread + 1) << 32 | number);
                    create(&store, own, endpoint(thread), 30, NOW);
                    create(&store, key(number), endpoint(thread), 30, NOW);
                    assert_eq!(load(&store, own, 30, NOW).unwrap().0, endpoint(thread));
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
fn a_capacity_of_0_or_of_more_than_fits_in_memory_is_an_error() {
    let none = MemoryStore::new(0).unwrap_err().to_string();
    assert_eq!(
        none,
        "capacity is 0; allowed: 1 or more sessions, as many as there is memory for at 45 bytes each"
    );
    assert!(MemoryStore::new(usize::MAX).is_err());
    assert_eq!(MemoryStore::new(1).unwrap().capacity(), 1);
}

/// A record for a lookup, and a write for a settlement, by whatever points to the store.
#[test]
fn references_boxes_and_arcs_of_a_store_are_stores() {
    fn serve(store: impl SessionStore<Error = Infallible>) {
        let (key, ttl, now) = (key(1), ttl(30), NOW);
        assert_eq!(store.record(None), Record::Absent);
        assert_eq!(store.record(Some(Lookup { key, ttl, now })), Record::Absent);
        let Ok(()) = store.commit(None);
        let kind = WriteKind::Create(endpoint(7));
        let Ok(()) = store.commit(Some(StoreWrite { key, ttl, now, kind }));
        let found = Record::Found { endpoint: endpoint(7), issued: now };
        assert_eq!(store.record(Some(Lookup { key, ttl, now })), found);
        assert_eq!(store.load(&Lookup { key, ttl, now }), Ok(found));
    }
    let new = || MemoryStore::new(10).unwrap();
    serve(new());
    let store = new();
    serve(&store);
    assert_eq!(store.live(NOW), 1, "the reference writes to the store itself");
    serve(Box::new(new()));
    serve(Arc::new(new()));
    serve(&new() as &dyn SessionStore<Error = Infallible>);
    serve(Box::new(new()) as Box<dyn SessionStore<Error = Infallible>>);
    serve(Arc::new(new()) as Arc<dyn SessionStore<Error = Infallible>>);
}

#[test]
fn a_session_key_is_its_bytes_and_shown_in_hexadecimal() {
    let bytes = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255];
    let key = SessionKey::from(bytes);
    assert_eq!((key, key.as_ref()), (SessionKey(bytes), bytes.as_slice()));
    assert_eq!(key.to_string(), "000102030405060708090a0b0c0d0eff");
    assert_eq!(format!("{key:?}"), "SessionKey(000102030405060708090a0b0c0d0eff)");
    assert!(key < SessionKey([1; 16]));
}

/// The sessions that a store hands over, in the order of their keys.
fn handed_over(store: &MemoryStore, now: UnixTime) -> Vec<StoredSession> {
    let mut sessions: Vec<_> = store.sessions(now).collect();
    sessions.sort_unstable_by_key(|session| session.key);
    sessions
}

fn stored(number: u64, issued: u64, end: u64) -> StoredSession {
    let (issued, end) = (NOW.saturating_add(issued), NOW.saturating_add(end));
    StoredSession { key: key(number), endpoint: endpoint(0), issued, end, uses: 0 }
}

#[test]
fn what_is_handed_over_is_what_was_live_with_its_uses() {
    let store = MemoryStore::new(1_000).unwrap();
    create(&store, key(1), endpoint(1), 60, NOW);
    create(&store, key(2), endpoint(2), 60, NOW);
    create(&store, key(3), endpoint(1), 10, NOW);
    for seconds in 1..6 {
        touch(&store, key(2), 60, NOW.saturating_add(seconds));
    }
    let later = NOW.saturating_add(10);
    let expected = [
        StoredSession { endpoint: endpoint(1), ..stored(1, 0, 60) },
        StoredSession { endpoint: endpoint(2), uses: 3, ..stored(2, 0, 65) },
    ];
    assert_eq!(handed_over(&store, later), expected);
    assert_eq!(expected.map(|it| store.session(it.key, later)), expected.map(Some));
    assert_eq!(store.session(key(3), later), None);

    let next = MemoryStore::new(1_000).unwrap();
    assert_eq!(next.restore(expected, ttl(60), later), 2);
    assert_eq!(handed_over(&next, later), expected);
}

#[test]
fn a_session_that_has_ended_or_cannot_be_is_left_out() {
    let now = NOW.saturating_add(100);
    for (issued, end, is_taken) in [
        (0, 101, true),
        (100, 101, true),
        (0, 100, false),
        (0, 99, false),
        (101, 200, false),
        (100, 100, false),
    ] {
        let store = MemoryStore::new(1_000).unwrap();
        let taken = store.restore([stored(1, issued, end)], ttl(1_000), now);
        assert_eq!((taken == 1, store.live(now) == 1), (is_taken, is_taken), "{issued} to {end}");
    }
}

/// No record is returned `ttl` seconds or more after its last touch.
#[test]
fn a_session_that_is_handed_over_ends_one_idle_time_later_at_the_latest() {
    let store = MemoryStore::new(1_000).unwrap();
    assert_eq!(store.restore([stored(1, 0, 1_000_000)], ttl(60), NOW), 1);
    assert!(load(&store, key(1), 60, NOW.saturating_add(59)).is_some());
    assert_eq!(load(&store, key(1), 60, NOW.saturating_add(60)), None);
}

#[test]
fn of_several_entries_of_one_key_the_last_one_counts_and_replaces_what_is_there() {
    let store = MemoryStore::new(1_000).unwrap();
    create(&store, key(1), endpoint(0), 60, NOW);
    let entries = [1, 2].map(|to| StoredSession { endpoint: endpoint(to), ..stored(1, 0, 60) });
    assert_eq!(store.restore(entries, ttl(60), NOW.saturating_add(1)), 2);
    assert_eq!(handed_over(&store, NOW), [entries[1]]);
    // One that has ended does not end the one that is there.
    assert_eq!(store.restore([stored(1, 0, 1)], ttl(60), NOW.saturating_add(1)), 0);
    assert_eq!(handed_over(&store, NOW), [entries[1]]);
}

#[test]
fn a_full_store_is_handed_over_with_few_losses_and_a_smaller_one_keeps_those_in_use() {
    let (count, later) = (20_000_u64, NOW.saturating_add(1));
    let before = MemoryStore::new(count as usize).unwrap();
    for session in 0..count {
        create(&before, key(session), endpoint(0), 1_800, NOW);
        if session % 4 == 0 {
            (0..3).for_each(|_| touch(&before, key(session), 1_800, NOW));
        }
    }
    let same = MemoryStore::new(count as usize).unwrap();
    let _ = same.restore(before.sessions(NOW), ttl(1_800), later);
    let kept = same.live(later) as f64 / before.live(later) as f64;
    assert!(kept > 0.999, "{kept}");

    let half = MemoryStore::new(count as usize / 2).unwrap();
    let _ = half.restore(before.sessions(NOW), ttl(1_800), later);
    assert!(half.live(later) <= count as usize / 2 * 5 / 4 + 64, "{}", half.live(later));
    let used = (0..count).filter(|session| session % 4 == 0);
    let kept = used.filter(|session| half.session(key(*session), later).is_some()).count();
    assert!(kept as u64 > count / 4 * 99 / 100, "{kept} of {}", count / 4);
}

proptest! {
    /// A map that is handed over by the same rules has the same sessions.
    #[test]
    fn handing_over_is_what_a_map_does(
        entries in prop::collection::vec((0_u64..8, 0_u64..3, 0_u64..40, 0_u64..80, 0_u8..6), 0..40),
        begun in 0_u64..40,
        idle in 1_u64..60,
    ) {
        let (store, now) = (MemoryStore::new(1_000).unwrap(), NOW.saturating_add(begun));
        let (mut map, mut taken) = (std::collections::BTreeMap::new(), 0);
        let entries = entries.into_iter().map(|(number, to, issued, end, uses)| {
            StoredSession { endpoint: endpoint(to), uses, ..stored(number, issued, end) }
        });
        let entries: Vec<_> = entries.collect();
        for entry in &entries {
            if entry.end > now && entry.issued <= now && entry.issued < entry.end {
                let end = entry.end.min(now.saturating_add(idle));
                map.insert(entry.key, StoredSession { end, uses: entry.uses.min(3), ..*entry });
                taken += 1;
            }
        }
        prop_assert_eq!(store.restore(entries, ttl(idle), now), taken);
        let sessions: Vec<_> = map.into_values().collect();
        prop_assert_eq!(handed_over(&store, now), sessions.clone());
        // There and back, once more.
        let next = MemoryStore::new(2_000).unwrap();
        prop_assert_eq!(next.restore(store.sessions(now), ttl(idle), now), sessions.len());
        prop_assert_eq!(handed_over(&next, now), sessions);
    }
}
