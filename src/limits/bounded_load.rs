//! The bound on an endpoint's part of its pool's load.

use super::OutOfRange;
use super::Weight;

/// The most that an endpoint may carry, relative to its share of the pool's load: the rule of
/// *consistent hashing with bounded loads*. [`Room::bounded`](crate::steering::Room::bounded)
/// applies it.
///
/// The share of an endpoint is that of its weight, in the load of the pool with the next request
/// added. The bound is `percent` of the share, rounded up, and never below `at_least`, which lets a
/// pool with little load be.
///
/// ```
/// use session_affinity::limits::BoundedLoad;
/// let bound = BoundedLoad::new(125, 4)?;
/// assert_eq!((bound.percent(), bound.at_least()), (125, 4));
/// assert_eq!(
///     BoundedLoad::new(99, 4).unwrap_err().to_string(),
///     "bounded_load.percent is 99; allowed: 100 to 1000 percent"
/// );
/// # Ok::<(), session_affinity::limits::OutOfRange>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BoundedLoad {
    percent: u16,
    at_least: u32,
}

impl BoundedLoad {
    /// Checks the percentage of its share that an endpoint may carry, 100 to 1 000, and the load,
    /// 1 to [`u32::MAX`], that each endpoint may carry whatever its share is.
    ///
    /// # Errors
    /// [`OutOfRange`] names the number that is out of its range.
    pub const fn new(percent: u64, at_least: u64) -> Result<Self, OutOfRange> {
        let most = u32::MAX as u64;
        match OutOfRange::check("bounded_load.percent", percent, 100..=1_000, " percent") {
            Err(error) => Err(error),
            Ok(percent) => match OutOfRange::check("bounded_load.at_least", at_least, 1..=most, "")
            {
                Err(error) => Err(error),
                // The casts keep every bit: both numbers are in range.
                Ok(least) => Ok(Self { percent: percent as u16, at_least: least as u32 }),
            },
        }
    }

    /// Returns the percentage of its share that an endpoint may carry.
    pub const fn percent(self) -> u16 {
        self.percent
    }

    /// Returns the load that each endpoint may carry whatever its share is.
    pub const fn at_least(self) -> u32 {
        self.at_least
    }

    /// Returns whether an endpoint with this load may carry one request more, the load of the pool
    /// not asked.
    pub(crate) const fn admits_any(self, load: u32) -> bool {
        load < self.at_least
    }

    /// Returns whether an endpoint of this load and weight may carry one request more, in a pool of
    /// this load and these weights in all:
    /// `load + 1 <= max(at_least, ceil(percent / 100 × (total + 1) × weight / weights))`.
    pub(crate) fn admits(self, load: u32, weight: Weight, total: u64, weights: u64) -> bool {
        // For whole numbers, load + 1 <= ceil(a / b) means load × b < a.
        let below = u128::from(load).saturating_mul(100).saturating_mul(weights.into());
        let share = u128::from(total).saturating_add(1).saturating_mul(weight.get().into());
        self.admits_any(load) || below < share.saturating_mul(self.percent.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_percentage_is_100_to_1000_and_the_least_load_1_or_more() {
        for (percent, at_least) in [(100, 1), (1_000, u32::MAX.into())] {
            let bound = BoundedLoad::new(percent, at_least).unwrap();
            assert_eq!(
                (u64::from(bound.percent()), u64::from(bound.at_least())),
                (percent, at_least)
            );
        }
        for (percent, at_least, message) in [
            (99, 1, "bounded_load.percent is 99; allowed: 100 to 1000 percent"),
            (1_001, 1, "bounded_load.percent is 1001; allowed: 100 to 1000 percent"),
            (100, 0, "bounded_load.at_least is 0; allowed: 1 to 4294967295"),
            (100, 1 << 32, "bounded_load.at_least is 4294967296; allowed: 1 to 4294967295"),
        ] {
            assert_eq!(BoundedLoad::new(percent, at_least).unwrap_err().to_string(), message);
        }
    }

    proptest! {
        /// The formula as it is written, with a division that is rounded up.
        #[test]
        fn the_bound_is_the_share_rounded_up_and_at_least_the_least(
            percent in 100_u64..=1_000, at_least in 1_u64..20, load in prop_oneof![0_u32..40, any::<u32>()],
            weight in 1_u64..=100, others in 0_u64..4_000, total in prop_oneof![0_u64..200, 0..1_u64 << 47],
        ) {
            let weights = weight + others;
            let share = u128::from(percent) * (u128::from(total) + 1) * u128::from(weight);
            let bound = share.div_ceil(100 * u128::from(weights)).max(at_least.into());
            let admits = BoundedLoad::new(percent, at_least).unwrap()
                .admits(load, Weight::new(weight).unwrap(), total, weights);
            prop_assert_eq!(admits, u128::from(load) < bound);
        }

        /// "under the bound alone somebody in the pool always has room"
        #[test]
        fn one_endpoint_of_a_pool_always_has_room(
            percent in 100_u64..=1_000,
            endpoints in prop::collection::vec((1_u64..=100, prop_oneof![0_u32..10, 0_u32..1_000, any::<u32>()]), 1..20),
        ) {
            let bound = BoundedLoad::new(percent, 1).unwrap();
            let total = endpoints.iter().map(|(_, load)| u64::from(*load)).sum();
            let weights = endpoints.iter().map(|(weight, _)| weight).sum();
            let has_room = |(weight, load): &(u64, u32)| {
                bound.admits(*load, Weight::new(*weight).unwrap(), total, weights)
            };
            prop_assert!(endpoints.iter().any(has_room));
        }
    }
}
