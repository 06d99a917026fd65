//! Weighted rendezvous hashing: the best of one score for each endpoint. It chooses where loads
//! count, because a load that changes leaves nothing that could be prepared.

use super::log2;
use crate::endpoint::EndpointId;
use crate::limits::Weight;

/// The index of an endpoint among those of one pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(pub(crate) usize);

/// The score of a candidate: -log2(u) × (load + 1) / weight, where u in (0, 1) is a hash of seed and
/// id. The least score is the best. A fraction of 56 bits times 33, over 7, compared by cross
/// products, which do not overflow.
#[derive(Clone, Copy)]
struct Score(u128, u128);

impl Score {
    /// Computes the score from the value of -log2(u), or a lower bound of the score from a lower
    /// bound of that value.
    fn new(logarithm: u64, weight: Weight, load: u32) -> Self {
        let share = u128::from(load).saturating_add(1);
        Self(u128::from(logarithm).saturating_mul(share), weight.get().into())
    }

    /// Returns whether this score is greater, that is, worse.
    fn exceeds(self, other: Self) -> bool {
        self.0.saturating_mul(other.1) > other.0.saturating_mul(self.1)
    }
}

/// Returns the candidate with the best score; ties go to the lower id. `load` is called once for
/// each endpoint, `is_candidate` only for those whose score is the best so far. Endpoints of weight
/// 0 are passed over.
pub(super) fn least_loaded(
    seed: u64,
    ids: &[EndpointId],
    weights: &[Weight],
    load: impl Fn(Place) -> u32,
    is_candidate: impl Fn(Place) -> bool,
) -> Option<Place> {
    let mut best: Option<(Score, Place, EndpointId)> = None;
    for (index, (id, weight)) in ids.iter().zip(weights).enumerate() {
        let (place, id, weight) = (Place(index), *id, *weight);
        if weight == Weight::ZERO {
            continue;
        }
        let hash = hash(seed, id);
        let load = load(place);
        if let Some((least, ..)) = best {
            // Most are ruled out by this bound, which takes no logarithm.
            if Score::new(log2::at_least(hash), weight, load).exceeds(least) {
                continue;
            }
        }
        let score = Score::new(log2::negative(hash), weight, load);
        let is_best = match best {
            None => true,
            Some((least, _, holder)) => {
                least.exceeds(score) || (!score.exceeds(least) && id < holder)
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
pub(super) const fn mix(mut x: u64) -> u64 {
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
        let load = |place: Place| counts[place.0].replace(counts[place.0].get() + 1);
        assert!(least_loaded(4, &ids, &weights, load, |_| true).is_some());
        for (count, weight) in counts.iter().zip(weights) {
            assert_eq!(count.get(), u32::from(weight > Weight::ZERO));
        }
    }
}
