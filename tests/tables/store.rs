//! Header sessions and their store. From manual::concepts, What is read, and what is written:
//!
//! | policy | read | written when created or moved | when kept | when lent |
//! |---|---|---|---|---|
//! | `header` | the configured headers, then the record in the store | a record | the idle timer restarts | the idle timer restarts |
//!
//! From manual::concepts, The life of a session:
//!
//! > A header session ends when it has not been used for that time.
//!
//! Laws of a store that hold for every store are in `tests/store_laws`.

use session_affinity::outcome::Created;
use session_affinity::store::{Lookup, SessionKey, WriteKind};
use session_affinity::{EndpointId, MemoryStore, Outcome, Record, SessionStore, StoreWrite};

use crate::site::{IDLE, NOW, Site, eu, stored};
use crate::support::{Client, at, header, ttl};

/// manual::concepts, The life of a session: "A header session ends when it has not been used for
/// that time. One second before, it is alive."
#[test]
fn a_header_session_idles_out_one_ttl_after_its_last_use_and_lives_one_second_before() {
    let store = MemoryStore::new(1_000).unwrap();
    let mut site = Site::new(header());
    let client = Client::number(7).with_user("ann");
    let mut visit = |now: u64| {
        site.now = now;
        site.record = store.record(site.affinity.recall(&client.request(), at(now)).lookup());
        let answered = site.answer(&client);
        store.commit(answered.settlement.store_write).unwrap();
        answered.outcome
    };
    assert_eq!(visit(NOW), Outcome::Created(Created::NoRecord));
    assert_eq!(visit(NOW + IDLE - 1), Outcome::Kept);
    assert_eq!(visit(NOW + 2 * (IDLE - 1)), Outcome::Kept, "use restarts the timer");
    assert_eq!(visit(NOW + 2 * (IDLE - 1) + IDLE), Outcome::Created(Created::NoRecord));
}

/// The endpoint of a record, and the time at which it was issued.
fn load(store: &MemoryStore, key: SessionKey, now: u64) -> Option<(EndpointId, u64)> {
    match store.load(&Lookup { key, ttl: ttl(IDLE), now: at(now) }).unwrap() {
        Record::Found { endpoint, issued } => Some((endpoint, issued.as_secs())),
        _ => None,
    }
}

fn write(key: SessionKey, now: u64, kind: WriteKind) -> StoreWrite {
    StoreWrite { key, ttl: ttl(IDLE), now: at(now), kind }
}

/// manual::concepts, What is read, and what is written: *create* where "a session begins, and the
/// store had no record or was out of reach", *replace* where "its record was unreadable".
#[test]
fn a_header_session_is_created_unless_its_record_was_unreadable() {
    let (mut site, client) = stored(eu(1));
    let key = header().session_key(&client.request()).unwrap();
    for (record, reason) in [
        (Record::Absent, Created::NoRecord),
        (Record::Unreachable, Created::StoreUnreachable),
        (Record::Unreadable, Created::Unreadable),
    ] {
        site.record = record;
        let answered = site.answer(&client);
        assert_eq!(answered.outcome, Outcome::Created(reason));
        let kind = match record {
            Record::Unreadable => WriteKind::Replace(answered.endpoint),
            _ => WriteKind::Create(answered.endpoint),
        };
        assert_eq!(answered.settlement.store_write, Some(write(key, NOW, kind)));
    }
}

/// manual::concepts, What is read, and what is written: "of two first requests on two nodes the
/// first wins, and both nodes agree from then on".
#[test]
fn of_two_creates_the_first_wins() {
    let (store, key) = (MemoryStore::new(1_000).unwrap(), SessionKey([1; 16]));
    store.save(&write(key, NOW, WriteKind::Create(eu(1)))).unwrap();
    store.save(&write(key, NOW, WriteKind::Create(eu(2)))).unwrap();
    assert_eq!(load(&store, key, NOW), Some((eu(1), NOW)));
}

/// manual::concepts, What is read, and what is written: "writes over any record".
#[test]
fn a_replace_overwrites() {
    let (store, key) = (MemoryStore::new(1_000).unwrap(), SessionKey([1; 16]));
    store.save(&write(key, NOW, WriteKind::Create(eu(1)))).unwrap();
    store.save(&write(key, NOW + 5, WriteKind::Replace(eu(2)))).unwrap();
    assert_eq!(load(&store, key, NOW + 5), Some((eu(2), NOW + 5)));
}

/// manual::concepts, What is read, and what is written: "restarts the idle timer and changes
/// nothing else, so it does not undo the move of another node; without a record, it does nothing".
#[test]
fn a_touch_restarts_the_timer_and_changes_nothing_else() {
    let (store, key) = (MemoryStore::new(1_000).unwrap(), SessionKey([1; 16]));
    store.save(&write(key, NOW, WriteKind::Touch)).unwrap();
    assert_eq!(load(&store, key, NOW), None, "it makes no record");
    store.save(&write(key, NOW, WriteKind::Replace(eu(2)))).unwrap();
    store.save(&write(key, NOW + 100, WriteKind::Touch)).unwrap();
    assert_eq!(load(&store, key, NOW + IDLE + 99), Some((eu(2), NOW)));
    assert_eq!(load(&store, key, NOW + IDLE + 100), None);
}

/// manual::cloudflare, Features: "a session key made of the configured headers", "adding or
/// removing one of the headers makes a new session". So does another value.
#[test]
fn another_value_of_a_configured_header_is_another_session() {
    let key = |client: &Client| header().session_key(&client.request());
    let ann = Client::number(7).with_user("ann");
    assert_eq!(key(&ann), key(&Client::number(8).with_user("ann")), "the address is no part of it");
    assert_ne!(key(&ann), key(&Client::number(7).with_user("bob")));
    let mut twice = ann.clone();
    twice.headers.append("x-user", "ann".parse().unwrap());
    assert_ne!(key(&ann), key(&twice));
    assert_eq!(key(&Client::number(7)), None);
}
