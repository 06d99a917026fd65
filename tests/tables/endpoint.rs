//! Endpoints and pools: the sessions that each takes. From manual::tables, The endpoint:
//!
//! | an endpoint that is | serves the sessions pinned to it | gets new ones |
//! |---|---|---|
//! | healthy and enabled, weight above 0 | yes | yes |
//! | healthy and enabled, weight 0 | yes, with no end set | no |
//! | healthy and draining | yes, until the drain is over | no |
//! | not checked yet, enabled or draining | yes, as if healthy | no |
//! | disabled, its drain over, or without one | no | no |
//! | unhealthy, or not in the snapshot | no | no |
//!
//! > An endpoint *drains* for `drain_duration` seconds from the moment that it was disabled. A
//! > disabled pool drains all its endpoints; where both are disabled, the earlier end counts.
//! > Disabled without a time stamp means that the drain is over. An endpoint that becomes
//! > unhealthy while it drains loses its sessions at once.

use std::collections::HashSet;

use session_affinity::outcome::Moved;
use session_affinity::{Health, Outcome, State};

use crate::site::{MODES, NOW, Site, eu, live, site, us, with_fallback};
use crate::support::Client;

/// manual::tables, The endpoint: "healthy and enabled, weight above 0 | yes | yes"
#[test]
fn a_healthy_enabled_endpoint_with_a_weight_takes_pinned_and_new_sessions() {
    assert_eq!(site().takes(eu(1)), (true, true));
}

/// manual::tables, The endpoint: "healthy and enabled, weight 0 | yes, with no end set | no"
#[test]
fn an_endpoint_of_weight_0_takes_its_pinned_sessions_only() {
    let mut site = site();
    site.weight(eu(1), 0);
    assert_eq!(site.takes(eu(1)), (true, false));
}

/// manual::tables, The endpoint: "healthy and draining | yes, until the drain is over | no"
#[test]
fn a_draining_healthy_endpoint_takes_its_pinned_sessions_only() {
    let mut site = site().drain(600);
    site.disable(eu(1), Some(NOW - 10));
    assert_eq!(site.takes(eu(1)), (true, false));
}

/// manual::tables, The endpoint: "not checked yet, enabled or draining | yes, as if healthy | no"
#[test]
fn an_endpoint_not_checked_yet_takes_its_pinned_sessions_only() {
    let mut site = site().drain(600);
    site.unchecked(&[eu(1)]);
    assert_eq!(site.takes(eu(1)), (true, false));
    site.weight(eu(1), 0);
    assert_eq!(site.takes(eu(1)), (true, false));
    site.disable(eu(1), Some(NOW - 10));
    assert_eq!(site.takes(eu(1)), (true, false));
    site.now = NOW + 590;
    assert_eq!(site.takes(eu(1)), (false, false), "its drain is over");
    assert_eq!(site.answer(&live(eu(1))).outcome, Outcome::Moved(Moved::Drained));
    // The result of its first health check.
    let mut site = self::site();
    site.unchecked(&[eu(1)]);
    site.edit(|edit| edit.health(eu(1), Health::Healthy));
    assert_eq!(site.takes(eu(1)), (true, true));
}

/// manual::tables, The endpoint: "gets no others: neither new ones nor those of a failed
/// connection".
#[test]
fn an_endpoint_not_checked_yet_is_no_second_choice() {
    for mode in MODES {
        let mut site = site().mode(mode);
        site.unchecked(&[eu(2)]);
        assert!(site.gives_up(&live(eu(1))), "{mode}");
        assert!(site.gives_up(&Client::number(1)), "{mode}: a new session");
    }
    let mut site = site();
    site.unchecked(&[eu(2)]);
    site.unhealthy(&[eu(1)]);
    let moved = site.answer(&live(eu(1)));
    assert!([us(1), us(2)].contains(&moved.endpoint), "no session moves to it");
}

/// manual::tables, The endpoint: "It keeps the sessions that have a pin to it, because a gateway
/// that restarts is not to move them all". The session: the fallback pool serves "healthy or not".
#[test]
fn a_gateway_that_has_checked_no_endpoint_keeps_all_sessions_and_serves_new_ones_by_fallback() {
    let all = [eu(1), eu(2), us(1), us(2)];
    let mut site = site();
    site.unchecked(&all);
    for endpoint in all {
        assert_eq!(site.answer(&live(endpoint)).outcome, Outcome::Kept);
    }
    assert!(site.route(&Client::number(1)).is_err(), "no pool is open");
    let mut site = self::site().pools(with_fallback("us"));
    site.unchecked(&all);
    assert_eq!(site.new_sessions(), HashSet::from([us(1), us(2)]));
    for endpoint in all {
        assert_eq!(site.answer(&live(endpoint)).outcome, Outcome::Kept);
    }
}

/// manual::tables, The endpoint: "disabled, its drain over, or without one | no | no"
#[test]
fn a_disabled_endpoint_takes_nothing_once_its_drain_is_over_or_where_there_is_none() {
    let mut over = site().drain(600);
    over.disable(eu(1), Some(NOW - 601));
    assert_eq!(over.takes(eu(1)), (false, false));
    let mut none = site();
    none.disable(eu(1), Some(NOW));
    assert_eq!(none.takes(eu(1)), (false, false));
    // So does one that was disabled by a clock that is ahead.
    none.disable(eu(1), Some(NOW + 5));
    assert_eq!(none.takes(eu(1)), (false, false));
}

/// manual::tables, The endpoint: "unhealthy, or not in the snapshot | no | no", "An endpoint that
/// becomes unhealthy while it drains loses its sessions at once."
#[test]
fn an_unhealthy_or_unknown_endpoint_takes_nothing() {
    let mut site = site().drain(600);
    site.unhealthy(&[eu(1)]);
    assert_eq!(site.takes(eu(1)), (false, false));
    site.disable(eu(1), Some(NOW - 10));
    assert_eq!(site.takes(eu(1)), (false, false), "draining does not make it healthy");
    assert_eq!(site.takes(eu(9)), (false, false));
}

/// manual::tables, The endpoint: "An endpoint *drains* for `drain_duration` seconds from the moment
/// that it was disabled."
#[test]
fn a_drain_is_over_when_its_duration_has_passed_to_the_second() {
    let mut site = site().drain(600);
    site.disable(eu(1), Some(NOW));
    site.now = NOW + 599;
    assert_eq!(site.takes(eu(1)), (true, false));
    site.now = NOW + 600;
    assert_eq!(site.takes(eu(1)), (false, false));
}

/// manual::tables, The endpoint: "A disabled pool drains all its endpoints"
#[test]
fn a_disabled_pool_drains_its_endpoints() {
    let mut site = site().drain(600);
    site.disable_pool("eu", Some(NOW));
    assert_eq!((site.takes(eu(1)), site.takes(eu(2))), ((true, false), (true, false)));
    site.now = NOW + 600;
    assert_eq!((site.takes(eu(1)), site.takes(eu(2))), ((false, false), (false, false)));
}

/// manual::tables, The endpoint: "where both are disabled, the earlier end counts"
#[test]
fn where_endpoint_and_pool_are_disabled_the_earlier_end_counts() {
    for (endpoint, pool) in [(NOW, NOW - 300), (NOW - 300, NOW)] {
        let mut site = site().drain(600);
        site.disable(eu(1), Some(endpoint));
        site.disable_pool("eu", Some(pool));
        site.now = NOW + 299;
        assert_eq!(site.takes(eu(1)), (true, false));
        site.now = NOW + 300;
        assert_eq!(site.takes(eu(1)), (false, false));
    }
}

/// manual::tables, The endpoint: "Disabled without a time stamp means that the drain is over."
#[test]
fn disabled_without_a_stamp_the_drain_is_over() {
    let mut site = site().drain(600);
    site.disable(eu(1), None);
    assert_eq!(site.takes(eu(1)), (false, false));
    assert_eq!(site.answer(&live(eu(1))).outcome, Outcome::Moved(Moved::Drained));
    site.disable_pool("us", None);
    site.disable(us(1), Some(NOW));
    assert_eq!(site.takes(us(1)), (false, false), "the pool's drain has always been over");
}

/// manual::concepts, Words: "*critical* pool | fewer than `minimum_origins` of its endpoints are
/// healthy and enabled". manual::tables, The endpoint: "An endpoint of weight 0 counts; a draining
/// one, and one not checked yet, does not."
#[test]
fn a_pool_is_critical_with_too_few_healthy_enabled_endpoints() {
    let critical = |site: &Site<_>| site.pools.pool("eu").unwrap().is_critical();
    let mut site = site().drain(600);
    site.edit(|edit| edit.pool_minimum_origins("eu", 2));
    assert!(!critical(&site));
    site.weight(eu(1), 0);
    assert!(!critical(&site), "weight 0 counts");
    site.disable(eu(1), Some(NOW));
    assert!(critical(&site), "draining does not");
    site.edit(|edit| edit.state(eu(1), State::Enabled));
    site.unhealthy(&[eu(2)]);
    assert!(critical(&site), "unhealthy does not");
    site.unchecked(&[eu(2)]);
    assert!(critical(&site), "not checked yet does not");
}

/// manual::cloudflare, Features: "gets no **new** sessions; live ones on its healthy endpoints are
/// kept, so that a drain does not break the others"
#[test]
fn a_drain_that_makes_a_pool_critical_does_not_break_its_other_sessions() {
    let mut site = site().drain(600);
    site.edit(|edit| edit.pool_minimum_origins("eu", 2));
    site.disable(eu(1), Some(NOW));
    assert!(site.pools.pool("eu").unwrap().is_critical());
    assert_eq!(site.answer(&live(eu(1))).outcome, Outcome::Kept);
    assert_eq!(site.answer(&live(eu(2))).outcome, Outcome::Kept);
    assert_eq!(site.new_sessions(), HashSet::from([us(1), us(2)]));
}

/// manual::concepts, Words: "*open* pool | enabled, not critical, and one of its endpoints takes
/// new sessions"
#[test]
fn an_open_pool_is_enabled_and_not_critical_and_somebody_takes_new_sessions() {
    let open = |change: &dyn Fn(&mut Site<_>)| {
        let mut site = site();
        change(&mut site);
        site.pools.pool("eu").unwrap().is_open()
    };
    assert!(open(&|_| {}));
    assert!(!open(&|site| site.disable_pool("eu", None)));
    assert!(!open(&|site| site.edit(|edit| edit.pool_minimum_origins("eu", 3))));
    assert!(!open(&|site| {
        site.weight(eu(1), 0);
        site.weight(eu(2), 0);
    }));
    assert!(!open(&|site| {
        site.edit(|edit| edit.pool_minimum_origins("eu", 0));
        site.unhealthy(&[eu(1), eu(2)]);
    }));
}
