//! The notation of weights in Cloudflare's API.

use super::Weight;

impl Weight {
    /// The weight of an endpoint that takes no new sessions and keeps its existing ones.
    pub const ZERO: Self = Self::MIN;

    /// Reads Cloudflare's notation, 0 to 1 in steps of 0.01.
    ///
    /// ```
    /// use session_affinity::limits::Weight;
    /// assert_eq!(Weight::from_fraction(0.29).map(Weight::get), Ok(29));
    /// assert_eq!(
    ///     Weight::from_fraction(0.125).unwrap_err().to_string(),
    ///     "the weight is 0.125; allowed: 0 to 1 in steps of 0.01"
    /// );
    /// ```
    ///
    /// # Errors
    /// [`InvalidWeight`] for any other number.
    pub fn from_fraction(fraction: f64) -> Result<Self, InvalidWeight> {
        let hundredths = fraction * 100.0;
        let nearest = hundredths.round();
        // Binary numbers only approximate a decimal such as 0.29; the comparison allows for that
        // error and for nothing else.
        if !(0.0..=100.0).contains(&nearest) || (hundredths - nearest).abs() > 1e-9 {
            return Err(InvalidWeight { fraction });
        }
        Ok(Self(nearest as u8))
    }

    /// Returns the weight in Cloudflare's notation, 0 to 1.
    pub fn as_fraction(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

/// The error of reading a [`Weight`] from a number that is not a hundredth from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("the weight is {fraction}; allowed: 0 to 1 in steps of 0.01")]
#[non_exhaustive]
pub struct InvalidWeight {
    /// The number that was refused.
    pub fraction: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hundredth_is_a_weight_and_nothing_between() {
        for hundredths in 0..=100_u8 {
            let weight = Weight::from_fraction(f64::from(hundredths) / 100.0).unwrap();
            assert_eq!(weight.get(), hundredths);
            assert_eq!(Weight::from_fraction(weight.as_fraction()), Ok(weight));
        }
        for invalid in [0.001, 0.505, 1.01, -0.01, 2.0, f64::NAN, f64::INFINITY, -0.001] {
            let error = Weight::from_fraction(invalid).unwrap_err();
            let message = format!("the weight is {invalid}; allowed: 0 to 1 in steps of 0.01");
            assert_eq!(error.to_string(), message);
        }
    }
}
