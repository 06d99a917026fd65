//! The identity of an endpoint: a hash of two names.

use std::fmt;
use std::str::FromStr;

use siphasher::sip::SipHasher24;

/// The identity of an endpoint, the same on every node and across restarts: a 64-bit hash of the
/// names of its pool and of itself.
///
/// `SipHash-2-4(b"session-affinity", pool name ‖ 0x00 ‖ endpoint name)`. Addresses and positions
/// are not part of it, so an endpoint keeps its sessions when its address changes or the list is
/// reordered.
///
/// The key of the hash is public. Names with the same id practically never occur by chance, and can be
/// made within minutes by those who choose names: [`PoolsBuilder::build`] refuses them.
///
/// As text it is 16 hexadecimal digits:
///
/// ```
/// use session_affinity::EndpointId;
///
/// let id = EndpointId::new("eu", "eu-1");
/// assert_eq!(id.as_u64(), 0xbf54_fd3b_4b4e_a9db);
/// assert_eq!(id.to_string(), "bf54fd3b4b4ea9db");
/// assert_eq!("bf54fd3b4b4ea9db".parse(), Ok(id));
/// ```
///
/// [`PoolsBuilder::build`]: crate::pools::PoolsBuilder::build
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId(u64);

impl EndpointId {
    /// Computes the id of the endpoint with this name in the pool with that name.
    pub fn new(pool: &str, endpoint: &str) -> Self {
        let mut name =
            Vec::with_capacity(pool.len().saturating_add(endpoint.len()).saturating_add(1));
        name.extend_from_slice(pool.as_bytes());
        name.push(0);
        name.extend_from_slice(endpoint.as_bytes());
        Self(SipHasher24::new_with_key(b"session-affinity").hash(&name))
    }

    /// Restores an id that was stored as a number, by a session store for example.
    pub const fn from_u64(id: u64) -> Self {
        Self(id)
    }

    /// Returns the id as a number.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

/// Formats the id as 16 lower-case hexadecimal digits.
impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// `EndpointId(bf54fd3b4b4ea9db)`
impl fmt::Debug for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EndpointId({self})")
    }
}

#[cfg(feature = "serde")]
crate::wire::text!(EndpointId);

/// Reads 16 hexadecimal digits, of either case.
impl FromStr for EndpointId {
    type Err = InvalidEndpointId;

    fn from_str(text: &str) -> Result<Self, InvalidEndpointId> {
        // `from_str_radix` alone would accept a sign.
        let is_id = text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let id = if is_id { u64::from_str_radix(text, 16).ok() } else { None };
        id.map(Self).ok_or_else(|| InvalidEndpointId { text: text.into() })
    }
}

const DIGITS: usize = 16;

/// The error of reading an [`EndpointId`] from text that is not 16 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of an endpoint is {text:?}; allowed: 16 hexadecimal digits")]
#[non_exhaustive]
pub struct InvalidEndpointId {
    /// The text that was read.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    // Table B.1 of the SipHash paper and the first of its reference vectors: the
    // building block itself.
    #[test]
    fn siphash_2_4_gives_the_results_of_its_paper() {
        let key: [u8; 16] = std::array::from_fn(|i| i as u8);
        let message: [u8; 15] = std::array::from_fn(|i| i as u8);
        let sip = SipHasher24::new_with_key(&key);
        assert_eq!(sip.hash(&message), 0xa129_ca61_49be_45e5);
        assert_eq!(sip.hash(&[]), 0x726f_db47_dd0e_0e31);
        assert_eq!(sip.hash(&message[..1]), 0x74f8_39c5_93dc_67fd);
    }

    #[test]
    fn the_bar_between_pool_and_endpoint_cannot_be_moved() {
        assert_ne!(EndpointId::new("eu", "eu-1"), EndpointId::new("eue", "u-1"));
        assert_ne!(EndpointId::new("eu", "eu-1"), EndpointId::new("us", "eu-1"));
    }

    #[test]
    fn an_id_is_read_from_exactly_16_hexadecimal_digits() {
        for id in [0, 0xab, u64::MAX].map(EndpointId::from_u64) {
            assert_eq!(id.to_string().parse(), Ok(id));
            assert_eq!(id.to_string().to_uppercase().parse(), Ok(id));
        }
        for text in [
            "",
            "ab",
            "+0000000000000ab",
            "00000000000000ag",
            "000000000000000ab",
            "ü0000000000000a",
        ] {
            let error = text.parse::<EndpointId>().unwrap_err();
            let message =
                format!("the id of an endpoint is {text:?}; allowed: 16 hexadecimal digits");
            assert_eq!(error.to_string(), message);
        }
    }
}
