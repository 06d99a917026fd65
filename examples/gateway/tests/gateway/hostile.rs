//! Clients who mean ill, over real sockets. The whole list stands in `tests/hostile.rs`.

use crate::support::{Connection, Endpoint, Gateway, get, shop};

#[test]
fn among_10_000_cookies_ours_is_found_and_the_others_arrive() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]).set("max_head_bytes", 300_000));
    let ours = gateway.visit().cookie();
    let others = (0..10_000).map(|number| format!("c{number}=1")).collect::<Vec<_>>().join("; ");
    let response = gateway.fetch(&get("/").with("Cookie", format!("{others}; {ours}")));
    assert_eq!((response.status, response.outcome()), (200, "kept".into()));
    assert_eq!(a.last().head.all("cookie"), [others]);

    let tossed = vec!["__cflb=AQIKmpMZztPmSwBrSdIAAGtLFXBoqkFSTjCHUZR2tpUzfBT4"; 4_000].join("; ");
    let response = gateway.fetch(&get("/").with("Cookie", format!("{tossed}; a=1; {ours}")));
    assert_eq!((response.status, response.outcome()), (200, "created:forged".into()));
    assert_eq!(a.last().head.all("cookie"), ["a=1"]);
}

#[test]
fn values_of_64_kib_are_served() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let file = shop(&[&a, &b]).by_headers(&["x-user", "cookie:sid"]);
    let gateway = Gateway::start(&file.set("max_head_bytes", 70_000));
    let long = "x".repeat(65_536);
    for (name, value) in [("X-User", long.clone()), ("Cookie", format!("sid={long}"))] {
        let visit = |last: char| gateway.fetch(&get("/").with(name, format!("{value}{last}")));
        let first = visit('a');
        assert_eq!(first.outcome(), "created:no_record");
        assert_eq!(
            (visit('a').served_by(), visit('a').outcome()),
            (first.served_by(), "kept".into())
        );
        assert_eq!(visit('b').outcome(), "created:no_record", "the last byte counts");
    }
}

/// What is no line break for http is no field value either.
#[test]
fn values_with_line_breaks_are_refused_and_put_nothing_into_a_response() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]));
    let breaks = ["\r\n ", "\r\n\t", "\r", "\0", "\x0b", "\x7f"];
    for field in
        ["Cookie: __cflb=x", "Cookie: a=1", "X-User: ann", "X-Forwarded-For: 192.0.2.1", "Host: x"]
    {
        for line_break in breaks {
            let mut connection = Connection::open(gateway.address);
            connection.write(format!(
                "GET / HTTP/1.1\r\nHost: x\r\n{field}{line_break}Set-Cookie: evil=1\r\n\r\n"
            ));
            connection.finish_writing();
            let answer = String::from_utf8_lossy(&connection.rest()).into_owned();
            assert!(
                answer.is_empty() || answer.starts_with("HTTP/1.1 400"),
                "{field}{line_break:?}: {answer}"
            );
            assert!(!answer.contains("evil"), "{answer}");
        }
    }
    assert_eq!(a.count(), 0);
    gateway.visit().assert_ok();

    // A line feed alone ends a field (RFC 9112 section 2.2): what follows is a field, on both hops.
    let mut connection = Connection::open(gateway.address);
    connection.write("GET / HTTP/1.1\r\nHost: x\r\nX-User: ann\nX-Evil: 1\r\n\r\n");
    assert_eq!(connection.response().head.get("x-evil"), None);
    assert_eq!(
        (a.last().head.all("x-user"), a.last().head.all("x-evil")),
        (vec!["ann".into()], vec!["1".into()])
    );
}
