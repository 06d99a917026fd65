//! The order of pools: `steering_policy`, `random_steering` and `move_within`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{Config, Endpoint, Gateway, run_to_its_end, shop_of_pools};

/// Two pools, `v1` of two endpoints and `v2` of two.
fn start(change: impl Fn(Config) -> Config) -> (Gateway, [Endpoint; 4]) {
    let [a, b, c, d] = ["v1-1", "v1-2", "v2-1", "v2-2"].map(Endpoint::start);
    let gateway = Gateway::start(&change(shop_of_pools(&[("v1", &[&a, &b]), ("v2", &[&c, &d])])));
    (gateway, [a, b, c, d])
}

fn random(file: Config, weights: Value) -> Config {
    file.set("load_balancer.steering_policy", "random")
        .set("load_balancer.random_steering", json!({ "pool_weights": weights }))
}

/// The number of new sessions of each pool.
fn begin(gateway: &Gateway, count: usize) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for _ in 0..count {
        let served_by = gateway.visit().served_by();
        *counts.entry(served_by[..2].to_owned()).or_default() += 1;
    }
    counts
}

#[test]
fn without_a_policy_and_with_off_all_sessions_begin_in_the_first_pool() {
    for policy in [json!("off"), json!(""), Value::Null] {
        let weights = json!({ "default_weight": 0, "pool_weights": { "v2": 1 } });
        let (gateway, _endpoints) = start(|file| {
            file.set("load_balancer.steering_policy", policy.clone())
                .set("load_balancer.random_steering", weights.clone())
        });
        assert_eq!(begin(&gateway, 12), [("v1".to_owned(), 12)].into());
    }
}

#[test]
fn sessions_begin_in_a_pool_by_its_share_of_the_weights() {
    let (gateway, _endpoints) = start(|file| random(file, json!({ "v1": 0.3, "v2": 0.1 })));
    // Five standard deviations around 75 of 100.
    let counts = begin(&gateway, 100);
    assert!((53..=97).contains(&counts["v1"]), "{counts:?}");
    // The share of a closed pool goes to the others.
    gateway.patch("/pools/v1", json!({ "enabled": false }));
    assert_eq!(begin(&gateway, 10), [("v2".to_owned(), 10)].into());
}

#[test]
fn a_pool_of_weight_0_takes_no_new_session_while_another_one_is_open() {
    for policy in ["random", "least_outstanding_requests", "least_connections"] {
        let (gateway, _endpoints) = start(|file| {
            random(file, json!({ "v1": 0 })).set("load_balancer.steering_policy", policy)
        });
        assert_eq!(begin(&gateway, 20), [("v2".to_owned(), 20)].into(), "{policy}");
        gateway.patch("/pools/v2", json!({ "minimum_origins": 9 }));
        assert_eq!(begin(&gateway, 5), [("v1".to_owned(), 5)].into(), "{policy}");
    }
}

#[test]
fn a_session_whose_endpoint_is_lost_looks_first_where_move_within_says() {
    for (steering, move_within, to) in [
        ("off", None, "v1"),
        ("off", Some("order"), "v1"),
        ("off", Some("own_pool"), "v2"),
        ("random", None, "v2"),
        ("random", Some("own_pool"), "v2"),
    ] {
        let (gateway, _endpoints) = start(|mut file| {
            if let Some(move_within) = move_within {
                file = file.set("move_within", move_within);
            }
            file.set("load_balancer.steering_policy", steering)
        });
        gateway.patch("/pools/v1", json!({ "enabled": false }));
        let mut browser = gateway.browser_at("v2-1");
        gateway.patch("/pools/v1", json!({ "enabled": true }));
        gateway.patch("/pools/v2/origins/v2-1", json!({ "healthy": false }));
        let moved = browser.get("/");
        assert_eq!(moved.outcome(), "moved:unhealthy");
        let told = (steering, move_within, moved.served_by());
        assert!(told.2.starts_with(to), "{told:?}");
        assert_eq!(browser.get("/").outcome(), "kept");
    }
}

#[track_caller]
fn assert_refused(file: &Config, told: &str) {
    let refused = run_to_its_end(Some(&file.to_string()), &[]);
    assert_eq!((refused.status, refused.stdout.as_str()), (Some(2), ""), "{refused:?}");
    assert!(refused.stderr.contains(told), "{told} is not told: {refused:?}");
}

#[test]
fn a_steering_that_the_gateway_does_not_have_is_refused_by_its_name() {
    let a = Endpoint::start("a");
    let file = || shop_of_pools(&[("eu", &[&a])]);
    let balancer = |name: &str, value: Value| file().set(&format!("load_balancer.{name}"), value);
    for policy in ["geo", "proximity", "dynamic_latency"] {
        let told = format!("steering_policy is {policy}; allowed: off, random, least_outstanding");
        assert_refused(&balancer("steering_policy", json!(policy)), &told);
    }
    for (file, told) in [
        (balancer("steering_policy", json!("hash")), "steering_policy"),
        (
            balancer("random_steering", json!({ "default_weight": 0.005 })),
            "random_steering.default_weight is 0.005; allowed: 0 to 1 in steps of 0.01",
        ),
        (
            balancer("random_steering", json!({ "pool_weights": { "eu": 2 } })),
            "random_steering.pool_weights[eu] is 2; allowed: 0 to 1 in steps of 0.01",
        ),
        (balancer("random_steering", json!([])), "random_steering"),
        (file().set("move_within", "pool"), "move_within: unknown variant `pool`"),
    ] {
        assert_refused(&file, told);
    }
    // Null is the default.
    let file = file().set("move_within", Value::Null);
    Gateway::start(&file).visit().assert_ok();
}
