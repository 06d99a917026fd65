//! The choice by seed and weights: the first endpoint, in the order of the ranks, whose door opens.
//!
//! A door opens with the probability of its endpoint's weight; a closed one is met again later. That
//! is the thinning of a Poisson process: each endpoint's time is exponential with its weight as the
//! rate, so that its share is exact. Two ways lead to the one with the least time: through all
//! members, where they are few, and from rank to rank to the first that opens, where they are many.
//! A test holds both to the plain definition, a sort of all times.

use super::doors::{Doors, LARGE, Residents};
use super::lanes::{bits, is_drawn, least_of, mask, shares};
use super::lateness::{Draws, Lateness};
use super::permutation::Permutation;
use super::rendezvous::Place;
use crate::endpoint::EndpointId;
use crate::limits::Weight;

/// The members of a pool in a choice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    pub(super) doors: &'a Doors,
    pub(super) ids: &'a [EndpointId],
    /// For each member the weight in this choice, 0 for one that is not eligible, and zeros to fill
    /// the last block of [`Doors`].
    pub(super) weights: &'a [Weight],
}

impl Row<'_> {
    /// Returns the candidate with the least time under a seed; ties go to the lower id.
    /// `is_candidate` is called for those alone that are the best so far.
    pub(super) fn first(&self, seed: u64, is_candidate: impl Fn(Place) -> bool) -> Option<Place> {
        // One member needs no order.
        if let ([_], Some(weight)) = (self.ids, self.weights.first()) {
            let is_chosen = *weight > Weight::ZERO && is_candidate(Place(0));
            return is_chosen.then_some(Place(0));
        }
        let search = Search {
            row: *self,
            order: Permutation::new(seed),
            draws: Draws::new(seed),
            is_candidate,
        };
        match self.doors.residents() {
            Some(residents) => search.by_rank(residents).or_else(|| search.through_all::<32>()),
            None => match self.ids.len() {
                // Few times cost less than a branch that depends on draws.
                ..=5 => search.at_once::<8>(),
                6..=8 => search.in_two_passes::<8, 1>(),
                9..=16 => search.in_two_passes::<16, 1>(),
                17..=64 => search.in_two_passes::<32, 2>(),
                _ => search.in_two_passes::<32, { LARGE.div_ceil(32) }>(),
            },
        }
    }
}

/// One search, under one seed.
struct Search<'a, F> {
    row: Row<'a>,
    order: Permutation,
    draws: Draws,
    is_candidate: F,
}

/// An endpoint whose door was closed, and the time at which it is met again.
type Late = (Lateness, Place);

impl<F: Fn(Place) -> bool> Search<'_, F> {
    /// Looks at all members at once, which are no more than there are lanes. Where draws count, it
    /// computes the time of each, because a branch that depends on draws costs more.
    #[inline(never)]
    fn at_once<const LANES: usize>(&self) -> Option<Place> {
        let doors = self.row.doors.in_blocks::<LANES>().first()?;
        let weights = self.row.weights.first_chunk::<LANES>()?;
        let middles = self.order.middles(*doors);
        let ranks = self.order.ranks(middles);
        if !is_drawn(weights) {
            let mut open = [0; LANES];
            open.iter_mut().zip(shares(weights)).for_each(|(it, share)| *it = mask(share != 0));
            return self.least_rank(ranks, &mut open, 0, None).map(|(_, place)| place);
        }
        let draws = self.order.draws(middles);
        let (mut least, mut first, mut is_tied) = (Lateness::NEVER, 0, false);
        let members = doors.iter().zip(weights).zip(ranks).zip(draws).take(self.row.ids.len());
        for (place, (((door, weight), rank), upper)) in members.enumerate() {
            let time = Lateness::of(rank, upper, self.draws.of(*door), *weight);
            is_tied = (time == least) | (is_tied & (time > least));
            first = if time < least { place } else { first };
            least = least.min(time);
        }
        // Ties and those that are no candidates are seldom; the general way knows them all.
        match !is_tied && least != Lateness::NEVER && (self.is_candidate)(Place(first)) {
            true => Some(Place(first)),
            false => self.through_all::<LANES>(),
        }
    }

    /// Looks at all members, as many at once as there are lanes, in at most this many blocks: first for
    /// the least rank that opens, then for the closed ones before it, mostly one or two. No other
    /// branch depends on a draw.
    #[inline(never)]
    fn in_two_passes<const LANES: usize, const BLOCKS: usize>(&self) -> Option<Place> {
        let doors = self.row.doors.in_blocks::<LANES>();
        let (weights, _) = self.row.weights.as_chunks::<LANES>();
        let mut eligible = [[u16::MAX; LANES]; BLOCKS];
        let mut least = [u16::MAX; LANES];
        for ((doors, weights), eligible) in doors.iter().zip(weights).zip(&mut eligible) {
            let middles = self.order.middles(*doors);
            let (ranks, shares) = (self.order.ranks(middles), shares(weights));
            for ((it, rank), share) in eligible.iter_mut().zip(ranks).zip(shares) {
                *it = rank | mask(share == 0);
            }
            let mut opening = *eligible;
            if is_drawn(weights) {
                let draws = self.order.draws(middles);
                for ((it, draw), share) in opening.iter_mut().zip(draws).zip(shares) {
                    *it |= mask(draw > greatest_that_opens(share));
                }
            }
            least.iter_mut().zip(opening).for_each(|(least, rank)| *least = rank.min(*least));
        }
        let bar = least.into_iter().fold(u16::MAX, u16::min);
        if bar == u16::MAX {
            // The rank of one that is not eligible: no door opens, or the very last.
            return self.through_all::<LANES>();
        }
        let (mut first, mut late) = (None, None);
        for (turn, ranks) in eligible.iter().take(doors.len()).enumerate() {
            if !ranks.iter().fold(false, |any, rank| any | (*rank <= bar)) {
                continue;
            }
            let mut lanes = bits(&ranks.map(|rank| mask(rank <= bar)));
            while lanes != 0 {
                let lane = lanes.trailing_zeros() as usize;
                let (place, rank) = (Place(turn << LANES.ilog2() | lane), *ranks.get(lane)?);
                if rank == bar {
                    first = Some(place);
                } else {
                    let door = *self.row.doors.of_members().get(place.0)?;
                    let [upper] = self.order.draws(self.order.middles([door]));
                    self.meet_again(&mut late, place, rank, upper);
                }
                lanes &= lanes.wrapping_sub(1);
            }
        }
        // The next one is known to the general way.
        match first.filter(|first| (self.is_candidate)(*first)) {
            Some(first) => self.earlier(Some((bar, first)), late),
            None => self.through_all::<LANES>(),
        }
    }

    /// Looks at all members, as many at once as there are lanes.
    #[inline(never)]
    fn through_all<const LANES: usize>(&self) -> Option<Place> {
        let mut opened: Option<(u16, Place)> = None;
        let mut late = None;
        let doors = self.row.doors.in_blocks::<LANES>();
        let (weights, _) = self.row.weights.as_chunks::<LANES>();
        let chunks = self.row.ids.len().div_ceil(LANES).min(doors.len()).min(weights.len());
        let (doors, weights) = (doors.get(..chunks)?, weights.get(..chunks)?);
        for (turn, (doors, weights)) in doors.iter().zip(weights).enumerate() {
            let start = turn << LANES.ilog2();
            let middles = self.order.middles(*doors);
            let ranks = self.order.ranks(middles);
            let shares = shares(weights);
            let mut open = [0; LANES];
            open.iter_mut().zip(shares).for_each(|(it, share)| *it = mask(share != 0));
            let closed = is_drawn(weights).then(|| {
                let (mut closed, draws) = (open, self.order.draws(middles));
                for (((open, closed), draw), share) in
                    open.iter_mut().zip(&mut closed).zip(draws).zip(shares)
                {
                    let opens = mask(draw <= greatest_that_opens(share));
                    (*open, *closed) = (*open & opens, *closed & !opens);
                }
                (closed, draws)
            });
            opened = self.least_rank(ranks, &mut open, start, opened).or(opened);
            let Some((mut early, draws)) = closed else { continue };
            // Of the closed ones, those alone can be earlier whose ranks are less.
            let bar = opened.map_or(u16::MAX, |(rank, _)| rank);
            early.iter_mut().zip(ranks).for_each(|(it, rank)| *it &= mask(rank <= bar));
            let mut lanes = bits(&early);
            while lanes != 0 {
                let lane = lanes.trailing_zeros() as usize;
                let (rank, upper) = (*ranks.get(lane)?, *draws.get(lane)?);
                self.meet_again(&mut late, Place(start | lane), rank, upper);
                lanes &= lanes.wrapping_sub(1);
            }
        }
        self.earlier(opened, late)
    }

    /// Returns the least of the ranks whose lanes are set, if it is less than the best so far, with
    /// its candidate. The lanes of others that are less are unset.
    #[inline(always)]
    fn least_rank<const LANES: usize>(
        &self,
        ranks: [u16; LANES],
        open: &mut [u16; LANES],
        start: usize,
        best: Option<(u16, Place)>,
    ) -> Option<(u16, Place)> {
        loop {
            let least = least_of(&ranks, open);
            if best.is_some_and(|(best, _)| best <= least) {
                return None;
            }
            let mut hits = *open;
            hits.iter_mut().zip(ranks).for_each(|(hit, rank)| *hit &= mask(rank == least));
            let lanes = bits(&hits);
            if lanes == 0 {
                return None;
            }
            let lane = lanes.trailing_zeros() as usize;
            let place = Place(start | lane);
            if (self.is_candidate)(place) {
                return Some((least, place));
            }
            *open.get_mut(lane)? = 0;
        }
    }

    /// Turns the ranks into doors, the first rank first, until one is the door of a candidate and
    /// opens. Returns `None` after as many ranks as there are members, and enough for eight of them to
    /// be met: so few of them are eligible that looking at all is the shorter way.
    #[inline(never)]
    fn by_rank(&self, residents: &Residents) -> Option<Place> {
        let mut late: Option<Late> = None;
        let members = self.row.ids.len();
        let ranks = members.max((1_usize << 19).checked_div(members).unwrap_or(0));
        let turns = ranks.div_ceil(LANES).min((1 << 16) / LANES);
        for turn in (0..=u16::MAX).take(turns) {
            let start = turn.wrapping_mul(LANES as u16);
            if late.is_some_and(|(time, _)| time < Lateness::of_rank(start)) {
                return late.map(|(_, place)| place);
            }
            let mut ranks = [start; LANES];
            ranks.iter_mut().zip(0..).for_each(|(rank, lane)| *rank = rank.wrapping_add(lane));
            let middles = self.order.middles_of_ranks(ranks);
            let doors = self.order.doors(middles);
            for (turn, eight) in doors.as_chunks::<8>().0.iter().enumerate() {
                // Most belong to no member: one branch for eight.
                if !eight.iter().fold(false, |any, door| any | residents.has(*door)) {
                    continue;
                }
                for (lane, door) in (turn << 3..).zip(eight) {
                    let Some(place) = residents.at(*door) else { continue };
                    let (rank, middle) = (*ranks.get(lane)?, *middles.get(lane)?);
                    if self.opens(&mut late, place, rank, middle) {
                        return self.earlier(Some((rank, place)), late);
                    }
                }
            }
        }
        None
    }

    /// Returns whether the door of a member is that of a candidate and opens. A closed one is kept to
    /// be met again.
    #[inline]
    fn opens(&self, late: &mut Option<Late>, place: Place, rank: u16, middle: u16) -> bool {
        match self.row.weights.get(place.0).copied().unwrap_or(Weight::ZERO) {
            Weight::ZERO => return false,
            Weight::MAX => {}
            weight => {
                let [upper] = self.order.draws([middle]);
                if upper > greatest_that_opens(weight.get().into()) {
                    self.meet_again(late, place, rank, upper);
                    return false;
                }
            }
        }
        (self.is_candidate)(place)
    }

    /// Computes the time of an endpoint whose door is closed, or was not certain to open, and keeps
    /// the endpoint if that is the least so far.
    fn meet_again(&self, late: &mut Option<Late>, place: Place, rank: u16, upper: u16) {
        let door = self.row.doors.of_members().get(place.0);
        let (Some(door), Some(weight)) = (door, self.row.weights.get(place.0)) else { return };
        let draw = self.draws.of(*door);
        let time = Lateness::of(rank, upper, draw, *weight);
        if late.is_none_or(|late| self.is_earlier((time, place), late))
            && (self.is_candidate)(place)
        {
            *late = Some((time, place));
        }
    }

    /// Returns the endpoint whose door opened, or the one that is met again, whichever is earlier.
    fn earlier(&self, opened: Option<(u16, Place)>, late: Option<Late>) -> Option<Place> {
        match (opened, late) {
            (Some((rank, place)), Some(late)) => {
                let is_earlier = self.is_earlier(late, (Lateness::of_rank(rank), place));
                Some(if is_earlier { late.1 } else { place })
            }
            (opened, late) => opened.map(|(_, place)| place).or(late.map(|(_, place)| place)),
        }
    }

    fn is_earlier(&self, one: Late, other: Late) -> bool {
        let id = |place: Place| self.row.ids.get(place.0);
        (one.0, id(one.1)) < (other.0, id(other.1))
    }
}

/// The number of ranks that are turned into doors at once.
const LANES: usize = 16;

/// Returns the greatest upper half of a draw with which the door of an endpoint opens, whatever the
/// lower half is. The weight is in hundredths, 1 to 100. With the next number the lower half decides,
/// so the door counts as closed at first: see [`Draw::opens`](super::lateness::Draw::opens).
#[inline(always)]
fn greatest_that_opens(share: u16) -> u16 {
    // 65 536 / 100 is 655 + 36 / 100; 656 / 65 536 is 1 / 100 rounded up, near enough for 3 600.
    let hundredths = u32::from(share.wrapping_mul(36)) * 656;
    share.wrapping_mul(655).wrapping_add((hundredths >> 16) as u16).wrapping_sub(1)
}

#[cfg(test)]
mod tests;
