//! The sessions that were touched a short time ago, so that they are not touched again so soon.

use crate::endpoint::EndpointId;
use crate::limits::{TouchInterval, Ttl};
use crate::store::{Lookup, MemoryStore, Record, SessionStore, StoreWrite, WriteKind};

/// The number of sessions that are remembered. It stands in the documentation, with its memory.
const CAPACITY: usize = 100_000;

/// The longest interval, as a part of the idle time: a session idles out early by one tenth at the
/// most. A longer one would save little, as a tenth leaves ten touches in an idle time.
const PART: u64 = 10;

/// The sessions whose idle time the server has restarted less than an interval ago.
#[derive(Debug)]
pub(super) struct Touches {
    interval: TouchInterval,
    /// One record for each of them, which idles out after the interval. It was issued when the idle
    /// time was restarted, and the number of its endpoint is that idle time, in seconds.
    recent: MemoryStore,
}

impl Touches {
    /// Allocates the memory. `None` without an interval, or if memory cannot be allocated.
    pub(super) fn new(interval: TouchInterval) -> Option<Self> {
        if interval == TouchInterval::OFF {
            return None;
        }
        Some(Self { interval, recent: MemoryStore::new(CAPACITY).ok()? })
    }

    pub(super) fn interval(&self) -> TouchInterval {
        self.interval
    }

    /// Returns whether a write is a touch that comes less than the interval after the last write
    /// that was noted. False where the idle time is another one, which has to be sent, and where
    /// the last write is from the future: the clock was set back.
    pub(super) fn cover(&self, write: &StoreWrite) -> bool {
        let StoreWrite { key, ttl, now, kind } = *write;
        if kind != WriteKind::Touch || self.seconds(ttl) == 0 {
            return false;
        }
        match self.recent.load(&Lookup { key, ttl, now }) {
            Ok(Record::Found { endpoint, issued }) => endpoint == number(ttl) && issued <= now,
            _ => false,
        }
    }

    /// Notes a write by which the server has restarted the idle time of a session.
    pub(super) fn note(&self, write: &StoreWrite) {
        // Where the idle time is too short for an interval, the write still takes the place of the
        // one before it.
        let interval = Ttl::clamped(self.seconds(write.ttl));
        let kind = WriteKind::Replace(number(write.ttl));
        let Ok(()) = self.recent.save(&StoreWrite { ttl: interval, kind, ..*write });
    }

    /// The interval for sessions of this idle time, in seconds.
    fn seconds(&self, ttl: Ttl) -> u64 {
        self.interval.get().min(ttl.get() / PART)
    }
}

/// An idle time in the place of an endpoint.
fn number(ttl: Ttl) -> EndpointId {
    EndpointId::from_u64(ttl.get())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;
    use proptest::sample;

    use super::*;
    use crate::store::SessionKey;
    use crate::time::UnixTime;

    fn touches(interval: u64) -> Option<Touches> {
        Touches::new(TouchInterval::new(interval).unwrap())
    }

    fn touch(number: u64, ttl: u64, now: u64) -> StoreWrite {
        let key = SessionKey::from(u128::from(number).to_be_bytes());
        let (ttl, now) = (Ttl::new(ttl).unwrap(), UnixTime::from_secs(now));
        StoreWrite { key, ttl, now, kind: WriteKind::Touch }
    }

    #[test]
    fn without_an_interval_there_is_no_memory() {
        assert!(touches(0).is_none());
        assert_eq!(touches(60).unwrap().recent.capacity(), CAPACITY);
    }

    #[test]
    fn an_interval_is_a_tenth_of_the_idle_time_at_the_most() {
        for (interval, ttl, seconds) in [
            (60, 1_800, 60),
            (180, 1_800, 180),
            (181, 1_800, 180),
            (3_600, 315_360_000, 3_600),
            (60, 29, 2),
            (60, 10, 1),
            (60, 9, 0),
            (1, 1, 0),
        ] {
            let touches = touches(interval).unwrap();
            let last = touch(1, ttl, 5_000);
            touches.note(&last);
            let covered: Vec<u64> =
                (0..4_000).filter(|later| touches.cover(&touch(1, ttl, 5_000 + later))).collect();
            assert_eq!(covered, Vec::from_iter(0..seconds), "{interval} of {ttl}");
        }
    }

    #[test]
    fn only_touches_are_covered_and_only_those_of_the_same_session_and_idle_time() {
        let touches = touches(60).unwrap();
        touches.note(&touch(1, 1_800, 5_000));
        assert!(touches.cover(&touch(1, 1_800, 5_059)));
        let endpoint = EndpointId::from_u64(7);
        for kind in [WriteKind::Create(endpoint), WriteKind::Replace(endpoint)] {
            assert!(!touches.cover(&StoreWrite { kind, ..touch(1, 1_800, 5_000) }), "{kind:?}");
        }
        for other in [touch(2, 1_800, 5_000), touch(1, 1_801, 5_000), touch(1, 1_799, 5_000)] {
            assert!(!touches.cover(&other), "{other:?}");
        }
        touches.note(&touch(1, 5, 5_001));
        assert!(!touches.cover(&touch(1, 1_800, 5_002)), "the record ends sooner by now");
    }

    #[test]
    fn a_clock_that_was_set_back_covers_nothing_until_the_next_write() {
        let touches = touches(60).unwrap();
        touches.note(&touch(1, 1_800, 5_000));
        assert!(!touches.cover(&touch(1, 1_800, 4_999)));
        touches.note(&touch(1, 1_800, 3_000));
        assert!(touches.cover(&touch(1, 1_800, 3_059)));
        assert!(!touches.cover(&touch(1, 1_800, 3_060)));
        assert!(!touches.cover(&touch(1, 1_800, 5_000)));
        let last = touch(1, 1_800, UnixTime::MAX.as_secs());
        touches.note(&last);
        assert!(!touches.cover(&last), "at the end of time every touch is sent");
    }

    #[test]
    fn a_memory_that_is_full_covers_no_touch_that_was_not_noted() {
        let touches = touches(60).unwrap();
        let twice = 2 * CAPACITY as u64;
        for number in 0..twice {
            touches.note(&touch(number, 1_800, 5_000));
        }
        let covered = |from: u64, now| {
            (from..from + twice).filter(|n| touches.cover(&touch(*n, 1_800, now))).count()
        };
        assert!((CAPACITY..=CAPACITY * 4 / 3).contains(&covered(0, 5_059)));
        assert_eq!((covered(0, 5_060), covered(twice, 5_059)), (0, 0));
    }

    proptest! {
        /// The time of the last note and its idle time decide, and nothing else.
        #[test]
        fn a_touch_is_covered_for_the_interval_after_the_last_note_and_at_no_other_time(
            interval in 1_u64..200,
            steps in proptest::collection::vec(
                (0_u64..5, sample::select(vec![5_u64, 60, 1_800]), -30_i64..60, any::<bool>()),
                1..200,
            ),
        ) {
            let touches = touches(interval).unwrap();
            let mut last: HashMap<u64, (u64, u64)> = HashMap::new();
            let mut now = 100_000_u64;
            for (number, ttl, passes, is_sent) in steps {
                now = now.saturating_add_signed(passes);
                let write = touch(number, ttl, now);
                let is_recent = last.get(&number).is_some_and(|(noted, idle)| {
                    *idle == ttl && *noted <= now && now - noted < interval.min(ttl / 10)
                });
                prop_assert_eq!(touches.cover(&write), is_recent);
                if is_sent {
                    touches.note(&write);
                    last.insert(number, (now, ttl));
                }
            }
        }
    }
}
