//! The times known of the sessions of one endpoint.

use crate::time::UnixTime;

/// The sessions of one endpoint, as seen by one node, or by several after [`Census::merge`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[expect(clippy::exhaustive_structs, reason = "embedders build it from what other nodes report")]
pub struct Census {
    /// The time from which on sessions have been noted. `None` until the first request.
    pub began: Option<UnixTime>,
    /// The time at which the endpoint last answered a request.
    pub last_seen: Option<UnixTime>,
    /// The latest start of any session that is pinned to the endpoint.
    pub latest_issued: Option<UnixTime>,
    /// The latest end of any session that is pinned to the endpoint.
    pub latest_end: Option<UnixTime>,
}

impl Census {
    /// Combines what two nodes have seen: the greater value of each field. For `began` that is the
    /// time from which on both nodes have noted sessions, `None` when one of them has not begun.
    ///
    /// ```
    /// use session_affinity::UnixTime;
    /// use session_affinity::drain::Census;
    ///
    /// let at = |seconds| Some(UnixTime::from_secs(1_800_000_000_u64 + seconds));
    /// let own = Census { began: at(0), latest_end: at(600), ..Census::default() };
    /// let other = Census { began: at(60), latest_end: at(900), ..Census::default() };
    /// let both = Census { began: at(60), latest_end: at(900), ..Census::default() };
    /// assert_eq!(own.merge(other), both);
    /// ```
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self {
            began: self.began.zip(other.began).map(|(one, other)| one.max(other)),
            last_seen: self.last_seen.max(other.last_seen),
            latest_issued: self.latest_issued.max(other.latest_issued),
            latest_end: self.latest_end.max(other.latest_end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> UnixTime {
        UnixTime::from_secs(1_800_000_000 + secs)
    }

    #[test]
    fn censuses_merge_by_taking_the_greater() {
        let one = Census {
            began: Some(at(1)),
            last_seen: Some(at(9)),
            latest_issued: None,
            latest_end: Some(at(20)),
        };
        let other = Census {
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
        assert_eq!(one.merge(other), both);
        assert_eq!(other.merge(one), both);
        assert_eq!(one.merge(Census::default()).began, None);
    }
}
