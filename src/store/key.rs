//! The key of a stored session.

use std::fmt;
use std::str::FromStr;

/// The key of a stored session: 16 bytes.
///
/// Keys made by [`HeaderPolicy`](crate::HeaderPolicy) are a keyed hash of the configured
/// headers, so a store never sees the value of a header.
///
/// ```
/// use session_affinity::store::SessionKey;
///
/// let key = SessionKey::from([0xab; 16]);
/// assert_eq!(key.to_string(), "abababababababababababababababab");
/// assert_eq!("abababababababababababababababab".parse(), Ok(key));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "a key is its 16 bytes")]
#[repr(align(8))] // moved as two words: at an odd address each move would stall the next read
pub struct SessionKey(pub [u8; 16]);

impl From<[u8; 16]> for SessionKey {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl AsRef<[u8]> for SessionKey {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Writes the key as 32 hexadecimal digits.
impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionKey({self})")
    }
}

#[cfg(feature = "serde")]
crate::wire::text!(SessionKey);

/// Reads 32 hexadecimal digits, of either case.
impl FromStr for SessionKey {
    type Err = InvalidSessionKey;

    fn from_str(text: &str) -> Result<Self, InvalidSessionKey> {
        // `from_str_radix` alone would accept a sign.
        let is_key = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let key = if is_key { u128::from_str_radix(text, 16).ok() } else { None };
        let key = key.map(|key| Self(key.to_be_bytes()));
        key.ok_or_else(|| InvalidSessionKey { text: text.into() })
    }
}

/// The error of reading a [`SessionKey`] from text that is not 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session key is {text:?}; allowed: 32 hexadecimal digits")]
#[non_exhaustive]
pub struct InvalidSessionKey {
    /// The text that was read.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_from_exactly_32_hexadecimal_digits() {
        for key in [[0; 16], [0xab; 16], std::array::from_fn(|i| i as u8)].map(SessionKey) {
            assert_eq!(key.to_string().parse(), Ok(key));
            assert_eq!(key.to_string().to_uppercase().parse(), Ok(key));
        }
        let (digits, signed) = ("ab".repeat(16), format!("+{}", "a".repeat(31)));
        for text in ["", &digits[1..], &format!("{digits}0"), &signed, &"ü".repeat(16)] {
            let error = text.parse::<SessionKey>().unwrap_err();
            let message = format!("the session key is {text:?}; allowed: 32 hexadecimal digits");
            assert_eq!(error.to_string(), message);
        }
    }
}
