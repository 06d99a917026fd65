//! A changed copy of a snapshot.

use std::sync::Arc;

use super::{EndpointStanding, PoolStanding, Pools, Topology};
use crate::bounds::Weight;
use crate::endpoint::{EndpointId, Health, State};
use crate::shedding::LoadShedding;

/// Collects changes of health, weight and state, then makes the next snapshot of them.
/// No name is hashed again and no target is cloned.
///
/// ```
/// # use session_affinity::{Endpoint, EndpointId, Health, Pool, Pools, State, UnixTime};
/// # let pools = Pools::builder().pool(Pool::new("eu").endpoint(Endpoint::new("eu-1", ()))).build()?;
/// let id = EndpointId::new("eu", "eu-1");
/// let mut edit = pools.edit();
/// edit.health(id, Health::Unhealthy)?;
/// edit.state(id, State::Disabled { at: Some(UnixTime::from_secs(1_800_000_000)) })?;
/// let pools = edit.build();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use]
pub struct PoolsEdit<T> {
    topology: Arc<Topology<T>>,
    pools: Vec<PoolStanding>,
    endpoints: Vec<EndpointStanding>,
}

impl<T> PoolsEdit<T> {
    pub(super) fn new(pools: &Pools<T>) -> Self {
        Self {
            topology: pools.topology.clone(),
            pools: pools.pools.to_vec(),
            endpoints: pools.endpoints.to_vec(),
        }
    }

    /// What health checks say of an endpoint now.
    ///
    /// # Errors
    /// [`UnknownEndpoint`]; nothing has changed then.
    pub fn health(&mut self, id: EndpointId, health: Health) -> Result<(), UnknownEndpoint> {
        self.endpoint(id, |endpoint| endpoint.health = health)
    }

    /// An endpoint's new weight.
    ///
    /// # Errors
    /// [`UnknownEndpoint`]; nothing has changed then.
    pub fn weight(&mut self, id: EndpointId, weight: Weight) -> Result<(), UnknownEndpoint> {
        self.endpoint(id, |endpoint| endpoint.weight = weight)
    }

    /// Enables or disables an endpoint.
    ///
    /// # Errors
    /// [`UnknownEndpoint`]; nothing has changed then.
    pub fn state(&mut self, id: EndpointId, state: State) -> Result<(), UnknownEndpoint> {
        self.endpoint(id, |endpoint| endpoint.state = state)
    }

    /// Enables or disables a whole pool.
    ///
    /// # Errors
    /// [`UnknownPool`]; nothing has changed then.
    pub fn pool_state(&mut self, name: &str, state: State) -> Result<(), UnknownPool> {
        self.pool(name, |pool| pool.state = state)
    }

    /// A pool's new `minimum_origins`.
    ///
    /// # Errors
    /// [`UnknownPool`]; nothing has changed then.
    pub fn minimum_origins(&mut self, name: &str, minimum: u32) -> Result<(), UnknownPool> {
        self.pool(name, |pool| pool.minimum_origins = minimum)
    }

    /// A pool's new load shedding.
    ///
    /// # Errors
    /// [`UnknownPool`]; nothing has changed then.
    pub fn shedding(&mut self, name: &str, shedding: LoadShedding) -> Result<(), UnknownPool> {
        self.pool(name, |pool| pool.shedding = shedding)
    }

    /// The next snapshot.
    pub fn build(self) -> Pools<T> {
        Pools::of(self.topology, self.pools, self.endpoints)
    }

    fn endpoint(
        &mut self,
        id: EndpointId,
        change: impl FnOnce(&mut EndpointStanding),
    ) -> Result<(), UnknownEndpoint> {
        let position = self.topology.position(id).ok_or(UnknownEndpoint(id))?;
        let pool = self.topology.endpoints.get(position).map(|endpoint| endpoint.pool);
        let endpoint = self.endpoints.get_mut(position).ok_or(UnknownEndpoint(id))?;
        let before = *endpoint;
        change(endpoint);
        if let Some(pool) = pool.and_then(|index| self.pools.get_mut(index)) {
            pool.recount(&before, endpoint);
        }
        Ok(())
    }

    fn pool(
        &mut self,
        name: &str,
        change: impl FnOnce(&mut PoolStanding),
    ) -> Result<(), UnknownPool> {
        let index = self.topology.pools.iter().position(|pool| pool.name.as_str() == name);
        let pool = index
            .and_then(|index| self.pools.get_mut(index))
            .ok_or_else(|| UnknownPool(name.into()))?;
        change(pool);
        Ok(())
    }
}

/// No endpoint of the snapshot has this id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("endpoint {0} is not in the snapshot; allowed: the id of one that is")]
pub struct UnknownEndpoint(
    /// The id.
    pub EndpointId,
);

/// No pool of the snapshot has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("pool {0:?} is not in the snapshot; allowed: the name of one that is")]
pub struct UnknownPool(
    /// The name.
    pub String,
);
