//! The part of a snapshot that stays the same until pools or endpoints are added or removed.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;
use std::sync::Arc;

use siphasher::sip::SipHasher24;

use crate::endpoint::member::{Member, PoolIndex, Position};
use crate::endpoint::{EndpointId, mark};
use crate::steering::{Doors, PoolOrder, Room, Steering};
use crate::sync::AtomicU64;

/// The pools and endpoints of a snapshot, shared by all snapshots that are edited from it.
#[derive(Debug)]
pub(super) struct Topology<T> {
    pub(super) pools: Vec<PoolTopology<T>>,
    pub(super) endpoints: Vec<Member<T>>,
    /// The ids of `endpoints` once more, close together.
    pub(super) ids: Vec<EndpointId>,
    positions: HashMap<EndpointId, Position, BuildHasherDefault<IdHasher>>,
    /// The number of pools in failover order; they come first.
    pub(super) in_order: usize,
    pub(super) fallback: Option<PoolIndex>,
    pub(super) order: PoolOrder<T>,
    /// The endpoints that the snapshots before this one had, with the pools that they were in: the
    /// oldest first, at most [`MOST_REMOVED`].
    pub(super) removed: Vec<(EndpointId, PoolId)>,
    /// One of the pools has a rule of room.
    pub(super) has_room_rule: bool,
    /// The start of the census, shared by the marks of the endpoints that are new in this topology,
    /// and in those before it that no request has come to.
    pub(super) began: Arc<AtomicU64>,
}

impl<T> Topology<T> {
    /// Returns a topology without pools, for `pools` to come.
    pub(super) fn new(pools: usize, in_order: usize, fallback: Option<PoolIndex>) -> Self {
        Self {
            pools: Vec::with_capacity(pools),
            endpoints: Vec::new(),
            ids: Vec::new(),
            positions: HashMap::default(),
            in_order,
            fallback,
            order: PoolOrder::default(),
            removed: Vec::new(),
            has_room_rule: false,
            began: Arc::default(),
        }
    }

    /// Adds an endpoint, or returns it when there is one with the same id.
    pub(super) fn add(&mut self, member: Member<T>) -> Result<(), Member<T>> {
        let Entry::Vacant(entry) = self.positions.entry(member.id) else { return Err(member) };
        entry.insert(Position(self.endpoints.len()));
        self.ids.push(member.id);
        self.endpoints.push(member);
        Ok(())
    }

    /// Shares the start of the census with the topology before, where that has not begun: the first
    /// request begins it for the endpoints of both.
    pub(super) fn begin_with(&mut self, before: &Self) {
        if !mark::has_begun(&before.began) {
            self.began = before.began.clone();
        }
    }

    /// Remembers the pools of the endpoints that are in the topology before and not in this one, so
    /// that a session of a replaced endpoint finds its pool.
    pub(super) fn remember(&mut self, before: &Self) {
        let pool_of = |member: &Member<T>| Some((member.id, before.pools.get(member.pool.0)?.id));
        let earlier = before.removed.iter().copied();
        let removed: Vec<_> = earlier
            .chain(before.endpoints.iter().filter_map(pool_of))
            .filter(|(id, _)| self.position(*id).is_none())
            .collect();
        let forgotten = removed.len().saturating_sub(MOST_REMOVED);
        self.removed = removed.into_iter().skip(forgotten).collect();
    }

    /// Returns the pool of an endpoint that is remembered.
    pub(super) fn pool_of_removed(&self, id: EndpointId) -> Option<PoolId> {
        self.removed.iter().find(|(removed, _)| *removed == id).map(|(_, pool)| *pool)
    }

    #[inline]
    pub(super) fn position(&self, id: EndpointId) -> Option<Position> {
        self.positions.get(&id).copied()
    }

    /// Returns the place of an endpoint's weight in the lists of weights.
    pub(super) fn weight_at(&self, position: Position) -> Option<usize> {
        let pool = self.pools.get(self.endpoints.get(position.0)?.pool.0)?;
        pool.weights.start.checked_add(position.0.checked_sub(pool.endpoints.start)?)
    }

    #[inline]
    pub(super) fn member(&self, id: EndpointId) -> Option<&Member<T>> {
        self.endpoints.get(self.position(id)?.0)
    }
}

/// The number of removed endpoints whose pools are remembered.
const MOST_REMOVED: usize = 1_024;

/// The part of a pool that does not change from snapshot to snapshot.
pub(super) struct PoolTopology<T> {
    pub(super) id: PoolId,
    pub(super) name: Box<str>,
    /// The positions of its endpoints.
    pub(super) endpoints: Range<usize>,
    /// The places of their weights in the lists of weights, filled to full blocks of [`Doors`].
    pub(super) weights: Range<usize>,
    /// The doors of its endpoints, which decide choices.
    pub(super) doors: Doors,
    pub(super) steering: Arc<dyn Steering<T>>,
    pub(super) room: Option<Room<T>>,
}

/// Leaves out the steering and the room, which are functions, and the id, a hash of the name.
impl<T> fmt::Debug for PoolTopology<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolTopology")
            .field("name", &self.name)
            .field("endpoints", &self.endpoints)
            .finish_non_exhaustive()
    }
}

/// The identity of a pool in all snapshots: a hash of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PoolId(u64);

impl PoolId {
    pub(super) fn of(name: &str) -> Self {
        Self(SipHasher24::new_with_key(b"session-affinity").hash(name.as_bytes()))
    }

    pub(super) fn as_u64(self) -> u64 {
        self.0
    }
}

/// Passes endpoint ids through, as they are hashes already.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        // Not reached: an id writes one u64.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    #[inline]
    fn write_u64(&mut self, id: u64) {
        self.0 = id;
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}
