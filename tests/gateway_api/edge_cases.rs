//! What GEP-1619 says beside its rows: failure, draining, expiry, names, shared Services.

use serde_json::json;
use session_affinity::cookies::{CookieAttributes, CookieName, SameSite, Secure};
use session_affinity::{Affinity, EndpointId, Health, State, UnixTime, Weight};

use crate::site::{Backend, Client, Gateway, Rule, name, read};
use crate::support::{NOW, keyring};

fn after(seconds: u64) -> UnixTime {
    NOW.saturating_add(seconds)
}

/// GEP-1619, "Two Routes Rules have Session Persistence to the Same Service": a session of `/a` with
/// servicev1 is none of `/b`, which goes to servicev2.
#[test]
fn a_rule_does_not_follow_the_session_of_another_rule_to_a_service_of_weight_0() {
    let rule = |path, cookie: &str, backends: &[_]| {
        Rule::new(path, json!({ "type": "Cookie", "cookie": { "name": cookie } }), backends)
    };
    let mut gateway = Gateway::new([
        rule("/a", "session-a", &[("servicev1", 1, &["v1-1", "v1-2"])]),
        rule(
            "/b",
            "session-b",
            &[("servicev1", 0, &["v1-1", "v1-2"]), ("servicev2", 100, &["v2-1"])],
        ),
    ]);
    for _ in 0..50 {
        let mut client = Client::default();
        let a = gateway.visit("/a", &mut client, NOW).pod;
        assert_eq!(gateway.visit("/b", &mut client, NOW).pod, "v2-1");
        gateway.stays(3, "/a", &client, a, NOW);
        gateway.stays(3, "/b", &client, "v2-1", NOW);
    }
}

/// manual::gateway_api, A policy of a Service: "Two rules that gave a browser a cookie of the same name
/// would overwrite each other's".
#[test]
fn rules_that_use_the_policy_of_one_service_do_not_share_or_overwrite_its_sessions() {
    let backend = read(json!({ "type": "Cookie", "cookie": { "name": "service-cookie" } }));
    let pods: &[&'static str] = &["v1-1", "v1-2", "v1-3"];
    let of = |path| {
        let own = backend.scoped_to(&name(path)).unwrap();
        Rule::of(path, &own, &[("servicev1", 1, pods)])
    };
    let mut gateway = Gateway::new([of("/a"), of("/b")]);
    let mut client = Client::default();
    let a = gateway.visit("/a", &mut client, NOW);
    let b = gateway.visit("/b", &mut client, NOW);
    assert!(a.set_cookie().starts_with("service-cookie-"), "{}", a.set_cookie());
    assert_eq!((a.label, b.label), ("created:no_cookie", "created:no_cookie"));
    gateway.stays(5, "/a", &client, a.pod, NOW);
    gateway.stays(5, "/b", &client, b.pod, NOW);

    // Without names of their own they share no session either, but each overwrites the other's.
    // manual::coming_from, YARP: "every request that changes over is `created:forged`"
    let of = |path| Rule::of(path, &backend, &[("servicev1", 1, pods)]);
    let mut gateway = Gateway::new([of("/a"), of("/b")]);
    let mut client = Client::default();
    assert_eq!(gateway.visit("/a", &mut client, NOW).label, "created:no_cookie");
    assert_eq!(gateway.visit("/b", &mut client, NOW).label, "created:forged");
    assert_eq!(gateway.visit("/a", &mut client, NOW).label, "created:forged");
}

/// manual::gateway_api, Weights: "give its endpoints the weight 0 too. Then it keeps its sessions and gets
/// no others."
#[test]
fn a_backend_of_weight_0_keeps_its_sessions_and_gets_no_others_even_where_it_is_alone() {
    let backends: [Backend<'_>; 2] = [("v1", 50, &["v1-1"]), ("v2", 50, &["v2-1"])];
    let mut gateway = Gateway::new([Rule::new("/", json!({ "cookie": {} }), &backends)]);
    let mut client = Client::default();
    while gateway.visit("/", &mut client, NOW).pod != "v1-1" {
        client = Client::default();
    }
    gateway.rules[0].reweigh(&[("v1", 0), ("v2", 100)]);
    let [v1, v2] = [EndpointId::new("v1", "v1-1"), EndpointId::new("v2", "v2-1")];
    let edited = gateway.rules[0].pools.edited(|edit| {
        edit.weight(v1, Weight::ZERO)?;
        edit.health(v2, Health::Unhealthy)
    });
    gateway.rules[0].pools = edited.unwrap();
    gateway.stays(5, "/", &client, "v1-1", NOW);
    assert!(gateway.refuses("/", &Client::default(), NOW));
}

/// GEP-1619, "Session Persistence Failure Behavior": "reestablishing session persistence with a new
/// backend".
#[test]
fn a_session_whose_pod_is_down_moves_and_stays_there() {
    let pods: &[&'static str] = &["a", "b", "c"];
    let mut gateway = Gateway::new([Rule::new("/", json!({ "cookie": {} }), &[("web", 1, pods)])]);
    let mut client = Client::default();
    let home = gateway.visit("/", &mut client, NOW).pod;
    let id = EndpointId::new("web", home);
    gateway.rules[0].pools =
        gateway.rules[0].pools.edited(|edit| edit.health(id, Health::Unhealthy)).unwrap();
    let moved = gateway.visit("/", &mut client, NOW);
    assert_eq!(moved.label, "moved:unhealthy");
    gateway.rules[0].pools =
        gateway.rules[0].pools.edited(|edit| edit.health(id, Health::Healthy)).unwrap();
    gateway.stays(10, "/", &client, moved.pod, NOW);
}

/// GEP-1619, "A Service's Selector is Dynamically Updated": "the gateway SHOULD retain existing
/// persistent sessions, even if the pod is no longer selected, and establish new persistent sessions
/// after a selector update". The pod stays in the snapshot, draining.
#[test]
fn a_pod_that_is_not_selected_any_more_keeps_its_sessions_while_it_drains() {
    let pods: &[&'static str] = &["old", "new"];
    let mut gateway = Gateway::new([Rule::new("/", json!({ "cookie": {} }), &[("web", 1, pods)])]);
    let mut client = Client::default();
    while gateway.visit("/", &mut client, NOW).pod != "old" {
        client = Client::default();
    }
    let (old, gone) = (EndpointId::new("web", "old"), State::Disabled { at: Some(NOW) });
    gateway.rules[0].pools = gateway.rules[0].pools.edited(|edit| edit.state(old, gone)).unwrap();
    gateway.stays(20, "/", &client, "old", after(599));
    for _ in 0..20 {
        assert_eq!(gateway.send("/", &Client::default(), NOW).pod, "new");
    }
    assert_eq!(gateway.send("/", &client, after(600)).label, "moved:drained");
}

/// manual::gateway_api, Lifetimes: "the token says when the session ends, and the gateway reads it".
#[test]
fn the_absolute_timeout_of_a_session_cookie_and_of_a_header_is_kept_by_the_gateway() {
    let cookie = json!({ "absoluteTimeout": "1m30s", "cookie": {} });
    let header =
        json!({ "type": "Header", "absoluteTimeout": "89s500ms", "header": { "name": "x-s" } });
    for persistence in [cookie, header] {
        let pods: &[&'static str] = &["a", "b", "c"];
        let mut gateway = Gateway::new([Rule::new("/", persistence, &[("web", 1, pods)])]);
        let mut client = Client::repeating("x-s");
        let first = gateway.visit("/", &mut client, NOW);
        gateway.stays(3, "/", &client, first.pod, after(89));
        assert_eq!(gateway.send("/", &client, after(90)).label, "created:expired");
    }
}

/// manual::gateway_api, Lifetimes: "Without `absoluteTimeout` a session has no end of its own".
#[test]
fn a_session_without_an_absolute_timeout_lasts_for_ten_years() {
    let pods: &[&'static str] = &["a", "b", "c"];
    let mut gateway = Gateway::new([Rule::new("/", json!({ "cookie": {} }), &[("web", 1, pods)])]);
    let mut client = Client::default();
    let first = gateway.visit("/", &mut client, NOW);
    gateway.stays(3, "/", &client, first.pod, after(315_359_999));
    assert_eq!(gateway.send("/", &client, after(315_360_000)).label, "created:expired");
}

/// GEP-1619, "Session Initiation Guidelines": "the implementation MUST be able to handle multiple
/// cookies".
#[test]
fn other_cookies_beside_the_own_one_do_not_matter() {
    let pods: &[&'static str] = &["a", "b", "c"];
    let mut gateway = Gateway::new([Rule::new("/", json!({ "cookie": {} }), &[("web", 1, pods)])]);
    let mut client = Client::default();
    for name in ["JSESSIONID", "_a", "~z"] {
        client.cookies.insert(name.into(), "x".into());
    }
    let first = gateway.visit("/", &mut client, NOW);
    assert_eq!(client.cookies.len(), 4);
    gateway.stays(5, "/", &client, first.pod, NOW);
}

/// manual::gateway_api, The cookie: "`HttpOnly`, `SameSite=Strict`, and `Secure` over https".
#[test]
fn the_attributes_are_those_that_the_text_recommends_unless_others_are_given() {
    let line = |policy| {
        let affinity = Affinity::new(policy);
        let pools = crate::support::pools(&["a"]);
        let headers = http::HeaderMap::new();
        let request = session_affinity::RequestMeta::new(&headers, session_affinity::Scheme::Https);
        let visit = affinity.recall(&request, NOW);
        let route = affinity.route(visit, session_affinity::Record::Absent, &pools, || 0);
        let settlement = affinity.settle(route.unwrap().0, &pools);
        let line = settlement.set_cookie().unwrap().to_str().unwrap().to_owned();
        let (pair, attributes) = line.split_once("; ").unwrap();
        (pair.split_once('=').unwrap().0.to_owned(), attributes.to_owned())
    };
    let persistence = read(json!({ "cookie": { "path": "/shop" } }));
    let (cookie, attributes) = line(persistence.policy(&name("/"), &keyring()).unwrap());
    assert_eq!(cookie, CookieName::scoped("__cflb", "default/route:/").unwrap().as_str());
    assert_eq!(attributes, "Path=/shop; HttpOnly; Secure; SameSite=Strict");

    let lax = CookieAttributes {
        samesite: SameSite::Lax,
        secure: Secure::Never,
        partitioned: false,
        ..CookieAttributes::default()
    };
    let policy = persistence.policy_with(&name("/"), &keyring(), lax.clone()).unwrap();
    assert_eq!(line(policy).1, "Path=/shop; HttpOnly; SameSite=Lax");

    // A prefix needs Secure on every response; a policy that is never Secure is refused.
    let host = read(json!({ "cookie": { "name": "__Host-s" } }));
    let (cookie, attributes) = line(host.policy(&name("/"), &keyring()).unwrap());
    assert_eq!((&*cookie, &*attributes), ("__Host-s", "Path=/; HttpOnly; Secure; SameSite=Strict"));
    assert_eq!(
        host.policy_with(&name("/"), &keyring(), lax).unwrap_err().to_string(),
        "cookie.name is \"__Host-s\"; allowed with this prefix: secure Always, or always_use_https with secure Auto"
    );
}
