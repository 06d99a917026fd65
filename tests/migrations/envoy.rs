//! Envoy's `stateful_session` by a cookie, strict and not, with a `ttl` and without one.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderMap;
use serde_json::{Value, json};
use session_affinity::EndpointId;
use session_affinity::cookies::CookieName;
use session_affinity::policy::{ForeignCookie, ForeignFormat};

use crate::backend::{self, Backend};
use crate::client::Client;
use crate::program::Program;
use crate::{Fate, all_stay, asked, backends, unanswered, with_one_lost};

const FILTERS: &str = "type.googleapis.com/envoy.extensions.filters";

/// Base64 of the message whose first field is the address of the host that is lost.
const LOST: &str = "\"CgsxMjcuMC4wLjE6MQ==\"";

/// The parts of a configuration that differ.
#[derive(Clone, Copy, Debug, Default)]
struct Settings {
    strict: bool,
    ttl: Option<&'static str>,
    retry: bool,
    health_check: bool,
    header: bool,
}

fn envoy(backends: &[Backend], settings: Settings) -> Option<Program> {
    let Settings { strict, ttl, retry, health_check, header } = settings;
    let endpoints = backends.iter().map(|backend| {
        let (host, port) = backend.address.split_once(':').unwrap();
        let port: u16 = port.parse().unwrap();
        let address = json!({ "socket_address": { "address": host, "port_value": port } });
        json!({ "endpoint": { "address": address } })
    });
    let endpoints: Vec<Value> = endpoints.collect();
    let mut cluster = json!({
        "name": "shop",
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": "shop", "endpoints": [{ "lb_endpoints": endpoints }],
        },
    });
    if health_check {
        cluster["health_checks"] = json!([{
            "timeout": "1s", "interval": "1s", "unhealthy_threshold": 1, "healthy_threshold": 1,
            "http_health_check": { "path": "/" },
        }]);
    }
    let mut route = json!({ "cluster": "shop" });
    if retry {
        route["retry_policy"] = json!({ "retry_on": "connect-failure", "num_retries": 2 });
    }
    let mut cookie = json!({ "name": "envoy", "path": "/" });
    if let Some(ttl) = ttl {
        cookie["ttl"] = ttl.into();
    }
    const STATES: &str = "type.googleapis.com/envoy.extensions.http.stateful_session";
    let (kind, state) = match header {
        false => {
            let state = format!("{STATES}.cookie.v3.CookieBasedSessionState");
            ("cookie", json!({ "@type": state, "cookie": cookie }))
        }
        true => {
            let state = format!("{STATES}.header.v3.HeaderBasedSessionState");
            ("header", json!({ "@type": state, "name": "x-session" }))
        }
    };
    let session = json!({
        "@type": format!("{FILTERS}.http.stateful_session.v3.StatefulSession"),
        "strict": strict,
        "session_state": {
            "name": format!("envoy.http.stateful_session.{kind}"), "typed_config": state,
        },
    });
    let router = json!({ "@type": format!("{FILTERS}.http.router.v3.Router") });
    let manager = json!({
        "@type": format!("{FILTERS}.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "old",
        "route_config": { "virtual_hosts": [{
            "name": "all", "domains": ["*"],
            "routes": [{ "match": { "prefix": "/" }, "route": route }],
        }] },
        "http_filters": [
            { "name": "envoy.filters.http.stateful_session", "typed_config": session },
            { "name": "envoy.filters.http.router", "typed_config": router },
        ],
    });
    let listener = json!({
        "address": { "pipe": { "path": "SOCKET" } },
        "filter_chains": [{ "filters": [{
            "name": "envoy.filters.network.http_connection_manager", "typed_config": manager,
        }] }],
    });
    let resources = json!({ "listeners": [listener], "clusters": [cluster] });
    Program::envoy(&json!({ "static_resources": resources }).to_string())
}

/// A table of addresses, without a request to the old proxy.
fn table(backends: &[Backend]) -> ForeignCookie {
    let ids = backends.iter().map(|it| (it.address.clone(), EndpointId::new("eu", it.name)));
    ForeignCookie::new(CookieName::new("envoy").unwrap())
        .with_format(ForeignFormat::EnvoyAddress)
        .with_endpoints(ids)
}

#[test]
fn the_sessions_of_envoy_by_an_address_stay() {
    let backends = backends("");
    for (strict, ttl) in [(false, None), (true, None), (false, Some("3600s")), (true, Some("60s"))]
    {
        let settings = Settings { strict, ttl, ..Settings::default() };
        let Some(old) = envoy(&backends, settings) else { return };
        all_stay(&old, &backends, table(&backends), "");
    }
}

/// manual::coming_from, Keeping the old sessions while you move: "with quotes"
#[test]
fn the_value_of_envoy_is_a_message_in_quotes() {
    let backends = backends("");
    let mut values = Vec::new();
    for ttl in [None, Some("3600s")] {
        let Some(old) = envoy(&backends[..1], Settings { ttl, ..Settings::default() }) else {
            return;
        };
        let mut client = Client::default();
        old.serve(&mut client);
        values.push(client.value("envoy").unwrap());
    }
    assert!(values.iter().all(|it| it.starts_with("\"Cg") && it.ends_with('"')), "{values:?}");
    assert!(values[1].len() > values[0].len(), "the second has an end: {values:?}");
}

/// manual::coming_from, Envoy: "`strict: true` (a host that is unhealthy or gone: 503, and the
/// cookie stays)", "`strict: false` (a host that is unhealthy or gone: another one, and the cookie
/// follows)", "a connection that is refused, with `strict` or without: 503, and the cookie stays",
/// "another host, and the cookie follows, with `strict` too"
#[test]
fn envoy_answers_503_only_if_it_is_strict_and_may_not_try_another_host() {
    let lost = with_one_lost();
    let first = std::slice::from_ref(&lost[0]);
    let refused = |retry| (&lost[..], Settings { retry, ..Settings::default() });
    let unhealthy = (&lost[..], Settings { health_check: true, ..Settings::default() });
    let gone = (first, Settings { retry: true, ..Settings::default() });
    for ((backends, settings), strict, fate) in [
        // A connection that is refused: `strict` makes no difference.
        (refused(false), false, (503, Fate::AsItWas)),
        (refused(false), true, (503, Fate::AsItWas)),
        (refused(true), false, (200, Fate::Moved)),
        (refused(true), true, (200, Fate::Moved)),
        // A host that is unhealthy or gone: `strict` decides.
        (unhealthy, false, (200, Fate::Moved)),
        (unhealthy, true, (503, Fate::AsItWas)),
        (gone, false, (200, Fate::Moved)),
        (gone, true, (503, Fate::AsItWas)),
    ] {
        let settings = Settings { strict, ..settings };
        let Some(old) = envoy(backends, settings) else { return };
        assert_eq!(asked(&old, "envoy", LOST), fate, "{settings:?}, {} hosts", backends.len());
    }
}

/// manual::coming_from, Envoy: "a new client gets the cookie with a 503 too, of a host that has not
/// answered"
#[test]
fn envoy_gives_a_new_client_the_cookie_of_a_host_that_has_not_answered() {
    let Some(old) = envoy(&with_one_lost(), Settings::default()) else { return };
    assert!(unanswered(&old, 503).starts_with(&format!("envoy={LOST};")));
}

/// manual::coming_from, Envoy: "the address, in base64, in a header that the client sends back"
#[test]
fn the_header_of_envoy_names_the_address() {
    let backends = backends("");
    let settings = Settings { header: true, ..Settings::default() };
    let Some(old) = envoy(&backends, settings) else { return };
    let first = old.ask(&HeaderMap::new()).unwrap();
    let server = backend::read(first.body()).0;
    let address = &backends.iter().find(|it| it.name == server).unwrap().address;
    assert_eq!(first.headers()["x-session"], BASE64_STANDARD.encode(address));
}
