//! The real server over loopback: the responses to clients, the requests to endpoints, the log.

mod support;

use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

use pingora_cache::MemCache;
use support::Proxy;

#[test]
fn the_first_request_sets_the_cookie_and_the_second_is_kept() {
    let proxy = Proxy::start();
    let first = proxy.get("/", &[]);
    first.assert(200, "created:no_cookie");
    let lines = first.head.values("set-cookie");
    let [name_and_value, path, expires, rest @ ..] = &*lines[0].split("; ").collect::<Vec<_>>()
    else {
        panic!("{lines:?}");
    };
    assert_eq!(name_and_value.strip_prefix("__cflb=").map(str::len), Some(48));
    assert!(expires.starts_with("Expires=") && expires.ends_with(" GMT"), "{expires}");
    assert_eq!((*path, rest), ("Path=/", &["Max-Age=82800", "HttpOnly", "SameSite=Lax"][..]));
    assert_eq!(first.head.values("cache-control"), ["private"]);

    for _ in 0..10 {
        let kept = proxy.get("/", &[&format!("Cookie: {}", first.cookie())]);
        kept.assert(200, "kept");
        assert_eq!(kept.body, first.body);
        assert!(
            kept.head.values("set-cookie").is_empty()
                && kept.head.values("cache-control").is_empty()
        );
    }
}

#[test]
fn our_cookie_does_not_reach_the_endpoint_and_others_do() {
    let proxy = Proxy::start();
    let ours = proxy.get("/", &[]).cookie();
    proxy.seen();
    for (lines, left) in [
        (&[format!("Cookie: a=1; {ours}; b=2")][..], &["a=1; b=2"][..]),
        (&[format!("Cookie: {ours}")], &[]),
        (&[format!("Cookie: {ours}"), "Cookie: a=1".into(), "Cookie: b=2".into()], &["a=1", "b=2"]),
        (&["Cookie: a=1;b=2".into()], &["a=1;b=2"]),
    ] {
        proxy
            .get("/", &lines.iter().map(|line| &**line).collect::<Vec<_>>())
            .assert(200, if lines[0].contains(&ours) { "kept" } else { "created:no_cookie" });
        let seen = proxy.seen();
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].1.values("cookie"), left, "{lines:?}");
    }
}

#[test]
fn an_endpoint_that_refuses_the_connection_is_failed_over() {
    let mut proxy = Proxy::start();
    let created = proxy.get("/", &[]);
    proxy.stop_endpoint(&created.body);
    let moved = proxy.get("/", &[&format!("Cookie: {}; a=1", created.cookie())]);
    moved.assert(200, "moved:connect_failed");
    assert_ne!(moved.body, created.body);
    assert_ne!(moved.cookie(), created.cookie());
    let kept = proxy.get("/", &[&format!("Cookie: {}", moved.cookie())]);
    kept.assert(200, "kept");
    assert_eq!(kept.body, moved.body);
}

#[test]
fn when_no_endpoint_can_be_connected_to_the_client_gets_502_and_no_cookie() {
    let mut proxy = Proxy::start();
    let created = proxy.get("/", &[]);
    proxy.endpoints.clear();
    for fields in [&[][..], &[&*format!("Cookie: {}", created.cookie())]] {
        let refused = proxy.get("/", fields);
        refused.assert(502, "gave_up");
        assert!(refused.head.values("set-cookie").is_empty());
    }
}

#[test]
fn when_no_endpoint_is_healthy_the_client_gets_503_and_no_cookie() {
    let proxy = Proxy::start();
    for name in ["eu-1", "eu-2", "eu-3"] {
        proxy.set_unhealthy(name);
    }
    let refused = proxy.get("/", &[]);
    refused.assert(503, "no_endpoint");
    assert!(refused.head.values("set-cookie").is_empty());
    assert!(proxy.seen().is_empty());
}

#[test]
fn a_session_whose_endpoint_is_unhealthy_is_moved_before_any_endpoint_is_asked() {
    let proxy = Proxy::start();
    let created = proxy.get("/", &[]);
    proxy.set_unhealthy(&created.body);
    proxy.seen();
    let moved = proxy.get("/", &[&format!("Cookie: {}", created.cookie())]);
    moved.assert(200, "moved:unhealthy");
    assert_eq!(proxy.seen().into_iter().map(|(name, _)| name).collect::<Vec<_>>(), [&*moved.body]);
}

#[test]
fn a_forged_cookie_begins_a_new_session() {
    let proxy = Proxy::start();
    let mut cookie = proxy.get("/", &[]).cookie();
    let last = cookie.pop().unwrap();
    cookie.push(if last == 'A' { 'B' } else { 'A' });
    let created = proxy.get("/", &[&format!("Cookie: {cookie}")]);
    created.assert(200, "created:forged");
    assert_ne!(created.cookie(), cookie);
}

#[test]
fn an_early_hint_carries_no_cookie_and_does_not_use_up_the_settlement() {
    let proxy = Proxy::start();
    let reply = proxy.get("/early", &[]);
    reply.assert(200, "created:no_cookie");
    let [early] = &*reply.early else { panic!("{:?}", reply.early) };
    assert_eq!(early.status(), 103);
    assert_eq!(early.values("link"), ["</style.css>; rel=preload"]);
    assert!(early.values("set-cookie").is_empty());
    assert!(reply.cookie().starts_with("__cflb="));
}

/// Something was sent, so no other endpoint is asked, whatever the failover mode.
#[test]
fn an_endpoint_that_breaks_off_is_the_last_that_is_asked() {
    let proxy = Proxy::start();
    let created = proxy.get("/", &[]);
    proxy.seen();
    let refused = proxy.get("/", &["X-Break-Off: now", &format!("Cookie: {}", created.cookie())]);
    refused.assert(502, "gave_up");
    assert!(refused.head.values("set-cookie").is_empty());
    assert_eq!(
        proxy.seen().into_iter().map(|(name, _)| name).collect::<Vec<_>>(),
        [&*created.body]
    );
}

/// A dead connection says nothing about the endpoint: the same one is asked over a fresh
/// connection.
#[test]
fn a_kept_connection_that_turns_out_dead_does_not_move_the_session() {
    let proxy = Proxy::start();
    let created = proxy.get("/dead-when-kept", &[]);
    let cookie = format!("Cookie: {}", created.cookie());
    proxy.seen();
    let kept = proxy.get("/dead-when-kept", &[&cookie]);
    kept.assert(200, "kept");
    assert_eq!(
        proxy.seen().into_iter().map(|(name, _)| name).collect::<Vec<_>>(),
        [&*created.body; 2]
    );
    // A request that is not idempotent is not sent a second time.
    proxy.send("POST", "/dead-when-kept", &[&cookie, "Content-Length: 0"]).assert(502, "gave_up");
}

#[test]
fn a_response_that_sets_the_cookie_is_not_for_shared_caches() {
    let proxy = Proxy::start();
    let created = proxy.get("/public", &[]);
    assert_eq!(created.head.values("cache-control"), ["private, max-age=60"]);
    assert!(created.head.values("cdn-cache-control").is_empty());
    let kept = proxy.get("/public", &[&format!("Cookie: {}", created.cookie())]);
    assert_eq!(kept.head.values("cache-control"), ["public, max-age=60"]);
    assert_eq!(kept.head.values("cdn-cache-control"), ["max-age=60"]);
}

#[test]
fn what_comes_from_the_cache_sets_no_cookie() {
    let proxy = Proxy::with_cache(Some(Box::leak(Box::new(MemCache::new()))));
    let missed = proxy.get("/public", &[]);
    missed.assert(200, "created:no_cookie");
    assert_eq!(
        missed.head.values("cache-control"),
        ["private, max-age=60"],
        "to the client that has the cookie"
    );
    proxy.seen();

    let hit = proxy.get("/public", &[]);
    hit.assert(200, "-");
    assert_eq!(hit.body, missed.body);
    assert!(proxy.seen().is_empty(), "no endpoint was asked");
    assert!(hit.head.values("set-cookie").is_empty());
    assert_eq!(hit.head.values("cache-control"), ["public, max-age=60"]);
}

#[test]
fn an_endpoints_own_cookie_stays_beside_ours_and_out_of_the_cache() {
    let proxy = Proxy::with_cache(Some(Box::leak(Box::new(MemCache::new()))));
    for _ in 0..2 {
        let created = proxy.get("/sets-a-cookie", &[]);
        created.assert(200, "created:no_cookie");
        let [theirs, ours] = &*created.head.values("set-cookie") else {
            panic!("{:?}", created.head)
        };
        assert!(*theirs == "theirs=1" && ours.starts_with("__cflb="), "{:?}", created.head);
    }
    assert_eq!(proxy.seen().len(), 2);
}

#[test]
fn a_cookie_of_our_name_that_an_endpoint_sets_is_dropped() {
    let proxy = Proxy::start();
    let created = proxy.get("/sets-our-cookie", &[]);
    let pinned = created.cookie();
    assert_eq!(created.head.values("set-cookie").len(), 1);
    let kept = proxy.get("/sets-our-cookie", &[&format!("Cookie: {pinned}")]);
    kept.assert(200, "kept");
    assert!(kept.head.values("set-cookie").is_empty(), "{:?}", kept.head);
}

/// Endpoints were chosen and tried, and none has answered.
#[test]
fn a_stale_response_in_the_place_of_an_error_sets_no_cookie() {
    let mut proxy = Proxy::with_cache(Some(Box::leak(Box::new(MemCache::new()))));
    let missed = proxy.get("/stale", &[]);
    missed.assert(200, "created:no_cookie");
    let broke_off = proxy.get("/stale", &["X-Break-Off: now"]);
    broke_off.assert(200, "-");
    proxy.endpoints.clear();
    let refused = proxy.get("/stale", &[]);
    refused.assert(200, "gave_up");
    for stale in [broke_off, refused] {
        assert_eq!(stale.body, missed.body);
        assert!(stale.head.values("set-cookie").is_empty());
    }
}

/// An endpoint has answered, with 304, so there is a session. The cached response has no cookie.
#[test]
fn a_revalidated_response_sets_the_cookie_of_this_client() {
    let proxy = Proxy::with_cache(Some(Box::leak(Box::new(MemCache::new()))));
    let first = proxy.get("/revalidated", &[]);
    proxy.seen();
    let second = proxy.get("/revalidated", &[]);
    second.assert(200, "created:no_cookie");
    let asked = proxy.seen();
    assert_eq!(asked[0].1.values("if-none-match"), ["\"1\""]);
    assert_eq!(second.body, first.body, "from the cache");
    assert_eq!(second.head.values("cache-control"), ["private, max-age=0"]);

    let cookie = second.cookie();
    let kept = proxy.get("/revalidated", &[&format!("Cookie: {cookie}")]);
    kept.assert(200, "kept");
    assert_eq!(kept.body, first.body);
    assert!(kept.head.values("set-cookie").is_empty());
    assert_eq!(proxy.seen()[0].0, asked[0].0, "the endpoint that has answered");
}

/// Its fields go to the client alone; a shared cache before the proxy may copy them into the
/// response that it has stored for all clients.
#[test]
fn a_response_304_to_the_client_sets_no_cookie() {
    let proxy = Proxy::start();
    let unchanged = proxy.get("/revalidated", &["If-None-Match: \"1\""]);
    unchanged.assert(304, "created:no_cookie");
    assert!(unchanged.head.values("set-cookie").is_empty());
    assert_eq!(unchanged.head.values("cache-control"), ["max-age=0"]);
    assert!(proxy.get("/revalidated", &[]).cookie().starts_with("__cflb="));
}

#[test]
fn header_sessions_are_looked_up_and_written() {
    let mut proxy = Proxy::by_header();
    let created = proxy.get("/", &["X-User: ada"]);
    created.assert(200, "created:no_record");
    let kept = proxy.get("/", &["X-User: ada"]);
    kept.assert(200, "kept");
    assert_eq!(kept.body, created.body);
    assert!(kept.head.values("set-cookie").is_empty());
    proxy.get("/", &["X-User: eve"]).assert(200, "created:no_record");
    proxy.get("/", &[]).assert(200, "unbound");

    proxy.stop_endpoint(&created.body);
    let lent = proxy.get("/", &["X-User: ada"]);
    lent.assert(200, "lent:connect_failed");
    assert_ne!(lent.body, created.body);
}

#[test]
fn arguments_that_make_no_proxy_are_refused_with_a_reason() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    for (secret, arguments, reason) in [
        (None, &[][..], "LISTEN is missing"),
        (None, &["here"], "\"here\": invalid socket address syntax; an address is IP:PORT"),
        (
            None,
            &[&*listen, "127.0.0.1:9001"],
            "SESSION_AFFINITY_SECRET: environment variable not found",
        ),
        (Some("5ec4e7"), &[&*listen, "127.0.0.1:9001"], "secret has 3 bytes; allowed: 32 or more"),
        (
            Some("not hexadecimal"),
            &[&*listen, "127.0.0.1:9001"],
            "secret is not in hexadecimal; allowed: an even number of hexadecimal digits",
        ),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_session-affinity-pingora"));
        command.args(arguments).env_remove("SESSION_AFFINITY_SECRET");
        command.envs(secret.map(|secret| ("SESSION_AFFINITY_SECRET", secret)));
        let output = command.output().unwrap();
        let printed = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{printed}");
        let usage = "usage: session-affinity-pingora [--cache] [--header NAME] LISTEN ENDPOINT...";
        assert_eq!(printed.lines().collect::<Vec<_>>(), [reason, usage]);
    }
}
