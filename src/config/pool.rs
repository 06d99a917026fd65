//! Pools and their endpoints under Cloudflare's parameter names.

use std::collections::{HashMap, HashSet};

#[cfg(feature = "serde")]
use super::lenient;
use super::{Config, InvalidConfig};
use crate::bounds::{Percent, Weight};
use crate::endpoint::{Endpoint, State};
use crate::pools::{InvalidPools, Pool, Pools, PoolsBuilder};
use crate::shedding::{LoadShedding, ShedBy};
use crate::steering::{Hash, LeastConnections, LeastOutstandingRequests, Random};
use crate::time::UnixTime;

/// A pool of Cloudflare's Load Balancing API. Nothing is checked until
/// [`Config::pools`] reads it.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
pub struct PoolConfig {
    /// By which it is called everywhere: 1 to 255 bytes without control characters.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "lenient::or_default"))]
    pub id: String,
    /// Whether it is in service. Default: yes.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "lenient::or_true"))]
    pub enabled: bool,
    /// When it was disabled.
    #[cfg_attr(
        feature = "serde",
        serde(
            deserialize_with = "lenient::date",
            serialize_with = "lenient::write_date",
            skip_serializing_if = "Option::is_none"
        )
    )]
    pub disabled_at: Option<UnixTime>,
    /// How many endpoints must be healthy and enabled for it to take new sessions.
    /// Default: 1.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "lenient::whole_or_one"))]
    pub minimum_origins: u64,
    /// How it chooses.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "lenient::object"))]
    pub origin_steering: OriginSteering,
    /// Which share of its clients goes to the pools after it.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "lenient::object"))]
    pub load_shedding: LoadSheddingConfig,
    /// Its endpoints.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "lenient::objects"))]
    pub origins: Vec<OriginConfig>,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            id: String::new(),
            enabled: true,
            disabled_at: None,
            minimum_origins: 1,
            origin_steering: OriginSteering::default(),
            load_shedding: LoadSheddingConfig::default(),
            origins: Vec::new(),
        }
    }
}

/// Cloudflare: `origin_steering`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
pub struct OriginSteering {
    /// Default: random.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "lenient::or_default"))]
    pub policy: SteeringPolicy,
}

/// Cloudflare: `origin_steering.policy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
pub enum SteeringPolicy {
    /// [`Random`]. Read from `""` too.
    #[default]
    #[cfg_attr(feature = "serde", serde(alias = ""))]
    Random,
    /// [`Hash`](struct@crate::steering::Hash)
    Hash,
    /// [`LeastOutstandingRequests`]
    LeastOutstandingRequests,
    /// [`LeastConnections`]
    LeastConnections,
}

/// Cloudflare: `load_shedding`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
pub struct LoadSheddingConfig {
    /// Percent of new sessions: 0 to 100, default 0.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "lenient::whole"))]
    pub default_percent: u64,
    /// How they are picked. Default: random.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "lenient::or_default"))]
    pub default_policy: ShedBy,
    /// Percent of live sessions: 0 to 100, default 0.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "lenient::whole"))]
    pub session_percent: u64,
    /// How they are picked: there is one way.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "lenient::or_default"))]
    pub session_policy: SessionPolicy,
}

/// Cloudflare: `load_shedding.session_policy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
pub enum SessionPolicy {
    /// By the hash of the client's address. Read from `""` too.
    #[default]
    #[cfg_attr(feature = "serde", serde(alias = ""))]
    Hash,
}

/// An endpoint, which Cloudflare calls an origin.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
pub struct OriginConfig {
    /// Its name, unique in its pool: 1 to 255 bytes without control characters.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "lenient::or_default"))]
    pub name: String,
    /// Where it is: the embedder's to read.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "lenient::or_default"))]
    pub address: String,
    /// Its share of new sessions: 0 to 1 in steps of 0.01, default 1.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "lenient::fraction_or_one"))]
    pub weight: f64,
    /// Whether it is in service. Default: yes.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "lenient::or_true"))]
    pub enabled: bool,
    /// When it was disabled.
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

impl Default for OriginConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            address: String::new(),
            weight: 1.0,
            enabled: true,
            disabled_at: None,
        }
    }
}

impl Config {
    /// Makes the first snapshot of these pools: those of `default_pools` in that order, and
    /// the `fallback_pool`. Others are not part of the load balancer.
    ///
    /// `target` makes the embedder's own value of an endpoint. `in_flight` counts its
    /// requests or connections for the two steering policies that ask; `|_| 0` where none does.
    ///
    /// ```
    /// use session_affinity::config::{Config, OriginConfig, PoolConfig};
    /// let origin = OriginConfig { name: "eu-1".into(), address: "10.0.0.1:80".into(), ..OriginConfig::default() };
    /// let pool = PoolConfig { id: "eu".into(), origins: vec![origin], ..PoolConfig::default() };
    /// let pools = Config::new("shop").pools(&[pool], |_, origin| origin.address.clone(), |_| 0)?;
    /// # Ok::<(), session_affinity::config::InvalidConfig>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidConfig`] names the field, what it was and what is allowed.
    pub fn pools<T: 'static>(
        &self,
        pools: &[PoolConfig],
        mut target: impl FnMut(&PoolConfig, &OriginConfig) -> T,
        in_flight: fn(&T) -> u32,
    ) -> Result<Pools<T>, InvalidConfig> {
        let mut by_id = HashMap::with_capacity(pools.len());
        for pool in pools {
            pool.check()?;
            if by_id.insert(pool.id.as_str(), pool).is_some() {
                return Err(invalid("pools", format!("{:?} twice", pool.id), "each id once"));
            }
        }
        let order: Vec<&str> = match &self.default_pools {
            Some(ids) => ids.iter().map(String::as_str).collect(),
            None => pools.iter().map(|pool| pool.id.as_str()).collect(),
        };
        let mut builder: PoolsBuilder<T> = Pools::builder();
        for id in &order {
            let pool = by_id
                .get(id)
                .ok_or_else(|| invalid("default_pools", format!("{id:?}"), EXISTING))?;
            builder = builder.pool(pool.pool(&mut target, in_flight)?);
        }
        if let Some(id) = &self.fallback_pool {
            let pool = by_id
                .get(id.as_str())
                .ok_or_else(|| invalid("fallback_pool", format!("{id:?}"), EXISTING))?;
            builder = match order.contains(&id.as_str()) {
                true => builder.fallback(id),
                false => builder.fallback_pool(pool.pool(&mut target, in_flight)?),
            };
        }
        builder.build().map_err(|error| match error {
            InvalidPools::DuplicatePool(id) => {
                invalid("default_pools", format!("{id:?} twice"), "each id once")
            }
            InvalidPools::DuplicateEndpoint { pool, endpoint } => invalid(
                &format!("pools[{pool}].origins"),
                format!("{endpoint:?} twice"),
                "each name once in a pool",
            ),
            InvalidPools::UnknownFallback(id) => {
                invalid("fallback_pool", format!("{id:?}"), EXISTING)
            }
            InvalidPools::PoolName(id) => invalid("pools[].id", format!("{id:?}"), NAME),
            InvalidPools::EndpointName { pool, endpoint } => {
                invalid(&format!("pools[{pool}].origins[].name"), format!("{endpoint:?}"), NAME)
            }
        })
    }
}

impl PoolConfig {
    fn check(&self) -> Result<(), InvalidConfig> {
        crate::names::Name::new(self.id.clone())
            .map_err(|_| invalid("pools.id", format!("{:?}", self.id), NAME))?;
        let mut names = HashSet::new();
        for origin in &self.origins {
            if !names.insert(origin.name.as_str()) {
                let field = format!("pools[{}].origins", self.id);
                return Err(invalid(
                    &field,
                    format!("{:?} twice", origin.name),
                    "each name once in a pool",
                ));
            }
            let field = format!("pools[{}].origins.name", self.id);
            crate::names::Name::new(origin.name.clone())
                .map_err(|_| invalid(&field, format!("{:?}", origin.name), NAME))?;
            self.weight(origin)?;
        }
        self.shedding()?;
        self.minimum_origins()?;
        Ok(())
    }

    fn pool<T: 'static>(
        &self,
        target: &mut impl FnMut(&PoolConfig, &OriginConfig) -> T,
        in_flight: fn(&T) -> u32,
    ) -> Result<Pool<T>, InvalidConfig> {
        let mut pool = Pool {
            state: state(self.enabled, self.disabled_at),
            minimum_origins: self.minimum_origins()?,
            shedding: self.shedding()?,
            ..Pool::new(self.id.clone())
        };
        pool = match self.origin_steering.policy {
            SteeringPolicy::Random => pool.steering(Random),
            SteeringPolicy::Hash => pool.steering(Hash),
            SteeringPolicy::LeastOutstandingRequests => {
                pool.steering(LeastOutstandingRequests(in_flight))
            }
            SteeringPolicy::LeastConnections => pool.steering(LeastConnections(in_flight)),
        };
        for origin in &self.origins {
            pool = pool.endpoint(Endpoint {
                weight: self.weight(origin)?,
                state: state(origin.enabled, origin.disabled_at),
                ..Endpoint::new(origin.name.clone(), target(self, origin))
            });
        }
        Ok(pool)
    }

    fn minimum_origins(&self) -> Result<u32, InvalidConfig> {
        let field = format!("pools[{}].minimum_origins", self.id);
        u32::try_from(self.minimum_origins).map_err(|_| {
            invalid(&field, self.minimum_origins.to_string(), "0 to 4294967295 endpoints")
        })
    }

    fn weight(&self, origin: &OriginConfig) -> Result<Weight, InvalidConfig> {
        let field = || format!("pools[{}].origins[{}].weight", self.id, origin.name);
        Weight::from_fraction(origin.weight)
            .ok_or_else(|| invalid(&field(), origin.weight.to_string(), "0 to 1 in steps of 0.01"))
    }

    fn shedding(&self) -> Result<LoadShedding, InvalidConfig> {
        let LoadSheddingConfig {
            default_percent,
            default_policy,
            session_percent,
            session_policy: SessionPolicy::Hash,
        } = self.load_shedding;
        let percent = |name: &str, value: u64| {
            let field = format!("pools[{}].load_shedding.{name}", self.id);
            Percent::new(value).map_err(|_| invalid(&field, value.to_string(), "0 to 100 percent"))
        };
        Ok(LoadShedding {
            default_percent: percent("default_percent", default_percent)?,
            default_policy,
            session_percent: percent("session_percent", session_percent)?,
        })
    }
}

const NAME: &str = "1 to 255 bytes without control characters";
const EXISTING: &str = "the id of a pool that exists";

fn invalid(field: &str, value: String, allowed: &'static str) -> InvalidConfig {
    InvalidConfig::Pool { field: field.into(), value, allowed }
}

fn state(enabled: bool, disabled_at: Option<UnixTime>) -> State {
    if enabled { State::Enabled } else { State::Disabled { at: disabled_at } }
}
