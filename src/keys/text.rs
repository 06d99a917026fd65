//! Secrets as text, decoded into memory that is wiped.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::digest::zeroize::Zeroize;

/// Decoded bytes, which are wiped when they are dropped.
pub(super) struct Decoded {
    buffer: Box<[u8]>,
    length: usize,
}

impl Decoded {
    /// Room for the bytes of a text, which never has more bytes decoded than encoded.
    fn of(text: &str) -> Self {
        Self { buffer: vec![0; text.len()].into(), length: 0 }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }
}

impl Drop for Decoded {
    fn drop(&mut self) {
        self.buffer.zeroize();
    }
}

/// Decodes standard base64 with padding; `None` for any other text.
pub(super) fn base64(text: &str) -> Option<Decoded> {
    let mut decoded = Decoded::of(text);
    decoded.length = BASE64_STANDARD.decode_slice(text, &mut decoded.buffer).ok()?;
    Some(decoded)
}

/// Decodes pairs of hexadecimal digits; `None` for any other text.
pub(super) fn hex(text: &str) -> Option<Decoded> {
    let mut decoded = Decoded::of(text);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    for (byte, [high, low]) in decoded.buffer.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    decoded.length = pairs.len();
    rest.is_empty().then_some(decoded)
}

fn digit(character: u8) -> Option<u8> {
    u8::try_from(char::from(character).to_digit(16)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits_come_in_pairs_of_either_case() {
        assert_eq!(hex("00fFaB").unwrap().as_slice(), b"\x00\xff\xab");
        assert!(hex("").unwrap().as_slice().is_empty());
        for text in ["0", "000", "0g", "0x00", " 00", "+1", "é0"] {
            assert!(hex(text).is_none(), "{text}");
        }
    }

    /// The vectors of RFC 4648 section 10.
    #[test]
    fn base64_is_the_standard_one_with_padding() {
        for (text, bytes) in
            [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYmFy", "foobar")]
        {
            assert_eq!(base64(text).unwrap().as_slice(), bytes.as_bytes());
        }
        for text in ["Zg", "Zg=", "Zh==", "Zm9v\n", "_w==", "Zg==Zg=="] {
            assert!(base64(text).is_none(), "{text:?}");
        }
        assert_eq!(base64("/w==").unwrap().as_slice(), b"\xff");
    }
}
