//! Secrets in text: base64 of RFC 4648 section 4, padded.

use std::fmt;

use hmac::digest::zeroize::Zeroize;
use serde::de::{Deserializer, Error, Visitor};

use crate::keys::Secret;

const ALLOWED: &str = "base64 (standard alphabet, padded) of 32 or more bytes";

/// Reads a secret from base64. The decoded bytes are wiped; the text is the deserializer's own.
pub(super) fn from_base64<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Secret>, D::Error> {
    // The error of the deserializer is left out: it would show the value.
    let read = input.deserialize_str(Base64).map(Some);
    read.map_err(|_| D::Error::custom(format_args!("expected {ALLOWED}")))
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
