//! What can be read of a pool and of an endpoint in a snapshot.

use super::{EndpointStanding, EndpointTopology, PoolId, PoolStanding, PoolTopology, Pools};
use crate::bounds::Weight;
use crate::endpoint::{EndpointId, Health, State};
use crate::shedding::LoadShedding;
use crate::steering::Steering;
use crate::time::UnixTime;

/// One pool of a snapshot.
#[derive(Debug)]
pub struct PoolView<'a, T> {
    pub(super) pools: &'a Pools<T>,
    index: usize,
    pub(super) topology: &'a PoolTopology<T>,
    standing: &'a PoolStanding,
}

impl<'a, T> PoolView<'a, T> {
    pub(super) fn new(pools: &'a Pools<T>, index: usize) -> Option<Self> {
        let topology = pools.topology.pools.get(index)?;
        Some(Self { pools, index, topology, standing: pools.pools.get(index)? })
    }

    /// Its name.
    pub fn name(&self) -> &'a str {
        self.topology.name.as_str()
    }

    /// What the operator says of it.
    pub fn state(&self) -> State {
        self.standing.state
    }

    /// With fewer endpoints than this that are healthy and enabled it is critical.
    /// Cloudflare: `minimum_origins`.
    pub fn minimum_origins(&self) -> u32 {
        self.standing.minimum_origins
    }

    /// Which share of its clients goes to the pools after it.
    pub fn shedding(&self) -> LoadShedding {
        self.standing.shedding
    }

    /// Whether fewer than `minimum_origins` of its endpoints are healthy and enabled.
    /// Weight 0 counts, draining does not.
    pub fn is_critical(&self) -> bool {
        self.standing.serving < self.standing.minimum_origins
    }

    /// Whether it takes new sessions: enabled, not critical, and at least one of its
    /// endpoints takes them.
    pub fn is_open(&self) -> bool {
        self.standing.state.is_enabled() && !self.is_critical() && self.standing.taking > 0
    }

    /// Its endpoints, in the order in which they were added.
    pub fn endpoints(&self) -> impl Iterator<Item = EndpointView<'a, T>> + use<'a, T> {
        let pools = self.pools;
        self.topology
            .endpoints
            .clone()
            .filter_map(move |position| EndpointView::new(pools, position))
    }

    /// Its place: in failover order, and then the fallback pool that is not.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    pub(crate) fn id(&self) -> PoolId {
        self.topology.id
    }

    pub(crate) fn steering(&self) -> &'a dyn Steering<T> {
        self.topology.steering.as_ref()
    }
}

impl<T> Clone for PoolView<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for PoolView<'_, T> {}

/// One endpoint of a snapshot.
#[derive(Debug)]
pub struct EndpointView<'a, T> {
    position: usize,
    pool: PoolView<'a, T>,
    topology: &'a EndpointTopology<T>,
    standing: &'a EndpointStanding,
}

impl<'a, T> EndpointView<'a, T> {
    pub(super) fn new(pools: &'a Pools<T>, position: usize) -> Option<Self> {
        let topology = pools.topology.endpoints.get(position)?;
        let pool = PoolView::new(pools, topology.pool)?;
        Some(Self { position, pool, topology, standing: pools.endpoints.get(position)? })
    }

    /// Its identity.
    pub fn id(&self) -> EndpointId {
        self.topology.id
    }

    /// Its name.
    pub fn name(&self) -> &'a str {
        self.topology.name.as_str()
    }

    /// The embedder's own value for it.
    pub fn target(&self) -> &'a T {
        &self.topology.target
    }

    /// Its share of new sessions.
    pub fn weight(&self) -> Weight {
        self.standing.weight
    }

    /// What health checks said.
    pub fn health(&self) -> Health {
        self.standing.health
    }

    /// What the operator says of it; its pool's state comes on top.
    pub fn state(&self) -> State {
        self.standing.state
    }

    /// Its pool.
    pub fn pool(&self) -> PoolView<'a, T> {
        self.pool
    }

    /// Whether it is suspect: it cools off after a passive failure that this node has seen. Only
    /// [`Affinity::with_cooling_off`](crate::Affinity::with_cooling_off) makes it so.
    pub fn is_suspect(&self, now: UnixTime) -> bool {
        self.topology.mark.is_suspect(now)
    }

    /// Its place in the snapshot.
    pub(crate) fn position(&self) -> usize {
        self.position
    }
}

impl<T> Clone for EndpointView<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for EndpointView<'_, T> {}
