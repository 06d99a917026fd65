//! Who wins a race by weight, most of the time without a logarithm.
//!
//! A table bounds each cost from both sides. When the least upper bound is below all other
//! lower bounds the winner is certain, and among a few so it nearly always is. Of many, those
//! after the first few are out by one comparison each, unless they may win. What is not certain
//! is decided by the race's own numbers; a test holds this to the race.

use super::log2;
use super::rendezvous::hash;
use crate::bounds::Weight;
use crate::endpoint::EndpointId;

/// Whom the race among all of these prefers: its place. `None` when nobody has a weight.
pub(crate) fn glance(seed: u64, ids: &[EndpointId], weights: &[Weight]) -> Option<usize> {
    let few = ids.len().min(FEW);
    let certain = among_few(seed, ids.get(..few)?, weights.get(..few)?);
    if ids.len() == few && certain.is_some() {
        return certain;
    }
    let leader = |place| Leader::new(seed, place, ids, weights);
    let mut best = match certain {
        Some(place) => leader(place),
        None => (0..few).filter_map(leader).reduce(Leader::or),
    };
    let mut out = best.map_or(0, Leader::out);
    for (place, id) in (few..).zip(ids.get(few..)?) {
        let hash = hash(seed, *id);
        if hash >= out && best.is_none_or(|best| best.may_lose_to(hash, weights.get(place))) {
            let both = [best, leader(place)];
            best = both.into_iter().flatten().reduce(Leader::or);
            out = best.map_or(0, Leader::out);
        }
    }
    best.map(|best| best.place)
}

/// Up to so many are bounded each, at some 2.5 ns; passing over those of a long race takes 1 ns,
/// but costs a mispredicted branch for each who may win, and first there are many.
const FEW: usize = 64;

/// Without a branch that depends on who wins: nobody can predict it.
fn among_few(seed: u64, ids: &[EndpointId], weights: &[Weight]) -> Option<usize> {
    let (mut least, mut second, mut winner) = (u64::MAX, u64::MAX, 0);
    for (place, (id, weight)) in ids.iter().zip(weights).enumerate() {
        let bound =
            if *weight == Weight::ZERO { u64::MAX } else { at_least(hash(seed, *id), *weight) };
        second = second.min(bound.max(least));
        winner = if bound < least { place } else { winner };
        least = least.min(bound);
    }
    // The reciprocal was rounded down by less than 2^-24 of it.
    let reach = STEP.saturating_mul(reciprocal(*weights.get(winner)?).saturating_add(1));
    let at_most = least.saturating_add(reach).saturating_add(least >> 24);
    (least != u64::MAX && at_most < second).then_some(winner)
}

/// A lower bound of -log2(x / 2^64) / weight, with 16 + 24 fractional bits; the weight in
/// whole. It is less by at most [`STEP`] and the rounding of the reciprocal.
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

/// 1 / weight with 24 fractional bits, rounded down; 0 for no weight.
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

/// For each mantissa's first 11 bits after the leading one: the least of -log2(mantissa / 2)
/// in that cell, with 16 fractional bits, rounded down.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const CELLS: [u16; 2048] = {
    let mut table = [0; 2048];
    let mut cell = 0;
    while cell < 2048 {
        // At the upper end of the cell, which is not of it.
        let exact = if cell == 2047 { 0 } else { log2::negative((2049 + cell) << 52) };
        table[cell as usize] = (exact >> 34).saturating_sub(1) as u16;
        cell += 1;
    }
    table
};

/// How much more than the table says it can be, in its units: a cell's slope, at most
/// 65 536 / ln(2) / 2 048 = 46.2, and two roundings.
const STEP: u64 = 49;

/// One who may win a long race, by the race's own numbers.
#[derive(Clone, Copy)]
struct Leader {
    place: usize,
    id: EndpointId,
    logarithm: u64,
    weight: u64,
}

impl Leader {
    /// `None` without a weight.
    fn new(seed: u64, place: usize, ids: &[EndpointId], weights: &[Weight]) -> Option<Self> {
        let (id, weight) = (*ids.get(place)?, *weights.get(place)?);
        let logarithm = log2::negative(hash(seed, id));
        (weight != Weight::ZERO).then_some(Self {
            place,
            id,
            logarithm,
            weight: weight.get().into(),
        })
    }

    /// Most do not, by this bound, which takes no logarithm.
    #[expect(clippy::arithmetic_side_effects, reason = "56 bits times 7 are 63")]
    fn may_lose_to(self, hash: u64, weight: Option<&Weight>) -> bool {
        let weight = weight.map_or(0, |weight| weight.get().into());
        log2::at_least(hash) * self.weight <= self.logarithm * weight
    }

    /// Who has a lesser hash than this cannot win against it, whatever its weight:
    /// [`log2::at_least`], solved for the hash of one with the greatest weight.
    fn out(self) -> u64 {
        let greatest = u64::from(Weight::MAX.get());
        let cost =
            self.logarithm.saturating_mul(greatest).checked_div(self.weight).unwrap_or(u64::MAX);
        // 1.4375 × y - 19 > cost, where y are the upper 50 bits of 1 - x
        let y = (cost / 23).saturating_add(2).saturating_mul(16).saturating_add(16);
        u64::MAX.saturating_sub(y.saturating_mul(1 << 14))
    }

    /// The better one. Ties go to the lower id.
    #[expect(clippy::arithmetic_side_effects, reason = "56 bits times 7 are 63")]
    fn or(self, other: Self) -> Self {
        let (ours, theirs) = (self.logarithm * other.weight, other.logarithm * self.weight);
        if theirs < ours || (theirs == ours && other.id < self.id) { other } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steering::{ByWeight, rendezvous};
    use proptest::prelude::*;

    fn race(seed: u64, ids: &[EndpointId], weights: &[Weight]) -> Option<usize> {
        let runners =
            ids.iter().zip(weights).enumerate().map(|(place, (id, weight))| (place, *id, *weight));
        rendezvous(seed, runners, &ByWeight, |_| None::<&()>, |_, _| true)
    }

    fn weight(hundredths: u64) -> Weight {
        Weight::new(hundredths).unwrap()
    }

    proptest! {
        #[test]
        fn the_winner_is_that_of_the_race(
            seed: u64,
            runners in prop::collection::vec((any::<u64>(), prop_oneof![Just(0_u64), Just(1), Just(100), 0_u64..=100]), 0..80),
        ) {
            let ids: Vec<_> = runners.iter().map(|(id, _)| EndpointId::from_u64(*id)).collect();
            let weights: Vec<_> = runners.iter().map(|(_, hundredths)| weight(*hundredths)).collect();
            for seed in (0..50).map(|step| seed.wrapping_add(step)) {
                prop_assert_eq!(glance(seed, &ids, &weights), race(seed, &ids, &weights));
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
        fn nobody_below_the_border_would_win(x: u64, shift in 0_u32..64, hundredths in 1_u64..=100, below in 0_u64..1000) {
            let logarithm = log2::negative(u64::MAX - (x >> shift));
            let border = Leader { place: 0, id: EndpointId::from_u64(0), logarithm, weight: hundredths }.out();
            if let Some(hash) = border.checked_sub(1 + below) {
                prop_assert!(log2::negative(hash) * hundredths > logarithm * 100);
            }
        }
    }

    #[test]
    fn equal_ids_and_equal_hashes_are_a_tie_for_the_first() {
        let ids = [EndpointId::from_u64(7); 20];
        assert_eq!(glance(1, &ids, &[weight(50); 20]), Some(0));
        assert_eq!(race(1, &ids, &[weight(50); 20]), Some(0));
        assert_eq!(glance(1, &ids, &[weight(0); 20]), None);
        assert_eq!(glance(1, &[], &[]), None);
    }
}
