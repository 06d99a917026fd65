//! Drains that begin, go on and end in the file.

use std::thread;

use serde_json::{Value, json};

use super::site::Site;
use crate::support::{Config, Endpoint, shop};

/// A time, and the same one as the file writes it.
const AT: u64 = 1_769_860_800;
const DATE: &str = "2026-01-31T12:00:00Z";

/// Starts a gateway whose clock is a hundred seconds past that time.
fn start(file: &Config) -> Site {
    let site = Site::start(file);
    let ahead = i128::from(AT + 100) - i128::from(site.gateway.clock());
    site.gateway.set_clock(i64::try_from(ahead).expect("a time"));
    site
}

fn disabled(file: &Config) -> Config {
    file.clone().set("pools.0.origins.0.enabled", false)
}

fn disabled_at(site: &Site) -> Value {
    site.gateway.origin("eu", "a")["disabled_at"].clone()
}

#[test]
fn a_drain_begins_and_ends_in_the_file() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let file = shop(&[&a, &b]).attribute("drain_duration", 1_000);
    let site = start(&file);
    let mut pinned = site.gateway.browser_at("a");
    site.reload(&disabled(&file).set("pools.0.origins.0.disabled_at", DATE).to_string());
    assert_eq!(disabled_at(&site), AT);
    let draining = || site.gateway.admin("GET", "/drain/eu/a", "").1["draining"].clone();
    assert_eq!(draining(), true);
    assert_eq!(pinned.get("/").outcome(), "kept");
    for _ in 0..20 {
        assert_eq!(site.gateway.visit().served_by(), "b", "it gets no new sessions");
    }
    site.reload(&file.to_string());
    assert_eq!((draining(), disabled_at(&site)), (json!(false), Value::Null));
    site.gateway.browser_at("a");
}

#[test]
fn an_origin_that_the_file_disables_without_a_time_is_not_drained() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let file = shop(&[&a, &b]).attribute("drain_duration", 1_000);
    let site = start(&file);
    let mut pinned = site.gateway.browser_at("a");
    site.reload(&disabled(&file).to_string());
    assert_eq!(disabled_at(&site), Value::Null);
    assert!(pinned.get("/").outcome().starts_with("moved:"));
}

#[test]
fn an_origin_that_is_disabled_already_keeps_its_time_where_the_file_has_none() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let file = shop(&[&a, &b]).attribute("drain_duration", 1_000);
    let site = start(&file);
    let mut pinned = site.gateway.browser_at("a");
    site.gateway.patch("/pools/eu/origins/a", json!({ "enabled": false, "disabled_at": AT + 50 }));
    site.reload(&disabled(&file).to_string());
    assert_eq!(disabled_at(&site), AT + 50);
    assert_eq!(pinned.get("/").outcome(), "kept");
}

/// With the affinity of one file and the pools of the other one, the drain would be over.
#[test]
fn no_request_sees_half_of_a_file() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let file = shop(&[&a, &b]).attribute("drain_duration", 0);
    let drains = disabled(&file)
        .set("pools.0.origins.0.disabled_at", DATE)
        .attribute("drain_duration", 100_000);
    let site = start(&file);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                let mut pinned = site.gateway.browser_at("a");
                scope.spawn(move || {
                    for _ in 0..500 {
                        assert_eq!(pinned.get("/").outcome(), "kept");
                    }
                })
            })
            .collect();
        while clients.iter().any(|client| !client.is_finished()) {
            site.reload(&drains.to_string());
            site.reload(&file.to_string());
        }
        clients.into_iter().for_each(|client| client.join().expect("a client"));
    });
}
