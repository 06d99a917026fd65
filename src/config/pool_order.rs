//! The order and the weights of configured pools, checked.

use super::invalid::InvalidConfig;
use super::pool_steering::{PoolSteeringPolicy, RandomSteering};
use crate::limits::Weight;
use crate::pools::PoolsBuilder;
use crate::steering::{LeastConnections, LeastOutstandingRequests, Random};

impl PoolSteeringPolicy {
    /// Sets the order of the pools that are being built.
    pub(super) fn steer<T: 'static>(
        self,
        pools: PoolsBuilder<T>,
        in_flight: fn(&T) -> u32,
    ) -> Result<PoolsBuilder<T>, InvalidConfig> {
        Ok(match self {
            Self::Off => pools,
            Self::Random => pools.with_pool_steering(Random),
            Self::LeastOutstandingRequests => {
                pools.with_pool_steering(LeastOutstandingRequests(in_flight))
            }
            Self::LeastConnections => pools.with_pool_steering(LeastConnections(in_flight)),
            Self::Geo | Self::Proximity | Self::DynamicLatency => {
                return Err(InvalidConfig::SteeringPolicy { policy: self });
            }
        })
    }
}

impl RandomSteering {
    /// Refuses a weight that is not valid, whether the load balancer has its pool or not.
    pub(super) fn check(&self) -> Result<(), InvalidConfig> {
        if let Some(weight) = self.default_weight {
            checked(None, weight)?;
        }
        self.pool_weights.iter().try_for_each(|(id, weight)| checked(Some(id), *weight).map(|_| ()))
    }

    /// Returns the weight that is configured for a pool, if one is.
    pub(super) fn weight(&self, id: &str) -> Result<Option<Weight>, InvalidConfig> {
        match (self.pool_weights.get(id), self.default_weight) {
            (Some(weight), _) => checked(Some(id), *weight).map(Some),
            (None, Some(weight)) => checked(None, weight).map(Some),
            (None, None) => Ok(None),
        }
    }
}

/// Checks the weight of a pool, or without one the default weight.
fn checked(pool: Option<&str>, weight: f64) -> Result<Weight, InvalidConfig> {
    let pool = pool.map(Into::into);
    Weight::from_fraction(weight).map_err(|_| InvalidConfig::PoolWeight { pool, weight })
}
