//! The snapshot: all pools and endpoints at one moment.

use std::sync::Arc;

use crate::endpoint::mark::{self, Mark};
use crate::endpoint::member::Position;
use crate::limits::Weight;
use crate::time::UnixTime;

mod build;
mod discovery;
mod edit;
mod iter;
mod live;
mod order;
mod pool;
mod shedding;
mod status;
mod topology;
mod view;

pub use crate::endpoint::{Endpoint, EndpointId, Health, InvalidEndpointId, State};
pub use build::{InvalidPools, PoolsBuilder};
pub use edit::{NotInSnapshot, PoolsEdit};
pub use iter::Iter;
pub use live::LivePools;
pub(crate) use order::InOrder;
pub use pool::Pool;
pub use shedding::{LoadShedding, ShedBy};
pub(crate) use shedding::{is_shed, shed_number};
pub(crate) use topology::PoolId;
pub(crate) use view::Eligible;
pub use view::{EndpointView, PoolView};

use status::{EndpointStatus, PoolStatus};
use topology::Topology;

/// An immutable snapshot of all pools and endpoints, as health checks and operators left them.
///
/// [`Pools::edited`] makes the next snapshot. It shares names, ids, targets and what has been noted
/// about endpoints (suspects, census) with the one before. Cloning copies pointers only.
///
/// [`LivePools`] shares the current one between requests and those who change it. The verbs of
/// [`Affinity`](crate::Affinity) take `&Pools<T>`, wherever it is held.
///
/// ```
/// use session_affinity::{Endpoint, EndpointId, Health, Pool, Pools};
///
/// let eu = Pool::new("eu")
///     .with_endpoint(Endpoint::new("eu-1", "10.0.0.1:80"))
///     .with_endpoint(Endpoint::new("eu-2", "10.0.0.2:80"));
/// let us = Pool::new("us").with_endpoint(Endpoint::new("us-1", "10.1.0.1:80"));
/// let pools = Pools::builder().pool(eu).pool(us).fallback_in_order("us").build()?;
///
/// let id = EndpointId::new("eu", "eu-1");
/// let pools = pools.edited(|edit| edit.health(id, Health::Unhealthy))?;
/// assert_eq!(pools.target(id), Some(&"10.0.0.1:80"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Pools<T> {
    topology: Arc<Topology<T>>,
    pools: Arc<[PoolStatus]>,
    endpoints: Arc<[EndpointStatus]>,
    /// The weight of each endpoint that takes new sessions, 0 for the others: close together, as
    /// steering reads them all, and in full blocks for each pool: see [`Topology::weight_at`].
    new_session_weights: Arc<[Weight]>,
    /// The weight of each endpoint that is enabled, healthy or not, 0 for the others: steering reads
    /// them for a fallback pool of which no endpoint takes new sessions.
    fallback_weights: Arc<[Weight]>,
}

impl<T> Pools<T> {
    /// Returns the embedder's own value for an endpoint; `None` when the endpoint is not in this
    /// snapshot.
    pub fn target(&self, id: EndpointId) -> Option<&T> {
        Some(&self.topology.member(id)?.target)
    }

    /// Begins the census of the endpoints that are new in this snapshot, if it has not begun yet: see
    /// [`Census::began`](crate::drain::Census::began). The first request begins it too. Call this
    /// when a gateway starts, so that its censuses are complete from then on, with or without
    /// requests.
    #[inline]
    pub fn begin_census(&self, now: UnixTime) {
        mark::begin(&self.topology.began, now);
    }

    /// Returns whether one of the pools has a rule of room.
    #[inline]
    pub(crate) fn has_room_rule(&self) -> bool {
        self.topology.has_room_rule
    }

    #[inline]
    pub(crate) fn mark(&self, id: EndpointId) -> Option<&Mark> {
        Some(&self.topology.member(id)?.mark)
    }

    /// Returns the mark of an endpoint whose position in this snapshot, or in another one, is
    /// known. Faster than [`Pools::mark`] where the position is the same.
    #[inline]
    pub(crate) fn mark_at(&self, position: Position, id: EndpointId) -> Option<&Mark> {
        match self.topology.endpoints.get(position.0) {
            Some(member) if member.id == id => Some(&member.mark),
            _ => self.mark(id),
        }
    }

    fn of(
        topology: Arc<Topology<T>>,
        pools: Vec<PoolStatus>,
        endpoints: Vec<EndpointStatus>,
    ) -> Self {
        let weights = topology.pools.last().map_or(0, |pool| pool.weights.end);
        let mut new_session = vec![Weight::ZERO; weights];
        let mut fallback = new_session.clone();
        for pool in &topology.pools {
            let statuses = endpoints.get(pool.endpoints.clone()).unwrap_or_default();
            let at = pool.weights.start..;
            let of_pool = new_session.get_mut(at.clone()).into_iter().flatten();
            let to_fill = of_pool.zip(fallback.get_mut(at).into_iter().flatten());
            for (status, (new_session, fallback)) in statuses.iter().zip(to_fill) {
                *new_session = status.new_session_weight();
                *fallback = status.fallback_weight();
            }
        }
        Self {
            topology,
            pools: pools.into(),
            endpoints: endpoints.into(),
            new_session_weights: new_session.into(),
            fallback_weights: fallback.into(),
        }
    }
}

impl<T> Clone for Pools<T> {
    fn clone(&self) -> Self {
        Self {
            topology: self.topology.clone(),
            pools: self.pools.clone(),
            endpoints: self.endpoints.clone(),
            new_session_weights: self.new_session_weights.clone(),
            fallback_weights: self.fallback_weights.clone(),
        }
    }
}
