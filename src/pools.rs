//! The immutable health snapshot: pools in failover order and their endpoints.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;
use std::sync::Arc;

use siphasher::sip::SipHasher24;

use crate::bounds::Weight;
use crate::endpoint::{EndpointId, Health, State};
use crate::marks::{self, Census, Mark};
use crate::names::Name;
use crate::shedding::LoadShedding;
use crate::steering::{Candidate, Steering};
use crate::sync::AtomicU64;
use crate::time::UnixTime;

mod build;
mod candidates;
mod edit;
mod view;

pub use build::{InvalidPools, Pool, PoolsBuilder};
pub use candidates::Candidates;
pub(crate) use candidates::{Eligible, Suspects};
pub use edit::{PoolsEdit, UnknownEndpoint, UnknownPool};
pub use view::{EndpointView, PoolView};

/// All pools at one moment, as health checks and operators left them. It does not
/// change: a change makes a [new snapshot](Pools::edit) that shares the topology (names,
/// ids, targets) and the marks with the old one. `Clone` copies four pointers.
///
/// Hold it behind an `Arc`, a lock or an `ArcSwap`; the verbs take `&Pools<T>`.
///
/// ```
/// use session_affinity::{Endpoint, EndpointId, Health, Pool, Pools};
/// let pools = Pools::builder()
///     .pool(Pool::new("eu").endpoint(Endpoint::new("eu-1", "10.0.0.1:80")).endpoint(Endpoint::new("eu-2", "10.0.0.2:80")))
///     .pool(Pool::new("us").endpoint(Endpoint::new("us-1", "10.1.0.1:80")))
///     .fallback("us")
///     .build()?;
///
/// let mut edit = pools.edit();
/// edit.health(EndpointId::new("eu", "eu-1"), Health::Unhealthy)?;
/// let pools = edit.build();
/// assert_eq!(pools.target(EndpointId::new("eu", "eu-2")), Some(&"10.0.0.2:80"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Pools<T> {
    topology: Arc<Topology<T>>,
    pools: Arc<[PoolStanding]>,
    endpoints: Arc<[EndpointStanding]>,
    /// The weights of those that take new sessions, and 0 for the others: what steering
    /// reads, close together.
    taking: Arc<[Weight]>,
}

impl<T> Pools<T> {
    /// Describes pools from scratch.
    pub fn builder() -> PoolsBuilder<T> {
        PoolsBuilder::default()
    }

    /// Describes other pools that take the place of these: endpoints that stay keep
    /// their marks (suspects, census). Health, weight and state are as described anew:
    /// carry them over from [`Pools::endpoint`] where they should last.
    pub fn rebuild(&self) -> PoolsBuilder<T> {
        PoolsBuilder::succeeding(self)
    }

    /// Begins a changed copy that shares the topology.
    pub fn edit(&self) -> PoolsEdit<T> {
        PoolsEdit::new(self)
    }

    /// The embedder's own value for an endpoint; `None` when it is not in this snapshot.
    pub fn target(&self, id: EndpointId) -> Option<&T> {
        Some(&self.topology.endpoints.get(self.topology.position(id)?)?.target)
    }

    /// An endpoint of this snapshot.
    pub fn endpoint(&self, id: EndpointId) -> Option<EndpointView<'_, T>> {
        EndpointView::new(self, self.topology.position(id)?)
    }

    /// All pools: those in failover order, then a fallback pool that is not among them.
    pub fn iter(&self) -> impl Iterator<Item = PoolView<'_, T>> + Clone + use<'_, T> {
        (0..self.pools.len()).filter_map(|index| PoolView::new(self, index))
    }

    /// The pool of this name.
    pub fn pool(&self, name: &str) -> Option<PoolView<'_, T>> {
        self.iter().find(|pool| pool.name() == name)
    }

    /// The pools that take new sessions, in failover order.
    pub(crate) fn open(&self) -> impl Iterator<Item = PoolView<'_, T>> + Clone + use<'_, T> {
        self.iter().take(self.topology.in_order).filter(PoolView::is_open)
    }

    pub(crate) fn fallback(&self) -> Option<PoolView<'_, T>> {
        PoolView::new(self, self.topology.fallback?)
    }

    fn of(
        topology: Arc<Topology<T>>,
        pools: Vec<PoolStanding>,
        endpoints: Vec<EndpointStanding>,
    ) -> Self {
        let taking = endpoints.iter().map(EndpointStanding::taking).collect();
        Self { topology, pools: pools.into(), endpoints: endpoints.into(), taking }
    }

    /// Notes the time from which on this snapshot's new endpoints are watched.
    pub(crate) fn begin_census(&self, now: UnixTime) {
        marks::begin(&self.topology.began, now);
    }

    /// The endpoint that was chosen among candidates of this snapshot.
    pub(crate) fn at(&self, chosen: Candidate<'_, T>) -> Option<EndpointView<'_, T>> {
        EndpointView::new(self, chosen.position)
    }

    pub(crate) fn mark(&self, id: EndpointId) -> Option<&Mark> {
        Some(&self.topology.endpoints.get(self.topology.position(id)?)?.mark)
    }

    /// The same, looked for where it probably stands: another snapshot may have others there.
    pub(crate) fn mark_at(&self, position: usize, id: EndpointId) -> Option<&Mark> {
        match self.topology.endpoints.get(position) {
            Some(endpoint) if endpoint.id == id => Some(&endpoint.mark),
            _ => self.mark(id),
        }
    }

    /// What this node has seen of an endpoint's sessions.
    pub fn census(&self, id: EndpointId) -> Option<Census> {
        self.mark(id).map(Mark::census)
    }
}

impl<T> Clone for Pools<T> {
    fn clone(&self) -> Self {
        Self {
            topology: self.topology.clone(),
            pools: self.pools.clone(),
            endpoints: self.endpoints.clone(),
            taking: self.taking.clone(),
        }
    }
}

/// What stays the same from snapshot to snapshot until the membership changes.
#[derive(Debug)]
struct Topology<T> {
    pools: Vec<PoolTopology<T>>,
    endpoints: Vec<EndpointTopology<T>>,
    /// Their ids once more, close together.
    ids: Vec<EndpointId>,
    positions: HashMap<EndpointId, usize, BuildHasherDefault<IdHasher>>,
    /// How many of the pools are in failover order; they come first.
    in_order: usize,
    fallback: Option<usize>,
    /// Shared by the marks that are new in this topology.
    began: Arc<AtomicU64>,
}

impl<T> Topology<T> {
    fn position(&self, id: EndpointId) -> Option<usize> {
        self.positions.get(&id).copied()
    }
}

/// Who a pool is from snapshot to snapshot: a hash of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PoolId(u64);

impl PoolId {
    fn of(name: &Name) -> Self {
        Self(SipHasher24::new_with_key(b"session-affinity").hash(name.as_str().as_bytes()))
    }
}

struct PoolTopology<T> {
    id: PoolId,
    name: Name,
    endpoints: Range<usize>,
    steering: Arc<dyn Steering<T>>,
}

impl<T> std::fmt::Debug for PoolTopology<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PoolTopology")
            .field("name", &self.name)
            .field("endpoints", &self.endpoints)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct EndpointTopology<T> {
    id: EndpointId,
    pool: usize,
    name: Name,
    target: T,
    mark: Arc<Mark>,
}

/// What a snapshot says of a pool.
#[derive(Clone, Copy, Debug)]
struct PoolStanding {
    state: State,
    minimum_origins: u32,
    shedding: LoadShedding,
    /// How many endpoints are healthy and enabled.
    serving: u32,
    /// How many of those have a weight.
    taking: u32,
}

/// What a snapshot says of an endpoint.
#[derive(Clone, Copy, Debug)]
struct EndpointStanding {
    weight: Weight,
    health: Health,
    state: State,
}

impl EndpointStanding {
    fn is_serving(&self) -> bool {
        self.health == Health::Healthy && self.state.is_enabled()
    }

    fn taking(&self) -> Weight {
        if self.is_serving() { self.weight } else { Weight::ZERO }
    }

    fn is_taking(&self) -> bool {
        self.is_serving() && self.weight != Weight::ZERO
    }
}

/// Endpoint ids are hashes already.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        // Not reached: an id writes one u64.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = id;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
