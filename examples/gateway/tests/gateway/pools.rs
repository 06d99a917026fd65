//! Pools: their order, when they are critical, the fallback, and load shedding.

use serde_json::json;

use crate::support::{Config, Endpoint, Gateway, get, shop_of_pools};

/// One pool of two, one of one, in this order.
fn start(change: impl Fn(Config) -> Config) -> (Gateway, [Endpoint; 3]) {
    let [a, b, c] = ["eu-1", "eu-2", "us-1"].map(Endpoint::start);
    let gateway = Gateway::start(&change(shop_of_pools(&[("eu", &[&a, &b]), ("us", &[&c])])));
    (gateway, [a, b, c])
}

#[test]
fn new_sessions_go_to_the_first_open_pool() {
    let (gateway, [_a, _b, us]) = start(|file| file);
    for _ in 0..10 {
        assert!(gateway.visit().served_by().starts_with("eu-"));
    }
    assert_eq!(us.count(), 0);
    gateway.patch("/pools/eu", json!({ "enabled": false }));
    assert_eq!(gateway.visit().served_by(), "us-1");
}

#[test]
fn default_pools_is_the_order_and_others_are_no_part_of_it() {
    let (gateway, _endpoints) =
        start(|file| file.set("load_balancer.default_pools", json!(["us", "eu"])));
    assert_eq!(gateway.visit().served_by(), "us-1");
    let (gateway, _endpoints) =
        start(|file| file.set("load_balancer.default_pools", json!(["us"])));
    gateway.patch("/pools/us/origins/us-1", json!({ "healthy": false }));
    let response = gateway.visit();
    assert_eq!((response.status, response.outcome()), (503, "no_endpoint".into()));
}

#[test]
fn a_critical_pool_gets_no_new_sessions_and_keeps_its_own() {
    let (gateway, _endpoints) = start(|file| file.set("pools.0.minimum_origins", 2));
    let mut pinned = gateway.browser_at("eu-1");
    gateway.patch("/pools/eu/origins/eu-2", json!({ "healthy": false }));
    assert_eq!(gateway.visit().served_by(), "us-1");
    let kept = pinned.get("/");
    assert_eq!(
        (kept.served_by(), kept.outcome()),
        ("eu-1".into(), "kept".into()),
        "affinity overrides steering"
    );
}

#[test]
fn minimum_origins_can_be_changed_while_it_runs() {
    let (gateway, _endpoints) = start(|file| file);
    gateway.patch("/pools/eu", json!({ "minimum_origins": 3 }));
    assert_eq!(gateway.visit().served_by(), "us-1");
    assert_eq!(gateway.state()["pools"][0]["minimum_origins"], 3);
    gateway.patch("/pools/eu", json!({ "minimum_origins": 2 }));
    assert!(gateway.visit().served_by().starts_with("eu-"));
}

#[test]
fn when_no_pool_is_open_the_fallback_pool_is_asked_whatever_its_health() {
    let (gateway, _endpoints) = start(|file| file.set("load_balancer.fallback_pool", "us"));
    for name in ["eu/origins/eu-1", "eu/origins/eu-2", "us/origins/us-1"] {
        gateway.patch(&format!("/pools/{name}"), json!({ "healthy": false }));
    }
    let mut browser = gateway.browser();
    let first = browser.get("/");
    assert_eq!((first.served_by(), first.outcome()), ("us-1".into(), "created:no_cookie".into()));
    assert_eq!(browser.get("/").outcome(), "kept", "its health is ignored");
}

#[test]
fn a_lone_pool_that_is_its_own_fallback_moves_sessions_from_an_unhealthy_endpoint_to_a_healthy_one()
{
    let [down, up] = ["eu-1", "eu-2"].map(Endpoint::start);
    let file = shop_of_pools(&[("eu", &[&down, &up])]).set("load_balancer.fallback_pool", "eu");
    let gateway = Gateway::start(&file);
    let mut pinned = gateway.browser_at("eu-1");
    down.go_down();
    gateway.patch("/pools/eu/origins/eu-1", json!({ "healthy": false }));
    let moved = pinned.get("/");
    assert_eq!(
        (moved.status, moved.served_by(), moved.outcome()),
        (200, "eu-2".into(), "moved:unhealthy".into())
    );
    assert_eq!(pinned.get("/").outcome(), "kept");
    assert_eq!(gateway.visit().served_by(), "eu-2");
}

#[test]
fn the_fallback_pool_need_not_be_a_default_pool() {
    let (gateway, _endpoints) = start(|file| {
        file.set("load_balancer.default_pools", json!(["eu"]))
            .set("load_balancer.fallback_pool", "us")
    });
    assert!(gateway.visit().served_by().starts_with("eu-"));
    gateway.patch("/pools/eu", json!({ "enabled": false }));
    assert_eq!(gateway.visit().served_by(), "us-1");
}

#[test]
fn without_an_endpoint_to_try_the_answer_is_503_without_a_cookie() {
    let (gateway, endpoints) = start(|file| file);
    let mut browser = gateway.browser();
    browser.get("/").assert_ok();
    gateway.patch("/pools/eu", json!({ "enabled": false }));
    gateway.patch("/pools/us", json!({ "enabled": false }));
    let before: usize = endpoints.iter().map(Endpoint::count).sum();
    for response in [browser.get("/"), gateway.visit()] {
        assert_eq!((response.status, response.outcome()), (503, "no_endpoint".into()));
        assert!(!response.head.has("set-cookie"));
        assert_eq!(response.text().trim_end().lines().count(), 1, "{response:?}");
    }
    assert_eq!(endpoints.iter().map(Endpoint::count).sum::<usize>(), before);
    gateway.patch("/pools/eu", json!({ "enabled": true }));
    assert_eq!(browser.get("/").outcome(), "kept", "the client's session is as it was");
}

#[test]
fn a_pool_sheds_new_sessions() {
    let (gateway, _endpoints) =
        start(|file| file.set("pools.0.load_shedding.default_percent", 100));
    for _ in 0..10 {
        let shed = gateway.visit();
        assert_eq!((shed.served_by(), shed.outcome()), ("us-1".into(), "created:no_cookie".into()));
    }
    gateway.patch(
        "/pools/eu",
        json!({ "load_shedding": { "default_percent": 50, "default_policy": "random" } }),
    );
    let stayed = (0..60).filter(|_| gateway.visit().served_by() != "us-1").count();
    assert!((1..60).contains(&stayed), "{stayed} of 60 at 50 percent");
}

#[test]
fn a_pool_sheds_live_sessions() {
    let (gateway, _endpoints) = start(|file| file);
    let mut pinned = gateway.browser_at("eu-1");
    gateway.patch(
        "/pools/eu",
        json!({ "load_shedding": { "session_percent": 100, "session_policy": "hash" } }),
    );
    let shed = pinned.get("/");
    assert_eq!((shed.served_by(), shed.outcome()), ("us-1".into(), "moved:shed".into()));
    assert!(shed.set_cookie().is_some());
    assert_eq!(pinned.get("/").outcome(), "kept");
    assert!(gateway.visit().served_by().starts_with("eu-"), "new sessions are another percentage");
}

#[test]
fn who_is_shed_at_30_percent_is_shed_at_60_percent() {
    let (gateway, _endpoints) = start(|file| {
        file.by_address().set(
            "pools.0.load_shedding",
            json!({ "default_percent": 30, "default_policy": "hash" }),
        )
    });
    let shed = || -> Vec<_> {
        let visit =
            |last| gateway.fetch(&get("/").with("X-Forwarded-For", format!("203.0.113.{last}")));
        (0..60).map(|last| visit(last).served_by() == "us-1").collect()
    };
    let at_30 = shed();
    gateway.patch(
        "/pools/eu",
        json!({ "load_shedding": { "default_percent": 60, "default_policy": "hash" } }),
    );
    let at_60 = shed();
    assert!(at_30.iter().zip(&at_60).all(|(before, after)| !before || *after));
    let count = |shed: &[bool]| shed.iter().filter(|shed| **shed).count();
    assert!(0 < count(&at_30) && count(&at_30) < count(&at_60) && count(&at_60) < 60);
}
