//! Taking a pool or an endpoint out of service: the state to set, and the second that it is stamped
//! with.

use std::fmt;

use serde::de::{Deserializer, Error, Visitor};
use serde_json::json;
use session_affinity::config::OriginConfig;
use session_affinity::policy::Life;
use session_affinity::pools::EndpointView;
use session_affinity::{State, UnixTime};

use crate::json::Whole;

/// The age of the oldest stamp that is accepted, in seconds. An older one is a slip.
const OLDEST: u64 = 365 * 86_400;
/// The seconds by which a stamp may be ahead of the clock here: the clocks of several gateways differ by
/// up to as much, and all are given the same stamp.
const AHEAD: u64 = 15;

/// Returns the state to set: `None` where the body of a call says nothing of it.
///
/// A disabled pool or endpoint keeps its stamp when it is disabled again, so that its drain does not
/// start over. A stamp that the body states takes its place: several gateways are given the same one.
///
/// # Errors
/// A line that names the field, and what was expected.
pub(crate) fn state(
    enabled: Option<bool>,
    disabled_at: Option<UnixTime>,
    before: State,
    now: UnixTime,
) -> Result<Option<State>, String> {
    if let Some(at) = disabled_at {
        let first = now.saturating_sub(OLDEST).as_secs();
        let last = now.saturating_add(AHEAD).as_secs();
        if !(first..=last).contains(&at.as_secs()) {
            let at = at.as_secs();
            return Err(format!(
                "disabled_at is {at}; allowed: {first} to {last}, {AHEAD} seconds after the clock here"
            ));
        }
    }
    Ok(match (enabled, disabled_at, before) {
        (None, None, _) => None,
        (Some(true), Some(_), _) | (None, Some(_), State::Enabled) => {
            return Err("disabled_at is given for what is enabled; expected enabled false".into());
        }
        (Some(true), None, _) => Some(State::Enabled),
        (Some(false), None, State::Disabled { .. }) => Some(before),
        (Some(false), None, State::Enabled) => Some(State::Disabled { at: Some(now) }),
        (Some(false), at, _) | (None, at, State::Disabled { .. }) => Some(State::Disabled { at }),
    })
}

/// Notes the sessions that an endpoint may have unseen, where this gateway is told of a drain that it did
/// not know of at its start: it may have begun sessions until its start, in a life before, and the drain
/// of the other gateways may have begun earlier than this one's stamp says.
pub(crate) fn note_unseen<T>(
    endpoint: EndpointView<'_, T>,
    life: Life,
    [before, after]: [State; 2],
) {
    let State::Disabled { at: Some(at) } = after else { return };
    let (Life::Absolute(ttl) | Life::Idle(ttl)) = life else { return };
    let Some(began) = endpoint.census().began else { return };
    let end = began.saturating_add(ttl.get());
    // Either the file has said so since the start, or this was noted when it was told.
    let knew = matches!(before, State::Disabled { at: Some(at) } if at < began);
    if !knew && at < end {
        endpoint.note_session(began, end);
    }
}

/// For `deserialize_with`: reads Unix seconds, or a date of RFC 3339 as the file has it. Refuses null.
pub(crate) fn some_time<'de, D: Deserializer<'de>>(input: D) -> Result<Option<UnixTime>, D::Error> {
    input.deserialize_any(TimeVisitor).map(Some)
}

const EXPECTED: &str = "expected Unix seconds, or a date such as 2026-01-31T12:00:00Z";

struct TimeVisitor;

impl Visitor<'_> for TimeVisitor {
    type Value = UnixTime;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED.trim_start_matches("expected "))
    }

    fn visit_u64<E: Error>(self, seconds: u64) -> Result<UnixTime, E> {
        Ok(UnixTime::from_secs(seconds))
    }

    fn visit_i64<E: Error>(self, seconds: i64) -> Result<UnixTime, E> {
        let seconds = Whole(seconds).not_negative();
        seconds.map(UnixTime::from_secs).ok_or_else(|| E::custom(EXPECTED))
    }

    fn visit_f64<E: Error>(self, seconds: f64) -> Result<UnixTime, E> {
        match seconds {
            // The cast saturates.
            _ if seconds.fract() == 0.0 && seconds >= 0.0 => {
                Ok(UnixTime::from_secs(seconds as u64))
            }
            _ => Err(E::custom(EXPECTED)),
        }
    }

    /// The crate reads the dates of the file, and this one like them.
    fn visit_str<E: Error>(self, date: &str) -> Result<UnixTime, E> {
        let origin = json!({ "name": "", "address": "", "disabled_at": date });
        let origin = serde_json::from_value::<OriginConfig>(origin).ok();
        let date = origin.and_then(|origin| origin.disabled_at);
        date.ok_or_else(|| E::custom(EXPECTED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::from_secs(seconds)
    }

    #[test]
    fn each_body_sets_the_state_that_it_states() {
        let now = at(1_800_000_000);
        let disabled = |seconds| State::Disabled { at: Some(at(seconds)) };
        let (stamp, early) = (1_799_999_990, 1_799_999_000);
        for (enabled, given, before, after) in [
            (None, None, State::Enabled, None),
            (None, None, disabled(early), None),
            (Some(true), None, disabled(early), Some(State::Enabled)),
            (Some(false), None, State::Enabled, Some(State::Disabled { at: Some(now) })),
            (Some(false), None, disabled(early), Some(disabled(early))),
            (Some(false), Some(stamp), State::Enabled, Some(disabled(stamp))),
            (Some(false), Some(stamp), disabled(early), Some(disabled(stamp))),
            (None, Some(stamp), disabled(early), Some(disabled(stamp))),
            (None, Some(stamp), State::Disabled { at: None }, Some(disabled(stamp))),
        ] {
            assert_eq!(
                state(enabled, given.map(at), before, now),
                Ok(after),
                "{enabled:?} {given:?}"
            );
        }
        for (enabled, before) in
            [(Some(true), State::Enabled), (Some(true), disabled(early)), (None, State::Enabled)]
        {
            let error = state(enabled, Some(at(stamp)), before, now).unwrap_err();
            assert_eq!(error, "disabled_at is given for what is enabled; expected enabled false");
        }
    }

    #[test]
    fn a_stamp_is_of_the_last_year_and_not_further_ahead_than_clocks_differ() {
        let now = at(1_800_000_000);
        let set = |seconds| state(Some(false), Some(at(seconds)), State::Enabled, now);
        for seconds in [1_768_464_000, 1_800_000_000, 1_800_000_015] {
            assert_eq!(set(seconds), Ok(Some(State::Disabled { at: Some(at(seconds)) })));
        }
        for seconds in [0, 1_768_463_999, 1_800_000_016, 1_800_000_000_000] {
            let error = set(seconds).unwrap_err();
            let range = "allowed: 1768464000 to 1800000015, 15 seconds after the clock here";
            let shown = at(seconds).as_secs();
            assert_eq!(error, format!("disabled_at is {shown}; {range}"));
        }
    }

    #[test]
    fn a_stamp_is_written_in_seconds_or_as_a_date() {
        let read =
            |text: &str| some_time(&mut serde_json::Deserializer::from_str(text)).ok().flatten();
        for text in ["1769860800", "1769860800.0", r#""2026-01-31T12:00:00Z""#] {
            assert_eq!(read(text), Some(at(1_769_860_800)), "{text}");
        }
        for text in ["-1", "1.5", "true", "null", r#""now""#, r#""1769860800""#, "[]"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
