//! A server that stops, hangs or was never there.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use session_affinity::limits::StoreDeadline;
use session_affinity::store::{Record, RedisError};

use crate::client::*;
use crate::redis_server::RedisServer;
use crate::store_laws::{endpoint, found};
use crate::stubs::{answering, blackhole, refusing};
use crate::support::NOW;

#[test]
fn a_server_that_is_gone_costs_nothing_and_is_found_again() {
    let mut server = RedisServer::start();
    let client = Client::of(&server);
    client.save(create(1, 7)).unwrap();
    server.go_down();
    for call in 0..20 {
        let ((loaded, saved), elapsed) = timed(|| (client.load(1), client.save(touch(1))));
        for error in [loaded.unwrap_err(), saved.unwrap_err()] {
            let text = error.to_string();
            assert!(
                text.starts_with("there is no connection to Redis: Connection refused"),
                "{text}"
            );
        }
        assert!(elapsed < Duration::from_millis(500), "call {call}: {elapsed:?}");
    }
    server.come_back();
    client.wait_until_it_answers();
    assert_eq!(client.pinned(1), None, "a server without a disk has lost its records");
    client.save(create(1, 8)).unwrap();
    assert_eq!(client.pinned(1), Some(endpoint(8)));
}

#[test]
fn a_server_that_was_not_there_at_first_is_found() {
    let mut server = RedisServer::start();
    server.go_down();
    let client = Client::of(&server);
    assert!(matches!(client.connect(), Err(RedisError::Unconnected(_))));
    server.come_back();
    client.wait_until_it_answers();
    assert_eq!(client.connect(), Ok(()));
}

#[test]
fn a_connection_that_ended_while_it_was_idle_fails_no_call() {
    let mut server = RedisServer::start();
    let client = Client::of(&server);
    client.save(create(1, 7)).unwrap();
    // After a connection that has lasted a second, the next attempt is made at once.
    std::thread::sleep(Duration::from_millis(1_100));
    server.ask::<()>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    assert_eq!(client.load(1).map(found), Ok(Some((endpoint(7), NOW))));
    std::thread::sleep(Duration::from_millis(1_100));
    server.go_down();
    server.come_back();
    assert_eq!(client.load(1), Ok(Record::Absent));
}

#[test]
fn a_server_that_hangs_costs_one_call_the_deadline_and_the_others_nothing() {
    let server = RedisServer::start();
    let client = Client::of(&server);
    client.save(create(1, 7)).unwrap();
    server.hang();
    let (first, elapsed) = timed(|| client.load(1));
    assert_eq!(first, Err(RedisError::TimedOut(StoreDeadline::MAX)));
    assert!(elapsed >= Duration::from_millis(1_000), "{elapsed:?}");
    let begun = Instant::now();
    // For long enough that the silent connection is given up and another one is tried.
    while begun.elapsed() < Duration::from_millis(2_500) {
        let (next, elapsed) = timed(|| client.load(1));
        assert!(matches!(next, Err(RedisError::Silent | RedisError::Unconnected(_))), "{next:?}");
        assert!(elapsed < Duration::from_millis(500), "{elapsed:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    server.go_on();
    client.wait_until_it_answers();
    assert_eq!(client.pinned(1), Some(endpoint(7)));
}

#[test]
fn a_server_that_hung_from_the_start_costs_the_deadline_once() {
    let server = RedisServer::start();
    server.hang();
    let client = Client::with_deadline(&server.url(), 200);
    let ((), elapsed) = timed(|| (0..10).for_each(|_| assert!(client.load(1).is_err())));
    // An attempt to connect takes a second.
    assert!((200..700).contains(&elapsed.as_millis()), "{elapsed:?}");
}

/// Connecting may take a second, whatever the deadline of a call is.
#[test]
fn connecting_waits_longer_than_the_deadline_of_a_call() {
    let pings = Arc::new(AtomicUsize::new(0));
    let url = answering(move |words| {
        if words[0] == "PING" && pings.fetch_add(1, SeqCst) == 0 {
            std::thread::sleep(Duration::from_millis(400));
        }
        Some(if words[0] == "PING" { "+PONG\r\n" } else { "$-1\r\n" })
    });
    let client = Client::with_deadline(&url, 100);
    assert_eq!(client.connect(), Ok(()));
    assert_eq!(client.load(1), Ok(Record::Absent));
}

/// As after a firewall has dropped its state: no answer comes any more, and no end either.
#[test]
fn a_connection_that_goes_dead_while_idle_is_replaced_before_a_call_meets_it() {
    let pings = Arc::new(AtomicUsize::new(0));
    let counter = pings.clone();
    let url = answering(move |words| match (words[0].as_str(), counter.load(SeqCst)) {
        ("PING", 2) => {
            counter.fetch_add(1, SeqCst);
            Some("")
        }
        ("PING", _) => {
            counter.fetch_add(1, SeqCst);
            Some("+PONG\r\n")
        }
        _ => Some("$-1\r\n"),
    });
    let client = Client::at(&url);
    client.connect().unwrap();
    assert_eq!(pings.load(SeqCst), 2, "that of the connection and that of the call");
    wait_until("another connection", || pings.load(SeqCst) == 4);
    // The answer to the fourth one may still be on its way.
    client.wait_until_it_answers();
    assert_eq!(client.load(1), Ok(Record::Absent));
}

#[test]
fn a_short_silence_keeps_the_connection() {
    let server = RedisServer::start();
    let client = Client::with_deadline(&server.url(), 100);
    client.wait_until_it_answers();
    let id = || -> String {
        let list: String = server.ask(&["CLIENT", "LIST"]);
        list.split_whitespace().next().unwrap().into()
    };
    let before = id();
    server.hang();
    assert!(matches!(client.load(1), Err(RedisError::TimedOut(_))));
    assert_eq!(client.load(1), Err(RedisError::Silent));
    server.go_on();
    client.wait_until_it_answers();
    assert_eq!(id(), before);
}

/// A call ends within its deadline, whatever the server does.
#[test]
fn no_call_takes_longer_than_the_deadline() {
    let hanging = RedisServer::start();
    hanging.hang();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let silent = format!("redis://{}", listener.local_addr().unwrap());
    let (blackhole, _kept) = blackhole();
    for url in [hanging.url(), format!("{}/3", hanging.url()), silent, blackhole, refusing()] {
        let client = Client::with_deadline(&url, 50);
        let mut slowest = Duration::ZERO;
        for call in 0..10 {
            let (loaded, elapsed) = timed(|| client.load(1));
            assert!(loaded.is_err(), "{url}: {loaded:?}");
            // Room for a busy machine, and less than ten deadlines.
            assert!(elapsed < Duration::from_millis(450), "{url}, call {call}: {elapsed:?}");
            slowest = slowest.max(elapsed);
        }
        println!("{url}: {slowest:?}");
    }
}
