//! Weighted rendezvous hashing: the best of one score for each endpoint, in exact proportion to the
//! weights.

use super::log2;
use crate::endpoint::EndpointId;
use crate::limits::Weight;

/// The index of an endpoint among those of one pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(pub(crate) usize);

/// A way to compute the score of a candidate: -log2(u) / weight, where u in (0, 1) is a hash of
/// seed and id. The least score is the best.
pub(super) trait Scoring<T> {
    /// The load of a candidate, which is read once for each.
    type Load: Copy;
    /// A fraction; compared by cross products, which do not overflow.
    type Score: Copy;

    /// Reads the load. `target` is called only where the load counts.
    fn load<'a>(&self, target: impl FnOnce() -> Option<&'a T>) -> Self::Load
    where
        T: 'a;

    /// Computes the score from the value of -log2(u), or a lower bound of the score from a lower
    /// bound of that value.
    fn score(logarithm: u64, weight: Weight, load: Self::Load) -> Self::Score;

    /// Returns whether the first score is greater, that is, worse.
    fn exceeds(one: Self::Score, other: Self::Score) -> bool;
}

/// Scores by weight alone: 56 bits over 7.
pub(super) struct ByWeight;

impl<T> Scoring<T> for ByWeight {
    type Load = ();
    type Score = (u64, u64);

    fn load<'a>(&self, _: impl FnOnce() -> Option<&'a T>)
    where
        T: 'a,
    {
    }

    fn score(logarithm: u64, weight: Weight, (): ()) -> (u64, u64) {
        (logarithm, weight.get().into())
    }

    #[expect(clippy::arithmetic_side_effects, reason = "56 bits times 7 are 63")]
    fn exceeds(one: (u64, u64), other: (u64, u64)) -> bool {
        one.0 * other.1 > other.0 * one.1
    }
}

/// Scores by weight / (load + 1): 56 bits times 33, over 7.
pub(super) struct ByLoad<F>(pub(super) F);

impl<T, F: Fn(&T) -> u32> Scoring<T> for ByLoad<F> {
    type Load = u32;
    type Score = (u128, u128);

    fn load<'a>(&self, target: impl FnOnce() -> Option<&'a T>) -> u32
    where
        T: 'a,
    {
        target().map_or(0, &self.0)
    }

    fn score(logarithm: u64, weight: Weight, load: u32) -> (u128, u128) {
        let share = u128::from(load).saturating_add(1);
        (u128::from(logarithm).saturating_mul(share), weight.get().into())
    }

    fn exceeds(one: (u128, u128), other: (u128, u128)) -> bool {
        one.0.saturating_mul(other.1) > other.0.saturating_mul(one.1)
    }
}

/// Returns the candidate with the best score; ties go to the lower id. `is_candidate` is called
/// only for endpoints whose score is the best so far. Endpoints of weight 0 are passed over.
pub(super) fn rendezvous<'a, T: 'a, S: Scoring<T>>(
    seed: u64,
    ids: &[EndpointId],
    weights: &[Weight],
    scoring: &S,
    target: impl Fn(Place) -> Option<&'a T>,
    is_candidate: impl Fn(Place) -> bool,
) -> Option<Place> {
    let mut best: Option<(S::Score, Place, EndpointId)> = None;
    for (index, (id, weight)) in ids.iter().zip(weights).enumerate() {
        let (place, id, weight) = (Place(index), *id, *weight);
        if weight == Weight::ZERO {
            continue;
        }
        let hash = hash(seed, id);
        let load = scoring.load(|| target(place));
        if let Some((least, ..)) = best {
            // Most are ruled out by this bound, which takes no logarithm.
            if S::exceeds(S::score(log2::at_least(hash), weight, load), least) {
                continue;
            }
        }
        let score = S::score(log2::negative(hash), weight, load);
        let is_best = match best {
            None => true,
            Some((least, _, holder)) => {
                S::exceeds(least, score) || (!S::exceeds(score, least) && id < holder)
            }
        };
        if is_best && is_candidate(place) {
            best = Some((score, place, id));
        }
    }
    best.map(|(_, place, _)| place)
}

/// Hashes seed and endpoint: uniform, and independent of the hashes of other endpoints.
pub(super) fn hash(seed: u64, id: EndpointId) -> u64 {
    mix(seed ^ id.as_u64())
}

/// Mixes 64 bits so that each depends on each of the input's: the finaliser of SplitMix64 in
/// Stafford's variant 13. Seeds and ids are results of SipHash or random, so no client can aim at a
/// result.
const fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
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

    /// A load that changes between two readings must not make a candidate's bound and score differ.
    #[test]
    fn the_load_of_each_candidate_is_read_once() {
        let ids: Vec<_> =
            (0..100).map(|id| EndpointId::from_u64(hash(1, EndpointId::from_u64(id)))).collect();
        let mut weights = vec![Weight::MAX; 100];
        weights[7] = Weight::ZERO;
        let counts: Vec<_> = ids.iter().map(|_| std::cell::Cell::new(0)).collect();
        let load = |count: &std::cell::Cell<u32>| count.replace(count.get() + 1);
        let target = |place: Place| counts.get(place.0);
        assert!(rendezvous(4, &ids, &weights, &ByLoad(load), target, |_| true).is_some());
        for (count, weight) in counts.iter().zip(weights) {
            assert_eq!(count.get(), u32::from(weight > Weight::ZERO));
        }
    }
}
