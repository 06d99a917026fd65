//! SIGHUP: the file is read again while requests are running.

mod drains;
mod secret;
mod site;
mod values;

use std::thread;

use serde_json::{Value, json};

use crate::support::{
    Answer, Connection, Endpoint, Gate, SECRETS, get, shop, shop_of_pools, wait_until,
};
use site::Site;

#[test]
fn pools_change_and_sessions_stay() {
    let [a, b, c] = ["a", "b", "c"].map(Endpoint::start);
    let site = Site::start(&shop(&[&a, &b]));
    let mut pinned = site.gateway.browser_at("a");
    let mut of_b = site.gateway.browser_at("b");
    site.reload(&shop(&[&a, &c]).to_string());
    assert_eq!(pinned.get("/").outcome(), "kept");
    assert_eq!(of_b.get("/").outcome(), "moved:removed");
    assert_eq!(site.gateway.browser_at("c").get("/").outcome(), "kept");
    assert_eq!(site.restarts(), [""; 0]);
}

#[test]
fn a_request_in_flight_over_a_reload_is_answered_even_by_an_endpoint_that_is_gone() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let site = Site::start(&shop(&[&a]));
    let gate = Gate::new();
    a.answers(Answer::Gated(gate.clone()));
    let mut connection = Connection::open(site.gateway.address);
    connection.send(&get("/"));
    wait_until("the request at its endpoint", || a.count() == 1);
    site.reload(&shop(&[&b]).to_string());
    assert_eq!(site.gateway.visit().served_by(), "b");
    gate.open();
    assert_eq!(connection.response().served_by(), "a");
}

#[test]
fn no_request_fails_while_files_come_and_go() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let files = [shop(&[&a, &b]), shop(&[&b, &a]).set("cooling_off", 5).set("explain", true)];
    let site = Site::start(&files[0]);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut browser = site.gateway.browser();
                    browser.get("/").assert_ok();
                    for _ in 0..60 {
                        let next = browser.get("/");
                        next.assert_ok();
                        assert_eq!(next.outcome(), "kept");
                    }
                })
            })
            .collect();
        for round in 0..10 {
            site.reload(&files[round % 2].to_string());
        }
        clients.into_iter().for_each(|client| client.join().expect("a client"));
    });
}

/// An endpoint that cools off is not waited on again after a reload.
#[test]
fn a_mark_survives() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let file = shop(&[&a, &b]).failover("temporary").set("cooling_off", 300);
    let site = Site::start(&file);
    let mut pinned = site.gateway.browser_at("a");
    a.go_down();
    assert_eq!(pinned.get("/").outcome(), "lent:connect_failed");
    assert_eq!(pinned.get("/").outcome(), "lent:suspect");
    site.reload(&file.clone().set("retries", 2).to_string());
    assert_eq!(pinned.get("/").outcome(), "lent:suspect");
    // What the endpoints have answered is counted on.
    assert!(site.gateway.origin("eu", "b")["requests"].as_u64() >= Some(3));
}

#[test]
fn header_sessions_and_a_secret_that_the_file_leaves_out_stay() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let file = shop(&[&a, &b]).by_headers(&["x-user"]).without("session_secret");
    let site = Site::start(&file);
    let of_ann = get("/").with("X-User", "ann");
    let home = site.gateway.fetch(&of_ann).served_by();
    let other = if home == "a" { "b" } else { "a" };
    site.gateway.patch(&format!("/pools/eu/origins/{home}"), json!({ "healthy": false }));
    assert_eq!(site.gateway.fetch(&of_ann).served_by(), other);
    site.reload(&file.set("keys", json!([{ "id": 9, "secret": SECRETS[0] }])).to_string());
    let kept = site.gateway.fetch(&of_ann);
    assert_eq!((kept.served_by(), kept.outcome()), (other.into(), "kept".into()));
}

/// A reload changes what has changed in the file; acts of the administrator stay where the file says
/// what it said before.
#[test]
fn acts_of_the_administrator_stay_until_the_file_says_something_else() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let file = shop(&[&a, &b])
        .attribute("drain_duration", 1_000)
        .set("pools.0.origins.0.enabled", true)
        .set("pools.0.origins.0.weight", 1)
        .set("pools.0.minimum_origins", 0);
    let site = Site::start(&file);
    let gateway = &site.gateway;
    gateway.patch("/pools/eu/origins/a", json!({ "enabled": false, "weight": 0.5 }));
    gateway.patch("/pools/eu/origins/b", json!({ "healthy": false }));
    gateway.patch("/pools/eu", json!({ "load_shedding": { "session_percent": 7 } }));
    gateway.change("POST", "/keys", &json!({ "id": 7, "secret": SECRETS[2] }));
    let acts = || {
        let pool = gateway.state()["pools"][0].clone();
        let of = |index: usize, name: &str| pool["origins"][index][name].clone();
        let shed = pool["load_shedding"]["session_percent"].clone();
        let state = [of(0, "enabled"), of(0, "disabled_at"), of(1, "healthy")];
        (state, of(0, "weight"), pool["minimum_origins"].clone(), shed)
    };
    let before = acts();
    site.reload(&file.clone().set("pools.0.minimum_origins", 1).to_string());
    let (state, weight, minimum, shed) = acts();
    assert_eq!((state, weight, shed), (before.0.clone(), before.1, before.3));
    assert_eq!(minimum, 1);
    gateway.patch("/pools/eu/origins/b", json!({ "healthy": true }));
    assert_eq!(gateway.visit().token()[1], 7, "the key that was added signs on");

    // The file says something else of the endpoint, of the shedding and of the keys.
    let file = file
        .set("pools.0.origins.0.weight", 0.25)
        .set("pools.0.load_shedding", json!({ "session_percent": 3 }))
        .set("keys", json!([{ "id": 1, "secret": SECRETS[0] }]));
    site.reload(&file.to_string());
    let (state, weight, _, shed) = acts();
    assert_eq!(state[..2], before.0[..2], "the drain goes on");
    assert_eq!((weight, shed), (json!(0.25), json!(3)));
    assert_eq!(gateway.visit().token()[1], 1);
    // Left out by now, the weight is the default.
    site.reload(&file.without("pools.0.origins.0.weight").to_string());
    assert_eq!(acts().1, 1);
}

#[test]
fn a_field_that_needs_a_restart_is_named_and_the_rest_takes_effect() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let site = Site::start(&shop(&[&a]));
    let cookies = site.gateway.browser_at("a").cookies();
    // Without Redis built in, a Redis store is an error.
    let (store, value) = match cfg!(feature = "redis") {
        true => ("store", "redis://user:secret@127.0.0.1:1/0"),
        false => ("store_file", "/nowhere/at/all"),
    };
    let file = shop_of_pools(&[("eu", &[&a]), ("us", &[&b])])
        .set("listen", "127.0.0.1:1")
        .set(store, value)
        .set("max_connections", 7)
        .set("load_balancer.name", "another");
    site.reload(&file.to_string());
    let mut named = site.restarts();
    let line = |field: &str| {
        format!("gateway: warning: reload: {field} needs a restart; the old value stays")
    };
    let mut expected = ["listen", "max_connections", store, "load_balancer.name"].map(line);
    named.sort();
    expected.sort();
    assert_eq!(named, expected);
    assert_eq!(site.gateway.state()["pools"][1]["id"], "us");
    assert_eq!(site.gateway.revisit(&cookies).outcome(), "kept", "by the old name");
}

#[test]
fn after_an_error_the_old_configuration_stays_whole() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let file = shop(&[&a]);
    let site = Site::start(&file);
    let state = || {
        let mut state = site.gateway.state();
        (state["clock"], state["outcomes"]) = (Value::Null, Value::Null);
        state["pools"][0]["origins"][0]["requests"] = Value::Null;
        state
    };
    let before = state();
    let cookie = site.gateway.visit().cookie();
    let both = shop(&[&a, &b]).set("explain", false);
    for (wrong, field) in [
        (both.clone().set("retries", 99), "retries"),
        (both.clone().set("keys", json!([])), "key"),
        (both.clone().set("connect_timeout_ms", 0), "connect_timeout_ms"),
        (both.clone().set("colour", "red"), "colour"),
        (both.clone().set("pools.0.origins.1.address", "not an address"), "address"),
        (both.clone().set("load_balancer.fallback_pool", "nowhere"), "fallback_pool"),
        (both.clone().set("load_balancer.session_affinity", "header"), "headers"),
        // What needs a restart would be refused by it.
        (both.clone().set("max_head_bytes", 1), "max_head_bytes"),
        (both.clone().set("store", "nonsense"), "store"),
        (both.clone().set("store_deadline_ms", 20), "store_deadline_ms"),
        (both.clone().set("store_file", "x").set("store", "redis://127.0.0.1:1/0"), "store_file"),
        (both.clone().set("fleet", json!({ "node": "g1", "nodes": ["g1"] })), "fleet"),
        (both.set("load_balancer.name", ""), "load_balancer.name"),
    ] {
        let line = site.refuses(&wrong.to_string());
        assert!(line.contains(field), "{line}");
        assert_eq!(state(), before, "{field}");
        assert_eq!(site.gateway.revisit(&cookie).outcome(), "kept", "{field}");
    }
    assert!(site.refuses("{").contains("line 1"));
    site.reload(&file.set("explain", false).to_string());
    assert!(!site.gateway.visit().head.has("x-affinity-outcome"), "and the next one is taken");
}

#[test]
fn timeouts_and_trusted_proxies_take_effect() {
    let a = Endpoint::start("a");
    let file = shop(&[&a]);
    let site = Site::start(&file);
    let asks = || {
        let request = get("/").with("X-Forwarded-Proto", "https");
        site.gateway.fetch(&request).set_cookie().expect("a cookie").contains("Secure")
    };
    assert!(!asks());
    site.reload(&file.clone().set("trusted_proxies", vec!["127.0.0.1/32"]).to_string());
    assert!(asks());
    a.answers(Answer::Gated(Gate::new()));
    site.reload(&file.set("answer_timeout_ms", 50).to_string());
    assert_eq!(site.gateway.visit().status, 504);
}
