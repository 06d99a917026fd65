//! Sessions that a store remembers for an outage.

use session_affinity::limits::OutageSessions;
use session_affinity::store::{AnyStore, AsyncSessionStore, Record, RedisStore};
use session_affinity::{EndpointId, UnixTime};

use crate::client::*;
use crate::redis_server::RedisServer;
use crate::store_laws::{endpoint, found};
use crate::support::{NOW, shop};

fn record(client: &Client, number: u64) -> Option<(EndpointId, UnixTime)> {
    let record = client.runtime.block_on(client.store.record(Some(lookup(number))));
    if record == Record::Unreachable { None } else { found(record) }
}

/// manual::gateways, When a shared store is needed: "`RedisStore` remembers 20,000 sessions for five
/// minutes: those go where this gateway has known them (`kept`), until the server answers again."
#[test]
fn during_an_outage_a_session_goes_where_this_gateway_knew_it_a_second_ago() {
    let (mut server, other) = (RedisServer::start(), RedisServer::start());
    let client = Client::of(&server);
    let node = Client::of(&server);
    node.save(create(1, 7)).unwrap();
    assert_eq!(client.pinned(1), Some(endpoint(7)));
    client.save(create(2, 8)).unwrap();
    node.save(create(3, 9)).unwrap();
    server.go_down();
    assert_eq!(record(&client, 1), Some((endpoint(7), NOW)), "read a moment ago");
    assert_eq!(record(&client, 2), Some((endpoint(8), NOW)), "created a moment ago");
    assert_eq!(record(&client, 3), None, "another gateway knows it");
    assert!(client.load(1).is_err(), "the error is returned all the same");
    assert!(client.save(touch(1)).is_err());
    assert_eq!(client.store.health().remembered, 2);
    let late = session_affinity::store::Lookup { now: NOW.saturating_add(300), ..lookup(1) };
    let late = client.runtime.block_on(client.store.record(Some(late)));
    assert_eq!(late, Record::Unreachable, "it is five minutes old");

    // What the server says counts as soon as it answers.
    server.come_back();
    client.wait_until_it_answers();
    assert_eq!(client.load(1), Ok(Record::Absent));
    server.go_down();
    assert_eq!(record(&client, 1), None);
    drop(other);
}

#[test]
fn what_this_gateway_has_replaced_or_removed_is_not_returned_although_the_write_has_failed() {
    let mut server = RedisServer::start();
    let client = Client::of(&server);
    for number in [1, 2, 3] {
        client.save(create(number, 7)).unwrap();
        assert_eq!(client.pinned(number), Some(endpoint(7)));
    }
    server.go_down();
    assert!(client.save(replace(1, 8)).is_err());
    assert!(client.save(remove(2)).is_err());
    assert_eq!(record(&client, 1), Some((endpoint(8), NOW)));
    assert_eq!(record(&client, 2), None);
    assert!(client.save(create(3, 9)).is_err());
    assert_eq!(record(&client, 3), None, "the server has not said that it is this one");
}

#[test]
fn while_the_server_answers_nothing_is_answered_from_memory() {
    let server = RedisServer::start();
    let client = Client::of(&server);
    client.save(create(1, 7)).unwrap();
    assert_eq!(client.pinned(1), Some(endpoint(7)));
    Client::of(&server).save(replace(1, 8)).unwrap();
    assert_eq!(client.pinned(1), Some(endpoint(8)), "another gateway has moved it");
    server.ask::<()>(&["FLUSHALL"]);
    assert_eq!(client.load(1), Ok(Record::Absent));
    assert_eq!(client.store.health().remembered, 0);
}

#[test]
fn without_sessions_to_remember_an_outage_is_an_outage() {
    let mut server = RedisServer::start();
    let store = RedisStore::new(shop(), &server.url()).unwrap();
    assert_eq!(store.outage_sessions(), OutageSessions::new(20_000).unwrap());
    let store = store.with_outage_sessions(OutageSessions::OFF);
    assert_eq!(store.outage_sessions(), OutageSessions::OFF);
    let client = Client { store: store.into(), runtime: runtime() };
    wait_until("a connection", || client.connect().is_ok());
    client.save(create(1, 7)).unwrap();
    server.go_down();
    assert_eq!(record(&client, 1), None);
}

#[test]
fn a_store_chosen_at_run_time_remembers_too_and_reports_the_error() {
    let mut server = RedisServer::start();
    let reported = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = reported.clone();
    let store = AnyStore::open(&server.url(), shop())
        .unwrap()
        .with_deadline(session_affinity::limits::StoreDeadline::MAX)
        .with_report(move |_| _ = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst));
    let runtime = runtime();
    runtime.block_on(async {
        store.connect().await.unwrap();
        store.commit(Some(create(1, 7))).await;
        store.finish().await;
        server.go_down();
        assert_eq!(found(store.record(Some(lookup(1))).await), Some((endpoint(7), NOW)));
    });
    assert_eq!(reported.load(std::sync::atomic::Ordering::SeqCst), 1);
    assert_eq!(store.health().unwrap().remembered, 1);
}
