//! `Upgrade`: a tunnel to the endpoint that the session belongs to.

use crate::support::{
    Answer, Connection, Endpoint, Gateway, Head, Request, get, pattern, shop, wait_until,
};

fn upgrade() -> Request {
    get("/ws")
        .with("Connection", "keep-alive, Upgrade")
        .with("Upgrade", "echo")
        .with("Sec-WebSocket-Key", "x")
}

#[track_caller]
fn open(gateway: &Gateway, request: &Request) -> (Connection, Head) {
    let mut tunnel = Connection::open(gateway.address);
    tunnel.send(request);
    let head = tunnel.head().expect("a head");
    assert!(head.start.starts_with("HTTP/1.1 101 "), "{head:?}");
    (tunnel, head)
}

#[test]
fn an_upgrade_is_tunnelled_and_the_cookie_rides_on_the_101() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]));
    a.answers(Answer::Echo);
    let (mut tunnel, head) = open(&gateway, &upgrade());
    assert_eq!(head.get("upgrade").as_deref(), Some("echo"));
    assert!(
        head.get("connection").is_some_and(|connection| connection.eq_ignore_ascii_case("upgrade")),
        "{head:?}"
    );
    assert_eq!(head.get("x-affinity-outcome").as_deref(), Some("created:no_cookie"));
    let cookie = head.all("set-cookie");
    assert_eq!(cookie.len(), 1);
    let asked = a.last().head;
    assert_eq!(asked.get("upgrade").as_deref(), Some("echo"));
    assert!(
        asked
            .get("connection")
            .is_some_and(|connection| connection.eq_ignore_ascii_case("upgrade")),
        "{asked:?}"
    );
    assert_eq!(asked.get("sec-websocket-key").as_deref(), Some("x"));
    tunnel.write("ping");
    assert_eq!(tunnel.read(4), b"ping");
    a.answers(Answer::Name);
    let next = gateway.revisit(cookie[0].split(';').next().expect("a pair"));
    assert_eq!(next.outcome(), "kept");
}

#[test]
fn a_tunnel_follows_the_session() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let gateway = Gateway::start(&shop(&[&a, &b]));
    let sessions = ["a", "b"].map(|name| (name, gateway.browser_at(name).cookies()));
    a.answers(Answer::Echo);
    b.answers(Answer::Echo);
    for (name, cookies) in sessions {
        let (_tunnel, head) = open(&gateway, &upgrade().with("Cookie", cookies));
        assert_eq!(head.get("x-served-by").as_deref(), Some(name));
        assert!(!head.has("set-cookie"));
    }
}

#[test]
fn a_tunnel_carries_many_bytes_both_ways() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]));
    a.answers(Answer::Echo);
    let (mut tunnel, _) = open(&gateway, &upgrade());
    let bytes = pattern(400_000);
    for piece in bytes.chunks(20_000) {
        tunnel.write(piece);
        assert!(tunnel.read(piece.len()) == piece);
    }
}

#[test]
fn bytes_that_come_right_behind_the_request_are_not_lost() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]));
    a.answers(Answer::Echo);
    let mut tunnel = Connection::open(gateway.address);
    tunnel
        .write("GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly");
    assert!(tunnel.head().expect("a head").start.contains(" 101 "));
    assert_eq!(tunnel.read(5), b"early");
}

#[test]
fn a_tunnel_ends_when_either_side_closes_it() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]));
    a.answers(Answer::Echo);
    let (mut tunnel, _) = open(&gateway, &upgrade());
    tunnel.write("bye");
    assert_eq!(tunnel.rest(), b"bye", "the endpoint has closed it");
    let (mut tunnel, _) = open(&gateway, &upgrade());
    tunnel.write("last words");
    tunnel.finish_writing();
    assert_eq!(tunnel.rest(), b"last words", "the client has said that it is done");
}

#[test]
fn an_endpoint_that_declines_the_upgrade_answers_as_usual() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]));
    let response = gateway.fetch(&upgrade());
    assert_eq!((response.status, response.served_by()), (200, "a".into()));
    assert!(response.set_cookie().is_some());
    let mut connection = Connection::open(gateway.address);
    connection.exchange(&upgrade()).assert_ok();
    connection.exchange(&get("/")).assert_ok();
}

#[test]
fn an_upgrade_fails_over_like_any_request() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let gateway = Gateway::start(&shop(&[&a, &b]).failover("sticky"));
    let pinned = gateway.browser_at("a");
    b.answers(Answer::Echo);
    a.go_down();
    let (mut tunnel, head) = open(&gateway, &upgrade().with("Cookie", pinned.cookies()));
    assert_eq!(head.get("x-affinity-outcome").as_deref(), Some("moved:connect_failed"));
    assert!(head.has("set-cookie"));
    tunnel.write("ping");
    assert_eq!(tunnel.read(4), b"ping");
}

#[test]
fn a_switch_that_nobody_asked_for_is_a_broken_answer() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]));
    a.answers(Answer::Echo);
    let response = gateway.visit();
    assert_eq!(response.status, 502, "{response:?}");
    assert_eq!(response.set_cookie(), None);
}

#[test]
fn tunnels_do_not_keep_others_from_being_served() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]));
    a.answers(Answer::Echo);
    let tunnels: Vec<_> = (0..12).map(|_| open(&gateway, &upgrade())).collect();
    a.answers(Answer::Name);
    wait_until("12 tunnels", || a.count() == 12);
    for _ in 0..5 {
        gateway.visit().assert_ok();
    }
    drop(tunnels);
    gateway.visit().assert_ok();
}
