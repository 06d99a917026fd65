//! The doors of a pool: the place of each endpoint among 65 536, for all choices.

use std::fmt;

use super::rendezvous::{Place, mix};
use crate::endpoint::EndpointId;

/// The door of each member of a pool, whatever its health and weight. Made once, when the pool is
/// built: an endpoint that fails or returns keeps its door, and so does every other.
///
/// Takes 2 bytes for each member, in blocks of 32; from 416 members on 4 bytes for each, and 10 KiB.
pub(crate) struct Doors {
    members: usize,
    /// The door of each member, in the order of the list, and zeros to fill the last block.
    blocks: Box<[[u16; Self::BLOCK]]>,
    /// The way back, where members are so many that a choice goes from door to door.
    residents: Option<Box<Residents>>,
}

impl Doors {
    /// The number of doors in a block: a multiple of the lanes of any search.
    pub(crate) const BLOCK: usize = 32;

    /// The most members of a pool: half of its doors, so that a free one is soon found.
    pub(crate) const MOST_MEMBERS: usize = 1 << 15;

    /// Gives each member the first free door of a sequence of its own, in the order of their ids, so
    /// that the order of the list does not matter. Returns `None` for too many members.
    pub(crate) fn new(ids: &[EndpointId]) -> Option<Self> {
        if ids.len() > Self::MOST_MEMBERS {
            return None;
        }
        let mut by_id: Vec<_> = ids.iter().zip(0_u16..).collect();
        by_id.sort_unstable();
        let mut blocks = vec![[0; Self::BLOCK]; ids.len().div_ceil(Self::BLOCK)].into_boxed_slice();
        let doors = blocks.as_flattened_mut();
        let mut taken = Taken::default();
        for (id, place) in by_id {
            let door = sequence(*id).find(|door| !taken.contains(*door))?;
            taken.add(door);
            *doors.get_mut(usize::from(place))? = door;
        }
        let is_large = ids.len() >= LARGE;
        let residents = is_large.then(|| Box::new(Residents::new(taken, doors, ids.len())));
        Some(Self { members: ids.len(), blocks, residents })
    }

    /// Returns the number of members, filled to full blocks.
    pub(crate) fn filled(&self) -> usize {
        self.blocks.as_flattened().len()
    }

    /// Returns the door of each member, in the order of the list.
    pub(super) fn of_members(&self) -> &[u16] {
        self.blocks.as_flattened().get(..self.members).unwrap_or_default()
    }

    /// Returns the door of each member in the order of the list, in full blocks. The last block is
    /// filled with numbers that belong to no member.
    pub(super) fn in_blocks<const LANES: usize>(&self) -> &[[u16; LANES]] {
        self.blocks.as_flattened().as_chunks().0
    }

    /// Returns the way from a door to its member, in a pool of any size.
    #[cfg(test)]
    pub(super) fn residents_of_any(&self) -> Residents {
        let mut taken = Taken::default();
        self.of_members().iter().for_each(|door| taken.add(*door));
        Residents::new(taken, self.of_members(), self.members)
    }

    /// Returns the way from a door to its member, in a large pool.
    pub(super) fn residents(&self) -> Option<&Residents> {
        self.residents.as_deref()
    }
}

/// The number of members from which on a choice goes from rank to rank, in 65 536 / n steps, and
/// before which it looks at each of them, in n steps of half the cost: some 390 members of equal
/// weights take as long either way, and some 490 of mixed ones.
pub(super) const LARGE: usize = 416;

/// Shows the number of members.
impl fmt::Debug for Doors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doors").field("members", &self.members).finish_non_exhaustive()
    }
}

/// The doors that an endpoint would have, the one that it prefers first: all of them, as the step is
/// odd.
#[expect(clippy::cast_possible_truncation, reason = "two parts of 16 bits are cut out")]
fn sequence(id: EndpointId) -> impl Iterator<Item = u16> {
    let hash = mix(id.as_u64());
    let (first, step) = ((hash >> 48) as u16, (hash >> 32) as u16 | 1);
    (0..=u16::MAX).map(move |turn| first.wrapping_add(step.wrapping_mul(turn)))
}

/// A set of doors, on the heap: a pool may be built where the stack is small.
#[derive(Clone)]
struct Taken(Box<[u64; 1024]>);

impl Default for Taken {
    fn default() -> Self {
        let words = vec![0; 1024].into_boxed_slice();
        Self(words.try_into().unwrap_or_else(|_| Box::new([0; 1024])))
    }
}

impl Taken {
    #[inline]
    fn word(&self, door: u16) -> u64 {
        self.0.get(usize::from(door >> 6)).copied().unwrap_or_default()
    }

    #[inline]
    fn contains(&self, door: u16) -> bool {
        self.word(door) >> (door & 63) & 1 != 0
    }

    fn add(&mut self, door: u16) {
        if let Some(word) = self.0.get_mut(usize::from(door >> 6)) {
            *word |= 1 << (door & 63);
        }
    }
}

/// The member that lives at each door.
pub(super) struct Residents {
    taken: Taken,
    /// For each word of the set the number of doors in the words before.
    before: [u16; 1024],
    /// The members in the order of their doors.
    places: Box<[u16]>,
}

impl Residents {
    fn new(taken: Taken, doors: &[u16], members: usize) -> Self {
        let mut before = [0; 1024];
        let mut count = 0_u16;
        for (before, word) in before.iter_mut().zip(taken.0.iter()) {
            *before = count;
            // At most 2^15 in all.
            count = count.saturating_add(u16::try_from(word.count_ones()).unwrap_or_default());
        }
        let mut places: Vec<_> = doors.iter().zip(0_u16..).take(members).collect();
        places.sort_unstable();
        let places = places.into_iter().map(|(_, place)| place).collect();
        Self { taken, before, places }
    }

    /// Returns whether a member lives at this door.
    #[inline]
    pub(super) fn has(&self, door: u16) -> bool {
        self.taken.contains(door)
    }

    /// Returns the member that lives at this door.
    #[inline(never)]
    pub(super) fn at(&self, door: u16) -> Option<Place> {
        let (word, bit) = (self.taken.word(door), 1_u64 << (door & 63));
        let within = (word & bit.wrapping_sub(1)).count_ones() as usize;
        let before = usize::from(*self.before.get(usize::from(door >> 6))?);
        let place = self.places.get(before.saturating_add(within))?;
        (word & bit != 0).then_some(Place(usize::from(*place)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steering::rendezvous::hash;
    use proptest::prelude::*;

    fn ids(count: u64, seed: u64) -> Vec<EndpointId> {
        (0..count)
            .map(|number| EndpointId::from_u64(hash(seed, EndpointId::from_u64(number))))
            .collect()
    }

    fn door_of(ids: &[EndpointId]) -> Vec<(EndpointId, u16)> {
        let doors = Doors::new(ids).unwrap();
        let mut pairs: Vec<_> =
            ids.iter().copied().zip(doors.of_members().iter().copied()).collect();
        pairs.sort_unstable();
        pairs
    }

    proptest! {
        #[test]
        fn the_order_of_the_list_does_not_matter(seed: u64, count in 1_u64..3_000, turn: usize) {
            let mut list = ids(count, seed);
            let one = door_of(&list);
            list.rotate_left(turn % count as usize);
            list.reverse();
            prop_assert_eq!(door_of(&list), one);
        }

        #[test]
        fn no_two_members_share_a_door_and_each_is_found_at_its_own(seed: u64, count in 416_u64..3_000) {
            let list = ids(count, seed);
            let doors = Doors::new(&list).unwrap();
            let residents = doors.residents().unwrap();
            for (place, door) in doors.of_members().iter().enumerate() {
                prop_assert_eq!(residents.at(*door), Some(Place(place)));
            }
            let lived_in = (0..=u16::MAX).filter(|door| residents.has(*door)).count();
            prop_assert_eq!(lived_in, list.len());
        }
    }

    #[test]
    fn half_of_the_doors_may_be_taken_and_no_more() {
        assert!(Doors::new(&ids(1 << 15, 1)).is_some());
        assert!(Doors::new(&ids((1 << 15) + 1, 1)).is_none());
    }

    #[test]
    fn a_sequence_comes_to_every_door() {
        let mut doors: Vec<_> = sequence(EndpointId::from_u64(9)).collect();
        doors.sort_unstable();
        assert!(doors.into_iter().eq(0..=u16::MAX));
    }
}
