//! The bounded numbers that configure the crate. Each is checked once, when it is made.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

mod bounded_load;
mod weight;

pub use bounded_load::BoundedLoad;
pub use weight::InvalidWeight;

/// The error for a number outside the range of its parameter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {value}; allowed: {min} to {max}{unit}")]
pub struct OutOfRange {
    /// The name of the parameter, as [`Config`](crate::config::Config) spells it.
    pub field: &'static str,
    /// The number that was refused.
    pub value: u64,
    /// The smallest number allowed.
    pub min: u64,
    /// The largest number allowed.
    pub max: u64,
    unit: &'static str,
}

impl OutOfRange {
    /// Returns `value` when it lies in the range. `unit` ends the message of the error: empty, or
    /// a space and a word.
    pub(crate) const fn check(
        field: &'static str,
        value: u64,
        allowed: RangeInclusive<u64>,
        unit: &'static str,
    ) -> Result<u64, Self> {
        let (min, max) = (*allowed.start(), *allowed.end());
        // `contains` is not const.
        if min <= value && value <= max {
            return Ok(value);
        }
        Err(Self { field, value, min, max, unit })
    }
}

macro_rules! bounded {
    (
        $(#[$doc:meta])*
        $name:ident($repr:ty): $min:literal..=$max:literal, $field:literal, $unit:literal
        $(, default $default:literal)?
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($repr);

        impl $name {
            /// The smallest value allowed.
            pub const MIN: Self = Self($min);
            /// The largest value allowed.
            pub const MAX: Self = Self($max);
            $(
                /// The default value.
                pub const DEFAULT: Self = Self($default);
            )?

            /// Checks a number against the range.
            ///
            /// # Errors
            /// [`OutOfRange`] when the number is below [`MIN`](Self::MIN) or above
            /// [`MAX`](Self::MAX).
            pub const fn new(value: u64) -> Result<Self, OutOfRange> {
                match OutOfRange::check($field, value, $min..=$max, $unit) {
                    // The cast keeps every bit: the range fits the type.
                    Ok(value) => Ok(Self(value as $repr)),
                    Err(error) => Err(error),
                }
            }

            /// Returns the number.
            pub const fn get(self) -> $repr {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl TryFrom<u64> for $name {
            type Error = OutOfRange;

            fn try_from(value: u64) -> Result<Self, OutOfRange> {
                Self::new(value)
            }
        }

        $(
            impl Default for $name {
                fn default() -> Self {
                    Self($default)
                }
            }
        )?
    };
}

bounded! {
    /// The lifetime of a session, in seconds: 1 to 315 360 000, which is ten years of 365 days.
    ///
    /// The policy decides whether it runs from the creation of the session
    /// ([`CookiePolicy`](crate::CookiePolicy), [`IpCookiePolicy`](crate::IpCookiePolicy)) or from
    /// its last use ([`HeaderPolicy`](crate::HeaderPolicy)), and has its own default.
    /// Cloudflare: `session_affinity_ttl`, whose narrower ranges apply to
    /// [`Config`](crate::config::Config) only.
    Ttl(u64): 1..=315_360_000, "session_affinity_ttl", " seconds"
}
bounded! {
    /// The time for which a disabled endpoint continues to serve its existing sessions, in
    /// seconds: 0 to 604 800, by default 0.
    ///
    /// Cloudflare: `session_affinity_attributes.drain_duration`, there at most 86 400. The larger
    /// range lets a session of seven days end by itself.
    DrainDuration(u64): 0..=604_800,
        "session_affinity_attributes.drain_duration", " seconds", default 0
}
bounded! {
    /// The number of further endpoints that one request may try after a passive failure: 1 to 8,
    /// by default 1, as Cloudflare does.
    Retries(u8): 1..=8, "retries", "", default 1
}
bounded! {
    /// The number of leading bits of an IPv6 address that distinguish clients: 1 to 128, by
    /// default 64, because one household usually has a whole /64.
    Ipv6Prefix(u8): 1..=128, "ipv6_prefix", " bits", default 64
}
bounded! {
    /// The number of seconds by which the clock of the node that issued a token may be ahead of
    /// the local one: 0 to 86 400, by default 300.
    ClockSkew(u64): 0..=86_400, "clock_skew", " seconds", default 300
}
bounded! {
    /// The time for which an endpoint is suspect after a passive failure, in seconds: 0 to 300, by
    /// default 0.
    CoolingOff(u64): 0..=300, "cooling_off", " seconds", default 0
}
bounded! {
    /// A share of the clients, in percent: 0 to 100, by default 0.
    Percent(u8): 0..=100, "load_shedding", " percent", default 0
}
bounded! {
    /// The share of new sessions that an endpoint receives, relative to the other endpoints of its
    /// pool, in hundredths: 0 to 100, by default 100.
    ///
    /// Cloudflare: `origins[].weight`, a number from 0 to 1, which [`Weight::from_fraction`] reads.
    Weight(u8): 0..=100, "weight", " hundredths", default 100
}
bounded! {
    /// The share of its life after which a session in a cookie or an issued header is renewed by
    /// use, in percent: 0 to 99, by default 50. At 0 each response renews it.
    RenewAfter(u8): 0..=99, "renew_after", " percent", default 50
}
bounded! {
    /// The time that one call to a store across the network may take, in milliseconds: 1 to 1 000,
    /// by default 20. It is the most that a store which does not answer delays a request. Of a write,
    /// for which no request waits, the default is [`MAX`](Self::MAX).
    StoreDeadline(u64): 1..=1_000, "store_deadline_ms", " milliseconds", default 20
}
bounded! {
    /// The number of sessions that a store across the network remembers for an outage: 0 to
    /// 10 000 000, by default 20 000. Each takes about 45 bytes.
    OutageSessions(u64): 0..=10_000_000, "outage_sessions", " sessions", default 20_000
}
bounded! {
    /// The time for which a store across the network need not be told that a session is in use
    /// still, in seconds: 0 to 3 600, by default 0, with which it is told of each use.
    TouchInterval(u64): 0..=3_600, "touch_interval", " seconds", default 0
}

impl Ttl {
    /// Returns the allowed lifetime that is nearest to a number of seconds. It makes constants.
    pub(crate) const fn clamped(seconds: u64) -> Self {
        match seconds {
            0 => Self::MIN,
            _ if seconds > Self::MAX.0 => Self::MAX,
            _ => Self(seconds),
        }
    }
}

impl DrainDuration {
    /// No drain: a disabled endpoint stops serving its sessions at once.
    pub const NONE: Self = Self::MIN;
}

impl CoolingOff {
    /// No cooling off: an endpoint is never suspect.
    pub const OFF: Self = Self::MIN;
}

impl TouchInterval {
    /// No interval: the store is told of each use.
    pub const OFF: Self = Self::MIN;
}

impl OutageSessions {
    /// No sessions: nothing is remembered for an outage.
    pub const OFF: Self = Self::MIN;
}

impl Percent {
    /// None of the clients.
    pub const ZERO: Self = Self::MIN;
}

macro_rules! durations {
    ($($name:ident: $unit:literal, $nanoseconds:literal, $from:expr;)*) => { $(
        #[doc = concat!("Reads whole ", $unit, ". A fraction of one is rounded up.")]
        impl TryFrom<Duration> for $name {
            type Error = OutOfRange;

            fn try_from(duration: Duration) -> Result<Self, OutOfRange> {
                Self::new(units(duration, $nanoseconds))
            }
        }

        impl From<$name> for Duration {
            fn from(bound: $name) -> Self {
                $from(bound.0)
            }
        }
    )* };
}

durations! {
    Ttl: "seconds", 1_000_000_000, Duration::from_secs;
    DrainDuration: "seconds", 1_000_000_000, Duration::from_secs;
    ClockSkew: "seconds", 1_000_000_000, Duration::from_secs;
    CoolingOff: "seconds", 1_000_000_000, Duration::from_secs;
    TouchInterval: "seconds", 1_000_000_000, Duration::from_secs;
}
durations! {
    StoreDeadline: "milliseconds", 1_000_000, Duration::from_millis;
}

/// Returns the number of units of so many nanoseconds that a duration has or has begun.
fn units(duration: Duration, nanoseconds: u128) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(nanoseconds)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
