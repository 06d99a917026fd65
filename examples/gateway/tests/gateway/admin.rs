//! The admin listener: what it shows and what it refuses.

use serde_json::{Value, json};

use crate::support::{Connection, Endpoint, Gateway, SECRETS, get, request, shop, shop_of_pools};

/// The names in an object, in alphabetical order.
fn names(object: &Value) -> Vec<&str> {
    let mut names: Vec<_> =
        object.as_object().expect("an object").keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// The state, but for its clock.
fn state(gateway: &Gateway) -> Value {
    let mut state = gateway.state();
    state["clock"] = Value::Null;
    state
}

#[test]
fn state_has_the_shape_that_is_documented() {
    let (a, b) = (Endpoint::start("eu-1"), Endpoint::start("us-1"));
    let file = shop_of_pools(&[("eu", &[&a]), ("us", &[&b])]).set("pools.1.minimum_origins", 0);
    let gateway = Gateway::start(&file.set("pools.1.origins.0.weight", 0.25));
    gateway.patch("/pools/us", json!({ "enabled": false }));
    let mut browser = gateway.browser();
    browser.get("/");
    browser.get("/");
    gateway.visit();
    let state = gateway.state();
    assert_eq!(names(&state), ["clock", "outcomes", "pools", "store"]);
    assert!(state["clock"].is_u64());
    assert_eq!(state["store"], json!({ "sessions": 0 }));
    assert_eq!(state["outcomes"]["kept"], 1);
    assert_eq!(state["outcomes"]["created:no_cookie"], 2);
    let (eu, us) = (&state["pools"][0], &state["pools"][1]);
    for pool in [eu, us] {
        // `load_shedding` can be changed, so it may be shown too.
        let shown: Vec<_> =
            names(pool).into_iter().filter(|name| *name != "load_shedding").collect();
        assert_eq!(shown, ["disabled_at", "enabled", "id", "minimum_origins", "origins"]);
    }
    assert_eq!(
        (&eu["id"], &eu["enabled"], &eu["disabled_at"]),
        (&json!("eu"), &json!(true), &Value::Null)
    );
    assert_eq!(
        (&us["id"], &us["enabled"], &us["minimum_origins"]),
        (&json!("us"), &json!(false), &json!(0))
    );
    assert!(us["disabled_at"].is_u64());
    let origin = &eu["origins"][0];
    assert_eq!(names(origin), ["disabled_at", "enabled", "healthy", "name", "requests", "weight"]);
    assert_eq!((&origin["name"], &origin["requests"]), (&json!("eu-1"), &json!(3)));
    assert_eq!((&origin["healthy"], &origin["enabled"]), (&json!(true), &json!(true)));
    assert_eq!(origin["weight"].as_f64(), Some(1.0));
    assert_eq!(us["origins"][0]["weight"].as_f64(), Some(0.25));
}

#[test]
fn requests_are_counted_for_the_endpoint_that_served_them() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let gateway = Gateway::start(&shop(&[&a, &b]).failover("temporary"));
    let mut pinned = gateway.browser_at("a");
    let requests =
        || ["a", "b"].map(|name| gateway.origin("eu", name)["requests"].as_u64().expect("a count"));
    let before = requests();
    assert_eq!(before, [a.count() as u64, b.count() as u64]);
    pinned.get("/");
    a.go_down();
    pinned.get("/");
    assert_eq!(requests(), [before[0] + 1, before[1] + 1]);
}

#[test]
fn a_change_shows_in_the_state_and_holds_for_the_next_request() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let gateway = Gateway::start(&shop(&[&a, &b]));
    for change in [json!({ "healthy": false }), json!({ "enabled": false }), json!({ "weight": 0 })]
    {
        gateway.patch("/pools/eu/origins/a", change.clone());
        let (name, value) =
            change.as_object().and_then(|change| change.iter().next()).expect("one");
        let origin = gateway.origin("eu", "a");
        assert!(origin[name] == *value || origin[name].as_f64() == value.as_f64(), "{origin}");
        for _ in 0..12 {
            assert_eq!(gateway.visit().served_by(), "b", "{change}");
        }
        gateway
            .patch("/pools/eu/origins/a", json!({ "healthy": true, "enabled": true, "weight": 1 }));
        assert_eq!(gateway.browser_at("a").get("/").outcome(), "kept");
    }
}

#[test]
fn changes_fail_no_request_and_every_request_is_counted() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let gateway = Gateway::start(&shop(&[&a, &b]));
    let (clients, requests) = (6, 40);
    std::thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                let mut browser = gateway.browser();
                (0..requests).for_each(|_| browser.get("/").assert_ok());
            });
        }
        for round in 0..60 {
            let name = ["a", "b"][round % 2];
            for healthy in [false, true] {
                gateway.patch(&format!("/pools/eu/origins/{name}"), json!({ "healthy": healthy }));
            }
            gateway.change("POST", "/keys", &json!({ "id": 10 + round, "secret": SECRETS[2] }));
        }
    });
    let state = gateway.state();
    let counts = state["outcomes"].as_object().expect("an object").values();
    assert_eq!(counts.filter_map(Value::as_u64).sum::<u64>(), clients * requests);
    let served = state["pools"][0]["origins"].as_array().expect("origins").iter();
    assert_eq!(
        served.filter_map(|origin| origin["requests"].as_u64()).sum::<u64>(),
        clients * requests
    );
    assert_eq!((a.count() + b.count()) as u64, clients * requests);
}

#[test]
fn what_is_wrong_is_refused_with_an_error_and_changes_nothing() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let gateway = Gateway::start(&shop(&[&a, &b]));
    let before = state(&gateway);
    let long = "MTIz";
    for (method, path, body, status) in [
        ("GET", "/", "", 404),
        ("GET", "/nothing", "", 404),
        ("GET", "/state/pools", "", 404),
        ("PATCH", "/pools", "{}", 404),
        ("PATCH", "/pools/eu/origins", "{}", 404),
        ("PATCH", "/pools/nowhere", r#"{"enabled": false}"#, 404),
        ("PATCH", "/pools/eu/origins/c", r#"{"enabled": false}"#, 404),
        ("PATCH", "/pools/us/origins/a", r#"{"enabled": false}"#, 404),
        ("GET", "/drain/eu/c", "", 404),
        ("GET", "/drain/us/a", "", 404),
        ("GET", "/drain/eu", "", 404),
        ("GET", "/census/eu/c", "", 404),
        ("GET", "/census/us/a", "", 404),
        ("GET", "/census/eu", "", 404),
        ("DELETE", "/keys/9", "", 404),
        ("POST", "/state", "{}", 405),
        ("DELETE", "/state", "", 405),
        ("GET", "/pools/eu", "", 405),
        ("PUT", "/pools/eu", r#"{"enabled": false}"#, 405),
        ("GET", "/pools/eu/origins/a", "", 405),
        ("POST", "/clock", r#"{"offset_seconds": 9}"#, 405),
        ("GET", "/clock", "", 405),
        ("GET", "/keys", "", 405),
        ("POST", "/drain/eu/a", "{}", 405),
        ("PUT", "/census/eu/a", "{}", 405),
        ("PATCH", "/pools/eu", "", 400),
        ("PATCH", "/pools/eu", "{", 400),
        ("PATCH", "/pools/eu", "[]", 400),
        ("PATCH", "/pools/eu", "null", 400),
        ("PATCH", "/pools/eu", r#"{"enabled": false, "colour": "red"}"#, 400),
        ("PATCH", "/pools/eu", r#"{"enabled": false} trailing"#, 400),
        ("PATCH", "/pools/eu", r#"{"enabled": false, "minimum_origins": -1}"#, 400),
        ("PATCH", "/pools/eu", r#"{"enabled": "no"}"#, 400),
        (
            "PATCH",
            "/pools/eu",
            r#"{"enabled": false, "load_shedding": {"default_percent": 101}}"#,
            400,
        ),
        ("PATCH", "/pools/eu", r#"{"load_shedding": {"default_policy": "coin"}}"#, 400),
        ("PATCH", "/pools/eu", r#"{"load_shedding": {"session_policy": "random"}}"#, 400),
        ("PATCH", "/pools/eu/origins/a", r#"{"enabled": false, "weight": 1.5}"#, 400),
        ("PATCH", "/pools/eu/origins/a", r#"{"healthy": false, "weight": 0.005}"#, 400),
        ("PATCH", "/pools/eu/origins/a", r#"{"weight": -1}"#, 400),
        ("PATCH", "/pools/eu/origins/a", r#"{"healthy": 0}"#, 400),
        ("PATCH", "/pools/eu/origins/a", r#"{"healthy": false, "name": "b"}"#, 400),
        ("PATCH", "/pools/eu/origins/a", r#"{"healthy": false, "address": "127.0.0.1:1"}"#, 400),
        ("PUT", "/clock", r#"{"offset_seconds": "soon"}"#, 400),
        ("PUT", "/clock", r#"{"offset_seconds": 1.5}"#, 400),
        ("PUT", "/clock", r#"{"offset": 1}"#, 400),
        ("PUT", "/clock", "{}", 400),
        ("POST", "/keys", "{}", 400),
        ("POST", "/keys", &format!(r#"{{"id": 256, "secret": "{}"}}"#, SECRETS[2]), 400),
        ("POST", "/keys", &format!(r#"{{"id": -1, "secret": "{}"}}"#, SECRETS[2]), 400),
        ("POST", "/keys", &format!(r#"{{"id": 3, "secret": "{long}"}}"#), 400),
        (
            "POST",
            "/keys",
            r#"{"id": 3, "secret": "not base64, whatever its length may be 0123456789"}"#,
            400,
        ),
        (
            "POST",
            "/keys",
            &format!(r#"{{"id": 3, "secret": "{}", "signs": true}}"#, SECRETS[2]),
            400,
        ),
    ] {
        let (answered, answer) = gateway.admin(method, path, body);
        assert_eq!(answered, status, "{method} {path} {body}: {answer}");
        assert_eq!(names(&answer), ["error"], "{method} {path} {body}");
        assert!(answer["error"].as_str().is_some_and(|error| !error.is_empty()));
        assert_eq!(state(&gateway), before, "{method} {path} {body}");
    }
    assert_eq!(gateway.visit().token()[1], 2, "the key that signs is the same");
}

#[test]
fn an_error_does_not_repeat_a_secret() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]));
    for secret in ["c2hvcnQ=", "c2VjcmV0LXRoYXQtaXMtbm90LWJhc2U2NA!!", "c2VjcmV0LXRvby1zaG9ydA=="] {
        let (status, answer) =
            gateway.admin("POST", "/keys", &json!({ "id": 3, "secret": secret }).to_string());
        assert_eq!(status, 400);
        assert!(!answer.to_string().contains(secret), "{answer}");
    }
}

#[test]
fn a_name_in_a_path_can_be_percent_encoded() {
    let a = Endpoint::start("a");
    let file = shop(&[&a]).set("pools.0.origins.0.name", "north east/1");
    let gateway = Gateway::start(&file);
    gateway.patch("/pools/eu/origins/north%20east%2F1", json!({ "healthy": false }));
    assert_eq!(gateway.origin("eu", "north east/1")["healthy"], false);
}

/// Any page that is open in an administrator's browser could send it a key.
#[test]
fn web_pages_are_not_answered() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]));
    for (field, status) in [
        ("Origin: http://evil.example", 403),
        ("Origin: null", 403),
        ("Sec-Fetch-Site: cross-site", 403),
        ("Sec-Fetch-Site: same-origin", 403),
        ("Sec-Fetch-Site: none", 200),
        ("Accept: */*", 200),
    ] {
        let mut connection = Connection::open(gateway.admin);
        connection.write(format!("GET /state HTTP/1.1\r\nHost: localhost\r\n{field}\r\n\r\n"));
        assert_eq!(connection.response().status, status, "{field}");
    }
}

/// A page whose own name points here by now (DNS rebinding) is of the same origin, and sends that name.
#[test]
fn only_requests_for_an_address_or_localhost_are_answered() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]));
    let own = gateway.admin.to_string();
    for (head, status) in [
        ("/state HTTP/1.1\r\nHost: 127.0.0.1", 200),
        (&*format!("/state HTTP/1.1\r\nHost: {own}"), 200),
        ("/state HTTP/1.1\r\nHost: [::1]:8080", 200),
        ("/state HTTP/1.1\r\nHost: LocalHost:1", 200),
        ("http://127.0.0.1/state HTTP/1.1\r\nHost: localhost", 200),
        ("/state HTTP/1.1\r\nHost: rebound.example", 403),
        ("/state HTTP/1.1\r\nHost: localhost.example", 403),
        ("/state HTTP/1.1\r\nHost: 127.0.0.1.example", 403),
        ("/state HTTP/1.1\r\nHost: user@localhost", 403),
        ("/state HTTP/1.1\r\nHost: ", 403),
        ("/state HTTP/1.1\r\nHost: localhost\r\nHost: rebound.example", 403),
        ("/state HTTP/1.1\r\nX: y", 403),
        ("/state HTTP/1.0\r\nX: y", 403),
        ("http://rebound.example/state HTTP/1.1\r\nHost: localhost", 403),
        ("http://localhost/state HTTP/1.1\r\nHost: rebound.example", 403),
    ] {
        let mut connection = Connection::open(gateway.admin);
        connection.write(format!("GET {head}\r\n\r\n"));
        assert_eq!(connection.response().status, status, "{head:?}");
    }
}

#[test]
fn a_body_without_end_is_refused() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]));
    let mut connection = Connection::open(gateway.admin);
    connection.write(
        "PATCH /pools/eu HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n",
    );
    let piece = vec![b' '; 1 << 16];
    for _ in 0..64 {
        connection.write(&piece);
    }
    // Refused, or the connection is closed: it does not wait for all of it.
    if let Ok(response) = connection.try_response(false) {
        assert!((400..500).contains(&response.status), "{response:?}");
    }
    assert_eq!(gateway.admin("GET", "/state", "").0, 200);
}

#[test]
fn the_two_listeners_are_apart() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]));
    assert_eq!(gateway.fetch(&get("/state")).served_by(), "a", "the proxy passes on every path");
    let response = Connection::open(gateway.admin)
        .exchange(&request("GET", "/state").with("Host", "localhost"));
    assert!(
        response.head.get("content-type").is_some_and(|kind| kind.starts_with("application/json"))
    );
    assert_eq!(a.count(), 1);
}
