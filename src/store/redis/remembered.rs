//! The sessions that this gateway has heard of a short time ago, for an outage of the server.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::limits::{OutageSessions, Ttl};
use crate::store::{Lookup, MemoryStore, Record, SessionKey, SessionStore, StoreWrite, WriteKind};
use crate::time::UnixTime;

/// The time for which a session is remembered after the server was last heard of it, in seconds.
/// It stands in the documentation.
const AGE: u64 = 300;

/// The number of locks. Each guards the sessions whose keys end alike.
const LOCKS: usize = 64;

/// Records that the server has returned or taken. They are used only when it is out of reach.
///
/// A load and a write of one session may run at the same time. A load that began before a write is
/// not noted after it, or it would bring back what the write has replaced.
pub(super) struct Remembered {
    sessions: MemoryStore,
    locks: Box<[Mutex<Writes>; LOCKS]>,
}

/// The number of writes so far to the sessions of one lock.
type Writes = u64;

/// A place in the order of loads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Since(Writes);

impl Remembered {
    /// Allocates the memory. `None` without sessions, or if memory cannot be allocated.
    pub(super) fn new(sessions: OutageSessions) -> Option<Self> {
        let capacity = usize::try_from(sessions.get()).ok()?;
        let locks = Box::new([const { Mutex::new(0) }; LOCKS]);
        Some(Self { sessions: MemoryStore::new(capacity).ok()?, locks })
    }

    pub(super) fn capacity(&self) -> usize {
        self.sessions.capacity()
    }

    /// Begins a load.
    pub(super) fn load_begins(&self, key: SessionKey) -> Since {
        Since(*self.lock(key))
    }

    /// Notes the answer of the server to a load.
    pub(super) fn loaded(&self, lookup: &Lookup, record: Record, since: Since) {
        let writes = self.lock(lookup.key);
        if *writes != since.0 {
            return;
        }
        match record {
            Record::Found { endpoint, issued } => {
                self.note(lookup, WriteKind::Replace(endpoint), issued);
            }
            Record::Absent | Record::Unreadable => self.forget(lookup),
            Record::Unreachable => {}
        }
    }

    /// Begins a write, before it is sent: what it replaces or removes is not served any more,
    /// whether the write succeeds or not. The session is where this gateway has moved it to.
    pub(super) fn write_begins(&self, write: &StoreWrite) -> Since {
        let StoreWrite { key, ttl, now, kind } = *write;
        let mut writes = self.lock(key);
        if kind == WriteKind::Touch {
            return Since(*writes);
        }
        *writes = writes.wrapping_add(1);
        let lookup = Lookup { key, ttl, now };
        match kind {
            WriteKind::Replace(_) => self.note(&lookup, kind, now),
            // Of a create, the server says whether the session is this one.
            WriteKind::Create(_) | WriteKind::Remove | WriteKind::Touch => self.forget(&lookup),
        }
        Since(*writes)
    }

    /// Notes that the server has made a record by this write.
    pub(super) fn created(&self, write: &StoreWrite, since: Since) {
        let StoreWrite { key, ttl, now, kind } = *write;
        let writes = self.lock(key);
        if *writes == since.0 && matches!(kind, WriteKind::Create(_)) {
            self.note(&Lookup { key, ttl, now }, kind, now);
        }
    }

    /// Returns the record of a session, if it is remembered.
    pub(super) fn record(&self, lookup: &Lookup) -> Option<Record> {
        let Ok(record) = self.sessions.load(lookup);
        let Record::Found { issued, .. } = record else { return None };
        // After the clock was set back, its age is not known.
        (issued <= lookup.now).then_some(record)
    }

    /// Writes a record that was issued at `issued`, and ends when it is `AGE` old or has idled out.
    fn note(&self, lookup: &Lookup, kind: WriteKind, issued: UnixTime) {
        let Lookup { key, ttl, now } = *lookup;
        if issued > now {
            return self.forget(lookup);
        }
        let end = now.saturating_add(ttl.get().min(AGE));
        // The memory counts from the time of issue.
        let ttl = Ttl::clamped(end.as_secs().saturating_sub(issued.as_secs()));
        let Ok(()) = self.sessions.save(&StoreWrite { key, ttl, now: issued, kind });
    }

    fn forget(&self, lookup: &Lookup) {
        let Lookup { key, ttl, now } = *lookup;
        let Ok(()) = self.sessions.save(&StoreWrite { key, ttl, now, kind: WriteKind::Remove });
    }

    fn lock(&self, key: SessionKey) -> MutexGuard<'_, Writes> {
        let [.., last] = key.0;
        let [first, ..] = &*self.locks;
        let lock = self.locks.get(usize::from(last) % LOCKS).unwrap_or(first);
        lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::EndpointId;

    const TTL: u64 = 1_800;

    fn remembered() -> Remembered {
        Remembered::new(OutageSessions::new(1_000).unwrap()).unwrap()
    }

    fn key(number: u128) -> SessionKey {
        SessionKey::from(number.to_be_bytes())
    }

    fn lookup(now: u64) -> Lookup {
        Lookup { key: key(1), ttl: Ttl::new(TTL).unwrap(), now: UnixTime::from_secs(now) }
    }

    fn write(now: u64, kind: WriteKind) -> StoreWrite {
        let Lookup { key, ttl, now } = lookup(now);
        StoreWrite { key, ttl, now, kind }
    }

    fn id(number: u64) -> EndpointId {
        EndpointId::from_u64(number)
    }

    fn found(number: u64, issued: u64) -> Record {
        Record::Found { endpoint: id(number), issued: UnixTime::from_secs(issued) }
    }

    /// Loads a record at this time, from its begin to its end.
    fn load(remembered: &Remembered, now: u64, record: Record) {
        let since = remembered.load_begins(key(1));
        remembered.loaded(&lookup(now), record, since);
    }

    #[test]
    fn without_sessions_there_is_no_memory() {
        assert!(Remembered::new(OutageSessions::OFF).is_none());
        assert_eq!(remembered().capacity(), 1_000);
    }

    #[test]
    fn a_record_is_remembered_for_five_minutes_after_the_last_answer() {
        let remembered = remembered();
        load(&remembered, 5_000, found(7, 100));
        assert_eq!(remembered.record(&lookup(5_299)), Some(found(7, 100)));
        assert_eq!(remembered.record(&lookup(5_300)), None);
        load(&remembered, 5_200, found(7, 100));
        assert_eq!(remembered.record(&lookup(5_499)), Some(found(7, 100)));
        assert_eq!(remembered.record(&lookup(5_500)), None);
        let other = Lookup { key: key(2), ..lookup(5_000) };
        assert_eq!(remembered.record(&other), None);
    }

    #[test]
    fn a_record_is_not_remembered_longer_than_its_idle_time() {
        let remembered = remembered();
        let short = |now| Lookup { ttl: Ttl::new(30).unwrap(), ..lookup(now) };
        remembered.loaded(&short(5_000), found(7, 100), remembered.load_begins(key(1)));
        assert_eq!(remembered.record(&short(5_029)), Some(found(7, 100)));
        assert_eq!(remembered.record(&short(5_030)), None);
    }

    #[test]
    fn the_last_answer_of_the_server_counts() {
        let remembered = remembered();
        load(&remembered, 5_000, found(7, 5_000));
        load(&remembered, 5_001, found(8, 4_990));
        assert_eq!(remembered.record(&lookup(5_002)), Some(found(8, 4_990)));
        load(&remembered, 5_003, Record::Unreachable);
        assert_eq!(remembered.record(&lookup(5_003)), Some(found(8, 4_990)), "no answer");
        load(&remembered, 5_004, Record::Absent);
        assert_eq!(remembered.record(&lookup(5_004)), None);
        load(&remembered, 5_005, found(7, 5_000));
        load(&remembered, 5_006, Record::Unreadable);
        assert_eq!(remembered.record(&lookup(5_006)), None);
    }

    #[test]
    fn a_replace_counts_from_its_begin_and_a_load_that_began_before_changes_nothing() {
        let remembered = remembered();
        load(&remembered, 5_000, found(7, 100));
        let early = [remembered.load_begins(key(1)), remembered.load_begins(key(1))];
        let _ = remembered.write_begins(&write(5_001, WriteKind::Replace(id(8))));
        for since in early {
            remembered.loaded(&lookup(5_001), found(7, 100), since);
            assert_eq!(remembered.record(&lookup(5_001)), Some(found(8, 5_001)));
            remembered.loaded(&lookup(5_001), Record::Absent, since);
            assert_eq!(remembered.record(&lookup(5_001)), Some(found(8, 5_001)));
        }
        load(&remembered, 5_002, found(7, 100));
        assert_eq!(remembered.record(&lookup(5_002)), Some(found(7, 100)), "the server decides");
    }

    #[test]
    fn what_is_removed_is_forgotten_and_a_load_that_began_before_brings_nothing_back() {
        let remembered = remembered();
        load(&remembered, 5_000, found(7, 100));
        let early = remembered.load_begins(key(1));
        let _ = remembered.write_begins(&write(5_001, WriteKind::Remove));
        remembered.loaded(&lookup(5_001), found(7, 100), early);
        assert_eq!(remembered.record(&lookup(5_001)), None);
    }

    #[test]
    fn a_create_counts_when_the_server_has_taken_it() {
        let remembered = remembered();
        let create = write(5_000, WriteKind::Create(id(7)));
        let since = remembered.write_begins(&create);
        assert_eq!(remembered.record(&lookup(5_000)), None);
        remembered.created(&create, since);
        assert_eq!(remembered.record(&lookup(5_000)), Some(found(7, 5_000)));

        let since = remembered.write_begins(&create);
        let _ = remembered.write_begins(&write(5_001, WriteKind::Replace(id(8))));
        remembered.created(&create, since);
        assert_eq!(remembered.record(&lookup(5_001)), Some(found(8, 5_001)));
    }

    #[test]
    fn a_touch_changes_nothing() {
        let remembered = remembered();
        load(&remembered, 5_000, found(7, 100));
        let touch = write(5_001, WriteKind::Touch);
        let since = remembered.write_begins(&touch);
        remembered.created(&touch, since);
        assert_eq!(remembered.record(&lookup(5_299)), Some(found(7, 100)));
        assert_eq!(remembered.record(&lookup(5_300)), None);
    }

    #[test]
    fn a_record_of_the_future_is_not_remembered() {
        let remembered = remembered();
        load(&remembered, 5_000, found(7, 5_001));
        assert_eq!(remembered.record(&lookup(5_001)), None);
        load(&remembered, 5_000, found(7, 5_000));
        assert_eq!(remembered.record(&lookup(4_999)), None, "the clock was set back");
    }
}
