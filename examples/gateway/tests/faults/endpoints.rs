//! Endpoints that fail.

use serde_json::json;

use crate::crowd::{AT_ONCE, Crowd, SESSIONS};
use crate::support::{
    Answer, Config, Connection, Endpoint, Gateway, Silent, get, shop, wait_until,
};

/// Two endpoints, and a crowd with a session each.
struct Scene {
    a: Endpoint,
    b: Endpoint,
    gateway: Gateway,
    crowd: Crowd,
    at_a: usize,
    at_b: usize,
}

impl Scene {
    #[track_caller]
    fn new(change: impl Fn(Config) -> Config) -> Self {
        let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
        let gateway = Gateway::start(&change(shop(&[&a, &b])));
        let mut crowd = Crowd::with_cookies(&[gateway.address]);
        let first = crowd.round();
        let (at_a, at_b) = (crowd.pinned_to("a"), crowd.pinned_to("b"));
        first.assert_is([
            ("new: created:no_cookie by a", at_a),
            ("new: created:no_cookie by b", at_b),
        ]);
        assert!(at_a > SESSIONS / 3 && at_b > SESSIONS / 3, "{at_a} and {at_b}");
        Self { a, b, gateway, crowd, at_a, at_b }
    }

    #[track_caller]
    fn assert_all_kept(&mut self) {
        self.crowd.round().assert_is([("a: kept by a", self.at_a), ("b: kept by b", self.at_b)]);
    }

    /// `a` goes down while the crowd asks. Of its sessions, those that ask when it has gone all get this.
    #[track_caller]
    fn a_goes_down(&mut self, then: &str) {
        let round = self.crowd.round_during(|| self.a.go_down());
        let row = format!("a: {then}");
        round.assert_only(&["a: kept by a", "a: 502 gave_up", &row, "b: kept by b"]);
        assert_eq!(round.count("b: kept by b"), self.at_b);
        if then != "502 gave_up" {
            // It broke off what was under way, and what it had not accepted yet.
            assert!(round.count("a: 502 gave_up") <= 2 * AT_ONCE, "{:?}", round.rows());
        }
        let last = round.last_quarter();
        last.assert_is([(&row, last.pinned_to("a")), ("b: kept by b", last.pinned_to("b"))]);
    }
}

#[test]
fn in_mode_none_the_sessions_of_an_endpoint_that_refuses_fail_until_it_is_back() {
    let mut scene = Scene::new(|file| file.failover("none"));
    scene.a_goes_down("502 gave_up");
    scene.crowd.round().assert_is([("a: 502 gave_up", scene.at_a), ("b: kept by b", scene.at_b)]);
    scene.a.come_back();
    scene.assert_all_kept();
}

#[test]
fn in_mode_temporary_they_are_lent_until_it_is_back_or_called_unhealthy() {
    let mut scene = Scene::new(|file| file.failover("temporary"));
    scene.a_goes_down("lent:connect_failed by b");
    scene.a.come_back();
    scene.assert_all_kept();

    scene.a.go_down();
    let during = scene
        .crowd
        .round_during(|| scene.gateway.patch("/pools/eu/origins/a", json!({ "healthy": false })));
    during.assert_only(&["a: lent:connect_failed by b", "a: moved:unhealthy by b", "b: kept by b"]);
    assert_eq!(during.count("b: kept by b"), scene.at_b);
    let last = during.last_quarter();
    last.assert_is([
        ("a: moved:unhealthy by b", last.pinned_to("a")),
        ("b: kept by b", last.pinned_to("b")),
    ]);
    let (moved, lent) =
        (during.count("a: moved:unhealthy by b"), during.count("a: lent:connect_failed by b"));
    scene
        .crowd
        .round()
        .assert_is([("a: moved:unhealthy by b", lent), ("b: kept by b", scene.at_b + moved)]);

    scene.a.come_back();
    scene.gateway.patch("/pools/eu/origins/a", json!({ "healthy": true }));
    scene.crowd.round().assert_is([("b: kept by b", SESSIONS)]);
}

#[test]
fn in_mode_sticky_each_moves_once_and_another_gateway_would_choose_the_same_for_it() {
    let [a, b, c] = ["a", "b", "c"].map(Endpoint::start);
    let file = shop(&[&a, &b, &c]).failover("sticky");
    let gateways = [Gateway::start(&file), Gateway::start(&file)];
    let mut crowd = Crowd::with_cookies(&[gateways[0].address]);
    // Where a session moves is seeded by its endpoint and the second in which it began.
    crowd.arrive_in(100, |second| gateways[0].set_clock(second));
    let (at_a, at_b, at_c) = (crowd.pinned_to("a"), crowd.pinned_to("b"), crowd.pinned_to("c"));
    assert_eq!(at_a + at_b + at_c, SESSIONS);

    a.go_down();
    let mut elsewhere = crowd.as_it_is(&[gateways[1].address]);
    let (here, there) = (crowd.round(), elsewhere.round());
    let (to_b, to_c) = (crowd.pinned_to("b") - at_b, crowd.pinned_to("c") - at_c);
    assert!(to_b > at_a / 5 && to_c > at_a / 5, "{to_b} and {to_c} of {at_a}");
    here.assert_is([
        ("a: moved:connect_failed by b", to_b),
        ("a: moved:connect_failed by c", to_c),
        ("b: kept by b", at_b),
        ("c: kept by c", at_c),
    ]);
    assert_eq!(here.served(), there.served());

    a.come_back();
    crowd.round().assert_is([("b: kept by b", at_b + to_b), ("c: kept by c", at_c + to_c)]);
}

#[test]
fn an_endpoint_that_hangs_holds_its_own_sessions_and_no_others() {
    let mut scene = Scene::new(|file| file.failover("temporary"));
    // No idle connection is left: each request of those that come has one of its own.
    scene.a.close_connections();
    scene.a.answers(Answer::Bytes(Vec::new()));
    let before = scene.a.count();
    let hanging = scene.crowd.send_those_at("a");
    wait_until("as many requests as there can be", || scene.a.count() == before + AT_ONCE);
    for _ in 0..2 {
        scene.crowd.round().assert_is([("b: kept by b", scene.at_b)]);
    }
    assert_eq!(scene.a.count(), before + AT_ONCE, "it has answered nobody");

    // It dies at last: nobody else is asked on behalf of those that it was sent.
    scene.a.go_down();
    let rest = scene.at_a - AT_ONCE;
    scene
        .crowd
        .finish(hanging)
        .assert_is([("a: 502 gave_up", AT_ONCE), ("a: lent:connect_failed by b", rest)]);
    scene.a.answers(Answer::Name);
    scene.a.come_back();
    scene.assert_all_kept();
}

#[test]
fn an_endpoint_that_takes_no_connection_is_waited_on_once_and_not_once_per_session() {
    let mut scene = Scene::new(|file| {
        file.failover("temporary").set("cooling_off", 60).set("connect_timeout_ms", 400)
    });
    scene.a.go_down();
    let Some(silent) = Silent::at(scene.a.address) else {
        return eprintln!("skipped: a full queue refuses connections");
    };
    let round = scene.crowd.round();
    let waited = round.count("a: lent:connect_failed by b");
    assert!((1..=AT_ONCE).contains(&waited), "{waited} have waited");
    round.assert_is([
        ("a: lent:connect_failed by b", waited),
        ("a: lent:suspect by b", scene.at_a - waited),
        ("b: kept by b", scene.at_b),
    ]);
    drop(silent);
    scene.a.come_back();
    scene
        .crowd
        .round()
        .assert_is([("a: lent:suspect by b", scene.at_a), ("b: kept by b", scene.at_b)]);
    scene.gateway.set_clock(61);
    scene.assert_all_kept();
}

#[test]
fn an_endpoint_that_resets_half_way_costs_its_sessions_an_answer_and_no_pin() {
    let mut scene = Scene::new(|file| file.failover("sticky"));
    let half_body = "HTTP/1.1 200 OK\r\nX-Served-By: a\r\nContent-Length: 100\r\n\r\nhalf";
    for (bytes, row) in [
        ("", "a: 502 gave_up"),
        ("HTTP/1.1 200 OK\r\nContent-Le", "a: 502 gave_up"),
        (half_body, "a: kept by a, broken off"),
    ] {
        let resets = || {
            scene.a.answers(Answer::BytesAndReset(bytes.into()));
            scene.a.close_connections();
        };
        let during = scene.crowd.round_during(resets);
        during.assert_only(&["a: kept by a", "a: 502 gave_up", row, "b: kept by b"]);
        let last = during.last_quarter();
        last.assert_is([(row, last.pinned_to("a")), ("b: kept by b", last.pinned_to("b"))]);

        let mut connection = Connection::open(scene.a.address);
        connection.send(&get("/"));
        let error = connection.try_response(false).expect_err("half of a response");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "after {bytes:?}");

        scene.a.answers(Answer::Name);
        scene.assert_all_kept();
    }
}

#[test]
fn connections_that_die_while_idle_are_nobodys_error() {
    let mut scene = Scene::new(|file| file.failover("sticky"));
    for _ in 0..3 {
        let (others, before) = (scene.crowd.send_those_at("b"), scene.a.connections());
        scene.a.close_connections();
        scene.crowd.round().assert_is([("a: kept by a", scene.at_a)]);
        scene.crowd.finish(others).assert_is([("b: kept by b", scene.at_b)]);
        assert!(scene.a.connections() > before, "those that it had were idle, and are dead");
    }
}

#[test]
fn when_all_endpoints_are_down_no_session_is_lost() {
    for mode in ["none", "temporary", "sticky"] {
        let mut scene = Scene::new(|file| file.failover(mode));
        let all = scene.crowd.round_during(|| {
            scene.a.go_down();
            scene.b.go_down();
        });
        all.assert_only(&[
            "a: kept by a",
            "b: kept by b",
            "a: 502 gave_up",
            "b: 502 gave_up",
            if mode == "sticky" {
                "a: moved:connect_failed by b"
            } else {
                "a: lent:connect_failed by b"
            },
        ]);
        let last = all.last_quarter();
        last.assert_is([
            ("a: 502 gave_up", last.pinned_to("a")),
            ("b: 502 gave_up", last.pinned_to("b")),
        ]);
        for name in ["a", "b"] {
            scene.gateway.patch(&format!("/pools/eu/origins/{name}"), json!({ "healthy": false }));
        }
        let down = scene.crowd.round();
        let (at_a, at_b) = (scene.crowd.pinned_to("a"), scene.crowd.pinned_to("b"));
        down.assert_is([("a: 503 no_endpoint", at_a), ("b: 503 no_endpoint", at_b)]);
        for endpoint in [&scene.a, &scene.b] {
            endpoint.come_back();
            scene
                .gateway
                .patch(&format!("/pools/eu/origins/{}", endpoint.name), json!({ "healthy": true }));
        }
        scene.crowd.round().assert_is([("a: kept by a", at_a), ("b: kept by b", at_b)]);
        if mode == "sticky" {
            // Those that asked while only a was down have moved.
            assert_eq!(at_a + at_b, SESSIONS);
        } else {
            assert_eq!((at_a, at_b), (scene.at_a, scene.at_b), "{mode}");
        }
    }
}
