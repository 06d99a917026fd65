//! The time at which a choice comes to an endpoint: integers and a table, as the logarithms of
//! floating-point numbers differ between platforms.

use super::log2;
use super::rendezvous::mix;
use crate::limits::Weight;

/// A time of a choice, in units of which 2^31 are one doubling: the least wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lateness(pub(super) u64);

impl Lateness {
    /// The time of an endpoint that cannot be chosen.
    pub(super) const NEVER: Self = Self(u64::MAX);

    /// Returns the time of a rank: -log2(1 - rank / 65536).
    pub(super) fn of_rank(rank: u16) -> Self {
        let left = u64::from(!rank).wrapping_add(1);
        Self(surprise(left << 16))
    }

    /// Returns the time of an endpoint: that of its rank, where its door opens, or -log2(v) × 100 /
    /// weight after it, when the choice comes to a closed door again. `upper` is the upper half of
    /// the number that opens it. Without a branch, as draws cannot be predicted, and with additions
    /// that wrap, as those that saturate make the way to the result longer: none comes near 64 bits.
    pub(super) fn of(rank: u16, upper: u16, draw: Draw, weight: Weight) -> Self {
        let delay = times_rate(surprise(u64::from(draw.delay).wrapping_add(1)), weight);
        let delay = if draw.opens(upper, weight) { 0 } else { delay };
        let time = Self(Self::of_rank(rank).0.wrapping_add(delay));
        if weight == Weight::ZERO { Self::NEVER } else { time }
    }
}

/// The draws of all doors under one seed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draws(u64);

impl Draws {
    pub(super) fn new(seed: u64) -> Self {
        Self(mix(seed ^ THIRD))
    }

    #[expect(clippy::cast_possible_truncation, reason = "two parts are cut out")]
    pub(super) fn of(self, door: u16) -> Draw {
        let drawn = mix(self.0 ^ u64::from(door));
        Draw { opening: (drawn >> 48) as u16, delay: drawn as u32 }
    }
}

/// A draw of seed and door: the lower half of the number that opens the door, and the number that
/// tells how late a closed door is met again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draw {
    opening: u16,
    delay: u32,
}

impl Draw {
    /// Returns whether the door of an endpoint with this weight opens. `upper` is the upper half of
    /// the number that decides it.
    #[expect(clippy::arithmetic_side_effects, reason = "32 bits times 7")]
    pub(super) fn opens(self, upper: u16, weight: Weight) -> bool {
        let number = u64::from(upper) << 16 | u64::from(self.opening);
        number * 100 < u64::from(weight.get()) << 32
    }
}

/// The third 64 bits of π after the point; [`permutation`](super::permutation) has the first two.
const THIRD: u64 = 0xa409_3822_299f_31d0;

/// Returns a time of at most 38 bits × 100 / weight, rounded down, without a division. For weight 0
/// the result is of no use.
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "there is one for each u8; 38 bits times 64, and 45 are left"
)]
fn times_rate(time: u64, weight: Weight) -> u64 {
    ((u128::from(time) * u128::from(RATES[usize::from(weight.get())])) >> 57) as u64
}

/// 100 / weight with 57 fractional bits, rounded up: by less than 1 / weight in a product with 38
/// bits.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
static RATES: [u64; 256] = {
    let mut table = [0; 256];
    let mut weight = 1;
    while weight <= 100 {
        table[weight] = ((100_u128 << 57) / weight as u128) as u64 + 1;
        weight += 1;
    }
    table
};

/// Returns -log2(x / 2^32) with 31 fractional bits, for 1 to 2^32: exact at each 1024th of a
/// doubling, and in between on a straight line, which is not off by more than 2 in 10^7. Ranks are
/// whole, which takes more: with the weights 1 and 100 the lighter endpoint has a share of 0.0099003 in
/// the place of 0.0099010.
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "the index is masked; 22 bits by 22, and 6 bits above 31"
)]
fn surprise(x: u64) -> u64 {
    let zeros = u64::from((x | 1).leading_zeros().wrapping_sub(31));
    let mantissa = x << zeros;
    let (cell, rest) = ((mantissa >> 22 & 0x3ff) as usize, mantissa & 0x3f_ffff);
    let (low, high) = (u64::from(LOGARITHMS[cell]), u64::from(LOGARITHMS[cell + 1]));
    (zeros << 31).wrapping_sub(low + (((high - low) * rest) >> 22))
}

/// log2(1 + cell / 1024) with 31 fractional bits, rounded down.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
static LOGARITHMS: [u32; 1025] = {
    let mut table = [0; 1025];
    let mut cell = 0;
    while cell <= 1024 {
        table[cell] = ((log2::of_whole(1024 + cell as u32) - (10 << 57)) >> 26) as u32;
        cell += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_logarithm() {
        for x in (1..=1_u64 << 32).step_by(65_521).chain([1, 2, 3, (1 << 32) - 1, 1 << 32]) {
            let exact = 32.0 - (x as f64).log2();
            let computed = surprise(x) as f64 / (1_u64 << 31) as f64;
            assert!((computed - exact).abs() < 2e-7, "{x}: {computed} {exact}");
        }
        assert_eq!(surprise(1 << 32), 0);
        assert_eq!(surprise(1), 32 << 31);
    }

    #[test]
    fn a_rate_divides_exactly() {
        for hundredths in 1..=100_u64 {
            let weight = Weight::new(hundredths).unwrap();
            let times = (0..200).map(|step| (1 << 38) - 1 - step * 1_366_000_003 % (1 << 38));
            for time in times.chain(0..200).chain((0..38).map(|bit| 1 << bit)) {
                assert_eq!(times_rate(time, weight), time * 100 / hundredths, "{time}");
            }
        }
    }

    #[test]
    fn a_greater_rank_is_later() {
        for rank in 1..=u16::MAX {
            assert!(Lateness::of_rank(rank - 1) < Lateness::of_rank(rank));
        }
        assert_eq!(Lateness::of_rank(0), Lateness(0));
    }

    #[test]
    fn weight_one_opens_always_and_weight_zero_never() {
        for draw in [0, u16::MAX].map(|opening| Draw { opening, delay: 0 }) {
            assert!([0, u16::MAX].iter().all(|upper| draw.opens(*upper, Weight::MAX)));
            assert!([0, u16::MAX].iter().all(|upper| !draw.opens(*upper, Weight::ZERO)));
        }
        // 0.25 of 2^32 are 2^30.
        let quarter = Weight::new(25).unwrap();
        assert!(Draw { opening: u16::MAX, delay: 0 }.opens((1 << 14) - 1, quarter));
        assert!(!Draw { opening: 0, delay: 0 }.opens(1 << 14, quarter));
    }
}
