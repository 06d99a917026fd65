//! Every outcome has its label, and each is counted under it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use session_affinity::Outcome;

use crate::support::{Endpoint, Gateway, Request, SECRETS, get, shop};

/// Counts what the gateway tells of each request, to compare it with what it counts itself.
struct Teller {
    gateway: Gateway,
    told: BTreeMap<String, u64>,
}

impl Teller {
    fn new(gateway: Gateway) -> Self {
        Self { gateway, told: BTreeMap::new() }
    }

    /// The cookie it gives, if it does.
    fn send(&mut self, request: &Request) -> Option<String> {
        let response = self.gateway.fetch(request);
        *self.told.entry(response.outcome()).or_default() += 1;
        response.set_cookie().map(|_| response.cookie())
    }

    fn visit(&mut self) -> String {
        self.send(&get("/")).expect("a cookie")
    }

    fn revisit(&mut self, cookie: &str) -> Option<String> {
        self.send(&get("/").with("Cookie", cookie))
    }

    fn patch(&self, origin: &str, change: Value) {
        self.gateway.patch(&format!("/pools/eu/origins/{origin}"), change);
    }

    /// The labels that were told, once they are found to be counted as often.
    #[track_caller]
    fn labels(self) -> BTreeSet<String> {
        let state = self.gateway.state();
        let counted = state["outcomes"].as_object().expect("an object").iter();
        let counted: BTreeMap<_, _> = counted
            .map(|(label, count)| (label.clone(), count.as_u64().expect("a count")))
            .filter(|(_, count)| *count > 0)
            .collect();
        assert_eq!(counted, self.told);
        self.told.into_keys().collect()
    }
}

fn cookies_and_drains(a: &Endpoint, b: &Endpoint) -> BTreeSet<String> {
    let elsewhere = Endpoint::start("elsewhere");
    let removed = Gateway::start(&shop(&[&elsewhere])).visit().cookie();
    let mut teller = Teller::new(Gateway::start(&shop(&[a, b]).attribute("drain_duration", 100)));
    let cookie = teller.visit();
    teller.revisit(&cookie);
    teller.revisit(&removed);
    teller.revisit("__cflb=short");
    teller.revisit(&format!("__cflb={}", "A".repeat(48)));
    let flip = if cookie.ends_with('A') { "B" } else { "A" };
    teller.revisit(&format!("{}{flip}", &cookie[..cookie.len() - 1]));
    teller.gateway.set_clock(-1_000);
    teller.revisit(&cookie);
    teller.gateway.set_clock(100_000);
    let cookie = teller.revisit(&cookie).expect("a new one");
    teller.gateway.change("POST", "/keys", &json!({ "id": 3, "secret": SECRETS[2] }));
    teller.gateway.change("DELETE", "/keys/2", &Value::Null);
    teller.revisit(&cookie);
    teller.patch("b", json!({ "enabled": false }));
    let cookie = teller.visit();
    teller.patch("b", json!({ "enabled": true }));
    teller.patch("a", json!({ "healthy": false }));
    teller.revisit(&cookie);
    teller.patch("a", json!({ "healthy": true, "enabled": false }));
    teller.revisit(&cookie);
    teller.gateway.set_clock(100_200);
    teller.revisit(&cookie);
    teller.patch("b", json!({ "enabled": false, "healthy": false }));
    teller.revisit(&cookie);
    teller.labels()
}

fn disabled_and_shed(a: &Endpoint, b: &Endpoint) -> BTreeSet<String> {
    let file = crate::support::shop_of_pools(&[("eu", &[a]), ("us", &[b])]);
    let mut teller = Teller::new(Gateway::start(&file));
    let cookie = teller.visit();
    teller.gateway.patch("/pools/eu", json!({ "load_shedding": { "session_percent": 100 } }));
    teller.revisit(&cookie);
    teller.patch("eu-1", json!({ "enabled": false }));
    teller.revisit(&cookie);
    teller.labels()
}

/// A session that is kept at `a`, for as long as `a` takes it.
fn losses(on_loss: &str) -> BTreeSet<String> {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let file = shop(&[&a, &b]).set("on_loss", on_loss);
    let (gateway, drains) =
        (Gateway::start(&file), Gateway::start(&file.attribute("drain_duration", 100)));
    let elsewhere = Endpoint::start("elsewhere");
    let removed = Gateway::start(&shop(&[&elsewhere])).visit().cookie();
    let mut labels = BTreeSet::new();
    for gateway in [gateway, drains] {
        let mut teller = Teller::new(gateway);
        teller.patch("b", json!({ "weight": 0 }));
        let cookie = teller.visit();
        teller.patch("b", json!({ "weight": 1 }));
        teller.revisit(&removed);
        teller.patch("a", json!({ "healthy": false }));
        teller.revisit(&cookie);
        teller.patch("a", json!({ "enabled": false }));
        teller.gateway.set_clock(200);
        teller.revisit(&cookie);
        labels.extend(teller.labels());
    }
    labels
}

fn failures(mode: &str) -> BTreeSet<String> {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let mut teller =
        Teller::new(Gateway::start(&shop(&[&a, &b]).failover(mode).set("cooling_off", 10)));
    teller.patch("b", json!({ "weight": 0 }));
    let cookie = teller.visit();
    a.go_down();
    teller.patch("b", json!({ "weight": 1 }));
    teller.revisit(&cookie);
    teller.revisit(&cookie);
    b.go_down();
    teller.revisit(&cookie);
    b.come_back();
    // Some new sessions choose `a` first, once it has cooled off.
    for round in 1..=40 {
        teller.gateway.set_clock(round * 1_000);
        teller.visit();
    }
    teller.labels()
}

/// A session of a busy endpoint, while another one has nothing to do.
fn rooms() -> BTreeSet<String> {
    let mut labels = BTreeSet::new();
    for mode in ["temporary", "sticky"] {
        let busy = crate::room::Busy::new(mode);
        labels.insert(busy.gateway.revisit(&busy.cookie).outcome());
    }
    labels
}

fn headers(a: &Endpoint) -> BTreeSet<String> {
    let mut teller = Teller::new(Gateway::start(&shop(&[a]).by_headers(&["x-user"])));
    for _ in 0..2 {
        teller.send(&get("/").with("X-User", "ann"));
    }
    teller.send(&get("/"));
    teller.labels()
}

fn issued_headers(a: &Endpoint) -> BTreeSet<String> {
    let file = shop(&[a]).set("carrier", json!({ "header": "x-session-affinity" }));
    let mut teller = Teller::new(Gateway::start(&file));
    teller.send(&get("/"));
    teller.labels()
}

#[test]
fn every_outcome_that_http_can_reach_is_told_and_counted_under_its_label() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let (eu, us) = (Endpoint::start("eu-1"), Endpoint::start("us-1"));
    let mut reached = cookies_and_drains(&a, &b);
    reached.extend(disabled_and_shed(&eu, &us));
    reached.extend(failures("none"));
    reached.extend(failures("temporary"));
    reached.extend(failures("sticky"));
    reached.extend(losses("lend"));
    reached.extend(losses("refuse"));
    reached.extend(rooms());
    reached.extend(headers(&a));
    reached.extend(issued_headers(&a));
    // A store in memory can always be reached and read, and no key of the file names another
    // system's cookie.
    let others = ["created:unreadable", "created:store_unreachable", "migrated"];
    let expected: BTreeSet<_> = Outcome::ALL
        .iter()
        .map(|outcome| outcome.label().to_string())
        .filter(|label| !others.contains(&&**label))
        .collect();
    assert_eq!(reached, expected);
}
