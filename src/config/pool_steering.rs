//! The order of the pools, under Cloudflare's parameter names.

use std::collections::BTreeMap;
use std::fmt;

#[cfg(feature = "serde")]
use super::lenient;

/// The order of the pools for sessions that begin or move. Cloudflare: `steering_policy`.
///
/// The orders that depend on the place of the client are read, and refused by
/// [`Config::pools`](super::Config::pools): an embedder that knows the place gives the pools in an
/// order of its own, or orders them by a [`PoolSteering`](crate::steering::PoolSteering).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[expect(clippy::exhaustive_enums, reason = "these are Cloudflare's seven policies")]
pub enum PoolSteeringPolicy {
    /// The pools are used in the order of `default_pools`. Read from `""` too.
    #[default]
    #[cfg_attr(feature = "serde", serde(alias = ""))]
    Off,
    /// Steers by weight: [`Random`](crate::steering::Random).
    Random,
    /// Steers by weight and load:
    /// [`LeastOutstandingRequests`](crate::steering::LeastOutstandingRequests).
    LeastOutstandingRequests,
    /// Steers by weight and load: [`LeastConnections`](crate::steering::LeastConnections).
    LeastConnections,
    /// Steers by the region of the client. Refused.
    Geo,
    /// Steers by the distance of the client. Refused.
    Proximity,
    /// Steers by the round-trip time of health checks. Refused.
    DynamicLatency,
}

impl PoolSteeringPolicy {
    /// Returns the value as Cloudflare's API writes it, `least_connections` for example.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Random => "random",
            Self::LeastOutstandingRequests => "least_outstanding_requests",
            Self::LeastConnections => "least_connections",
            Self::Geo => "geo",
            Self::Proximity => "proximity",
            Self::DynamicLatency => "dynamic_latency",
        }
    }
}

impl fmt::Display for PoolSteeringPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The weights of the pools, for every policy but `off`. Cloudflare: `random_steering`.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[expect(clippy::exhaustive_structs, reason = "written with `..RandomSteering::default()`")]
pub struct RandomSteering {
    /// The weight of pools that `pool_weights` does not name: 0 to 1 in steps of 0.01. `None`: as
    /// before; 1 for a new pool.
    #[cfg_attr(
        feature = "serde",
        serde(
            deserialize_with = "lenient::fraction_or_one",
            skip_serializing_if = "Option::is_none"
        )
    )]
    pub default_weight: Option<f64>,
    /// The weights of pools by their ids: 0 to 1 in steps of 0.01. The ids of pools that the load
    /// balancer does not have are ignored.
    #[cfg_attr(
        feature = "serde",
        serde(deserialize_with = "lenient::weights", skip_serializing_if = "BTreeMap::is_empty")
    )]
    pub pool_weights: BTreeMap<String, f64>,
}

/// Reads the weights of the pools; null states the default.
#[cfg(feature = "serde")]
pub(super) fn weights<'de, D: serde::Deserializer<'de>>(
    input: D,
) -> Result<RandomSteering, D::Error> {
    let stated = RandomSteering { default_weight: Some(1.0), ..RandomSteering::default() };
    Ok(lenient::object_or_null(input)?.unwrap_or(stated))
}
