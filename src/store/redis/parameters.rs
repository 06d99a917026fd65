//! The parameters of a Redis store, each by a `with_*`.

use super::{RedisStore, Touches};
use crate::limits::{StoreDeadline, TouchInterval};

impl RedisStore {
    /// Sets the deadline of each call.
    #[must_use]
    pub fn with_deadline(mut self, deadline: StoreDeadline) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets the time for which a touch is not repeated. By default 0: every touch is sent.
    ///
    /// A touch of a session whose idle time this store has restarted less than the interval ago, by
    /// a touch, a create or a replace, sends no `EXPIRE`. A busy session then costs one `EXPIRE` in
    /// each interval instead of one for each request. The rest is as before: only a write that has
    /// changed the record on the server counts, so a touch that failed is repeated by the next
    /// request, and of requests at the same time each may send one. The time is that of the
    /// requests, [`StoreWrite::now`](crate::store::StoreWrite::now); after a clock was set back,
    /// the next touch is sent.
    ///
    /// **The cost**: a session may idle out early, by at most the interval, because its last uses
    /// may not have been sent. So for each write the interval is at most a tenth of its idle time:
    /// a record lives for nine tenths of the idle time at least, counted from the arrival of the
    /// last request. An idle time of 1,800 s allows up to 180 s, one below 10 s no interval. A
    /// server that returns with an older copy of its data may drop a session in use, because that
    /// session is not touched until the interval is over; the next request creates it again.
    ///
    /// **Memory**: 4.5 MB, allocated here, for 100,000 sessions. When more are in use within one
    /// interval, some are touched more often. Without the memory every touch is sent.
    ///
    /// ```
    /// use std::time::Duration;
    /// use session_affinity::LoadBalancer;
    /// use session_affinity::limits::TouchInterval;
    /// use session_affinity::store::RedisStore;
    ///
    /// let minute = TouchInterval::try_from(Duration::from_secs(60))?;
    /// let store = RedisStore::new(LoadBalancer::new("shop")?, "redis://10.0.0.5:6379/0")?
    ///     .with_touch_interval(minute);
    /// assert_eq!(store.touch_interval(), minute);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_touch_interval(mut self, interval: TouchInterval) -> Self {
        self.touches = Touches::new(interval);
        self
    }

    /// The time for which a touch is not repeated; 0 when every touch is sent.
    pub fn touch_interval(&self) -> TouchInterval {
        self.touches.as_ref().map_or(TouchInterval::OFF, Touches::interval)
    }

    /// The deadline of each call.
    pub fn deadline(&self) -> StoreDeadline {
        self.deadline
    }
}
