//! The durations of the Gateway API: GEP-2257.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A duration as the Gateway API writes it (GEP-2257), in whole milliseconds: 0 to 99 999 hours, 59
/// minutes, 59 seconds and 999 milliseconds.
///
/// The text is one to four components, each of one to five decimal digits and a unit, `h`, `m`, `s` or
/// `ms`; their sum counts. Units may repeat and stand in any order. `Display` writes the standard
/// form: the largest units possible, each once, and `0s` for nothing.
///
/// A sum beyond 99 999 hours, such as that of `99999h1h`, has no standard form and is refused.
///
/// ```
/// use std::time::Duration;
/// use session_affinity::config::gateway_api::GatewayDuration;
/// let timeout: GatewayDuration = "10s30m1h".parse()?;
/// assert_eq!(Duration::from(timeout), Duration::from_secs(5_410));
/// assert_eq!(timeout.to_string(), "1h30m10s");
/// assert!("1.5h".parse::<GatewayDuration>().is_err());
/// # Ok::<(), session_affinity::config::gateway_api::InvalidGatewayDuration>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GatewayDuration {
    milliseconds: u64,
}

/// The units, the largest first: the order of the standard form.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl GatewayDuration {
    /// No time: `0s`.
    pub const ZERO: Self = Self { milliseconds: 0 };
    /// The longest duration, `99999h59m59s999ms`.
    pub const MAX: Self = Self { milliseconds: 359_999_999_999 };

    /// Returns the number of milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.milliseconds
    }

    const fn checked(milliseconds: u64) -> Option<Self> {
        match milliseconds <= Self::MAX.milliseconds {
            true => Some(Self { milliseconds }),
            false => None,
        }
    }
}

/// Takes one component from the text: its milliseconds, and the rest.
fn component(text: &str) -> Option<(u64, &str)> {
    let rest = text.trim_start_matches(|character: char| character.is_ascii_digit());
    let digits = text.get(..text.len().checked_sub(rest.len())?)?;
    let value: u64 = digits.parse().ok().filter(|_| digits.len() <= 5)?;
    // A component begins with a digit, so a letter behind `m` can only be the one of `ms`.
    let end = rest.find(|character: char| character.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at_checked(end)?;
    let (_, milliseconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
    Some((value.saturating_mul(*milliseconds), rest))
}

/// Returns the sum of one to four components.
fn sum(mut text: &str) -> Option<u64> {
    let mut milliseconds = 0_u64;
    for _ in 0..4 {
        let (one, rest) = component(text)?;
        milliseconds = milliseconds.saturating_add(one);
        if rest.is_empty() {
            return Some(milliseconds);
        }
        text = rest;
    }
    None
}

impl FromStr for GatewayDuration {
    type Err = InvalidGatewayDuration;

    fn from_str(text: &str) -> Result<Self, InvalidGatewayDuration> {
        let Some(milliseconds) = sum(text) else {
            return Err(InvalidGatewayDuration::Format(text.into()));
        };
        Self::checked(milliseconds).ok_or_else(|| InvalidGatewayDuration::TooLong(text.into()))
    }
}

impl TryFrom<&str> for GatewayDuration {
    type Error = InvalidGatewayDuration;

    fn try_from(text: &str) -> Result<Self, InvalidGatewayDuration> {
        text.parse()
    }
}

/// Takes whole milliseconds; the format has nothing smaller.
impl TryFrom<Duration> for GatewayDuration {
    type Error = InvalidGatewayDuration;

    fn try_from(duration: Duration) -> Result<Self, InvalidGatewayDuration> {
        let shown = || format!("{duration:?}");
        if !duration.subsec_nanos().is_multiple_of(1_000_000) {
            return Err(InvalidGatewayDuration::Fraction(shown()));
        }
        let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self::checked(milliseconds).ok_or_else(|| InvalidGatewayDuration::TooLong(shown()))
    }
}

impl From<GatewayDuration> for Duration {
    fn from(duration: GatewayDuration) -> Self {
        Self::from_millis(duration.milliseconds)
    }
}

impl fmt::Display for GatewayDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        let mut left = self.milliseconds;
        for (unit, milliseconds) in UNITS {
            let count = left.checked_div(milliseconds).unwrap_or(0);
            left = left.checked_rem(milliseconds).unwrap_or(0);
            if count > 0 {
                text.push_str(&format!("{count}{unit}"));
            }
        }
        f.pad(if text.is_empty() { "0s" } else { &text })
    }
}

impl fmt::Debug for GatewayDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GatewayDuration({self})")
    }
}

#[cfg(feature = "serde")]
crate::wire::text!(GatewayDuration);

/// The error for a text or a duration that is no duration of the Gateway API.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidGatewayDuration {
    /// The text is not of the format.
    #[error("the duration is {:?}; allowed: {}", .0, self.allowed())]
    Format(String),
    /// The duration is longer than [`GatewayDuration::MAX`].
    #[error("the duration is {:?}; allowed: {}", .0, self.allowed())]
    TooLong(String),
    /// The duration has a fraction of a millisecond.
    #[error("the duration is {:?}; allowed: {}", .0, self.allowed())]
    Fraction(String),
}

impl InvalidGatewayDuration {
    /// Returns the text that was refused, or the duration as text.
    pub fn value(&self) -> &str {
        match self {
            Self::Format(value) | Self::TooLong(value) | Self::Fraction(value) => value,
        }
    }

    /// The end of the message.
    pub(super) fn allowed(&self) -> &'static str {
        match self {
            Self::Format(_) => "1 to 4 times up to 5 digits and h, m, s or ms, such as 1h30m",
            Self::TooLong(_) => "up to 99999h59m59s999ms",
            Self::Fraction(_) => "whole milliseconds",
        }
    }
}
