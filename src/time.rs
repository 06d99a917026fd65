//! The one notion of time: whole seconds since the Unix epoch, always an argument.

use std::time::SystemTime;

/// A moment, in whole seconds since 1970-01-01T00:00:00Z.
///
/// Every value lies in `0..2^40` (up to the year 36 812), the range that a
/// [token](crate::TokenCodec) can hold in its five bytes. Whatever lies outside is
/// clamped to the nearer end and sums saturate, so a clock that is far off never
/// makes a request fail.
///
/// ```
/// use session_affinity::UnixTime;
/// use std::time::{Duration, SystemTime};
///
/// let now = UnixTime::from(SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_900));
/// assert_eq!(now, UnixTime::from_secs(1_800_000_000));
/// assert_eq!(now.saturating_add(u64::MAX), UnixTime::MAX);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(u64);

impl UnixTime {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);
    /// The last second that can be named: 2^40 - 1.
    pub const MAX: Self = Self((1 << 40) - 1);

    /// The moment `seconds` after the epoch, clamped to [`UnixTime::MAX`].
    pub const fn from_secs(seconds: u64) -> Self {
        if seconds > Self::MAX.0 { Self::MAX } else { Self(seconds) }
    }

    /// Seconds since the epoch, below 2^40.
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// `seconds` later, at most [`UnixTime::MAX`].
    #[must_use]
    pub const fn saturating_add(self, seconds: u64) -> Self {
        Self::from_secs(self.0.saturating_add(seconds))
    }

    /// `seconds` earlier, at least [`UnixTime::EPOCH`].
    #[must_use]
    pub const fn saturating_sub(self, seconds: u64) -> Self {
        Self(self.0.saturating_sub(seconds))
    }

    /// Seconds from `earlier` to this moment; 0 when `earlier` is later.
    pub const fn seconds_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// A moment given in signed seconds, as calendars do.
    fn from_signed(seconds: i64) -> Self {
        Self::from_secs(u64::try_from(seconds).unwrap_or(0))
    }
}

/// Fractions of a second are cut off; times before 1970 become [`UnixTime::EPOCH`].
impl From<SystemTime> for UnixTime {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => Self::from_secs(since.as_secs()),
            Err(_) => Self::EPOCH,
        }
    }
}

/// Fractions of a second are cut off; times before 1970 become [`UnixTime::EPOCH`].
impl From<time::UtcDateTime> for UnixTime {
    fn from(time: time::UtcDateTime) -> Self {
        Self::from_signed(time.unix_timestamp())
    }
}

/// Fractions of a second are cut off; times before 1970 become [`UnixTime::EPOCH`].
impl From<time::OffsetDateTime> for UnixTime {
    fn from(time: time::OffsetDateTime) -> Self {
        Self::from_signed(time.unix_timestamp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_are_clamped_to_forty_bits() {
        assert_eq!(UnixTime::from_secs(u64::MAX), UnixTime::MAX);
        assert_eq!(UnixTime::from_secs(1 << 40), UnixTime::MAX);
        assert_eq!(UnixTime::from_secs((1 << 40) - 1).as_secs(), (1 << 40) - 1);
        assert_eq!(UnixTime::MAX.as_secs(), 1_099_511_627_775);
        let past = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(UnixTime::from(past), UnixTime::EPOCH);
        assert_eq!(UnixTime::from(time::UtcDateTime::MIN), UnixTime::EPOCH);
        assert_eq!(UnixTime::from(time::OffsetDateTime::UNIX_EPOCH), UnixTime::EPOCH);
    }

    #[test]
    fn fractions_of_a_second_are_cut_off() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_999);
        let date =
            time::OffsetDateTime::from_unix_timestamp_nanos(1_800_000_000_999_999_999).unwrap();
        for time in [UnixTime::from(time), date.into(), time::UtcDateTime::from(date).into()] {
            assert_eq!(time, UnixTime::from_secs(1_800_000_000));
        }
    }

    #[test]
    fn sums_saturate() {
        assert_eq!(UnixTime::MAX.saturating_add(1), UnixTime::MAX);
        assert_eq!(UnixTime::EPOCH.saturating_sub(1), UnixTime::EPOCH);
        assert_eq!(UnixTime::EPOCH.seconds_since(UnixTime::MAX), 0);
        assert_eq!(UnixTime::from_secs(7).seconds_since(UnixTime::from_secs(2)), 5);
    }
}
