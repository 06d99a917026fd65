//! A Redis that fails, and gateways that share one.

use crate::crowd::{Crowd, SESSIONS};
use crate::port::Port;
use crate::redis_server::RedisServer;
use crate::support::{Config, Endpoint, Gateway, get, shop, wait_until};

/// Two endpoints, a Redis, and a crowd by header. All of its sessions are at `b`, some of them although their keys
/// point to `a`: that was down when they began. Only the Redis knows of that.
struct Scene {
    _endpoints: [Endpoint; 2],
    redis: RedisServer,
    file: Config,
    gateway: Gateway,
    crowd: Crowd,
    to_a: usize,
}

impl Scene {
    fn new() -> Self {
        let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
        let redis = RedisServer::start();
        // The deadline is longer than a busy machine needs.
        let file = shop(&[&a, &b]).by_headers(&["x-user"]).failover("temporary");
        let file = file.set("store", redis.url()).set("store_deadline_ms", 1_000);
        // What the store alone knows is tested, so the gateways remember nothing of it.
        let file = file.set("store_outage_sessions", 0);
        let gateway = Gateway::start(&file);
        let mut crowd = Crowd::with_names(&[gateway.address]).patient();
        a.go_down();
        let first = crowd.round();
        let to_a = first.count("new: created:connect_failed by b");
        assert!(to_a > SESSIONS / 3 && to_a < SESSIONS * 2 / 3, "{to_a}");
        first.assert_is([
            ("new: created:connect_failed by b", to_a),
            ("new: created:no_record by b", SESSIONS - to_a),
        ]);
        a.come_back();
        let scene = Self { _endpoints: [a, b], redis, file, gateway, crowd, to_a };
        scene.wait_for_records(SESSIONS);
        scene
    }

    /// A record is written after its response has gone.
    fn wait_for_records(&self, count: usize) {
        wait_until("the records", || self.redis.keys().len() == count);
    }

    /// Waits until the gateway has the Redis again, and has a session there that is not the crowd's.
    fn wait_for_redis(&self) {
        let request = get("/").with("X-User", "somebody else");
        wait_until("a session in the store", || self.gateway.fetch(&request).outcome() == "kept");
    }

    fn assert_all_kept(&mut self) {
        self.crowd.round().assert_is([("b: kept by b", SESSIONS)]);
    }

    /// What they get while the store is out of reach: where their keys point.
    fn assert_all_by_their_keys(&mut self) {
        let (a, b) = ("b: created:store_unreachable by a", "b: created:store_unreachable by b");
        self.crowd.round().assert_is([(a, self.to_a), (b, SESSIONS - self.to_a)]);
    }
}

const UNREACHABLE: [&str; 3] =
    ["b: kept by b", "b: created:store_unreachable by a", "b: created:store_unreachable by b"];

#[test]
fn a_redis_that_hangs_and_goes_on_has_lost_no_session() {
    let mut scene = Scene::new();
    scene.assert_all_kept();
    let round = scene.crowd.round_during(|| {
        scene.redis.hang();
        wait_until("the first to wait in vain", || {
            scene.gateway.counted("created:store_unreachable") > 0
        });
    });
    round.assert_only(&UNREACHABLE);
    assert_eq!(round.last_quarter().count("b: kept by b"), 0);
    scene.assert_all_by_their_keys();
    scene.redis.go_on();
    scene.wait_for_redis();
    scene.assert_all_kept();
}

#[test]
fn a_redis_that_is_killed_and_comes_back_has_lost_failovers_and_nothing_else() {
    let mut scene = Scene::new();
    let round = scene.crowd.round_during(|| {
        scene.redis.go_down();
        wait_until("the first to go without", || {
            scene.gateway.counted("created:store_unreachable") > 0
        });
    });
    round.assert_only(&UNREACHABLE);
    assert_eq!(round.last_quarter().count("b: kept by b"), 0);
    scene.assert_all_by_their_keys();

    scene.redis.come_back();
    scene.wait_for_redis();
    let (a, b) = ("b: created:no_record by a", "b: created:no_record by b");
    let to_b = SESSIONS - scene.to_a;
    scene.crowd.round().assert_is([(a, scene.to_a), (b, to_b)]);
    scene.wait_for_records(SESSIONS + 1);
    scene.crowd.round().assert_is([("a: kept by a", scene.to_a), ("b: kept by b", to_b)]);
}

#[test]
fn of_two_gateways_on_one_redis_one_dies_and_the_other_keeps_all_sessions() {
    let (mut scene, port) = (Scene::new(), Port::new());
    let other = Gateway::start(&scene.file.clone().set("listen", port.address.to_string()));
    scene.crowd.knows(&[other.address, scene.gateway.address]);
    let round = scene.crowd.round_during(|| other.kill());
    round.assert_is([("b: kept by b", SESSIONS)]);
    assert!(round.unanswered() > 0, "it was killed with nothing under way");
    scene.assert_all_kept();
}
