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

use session_affinity::{
    Created, EndpointId, Lookup, MemoryStore, Outcome, Record, SessionKey, SessionStore, StoreWrite,
};

use crate::site::{IDLE, NOW, Site, eu};
use crate::support::{Client, at, header};

/// manual::concepts, The life of a session: "A header session ends when it has not been used for
/// that time." One second before, it is live.
#[test]
fn a_header_session_idles_out_one_ttl_after_its_last_use_and_lives_one_second_before() {
    let store = MemoryStore::new(1_000).unwrap();
    let mut site = Site::new(header());
    let client = Client::number(7).with_user("ann");
    let mut visit = |now: u64| {
        site.now = now;
        site.record = store.record(&site.affinity.recall(&client.request(), at(now)));
        let answered = site.answer(&client);
        store.settle(&answered.settlement).unwrap();
        answered.outcome
    };
    assert_eq!(visit(NOW), Outcome::Created(Created::NoRecord));
    assert_eq!(visit(NOW + IDLE - 1), Outcome::Kept);
    assert_eq!(visit(NOW + 2 * (IDLE - 1)), Outcome::Kept, "use restarts the timer");
    assert_eq!(visit(NOW + 2 * (IDLE - 1) + IDLE), Outcome::Created(Created::NoRecord));
}

/// The endpoint of a record, and the time at which it was issued.
fn load(store: &MemoryStore, key: SessionKey, now: u64) -> Option<(EndpointId, u64)> {
    match store.load(&Lookup { key, ttl: IDLE, now: at(now) }).unwrap() {
        Record::Found(pin) => Some((pin.endpoint, pin.issued.as_secs())),
        _ => None,
    }
}

/// A create keeps a record that came first: of two first requests that race on two nodes one wins,
/// and both nodes agree from then on.
#[test]
fn of_two_creates_the_first_wins() {
    let (store, key, ttl) = (MemoryStore::new(1_000).unwrap(), SessionKey([1; 16]), IDLE);
    store.save(&StoreWrite::Create { key, endpoint: eu(1), ttl, now: at(NOW) }).unwrap();
    store.save(&StoreWrite::Create { key, endpoint: eu(2), ttl, now: at(NOW) }).unwrap();
    assert_eq!(load(&store, key, NOW), Some((eu(1), NOW)));
}

/// A replacement overwrites the record, whatever it says.
#[test]
fn a_replace_overwrites() {
    let (store, key, ttl) = (MemoryStore::new(1_000).unwrap(), SessionKey([1; 16]), IDLE);
    store.save(&StoreWrite::Create { key, endpoint: eu(1), ttl, now: at(NOW) }).unwrap();
    store.save(&StoreWrite::Replace { key, endpoint: eu(2), ttl, now: at(NOW + 5) }).unwrap();
    assert_eq!(load(&store, key, NOW + 5), Some((eu(2), NOW + 5)));
}

/// A touch restarts the idle timer and changes nothing else, so it does not undo the move of
/// another node.
#[test]
fn a_touch_restarts_the_timer_and_changes_nothing_else() {
    let (store, key, ttl) = (MemoryStore::new(1_000).unwrap(), SessionKey([1; 16]), IDLE);
    store.save(&StoreWrite::Touch { key, ttl, now: at(NOW) }).unwrap();
    assert_eq!(load(&store, key, NOW), None, "it makes no record");
    store.save(&StoreWrite::Replace { key, endpoint: eu(2), ttl, now: at(NOW) }).unwrap();
    store.save(&StoreWrite::Touch { key, ttl, now: at(NOW + 100) }).unwrap();
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
