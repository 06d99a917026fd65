//! The room of endpoints: the rule by which one is full.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::rendezvous::Place;
use crate::endpoint::member::Member;
use crate::limits::{BoundedLoad, Weight};

/// The rule by which an endpoint of a pool is *full*. A full endpoint gets a request only where no
/// other one with room may take it.
///
/// | request | while its endpoint is full, and another one has room |
/// |---|---|
/// | live session, failover mode `none` | kept |
/// | live session, `temporary` | lent: the next request tries home first |
/// | live session, `sticky` | moved |
/// | new session, moved session, retry | goes to one with room |
///
/// A live session goes to the first endpoint with room in an order of its own, which is the same on
/// every node: so it overflows to one second home, and not to a random one each time. An endpoint
/// that takes no new sessions (draining, weight 0, not checked yet) is never full.
///
/// The rule is asked on the path of each request and is expected to answer at once, from memory.
///
/// ```
/// use session_affinity::limits::BoundedLoad;
/// use session_affinity::steering::{InFlight, Room};
/// use session_affinity::{Endpoint, Pool};
///
/// struct Peer {
///     address: &'static str,
///     in_flight: InFlight,
/// }
///
/// let peer = |address| Peer { address, in_flight: InFlight::default() };
/// // No endpoint carries more than 125 % of its share, or 4 requests where that is less.
/// let bound = BoundedLoad::new(125, 4)?;
/// let eu = Pool::new("eu")
///     .with_endpoint(Endpoint::new("eu-1", peer("10.0.0.1:80")))
///     .with_endpoint(Endpoint::new("eu-2", peer("10.0.0.2:80")))
///     .with_room(Room::bounded(bound, |peer: &Peer| peer.in_flight.count()));
///
/// // Each endpoint has a limit of its own.
/// let us = Pool::new("us")
///     .with_endpoint(Endpoint::new("us-1", peer("10.1.0.1:80")))
///     .with_room(Room::full_when(|peer: &Peer| peer.in_flight.count() >= 100));
/// # Ok::<(), session_affinity::limits::OutOfRange>(())
/// ```
pub struct Room<T>(Rule<T>);

enum Rule<T> {
    FullWhen(Arc<dyn Fn(&T) -> bool + Send + Sync>),
    Bounded(BoundedLoad, Arc<dyn Fn(&T) -> u32 + Send + Sync>),
}

impl<T> Room<T> {
    /// Creates the rule that an endpoint is full when the function returns true for its target.
    /// All endpoints may be full at once; requests are served all the same.
    pub fn full_when(is_full: impl Fn(&T) -> bool + Send + Sync + 'static) -> Self {
        Self(Rule::FullWhen(Arc::new(is_full)))
    }

    /// Creates the rule that an endpoint is full when one request more would exceed the bound.
    /// `load` returns the load of a target, such as its requests in flight:
    /// [`InFlight::count`](super::InFlight::count). The load of the pool is the sum over its
    /// endpoints that take new sessions, so that one of them has room at any time.
    pub fn bounded(bound: BoundedLoad, load: impl Fn(&T) -> u32 + Send + Sync + 'static) -> Self {
        Self(Rule::Bounded(bound, Arc::new(load)))
    }

    /// Returns the room of endpoints at this moment. The weights are those in a choice for a new
    /// session, 0 for an endpoint that takes none.
    pub(crate) fn among<'a>(
        &'a self,
        weights: &'a [Weight],
        members: &'a [Member<T>],
    ) -> Occupancy<'a, T> {
        Occupancy { rule: &self.0, weights, members, sums: OnceLock::new() }
    }
}

/// The room of a pool's endpoints, for one choice.
pub(crate) struct Occupancy<'a, T> {
    rule: &'a Rule<T>,
    weights: &'a [Weight],
    members: &'a [Member<T>],
    /// Read once for a choice, and only where an endpoint carries `at_least` or more.
    sums: OnceLock<Sums>,
}

/// The sums over the endpoints that take new sessions.
#[derive(Clone, Copy)]
struct Sums {
    load: u64,
    weights: u64,
}

impl<T> Occupancy<'_, T> {
    /// Returns whether an endpoint is full.
    pub(crate) fn is_full(&self, place: Place) -> bool {
        let (weight, member) = (self.weights.get(place.0), self.members.get(place.0));
        let (Some(weight), Some(member)) = (weight, member) else { return false };
        if *weight == Weight::ZERO {
            return false;
        }
        match self.rule {
            Rule::FullWhen(is_full) => is_full(&member.target),
            Rule::Bounded(bound, load) => {
                let own = load(&member.target);
                let is_within = || {
                    let sums = self.sums.get_or_init(|| self.sums(load.as_ref()));
                    bound.admits(own, *weight, sums.load, sums.weights)
                };
                !(bound.admits_any(own) || is_within())
            }
        }
    }

    fn sums(&self, load: &dyn Fn(&T) -> u32) -> Sums {
        let takers = self.weights.iter().zip(self.members).filter(|(it, _)| **it > Weight::ZERO);
        takers.fold(Sums { load: 0, weights: 0 }, |sums, (weight, member)| Sums {
            load: sums.load.saturating_add(load(&member.target).into()),
            weights: sums.weights.saturating_add(weight.get().into()),
        })
    }
}

impl<T> Clone for Room<T> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Rule::FullWhen(is_full) => Rule::FullWhen(Arc::clone(is_full)),
            Rule::Bounded(bound, load) => Rule::Bounded(*bound, Arc::clone(load)),
        })
    }
}

/// `Room::FullWhen(..)`, or `Room::Bounded(BoundedLoad { percent: 125, at_least: 4 }, ..)`: without
/// the function.
impl<T> fmt::Debug for Room<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Rule::FullWhen(_) => f.write_str("Room::FullWhen(..)"),
            Rule::Bounded(bound, _) => write!(f, "Room::Bounded({bound:?}, ..)"),
        }
    }
}

/// Leaves out everything but the name: the targets need not be `Debug`.
impl<T> fmt::Debug for Occupancy<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Occupancy").finish_non_exhaustive()
    }
}
