//! Describing pools and checking them once.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use super::{
    EndpointStanding, EndpointTopology, PoolId, PoolStanding, PoolTopology, Pools, Topology,
};
use crate::endpoint::{Endpoint, EndpointId, State};
use crate::marks::Mark;
use crate::names::{InvalidName, Name};
use crate::shedding::LoadShedding;
use crate::steering::{Random, Steering};

/// A pool as the embedder describes it.
///
/// ```
/// use session_affinity::{Endpoint, Pool, steering};
/// let pool = Pool {
///     minimum_origins: 2,
///     ..Pool::new("eu")
/// }
/// .steering(steering::Hash)
/// .endpoint(Endpoint::new("eu-1", "10.0.0.1:80"))
/// .endpoint(Endpoint::new("eu-2", "10.0.0.2:80"));
/// ```
pub struct Pool<T> {
    /// Its name, unique among the pools: 1 to 255 bytes without control characters.
    pub name: String,
    /// Its endpoints. Their order means nothing.
    pub endpoints: Vec<Endpoint<T>>,
    /// What the operator says. Disabled, it drains all its endpoints.
    pub state: State,
    /// With fewer endpoints than this that are healthy and enabled it takes no new
    /// sessions. By default 1. Cloudflare: `minimum_origins`.
    pub minimum_origins: u32,
    /// Which share of its clients goes to the pools after it. By default nobody.
    pub shedding: LoadShedding,
    /// How it chooses. By default [`Random`].
    pub steering: Arc<dyn Steering<T>>,
}

impl<T> Pool<T> {
    /// An enabled pool without endpoints yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            endpoints: Vec::new(),
            state: State::Enabled,
            minimum_origins: 1,
            shedding: LoadShedding::default(),
            steering: Arc::new(Random),
        }
    }

    /// Adds an endpoint.
    #[must_use]
    pub fn endpoint(mut self, endpoint: Endpoint<T>) -> Self {
        self.endpoints.push(endpoint);
        self
    }

    /// Chooses this way.
    #[must_use]
    pub fn steering(mut self, steering: impl Steering<T> + 'static) -> Self {
        self.steering = Arc::new(steering);
        self
    }
}

/// All but the steering, which is a trait object.
impl<T: fmt::Debug> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, endpoints, state, minimum_origins, shedding, steering: _ } = self;
        f.debug_struct("Pool")
            .field("name", name)
            .field("endpoints", endpoints)
            .field("state", state)
            .field("minimum_origins", minimum_origins)
            .field("shedding", shedding)
            .finish_non_exhaustive()
    }
}

/// Collects pools in failover order and checks them.
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
        Self { in_order: Vec::new(), fallback: None, before: None }
    }
}

impl<T> PoolsBuilder<T> {
    pub(super) fn succeeding(before: &Pools<T>) -> Self {
        Self { before: Some(before.clone()), ..Self::default() }
    }

    /// Adds the next pool in failover order. Cloudflare: `default_pools`.
    pub fn pool(mut self, pool: Pool<T>) -> Self {
        self.in_order.push(pool);
        self
    }

    /// Makes one of the pools in order the fallback: it is used when no pool is open,
    /// whatever its health. Cloudflare: `fallback_pool`.
    pub fn fallback(mut self, name: impl Into<String>) -> Self {
        self.fallback = Some(Fallback::InOrder(name.into()));
        self
    }

    /// Makes a pool the fallback that is not in the failover order.
    pub fn fallback_pool(mut self, pool: Pool<T>) -> Self {
        self.fallback = Some(Fallback::Apart(pool));
        self
    }

    /// Checks everything, computes each endpoint's id and makes the first snapshot.
    /// No pools at all are allowed: every request is then [`NoEndpoint`](crate::NoEndpoint).
    ///
    /// # Errors
    /// [`InvalidPools`] for names that are none or occur twice, and a fallback that does
    /// not exist.
    pub fn build(self) -> Result<Pools<T>, InvalidPools> {
        let in_order = self.in_order.len();
        let mut specs = self.in_order;
        let fallback = match self.fallback {
            None => None,
            Some(Fallback::InOrder(name)) => {
                let index = specs.iter().position(|pool| pool.name == name);
                Some(index.ok_or(InvalidPools::UnknownFallback(name))?)
            }
            Some(Fallback::Apart(pool)) => {
                specs.push(pool);
                Some(in_order)
            }
        };
        let mut topology = Topology {
            pools: Vec::with_capacity(specs.len()),
            endpoints: Vec::new(),
            ids: Vec::new(),
            positions: Default::default(),
            in_order,
            fallback,
            began: Arc::default(),
        };
        let mut names = HashSet::new();
        let mut pools = Vec::with_capacity(specs.len());
        let mut endpoints = Vec::new();
        for (index, spec) in specs.into_iter().enumerate() {
            let name = Name::new(spec.name)
                .map_err(|InvalidName { name }| InvalidPools::PoolName(name))?;
            if !names.insert(name.as_str().to_owned()) {
                return Err(InvalidPools::DuplicatePool(name.as_str().into()));
            }
            let start = endpoints.len();
            let mut standing = PoolStanding {
                state: spec.state,
                minimum_origins: spec.minimum_origins,
                shedding: spec.shedding,
                serving: 0,
                taking: 0,
            };
            for endpoint in spec.endpoints {
                let position = topology.endpoints.len();
                let Endpoint { name: endpoint_name, target, weight, health, state } = endpoint;
                let endpoint_name =
                    Name::new(endpoint_name).map_err(|InvalidName { name: endpoint }| {
                        InvalidPools::EndpointName { pool: name.as_str().into(), endpoint }
                    })?;
                let id = EndpointId::new(name.as_str(), endpoint_name.as_str());
                if topology.positions.insert(id, position).is_some() {
                    return Err(InvalidPools::DuplicateEndpoint {
                        pool: name.as_str().into(),
                        endpoint: endpoint_name.as_str().into(),
                    });
                }
                let mark = match self.before.as_ref().and_then(|before| before.topology.mark(id)) {
                    Some(mark) => mark.clone(),
                    None => Arc::new(Mark::new(topology.began.clone())),
                };
                topology.ids.push(id);
                topology.endpoints.push(EndpointTopology {
                    id,
                    pool: index,
                    name: endpoint_name,
                    target,
                    mark,
                });
                let endpoint = EndpointStanding { weight, health, state };
                standing.count(&endpoint);
                endpoints.push(endpoint);
            }
            topology.pools.push(PoolTopology {
                id: PoolId::of(&name),
                name,
                endpoints: start..endpoints.len(),
                steering: spec.steering,
            });
            pools.push(standing);
        }
        Ok(Pools::of(Arc::new(topology), pools, endpoints))
    }
}

impl<T> Topology<T> {
    fn mark(&self, id: EndpointId) -> Option<&Arc<Mark>> {
        Some(&self.endpoints.get(self.position(id)?)?.mark)
    }
}

impl PoolStanding {
    fn count(&mut self, endpoint: &EndpointStanding) {
        self.serving = self.serving.saturating_add(endpoint.is_serving().into());
        self.taking = self.taking.saturating_add(endpoint.is_taking().into());
    }

    pub(super) fn discount(&mut self, endpoint: &EndpointStanding) {
        self.serving = self.serving.saturating_sub(endpoint.is_serving().into());
        self.taking = self.taking.saturating_sub(endpoint.is_taking().into());
    }

    pub(super) fn recount(&mut self, before: &EndpointStanding, after: &EndpointStanding) {
        self.discount(before);
        self.count(after);
    }
}

/// Pools that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPools {
    /// A pool's name is none.
    #[error("the name of a pool is {0:?}; allowed: 1 to 255 bytes without control characters")]
    PoolName(String),
    /// An endpoint's name is none.
    #[error(
        "the name of an endpoint in pool {pool:?} is {endpoint:?}; allowed: 1 to 255 bytes without control characters"
    )]
    EndpointName {
        /// The pool's name.
        pool: String,
        /// What was given.
        endpoint: String,
    },
    /// Two pools have this name.
    #[error("pool {0:?} is there twice; allowed: each name once")]
    DuplicatePool(String),
    /// Two endpoints of a pool have this name.
    #[error("endpoint {endpoint:?} is twice in pool {pool:?}; allowed: each name once in a pool")]
    DuplicateEndpoint {
        /// The pool's name.
        pool: String,
        /// The endpoint's name.
        endpoint: String,
    },
    /// The fallback is no pool.
    #[error("fallback_pool is {0:?}; allowed: the name of a pool that was added")]
    UnknownFallback(String),
}
