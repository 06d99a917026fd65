//! The store of header sessions.

use crate::support::{Endpoint, Gateway, get, run_to_its_end, shop};

#[test]
fn live_sessions_are_counted_until_they_have_idled_out() {
    let a = Endpoint::start("a");
    let file = shop(&[&a]).by_headers(&["x-user"]).set("store", "memory");
    let gateway = Gateway::start(&file.set("load_balancer.session_affinity_ttl", 30));
    for user in 0..5 {
        gateway.fetch(&get("/").with("X-User", format!("user-{user}"))).assert_ok();
    }
    assert_eq!(gateway.state()["store"]["sessions"], 5);
    gateway.set_clock(20);
    gateway.fetch(&get("/").with("X-User", "user-0")).assert_ok();
    gateway.set_clock(45);
    assert_eq!(gateway.state()["store"]["sessions"], 1);
    gateway.set_clock(100);
    assert_eq!(gateway.state()["store"]["sessions"], 0);
}

#[test]
fn cookie_sessions_need_no_store() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]));
    gateway.visit().assert_ok();
    assert_eq!(gateway.state()["store"]["sessions"], 0);
}

#[test]
fn a_header_session_that_gave_up_was_never_stored() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]).by_headers(&["x-user"]));
    a.go_down();
    assert_eq!(gateway.fetch(&get("/").with("X-User", "ann")).status, 502);
    assert_eq!(gateway.state()["store"]["sessions"], 0);
}

#[test]
fn a_header_session_that_moved_stays_where_it_went() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let gateway = Gateway::start(&shop(&[&a, &b]).by_headers(&["x-user"]));
    let request = get("/").with("X-User", "ann");
    let home = gateway.fetch(&request).served_by();
    let path = format!("/pools/eu/origins/{home}");
    gateway.patch(&path, serde_json::json!({ "healthy": false }));
    let moved = gateway.fetch(&request);
    assert_eq!(moved.outcome(), "moved:unhealthy");
    gateway.patch(&path, serde_json::json!({ "healthy": true }));
    let next = gateway.fetch(&request);
    assert_eq!((next.served_by(), next.outcome()), (moved.served_by(), "kept".into()));
    assert_ne!(next.served_by(), home);
}

#[test]
fn redis_needs_the_feature_and_the_error_says_so() {
    let a = Endpoint::start("a");
    let file = shop(&[&a]).by_headers(&["x-user"]).set("store", "redis://127.0.0.1:6379/0");
    let refused = run_to_its_end(Some(&file.to_string()), &[]);
    if refused.stdout.contains("listening") {
        return eprintln!("skipped: this gateway is built with Redis");
    }
    assert_eq!((refused.status, refused.stdout.as_str()), (Some(2), ""));
    assert_eq!(refused.stderr.lines().count(), 1, "{refused:?}");
    assert!(
        refused.stderr.contains("store") && refused.stderr.to_lowercase().contains("redis"),
        "{refused:?}"
    );
}
