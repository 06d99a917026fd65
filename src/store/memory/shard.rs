//! A part of a [`MemoryStore`](super::MemoryStore): a table of sets of eight places.
//!
//! Each key has two sets, one in either half of the table, and may stand in any of their places.

use super::place::{Place, words};
use crate::store::SessionKey;
use crate::time::UnixTime;

/// The number of places in a set.
const WAYS: usize = 8;

/// The part of the sessions that one lock protects.
pub(super) struct Shard {
    sets: Vec<[Place; WAYS]>,
}

impl Shard {
    /// Creates a shard of at least `places` places. `None` if memory cannot be allocated.
    pub(super) fn new(places: usize) -> Option<Self> {
        let count = places.div_ceil(WAYS).max(2);
        let mut sets = Vec::new();
        sets.try_reserve_exact(count).ok()?;
        sets.resize(count, [Place::default(); WAYS]);
        Some(Self { sets })
    }

    /// The number of live sessions.
    pub(super) fn live(&self, now: UnixTime) -> usize {
        self.sets.iter().flatten().filter(|place| place.is_live(now)).count()
    }

    /// The place of a live session.
    #[inline]
    pub(super) fn find(&mut self, key: SessionKey, hash: u64, now: UnixTime) -> Option<&mut Place> {
        let [first, second] = self.choices(hash);
        let words = words(key);
        let holds = |set: &[Place; WAYS]| set.iter().position(|place| place.holds(words, now));
        let (set, way) = match self.sets.get(first).and_then(holds) {
            Some(way) => (first, way),
            None => (second, self.sets.get(second).and_then(holds)?),
        };
        self.sets.get_mut(set)?.get_mut(way)
    }

    /// Frees every place of a key, idled out or not: after a clock that was set back, a place that
    /// has idled out is live again.
    pub(super) fn remove(&mut self, key: SessionKey, hash: u64) {
        let words = words(key);
        for choice in self.choices(hash) {
            for place in self.sets.get_mut(choice).into_iter().flatten() {
                if place.is_of(words) {
                    *place = Place::default();
                }
            }
        }
    }

    /// A place for a new session: a free one in the emptier set. If both sets are full, the place
    /// of the session that is dropped: one not used again before one in use, and of those the one
    /// that would end first.
    #[inline]
    pub(super) fn make_room(&mut self, hash: u64, now: UnixTime) -> Option<&mut Place> {
        let [first, second] = self.choices(hash);
        let [mut one, mut other] = self.sets.get_disjoint_mut([first, second]).ok()?;
        let free = |set: &[Place; WAYS]| set.iter().filter(|place| !place.is_live(now)).count();
        if free(other) > free(one) {
            std::mem::swap(&mut one, &mut other);
        }
        if free(one) > 0 {
            return one.iter_mut().find(|place| !place.is_live(now));
        }
        one.iter_mut().chain(other).min_by_key(|place| (place.is_used(), place.end()))
    }

    /// The two sets of a key, one in each half. A tie goes to the left one, which fills the sets
    /// more evenly than two sets out of the whole table.
    fn choices(&self, hash: u64) -> [usize; 2] {
        let left = self.sets.len() / 2;
        let right = self.sets.len().saturating_sub(left);
        // The choice of the shard has used up the upper bits: mix the hash once more.
        [scale(fold(hash, TO_LEFT), left), left.saturating_add(scale(fold(hash, TO_RIGHT), right))]
    }
}

/// The hash of a key. Keys of [`HeaderPolicy`](crate::HeaderPolicy) are keyed hashes, out of a
/// client's control; mixing spreads the keys of other policies too.
pub(super) fn spread(key: SessionKey) -> u64 {
    let both = u128::from_be_bytes(key.0);
    fold((both >> 64) as u64 ^ TO_RIGHT, both as u64 ^ TO_LEFT)
}

/// A number below `count`, in proportion to the hash.
pub(super) fn scale(hash: u64, count: usize) -> usize {
    ((u128::from(hash).saturating_mul(count as u128)) >> 64) as usize
}

/// The exclusive or of the two halves of the product: each bit depends on many bits of both
/// numbers.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a).wrapping_mul(b.into());
    (product >> 64) as u64 ^ product as u64
}

/// Odd numbers whose bits follow no pattern.
const TO_LEFT: u64 = 0xd6e8_feb8_6659_fd93;
const TO_RIGHT: u64 = 0x9e37_79b9_7f4a_7c15;
