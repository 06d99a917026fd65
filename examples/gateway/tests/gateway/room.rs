//! An endpoint that is busy with other requests: its sessions wait, or overflow to one with room.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::metrics::{of, scrape};
use crate::support::{Answer, Connection, Endpoint, Gate, Gateway, get, shop, wait_until};

/// Two endpoints under a bound that lets each carry its share and no more. `a` has been sent one
/// request of the session, which it does not answer until the gate is open; `b` has none.
pub(crate) struct Busy {
    pub(crate) gateway: Gateway,
    pub(crate) cookie: String,
    a: Endpoint,
    b: Endpoint,
    gate: Arc<Gate>,
    waiting: Connection,
}

impl Busy {
    pub(crate) fn new(mode: &str) -> Self {
        Self::bounded(mode, json!({ "percent": 100, "at_least": 1 }))
    }

    fn bounded(mode: &str, bound: Value) -> Self {
        let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
        let file = shop(&[&a, &b]).failover(mode).set("bounded_load", bound);
        let gateway = Gateway::start(&file);
        let cookie = gateway.browser_at("a").cookies();
        wait_until("no request in flight", || in_flight(&gateway) == [0, 0]);
        let (gate, before) = (Gate::new(), a.count());
        a.answers(Answer::Gated(gate.clone()));
        let mut waiting = Connection::open(gateway.address);
        waiting.send(&get("/").with("Cookie", &cookie));
        wait_until("the request at a", || a.count() == before + 1);
        Self { gateway, cookie, a, b, gate, waiting }
    }

    /// Waits until `a` has its one request in flight and `b` has none.
    fn settled(&self) {
        wait_until("one request in flight", || in_flight(&self.gateway) == [1, 0]);
    }

    /// Lets `a` answer what it was asked, and waits until all is quiet.
    fn open(&mut self) {
        self.gate.open();
        self.waiting.response().assert_ok();
        wait_until("no request in flight", || in_flight(&self.gateway) == [0, 0]);
    }
}

fn in_flight(gateway: &Gateway) -> [u64; 2] {
    let metrics = scrape(gateway);
    ["a", "b"].map(|name| of(&metrics, "in_flight", name))
}

#[test]
fn a_session_overflows_to_an_endpoint_with_room_and_comes_home_when_its_own_has_room_again() {
    let mut busy = Busy::new("temporary");
    for _ in 0..3 {
        busy.settled();
        let lent = busy.gateway.revisit(&busy.cookie);
        assert_eq!((lent.served_by(), lent.outcome()), ("b".into(), "lent:full".into()));
        assert_eq!(lent.set_cookie(), None, "the pin is unchanged");
    }
    assert_eq!(busy.gateway.counted("lent:full"), 3);
    busy.open();
    let back = busy.gateway.revisit(&busy.cookie);
    assert_eq!((back.served_by(), back.outcome()), ("a".into(), "kept".into()));
}

#[test]
fn in_mode_sticky_a_session_moves_to_the_endpoint_with_room() {
    let mut busy = Busy::new("sticky");
    let moved = busy.gateway.revisit(&busy.cookie);
    assert_eq!((moved.served_by(), moved.outcome()), ("b".into(), "moved:full".into()));
    let cookie = moved.cookie();
    busy.open();
    let kept = busy.gateway.revisit(&cookie);
    assert_eq!((kept.served_by(), kept.outcome()), ("b".into(), "kept".into()));
}

#[test]
fn in_mode_none_and_without_a_bound_a_session_waits_at_its_endpoint() {
    let bound = json!({ "percent": 100, "at_least": 1 });
    for (mode, bound) in [("none", bound), ("temporary", Value::Null), ("sticky", Value::Null)] {
        let mut busy = Busy::bounded(mode, bound);
        let asked = (busy.a.count(), busy.b.count());
        let mut second = Connection::open(busy.gateway.address);
        second.send(&get("/").with("Cookie", &busy.cookie));
        wait_until("the second request at a", || busy.a.count() == asked.0 + 1);
        busy.gate.open();
        let kept = second.response();
        assert_eq!((kept.served_by(), kept.outcome()), ("a".into(), "kept".into()), "{mode}");
        assert_eq!(busy.b.count(), asked.1);
        busy.open();
    }
}

#[test]
fn new_sessions_go_to_the_endpoint_with_room_in_every_mode() {
    for mode in ["none", "temporary", "sticky"] {
        let busy = Busy::new(mode);
        for _ in 0..12 {
            busy.settled();
            assert_eq!(busy.gateway.visit().served_by(), "b", "{mode}");
        }
    }
}

#[test]
fn below_at_least_a_session_stays_at_home() {
    let mut busy = Busy::bounded("temporary", json!({ "percent": 100, "at_least": 2 }));
    let asked = busy.a.count();
    let mut second = Connection::open(busy.gateway.address);
    second.send(&get("/").with("Cookie", &busy.cookie));
    wait_until("the second request at a", || busy.a.count() == asked + 1);
    let third = busy.gateway.revisit(&busy.cookie);
    assert_eq!((third.served_by(), third.outcome()), ("b".into(), "lent:full".into()));
    busy.gate.open();
    assert_eq!(second.response().outcome(), "kept");
    busy.open();
}
