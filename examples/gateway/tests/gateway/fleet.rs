//! Four gateways that share a Redis, and the drain of an endpoint behind all of them.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::redis_server::RedisServer;
use crate::support::{
    Answer, Config, Connection, Endpoint, Gate, Gateway, OwnPath, get, shop, wait_until,
};

const NODES: [&str; 4] = ["g0", "g1", "g2", "g3"];
const LIFE: u64 = 1_800;

/// The file of one of the gateways. The deadlines are longer than a busy machine needs.
fn file(endpoints: &[&Endpoint], redis: &RedisServer, node: &str) -> Config {
    shop(endpoints)
        .set("store", redis.url())
        .set("store_deadline_ms", 1_000)
        .set("load_balancer.session_affinity_ttl", LIFE)
        .attribute("drain_duration", 100_000)
        .set("fleet", json!({ "node": node, "nodes": NODES }))
}

#[track_caller]
fn drain(gateway: &Gateway) -> Value {
    let (status, drain) = gateway.admin("GET", "/drain/eu/a", "");
    assert_eq!((status, &drain["scope"]), (200, &json!("fleet")), "{drain}");
    drain
}

fn set_clocks(gateways: &[Gateway], offset: i64) {
    gateways.iter().for_each(|gateway| gateway.set_clock(offset));
}

/// None of them says that the fleet is drained, however often it is asked.
#[track_caller]
fn none_is_drained(gateways: &[Gateway]) {
    for _ in 0..5 {
        for gateway in gateways {
            let drain = drain(gateway);
            assert_eq!(drain["drained"], false, "{drain}");
        }
    }
}

/// Waits until all of them say this.
#[track_caller]
fn all_say(gateways: &[Gateway], field: &str, value: &Value) {
    let mut said = Vec::new();
    let mut is_so = || {
        said = gateways.iter().map(|gateway| drain(gateway)[field].clone()).collect();
        said.iter().all(|said| said == value)
    };
    wait_until(&format!("{field} is {value} at all gateways"), &mut is_so);
}

/// None says *drained* of the fleet before the last session has ended.
#[test]
fn a_fleet_is_drained_when_the_last_session_has_ended_although_one_gateway_was_restarted() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let redis = RedisServer::start();
    let start = |node: &str| Gateway::start(&file(&[&a, &b], &redis, node));
    let mut gateways: Vec<Gateway> = NODES.into_iter().map(start).collect();
    let disable = |gateway: &Gateway, stamp: u64| {
        let body = json!({ "enabled": false, "disabled_at": stamp });
        let origin = gateway.change("PATCH", "/pools/eu/origins/a", &body);
        assert_eq!((&origin["disabled_at"], &origin["scope"]), (&json!(stamp), &json!("node")));
    };

    // A session through each of the first three. The fourth has seen none.
    let mut ends = 0;
    for (gateway, offset) in [(0, 3_600), (1, 3_700), (2, 3_800)] {
        set_clocks(&gateways, offset);
        let _ = gateways[gateway].browser_at("a");
        let census = gateways[gateway].admin("GET", "/census/eu/a", "").1;
        ends = census["latest_end"].as_u64().expect("a time");
    }
    set_clocks(&gateways, 4_000);
    let stamp = gateways[0].clock();
    gateways.iter().for_each(|gateway| disable(gateway, stamp));
    all_say(&gateways, "waiting_for", &json!([]));
    all_say(&gateways, "sessions_end_by", &json!(ends));
    none_is_drained(&gateways);

    // The fourth is killed. What it does is not known until it reports again.
    gateways.pop().expect("the fourth").kill();
    set_clocks(&gateways, 4_030);
    all_say(&gateways, "waiting_for", &json!(["g3"]));
    all_say(&gateways, "sessions_end_by", &Value::Null);
    none_is_drained(&gateways);

    // It is back, knows nothing of the drain, and begins a session.
    gateways.push(start("g3"));
    set_clocks(&gateways, 4_500);
    let mut pinned = gateways[3].browser_at("a");
    let last = gateways[3].clock() + LIFE;
    let known = drain(&gateways[3]);
    assert_eq!((&known["draining"], &known["drained"]), (&json!(false), &json!(false)));
    set_clocks(&gateways, 5_950);
    none_is_drained(&gateways);

    // It is told again, and the sessions of the first three have ended.
    disable(&gateways[3], stamp);
    all_say(&gateways, "waiting_for", &json!([]));
    none_is_drained(&gateways);
    let known = drain(&gateways[0])["sessions_end_by"].as_u64().expect("a time");
    assert!(last.abs_diff(known) < 60, "{known} is not about {last}");
    assert_eq!(
        (pinned.get("/").served_by(), pinned.get("/").outcome()),
        ("a".into(), "kept".into())
    );

    // Before its end, and after it.
    let now = gateways[0].clock();
    let offset = 5_950 + i64::try_from(known - now).expect("to come") - 120;
    set_clocks(&gateways, offset);
    none_is_drained(&gateways);
    set_clocks(&gateways, offset + 130);
    all_say(&gateways, "drained", &json!(true));
    all_say(&gateways, "waiting_for", &json!([]));
    assert_eq!(pinned.get("/").served_by(), "b", "it has ended");

    // A gateway that is restarted in a moment, and not told, begins sessions again.
    gateways.pop().expect("the fourth").kill();
    gateways.push(start("g3"));
    none_is_drained(&gateways);
    all_say(&gateways[..3], "waiting_for", &json!(["g3"]));
}

/// Until it was restarted, it may have begun sessions on an endpoint that others drained already.
#[test]
fn a_gateway_that_is_told_late_and_without_a_second_counts_on_the_sessions_of_its_lives_before() {
    let a = Endpoint::start("a");
    let redis = RedisServer::start();
    let start = |node: &str| {
        Gateway::start(&file(&[&a], &redis, node).set("fleet.nodes", json!(["g0", "g1"])))
    };
    let began = |gateway: &Gateway| {
        gateway.admin("GET", "/census/eu/a", "").1["began"].as_u64().expect("a time")
    };
    let first = start("g0");
    let stamp = began(&first);
    let body = json!({ "enabled": false, "disabled_at": stamp });
    first.change("PATCH", "/pools/eu/origins/a", &body);
    wait_until("the next second", || first.clock() > stamp);
    let second = start("g1");
    second.patch("/pools/eu/origins/a", json!({ "enabled": false }));
    let until = began(&second);
    assert!(until > stamp);
    let gateways = [first, second];
    all_say(&gateways, "waiting_for", &json!([]));
    assert_eq!(drain(&gateways[0])["sessions_end_by"], until + LIFE);
}

/// What it reported in its life before is fresh for some seconds.
#[test]
fn a_gateway_reports_before_its_first_request_although_redis_takes_none_at_first() {
    let a = Endpoint::start("a");
    let redis = RedisServer::start();
    let file = |node: &str| file(&[&a], &redis, node).set("fleet.nodes", json!(["g0", "g1"]));
    let mut gateways: Vec<Gateway> = ["g0", "g1"].map(|node| Gateway::start(&file(node))).into();
    for gateway in &gateways {
        gateway.patch("/pools/eu/origins/a", json!({ "enabled": false }));
    }
    all_say(&gateways, "waiting_for", &json!([]));
    gateways.pop().expect("the second").kill();
    let redis_takes = |set: &str| {
        let _: String = redis.ask(&["ACL", "SETUSER", "default", set]);
    };
    redis_takes("-set");
    thread::scope(|scope| {
        let restarted = scope.spawn(|| Gateway::start(&file("g1")));
        thread::sleep(Duration::from_millis(500));
        redis_takes("+set");
        let _restarted = restarted.join().expect("a gateway");
        assert_eq!(drain(&gateways[0])["waiting_for"], json!(["g1"]));
    });
}

/// Its report grows old, and no other one comes.
#[test]
fn a_gateway_whose_file_has_an_origin_no_more_is_waited_for() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let redis = RedisServer::start();
    let of = |endpoints: &[&Endpoint], node: &str| {
        file(endpoints, &redis, node).set("fleet.nodes", json!(["g0", "g1"]))
    };
    let first = Gateway::start(&of(&[&a, &b], "g0"));
    let path = OwnPath::with(&of(&[&a, &b], "g1"));
    let second = Gateway::start_with(None, &["--config", path.text()]);
    for gateway in [&first, &second] {
        gateway.patch("/pools/eu/origins/a", json!({ "enabled": false }));
    }
    wait_until("both reports", || drain(&first)["waiting_for"] == json!([]));
    path.write(of(&[&b], "g1").to_string());
    second.signal("HUP");
    wait_until("the reload", || second.admin("GET", "/drain/eu/a", "").0 == 404);
    for gateway in [&first, &second] {
        gateway.set_clock(60);
    }
    assert_eq!(drain(&first)["waiting_for"], json!(["g1"]));
    assert_eq!(drain(&first)["drained"], false);
}

/// Its session would begin on an endpoint that drains.
#[test]
fn a_session_is_not_pinned_to_an_endpoint_that_is_disabled_while_redis_is_asked() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let redis = RedisServer::start();
    let file = file(&[&a, &b], &redis, "g0").by_headers(&["x-user"]);
    let gateway = Gateway::start(&file);
    let home = gateway.fetch(&get("/").with("X-User", "ann")).served_by();
    let other = if home == "a" { "b" } else { "a" };
    let is_session = |key: &&String| !key.contains(":census:");
    wait_until("the session in Redis", || redis.keys().iter().filter(is_session).count() == 1);
    let bearer = json!({ "headers": { "x-user": "ann" } });
    let found = gateway.change("POST", "/sessions/find", &bearer);
    let path = format!("/sessions/{}", found["key"].as_str().expect("a key"));
    let place = json!({ "pool": "eu", "origin": other }).to_string();
    let origin = format!("/pools/eu/origins/{other}");
    let is_told = (0..10).any(|_| {
        gateway.patch(&origin, json!({ "enabled": true }));
        let since = Instant::now();
        let _: String = redis.ask(&["CLIENT", "PAUSE", "700", "ALL"]);
        let (is_in_time, (status, answer)) = thread::scope(|scope| {
            let pinned = scope.spawn(|| gateway.admin("PATCH", &path, &place));
            // Most likely the call waits for Redis by then. It is refused either way.
            thread::sleep(Duration::from_millis(100));
            gateway.patch(&origin, json!({ "enabled": false }));
            (since.elapsed() < Duration::from_millis(600), pinned.join().expect("an answer"))
        });
        // A busy machine takes longer, or Redis answers after its deadline.
        let is_told = is_in_time && status != 503;
        assert!(!is_told || status == 409, "{status} {answer}");
        is_told
    });
    assert!(is_told, "the machine is too slow to disable it in time");
}

#[test]
fn without_its_store_a_gateway_says_nothing_of_the_fleet() {
    let a = Endpoint::start("a");
    let mut redis = RedisServer::start();
    let gateway = Gateway::start(&file(&[&a], &redis, "g0").set("store_deadline_ms", 200));
    gateway.patch("/pools/eu/origins/a", json!({ "enabled": false }));
    assert_eq!(drain(&gateway)["waiting_for"], json!(["g1", "g2", "g3"]));
    redis.go_down();
    let (status, answer) = gateway.admin("GET", "/drain/eu/a", "");
    assert_eq!(status, 503, "{answer}");
    redis.come_back();
    wait_until("an answer", || gateway.admin("GET", "/drain/eu/a", "").0 == 200);
}

/// A session may begin or be prolonged when the endpoint answers.
#[test]
fn a_request_in_flight_keeps_the_fleet_from_being_drained() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let redis = RedisServer::start();
    let alone = file(&[&a, &b], &redis, "g0").set("fleet.nodes", json!(["g0"]));
    let gateways = [Gateway::start(&alone)];
    set_clocks(&gateways, 4_000);
    let cookies = gateways[0].browser_at("a").cookies();
    let gate = Gate::new();
    a.answers(Answer::Gated(gate.clone()));
    let (asked, mut connection) = (a.count(), Connection::open(gateways[0].address));
    connection.send(&get("/").with("Cookie", cookies));
    wait_until("the request at its endpoint", || a.count() > asked);
    gateways[0].patch("/pools/eu/origins/a", json!({ "enabled": false }));
    set_clocks(&gateways, 4_000 + LIFE as i64 + 100);
    none_is_drained(&gateways);
    gate.open();
    assert_eq!(connection.response().served_by(), "a");
    all_say(&gateways, "drained", &json!(true));
}

#[test]
fn an_endpoint_in_service_has_no_drained_fleet() {
    let a = Endpoint::start("a");
    let redis = RedisServer::start();
    let gateway = Gateway::start(&file(&[&a], &redis, "g0").set("fleet.nodes", json!(["g0"])));
    let drain = || drain(&gateway);
    assert_eq!((&drain()["drained"], &drain()["draining"]), (&json!(false), &json!(false)));
    gateway.patch("/pools/eu", json!({ "enabled": false }));
    wait_until("its own report", || drain()["waiting_for"] == json!([]));
    assert_eq!(drain()["draining"], true);
    gateway.patch("/pools/eu", json!({ "enabled": true }));
    assert_eq!((&drain()["drained"], &drain()["draining"]), (&json!(false), &json!(false)));
}

/// The administrator's calls on sessions wait for Redis, so that the next request sees the change.
#[test]
fn a_session_in_redis_is_shown_and_moved_and_ended_for_all_gateways() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let redis = RedisServer::start();
    let start = |node: &str| Gateway::start(&file(&[&a, &b], &redis, node).by_headers(&["x-user"]));
    let gateways = [start("g0"), start("g1")];
    let of_ann = get("/").with("X-User", "ann");
    let home = gateways[0].fetch(&of_ann).served_by();
    let other = if home == "a" { "b" } else { "a" };
    let is_session = |key: &&String| !key.contains(":census:");
    wait_until("the session in Redis", || redis.keys().iter().filter(is_session).count() == 1);
    let bearer = json!({ "headers": { "x-user": "ann" } });
    let found = gateways[1].change("POST", "/sessions/find", &bearer);
    assert_eq!((&found["origin"], &found["ends"]), (&json!(home), &Value::Null));
    let path = format!("/sessions/{}", found["key"].as_str().expect("a key"));

    let place = json!({ "pool": "eu", "origin": other });
    assert_eq!(gateways[1].change("PATCH", &path, &place)["origin"], other);
    let kept = gateways[0].fetch(&of_ann);
    assert_eq!((kept.served_by(), kept.outcome()), (other.into(), "kept".into()));

    gateways[1].change("DELETE", &path, &json!({}));
    assert_eq!(gateways[0].fetch(&of_ann).outcome(), "created:no_record");
}
