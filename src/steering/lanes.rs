//! Lanes of 16 bits: what a choice asks of some members at once.

use crate::limits::Weight;

/// All bits for true: a lane as a comparison of vectors makes it.
#[inline(always)]
pub(super) const fn mask(is: bool) -> u16 {
    if is { u16::MAX } else { 0 }
}

/// Returns the weights in hundredths, one for each lane. Called, not inlined, as [`least_of`].
#[inline(never)]
pub(super) fn shares<const LANES: usize>(weights: &[Weight; LANES]) -> [u16; LANES] {
    let mut shares = [0; LANES];
    shares.iter_mut().zip(weights).for_each(|(share, weight)| *share = weight.get().into());
    shares
}

/// Returns whether a weight is neither 0 nor 1, so that some doors may be closed.
#[inline(always)]
pub(super) fn is_drawn<const LANES: usize>(weights: &[Weight; LANES]) -> bool {
    // 0 becomes the greatest number.
    let is_partial = |it: &Weight| it.get().wrapping_sub(1) < Weight::MAX.get().wrapping_sub(1);
    weights.iter().fold(false, |any, weight| any | is_partial(weight))
}

/// Returns the least of the numbers whose lanes are set; the greatest number where none is less.
/// Called, not inlined: where the compiler knows that each lane is all or nothing it takes one after
/// the other.
#[inline(never)]
pub(super) fn least_of<const LANES: usize>(numbers: &[u16; LANES], set: &[u16; LANES]) -> u16 {
    numbers.iter().zip(set).map(|(number, set)| number | !set).fold(u16::MAX, u16::min)
}

/// Returns the lanes that are set, the first in the lowest bit. Called, not inlined, as [`least_of`].
#[inline(never)]
pub(super) fn bits<const LANES: usize>(set: &[u16; LANES]) -> u32 {
    let of_half = |half: &[u16]| {
        half.iter()
            .zip(const { single_bits::<16>() })
            .fold(0, |bits, (lane, bit)| bits | lane & bit)
    };
    let (low, high) = set.split_at(LANES.min(16));
    u32::from(of_half(high)) << 16 | u32::from(of_half(low))
}

/// Returns a number of one bit for each lane.
#[expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "evaluated by the compiler"
)]
const fn single_bits<const LANES: usize>() -> [u16; LANES] {
    let mut lanes = [0; LANES];
    let mut lane = 0;
    while lane < LANES {
        lanes[lane] = 1 << lane;
        lane += 1;
    }
    lanes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_of_the_lanes_that_are_set_is_found_in_its_lane() {
        let numbers: [u16; 32] = std::array::from_fn(|lane| (lane as u16 * 7 + 3) % 32);
        for keep in 0..32 {
            let set: [u16; 32] = std::array::from_fn(|lane| mask(lane % 32 >= keep));
            let (least, lane) = (least_of(&numbers, &set), bits(&set).trailing_zeros() as usize);
            assert_eq!(least, *numbers[keep..].iter().min().unwrap());
            assert_eq!(lane, keep);
        }
        assert_eq!((least_of(&numbers, &[0; 32]), bits(&[0_u16; 32])), (u16::MAX, 0));
        assert_eq!(bits(&[mask(true); 8]), 0xff);
    }

    #[test]
    fn nothing_is_drawn_where_all_weights_are_zero_or_one() {
        let weight = |hundredths| Weight::new(hundredths).unwrap();
        assert!(!is_drawn(&[weight(0), weight(100), weight(100)]));
        for partial in [1, 50, 99] {
            assert!(is_drawn(&[weight(100), weight(partial), weight(0)]));
        }
        assert_eq!(shares(&[weight(0), weight(7), weight(100)]), [0, 7, 100]);
    }
}
