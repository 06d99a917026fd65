//! Load shedding: which clients a pool sends to the pools after it.

use siphasher::sip::SipHasher24;

use crate::bounds::Percent;

/// A pool's load shedding. Cloudflare: `load_shedding`.
///
/// Who is shed at 30 % is shed at 60 %: a client is shed when its number, out of 2^64, is
/// below the percentage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadShedding {
    /// Which share of the new sessions is shed.
    pub default_percent: Percent,
    /// By which number new sessions are shed.
    pub default_policy: ShedBy,
    /// Which share of the live sessions is shed, by the hash of the client's address.
    /// Without an address none is.
    pub session_percent: Percent,
}

/// By which number it is decided whether a new session is shed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
pub enum ShedBy {
    /// One drawn for each. Read from `""` too.
    #[default]
    #[cfg_attr(feature = "serde", serde(alias = ""))]
    Random,
    /// The hash of the client's address: the same clients on every node. Where it is not
    /// known, one drawn.
    Hash,
}

/// Whether this number, out of 2^64, is within the percentage.
pub(crate) fn is_shed(number: u64, percent: Percent) -> bool {
    u128::from(number).saturating_mul(100) < u128::from(percent.get()) << 64
}

/// A number for shedding out of one drawn: independent of the choice that is made by the
/// number itself, and another for each pool.
pub(crate) fn shed_number(drawn: u64, pool: usize) -> u64 {
    let mut message = [0; 16];
    let (seed, index) = message.split_at_mut(8);
    seed.copy_from_slice(&drawn.to_be_bytes());
    index.copy_from_slice(&(pool as u64).to_be_bytes());
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
}
