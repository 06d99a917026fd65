//! Requests and answers pass whole: lines, fields, bodies, framing.

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
    connection
        .write("POST /up HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
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
    a.answers(Answer::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nten bytes.".to_vec()));
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
    connection
        .write("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
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
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\n\r\n";
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
    a.answers(Answer::BytesAndClose(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold".to_vec()));
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
    a.answers(Answer::AtOnce(b"HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nstop".to_vec()));
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
    for bytes in
        ["\0\0\0\0\r\n\r\n", "GET / HTTP/1.1\r\nNo colon here\r\n\r\n", "GET / HTTP/9.9\r\n\r\n"]
    {
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
