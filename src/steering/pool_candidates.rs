//! The pools that are still to be put in order for one request.

use std::fmt;

use siphasher::sip::SipHasher24;

use super::log2;
use super::rendezvous::hash;
use crate::endpoint::EndpointId;
use crate::endpoint::member::{Member, PoolIndex};
use crate::limits::Weight;

/// The pools that a [`PoolSteering`](super::PoolSteering) chooses the next one of the order from.
/// They are open, have a weight above 0, and none of them has been chosen for this order yet.
pub struct PoolCandidates<'a, T> {
    pools: &'a dyn OpenPools<T>,
    chosen: Chosen,
}

/// The pools of a snapshot, in the order in which they were given.
pub(crate) trait OpenPools<T> {
    /// Returns the number of pools in order, whether they are open or not.
    fn count(&self) -> usize;

    /// Returns the pool at this place, if it is open and has a weight above 0.
    fn candidate(&self, index: PoolIndex) -> Option<PoolCandidate<'_, T>>;
}

impl<'a, T> PoolCandidates<'a, T> {
    pub(crate) fn new(pools: &'a dyn OpenPools<T>) -> Self {
        Self { pools, chosen: Chosen::default() }
    }

    /// Returns the candidates in the order in which the pools were given.
    pub fn iter(&self) -> impl Iterator<Item = PoolCandidate<'a, T>> + use<'_, 'a, T> {
        let indices = (0..self.pools.count()).map(PoolIndex);
        indices.filter_map(|index| self.at(index))
    }

    /// Returns the candidate that weighted rendezvous hashing prefers for a seed. Its label is its
    /// own: the choice is independent of the choices of endpoints that the same seed decides.
    pub fn preferred(&self, seed: u64) -> Option<PoolCandidate<'a, T>> {
        self.preferred_by(seed, |_| 0)
    }

    /// Returns the candidate that is preferred when the weight of each is divided by its load plus
    /// one. Ties go to the pool with the lower hash of its name.
    pub(super) fn preferred_by(
        &self,
        seed: u64,
        load: impl Fn(&PoolCandidate<'a, T>) -> u32,
    ) -> Option<PoolCandidate<'a, T>> {
        let seed = labelled(seed);
        let scored = self.iter().map(|pool| (Score::new(seed, &pool, load(&pool)), pool));
        let better = |one: (Score, _), other: (Score, _)| {
            if other.0.is_better_than(&one.0) { other } else { one }
        };
        scored.reduce(better).map(|(_, pool)| pool)
    }

    /// Returns the candidate at this place.
    pub(crate) fn at(&self, index: PoolIndex) -> Option<PoolCandidate<'a, T>> {
        if self.chosen.contains(index) { None } else { self.pools.candidate(index) }
    }

    /// Takes a pool out, as it has its place in the order now.
    pub(crate) fn choose(&mut self, index: PoolIndex) {
        self.chosen.add(index);
    }
}

impl<T> Clone for PoolCandidates<'_, T> {
    fn clone(&self) -> Self {
        Self { pools: self.pools, chosen: self.chosen.clone() }
    }
}

impl<T> fmt::Debug for PoolCandidates<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// A pool that can be chosen. Only [`PoolCandidates`] makes them.
pub struct PoolCandidate<'a, T> {
    pub(crate) index: PoolIndex,
    /// The hash of the name.
    pub(crate) id: u64,
    pub(crate) name: &'a str,
    pub(crate) weight: Weight,
    pub(crate) members: &'a [Member<T>],
}

impl<'a, T> PoolCandidate<'a, T> {
    /// Returns the name of the pool.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Returns the weight of the pool, never 0.
    pub fn weight(&self) -> Weight {
        self.weight
    }

    /// Returns the embedder's own values for the endpoints of the pool: of all of them, those that
    /// take no new sessions too.
    pub fn targets(&self) -> impl Iterator<Item = &'a T> + use<'a, T> {
        self.members.iter().map(|member| &member.target)
    }
}

impl<T> Clone for PoolCandidate<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for PoolCandidate<'_, T> {}

/// Shows the number of endpoints, and no target.
impl<T> fmt::Debug for PoolCandidate<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolCandidate")
            .field("name", &self.name)
            .field("weight", &self.weight)
            .field("endpoints", &self.members.len())
            .finish_non_exhaustive()
    }
}

/// The seed of the order of pools, made of the seed of a choice.
fn labelled(seed: u64) -> u64 {
    let mut message = [0; LABEL.len() + 8];
    let (label, number) = message.split_at_mut(LABEL.len());
    label.copy_from_slice(LABEL);
    number.copy_from_slice(&seed.to_be_bytes());
    SipHasher24::new_with_key(b"session-affinity").hash(&message)
}

const LABEL: &[u8; 25] = b"session-affinity v1 pool\0";

/// The score of a pool: -log2(u) × (load + 1) / weight, where u in (0, 1) is a hash of seed and
/// pool. The least is the best.
struct Score {
    /// 56 bits times 33.
    numerator: u128,
    weight: u128,
    id: u64,
}

impl Score {
    fn new<T>(seed: u64, pool: &PoolCandidate<'_, T>, load: u32) -> Self {
        // The hash of a number: that of an endpoint with this id would be the same.
        let logarithm = log2::negative(hash(seed, EndpointId::from_u64(pool.id)));
        let share = u128::from(load).saturating_add(1);
        let numerator = u128::from(logarithm).saturating_mul(share);
        Self { numerator, weight: pool.weight.get().into(), id: pool.id }
    }

    fn is_better_than(&self, other: &Self) -> bool {
        // 89 bits times 7.
        let one = self.numerator.saturating_mul(other.weight);
        let two = other.numerator.saturating_mul(self.weight);
        (one, self.id) < (two, other.id)
    }
}

/// The pools that have their place in the order. The first 128 take no allocation.
#[derive(Clone, Debug, Default)]
struct Chosen {
    first: u128,
    others: Vec<PoolIndex>,
}

impl Chosen {
    fn bit(index: PoolIndex) -> Option<u128> {
        1_u128.checked_shl(u32::try_from(index.0).ok()?)
    }

    fn contains(&self, index: PoolIndex) -> bool {
        match Self::bit(index) {
            Some(bit) => self.first & bit != 0,
            None => self.others.contains(&index),
        }
    }

    fn add(&mut self, index: PoolIndex) {
        match Self::bit(index) {
            Some(bit) => self.first |= bit,
            None => self.others.push(index),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pool_that_was_chosen_is_known_and_no_other() {
        let mut chosen = Chosen::default();
        for index in [0, 1, 64, 127, 128, 5_000].map(PoolIndex) {
            assert!(!chosen.contains(index), "{index:?}");
            chosen.add(index);
            assert!(chosen.contains(index), "{index:?}");
        }
        assert!([2, 126, 129, 4_999].iter().all(|index| !chosen.contains(PoolIndex(*index))));
    }

    #[test]
    fn ties_go_to_the_lower_id() {
        let score = |numerator, weight, id| Score { numerator, weight, id };
        assert!(score(1, 100, 1).is_better_than(&score(1, 100, 2)));
        assert!(!score(1, 100, 2).is_better_than(&score(1, 100, 1)));
        assert!(score(1, 50, 2).is_better_than(&score(3, 100, 1)));
        assert!(!score(2, 50, 2).is_better_than(&score(3, 100, 1)));
    }
}
