//! Failover: a connection that could not be made. From manual::tables, A failed connection:
//!
//! | mode | pinned | not pinned | no endpoint left to try |
//! |---|---|---|---|
//! | `none` | give up; the pin stays | try the next one | give up |
//! | `temporary` | lend: the next one serves this once; the pin stays | try the next one | give up |
//! | `sticky` | rebind: pin it to the next one, if that answers | try the next one | give up |
//!
//! > - **Next** is the untried endpoint of the same pool that is preferred for this session and
//! >   takes new ones; after them, with `failover_across_pools`, those of the other open pools, in
//! >   order. The attempt's own pool is searched whether it is critical or not.
//! > - **How many**: `retries` endpoints more than the first, by default one. No endpoint is tried
//! >   twice for one request.

use std::collections::HashSet;

use session_affinity::outcome::{Created, Lent, Moved};
use session_affinity::store::WriteKind;
use session_affinity::token::Pin;
use session_affinity::{
    Affinity, EndpointId, FailoverMode, Health, NoAffinity, Outcome, Pools, Record, StoreWrite,
};

use crate::site::{
    IDLE, MODES, NOW, Site, TTL, eu, is_nothing, live, pin_in, pool, site, stored, us,
};
use crate::support::{Chance, Client, Random, at, header, shop, ttl};

/// manual::tables, A failed connection: "`none` | give up; the pin stays"
#[test]
fn in_mode_none_a_live_session_gives_up_and_its_pin_is_as_it_was() {
    let mut site = site();
    assert!(site.gives_up(&live(eu(1))));
    assert_eq!(site.answer(&live(eu(1))).outcome, Outcome::Kept);
}

/// manual::tables, A failed connection: "lend: the next one serves this once; the pin stays". A
/// cookie session that is lent writes nothing.
#[test]
fn in_mode_temporary_a_live_session_is_lent_and_comes_back() {
    let mut site = site().mode(FailoverMode::Temporary);
    let lent = site.after(1, &live(eu(1)));
    assert_eq!((lent.endpoint, lent.outcome), (eu(2), Outcome::Lent(Lent::ConnectFailed)));
    assert!(is_nothing(&lent.settlement));
    let back = site.answer(&live(eu(1)));
    assert_eq!((back.endpoint, back.outcome), (eu(1), Outcome::Kept));
}

/// manual::concepts, What is read, and what is written: a lent header session is not written, but
/// "the idle timer restarts".
#[test]
fn a_lent_header_session_is_touched() {
    let (site, client) = stored(eu(1));
    let lent = site.mode(FailoverMode::Temporary).after(1, &client);
    assert_eq!(lent.outcome, Outcome::Lent(Lent::ConnectFailed));
    let key = header().session_key(&client.request()).unwrap();
    let touch = StoreWrite { key, ttl: ttl(IDLE), now: at(NOW), kind: WriteKind::Touch };
    assert_eq!(lent.settlement.store_write, Some(touch));
}

/// manual::tables, A failed connection: "rebind: pin it to the next one, if that answers"
#[test]
fn in_mode_sticky_a_live_session_is_pinned_to_the_one_that_answers() {
    let mut site = site().mode(FailoverMode::Sticky);
    let moved = site.after(1, &live(eu(1)));
    assert_eq!((moved.endpoint, moved.outcome), (eu(2), Outcome::Moved(Moved::ConnectFailed)));
    let pinned = Pin { endpoint: eu(2), issued: at(NOW), expires: at(NOW + TTL) };
    assert_eq!(pin_in(&moved.settlement, NOW), Some(pinned));
}

/// manual::tables, A failed connection: "New, moved and unbound requests are not" pinned; for them
/// every mode says "try the next one".
#[test]
fn created_moved_and_unbound_attempts_are_pinned_to_the_one_that_answers_in_every_mode() {
    for mode in MODES {
        let created = site().mode(mode).after(1, &Client::number(7));
        assert_eq!(created.outcome, Outcome::Created(Created::ConnectFailed));
        assert_eq!(pin_in(&created.settlement, NOW).unwrap().endpoint, created.endpoint);

        let mut site = site().mode(mode);
        site.unhealthy(&[us(1)]);
        let moved = site.after(1, &live(us(1)));
        assert_eq!(moved.outcome, Outcome::Moved(Moved::ConnectFailed));
        assert_eq!(pin_in(&moved.settlement, NOW).unwrap().endpoint, moved.endpoint);

        let unbound = Site::new(NoAffinity::new(&shop())).mode(mode).after(1, &Client::number(7));
        assert_eq!(unbound.outcome, Outcome::Unbound);
        assert!(is_nothing(&unbound.settlement));
    }
}

/// manual::tables, A failed connection: "no endpoint left to try" is "give up" in every mode.
#[test]
fn with_nobody_left_to_try_every_mode_gives_up() {
    for mode in MODES {
        let mut site = site().mode(mode);
        site.unhealthy(&[eu(2)]);
        assert!(site.gives_up(&live(eu(1))));
        assert!(site.gives_up(&Client::number(7)));
    }
}

/// manual::tables, A failed connection: "**Next** is the untried endpoint of the same pool that is
/// preferred for this session and takes new ones", "The attempt's own pool is searched whether it
/// is critical or not."
#[test]
fn failover_stays_in_a_pool_that_is_critical() {
    let mut site = site().mode(FailoverMode::Temporary);
    site.edit(|edit| edit.pool_minimum_origins("eu", 9));
    assert_eq!(site.after(1, &live(eu(1))).endpoint, eu(2));
    site.weight(eu(2), 0);
    assert!(site.gives_up(&live(eu(1))), "weight 0 takes no new sessions");
}

/// manual::tables, A failed connection: "after them, with `failover_across_pools`, those of the
/// other open pools, in order."
#[test]
fn failover_leaves_the_pool_only_across_pools_and_then_in_order() {
    let three = || {
        Pools::builder()
            .pool(pool("eu", 1))
            .pool(pool("us", 1))
            .pool(pool("asia", 1))
            .build()
            .unwrap()
    };
    let asia = EndpointId::new("asia", "asia-1");
    let mut within = site().pools(three()).mode(FailoverMode::Temporary);
    assert!(within.gives_up(&live(us(1))));
    let mut across = within.across_pools().retries(2);
    assert_eq!(across.after(1, &live(us(1))).endpoint, eu(1));
    assert_eq!(across.after(2, &live(us(1))).endpoint, asia);
    across.edit(|edit| edit.pool_minimum_origins("eu", 2));
    assert_eq!(across.after(1, &live(us(1))).endpoint, asia, "a critical pool is not open");
}

/// manual::tables, A failed connection: "`retries` endpoints more than the first, by default one.
/// No endpoint is tried twice for one request." manual::cloudflare, Features: "up to eight retries
/// (`retries`)".
#[test]
fn one_retry_by_default_up_to_eight_and_nobody_is_tried_twice() {
    for retries in 1..=8_usize {
        let pools = Pools::builder()
            .pool(pool("eu", 4))
            .pool(pool("us", 4))
            .pool(pool("asia", 4))
            .build()
            .unwrap();
        let mut site = site().pools(pools).mode(FailoverMode::Temporary).across_pools();
        if retries > 1 {
            site = site.retries(retries as u64);
        }
        for client in [live(us(1)), Client::number(7)] {
            let mut attempt = site.route(&client).unwrap();
            let mut tried = vec![attempt.endpoint()];
            while let Ok(next) = site.failover(attempt) {
                attempt = next;
                tried.push(attempt.endpoint());
                assert!(tried.len() <= retries + 1, "{tried:?}");
            }
            let distinct: HashSet<_> = tried.iter().collect();
            assert_eq!((tried.len(), distinct.len()), (retries + 1, retries + 1), "{tried:?}");
        }
    }
}

/// manual::design, Why doors: "one seed puts all endpoints in an order".
/// manual::tables, The choice of an endpoint: "The number that made the first choice makes the next
/// one after a failure too."
#[test]
fn failover_goes_to_whom_the_same_number_prefers_without_the_one_that_failed() {
    let pools = Pools::builder().pool(pool("eu", 9)).build().unwrap();
    let mut next = HashSet::new();
    let mut random = Random(1);
    for drawn in (1..100).map(|_| random.next()) {
        let site = site().pools(pools.clone());
        let route = |pools: &Pools<()>| {
            let visit = site.affinity.recall(&Client::number(1).request(), at(NOW));
            site.affinity.route(visit, Record::Absent, pools, || drawn).unwrap().0
        };
        let first = route(&site.pools);
        let failed = first.endpoint();
        let second = site.failover(first).unwrap().endpoint();
        let without = pools.edited(|edit| edit.health(failed, Health::Unhealthy)).unwrap();
        assert_eq!(second, route(&without).endpoint());
        next.insert(second);
    }
    assert_eq!(next.len(), 9);
}

/// manual::choosing, The failover mode: "`header` refuses `sticky`, as Cloudflare does."
#[test]
fn sticky_header_sessions_are_refused() {
    let refused = Affinity::new(header()).with_failover_mode(FailoverMode::Sticky);
    assert_eq!(refused.err().unwrap().mode, FailoverMode::Sticky);
}

/// manual::tables, A failed connection: "**Not a passive failure**": "an endpoint that breaks off
/// after the request was sent". manual::concepts, One request: "A request that is dropped half way,
/// or fails, has promised nothing."
#[test]
fn an_attempt_that_is_given_up_leaves_no_trace() {
    let mut site = site().mode(FailoverMode::Temporary).cooling_off(60);
    let attempt = site.route(&live(eu(1))).unwrap();
    assert_eq!(attempt.give_up().outcome(), Outcome::GaveUp);
    assert_eq!(
        site.answer(&live(eu(1))).outcome,
        Outcome::Kept,
        "breaking off is no passive failure"
    );
}
