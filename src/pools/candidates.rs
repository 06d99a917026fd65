//! Which endpoints of a pool can be chosen right now.

use super::{PoolView, Pools};
use crate::bounds::Weight;
use crate::endpoint::EndpointId;
use crate::steering::{Candidate, rendezvous};
use crate::time::UnixTime;

/// The endpoints of one pool that can take this request: they take new sessions and
/// have not been tried for it. What a [`Steering`](crate::steering::Steering) chooses from.
#[derive(Debug)]
pub struct Candidates<'a, T> {
    pool: PoolView<'a, T>,
    eligible: Eligible,
    suspects: Suspects,
    now: UnixTime,
    tried: &'a [EndpointId],
}

/// Which endpoints of a pool may serve a new session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Eligible {
    /// Healthy, enabled, with a weight.
    TakingNew,
    /// Enabled, with a weight: the fallback pool's health is ignored.
    Enabled,
}

/// What to do with endpoints that are cooling off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suspects {
    /// There are none.
    Ignored,
    /// Choose among the others.
    Left,
    /// Choose among them: there are no others.
    Taken,
}

impl<'a, T> Candidates<'a, T> {
    pub(crate) fn new(
        pool: PoolView<'a, T>,
        eligible: Eligible,
        suspects: Suspects,
        now: UnixTime,
        tried: &'a [EndpointId],
    ) -> Self {
        Self { pool, eligible, suspects, now, tried }
    }

    /// The pool's name.
    pub fn pool(&self) -> &'a str {
        self.pool.name()
    }

    /// The candidates, in the order of the pool.
    pub fn iter(&self) -> impl Iterator<Item = Candidate<'a, T>> + use<'_, 'a, T> {
        let pools: &'a Pools<T> = self.pool.pools;
        let range = self.pool.topology.endpoints.clone();
        let enabled = self.pool.state().is_enabled();
        let topology = pools.topology.endpoints.get(range.clone()).unwrap_or_default();
        let standing = pools.endpoints.get(range.clone()).unwrap_or_default();
        range.zip(topology).zip(standing).filter_map(move |((position, endpoint), standing)| {
            let eligible = match self.eligible {
                Eligible::TakingNew => standing.is_taking(),
                Eligible::Enabled => standing.state.is_enabled() && standing.weight != Weight::ZERO,
            };
            let wanted = match self.suspects {
                Suspects::Ignored => true,
                Suspects::Left => !endpoint.mark.is_suspect(self.now),
                Suspects::Taken => endpoint.mark.is_suspect(self.now),
            };
            (enabled && eligible && wanted && !self.tried.contains(&endpoint.id)).then(|| Candidate {
                position,
                id: endpoint.id,
                weight: standing.weight,
                name: endpoint.name.as_str(),
                target: &endpoint.target,
            })
        })
    }

    /// Whom the weighted rendezvous prefers for a seed.
    pub fn preferred(&self, seed: u64) -> Option<Candidate<'a, T>> {
        rendezvous(seed, self.iter(), |_| 0)
    }
}
