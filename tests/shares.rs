//! The quality of the choice of an endpoint: shares, second choices, moves. manual::design, Doors, to
//! the letter: "It is exact, but for the steps of the ranks, because it is the thinning of a Poisson process".
//!
//! As `cargo test` runs them, with some 10^5 choices, these tests see a share that is off by percent.
//! `STEERING=full cargo test --release --test shares -- --nocapture` makes 10^7 choices of each kind,
//! in some minutes, and prints the figures of the manual. All seeds are fixed, so no result is a
//! matter of luck.

use std::collections::HashMap;

use http::HeaderMap;
use session_affinity::*;

mod support;
use support::{Chance, NOW, Random, request, shop};

fn is_full() -> bool {
    std::env::var("STEERING").is_ok_and(|size| size == "full")
}

/// A number of choices: the first with a full run, else the second.
fn choices(full: usize, short: usize) -> u64 {
    (if is_full() { full } else { short }) as u64
}

fn pools(pool: &str, weights: &[u64]) -> Pools<usize> {
    let pool = weights.iter().enumerate().fold(Pool::new(pool), |pool, (number, weight)| {
        let weight = Weight::new(*weight).unwrap();
        pool.with_endpoint(Endpoint::new(format!("n{number}"), number).with_weight(weight))
    });
    Pools::builder().pool(pool).build().unwrap()
}

/// Makes one choice after another.
struct Chooser {
    affinity: Affinity<NoAffinity>,
    headers: HeaderMap,
}

impl Chooser {
    fn new() -> Self {
        Self { affinity: Affinity::new(NoAffinity::new(&shop())), headers: HeaderMap::new() }
    }

    fn choose(&self, pools: &Pools<usize>, seed: u64) -> usize {
        let visit = self.affinity.recall(&request(&self.headers), NOW);
        *self.affinity.route(visit, Record::Absent, pools, || seed).unwrap().1
    }
}

/// Seeds as a good generator draws them, and as poor ones might: counted up, in the upper bits
/// alone, and by a step of the golden ratio.
const SEEDS: [(&str, fn(u64, &mut Random) -> u64); 4] = [
    ("drawn", |_, random| random.next()),
    ("counted", |turn, _| turn),
    ("in the upper bits", |turn, _| turn << 40),
    ("by steps", |turn, _| turn.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
];

/// How far the counts are from their expectations: chi-square, less its mean, in its deviations.
#[derive(Default)]
struct Fit {
    chi_square: f64,
    cells: f64,
}

impl Fit {
    fn add(&mut self, count: u64, expected: f64) {
        self.chi_square += (count as f64 - expected).powi(2) / expected;
        self.cells += 1.0;
    }

    /// Returns the distance for as many degrees of freedom as there are cells, less these.
    fn distance(&self, less: f64) -> f64 {
        let degrees = self.cells - less;
        (self.chi_square - degrees) / (2.0 * degrees).sqrt()
    }
}

/// Chi-square of few degrees has a long tail: 6 deviations are one in ten thousand for one degree.
const MOST: f64 = 6.0;

const MIXED: [u64; 10] = [1, 100, 7, 50, 99, 33, 20, 5, 80, 64];

/// The first choice has the weights' shares; so has the second, given the first, among the others.
#[test]
fn first_and_second_choices_have_the_shares_of_the_weights() {
    let samples = choices(10_000_000, 12_000);
    let chooser = Chooser::new();
    let mut greatest: f64 = 0.0;
    let sets: [&[u64]; 6] = [&[1, 100], &[100, 100], &[40, 60], &[100, 50, 1], &[100; 10], &MIXED];
    for (pool, weights) in ["eu", "ap"].iter().flat_map(|pool| sets.map(|set| (*pool, set))) {
        let all = pools(pool, weights);
        let without: Vec<_> = (0..weights.len())
            .map(|number| {
                let id = EndpointId::new(pool, &format!("n{number}"));
                all.edited(|edit| edit.health(id, Health::Unhealthy)).unwrap()
            })
            .collect();
        for (kind, seed) in SEEDS {
            let (mut firsts, mut pairs) = (vec![0; weights.len()], HashMap::new());
            let mut random = Random(42);
            for turn in 0..samples {
                let seed = seed(turn, &mut random);
                let first = chooser.choose(&all, seed);
                firsts[first] += 1;
                let second = chooser.choose(&without[first], seed);
                assert_ne!(first, second);
                *pairs.entry((first, second)).or_insert(0) += 1;
            }
            let total = weights.iter().sum::<u64>() as f64;
            let (mut first, mut second) = (Fit::default(), Fit::default());
            for (one, weight) in weights.iter().enumerate() {
                let expected = samples as f64 * *weight as f64 / total;
                first.add(firsts[one], expected);
                for (other, next) in weights.iter().enumerate().filter(|(other, _)| *other != one) {
                    let expected = firsts[one] as f64 * *next as f64 / (total - *weight as f64);
                    // Chi-square wants five and more in a cell.
                    if expected >= 5.0 && weights.len() > 2 {
                        second.add(pairs.get(&(one, other)).copied().unwrap_or(0), expected);
                    }
                }
            }
            let first = first.distance(1.0);
            let second =
                if weights.len() > 2 { second.distance(weights.len() as f64) } else { 0.0 };
            greatest = greatest.max(first).max(second);
            if is_full() {
                println!("{pool} {weights:?}, seeds {kind}: {first:.2}, second {second:.2}");
            }
            assert!(first < MOST && second < MOST, "{pool} {weights:?} {kind}: {first} {second}");
        }
    }
    println!("{samples} choices of each kind: the greatest distance is {greatest:.2}");
}

/// In large pools, where a choice goes from rank to rank.
#[test]
fn every_endpoint_of_a_large_pool_has_its_share() {
    let chooser = Chooser::new();
    for (count, full, short) in
        [(300, 10_000_000, 30_000), (1_000, 20_000_000, 30_000), (10_000, 100_000_000, 0)]
    {
        let samples = choices(full, short);
        let kinds: [(&str, fn(usize) -> u64); 2] =
            [("equal", |_| 100), ("mixed", |number| 1 + (number as u64 * 37) % 100)];
        for (kind, weight) in kinds.into_iter().filter(|_| samples > 0) {
            let weights: Vec<u64> = (0..count).map(weight).collect();
            let pools = pools("eu", &weights);
            let (mut counts, mut random) = (vec![0; count], Random(7));
            for _ in 0..samples {
                counts[chooser.choose(&pools, random.next())] += 1;
            }
            let total = weights.iter().sum::<u64>() as f64;
            let mut fit = Fit::default();
            for (count, weight) in counts.iter().zip(&weights) {
                fit.add(*count, samples as f64 * *weight as f64 / total);
            }
            let distance = fit.distance(1.0);
            println!("{samples} choices among {count}, {kind}: {distance:.2}");
            assert!(distance < MOST, "{count} {kind}: {distance}");
        }
    }
}

/// manual::design, Why doors: "1.1 × as many choices change as must". When a door is taken away
/// its member takes another, so that some choices move between two that were there before. 200 of
/// 10 000 join at once, as one alone takes a door away or does not.
#[test]
fn few_choices_move_needlessly_when_some_join_or_leave_a_large_pool() {
    let (joining, samples) = (200, choices(10_000_000, 20_000));
    let chooser = Chooser::new();
    let count = 10_000;
    let fewer = pools("eu", &vec![100; count]);
    let more = pools("eu", &vec![100; count + joining]);
    let (mut moved, mut random) = (0, Random(5));
    for _ in 0..samples {
        let seed = random.next();
        moved += u64::from(chooser.choose(&fewer, seed) != chooser.choose(&more, seed));
    }
    let ideal = samples as f64 * joining as f64 / (count + joining) as f64;
    let ratio = moved as f64 / ideal;
    println!("{joining} join {count}: {moved} of {samples} choices move, {ratio:.3} × the ideal");
    // In a short run some 400 move, so that chance is 5 percent.
    assert!(ratio < if is_full() { 1.15 } else { 1.25 }, "{ratio}");
}
