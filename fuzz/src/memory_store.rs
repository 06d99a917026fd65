//! The memory store against a map. With room for every record and a clock that never steps back
//! it behaves as one; full, or with a clock that steps back, it keeps the laws of the trait.

use std::collections::HashMap;

use session_affinity::limits::Ttl;
use session_affinity::store::{
    Lookup, MemoryStore, Record, SessionKey, SessionStore, StoreWrite, WriteKind,
};
use session_affinity::{EndpointId, UnixTime};

use super::choices::Choices;
use super::support::Chance;

pub fn check(input: &[u8]) {
    let mut choices = Choices(input);
    let ttl = choices.one_of(&[30, 1_800, 3_600]);
    if choices.percent(50) {
        let capacity = 1 + choices.below(100);
        let mut crowd = Trial::new(capacity, ttl, 256);
        crowd.run(&mut choices, |trial, choices| match choices.below(8) {
            0 => trial.now = (trial.now + choices.number(4_000)).min(LAST),
            1 => trial.now = trial.now.saturating_sub(choices.number(4_000)),
            2 => trial.now = choices.one_of(&[0, 1_800_000_000, LAST, LAST - ttl]),
            _ => trial.keep_the_laws(choices),
        });
    } else {
        let mut few = Trial::new(1_000, ttl, 64);
        few.run(&mut choices, |trial, choices| match choices.below(8) {
            0 => trial.now = (trial.now + choices.number(4_000)).min(LAST),
            _ => trial.be_a_map(choices),
        });
    }
}

const LAST: u64 = (1 << 40) - 1;

/// A record that was written, and its end.
#[derive(Clone, Copy)]
struct Written {
    found: Found,
    end: u64,
}

/// The fields of a record that a load returns.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Found {
    endpoint: EndpointId,
    issued: u64,
}

struct Trial {
    store: MemoryStore,
    capacity: usize,
    ttl: u64,
    keys: u64,
    now: u64,
    /// All writes, by key. Of a map, only the last one counts.
    written: HashMap<SessionKey, Vec<Written>>,
    writes: u64,
}

impl Trial {
    fn new(capacity: usize, ttl: u64, keys: u64) -> Self {
        let store = MemoryStore::new(capacity).unwrap();
        Self { store, capacity, ttl, keys, now: 1_800_000_000, written: HashMap::new(), writes: 0 }
    }

    fn run(&mut self, choices: &mut Choices<'_>, step: impl Fn(&mut Self, &mut Choices<'_>)) {
        while !choices.is_used_up() {
            step(self, choices);
        }
    }

    fn a_key(&self, choices: &mut Choices<'_>) -> SessionKey {
        // Neighbours differ in one word only, each in another one.
        let number = choices.number(self.keys);
        SessionKey((u128::from(number) << (32 * (number % 4))).to_be_bytes())
    }

    fn ttl(&self) -> Ttl {
        Ttl::new(self.ttl).unwrap()
    }

    fn load(&self, key: SessionKey) -> Option<Found> {
        let lookup = Lookup { key, ttl: self.ttl(), now: UnixTime::from_secs(self.now) };
        match self.store.load(&lookup) {
            Ok(Record::Found { endpoint, issued }) => {
                Some(Found { endpoint, issued: issued.as_secs() })
            }
            Ok(Record::Absent) => None,
            other => panic!("{other:?}"),
        }
    }

    /// Makes a write of any kind, and returns it with the record that it would leave where there
    /// was none.
    fn save(&mut self, choices: &mut Choices<'_>, key: SessionKey) -> (WriteKind, Written) {
        self.writes += 1;
        let endpoint = EndpointId::from_u64(self.writes << 32 | 7);
        let kind = match choices.below(4) {
            0 => WriteKind::Touch,
            1 => WriteKind::Create(endpoint),
            2 => WriteKind::Replace(endpoint),
            _ => WriteKind::Remove,
        };
        let (ttl, now) = (self.ttl(), UnixTime::from_secs(self.now));
        let Ok(()) = self.store.save(&StoreWrite { key, ttl, now, kind });
        let found = Found { endpoint, issued: self.now };
        (kind, Written { found, end: (self.now + self.ttl).min(LAST) })
    }

    fn be_a_map(&mut self, choices: &mut Choices<'_>) {
        let key = self.a_key(choices);
        let (kind, new) = self.save(choices, key);
        let now = self.now;
        let live = |all: &Vec<Written>| all.last().copied().filter(|last| last.end > now);
        let expected = match (kind, self.written.get(&key).and_then(live)) {
            (WriteKind::Touch, None) | (WriteKind::Remove, _) => None,
            (WriteKind::Touch, Some(live)) => Some(Written { end: new.end, ..live }),
            (WriteKind::Create(_), Some(live)) => Some(live),
            (WriteKind::Create(_), None) | (WriteKind::Replace(_), _) => Some(new),
        };
        if kind == WriteKind::Remove {
            self.written.remove(&key);
        }
        if let Some(expected) = expected {
            self.written.entry(key).or_default().push(expected);
        }
        let key = self.a_key(choices);
        let expected = self.written.get(&key).and_then(live);
        assert_eq!(self.load(key), expected.map(|live| live.found));
        let all = self.written.values().filter_map(live).count();
        assert_eq!(self.store.live(UnixTime::from_secs(now)), all);
    }

    /// The store does nothing that the trait forbids: it returns no record of another key, none
    /// that was never written and none that has idled out. A create changes no live record; a
    /// touch makes none, and changes no endpoint; a remove leaves none.
    fn keep_the_laws(&mut self, choices: &mut Choices<'_>) {
        let key = self.a_key(choices);
        let before = self.load(key);
        let (kind, new) = self.save(choices, key);
        let after = self.load(key);
        match (before, kind) {
            (Some(_), WriteKind::Create(_) | WriteKind::Touch) | (None, WriteKind::Touch) => {
                assert_eq!(after, before);
            }
            (_, WriteKind::Remove) => assert_eq!(after, None),
            (None, WriteKind::Create(_)) | (_, WriteKind::Replace(_)) => {}
        }
        let all = self.written.entry(key).or_default();
        match (kind, before) {
            (WriteKind::Touch, Some(found)) => all.push(Written { found, end: new.end }),
            (WriteKind::Touch, None) => {}
            (WriteKind::Remove, _) => all.clear(),
            _ => all.push(new),
        }
        if let Some(found) = after {
            let mut these = all.iter().filter(|one| one.found == found);
            assert!(these.any(|one| one.end > self.now), "never written, or idled out: {found:?}");
        }
        // Rounded up to whole sets, a store of few sessions has room for a few more.
        assert!(self.store.live(UnixTime::from_secs(self.now)) <= 2 * self.capacity + 16);
    }
}
