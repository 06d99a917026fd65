//! The PROXY protocol: trusted peers tell the client's address before the first request.

use crate::support::{Config, Connection, Endpoint, Gateway, Response, shop, wait_until};

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

fn start(change: impl FnOnce(Config) -> Config) -> (Gateway, Endpoint) {
    let a = Endpoint::start("a");
    let file = shop(&[&a]).set("proxy_protocol", true);
    (Gateway::start(&change(file.set("trusted_proxies", vec!["127.0.0.1/32", "10.0.0.0/8"]))), a)
}

/// A header of version 2.
fn binary(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).expect("a length").to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length, body].concat()
}

fn v4(source: [u8; 4], more: &[u8]) -> Vec<u8> {
    binary(0x21, 0x11, &[&source[..], &[198, 51, 100, 1, 1, 2, 3, 4], more].concat())
}

/// The answer to what begins so, and what the endpoint is told of the client.
fn told(gateway: &Gateway, a: &Endpoint, header: &[u8], request: &str) -> (Response, String) {
    let mut connection = Connection::open(gateway.address);
    connection.write([header, request.as_bytes()].concat());
    let response = connection.response();
    response.assert_ok();
    (response, a.last().head.all("x-forwarded-for").join("|"))
}

#[test]
fn the_client_is_the_source_that_a_trusted_peer_tells() {
    let (gateway, a) = start(|file| file);
    let v6 = [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[1], &[0; 20]].concat();
    // 15,000 bytes of type NOOP.
    let noop = [&[0x04, 0x3a, 0x98][..], &[0; 15_000]].concat();
    for (header, client) in [
        (b"PROXY TCP4 203.0.113.7 198.51.100.1 5678 80\r\n".to_vec(), "203.0.113.7"),
        (b"PROXY TCP6 2001:db8::1 ::1 5678 80\r\n".to_vec(), "2001:db8::1"),
        (v4([203, 0, 113, 7], &[]), "203.0.113.7"),
        (v4([203, 0, 113, 7], &noop), "203.0.113.7"),
        (binary(0x21, 0x21, &v6), "2001:db8::1"),
        // The proxy speaks for itself, or does not know.
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        (binary(0x20, 0x00, &[]), "127.0.0.1"),
        (binary(0x21, 0x00, &[]), "127.0.0.1"),
        (binary(0x21, 0x31, &[0; 216]), "127.0.0.1"),
    ] {
        assert_eq!(told(&gateway, &a, &header, REQUEST).1, client, "{header:02x?}");
    }
}

#[test]
fn the_header_may_come_in_pieces_and_holds_for_the_whole_connection() {
    let (gateway, a) = start(|file| file);
    for header in
        [b"PROXY TCP4 203.0.113.7 198.51.100.1 5678 80\r\n".to_vec(), v4([203, 0, 113, 7], &[0; 9])]
    {
        let mut connection = Connection::open(gateway.address);
        for piece in header.chunks(5) {
            connection.write(piece);
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        for _ in 0..3 {
            connection.write(REQUEST);
            connection.response().assert_ok();
            assert_eq!(a.last().head.all("x-forwarded-for"), ["203.0.113.7"]);
        }
    }
}

#[test]
fn a_source_that_is_no_trusted_proxy_is_a_stranger() {
    let (gateway, a) = start(|file| file);
    let request = "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\n\
                   X-Forwarded-Proto: https\r\n\r\n";
    let (response, chain) = told(&gateway, &a, &v4([203, 0, 113, 7], &[]), request);
    assert_eq!(chain, "203.0.113.7");
    assert!(!response.set_cookie().expect("a cookie").contains("; Secure"));
    let (response, chain) = told(&gateway, &a, &v4([10, 0, 0, 9], &[]), request);
    assert_eq!(chain, "192.0.2.1, 10.0.0.9");
    assert!(response.set_cookie().expect("a cookie").contains("; Secure"));
}

#[test]
fn a_trusted_peer_that_begins_with_something_else_is_closed_and_told_of_once() {
    let (gateway, a) = start(|file| file);
    for bytes in [
        REQUEST.as_bytes(),
        b"PROXY TCP4 nonsense\r\n",
        b"PROXY TCP4 203.0.113.7 198.51.100.1 5678 80 \r\n",
        &binary(0x22, 0x11, &[0; 12]),
        &binary(0x21, 0x11, &[0; 11]),
        &[b'P'; 300],
        &[0xff; 300],
    ] {
        let mut connection = Connection::open(gateway.address);
        connection.write(bytes);
        assert!(connection.rest().is_empty(), "{bytes:02x?}");
    }
    assert_eq!(a.count(), 0);
    let warned = || {
        let lines = gateway.errors().into_iter();
        lines.filter(|line| line.contains("proxy_protocol")).collect::<Vec<_>>()
    };
    wait_until("a warning", || !warned().is_empty());
    assert_eq!(warned().len(), 1, "{:?}", warned());
}

#[test]
fn a_header_that_does_not_come_in_time_closes_the_connection() {
    let (gateway, _a) = start(|file| file.set("head_timeout_ms", 200));
    let [mut silent, mut half] = [(); 2].map(|()| Connection::open(gateway.address));
    half.write("PROXY TC");
    assert!(silent.rest().is_empty() && half.rest().is_empty());
}

#[test]
fn a_connection_without_its_header_does_not_hold_a_shutdown() {
    let (mut gateway, a) = start(|file| file);
    let mut half = Connection::open(gateway.address);
    half.write("PROXY TC");
    told(&gateway, &a, b"PROXY UNKNOWN\r\n", REQUEST);
    gateway.signal("TERM");
    assert_eq!(gateway.ended().code(), Some(0));
}

#[test]
fn the_header_of_a_stranger_is_no_request() {
    let a = Endpoint::start("a");
    let off = Gateway::start(&shop(&[&a]).set("trusted_proxies", vec!["127.0.0.1/32"]));
    let untrusted = Gateway::start(&shop(&[&a]).set("proxy_protocol", true));
    for gateway in [&off, &untrusted] {
        let mut connection = Connection::open(gateway.address);
        connection.write(format!("PROXY TCP4 203.0.113.7 198.51.100.1 1 2\r\n{REQUEST}"));
        assert_eq!(connection.response().status, 400);
        gateway.visit().assert_ok();
    }
    assert!(a.seen().iter().all(|seen| seen.head.all("x-forwarded-for") == ["127.0.0.1"]));
}
