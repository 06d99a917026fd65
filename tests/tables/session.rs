//! Sessions: the outcome of each request. From manual::tables, The session (the first line that
//! fits counts):
//!
//! | the session | and | what becomes of it | what is written |
//! |---|---|---|---|
//! | is live | it is pinned into the fallback pool, where both are enabled, and no other pool is open | kept, even on an unhealthy endpoint: there is nothing better | as kept |
//! | is live | its endpoint serves it, its pool sheds sessions and this client is among those | moved to the next open pool, else to the fallback pool; kept where there is neither | a new pin |
//! | is live | its endpoint serves it and is suspect | see cooling off | |
//! | is live | its endpoint serves it | kept, its pool critical or not | cookie: nothing; header: the idle timer |
//! | is live | its endpoint does not serve it | moved to the first open pool, **whatever the failover mode** | a new pin |
//! | is new, expired, or unreadable | | created in the first open pool that does not shed it | a new pin |
//! | is to be created or moved | no pool is open | an enabled endpoint with a weight in the fallback pool, healthy or not | a new pin |
//! | | not even that | `NoEndpoint`: answer 503 | nothing |
//! | cannot be (policy `none`, headers missing) | | unbound: steering chooses each time, in the same pools | nothing |
//!
//! The line of suspects is proved in `cooling_off.rs`.

use std::collections::HashSet;

use session_affinity::{
    AffinityPolicy, Created, Endpoint, Health, Keyring, Moved, NoAffinity, Outcome, Pin, Pool,
    Pools, Record, StoreWrite,
};

use crate::site::{
    IDLE, MODES, NOW, Site, TTL, eu, is_nothing, live, pin, pin_in, pool, site, stored, us,
};
use crate::support::{Client, at, codec, header, key};

/// The pools `eu` and `us` in order, one of which is the fallback pool too.
fn with_fallback(name: &str) -> Pools<()> {
    Pools::builder().pool(pool("eu", 2)).pool(pool("us", 2)).fallback(name).build().unwrap()
}

/// The pool `eu` in order, and the fallback pool `us` outside of the order.
fn with_fallback_apart() -> Pools<()> {
    Pools::builder().pool(pool("eu", 2)).fallback_pool(pool("us", 2)).build().unwrap()
}

/// manual::tables, The session: "it is pinned into the fallback pool, where both are enabled, and
/// no other pool is open | kept, even on an unhealthy endpoint: there is nothing better | as kept"
#[test]
fn in_the_fallback_pool_a_session_is_kept_whatever_its_endpoints_health_when_no_other_pool_is_open()
{
    let mut site = site().pools(with_fallback("us"));
    site.unhealthy(&[us(1), eu(1), eu(2)]);
    let answered = site.answer(&live(us(1)));
    assert_eq!((answered.endpoint, answered.outcome), (us(1), Outcome::Kept));
    assert!(is_nothing(&answered.settlement));
    // With another pool open its health counts again.
    site.edit(|edit| edit.health(eu(1), Health::Healthy).unwrap());
    let answered = site.answer(&live(us(1)));
    assert_eq!((answered.endpoint, answered.outcome), (eu(1), Outcome::Moved(Moved::Unhealthy)));
}

/// manual::tables, The session: "its endpoint serves it, its pool sheds sessions and this client is
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

/// manual::cloudflare, Features: "gets no **new** sessions; live ones on its healthy endpoints are
/// kept, so that a drain does not break the others"
#[test]
fn a_drain_that_makes_a_pool_critical_does_not_break_its_other_sessions() {
    let mut site = site().drain(600);
    site.edit(|edit| edit.minimum_origins("eu", 2).unwrap());
    site.disable(eu(1), Some(NOW));
    assert!(site.pools.pool("eu").unwrap().is_critical());
    assert_eq!(site.answer(&live(eu(1))).outcome, Outcome::Kept);
    assert_eq!(site.answer(&live(eu(2))).outcome, Outcome::Kept);
    assert_eq!(site.new_sessions(), HashSet::from([us(1), us(2)]));
}

/// manual::tables, The session: "its endpoint serves it | kept, its pool critical or not | cookie:
/// nothing; header: the idle timer"
#[test]
fn a_kept_header_session_is_touched() {
    let (mut site, client) = stored(eu(2));
    let answered = site.answer(&client);
    assert_eq!((answered.endpoint, answered.outcome), (eu(2), Outcome::Kept));
    let key = header().session_key(&client.request()).unwrap();
    assert_eq!(
        answered.settlement.store_write,
        Some(StoreWrite::Touch { key, ttl: IDLE, now: at(NOW) })
    );
    assert_eq!(answered.settlement.set_cookie, None);
}

/// manual::tables, The session: "its endpoint does not serve it | moved to the first open pool,
/// **whatever the failover mode** | a new pin"
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
        let eu_2 = Pool::new("eu").endpoint(Endpoint::new("eu-2", ()));
        removed.pools = removed.pools.rebuild().pool(eu_2).pool(pool("us", 2)).build().unwrap();
        let rows = [
            (unhealthy, Moved::Unhealthy),
            (removed, Moved::Removed),
            (disabled, Moved::Disabled),
            (drained, Moved::Drained),
        ];
        for (mut site, reason) in rows {
            let answered = site.answer(&live(eu(1)));
            assert_eq!(
                (answered.endpoint, answered.outcome),
                (eu(2), Outcome::Moved(reason)),
                "{mode:?}"
            );
            assert_eq!(site.draws, 0);
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
    let replaced = StoreWrite::Replace { key, endpoint: eu(2), ttl: IDLE, now: at(NOW) };
    assert_eq!(site.answer(&client).settlement.store_write, Some(replaced));
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

/// A new header session creates its record, which keeps a record that came first; only an
/// unreadable record is replaced.
#[test]
fn a_header_session_is_created_unless_its_record_was_unreadable() {
    let (mut site, client) = stored(eu(1));
    let key = header().session_key(&client.request()).unwrap();
    let (ttl, now) = (IDLE, at(NOW));
    for (record, reason) in [
        (Record::Absent, Created::NoRecord),
        (Record::Unreachable, Created::StoreUnreachable),
        (Record::Unreadable, Created::Unreadable),
    ] {
        site.record = record;
        let answered = site.answer(&client);
        assert_eq!(answered.outcome, Outcome::Created(reason));
        let endpoint = answered.endpoint;
        let expected = match record {
            Record::Unreadable => StoreWrite::Replace { key, endpoint, ttl, now },
            _ => StoreWrite::Create { key, endpoint, ttl, now },
        };
        assert_eq!(answered.settlement.store_write, Some(expected));
    }
}

/// manual::tables, The session: "is to be created or moved | no pool is open | an enabled endpoint
/// with a weight in the fallback pool, healthy or not | a new pin". The fallback pool's
/// `minimum_origins` and shedding are ignored.
#[test]
fn with_no_open_pool_the_fallback_pool_serves_whatever_its_health() {
    let mut site = site().pools(with_fallback_apart());
    site.unhealthy(&[eu(1), eu(2), us(1), us(2)]);
    site.shed("us", 100, 100);
    site.edit(|edit| edit.minimum_origins("us", 9).unwrap());
    assert_eq!(site.new_sessions(), HashSet::from([us(1), us(2)]));
    let moved = site.answer(&live(eu(1)));
    assert_eq!(moved.outcome, Outcome::Moved(Moved::Unhealthy));
    assert_eq!(pin_in(&moved.settlement, NOW).unwrap().endpoint, moved.endpoint);
    site.weight(us(1), 0);
    assert_eq!(site.new_sessions(), HashSet::from([us(2)]), "with weight > 0");
}

/// manual::tables, The session: "not even that | [`NoEndpoint`]: answer 503 | nothing"
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

/// manual::tables, The session: "cannot be (policy `none`, headers missing) | | unbound: steering
/// chooses each time, in the same pools | nothing"
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
    check(Site::new(NoAffinity));
    check(Site::new(header()));
}
