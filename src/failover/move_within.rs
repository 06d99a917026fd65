//! The pools in which a moved session looks first.

use std::fmt;

/// The pool in which a session that moves looks first: one whose endpoint does not take it any
/// more. It holds for a session that is lent for the same reason too.
///
/// | | looks first in | fits pools that are |
/// |---|---|---|
/// | [`Order`](Self::Order) | the first open pool of the order | primary and backup |
/// | [`OwnPool`](Self::OwnPool) | the pool that it was in, while that is open | peers, or versions of a service |
///
/// The default is `Order` for pools in the order in which they were given, and `OwnPool` for pools
/// that a [`PoolSteering`](crate::steering::PoolSteering) orders. Set it by
/// [`Affinity::with_move_within`](crate::Affinity::with_move_within).
///
/// ```
/// use session_affinity::failover::MoveWithin;
/// assert_eq!(MoveWithin::OwnPool.to_string(), "own_pool");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[expect(clippy::exhaustive_enums, reason = "complete by definition: the own pool or none")]
pub enum MoveWithin {
    /// From the start of the order.
    Order,
    /// The session's own pool while it is open and one of those in the order, then the order. The
    /// pool of a removed endpoint is remembered by the snapshots that follow, for the last 1 024
    /// endpoints that [`Pools::rebuild`](crate::Pools::rebuild) has left out.
    OwnPool,
}

impl MoveWithin {
    /// Returns the value as text: `order` or `own_pool`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::OwnPool => "own_pool",
        }
    }
}

impl fmt::Display for MoveWithin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
