//! The few atomics per endpoint that outlive a snapshot: suspects and the census.
//!
//! Lock-free, nothing is allocated by a request. They are keyed by endpoint id and
//! carried from snapshot to snapshot by `Arc`.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::bounds::CoolingOff;
use crate::sync::AtomicU64;
use crate::time::UnixTime;

/// What is known of one endpoint's sessions and failures on this node.
#[derive(Debug)]
pub(crate) struct Mark {
    /// When this census began: shared by all endpoints that joined in one build, and 0
    /// until the first request after it.
    began: Arc<AtomicU64>,
    last_seen: AtomicU64,
    latest_issued: AtomicU64,
    latest_end: AtomicU64,
    /// `until << 8 | times doubled`; 0 when it has answered since.
    suspicion: AtomicU64,
}

/// What one node has seen of an endpoint's sessions. Those of several nodes merge by
/// [`Census::merge`]. Times of 0 ([`UnixTime::EPOCH`]) mean: none yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Since when sessions have been noted. `None` until the first request.
    pub began: Option<UnixTime>,
    /// When the endpoint last answered a request.
    pub last_seen: Option<UnixTime>,
    /// The latest beginning of a session that is pinned to it.
    pub latest_issued: Option<UnixTime>,
    /// The latest end of a session that is pinned to it.
    pub latest_end: Option<UnixTime>,
}

impl Census {
    /// What two nodes know together: the greater of each, and the later beginning, as
    /// only from then on both have looked.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self {
            began: match (self.began, other.began) {
                (Some(ours), Some(theirs)) => Some(ours.max(theirs)),
                _ => None,
            },
            last_seen: self.last_seen.max(other.last_seen),
            latest_issued: self.latest_issued.max(other.latest_issued),
            latest_end: self.latest_end.max(other.latest_end),
        }
    }
}

impl Mark {
    pub(crate) fn new(began: Arc<AtomicU64>) -> Self {
        Self {
            began,
            last_seen: AtomicU64::new(0),
            latest_issued: AtomicU64::new(0),
            latest_end: AtomicU64::new(0),
            suspicion: AtomicU64::new(0),
        }
    }

    /// The endpoint has answered.
    pub(crate) fn seen(&self, now: UnixTime) {
        raise(&self.last_seen, now);
        if self.suspicion.load(Relaxed) != 0 {
            self.suspicion.swap(0, Relaxed);
        }
    }

    /// A session is pinned to it from `issued` until `end`.
    pub(crate) fn pinned(&self, issued: UnixTime, end: UnixTime) {
        raise(&self.latest_issued, issued);
        raise(&self.latest_end, end);
    }

    pub(crate) fn census(&self) -> Census {
        Census {
            began: noted(&self.began),
            last_seen: noted(&self.last_seen),
            latest_issued: noted(&self.latest_issued),
            latest_end: noted(&self.latest_end),
        }
    }

    /// A connection could not be made. A failure while already suspect changes
    /// nothing; one after that doubles the time, up to eight times.
    pub(crate) fn failed(&self, now: UnixTime, cooling_off: CoolingOff) {
        if cooling_off.get() == 0 {
            return;
        }
        let before = self.suspicion.load(Relaxed);
        if suspects(before, now) {
            return;
        }
        let doubled =
            if before == 0 { 0 } else { (before & 0xff).saturating_add(1).min(MOST_DOUBLINGS) };
        let until = now.saturating_add(cooling_off.get() << doubled);
        // Whoever comes second has seen the same failure: one of them is enough.
        let _ = self.suspicion.compare_exchange(
            before,
            until.as_secs() << 8 | doubled,
            Relaxed,
            Relaxed,
        );
    }

    pub(crate) fn is_suspect(&self, now: UnixTime) -> bool {
        suspects(self.suspicion.load(Relaxed), now)
    }
}

/// 2^3 = 8 times the configured time.
const MOST_DOUBLINGS: u64 = 3;

/// A clock that was set back must not keep an endpoint suspect for longer than the
/// longest time that can be configured.
fn suspects(suspicion: u64, now: UnixTime) -> bool {
    let left = UnixTime::from_secs(suspicion >> 8).seconds_since(now);
    left > 0 && left <= CoolingOff::MAX.get() << MOST_DOUBLINGS
}

/// Notes a time unless a later one is there; reads first, as most calls change nothing.
fn raise(mark: &AtomicU64, time: UnixTime) {
    if mark.load(Relaxed) < time.as_secs() {
        mark.fetch_max(time.as_secs(), Relaxed);
    }
}

fn noted(mark: &AtomicU64) -> Option<UnixTime> {
    match mark.load(Relaxed) {
        0 => None,
        secs => Some(UnixTime::from_secs(secs)),
    }
}

/// Notes when the first request came. Later ones only read.
pub(crate) fn begin(began: &AtomicU64, now: UnixTime) {
    if began.load(Relaxed) == 0 {
        let _ = began.compare_exchange(0, now.as_secs(), Relaxed, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> UnixTime {
        UnixTime::from_secs(1_800_000_000 + secs)
    }

    fn mark() -> Mark {
        Mark::new(Arc::default())
    }

    #[test]
    fn a_failure_makes_suspect_for_the_cooling_off_time() {
        let (mark, ten) = (mark(), CoolingOff::new(10).unwrap());
        assert!(!mark.is_suspect(at(0)));
        mark.failed(at(0), ten);
        assert!(mark.is_suspect(at(0)) && mark.is_suspect(at(9)) && !mark.is_suspect(at(10)));
    }

    #[test]
    fn failing_again_afterwards_doubles_up_to_eight_times_and_an_answer_clears() {
        let (mark, ten) = (mark(), CoolingOff::new(10).unwrap());
        let mut now = at(0);
        for seconds in [10, 20, 40, 80, 80, 80] {
            mark.failed(now, ten);
            mark.failed(now.saturating_add(1), ten);
            assert!(mark.is_suspect(now.saturating_add(seconds - 1)));
            now = now.saturating_add(seconds);
            assert!(!mark.is_suspect(now), "{seconds}");
        }
        mark.seen(now);
        mark.failed(now, ten);
        assert!(!mark.is_suspect(now.saturating_add(10)));
    }

    #[test]
    fn without_cooling_off_nobody_is_suspect() {
        let mark = mark();
        mark.failed(at(0), CoolingOff::default());
        assert!(!mark.is_suspect(at(0)));
    }

    #[test]
    fn a_clock_set_back_by_a_day_keeps_nobody_suspect() {
        let (mark, ten) = (mark(), CoolingOff::new(10).unwrap());
        mark.failed(at(86_400), ten);
        assert!(!mark.is_suspect(at(0)));
    }

    #[test]
    fn a_census_keeps_the_latest_of_each_time() {
        let mark = mark();
        assert_eq!(mark.census(), Census::default());
        mark.seen(at(5));
        mark.seen(at(3));
        mark.pinned(at(1), at(100));
        mark.pinned(at(2), at(50));
        assert_eq!(
            mark.census(),
            Census {
                began: None,
                last_seen: Some(at(5)),
                latest_issued: Some(at(2)),
                latest_end: Some(at(100))
            }
        );
    }

    #[test]
    fn censuses_merge_by_taking_the_greater() {
        let ours = Census {
            began: Some(at(1)),
            last_seen: Some(at(9)),
            latest_issued: None,
            latest_end: Some(at(20)),
        };
        let theirs = Census {
            began: Some(at(4)),
            last_seen: None,
            latest_issued: Some(at(2)),
            latest_end: Some(at(30)),
        };
        let both = Census {
            began: Some(at(4)),
            last_seen: Some(at(9)),
            latest_issued: Some(at(2)),
            latest_end: Some(at(30)),
        };
        assert_eq!(ours.merge(theirs), both);
        assert_eq!(theirs.merge(ours), both);
        assert_eq!(ours.merge(Census::default()).began, None);
    }
}
