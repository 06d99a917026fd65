//! Load shedding: the sessions that a pool sends to the pools after it.

use std::fmt;

use siphasher::sip::SipHasher24;

use crate::endpoint::member::PoolIndex;
use crate::limits::Percent;

/// The load shedding of a pool. Cloudflare: `load_shedding`.
///
/// A client, or a header session, is shed when its number, out of 2^64, is below the percentage. So
/// those that are shed at 30 % are among those shed at 60 %.
///
/// ```
/// use session_affinity::limits::Percent;
/// use session_affinity::pools::{LoadShedding, Pool, ShedBy};
///
/// let shedding = LoadShedding {
///     default_percent: Percent::new(25)?,
///     shed_by: ShedBy::Hash,
///     ..LoadShedding::default()
/// };
/// let pool = Pool::<&str>::new("eu").with_shedding(shedding);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "the parameters of Cloudflare's load_shedding")]
pub struct LoadShedding {
    /// The share of new sessions that is shed, in percent. Default: 0.
    pub default_percent: Percent,
    /// The number that decides whether a new session is shed. Cloudflare: `default_policy`.
    pub shed_by: ShedBy,
    /// The share of live sessions that is shed, in percent: by the hash of the session key for
    /// sessions that have one, else by the hash of the client's address. Sessions without a key
    /// whose client's address is not known are never shed. Default: 0.
    pub session_percent: Percent,
}

/// The number that decides whether a new session is shed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[expect(clippy::exhaustive_enums, reason = "the values of Cloudflare's default_policy")]
pub enum ShedBy {
    /// A number drawn for each session. Also read from `""`.
    #[default]
    #[cfg_attr(feature = "serde", serde(alias = ""))]
    Random,
    /// The hash of the client's address: the same clients on every node. A number drawn where the
    /// address is not known.
    Hash,
}

impl ShedBy {
    /// Returns the value as Cloudflare's API writes it, `random` for example.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Hash => "hash",
        }
    }
}

impl fmt::Display for ShedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Returns whether this number, out of 2^64, is below the percentage.
pub(crate) fn is_shed(number: u64, percent: Percent) -> bool {
    u128::from(number).saturating_mul(100) < u128::from(percent.get()) << 64
}

/// Computes a number for shedding from one that was drawn: independent of the choices that the
/// drawn number makes itself, and another one for each pool.
pub(crate) fn shed_number(drawn: u64, pool: PoolIndex) -> u64 {
    let mut message = [0; 16];
    let (seed, index) = message.split_at_mut(8);
    seed.copy_from_slice(&drawn.to_be_bytes());
    index.copy_from_slice(&(pool.0 as u64).to_be_bytes());
    SipHasher24::new_with_key(b"session-affinity").hash(&message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "shed when below the percentage … `hash × 100 < percent × 2^64`"
    #[test]
    fn a_quarter_is_shed_to_the_last_number() {
        let percent = |percent| Percent::new(percent).unwrap();
        assert!(is_shed((1 << 62) - 1, percent(25)) && !is_shed(1 << 62, percent(25)));
        assert!(!is_shed(0, percent(0)) && is_shed(u64::MAX, percent(100)));
    }

    #[test]
    fn the_number_to_shed_by_is_shown_as_cloudflare_writes_it() {
        assert_eq!([ShedBy::Random, ShedBy::Hash].map(|it| it.to_string()), ["random", "hash"]);
    }
}
