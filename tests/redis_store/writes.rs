//! Writes: a deadline of their own, and a second try.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use session_affinity::limits::StoreDeadline;
use session_affinity::store::{RedisError, RedisStore};

use crate::client::*;
use crate::redis_server::RedisServer;
use crate::store_laws::endpoint;
use crate::stubs::answering;
use crate::support::shop;

/// The server stalls for many deadlines of a request.
#[test]
fn no_write_is_lost_under_a_stall_that_is_shorter_than_its_own_deadline() {
    let server = RedisServer::start();
    let client = Client::with_deadline(&server.url(), 20);
    wait_until("a connection", || client.connect().is_ok());
    server.hang();
    let begun = Instant::now();
    client.runtime.block_on(async {
        let load = |number| {
            let store = client.store.clone();
            tokio::spawn(async move { store.load(&lookup(number)).await })
        };
        let writes: Vec<_> = (0..143)
            .map(|number| {
                let store = client.store.clone();
                tokio::spawn(async move { store.save(&replace(number, number)).await })
            })
            .collect();
        // The requests that fail meanwhile do not take the writes with them.
        assert!(load(1).await.unwrap().is_err());
        assert_eq!(load(1).await.unwrap(), Err(RedisError::Silent));
        let later = client.store.clone();
        let later = tokio::spawn(async move { later.save(&replace(200, 200)).await });
        tokio::time::sleep(Duration::from_millis(250)).await;
        server.go_on();
        for write in writes.into_iter().chain([later]) {
            assert_eq!(write.await.unwrap(), Ok(()));
        }
    });
    assert!(begun.elapsed() >= Duration::from_millis(250));
    client.wait_until_it_answers();
    for number in (0..143).chain([200]) {
        wait_until("an answer", || client.load(number).is_ok());
        assert_eq!(client.pinned(number), Some(endpoint(number)));
    }
    let health = client.store.health();
    assert_eq!((health.writes_failed, health.writes_retried), (0, 0));
}

#[test]
fn a_write_ends_within_its_own_deadline() {
    let server = RedisServer::start();
    let deadline = |milliseconds| StoreDeadline::new(milliseconds).unwrap();
    let store = RedisStore::new(shop(), &server.url()).unwrap();
    assert_eq!(store.write_deadline(), StoreDeadline::MAX, "a second");
    let store = store.with_deadline(StoreDeadline::MAX).with_write_deadline(deadline(100));
    assert_eq!(store.write_deadline(), deadline(100));
    let client = Client { store: Arc::new(store), runtime: runtime() };
    client.connect().unwrap();
    server.hang();
    let (saved, elapsed) = timed(|| client.save(replace(1, 8)));
    assert_eq!(saved, Err(RedisError::TimedOut(deadline(100))));
    assert!((100..600).contains(&elapsed.as_millis()), "{elapsed:?}");
    assert_eq!(client.store.health().writes_failed, 1);
}

#[test]
fn a_write_whose_connection_is_lost_is_sent_once_more() {
    let sets = Arc::new(AtomicUsize::new(0));
    let counter = sets.clone();
    let until = Arc::new(AtomicUsize::new(1));
    let hangs_up = until.clone();
    let client = Client::at(&answering(move |words| match words[0].as_str() {
        "SET" if counter.fetch_add(1, SeqCst) < hangs_up.load(SeqCst) => None,
        "SET" => Some("+OK\r\n"),
        "PING" => Some("+PONG\r\n"),
        _ => Some("*0\r\n"),
    }));
    assert_eq!(client.save(replace(1, 8)), Ok(()));
    assert_eq!((sets.load(SeqCst), client.store.health().writes_retried), (2, 1));
    // A second loss is the last.
    until.store(usize::MAX, SeqCst);
    assert!(matches!(client.save(replace(1, 8)), Err(RedisError::Unconnected(_))));
    assert_eq!(sets.load(SeqCst), 4);
}

/// manual::gateways, What Redis needs: "A write whose connection is lost is sent once more, but not
/// after a later write of the same gateway to the same session: no write is undone."
#[test]
fn a_write_is_not_sent_again_after_a_later_one_of_its_session() {
    let (sets, gets) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (seen, later) = (sets.clone(), gets.clone());
    let client = Client::at(&answering(move |words| match words[0].as_str() {
        // The first one gets no answer, and loses its connection when the later one has begun.
        "SET" if seen.fetch_add(1, SeqCst) == 0 => {
            wait_until("the later write", || later.load(SeqCst) > 0);
            std::thread::sleep(Duration::from_millis(100));
            None
        }
        "SET" => Some("+OK\r\n"),
        "PING" => Some("+PONG\r\n"),
        _ => Some("*0\r\n"),
    }));
    client.connect().unwrap();
    client.runtime.block_on(async {
        let store = client.store.clone();
        let first = tokio::spawn(async move { store.save(&replace(1, 7)).await });
        while sets.load(SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        gets.store(1, SeqCst);
        let second = client.store.save(&replace(1, 8)).await;
        assert!(matches!(first.await.unwrap(), Err(RedisError::Unconnected(_))));
        assert_eq!(second, Ok(()));
    });
    assert_eq!(sets.load(SeqCst), 2, "the first one, and the later one by the next connection");
}
