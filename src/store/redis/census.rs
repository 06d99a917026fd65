//! Censuses in Redis: each node publishes its own, and they are merged when they are read.

use ::redis::{Value, cmd};

use super::layout::escaped;
use super::{RedisError, RedisStore};
use crate::endpoint::{Census, EndpointId};
use crate::limits::DrainDuration;
use crate::time::UnixTime;

const VERSION: u8 = 1;

impl RedisStore {
    /// Publishes the sessions of an endpoint that this node has seen by the time `now`, for
    /// [`RedisStore::shared_census`]. Call it every few seconds for each endpoint that is disabled, or
    /// whose pool is.
    ///
    /// A node that starts with the endpoint in service, or enables it, replaces its report of before
    /// first, by one with [`UnixTime::MAX`] as `latest_issued` and `latest_end`: from then on
    /// sessions begin there.
    ///
    /// `node` is the name of this node, and no other node's: a report replaces the one before of
    /// the same name. A report that is not replaced is dropped after seven days, the longest drain.
    ///
    /// # Errors
    /// [`RedisError`]. The report before stays, and with it the time as of which all hold.
    pub async fn publish_census(
        &self,
        node: &str,
        endpoint: EndpointId,
        census: Census,
        now: UnixTime,
    ) -> Result<(), RedisError> {
        let mut set = cmd("SET");
        set.arg(self.census_key(node, endpoint)).arg(value(census, now));
        self.ask(set.arg("EX").arg(DrainDuration::MAX.get())).await.map(|_| ())
    }

    /// Returns the censuses of these nodes together, and the time as of which they are complete,
    /// by the oldest of the reports. Sends one `GET` for each node.
    ///
    /// Name every node that may have served the endpoint. `None` means that the report of one of
    /// them is missing or unreadable: its sessions are not known, and the drain is not over.
    ///
    /// Ask for the progress of the drain as of the returned time, not as of now, because the
    /// reports do not know what has happened since:
    ///
    /// ```no_run
    /// use session_affinity::drain::DrainSessions;
    /// use session_affinity::store::{RedisError, RedisStore};
    /// use session_affinity::{Affinity, EndpointId, Pools};
    ///
    /// async fn is_drained(
    ///     affinity: &Affinity,
    ///     pools: &Pools<&str>,
    ///     store: &RedisStore,
    ///     id: EndpointId,
    /// ) -> Result<bool, RedisError> {
    ///     let shared = store.shared_census(&["gateway-1", "gateway-2"], id).await?;
    ///     let (Some((census, as_of)), Some(endpoint)) = (shared, pools.endpoint(id)) else {
    ///         return Ok(false);
    ///     };
    ///     let drain = affinity.drain(endpoint, census, as_of);
    ///     Ok(matches!(drain.sessions, DrainSessions::Drained { .. }))
    /// }
    /// ```
    ///
    /// # Errors
    /// [`RedisError`] if the server did not answer in time, or answered with an error.
    pub async fn shared_census(
        &self,
        nodes: &[&str],
        endpoint: EndpointId,
    ) -> Result<Option<(Census, UnixTime)>, RedisError> {
        let mut shared: Option<(Census, UnixTime)> = None;
        for node in nodes {
            let mut get = cmd("GET");
            let report = match self.ask(get.arg(self.census_key(node, endpoint))).await? {
                Value::BulkString(value) => read(&value),
                _ => None,
            };
            let Some((census, as_of)) = report else { return Ok(None) };
            shared = Some(match shared {
                None => (census, as_of),
                Some((others, oldest)) => (others.merge(census), oldest.min(as_of)),
            });
        }
        Ok(shared)
    }

    fn census_key(&self, node: &str, endpoint: EndpointId) -> String {
        format!("{}census:{endpoint}:{}", self.layout.prefix(), escaped(node))
    }
}

pub(super) fn value(census: Census, now: UnixTime) -> Vec<u8> {
    let Census { began, last_seen, latest_issued, latest_end } = census;
    let mut value = vec![VERSION];
    for time in [Some(now), began, last_seen, latest_issued, latest_end] {
        // Times have 40 bits, and 0 is no time.
        let [.., a, b, c, d, e] = time.unwrap_or(UnixTime::EPOCH).as_secs().to_be_bytes();
        value.extend([a, b, c, d, e]);
    }
    value
}

/// Reads a census and the time as of which it is complete. `None` if it has another version or
/// length.
pub(super) fn read(value: &[u8]) -> Option<(Census, UnixTime)> {
    let (&VERSION, times) = value.split_first()? else { return None };
    let ([now, began, last_seen, latest_issued, latest_end], []) = times.as_chunks::<5>() else {
        return None;
    };
    let time = |&[a, b, c, d, e]: &[u8; 5]| {
        UnixTime::from_secs(u64::from_be_bytes([0, 0, 0, a, b, c, d, e]))
    };
    let noted = |bytes| Some(time(bytes)).filter(|noted| *noted != UnixTime::EPOCH);
    let [began, last_seen, latest_issued, latest_end] =
        [began, last_seen, latest_issued, latest_end].map(noted);
    let census = Census { began, last_seen, latest_issued, latest_end };
    // Sessions may have begun in the same second, after the census was read.
    Some((census, time(now).saturating_sub(1)))
}
