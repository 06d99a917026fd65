//! The gateway's clock: the real time and an offset.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::SystemTime;

use session_affinity::UnixTime;

/// A clock that runs a number of seconds ahead of the real time, or behind it, so that expiry can
/// be seen without waiting.
#[derive(Default)]
pub(crate) struct Clock {
    offset: AtomicI64,
}

impl Clock {
    pub(crate) fn now(&self) -> UnixTime {
        let real = UnixTime::from(SystemTime::now());
        match self.offset() {
            ahead @ 0.. => real.saturating_add(ahead.unsigned_abs()),
            behind => real.saturating_sub(behind.unsigned_abs()),
        }
    }

    pub(crate) fn offset(&self) -> i64 {
        self.offset.load(Relaxed)
    }

    pub(crate) fn set_offset(&self, seconds: i64) {
        self.offset.store(seconds, Relaxed);
    }
}
