//! What holds for all policies, parameter by parameter.

use super::Affinity;
use crate::bounds::{CoolingOff, DrainDuration, Ipv6Prefix, Retries};
use crate::client::ClientHash;
use crate::cookies::CacheGuard;
use crate::failover::FailoverMode;
use crate::policy::AffinityPolicy;

impl<P: AffinityPolicy> Affinity<P> {
    /// With this failover mode.
    ///
    /// # Errors
    /// [`UnsupportedMode`] when the policy does not support it: `header` with `sticky`.
    pub fn with_failover(mut self, mode: FailoverMode) -> Result<Self, UnsupportedMode> {
        if !self.policy.supports(mode) {
            return Err(UnsupportedMode { mode });
        }
        self.mode = mode;
        Ok(self)
    }

    /// With this many further tries after a passive failure.
    #[must_use]
    pub fn with_retries(mut self, retries: Retries) -> Self {
        self.retries = retries;
        self
    }

    /// With or without failover to other pools.
    #[must_use]
    pub fn with_across_pools(mut self, across_pools: AcrossPools) -> Self {
        self.across_pools = across_pools;
        self
    }

    /// With this time for a disabled endpoint to drain.
    #[must_use]
    pub fn with_drain_duration(mut self, drain_duration: DrainDuration) -> Self {
        self.drain_duration = drain_duration;
        self
    }

    /// With this time for which an endpoint is suspect after a passive failure.
    #[must_use]
    pub fn with_cooling_off(mut self, cooling_off: CoolingOff) -> Self {
        self.cooling_off = cooling_off;
        self
    }

    /// With this many bits of an IPv6 address.
    #[must_use]
    pub fn with_ipv6_prefix(mut self, ipv6_prefix: Ipv6Prefix) -> Self {
        self.clients = ClientHash::new(&self.load_balancer, ipv6_prefix);
        self
    }

    /// With or without the guard against shared caches.
    #[must_use]
    pub fn with_cache_guard(mut self, cache_guard: CacheGuard) -> Self {
        self.cache_guard = cache_guard;
        self
    }
}

/// Whether failover leaves the pool of the endpoint that could not be connected to.
/// Cloudflare: `adaptive_routing.failover_across_pools`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AcrossPools {
    /// It stays in the pool.
    #[default]
    No,
    /// After the pool's own endpoints it tries the other open pools in order.
    Yes,
}

/// A failover mode that the policy cannot keep its promise in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "session_affinity_attributes.zero_downtime_failover is {mode:?}; allowed for this policy: another mode"
)]
pub struct UnsupportedMode {
    /// The mode.
    pub mode: FailoverMode,
}
