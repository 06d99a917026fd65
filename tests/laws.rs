//! The laws that hold for any input.

use std::sync::LazyLock;

use http::HeaderMap;
use proptest::prelude::*;
use session_affinity::cookies::CookieName;
use session_affinity::token::{Pin, Rejected, TokenCodec};
use session_affinity::*;

mod support;
use support::{Chance, NOW, Random, cookie_policy, key, keyring, request, shop};

fn codec() -> TokenCodec {
    TokenCodec::new(&shop(), CookieName::default(), &keyring())
}

fn pin(endpoint: u64, issued: u64, life: u64) -> Pin {
    let issued = UnixTime::from_secs(issued);
    Pin { endpoint: EndpointId::from_u64(endpoint), issued, expires: issued.saturating_add(life) }
}

proptest! {
    #[test]
    fn a_sealed_pin_opens_to_itself(endpoint: u64, issued in 0_u64..1 << 39, life in 1_u64..=82_800, age in 0_u64..82_800) {
        let pin = pin(endpoint, issued, life);
        let token = codec().seal(&pin);
        let now = pin.issued.saturating_add(age % life);
        prop_assert_eq!(codec().open(token.as_str().as_bytes(), now), Ok(pin));
    }

    #[test]
    fn one_changed_bit_is_refused(endpoint: u64, issued in 300_u64..1 << 39, bit in 0_usize..48 * 8) {
        let pin = pin(endpoint, issued, 82_800);
        let token = codec().seal(&pin);
        let mut token = token.as_str().as_bytes().to_vec();
        token[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(codec().open(&token, pin.issued).is_err());
    }

    #[test]
    fn one_changed_bit_under_the_spelling_is_refused(endpoint: u64, issued in 300_u64..1 << 39, bit in 0_usize..36 * 8) {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
        let pin = pin(endpoint, issued, 82_800);
        let token = codec().seal(&pin);
        let mut bytes = BASE64.decode(token.as_str()).unwrap();
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(codec().open(BASE64.encode(&bytes).as_bytes(), pin.issued).is_err());
    }

    /// The tag is checked before the times: a changed token does not show how they are judged.
    #[test]
    fn a_changed_token_is_never_called_premature_or_expired(
        endpoint: u64, issued in 300_u64..1 << 39, bit in 0_usize..36 * 8, now in 0_u64..1 << 40,
    ) {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
        let pin = pin(endpoint, issued, 82_800);
        let mut bytes = BASE64.decode(codec().seal(&pin).as_str()).unwrap();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let opened = codec().open(BASE64.encode(&bytes).as_bytes(), UnixTime::from_secs(now));
        let forged = matches!(opened, Err(Rejected::UnknownVersion | Rejected::UnknownKey | Rejected::Forged));
        prop_assert!(forged, "{opened:?}");
    }

    #[test]
    fn no_bytes_make_the_codec_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), now: u64) {
        prop_assert!(codec().open(&bytes, UnixTime::from_secs(now)).is_err());
    }

    #[test]
    fn a_rotated_keyring_opens_what_the_old_one_sealed(endpoint: u64, issued in 0_u64..1 << 39) {
        let pin = pin(endpoint, issued, 82_800);
        let token = codec().seal(&pin);
        let rotated = Keyring::new([key(2), key(1)]).unwrap();
        let rotated = TokenCodec::new(&shop(), CookieName::default(), &rotated);
        prop_assert_eq!(rotated.open(token.as_str().as_bytes(), pin.issued), Ok(pin));
        let retired = TokenCodec::new(&shop(), CookieName::default(), &Keyring::from(key(2)));
        prop_assert_eq!(retired.open(token.as_str().as_bytes(), pin.issued), Err(Rejected::UnknownKey));
        prop_assert_ne!(rotated.seal(&pin), token);
    }
}

/// Pools of one pool, `eu`, with these weights in hundredths.
fn weighted(weights: &[(String, u64)]) -> Pools<()> {
    let pool = weights.iter().fold(Pool::new("eu"), |pool, (name, weight)| {
        let weight = Weight::new(*weight).unwrap();
        pool.with_endpoint(Endpoint::new(name.clone(), ()).with_weight(weight))
    });
    Pools::builder().pool(pool).build().unwrap()
}

fn choose(pools: &Pools<()>, seed: u64) -> Option<EndpointId> {
    static AFFINITY: LazyLock<Affinity<NoAffinity>> =
        LazyLock::new(|| Affinity::new(NoAffinity::new(&shop())));
    let headers = HeaderMap::new();
    let visit = AFFINITY.recall(&request(&headers), NOW);
    let (attempt, ()) = AFFINITY.route(visit, Record::Absent, pools, || seed).ok()?;
    Some(attempt.endpoint())
}

fn members() -> impl Strategy<Value = Vec<(String, u64)>> {
    proptest::collection::vec(1_u64..=100, 2..12).prop_map(|weights| {
        weights.into_iter().enumerate().map(|(i, weight)| (format!("n{i}"), weight)).collect()
    })
}

proptest! {
    #[test]
    fn the_order_of_the_list_changes_nothing(list in members(), seeds in proptest::collection::vec(any::<u64>(), 50)) {
        let mut turned = list.clone();
        turned.rotate_left(list.len() / 2);
        turned.swap(0, 1);
        for seed in seeds {
            prop_assert_eq!(choose(&weighted(&list), seed), choose(&weighted(&turned), seed));
        }
    }

    /// Where two do not want the same door, as none of these names do: `tests/shares.rs` has the others.
    #[test]
    fn an_endpoint_that_joins_only_takes_and_one_that_leaves_only_gives(
        list in members(), weight in 1_u64..=100, seeds in proptest::collection::vec(any::<u64>(), 50),
    ) {
        let mut more = list.clone();
        more.push(("new".into(), weight));
        let (before, after) = (weighted(&list), weighted(&more));
        let new = Some(EndpointId::new("eu", "new"));
        for seed in seeds {
            let (was, is) = (choose(&before, seed), choose(&after, seed));
            prop_assert!(is == was || is == new);
        }
    }

    #[test]
    fn a_heavier_weight_only_takes(list in members(), seeds in proptest::collection::vec(any::<u64>(), 50)) {
        let mut heavier = list.clone();
        heavier[0].1 = (heavier[0].1 + 30).min(100);
        let grown = Some(EndpointId::new("eu", "n0"));
        for seed in seeds {
            let (was, is) = (choose(&weighted(&list), seed), choose(&weighted(&heavier), seed));
            prop_assert!(is == was || is == grown);
        }
    }

    #[test]
    fn one_that_fails_moves_only_its_own_and_they_come_back(
        list in members(), seeds in proptest::collection::vec(any::<u64>(), 50),
    ) {
        let before = weighted(&list);
        let failed = EndpointId::new("eu", "n0");
        let after = before.edited(|edit| edit.health(failed, Health::Unhealthy)).unwrap();
        let again = after.edited(|edit| edit.health(failed, Health::Healthy)).unwrap();
        for seed in seeds {
            let was = choose(&before, seed);
            prop_assert!(choose(&after, seed) == was || was == Some(failed));
            prop_assert_ne!(choose(&after, seed), Some(failed));
            prop_assert_eq!(choose(&again, seed), was);
        }
    }
}

/// manual::design, Why doors: "exact shares by weight"
#[test]
fn shares_follow_weights() {
    let samples = 100_000;
    // Seeds that a poor embedder might draw: counted up, and shifted to the upper bits.
    let kinds: [fn(u64, &mut Random) -> u64; 3] = [|_, rng| rng.next(), |i, _| i, |i, _| i << 40];
    for weights in [
        vec![100, 100],
        vec![1, 99],
        vec![100; 10],
        vec![10, 20, 30, 40],
        vec![1, 2, 3, 100, 50, 0, 7],
    ] {
        let list: Vec<(String, u64)> =
            weights.iter().enumerate().map(|(i, weight)| (format!("n{i}"), *weight)).collect();
        let pools = weighted(&list);
        let total: u64 = weights.iter().sum();
        for kind in kinds {
            let mut rng = Random(42);
            let mut counts = std::collections::HashMap::new();
            for i in 0..samples {
                *counts.entry(choose(&pools, kind(i, &mut rng)).unwrap()).or_insert(0_u64) += 1;
            }
            let mut chi_square = 0.0;
            let mut degrees = -1.0;
            for (name, weight) in &list {
                let count = counts.get(&EndpointId::new("eu", name)).copied().unwrap_or(0);
                if *weight == 0 {
                    assert_eq!(count, 0);
                    continue;
                }
                let expected = samples as f64 * *weight as f64 / total as f64;
                chi_square += (count as f64 - expected).powi(2) / expected;
                degrees += 1.0;
            }
            // Mean `degrees`, variance 2 × `degrees`; five deviations is one in millions.
            assert!(
                chi_square < degrees + 5.0 * (2.0_f64 * degrees).sqrt() + 5.0,
                "{weights:?}: {chi_square}"
            );
        }
    }
}

/// manual::design, Why doors: "an endpoint that joins as one of n equal ones takes about
/// 1/n of the choices". None of these names want the same door, so that no others change.
#[test]
fn the_share_that_an_endpoint_takes_when_it_joins() {
    let list = |n: usize| (0..n).map(|i| (format!("n{i}"), 100)).collect::<Vec<_>>();
    for n in [2, 5, 20] {
        let (before, after) = (weighted(&list(n - 1)), weighted(&list(n)));
        let mut rng = Random(7);
        let samples = 50_000;
        let moved = (0..samples)
            .map(|_| rng.next())
            .filter(|seed| choose(&before, *seed) != choose(&after, *seed))
            .count();
        let (expected, deviation) = (samples as f64 / n as f64, (samples as f64 / n as f64).sqrt());
        assert!(
            (moved as f64 - expected).abs() < 5.0 * deviation,
            "{n}: {moved} moved, {expected} expected"
        );
    }
}

/// manual::design, Why doors: "all gateways agree without talking", with the same keys
/// and the same snapshot.
#[test]
fn two_nodes_agree_on_a_session_that_moves() {
    let names: Vec<(String, u64)> = (0..9).map(|i| (format!("n{i}"), 50 + i)).collect();
    let node = || Affinity::new(cookie_policy());
    let (one, two) = (node(), node());
    let pools = weighted(&names);
    let mut rng = Random(3);
    for _ in 0..500 {
        let headers = HeaderMap::new();
        let visit = one.recall(&request(&headers), NOW);
        let (attempt, ()) = one.route(visit, Record::Absent, &pools, || rng.next()).unwrap();
        let endpoint = attempt.endpoint();
        let cookie = one.settle(attempt, &pools).set_cookie().cloned().unwrap();
        let mut headers = HeaderMap::new();
        let pair = cookie.to_str().unwrap().split(';').next().unwrap().parse().unwrap();
        headers.insert(http::header::COOKIE, pair);
        let again = |node: &Affinity<CookiePolicy>, pools: &Pools<()>| {
            let pools = pools.edited(|edit| edit.health(endpoint, Health::Unhealthy)).unwrap();
            let visit = node.recall(&request(&headers), NOW);
            let no_entropy = || -> u64 { panic!("a live session draws no entropy") };
            node.route(visit, Record::Absent, &pools, no_entropy).unwrap().0
        };
        let (here, there) = (again(&one, &pools), again(&two, &weighted(&names)));
        assert_eq!(here.outcome().label(), "moved:unhealthy");
        assert_eq!(here.endpoint(), there.endpoint());
    }
}
