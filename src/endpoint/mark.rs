//! The atomics of one endpoint that outlive a snapshot: its suspicion and its census.
//!
//! Lock-free; requests allocate nothing here. Marks belong to endpoint ids and are carried from
//! snapshot to snapshot by `Arc`.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::census::Census;
use crate::limits::CoolingOff;
use crate::sync::AtomicU64;
use crate::time::UnixTime;

/// The sessions and failures of one endpoint, as this node has seen them.
#[derive(Debug)]
pub(crate) struct Mark {
    /// The start of this census: shared by all endpoints that were added in one build, and 0 until
    /// the first request after it.
    began: Arc<AtomicU64>,
    last_seen: AtomicU64,
    latest_issued: AtomicU64,
    latest_end: AtomicU64,
    /// A packed [`Suspicion`].
    suspicion: AtomicU64,
}

impl Mark {
    pub(crate) fn new(began: Arc<AtomicU64>) -> Self {
        Self {
            began,
            last_seen: AtomicU64::new(0),
            latest_issued: AtomicU64::new(0),
            latest_end: AtomicU64::new(0),
            suspicion: AtomicU64::new(Suspicion::NONE.0),
        }
    }

    /// Notes that the endpoint has answered, which ends any suspicion.
    #[inline]
    pub(crate) fn seen(&self, now: UnixTime) {
        raise(&self.last_seen, now);
        if self.suspicion.load(Relaxed) != Suspicion::NONE.0 {
            self.suspicion.swap(Suspicion::NONE.0, Relaxed);
        }
    }

    /// Notes a session that is pinned to the endpoint from `issued` until `end`.
    #[inline]
    pub(crate) fn pinned(&self, issued: UnixTime, end: UnixTime) {
        raise(&self.latest_issued, issued);
        raise(&self.latest_end, end);
    }

    /// Returns the sessions noted so far.
    pub(crate) fn census(&self) -> Census {
        Census {
            began: noted(&self.began),
            last_seen: noted(&self.last_seen),
            latest_issued: noted(&self.latest_issued),
            latest_end: noted(&self.latest_end),
        }
    }

    /// Notes that a connection could not be made. A failure of an endpoint that is suspect already
    /// changes nothing; one after that doubles the time, up to eight times.
    pub(crate) fn failed(&self, now: UnixTime, cooling_off: CoolingOff) {
        if cooling_off == CoolingOff::OFF {
            return;
        }
        let before = Suspicion(self.suspicion.load(Relaxed));
        if before.holds(now) {
            return;
        }
        // A request that loses this exchange has seen the same failure: noting it once is enough.
        let _ = self.suspicion.compare_exchange(
            before.0,
            before.renewed(now, cooling_off).0,
            Relaxed,
            Relaxed,
        );
    }

    /// Returns whether the endpoint is cooling off after a failed connection.
    pub(crate) fn is_suspect(&self, now: UnixTime) -> bool {
        Suspicion(self.suspicion.load(Relaxed)).holds(now)
    }
}

/// Notes when the first request arrived; later calls only read.
#[inline]
pub(crate) fn begin(began: &AtomicU64, now: UnixTime) {
    if began.load(Relaxed) == 0 {
        let _ = began.compare_exchange(0, now.as_secs(), Relaxed, Relaxed);
    }
}

/// Returns whether a request has arrived.
pub(crate) fn has_begun(began: &AtomicU64) -> bool {
    began.load(Relaxed) != 0
}

/// The end of an endpoint's time as a suspect, in the upper 56 bits, and how often that time has
/// been doubled, in the lower 8.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Suspicion(u64);

impl Suspicion {
    /// The endpoint has answered since its last failure.
    const NONE: Self = Self(0);
    /// Eight times the configured time.
    const MOST_DOUBLINGS: u64 = 3;

    fn until(self) -> UnixTime {
        UnixTime::from_secs(self.0 >> 8)
    }

    fn doublings(self) -> u64 {
        self.0 & 0xff
    }

    /// Returns whether the endpoint is still suspect.
    fn holds(self, now: UnixTime) -> bool {
        let left = self.until().seconds_since(now);
        // A clock that was set back must not keep an endpoint suspect for longer than the longest
        // time that can be configured.
        left > 0 && left <= CoolingOff::MAX.get() << Self::MOST_DOUBLINGS
    }

    /// Returns the suspicion after one more failure.
    fn renewed(self, now: UnixTime, cooling_off: CoolingOff) -> Self {
        let doublings = match self {
            Self::NONE => 0,
            before => before.doublings().saturating_add(1).min(Self::MOST_DOUBLINGS),
        };
        let until = now.saturating_add(cooling_off.get() << doublings);
        Self(until.as_secs() << 8 | doublings)
    }
}

/// Notes a time unless a later one is there; reads first, as most calls change nothing.
#[inline]
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
    fn without_cooling_off_no_endpoint_is_suspect() {
        let mark = mark();
        mark.failed(at(0), CoolingOff::default());
        assert!(!mark.is_suspect(at(0)));
    }

    #[test]
    fn a_clock_set_back_by_a_day_keeps_no_endpoint_suspect() {
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
}
