//! Secrets in documents: base64 of RFC 4648 section 4, padded.

use std::fmt;

use hmac::digest::zeroize::Zeroize;
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use super::Secret;

const ALLOWED: &str = "base64 (standard alphabet, padded) of 32 or more bytes, not all zero";

/// Reads base64 (standard alphabet, padded) of 32 or more bytes, the output of
/// `openssl rand -base64 32`. White space is refused: in a file it is a mistake. No error shows any
/// part of the text.
///
/// The decoded bytes are wiped, and so is a text that the deserializer hands over. A text that it
/// keeps, such as the file in memory, is the caller's to wipe. There is no `Serialize`: a secret does
/// not keep its bytes.
///
/// ```
/// # #[cfg(feature = "serde")] {
/// use session_affinity::Secret;
///
/// #[derive(serde::Deserialize)]
/// struct Entry {
///     id: u8,
///     secret: Secret,
/// }
/// let entry: Entry = serde_json::from_str(
///     r#"{ "id": 1, "secret": "MzIgYnl0ZXMgZnJvbSB5b3VyIHNlY3JldCBzdG9yZS4=" }"#,
/// )?;
/// assert_eq!(entry.secret, Secret::new(b"32 bytes from your secret store.")?);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        // The error of the deserializer is left out: it would show the value.
        let read = input.deserialize_str(Base64);
        read.map_err(|_| D::Error::custom(format_args!("expected {ALLOWED}")))
    }
}

struct Base64;

impl Visitor<'_> for Base64 {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ALLOWED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Secret, E> {
        // In a file, white space is a mistake.
        let text = Some(text).filter(|text| text.trim_ascii() == *text);
        Secret::from_base64(text.unwrap_or_default()).map_err(E::custom)
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Secret, E> {
        let text = Wiped(text.into_bytes());
        self.visit_str(std::str::from_utf8(&text.0).map_err(E::custom)?)
    }
}

/// Bytes that are overwritten when they are dropped.
struct Wiped(Vec<u8>);

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.as_mut_slice().zeroize();
    }
}
