//! HAProxy, by its four kinds of cookies.

use session_affinity::EndpointId;
use session_affinity::cookies::CookieName;
use session_affinity::policy::{CookieOwner, ForeignCookie, ForeignFormat};

use crate::backend::Backend;
use crate::client::Client;
use crate::program::Program;
use crate::{Fate, all_stay, asked, backends, cookie, with_one_lost};

fn named(backend: &Backend) -> String {
    format!("{} {}", backend.name, backend.address)
}

fn haproxy(backends: &[Backend; 2], cookie: &str) -> Program {
    haproxy_of(backends, cookie, |backend| {
        format!("  server {} cookie {}\n", named(backend), backend.name)
    })
}

fn haproxy_of(backends: &[Backend; 2], cookie: &str, server: fn(&Backend) -> String) -> Program {
    let timeouts = "  timeout connect 9s\n  timeout client 30s\n  timeout server 30s\n";
    Program::haproxy(&format!(
        "defaults\n  mode http\n{timeouts}\
         frontend old\n  bind unix@SOCKET\n  default_backend shop\n\
         backend shop\n  balance roundrobin\n  cookie {cookie}\n{}",
        backends.each_ref().map(server).concat()
    ))
}

#[test]
fn the_sessions_of_haproxy_by_an_inserted_cookie_stay() {
    let backends = backends("");
    let old = haproxy(&backends, "SERVERID insert indirect nocache");
    all_stay(&old, &backends, cookie("SERVERID", ForeignFormat::HAPROXY_INSERT), "");
}

#[test]
fn the_sessions_of_haproxy_by_an_inserted_cookie_with_dates_stay() {
    let backends = backends("");
    let old = haproxy(&backends, "SERVERID insert indirect nocache maxidle 30m maxlife 8h");
    let mut client = Client::default();
    old.serve(&mut client);
    let value = client.value("SERVERID").unwrap();
    assert_eq!(value.matches('|').count(), 2, "with both dates: {value}");
    all_stay(&old, &backends, cookie("SERVERID", ForeignFormat::HAPROXY_INSERT), "");
}

#[test]
fn the_sessions_of_haproxy_by_a_prefix_of_the_applications_cookie_stay() {
    let backends = backends("JSESSIONID=app-#");
    let old = haproxy(&backends, "JSESSIONID prefix nocache");
    let mut client = Client::default();
    let server = old.serve(&mut client);
    let value = client.value("JSESSIONID").unwrap();
    assert!(value.starts_with(&format!("{server}~app-")), "{value}");
    all_stay(&old, &backends, cookie("JSESSIONID", ForeignFormat::HAPROXY_PREFIX), "JSESSIONID");
}

#[test]
fn the_sessions_of_haproxy_by_a_rewritten_cookie_stay() {
    let backends = backends("SERVERID=to-be-written");
    let old = haproxy(&backends, "SERVERID rewrite nocache");
    // It is the application's own: without it, each response would set it again.
    let rewritten = cookie("SERVERID", ForeignFormat::Whole).with_owner(CookieOwner::Application);
    all_stay(&old, &backends, rewritten, "SERVERID");
}

/// manual::coming_from, Keeping the old sessions while you move: "ask the old proxy once for each
/// server, and take the cookie that it sets."
#[test]
fn the_sessions_of_haproxy_by_a_dynamic_cookie_stay() {
    let backends = backends("");
    let cookie = "SERVERID insert indirect nocache dynamic\n  dynamic-cookie-key s3cret";
    let old = haproxy_of(&backends, cookie, |backend| format!("  server {}\n", named(backend)));
    let mut table = ForeignCookie::new(CookieName::new("SERVERID").unwrap())
        .with_format(ForeignFormat::HAPROXY_INSERT);
    for _ in &backends {
        let mut client = Client::default();
        let server = old.serve(&mut client);
        let value = client.value("SERVERID").unwrap();
        assert!(value.len() == 16 && value.bytes().all(|it| it.is_ascii_hexdigit()), "{value}");
        table = table.with_endpoint(value, EndpointId::new("eu", &server));
    }
    all_stay(&old, &backends, table, "");
}

/// manual::coming_from, HAProxy: "Without it: `none`."
#[test]
fn haproxy_moves_a_session_whose_server_refuses_connections_if_it_may_redispatch() {
    let backends = with_one_lost();
    for (option, fate) in [("option redispatch", (200, Fate::Moved)), ("", (503, Fate::AsItWas))] {
        let cookie = format!("SERVERID insert indirect nocache\n  retries 1\n  {option}");
        let old = haproxy(&backends, &cookie);
        assert_eq!(asked(&old, "SERVERID", "s2"), fate, "{option}");
    }
}
