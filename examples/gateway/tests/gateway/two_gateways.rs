//! Gateways that share keys share sessions, without talking to each other.

use serde_json::json;

use crate::support::{Endpoint, Gateway, get, shop};

#[test]
fn two_gateways_with_the_same_keys_accept_each_others_cookies() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let gateways = [Gateway::start(&shop(&[&a, &b])), Gateway::start(&shop(&[&b, &a]))];
    for round in 0..8 {
        let first = gateways[round % 2].visit();
        let next = gateways[(round + 1) % 2].revisit(&first.cookie());
        assert_eq!((next.served_by(), next.outcome()), (first.served_by(), "kept".into()));
    }
}

#[test]
fn the_cookie_of_another_load_balancer_is_forged() {
    let a = Endpoint::start("a");
    let other = Gateway::start(&shop(&[&a]).set("load_balancer.name", "blog.example.com"));
    let gateway = Gateway::start(&shop(&[&a]));
    assert_eq!(gateway.revisit(&other.visit().cookie()).outcome(), "created:forged");
}

#[test]
fn the_cookie_of_another_name_is_forged() {
    let a = Endpoint::start("a");
    let other = Gateway::start(&shop(&[&a]).set("cookie.name", "elsewhere"));
    let line = other.visit().head.get("set-cookie").expect("a cookie");
    let token = line.split(['=', ';']).nth(1).expect("a token");
    assert_eq!(
        Gateway::start(&shop(&[&a])).revisit(&format!("__cflb={token}")).outcome(),
        "created:forged"
    );
}

#[test]
fn two_gateways_choose_the_same_endpoint_for_a_header_session() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let gateways = [(); 2].map(|()| Gateway::start(&shop(&[&a, &b]).by_headers(&["x-user"])));
    for user in 0..12 {
        let request = get("/").with("X-User", format!("user-{user}"));
        assert_eq!(
            gateways[0].fetch(&request).served_by(),
            gateways[1].fetch(&request).served_by()
        );
    }
}

#[test]
fn two_gateways_choose_the_same_endpoint_for_an_address() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let gateways = [(); 2].map(|()| Gateway::start(&shop(&[&a, &b]).by_address()));
    for last in 0..12 {
        let request = get("/").with("X-Forwarded-For", format!("203.0.113.{last}"));
        assert_eq!(
            gateways[0].fetch(&request).served_by(),
            gateways[1].fetch(&request).served_by()
        );
    }
}

#[test]
fn two_gateways_move_a_session_to_the_same_endpoint() {
    let endpoints = ["a", "b", "c", "d"].map(Endpoint::start);
    let gateways = [(); 2].map(|()| Gateway::start(&shop(&endpoints.each_ref())));
    let sessions: Vec<_> = (0..6).map(|_| gateways[0].browser_at("a").cookies()).collect();
    for gateway in &gateways {
        gateway.patch("/pools/eu/origins/a", json!({ "healthy": false }));
    }
    for cookies in sessions {
        let moved = gateways.each_ref().map(|gateway| gateway.revisit(&cookies));
        assert_eq!(moved[0].outcome(), "moved:unhealthy");
        assert_eq!(moved[0].served_by(), moved[1].served_by());
    }
}
