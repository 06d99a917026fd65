//! The order in which a seed comes to the doors of a pool: a permutation of 16 bits that is computed
//! in both directions.
//!
//! Every operation is one on lanes of 16 bits, so that the compiler makes vectors of them on any
//! processor of the last twenty years, and without a branch.

use super::rendezvous::mix;

/// The order of all doors under one seed, and the draws that open them. A door's number becomes its
/// *middle* in three rounds; the middle becomes the door's rank in two rounds, and the upper half of
/// its draw in two others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Permutation {
    /// Four keys of 16 bits each, the first in the lowest bits. Whole words stay in registers.
    first: u64,
    second: u64,
}

impl Permutation {
    pub(super) fn new(seed: u64) -> Self {
        Self { first: mix(seed ^ FIRST), second: mix(seed ^ SECOND) }
    }

    /// Returns the keys between the door and its middle.
    #[inline(always)]
    fn of_doors(self) -> [u16; 3] {
        [word(self.first), word(self.first >> 16), word(self.first >> 32)]
    }

    /// Returns the keys between the middle and the rank.
    #[inline(always)]
    fn of_ranks(self) -> [u16; 3] {
        [word(self.first >> 48), word(self.second), word(self.second >> 16)]
    }

    /// Returns the keys between the middle and the draw.
    #[inline(always)]
    fn of_draws(self) -> [u16; 2] {
        [word(self.second >> 32), word(self.second >> 48)]
    }

    /// Returns the middles of doors.
    #[inline(always)]
    pub(super) fn middles<const N: usize>(self, mut doors: [u16; N]) -> [u16; N] {
        let [a, b, c] = self.of_doors();
        for x in &mut doors {
            let y = mixed(x.wrapping_add(a), ROUNDS.0);
            *x = mixed(mixed(y ^ b, ROUNDS.1).wrapping_add(c), ROUNDS.2);
        }
        doors
    }

    /// Returns the ranks of doors from their middles.
    #[inline(always)]
    pub(super) fn ranks<const N: usize>(self, mut middles: [u16; N]) -> [u16; N] {
        let [d, e, f] = self.of_ranks();
        for x in &mut middles {
            *x = mixed(mixed(*x ^ d, ROUNDS.3).wrapping_add(e), ROUNDS.4) ^ f;
        }
        middles
    }

    /// Returns the upper halves of the draws that open doors, from the middles of the doors.
    #[inline(always)]
    pub(super) fn draws<const N: usize>(self, mut middles: [u16; N]) -> [u16; N] {
        let [g, h] = self.of_draws();
        for x in &mut middles {
            *x = mixed(mixed(x.wrapping_add(g), DRAWS.0) ^ h, DRAWS.1);
        }
        middles
    }

    /// Returns the middles of the doors that have these ranks.
    #[inline(always)]
    pub(super) fn middles_of_ranks<const N: usize>(self, mut ranks: [u16; N]) -> [u16; N] {
        let [d, e, f] = self.of_ranks();
        for x in &mut ranks {
            let y = unmixed(*x ^ f, inverse(ROUNDS.4)).wrapping_sub(e);
            *x = unmixed(y, inverse(ROUNDS.3)) ^ d;
        }
        ranks
    }

    /// Returns the doors that have these middles.
    #[inline(always)]
    pub(super) fn doors<const N: usize>(self, mut middles: [u16; N]) -> [u16; N] {
        let [a, b, c] = self.of_doors();
        for x in &mut middles {
            let y = unmixed(*x, inverse(ROUNDS.2)).wrapping_sub(c);
            *x = unmixed(unmixed(y, inverse(ROUNDS.1)) ^ b, inverse(ROUNDS.0)).wrapping_sub(a);
        }
        middles
    }
}

/// The first digits of π after the point, in base 16, as the constants of SHA-2 are roots: without a
/// choice.
const FIRST: u64 = 0x243f_6a88_85a3_08d3;
const SECOND: u64 = 0x1319_8a2e_0370_7344;

/// The multipliers of the rounds: of 48 sets tried, the one in which the differences of two doors
/// are the most even in both directions.
const ROUNDS: (u16, u16, u16, u16, u16) = (0x11e7, 0x4773, 0x8c75, 0xbc37, 0xd9f5);
const DRAWS: (u16, u16) = (0x7623, 0xd8cb);

#[inline(always)]
const fn mixed(x: u16, multiplier: u16) -> u16 {
    let x = x.wrapping_mul(multiplier);
    x ^ (x >> 9)
}

/// Undoes [`mixed`]; a shift by more than half of the bits undoes itself.
#[inline(always)]
const fn unmixed(x: u16, inverse: u16) -> u16 {
    (x ^ (x >> 9)).wrapping_mul(inverse)
}

/// Returns the inverse of an odd number: each step of Newton's doubles the bits that are right, 3 at
/// first.
#[inline(always)]
const fn inverse(odd: u16) -> u16 {
    let one = odd.wrapping_mul(2_u16.wrapping_sub(odd.wrapping_mul(odd)));
    let two = one.wrapping_mul(2_u16.wrapping_sub(odd.wrapping_mul(one)));
    two.wrapping_mul(2_u16.wrapping_sub(odd.wrapping_mul(two)))
}

/// Returns the lowest 16 bits.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the word is cut out")]
const fn word(x: u64) -> u16 {
    x as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_undone_for_every_door() {
        for seed in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef] {
            let order = Permutation::new(seed);
            let mut seen = vec![false; 1 << 16];
            for door in 0..=u16::MAX {
                let middles = order.middles([door]);
                let ranks = order.ranks(middles);
                assert_eq!(order.middles_of_ranks(ranks), middles);
                assert_eq!(order.doors(middles), [door]);
                let [rank] = ranks;
                assert!(!std::mem::replace(&mut seen[usize::from(rank)], true));
            }
        }
    }

    #[test]
    fn lanes_do_not_look_at_each_other() {
        let order = Permutation::new(7);
        let doors: [u16; 16] = std::array::from_fn(|lane| lane as u16 * 4_001);
        let middles = order.middles(doors);
        for lane in 0..16 {
            assert_eq!(order.middles([doors[lane]]), [middles[lane]]);
            assert_eq!(order.ranks([middles[lane]]), [order.ranks(middles)[lane]]);
            assert_eq!(order.draws([middles[lane]]), [order.draws(middles)[lane]]);
        }
    }
}
