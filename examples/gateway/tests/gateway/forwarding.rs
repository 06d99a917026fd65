//! What passes through the gateway, and what it changes on the way.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::support::{
    Answer, Connection, Endpoint, Gateway, Request, Response, get, pattern, post, request, shop,
};

fn start() -> (Gateway, Endpoint) {
    let a = Endpoint::start("a");
    (Gateway::start(&shop(&[&a])), a)
}

/// With the peer trusted.
fn start_trusted() -> (Gateway, Endpoint) {
    let a = Endpoint::start("a");
    (Gateway::start(&shop(&[&a]).set("trusted_proxies", vec!["127.0.0.1/32", "10.0.0.0/8"])), a)
}

mod messages {
    use super::*;

    #[test]
    fn method_path_query_headers_and_body_arrive_as_they_were() {
        let (gateway, a) = start();
        let request = request("PROPFIND", "/a%20b/../c//d?x=1&y=%2F")
            .with("Host", "www.example.com:8080")
            .with("X-Odd", b"caf\xe9 \t ok")
            .with("X-Twice", "one")
            .with("X-Twice", "two")
            .with("User-Agent", "test/1")
            .body("body");
        gateway.fetch(&request).assert_ok();
        let seen = a.last();
        assert_eq!(seen.head.start, "PROPFIND /a%20b/../c//d?x=1&y=%2F HTTP/1.1");
        assert_eq!(seen.head.all("host"), ["www.example.com:8080"]);
        assert_eq!(seen.head.all("x-twice"), ["one", "two"]);
        assert_eq!(seen.head.all("user-agent"), ["test/1"]);
        let odd = seen.head.fields.iter().find(|(name, _)| name == "x-odd").expect("it arrives");
        assert_eq!(odd.1, b"caf\xe9 \t ok");
        assert_eq!(seen.body, b"body");
    }

    #[test]
    fn status_headers_and_body_come_back_as_they_were() {
        let (gateway, a) = start();
        let answer = "HTTP/1.1 418 Teapot\r\nX-Twice: one\r\nX-Twice: two\r\nSet-Cookie: theirs=1; Path=/x\r\n\
                      ETag: \"e\"\r\nContent-Length: 5\r\n\r\nshort";
        a.answers(Answer::Bytes(answer.into()));
        let response = gateway.visit();
        assert_eq!((response.status, response.text()), (418, "short".into()));
        assert_eq!(response.head.all("x-twice"), ["one", "two"]);
        assert_eq!(response.head.get("etag").as_deref(), Some("\"e\""));
        let cookies = response.head.all("set-cookie");
        assert_eq!(cookies.len(), 2, "ours is appended and replaces none: {cookies:?}");
        assert!(cookies.contains(&"theirs=1; Path=/x".into()));
    }

    #[test]
    fn an_answer_without_a_body_has_none() {
        let (gateway, a) = start();
        let mut connection = Connection::open(gateway.address);
        for answer in ["204 No Content\r\n\r\n", "304 Not Modified\r\nETag: \"e\"\r\n\r\n"] {
            a.answers(Answer::Bytes(format!("HTTP/1.1 {answer}").into_bytes()));
            let response = connection.exchange(&get("/"));
            assert_eq!(response.status.to_string(), answer[..3]);
            // A 304 brings no cookie: a shared cache may copy its fields.
            assert_eq!(response.set_cookie().is_some(), answer.starts_with("204"), "{answer}");
        }
        a.answers(Answer::Name);
        connection.exchange(&get("/")).assert_ok();
    }

    #[test]
    fn head_is_answered_with_the_head_alone() {
        let (gateway, a) = start();
        let mut connection = Connection::open(gateway.address);
        let response = connection.exchange(&request("HEAD", "/"));
        assert_eq!((response.status, response.served_by()), (200, "a".into()));
        assert_eq!(response.head.get("content-length").as_deref(), Some("1"));
        assert!(response.set_cookie().is_some());
        assert!(a.last().head.start.starts_with("HEAD "));
        connection.exchange(&get("/")).assert_ok();
    }

    #[test]
    fn one_connection_serves_many_requests_and_each_has_its_own_session() {
        let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
        let gateway = Gateway::start(&shop(&[&a, &b]));
        let sessions = [gateway.browser_at("a").cookies(), gateway.browser_at("b").cookies()];
        let mut connection = Connection::open(gateway.address);
        for round in 0..10 {
            let response = connection.exchange(&get("/").with("Cookie", &sessions[round % 2]));
            assert_eq!(response.served_by(), ["a", "b"][round % 2]);
        }
    }

    #[test]
    fn requests_that_are_sent_without_waiting_are_answered_in_their_order() {
        let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
        let gateway = Gateway::start(&shop(&[&a, &b]));
        let sessions = [gateway.browser_at("a").cookies(), gateway.browser_at("b").cookies()];
        let mut connection = Connection::open(gateway.address);
        for round in 0..10 {
            connection.send(&post("/", pattern(100 * round)).with("Cookie", &sessions[round % 2]));
        }
        for round in 0..10 {
            assert_eq!(connection.response().served_by(), ["a", "b"][round % 2]);
        }
    }

    #[test]
    fn an_upload_is_passed_on_while_it_comes() {
        let (gateway, a) = start();
        let mut connection = Connection::open(gateway.address);
        connection.write(
            "POST /up HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n",
        );
        a.wait_for("the first piece, before the last is sent", |seen| {
            seen.body == b"first" && !seen.is_whole
        });
        connection.write("6\r\n, last\r\n0\r\n\r\n");
        connection.response().assert_ok();
        let seen = a.last();
        assert_eq!((seen.body.as_slice(), seen.is_whole), (&b"first, last"[..], true));
    }

    #[test]
    fn a_chunked_body_arrives_whole_with_every_method() {
        let (gateway, a) = start();
        for method in ["GET", "HEAD", "DELETE", "OPTIONS", "PATCH"] {
            let mut connection = Connection::open(gateway.address);
            connection.write(format!(
                "{method} / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
            ));
            a.wait_for(method, |seen| {
                seen.head.start.starts_with(method) && seen.body == b"hello" && seen.is_whole
            });
        }
    }

    #[test]
    fn an_answer_with_many_fields_is_passed_on() {
        let (gateway, a) = start();
        let fields: String = (0..400).map(|number| format!("X-{number}: v\r\n")).collect();
        a.answers(Answer::Bytes(
            format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 0\r\n\r\n").into_bytes(),
        ));
        let response = gateway.visit();
        assert!(response.head.has("x-0") && response.head.has("x-399"));
    }

    #[test]
    fn a_download_is_passed_on_while_it_comes() {
        let (gateway, a) = start();
        // The endpoint says 20 bytes, sends ten, and is in no hurry with the rest.
        a.answers(Answer::Bytes(
            b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nten bytes.".to_vec(),
        ));
        let mut connection = Connection::open(gateway.address);
        connection.send(&get("/"));
        assert!(connection.head().expect("a head").start.contains("200"));
        assert_eq!(connection.read(10), b"ten bytes.");
    }

    #[test]
    fn large_bodies_pass_both_ways() {
        let (gateway, a) = start();
        let body = pattern(5_000_000);
        gateway.fetch(&post("/", body.clone())).assert_ok();
        assert!(a.last().body == body);
        let mut answer =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        answer.extend_from_slice(&body);
        a.answers(Answer::Bytes(answer));
        assert!(gateway.visit().body == body);
    }

    #[test]
    fn a_chunked_answer_and_one_that_ends_with_the_connection_arrive_whole() {
        let (gateway, a) = start();
        a.answers(Answer::Bytes(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nall \r\n5\r\nof it\r\n0\r\n\r\n".to_vec(),
        ));
        assert_eq!(gateway.visit().text(), "all of it");
        a.answers(Answer::BytesAndClose(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end".to_vec(),
        ));
        assert_eq!(gateway.visit().text(), "until the end");
    }

    #[test]
    fn a_client_that_expects_100_continue_gets_it_and_no_cookie_with_it() {
        let (gateway, a) = start();
        let mut connection = Connection::open(gateway.address);
        connection.write(
            "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
        );
        let interim = connection.head().expect("a head");
        assert!(interim.start.starts_with("HTTP/1.1 100"), "{interim:?}");
        assert!(!interim.has("set-cookie"));
        connection.write("body");
        let response = connection.response();
        assert!(response.set_cookie().is_some());
        assert_eq!(a.last().body, b"body");
    }

    #[test]
    fn a_client_of_http_1_0_is_answered_in_its_way() {
        let (gateway, a) = start();
        let chunked =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\n\r\n";
        a.answers(Answer::Bytes(chunked.to_vec()));
        for head in ["GET /old HTTP/1.0\r\n\r\n", "GET /old HTTP/1.0\r\nHost: x\r\n\r\n"] {
            let mut connection = Connection::open(gateway.address);
            connection.write(head);
            let answer = String::from_utf8(connection.rest()).expect("text");
            let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
            assert!(head.contains(" 200 OK"), "{head}");
            assert!(!head.to_lowercase().contains("transfer-encoding"), "{head}");
            assert!(head.contains("__cflb="), "{head}");
            assert_eq!(body, "whole");
        }
        assert_eq!(a.last().head.start, "GET /old HTTP/1.1");
    }

    #[test]
    fn an_endpoint_of_http_1_0_does_not_make_the_client_one() {
        let (gateway, a) = start();
        a.answers(Answer::BytesAndClose(
            b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold".to_vec(),
        ));
        let mut connection = Connection::open(gateway.address);
        for _ in 0..2 {
            let response = connection.exchange(&get("/"));
            assert_eq!(
                (response.head.start.as_str(), response.text()),
                ("HTTP/1.1 200 OK", "old".into())
            );
        }
    }

    #[test]
    fn an_interim_answer_is_not_the_answer() {
        let (gateway, a) = start();
        let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n";
        a.answers(Answer::Bytes(
            format!("{hints}HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nend").into_bytes(),
        ));
        let mut connection = Connection::open(gateway.address);
        connection.send(&get("/"));
        let mut response = connection.response();
        while response.status < 200 {
            assert!(!response.head.has("set-cookie"), "{response:?}");
            response = connection.response();
        }
        assert_eq!((response.status, response.text()), (200, "end".into()));
        assert!(response.set_cookie().is_some());
    }

    #[test]
    fn an_answer_before_the_end_of_the_body_is_passed_on() {
        let (gateway, a) = start();
        a.answers(Answer::AtOnce(
            b"HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nstop".to_vec(),
        ));
        let mut connection = Connection::open(gateway.address);
        connection.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
        connection.write(pattern(10_000));
        let response = connection.response();
        assert_eq!((response.status, response.text()), (413, "stop".into()));
        assert!(response.set_cookie().is_some());
        a.answers(Answer::Name);
        gateway.visit().assert_ok();
    }

    #[test]
    fn a_body_has_one_end_although_its_head_names_two() {
        let (gateway, a) = start();
        let mut connection = Connection::open(gateway.address);
        connection.write(
            "POST /one HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n\
             3\r\nabc\r\n0\r\n\r\nGET /two HTTP/1.1\r\nHost: x\r\n\r\n",
        );
        let response = connection.response();
        let seen = a.seen();
        if response.status == 200 {
            assert_eq!(seen[0].body, b"abc");
            assert!(
                !(seen[0].head.has("content-length") && seen[0].head.has("transfer-encoding")),
                "{seen:?}"
            );
        }
        assert!(
            seen.iter()
                .all(|seen| seen.head.start.contains("/one") || seen.head.start.contains("/two")),
            "{seen:?}"
        );
    }

    #[test]
    fn a_host_that_is_missing_or_doubled_or_no_host_is_refused() {
        let (gateway, a) = start();
        for head in [
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a b/<>\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: user@x\r\n\r\n",
            "GET / HTTP/1.0\r\nHost: x/y\r\n\r\n",
            "GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n",
        ] {
            let mut connection = Connection::open(gateway.address);
            connection.write(head);
            let response = connection.response();
            assert_eq!(response.status, 400, "{head:?}");
            assert!(!response.head.has("set-cookie"));
        }
        assert_eq!(a.count(), 0);
        for host in ["", "x", "x:8080", "[::1]:80", "XN--a_b.example."] {
            let mut connection = Connection::open(gateway.address);
            connection.write(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
            assert_eq!(connection.response().status, 200, "{host:?}");
        }
    }

    #[test]
    fn connect_is_refused() {
        let (gateway, a) = start();
        let response = gateway.fetch(&request("CONNECT", "shop.example.com:443"));
        assert!((400..500).contains(&response.status), "{response:?}");
        assert_eq!(a.count(), 0);
    }

    #[test]
    fn a_client_that_breaks_off_in_its_body_disturbs_nobody() {
        let (gateway, a) = start();
        let mut connection = Connection::open(gateway.address);
        connection.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf");
        a.wait_for("the half", |seen| seen.body == b"half");
        drop(connection);
        gateway.visit().assert_ok();
    }

    #[test]
    fn what_is_no_request_gets_400_and_disturbs_nobody() {
        let (gateway, a) = start();
        for bytes in [
            "\0\0\0\0\r\n\r\n",
            "GET / HTTP/1.1\r\nNo colon here\r\n\r\n",
            "GET / HTTP/9.9\r\n\r\n",
        ] {
            let mut connection = Connection::open(gateway.address);
            connection.write(bytes);
            connection.finish_writing();
            let answer = String::from_utf8_lossy(&connection.rest()).into_owned();
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{bytes:?}: {answer}");
        }
        assert_eq!(a.count(), 0);
        gateway.visit().assert_ok();
    }

    #[test]
    fn a_target_in_absolute_form_reaches_the_endpoint_in_origin_form() {
        let (gateway, a) = start();
        gateway.fetch(&get("http://shop.example.com/cart?n=1")).assert_ok();
        assert_eq!(a.last().head.start, "GET /cart?n=1 HTTP/1.1");
        assert_eq!(a.last().head.all("host"), ["shop.example.com"]);
    }

    #[test]
    fn options_for_the_whole_server_never_fails_the_gateway() {
        let (gateway, _a) = start();
        let response = gateway.fetch(&request("OPTIONS", "*"));
        assert!(response.status < 500, "{response:?}");
    }
}

mod hop_by_hop {
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
}

mod forwarded {
    use super::*;

    #[test]
    fn the_endpoint_learns_address_scheme_and_host() {
        let (gateway, a) = start();
        gateway.fetch(&get("/").with("Host", "shop.example.com")).assert_ok();
        let head = a.last().head;
        assert_eq!(head.all("x-forwarded-for"), ["127.0.0.1"]);
        assert_eq!(head.all("x-forwarded-proto"), ["http"]);
        assert_eq!(head.all("x-forwarded-host"), ["shop.example.com"]);
    }

    #[test]
    fn what_a_stranger_says_is_dropped() {
        let (gateway, a) = start();
        let request = get("/")
            .with("Host", "shop.example.com")
            .with("X-Forwarded-For", "203.0.113.7")
            .with("X-Forwarded-For", "203.0.113.8")
            .with("X-Forwarded-Proto", "https")
            .with("X-Forwarded-Host", "evil.example.com");
        let response = gateway.fetch(&request);
        let head = a.last().head;
        assert_eq!(head.all("x-forwarded-for"), ["127.0.0.1"]);
        assert_eq!(head.all("x-forwarded-proto"), ["http"]);
        assert_eq!(head.all("x-forwarded-host"), ["shop.example.com"]);
        assert!(!response.set_cookie().expect("a cookie").contains("Secure"));
    }

    #[test]
    fn what_a_trusted_peer_says_is_passed_on_with_its_own_address() {
        let (gateway, a) = start_trusted();
        let request = get("/")
            .with("X-Forwarded-For", "203.0.113.7, 10.0.0.9")
            .with("X-Forwarded-For", "10.0.0.8")
            .with("X-Forwarded-Proto", "https");
        gateway.fetch(&request).assert_ok();
        let head = a.last().head;
        assert_eq!(
            head.get("x-forwarded-for").as_deref(),
            Some("203.0.113.7, 10.0.0.9, 10.0.0.8, 127.0.0.1")
        );
        assert_eq!(head.all("x-forwarded-proto"), ["https"]);
    }

    #[test]
    fn what_a_trusted_peer_says_is_not_the_clients_to_remove() {
        let (gateway, a) = start_trusted();
        let request = get("/")
            .with("Connection", "X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host")
            .with("X-Forwarded-For", "203.0.113.7")
            .with("X-Forwarded-Proto", "https")
            .with("X-Forwarded-Host", "www.example.com");
        gateway.fetch(&request).assert_ok();
        let head = a.last().head;
        assert_eq!(head.all("x-forwarded-for"), ["203.0.113.7, 127.0.0.1"]);
        assert_eq!(head.all("x-forwarded-proto"), ["https"]);
        assert_eq!(head.all("x-forwarded-host"), ["www.example.com"]);
    }

    /// Who serves clients of 16 addresses, each told in this way.
    fn served(trusted: &[&str], told: impl Fn(String) -> String) -> Vec<String> {
        let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
        let gateway =
            Gateway::start(&shop(&[&a, &b]).by_address().set("trusted_proxies", trusted.to_vec()));
        let visit = |last| {
            gateway.fetch(&get("/").with("X-Forwarded-For", told(format!("203.0.113.{last}"))))
        };
        (0..16).map(|last| visit(last).served_by()).collect()
    }

    const TRUSTED: [&str; 2] = ["127.0.0.1/32", "10.0.0.0/8"];

    fn is_spread(served: &[String]) -> bool {
        served.iter().collect::<BTreeSet<_>>().len() == 2
    }

    #[test]
    fn the_client_is_the_right_most_address_that_is_not_trusted() {
        let alone = served(&TRUSTED, |client| client);
        assert!(is_spread(&alone));
        assert_eq!(served(&TRUSTED, |client| format!("{client}, 10.0.0.9,10.1.1.1")), alone);
        assert_eq!(served(&TRUSTED, |client| format!("198.51.100.1, {client} ,10.0.0.9")), alone);
        assert_eq!(served(&TRUSTED, |client| format!("no address, {client}")), alone);
    }

    #[test]
    fn when_all_addresses_are_trusted_the_client_is_the_left_most() {
        let everyone = ["0.0.0.0/0"];
        let alone = served(&TRUSTED, |client| client);
        assert_eq!(served(&everyone, |client| format!("{client}, 10.0.0.9, 10.0.0.8")), alone);
    }

    #[test]
    fn an_entry_that_is_no_bare_address_ends_the_walk() {
        for odd in ["unknown", "_hidden", "198.51.100.1:80", "\"198.51.100.1\""] {
            let served = served(&TRUSTED, |client| format!("{client}, {odd}, 10.0.0.9"));
            assert!(!is_spread(&served), "{odd:?}: {served:?}");
        }
    }

    #[test]
    fn the_client_of_a_stranger_is_the_stranger() {
        assert!(!is_spread(&served(&[], |client| client)));
        assert!(!is_spread(&served(&["10.0.0.0/8"], |client| client)));
    }

    #[test]
    fn a_peer_over_ipv6_with_an_ipv4_address_is_that_address() {
        if std::net::TcpListener::bind("[::]:0").is_err() {
            return eprintln!("skipped: there is no IPv6 here");
        }
        let a = Endpoint::start("a");
        let file = shop(&[&a]).set("trusted_proxies", vec!["127.0.0.1/32"]).set("listen", "[::]:0");
        let gateway = Gateway::start(&file);
        let address = ([127, 0, 0, 1], gateway.address.port()).into();
        let Ok(mut connection) = Connection::try_open(address) else {
            return eprintln!("skipped: IPv6 alone");
        };
        let response = connection.exchange(&get("/").with("X-Forwarded-Proto", "https"));
        assert!(response.set_cookie().expect("a cookie").contains("; Secure"));
        assert_eq!(a.last().head.all("x-forwarded-for"), ["127.0.0.1"]);
    }

    #[test]
    fn an_odd_scheme_never_fails_a_request() {
        let (gateway, _a) = start_trusted();
        for scheme in ["HTTPS", "ftp", "", "https, http", "http,https"] {
            gateway.fetch(&get("/").with("X-Forwarded-Proto", scheme)).assert_ok();
        }
    }
}

mod set_cookie {
    use super::*;

    fn big_endian(bytes: &[u8]) -> u64 {
        bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// `Sun, 06 Nov 1994 08:49:37 GMT`
    fn imf_fixdate(seconds: u64) -> String {
        let date = time::UtcDateTime::from_unix_timestamp(i64::try_from(seconds).expect("a time"))
            .expect("a date");
        let (weekday, month) = (date.weekday().to_string(), date.month().to_string());
        let (hour, minute, second) = date.time().as_hms();
        let (day, year) = (date.day(), date.year());
        format!(
            "{}, {day:02} {} {year} {hour:02}:{minute:02}:{second:02} GMT",
            &weekday[..3],
            &month[..3]
        )
    }

    /// The line, to the letter, with these attributes after `HttpOnly`.
    #[track_caller]
    fn assert_line(response: &Response, ttl: u64, path: &str, tail: &str) {
        let line = response.set_cookie().expect("a cookie");
        let token = response.cookie();
        assert_eq!(token.len(), "__cflb=".len() + 48);
        let expires = imf_fixdate(big_endian(&response.token()[15..20]));
        assert_eq!(
            line,
            format!("{token}; Path={path}; Expires={expires}; Max-Age={ttl}; HttpOnly{tail}")
        );
    }

    #[test]
    fn by_default_it_is_this_to_the_letter() {
        let (gateway, _a) = start();
        let before = gateway.clock();
        let response = gateway.visit();
        assert_line(&response, 82_800, "/", "; SameSite=Lax");
        let token = response.token();
        assert_eq!(token[0], 1, "the version");
        let issued = big_endian(&token[10..15]);
        assert!((before..=gateway.clock()).contains(&issued));
        assert_eq!(big_endian(&token[15..20]), issued + 82_800);
    }

    #[test]
    fn over_https_as_a_trusted_peer_tells_it_is_secure_and_for_all_sites() {
        let (gateway, _a) = start_trusted();
        let response = gateway.fetch(&get("/").with("X-Forwarded-Proto", "https"));
        assert_line(&response, 82_800, "/", "; Secure; SameSite=None");
        let response = gateway.fetch(&get("/").with("X-Forwarded-Proto", "http"));
        assert_line(&response, 82_800, "/", "; SameSite=Lax");
    }

    #[test]
    fn all_its_attributes_come_in_their_order() {
        let a = Endpoint::start("a");
        let file = shop(&[&a])
            .set("load_balancer.session_affinity_ttl", 1_800)
            .attribute("samesite", "Strict")
            .attribute("secure", "Always")
            .set("cookie.path", "/shop")
            .set("cookie.domain", "example.com")
            .set("cookie.partitioned", true);
        let response = Gateway::start(&file).visit();
        assert_line(
            &response,
            1_800,
            "/shop",
            "; Secure; SameSite=Strict; Domain=example.com; Partitioned",
        );
    }

    #[test]
    fn samesite_and_secure_follow_the_table() {
        for (samesite, secure, always_https, over_http, over_https) in [
            ("Auto", "Auto", false, "; SameSite=Lax", "; Secure; SameSite=None"),
            ("Auto", "Auto", true, "; Secure; SameSite=Lax", "; Secure; SameSite=Lax"),
            ("Auto", "Always", false, "; Secure; SameSite=Lax", "; Secure; SameSite=None"),
            ("Auto", "Never", false, "; SameSite=Lax", "; SameSite=Lax"),
            ("None", "Auto", false, "; SameSite=Lax", "; Secure; SameSite=None"),
            ("None", "Always", false, "; Secure; SameSite=None", "; Secure; SameSite=None"),
            ("Lax", "Auto", false, "; SameSite=Lax", "; Secure; SameSite=Lax"),
            ("Strict", "Never", false, "; SameSite=Strict", "; SameSite=Strict"),
        ] {
            let a = Endpoint::start("a");
            let file = shop(&[&a])
                .set("trusted_proxies", vec!["127.0.0.1/32"])
                .attribute("samesite", samesite)
                .attribute("secure", secure)
                .set("always_use_https", always_https);
            let gateway = Gateway::start(&file);
            assert_line(&gateway.visit(), 82_800, "/", over_http);
            let response = gateway.fetch(&get("/").with("X-Forwarded-Proto", "https"));
            assert_line(&response, 82_800, "/", over_https);
        }
    }

    #[test]
    fn it_can_have_another_name() {
        let a = Endpoint::start("a");
        let gateway = Gateway::start(
            &shop(&[&a]).set("cookie.name", "__Host-lb").attribute("secure", "Always"),
        );
        let mut browser = gateway.browser();
        let line = browser.get("/").head.get("set-cookie").expect("a cookie");
        assert!(line.starts_with("__Host-lb=") && line.contains("; Path=/; "), "{line}");
        assert_eq!(browser.get("/").outcome(), "kept");
    }
}

mod cookies {
    use super::*;

    /// The `Cookie` fields as they arrive at the endpoint, when OURS stands for our cookie.
    fn arrives(fields: &[&str]) -> Vec<String> {
        let (gateway, a) = start();
        let ours = gateway.visit().cookie();
        let request = fields
            .iter()
            .fold(get("/"), |request, field| request.with("Cookie", field.replace("OURS", &ours)));
        assert_eq!(gateway.fetch(&request).outcome(), "kept", "{fields:?}");
        a.last().head.all("cookie")
    }

    #[test]
    fn the_endpoint_sees_the_other_cookies_as_they_were_and_not_ours() {
        assert_eq!(arrives(&["OURS"]), [""; 0]);
        assert_eq!(arrives(&["a=1; OURS; b=\"2\""]), ["a=1; b=\"2\""]);
        assert_eq!(arrives(&["OURS; a=1"]), ["a=1"]);
        assert_eq!(arrives(&["a=1;b=2; OURS"]), ["a=1;b=2"]);
        assert_eq!(
            arrives(&["a=1; OURS; OURS; x__cflb=2; __CFLB=3"]),
            ["a=1; x__cflb=2; __CFLB=3"]
        );
    }

    #[test]
    fn cookies_in_several_fields_are_all_read() {
        assert_eq!(arrives(&["a=1", "OURS"]), ["a=1"]);
    }

    #[test]
    fn a_cookie_that_cannot_be_used_is_hidden_from_the_endpoint_too() {
        let (gateway, a) = start();
        gateway.fetch(&get("/").with("Cookie", "a=1; __cflb=nonsense")).assert_ok();
        assert_eq!(a.last().head.all("cookie"), ["a=1"]);
    }

    /// A token with another byte here.
    fn changed(cookie: &str, index: usize, byte: impl Fn(u8) -> u8) -> String {
        let (name, value) = cookie.split_once('=').expect("a name and a value");
        let mut bytes = URL_SAFE_NO_PAD.decode(value).expect("base64url");
        bytes[index] = byte(bytes[index]);
        format!("{name}={}", URL_SAFE_NO_PAD.encode(bytes))
    }

    #[test]
    fn odd_cookies_never_fail_a_request_and_each_has_its_reason() {
        let (gateway, _a) = start();
        let good = gateway.visit().cookie();
        let value = &good["__cflb=".len()..];
        let forged = changed(&good, 30, |byte| byte ^ 1);
        let overlong = format!("__cflb={}", "A".repeat(6_000));
        let cases: Vec<(Vec<u8>, &str)> = vec![
            (b"other=1".into(), "created:no_cookie"),
            (b"".into(), "created:no_cookie"),
            (b";;; =; ,".into(), "created:no_cookie"),
            (b"__cflb".into(), "created:no_cookie"),
            (format!("__CFLB={value}").into(), "created:no_cookie"),
            (b"__cflb=".into(), "created:malformed"),
            (good[..good.len() - 1].into(), "created:malformed"),
            (format!("{good}A").into(), "created:malformed"),
            (format!("__cflb=\"{value}\"").into(), "created:malformed"),
            (good.replace(value, &"=".repeat(48)).into(), "created:malformed"),
            (overlong.into(), "created:malformed"),
            ([b"__cflb=", &[0xff; 48][..]].concat(), "created:malformed"),
            ("__cflb=é".into(), "created:malformed"),
            (changed(&good, 0, |_| 2).into(), "created:unknown_version"),
            (changed(&good, 1, |_| 77).into(), "created:unknown_key"),
            (changed(&good, 1, |_| 1).into(), "created:forged"),
            (changed(&good, 2, |byte| byte ^ 1).into(), "created:forged"),
            (changed(&good, 19, |byte| byte ^ 1).into(), "created:forged"),
            (forged.clone().into(), "created:forged"),
            (format!("__cflb=A; {forged}").into(), "created:malformed"),
            (format!("{forged}; __cflb=A").into(), "created:forged"),
            (format!("__cflb=A; {forged}; {good}").into(), "kept"),
            (format!("{good}; {good}").into(), "kept"),
            (format!("__cflb=1; __cflb=2; __cflb=3; {good}").into(), "kept"),
            (format!("__cflb=1; __cflb=2; __cflb=3; __cflb=4; {good}").into(), "created:malformed"),
            (format!("\t{good}\t ; a").into(), "kept"),
            ([b"caf\xe9=1; ", good.as_bytes()].concat(), "kept"),
        ];
        for (cookie, outcome) in cases {
            let response = gateway.fetch(&get("/").with("Cookie", &cookie));
            let shown = String::from_utf8_lossy(&cookie);
            assert_eq!((response.status, response.outcome()), (200, outcome.into()), "{shown}");
            assert_eq!(response.set_cookie().is_some(), outcome != "kept", "{shown}");
        }
    }
}

mod cache {
    use super::*;

    const PUBLIC: &str = "HTTP/1.1 200 OK\r\nCache-Control: public, max-age=60\r\nCache-Control: s-maxage=90\r\n\
                          CDN-Cache-Control: max-age=60\r\nSurrogate-Control: max-age=60\r\nContent-Length: 0\r\n\r\n";

    fn answer(file_guard: bool) -> (Response, Response) {
        let a = Endpoint::start("a");
        let gateway = Gateway::start(&shop(&[&a]).set("cache_guard", file_guard));
        a.answers(Answer::Bytes(PUBLIC.into()));
        let first = gateway.visit();
        let kept = gateway.revisit(&first.cookie());
        (first, kept)
    }

    #[test]
    fn a_response_with_our_cookie_is_kept_out_of_shared_caches() {
        let (first, kept) = answer(true);
        assert_eq!(first.head.all("cache-control"), ["private, max-age=60"]);
        assert!(!first.head.has("cdn-cache-control") && !first.head.has("surrogate-control"));
        assert_eq!(
            kept.head.get("cache-control").as_deref(),
            Some("public, max-age=60, s-maxage=90")
        );
        assert!(kept.head.has("cdn-cache-control") && kept.head.has("surrogate-control"));
    }

    #[test]
    fn without_the_guard_the_response_says_what_it_said() {
        let (first, _) = answer(false);
        assert_eq!(
            first.head.get("cache-control").as_deref(),
            Some("public, max-age=60, s-maxage=90")
        );
        assert!(first.head.has("cdn-cache-control"));
    }
}

mod explain {
    use super::*;

    #[test]
    fn the_outcome_is_told_only_when_asked_for() {
        let a = Endpoint::start("a");
        for file in [shop(&[&a]).set("explain", false), shop(&[&a]).without("explain")] {
            let gateway = Gateway::start(&file);
            assert!(!gateway.visit().head.has("x-affinity-outcome"));
            assert_eq!(gateway.counted("created:no_cookie"), 1, "it is counted all the same");
        }
    }

    #[test]
    fn what_the_endpoint_says_of_it_does_not_count() {
        let (gateway, a) = start();
        a.answers(Answer::Bytes(
            b"HTTP/1.1 200 OK\r\nX-Affinity-Outcome: kept\r\nContent-Length: 0\r\n\r\n".to_vec(),
        ));
        assert_eq!(gateway.visit().head.all("x-affinity-outcome"), ["created:no_cookie"]);
    }

    #[test]
    fn a_request_with_a_body_is_explained_like_any_other() {
        let (gateway, _a) = start();
        let send = |request: &Request| gateway.fetch(request).outcome();
        assert_eq!(send(&post("/", "x")), "created:no_cookie");
    }
}
