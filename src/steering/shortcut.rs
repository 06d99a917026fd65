//! The winner of a weighted rendezvous, most of the time without a logarithm.
//!
//! A table bounds each score from both sides. When the least upper bound is below all other lower
//! bounds the winner is certain, and among a few candidates it nearly always is. Among many, those
//! after the first few are ruled out by one comparison each, unless they may win. Uncertain cases
//! are decided by the exact scores; a test holds this function to
//! [`rendezvous`](super::rendezvous).

use super::log2;
use super::rendezvous::{Place, hash};
use crate::endpoint::EndpointId;
use crate::limits::Weight;

/// Returns the endpoint with the best score by weight, the same as
/// [`rendezvous`](super::rendezvous::rendezvous) does. `None` when all weights are 0.
pub(super) fn shortcut(seed: u64, ids: &[EndpointId], weights: &[Weight]) -> Option<Place> {
    let few = ids.len().min(FEW);
    let certain = among_few(seed, ids.get(..few)?, weights.get(..few)?);
    if ids.len() == few && certain.is_some() {
        return certain.map(Place);
    }
    let score = |index| Score::new(seed, index, ids, weights);
    let mut best = match certain {
        Some(index) => score(index),
        None => (0..few).filter_map(score).reduce(Score::better),
    };
    let mut bar = best.map_or(0, Score::least_hash_to_beat);
    let mut others = (few..).zip(ids.get(few..)?.iter().map(|id| hash(seed, *id)));
    while let Some((index, hash)) = others.find(|(_, hash)| *hash >= bar) {
        if best.is_none_or(|best| best.may_lose_to(hash, weights.get(index))) {
            best = best.into_iter().chain(score(index)).reduce(Score::better);
            bar = best.map_or(0, Score::least_hash_to_beat);
        }
    }
    best.map(|best| Place(best.index))
}

/// The number of endpoints whose bounds are all computed, at some 2.5 ns each. Ruling one out by
/// the bar takes 1 ns, but a mispredicted branch for each that may win, and at first many may.
const FEW: usize = 64;

/// Returns the index of the winner where the bounds make it certain. Without a branch that depends
/// on the scores, as those cannot be predicted.
fn among_few(seed: u64, ids: &[EndpointId], weights: &[Weight]) -> Option<usize> {
    let (mut least, mut second, mut winner) = (u64::MAX, u64::MAX, 0);
    for (index, (id, weight)) in ids.iter().zip(weights).enumerate() {
        let bound =
            if *weight == Weight::ZERO { u64::MAX } else { at_least(hash(seed, *id), *weight) };
        second = second.min(bound.max(least));
        winner = if bound < least { index } else { winner };
        least = least.min(bound);
    }
    // The reciprocal was rounded down by less than 2^-24 of it.
    let reach = STEP.saturating_mul(reciprocal(*weights.get(winner)?).saturating_add(1));
    let at_most = least.saturating_add(reach).saturating_add(least >> 24);
    (least != u64::MAX && at_most < second).then_some(winner)
}

/// Returns a lower bound of -log2(x / 2^64) / weight, with 16 + 24 fractional bits and the weight
/// as a fraction. It is less than the exact value by at most [`STEP`] and the rounding of the
/// reciprocal.
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "the index is masked; 22 bits by 31"
)]
fn at_least(x: u64, weight: Weight) -> u64 {
    let zeros = (x | 1).leading_zeros();
    let cell = (x << zeros) >> 52 & 0x7ff;
    (u64::from(zeros) << 16 | u64::from(CELLS[cell as usize])) * reciprocal(weight)
}

/// Returns 1 / weight with 24 fractional bits, rounded down; 0 for weight 0.
#[expect(clippy::indexing_slicing, reason = "there is one for each u8")]
fn reciprocal(weight: Weight) -> u64 {
    RECIPROCALS[usize::from(weight.get())].into()
}

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const RECIPROCALS: [u32; 256] = {
    let mut table = [0; 256];
    let mut weight = 1;
    while weight <= 100 {
        table[weight] = (100 << 24) / weight as u32;
        weight += 1;
    }
    table
};

/// For each value of a mantissa's first 11 bits after the leading one: the least of
/// -log2(mantissa / 2) in that cell, with 16 fractional bits, rounded down.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const CELLS: [u16; 2048] = {
    let mut table = [0; 2048];
    let mut cell = 0;
    while cell < 2048 {
        // At the upper end of the cell, which the cell does not include.
        let exact = if cell == 2047 { 0 } else { log2::negative((2049 + cell) << 52) };
        table[cell as usize] = (exact >> 34).saturating_sub(1) as u16;
        cell += 1;
    }
    table
};

/// The most by which an exact value can exceed its entry in [`CELLS`], in the units of the table: a
/// cell's slope, at most 65 536 / ln(2) / 2 048 = 46.2, and two roundings.
const STEP: u64 = 49;

/// The exact score of one endpoint.
#[derive(Clone, Copy)]
struct Score {
    index: usize,
    id: EndpointId,
    logarithm: u64,
    weight: u64,
}

impl Score {
    /// Returns `None` for weight 0.
    fn new(seed: u64, index: usize, ids: &[EndpointId], weights: &[Weight]) -> Option<Self> {
        let (id, weight) = (*ids.get(index)?, *weights.get(index)?);
        let logarithm = log2::negative(hash(seed, id));
        (weight != Weight::ZERO).then_some(Self {
            index,
            id,
            logarithm,
            weight: weight.get().into(),
        })
    }

    /// Returns whether an endpoint with this hash and weight may have a better score, by a bound
    /// that takes no logarithm. Most have not.
    #[expect(clippy::arithmetic_side_effects, reason = "56 bits times 7 are 63")]
    fn may_lose_to(self, hash: u64, weight: Option<&Weight>) -> bool {
        let weight = weight.map_or(0, |weight| weight.get().into());
        log2::at_least(hash) * self.weight <= self.logarithm * weight
    }

    /// Returns a hash below which an endpoint has a worse score whatever its weight:
    /// [`log2::at_least`], solved for the hash of an endpoint with the greatest weight.
    fn least_hash_to_beat(self) -> u64 {
        let greatest = u64::from(Weight::MAX.get());
        let score =
            self.logarithm.saturating_mul(greatest).checked_div(self.weight).unwrap_or(u64::MAX);
        // 1.4375 × y - 19 > score, where y are the upper 50 bits of 1 - x
        let y = (score / 23).saturating_add(2).saturating_mul(16).saturating_add(16);
        u64::MAX.saturating_sub(y.saturating_mul(1 << 14))
    }

    /// Returns the better of two. Ties go to the lower id.
    #[expect(clippy::arithmetic_side_effects, reason = "56 bits times 7 are 63")]
    fn better(self, other: Self) -> Self {
        let (one, two) = (self.logarithm * other.weight, other.logarithm * self.weight);
        if two < one || (two == one && other.id < self.id) { other } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steering::rendezvous::{ByWeight, rendezvous};
    use proptest::prelude::*;

    fn exact(seed: u64, ids: &[EndpointId], weights: &[Weight]) -> Option<Place> {
        rendezvous(seed, ids, weights, &ByWeight, |_| None::<&()>, |_| true)
    }

    fn weight(hundredths: u64) -> Weight {
        Weight::new(hundredths).unwrap()
    }

    proptest! {
        #[test]
        fn the_winner_is_that_of_the_rendezvous(
            seed: u64,
            candidates in prop::collection::vec((any::<u64>(), prop_oneof![Just(0_u64), Just(1), Just(100), 0_u64..=100]), 0..80),
        ) {
            let ids: Vec<_> = candidates.iter().map(|(id, _)| EndpointId::from_u64(*id)).collect();
            let weights: Vec<_> = candidates.iter().map(|(_, hundredths)| weight(*hundredths)).collect();
            for seed in (0..50).map(|step| seed.wrapping_add(step)) {
                prop_assert_eq!(shortcut(seed, &ids, &weights), exact(seed, &ids, &weights));
            }
        }

        #[test]
        fn both_bounds_hold(x: u64, shift in 0_u32..64, hundredths in 1_u64..=100) {
            for x in [x, x >> shift, u64::MAX - (x >> shift)] {
                let exact = (u128::from(log2::negative(x)) * 100 * (1 << 24) / u128::from(hundredths)) >> 34;
                let least = at_least(x, weight(hundredths));
                let most = least + STEP * (reciprocal(weight(hundredths)) + 1) + (least >> 24);
                prop_assert!(u128::from(least) <= exact && exact < u128::from(most), "{x}: {least} {exact} {most}");
            }
        }

        #[test]
        fn no_endpoint_below_the_bar_would_win(x: u64, shift in 0_u32..64, hundredths in 1_u64..=100, below in 0_u64..1000) {
            let logarithm = log2::negative(u64::MAX - (x >> shift));
            let bar = Score { index: 0, id: EndpointId::from_u64(0), logarithm, weight: hundredths }.least_hash_to_beat();
            if let Some(hash) = bar.checked_sub(1 + below) {
                prop_assert!(log2::negative(hash) * hundredths > logarithm * 100);
            }
        }
    }

    #[test]
    fn equal_ids_and_equal_hashes_are_a_tie_for_the_first() {
        let ids = [EndpointId::from_u64(7); 20];
        assert_eq!(shortcut(1, &ids, &[weight(50); 20]), Some(Place(0)));
        assert_eq!(exact(1, &ids, &[weight(50); 20]), Some(Place(0)));
        assert_eq!(shortcut(1, &ids, &[weight(0); 20]), None);
        assert_eq!(shortcut(1, &[], &[]), None);
    }

    /// "ties go to the lower id": hashes so close to each other that their logarithms are equal.
    #[test]
    fn ties_go_to_the_lower_id() {
        let hashes = [u64::MAX - 40, u64::MAX - 41];
        assert_eq!(log2::negative(hashes[0]), log2::negative(hashes[1]));
        let mut ids = hashes.map(|hash| EndpointId::from_u64(unmixed(hash)));
        ids.sort_by_key(|id| id.as_u64());
        for lower in [0, 1].map(Place) {
            assert_eq!(exact(0, &ids, &[Weight::MAX; 2]), Some(lower));
            assert_eq!(shortcut(0, &ids, &[Weight::MAX; 2]), Some(lower));
            ids.reverse();
        }
    }

    fn unmixed(hash: u64) -> u64 {
        // Newton's iteration for the inverse of an odd number.
        let inverse = |odd: u64| {
            (0..6).fold(odd, |x, _| x.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(x))))
        };
        let x = hash ^ (hash >> 31) ^ (hash >> 62);
        let x = x.wrapping_mul(inverse(0x94d0_49bb_1331_11eb));
        let x = x ^ (x >> 27) ^ (x >> 54);
        let x = x.wrapping_mul(inverse(0xbf58_476d_1ce4_e5b9));
        let x = x ^ (x >> 30) ^ (x >> 60);
        assert_eq!(super::hash(0, EndpointId::from_u64(x)), hash);
        x
    }
}
