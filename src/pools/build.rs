//! A new topology from a description.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use super::Pools;
use super::pool::Pool;
use super::status::{EndpointStatus, PoolStatus};
use super::topology::{PoolId, PoolTopology, Topology};
use crate::endpoint::mark::Mark;
use crate::endpoint::member::{Member, PoolIndex};
use crate::endpoint::{EndpointId, Health};
use crate::names::{self, InvalidName};
use crate::steering::{Doors, PoolOrder, PoolSteering};

impl<T> Pools<T> {
    /// Returns a builder of pools that do not follow any others.
    pub fn builder() -> PoolsBuilder<T> {
        let initial_health = Health::default();
        let order = PoolOrder::default();
        PoolsBuilder { in_order: Vec::new(), fallback: None, order, initial_health, before: None }
    }

    /// Returns a builder of pools that take the place of these: it begins without any pool, and all
    /// are described again. Where one list of endpoints changes, and the rest stays as it is, use
    /// [`Pools::with_endpoints_of`].
    ///
    /// | of | kept from these pools | kept unless the description states it | always as described |
    /// |---|---|---|---|
    /// | an endpoint that is in both | what has been noted about it: suspects, census | weight, health, state | target |
    /// | a pool whose name is in both | | state, weight, `minimum_origins`, shedding | its place in the order, steering, room, its list of endpoints |
    /// | all pools | the pools of the last 1 024 endpoints that were removed | | the steering of the pools; the name of the fallback pool, or that the snapshot has none |
    ///
    /// An endpoint is in both when its name and the name of its pool are: one that moves to another
    /// pool is new, as is one that was missing from a snapshot in between. Pools and endpoints that
    /// are not described are removed.
    ///
    /// The target is a value of the caller's: clone it from [`Pools::target`] where connections or
    /// counters that belong to it should last. [`LivePools::update`](super::LivePools::update)
    /// stores the result so that no change by another writer is lost.
    ///
    /// ```
    /// use session_affinity::{Endpoint, EndpointId, Health, Pool, Pools};
    ///
    /// let pool = |name: &str| Pool::new(name).with_endpoint(Endpoint::new("a", ()));
    /// let before = Pools::builder().pool(pool("eu")).pool(pool("us")).build()?;
    /// let id = EndpointId::new("eu", "a");
    /// let before = before.edited(|edit| edit.health(id, Health::Unhealthy))?;
    ///
    /// let after = before.rebuild().pool(pool("us")).pool(pool("eu")).fallback_in_order("us").build()?;
    /// let health = after.endpoint(id).map(|endpoint| endpoint.health());
    /// assert_eq!(health, Some(Health::Unhealthy)); // as the health check left it
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn rebuild(&self) -> PoolsBuilder<T> {
        PoolsBuilder { before: Some(self.clone()), ..Self::builder() }
    }

    fn known(&self, id: EndpointId) -> Option<(&Member<T>, &EndpointStatus)> {
        let position = self.topology.position(id)?.0;
        Some((self.topology.endpoints.get(position)?, self.endpoints.get(position)?))
    }

    fn pool_status(&self, name: &str) -> Option<&PoolStatus> {
        let index = self.topology.pools.iter().position(|pool| *pool.name == *name)?;
        self.pools.get(index)
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
    pub(super) order: PoolOrder<T>,
    initial_health: Health,
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

    /// Sets how the pools are ordered for a session that begins or moves: each open pool gets its
    /// share of the new sessions. By default they are used as given: all sessions begin in the first
    /// open pool. Cloudflare: `steering_policy`.
    ///
    /// ```
    /// use session_affinity::{Endpoint, Pool, Pools, Weight, steering::Random};
    /// let pool = |name, address| Pool::new(name).with_endpoint(Endpoint::new("1", address));
    /// let (five, ten) = (Weight::new(5)?, Weight::new(10)?);
    /// let pools = Pools::builder()
    ///     .pool(pool("v1", "10.0.0.1:80").with_weight(Weight::new(95)?))
    ///     .pool(pool("v2", "10.0.0.2:80").with_weight(five))
    ///     .with_pool_steering(Random)
    ///     .build()?;
    /// // Later: about twice as many new sessions begin in v2, and no live session moves.
    /// let pools = pools.edited(|edit| edit.pool_weight("v2", ten))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_pool_steering(mut self, steering: impl PoolSteering<T> + 'static) -> Self {
        self.order = PoolOrder(Some(Arc::new(steering)));
        self
    }

    /// Sets the health of new endpoints whose description states none. Default: healthy.
    ///
    /// With health checks, discovery sets [`Health::Unchecked`] here: the first result of its check
    /// lets a new endpoint take new sessions. Endpoints that [`Pools::rebuild`] knows already keep
    /// the results of theirs, which
    /// [`Endpoint::with_health`](crate::Endpoint::with_health) would replace on every rebuild.
    pub fn with_initial_health(mut self, health: Health) -> Self {
        self.initial_health = health;
        self
    }

    /// Checks the names, computes the id of each endpoint and makes the snapshot. Without any pools,
    /// every request ends in [`NoRoute::NoEndpoint`](crate::NoRoute).
    ///
    /// # Errors
    /// [`InvalidPools`] when a name is invalid or occurs twice, when two names have the same id, when a
    /// pool has more than 32 768 endpoints, and when the fallback pool is not one of those in order.
    pub fn build(self) -> Result<Pools<T>, InvalidPools> {
        let Self { in_order: mut described, fallback, order, initial_health, before } = self;
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
            initial_health,
        };
        if let Some(before) = &before {
            parts.topology.begin_with(&before.topology);
        }
        let mut known = HashMap::with_capacity(described.len());
        for mut pool in described {
            let name =
                names::checked(std::mem::take(&mut pool.name)).map_err(InvalidPools::PoolName)?;
            let id = PoolId::of(&name);
            match known.entry(id) {
                Entry::Vacant(entry) => entry.insert(name.clone()),
                Entry::Occupied(other) => return Err(same_pool(other.get(), &name)),
            };
            parts.add(id, name, pool, before.as_ref())?;
        }
        parts.topology.order = order;
        if let Some(before) = &before {
            parts.topology.remember(&before.topology);
        }
        Ok(Pools::of(Arc::new(parts.topology), parts.pools, parts.endpoints))
    }
}

/// The parts of the snapshot that is being built.
struct Parts<T> {
    topology: Topology<T>,
    pools: Vec<PoolStatus>,
    endpoints: Vec<EndpointStatus>,
    /// The health of new endpoints whose description states none.
    initial_health: Health,
}

impl<T> Parts<T> {
    fn add(
        &mut self,
        id: PoolId,
        name: Box<str>,
        mut pool: Pool<T>,
        before: Option<&Pools<T>>,
    ) -> Result<(), InvalidPools> {
        let index = PoolIndex(self.pools.len());
        let start = self.endpoints.len();
        let known = before.and_then(|before| before.pool_status(&name));
        let mut status = known.copied().unwrap_or_else(PoolStatus::new).followed_by(&pool);
        for mut described in std::mem::take(&mut pool.endpoints) {
            let endpoint = names::checked(std::mem::take(&mut described.name))
                .map_err(|error| InvalidPools::EndpointName { pool: (*name).into(), error })?;
            let endpoint_id = EndpointId::new(&name, &endpoint);
            let (mark, was) = match before.and_then(|before| before.known(endpoint_id)) {
                Some((member, status)) => (member.mark.clone(), *status),
                None => {
                    let mark = Arc::new(Mark::new(self.topology.began.clone()));
                    (mark, EndpointStatus::new(self.initial_health))
                }
            };
            let now = was.followed_by(&described);
            let (id, target) = (endpoint_id, described.target);
            let member = Member { id, pool: index, name: endpoint, target, mark };
            if let Err(member) = self.topology.add(member) {
                return Err(self.same_endpoint(&name, &member));
            }
            status.count(&now);
            self.endpoints.push(now);
        }
        let endpoints = start..self.endpoints.len();
        let ids = self.topology.ids.get(endpoints.clone()).unwrap_or_default();
        let doors = Doors::new(ids).ok_or_else(|| InvalidPools::TooManyEndpoints {
            pool: (*name).into(),
            count: ids.len(),
        })?;
        let Pool { steering, room, .. } = pool;
        let before = self.topology.pools.last().map_or(0, |pool| pool.weights.end);
        let weights = before..before.saturating_add(doors.filled());
        self.topology.has_room_rule |= room.is_some();
        self.topology.pools.push(PoolTopology {
            id,
            name,
            endpoints,
            weights,
            doors,
            steering,
            room,
        });
        self.pools.push(status);
        Ok(())
    }

    /// The error for an endpoint of the pool that is being added, whose id another one has.
    fn same_endpoint(&self, pool: &str, endpoint: &Member<T>) -> InvalidPools {
        let other = self.topology.member(endpoint.id);
        let other =
            other.filter(|other| other.pool != endpoint.pool || other.name != endpoint.name);
        let (pool, name) = (pool.to_owned(), String::from(&*endpoint.name));
        match other {
            None => InvalidPools::DuplicateEndpoint { pool, endpoint: name },
            Some(other) => InvalidPools::SameEndpointId {
                id: endpoint.id,
                // The pool that is being added is not in the topology yet.
                other_pool: match self.topology.pools.get(other.pool.0) {
                    Some(known) => (*known.name).into(),
                    None => pool.clone(),
                },
                other_endpoint: (*other.name).into(),
                pool,
                endpoint: name,
            },
        }
    }
}

/// The error for a pool whose id another one has.
fn same_pool(other: &str, pool: &str) -> InvalidPools {
    match other == pool {
        true => InvalidPools::DuplicatePool(pool.into()),
        false => InvalidPools::SamePoolId { pool: pool.into(), other: other.into() },
    }
}

/// The error of building pools: an invalid name, a name that occurs twice, two names of one id, or the
/// name of a pool that does not exist. The message says it all; there is no source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPools {
    /// The name of a pool is not valid.
    #[error("the name of a pool is {:?}; allowed: 1 to 255 bytes without control characters", .0.name)]
    PoolName(InvalidName),
    /// The name of an endpoint is not valid.
    #[error(
        "the name of an endpoint in pool {pool:?} is {:?}; allowed: 1 to 255 bytes without control characters",
        .error.name
    )]
    EndpointName {
        /// The name of the endpoint's pool.
        pool: String,
        /// The error of the endpoint's name.
        error: InvalidName,
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
    /// Two endpoints with different names have the same id. Names that were not made for it practically
    /// never do.
    #[error(
        "the id of endpoint {endpoint:?} in pool {pool:?} is {id}, as that of endpoint {other_endpoint:?} in pool {other_pool:?}; allowed: names with different ids"
    )]
    SameEndpointId {
        /// The id of both endpoints.
        id: EndpointId,
        /// The pool of the endpoint that was added later.
        pool: String,
        /// The name of the endpoint that was added later.
        endpoint: String,
        /// The pool of the endpoint that was there.
        other_pool: String,
        /// The name of the endpoint that was there.
        other_endpoint: String,
    },
    /// Two pools with different names have the same id, a hash of the name. Names that were not made
    /// for it practically never do.
    #[error("the id of pool {pool:?} is that of pool {other:?}; allowed: names with different ids")]
    SamePoolId {
        /// The name of the pool that was added later.
        pool: String,
        /// The name of the pool that was there.
        other: String,
    },
    /// A pool has too many endpoints.
    #[error("pool {pool:?} has {count} endpoints; allowed: at most 32768 in a pool")]
    TooManyEndpoints {
        /// The name of the pool.
        pool: String,
        /// The number of its endpoints.
        count: usize,
    },
    /// The name given to [`PoolsBuilder::fallback_in_order`] is not that of a pool in order.
    #[error("the fallback pool is {0:?}; allowed: the name of a pool in failover order")]
    UnknownFallback(String),
    /// The name given to [`Pools::with_endpoints_of`] is not that of a pool in the snapshot.
    #[error("pool {0:?} is not in the snapshot; allowed: the name of one that is")]
    UnknownPool(String),
}
