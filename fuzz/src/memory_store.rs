//! The memory store against a map: with room for all and a clock that never steps back it is
//! one; full, or under a clock that does, it keeps the laws of the trait.

use std::collections::HashMap;

use session_affinity::{
    EndpointId, Lookup, MemoryStore, Pin, Record, SessionKey, SessionStore, StoreWrite, UnixTime,
};

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

/// One write: the record, and when it ends.
#[derive(Clone, Copy)]
struct Written {
    endpoint: EndpointId,
    issued: u64,
    end: u64,
}

struct Trial {
    store: MemoryStore,
    capacity: usize,
    ttl: u64,
    keys: u64,
    now: u64,
    /// All writes, by key; of a map only the last one counts.
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

    fn load(&self, key: SessionKey) -> Option<Pin> {
        match self.store.load(&Lookup { key, ttl: self.ttl, now: UnixTime::from_secs(self.now) }) {
            Ok(Record::Found(pin)) => Some(pin),
            Ok(Record::Absent) => None,
            other => panic!("{other:?}"),
        }
    }

    /// A Touch, Create or Replace, and the record that it would write.
    fn a_write(&mut self, choices: &mut Choices<'_>, key: SessionKey) -> (StoreWrite, Written) {
        self.writes += 1;
        let (ttl, endpoint, now) =
            (self.ttl, EndpointId::from_u64(self.writes << 32 | 7), UnixTime::from_secs(self.now));
        let write = match choices.below(3) {
            0 => StoreWrite::Touch { key, ttl, now },
            1 => StoreWrite::Create { key, endpoint, ttl, now },
            _ => StoreWrite::Replace { key, endpoint, ttl, now },
        };
        (write, Written { endpoint, issued: self.now, end: (self.now + ttl).min(LAST) })
    }

    fn be_a_map(&mut self, choices: &mut Choices<'_>) {
        let key = self.a_key(choices);
        let (write, new) = self.a_write(choices, key);
        let Ok(()) = self.store.save(&write);
        let now = self.now;
        let live = self
            .written
            .get(&key)
            .and_then(|all| all.last())
            .copied()
            .filter(|last| last.end > now);
        let expected = match (write, live) {
            (StoreWrite::Touch { .. }, None) => None,
            (StoreWrite::Touch { .. }, Some(live)) => Some(Written { end: new.end, ..live }),
            (StoreWrite::Create { .. }, Some(live)) => Some(live),
            (StoreWrite::Create { .. }, None) | (StoreWrite::Replace { .. }, _) => Some(new),
        };
        if let Some(expected) = expected {
            self.written.entry(key).or_default().push(expected);
        }
        let key = self.a_key(choices);
        let live = self.written.get(&key).and_then(|all| all.last()).filter(|last| last.end > now);
        let expires = UnixTime::from_secs(now + self.ttl);
        let pin = |live: &Written| Pin {
            endpoint: live.endpoint,
            issued: UnixTime::from_secs(live.issued),
            expires,
        };
        assert_eq!(self.load(key), live.map(pin));
        let all = self
            .written
            .values()
            .filter(|all| all.last().is_some_and(|last| last.end > now))
            .count();
        assert_eq!(self.store.live(UnixTime::from_secs(now)), all);
    }

    /// Nothing that `SessionStore`, Laws, forbids happens: a record of another key, a record that
    /// was never written or has idled out, a `Create` that changes a live record, a `Touch` that
    /// makes a record or changes its endpoint.
    fn keep_the_laws(&mut self, choices: &mut Choices<'_>) {
        let key = self.a_key(choices);
        let before = self.load(key);
        let (write, new) = self.a_write(choices, key);
        let Ok(()) = self.store.save(&write);
        let after = self.load(key);
        if let (Some(before), StoreWrite::Create { .. } | StoreWrite::Touch { .. }) =
            (before, write)
        {
            assert_eq!(
                after.map(|pin| (pin.endpoint, pin.issued)),
                Some((before.endpoint, before.issued))
            );
        }
        if let (None, StoreWrite::Touch { .. }) = (before, write) {
            assert_eq!(after, None);
        }
        let all = self.written.entry(key).or_default();
        match (write, before) {
            (StoreWrite::Touch { .. }, Some(live)) => {
                let touched = Written {
                    endpoint: live.endpoint,
                    issued: live.issued.as_secs(),
                    end: new.end,
                };
                all.push(touched);
            }
            (StoreWrite::Touch { .. }, None) => {}
            _ => all.push(new),
        }
        if let Some(pin) = after {
            let issued = pin.issued.as_secs();
            let mut these =
                all.iter().filter(|one| (one.endpoint, one.issued) == (pin.endpoint, issued));
            assert!(these.any(|one| one.end > self.now), "never written, or idled out: {pin:?}");
            assert_eq!(pin.expires, UnixTime::from_secs((self.now + self.ttl).min(LAST)));
        }
        // Rounded up to whole sets, a store of few sessions has room for a few more.
        assert!(self.store.live(UnixTime::from_secs(self.now)) <= 2 * self.capacity + 16);
    }
}
