//! The binary logarithm in integers: that of floating-point numbers differs between platforms, and
//! sticky choices must not.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "every intermediate is bounded as its comment says, for all 2^64 arguments; the index is masked to the table"
)]

/// Returns -log2(x / 2^64) with 50 fractional bits, 56 bits in all, with an absolute error below
/// 2^-47. 0 counts as 1.
pub(super) const fn negative(x: u64) -> u64 {
    let x = if x == 0 { 1 } else { x };
    let zeros = x.leading_zeros();
    // x = mantissa / 2^63 × 2^(63 - zeros), the mantissa in 1..2
    let mantissa = x << zeros;
    let index = (mantissa >> 55) & 0xff;
    let (reciprocal, logarithm) = TABLE[index as usize];
    // mantissa × reciprocal = 1 + e, and e < 2^-7.9, here with 64 fractional bits
    let product = mantissa as u128 * reciprocal as u128;
    let e = (product.saturating_sub(1 << 79) >> 15) as u64;
    // ln(1 + e) = e - e²/2 + e³/3 - e⁴/4 + e⁵/5, the rest is below 2^-50
    let series = times(e, (1 << 62) - times(e, FIFTH));
    let series = times(e, THIRD - series);
    let series = times(e, (1 << 63) - series);
    let series = e - times(e, series);
    let fraction = logarithm + ((series as u128 * LOG2_E) >> 70) as u64;
    (((zeros as u64) + 1) << 57).saturating_sub(fraction) >> 7
}

/// Returns a lower bound of [`negative`] without a logarithm: -log2(1 - y) is at least 1.4375 × y.
/// The bound is lower by more than the error of [`negative`].
pub(super) const fn at_least(x: u64) -> u64 {
    let y = (u64::MAX - x) >> 14;
    (y + (y >> 2) + (y >> 3) + (y >> 4)).saturating_sub(1 << 4)
}

const FIFTH: u64 = u64::MAX / 5;
const THIRD: u64 = u64::MAX / 3;
/// log2(e) with 63 fractional bits.
const LOG2_E: u128 = 0xb8aa_3b29_5c17_f0bc;

const fn times(a: u64, b: u64) -> u64 {
    ((a as u128 * b as u128) >> 64) as u64
}

/// For each value of a mantissa's first 8 bits after the leading one: the reciprocal with 16
/// fractional bits, rounded up, and -log2 of that with 57.
const TABLE: [(u32, u64); 256] = {
    let mut table = [(0, 0); 256];
    let mut index = 0;
    while index < 256 {
        let whole = 256 + index as u32;
        let reciprocal = (1_u32 << 24).div_ceil(whole);
        table[index] = (reciprocal, (16 << 57) - of_whole(reciprocal));
        index += 1;
    }
    table
};

/// Returns log2 of a whole number with 57 fractional bits, computed bit by bit: squaring doubles
/// the logarithm.
pub(super) const fn of_whole(x: u32) -> u64 {
    let zeros = (x as u64).leading_zeros();
    let mut result = 63 - zeros as u64;
    let mut mantissa = (x as u64) << zeros;
    let mut bit = 0;
    while bit < 57 {
        let square = (mantissa as u128 * mantissa as u128) >> 63;
        result <<= 1;
        if square >> 64 == 1 {
            result |= 1;
            mantissa = (square >> 1) as u64;
        } else {
            mantissa = square as u64;
        }
        bit += 1;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn float(x: u64) -> f64 {
        64.0 - (x as f64).log2()
    }

    proptest! {
        #[test]
        fn it_is_the_logarithm(x in 1_u64.., shift in 0_u32..64) {
            let x = (x >> shift).max(1);
            let computed = negative(x) as f64 / (1_u64 << 50) as f64;
            prop_assert!((computed - float(x)).abs() < 1e-13 * (1.0 + float(x)) + 2e-14, "{x}: {computed} {}", float(x));
        }

        #[test]
        fn the_bound_is_below_it(x in any::<u64>(), shift in 0_u32..64) {
            let near_one = u64::MAX - (x >> shift);
            prop_assert!(at_least(x) <= negative(x));
            prop_assert!(at_least(near_one) <= negative(near_one));
        }
    }

    /// Both are near 0 there, and the error of one is as great as the other.
    #[test]
    fn the_bound_is_below_it_next_to_one() {
        for x in (0..4_000).map(|step| u64::MAX - (step << 12)) {
            assert!(at_least(x) <= negative(x), "{x}");
        }
    }

    #[test]
    fn whole_powers_are_exact_to_the_last_bits() {
        for power in 0..64_u32 {
            let exact = u64::from(64 - power) << 50;
            assert!(negative(1 << power).abs_diff(exact) < 1 << 3, "2^{power}");
        }
        assert_eq!(negative(0), negative(1));
        assert!(negative(u64::MAX) < 1 << 3);
    }
}
