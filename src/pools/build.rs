//! A new topology from a description.

use std::collections::HashSet;
use std::sync::Arc;

use super::Pools;
use super::pool::Pool;
use super::status::{EndpointStatus, PoolStatus};
use super::topology::{PoolId, PoolTopology, Topology};
use crate::endpoint::mark::Mark;
use crate::endpoint::member::{Member, PoolIndex};
use crate::endpoint::{Endpoint, EndpointId};
use crate::names::{self, InvalidName};

impl<T> Pools<T> {
    /// Returns a builder of pools that do not follow any others.
    pub fn builder() -> PoolsBuilder<T> {
        PoolsBuilder { in_order: Vec::new(), fallback: None, before: None }
    }

    /// Returns a builder of pools that take the place of these.
    ///
    /// Endpoints that are in both keep what has been noted about them (suspects, census). Health,
    /// weight and state are taken from the new description: copy them from [`Pools::endpoint`]
    /// where they should last.
    pub fn rebuild(&self) -> PoolsBuilder<T> {
        PoolsBuilder { before: Some(self.clone()), ..Self::builder() }
    }
}

/// A builder of [`Pools`]: collects pools in failover order and checks them.
///
/// ```
/// use session_affinity::{Endpoint, Pool, Pools};
/// let pools = Pools::builder()
///     .pool(Pool::new("eu").with_endpoint(Endpoint::new("eu-1", "10.0.0.1:80")))
///     .pool(Pool::new("us").with_endpoint(Endpoint::new("us-1", "10.1.0.1:80")))
///     .fallback_in_order("us")
///     .build()?;
/// assert!(pools.iter().all(|pool| pool.is_open()));
/// # Ok::<(), session_affinity::pools::InvalidPools>(())
/// ```
#[derive(Debug)]
#[must_use]
pub struct PoolsBuilder<T> {
    in_order: Vec<Pool<T>>,
    fallback: Option<Fallback<T>>,
    before: Option<Pools<T>>,
}

#[derive(Debug)]
enum Fallback<T> {
    InOrder(String),
    Apart(Pool<T>),
}

impl<T> Default for PoolsBuilder<T> {
    fn default() -> Self {
        Pools::builder()
    }
}

impl<T> PoolsBuilder<T> {
    /// Adds the next pool in failover order. Cloudflare: `default_pools`.
    pub fn pool(mut self, pool: Pool<T>) -> Self {
        self.in_order.push(pool);
        self
    }

    /// Makes one of the pools in failover order the fallback pool. When no pool is open, its
    /// endpoints that take new sessions get all sessions; when it has no such endpoint, its enabled
    /// ones with a weight above 0 do, their health ignored. Cloudflare: `fallback_pool`.
    pub fn fallback_in_order(mut self, name: impl Into<String>) -> Self {
        self.fallback = Some(Fallback::InOrder(name.into()));
        self
    }

    /// Adds a pool apart from the failover order and makes it the fallback pool. When no pool is
    /// open, its endpoints that take new sessions get all sessions; when it has no such endpoint,
    /// its enabled ones with a weight above 0 do, their health ignored. Cloudflare: `fallback_pool`.
    pub fn fallback_apart(mut self, pool: Pool<T>) -> Self {
        self.fallback = Some(Fallback::Apart(pool));
        self
    }

    /// Checks the names, computes the id of each endpoint and makes the first snapshot. Without any
    /// pools, every request ends in [`NoEndpoint`](crate::NoEndpoint).
    ///
    /// # Errors
    /// [`InvalidPools`] when a name is invalid or occurs twice, and when the fallback pool is not
    /// one of those in order.
    pub fn build(self) -> Result<Pools<T>, InvalidPools> {
        let Self { in_order: mut described, fallback, before } = self;
        let in_order = described.len();
        let fallback = match fallback {
            None => None,
            Some(Fallback::InOrder(name)) => {
                let index = described.iter().position(|pool| pool.name == name);
                Some(index.ok_or(InvalidPools::UnknownFallback(name))?)
            }
            Some(Fallback::Apart(pool)) => {
                described.push(pool);
                Some(in_order)
            }
        };
        let mut parts = Parts {
            topology: Topology::new(described.len(), in_order, fallback.map(PoolIndex)),
            pools: Vec::with_capacity(described.len()),
            endpoints: Vec::new(),
        };
        let mut known = HashSet::new();
        for mut pool in described {
            let name =
                names::checked(std::mem::take(&mut pool.name)).map_err(InvalidPools::PoolName)?;
            if !known.insert(name.clone()) {
                return Err(InvalidPools::DuplicatePool(name.into()));
            }
            parts.add(name, pool, before.as_ref())?;
        }
        Ok(Pools::of(Arc::new(parts.topology), parts.pools, parts.endpoints))
    }
}

/// The parts of the snapshot that is being built.
struct Parts<T> {
    topology: Topology<T>,
    pools: Vec<PoolStatus>,
    endpoints: Vec<EndpointStatus>,
}

impl<T> Parts<T> {
    fn add(
        &mut self,
        name: Box<str>,
        pool: Pool<T>,
        before: Option<&Pools<T>>,
    ) -> Result<(), InvalidPools> {
        let Pool { name: _, endpoints, state, minimum_origins, shedding, steering } = pool;
        let index = PoolIndex(self.pools.len());
        let start = self.endpoints.len();
        let mut status = PoolStatus::new(state, minimum_origins, shedding);
        for Endpoint { name: endpoint, target, weight, health, state } in endpoints {
            let endpoint = names::checked(endpoint)
                .map_err(|source| InvalidPools::EndpointName { pool: (*name).into(), source })?;
            let id = EndpointId::new(&name, &endpoint);
            let mark = match before.and_then(|before| before.topology.member(id)) {
                Some(member) => member.mark.clone(),
                None => Arc::new(Mark::new(self.topology.began.clone())),
            };
            let member = Member { id, pool: index, name: endpoint, target, mark };
            self.topology.add(member).map_err(|member| InvalidPools::DuplicateEndpoint {
                pool: (*name).into(),
                endpoint: member.name.into(),
            })?;
            let endpoint = EndpointStatus { weight, health, state };
            status.count(&endpoint);
            self.endpoints.push(endpoint);
        }
        let (id, endpoints) = (PoolId::of(&name), start..self.endpoints.len());
        self.topology.pools.push(PoolTopology { id, name, endpoints, steering });
        self.pools.push(status);
        Ok(())
    }
}

/// The error of building pools: an invalid name, a name that occurs twice, or an unknown fallback.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPools {
    /// The name of a pool is not valid.
    #[error("the name of a pool is {:?}; allowed: 1 to 255 bytes without control characters", .0.name)]
    PoolName(#[source] InvalidName),
    /// The name of an endpoint is not valid.
    #[error(
        "the name of an endpoint in pool {pool:?} is {:?}; allowed: 1 to 255 bytes without control characters",
        .source.name
    )]
    EndpointName {
        /// The name of the endpoint's pool.
        pool: String,
        /// The error of the endpoint's name.
        source: InvalidName,
    },
    /// Two pools have this name.
    #[error("the name of two pools is {0:?}; allowed: each name once")]
    DuplicatePool(String),
    /// Two endpoints of one pool have the same name.
    #[error(
        "the name of two endpoints in pool {pool:?} is {endpoint:?}; allowed: each name once in a pool"
    )]
    DuplicateEndpoint {
        /// The name of the endpoints' pool.
        pool: String,
        /// The name of both endpoints.
        endpoint: String,
    },
    /// The name given to [`PoolsBuilder::fallback_in_order`] is not that of a pool in order.
    #[error("the fallback pool is {0:?}; allowed: the name of a pool in failover order")]
    UnknownFallback(String),
}
