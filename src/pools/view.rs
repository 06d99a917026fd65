//! One pool and one endpoint of a snapshot.

use std::fmt;
use std::sync::Arc;

use super::Pools;
use super::pool::Pool;
use super::shedding::LoadShedding;
use super::status::{EndpointStatus, PoolStatus};
use super::topology::{PoolId, PoolTopology};
use crate::endpoint::member::{Member, PoolIndex, Position};
use crate::endpoint::{Census, Endpoint, EndpointId, Health, State};
use crate::limits::Weight;
use crate::steering::{Candidates, Occupancy, Place, Steering, Suspects};
use crate::time::UnixTime;

impl<T> Pools<T> {
    /// Returns an endpoint of this snapshot.
    #[inline]
    pub fn endpoint(&self, id: EndpointId) -> Option<EndpointView<'_, T>> {
        EndpointView::new(self, self.topology.position(id)?)
    }

    /// Returns the endpoint at a position of this snapshot.
    #[inline]
    pub(crate) fn at(&self, position: Position) -> Option<EndpointView<'_, T>> {
        EndpointView::new(self, position)
    }

    /// Returns an endpoint that keeps each of its sessions, unless it is a suspect or full: it takes
    /// new ones too, and its pool is enabled and sheds no session. So its pool has an endpoint that
    /// takes new sessions, and the endpoint is no last resort.
    #[inline]
    pub(crate) fn undisturbed(&self, id: EndpointId) -> Option<EndpointView<'_, T>> {
        let endpoint = self.endpoint(id)?;
        (endpoint.status.is_accepting() && endpoint.pool.status.is_undisturbed())
            .then_some(endpoint)
    }
}

/// One pool of a snapshot.
pub struct PoolView<'a, T> {
    pools: &'a Pools<T>,
    index: PoolIndex,
    topology: &'a PoolTopology<T>,
    status: &'a PoolStatus,
}

/// The endpoints that take part in a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Eligible {
    /// Those that are healthy, enabled and of a weight above 0.
    ForNewSessions,
    /// In the fallback pool: those that take new sessions; where there is no such endpoint, those
    /// that are enabled and of a weight above 0, their health ignored.
    ForFallback,
}

impl<'a, T> PoolView<'a, T> {
    #[inline]
    pub(super) fn new(pools: &'a Pools<T>, index: PoolIndex) -> Option<Self> {
        let topology = pools.topology.pools.get(index.0)?;
        Some(Self { pools, index, topology, status: pools.pools.get(index.0)? })
    }

    /// Returns the name of the pool.
    pub fn name(&self) -> &'a str {
        &self.topology.name
    }

    /// Returns the state that the operator has set.
    pub fn state(&self) -> State {
        self.status.state
    }

    /// Returns the number of healthy and enabled endpoints below which the pool is critical.
    /// Cloudflare: `minimum_origins`.
    pub fn minimum_origins(&self) -> u32 {
        self.status.minimum_origins
    }

    /// Returns the share of the pool's new sessions, where the pools are steered.
    pub fn weight(&self) -> Weight {
        self.status.weight
    }

    /// Returns the shares of sessions that are sent to the pools after this one.
    pub fn shedding(&self) -> LoadShedding {
        self.status.shedding
    }

    /// Returns whether fewer than `minimum_origins` endpoints are healthy and enabled. Endpoints of
    /// weight 0 count, draining ones do not.
    pub fn is_critical(&self) -> bool {
        self.status.is_critical()
    }

    /// Returns whether the pool takes new sessions: it is enabled, not critical, and at least one
    /// of its endpoints takes them.
    pub fn is_open(&self) -> bool {
        self.status.is_open()
    }

    /// Returns the endpoints in the order in which they were added.
    pub fn endpoints(&self) -> impl Iterator<Item = EndpointView<'a, T>> + use<'a, T> {
        let pool = *self;
        self.topology.endpoints.clone().filter_map(move |position| pool.at(Position(position)))
    }

    /// Returns the endpoints that a request can be sent to: none where the pool is disabled. Those
    /// in `tried` are left out.
    #[inline]
    pub(crate) fn candidates(
        self,
        eligible: Eligible,
        suspects: Suspects,
        now: UnixTime,
        tried: &'a [EndpointId],
    ) -> Candidates<'a, T> {
        let pools = self.pools;
        let is_enabled = self.state().is_enabled();
        let range = if is_enabled { self.topology.endpoints.clone() } else { 0..0 };
        let weighted = if is_enabled { self.topology.weights.clone() } else { 0..0 };
        let weights = match eligible {
            Eligible::ForFallback if !self.is_accepting() => &pools.fallback_weights,
            Eligible::ForFallback | Eligible::ForNewSessions => &pools.new_session_weights,
        };
        Candidates {
            pool: self.name(),
            doors: &self.topology.doors,
            ids: pools.topology.ids.get(range.clone()).unwrap_or_default(),
            weights: weights.get(weighted).unwrap_or_default(),
            members: pools.topology.endpoints.get(range).unwrap_or_default(),
            suspects,
            occupancy: None,
            now,
            tried,
        }
    }

    /// Returns the room of the endpoints, for a choice among them: `None` without a rule, and where
    /// no endpoint of the pool takes new sessions, as only one that does can be full.
    pub(crate) fn occupancy(self) -> Option<Occupancy<'a, T>> {
        let room = self.topology.room.as_ref().filter(|_| self.is_accepting())?;
        let (topology, range) = (&self.pools.topology, self.topology.endpoints.clone());
        let weights = self.topology.weights.clone();
        let weights = self.pools.new_session_weights.get(weights).unwrap_or_default();
        Some(room.among(weights, topology.endpoints.get(range).unwrap_or_default()))
    }

    /// Returns the endpoint that was chosen among this pool's candidates.
    #[inline]
    pub(crate) fn chosen(self, place: Place) -> Option<EndpointView<'a, T>> {
        self.at(Position(self.topology.endpoints.start.checked_add(place.0)?))
    }

    /// Returns whether one of the endpoints takes new sessions. A critical pool can have some.
    pub(crate) fn is_accepting(self) -> bool {
        self.status.is_accepting()
    }

    /// Returns whether the pool is one of those in order, and not a fallback pool apart from them.
    pub(crate) fn is_in_order(self) -> bool {
        self.index.0 < self.pools.topology.in_order
    }

    pub(crate) fn index(self) -> PoolIndex {
        self.index
    }

    pub(crate) fn id(self) -> PoolId {
        self.topology.id
    }

    /// Describes the pool as it is, with nothing stated, so that a rebuild keeps all of it.
    pub(super) fn described(self) -> Pool<T>
    where
        T: Clone,
    {
        let endpoint =
            |known: EndpointView<'_, T>| Endpoint::new(known.name(), known.target().clone());
        Pool {
            endpoints: self.endpoints().map(endpoint).collect(),
            steering: Arc::clone(&self.topology.steering),
            room: self.topology.room.clone(),
            ..Pool::new(self.name())
        }
    }

    pub(crate) fn steering(self) -> &'a dyn Steering<T> {
        self.topology.steering.as_ref()
    }

    /// Returns the endpoint at a position of this pool.
    #[inline]
    fn at(self, position: Position) -> Option<EndpointView<'a, T>> {
        let member = self.pools.topology.endpoints.get(position.0)?;
        let status = self.pools.endpoints.get(position.0)?;
        Some(EndpointView { position, pool: self, member, status })
    }
}

impl<T> Clone for PoolView<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for PoolView<'_, T> {}

/// Shows the number of endpoints, and no endpoint.
impl<T> fmt::Debug for PoolView<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolView")
            .field("name", &self.name())
            .field("state", &self.state())
            .field("weight", &self.weight())
            .field("minimum_origins", &self.minimum_origins())
            .field("shedding", &self.shedding())
            .field("endpoints", &self.topology.endpoints.len())
            .finish()
    }
}

/// One endpoint of a snapshot.
pub struct EndpointView<'a, T> {
    position: Position,
    pool: PoolView<'a, T>,
    member: &'a Member<T>,
    status: &'a EndpointStatus,
}

impl<'a, T> EndpointView<'a, T> {
    #[inline]
    fn new(pools: &'a Pools<T>, position: Position) -> Option<Self> {
        let member = pools.topology.endpoints.get(position.0)?;
        let pool = PoolView::new(pools, member.pool)?;
        Some(Self { position, pool, member, status: pools.endpoints.get(position.0)? })
    }

    /// Returns the id of the endpoint.
    pub fn id(&self) -> EndpointId {
        self.member.id
    }

    /// Returns the name of the endpoint.
    pub fn name(&self) -> &'a str {
        &self.member.name
    }

    /// Returns the embedder's own value for the endpoint.
    pub fn target(&self) -> &'a T {
        &self.member.target
    }

    /// Returns the share of new sessions.
    pub fn weight(&self) -> Weight {
        self.status.weight
    }

    /// Returns the result of the latest health check.
    pub fn health(&self) -> Health {
        self.status.health
    }

    /// Returns the state that the operator has set for the endpoint itself. The state of its pool
    /// counts as well: see [`State::phase`].
    pub fn state(&self) -> State {
        self.status.state
    }

    /// Returns the pool of the endpoint.
    pub fn pool(&self) -> PoolView<'a, T> {
        self.pool
    }

    /// Returns whether the endpoint is suspect: it is cooling off after a connection that this node
    /// could not make. Routing ignores it without
    /// [`Affinity::with_cooling_off`](crate::Affinity::with_cooling_off).
    pub fn is_suspect(&self, now: UnixTime) -> bool {
        self.member.mark.is_suspect(now)
    }

    /// Returns whether the endpoint is full at this moment, by the rule of its pool:
    /// [`Pool::with_room`](crate::Pool::with_room). One that takes no new sessions is never full.
    pub fn is_full(&self) -> bool {
        let place = self.position.0.checked_sub(self.pool.topology.endpoints.start).map(Place);
        let occupancy = self.pool.occupancy();
        occupancy.zip(place).is_some_and(|(occupancy, place)| occupancy.is_full(place))
    }

    /// Returns the sessions of the endpoint as this node has seen them.
    pub fn census(&self) -> Census {
        self.member.mark.census()
    }

    /// Notes a session that was pinned to the endpoint at the time `issued`, and ends at `end`, by
    /// other means than [`Affinity::settle`](crate::Affinity::settle): a record that an operator has
    /// written, or a session that another process is known to have begun. Without the note, the
    /// endpoint would be called drained before that session has ended.
    ///
    /// ```
    /// # use session_affinity::*;
    /// # let pools = Pools::builder().pool(Pool::new("eu").with_endpoint(Endpoint::new("eu-1", ()))).build()?;
    /// # let now = UnixTime::from_secs(1_800_000_000);
    /// let endpoint = pools.endpoint(EndpointId::new("eu", "eu-1")).ok_or("not in the snapshot")?;
    /// endpoint.note_session(now, now.saturating_add(1_800));
    /// assert_eq!(endpoint.census().latest_end, Some(now.saturating_add(1_800)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn note_session(&self, issued: UnixTime, end: UnixTime) {
        self.member.mark.pinned(issued, end);
    }

    #[inline]
    pub(crate) fn position(self) -> Position {
        self.position
    }
}

impl<T> Clone for EndpointView<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for EndpointView<'_, T> {}

/// Shows the name of the pool, and not the target.
impl<T> fmt::Debug for EndpointView<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointView")
            .field("id", &self.id())
            .field("name", &self.name())
            .field("pool", &self.pool.name())
            .field("weight", &self.weight())
            .field("health", &self.health())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
