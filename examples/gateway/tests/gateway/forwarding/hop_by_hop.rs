//! Fields of one connection end there, and no other field does.

use super::*;

#[test]
fn fields_of_the_clients_hop_do_not_reach_the_endpoint() {
    let (gateway, a) = start();
    let request = get("/")
        .with("Connection", "keep-alive, X-Private")
        .with("Connection", "x-other")
        .with("X-Private", "1")
        .with("X-Other", "1")
        .with("X-Public", "1")
        .with("Keep-Alive", "timeout=5")
        .with("Proxy-Connection", "keep-alive")
        .with("TE", "gzip")
        .with("Upgrade", "h2c");
    gateway.fetch(&request).assert_ok();
    let head = a.last().head;
    for name in ["x-private", "x-other", "keep-alive", "proxy-connection", "te", "upgrade"] {
        assert!(!head.has(name), "{name}: {head:?}");
    }
    assert_eq!(head.get("x-public").as_deref(), Some("1"));
}

#[test]
fn what_a_message_needs_is_not_the_connections_to_remove() {
    let (gateway, a) = start();
    let request =
        post("/", "body").with("Connection", "close, Content-Length, Host, X-Forwarded-For");
    gateway.fetch(&request).assert_ok();
    let seen = a.last();
    assert_eq!(seen.body, b"body");
    assert_eq!(seen.head.all("host"), ["shop.example.com"]);
    assert_eq!(seen.head.all("x-forwarded-for"), ["127.0.0.1"]);
}

/// `Connection` may name the coding, whose field is gone then, and with it the reason to take the
/// length away.
#[test]
fn a_message_with_a_coding_keeps_its_framing_whatever_connection_names() {
    let (gateway, a) = start();
    let answer = "HTTP/1.1 200 OK\r\nConnection: transfer-encoding\r\nContent-Length: 2\r\n\
                  Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    a.answers(Answer::Bytes(answer.into()));
    let response = gateway.visit();
    assert_eq!(response.body, b"hello");
    assert!(!response.head.has("content-length"), "{response:?}");

    a.answers(Answer::Name);
    let mut connection = Connection::open(gateway.address);
    connection.write(
        "POST / HTTP/1.1\r\nHost: x\r\nConnection: close, transfer-encoding\r\n\
         Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    );
    let status = connection.response().status;
    assert!(status == 400 || (status == 200 && a.last().body == b"hello"), "{status}");
}

#[test]
fn fields_of_the_endpoints_hop_do_not_reach_the_client() {
    let (gateway, a) = start();
    let answer = "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Private\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\n\
                  Proxy-Connection: keep-alive\r\nX-Public: 1\r\nContent-Length: 0\r\n\r\n";
    a.answers(Answer::Bytes(answer.into()));
    let head = gateway.visit().head;
    for name in ["x-private", "keep-alive", "proxy-connection"] {
        assert!(!head.has(name), "{name}: {head:?}");
    }
    assert_eq!(head.get("x-public").as_deref(), Some("1"));
}

#[test]
fn a_client_that_closes_its_connection_does_not_close_the_endpoints() {
    let (gateway, a) = start();
    for _ in 0..6 {
        gateway.fetch(&get("/").with("Connection", "close")).assert_ok();
    }
    assert!(a.connections() < 4, "{} connections for 6 requests", a.connections());
}
