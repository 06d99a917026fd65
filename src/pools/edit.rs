//! A changed copy of a snapshot.

use std::sync::Arc;

use super::Pools;
use super::shedding::LoadShedding;
use super::status::{EndpointStatus, PoolStatus};
use crate::endpoint::member::Position;
use crate::endpoint::{EndpointId, Health, State};
use crate::limits::Weight;

impl<T> Pools<T> {
    /// Returns the next snapshot: a copy with changes of health, weight, state, `minimum_origins`
    /// and shedding. Names are not hashed and targets are not cloned.
    ///
    /// ```
    /// use session_affinity::{Endpoint, EndpointId, Health, Pool, Pools, State, UnixTime};
    /// # let now = UnixTime::from_secs(1_800_000_000);
    ///
    /// let pool = Pool::new("eu").with_endpoint(Endpoint::new("eu-1", "10.0.0.1:80"));
    /// let pools = Pools::builder().pool(pool).build()?;
    /// let id = EndpointId::new("eu", "eu-1");
    /// let pools = pools.edited(|edit| {
    ///     edit.health(id, Health::Healthy)?;
    ///     edit.state(id, State::Disabled { at: Some(now) })
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The error of the closure, which is [`NotInSnapshot`] for an endpoint or a pool that this
    /// snapshot does not have.
    pub fn edited(
        &self,
        edit: impl FnOnce(&mut PoolsEdit<T>) -> Result<(), NotInSnapshot>,
    ) -> Result<Self, NotInSnapshot> {
        let mut next = PoolsEdit { pools: self.clone() };
        edit(&mut next)?;
        Ok(next.pools)
    }
}

/// The changes that make the next snapshot, in [`Pools::edited`].
///
/// Endpoints are named by id, pools by name. A method that returns an error has changed nothing.
#[derive(Debug)]
pub struct PoolsEdit<T> {
    /// The snapshot before, of which each part is copied when it changes for the first time.
    pools: Pools<T>,
}

impl<T> PoolsEdit<T> {
    /// Sets the result of the latest health check of an endpoint.
    ///
    /// # Errors
    /// [`NotInSnapshot::Endpoint`]
    pub fn health(&mut self, id: EndpointId, health: Health) -> Result<(), NotInSnapshot> {
        self.endpoint(id, |endpoint| endpoint.health = health)
    }

    /// Sets the share of new sessions of an endpoint.
    ///
    /// # Errors
    /// [`NotInSnapshot::Endpoint`]
    pub fn weight(&mut self, id: EndpointId, weight: Weight) -> Result<(), NotInSnapshot> {
        self.endpoint(id, |endpoint| endpoint.weight = weight)
    }

    /// Enables or disables an endpoint.
    ///
    /// # Errors
    /// [`NotInSnapshot::Endpoint`]
    pub fn state(&mut self, id: EndpointId, state: State) -> Result<(), NotInSnapshot> {
        self.endpoint(id, |endpoint| endpoint.state = state)
    }

    /// Enables or disables a pool.
    ///
    /// # Errors
    /// [`NotInSnapshot::Pool`]
    pub fn pool_state(&mut self, name: &str, state: State) -> Result<(), NotInSnapshot> {
        self.pool(name, |pool| pool.state = state)
    }

    /// Sets the share of a pool's new sessions, where the pools are steered. Live sessions stay.
    ///
    /// # Errors
    /// [`NotInSnapshot::Pool`]
    pub fn pool_weight(&mut self, name: &str, weight: Weight) -> Result<(), NotInSnapshot> {
        self.pool(name, |pool| pool.weight = weight)
    }

    /// Sets the number of healthy and enabled endpoints below which a pool takes no new sessions.
    ///
    /// # Errors
    /// [`NotInSnapshot::Pool`]
    pub fn pool_minimum_origins(&mut self, name: &str, minimum: u32) -> Result<(), NotInSnapshot> {
        self.pool(name, |pool| pool.minimum_origins = minimum)
    }

    /// Sets the shares of a pool's sessions that are sent to the pools after it.
    ///
    /// # Errors
    /// [`NotInSnapshot::Pool`]
    pub fn pool_shedding(
        &mut self,
        name: &str,
        shedding: LoadShedding,
    ) -> Result<(), NotInSnapshot> {
        self.pool(name, |pool| pool.shedding = shedding)
    }

    fn endpoint(
        &mut self,
        id: EndpointId,
        change: impl FnOnce(&mut EndpointStatus),
    ) -> Result<(), NotInSnapshot> {
        let next = &mut self.pools;
        let index = next.topology.position(id).ok_or(NotInSnapshot::Endpoint(id))?.0;
        let pool = next.topology.endpoints.get(index).map(|member| member.pool);
        let endpoint = Arc::make_mut(&mut next.endpoints).get_mut(index);
        let endpoint = endpoint.ok_or(NotInSnapshot::Endpoint(id))?;
        let before = *endpoint;
        change(endpoint);
        let after = *endpoint;
        if let Some(pool) = pool.and_then(|pool| Arc::make_mut(&mut next.pools).get_mut(pool.0)) {
            pool.recount(&before, &after);
        }
        if let Some(place) = next.topology.weight_at(Position(index)) {
            set(&mut next.new_session_weights, place, after.new_session_weight());
            set(&mut next.fallback_weights, place, after.fallback_weight());
        }
        Ok(())
    }

    fn pool(
        &mut self,
        name: &str,
        change: impl FnOnce(&mut PoolStatus),
    ) -> Result<(), NotInSnapshot> {
        let next = &mut self.pools;
        let index = next.topology.pools.iter().position(|pool| *pool.name == *name);
        let pool = index.and_then(|index| Arc::make_mut(&mut next.pools).get_mut(index));
        change(pool.ok_or_else(|| NotInSnapshot::Pool(name.into()))?);
        Ok(())
    }
}

fn set(weights: &mut Arc<[Weight]>, index: usize, weight: Weight) {
    // A weight that stays as it was costs no copy.
    if weights.get(index) != Some(&weight)
        && let Some(entry) = Arc::make_mut(weights).get_mut(index)
    {
        *entry = weight;
    }
}

/// The error of naming an endpoint or a pool that the snapshot does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotInSnapshot {
    /// The id is not that of an endpoint in the snapshot.
    #[error("endpoint {0} is not in the snapshot; allowed: the id of one that is")]
    Endpoint(EndpointId),
    /// The name is not that of a pool in the snapshot.
    #[error("pool {0:?} is not in the snapshot; allowed: the name of one that is")]
    Pool(String),
}
