//! Stopping: requests in flight end, tunnels are closed, and the exit status is 0.

use crate::support::{Answer, Connection, Endpoint, Gate, Gateway, get, shop, wait_until};

#[test]
fn sigterm_and_sigint_stop_it_with_exit_status_0() {
    for signal in ["TERM", "INT"] {
        let a = Endpoint::start("a");
        let mut gateway = Gateway::start(&shop(&[&a]));
        gateway.visit().assert_ok();
        gateway.signal(signal);
        assert_eq!(gateway.ended().code(), Some(0), "{signal}");
    }
}

#[test]
fn the_requests_in_flight_end_first_and_a_second_signal_changes_nothing() {
    let a = Endpoint::start("a");
    let mut gateway = Gateway::start(&shop(&[&a]));
    let gate = Gate::new();
    a.answers(Answer::Gated(gate.clone()));
    let mut in_flight: Vec<_> = (0..3).map(|_| Connection::open(gateway.address)).collect();
    for connection in &mut in_flight {
        connection.send(&get("/"));
    }
    wait_until("three requests at a", || a.count() == 3);
    gateway.signal("TERM");
    wait_until("new connections are refused", || Connection::try_open(gateway.address).is_err());
    gateway.signal("TERM");
    gateway.signal("INT");
    assert!(gateway.is_running(), "three requests are in flight");
    gate.open();
    for connection in &mut in_flight {
        let response = connection.response();
        assert_eq!((response.status, response.outcome()), (200, "created:no_cookie".into()));
        assert!(connection.rest().is_empty(), "the connection is closed after it");
    }
    assert_eq!(gateway.ended().code(), Some(0));
}

#[test]
fn an_upload_in_flight_ends_first() {
    let a = Endpoint::start("a");
    let mut gateway = Gateway::start(&shop(&[&a]));
    let mut connection = Connection::open(gateway.address);
    connection.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf,");
    a.wait_for("the half", |seen| seen.body == b"half,");
    gateway.signal("TERM");
    wait_until("new connections are refused", || Connection::try_open(gateway.address).is_err());
    connection.write("whole");
    connection.response().assert_ok();
    assert_eq!(a.last().body, b"half,whole");
    assert_eq!(gateway.ended().code(), Some(0));
}

#[test]
fn idle_connections_do_not_hold_it() {
    let a = Endpoint::start("a");
    let mut gateway = Gateway::start(&shop(&[&a]));
    let mut used = Connection::open(gateway.address);
    used.exchange(&get("/")).assert_ok();
    let mut unused = Connection::open(gateway.address);
    let mut admin = Connection::open(gateway.admin);
    admin.exchange(&get("/state").with("Host", "localhost")).assert_ok();
    gateway.signal("TERM");
    assert_eq!(gateway.ended().code(), Some(0));
    for connection in [&mut used, &mut unused, &mut admin] {
        assert!(connection.rest().is_empty());
    }
}

#[test]
fn half_a_head_is_no_request_in_flight() {
    for is_used in [false, true] {
        let a = Endpoint::start("a");
        let mut gateway = Gateway::start(&shop(&[&a]));
        let mut connection = Connection::open(gateway.address);
        if is_used {
            connection.exchange(&get("/")).assert_ok();
        }
        connection.write("GET / HT");
        gateway.visit().assert_ok();
        let start = std::time::Instant::now();
        gateway.signal("TERM");
        assert_eq!(gateway.ended().code(), Some(0));
        assert!(start.elapsed().as_secs() < 5, "{:?}, used: {is_used}", start.elapsed());
    }
}

#[test]
fn tunnels_are_closed_at_once() {
    let a = Endpoint::start("a");
    let mut gateway = Gateway::start(&shop(&[&a]));
    a.answers(Answer::Echo);
    let mut tunnel = Connection::open(gateway.address);
    tunnel.send(&get("/ws").with("Connection", "Upgrade").with("Upgrade", "echo"));
    assert!(tunnel.head().expect("a head").start.contains(" 101 "));
    tunnel.write("ping");
    assert_eq!(tunnel.read(4), b"ping");
    gateway.signal("TERM");
    assert!(tunnel.rest().is_empty());
    assert_eq!(gateway.ended().code(), Some(0));
}

#[test]
fn tunnels_are_closed_although_a_request_is_in_flight() {
    let a = Endpoint::start("a");
    let mut gateway = Gateway::start(&shop(&[&a]));
    a.answers(Answer::Echo);
    let mut tunnel = Connection::open(gateway.address);
    tunnel.send(&get("/ws").with("Connection", "Upgrade").with("Upgrade", "echo"));
    assert!(tunnel.head().expect("a head").start.contains(" 101 "));
    let gate = Gate::new();
    a.answers(Answer::Gated(gate.clone()));
    let mut in_flight = Connection::open(gateway.address);
    in_flight.send(&get("/"));
    wait_until("the request at a", || a.count() == 2);
    gateway.signal("TERM");
    assert!(tunnel.rest().is_empty(), "at once");
    assert!(gateway.is_running());
    gate.open();
    in_flight.response().assert_ok();
    assert_eq!(gateway.ended().code(), Some(0));
}
