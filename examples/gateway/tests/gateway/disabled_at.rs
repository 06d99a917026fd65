//! The second at which something was disabled, as the administrator states it for several gateways.

use serde_json::{Value, json};

use crate::support::{Config, Endpoint, Gateway, OwnPath, run_to_its_end, shop, wait_until};

const LIFE: u64 = 1_800;

fn start(change: impl Fn(Config) -> Config) -> (Gateway, [Endpoint; 2]) {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let file = shop(&[&a, &b]).attribute("drain_duration", 100_000);
    let gateway = Gateway::start(&change(file.set("load_balancer.session_affinity_ttl", LIFE)));
    (gateway, [a, b])
}

#[test]
fn a_given_second_is_stamped_on_origins_and_pools() {
    let (gateway, _endpoints) = start(|file| file);
    let stamp = gateway.clock() - 10;
    for path in ["/pools/eu/origins/a", "/pools/eu"] {
        let body = json!({ "enabled": false, "disabled_at": stamp });
        let answer = gateway.change("PATCH", path, &body);
        assert_eq!((&answer["enabled"], &answer["disabled_at"]), (&json!(false), &json!(stamp)));
        assert_eq!(answer["scope"], "node", "the other gateways are told separately");
        // What is disabled keeps its stamp, unless another one is given.
        let again = gateway.change("PATCH", path, &json!({ "enabled": false }));
        assert_eq!(again["disabled_at"], stamp);
        let moved = gateway.change("PATCH", path, &json!({ "disabled_at": stamp - 5 }));
        assert_eq!(moved["disabled_at"], stamp - 5);
        let enabled = gateway.change("PATCH", path, &json!({ "enabled": true }));
        assert_eq!(enabled["disabled_at"], Value::Null);
    }
}

#[test]
fn a_given_second_can_be_a_date_as_in_the_file() {
    let (gateway, _endpoints) = start(|file| file);
    // The gateway's clock shows some time in the year 2026 after this date.
    let ahead = 1_769_860_900_i64 - i64::try_from(gateway.clock()).expect("a time");
    gateway.set_clock(ahead);
    let body = json!({ "enabled": false, "disabled_at": "2026-01-31T12:00:00Z" });
    assert_eq!(gateway.change("PATCH", "/pools/eu/origins/a", &body)["disabled_at"], 1_769_860_800);
}

#[test]
fn a_given_second_that_cannot_be_is_refused_and_changes_nothing() {
    let (gateway, _endpoints) = start(|file| file);
    let before = gateway.state()["pools"].clone();
    let now = gateway.clock();
    for (at, says) in [
        (json!(now + 60), "allowed: "),
        (json!(now * 1_000), "allowed: "),
        (json!(0), "allowed: "),
        (json!(-1), "Unix seconds"),
        (json!("yesterday"), "Unix seconds"),
        (Value::Null, "Unix seconds"),
        (json!([]), "Unix seconds"),
    ] {
        for path in ["/pools/eu/origins/a", "/pools/eu"] {
            let body = json!({ "enabled": false, "disabled_at": at }).to_string();
            let (status, answer) = gateway.admin("PATCH", path, &body);
            let error = answer["error"].as_str().unwrap_or_default();
            let is_said = error.contains("disabled_at") && error.contains(says);
            assert_eq!((status, is_said), (400, true), "{body}: {answer}");
        }
    }
    for body in [json!({ "enabled": true, "disabled_at": now }), json!({ "disabled_at": now })] {
        for path in ["/pools/eu/origins/a", "/pools/eu"] {
            let (status, answer) = gateway.admin("PATCH", path, &body.to_string());
            assert_eq!(status, 400, "{answer}");
        }
    }
    assert_eq!(gateway.state()["pools"], before);
}

/// A gateway that was restarted may have begun sessions before it was told of the drain again.
#[test]
fn a_drain_that_began_before_the_gateway_lasts_for_the_sessions_of_its_lives_before() {
    let (gateway, _endpoints) = start(|file| file);
    let census = gateway.admin("GET", "/census/eu/a", "").1;
    let began = census["began"].as_u64().expect("a time");
    let body = json!({ "enabled": false, "disabled_at": began - 1_000 });
    gateway.change("PATCH", "/pools/eu/origins/a", &body);
    let (_, drain) = gateway.admin("GET", "/drain/eu/a", "");
    assert_eq!(
        (&drain["scope"], &drain["sessions_end_by"]),
        (&json!("node"), &json!(began + LIFE))
    );
    gateway.set_clock(LIFE as i64 + 1);
    assert_eq!(gateway.admin("GET", "/drain/eu/a", "").1["drained"], true);
}

/// The first of them says nothing of the drain's beginning, so neither does what it notes.
#[test]
fn a_drain_that_is_stamped_again_lasts_for_the_sessions_of_the_lives_before_too() {
    let (gateway, _endpoints) = start(|file| file);
    let end = || gateway.admin("GET", "/drain/eu/a", "").1["sessions_end_by"].clone();
    let census = gateway.admin("GET", "/census/eu/a", "").1;
    let began = census["began"].as_u64().expect("a time");
    for (path, seconds) in [("/pools/eu/origins/a", 100), ("/pools/eu", 200)] {
        gateway.set_clock(seconds);
        let told = gateway.change("PATCH", path, &json!({ "enabled": false }));
        let stamp = told["disabled_at"].as_u64().expect("a time");
        assert_eq!(end(), stamp + LIFE);
        gateway.change("PATCH", path, &json!({ "disabled_at": began - 1_000 }));
        assert_eq!(end(), began + LIFE);
        gateway.change("PATCH", path, &json!({ "enabled": true }));
    }
}

#[test]
fn a_drain_that_the_file_stamps_again_lasts_for_the_sessions_of_the_lives_before_too() {
    let a = Endpoint::start("a");
    let file = shop(&[&a]).attribute("drain_duration", 100_000);
    let file = file.set("load_balancer.session_affinity_ttl", LIFE);
    let path = OwnPath::with(&file);
    let gateway = Gateway::start_with(None, &["--config", path.text()]);
    let census = gateway.admin("GET", "/census/eu/a", "").1;
    let began = census["began"].as_u64().expect("a time");
    gateway.change("PATCH", "/pools/eu/origins/a", &json!({ "enabled": false }));
    let stamp = time::UtcDateTime::from_unix_timestamp(began.cast_signed() - 1_000);
    let stamp = stamp.expect("before 9999");
    let (date, time) = (stamp.date(), stamp.time());
    let (hour, minute, second) = time.as_hms();
    let date = format!("{date}T{hour:02}:{minute:02}:{second:02}Z");
    let file = file.set("pools.0.origins.0.enabled", false);
    path.write(file.set("pools.0.origins.0.disabled_at", date).to_string());
    gateway.signal("HUP");
    let stamp = || gateway.origin("eu", "a")["disabled_at"].clone();
    wait_until("the stamp of the file", || stamp() == began - 1_000);
    let (_, drain) = gateway.admin("GET", "/drain/eu/a", "");
    assert_eq!(drain["sessions_end_by"], began + LIFE);
}

/// Each of several gateways is told the same second, and their clocks differ.
#[test]
fn a_given_second_may_be_ahead_of_the_clock_by_as_much_as_clocks_differ() {
    let (gateway, _endpoints) = start(|file| file);
    let stamp = gateway.clock() + 10;
    let body = json!({ "enabled": false, "disabled_at": stamp });
    let told = gateway.change("PATCH", "/pools/eu/origins/a", &body);
    assert_eq!(told["disabled_at"], stamp);
    let (_, drain) = gateway.admin("GET", "/drain/eu/a", "");
    assert_eq!(
        (&drain["draining"], &drain["sessions_end_by"]),
        (&json!(true), &json!(stamp + LIFE))
    );
}

#[test]
fn a_fleet_without_a_shared_store_or_with_wrong_names_is_refused() {
    let a = Endpoint::start("a");
    let fleet = |node: &str, nodes: &[&str]| {
        shop(&[&a]).set("fleet", json!({ "node": node, "nodes": nodes }))
    };
    let by_redis = |file: Config| file.set("store", "redis://127.0.0.1:1/0");
    let mut rows = vec![(fleet("a", &["a", "b"]), "fleet is set, and a store in memory")];
    if cfg!(feature = "redis") {
        rows.extend([
            (by_redis(fleet("c", &["a", "b"])), "fleet.node is \"c\"; expected one of fleet.nodes"),
            (by_redis(fleet("a", &["a", "a"])), "fleet.nodes has a name twice"),
            (by_redis(fleet("a", &["a", ""])), "fleet.nodes has a name twice, or an empty one"),
            (by_redis(fleet("a", &[])), "fleet.node is"),
        ]);
    }
    for (file, says) in rows {
        let refused = run_to_its_end(Some(&file.to_string()), &[]);
        assert_eq!(refused.status, Some(2), "{refused:?}");
        assert!(refused.stderr.contains(says), "{refused:?}");
    }
}
