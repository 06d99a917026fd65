//! Health, administrative state, and the rule of draining.

use crate::limits::DrainDuration;
use crate::time::UnixTime;

/// The result of the embedder's latest health check of an endpoint.
///
/// With health checks, an endpoint that discovery has just found is [`Unchecked`](Health::Unchecked)
/// until the first result: see [`Pools::with_endpoints_of`](crate::Pools::with_endpoints_of). Without
/// health checks it stays [`Healthy`](Health::Healthy), the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Health {
    /// The endpoint serves requests.
    #[default]
    Healthy,
    /// The endpoint serves neither pinned nor new sessions.
    Unhealthy,
    /// The endpoint has not been checked yet: it keeps the sessions pinned to it, so that a gateway
    /// that restarts moves no session before its first health checks, and takes no new ones, nor
    /// those of a failed connection. It does not count for `minimum_origins`.
    Unchecked,
}

/// The administrative state of an endpoint or of a whole pool, as the operator has set it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "enabled or disabled: complete by definition")]
pub enum State {
    /// In service.
    #[default]
    Enabled,
    /// Taken out of service: takes no new sessions, and keeps the pinned ones while it drains,
    /// that is, until [`DrainDuration`] after `at`.
    Disabled {
        /// The time at which it was disabled. `None`: not known, so the drain is over.
        at: Option<UnixTime>,
    },
}

/// The progress of an endpoint from in service to out of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[expect(clippy::exhaustive_enums, reason = "before, during and after: complete by definition")]
pub enum DrainPhase {
    /// The endpoint and its pool are enabled.
    InService,
    /// The endpoint or its pool is disabled and the drain duration has not passed: the endpoint
    /// takes its pinned sessions and no new ones.
    Draining,
    /// The endpoint or its pool is disabled and the drain duration has passed: the endpoint takes
    /// no sessions.
    Over,
}

impl State {
    /// Returns whether this is [`State::Enabled`].
    #[inline]
    pub const fn is_enabled(self) -> bool {
        matches!(self, Self::Enabled)
    }

    /// Returns the drain phase, at the time `now`, of an endpoint in this state that belongs to a
    /// pool in the state `pool`.
    ///
    /// A drain lasts for `drain` from the moment of disabling. Where both the endpoint and its pool
    /// are disabled, the earlier end counts. A drain is over at once when the time of disabling is
    /// not known, and when `drain` is 0.
    ///
    /// ```
    /// use session_affinity::drain::DrainPhase;
    /// use session_affinity::limits::DrainDuration;
    /// use session_affinity::{State, UnixTime};
    ///
    /// let at = |seconds| UnixTime::from_secs(1_800_000_000_u64 + seconds);
    /// let (state, drain) = (State::Disabled { at: Some(at(0)) }, DrainDuration::new(600)?);
    /// assert_eq!(state.phase(State::Enabled, drain, at(599)), DrainPhase::Draining);
    /// assert_eq!(state.phase(State::Enabled, drain, at(600)), DrainPhase::Over);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn phase(self, pool: State, drain: DrainDuration, now: UnixTime) -> DrainPhase {
        if self.is_enabled() && pool.is_enabled() {
            return DrainPhase::InService;
        }
        match self.first_disabled(pool) {
            // A clock set back behind the stamp must not revive a drain of 0.
            Some(at) if drain != DrainDuration::NONE && now < at.saturating_add(drain.get()) => {
                DrainPhase::Draining
            }
            _ => DrainPhase::Over,
        }
    }

    /// Returns when the first of an endpoint in this state and its pool was disabled. `None` when
    /// both are enabled, and when one of them is disabled at an unknown time.
    pub(crate) fn first_disabled(self, pool: State) -> Option<UnixTime> {
        match (self, pool) {
            (Self::Enabled, Self::Enabled) => None,
            (Self::Disabled { at }, Self::Enabled) | (Self::Enabled, Self::Disabled { at }) => at,
            // `None` is less than any time.
            (Self::Disabled { at: endpoint }, Self::Disabled { at: pool }) => endpoint.min(pool),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> UnixTime {
        UnixTime::from_secs(1_800_000_000 + secs)
    }

    fn disabled(secs: u64) -> State {
        State::Disabled { at: Some(at(secs)) }
    }

    const UNKNOWN: State = State::Disabled { at: None };

    /// "Draining: disabled, and `now < disabled_at + drain_duration`. A disabled pool drains its
    /// endpoints likewise; where both are disabled the earlier end counts; disabled without a stamp
    /// means the drain is over."
    #[test]
    fn a_drain_ends_one_drain_duration_after_the_first_was_disabled() {
        use DrainPhase::*;
        let minute = DrainDuration::new(60).unwrap();
        let rows = [
            (State::Enabled, State::Enabled, 0, InService),
            (disabled(10), State::Enabled, 0, Draining),
            (disabled(10), State::Enabled, 69, Draining),
            (disabled(10), State::Enabled, 70, Over),
            (State::Enabled, disabled(10), 69, Draining),
            (State::Enabled, disabled(10), 70, Over),
            (disabled(10), disabled(5), 64, Draining),
            (disabled(10), disabled(5), 65, Over),
            (disabled(5), disabled(10), 64, Draining),
            (disabled(5), disabled(10), 65, Over),
            (UNKNOWN, State::Enabled, 0, Over),
            (State::Enabled, UNKNOWN, 0, Over),
            (disabled(10), UNKNOWN, 0, Over),
            (UNKNOWN, disabled(10), 0, Over),
            (UNKNOWN, UNKNOWN, 0, Over),
        ];
        for (endpoint, pool, now, phase) in rows {
            assert_eq!(endpoint.phase(pool, minute, at(now)), phase, "{endpoint:?} {pool:?} {now}");
            let at_once = if phase == InService { InService } else { Over };
            assert_eq!(endpoint.phase(pool, DrainDuration::NONE, at(now)), at_once);
        }
    }

    #[test]
    fn the_first_stamp_counts_and_an_unknown_one_hides_the_other() {
        assert_eq!(State::Enabled.first_disabled(State::Enabled), None);
        assert_eq!(disabled(10).first_disabled(State::Enabled), Some(at(10)));
        assert_eq!(State::Enabled.first_disabled(disabled(10)), Some(at(10)));
        assert_eq!(disabled(10).first_disabled(disabled(5)), Some(at(5)));
        assert_eq!(UNKNOWN.first_disabled(disabled(5)), None);
        assert_eq!(disabled(5).first_disabled(UNKNOWN), None);
    }
}
