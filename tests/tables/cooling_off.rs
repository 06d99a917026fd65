//! Cooling off after a passive failure. From manual::tables, Cooling off:
//!
//! > Off by default (`cooling_off` is 0). With it, a passive failure makes its endpoint *suspect*
//! > for that many seconds, on this node. When it fails again afterwards the time doubles, up to
//! > eight times; one answer ends it.
//!
//! | request | while its endpoint is suspect |
//! |---|---|
//! | live session, `none` | tries its own endpoint |
//! | live session, `temporary` | lent at once, without waiting; costs no retry |
//! | live session, `sticky` | moved at once, without waiting; costs no retry |
//! | new session, any mode | goes to others, if there are any |
//!
//! > Suspects come last in their pool, and before other pools unless `failover_across_pools` is
//! > on. Where no other endpoint is left, the suspect is tried. So a dead endpoint is waited for
//! > once and not by every request; only with `none` each request of its own sessions still waits.

use std::collections::HashSet;

use session_affinity::outcome::{Lent, Moved};
use session_affinity::{CookiePolicy, FailoverMode, Health, Outcome, Pools};

use crate::site::{MODES, NOW, Site, eu, live, pool, site, us};

/// manual::tables, Cooling off: "Off by default (`cooling_off` is 0)."
#[test]
fn without_cooling_off_nobody_is_suspect() {
    let mut site = site().mode(FailoverMode::Temporary);
    site.after(1, &live(eu(1)));
    assert_eq!(site.answer(&live(eu(1))).outcome, Outcome::Kept);
    // Nor when another load balancer, with a cooling-off time, has the same snapshot.
    let mut other =
        self::site().mode(FailoverMode::Temporary).cooling_off(60).pools(site.pools.clone());
    other.after(1, &live(eu(1)));
    assert_eq!(other.answer(&live(eu(1))).outcome.label(), "lent:suspect");
    assert_eq!(site.answer(&live(eu(1))).outcome, Outcome::Kept);
}

/// manual::tables, Cooling off: "lent at once, without waiting; costs no retry" and "moved at once,
/// without waiting; costs no retry"
#[test]
fn a_live_session_does_not_wait_on_a_suspect_and_has_its_retry_still() {
    for (mode, outcome, then) in [
        (FailoverMode::Temporary, Outcome::Lent(Lent::Suspect), Outcome::Lent(Lent::ConnectFailed)),
        (
            FailoverMode::Sticky,
            Outcome::Moved(Moved::Suspect),
            Outcome::Moved(Moved::ConnectFailed),
        ),
    ] {
        let three = Pools::builder().pool(pool("eu", 3)).build().unwrap();
        let mut site = site().pools(three).mode(mode).cooling_off(60);
        site.after(1, &live(eu(1)));
        let attempt = site.route(&live(eu(1))).unwrap();
        assert_ne!(attempt.endpoint(), eu(1));
        assert_eq!(attempt.outcome(), outcome);
        assert_eq!(site.failover(attempt).unwrap().outcome(), then);
    }
}

/// manual::tables, Cooling off: "live session, `none` | tries its own endpoint", "Where no other
/// endpoint is left, the suspect is tried."
#[test]
fn a_suspect_pin_is_tried_in_mode_none_and_when_nobody_else_is_there() {
    let mut none = site().cooling_off(60);
    assert!(none.gives_up(&live(eu(1))));
    assert_eq!(none.answer(&live(eu(1))).outcome, Outcome::Kept);
    for mode in [FailoverMode::Temporary, FailoverMode::Sticky] {
        let mut alone = site().mode(mode).cooling_off(60);
        alone.unhealthy(&[eu(2)]);
        assert!(alone.gives_up(&live(eu(1))));
        assert_eq!(alone.answer(&live(eu(1))).outcome, Outcome::Kept);
    }
}

/// manual::tables, Cooling off: "lent at once, without waiting" and "moved at once, without
/// waiting", in a lone pool that is its own fallback too, while no pool is open.
#[test]
fn a_live_session_of_the_fallback_pool_does_not_wait_on_a_suspect_while_a_neighbour_is_well() {
    for (mode, outcome) in [
        (FailoverMode::None, Outcome::Kept),
        (FailoverMode::Temporary, Outcome::Lent(Lent::Suspect)),
        (FailoverMode::Sticky, Outcome::Moved(Moved::Suspect)),
    ] {
        for minimum_origins in [1, 9] {
            let alone = Pools::builder().pool(pool("eu", 2)).fallback_in_order("eu");
            let mut site = site().pools(alone.build().unwrap()).mode(mode).cooling_off(60);
            site.edit(|edit| edit.pool_minimum_origins("eu", minimum_origins));
            let _ = site.route(&live(eu(1))).map(|attempt| site.failover(attempt));
            assert_eq!(site.answer(&live(eu(1))).outcome, outcome, "{minimum_origins}");
        }
    }
}

/// manual::tables, The session: "the fallback pool: an endpoint that takes new sessions". A suspect
/// is one.
#[test]
fn in_the_fallback_pool_a_suspect_comes_after_trusted_endpoints_and_before_unhealthy_ones() {
    let alone = Pools::builder().pool(pool("eu", 3)).fallback_in_order("eu").build().unwrap();
    let mut site = site().pools(alone).cooling_off(60);
    site.edit(|edit| edit.pool_minimum_origins("eu", 9));
    assert!(site.gives_up(&live(eu(1))));
    site.unhealthy(&[eu(3)]);
    assert_eq!(site.new_sessions(), HashSet::from([eu(2)]), "trusted");
    site.unhealthy(&[eu(2)]);
    assert_eq!(site.new_sessions(), HashSet::from([eu(1)]), "suspect");
    site.unhealthy(&[eu(1)]);
    assert_eq!(site.new_sessions(), HashSet::from([eu(2), eu(3)]), "unhealthy, and no suspect");
}

/// manual::tables, Cooling off: "A session that was lent or moved because its endpoint is suspect
/// returns to that endpoint as the last resort".
#[test]
fn a_lent_session_comes_back_to_its_suspect_pin_as_the_last_resort() {
    let mut site = site().mode(FailoverMode::Temporary).cooling_off(60);
    site.weight(eu(1), 0);
    site.after(1, &live(eu(1)));
    let lent = site.route(&live(eu(1))).unwrap();
    assert_eq!((lent.endpoint(), lent.outcome()), (eu(2), Outcome::Lent(Lent::Suspect)));
    let back = site.failover(lent).unwrap();
    assert_eq!((back.endpoint(), back.outcome()), (eu(1), Outcome::Kept));
}

/// A session that was lent gives up instead when another snapshot has taken its endpoint out in
/// between.
#[test]
fn a_lent_session_does_not_come_back_to_a_suspect_pin_that_takes_it_no_more() {
    let mut site = site().mode(FailoverMode::Temporary).cooling_off(60);
    site.weight(eu(1), 0);
    site.after(1, &live(eu(1)));
    let lent = site.route(&live(eu(1))).unwrap();
    site.unhealthy(&[eu(1)]);
    assert_eq!(site.failover(lent).unwrap_err().outcome(), Outcome::GaveUp);
}

/// manual::tables, Cooling off: "a passive failure makes its endpoint *suspect* for that many
/// seconds, on this node", by the time of the request.
#[test]
fn an_endpoint_is_suspect_for_cooling_off_seconds() {
    let mut site = site().mode(FailoverMode::Temporary).cooling_off(60);
    site.after(1, &live(eu(1)));
    site.now = NOW + 59;
    assert_eq!(site.answer(&live(eu(1))).outcome, Outcome::Lent(Lent::Suspect));
    site.now = NOW + 60;
    assert_eq!(site.answer(&live(eu(1))).outcome, Outcome::Kept);
}

/// manual::tables, Cooling off: "When it fails again afterwards the time doubles, up to eight
/// times; one answer ends it. A failure of an endpoint that is suspect already changes nothing."
#[test]
fn the_time_doubles_up_to_eight_times_and_an_answer_clears_it() {
    let mut site = site().mode(FailoverMode::Temporary).cooling_off(10);
    for seconds in [10, 20, 40, 80, 80, 80] {
        let refused_at = site.now;
        site.after(1, &live(eu(1)));
        // A failure while it is suspect, of a session that has no other endpoint.
        let mut alone =
            Site { draws: 0, affinity: site.affinity, pools: site.pools, ..self::site() };
        alone.now = refused_at + 5;
        alone.unhealthy(&[eu(2)]);
        assert!(alone.gives_up(&live(eu(1))));
        alone.edit(|edit| edit.health(eu(2), Health::Healthy));
        site = alone;
        site.now = refused_at + seconds - 1;
        assert_eq!(
            site.route(&live(eu(1))).unwrap().outcome(),
            Outcome::Lent(Lent::Suspect),
            "{seconds}"
        );
        site.now = refused_at + seconds;
        assert_eq!(site.route(&live(eu(1))).unwrap().outcome(), Outcome::Kept, "{seconds}");
    }
    assert_eq!(site.answer(&live(eu(1))).outcome, Outcome::Kept);
    site.after(1, &live(eu(1)));
    site.now += 10;
    assert_eq!(site.answer(&live(eu(1))).outcome, Outcome::Kept, "an answer ends the doubling");
}

/// manual::tables, Cooling off: "new session, any mode | goes to others, if there are any"
#[test]
fn new_sessions_avoid_suspects_in_every_mode() {
    for mode in MODES {
        let mut site = site().mode(mode).cooling_off(60);
        let attempt = site.route(&live(eu(1))).unwrap();
        drop(site.failover(attempt));
        assert_eq!(site.new_sessions(), HashSet::from([eu(2)]));
    }
}

/// manual::tables, Cooling off: "Suspects come last in their pool, and before other pools unless
/// `failover_across_pools` is on."
#[test]
fn suspects_come_before_other_pools_unless_failover_goes_across() {
    let suspects = |site: &mut Site<CookiePolicy>| {
        for id in [eu(1), eu(2)] {
            let attempt = site.route(&live(id)).unwrap();
            assert!(site.failover(attempt).is_err());
        }
    };
    let mut within = site().cooling_off(60);
    suspects(&mut within);
    assert_eq!(within.new_sessions(), HashSet::from([eu(1), eu(2)]));
    let mut across = site().cooling_off(60).across_pools();
    suspects(&mut across);
    assert_eq!(across.new_sessions(), HashSet::from([us(1), us(2)]));
}

/// manual::tables, Cooling off: "So a dead endpoint is waited for once and not by every request".
#[test]
fn a_dead_endpoint_is_waited_on_once() {
    let mut site = site().mode(FailoverMode::Temporary).cooling_off(60);
    let mut waits = 0;
    for _ in 0..20 {
        let mut attempt = site.route(&live(eu(1))).unwrap();
        if attempt.endpoint() == eu(1) {
            waits += 1;
            attempt = site.failover(attempt).unwrap();
        }
        assert_eq!(site.settle(attempt).endpoint, eu(2));
    }
    assert_eq!(waits, 1);
}
