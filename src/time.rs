//! The time as the crate sees it: whole seconds since the Unix epoch, always an argument.

use std::fmt;
use std::time::{Duration, SystemTime};

/// A moment, in whole seconds since 1970-01-01T00:00:00Z.
///
/// Every value is below 2^40 (the year 36 812), the range that a
/// [token](crate::token::TokenCodec) holds in five bytes. Conversions clamp to that range and sums
/// saturate, so a clock that is far off causes no error.
///
/// `Display` writes the seconds.
///
/// ```
/// use session_affinity::UnixTime;
/// use std::time::{Duration, SystemTime};
///
/// let now = UnixTime::from(SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_900));
/// assert_eq!(now, UnixTime::from_secs(1_800_000_000));
/// assert_eq!(now.to_string(), "1800000000");
/// assert_eq!(now.saturating_add(u64::MAX), UnixTime::MAX);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(u64);

impl UnixTime {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);
    /// The last moment that can be represented: 2^40 - 1 seconds.
    pub const MAX: Self = Self((1 << 40) - 1);

    /// Returns the moment `seconds` after the epoch, at most [`UnixTime::MAX`].
    pub const fn from_secs(seconds: u64) -> Self {
        if seconds > Self::MAX.0 { Self::MAX } else { Self(seconds) }
    }

    /// Returns the seconds since the epoch, below 2^40.
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// Returns the moment `seconds` later, at most [`UnixTime::MAX`].
    #[must_use]
    pub const fn saturating_add(self, seconds: u64) -> Self {
        Self::from_secs(self.0.saturating_add(seconds))
    }

    /// Returns the moment `seconds` earlier, at least [`UnixTime::EPOCH`].
    #[must_use]
    pub const fn saturating_sub(self, seconds: u64) -> Self {
        Self(self.0.saturating_sub(seconds))
    }

    /// Returns the seconds from `earlier` to this moment, or 0 when `earlier` is later.
    pub const fn seconds_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Returns the moment `seconds` after the epoch; a negative number becomes the epoch.
    #[cfg(any(feature = "serde", feature = "time"))]
    pub(crate) fn from_signed(seconds: i64) -> Self {
        Self::from_secs(u64::try_from(seconds).unwrap_or(0))
    }
}

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Writes the seconds since the epoch.
#[cfg(feature = "serde")]
impl serde::Serialize for UnixTime {
    fn serialize<S: serde::Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        output.serialize_u64(self.0)
    }
}

/// Reads seconds since the epoch, clamped to [`UnixTime::MAX`].
#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for UnixTime {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        <u64 as serde::Deserialize>::deserialize(input).map(Self::from_secs)
    }
}

/// Cuts off fractions of a second. A time before 1970 becomes [`UnixTime::EPOCH`].
impl From<SystemTime> for UnixTime {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => Self::from_secs(since.as_secs()),
            Err(_) => Self::EPOCH,
        }
    }
}

/// A moment outside the range of the platform's [`SystemTime`] (on Windows after the year 30 828)
/// becomes 9999-12-31T23:59:59Z.
impl From<UnixTime> for SystemTime {
    fn from(time: UnixTime) -> Self {
        const YEAR_9999: Duration = Duration::from_secs(253_402_300_799);
        let after_epoch = |duration| Self::UNIX_EPOCH.checked_add(duration);
        after_epoch(Duration::from_secs(time.0))
            .or_else(|| after_epoch(YEAR_9999))
            .unwrap_or(Self::UNIX_EPOCH)
    }
}

/// Cuts off fractions of a second. A time before 1970 becomes [`UnixTime::EPOCH`].
#[cfg(feature = "time")]
impl From<::time::UtcDateTime> for UnixTime {
    fn from(time: ::time::UtcDateTime) -> Self {
        Self::from_signed(time.unix_timestamp())
    }
}

/// Cuts off fractions of a second. A time before 1970 becomes [`UnixTime::EPOCH`].
#[cfg(feature = "time")]
impl From<::time::OffsetDateTime> for UnixTime {
    fn from(time: ::time::OffsetDateTime) -> Self {
        Self::from_signed(time.unix_timestamp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_clamped_to_forty_bits() {
        assert_eq!(UnixTime::from_secs(u64::MAX), UnixTime::MAX);
        assert_eq!(UnixTime::from_secs(1 << 40), UnixTime::MAX);
        assert_eq!(UnixTime::from_secs((1 << 40) - 1).as_secs(), (1 << 40) - 1);
        assert_eq!(UnixTime::MAX.as_secs(), 1_099_511_627_775);
        let past = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(UnixTime::from(past), UnixTime::EPOCH);
    }

    #[test]
    fn fractions_of_a_second_are_cut_off() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_999);
        assert_eq!(UnixTime::from(time), UnixTime::from_secs(1_800_000_000));
    }

    #[cfg(feature = "time")]
    #[test]
    fn dates_of_the_time_crate_are_clamped_and_cut_off_alike() {
        use ::time::{OffsetDateTime, UtcDateTime};
        assert_eq!(UnixTime::from(UtcDateTime::MIN), UnixTime::EPOCH);
        assert_eq!(UnixTime::from(OffsetDateTime::UNIX_EPOCH), UnixTime::EPOCH);
        let date = OffsetDateTime::from_unix_timestamp_nanos(1_800_000_000_999_999_999).unwrap();
        for time in [UnixTime::from(date), UtcDateTime::from(date).into()] {
            assert_eq!(time, UnixTime::from_secs(1_800_000_000));
        }
    }

    #[test]
    fn a_moment_is_a_system_time_and_back() {
        for seconds in [0, 1, 1_800_000_000, 253_402_300_799] {
            let time = UnixTime::from_secs(seconds);
            let system = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(SystemTime::from(time), system);
            assert_eq!(UnixTime::from(system), time);
        }
        assert!(SystemTime::from(UnixTime::MAX) > SystemTime::from(UnixTime::EPOCH));
    }

    #[test]
    fn a_moment_is_shown_as_its_seconds() {
        assert_eq!(UnixTime::from_secs(1_800_000_000).to_string(), "1800000000");
    }

    #[test]
    fn sums_saturate() {
        assert_eq!(UnixTime::MAX.saturating_add(1), UnixTime::MAX);
        assert_eq!(UnixTime::EPOCH.saturating_sub(1), UnixTime::EPOCH);
        assert_eq!(UnixTime::EPOCH.seconds_since(UnixTime::MAX), 0);
        assert_eq!(UnixTime::from_secs(7).seconds_since(UnixTime::from_secs(2)), 5);
    }
}
