//! The token in a header that the gateway issues, and a cookie that ends with the browser.

use serde_json::json;

use crate::support::{Answer, Config, Endpoint, Gateway, Response, get, shop};

const NAME: &str = "x-session-affinity";

/// A file whose tokens are in this header.
fn in_header(endpoints: &[&Endpoint]) -> Config {
    shop(endpoints).set("carrier", json!({ "header": "X-Session-Affinity" }))
}

/// The token that a response issues.
#[track_caller]
fn token(response: &Response) -> String {
    let values = response.head.all(NAME);
    assert!(values.len() == 1 && values[0].len() == 48, "{response:?}");
    values[0].clone()
}

#[test]
fn a_session_in_a_header_is_created_kept_and_stripped() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let gateway = Gateway::start(&in_header(&[&a, &b]));
    let first = gateway.visit();
    assert_eq!(first.outcome(), "created:no_header");
    assert!(!first.head.has("set-cookie"));
    assert_eq!(first.head.get("cache-control").as_deref(), Some("private"));
    let token = token(&first);
    for name in [NAME, "X-Session-Affinity"] {
        for _ in 0..6 {
            let next = gateway.fetch(&get("/").with(name, &token).with("Cookie", "theme=dark"));
            assert_eq!((next.served_by(), next.outcome()), (first.served_by(), "kept".into()));
            assert!(!next.head.has(NAME), "a kept session writes nothing");
        }
    }
    for seen in a.seen().iter().chain(&b.seen()) {
        assert!(!seen.head.has(NAME), "{seen:?}");
        assert!(seen.head.get("cookie").is_none_or(|cookie| cookie == "theme=dark"));
    }
}

#[test]
fn tokens_that_are_forged_or_of_another_carrier_begin_a_session() {
    let a = Endpoint::start("a");
    let cookie = Gateway::start(&shop(&[&a])).visit().cookie();
    let (_, of_cookie) = cookie.split_once('=').expect("a pair");
    let gateway = Gateway::start(&in_header(&[&a]));
    let good = token(&gateway.visit());
    let ask = |value: &str| {
        let response = gateway.fetch(&get("/").with(NAME, value));
        if response.outcome() != "kept" {
            token(&response);
        }
        response.outcome()
    };
    assert_eq!(ask(&good), "kept");
    assert_eq!(ask(of_cookie), "created:forged");
    let other = if good.ends_with('A') { 'B' } else { 'A' };
    assert_eq!(ask(&format!("{}{other}", &good[..47])), "created:forged");
    assert_eq!(ask(&format!("{good}, {good}")), "created:malformed");
    // A cookie of that name, or the token as a cookie, is not read.
    let response = gateway.fetch(&get("/").with("Cookie", format!("{NAME}={good}")));
    assert_eq!(response.outcome(), "created:no_header");
    // Four lines are tried.
    let lines = |bad: usize| {
        let request = (0..bad).fold(get("/"), |request, _| request.with(NAME, "bad"));
        gateway.fetch(&request.with(NAME, &good)).outcome()
    };
    assert_eq!([lines(3), lines(4)], ["kept", "created:malformed"]);
}

#[test]
fn a_304_issues_no_header_and_what_the_endpoint_says_is_replaced() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&in_header(&[&a]));
    a.answers(Answer::Bytes(b"HTTP/1.1 304 Not Modified\r\nETag: \"e\"\r\n\r\n".to_vec()));
    let response = gateway.visit();
    assert_eq!((response.status, response.outcome()), (304, "created:no_header".into()));
    assert!(!response.head.has(NAME) && !response.head.has("cache-control"));
    let own = "HTTP/1.1 200 OK\r\nX-Session-Affinity: theirs\r\nContent-Length: 0\r\n\r\n";
    a.answers(Answer::Bytes(own.into()));
    assert_ne!(token(&gateway.visit()), "theirs");
}

#[test]
fn a_moved_session_gets_another_token_and_one_that_is_lent_none() {
    for (mode, outcome) in
        [("sticky", "moved:connect_failed"), ("temporary", "lent:connect_failed")]
    {
        let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
        let gateway = Gateway::start(&in_header(&[&a, &b]).failover(mode));
        let first = gateway.visit();
        let home = if first.served_by() == "a" { &a } else { &b };
        home.go_down();
        let next = gateway.fetch(&get("/").with(NAME, token(&first)));
        assert_eq!(next.outcome(), outcome);
        assert_ne!(next.served_by(), first.served_by());
        assert_eq!(next.head.has(NAME), mode == "sticky");
    }
}

#[test]
fn by_address_a_session_in_a_header_begins_where_its_address_points() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let gateway = Gateway::start(&in_header(&[&a, &b]).by_address());
    for number in 0..8 {
        let visit =
            || gateway.fetch(&get("/").with("X-Forwarded-For", format!("192.0.2.{number}")));
        let (one, two) = (visit(), visit());
        assert_eq!((one.outcome(), two.outcome()), {
            ("created:no_header".into(), "created:no_header".into())
        });
        assert_eq!(one.served_by(), two.served_by());
    }
}

/// The token says when it expires, so a browser that restores its windows gains nothing.
#[test]
fn a_cookie_of_the_lifetime_session_has_no_dates_and_expires_by_its_token() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]).set("cookie.lifetime", "session"));
    let first = gateway.visit();
    let line = first.set_cookie().expect("a cookie");
    assert_eq!(line, format!("{}; Path=/; HttpOnly; SameSite=Lax", first.cookie()));
    assert_eq!(gateway.revisit(&first.cookie()).outcome(), "kept");
    gateway.set_clock(82_800);
    assert_eq!(gateway.revisit(&first.cookie()).outcome(), "created:expired");
}
