//! Sessions: the outcome of each request. From manual::tables, The session (the first line that
//! fits counts):
//!
//! | the session | and | what becomes of it | what is written |
//! |---|---|---|---|
//! | is live | it is pinned to an enabled endpoint of the enabled fallback pool, no pool is open, and no endpoint of the fallback pool takes new sessions either | kept, its health ignored: there is nothing better | as kept |
//! | is live | its endpoint serves it, its pool sheds sessions and this one is among those | moved to the next open pool, else to the fallback pool; kept where there is neither | a new pin |
//! | is live | its endpoint serves it and is suspect | see cooling off | |
//! | is live | its endpoint serves it | kept, its pool critical or not | cookie: nothing; header: the idle timer |
//! | is live | its endpoint does not serve it | moved to the first open pool, **whatever the failover mode**; lent or refused where `on_loss` says so | a new pin |
//! | is new, expired, or unreadable | | created in the first open pool that does not shed it | a new pin |
//! | is to be created, moved, or lent from a lost endpoint | no pool is open, or every open pool sheds a new session | the fallback pool: an endpoint that takes new sessions; where there is no such endpoint, any enabled one with a weight, its health ignored; a new session without it: the first open pool | a new pin; lent: as kept |
//! | | not even that | `NoRoute`: answer 503 | nothing |
//! | is not possible (policy `none`, headers missing) | | unbound: steering chooses each time, in the same pools | nothing |
//!
//! The line of suspects is proved in `cooling_off.rs`, `on_loss` in `lost.rs`.

use std::collections::HashSet;

use session_affinity::outcome::{Created, Moved};
use session_affinity::store::WriteKind;
use session_affinity::token::Pin;
use session_affinity::{
    AffinityPolicy, Endpoint, Health, Keyring, NoAffinity, Outcome, Pool, Pools, StoreWrite,
};

use crate::site::{
    IDLE, MODES, NOW, Site, TTL, eu, is_nothing, live, pin, pin_in, pool, site, stored, us,
    with_fallback, with_fallback_apart,
};
use crate::support::{Client, at, codec, header, key, shop, ttl};

/// manual::tables, The session: "it is pinned to an enabled endpoint of the enabled fallback pool,
/// no pool is open, and no endpoint of the fallback pool takes new sessions either | kept, its
/// health ignored: there is nothing better | as kept"
#[test]
fn a_session_of_the_fallback_pool_is_kept_on_an_unhealthy_endpoint_when_there_is_nothing_better() {
    for pools in [with_fallback("us"), with_fallback_apart()] {
        let mut site = site().pools(pools);
        site.unhealthy(&[us(1), us(2), eu(1), eu(2)]);
        let answered = site.answer(&live(us(1)));
        assert_eq!((answered.endpoint, answered.outcome), (us(1), Outcome::Kept));
        assert!(is_nothing(&answered.settlement));
        // An endpoint that serves its sessions and takes no new ones is nothing better.
        site.edit(|edit| edit.health(us(2), Health::Healthy));
        site.weight(us(2), 0);
        assert_eq!(site.answer(&live(us(1))).outcome, Outcome::Kept);
        // With another pool open its health counts again.
        site.edit(|edit| edit.health(eu(1), Health::Healthy));
        let answered = site.answer(&live(us(1)));
        let moved = Outcome::Moved(Moved::Unhealthy);
        assert_eq!((answered.endpoint, answered.outcome), (eu(1), moved));
    }
}

/// manual::embedding, Strict: "look at the outcome before you connect, and drop the attempt: a move
/// is only a value until it is settled."
#[test]
fn an_attempt_that_would_move_a_session_and_is_dropped_leaves_the_session_with_its_endpoint() {
    for mode in MODES {
        let mut site = site().mode(mode);
        site.unhealthy(&[eu(1)]);
        for _ in 0..3 {
            let attempt = site.route(&live(eu(1))).unwrap();
            assert_eq!(attempt.outcome(), Outcome::Moved(Moved::Unhealthy), "{mode:?}");
            drop(attempt);
        }
        let other = site.pools.endpoint(eu(2)).unwrap().census();
        assert_eq!((other.last_seen, other.latest_end), (None, None));
        site.edit(|edit| edit.health(eu(1), Health::Healthy));
        let answered = site.answer(&live(eu(1)));
        assert_eq!((answered.endpoint, answered.outcome), (eu(1), Outcome::Kept));
    }
}

/// manual::tables, The session: "no endpoint of the fallback pool takes new sessions either". "An
/// unhealthy endpoint of it gets new sessions, and keeps its own, only while the whole pool has no
/// endpoint that takes new ones."
#[test]
fn an_unhealthy_endpoint_of_the_fallback_pool_loses_its_sessions_to_a_healthy_one_beside_it() {
    for mode in MODES {
        let alone = Pools::builder().pool(pool("us", 2)).fallback_in_order("us").build().unwrap();
        for pools in [alone, with_fallback("us"), with_fallback_apart()] {
            let mut site = site().mode(mode).pools(pools);
            if site.pools.pool("eu").is_some() {
                site.unhealthy(&[eu(1), eu(2)]);
            }
            site.unhealthy(&[us(1)]);
            // Critical or not.
            for minimum_origins in [1, 9] {
                site.edit(|edit| edit.pool_minimum_origins("us", minimum_origins));
                let answered = site.answer(&live(us(1)));
                assert_eq!(answered.outcome, Outcome::Moved(Moved::Unhealthy), "{mode:?}");
                assert_eq!((answered.endpoint, site.draws), (us(2), 0));
                assert_eq!(pin_in(&answered.settlement, NOW).unwrap().endpoint, us(2));
                assert_eq!(site.answer(&live(us(2))).outcome, Outcome::Kept);
            }
        }
    }
}

/// manual::tables, The session: "its endpoint serves it, its pool sheds sessions and this one is
/// among those | moved to the next open pool"
#[test]
fn a_shed_session_moves_to_the_next_open_pool() {
    let mut site = site();
    site.shed("eu", 0, 100);
    let answered = site.answer(&live(eu(1)));
    assert_eq!(answered.outcome, Outcome::Moved(Moved::Shed));
    assert!([us(1), us(2)].contains(&answered.endpoint));
    assert_eq!(pin_in(&answered.settlement, NOW).unwrap().endpoint, answered.endpoint);
    // Never to a pool before its own.
    site.shed("eu", 0, 0);
    site.shed("us", 0, 100);
    assert_eq!(site.answer(&live(us(1))).outcome, Outcome::Kept);
}

/// manual::tables, The session: "else to the fallback pool; kept where there is neither | a new
/// pin"
#[test]
fn a_shed_session_with_no_open_pool_after_its_own_moves_to_the_fallback_pool_or_else_is_kept() {
    let mut apart = site().pools(with_fallback_apart());
    apart.shed("eu", 0, 100);
    apart.unhealthy(&[us(1), us(2)]);
    let answered = apart.answer(&live(eu(1)));
    assert!([us(1), us(2)].contains(&answered.endpoint), "whatever its health");
    assert_eq!(answered.outcome, Outcome::Moved(Moved::Shed));
    // A healthy endpoint comes first, whichever the session would prefer.
    for (well, ill) in [(us(1), us(2)), (us(2), us(1))] {
        apart.edit(|edit| edit.health(well, Health::Healthy));
        apart.unhealthy(&[ill]);
        assert_eq!(apart.answer(&live(eu(1))).endpoint, well);
    }
    let mut alone = site();
    alone.shed("eu", 0, 100);
    alone.unhealthy(&[us(1), us(2)]);
    let answered = alone.answer(&live(eu(1)));
    assert_eq!((answered.endpoint, answered.outcome), (eu(1), Outcome::Kept));
    // A session of the fallback pool is not shed to that pool.
    let mut own = site().pools(with_fallback("us"));
    own.shed("us", 0, 100);
    assert_eq!(own.answer(&live(us(1))).outcome, Outcome::Kept);
}

/// manual::tables, The session: "its endpoint serves it | kept, its pool critical or not | cookie:
/// nothing"
#[test]
fn a_live_session_of_a_good_endpoint_is_kept_and_writes_no_cookie() {
    for mode in MODES {
        let mut site = site().mode(mode);
        let answered = site.answer(&live(eu(2)));
        assert_eq!((answered.endpoint, answered.outcome), (eu(2), Outcome::Kept));
        assert!(is_nothing(&answered.settlement));
        assert_eq!(site.draws, 0, "a kept request draws no entropy");
    }
}

/// manual::tables, The session: "its endpoint serves it | kept, its pool critical or not | cookie:
/// nothing; header: the idle timer"
#[test]
fn a_kept_header_session_is_touched() {
    let (mut site, client) = stored(eu(2));
    let answered = site.answer(&client);
    assert_eq!((answered.endpoint, answered.outcome), (eu(2), Outcome::Kept));
    let key = header().session_key(&client.request()).unwrap();
    let touch = StoreWrite { key, ttl: ttl(IDLE), now: at(NOW), kind: WriteKind::Touch };
    assert_eq!(answered.settlement.store_write, Some(touch));
    assert_eq!(answered.settlement.response, None);
}

/// manual::tables, The session: "its endpoint does not serve it | moved to the first open pool,
/// **whatever the failover mode**"
#[test]
fn a_live_session_that_its_endpoint_does_not_take_moves_in_every_mode() {
    for mode in MODES {
        let mut unhealthy = site().mode(mode);
        unhealthy.unhealthy(&[eu(1)]);
        let mut disabled = site().mode(mode);
        disabled.disable(eu(1), Some(NOW));
        let mut drained = site().mode(mode).drain(600);
        drained.disable(eu(1), Some(NOW - 600));
        let mut removed = site().mode(mode);
        let eu_2 = Pool::new("eu").with_endpoint(Endpoint::new("eu-2", ()));
        removed.pools = removed.pools.rebuild().pool(eu_2).pool(pool("us", 2)).build().unwrap();
        let rows = [
            (unhealthy, Moved::Unhealthy),
            (removed, Moved::Removed),
            (disabled, Moved::Disabled),
            (drained, Moved::Drained),
        ];
        for (mut site, reason) in rows {
            let answered = site.answer(&live(eu(1)));
            assert_eq!(answered.outcome, Outcome::Moved(reason), "{mode:?}");
            assert_eq!((answered.endpoint, site.draws), (eu(2), 0));
            assert_eq!(pin_in(&answered.settlement, NOW).unwrap().endpoint, eu(2));
        }
    }
}

/// manual::tables, The session: "moved to the first open pool", also when the session's own pool is
/// another one.
#[test]
fn a_session_moves_to_the_first_open_pool() {
    let mut site = site();
    site.unhealthy(&[us(1)]);
    assert!([eu(1), eu(2)].contains(&site.answer(&live(us(1))).endpoint));
}

/// manual::concepts, The life of a session: "A move begins a new session: issued now, with its full
/// lifetime."
#[test]
fn a_repin_is_issued_now_with_the_full_lifetime() {
    let mut site = site();
    site.unhealthy(&[eu(1)]);
    site.now = NOW + 70_000;
    let answered = site.answer(&live(eu(1)));
    let expected =
        Pin { endpoint: eu(2), issued: at(NOW + 70_000), expires: at(NOW + 70_000 + TTL) };
    assert_eq!(pin_in(&answered.settlement, site.now), Some(expected));
    let (mut site, client) = stored(eu(1));
    site.unhealthy(&[eu(1)]);
    let key = header().session_key(&client.request()).unwrap();
    let kind = WriteKind::Replace(eu(2));
    let replace = StoreWrite { key, ttl: ttl(IDLE), now: at(NOW), kind };
    assert_eq!(site.answer(&client).settlement.store_write, Some(replace));
}

/// manual::tables, The session: "is new, expired, or unreadable | | created in the first open pool
/// that does not shed it | a new pin"
#[test]
fn a_request_without_a_usable_session_begins_one_in_the_first_open_pool() {
    let expired = Pin { expires: at(NOW), ..pin(eu(1)) };
    let premature = Pin { issued: at(NOW + 301), ..pin(eu(1)) };
    let sealed = |pin: &Pin, id| codec(&Keyring::from(key(id))).seal(pin).as_str().to_owned();
    let rows = [
        (Client::number(7), Created::NoCookie),
        (Client::number(7).with_pin(expired), Created::Expired),
        (Client::number(7).with_pin(premature), Created::Premature),
        (Client::number(7).with_token("abc"), Created::Malformed),
        (Client::number(7).with_token(&"A".repeat(48)), Created::UnknownVersion),
        (Client::number(7).with_token(&sealed(&pin(eu(1)), 2)), Created::UnknownKey),
        (Client::number(7).with_token(&format!("AQE{}", "A".repeat(45))), Created::Forged),
    ];
    for (client, reason) in rows {
        let answered = site().answer(&client);
        assert_eq!(answered.outcome, Outcome::Created(reason));
        assert!([eu(1), eu(2)].contains(&answered.endpoint));
        let expected = Pin { endpoint: answered.endpoint, issued: at(NOW), expires: at(NOW + TTL) };
        assert_eq!(pin_in(&answered.settlement, NOW), Some(expected));
    }
}

/// manual::tables, The session: "the fallback pool: an endpoint that takes new sessions; where there
/// is no such endpoint, any enabled one with a weight, its health ignored", "its `minimum_origins`
/// and its shedding are ignored."
#[test]
fn with_no_open_pool_the_fallback_pool_serves_and_its_healthy_endpoints_come_first() {
    let mut site = site().pools(with_fallback_apart());
    site.unhealthy(&[eu(1), eu(2), us(1)]);
    site.shed("us", 100, 100);
    site.edit(|edit| edit.pool_minimum_origins("us", 9));
    assert_eq!(site.new_sessions(), HashSet::from([us(2)]), "the one that takes new sessions");
    assert_eq!(site.answer(&live(eu(1))).endpoint, us(2));
    site.unhealthy(&[us(2)]);
    assert_eq!(site.new_sessions(), HashSet::from([us(1), us(2)]), "their health ignored");
    let moved = site.answer(&live(eu(1)));
    assert_eq!(moved.outcome, Outcome::Moved(Moved::Unhealthy));
    assert_eq!(pin_in(&moved.settlement, NOW).unwrap().endpoint, moved.endpoint);
    site.weight(us(1), 0);
    assert_eq!(site.new_sessions(), HashSet::from([us(2)]), "with weight > 0");
}

/// manual::tables, The session: "not even that | [`NoRoute`]: answer 503 | nothing"
#[test]
fn with_nobody_to_try_there_is_no_endpoint() {
    let mut disabled = site().pools(with_fallback_apart());
    disabled.unhealthy(&[eu(1), eu(2)]);
    disabled.disable(us(1), Some(NOW));
    disabled.weight(us(2), 0);
    let mut pool_disabled = site().pools(with_fallback_apart());
    pool_disabled.unhealthy(&[eu(1), eu(2)]);
    pool_disabled.disable_pool("us", Some(NOW));
    let mut alone = site();
    alone.unhealthy(&[eu(1), eu(2), us(1), us(2)]);
    let empty = site().pools(Pools::builder().build().unwrap());
    for mut site in [disabled, pool_disabled, alone, empty] {
        for client in [live(eu(1)), Client::number(7)] {
            assert_eq!(site.route(&client).unwrap_err().outcome(), Outcome::NoEndpoint);
        }
    }
}

/// manual::tables, The session: "is not possible (policy `none`, headers missing) | | unbound:
/// steering chooses each time, in the same pools | nothing"
#[test]
fn a_request_that_can_have_no_session_is_steered_every_time_and_writes_nothing() {
    fn check(mut site: Site<impl AffinityPolicy>) {
        let answered = site.answer(&Client::number(7));
        assert_eq!(answered.outcome, Outcome::Unbound);
        assert!(is_nothing(&answered.settlement));
        let all: HashSet<_> = (0..64).map(|_| site.answer(&Client::number(7)).endpoint).collect();
        assert_eq!(all, HashSet::from([eu(1), eu(2)]));
        site.unhealthy(&[eu(1), eu(2)]);
        assert_eq!(site.new_sessions(), HashSet::from([us(1), us(2)]));
    }
    check(Site::new(NoAffinity::new(&shop())));
    check(Site::new(header()));
}
