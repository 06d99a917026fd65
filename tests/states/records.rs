//! The crate's store in memory, filled from the values of a state and read back after a write.

use session_affinity::store::{Lookup, MemoryStore, SessionKey, SessionStore, WriteKind};
use session_affinity::{Record, StoreWrite};

use super::broken::{Broken, law};
use super::request::{Ask, client_of};
use super::state::{Late, LateKind, Row, Secs, State, absolute, id, index, relative};
use super::world::Site;
use crate::support::{at, ttl};

impl Late {
    pub(crate) fn of(store: usize, client: usize, write: &StoreWrite) -> Self {
        let kind = match write.kind {
            WriteKind::Touch => LateKind::Touch,
            WriteKind::Create(endpoint) => LateKind::Create(index(endpoint)),
            WriteKind::Replace(endpoint) => LateKind::Replace(index(endpoint)),
            WriteKind::Remove => panic!("no session is taken back"),
        };
        Self { store, client, kind, now: relative(write.now.as_secs()) }
    }
}

impl Site {
    fn key_of(&self, state: &State, client: usize) -> SessionKey {
        let client = client_of(self, state, client);
        let visit = self.affinities[0].recall(&client.request(), at(absolute(0)));
        visit.lookup().expect("a header session").key
    }

    /// The store with one record, written and touched until it ends when it did.
    fn store(&self, key: SessionKey, row: Option<Row>) -> MemoryStore {
        let store = MemoryStore::new(4).unwrap();
        let Some(Row { endpoint, issued, end }) = row else { return store };
        let life = self.rules.ttl();
        let save = |now: Secs, kind| {
            let write = StoreWrite { key, ttl: ttl(life as u64), now: at(absolute(now)), kind };
            store.save(&write).unwrap();
        };
        save(issued, WriteKind::Replace(id(endpoint)));
        let mut touched = issued;
        while touched < end - life {
            touched = (touched + life - 1).min(end - life);
            save(touched, WriteKind::Touch);
        }
        if end < issued + life {
            // A late write, older than the record, has restarted the timer by its own time.
            save(end - life, WriteKind::Touch);
        }
        store
    }

    fn find(&self, store: &MemoryStore, key: SessionKey, now: Secs) -> Record {
        let life = ttl(self.rules.ttl() as u64);
        store.load(&Lookup { key, ttl: life, now: at(absolute(now)) }).unwrap()
    }

    /// The answer of the node's store to a request.
    pub(crate) fn load(&self, state: &State, ask: Ask, lookup: &Lookup) -> Result<Record, Broken> {
        let row = state.stores[self.store_of(ask.node)][ask.client];
        let record = self.store(lookup.key, row).load(lookup).unwrap();
        let now = relative(lookup.now.as_secs());
        let expected = match row {
            Some(row) if row.end > now => {
                Record::Found { endpoint: id(row.endpoint), issued: at(absolute(row.issued)) }
            }
            _ => Record::Absent,
        };
        law!(record == expected, "a record lives until its end: {row:?}, {record:?}");
        Ok(record)
    }

    /// Carries out a write of now or of some time ago.
    pub(crate) fn carry_out(&self, state: &mut State, late: Late) -> Result<(), Broken> {
        let key = self.key_of(state, late.client);
        let row = state.stores[late.store][late.client];
        let store = self.store(key, row);
        let life = self.rules.ttl();
        let kind = match late.kind {
            LateKind::Touch => WriteKind::Touch,
            LateKind::Create(endpoint) => WriteKind::Create(id(endpoint)),
            LateKind::Replace(endpoint) => WriteKind::Replace(id(endpoint)),
        };
        let now = at(absolute(late.now));
        store.save(&StoreWrite { key, ttl: ttl(life as u64), now, kind }).unwrap();
        let (new_end, old) = (late.now + life, row.filter(|row| row.end > late.now));
        let most = old.map_or(new_end, |row| row.end.max(new_end));
        law!(
            self.find(&store, key, most) == Record::Absent,
            "a record ends one lifetime after its last use: {row:?}, {late:?}"
        );
        let least = old.map_or(new_end, |row| row.end.min(new_end));
        let end = [most, least]
            .into_iter()
            .find(|end| matches!(self.find(&store, key, end - 1), Record::Found { .. }));
        let found = end.map(|end| match self.find(&store, key, end - 1) {
            Record::Found { endpoint, issued } => {
                Row { endpoint: index(endpoint), issued: relative(issued.as_secs()), end }
            }
            _ => unreachable!("found a moment ago"),
        });
        let same = |row: Option<Row>| row.map(|row| (row.endpoint, row.issued));
        match late.kind {
            LateKind::Touch => law!(
                same(found) == same(old),
                "a touch never undoes a move, nor makes a record: {row:?}, {late:?}, {found:?}"
            ),
            LateKind::Create(to) => law!(
                if old.is_some() { found == old } else { same(found) == Some((to, late.now)) },
                "of two first requests one wins: {row:?}, {late:?}, {found:?}"
            ),
            LateKind::Replace(to) => law!(
                same(found) == Some((to, late.now)),
                "a move overwrites: {row:?}, {late:?}, {found:?}"
            ),
        }
        state.stores[late.store][late.client] = found;
        Ok(())
    }
}
