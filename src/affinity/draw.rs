//! The question of random bits: whether a choice for a new session would use some.

use super::room::Preference;
use super::search::{Chooser, Search};
use crate::failover::FailoverScope;
use crate::policy::ChoiceSeed;
use crate::pools::{Eligible, PoolView, ShedBy};
use crate::steering::Seeding;

impl<'p, T> Search<'p, '_, T> {
    /// Returns whether [`Search::for_new`] would use random bits. Visits the pools as it does.
    #[inline]
    pub(super) fn needs_entropy(&self) -> bool {
        match self.taker {
            Some(pool) => self.steers_by_entropy(pool),
            None => self.needs_entropy_in_order(),
        }
    }

    #[inline(never)]
    fn needs_entropy_in_order(&self) -> bool {
        if self.orders_by_entropy() {
            return true;
        }
        let best = self.preferences().first().copied();
        let mut second: Option<(Preference, _)> = None;
        for pool in self.in_order() {
            if self.sheds_by_number(pool) {
                return true;
            }
            if !self.sheds_new(pool) {
                let rank = self.rank(pool);
                if Some(rank) == best {
                    return self.steers_by_entropy(pool);
                }
                if second.is_none_or(|(known, _)| rank < known) {
                    second = Some((rank, pool));
                }
            }
        }
        let has_candidates = |pool: &PoolView<'p, T>| {
            !self.candidates(*pool, Eligible::ForFallback, Preference::Any).is_empty()
        };
        let chosen = second
            .map(|(_, pool)| pool)
            .or_else(|| self.pools.fallback().filter(has_candidates))
            .or_else(|| self.in_order().min_by_key(|pool| self.rank(*pool)));
        chosen.is_some_and(|pool| self.steers_by_entropy(pool))
    }

    /// Returns the look at all open pools in which the choice for a new session is made in this
    /// one, if no pool before it has the choice: with suspects or full endpoints alone it comes
    /// after others in scope.
    fn rank(&self, pool: PoolView<'p, T>) -> Preference {
        let (last, before) = self.preferences().split_last().unwrap_or((&Preference::Any, &[]));
        if self.rules.failover_scope == FailoverScope::OwnPool {
            return *before.first().unwrap_or(last);
        }
        let has =
            |it: &&Preference| !self.candidates(pool, Eligible::ForNewSessions, **it).is_empty();
        *before.iter().find(has).unwrap_or(last)
    }

    fn steers_by_entropy(&self, pool: PoolView<'p, T>) -> bool {
        self.chooses_by_entropy(pool.steering().seeding())
    }

    /// Returns whether a choice that a steering of this seeding makes would use random bits.
    pub(super) fn chooses_by_entropy(&self, seeding: Seeding) -> bool {
        match self.chooser {
            Chooser::Policy(ChoiceSeed::Steering) => {
                self.client.is_none() || seeding == Seeding::Entropy
            }
            Chooser::Policy(ChoiceSeed::ClientIp) => self.client.is_none(),
            Chooser::Policy(ChoiceSeed::Fixed(_)) | Chooser::Key(_) | Chooser::Pin(_) => false,
        }
    }

    fn sheds_by_number(&self, pool: PoolView<'p, T>) -> bool {
        let shedding = pool.shedding();
        let by_hash = shedding.shed_by == ShedBy::Hash && self.client.is_some();
        let is_chance = !matches!(shedding.default_percent.get(), 0 | 100);
        is_chance && !by_hash
    }
}
