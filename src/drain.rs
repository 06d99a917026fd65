//! The report of a drain: how far an endpoint is, and when the last of its sessions ends.

use crate::endpoint::State;
use crate::limits::DrainDuration;
use crate::policy::Life;
use crate::time::UnixTime;

pub use crate::endpoint::{Census, DrainPhase};

/// The progress of an endpoint's drain, by
/// [`Affinity::drain`](crate::Affinity::drain) or [`Drain::of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Drain {
    /// The phase of the endpoint: in service, draining, or past its drain duration.
    pub phase: DrainPhase,
    /// The sessions that are left at the endpoint.
    pub sessions: DrainSessions,
    /// The time of the last request that the endpoint answered.
    pub last_seen: Option<UnixTime>,
}

/// The sessions of an endpoint once no new ones begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[expect(clippy::exhaustive_enums, reason = "complete by definition")]
pub enum DrainSessions {
    /// The endpoint is in service: sessions may begin.
    Open,
    /// The last session ends by this time.
    EndBy(UnixTime),
    /// The endpoint serves no session any more: the last one has ended, or the drain was over
    /// before. In the second case, [`DrainPhase::Over`], clients may still hold cookies, and
    /// their sessions will be moved.
    Drained {
        /// The time since which this is so. `None` when there was no session, or when the time
        /// is not known.
        since: Option<UnixTime>,
    },
}

impl Drain {
    /// Computes the progress of a drain from values, for an operator's tool that has neither an
    /// [`Affinity`](crate::Affinity) nor its keys: the state of the endpoint and that of its pool,
    /// the drain duration, the life of the sessions, and the census of all nodes together.
    ///
    /// Where the nodes were told to disable the endpoint at different times, give the latest:
    /// until then sessions may have begun on it. Where the census is older than the question, `now`
    /// is the time of the census.
    ///
    /// Sessions of [`Life::Idle`] are prolonged during the drain. A census that began after the
    /// endpoint was disabled has not seen the requests before: unseen sessions then end one
    /// lifetime after it began, and one lifetime after `now` where [`Census::began`] is `None`.
    /// Sessions of [`Life::Absolute`] that no census has seen end one lifetime after the endpoint
    /// was disabled.
    ///
    /// ```
    /// use session_affinity::drain::{Census, Drain, DrainSessions};
    /// use session_affinity::limits::{DrainDuration, Ttl};
    /// use session_affinity::policy::Life;
    /// use session_affinity::{State, UnixTime};
    ///
    /// let at = |seconds| UnixTime::from_secs(1_800_000_000_u64 + seconds);
    /// let (drain, life) = (DrainDuration::new(7_200)?, Life::Absolute(Ttl::new(1_800)?));
    /// let progress = |census, now| {
    ///     let state = State::Disabled { at: Some(at(4_000)) };
    ///     Drain::of(state, State::Enabled, drain, life, census, now).sessions
    /// };
    /// // Two nodes that began long before, and have noted the ends of their sessions.
    /// let ends = |end| Census {
    ///     began: Some(at(0)),
    ///     latest_issued: Some(at(end - 1_800)),
    ///     latest_end: Some(at(end)),
    ///     ..Census::default()
    /// };
    /// let (one, other) = (ends(4_500), ends(5_500));
    /// assert_eq!(progress(one, at(5_000)), DrainSessions::Drained { since: Some(at(4_500)) });
    /// assert_eq!(progress(one.merge(other), at(5_000)), DrainSessions::EndBy(at(5_500)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of(
        endpoint: State,
        pool: State,
        drain: DrainDuration,
        life: Life,
        census: Census,
        now: UnixTime,
    ) -> Self {
        let phase = endpoint.phase(pool, drain, now);
        let disabled = endpoint.first_disabled(pool);
        let over = disabled
            .filter(|_| drain > DrainDuration::NONE)
            .map(|disabled| disabled.saturating_add(drain.get()));
        let last_end = last_end(life, census, disabled, now);
        let sessions = match (phase, last_end, over) {
            (DrainPhase::InService, ..) => DrainSessions::Open,
            (_, None, _) => DrainSessions::Drained { since: None },
            (_, Some(_), None) => DrainSessions::Drained { since: disabled },
            (_, Some(end), Some(over)) => match end.min(over) {
                end if end <= now => DrainSessions::Drained { since: Some(end) },
                end => DrainSessions::EndBy(end),
            },
        };
        Self { phase, sessions, last_seen: census.last_seen }
    }
}

/// The time by which the sessions of an endpoint that was disabled at `disabled` have ended, as far
/// as a census of the time `now` tells and whatever the drain duration; `None` when there were none.
fn last_end(
    life: Life,
    census: Census,
    disabled: Option<UnixTime>,
    now: UnixTime,
) -> Option<UnixTime> {
    let Some(disabled) = disabled else { return Some(UnixTime::MAX) };
    let (ttl, noted) = match life {
        Life::Unknown => return Some(UnixTime::MAX),
        Life::Idle(ttl) => (ttl.get(), census.latest_end),
        // A lifetime that was lowered ends the older sessions too.
        Life::Absolute(ttl) => {
            let ends = |issued: UnixTime| issued.saturating_add(ttl.get());
            (ttl.get(), census.latest_end.min(census.latest_issued.map(ends)))
        }
        Life::Sessionless => (0, census.latest_end.min(census.latest_issued)),
    };
    let is_young = census.began.is_none_or(|began| began.saturating_add(ttl) > disabled);
    // Sessions may begin between the census and the moment of disabling.
    let is_early = now < disabled;
    let last_unseen = match life {
        // Requests prolong a session during the drain too, unseen until the census began. One that
        // has not begun yet has seen none so far.
        Life::Idle(_) => disabled.max(census.began.unwrap_or(now)),
        _ => disabled,
    };
    let unseen = (is_young || is_early).then(|| last_unseen.saturating_add(ttl));
    noted.max(unseen)
}
