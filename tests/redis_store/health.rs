//! What a store tells of its connection and its calls.

use std::time::Duration;

use session_affinity::LoadBalancer;
use session_affinity::store::{AnyStore, StoreConnection, StoreHealth};

use crate::client::*;
use crate::redis_server::RedisServer;
use crate::stubs::answering;

fn errors(health: &StoreHealth) -> Vec<(&'static str, u64)> {
    health.errors.iter().copied().filter(|(_, count)| *count > 0).collect()
}

#[test]
fn the_calls_are_counted_by_how_they_ended() {
    let mut server = RedisServer::start();
    let client = Client::of(&server);
    let health = || client.store.health();
    assert_eq!(health().connection, StoreConnection::Connecting);
    assert_eq!((health().answered, health().last_error), (0, None));
    client.load(1).unwrap();
    client.save(create(1, 7)).unwrap();
    assert_eq!((health().connection, health().answered), (StoreConnection::Up, 2));
    assert!(health().answer_time > Duration::ZERO && health().answer_time < Duration::from_secs(2));

    server.ask::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
    assert!(client.save(create(2, 7)).is_err());
    assert_eq!(errors(&health()), [("refused", 1)]);
    assert_eq!(health().writes_failed, 1);
    assert_eq!(health().last_error.unwrap(), "Redis answered with the error OOM");

    server.go_down();
    for _ in 0..3 {
        assert!(client.load(1).is_err());
    }
    assert_eq!(errors(&health()), [("unconnected", 3), ("refused", 1)]);
    assert_eq!((health().connection, health().answered), (StoreConnection::Down, 2));
    server.come_back();
    client.wait_until_it_answers();
    assert_eq!(health().connection, StoreConnection::Up);
    assert!(health().last_error.unwrap().starts_with("there is no connection to Redis"), "kept");
}

#[test]
fn a_server_that_hangs_is_silent() {
    let server = RedisServer::start();
    let client = Client::with_deadline(&server.url(), 50);
    wait_until("a connection", || client.connect().is_ok());
    server.hang();
    assert!(client.load(1).is_err() && client.load(1).is_err());
    let health = client.store.health();
    assert_eq!(health.connection, StoreConnection::Silent);
    let [(first, timed_out), (second, silent), ..] = health.errors[..] else { unreachable!() };
    assert_eq!((first, second), ("timed_out", "silent"));
    assert!(timed_out >= 1 && silent >= 1, "{:?}", health.errors);
}

/// Answers come one after the other, each slower than it should be.
#[test]
fn a_server_that_is_slow_and_goes_on_answering_is_not_silent() {
    let client = Client::with_deadline(
        &answering(|words| match words[0].as_str() {
            "GET" => {
                std::thread::sleep(Duration::from_millis(200));
                Some("$-1\r\n")
            }
            "PING" => Some("+PONG\r\n"),
            _ => Some("*0\r\n"),
        }),
        900,
    );
    client.connect().unwrap();
    client.runtime.block_on(async {
        let calls: Vec<_> = (0..6)
            .map(|number| {
                let store = client.store.clone();
                tokio::spawn(async move { store.load(&lookup(number)).await.is_ok() })
            })
            .collect();
        let mut answered = 0;
        for call in calls {
            answered += u64::from(call.await.unwrap());
        }
        assert!((1..=4).contains(&answered), "{answered} of 6 within 900 ms, each takes 200 ms");
    });
    let health = client.store.health();
    assert_eq!(health.connection, StoreConnection::Up);
    assert!(errors(&health).iter().all(|(kind, _)| *kind == "timed_out"), "{health:?}");
}

#[test]
fn a_store_chosen_at_run_time_passes_it_on() {
    let shop = || LoadBalancer::new("shop").unwrap();
    let redis = AnyStore::open("redis://127.0.0.1:1", shop()).unwrap();
    assert_eq!(redis.health().unwrap().connection, StoreConnection::Connecting);
    for text in ["none", "memory"] {
        assert_eq!(AnyStore::open(text, shop()).unwrap().health(), None);
    }
}

#[test]
fn each_state_has_a_word() {
    let words = StoreConnection::ALL.map(StoreConnection::label);
    assert_eq!(words, ["connecting", "up", "silent", "down"]);
}
