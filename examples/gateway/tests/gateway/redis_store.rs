//! Sessions that gateways share in a Redis: made on one, kept on the other, and served without it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::metrics::scrape;
use crate::redis_server::RedisServer;
use crate::support::{
    Answer, Config, Connection, Endpoint, Gate, Gateway, Request, get, run_to_its_end, shop,
    wait_until,
};

/// Header sessions in this Redis. The deadline is longer than a busy machine needs.
fn shared(endpoints: &[&Endpoint], redis: &RedisServer) -> Config {
    with_deadline(endpoints, redis, 1_000)
}

fn with_deadline(endpoints: &[&Endpoint], redis: &RedisServer, milliseconds: u64) -> Config {
    let file = shop(endpoints).by_headers(&["x-user"]);
    file.set("store", redis.url()).set("store_deadline_ms", milliseconds)
}

fn of(user: usize) -> Request {
    get("/").with("X-User", format!("user-{user}"))
}

/// What the store warned of.
fn warnings(gateway: &Gateway) -> Vec<String> {
    gateway.errors().into_iter().filter(|line| line.contains("session store")).collect()
}

/// A session is written after its response has gone.
fn wait_for_sessions(redis: &RedisServer, count: usize) {
    wait_until("the sessions in Redis", || redis.keys().len() == count);
}

#[test]
fn a_session_made_on_one_gateway_is_kept_on_the_other_with_its_failover() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let redis = RedisServer::start();
    let gateways = [(); 2].map(|()| Gateway::start(&shared(&[&a, &b], &redis)));
    a.go_down();
    let made: Vec<_> = (0..8).map(|user| gateways[0].fetch(&of(user))).collect();
    wait_for_sessions(&redis, 8);
    a.come_back();
    let failed_over =
        made.iter().filter(|response| response.outcome() == "created:connect_failed").count();
    assert!(failed_over > 0, "no stable choice was a");
    for (user, made) in made.iter().enumerate() {
        assert_eq!(made.served_by(), "b");
        let kept = gateways[1].fetch(&of(user));
        assert_eq!((kept.served_by(), kept.outcome()), ("b".into(), "kept".into()));
    }
    assert_eq!(warnings(&gateways[0]), [""; 0]);
    assert_eq!(warnings(&gateways[1]), [""; 0]);
}

#[test]
fn a_session_moved_by_one_gateway_stays_moved_on_the_other() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let redis = RedisServer::start();
    let gateways = [(); 2].map(|()| Gateway::start(&shared(&[&a, &b], &redis)));
    let home = gateways[0].fetch(&of(1)).served_by();
    wait_for_sessions(&redis, 1);
    let before: Vec<u8> = redis.ask(&["GET", &redis.keys()[0]]);
    assert_eq!(gateways[1].fetch(&of(1)).outcome(), "kept");
    gateways[0].patch(&format!("/pools/eu/origins/{home}"), json!({ "healthy": false }));
    let moved = gateways[0].fetch(&of(1));
    assert_eq!(moved.outcome(), "moved:unhealthy");
    wait_until("the move", || redis.ask::<Vec<u8>>(&["GET", &redis.keys()[0]]) != before);
    let kept = gateways[1].fetch(&of(1));
    assert_eq!((kept.served_by(), kept.outcome()), (moved.served_by(), "kept".into()));
}

#[test]
fn a_lent_session_keeps_its_pin_and_its_idle_time_restarts() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let redis = RedisServer::start();
    let gateway = Gateway::start(&shared(&[&a, &b], &redis).failover("temporary"));
    let home = gateway.fetch(&of(1)).served_by();
    wait_for_sessions(&redis, 1);
    let key = redis.keys().remove(0);
    redis.ask::<()>(&["EXPIRE", &key, "60"]);
    let endpoint = if home == "a" { &a } else { &b };
    endpoint.go_down();
    assert_eq!(gateway.fetch(&of(1)).outcome(), "lent:connect_failed");
    wait_until("the touch", || redis.ask::<u64>(&["TTL", &key]) > 60);
    endpoint.come_back();
    let kept = gateway.fetch(&of(1));
    assert_eq!((kept.served_by(), kept.outcome()), (home, "kept".into()));
}

#[test]
fn keys_carry_the_name_of_the_load_balancer() {
    let a = Endpoint::start("a");
    let redis = RedisServer::start();
    let gateway = Gateway::start(&shared(&[&a], &redis).set("load_balancer.name", "{shop} 1"));
    gateway.fetch(&of(1)).assert_ok();
    wait_for_sessions(&redis, 1);
    let key = redis.keys().remove(0);
    let session = key.strip_prefix("session-affinity:1:%7Bshop%7D%201:").expect(&key);
    assert_eq!(session.len(), 32);
}

#[test]
fn without_its_redis_a_gateway_serves_by_the_stable_choice_and_warns_once() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let mut redis = RedisServer::start();
    let gateways = [(); 2].map(|()| Gateway::start(&shared(&[&a, &b], &redis)));
    let homes: Vec<_> = (0..8).map(|user| gateways[0].fetch(&of(user)).served_by()).collect();
    wait_for_sessions(&redis, 8);
    redis.go_down();
    for (user, home) in homes.iter().enumerate() {
        for gateway in &gateways {
            let served = gateway.fetch(&of(user));
            assert_eq!(
                (&served.served_by(), served.outcome()),
                (home, "created:store_unreachable".into())
            );
        }
    }
    for gateway in &gateways {
        wait_until("a warning", || !warnings(gateway).is_empty());
        let warnings = warnings(gateway);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("no connection to Redis"), "{warnings:?}");
    }
    redis.come_back();
    for gateway in &gateways {
        wait_until("a session in the store", || gateway.fetch(&of(0)).outcome() == "kept");
    }
}

#[test]
fn a_gateway_starts_without_its_redis_and_finds_it_later() {
    let a = Endpoint::start("a");
    let mut redis = RedisServer::start();
    redis.go_down();
    let gateway = Gateway::start(&shared(&[&a], &redis));
    wait_until("a warning", || !warnings(&gateway).is_empty());
    assert_eq!(gateway.fetch(&of(1)).outcome(), "created:store_unreachable");
    redis.come_back();
    wait_until("a session in the store", || gateway.fetch(&of(1)).outcome() == "kept");
}

#[test]
fn a_redis_that_hangs_costs_one_request_the_deadline() {
    let a = Endpoint::start("a");
    let redis = RedisServer::start();
    let gateway = Gateway::start(&with_deadline(&[&a], &redis, 200));
    wait_until("a session in the store", || gateway.fetch(&of(1)).outcome() == "kept");
    redis.hang();
    let times: Vec<_> = (0..5)
        .map(|_| {
            let start = Instant::now();
            assert_eq!(gateway.fetch(&of(1)).outcome(), "created:store_unreachable");
            start.elapsed()
        })
        .collect();
    // Room for a busy machine: 200 ms for all of them, not for each.
    let sum: Duration = times.iter().sum();
    assert!((Duration::from_millis(200)..Duration::from_millis(700)).contains(&sum), "{times:?}");
    wait_until("a warning", || !warnings(&gateway).is_empty());
    assert!(warnings(&gateway)[0].ends_with("Redis did not answer within 200 ms"));
    redis.go_on();
    wait_until("the session", || gateway.fetch(&of(1)).outcome() == "kept");
}

#[test]
fn the_default_deadline_is_short() {
    let a = Endpoint::start("a");
    let redis = RedisServer::start();
    redis.hang();
    let gateway = Gateway::start(&shared(&[&a], &redis).without("store_deadline_ms"));
    let start = Instant::now();
    assert_eq!(gateway.fetch(&of(1)).outcome(), "created:store_unreachable");
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
}

#[test]
fn a_record_that_cannot_be_read_is_replaced() {
    let a = Endpoint::start("a");
    let redis = RedisServer::start();
    let gateway = Gateway::start(&shared(&[&a], &redis));
    gateway.fetch(&of(1)).assert_ok();
    wait_for_sessions(&redis, 1);
    let key = redis.keys().remove(0);
    redis.set(&key, b"\x03 of a version that is to come");
    assert_eq!(gateway.fetch(&of(1)).outcome(), "created:unreadable");
    wait_until("the replacement", || redis.ask::<usize>(&["STRLEN", &key]) == 20);
    assert_eq!(gateway.fetch(&of(1)).outcome(), "kept");
    assert_eq!(warnings(&gateway), [""; 0]);
}

/// `PUT /clock` moves the clock of the gateway only. The Redis server ends idle records by its own.
#[test]
fn the_clock_of_the_gateway_does_not_move_that_of_redis() {
    let a = Endpoint::start("a");
    let redis = RedisServer::start();
    let gateway = Gateway::start(&shared(&[&a], &redis));
    gateway.fetch(&of(1)).assert_ok();
    wait_for_sessions(&redis, 1);
    gateway.set_clock(1_000_000);
    assert_eq!(gateway.fetch(&of(1)).outcome(), "kept");
    redis.pass(1_800);
    assert_eq!(gateway.fetch(&of(1)).outcome(), "created:no_record");
}

#[test]
fn sessions_in_redis_are_not_counted() {
    let a = Endpoint::start("a");
    let redis = RedisServer::start();
    let gateway = Gateway::start(&shared(&[&a], &redis));
    gateway.fetch(&of(1)).assert_ok();
    assert_eq!(gateway.state()["store"]["sessions"], Value::Null);
}

#[test]
fn during_an_outage_sessions_go_where_their_gateway_knew_them_a_second_ago() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let mut redis = RedisServer::start();
    let gateway = Gateway::start(&shared(&[&a, &b], &redis).set("store_outage_sessions", 20_000));
    a.go_down();
    for user in 0..8 {
        assert_eq!(gateway.fetch(&of(user)).served_by(), "b");
    }
    wait_for_sessions(&redis, 8);
    a.come_back();
    assert_eq!(gateway.fetch(&of(0)).outcome(), "kept");
    redis.go_down();
    for user in 0..8 {
        let served = gateway.fetch(&of(user));
        assert_eq!((served.served_by(), served.outcome()), ("b".into(), "kept".into()));
    }
    assert_eq!(gateway.fetch(&of(8)).outcome(), "created:store_unreachable");
    assert_eq!(gateway.state()["store"]["redis"]["remembered"], 8);
}

#[test]
fn the_health_of_the_store_is_told() {
    let a = Endpoint::start("a");
    let mut redis = RedisServer::start();
    let gateway = Gateway::start(&shared(&[&a], &redis));
    gateway.fetch(&of(1)).assert_ok();
    wait_for_sessions(&redis, 1);
    let health = || gateway.state()["store"]["redis"].clone();
    wait_until("the answers to PING, GET and SET", || health()["answered"] == 3);
    let of_store = |series: &str, labels: &str| {
        scrape(&gateway)[&format!("affinity_store_{series}{{store=\"redis\"{labels}}}")]
    };
    assert_eq!((&health()["connection"], &health()["last_error"]), (&json!("up"), &Value::Null));
    assert!(health()["answer_time_us"].as_u64() > Some(0), "{}", health());
    assert_eq!(of_store("connection", ",state=\"up\""), 1);
    assert_eq!(of_store("connection", ",state=\"down\""), 0);
    assert_eq!(of_store("answered_total", ""), 3);

    redis.go_down();
    gateway.fetch(&of(1)).assert_ok();
    wait_until("the failed write", || health()["writes_failed"] == 1);
    assert_eq!(health()["connection"], "down");
    assert_eq!(health()["errors"]["unconnected"], 2, "{}", health());
    let told = health()["last_error"].as_str().unwrap().contains("no connection to Redis");
    assert!(told, "{}", health());
    assert_eq!(of_store("errors_total", ",kind=\"unconnected\""), 2);
    assert_eq!(of_store("writes_failed_total", ""), 1);
    assert_eq!(of_store("connection", ",state=\"down\""), 1);
}

#[test]
fn a_server_that_cannot_keep_the_sessions_is_refused_at_the_start() {
    let a = Endpoint::start("a");
    let sentinel = RedisServer::start_with(&["--sentinel"]);
    let refused = run_to_its_end(Some(&shared(&[&a], &sentinel).to_string()), &[]);
    assert!(refused.status.is_some_and(|status| status != 0), "{refused:?}");
    assert_eq!((refused.stdout.as_str(), refused.stderr.lines().count()), ("", 1), "{refused:?}");
    assert!(refused.stderr.contains("store: Redis is a Sentinel"), "{refused:?}");
}

#[test]
fn cookie_sessions_ask_no_store() {
    let a = Endpoint::start("a");
    let redis = RedisServer::start();
    let gateway = Gateway::start(&shop(&[&a]).set("store", redis.url()));
    redis.hang();
    let first = gateway.visit();
    assert_eq!(gateway.revisit(&first.cookie()).outcome(), "kept");
    assert_eq!(warnings(&gateway), [""; 0]);
    redis.go_on();
    assert!(redis.keys().is_empty());
}

/// A gateway with a request at its endpoint, whose record was read.
fn with_a_write_to_come(
    redis: &RedisServer,
    endpoint: &Endpoint,
) -> (Gateway, Connection, std::sync::Arc<Gate>) {
    let gateway = Gateway::start(&shared(&[endpoint], redis));
    let gate = Gate::new();
    endpoint.answers(Answer::Gated(gate.clone()));
    let mut connection = Connection::open(gateway.address);
    connection.send(&of(1));
    wait_until("the request", || endpoint.count() == 1);
    (gateway, connection, gate)
}

#[test]
fn a_response_does_not_wait_for_the_write() {
    let (redis, a) = (RedisServer::start(), Endpoint::start("a"));
    let (_gateway, mut connection, gate) = with_a_write_to_come(&redis, &a);
    redis.hang();
    let start = Instant::now();
    gate.open();
    connection.response().assert_ok();
    assert!(start.elapsed() < Duration::from_millis(700), "{:?}", start.elapsed());
    redis.go_on();
    wait_for_sessions(&redis, 1);
}

#[test]
fn a_gateway_that_is_stopped_waits_for_the_write() {
    let (redis, a) = (RedisServer::start(), Endpoint::start("a"));
    let (mut gateway, mut connection, gate) = with_a_write_to_come(&redis, &a);
    gateway.signal("TERM");
    wait_until("new connections are refused", || Connection::try_open(gateway.address).is_err());
    redis.hang();
    let start = Instant::now();
    gate.open();
    connection.response().assert_ok();
    assert_eq!(gateway.ended().code(), Some(0));
    // It was given all its time, and no more.
    assert!((900..3_000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    wait_until("a warning", || !warnings(&gateway).is_empty());
    assert!(
        warnings(&gateway)[0].ends_with("Redis did not answer within 1000 ms"),
        "{:?}",
        warnings(&gateway)
    );
}

#[test]
fn a_store_that_cannot_be_is_refused_and_its_password_not_shown() {
    let a = Endpoint::start("a");
    let file = || shop(&[&a]).by_headers(&["x-user"]);
    for (file, named) in [
        (file().set("store", "redis://:hunter2@127.0.0.1/x"), "store: the URL is not a Redis URL"),
        (file().set("store", "redis://:hunter2@:6379"), "store: the URL is not a Redis URL"),
        (file().set("store", "hunter2://127.0.0.1"), "store: expected"),
        (
            file().set("store", "redis://127.0.0.1").set("store_deadline_ms", 0),
            "store_deadline_ms is 0; allowed: 1 to 1000 milliseconds",
        ),
        (
            file().set("store", "redis://127.0.0.1").set("store_deadline_ms", 1_001),
            "store_deadline_ms is 1001; allowed: 1 to 1000 milliseconds",
        ),
        (
            file().set("store", "redis://127.0.0.1").set("store_write_deadline_ms", 1_001),
            "store_write_deadline_ms is 1001; allowed: 1 to 1000 milliseconds",
        ),
        (
            file().set("store", "redis://127.0.0.1").set("store_outage_sessions", 10_000_001_u64),
            "store_outage_sessions is 10000001; allowed: 0 to 10000000 sessions",
        ),
        (file().set("store_outage_sessions", 1), "store_outage_sessions is set, and a store in"),
        (
            file().set("store", "redis://:hunter2@127.0.0.1").set("store_tls", json!({})),
            "store_tls: ",
        ),
        (
            file().set("store", "redis://127.0.0.1").set("store_tls", json!({ "ca": "x" })),
            "store_tls",
        ),
    ] {
        let refused = run_to_its_end(Some(&file.to_string()), &[]);
        assert_eq!((refused.status, refused.stdout.as_str()), (Some(2), ""), "{refused:?}");
        assert_eq!(refused.stderr.lines().count(), 1, "{refused:?}");
        assert!(
            refused.stderr.contains(named) && !refused.stderr.contains("hunter2"),
            "{refused:?}"
        );
    }
}
