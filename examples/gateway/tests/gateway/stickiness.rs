//! A session comes back to its endpoint: the three policies, and `none`.

use std::collections::BTreeSet;

use crate::support::{Answer, Connection, Endpoint, Gate, Gateway, get, shop};

/// Who serves a client at each of these addresses, as its proxy tells them.
fn served_by_address(gateway: &Gateway, addresses: impl Iterator<Item = String>) -> Vec<String> {
    addresses
        .map(|address| gateway.fetch(&get("/").with("X-Forwarded-For", address)).served_by())
        .collect()
}

#[test]
fn a_cookie_brings_the_session_back_to_its_endpoint() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let gateway = Gateway::start(&shop(&[&a, &b]));
    let mut browser = gateway.browser();
    let first = browser.get("/");
    assert_eq!(first.outcome(), "created:no_cookie");
    assert!(first.set_cookie().is_some());
    for _ in 0..12 {
        let next = browser.get("/");
        assert_eq!((next.served_by(), next.outcome()), (first.served_by(), "kept".into()));
        assert_eq!(next.set_cookie(), None, "a kept session writes no cookie");
    }
    assert_eq!(a.count() + b.count(), 13);
}

#[test]
fn requests_of_one_session_at_the_same_time_go_to_the_same_endpoint() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let gateway = Gateway::start(&shop(&[&a, &b]));
    let first = gateway.visit();
    let mut connections: Vec<_> = (0..16).map(|_| Connection::open(gateway.address)).collect();
    for connection in &mut connections {
        connection.send(&get("/").with("Cookie", first.cookie()));
    }
    for mut connection in connections {
        assert_eq!(connection.response().served_by(), first.served_by());
    }
}

#[test]
fn new_cookie_sessions_are_spread_over_the_endpoints() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let gateway = Gateway::start(&shop(&[&a, &b]));
    let served: BTreeSet<_> = (0..40).map(|_| gateway.visit().served_by()).collect();
    assert_eq!(served.len(), 2, "all 40 at one endpoint has the probability 2^-39");
}

#[test]
fn new_sessions_follow_the_weights() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let gateway = Gateway::start(&shop(&[&a, &b]).set("pools.0.origins.0.weight", 0.05));
    for _ in 0..60 {
        gateway.visit().assert_ok();
    }
    assert!(a.count() < b.count(), "{} of 60 at a weight of one twentieth", a.count());
}

#[test]
fn by_ip_cookie_an_address_lands_at_the_same_endpoint_without_its_cookie() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let gateway = Gateway::start(&shop(&[&a, &b]).by_address());
    let addresses = || (0..16).map(|last| format!("203.0.113.{last}"));
    let first = served_by_address(&gateway, addresses());
    assert_eq!(served_by_address(&gateway, addresses()), first);
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 2, "addresses are spread");
}

#[test]
fn by_ip_cookie_a_valid_cookie_beats_the_address() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let gateway = Gateway::start(&shop(&[&a, &b]).by_address());
    let home = gateway.fetch(&get("/").with("X-Forwarded-For", "203.0.113.0"));
    assert_eq!(home.outcome(), "created:no_cookie");
    let elsewhere = (1..100)
        .map(|last| format!("203.0.113.{last}"))
        .find(|address| {
            gateway.fetch(&get("/").with("X-Forwarded-For", address)).served_by()
                != home.served_by()
        })
        .expect("an address that lands elsewhere");
    let roaming =
        gateway.fetch(&get("/").with("X-Forwarded-For", elsewhere).with("Cookie", home.cookie()));
    assert_eq!((roaming.served_by(), roaming.outcome()), (home.served_by(), "kept".into()));
}

#[test]
fn a_pool_that_steers_by_hash_sends_an_address_to_one_endpoint() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let file = shop(&[&a, &b]).by_address().set("load_balancer.session_affinity", "cookie");
    let gateway = Gateway::start(&file.set("pools.0.origin_steering.policy", "hash"));
    let addresses = || (0..16).map(|last| format!("2001:db8:0:{last:x}::1"));
    let first = served_by_address(&gateway, addresses());
    assert_eq!(served_by_address(&gateway, addresses()), first);
    let neighbours = (0..16).map(|last| format!("2001:db8:0:{last:x}:ffff::2"));
    assert_eq!(
        served_by_address(&gateway, neighbours),
        first,
        "the first 64 bits tell IPv6 clients apart"
    );
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 2, "addresses are spread");
}

#[test]
fn a_pool_that_steers_by_least_outstanding_requests_avoids_the_busy_endpoint() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let gateway = Gateway::start(
        &shop(&[&a, &b]).set("pools.0.origin_steering.policy", "least_outstanding_requests"),
    );
    let session = gateway.browser_at("a");
    let (gate, before) = (Gate::new(), a.count());
    a.answers(Answer::Gated(gate.clone()));
    let mut busy: Vec<_> = (0..19).map(|_| Connection::open(gateway.address)).collect();
    for connection in &mut busy {
        connection.send(&get("/").with("Cookie", session.cookies()));
    }
    crate::support::wait_until("19 requests at a", || a.count() == before + 19);
    let (mut waiting, busy_before) = (Vec::new(), a.count());
    for _ in 0..20 {
        let before = (a.count(), b.count());
        let mut visit = Connection::open(gateway.address);
        visit.send(&get("/"));
        crate::support::wait_until("the request at either", || (a.count(), b.count()) != before);
        match b.count() > before.1 {
            true => visit.response().assert_ok(),
            false => waiting.push(visit),
        }
    }
    assert!(
        a.count() < busy_before + 8,
        "{} of 20 at a, where 19 are waiting",
        a.count() - busy_before
    );
    gate.open();
    for mut connection in busy.into_iter().chain(waiting) {
        connection.response().assert_ok();
    }
}

#[test]
fn by_header_the_same_value_comes_back_and_no_cookie_is_set() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let gateway = Gateway::start(&shop(&[&a, &b]).by_headers(&["x-user"]));
    let mut served = BTreeSet::new();
    for user in 0..16 {
        let request = get("/").with("X-User", format!("user-{user}"));
        let first = gateway.fetch(&request);
        assert_eq!(first.outcome(), "created:no_record");
        let second = gateway.fetch(&request);
        assert_eq!((second.served_by(), second.outcome()), (first.served_by(), "kept".into()));
        assert!(!first.head.has("set-cookie") && !second.head.has("set-cookie"));
        served.insert(first.served_by());
    }
    assert_eq!(served.len(), 2, "users are spread");
}

#[test]
fn by_header_a_request_without_the_header_is_unbound() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let gateway = Gateway::start(&shop(&[&a, &b]).by_headers(&["x-user"]));
    let mut served = BTreeSet::new();
    for request in [get("/"), get("/").with("X-User", "")].iter().cycle().take(40) {
        let response = gateway.fetch(request);
        assert_eq!(response.outcome(), "unbound");
        served.insert(response.served_by());
    }
    assert_eq!(served.len(), 2, "steering chooses every time");
    assert_eq!(gateway.state()["store"]["sessions"], 0);
}

#[test]
fn by_header_adding_removing_or_changing_one_makes_a_new_session() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]).by_headers(&["x-user", "x-tenant"]));
    let outcome = |user: &str, tenant: &str| {
        let request = [("X-User", user), ("X-Tenant", tenant)]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .fold(get("/"), |request, (name, value)| request.with(name, value));
        gateway.fetch(&request).outcome()
    };
    for (user, tenant) in
        [("ann", ""), ("", "ann"), ("ann", "acme"), ("acme", "ann"), ("annacme", "")]
    {
        assert_eq!(outcome(user, tenant), "created:no_record", "{user} {tenant}");
        assert_eq!(outcome(user, tenant), "kept", "{user} {tenant}");
    }
    assert_eq!(gateway.state()["store"]["sessions"], 5);
}

#[test]
fn by_header_with_require_all_headers_one_alone_is_unbound() {
    let a = Endpoint::start("a");
    let file =
        shop(&[&a]).by_headers(&["x-user", "x-tenant"]).attribute("require_all_headers", true);
    let gateway = Gateway::start(&file);
    assert_eq!(gateway.fetch(&get("/").with("X-User", "ann")).outcome(), "unbound");
    let both = get("/").with("X-Tenant", "acme").with("X-User", "ann");
    assert_eq!(gateway.fetch(&both).outcome(), "created:no_record");
    assert_eq!(gateway.fetch(&both).outcome(), "kept");
}

#[test]
fn by_header_an_entry_can_name_cookies() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let gateway = Gateway::start(&shop(&[&a, &b]).by_headers(&["cookie:sid,tid"]));
    let outcome = |cookies: &str| gateway.fetch(&get("/").with("Cookie", cookies)).outcome();
    assert_eq!(outcome("sid=1; theme=dark"), "created:no_record");
    assert_eq!(outcome("theme=light; sid=1"), "kept", "other cookies do not matter");
    assert_eq!(outcome("sid=1; tid=2"), "created:no_record");
    assert_eq!(outcome("tid=2; sid=1"), "kept", "nor does the order");
    assert_eq!(outcome("sid=2"), "created:no_record");
    assert_eq!(outcome("theme=dark"), "unbound");
}

#[test]
fn by_header_the_entry_cookie_is_all_cookies_but_ours() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]).by_headers(&["cookie"]));
    let outcome = |cookies: &str| gateway.fetch(&get("/").with("Cookie", cookies)).outcome();
    assert_eq!(outcome("sid=1; theme=dark"), "created:no_record");
    assert_eq!(outcome("sid=1; __cflb=anything; theme=dark"), "kept");
    assert_eq!(outcome("sid=1"), "created:no_record");
    assert_eq!(outcome("__cflb=anything"), "unbound");
}

#[test]
fn with_none_requests_are_unbound_and_spread() {
    for (affinity, name) in [
        (serde_json::json!("none"), "none"),
        ("".into(), "empty"),
        (serde_json::Value::Null, "null"),
    ] {
        let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
        let gateway =
            Gateway::start(&shop(&[&a, &b]).set("load_balancer.session_affinity", affinity));
        let mut served = BTreeSet::new();
        for _ in 0..40 {
            let response = gateway.visit();
            assert_eq!(response.outcome(), "unbound", "{name}");
            assert_eq!(response.set_cookie(), None, "{name}");
            served.insert(response.served_by());
        }
        assert_eq!(served.len(), 2, "{name}");
    }
}
