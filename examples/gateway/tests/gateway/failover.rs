//! An endpoint that can't be connected to: the three modes, retries, and what is no failover.

use crate::support::{
    Answer, Connection, Endpoint, Gate, Gateway, Response, Silent, get, pattern, post, request,
    shop, shop_of_pools,
};

/// Two endpoints in one pool.
fn two() -> (Endpoint, Endpoint) {
    (Endpoint::start("a"), Endpoint::start("b"))
}

/// The gateway's own answer when those tried have failed: no cookie, one line of plain text.
#[track_caller]
fn assert_gave_up(response: &Response) {
    assert_eq!((response.status, response.outcome()), (502, "gave_up".into()), "{response:?}");
    assert!(!response.head.has("set-cookie"), "{response:?}");
    assert!(
        response.head.get("content-type").is_some_and(|kind| kind.starts_with("text/plain")),
        "{response:?}"
    );
    assert_eq!(response.text().trim_end().lines().count(), 1, "{response:?}");
}

#[test]
fn in_mode_none_a_pinned_session_gets_502_and_keeps_its_pin() {
    let (a, b) = two();
    let gateway = Gateway::start(&shop(&[&a, &b]).failover("none"));
    let mut pinned = gateway.browser_at("a");
    a.go_down();
    let before = b.count();
    for _ in 0..3 {
        assert_gave_up(&pinned.get("/"));
    }
    assert_eq!(b.count(), before, "nobody else is asked");
    a.come_back();
    let back = pinned.get("/");
    assert_eq!((back.served_by(), back.outcome()), ("a".into(), "kept".into()));
}

#[test]
fn in_every_mode_a_new_session_goes_to_the_endpoint_that_answers() {
    for mode in ["none", "temporary", "sticky"] {
        let (a, b) = two();
        let gateway = Gateway::start(&shop(&[&a, &b]).failover(mode));
        a.go_down();
        let mut rebound = None;
        for _ in 0..40 {
            let response = gateway.visit();
            assert_eq!((response.status, response.served_by()), (200, "b".into()), "{mode}");
            if response.outcome() == "created:connect_failed" {
                rebound = Some(response.cookie());
            } else {
                assert_eq!(response.outcome(), "created:no_cookie", "{mode}");
            }
        }
        let cookie = rebound.expect("half of them choose a first");
        a.come_back();
        let next = gateway.revisit(&cookie);
        assert_eq!((next.served_by(), next.outcome()), ("b".into(), "kept".into()), "{mode}");
    }
}

#[test]
fn in_mode_temporary_a_pinned_session_is_lent_and_comes_back() {
    let (a, b) = two();
    let gateway = Gateway::start(&shop(&[&a, &b]).failover("temporary"));
    let mut pinned = gateway.browser_at("a");
    a.go_down();
    for _ in 0..3 {
        let lent = pinned.get("/");
        assert_eq!((lent.served_by(), lent.outcome()), ("b".into(), "lent:connect_failed".into()));
        assert_eq!(lent.set_cookie(), None, "the pin is unchanged");
    }
    a.come_back();
    let back = pinned.get("/");
    assert_eq!((back.served_by(), back.outcome()), ("a".into(), "kept".into()));
}

#[test]
fn in_mode_sticky_a_pinned_session_is_pinned_anew_and_stays() {
    let (a, b) = two();
    let gateway = Gateway::start(&shop(&[&a, &b]).failover("sticky"));
    let mut pinned = gateway.browser_at("a");
    a.go_down();
    let moved = pinned.get("/");
    assert_eq!((moved.served_by(), moved.outcome()), ("b".into(), "moved:connect_failed".into()));
    assert!(moved.set_cookie().is_some());
    a.come_back();
    for _ in 0..3 {
        let next = pinned.get("/");
        assert_eq!((next.served_by(), next.outcome()), ("b".into(), "kept".into()));
    }
}

#[test]
fn by_header_in_mode_temporary_a_session_is_lent_and_comes_back() {
    let (a, b) = two();
    let gateway = Gateway::start(&shop(&[&a, &b]).by_headers(&["x-user"]).failover("temporary"));
    let request = get("/").with("X-User", "ann");
    let home = gateway.fetch(&request).served_by();
    let (home, other) = if home == "a" { (&a, &b) } else { (&b, &a) };
    home.go_down();
    let lent = gateway.fetch(&request);
    assert_eq!(
        (lent.served_by(), lent.outcome()),
        (other.name.clone(), "lent:connect_failed".into())
    );
    home.come_back();
    let back = gateway.fetch(&request);
    assert_eq!((back.served_by(), back.outcome()), (home.name.clone(), "kept".into()));
}

#[test]
fn a_body_arrives_whole_at_the_second_endpoint() {
    let (a, b) = two();
    let gateway = Gateway::start(&shop(&[&a, &b]).failover("temporary"));
    let pinned = gateway.browser_at("a");
    a.go_down();
    let body = pattern(300_000);
    let response =
        gateway.fetch(&post("/order?n=1", body.clone()).with("Cookie", pinned.cookies()));
    assert_eq!(
        (response.served_by(), response.outcome()),
        ("b".into(), "lent:connect_failed".into())
    );
    let seen = b.last();
    assert_eq!(seen.head.start, "POST /order?n=1 HTTP/1.1");
    assert!(seen.body == body, "{} bytes of {}", seen.body.len(), body.len());
}

#[test]
fn a_body_without_a_length_arrives_whole_at_the_second_endpoint() {
    let (a, b) = two();
    let gateway = Gateway::start(&shop(&[&a, &b]).failover("sticky"));
    let pinned = gateway.browser_at("a");
    a.go_down();
    let mut connection = Connection::open(gateway.address);
    let cookies = pinned.cookies();
    connection.write(format!(
        "POST / HTTP/1.1\r\nHost: x\r\nCookie: {cookies}\r\nTransfer-Encoding: chunked\r\n\r\n"
    ));
    connection.write("5\r\nfirst\r\n");
    b.wait_for("the first piece", |seen| seen.body == b"first");
    connection.write("5\r\n, end\r\n0\r\n\r\n");
    assert_eq!(connection.response().outcome(), "moved:connect_failed");
    assert_eq!(b.last().body, b"first, end");
}

#[test]
fn when_nobody_is_left_to_try_the_gateway_gives_up() {
    for mode in ["none", "temporary", "sticky"] {
        let (a, b) = two();
        let gateway = Gateway::start(&shop(&[&a, &b]).failover(mode).set("retries", 8));
        let mut pinned = gateway.browser_at("a");
        a.go_down();
        b.go_down();
        assert_gave_up(&pinned.get("/"));
        assert_gave_up(&gateway.visit());
        a.come_back();
        assert_eq!(pinned.get("/").outcome(), "kept", "{mode}: giving up writes nothing");
    }
}

#[test]
fn retries_say_how_many_more_endpoints_are_tried() {
    let endpoints: Vec<_> = ["a", "b", "c", "d"].into_iter().map(Endpoint::start).collect();
    let file = shop(&endpoints.iter().collect::<Vec<_>>());
    let (one, three) = (Gateway::start(&file), Gateway::start(&file.set("retries", 3)));
    for endpoint in &endpoints[1..] {
        endpoint.go_down();
    }
    let gave_up = (0..40).filter(|_| one.visit().status == 502).count();
    assert!(gave_up > 0, "one retry reaches a as first or second of four: half of the time");
    assert!(gave_up < 40);
    for _ in 0..20 {
        assert_eq!(three.visit().served_by(), "a", "three retries reach all four");
    }
}

#[test]
fn a_connection_that_times_out_is_a_passive_failure() {
    let Some(silent) = Silent::start() else {
        return eprintln!("skipped: a full queue refuses connections here");
    };
    let a = Endpoint::start("a");
    let file =
        shop(&[&a, &a]).set("connect_timeout_ms", 400).set("pools.0.origins.1.name", "silent");
    let gateway =
        Gateway::start(&file.set("pools.0.origins.1.address", silent.address.to_string()));
    let is_rebound = |_| {
        let response = gateway.visit();
        assert_eq!(response.served_by(), "a");
        response.outcome() == "created:connect_failed"
    };
    assert!((0..40).any(is_rebound), "half of them choose the silent one first");
}

#[test]
fn failover_stays_in_its_pool_unless_it_may_cross() {
    for across in [false, true] {
        let (eu, us) = (Endpoint::start("eu-1"), Endpoint::start("us-1"));
        let file = shop_of_pools(&[("eu", &[&eu]), ("us", &[&us])]).failover("sticky");
        let gateway = Gateway::start(
            &file.set("load_balancer.adaptive_routing.failover_across_pools", across),
        );
        let mut pinned = gateway.browser();
        assert_eq!(pinned.get("/").served_by(), "eu-1");
        eu.go_down();
        let (mine, new) = (pinned.get("/"), gateway.visit());
        if across {
            assert_eq!(
                (mine.served_by(), mine.outcome()),
                ("us-1".into(), "moved:connect_failed".into())
            );
            assert_eq!(
                (new.served_by(), new.outcome()),
                ("us-1".into(), "created:connect_failed".into())
            );
        } else {
            assert_gave_up(&mine);
            assert_gave_up(&new);
            assert_eq!(us.count(), 0);
        }
    }
}

#[test]
fn an_error_that_the_endpoint_answers_is_passed_through_and_is_no_failover() {
    let (a, b) = two();
    let gateway = Gateway::start(&shop(&[&a, &b]).failover("sticky"));
    let mut pinned = gateway.browser_at("a");
    let before = b.count();
    for status in [500, 502, 503, 504, 521] {
        let answer = format!(
            "HTTP/1.1 {status} Sorry\r\nRetry-After: 7\r\nX-Served-By: a\r\nContent-Length: 4\r\n\r\nbusy"
        );
        a.answers(Answer::Bytes(answer.into_bytes()));
        let response = pinned.get("/");
        assert_eq!((response.status, response.text()), (status, "busy".into()));
        assert_eq!(response.head.get("retry-after").as_deref(), Some("7"));
        assert_eq!(response.outcome(), "kept");
    }
    assert_eq!(b.count(), before, "nobody else is asked");
}

#[test]
fn an_error_that_the_endpoint_answers_pins_a_new_session() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]).failover("sticky"));
    a.answers(Answer::Bytes(b"HTTP/1.1 503 Sorry\r\nContent-Length: 0\r\n\r\n".to_vec()));
    let response = gateway.visit();
    assert_eq!((response.status, response.outcome()), (503, "created:no_cookie".into()));
    assert!(response.set_cookie().is_some(), "it has answered");
}

#[test]
fn an_endpoint_that_breaks_off_after_the_request_was_sent_ends_the_attempt() {
    for request in [get("/"), post("/", "an order")] {
        for mode in ["none", "temporary", "sticky"] {
            let (a, b) = two();
            let gateway = Gateway::start(&shop(&[&a, &b]).failover(mode));
            a.answers(Answer::BytesAndClose(Vec::new()));
            b.answers(Answer::BytesAndClose(b"HTTP/1.1 200 O".to_vec()));
            for asked in 1..=4 {
                assert_gave_up(&gateway.fetch(&request));
                assert_eq!(a.count() + b.count(), asked, "{mode}: nobody else is asked");
            }
            assert_eq!(gateway.counted("gave_up"), 4);
        }
    }
}

/// An endpoint that breaks off after the request was sent is counted as `gave_up`. A client that
/// breaks off is not.
#[test]
fn a_client_that_breaks_off_is_no_failure_of_the_endpoint() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]));
    let mut connection = Connection::open(gateway.address);
    connection.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf");
    a.wait_for("the first bytes", |seen| seen.body == b"half");
    connection.finish_writing();
    connection.rest();
    assert_eq!(gateway.counted("gave_up"), 0);
}

#[test]
fn an_answer_that_is_no_http_ends_the_attempt() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]));
    a.answers(Answer::BytesAndClose(b"220 mail.example.com ESMTP\r\n\r\n".to_vec()));
    assert_gave_up(&gateway.visit());
    a.answers(Answer::Name);
    gateway.visit().assert_ok();
}

#[test]
fn an_origin_can_be_a_host_name_and_one_that_is_unknown_is_a_passive_failure() {
    let a = Endpoint::start("a");
    let port = a.address.port();
    let file = shop(&[&a, &a])
        .set("pools.0.origins.0.address", format!("localhost:{port}"))
        .set("pools.0.origins.1.name", "unknown")
        .set("pools.0.origins.1.address", format!("nowhere.invalid:{port}"))
        .set("connect_timeout_ms", 1_000);
    let gateway = Gateway::start(&file);
    let outcomes: Vec<_> = (0..12)
        .map(|_| gateway.visit())
        .map(|visit| (visit.served_by(), visit.outcome()))
        .collect();
    assert!(outcomes.iter().all(|(name, _)| name == "a"));
    assert!(
        outcomes.iter().any(|(_, outcome)| outcome == "created:connect_failed"),
        "{outcomes:?}"
    );
}

#[test]
fn a_body_that_the_endpoint_breaks_off_does_not_look_whole() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]));
    for answer in
        ["Content-Length: 100\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"]
    {
        a.answers(Answer::BytesAndClose(format!("HTTP/1.1 200 OK\r\n{answer}").into_bytes()));
        let mut connection = Connection::open(gateway.address);
        connection.send(&get("/"));
        assert!(connection.try_response(false).is_err(), "{answer:?}");
    }
    a.answers(Answer::Name);
    gateway.visit().assert_ok();
}

#[test]
fn a_pooled_connection_that_was_closed_while_idle_is_no_failure() {
    let (a, b) = two();
    let gateway = Gateway::start(&shop(&[&a, &b]).failover("sticky"));
    let mut pinned = gateway.browser_at("a");
    let before = b.count();
    for round in 0..20_usize {
        a.close_connections();
        let response = match round % 2 {
            0 => pinned.get("/"),
            _ => pinned.send(post("/", pattern(70_000))),
        };
        assert_eq!((response.status, response.outcome()), (200, "kept".into()), "round {round}");
    }
    assert_eq!(b.count(), before);
}

#[test]
fn a_connection_to_an_endpoint_is_used_again() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]));
    for _ in 0..10 {
        gateway.visit().assert_ok();
    }
    assert!(a.connections() < 5, "{} connections for 10 requests", a.connections());
}

#[test]
fn an_endpoint_that_closes_after_each_answer_is_no_failure() {
    let (a, b) = two();
    let gateway = Gateway::start(&shop(&[&a, &b]).failover("sticky"));
    a.answers(Answer::NameAndClose);
    let mut pinned = gateway.browser_at("a");
    for _ in 0..10 {
        let response = pinned.get("/");
        assert_eq!((response.status, response.outcome()), (200, "kept".into()));
    }
}

#[test]
fn a_slow_endpoint_is_waited_for() {
    let (a, b) = two();
    let gateway = Gateway::start(&shop(&[&a, &b]).failover("sticky").set("connect_timeout_ms", 50));
    let pinned = gateway.browser_at("a");
    let (gate, before) = (Gate::new(), (a.count(), b.count()));
    a.answers(Answer::Gated(gate.clone()));
    let mut connection = Connection::open(gateway.address);
    connection.send(&get("/").with("Cookie", pinned.cookies()));
    crate::support::wait_until("the request at a", || a.count() == before.0 + 1);
    // Meanwhile the others are served; the time to connect has long passed.
    std::thread::sleep(std::time::Duration::from_millis(120));
    gate.open();
    assert_eq!(connection.response().served_by(), "a");
    assert_eq!(b.count(), before.1);
}

#[test]
fn an_endpoint_that_is_down_is_waited_on_once_while_it_cools_off() {
    let (a, b) = two();
    let gateway = Gateway::start(&shop(&[&a, &b]).failover("temporary").set("cooling_off", 60));
    let mut pinned = gateway.browser_at("a");
    a.go_down();
    assert_eq!(pinned.get("/").outcome(), "lent:connect_failed");
    assert_eq!(pinned.get("/").outcome(), "lent:suspect");
    for _ in 0..20 {
        assert_eq!(gateway.visit().outcome(), "created:no_cookie", "new sessions avoid it");
    }
    a.come_back();
    assert_eq!(pinned.get("/").outcome(), "lent:suspect", "a suspect is not asked");
    gateway.set_clock(61);
    assert_eq!(pinned.get("/").outcome(), "kept", "it has cooled off");
}

#[test]
fn in_mode_sticky_a_session_moves_away_from_a_suspect() {
    let (a, b) = two();
    let gateway = Gateway::start(&shop(&[&a, &b]).failover("sticky").set("cooling_off", 60));
    let (mut first, mut second) = (gateway.browser_at("a"), gateway.browser_at("a"));
    a.go_down();
    assert_eq!(first.get("/").outcome(), "moved:connect_failed");
    let moved = second.get("/");
    assert_eq!((moved.served_by(), moved.outcome()), ("b".into(), "moved:suspect".into()));
    assert!(moved.set_cookie().is_some());
}

/// The file descriptors of the gateway run out: a pinned session's endpoint is well, so the session
/// stays where it is, and no endpoint is blamed.
#[cfg(target_os = "linux")]
#[test]
fn a_gateway_without_file_descriptors_answers_503_and_blames_no_endpoint() {
    let (a, b) = two();
    let file = shop(&[&a, &b]).failover("sticky").set("cooling_off", 300);
    let gateway = Gateway::start(&file);
    let pinned = gateway.browser_at("a");
    // So that the request below needs a connection of its own.
    a.close_connections();
    b.close_connections();
    let mut client = Connection::open(gateway.address);
    client.exchange(&request("CONNECT", "x:1"));
    // From here on the gateway can open nothing.
    gateway.limit_files(1);
    let revisit = get("/").with("Cookie", pinned.cookies());
    for _ in 0..3 {
        let response = client.exchange(&revisit);
        assert_eq!(response.status, 503, "{response:?}");
        assert!(!response.head.has("set-cookie") && !response.head.has("x-affinity-outcome"));
        assert_eq!(response.text(), "this gateway cannot open a connection\n");
    }
    gateway.limit_files(1_000);
    let kept = client.exchange(&revisit);
    assert_eq!((kept.served_by(), kept.outcome()), ("a".into(), "kept".into()));
    let warnings = gateway.errors();
    let warned = warnings.iter().filter(|line| line.contains("connections to endpoints")).count();
    assert_eq!(warned, 1, "{warnings:?}");
}
