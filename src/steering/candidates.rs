//! The endpoints of a pool that a request can be sent to.

use std::fmt;

use super::doors::Doors;
use super::opening::Row;
use super::rendezvous::{Place, least_loaded};
use super::room::Occupancy;
use crate::endpoint::EndpointId;
use crate::endpoint::member::Member;
use crate::limits::Weight;
use crate::time::UnixTime;

/// The endpoints of one pool that a [`Steering`](super::Steering) chooses from. They are enabled,
/// have a weight above 0 and have not been tried for this request. Where some of them have
/// [`Room`](super::Room) and are not suspect, the others are left out.
///
/// Candidates are healthy, with one exception: when no open pool takes the session, and no endpoint
/// of the fallback pool takes new sessions either, the health of that pool's endpoints is ignored.
#[derive(Debug)]
pub struct Candidates<'a, T> {
    pub(crate) pool: &'a str,
    pub(crate) doors: &'a Doors,
    pub(crate) ids: &'a [EndpointId],
    /// For each of `ids` the weight in this choice: 0 for an endpoint that is not eligible, and for
    /// those that fill the last block of the doors.
    pub(crate) weights: &'a [Weight],
    pub(crate) members: &'a [Member<T>],
    pub(crate) suspects: Suspects,
    /// Leaves full endpoints out, if this choice is among those with room.
    pub(crate) occupancy: Option<Occupancy<'a, T>>,
    pub(crate) now: UnixTime,
    pub(crate) tried: &'a [EndpointId],
}

/// The treatment of endpoints that are cooling off after a failed connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suspects {
    /// Candidates like any other.
    Included,
    /// Not candidates.
    Excluded,
}

impl<'a, T> Candidates<'a, T> {
    /// Returns the name of the pool.
    pub fn pool(&self) -> &'a str {
        self.pool
    }

    /// Returns the candidates in the order in which they were added to the pool.
    pub fn iter(&self) -> impl Iterator<Item = Candidate<'a, T>> + use<'_, 'a, T> {
        self.places().filter_map(|place| self.at(place))
    }

    /// Returns the candidate that weights alone prefer for a seed: of all seeds each candidate has
    /// its weight's share. The same on every node, whatever the order in which the endpoints were
    /// added.
    pub fn preferred(&self, seed: u64) -> Option<Candidate<'a, T>> {
        let row = Row { doors: self.doors, ids: self.ids, weights: self.weights };
        self.at(row.first(seed, |place| self.is_candidate(place))?)
    }

    /// Returns the candidate that is preferred when the weight of each is divided by its load plus
    /// one.
    pub(super) fn preferred_by(
        &self,
        seed: u64,
        load: impl Fn(&T) -> u32,
    ) -> Option<Candidate<'a, T>> {
        let load = |place: Place| self.members.get(place.0).map_or(0, |it| load(&it.target));
        let is_candidate = |place| self.is_candidate(place);
        self.at(least_loaded(seed, self.ids, self.weights, load, is_candidate)?)
    }

    /// Returns whether there are no candidates.
    pub(crate) fn is_empty(&self) -> bool {
        self.places().next().is_none()
    }

    fn places(&self) -> impl Iterator<Item = Place> + use<'_, 'a, T> {
        let weights = self.weights.iter().enumerate();
        weights
            .filter_map(|(index, weight)| (*weight != Weight::ZERO).then_some(Place(index)))
            .filter(|place| self.is_candidate(*place))
    }

    /// Returns whether an eligible endpoint is a candidate for this request.
    fn is_candidate(&self, place: Place) -> bool {
        let is_suspect = || {
            let member = self.members.get(place.0);
            member.is_some_and(|member| member.mark.is_suspect(self.now))
        };
        let is_wanted = match self.suspects {
            Suspects::Included => true,
            Suspects::Excluded => !is_suspect(),
        };
        let was_tried = || self.ids.get(place.0).is_some_and(|id| self.tried.contains(id));
        let is_full = || self.occupancy.as_ref().is_some_and(|it| it.is_full(place));
        is_wanted && !was_tried() && !is_full()
    }

    fn at(&self, place: Place) -> Option<Candidate<'a, T>> {
        let (member, weight) = (self.members.get(place.0)?, *self.weights.get(place.0)?);
        Some(Candidate { place, weight, member })
    }
}

/// An endpoint that can be chosen. Only [`Candidates`] makes them, so a
/// [`Steering`](super::Steering) can return nothing else.
pub struct Candidate<'a, T> {
    pub(crate) place: Place,
    weight: Weight,
    member: &'a Member<T>,
}

impl<'a, T> Candidate<'a, T> {
    /// Returns the id of the endpoint.
    pub fn id(&self) -> EndpointId {
        self.member.id
    }

    /// Returns the weight of the endpoint, never 0.
    pub fn weight(&self) -> Weight {
        self.weight
    }

    /// Returns the name of the endpoint.
    pub fn name(&self) -> &'a str {
        &self.member.name
    }

    /// Returns the embedder's own value for the endpoint.
    pub fn target(&self) -> &'a T {
        &self.member.target
    }
}

impl<T> Clone for Candidate<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Candidate<'_, T> {}

impl<T: fmt::Debug> fmt::Debug for Candidate<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidate")
            .field("id", &self.id())
            .field("weight", &self.weight)
            .field("name", &self.name())
            .field("target", self.target())
            .finish()
    }
}
