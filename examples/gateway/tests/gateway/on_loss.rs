//! A live session whose endpoint a health check has taken out: it moves, is lent, or is refused.

use serde_json::json;

use crate::support::{Browser, Endpoint, Gateway, get, shop};

fn set_health(gateway: &Gateway, endpoint: &str, healthy: bool) {
    gateway.patch(&format!("/pools/eu/origins/{endpoint}"), json!({ "healthy": healthy }));
}

/// Two endpoints, of which `a` has the browser's session and is unhealthy now.
fn lost(on_loss: Option<&str>, mode: &str) -> (Gateway, Browser, [Endpoint; 2]) {
    let endpoints = [Endpoint::start("a"), Endpoint::start("b")];
    let mut file = shop(&[&endpoints[0], &endpoints[1]]).failover(mode);
    if let Some(on_loss) = on_loss {
        file = file.set("on_loss", on_loss);
    }
    let gateway = Gateway::start(&file);
    let browser = gateway.browser_at("a");
    set_health(&gateway, "a", false);
    (gateway, browser, endpoints)
}

#[test]
fn by_default_a_session_moves_and_stays_where_it_went() {
    for on_loss in [None, Some("move")] {
        let (gateway, mut browser, _endpoints) = lost(on_loss, "temporary");
        let moved = browser.get("/");
        assert_eq!((moved.served_by(), moved.outcome()), ("b".into(), "moved:unhealthy".into()));
        assert!(moved.set_cookie().is_some());
        set_health(&gateway, "a", true);
        let kept = browser.get("/");
        assert_eq!((kept.served_by(), kept.outcome()), ("b".into(), "kept".into()));
    }
}

#[test]
fn a_session_that_is_lent_comes_home_when_its_endpoint_is_healthy_again() {
    for mode in ["none", "temporary", "sticky"] {
        let (gateway, mut browser, _endpoints) = lost(Some("lend"), mode);
        for _ in 0..3 {
            let lent = browser.get("/");
            assert_eq!((lent.served_by(), lent.outcome()), ("b".into(), "lent:unhealthy".into()));
            assert_eq!(lent.set_cookie(), None, "the pin is unchanged");
        }
        set_health(&gateway, "a", true);
        let back = browser.get("/");
        assert_eq!((back.served_by(), back.outcome()), ("a".into(), "kept".into()), "{mode}");
        assert_eq!(gateway.counted("lent:unhealthy"), 3);
    }
}

#[test]
fn a_session_that_is_refused_gets_503_and_the_same_cookie_works_when_its_endpoint_is_back() {
    for mode in ["none", "temporary", "sticky"] {
        let (gateway, mut browser, [a, b]) = lost(Some("refuse"), mode);
        let asked = (a.count(), b.count());
        for _ in 0..3 {
            let refused = browser.get("/");
            assert_eq!((refused.status, refused.outcome()), (503, "lost:unhealthy".into()));
            assert!(!refused.head.has("set-cookie"), "{refused:?}");
            let kind = refused.head.get("content-type").expect("a body");
            assert!(kind.starts_with("text/plain"), "{refused:?}");
            assert_eq!(refused.text(), "the endpoint of this session is not available\n");
        }
        assert_eq!((a.count(), b.count()), asked, "no endpoint is asked");
        assert_eq!(gateway.counted("lost:unhealthy"), 3);
        // Others are served.
        assert_eq!(gateway.visit().served_by(), "b");
        set_health(&gateway, "a", true);
        let back = browser.get("/");
        assert_eq!((back.served_by(), back.outcome()), ("a".into(), "kept".into()), "{mode}");
    }
}

#[test]
fn a_refused_connection_of_a_lent_session_is_by_the_failover_mode() {
    let (_gateway, mut browser, [_a, b]) = lost(Some("lend"), "none");
    b.go_down();
    let gave_up = browser.get("/");
    assert_eq!((gave_up.status, gave_up.outcome()), (502, "gave_up".into()));
    assert!(!gave_up.head.has("set-cookie"), "{gave_up:?}");
    b.come_back();
    assert_eq!(browser.get("/").outcome(), "lent:unhealthy");
}

#[test]
fn by_header_a_session_is_lent_or_refused_and_comes_home() {
    for (on_loss, status, outcome) in
        [("lend", 200, "lent:unhealthy"), ("refuse", 503, "lost:unhealthy")]
    {
        let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
        let file = shop(&[&a, &b]).by_headers(&["x-user"]).set("on_loss", on_loss);
        let gateway = Gateway::start(&file);
        let request = get("/").with("X-User", "ann");
        let home = gateway.fetch(&request).served_by();
        set_health(&gateway, &home, false);
        for _ in 0..2 {
            let response = gateway.fetch(&request);
            assert_eq!((response.status, response.outcome()), (status, outcome.into()));
        }
        set_health(&gateway, &home, true);
        let back = gateway.fetch(&request);
        assert_eq!((back.served_by(), back.outcome()), (home, "kept".into()), "{on_loss}");
    }
}
