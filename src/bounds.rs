//! Numbers that cannot be out of range: each is checked once, where it is made.

/// A number outside the range of its parameter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {value}; allowed: {min} to {max}{unit}")]
pub struct OutOfRange {
    /// The parameter's name, as [`Config`](crate::config::Config) spells it.
    pub field: &'static str,
    /// What was given.
    pub value: u64,
    /// The least value that is allowed.
    pub min: u64,
    /// The greatest value that is allowed.
    pub max: u64,
    unit: &'static str,
}

macro_rules! bounded {
    ($(#[$doc:meta])* $name:ident($repr:ty): $min:literal..=$max:literal, default $default:literal, $field:literal, $unit:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($repr);

        impl $name {
            /// The least value.
            pub const MIN: Self = Self($min);
            /// The greatest value.
            pub const MAX: Self = Self($max);

            /// Checks a number against the range.
            ///
            /// # Errors
            /// [`OutOfRange`] names the parameter, the number and what is allowed.
            pub const fn new(value: u64) -> Result<Self, OutOfRange> {
                #[allow(
                    clippy::manual_range_contains,
                    unused_comparisons,
                    clippy::absurd_extreme_comparisons,
                    reason = "some ranges begin at 0, and in a const fn a range has no `contains`"
                )]
                if value < $min || value > $max {
                    return Err(OutOfRange { field: $field, value, min: $min, max: $max, unit: $unit });
                }
                // The cast keeps every bit: the range above fits the type.
                Ok(Self(value as $repr))
            }

            /// The number.
            pub const fn get(self) -> $repr {
                self.0
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self($default)
            }
        }
    };
}

bounded! {
    /// How long a cookie session lives, in seconds, from the moment it was made
    /// (absolute: use does not restart it). 1 800 to 604 800, by default 82 800.
    /// Cloudflare: `session_affinity_ttl` for `cookie` and `ip_cookie`.
    CookieTtl(u64): 1_800..=604_800, default 82_800, "session_affinity_ttl", " seconds for cookie and ip_cookie"
}
bounded! {
    /// How long a header session lives without a request, in seconds (idle: use
    /// restarts it). 30 to 3 600, by default 1 800.
    /// Cloudflare: `session_affinity_ttl` for `header`.
    IdleTtl(u64): 30..=3_600, default 1_800, "session_affinity_ttl", " seconds for header"
}
bounded! {
    /// How long a disabled endpoint still serves its sessions, in seconds.
    /// 0 to 604 800, by default 0: not at all.
    /// Cloudflare: `session_affinity_attributes.drain_duration`, which ends at 86 400;
    /// here a session of seven days can be drained too.
    DrainDuration(u64): 0..=604_800, default 0, "session_affinity_attributes.drain_duration", " seconds"
}
bounded! {
    /// How many further endpoints one request may try after a passive failure.
    /// 1 to 8, by default 1, which is Cloudflare's rule.
    Retries(u8): 1..=8, default 1, "retries", ""
}
bounded! {
    /// How many leading bits of an IPv6 address tell clients apart, as one
    /// household commonly has a whole /64. 1 to 128, by default 64.
    Ipv6Prefix(u8): 1..=128, default 64, "ipv6_prefix", " bits"
}
bounded! {
    /// How far ahead of ours the clock of the node that issued a token may run, in
    /// seconds. 0 to 86 400, by default 300.
    ClockSkew(u64): 0..=86_400, default 300, "clock_skew", " seconds"
}
bounded! {
    /// How long an endpoint is suspect after a passive failure, in seconds. 0 to
    /// 300, by default 0: endpoints are never suspect.
    CoolingOff(u64): 0..=300, default 0, "cooling_off", " seconds"
}
bounded! {
    /// A share of the clients, in percent. 0 to 100, by default 0.
    Percent(u8): 0..=100, default 0, "load_shedding", " percent"
}
bounded! {
    /// An endpoint's share of new sessions relative to its pool's other endpoints,
    /// in hundredths: 0 to 100, by default 100. Weight 0 takes no new sessions.
    /// Cloudflare: `origins[].weight`, 0 to 1.
    Weight(u8): 0..=100, default 100, "weight", " hundredths"
}
#[cfg(feature = "redis")]
bounded! {
    /// How long a call to a store across the network may take, in milliseconds: what a store
    /// that does not answer costs a request. 1 to 1 000, by default 20.
    StoreDeadline(u64): 1..=1_000, default 20, "store_deadline_ms", " milliseconds"
}

impl Weight {
    /// No new sessions; the pinned ones stay.
    pub const ZERO: Self = Self::MIN;

    /// Reads Cloudflare's notation, 0 to 1 in steps of 0.01.
    ///
    /// ```
    /// use session_affinity::Weight;
    /// assert_eq!(Weight::from_fraction(0.29).map(Weight::get), Some(29));
    /// assert_eq!(Weight::from_fraction(0.125), None);
    /// ```
    pub fn from_fraction(fraction: f64) -> Option<Self> {
        let hundredths = fraction * 100.0;
        let nearest = hundredths.round();
        // A decimal such as 0.29 is no exact binary number, so compare with room
        // for that and for nothing else.
        if !(0.0..=100.0).contains(&nearest) || (hundredths - nearest).abs() > 1e-9 {
            return None;
        }
        Some(Self(nearest as u8))
    }

    /// The weight in Cloudflare's notation, 0 to 1.
    pub fn as_fraction(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_includes_both_ends_and_nothing_beyond() {
        assert_eq!(CookieTtl::new(1_800).map(CookieTtl::get), Ok(1_800));
        assert_eq!(CookieTtl::new(604_800).map(CookieTtl::get), Ok(604_800));
        assert_eq!(Retries::new(8).map(Retries::get), Ok(8));
        assert_eq!(Ipv6Prefix::new(128).map(Ipv6Prefix::get), Ok(128));
        let messages = [
            (
                CookieTtl::new(1_799).unwrap_err(),
                "session_affinity_ttl is 1799; allowed: 1800 to 604800 seconds for cookie and ip_cookie",
            ),
            (
                IdleTtl::new(3_601).unwrap_err(),
                "session_affinity_ttl is 3601; allowed: 30 to 3600 seconds for header",
            ),
            (
                DrainDuration::new(604_801).unwrap_err(),
                "session_affinity_attributes.drain_duration is 604801; allowed: 0 to 604800 seconds",
            ),
            (Retries::new(0).unwrap_err(), "retries is 0; allowed: 1 to 8"),
            (Retries::new(257).unwrap_err(), "retries is 257; allowed: 1 to 8"),
            (Ipv6Prefix::new(129).unwrap_err(), "ipv6_prefix is 129; allowed: 1 to 128 bits"),
            (
                ClockSkew::new(86_401).unwrap_err(),
                "clock_skew is 86401; allowed: 0 to 86400 seconds",
            ),
            (CoolingOff::new(301).unwrap_err(), "cooling_off is 301; allowed: 0 to 300 seconds"),
            (Percent::new(101).unwrap_err(), "load_shedding is 101; allowed: 0 to 100 percent"),
            (Weight::new(101).unwrap_err(), "weight is 101; allowed: 0 to 100 hundredths"),
        ];
        for (error, message) in messages {
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn defaults_are_those_of_the_parameter_table() {
        assert_eq!(CookieTtl::default().get(), 82_800);
        assert_eq!(IdleTtl::default().get(), 1_800);
        assert_eq!(DrainDuration::default().get(), 0);
        assert_eq!(Retries::default().get(), 1);
        assert_eq!(Ipv6Prefix::default().get(), 64);
        assert_eq!(ClockSkew::default().get(), 300);
        assert_eq!(CoolingOff::default().get(), 0);
        assert_eq!(Percent::default().get(), 0);
        assert_eq!(Weight::default().get(), 100);
    }

    #[cfg(feature = "redis")]
    #[test]
    fn a_store_has_1_to_1000_milliseconds() {
        assert_eq!(StoreDeadline::default().get(), 20);
        assert_eq!(StoreDeadline::new(1_000), Ok(StoreDeadline::MAX));
        assert_eq!(
            StoreDeadline::new(0).unwrap_err().to_string(),
            "store_deadline_ms is 0; allowed: 1 to 1000 milliseconds"
        );
        assert!(StoreDeadline::new(1_001).is_err());
    }

    #[test]
    fn every_hundredth_is_a_weight_and_nothing_between() {
        for hundredths in 0..=100_u8 {
            let weight = Weight::from_fraction(f64::from(hundredths) / 100.0).unwrap();
            assert_eq!(weight.get(), hundredths);
            assert_eq!(Weight::from_fraction(weight.as_fraction()), Some(weight));
        }
        for no_weight in [0.001, 0.505, 1.01, -0.01, 2.0, f64::NAN, f64::INFINITY, -0.001] {
            assert_eq!(Weight::from_fraction(no_weight), None, "{no_weight}");
        }
    }
}
