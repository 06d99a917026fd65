//! A part of a [`MemoryStore`](super::MemoryStore): a table of sets of four places.
//!
//! Each key has two sets, and may stand in any of their places. Where both are full, a
//! session of them that has room in its other set moves there: so almost all places can be taken.

use super::address::Address;
use super::place::{Place, Rank};
use crate::endpoint::EndpointId;
use crate::limits::Ttl;
use crate::time::UnixTime;

/// The number of places in a set.
const WAYS: usize = 4;

/// Sets begin at multiples of 16 bytes, so that each touches three lines of the cache.
#[derive(Clone, Copy)]
#[repr(align(16))]
struct Set([Place; WAYS]);

/// The part of the sessions that one lock protects.
pub(super) struct Shard {
    sets: Vec<Set>,
}

impl Shard {
    /// Creates a shard of at least `places` places. `None` if memory cannot be allocated.
    pub(super) fn new(places: usize) -> Option<Self> {
        let count = places.div_ceil(WAYS).max(2);
        let mut sets = Vec::new();
        sets.try_reserve_exact(count).ok()?;
        sets.resize(count, Set([Place::FREE; WAYS]));
        Some(Self { sets })
    }

    /// The number of live sessions.
    pub(super) fn live(&self, now: UnixTime) -> usize {
        self.live_places(now).count()
    }

    /// The places of the live sessions.
    pub(super) fn live_places(&self, now: UnixTime) -> impl Iterator<Item = &Place> {
        let places = self.sets.iter().flat_map(|set| &set.0);
        places.filter(move |place| place.is_live(now))
    }

    /// The place of a live session.
    ///
    /// Each comparison is a branch: a processor that predicts it need not wait for the lines of the
    /// cache that hold the other places.
    #[inline(always)]
    pub(super) fn find(&mut self, at: &Address, now: UnixTime) -> Option<&mut Place> {
        let count = self.sets.len();
        let mut set = at.first(count);
        let mut way = self.sets.get(set)?.way(at);
        if way == WAYS {
            set = at.second(count);
            way = self.sets.get(set)?.way(at);
        }
        if way == WAYS {
            return None;
        }
        if self.sets.get(set)?.0.get(way)?.ends_with(at, now) {
            return self.sets.get_mut(set)?.0.get_mut(way);
        }
        self.find_among_like(at, now)
    }

    /// The place of a live session where another key begins alike, or the session stood before.
    #[cold]
    #[inline(never)]
    fn find_among_like(&mut self, at: &Address, now: UnixTime) -> Option<&mut Place> {
        let sets = at.sets(self.sets.len());
        let sets = self.sets.get_disjoint_mut(sets).ok()?;
        sets.into_iter()
            .flat_map(|set| &mut set.0)
            .find(|place| place.is_of(at) && place.is_live(now))
    }

    /// Creates a session unless a live one is there.
    #[inline(never)]
    pub(super) fn create(&mut self, at: &Address, endpoint: EndpointId, now: UnixTime, ttl: Ttl) {
        if self.find(at, now).is_none() {
            self.begin(at, endpoint, now, ttl);
        }
    }

    /// Pins a session to an endpoint, whether a live one is there or not.
    #[inline(never)]
    pub(super) fn replace(&mut self, at: &Address, endpoint: EndpointId, now: UnixTime, ttl: Ttl) {
        match self.find(at, now) {
            Some(place) => place.replace(endpoint, now, now.saturating_add(ttl.get())),
            None => self.begin(at, endpoint, now, ttl),
        }
    }

    fn begin(&mut self, at: &Address, endpoint: EndpointId, now: UnixTime, ttl: Ttl) {
        self.put(at, Place::new(at, endpoint, now, now.saturating_add(ttl.get())), ttl, now);
    }

    /// Adds a session whose key is in no place.
    pub(super) fn put(&mut self, at: &Address, session: Place, ttl: Ttl, now: UnixTime) {
        if let Some(place) = self.make_room(at, now, ttl) {
            *place = session;
        }
    }

    /// Frees every place of a key, idled out or not: after a clock that was set back, a place that
    /// has idled out is live again.
    pub(super) fn remove(&mut self, at: &Address) {
        for set in at.sets(self.sets.len()) {
            for place in self.sets.get_mut(set).into_iter().flat_map(|set| &mut set.0) {
                if place.is_of(at) {
                    *place = Place::FREE;
                }
            }
        }
    }

    /// A place for a session that begins now: a free one in the emptier set. If both sets are
    /// full, the place of a session that can move to its other set, or else of the one that is
    /// dropped, by [`Rank`].
    fn make_room(&mut self, at: &Address, now: UnixTime, ttl: Ttl) -> Option<&mut Place> {
        let [first, second] = at.sets(self.sets.len());
        let free = |set: usize| self.sets.get(set).map(|set| set.free(now));
        let emptier = if free(second) > free(first) { second } else { first };
        let mut spot = self.lowest(emptier, now, ttl)?;
        if spot.rank != Rank::Free {
            let other = if emptier == first { second } else { first };
            spot = spot.min(self.lowest(other, now, ttl)?);
            // A flood finds unused sessions everywhere: the search for a free place is kept short.
            let sets: &[usize] = match spot.rank {
                Rank::Used(..) | Rank::Idle(_) => &[first, second],
                Rank::Free | Rank::Unused(_) => &[first],
            };
            if let Some(moved) = self.move_one(sets, spot.rank, now, ttl) {
                spot = moved;
            }
        }
        self.sets.get_mut(spot.set)?.0.get_mut(spot.way)
    }

    /// Moves a session out of one of these sets to its other set, where there is a place whose
    /// session gives way to one of this rank. Returns the place where the session was.
    fn move_one(&mut self, sets: &[usize], rank: Rank, now: UnixTime, ttl: Ttl) -> Option<Spot> {
        for &set in sets {
            for way in 0..WAYS {
                let place = *self.sets.get(set)?.0.get(way)?;
                let other = place.address().other(set, self.sets.len());
                let to = match rank {
                    // A free place alone, so the ranks of the others are not asked for.
                    Rank::Free | Rank::Unused(_) => self.free(other, now),
                    Rank::Idle(_) | Rank::Used(..) => {
                        self.lowest(other, now, ttl).filter(|to| to.rank.gives_way_to(rank))
                    }
                };
                if let Some(to) = to {
                    *self.sets.get_mut(to.set)?.0.get_mut(to.way)? = place;
                    return Some(Spot { rank: Rank::Free, set, way });
                }
            }
        }
        None
    }

    /// The first free place of a set.
    fn free(&self, set: usize, now: UnixTime) -> Option<Spot> {
        let way = self.sets.get(set)?.0.iter().position(|place| !place.is_live(now))?;
        Some(Spot { rank: Rank::Free, set, way })
    }

    /// The place of a set whose session gives way first.
    fn lowest(&self, set: usize, now: UnixTime, ttl: Ttl) -> Option<Spot> {
        if let Some(free) = self.free(set, now) {
            return Some(free);
        }
        let places = self.sets.get(set)?.0.iter().enumerate();
        places.map(|(way, place)| Spot { rank: place.rank(now, ttl), set, way }).min()
    }
}

impl Set {
    /// The first place whose key begins as this one, or `WAYS`.
    #[inline(always)]
    fn way(&self, at: &Address) -> usize {
        self.0.iter().position(|place| place.begins_with(at.head)).unwrap_or(WAYS)
    }

    fn free(&self, now: UnixTime) -> usize {
        self.0.iter().filter(|place| !place.is_live(now)).count()
    }
}

/// A place of a shard, ordered by the rank of its session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Spot {
    rank: Rank,
    set: usize,
    way: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_144_bytes() {
        assert_eq!(size_of::<Set>(), 144);
    }
}
