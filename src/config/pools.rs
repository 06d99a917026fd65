//! The first snapshot of configured pools, and the next one after a reload.

use std::collections::{HashMap, HashSet};

use super::address::check_address;
use super::invalid::InvalidConfig;
use super::pool::{OriginConfig, PoolConfig, SteeringPolicy};
use crate::config::Config;
use crate::endpoint::{Endpoint, EndpointId, Health, State};
use crate::limits::{BoundedLoad, OutOfRange, Percent, Weight};
use crate::pools::{InvalidPools, LoadShedding, Pool, Pools, PoolsBuilder};
use crate::steering::{IpHash, LeastConnections, LeastOutstandingRequests, Random, Room};
use crate::time::UnixTime;

impl Config {
    /// Creates the first snapshot of these pools: those of `default_pools` in that order, and
    /// the `fallback_pool`. Other pools are not part of the load balancer. At least one pool is
    /// required.
    ///
    /// `initial` is the health of all endpoints: with health checks [`Health::Unchecked`], so that each
    /// takes new sessions from its first good check on; without them [`Health::Healthy`].
    /// `target` makes the embedder's own value of an endpoint. `in_flight` counts the
    /// requests or connections of an endpoint for the two steering policies that ask, and for
    /// [`bounded_load`](super::Extensions::bounded_load); pass `|_| 0` where neither is used.
    ///
    /// ```
    /// use session_affinity::Health;
    /// use session_affinity::config::{Config, OriginConfig, PoolConfig};
    ///
    /// let origins = vec![OriginConfig::new("eu-1", "10.0.0.1:80")];
    /// let eu = PoolConfig { origins, ..PoolConfig::new("eu") };
    /// let target = |_: &PoolConfig, origin: &OriginConfig| origin.authority();
    /// let pools = Config::new("shop").pools(&[eu], Health::Healthy, target, |_| 0)?;
    /// # Ok::<(), session_affinity::config::InvalidConfig>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidConfig`] names the field, what it was and what is allowed.
    pub fn pools<T: 'static>(
        &self,
        pools: &[PoolConfig],
        initial: Health,
        mut target: impl FnMut(&PoolConfig, &OriginConfig) -> T,
        in_flight: fn(&T) -> u32,
    ) -> Result<Pools<T>, InvalidConfig> {
        let builder = Pools::builder().with_initial_health(initial);
        self.snapshot(builder, None, pools, |pool, origin, _| target(pool, origin), in_flight)
    }

    /// Creates the snapshot of a configuration that was reloaded, from the snapshot `before`.
    ///
    /// | of an endpoint or a pool that is in both | |
    /// |---|---|
    /// | health, suspects, census | as before; the health of a new endpoint is `initial` |
    /// | `weight`, `enabled`, `minimum_origins`, `load_shedding`, the weight of a pool in `random_steering` | as configured; as before where they are `None` |
    /// | `disabled_at`, with `enabled` false | as configured; where it is `None`, the time of before for one that was disabled already. One that was not has no drain then: its drain is over |
    /// | `origin_steering`, `steering_policy`, `bounded_load`, the order of the pools, the fallback pool | as configured |
    ///
    /// Everything else is as [`Config::pools`] and [`Pools::rebuild`] have it: an endpoint is in both
    /// when its name and the id of its pool are, one that is not configured is removed.
    ///
    /// `target` makes the embedder's own value of an endpoint. Its third argument is the value of
    /// before, where there is one: clone it to keep connections and counters, unless the address is
    /// another one.
    ///
    /// ```
    /// use session_affinity::config::{Config, OriginConfig, PoolConfig};
    /// use session_affinity::pools::LivePools;
    /// use session_affinity::{EndpointId, Health};
    ///
    /// # let eu = |origins: &[(&str, &str)]| PoolConfig {
    /// #     origins: origins.iter().map(|(name, address)| OriginConfig::new(*name, *address)).collect(),
    /// #     ..PoolConfig::new("eu")
    /// # };
    /// # let config = Config::new("shop");
    /// # let file = [eu(&[("eu-1", "10.0.0.1:80")])];
    /// let target = |_: &PoolConfig, origin: &OriginConfig| origin.authority();
    /// let live = LivePools::new(config.pools(&file, Health::Unchecked, target, |_| 0)?);
    /// let eu_1 = EndpointId::new("eu", "eu-1");
    /// live.edit(|edit| edit.health(eu_1, Health::Healthy))?; // a health check
    ///
    /// # let file = [eu(&[("eu-1", "10.0.0.1:80"), ("eu-2", "10.0.0.2:80")])];
    /// // The file has another endpoint now.
    /// live.update(|now| {
    ///     let target = |_: &PoolConfig, origin: &OriginConfig, before: Option<&String>| match before {
    ///         Some(address) if *address == origin.authority() => address.clone(),
    ///         _ => origin.authority(),
    ///     };
    ///     config.rebuild(now, &file, Health::Unchecked, target, |_| 0)
    /// })?;
    /// let pools = live.load();
    /// let health = |name| pools.endpoint(EndpointId::new("eu", name)).map(|it| it.health());
    /// assert_eq!(health("eu-1"), Some(Health::Healthy));
    /// assert_eq!(health("eu-2"), Some(Health::Unchecked));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidConfig`] names the field, what it was and what is allowed.
    pub fn rebuild<T: 'static>(
        &self,
        before: &Pools<T>,
        pools: &[PoolConfig],
        initial: Health,
        target: impl FnMut(&PoolConfig, &OriginConfig, Option<&T>) -> T,
        in_flight: fn(&T) -> u32,
    ) -> Result<Pools<T>, InvalidConfig> {
        let builder = before.rebuild().with_initial_health(initial);
        self.snapshot(builder, Some(before), pools, target, in_flight)
    }

    fn snapshot<T: 'static>(
        &self,
        builder: PoolsBuilder<T>,
        before: Option<&Pools<T>>,
        pools: &[PoolConfig],
        mut target: impl FnMut(&PoolConfig, &OriginConfig, Option<&T>) -> T,
        in_flight: fn(&T) -> u32,
    ) -> Result<Pools<T>, InvalidConfig> {
        let mut by_id = HashMap::with_capacity(pools.len());
        for pool in pools {
            check(pool)?;
            if by_id.insert(pool.id.as_str(), pool).is_some() {
                return Err(InvalidConfig::DuplicatePool { field: "pools", id: pool.id.clone() });
            }
        }
        let bound = self.extensions.bound()?;
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
        self.random_steering.check()?;
        let mut builder = self.steering_policy.steer(builder, in_flight)?;
        for id in &order {
            let config = find("default_pools", id)?;
            let mut pool = pool(config, before, &mut target, in_flight, bound)?;
            pool.weight = self.random_steering.weight(id)?;
            builder = builder.pool(pool);
        }
        if let Some(id) = &self.fallback_pool {
            let config = find("fallback_pool", id)?;
            builder = match order.contains(&id.as_str()) {
                true => builder.fallback_in_order(id),
                false => {
                    builder.fallback_apart(pool(config, before, &mut target, in_flight, bound)?)
                }
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
            .map_err(|error| InvalidConfig::OriginName { pool: pool.clone(), error })?;
        check_address(config, origin)?;
        weight(config, origin)?;
    }
    shedding(config)?;
    minimum_origins(config)?;
    Ok(())
}

fn pool<T: 'static>(
    config: &PoolConfig,
    before: Option<&Pools<T>>,
    target: &mut impl FnMut(&PoolConfig, &OriginConfig, Option<&T>) -> T,
    in_flight: fn(&T) -> u32,
    bound: Option<BoundedLoad>,
) -> Result<Pool<T>, InvalidConfig> {
    let mut pool = Pool::new(config.id.clone());
    let known = before.and_then(|before| before.pool(&config.id)).map(|pool| pool.state());
    pool.state = state(config.enabled, config.disabled_at, known);
    pool.minimum_origins = minimum_origins(config)?;
    pool.shedding = shedding(config)?;
    pool = match config.origin_steering.policy {
        SteeringPolicy::Random => pool.with_steering(Random),
        SteeringPolicy::Hash => pool.with_steering(IpHash),
        SteeringPolicy::LeastOutstandingRequests => {
            pool.with_steering(LeastOutstandingRequests(in_flight))
        }
        SteeringPolicy::LeastConnections => pool.with_steering(LeastConnections(in_flight)),
    };
    pool.room = bound.map(|bound| Room::bounded(bound, in_flight));
    for origin in &config.origins {
        let id = EndpointId::new(&config.id, &origin.name);
        let known = before.and_then(|before| before.endpoint(id));
        let target = target(config, origin, known.map(|endpoint| endpoint.target()));
        let mut endpoint = Endpoint::new(origin.name.clone(), target);
        endpoint.weight = weight(config, origin)?;
        let known = known.map(|endpoint| endpoint.state());
        endpoint.state = state(origin.enabled, origin.disabled_at, known);
        pool = pool.with_endpoint(endpoint);
    }
    Ok(pool)
}

fn minimum_origins(config: &PoolConfig) -> Result<Option<u32>, InvalidConfig> {
    let Some(minimum) = config.minimum_origins else { return Ok(None) };
    let checked = OutOfRange::check("minimum_origins", minimum, 0..=u32::MAX.into(), " endpoints");
    let minimum = checked.map_err(|error| of_pool(config, error))?;
    Ok(Some(u32::try_from(minimum).unwrap_or(u32::MAX)))
}

fn weight(config: &PoolConfig, origin: &OriginConfig) -> Result<Option<Weight>, InvalidConfig> {
    let Some(weight) = origin.weight else { return Ok(None) };
    let (pool, origin) = (config.id.clone(), origin.name.clone());
    let checked = Weight::from_fraction(weight);
    checked.map(Some).map_err(|_| InvalidConfig::Weight { pool, origin, weight })
}

fn shedding(config: &PoolConfig) -> Result<Option<LoadShedding>, InvalidConfig> {
    let Some(shedding) = config.load_shedding else { return Ok(None) };
    let percent = |field, value| {
        let checked = OutOfRange::check(field, value, 0..=100, " percent").and_then(Percent::new);
        checked.map_err(|error| of_pool(config, error))
    };
    Ok(Some(LoadShedding {
        default_percent: percent("load_shedding.default_percent", shedding.default_percent)?,
        shed_by: shedding.default_policy,
        session_percent: percent("load_shedding.session_percent", shedding.session_percent)?,
    }))
}

fn of_pool(config: &PoolConfig, error: OutOfRange) -> InvalidConfig {
    InvalidConfig::Pool { pool: config.id.clone(), error }
}

/// Returns the state that is configured, if one is, for an endpoint or a pool that was in the state
/// `before`.
fn state(
    enabled: Option<bool>,
    disabled_at: Option<UnixTime>,
    before: Option<State>,
) -> Option<State> {
    Some(match (enabled?, disabled_at, before) {
        (true, ..) => State::Enabled,
        // A drain that has begun goes on.
        (false, None, Some(State::Disabled { at })) => State::Disabled { at },
        (false, at, _) => State::Disabled { at },
    })
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
        InvalidPools::UnknownPool(id) => InvalidConfig::UnknownPool { field: "pools", id },
        InvalidPools::PoolName(error) => InvalidConfig::PoolId(error),
        InvalidPools::EndpointName { pool, error } => InvalidConfig::OriginName { pool, error },
        InvalidPools::SameEndpointId { id, pool, endpoint, other_pool, other_endpoint } => {
            let (origin, other_origin) = (endpoint, other_endpoint);
            InvalidConfig::SameOriginId { id, pool, origin, other_pool, other_origin }
        }
        InvalidPools::SamePoolId { pool, other } => InvalidConfig::SamePoolId { pool, other },
        InvalidPools::TooManyEndpoints { pool, count } => {
            InvalidConfig::TooManyOrigins { pool, count }
        }
    }
}
