//! The statistics of the example `load`, of which the verdicts on the whole gateway are made.

#[path = "../examples/load/spread.rs"]
mod spread;

use spread::{Costs, Spread, turns};

/// Values around a middle, each once.
fn around(middle: f64, count: i32) -> Vec<f64> {
    (-count..=count).map(|step| middle + f64::from(step) / 1e3).collect()
}

#[test]
fn the_median_stands_between_its_quartiles_and_in_its_interval() {
    let spread = Spread::of(around(2.0, 50));
    assert_eq!(spread.median, 2.0);
    assert_eq!(spread.quartiles, (1.975, 2.025));
    // 101 values: ten ranks to each side, 0.98 of the root of 101, rounded up.
    assert_eq!(spread.interval, (1.99, 2.01));
    let one = Spread::of(vec![7.0]);
    assert_eq!((one.median, one.quartiles, one.interval), (7.0, (7.0, 7.0), (7.0, 7.0)));
}

/// By fixed seeds: 95.3 % of the series is expected, as ranks are whole numbers.
#[test]
fn the_interval_has_the_true_median_in_nineteen_of_twenty_series() {
    let mut state = 0_u64;
    let mut draw = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    };
    // Skewed, as times are: the median of a square is the square of the median.
    let mut series = || Spread::of((0..101).map(|_| draw().powi(2)).collect()).interval;
    let count =
        (0..4_000).map(|_| series()).filter(|(low, high)| (*low..=*high).contains(&0.25)).count();
    assert!((3_760..=3_870).contains(&count), "{count}");
}

#[test]
fn a_spread_that_covers_the_budget_decides_nothing() {
    let of = |middle| Spread::of(around(middle, 50)).verdict(1.03);
    assert_eq!(of(1.015), "met");
    assert_eq!(of(1.045), "MISSED");
    assert!(of(1.025).starts_with("undecided") && of(1.035).starts_with("undecided"));
    assert!(Spread::of(around(1.015, 50)).widened(0.006).verdict(1.03).starts_with("undecided"));
}

#[test]
fn a_part_weighs_as_much_as_its_share_of_the_whole() {
    let whole = Spread::of(vec![1.2]).diluted(0.25);
    assert!((whole.median - 1.05).abs() < 1e-12 && whole.interval == whole.quartiles);
}

#[test]
fn a_ratio_is_the_median_of_the_ratios_of_the_rounds() {
    let mut costs = Costs::new(["off", "cookie", "off again"].map(String::from).to_vec());
    // The machine is slower in each round.
    for round in 1..=9 {
        let slow = f64::from(round);
        for (proxy, cost) in [1.0, 1.5, 3.0].into_iter().enumerate() {
            costs.push(proxy, cost * slow);
        }
    }
    costs.push(0, 1e9);
    assert_eq!(costs.rounds(), 9, "a round that is not whole does not count");
    assert_eq!(costs.ratio("cookie", "mean off").map(|ratio| ratio.interval), Some((0.75, 0.75)));
    assert_eq!(costs.of("off").map(|cost| cost.median), Some(5.0));
    assert!(costs.of("nginx").is_none() && costs.names.len() == 3);
}

#[test]
fn each_proxy_has_its_turn_in_each_round_and_follows_each_other_one() {
    let mut follows = [[0; 4]; 4];
    for round in 0..1_000 {
        let order = turns(round, 4);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 1, 2, 3]);
        order.windows(2).for_each(|pair| follows[pair[0]][pair[1]] += 1);
    }
    // 3 of 12 pairs in a round: 250 each.
    let uneven = |(one, counts): (usize, &[i32; 4])| {
        counts.iter().enumerate().any(|(other, count)| one != other && !(200..300).contains(count))
    };
    assert!(!follows.iter().enumerate().any(uneven), "{follows:?}");
}
