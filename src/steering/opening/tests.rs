//! The two searches against the plain definition: all times, sorted.

use proptest::prelude::*;

use super::*;
use crate::steering::rendezvous::{hash, mix};

/// The plain definition, one door after another: what `tests/vectors/independent.py` says in Python.
mod plain {
    use super::*;

    fn mixed(x: u16, multiplier: u16) -> u16 {
        let x = x.wrapping_mul(multiplier);
        x ^ (x >> 9)
    }

    fn key(seed: u64, index: usize) -> u16 {
        let half = [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344][index / 4];
        (mix(seed ^ half) >> (index % 4 * 16)) as u16
    }

    /// Returns the rank of a door and the upper half of its draw.
    pub(super) fn rank_and_draw(seed: u64, door: u16) -> (u16, u16) {
        let key = |index| key(seed, index);
        let x = mixed(door.wrapping_add(key(0)), 0x11e7);
        let x = mixed(x ^ key(1), 0x4773);
        let x = mixed(x.wrapping_add(key(2)), 0x8c75);
        let rank = mixed(mixed(x ^ key(3), 0xbc37).wrapping_add(key(4)), 0xd9f5) ^ key(5);
        (rank, mixed(mixed(x.wrapping_add(key(6)), 0x7623) ^ key(7), 0xd8cb))
    }

    fn logarithm(cell: u64) -> u64 {
        (((1024 + cell) as f64 / 1024.0).log2() * (1_u64 << 31) as f64) as u64
    }

    fn surprise(x: u64) -> u64 {
        let zeros = 32 - u64::from(x.ilog2());
        let (cell, rest) = ((x << zeros) >> 22 & 1023, (x << zeros) & ((1 << 22) - 1));
        let step = ((logarithm(cell + 1) - logarithm(cell)) * rest) >> 22;
        (zeros << 31) - logarithm(cell) - step
    }

    /// Returns the time of a door whose endpoint has this weight.
    pub(super) fn time(seed: u64, door: u16, weight: u64) -> u64 {
        let (rank, upper) = rank_and_draw(seed, door);
        let drawn = mix(mix(seed ^ 0xa409_3822_299f_31d0) ^ u64::from(door));
        let own = surprise((65_536 - u64::from(rank)) << 16);
        if (u64::from(upper) << 16 | drawn >> 48) * 100 < weight << 32 {
            return own;
        }
        own + surprise((drawn & 0xffff_ffff) + 1) * 100 / weight
    }

    /// Returns the members that are eligible, in the order of a seed.
    pub(super) fn order(seed: u64, row: Row<'_>) -> Vec<Place> {
        let mut order: Vec<_> = (0..row.ids.len())
            .filter(|place| row.weights[*place] > Weight::ZERO)
            .map(|place| {
                let weight = u64::from(row.weights[place].get());
                (time(seed, row.doors.of_members()[place], weight), row.ids[place], place)
            })
            .collect();
        order.sort_unstable();
        order.into_iter().map(|(.., place)| Place(place)).collect()
    }
}

fn ids(count: usize, seed: u64) -> Vec<EndpointId> {
    let id = |number| EndpointId::from_u64(hash(seed, EndpointId::from_u64(number)));
    (0..count as u64).map(id).collect()
}

/// Fills the last block.
fn filled(mut weights: Vec<Weight>) -> Vec<Weight> {
    weights.resize(weights.len().next_multiple_of(Doors::BLOCK), Weight::ZERO);
    weights
}

fn weights(count: usize, kind: usize) -> Vec<Weight> {
    let weight = |number: usize| match kind {
        0 => 100,
        1 => 1,
        2 => number as u64 % 2 * 100,
        3 => (number as u64 * 37) % 101,
        // All but one of 64 are out.
        _ => u64::from(number % 64 == 5) * 30,
    };
    filled((0..count).map(|number| Weight::new(weight(number)).unwrap()).collect())
}

/// Both directions: through all members, and from rank to rank, in a pool of any size.
fn both(
    row: Row<'_>,
    seed: u64,
    is_candidate: impl Fn(Place) -> bool + Copy,
) -> [Option<Place>; 3] {
    let search =
        Search { row, order: Permutation::new(seed), draws: Draws::new(seed), is_candidate };
    let residents = row.doors.residents_of_any();
    let by_rank = search.by_rank(&residents).or_else(|| search.through_all::<16>());
    [row.first(seed, is_candidate), search.through_all::<32>(), by_rank]
}

#[track_caller]
fn agrees_with_the_plain_definition(row: Row<'_>, seed: u64) {
    let order = plain::order(seed, row);
    let expected = order.first().copied();
    assert_eq!(row.first(seed, |_| true), expected);
    assert_eq!(both(row, seed, |_| true), [expected; 3]);
    // Without the first, and without every other: the next in the same order.
    let second = order.get(1).copied();
    assert_eq!(both(row, seed, |place| Some(place) != expected), [second; 3]);
    let odd = order.iter().copied().find(|place| place.0 % 2 == 1);
    assert_eq!(both(row, seed, |place| place.0 % 2 == 1), [odd; 3]);
}

/// The law of cost: the way by rank ends before it has to look at all members.
#[test]
fn in_a_large_healthy_pool_a_few_ranks_are_enough() {
    for count in [416, 1_000, 3_000] {
        let (ids, weights) = (ids(count, 1), weights(count, 0));
        let doors = Doors::new(&ids).unwrap();
        let row = Row { doors: &doors, ids: &ids, weights: &weights };
        for seed in (0..100).map(mix) {
            let (order, draws) = (Permutation::new(seed), Draws::new(seed));
            let search = Search { row, order, draws, is_candidate: |_| true };
            assert!(search.by_rank(doors.residents().unwrap()).is_some(), "{count}");
        }
    }
}

/// Every number of members up to 3 000 with `STEERING=full`, some of them otherwise.
#[test]
fn both_searches_find_the_first_of_the_plain_definition() {
    let is_full = std::env::var("STEERING").is_ok_and(|size| size == "full");
    let sizes = (1..=3_000).filter(|size| is_full || *size <= 40 || size % 97 == 0);
    let mut counted = 0;
    for count in sizes.chain([64, 65, 415, 416, 417, 2_999, 3_000]) {
        let ids = ids(count, count as u64);
        let doors = Doors::new(&ids).unwrap();
        for kind in 0..5 {
            let weights = weights(count, kind);
            let row = Row { doors: &doors, ids: &ids, weights: &weights };
            for seed in 0..(if count < 50 { 20 } else { 3 }) {
                agrees_with_the_plain_definition(row, mix(seed));
                counted += 1;
            }
        }
    }
    assert!(counted > 3_000);
}

proptest! {
    #[test]
    fn any_members_are_ordered_by_the_plain_definition(
        seed: u64,
        members in prop::collection::vec(
            (any::<u64>(), prop_oneof![Just(0_u64), Just(1), Just(100), 0_u64..=100]), 1..450),
    ) {
        let ids: Vec<_> = members.iter().map(|(id, _)| EndpointId::from_u64(*id)).collect();
        let weights = filled(members.iter().map(|(_, it)| Weight::new(*it).unwrap()).collect());
        let doors = Doors::new(&ids).unwrap();
        agrees_with_the_plain_definition(Row { doors: &doors, ids: &ids, weights: &weights }, seed);
    }
}

/// A door whose draw is at the very border opens by the lower half of the draw: with lanes alone its
/// endpoint would lose up to 0.1 % of its share.
#[test]
fn the_lower_half_of_a_draw_decides_at_the_border() {
    let (mut open, mut closed) = (0, 0);
    for seed in 0..2_000_000 {
        let (rank, upper) = plain::rank_and_draw(seed, 7);
        if upper == greatest_that_opens(1) + 1 {
            let is_late = plain::time(seed, 7, 1) != plain::time(seed, 7, 100);
            *(if is_late { &mut closed } else { &mut open }) += 1;
            assert_eq!(Draws::new(seed).of(7).opens(upper, Weight::new(1).unwrap()), !is_late);
            assert_eq!(rank, Permutation::new(seed).ranks(Permutation::new(seed).middles([7]))[0]);
        }
    }
    assert!(open > 5 && closed > 10, "{open} {closed}");
}

#[test]
fn the_border_is_the_weight_of_all_draws_rounded_down() {
    for share in 1..=100_u16 {
        let exact = u32::from(share) * 65_536 / 100 - 1;
        assert_eq!(u32::from(greatest_that_opens(share)), exact, "{share}");
    }
}

/// The steps of `tests/vectors/independent.py`.
#[test]
fn each_step_is_that_of_a_second_implementation() {
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../../../tests/vectors/more.json")).unwrap();
    for step in vectors["doors"]["steps"].as_array().unwrap() {
        let number = |name: &str| step[name].as_u64().unwrap();
        let seed = u64::from_str_radix(step["seed"].as_str().unwrap(), 16).unwrap();
        let door = number("door") as u16;
        assert_eq!(
            plain::rank_and_draw(seed, door),
            (number("rank") as u16, number("draw") as u16)
        );
        assert_eq!(plain::time(seed, door, number("weight")), number("time"));
        let order = Permutation::new(seed);
        let middles = order.middles([door]);
        assert_eq!(u64::from(order.ranks(middles)[0]), number("rank"));
        assert_eq!(u64::from(order.draws(middles)[0]), number("draw"));
        let weight = Weight::new(number("weight")).unwrap();
        let (rank, upper) = (number("rank") as u16, number("draw") as u16);
        let time = Lateness::of(rank, upper, Draws::new(seed).of(door), weight);
        assert_eq!(time, Lateness(number("time")));
    }
}
