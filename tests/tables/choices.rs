//! The seed of each choice. From manual::choosing, The policy:
//!
//! | | `cookie` | `ip_cookie` | `header` | `none` |
//! |---|---|---|---|---|
//! | the pin lives | in the client | in the client | in a store of yours | nowhere |
//! | first choice by | random bits (the address in pools that steer by `hash`) | the client's address | the session key | random bits or address |
//! | the client's address changes | no effect | no effect while it has the cookie | no effect | – |
//!
//! The choice for a live session that is moved or lent is seeded by its pin, or by its session
//! key.

use std::collections::HashSet;

use session_affinity::{Keyring, Pin, Pools, Record, steering};

use crate::site::{NOW, Site, eu, pin, pool, site};
use crate::support::{Client, at, header, ip_cookie, key, keyring};

/// The choice for a live session is seeded by its pin, so concurrent requests of one session agree
/// on every node.
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
/// "no effect while it has the cookie". Without an address a random number decides.
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
    let hashing = || Pools::builder().pool(pool("eu", 4).steering(steering::Hash)).build().unwrap();
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
