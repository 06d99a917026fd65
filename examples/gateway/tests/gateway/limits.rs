//! The bounds of what clients and endpoints may take: connections, bytes, time. Each is set small.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use crate::metrics::scrape;
use crate::support::{
    Answer, Config, Connection, DEADLINE, Endpoint, Gate, Gateway, Response, get, pattern, post,
    shop, wait_until,
};

/// A time in which a gateway that answers at once has answered.
const SOON: Duration = Duration::from_millis(300);

fn start(change: impl FnOnce(Config) -> Config) -> (Gateway, Endpoint) {
    let a = Endpoint::start("a");
    (Gateway::start(&change(shop(&[&a]))), a)
}

fn upgrade(gateway: &Gateway) -> Connection {
    let mut tunnel = Connection::open(gateway.address);
    tunnel.send(&get("/ws").with("Connection", "Upgrade").with("Upgrade", "echo"));
    assert!(tunnel.head().expect("a head").start.contains(" 101 "));
    tunnel
}

#[test]
fn a_connection_beyond_the_limit_waits_until_another_has_ended() {
    let (gateway, a) = start(|file| file.set("max_connections", 2));
    let gate = Gate::new();
    a.answers(Answer::Gated(gate.clone()));
    let mut open = [(); 2].map(|()| Connection::open(gateway.address));
    for connection in &mut open {
        connection.send(&get("/"));
    }
    wait_until("two requests at a", || a.count() == 2);
    let mut waiting = Connection::open(gateway.address);
    waiting.send(&get("/"));
    // For longer than an idle connection would keep its place.
    assert!(waiting.is_silent(Duration::from_millis(1_500)));
    assert_eq!(a.count(), 2);
    let [one, mut other] = open;
    drop(one);
    gate.open();
    waiting.response().assert_ok();
    other.response().assert_ok();
}

#[test]
fn a_download_in_flight_keeps_its_place() {
    let (gateway, a) = start(|file| file.set("max_connections", 1));
    a.answers(Answer::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf,".to_vec()));
    let mut download = Connection::open(gateway.address);
    download.send(&get("/"));
    assert!(download.head().expect("a head").start.contains(" 200 "));
    assert_eq!(download.read(5), b"half,");
    a.answers(Answer::Name);
    let mut waiting = Connection::open(gateway.address);
    waiting.send(&get("/"));
    assert!(waiting.is_silent(Duration::from_millis(1_500)));
    drop(download);
    waiting.response().assert_ok();
}

#[test]
fn an_idle_connection_gives_its_place_to_one_that_waits() {
    let (gateway, _a) = start(|file| file.set("max_connections", 2).set("head_timeout_ms", 60_000));
    let mut unused = Connection::open(gateway.address);
    let mut used = Connection::open(gateway.address);
    used.exchange(&get("/")).assert_ok();
    // Nobody waits.
    assert!(unused.is_silent(Duration::from_millis(1_500)));
    used.exchange(&get("/")).assert_ok();
    Connection::open(gateway.address).exchange(&get("/")).assert_ok();
    assert!(unused.rest().is_empty(), "it is closed");
}

#[test]
fn a_tunnel_has_the_place_of_its_connection_until_it_ends() {
    let (gateway, a) = start(|file| file.set("max_connections", 1));
    a.answers(Answer::Echo);
    let mut tunnel = upgrade(&gateway);
    a.answers(Answer::Name);
    let mut waiting = Connection::open(gateway.address);
    waiting.send(&get("/"));
    assert!(waiting.is_silent(SOON));
    tunnel.write("bye");
    assert_eq!(tunnel.rest(), b"bye");
    drop(tunnel);
    waiting.response().assert_ok();
}

#[test]
fn a_gateway_without_a_free_place_can_be_stopped() {
    let (mut gateway, _a) = start(|file| file.set("max_connections", 1));
    let mut open = Connection::open(gateway.address);
    open.exchange(&get("/")).assert_ok();
    let _waiting = Connection::open(gateway.address);
    gateway.signal("TERM");
    assert_eq!(gateway.ended().code(), Some(0));
}

#[test]
fn a_head_of_the_greatest_length_is_served_and_a_longer_one_is_431() {
    let (gateway, a) = start(|file| file.set("max_head_bytes", 2_048));
    let head = |length: usize| {
        let (start, end) = ("GET / HTTP/1.1\r\nHost: x\r\nX-Long: ", "\r\n\r\n");
        format!("{start}{}{end}", "x".repeat(length - start.len() - end.len()))
    };
    for (length, status) in [(2_048, 200), (2_049, 431), (300_000, 431)] {
        let mut connection = Connection::open(gateway.address);
        connection.write(head(length));
        let response = connection.response();
        assert_eq!(response.status, status, "{length}");
        assert_eq!(response.head.has("set-cookie"), status == 200, "{length}");
    }
    assert_eq!(a.count(), 1);
    // The bytes of a body are not the head's.
    gateway.fetch(&post("/", pattern(100_000))).assert_ok();
}

#[test]
fn a_head_is_64_kib_long_at_most_where_the_file_does_not_say() {
    let (gateway, _a) = start(|file| file);
    let ask = |length| gateway.fetch(&get("/").with("X-Long", "x".repeat(length))).status;
    assert_eq!((ask(65_000), ask(65_536)), (200, 431));
}

#[test]
fn an_answer_whose_head_is_too_long_is_a_broken_one() {
    let (gateway, a) = start(|file| file.set("max_head_bytes", 2_048));
    let long = "x".repeat(3_000);
    let answer = format!("HTTP/1.1 200 OK\r\nX-Long: {long}\r\nContent-Length: 0\r\n\r\n");
    a.answers(Answer::Bytes(answer.into()));
    let response = gateway.visit();
    assert_eq!((response.status, response.outcome()), (502, "gave_up".into()));
    assert_eq!(response.set_cookie(), None);
}

#[test]
fn a_connection_is_closed_when_its_next_head_is_late() {
    let (gateway, a) = start(|file| file.set("head_timeout_ms", 1_000));
    let mut idle = Connection::open(gateway.address);
    let mut half = Connection::open(gateway.address);
    half.write("GET / HT");
    let mut used = Connection::open(gateway.address);
    used.exchange(&get("/")).assert_ok();
    for connection in [&mut idle, &mut half, &mut used] {
        assert!(connection.rest().is_empty());
    }
    assert_eq!(a.count(), 1);
}

#[test]
fn a_request_whose_body_stands_still_is_408_and_its_session_is_as_it_was() {
    let (gateway, a) = start(|file| file.set("body_idle_timeout_ms", 200));
    for framing in
        ["Content-Length: 10\r\n\r\nhalf,", "Transfer-Encoding: chunked\r\n\r\n5\r\nhalf,"]
    {
        let mut connection = Connection::open(gateway.address);
        connection.write(format!("POST / HTTP/1.1\r\nHost: x\r\n{framing}"));
        let response = connection.response();
        assert_eq!(response.status, 408, "{response:?}");
        assert_eq!(response.set_cookie(), None);
        assert!(connection.rest().is_empty(), "the connection is closed");
    }
    assert!(a.seen().iter().all(|seen| !seen.is_whole));
    gateway.visit().assert_ok();
}

/// Sends a body of 20 bytes, one in each tenth of a second.
fn upload_slowly(gateway: &Gateway) -> Response {
    let mut connection = Connection::open(gateway.address);
    connection.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n");
    for _ in 0..20 {
        sleep(Duration::from_millis(100));
        connection.write("x");
    }
    connection.response()
}

#[test]
fn a_body_that_comes_slowly_is_served() {
    let (gateway, a) = start(|file| file.set("body_idle_timeout_ms", 1_500));
    upload_slowly(&gateway).assert_ok();
    assert_eq!(a.last().body.len(), 20);
}

#[test]
fn an_answer_whose_body_stands_still_is_cut_off() {
    let (gateway, a) = start(|file| file.set("body_idle_timeout_ms", 200));
    for framing in
        ["Content-Length: 10\r\n\r\nhalf,", "Transfer-Encoding: chunked\r\n\r\n5\r\nhalf,"]
    {
        a.answers(Answer::Bytes(format!("HTTP/1.1 200 OK\r\n{framing}").into()));
        let mut connection = Connection::open(gateway.address);
        connection.send(&get("/"));
        let start = Instant::now();
        assert!(connection.try_response(false).is_err(), "it is not whole");
        assert!(start.elapsed() < DEADLINE, "it was the gateway that closed");
    }
    wait_until("both requests have ended", || in_flight(&gateway) == 0);
}

fn in_flight(gateway: &Gateway) -> u64 {
    scrape(gateway)[r#"affinity_endpoint_in_flight{pool="eu",endpoint="a"}"#]
}

#[test]
fn an_answer_that_its_client_does_not_take_is_given_up() {
    let (gateway, a) = start(|file| file.set("body_idle_timeout_ms", 300));
    let body = vec![b'x'; 30_000_000];
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    a.answers(Answer::Bytes([head.into_bytes(), body].concat()));
    let mut connection = Connection::open(gateway.address);
    connection.send(&get("/"));
    assert!(connection.head().expect("a head").start.contains(" 200 "));
    wait_until("the request has ended", || in_flight(&gateway) == 0);
}

#[test]
fn an_endpoint_that_does_not_take_the_request_is_504() {
    let deaf = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let a = Endpoint::start("a");
    let address = deaf.local_addr().expect("an address").to_string();
    let file =
        shop(&[&a]).set("pools.0.origins.0.address", address).set("body_idle_timeout_ms", 300);
    let gateway = Gateway::start(&file);
    let head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 30000000\r\n\r\n".to_vec();
    let request = [head, vec![b'x'; 30_000_000]].concat();
    let mut connection = Connection::open(gateway.address);
    let mut writing = connection.writer();
    let upload = spawn(move || writing.write_all(&request));
    let response = connection.response();
    assert_eq!((response.status, response.outcome()), (504, "gave_up".into()));
    assert_eq!(response.set_cookie(), None);
    drop(connection);
    assert!(upload.join().expect("a thread").is_err(), "it ends with the connection");
}

#[test]
fn an_endpoint_that_does_not_answer_is_504_and_nobody_else_is_asked() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let file = shop(&[&a, &b]).failover("sticky").set("cooling_off", 60);
    let gateway = Gateway::start(&file.set("answer_timeout_ms", 1_000));
    let pinned = gateway.browser_at("a").cookies();
    let (gate, asked) = (Gate::new(), b.count());
    a.answers(Answer::Gated(gate.clone()));
    for request in [get("/"), post("/", "body")] {
        let response = gateway.fetch(&request.with("Cookie", &pinned));
        assert_eq!((response.status, response.outcome()), (504, "gave_up".into()));
        assert_eq!(response.text(), "the endpoint did not answer in time\n");
        assert_eq!(response.set_cookie(), None);
    }
    assert_eq!(b.count(), asked);
    gate.open();
    a.answers(Answer::Name);
    let kept = gateway.revisit(&pinned);
    assert_eq!((kept.served_by(), kept.outcome()), ("a".into(), "kept".into()));
}

#[test]
fn the_time_for_an_answer_begins_when_the_request_is_whole() {
    let (gateway, _a) = start(|file| file.set("answer_timeout_ms", 1_500));
    upload_slowly(&gateway).assert_ok();
}

#[test]
fn a_tunnel_through_which_nothing_passes_is_closed() {
    let (gateway, a) = start(|file| file.set("tunnel_idle_timeout_ms", 200));
    a.answers(Answer::Echo);
    assert!(upgrade(&gateway).rest().is_empty());
}

#[test]
fn a_tunnel_that_is_used_stays_open() {
    let (gateway, a) = start(|file| file.set("tunnel_idle_timeout_ms", 1_500));
    a.answers(Answer::Echo);
    let mut tunnel = upgrade(&gateway);
    for _ in 0..20 {
        sleep(Duration::from_millis(100));
        tunnel.write("ping");
        assert_eq!(tunnel.read(4), b"ping");
    }
}

#[test]
fn a_shutdown_cuts_off_what_is_in_flight_when_its_time_is_over() {
    let (mut gateway, a) = start(|file| file.set("shutdown_timeout_ms", 400));
    let gate = Gate::new();
    a.answers(Answer::Gated(gate));
    let mut waiting = Connection::open(gateway.address);
    waiting.send(&get("/"));
    let mut upload = Connection::open(gateway.address);
    upload.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf,");
    wait_until("two requests at a", || a.count() == 2);
    gateway.signal("TERM");
    assert_eq!(gateway.ended().code(), Some(0));
    for connection in [&mut waiting, &mut upload] {
        assert!(connection.rest().is_empty(), "it is closed without an answer");
    }
    wait_until("a warning", || {
        gateway.errors().iter().any(|line| line.contains("still in flight after 400 ms"))
    });
}
