//! One session in the memory of a [`MemoryStore`](super::MemoryStore).

use std::cmp::Reverse;

use super::address::Address;
use super::stored_session::StoredSession;
use crate::endpoint::EndpointId;
use crate::limits::Ttl;
use crate::store::SessionKey;
use crate::time::UnixTime;

/// One session in 36 bytes, none of which is lost to alignment. A place whose bytes are all zero
/// is free.
#[derive(Clone, Copy)]
pub(super) struct Place {
    head: [u8; 8],
    tail: [u8; 8],
    endpoint: [u8; 8],
    /// The lower 32 bits of the time of issue.
    issued: [u8; 4],
    /// From the lowest bit on: the end in 40 bits, the times of use after the first in 8, the upper
    /// 8 bits of the time of issue.
    life: [u8; 8],
}

/// The bits of `life` that are the end.
const END: u64 = UnixTime::MAX.as_secs();
const ONE_USE: u64 = END + 1;
/// Uses are counted up to this number.
const MOST_USES: u64 = 3;
const USES: u64 = MOST_USES * ONE_USE;

impl Place {
    pub(super) const FREE: Self =
        Self { head: [0; 8], tail: [0; 8], endpoint: [0; 8], issued: [0; 4], life: [0; 8] };

    /// The place of a session that begins.
    pub(super) fn new(at: &Address, endpoint: EndpointId, issued: UnixTime, end: UnixTime) -> Self {
        let mut place =
            Self { head: at.head.to_le_bytes(), tail: at.tail.to_le_bytes(), ..Self::FREE };
        place.pin(endpoint, issued, end, 0);
        place
    }

    /// The place of a session that another store has handed over.
    pub(super) fn of(at: &Address, session: &StoredSession) -> Self {
        let mut place = Self::new(at, session.endpoint, session.issued, session.end);
        let uses = u64::from(session.uses).min(MOST_USES).saturating_mul(ONE_USE);
        place.life = (place.life() | uses).to_le_bytes();
        place
    }

    /// The session, to be handed over to another store.
    pub(super) fn session(&self) -> StoredSession {
        let uses = (self.life() & USES) / ONE_USE;
        StoredSession {
            key: SessionKey(
                (u128::from(u64::from_le_bytes(self.tail)) << 64
                    | u128::from(u64::from_le_bytes(self.head)))
                .to_le_bytes(),
            ),
            endpoint: self.endpoint(),
            issued: self.issued(),
            end: self.end(),
            uses: u8::try_from(uses).unwrap_or(u8::MAX),
        }
    }

    /// Pins the session to another endpoint. This is a use, too.
    pub(super) fn replace(&mut self, endpoint: EndpointId, issued: UnixTime, end: UnixTime) {
        self.pin(endpoint, issued, end, self.used_again());
    }

    fn pin(&mut self, endpoint: EndpointId, issued: UnixTime, end: UnixTime, uses: u64) {
        self.endpoint = endpoint.as_u64().to_le_bytes();
        self.issued = (issued.as_secs() as u32).to_le_bytes();
        self.life = (issued.as_secs() >> 32 << 48 | uses | end.as_secs()).to_le_bytes();
    }

    /// Moves the end of the session, which is used again.
    #[inline(always)]
    pub(super) fn touch(&mut self, end: UnixTime) {
        let kept = self.life() & !(USES | END);
        self.life = (kept | self.used_again() | end.as_secs()).to_le_bytes();
    }

    /// The bits of the uses, one use later.
    #[inline(always)]
    fn used_again(&self) -> u64 {
        (self.life() & USES).saturating_add(ONE_USE).min(USES)
    }

    /// Returns whether the first half of the key is this one.
    #[inline(always)]
    pub(super) fn begins_with(&self, head: u64) -> bool {
        u64::from_le_bytes(self.head) == head
    }

    /// Returns whether the second half of the key is that of the address, and the session live.
    #[inline(always)]
    pub(super) fn ends_with(&self, at: &Address, now: UnixTime) -> bool {
        u64::from_le_bytes(self.tail) == at.tail && self.is_live(now)
    }

    /// Returns whether this is the place of a session, live or idled out, with this key.
    pub(super) fn is_of(&self, at: &Address) -> bool {
        self.begins_with(at.head) && u64::from_le_bytes(self.tail) == at.tail
    }

    /// The address of the session's key.
    pub(super) fn address(&self) -> Address {
        Address::of_words(u64::from_le_bytes(self.head), u64::from_le_bytes(self.tail))
    }

    #[inline(always)]
    pub(super) fn endpoint(&self) -> EndpointId {
        EndpointId::from_u64(u64::from_le_bytes(self.endpoint))
    }

    #[inline(always)]
    pub(super) fn issued(&self) -> UnixTime {
        UnixTime::from_secs(self.life() >> 48 << 32 | u64::from(u32::from_le_bytes(self.issued)))
    }

    #[inline(always)]
    pub(super) fn end(&self) -> UnixTime {
        UnixTime::from_secs(self.life() & END)
    }

    #[inline(always)]
    pub(super) fn is_live(&self, now: UnixTime) -> bool {
        self.life() & END > now.as_secs()
    }

    #[inline(always)]
    fn life(&self) -> u64 {
        u64::from_le_bytes(self.life)
    }

    /// The right of the session to stay, beside one that begins now.
    pub(super) fn rank(&self, now: UnixTime, ttl: Ttl) -> Rank {
        if !self.is_live(now) {
            return Rank::Free;
        }
        let idle = now.saturating_add(ttl.get()).seconds_since(self.end());
        let quarters = idle.saturating_mul(4).checked_div(ttl.get()).unwrap_or(0);
        match (self.life() & USES) / ONE_USE {
            0 => Rank::Unused(self.end()),
            // A use counts for a quarter of the idle time: who has left makes room for who comes.
            uses => match uses.saturating_sub(quarters) {
                0 => Rank::Idle(self.end()),
                uses => Rank::Used(uses, Reverse(self.issued())),
            },
        }
    }
}

/// The order in which sessions give way to a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// None is there, or one that has idled out.
    Free,
    /// Not used again. The one that would end first goes first.
    Unused(UnixTime),
    /// Used again, and idle for as many quarters of the idle time. The one that would end first goes
    /// first.
    Idle(UnixTime),
    /// Used so many times again. The one that began last goes first, so that made-up sessions, used
    /// as often as the others were, displace each other.
    Used(u64, Reverse<UnixTime>),
}

impl Rank {
    /// Returns whether a session of the other rank should stay where one of this rank is.
    pub(super) fn gives_way_to(self, other: Self) -> bool {
        match self {
            Self::Free => other != Self::Free,
            Self::Unused(_) => matches!(other, Self::Idle(_) | Self::Used(..)),
            Self::Idle(_) => matches!(other, Self::Used(..)),
            Self::Used(..) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_36_bytes() {
        assert_eq!(size_of::<Place>(), 36);
    }

    /// manual::security, A full MemoryStore: the order in which sessions are dropped.
    #[test]
    fn a_use_counts_for_a_quarter_of_the_idle_time_and_three_are_counted() {
        let (ttl, begun) = (Ttl::new(1_800).unwrap(), UnixTime::from_secs(1_800_000_000));
        let end = begun.saturating_add(1_800);
        let mut place = Place::new(&Address::of_words(1, 2), EndpointId::from_u64(7), begun, end);
        let later = |seconds| begun.saturating_add(seconds);
        let used = |uses| Rank::Used(uses, Reverse(begun));
        assert_eq!(place.rank(begun, ttl), Rank::Unused(end));
        for uses in [1, 2, 3, 3] {
            place.touch(end);
            assert_eq!(place.rank(begun, ttl), used(uses));
        }
        assert_eq!(place.rank(later(449), ttl), used(3));
        assert_eq!(place.rank(later(450), ttl), used(2));
        assert_eq!(place.rank(later(900), ttl), used(1));
        assert_eq!(place.rank(later(1_350), ttl), Rank::Idle(end));
        assert_eq!(place.rank(later(1_799), ttl), Rank::Idle(end));
        assert_eq!(place.rank(later(1_800), ttl), Rank::Free);
        assert_eq!((place.issued(), place.end()), (begun, end));
    }

    #[test]
    fn the_free_go_first_and_then_the_unused_and_the_idle_and_of_the_used_the_one_that_began_last()
    {
        let at = UnixTime::from_secs;
        let used = |uses, issued| Rank::Used(uses, Reverse(at(issued)));
        let (unused, idle) = (|end| Rank::Unused(at(end)), |end| Rank::Idle(at(end)));
        let order = [
            Rank::Free,
            unused(1),
            unused(9),
            idle(1),
            idle(9),
            used(1, 2),
            used(1, 1),
            used(2, 9),
        ];
        assert!(order.is_sorted());
        for (index, rank) in order.iter().enumerate() {
            let ways = order.iter().filter(|other| rank.gives_way_to(**other)).count();
            assert_eq!(ways, [7, 5, 5, 3, 3, 0, 0, 0][index], "{rank:?}");
        }
    }
}
