//! Load shedding. From manual::tables, Shedding:
//!
//! > `default_percent` of new sessions and of unbound requests, and `session_percent` of live
//! > ones, are sent to the pools after.
//! >
//! > - Live sessions are shed by a hash of the client's address, and those of `header` by a hash of
//! >   the session key: what is shed at 30 % is shed at 60 %, on every node. So a header session
//! >   has one fate whatever address states its headers. A live session of a cookie is never shed
//! >   when the address is not known.
//! > - New ones are shed at random, or by the hash of the address (`default_policy`). Without an
//! >   address they are shed at random under `hash` too.
//! > - A client or a session is shed when `hash × 100 < percent × 2^64`. The hash is SipHash-2-4 of
//! >   the 16 bytes of the address or of the session key, under a key that is made of the load
//! >   balancer's name and differs from the key that chooses endpoints: being shed says nothing
//! >   about the endpoint chosen.
//! > - A session that is moved for another reason is not subject to `default_percent`.
//! > - New, and shed by every open pool: the fallback pool, and without one the first open pool
//! >   after all. Live, and no open pool after its own: the fallback pool, and without one it is
//! >   kept.
//!
//! The last sentence is proved in `session.rs`.

use std::collections::HashSet;

use session_affinity::outcome::Moved;
use session_affinity::{EndpointId, Outcome, Pools};

use crate::naive::{self, shedding_hash, shedding_hash_of_key};
use crate::site::{Site, eu, live, pin, pool, site, stored, us};
use crate::support::{Client, header, ip_cookie, keyring};

/// The clients, of 2000, whose live sessions are shed at this percentage.
fn shed_at(percent: u64) -> HashSet<u16> {
    let mut site = site();
    site.shed("eu", 0, percent);
    let moved = |number: &u16| {
        let client = Client::number(*number).with_pin(pin(eu(1)));
        site.route(&client).unwrap().outcome() == Outcome::Moved(Moved::Shed)
    };
    (0..2_000).filter(moved).collect()
}

/// manual::tables, Shedding: "what is shed at 30 % is shed at 60 %"
#[test]
fn who_is_shed_at_30_percent_is_shed_at_60_percent() {
    let (third, most) = (shed_at(30), shed_at(60));
    assert!(third.is_subset(&most));
    assert!((540..660).contains(&third.len()), "{} of 2000", third.len());
    assert!((1_130..1_270).contains(&most.len()), "{} of 2000", most.len());
    assert_eq!((shed_at(0).len(), shed_at(100).len()), (0, 2_000));
}

/// manual::tables, Shedding: "Live sessions are shed by a hash of the client's address", "New ones
/// are shed at random, or by the hash of the address (`default_policy`).", "shed when `hash × 100 <
/// percent × 2^64`. The hash is SipHash-2-4 of the 16 bytes of the address".
#[test]
fn every_node_sheds_the_same_clients_by_the_documented_hash() {
    let shed: HashSet<u16> = (0..2_000)
        .filter(|number| {
            let hash = shedding_hash("shop.example.com", Client::number(*number).ip.unwrap());
            naive::is_shed(hash, 30)
        })
        .collect();
    assert_eq!(shed_at(30), shed);
    // New sessions are shed by the same number.
    let mut site = site();
    site.shed("eu", 30, 0);
    for number in 0..2_000 {
        let endpoint = site.route(&Client::number(number)).unwrap().endpoint();
        assert_eq!([us(1), us(2)].contains(&endpoint), shed.contains(&number), "client {number}");
    }
}

/// manual::tables, Shedding: "being shed says nothing about the endpoint chosen".
#[test]
fn who_is_shed_says_nothing_of_the_endpoint_chosen() {
    let mut site = Site::new(ip_cookie(&keyring()));
    let shed = shed_at(50);
    let mut first = |numbers: &mut dyn Iterator<Item = u16>| {
        let chosen: Vec<_> =
            numbers.map(|number| site.route(&Client::number(number)).unwrap().endpoint()).collect();
        chosen.iter().filter(|id| **id == eu(1)).count() * 100 / chosen.len()
    };
    let among_shed = first(&mut (0..2_000).filter(|number| shed.contains(number)));
    let among_others = first(&mut (0..2_000).filter(|number| !shed.contains(number)));
    assert!((45..=55).contains(&among_shed), "{among_shed} %");
    assert!((45..=55).contains(&among_others), "{among_others} %");
}

/// manual::tables, Shedding: "A live session of a cookie is never shed when the address is not
/// known.", of new ones: "Without an address they are shed at random under `hash` too."
#[test]
fn without_an_address_live_sessions_are_never_shed_and_new_ones_by_a_number_drawn() {
    let mut site = site();
    site.shed("eu", 50, 100);
    let client = Client::without_address().with_pin(pin(eu(1)));
    assert_eq!(site.answer(&client).outcome, Outcome::Kept);
    assert_eq!(site.draws, 0);
    let shed = (0..1_000).filter(|_| {
        let endpoint = site.route(&Client::without_address()).unwrap().endpoint();
        endpoint != eu(1) && endpoint != eu(2)
    });
    let shed = shed.count();
    assert!((450..550).contains(&shed), "{shed} of 1000");
}

/// The users, of 2000, whose live header sessions are shed at this percentage, from the address of
/// this number; `None`: from no known address.
fn users_shed_at(percent: u64, address: Option<u16>) -> HashSet<u16> {
    let (mut site, _) = stored(eu(1));
    site.shed("eu", 0, percent);
    let moved = |user: &u16| {
        let client = address.map_or_else(Client::without_address, Client::number);
        let client = client.with_user(&format!("user {user}"));
        site.route(&client).unwrap().outcome() == Outcome::Moved(Moved::Shed)
    };
    (0..2_000).filter(moved).collect()
}

/// manual::tables, Shedding: "those of `header` by a hash of the session key", "The hash is
/// SipHash-2-4 of the 16 bytes of the address or of the session key".
#[test]
fn every_node_sheds_the_same_header_sessions_by_the_documented_hash_of_their_keys() {
    let sheds = |percent| -> HashSet<u16> {
        let is_shed = |user: &u16| {
            let client = Client::without_address().with_user(&format!("user {user}"));
            let key = header().session_key(&client.request()).unwrap();
            naive::is_shed(shedding_hash_of_key("shop.example.com", key), percent)
        };
        (0..2_000).filter(is_shed).collect()
    };
    let third = sheds(30);
    assert!((540..660).contains(&third.len()), "{} of 2000", third.len());
    assert!(third.is_subset(&sheds(60)));
    for percent in [0, 30, 60, 100] {
        assert_eq!(users_shed_at(percent.into(), Some(7)), sheds(percent), "{percent} %");
    }
}

/// manual::tables, Shedding: "So a header session has one fate whatever address states its
/// headers", also where the address is not known.
#[test]
fn a_header_session_is_shed_or_not_whatever_address_states_it() {
    let shed = users_shed_at(30, Some(7));
    for address in [None, Some(8), Some(9), Some(1_000)] {
        assert_eq!(users_shed_at(30, address), shed, "{address:?}");
    }
}

/// manual::tables, Shedding: "New ones are shed at random, or by the hash of the address
/// (`default_policy`)", those of `header` too: they have no record that a stranger could move.
#[test]
fn a_new_header_session_is_shed_by_the_address() {
    let mut site = Site::new(header());
    site.shed("eu", 30, 0);
    let shed = shed_at(30);
    for number in 0..2_000 {
        let client = Client::number(number).with_user("ann");
        let endpoint = site.route(&client).unwrap().endpoint();
        assert_eq!([us(1), us(2)].contains(&endpoint), shed.contains(&number), "client {number}");
    }
}

/// manual::tables, Shedding: "A session that is moved for another reason is not subject to
/// `default_percent`."
#[test]
fn a_moved_session_is_not_shed_as_a_new_one() {
    let mut site = site();
    site.shed("eu", 100, 0);
    site.unhealthy(&[eu(1)]);
    assert_eq!(site.answer(&live(eu(1))).endpoint, eu(2));
}

/// manual::tables, Shedding: "New, and shed by every open pool: the fallback pool, and without one
/// the first open pool after all."
#[test]
fn a_new_session_that_every_open_pool_sheds_goes_to_the_fallback_or_else_to_the_first_open_pool() {
    let apart = Pools::builder()
        .pool(pool("eu", 2))
        .pool(pool("us", 2))
        .fallback_apart(pool("asia", 2))
        .build()
        .unwrap();
    let asia = |number: u8| EndpointId::new("asia", &format!("asia-{number}"));
    let mut fallback = site().pools(apart);
    let mut alone = site();
    for site in [&mut fallback, &mut alone] {
        site.shed("eu", 100, 0);
        site.shed("us", 100, 0);
    }
    assert_eq!(fallback.new_sessions(), HashSet::from([asia(1), asia(2)]));
    fallback.unhealthy(&[asia(1)]);
    assert_eq!(fallback.new_sessions(), HashSet::from([asia(2)]), "those that take new sessions");
    fallback.unhealthy(&[asia(2)]);
    assert_eq!(fallback.new_sessions(), HashSet::from([asia(1), asia(2)]), "health ignored");
    assert_eq!(alone.new_sessions(), HashSet::from([eu(1), eu(2)]));
}
