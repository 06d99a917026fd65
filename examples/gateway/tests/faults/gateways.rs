//! Gateways that are killed.

use crate::crowd::{Crowd, SESSIONS};
use crate::port::Port;
use crate::support::{Endpoint, Gateway, shop};

const CREATED: [&str; 2] = ["new: created:no_cookie by a", "new: created:no_cookie by b"];

#[test]
fn a_gateway_that_is_killed_and_started_again_with_the_same_keys_moves_no_session() {
    let (a, b, port) = (Endpoint::start("a"), Endpoint::start("b"), Port::new());
    let file = shop(&[&a, &b]).failover("sticky").set("listen", port.address.to_string());
    let mut gateway = Some(Gateway::start(&file));
    let mut crowd = Crowd::with_cookies(&[port.address]).patient();
    let mut restart = || {
        gateway.take().expect("a gateway").kill();
        gateway = Some(Gateway::start(&file));
    };

    // The first time while sessions begin: who was told of one has it, who was not begins one.
    let first = crowd.round_during(&mut restart);
    first.assert_only(&CREATED);
    assert!(first.unanswered() > 0, "it was killed with nothing under way");
    let (at_a, at_b) = (crowd.pinned_to("a"), crowd.pinned_to("b"));
    assert_eq!(at_a + at_b, SESSIONS);
    for _ in 0..2 {
        let round = crowd.round_during(&mut restart);
        round.assert_is([("a: kept by a", at_a), ("b: kept by b", at_b)]);
        assert!(round.unanswered() > 0, "it was killed with nothing under way");
    }
}

#[test]
fn header_sessions_in_memory_land_where_their_keys_point_when_the_gateway_was_killed() {
    let (a, b, port) = (Endpoint::start("a"), Endpoint::start("b"), Port::new());
    let file = shop(&[&a, &b]).by_headers(&["x-user"]).set("listen", port.address.to_string());
    let mut gateway = Some(Gateway::start(&file));
    let mut crowd = Crowd::with_names(&[port.address]).patient();
    crowd.round().assert_only(&["new: created:no_record by a", "new: created:no_record by b"]);
    let (at_a, at_b) = (crowd.pinned_to("a"), crowd.pinned_to("b"));
    let round = crowd.round_during(|| {
        gateway.take().expect("a gateway").kill();
        gateway = Some(Gateway::start(&file));
    });
    round.assert_only(&[
        "a: kept by a",
        "b: kept by b",
        "a: created:no_record by a",
        "b: created:no_record by b",
    ]);
    assert!(round.unanswered() > 0, "it was killed with nothing under way");
    let last = round.last_quarter();
    let (last_at_a, last_at_b) = (last.pinned_to("a"), last.pinned_to("b"));
    last.assert_is([
        ("a: created:no_record by a", last_at_a),
        ("b: created:no_record by b", last_at_b),
    ]);
    assert_eq!((crowd.pinned_to("a"), crowd.pinned_to("b")), (at_a, at_b));
}

#[test]
fn of_two_gateways_one_dies_and_the_other_keeps_all_sessions() {
    let (a, b, port) = (Endpoint::start("a"), Endpoint::start("b"), Port::new());
    let file = shop(&[&a, &b]).failover("sticky");
    let first = Gateway::start(&file.clone().set("listen", port.address.to_string()));
    let second = Gateway::start(&file);
    let mut crowd = Crowd::with_cookies(&[first.address, second.address]).patient();
    crowd.round().assert_only(&CREATED);
    let (at_a, at_b) = (crowd.pinned_to("a"), crowd.pinned_to("b"));
    let kept = [("a: kept by a", at_a), ("b: kept by b", at_b)];
    let created = [&first, &second].map(|gateway| gateway.counted("created:no_cookie"));
    assert_eq!(created, [SESSIONS as u64 / 2; 2], "each began half of them");

    let round = crowd.round_during(|| first.kill());
    round.assert_is(kept);
    assert!(round.unanswered() > 0, "it was killed with nothing under way");
    // The dead one is still known: half of the clients try it first.
    let round = crowd.round();
    round.assert_is(kept);
    assert_eq!(round.unanswered(), SESSIONS / 2);
}
