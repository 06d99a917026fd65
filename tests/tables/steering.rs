//! Steering by load. manual::cloudflare, Features: "random, hash, least outstanding requests,
//! least connections", here "the same four, exact by weight".
//!
//! Least outstanding requests and least connections divide an endpoint's weight by its load plus
//! one, and only where the seed is a random number. The laws of the choice itself are in
//! `tests/laws.rs` and `tests/shares.rs`.

use session_affinity::{Affinity, Endpoint, NoAffinity, Pool, Pools, Record, Weight, steering};

use crate::site::{NOW, eu};
use crate::support::{Chance, Client, Random, at, ip_cookie, keyring, shop};

/// manual::tables, The choice of an endpoint: "divide an endpoint's weight by its load plus one".
/// Of weight 0.4 with three requests open and 0.6 with none, the shares are 14.29 % and 85.71 %.
#[test]
fn least_loaded_steering_splits_by_weight_over_load_plus_one() {
    fn share(steering: impl steering::Steering<u32> + 'static) -> f64 {
        let endpoint = |name, weight, open| {
            Endpoint::new(name, open).with_weight(Weight::new(weight).unwrap())
        };
        let pool = Pool::new("eu")
            .with_endpoint(endpoint("eu-1", 40, 3_u32))
            .with_endpoint(endpoint("eu-2", 60, 0));
        let pools = Pools::builder().pool(pool.with_steering(steering)).build().unwrap();
        let affinity = Affinity::new(NoAffinity::new(&shop()));
        let client = Client::number(7);
        let mut random = Random(1);
        let chosen = (0..100_000).filter(|_| {
            let visit = affinity.recall(&client.request(), at(NOW));
            let route = affinity.route(visit, Record::Absent, &pools, || random.next());
            let (attempt, _) = route.unwrap();
            attempt.endpoint() == eu(1)
        });
        chosen.count() as f64 / 1_000.0
    }
    for percent in [
        share(steering::LeastOutstandingRequests(|open: &u32| *open)),
        share(steering::LeastConnections(|open: &u32| *open)),
    ] {
        // The standard deviation of 100 000 draws is 0.11 %.
        assert!((percent - 14.29).abs() < 0.4, "{percent} %");
    }
}

/// manual::tables, The choice of an endpoint: "only where random bits are the seed".
#[test]
fn load_does_not_decide_where_the_seed_is_stable() {
    let chosen = |load: u32| -> Vec<_> {
        let steering =
            || steering::LeastConnections(move |first: &bool| if *first { load } else { 0 });
        let pool = Pool::new("eu")
            .with_endpoint(Endpoint::new("eu-1", true))
            .with_endpoint(Endpoint::new("eu-2", false));
        let pools = Pools::builder().pool(pool.with_steering(steering())).build().unwrap();
        let affinity = Affinity::new(ip_cookie(&keyring()));
        let choose = |number| {
            let visit = affinity.recall(&Client::number(number).request(), at(NOW));
            let (attempt, _) = affinity.route(visit, Record::Absent, &pools, || 4).unwrap();
            attempt.endpoint()
        };
        (0..64).map(choose).collect()
    };
    assert_eq!(chosen(0), chosen(1_000_000));
}
