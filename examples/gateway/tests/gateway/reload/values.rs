//! Values of the file: which of them count as changed, and from when they hold.

use serde_json::json;

use super::site::Site;
use crate::support::{Answer, Connection, Endpoint, Gate, get, shop, wait_until};

/// An edit that changes no meaning must not end what the administrator has begun.
#[test]
fn a_default_that_is_written_down_or_no_longer_is_no_change() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let short = shop(&[&a, &b]).attribute("drain_duration", 1_000);
    let long = short
        .clone()
        .set("pools.0.enabled", true)
        .set("pools.0.minimum_origins", 1)
        .set("pools.0.load_shedding", json!({ "default_percent": 0 }))
        .set("pools.0.origins.0.enabled", true)
        .set("pools.0.origins.0.weight", 1);
    for [before, after] in [[&short, &long], [&long, &short]] {
        let site = Site::start(before);
        let gateway = &site.gateway;
        let acts = json!({
            "enabled": false, "minimum_origins": 0, "load_shedding": { "session_percent": 7 }
        });
        gateway.patch("/pools/eu", acts);
        gateway.patch("/pools/eu/origins/a", json!({ "enabled": false, "weight": 0 }));
        let pool = gateway.state()["pools"][0].clone();
        site.reload(&after.to_string());
        assert_eq!(gateway.state()["pools"][0], pool);
    }
}

#[test]
fn a_changed_address_is_used_from_then_on() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let file = shop(&[&a]);
    let site = Site::start(&file);
    let mut pinned = site.gateway.browser_at("a");
    site.reload(&file.set("pools.0.origins.0.address", b.address.to_string()).to_string());
    let kept = pinned.get("/");
    assert_eq!((kept.served_by(), kept.outcome()), ("b".into(), "kept".into()));
}

#[test]
fn a_request_in_flight_is_explained_as_it_began() {
    let a = Endpoint::start("a");
    let file = shop(&[&a]);
    let site = Site::start(&file);
    for explain in [true, false] {
        let (gate, count) = (Gate::new(), a.count());
        a.answers(Answer::Gated(gate.clone()));
        let mut connection = Connection::open(site.gateway.address);
        connection.send(&get("/"));
        wait_until("the request at its endpoint", || a.count() > count);
        site.reload(&file.clone().set("explain", !explain).to_string());
        gate.open();
        assert_eq!(connection.response().head.has("x-affinity-outcome"), explain);
    }
}
