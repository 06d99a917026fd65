//! What outlives the gateway's process.

use serde_json::json;

use crate::support::{Endpoint, Gateway, SECRETS, get, shop};

#[test]
fn cookie_sessions_survive_a_restart_with_the_same_keys() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let file = shop(&[&a, &b]);
    let sessions: Vec<_> = {
        let gateway = Gateway::start(&file);
        (0..8).map(|_| gateway.visit()).collect()
    };
    let gateway = Gateway::start(&file);
    for session in sessions {
        let next = gateway.revisit(&session.cookie());
        assert_eq!((next.served_by(), next.outcome()), (session.served_by(), "kept".into()));
    }
}

#[test]
fn a_session_of_an_endpoint_that_is_gone_from_the_file_moves() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let cookies = Gateway::start(&shop(&[&a, &b])).browser_at("a").cookies();
    let moved = Gateway::start(&shop(&[&b])).revisit(&cookies);
    assert_eq!((moved.served_by(), moved.outcome()), ("b".into(), "moved:removed".into()));
    assert!(moved.set_cookie().is_some());
}

#[test]
fn a_session_is_pinned_to_a_name_and_not_to_an_address() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let cookies = Gateway::start(&shop(&[&a, &b])).browser_at("a").cookies();
    let moved_house = Endpoint::start("a");
    a.go_down();
    let kept = Gateway::start(&shop(&[&b, &moved_house])).revisit(&cookies);
    assert_eq!((kept.served_by(), kept.outcome()), ("a".into(), "kept".into()));
    assert_eq!(moved_house.count(), 1);
}

#[test]
fn a_key_that_is_gone_from_the_file_refuses_its_sessions() {
    let a = Endpoint::start("a");
    let file = shop(&[&a]);
    let cookie = Gateway::start(&file).visit().cookie();
    let gateway = Gateway::start(&file.set("keys", json!([{ "id": 1, "secret": SECRETS[0] }])));
    assert_eq!(gateway.revisit(&cookie).outcome(), "created:unknown_key");
}

#[test]
fn header_sessions_land_where_they_were_although_the_store_is_empty() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let file = shop(&[&a, &b]).by_headers(&["x-user"]);
    let served = || -> Vec<_> {
        let gateway = Gateway::start(&file);
        let of = |user| gateway.fetch(&get("/").with("X-User", format!("user-{user}")));
        (0..12).map(of).map(|response| (response.served_by(), response.outcome())).collect()
    };
    let before = served();
    assert!(before.iter().all(|(_, outcome)| outcome == "created:no_record"));
    assert_eq!(served(), before, "the session key seeds the choice");
}
