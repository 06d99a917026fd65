//! The order of the pools for one request: from the start, from the session's own pool on, and
//! after a pool that sheds.

use super::search::{Chooser, Search};
use crate::failover::MoveWithin;
use crate::pools::{InOrder, PoolView};
use crate::steering::Seed;

impl<'p, T> Search<'p, '_, T> {
    /// The open pools in the order of this request.
    pub(super) fn in_order(&self) -> InOrder<'p, T> {
        self.pools.in_order(|seeding| match self.chooser {
            Chooser::Key(seed) => Seed::Stable(seed),
            Chooser::Pin(pin) => Seed::Stable(pin.seed()),
            Chooser::Policy(seed) => self.seed(seed, seeding),
        })
    }

    /// The open pools for a session that leaves an endpoint of this pool, if the pool is known.
    pub(super) fn in_order_from(
        &self,
        own: Option<PoolView<'p, T>>,
    ) -> impl Iterator<Item = PoolView<'p, T>> + Clone + use<'p, T> {
        let own = own.filter(|own| {
            self.move_within() == MoveWithin::OwnPool && own.is_in_order() && own.is_open()
        });
        let first = own.map(PoolView::index);
        let others = self.in_order().filter(move |pool| Some(pool.index()) != first);
        own.into_iter().chain(others)
    }

    /// The open pools for a live session that this pool sheds: those after it. Where the pools are
    /// steered, no place is the last one, so these are all others that do not shed the session in
    /// their turn.
    pub(super) fn in_order_after<'s>(
        &'s self,
        own: PoolView<'p, T>,
    ) -> impl Iterator<Item = PoolView<'p, T>> + Clone + use<'p, 's, T> {
        let is_steered = self.pools.pool_steering().is_some();
        self.in_order().filter(move |pool| match is_steered {
            false => pool.index() > own.index(),
            true => pool.index() != own.index() && !self.sheds_session(*pool),
        })
    }

    /// Returns whether the order for a new session would use random bits.
    pub(super) fn orders_by_entropy(&self) -> bool {
        self.pools.order_seeding().is_some_and(|seeding| self.chooses_by_entropy(seeding))
    }

    fn move_within(&self) -> MoveWithin {
        self.rules.move_within.unwrap_or(match self.pools.pool_steering() {
            None => MoveWithin::Order,
            Some(_) => MoveWithin::OwnPool,
        })
    }
}
