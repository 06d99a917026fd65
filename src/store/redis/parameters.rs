//! The parameters of a Redis store, each by a `with_*`.

#[cfg(feature = "redis-tls")]
use super::address::{Address, Encryption};
#[cfg(feature = "redis-tls")]
use super::{Connection, InvalidRedisTls, RedisTls};
use super::{RedisStore, Remembered, Touches};
use crate::limits::{OutageSessions, StoreDeadline, TouchInterval};

impl RedisStore {
    /// Sets the deadline of each call that a request waits for. By default 20 ms.
    #[must_use]
    pub fn with_deadline(mut self, deadline: StoreDeadline) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets the deadline of each write. By default a second, as no response has to wait for it.
    ///
    /// A write that is not answered in time may still have been carried out. A write whose
    /// connection is lost is sent once more by the next connection, within the same deadline, unless
    /// this store has begun another write of the session since. Where the server is known to be down
    /// a write fails at once. At most 4,096 writes wait at a time: further ones fail.
    #[must_use]
    pub fn with_write_deadline(mut self, deadline: StoreDeadline) -> Self {
        self.write_deadline = deadline;
        self
    }

    /// Sets the number of sessions to remember for an outage. By default 20,000, in 0.9 MB, which is
    /// allocated here.
    ///
    /// While the server is out of reach, [`RedisStore::record`] returns the record that the server
    /// was last heard to have, if that is at most 300 seconds ago and within the session's idle
    /// time. So a session that a failover or a drain has moved stays where it went. The session is
    /// live then, and the outcome `kept`; its writes fail. While the server answers, nothing is
    /// answered from memory.
    ///
    /// What this store has replaced or removed is not returned, even if the write has failed: a
    /// session that is moved during the outage is where it was moved. What another gateway has
    /// written is not known here before the server has told, so during an outage a session may
    /// return to the endpoint that another gateway moved it from a moment before.
    /// [`RedisStore::load`] returns the error all the same.
    #[must_use]
    pub fn with_outage_sessions(mut self, sessions: OutageSessions) -> Self {
        self.remembered = Remembered::new(sessions);
        self
    }

    /// Sets the certificates of the connection. Call it before the first call to the server. By
    /// default a `rediss://` URL has those of [`RedisTls::new`](crate::store::RedisTls::new).
    ///
    /// # Errors
    /// [`InvalidRedisTls::PlainUrl`](crate::store::InvalidRedisTls::PlainUrl) if the URL is one
    /// without TLS.
    #[cfg(feature = "redis-tls")]
    pub fn with_tls(mut self, tls: RedisTls) -> Result<Self, InvalidRedisTls> {
        let address = self.connection.address();
        if address.encryption() == Encryption::Plain {
            return Err(InvalidRedisTls::PlainUrl);
        }
        self.connection = Connection::new(Address { tls, ..address.clone() });
        Ok(self)
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

    /// The deadline of each write.
    pub fn write_deadline(&self) -> StoreDeadline {
        self.write_deadline
    }

    /// The number of sessions that are remembered for an outage; 0 when none are.
    pub fn outage_sessions(&self) -> OutageSessions {
        let capacity = self.remembered.as_ref().map_or(0, Remembered::capacity);
        // It was made of such a number.
        OutageSessions::new(capacity as u64).unwrap_or(OutageSessions::OFF)
    }

    /// The deadline of each call that a request waits for.
    pub fn deadline(&self) -> StoreDeadline {
        self.deadline
    }
}
