//! One session, shown, ended and pinned elsewhere by the administrator.

use serde_json::{Value, json};
use session_affinity::EndpointId;

use crate::support::{Endpoint, Gateway, Request, get, shop};

fn of(user: &str) -> Request {
    get("/").with("X-User", user)
}

fn find(gateway: &Gateway, bearer: Value) -> (u16, Value) {
    gateway.admin("POST", "/sessions/find", &bearer.to_string())
}

/// A gateway of header sessions, and the one of this user.
fn by_user(endpoints: &[&Endpoint], user: &str) -> (Gateway, String) {
    let gateway = Gateway::start(&shop(endpoints).by_headers(&["x-user"]));
    gateway.fetch(&of(user)).assert_ok();
    let (status, found) = find(&gateway, json!({ "headers": { "X-User": user } }));
    assert_eq!(status, 200, "{found}");
    let key = found["key"].as_str().expect("a key").to_owned();
    (gateway, format!("/sessions/{key}"))
}

#[test]
fn a_cookie_is_opened_and_not_repeated() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let gateway = Gateway::start(&shop(&[&a, &b]).set("load_balancer.session_affinity_ttl", 1_800));
    let visit = gateway.visit();
    let (named, origin) = (visit.cookie(), visit.served_by());
    let token = named.strip_prefix("__cflb=").expect("a name");
    for cookie in [token, &named] {
        let (status, found) = find(&gateway, json!({ "cookie": cookie }));
        assert_eq!(status, 200, "{found}");
        let issued = found["issued"].as_u64().expect("a time");
        let endpoint = EndpointId::new("eu", &origin).to_string();
        assert_eq!(
            found,
            json!({
                "key": null, "endpoint": endpoint, "pool": "eu", "origin": origin,
                "issued": issued, "ends": issued + 1_800
            })
        );
        assert!(issued <= gateway.clock());
    }
    let (status, found) = find(&gateway, json!({ "headers": { "cookie": ["x=y", named] } }));
    assert_eq!((status, &found["origin"]), (200, &json!(origin)));
    assert_eq!(gateway.counted("kept"), 0, "the session was not used by it");
}

#[test]
fn a_cookie_that_is_none_is_told_why_and_not_repeated() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]).set("load_balancer.session_affinity_ttl", 1_800));
    let cookie = gateway.visit().cookie();
    let mut forged = cookie.clone().into_bytes();
    forged[40] = if forged[40] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).expect("ASCII");
    let refuses = |bearer: Value, why: &str| {
        let (status, answer) = find(&gateway, bearer.clone());
        let error = answer["error"].as_str().expect("an error");
        assert_eq!((status, error.contains(why)), (404, true), "{bearer}: {answer}");
        assert!(!error.contains("__cflb") && !error.contains(&cookie[7..20]), "{answer}");
    };
    refuses(json!({ "cookie": forged }), "the token's tag does not fit");
    refuses(json!({ "cookie": "short" }), "malformed");
    refuses(json!({ "headers": { "x-user": "1" } }), "carries none");
    gateway.set_clock(1_801);
    refuses(json!({ "cookie": cookie }), "expired");
    assert!(gateway.errors().iter().all(|line| !line.contains(&cookie[7..20])), "none is logged");
}

#[test]
fn a_session_of_the_store_is_shown_by_its_headers_and_by_its_key() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let (gateway, path) = by_user(&[&a, &b], "ann");
    let (_, by_headers) = find(&gateway, json!({ "headers": { "x-user": ["ann"] } }));
    let (status, by_key) = gateway.admin("GET", &path, "");
    assert_eq!((status, &by_key), (200, &by_headers));
    let issued = by_key["issued"].as_u64().expect("a time");
    assert_eq!(by_key["ends"], issued + 1_800);
    assert_eq!(by_key["origin"], gateway.fetch(&of("ann")).served_by());
    assert!(!by_key.to_string().contains("ann"));
    let (status, answer) = find(&gateway, json!({ "headers": { "x-user": "bob" } }));
    assert_eq!(
        (status, &answer["error"]),
        (404, &json!("there is no session: the store has none of this key"))
    );
    let (status, answer) = find(&gateway, json!({ "headers": { "x-other": "bob" } }));
    assert_eq!(
        (status, &answer["error"]),
        (404, &json!("there is no session: such a request can have none"))
    );
}

#[test]
fn a_session_of_the_store_that_is_ended_begins_again() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let (gateway, path) = by_user(&[&a, &b], "ann");
    let (status, ended) = gateway.admin("DELETE", &path, "");
    assert_eq!((status, &ended["ended"]), (200, &json!(true)), "{ended}");
    assert_eq!(gateway.admin("GET", &path, "").0, 404);
    assert_eq!(gateway.admin("DELETE", &path, "").0, 404);
    assert_eq!(gateway.fetch(&of("ann")).outcome(), "created:no_record");
}

#[test]
fn a_session_of_the_store_is_pinned_to_another_endpoint_and_stays_there() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let (gateway, path) = by_user(&[&a, &b], "ann");
    let home = gateway.fetch(&of("ann")).served_by();
    let other = if home == "a" { "b" } else { "a" };
    gateway.set_clock(100);
    let placed = gateway.change("PATCH", &path, &json!({ "pool": "eu", "origin": other }));
    assert_eq!(placed["origin"], other);
    assert!(placed["issued"].as_u64() >= Some(gateway.clock() - 1), "a re-pin is a new session");
    for _ in 0..3 {
        let kept = gateway.fetch(&of("ann"));
        assert_eq!((kept.served_by(), kept.outcome()), (other.into(), "kept".into()));
    }
}

/// It would be called drained while the session that was put there has not ended.
#[test]
fn a_drain_knows_of_a_session_that_was_pinned_there_and_not_used_since() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let file = shop(&[&a, &b]).by_headers(&["x-user"]).attribute("drain_duration", 10_000);
    let gateway = Gateway::start(&file.set("load_balancer.session_affinity_ttl", 60));
    // By now the gateway knows all sessions that have not idled out.
    gateway.set_clock(1_000);
    let user = (0..).map(|user| format!("user-{user}"));
    let user = user.into_iter().find(|user| gateway.fetch(&of(user)).served_by() == "b");
    let (_, found) = find(&gateway, json!({ "headers": { "x-user": user } }));
    let path = format!("/sessions/{}", found["key"].as_str().expect("a key"));
    gateway.set_clock(1_040);
    let placed = gateway.change("PATCH", &path, &json!({ "pool": "eu", "origin": "a" }));
    gateway.set_clock(1_045);
    gateway.patch("/pools/eu/origins/a", json!({ "enabled": false }));
    let (_, drain) = gateway.admin("GET", "/drain/eu/a", "");
    assert_eq!((&drain["drained"], &drain["sessions_end_by"]), (&json!(false), &placed["ends"]));
}

#[test]
fn a_session_goes_to_no_endpoint_that_would_not_keep_it() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let (gateway, path) = by_user(&[&a, &b], "ann");
    let before = gateway.admin("GET", &path, "").1;
    for change in [json!({ "enabled": false }), json!({ "healthy": false })] {
        gateway.patch("/pools/eu/origins/b", change);
        let (status, answer) =
            gateway.admin("PATCH", &path, &json!({ "pool": "eu", "origin": "b" }).to_string());
        assert_eq!(status, 409, "{answer}");
        gateway.patch("/pools/eu/origins/b", json!({ "enabled": true, "healthy": true }));
    }
    for (body, status) in [
        (r#"{"pool": "eu", "origin": "c"}"#, 404),
        (r#"{"pool": "us", "origin": "a"}"#, 404),
        (r#"{"pool": "eu"}"#, 400),
        (r#"{"pool": "eu", "origin": "a", "colour": 1}"#, 400),
        ("{}", 400),
    ] {
        assert_eq!(gateway.admin("PATCH", &path, body).0, status, "{body}");
    }
    let nobody = format!("/sessions/{}", "0".repeat(32));
    let place = json!({ "pool": "eu", "origin": "a" }).to_string();
    assert_eq!(gateway.admin("PATCH", &nobody, &place).0, 404, "it makes no session");
    assert_eq!(gateway.admin("GET", &path, "").1, before);
}

#[test]
fn a_session_that_the_client_keeps_is_not_changed_and_the_error_says_what_to_do() {
    let a = Endpoint::start("a");
    let plain = shop(&[&a]);
    let by_header = plain.clone().set("carrier", json!({ "header": "x-session" }));
    let nothing = plain.clone().set("load_balancer.session_affinity", "none");
    let place = json!({ "pool": "eu", "origin": "a" }).to_string();
    for (file, says) in [
        (plain, "live in a cookie of the client"),
        (by_header, "live in a header of the client"),
        (nothing, "keeps no sessions"),
    ] {
        let gateway = Gateway::start(&file);
        let token = "A".repeat(48);
        for (method, body) in [("GET", ""), ("DELETE", ""), ("PATCH", &*place)] {
            for key in ["0".repeat(32), token.clone()] {
                let (status, answer) = gateway.admin(method, &format!("/sessions/{key}"), body);
                let error = answer["error"].as_str().expect("an error");
                assert_eq!((status, error.contains(says)), (409, true), "{method}: {answer}");
                assert!(!error.contains(&token));
            }
        }
    }
}

#[test]
fn what_is_wrong_is_refused_and_not_repeated() {
    let a = Endpoint::start("a");
    let (gateway, path) = by_user(&[&a], "ann");
    let secret = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTA";
    for (method, path, body, status) in [
        ("GET", "/sessions", String::new(), 404),
        ("GET", "/sessions/find", String::new(), 405),
        ("POST", &*path, "{}".into(), 405),
        ("PUT", &path, "{}".into(), 405),
        ("GET", &format!("/sessions/{secret}"), String::new(), 400),
        ("GET", &format!("{path}/more"), String::new(), 404),
        ("POST", "/sessions/find", "{}".into(), 400),
        ("POST", "/sessions/find", format!(r#"{{"cookie": "{secret}"}}"#), 400),
        ("POST", "/sessions/find", format!(r#"{{"cookie": ["{secret}"]}}"#), 400),
        ("POST", "/sessions/find", format!(r#"{{"__cflb={secret}": 1}}"#), 400),
        ("POST", "/sessions/find", format!(r#"{{"headers": {{"{secret}": [1,}}}}"#), 400),
        ("POST", "/sessions/find", r#"{"cookie": "a", "headers": {}}"#.into(), 400),
        ("POST", "/sessions/find", format!(r#"{{"headers": "{secret}"}}"#), 400),
        (
            "POST",
            "/sessions/find",
            format!(r#"{{"headers": {{"x-user": {{"{secret}": 1}}}}}}"#),
            400,
        ),
        ("POST", "/sessions/find", format!(r#"{{"headers": {{"x-user": "{secret}\n"}}}}"#), 400),
        ("POST", "/sessions/find", format!(r#"{{"headers": {{"{secret} ": "x"}}}}"#), 400),
    ] {
        let (answered, answer) = gateway.admin(method, path, &body);
        assert_eq!(answered, status, "{method} {path} {body}: {answer}");
        assert!(!answer.to_string().contains(secret), "{answer}");
    }
    assert_eq!(gateway.admin("GET", &path, "").0, 200);
}
