//! The structs of the configuration as they are read: the fields once more, each with the way in which
//! it is written. A field that is missing here is an error of the compiler.

use serde::de::{Deserialize, Deserializer};

use super::object::ObjectOnly;
use super::{
    AdaptiveRouting, BoundedLoadConfig, CarrierConfig, Config, CookieConfig, Extensions,
    LoadSheddingConfig, OriginConfig, OriginSteering, PoolConfig, PoolSteeringPolicy,
    RandomSteering, SessionAffinity, SessionAffinityAttributes,
};
use super::{lenient, named, pool_steering};
use crate::failover::{MoveWithin, OnLoss};
use crate::keys::Secret;
use crate::time::UnixTime;

#[derive(serde::Deserialize)]
#[serde(remote = "Config", default = "Config::unnamed")]
struct WrittenConfig {
    #[serde(deserialize_with = "lenient::or_default")]
    name: String,
    #[serde(deserialize_with = "lenient::or_default")]
    session_affinity: SessionAffinity,
    #[serde(deserialize_with = "lenient::whole_option")]
    session_affinity_ttl: Option<u64>,
    #[serde(deserialize_with = "lenient::object")]
    session_affinity_attributes: SessionAffinityAttributes,
    #[serde(deserialize_with = "lenient::object")]
    adaptive_routing: AdaptiveRouting,
    #[serde(deserialize_with = "lenient::or_default")]
    steering_policy: PoolSteeringPolicy,
    #[serde(deserialize_with = "pool_steering::weights")]
    random_steering: RandomSteering,
    default_pools: Option<Vec<String>>,
    fallback_pool: Option<String>,
    #[serde(skip)]
    extensions: Extensions,
}

#[derive(serde::Deserialize)]
#[serde(remote = "Extensions", default = "Extensions::default", deny_unknown_fields)]
struct WrittenExtensions {
    #[serde(deserialize_with = "lenient::whole_number")]
    retries: u64,
    #[serde(deserialize_with = "lenient::whole_number")]
    ipv6_prefix: u64,
    #[serde(deserialize_with = "lenient::whole_number")]
    clock_skew: u64,
    #[serde(deserialize_with = "lenient::whole_number")]
    cooling_off: u64,
    #[serde(deserialize_with = "named::on_loss")]
    on_loss: OnLoss,
    #[serde(deserialize_with = "named::move_within")]
    move_within: Option<MoveWithin>,
    #[serde(deserialize_with = "lenient::object_or_null")]
    bounded_load: Option<BoundedLoadConfig>,
    always_use_https: bool,
    cache_guard: bool,
    #[serde(deserialize_with = "lenient::some")]
    session_secret: Option<Secret>,
    #[serde(deserialize_with = "named::carrier")]
    carrier: CarrierConfig,
    #[serde(deserialize_with = "lenient::some_object")]
    cookie: CookieConfig,
}

#[derive(serde::Deserialize)]
#[serde(remote = "BoundedLoadConfig", deny_unknown_fields)]
struct WrittenBound {
    #[serde(deserialize_with = "lenient::whole_number")]
    percent: u64,
    #[serde(deserialize_with = "lenient::whole_number")]
    at_least: u64,
}

#[derive(serde::Deserialize)]
#[serde(remote = "PoolConfig", default = "PoolConfig::unnamed")]
struct WrittenPool {
    #[serde(deserialize_with = "lenient::or_default")]
    id: String,
    #[serde(deserialize_with = "lenient::or_true")]
    enabled: Option<bool>,
    #[serde(deserialize_with = "lenient::date")]
    disabled_at: Option<UnixTime>,
    #[serde(deserialize_with = "lenient::whole_or_one")]
    minimum_origins: Option<u64>,
    #[serde(deserialize_with = "lenient::object")]
    origin_steering: OriginSteering,
    #[serde(deserialize_with = "lenient::object_option")]
    load_shedding: Option<LoadSheddingConfig>,
    #[serde(deserialize_with = "lenient::objects")]
    origins: Vec<OriginConfig>,
}

/// Reads a type by the struct of its fields, from an object alone.
macro_rules! read {
    ($($name:ident as $written:ident,)*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
                $written::deserialize(ObjectOnly(input))
            }
        }
    )*};
}

read! {
    Config as WrittenConfig,
    Extensions as WrittenExtensions,
    BoundedLoadConfig as WrittenBound,
    PoolConfig as WrittenPool,
}
