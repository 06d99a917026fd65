//! Pools and their endpoints, under Cloudflare's parameter names.

#[cfg(feature = "serde")]
use super::lenient;
use crate::pools::ShedBy;
use crate::time::UnixTime;

/// A pool of Cloudflare's Load Balancing API. [`Config::pools`](super::Config::pools) checks it.
///
/// A field that is `None` states nothing: it is the default in a first snapshot, and as before where
/// [`Config::rebuild`](super::Config::rebuild) knows the pool or the endpoint already. In JSON, an
/// absent key is `None` and null states the default, so that a reloaded answer of Cloudflare's API
/// leaves no value of before.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[expect(clippy::exhaustive_structs, reason = "written with `..PoolConfig::new(…)`")]
pub struct PoolConfig {
    /// The name of the pool: 1 to 255 bytes without control characters.
    pub id: String,
    /// States that the pool is in service, or that it is not. `None`: as before; true for a new
    /// pool.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub enabled: Option<bool>,
    /// The time at which the pool was disabled. Ignored unless `enabled` is false. `None`: not known,
    /// so the drain is over; as before for a pool that was disabled already.
    #[cfg_attr(
        feature = "serde",
        serde(serialize_with = "lenient::write_date", skip_serializing_if = "Option::is_none")
    )]
    pub disabled_at: Option<UnixTime>,
    /// The number of healthy and enabled endpoints without which the pool takes no new sessions.
    /// `None`: as before; 1 for a new pool.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub minimum_origins: Option<u64>,
    /// The steering among the endpoints.
    pub origin_steering: OriginSteering,
    /// The share of clients that goes to the pools after this one. `None`: as before; 0 for a new
    /// pool.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub load_shedding: Option<LoadSheddingConfig>,
    /// The endpoints of the pool.
    pub origins: Vec<OriginConfig>,
}

impl PoolConfig {
    /// A pool of this name without endpoints, of which nothing is stated.
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            enabled: None,
            disabled_at: None,
            minimum_origins: None,
            origin_steering: OriginSteering::default(),
            load_shedding: None,
            origins: Vec::new(),
        }
    }

    /// The values of absent keys.
    #[cfg(feature = "serde")]
    pub(super) fn unnamed() -> Self {
        Self::new("")
    }
}

/// The steering among the endpoints of a pool. Cloudflare: `origin_steering`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[expect(clippy::exhaustive_structs, reason = "written with `..OriginSteering::default()`")]
pub struct OriginSteering {
    /// The policy of the steering. Default: random.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "lenient::or_default"))]
    pub policy: SteeringPolicy,
}

/// The policy of a pool's steering. Cloudflare: `origin_steering.policy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[expect(clippy::exhaustive_enums, reason = "these are Cloudflare's four policies")]
pub enum SteeringPolicy {
    /// Steers by entropy: [`Random`](crate::steering::Random). Read from `""` too.
    #[default]
    #[cfg_attr(feature = "serde", serde(alias = ""))]
    Random,
    /// Steers by the client's address: [`IpHash`](crate::steering::IpHash).
    Hash,
    /// Steers by load: [`LeastOutstandingRequests`](crate::steering::LeastOutstandingRequests).
    LeastOutstandingRequests,
    /// Steers by load: [`LeastConnections`](crate::steering::LeastConnections).
    LeastConnections,
}

/// The load shedding of a pool. Cloudflare: `load_shedding`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(from = "LoadSheddingObject", into = "LoadSheddingObject")
)]
#[expect(clippy::exhaustive_structs, reason = "written with `..LoadSheddingConfig::default()`")]
pub struct LoadSheddingConfig {
    /// The percentage of new sessions that is shed: 0 to 100, default 0.
    pub default_percent: u64,
    /// The number by which new sessions are shed. Default: random.
    pub default_policy: ShedBy,
    /// The percentage of live sessions that is shed, by the hash of the client's address, or of the
    /// session key for `header`: 0 to
    /// 100, default 0.
    pub session_percent: u64,
}

/// The object as Cloudflare's API writes it.
#[cfg(feature = "serde")]
#[derive(Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
struct LoadSheddingObject {
    #[serde(deserialize_with = "lenient::whole")]
    default_percent: u64,
    #[serde(deserialize_with = "lenient::or_default")]
    default_policy: ShedBy,
    #[serde(deserialize_with = "lenient::whole")]
    session_percent: u64,
    #[serde(deserialize_with = "lenient::or_default")]
    session_policy: SessionPolicy,
}

/// Cloudflare: `load_shedding.session_policy`, which has one value.
#[cfg(feature = "serde")]
#[derive(Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum SessionPolicy {
    #[default]
    #[serde(alias = "")]
    Hash,
}

#[cfg(feature = "serde")]
impl From<LoadSheddingObject> for LoadSheddingConfig {
    fn from(object: LoadSheddingObject) -> Self {
        let LoadSheddingObject { default_percent, default_policy, session_percent, .. } = object;
        Self { default_percent, default_policy, session_percent }
    }
}

#[cfg(feature = "serde")]
impl From<LoadSheddingConfig> for LoadSheddingObject {
    fn from(config: LoadSheddingConfig) -> Self {
        let LoadSheddingConfig { default_percent, default_policy, session_percent } = config;
        let session_policy = SessionPolicy::Hash;
        Self { default_percent, default_policy, session_percent, session_policy }
    }
}

/// An endpoint of a pool, which Cloudflare calls an origin. Its fields are `None` as those of
/// [`PoolConfig`] are.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default = "OriginConfig::unnamed")
)]
#[expect(clippy::exhaustive_structs, reason = "written with `..OriginConfig::new(…)`")]
pub struct OriginConfig {
    /// The name of the endpoint, unique in its pool: 1 to 255 bytes without control characters.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "lenient::or_default"))]
    pub name: String,
    /// The address of the endpoint, with or without a port: [`OriginConfig::authority`].
    #[cfg_attr(feature = "serde", serde(deserialize_with = "lenient::or_default"))]
    pub address: String,
    /// The port of the endpoint, where the address has none. Default, and 0: the port of the scheme.
    #[cfg_attr(
        feature = "serde",
        serde(deserialize_with = "lenient::port", skip_serializing_if = "Option::is_none")
    )]
    pub port: Option<u16>,
    /// The share of new sessions: 0 to 1 in steps of 0.01. `None`: as before; 1 for a new endpoint.
    #[cfg_attr(
        feature = "serde",
        serde(
            deserialize_with = "lenient::fraction_or_one",
            skip_serializing_if = "Option::is_none"
        )
    )]
    pub weight: Option<f64>,
    /// States that the endpoint is in service, or that it is not. `None`: as before; true for a new
    /// endpoint.
    #[cfg_attr(
        feature = "serde",
        serde(deserialize_with = "lenient::or_true", skip_serializing_if = "Option::is_none")
    )]
    pub enabled: Option<bool>,
    /// The time at which the endpoint was disabled. Ignored unless `enabled` is false. `None`: not
    /// known, so the drain is over; as before for an endpoint that was disabled already.
    #[cfg_attr(
        feature = "serde",
        serde(
            deserialize_with = "lenient::date",
            serialize_with = "lenient::write_date",
            skip_serializing_if = "Option::is_none"
        )
    )]
    pub disabled_at: Option<UnixTime>,
}

impl OriginConfig {
    /// An endpoint of this name and address, of which nothing else is stated.
    pub fn new(name: impl Into<String>, address: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            address: address.into(),
            port: None,
            weight: None,
            enabled: None,
            disabled_at: None,
        }
    }

    /// The values of absent keys.
    #[cfg(feature = "serde")]
    fn unnamed() -> Self {
        Self::new("", "")
    }
}
