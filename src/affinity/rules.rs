//! The values of the parameters that hold for every policy.

use crate::cookies::CacheGuard;
use crate::failover::{FailoverMode, FailoverScope, MoveWithin, OnLoss};
use crate::limits::{CoolingOff, DrainDuration, Retries};

/// The parameters of one load balancer that no policy sees.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rules {
    pub(super) failover_mode: FailoverMode,
    pub(super) failover_scope: FailoverScope,
    pub(super) retries: Retries,
    pub(super) drain_duration: DrainDuration,
    pub(super) cooling_off: CoolingOff,
    pub(super) on_loss: OnLoss,
    /// `None`: by the order of the pools.
    pub(super) move_within: Option<MoveWithin>,
    pub(super) cache_guard: CacheGuard,
}
