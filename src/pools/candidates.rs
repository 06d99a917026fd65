//! Which endpoints of a pool can be chosen right now.

use std::ops::Range;

use super::PoolView;
use crate::bounds::Weight;
use crate::endpoint::EndpointId;
use crate::steering::{ByWeight, Candidate, Race, Runner, glance, rendezvous};
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
        self.weights()
            .filter(|(position, id, weight)| {
                *weight != Weight::ZERO && self.may_win(*position, *id)
            })
            .filter_map(|(position, ..)| self.at(position))
    }

    /// Whether there is nobody to choose.
    pub(crate) fn is_empty(&self) -> bool {
        let all_take = self.eligible == Eligible::TakingNew
            && self.suspects == Suspects::Ignored
            && self.tried.is_empty();
        !(all_take && self.pool.is_open()) && self.iter().next().is_none()
    }

    /// Whom the weighted rendezvous prefers for a seed.
    pub fn preferred(&self, seed: u64) -> Option<Candidate<'a, T>> {
        // Who is preferred among all who take new sessions is so among the candidates, unless
        // it is none: then it was tried, or it is suspect.
        let first = (self.eligible == Eligible::TakingNew).then(|| self.first(seed)).flatten();
        first.or_else(|| self.preferred_by(seed, &ByWeight))
    }

    fn first(&self, seed: u64) -> Option<Candidate<'a, T>> {
        let (range, ids, weights) = self.slices();
        let position = range.start.checked_add(glance(seed, ids, weights)?)?;
        self.at(position).filter(|first| self.may_win(position, first.id))
    }

    pub(crate) fn preferred_by<R: Race<T>>(&self, seed: u64, race: &R) -> Option<Candidate<'a, T>> {
        let target =
            |position: usize| Some(&self.pool.pools.topology.endpoints.get(position)?.target);
        let may_win = |position, id| self.may_win(position, id);
        // Two loops, as the first is the one that runs all the time.
        let position = match self.eligible {
            Eligible::TakingNew => rendezvous(seed, self.taking(), race, target, may_win),
            Eligible::Enabled => rendezvous(seed, self.enabled(), race, target, may_win),
        };
        self.at(position?)
    }

    /// The pool's endpoints, each with the weight that it has for this request: 0 for those
    /// that cannot serve it.
    fn weights(&self) -> impl Iterator<Item = Runner> + use<'_, 'a, T> {
        let taking = (self.eligible == Eligible::TakingNew).then(|| self.taking());
        let enabled = (self.eligible == Eligible::Enabled).then(|| self.enabled());
        taking.into_iter().flatten().chain(enabled.into_iter().flatten())
    }

    fn taking(&self) -> impl Iterator<Item = Runner> + use<'a, T> {
        let (range, ids, weights) = self.slices();
        range.zip(ids.iter().zip(weights)).map(|(position, (id, weight))| (position, *id, *weight))
    }

    /// The endpoints' places, ids, and weights for new sessions.
    fn slices(&self) -> (Range<usize>, &'a [EndpointId], &'a [Weight]) {
        let range = self.range();
        let ids = self.pool.pools.topology.ids.get(range.clone()).unwrap_or_default();
        let weights = self.pool.pools.taking.get(range.clone()).unwrap_or_default();
        (range, ids, weights)
    }

    fn enabled(&self) -> impl Iterator<Item = Runner> + use<'a, T> {
        let range = self.range();
        let ids = self.pool.pools.topology.ids.get(range.clone()).unwrap_or_default();
        let all = self.pool.pools.endpoints.get(range.clone()).unwrap_or_default();
        range.zip(ids.iter().zip(all)).map(|(position, (id, standing))| {
            let weight = if standing.state.is_enabled() { standing.weight } else { Weight::ZERO };
            (position, *id, weight)
        })
    }

    /// The endpoints' places in the snapshot; none for a pool that is disabled.
    fn range(&self) -> Range<usize> {
        if self.pool.state().is_enabled() { self.pool.topology.endpoints.clone() } else { 0..0 }
    }

    fn may_win(&self, position: usize, id: EndpointId) -> bool {
        let suspect = || {
            let endpoint = self.pool.pools.topology.endpoints.get(position);
            endpoint.is_some_and(|endpoint| endpoint.mark.is_suspect(self.now))
        };
        let wanted = match self.suspects {
            Suspects::Ignored => true,
            Suspects::Left => !suspect(),
            Suspects::Taken => suspect(),
        };
        wanted && !self.tried.contains(&id)
    }

    fn at(&self, position: usize) -> Option<Candidate<'a, T>> {
        let endpoint = self.pool.pools.topology.endpoints.get(position)?;
        let standing = self.pool.pools.endpoints.get(position)?;
        Some(Candidate {
            position,
            id: endpoint.id,
            weight: standing.weight,
            name: endpoint.name.as_str(),
            target: &endpoint.target,
        })
    }
}
