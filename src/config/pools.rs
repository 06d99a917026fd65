//! The first snapshot of configured pools.

use std::collections::{HashMap, HashSet};

use super::address::check_port;
use super::invalid::InvalidConfig;
use super::pool::{OriginConfig, PoolConfig, SteeringPolicy};
use crate::config::Config;
use crate::endpoint::{Endpoint, State};
use crate::limits::{OutOfRange, Percent, Weight};
use crate::pools::{InvalidPools, LoadShedding, Pool, Pools, PoolsBuilder};
use crate::steering::{IpHash, LeastConnections, LeastOutstandingRequests, Random};
use crate::time::UnixTime;

impl Config {
    /// Creates the first snapshot of these pools: those of `default_pools` in that order, and
    /// the `fallback_pool`. Other pools are not part of the load balancer. At least one pool is
    /// required.
    ///
    /// `target` makes the embedder's own value of an endpoint. `in_flight` counts the
    /// requests or connections of an endpoint for the two steering policies that ask; pass
    /// `|_| 0` where no pool steers by load.
    ///
    /// ```
    /// use session_affinity::config::{Config, OriginConfig, PoolConfig};
    /// let origins = vec![OriginConfig::new("eu-1", "10.0.0.1:80")];
    /// let eu = PoolConfig { origins, ..PoolConfig::new("eu") };
    /// let pools = Config::new("shop").pools(&[eu], |_, origin| origin.address.clone(), |_| 0)?;
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
            check(pool)?;
            if by_id.insert(pool.id.as_str(), pool).is_some() {
                return Err(InvalidConfig::DuplicatePool { field: "pools", id: pool.id.clone() });
            }
        }
        let order: Vec<&str> = match &self.default_pools {
            Some(ids) => ids.iter().map(String::as_str).collect(),
            None => pools.iter().map(|pool| pool.id.as_str()).collect(),
        };
        if order.is_empty() && self.fallback_pool.is_none() {
            let field = if self.default_pools.is_some() { "default_pools" } else { "pools" };
            return Err(InvalidConfig::NoPools { field });
        }
        let find = |field, id: &str| {
            let unknown = || InvalidConfig::UnknownPool { field, id: id.into() };
            by_id.get(id).ok_or_else(unknown)
        };
        let mut builder: PoolsBuilder<T> = Pools::builder();
        for id in &order {
            builder = builder.pool(pool(find("default_pools", id)?, &mut target, in_flight)?);
        }
        if let Some(id) = &self.fallback_pool {
            let config = find("fallback_pool", id)?;
            builder = match order.contains(&id.as_str()) {
                true => builder.fallback_in_order(id),
                false => builder.fallback_apart(pool(config, &mut target, in_flight)?),
            };
        }
        builder.build().map_err(invalid)
    }
}

/// Refuses a pool that is not valid, whether the load balancer has it or not.
fn check(config: &PoolConfig) -> Result<(), InvalidConfig> {
    crate::names::checked(config.id.clone()).map_err(InvalidConfig::PoolId)?;
    let mut names = HashSet::new();
    for origin in &config.origins {
        let (pool, name) = (&config.id, &origin.name);
        if !names.insert(name.as_str()) {
            let (pool, origin) = (pool.clone(), name.clone());
            return Err(InvalidConfig::DuplicateOrigin { pool, origin });
        }
        crate::names::checked(name.clone())
            .map_err(|source| InvalidConfig::OriginName { pool: pool.clone(), source })?;
        check_port(config, origin)?;
        weight(config, origin)?;
    }
    shedding(config)?;
    minimum_origins(config)?;
    Ok(())
}

fn pool<T: 'static>(
    config: &PoolConfig,
    target: &mut impl FnMut(&PoolConfig, &OriginConfig) -> T,
    in_flight: fn(&T) -> u32,
) -> Result<Pool<T>, InvalidConfig> {
    let mut pool = Pool::new(config.id.clone())
        .with_state(state(config.enabled, config.disabled_at))
        .with_minimum_origins(minimum_origins(config)?)
        .with_shedding(shedding(config)?);
    pool = match config.origin_steering.policy {
        SteeringPolicy::Random => pool.with_steering(Random),
        SteeringPolicy::Hash => pool.with_steering(IpHash),
        SteeringPolicy::LeastOutstandingRequests => {
            pool.with_steering(LeastOutstandingRequests(in_flight))
        }
        SteeringPolicy::LeastConnections => pool.with_steering(LeastConnections(in_flight)),
    };
    for origin in &config.origins {
        let endpoint = Endpoint::new(origin.name.clone(), target(config, origin))
            .with_weight(weight(config, origin)?)
            .with_state(state(origin.enabled, origin.disabled_at));
        pool = pool.with_endpoint(endpoint);
    }
    Ok(pool)
}

fn minimum_origins(config: &PoolConfig) -> Result<u32, InvalidConfig> {
    let most = u32::MAX.into();
    let checked =
        OutOfRange::check("minimum_origins", config.minimum_origins, 0..=most, " endpoints");
    let minimum = checked.map_err(|source| of_pool(config, source))?;
    Ok(u32::try_from(minimum).unwrap_or(u32::MAX))
}

fn weight(config: &PoolConfig, origin: &OriginConfig) -> Result<Weight, InvalidConfig> {
    Weight::from_fraction(origin.weight).map_err(|_| InvalidConfig::Weight {
        pool: config.id.clone(),
        origin: origin.name.clone(),
        weight: origin.weight,
    })
}

fn shedding(config: &PoolConfig) -> Result<LoadShedding, InvalidConfig> {
    let shedding = config.load_shedding;
    let percent = |field, value| {
        let checked = OutOfRange::check(field, value, 0..=100, " percent").and_then(Percent::new);
        checked.map_err(|source| of_pool(config, source))
    };
    Ok(LoadShedding {
        default_percent: percent("load_shedding.default_percent", shedding.default_percent)?,
        shed_by: shedding.default_policy,
        session_percent: percent("load_shedding.session_percent", shedding.session_percent)?,
    })
}

fn of_pool(config: &PoolConfig, source: OutOfRange) -> InvalidConfig {
    InvalidConfig::Pool { pool: config.id.clone(), source }
}

fn state(enabled: bool, disabled_at: Option<UnixTime>) -> State {
    if enabled { State::Enabled } else { State::Disabled { at: disabled_at } }
}

/// The error of a pool as an error of the configuration.
fn invalid(error: InvalidPools) -> InvalidConfig {
    match error {
        InvalidPools::DuplicatePool(id) => {
            InvalidConfig::DuplicatePool { field: "default_pools", id }
        }
        InvalidPools::DuplicateEndpoint { pool, endpoint } => {
            InvalidConfig::DuplicateOrigin { pool, origin: endpoint }
        }
        InvalidPools::UnknownFallback(id) => {
            InvalidConfig::UnknownPool { field: "fallback_pool", id }
        }
        InvalidPools::PoolName(source) => InvalidConfig::PoolId(source),
        InvalidPools::EndpointName { pool, source } => InvalidConfig::OriginName { pool, source },
    }
}
