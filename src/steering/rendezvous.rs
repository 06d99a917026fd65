//! The weighted rendezvous: a race of exponential clocks, which the weights win in exact
//! proportion.

use super::log2;
use crate::bounds::Weight;
use crate::endpoint::EndpointId;

/// One who takes part: its place in the snapshot, its id, its weight.
pub(crate) type Runner = (usize, EndpointId, Weight);

/// What a runner's logarithm is worth: -log2(u), where u in (0, 1) is a hash of seed and
/// id, divided by its weight. The least wins.
pub(crate) trait Race<T> {
    /// A fraction; compared by cross products, which do not overflow.
    type Cost: Copy;

    /// `target` is only asked for by races that count.
    fn cost<'a>(
        &self,
        logarithm: u64,
        weight: Weight,
        target: impl Fn() -> Option<&'a T>,
    ) -> Self::Cost
    where
        T: 'a;

    fn exceeds(one: Self::Cost, other: Self::Cost) -> bool;
}

/// By weight alone: 56 bits over 7.
pub(crate) struct ByWeight;

impl<T> Race<T> for ByWeight {
    type Cost = (u64, u64);

    fn cost<'a>(&self, logarithm: u64, weight: Weight, _: impl Fn() -> Option<&'a T>) -> (u64, u64)
    where
        T: 'a,
    {
        (logarithm, weight.get().into())
    }

    #[expect(clippy::arithmetic_side_effects, reason = "56 bits times 7 are 63")]
    fn exceeds(one: (u64, u64), other: (u64, u64)) -> bool {
        one.0 * other.1 > other.0 * one.1
    }
}

/// By weight / (load + 1): 56 bits times 33, over 7.
pub(crate) struct ByLoad<F>(pub(crate) F);

impl<T, F: Fn(&T) -> u32> Race<T> for ByLoad<F> {
    type Cost = (u128, u128);

    fn cost<'a>(
        &self,
        logarithm: u64,
        weight: Weight,
        target: impl Fn() -> Option<&'a T>,
    ) -> (u128, u128)
    where
        T: 'a,
    {
        let load = u128::from(target().map_or(0, &self.0));
        (u128::from(logarithm).saturating_mul(load.saturating_add(1)), weight.get().into())
    }

    fn exceeds(one: (u128, u128), other: (u128, u128)) -> bool {
        one.0.saturating_mul(other.1) > other.0.saturating_mul(one.1)
    }
}

/// Runs the race; returns the winner's place. Ties go to the lower id. `may_win` is asked
/// only of those who would.
pub(crate) fn rendezvous<'a, T: 'a, R: Race<T>>(
    seed: u64,
    runners: impl Iterator<Item = Runner>,
    race: &R,
    target: impl Fn(usize) -> Option<&'a T>,
    may_win: impl Fn(usize, EndpointId) -> bool,
) -> Option<usize> {
    let mut best: Option<(R::Cost, usize, EndpointId)> = None;
    for (position, id, weight) in runners {
        if weight == Weight::ZERO {
            continue;
        }
        let hash = hash(seed, id);
        let cost = |logarithm| race.cost(logarithm, weight, || target(position));
        if let Some((least, ..)) = best {
            // Most are out by this bound, which takes no logarithm.
            if R::exceeds(cost(log2::at_least(hash)), least) {
                continue;
            }
        }
        let cost = cost(log2::negative(hash));
        let wins = match best {
            None => true,
            Some((least, _, holder)) => {
                R::exceeds(least, cost) || (!R::exceeds(cost, least) && id < holder)
            }
        };
        if wins && may_win(position, id) {
            best = Some((cost, position, id));
        }
    }
    best.map(|(_, position, _)| position)
}

/// What seed and endpoint come to: uniform, and independent of those of others.
pub(super) fn hash(seed: u64, id: EndpointId) -> u64 {
    mix(seed ^ id.as_u64())
}

/// 64 bits, each of which depends on each of the input's: the finaliser of SplitMix64 in
/// Stafford's variant 13. Seed and id are SipHash results or random, so no client can aim
/// at it.
const fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::super::glance;
    use super::*;

    /// The first outputs of SplitMix64 from a state of 0, as published.
    #[test]
    fn it_is_the_finaliser_of_splitmix64() {
        let outputs = [
            0xe220_a839_7b1d_cdaf,
            0x6e78_9e6a_a1b9_65f4,
            0x06c4_5d18_8009_454f,
            0xf88b_b8a8_724c_81ec,
        ];
        for (turn, output) in (1_u64..).zip(outputs) {
            assert_eq!(mix(turn.wrapping_mul(0x9e37_79b9_7f4a_7c15)), output);
        }
    }

    /// "ties go to the lower id": hashes so close to each other that their logarithms are equal.
    #[test]
    fn ties_go_to_the_lower_id() {
        let hashes = [u64::MAX - 40, u64::MAX - 41];
        assert_eq!(log2::negative(hashes[0]), log2::negative(hashes[1]));
        let mut ids = hashes.map(|hash| EndpointId::from_u64(unmixed(hash)));
        ids.sort_by_key(|id| id.as_u64());
        for lower in [0, 1] {
            let runners = ids.iter().enumerate().map(|(place, id)| (place, *id, Weight::MAX));
            assert_eq!(rendezvous(0, runners, &ByWeight, |_| Some(&()), |_, _| true), Some(lower));
            assert_eq!(glance(0, &ids, &[Weight::MAX; 2]), Some(lower));
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
        assert_eq!(mix(x), hash);
        x
    }
}
