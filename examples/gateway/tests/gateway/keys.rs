//! The keys that sign cookies: rotation, removal, and what is refused.

use serde_json::json;

use crate::support::{Endpoint, Gateway, Response, SECRETS, get, shop};

fn key_id(response: &Response) -> u8 {
    response.token()[1]
}

#[test]
fn the_first_key_signs_and_all_of_them_verify() {
    let a = Endpoint::start("a");
    let file = shop(&[&a]);
    let old = Gateway::start(&file.clone().set("keys", json!([{ "id": 1, "secret": SECRETS[0] }])))
        .visit();
    assert_eq!(key_id(&old), 1);
    let gateway = Gateway::start(&file);
    assert_eq!(key_id(&gateway.visit()), 2);
    assert_eq!(gateway.revisit(&old.cookie()).outcome(), "kept");
}

#[test]
fn a_key_that_was_added_signs_at_once_unless_told_otherwise() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]));
    let old = gateway.visit();
    gateway.change("POST", "/keys", &json!({ "id": 3, "secret": SECRETS[2] }));
    assert_eq!(key_id(&gateway.visit()), 3);
    assert_eq!(gateway.revisit(&old.cookie()).outcome(), "kept", "the others still verify");
}

#[test]
fn rotation_over_two_gateways_breaks_no_session() {
    let a = Endpoint::start("a");
    let gateways = [Gateway::start(&shop(&[&a])), Gateway::start(&shop(&[&a]))];
    let old = gateways[0].visit();
    // Added everywhere, signing nowhere.
    for gateway in &gateways {
        gateway.change("POST", "/keys", &json!({ "id": 3, "secret": SECRETS[2], "sign": false }));
        assert_eq!(key_id(&gateway.visit()), 2);
    }
    // Signing at one of them; the other one verifies already.
    for gateway in &gateways {
        gateway.change("POST", "/keys", &json!({ "id": 3, "secret": SECRETS[2], "sign": true }));
        let new = gateway.visit();
        assert_eq!(key_id(&new), 3);
        for other in &gateways {
            assert_eq!(other.revisit(&new.cookie()).outcome(), "kept");
            assert_eq!(other.revisit(&old.cookie()).outcome(), "kept");
        }
    }
    // The old one goes.
    for gateway in &gateways {
        gateway.change("DELETE", "/keys/2", &json!(null));
        let refused = gateway.revisit(&old.cookie());
        assert_eq!((refused.status, refused.outcome()), (200, "created:unknown_key".into()));
        assert_eq!(key_id(&refused), 3);
    }
}

#[test]
fn a_key_that_was_deleted_can_come_back() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]));
    let old = gateway.visit();
    gateway.change("POST", "/keys", &json!({ "id": 3, "secret": SECRETS[2] }));
    gateway.change("DELETE", "/keys/2", &json!(null));
    assert_eq!(gateway.revisit(&old.cookie()).outcome(), "created:unknown_key");
    gateway.change("POST", "/keys", &json!({ "id": 2, "secret": SECRETS[1], "sign": false }));
    assert_eq!(gateway.revisit(&old.cookie()).outcome(), "kept");
    assert_eq!(key_id(&gateway.visit()), 3);
}

#[test]
fn what_would_contradict_the_keyring_is_a_conflict_and_changes_nothing() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]));
    let old = gateway.visit();
    for (method, path, body) in [
        ("POST", "/keys", json!({ "id": 2, "secret": SECRETS[2] })),
        ("POST", "/keys", json!({ "id": 1, "secret": SECRETS[2], "sign": false })),
        ("POST", "/keys", json!({ "id": 2, "secret": SECRETS[1], "sign": false })),
        ("DELETE", "/keys/2", json!(null)),
    ] {
        let (status, answer) = gateway.admin(method, path, &body.to_string());
        assert_eq!(status, 409, "{method} {path} {body}: {answer}");
        assert!(answer["error"].is_string(), "{answer}");
        assert_eq!(key_id(&gateway.visit()), 2);
        assert_eq!(gateway.revisit(&old.cookie()).outcome(), "kept");
    }
}

#[test]
fn the_same_key_again_changes_nothing() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]));
    let old = gateway.visit();
    gateway.change("POST", "/keys", &json!({ "id": 2, "secret": SECRETS[1] }));
    gateway.change("POST", "/keys", &json!({ "id": 1, "secret": SECRETS[0], "sign": false }));
    assert_eq!(key_id(&gateway.visit()), 2);
    assert_eq!(gateway.revisit(&old.cookie()).outcome(), "kept");
}

#[test]
fn rotation_moves_no_address_to_another_endpoint() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let gateway = Gateway::start(&shop(&[&a, &b]).by_address());
    let served = || -> Vec<_> {
        let of = |last| {
            gateway
                .fetch(&get("/").with("X-Forwarded-For", format!("203.0.113.{last}")))
                .served_by()
        };
        (0..16).map(of).collect()
    };
    let before = served();
    gateway.change("POST", "/keys", &json!({ "id": 3, "secret": SECRETS[2] }));
    gateway.change("DELETE", "/keys/2", &json!(null));
    assert_eq!(served(), before);
}

#[test]
fn key_changes_leave_header_sessions_alone() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]).by_headers(&["x-user"]).without("session_secret"));
    let request = get("/").with("X-User", "ann");
    assert_eq!(gateway.fetch(&request).outcome(), "created:no_record");
    gateway.change("POST", "/keys", &json!({ "id": 3, "secret": SECRETS[2] }));
    gateway.change("DELETE", "/keys/1", &json!(null));
    gateway.change("DELETE", "/keys/2", &json!(null));
    assert_eq!(gateway.fetch(&request).outcome(), "kept");
}

#[test]
fn without_a_session_secret_there_is_a_warning() {
    let a = Endpoint::start("a");
    let file = shop(&[&a]).by_headers(&["x-user"]);
    let told = Gateway::start(&file.clone().without("session_secret"));
    crate::support::wait_until("a warning", || {
        told.errors().iter().any(|line| line.contains("session_secret"))
    });
    assert_eq!(Gateway::start(&file).errors(), [""; 0]);
}

#[test]
fn without_keys_there_is_a_random_one_and_a_warning() {
    let a = Endpoint::start("a");
    let file = shop(&[&a]).without("keys");
    let gateways = [Gateway::start(&file), Gateway::start(&file)];
    for gateway in &gateways {
        crate::support::wait_until("a warning", || {
            gateway.errors().iter().any(|line| line.contains("keys"))
        });
        assert_eq!(gateway.errors().len(), 1, "{:?}", gateway.errors());
    }
    let cookie = gateways[0].visit().cookie();
    assert_eq!(gateways[0].revisit(&cookie).outcome(), "kept");
    let other = gateways[1].revisit(&cookie).outcome();
    assert!(["created:forged", "created:unknown_key"].contains(&other.as_str()), "{other}");
}
