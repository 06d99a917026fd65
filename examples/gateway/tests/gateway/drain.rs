//! Taking an endpoint out of service without breaking its sessions.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use session_affinity::UnixTime;
use session_affinity::drain::Census;

use crate::support::{Browser, Config, Endpoint, Gateway, shop, shop_of_pools};

/// Two endpoints in one pool, a drain of 100 seconds, and a session at `a`.
fn start(change: impl Fn(Config) -> Config) -> (Gateway, Browser, [Endpoint; 2]) {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let gateway = Gateway::start(&change(shop(&[&a, &b]).attribute("drain_duration", 100)));
    let browser = gateway.browser_at("a");
    (gateway, browser, [a, b])
}

fn drain(gateway: &Gateway) -> Value {
    let (status, drain) = gateway.admin("GET", "/drain/eu/a", "");
    assert_eq!(status, 200, "{drain}");
    drain
}

#[track_caller]
fn assert_new_sessions_avoid_a(gateway: &Gateway) {
    for _ in 0..20 {
        let new = gateway.visit();
        assert_eq!((new.served_by(), new.outcome()), ("b".into(), "created:no_cookie".into()));
    }
}

#[test]
fn a_draining_endpoint_keeps_its_sessions_and_gets_no_new_ones() {
    let (gateway, mut pinned, _endpoints) = start(|file| file);
    gateway.patch("/pools/eu/origins/a", json!({ "enabled": false }));
    for _ in 0..3 {
        let kept = pinned.get("/");
        assert_eq!((kept.served_by(), kept.outcome()), ("a".into(), "kept".into()));
    }
    assert_new_sessions_avoid_a(&gateway);
}

#[test]
fn once_the_drain_is_over_the_sessions_move() {
    let (gateway, mut pinned, _endpoints) = start(|file| file);
    gateway.patch("/pools/eu/origins/a", json!({ "enabled": false }));
    gateway.set_clock(90);
    assert_eq!(pinned.get("/").outcome(), "kept");
    gateway.set_clock(101);
    let moved = pinned.get("/");
    assert_eq!((moved.served_by(), moved.outcome()), ("b".into(), "moved:drained".into()));
    assert!(moved.set_cookie().is_some());
    assert_eq!(pinned.get("/").outcome(), "kept");
}

#[test]
fn with_a_drain_duration_of_0_the_sessions_move_at_once() {
    let (gateway, mut pinned, _endpoints) = start(|file| file.attribute("drain_duration", 0));
    gateway.patch("/pools/eu/origins/a", json!({ "enabled": false }));
    let moved = pinned.get("/");
    assert_eq!((moved.served_by(), moved.outcome()), ("b".into(), "moved:disabled".into()));
}

#[test]
fn an_endpoint_of_weight_0_keeps_its_sessions_and_gets_no_new_ones() {
    let (gateway, mut pinned, _endpoints) = start(|file| file);
    gateway.patch("/pools/eu/origins/a", json!({ "weight": 0 }));
    assert_eq!(gateway.origin("eu", "a")["weight"].as_f64(), Some(0.0));
    assert_eq!(pinned.get("/").outcome(), "kept");
    assert_new_sessions_avoid_a(&gateway);
    gateway.set_clock(3_600);
    assert_eq!(pinned.get("/").outcome(), "kept", "no drain is running");
}

#[test]
fn an_unhealthy_endpoint_loses_its_sessions_in_every_mode_and_while_it_drains() {
    for mode in ["none", "temporary", "sticky"] {
        let (gateway, mut pinned, _endpoints) = start(|file| file.failover(mode));
        gateway.patch("/pools/eu/origins/a", json!({ "enabled": false }));
        assert_eq!(pinned.get("/").outcome(), "kept", "{mode}");
        gateway.patch("/pools/eu/origins/a", json!({ "healthy": false }));
        let moved = pinned.get("/");
        assert_eq!(
            (moved.served_by(), moved.outcome()),
            ("b".into(), "moved:unhealthy".into()),
            "{mode}"
        );
        assert!(moved.set_cookie().is_some(), "{mode}");
    }
}

#[test]
fn enabling_ends_the_drain() {
    let (gateway, mut pinned, _endpoints) = start(|file| file);
    gateway.patch("/pools/eu/origins/a", json!({ "enabled": false }));
    gateway.patch("/pools/eu/origins/a", json!({ "enabled": true }));
    assert_eq!(gateway.origin("eu", "a")["disabled_at"], Value::Null);
    gateway.set_clock(200);
    assert_eq!(pinned.get("/").outcome(), "kept");
    assert_eq!(gateway.browser_at("a").get("/").outcome(), "kept", "it gets new ones");
}

#[test]
fn disabling_stamps_the_time_and_what_is_disabled_keeps_its_stamp() {
    let (gateway, _, _endpoints) = start(|file| file);
    gateway.set_clock(5_000);
    let before = gateway.clock();
    gateway.patch("/pools/eu/origins/a", json!({ "enabled": false }));
    let stamp = gateway.origin("eu", "a")["disabled_at"].clone();
    let seconds = stamp.as_u64().expect("a time");
    assert!((before..=gateway.clock()).contains(&seconds), "the gateway's clock");
    gateway.set_clock(6_000);
    gateway.patch("/pools/eu/origins/a", json!({ "enabled": false }));
    assert_eq!(gateway.origin("eu", "a")["disabled_at"], stamp);
}

#[test]
fn a_disabled_pool_drains_its_endpoints() {
    let (eu, us) = (Endpoint::start("eu-1"), Endpoint::start("us-1"));
    let file = shop_of_pools(&[("eu", &[&eu]), ("us", &[&us])]).attribute("drain_duration", 100);
    let gateway = Gateway::start(&file);
    let mut pinned = gateway.browser_at("eu-1");
    gateway.patch("/pools/eu", json!({ "enabled": false }));
    assert!(gateway.state()["pools"][0]["disabled_at"].is_u64());
    assert_eq!(pinned.get("/").outcome(), "kept");
    assert_eq!(gateway.visit().served_by(), "us-1");
    gateway.set_clock(101);
    let moved = pinned.get("/");
    assert_eq!((moved.served_by(), moved.outcome()), ("us-1".into(), "moved:drained".into()));
}

#[test]
fn drain_tells_how_far_an_endpoint_in_service_is() {
    let (gateway, _, _endpoints) = start(|file| file);
    let drain = drain(&gateway);
    assert_eq!((&drain["draining"], &drain["drained"]), (&json!(false), &json!(false)));
    assert_eq!(drain["sessions_end_by"], Value::Null);
    assert!(drain["last_seen"].as_u64().is_some_and(|seen| seen <= gateway.clock()), "{drain}");
}

#[test]
fn drain_tells_that_an_endpoint_was_never_seen() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]));
    assert_eq!(drain(&gateway)["last_seen"], Value::Null);
}

#[test]
fn drain_tells_when_the_sessions_end_and_that_they_have_ended() {
    let (gateway, _, _endpoints) = start(|file| file);
    gateway.patch("/pools/eu/origins/a", json!({ "enabled": false }));
    let stamp = gateway.origin("eu", "a")["disabled_at"].as_u64().expect("a time");
    let running = drain(&gateway);
    assert_eq!((&running["draining"], &running["drained"]), (&json!(true), &json!(false)));
    assert_eq!(running["sessions_end_by"], stamp + 100, "the drain ends before the cookie does");
    gateway.set_clock(101);
    let over = drain(&gateway);
    assert_eq!((&over["draining"], &over["drained"]), (&json!(false), &json!(true)));
}

#[test]
fn drain_tells_that_header_sessions_end_before_the_drain_does() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let file = shop(&[&a, &b]).by_headers(&["x-user"]).attribute("drain_duration", 10_000);
    let gateway = Gateway::start(&file.set("load_balancer.session_affinity_ttl", 60));
    gateway.patch("/pools/eu/origins/a", json!({ "enabled": false }));
    let stamp = gateway.origin("eu", "a")["disabled_at"].as_u64().expect("a time");
    assert_eq!(
        drain(&gateway)["sessions_end_by"],
        stamp + 60,
        "one that was not seen has ended by then"
    );
    gateway.set_clock(61);
    let ended = drain(&gateway);
    assert_eq!((&ended["draining"], &ended["drained"]), (&json!(true), &json!(true)));
}

fn census(gateway: &Gateway) -> Census {
    let (status, census) = gateway.admin("GET", "/census/eu/a", "");
    assert_eq!(status, 200, "{census}");
    serde_json::from_value(census).expect("the census as the crate writes it")
}

#[test]
fn census_tells_what_the_gateway_has_noted_of_an_endpoints_sessions() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]).set("load_balancer.session_affinity_ttl", 1_800));
    let unseen = gateway.admin("GET", "/census/eu/a", "").1;
    let began = unseen["began"].as_u64().expect("it began with the gateway");
    assert_eq!(
        unseen,
        json!({ "began": began, "last_seen": null, "latest_issued": null, "latest_end": null })
    );
    assert_eq!(census(&gateway).began.map(UnixTime::as_secs), Some(began));

    let mut browser = gateway.browser();
    let before = gateway.clock();
    browser.get("/");
    let first = census(&gateway);
    let issued = first.latest_issued.expect("a session has begun");
    assert!((before..=gateway.clock()).contains(&issued.as_secs()), "{first:?}");
    assert_eq!((first.began.map(UnixTime::as_secs), first.last_seen), (Some(began), Some(issued)));
    assert_eq!(first.latest_end, Some(issued.saturating_add(1_800)));

    gateway.set_clock(600);
    browser.get("/");
    let second = census(&gateway);
    assert!(second.last_seen >= Some(issued.saturating_add(600)), "{second:?}");
    assert_eq!(Census { last_seen: first.last_seen, ..second }, first, "the session is the same");
}

#[test]
fn an_origin_can_come_from_the_file_in_the_middle_of_its_drain() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let file = shop(&[&a, &b]).attribute("drain_duration", 86_400);
    let cookies = Gateway::start(&file).browser_at("a").cookies();
    let disabled = |at: Option<&str>| {
        let gateway = Gateway::start(
            &file
                .clone()
                .set("pools.0.origins.0.enabled", false)
                .set("pools.0.origins.0.disabled_at", at),
        );
        (gateway.revisit(&cookies), gateway.origin("eu", "a"))
    };
    let (kept, origin) = disabled(Some(&date(SystemTime::now())));
    assert_eq!((kept.served_by(), kept.outcome()), ("a".into(), "kept".into()));
    assert!(origin["disabled_at"].is_u64());
    let (moved, origin) = disabled(Some("2020-01-31T14:30:00.5+02:30"));
    assert_eq!((moved.served_by(), moved.outcome()), ("b".into(), "moved:drained".into()));
    assert_eq!(origin["disabled_at"], 1_580_472_000);
    let (moved, origin) = disabled(None);
    assert_eq!(moved.served_by(), "b", "disabled without a stamp means the drain is over");
    assert_eq!(origin["disabled_at"], Value::Null);
}

/// `2026-01-31T12:00:00Z`
fn date(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let date = time::UtcDateTime::from_unix_timestamp(i64::try_from(seconds).expect("before 9999"))
        .expect("a date");
    let (hour, minute, second) = date.time().as_hms();
    let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}
