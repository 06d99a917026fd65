//! The seed of each choice. From manual::choosing, The policy:
//!
//! | | `cookie` | `ip_cookie` | `header` | `none` |
//! |---|---|---|---|---|
//! | the pin lives | in the client | in the client | in a session store | nowhere |
//! | first choice by | random bits (the address in pools that steer by `hash`) | the client's address | the session key | random bits or address |
//! | the client's address changes | no effect | no effect while it has the cookie | no effect | – |
//!
//! The choice for a live session that is moved or lent is seeded by its pin, or by its session
//! key.

use std::collections::HashSet;

use session_affinity::failover::FailoverScope;
use session_affinity::limits::{CoolingOff, Percent};
use session_affinity::pools::{LoadShedding, ShedBy};
use session_affinity::token::Pin;
use session_affinity::{Affinity, Endpoint, EndpointId, Keyring, Pool, Pools, Record, steering};

use crate::site::{NOW, Site, eu, pin, pool, site, us};
use crate::support::{Client, PinnedTo, at, cookie, header, ip_cookie, key, keyring};

/// manual::tables, The choice of an endpoint: "a live session that is moved or lent | its pin
/// (endpoint and time of issue), or its session key | weights alone", "the concurrent requests of a
/// live session agree on every node".
#[test]
fn concurrent_requests_of_one_session_move_to_the_same_endpoint_on_every_node() {
    let six = || Pools::builder().pool(pool("eu", 6)).build().unwrap();
    let mut landed = HashSet::new();
    for issued in 0..32 {
        let client = Client::number(7).with_pin(Pin { issued: at(NOW - issued), ..pin(eu(1)) });
        let node = |draws| {
            let mut site = site().pools(six());
            site.draws = draws;
            site.unhealthy(&[eu(1)]);
            site.answer(&client).endpoint
        };
        assert_eq!(node(1), node(2));
        landed.insert(node(1));
    }
    assert!(landed.len() > 3, "different sessions spread: {landed:?}");
}

/// manual::choosing, The policy: the first choice is by "the client's address", whose change has
/// "no effect while it has the cookie". manual::tables, The choice of an endpoint: "the client's
/// address; random bits where the address is not known".
#[test]
fn ip_cookie_chooses_by_address_and_a_valid_cookie_beats_it() {
    let first = |number, draws| {
        let mut site = Site::new(ip_cookie(&keyring()));
        site.draws = draws;
        (site.route(&Client::number(number)).unwrap().endpoint(), site.draws - draws)
    };
    for number in 0..32 {
        assert_eq!(first(number, 1), first(number, 2));
        assert_eq!(first(number, 1).1, 0, "no entropy is drawn");
        for pinned in [eu(1), eu(2)] {
            let client = Client::number(number).with_pin(pin(pinned));
            assert_eq!(Site::new(ip_cookie(&keyring())).answer(&client).endpoint, pinned);
        }
    }
    let mut site = Site::new(ip_cookie(&keyring()));
    let all: HashSet<_> =
        (0..64).map(|_| site.answer(&Client::without_address()).endpoint).collect();
    assert_eq!(all.len(), 2, "without an address entropy decides");
}

/// manual::choosing, The policy: "random bits (the address in pools that steer by `hash`)"
#[test]
fn a_cookie_session_begins_by_address_where_the_pool_steers_by_hash() {
    let hashing =
        || Pools::builder().pool(pool("eu", 4).with_steering(steering::IpHash)).build().unwrap();
    let mut site = site().pools(hashing());
    for number in 0..32 {
        let first = site.answer(&Client::number(number)).endpoint;
        assert_eq!(site.answer(&Client::number(number)).endpoint, first);
    }
    assert_eq!(site.draws, 0);
    let all: HashSet<_> =
        (0..64).map(|_| site.answer(&Client::without_address()).endpoint).collect();
    assert_eq!(all.len(), 4);
}

/// manual::gateways, When a shared store is needed: "a header session's first choice is made of its
/// key alone", "With the store out of reach a request is served all the same, where its key
/// points".
#[test]
fn a_header_session_lands_where_its_key_points_with_or_without_a_store() {
    for user in 0..32 {
        let client = Client::number(user).with_user(&format!("user {user}"));
        let node = |record, draws| {
            let mut site = Site::new(header());
            (site.record, site.draws) = (record, draws);
            site.answer(&client).endpoint
        };
        assert_eq!(node(Record::Absent, 1), node(Record::Absent, 2));
        assert_eq!(node(Record::Absent, 1), node(Record::Unreachable, 3));
    }
}

/// manual::keys, Rotating: "First choices do not change either: they are not made of these keys."
#[test]
fn rotating_signing_keys_moves_no_first_choice() {
    for number in 0..32 {
        let choice = |id| {
            let keyring = Keyring::from(key(id));
            Site::new(ip_cookie(&keyring)).answer(&Client::number(number)).endpoint
        };
        assert_eq!(choice(1), choice(2));
    }
}

/// A pool of one endpoint, `NAME-1`: its steering, whether it is a suspect, and whether it sheds
/// every new session by the hash of the address.
type Row = (&'static str, Steered, bool, bool);

#[derive(Clone, Copy)]
enum Steered {
    ByAddress,
    ByEntropy,
}
use Steered::{ByAddress, ByEntropy};

/// The number of times that entropy is drawn for a new session in these pools.
fn draws(rows: &[Row], scope: FailoverScope) -> u32 {
    let cooling_off = CoolingOff::new(30).unwrap();
    let pools = rows.iter().fold(Pools::builder(), |builder, (name, steered, _, sheds)| {
        let percent = Percent::new(if *sheds { 100 } else { 0 }).unwrap();
        let shedding = LoadShedding {
            default_percent: percent,
            shed_by: ShedBy::Hash,
            ..LoadShedding::default()
        };
        let pool = Pool::new(*name)
            .with_endpoint(Endpoint::new(format!("{name}-1"), ()))
            .with_shedding(shedding);
        builder.pool(match steered {
            ByAddress => pool.with_steering(steering::IpHash),
            ByEntropy => pool,
        })
    });
    let pools = pools.build().unwrap();
    let client = Client::number(7);
    for (name, ..) in rows.iter().filter(|(_, _, is_suspect, _)| *is_suspect) {
        let id = EndpointId::new(name, &format!("{name}-1"));
        let pinned = Affinity::new(PinnedTo::new(id)).with_cooling_off(cooling_off);
        let visit = pinned.recall(&client.request(), at(NOW));
        let (attempt, ()) = pinned.route(visit, Record::Absent, &pools, || 0).unwrap();
        assert!(pinned.failover(attempt, &pools).is_err());
    }
    let affinity =
        Affinity::new(cookie(&keyring())).with_cooling_off(cooling_off).with_failover_scope(scope);
    let mut count = 0;
    let visit = affinity.recall(&client.request(), at(NOW));
    let routed = affinity.route(visit, Record::Absent, &pools, || {
        count += 1;
        4
    });
    assert!(routed.is_ok());
    count
}

/// manual::tables, The choice of an endpoint: the seed is drawn for the fallback pool where that is
/// chosen from, its endpoints healthy or not.
#[test]
fn entropy_is_drawn_for_the_fallback_pool_where_that_steers_by_it() {
    let steered = |name: &str, by| match by {
        ByAddress => pool(name, 2).with_steering(steering::IpHash),
        ByEntropy => pool(name, 2),
    };
    for (eu_by, us_by, in_eu, in_us) in [(ByAddress, ByEntropy, 0, 1), (ByEntropy, ByAddress, 1, 0)]
    {
        let pools = || Pools::builder().pool(steered("eu", eu_by));
        let apart = pools().fallback_apart(steered("us", us_by)).build().unwrap();
        let in_order = pools().pool(steered("us", us_by)).fallback_in_order("us").build().unwrap();
        for pools in [apart, in_order] {
            for ill in [&[][..], &[us(1)], &[us(1), us(2)]] {
                let mut closed = site().pools(pools.clone());
                closed.edit(|edit| edit.pool_minimum_origins("us", 9));
                closed.unhealthy(ill);
                let mut shed = site().pools(closed.pools.clone());
                shed.shed("eu", 100, 0);
                closed.unhealthy(&[eu(1), eu(2)]);
                for mut site in [closed, shed] {
                    let first = site.route(&Client::number(7)).unwrap().endpoint();
                    assert!([us(1), us(2)].contains(&first));
                    assert_eq!(site.draws, in_us, "{ill:?}");
                }
                // Where the fallback pool has no endpoint, the first open pool is chosen from.
                let mut shed = site().pools(pools.clone());
                shed.unhealthy(ill);
                shed.shed("eu", 100, 0);
                shed.disable_pool("us", None);
                assert!(shed.route(&Client::number(7)).is_ok());
                assert_eq!(shed.draws, in_eu, "{ill:?}");
            }
        }
    }
}

/// manual::tables, The choice of an endpoint: the seed is drawn for the pool that is chosen from,
/// and for no other one.
#[test]
fn entropy_is_drawn_where_the_pool_that_is_chosen_from_steers_by_it() {
    use FailoverScope::{AllPools, OwnPool};
    let cases: [(&[Row], FailoverScope, u32); 9] = [
        (&[("a", ByAddress, false, false), ("b", ByEntropy, false, false)], AllPools, 0),
        (&[("a", ByEntropy, false, false), ("b", ByAddress, false, false)], AllPools, 1),
        // Trusted endpoints of a later pool come before suspects.
        (&[("a", ByEntropy, true, false), ("b", ByAddress, false, false)], AllPools, 0),
        (&[("a", ByAddress, true, false), ("b", ByEntropy, false, false)], AllPools, 1),
        (&[("a", ByAddress, true, false), ("b", ByEntropy, false, false)], OwnPool, 0),
        // With suspects alone, the first pool is chosen from.
        (&[("a", ByAddress, true, false), ("b", ByEntropy, true, false)], AllPools, 0),
        (&[("a", ByEntropy, true, false), ("b", ByAddress, true, false)], AllPools, 1),
        // Where every pool sheds, the first is chosen from after all; so with suspects.
        (&[("a", ByAddress, false, true), ("b", ByEntropy, false, true)], AllPools, 0),
        (&[("a", ByEntropy, true, true), ("b", ByAddress, false, true)], AllPools, 0),
    ];
    for (number, (rows, scope, expected)) in cases.into_iter().enumerate() {
        assert_eq!(draws(rows, scope), expected, "case {number}");
    }
}

/// Where every number sheds a session, or none does, no number is drawn for it.
#[test]
fn no_random_bits_are_drawn_for_a_shedding_that_is_certain() {
    use session_affinity::pools::{LoadShedding, ShedBy};
    for (percent, draws) in [(0, 0), (60, 1), (100, 0)] {
        let shedding = LoadShedding {
            default_percent: Percent::new(percent).unwrap(),
            shed_by: ShedBy::Random,
            session_percent: Percent::ZERO,
        };
        let named = |name: &str| Pool::new(name).with_endpoint(Endpoint::new("1", ()));
        let pools = Pools::builder().pool(named("a").with_shedding(shedding)).pool(named("b"));
        let pools = pools.build().unwrap();
        let affinity = Affinity::new(crate::support::header());
        let headers = http::HeaderMap::from_iter([(
            http::HeaderName::from_static("x-user"),
            http::HeaderValue::from_static("ada"),
        )]);
        let visit = affinity.recall(&crate::support::request(&headers), at(NOW));
        assert!(visit.lookup().is_some());
        let mut drawn = 0;
        let routed = affinity.route(visit, Record::Absent, &pools, || {
            drawn += 1;
            7
        });
        assert!(routed.is_ok());
        assert_eq!(drawn, draws, "{percent} %");
    }
}
