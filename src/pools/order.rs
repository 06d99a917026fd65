//! The open pools of a snapshot, in the order of one request.

use std::iter::Take;

use super::Pools;
use super::iter::Iter;
use super::status::PoolStatus;
use super::topology::Topology;
use super::view::PoolView;
use crate::endpoint::member::PoolIndex;
use crate::limits::Weight;
use crate::steering::{OpenPools, PoolCandidate, PoolCandidates, PoolSteering, Seed, Seeding};

impl<T> Pools<T> {
    /// Returns the open pools in the order of a request whose seed this is. A pool of weight 0 is
    /// left out while a pool of more weight is open, unless the order is that in which the pools
    /// were given: weights do not count there.
    pub(crate) fn in_order(&self, seed: impl FnOnce(Seeding) -> Seed) -> InOrder<'_, T> {
        let as_given = InOrder::AsGiven(self.iter().take(self.topology.in_order));
        let Some(steering) = self.pool_steering() else { return as_given };
        let candidates = PoolCandidates::new(self);
        if candidates.iter().next().is_none() {
            return as_given;
        }
        let seed = seed(steering.seeding());
        InOrder::Steered { pools: self, candidates, steering, seed }
    }

    /// Returns the pool that takes each new session, if there is one: the first open pool, where the
    /// pools are used as given and it sheds no new session.
    #[inline]
    pub(crate) fn taker(&self) -> Option<PoolView<'_, T>> {
        let Topology { in_order, order, .. } = &*self.topology;
        let first = self.pools.iter().take(*in_order).position(PoolStatus::is_open);
        let index = first.filter(|_| order.0.is_none())?;
        let takes_all = self.pools.get(index).is_some_and(PoolStatus::sheds_no_new);
        if takes_all { PoolView::new(self, PoolIndex(index)) } else { None }
    }

    /// Returns the steering that orders the pools; `None` where they are used as given.
    pub(crate) fn pool_steering(&self) -> Option<&dyn PoolSteering<T>> {
        self.topology.order.0.as_deref()
    }

    /// Returns the source of the seed of the order, where there is an order to choose.
    pub(crate) fn order_seeding(&self) -> Option<Seeding> {
        let steering = self.pool_steering()?;
        let is_choice = PoolCandidates::new(self).iter().nth(1).is_some();
        is_choice.then(|| steering.seeding())
    }
}

impl<T> OpenPools<T> for Pools<T> {
    fn count(&self) -> usize {
        self.topology.in_order
    }

    fn candidate(&self, index: PoolIndex) -> Option<PoolCandidate<'_, T>> {
        let (topology, status) = (self.topology.pools.get(index.0)?, self.pools.get(index.0)?);
        let is_candidate = status.weight > Weight::ZERO && status.is_open();
        is_candidate.then(|| PoolCandidate {
            index,
            id: topology.id.as_u64(),
            name: &topology.name,
            weight: status.weight,
            members: self.topology.endpoints.get(topology.endpoints.clone()).unwrap_or_default(),
        })
    }
}

/// The iterator of [`Pools::in_order`]. A pool is chosen when it is asked for: most requests ask
/// for one.
pub(crate) enum InOrder<'a, T> {
    AsGiven(Take<Iter<'a, T>>),
    Steered {
        pools: &'a Pools<T>,
        candidates: PoolCandidates<'a, T>,
        steering: &'a dyn PoolSteering<T>,
        seed: Seed,
    },
}

impl<'a, T> Iterator for InOrder<'a, T> {
    type Item = PoolView<'a, T>;

    fn next(&mut self) -> Option<PoolView<'a, T>> {
        match self {
            Self::AsGiven(pools) => pools.find(PoolView::is_open),
            Self::Steered { pools, candidates, steering, seed } => {
                // A steering may answer with a pool of another snapshot, or with one that has its
                // place already.
                let chosen = steering.choose(candidates, *seed);
                let chosen = chosen.and_then(|pool| candidates.at(pool.index));
                let index = chosen.or_else(|| candidates.preferred(seed.value()))?.index;
                candidates.choose(index);
                PoolView::new(pools, index)
            }
        }
    }
}

impl<T> Clone for InOrder<'_, T> {
    fn clone(&self) -> Self {
        match self {
            Self::AsGiven(pools) => Self::AsGiven(pools.clone()),
            Self::Steered { pools, candidates, steering, seed } => Self::Steered {
                pools,
                candidates: candidates.clone(),
                steering: *steering,
                seed: *seed,
            },
        }
    }
}
