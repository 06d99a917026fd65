//! Secrets, the keys made of them, and the keyring, whose first key signs.

use std::fmt;

use hmac::digest::zeroize::Zeroizing;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

mod boxed;
mod text;
#[cfg(feature = "serde")]
mod wire;

pub(crate) use boxed::Boxed;

use boxed::swept;

/// A secret of at least 32 bytes: raw, in base64, or in hexadecimal.
///
/// Only the state that HMAC-SHA-256 derives from the bytes is kept, in one heap allocation that
/// stays in place when the secret is moved. It is wiped when the secret is dropped. `Debug` prints
/// `Secret(..)`, and two secrets are compared in constant time. With the feature `serde` it is read
/// from base64.
///
/// A secret is a key of HMAC-SHA-256 as RFC 2104 section 2 has it: below 64 bytes it is filled up
/// with zero bytes, and above 64 it is replaced by its SHA-256. So two texts can be one secret: the
/// 32 bytes from `openssl rand -base64 32` and the same bytes with zero bytes behind, up to 64, are
/// equal.
///
/// ```
/// use session_affinity::keys::{InvalidSecret, Secret};
/// let secret = Secret::new(b"32 bytes from your secret store.")?;
/// assert_eq!(Secret::from_base64("MzIgYnl0ZXMgZnJvbSB5b3VyIHNlY3JldCBzdG9yZS4=")?, secret);
/// assert_eq!(format!("{secret:?}"), "Secret(..)");
/// # Ok::<(), InvalidSecret>(())
/// ```
#[derive(Clone)]
pub struct Secret(Boxed<Hmac<Sha256>>);

impl Secret {
    /// The smallest length of a secret, in bytes: the output length of SHA-256, as RFC 2104
    /// section 3 recommends.
    pub const MIN_BYTES: usize = 32;

    /// Creates a secret from bytes drawn from a cryptographically secure random generator. The
    /// caller keeps the bytes and wipes them where that is required.
    ///
    /// # Errors
    /// [`InvalidSecret::TooShort`] below 32 bytes, and [`InvalidSecret::AllZero`] when every byte is
    /// zero: a buffer that was not filled. Nothing else of the quality of the bytes is checked.
    ///
    /// ```
    /// use session_affinity::keys::{InvalidSecret, Secret};
    /// assert_eq!(Secret::new([0; 32]), Err(InvalidSecret::AllZero));
    /// assert_eq!(Secret::new([[7; 32], [0; 32]].concat())?, Secret::new([7; 32])?);
    /// # Ok::<(), InvalidSecret>(())
    /// ```
    pub fn new(bytes: impl AsRef<[u8]>) -> Result<Self, InvalidSecret> {
        let bytes = bytes.as_ref();
        let too_short = InvalidSecret::TooShort { bytes: bytes.len() };
        if bytes.len() < Self::MIN_BYTES {
            return Err(too_short);
        }
        // Every byte is looked at, so that the time does not tell the place of the first that counts.
        if bytes.iter().fold(0, |all, byte| all | byte) == 0 {
            return Err(InvalidSecret::AllZero);
        }
        // HMAC accepts keys of any length; the error type of `new_from_slice` is for other MACs.
        swept(|| Hmac::new_from_slice(bytes).map(|state| Self(Boxed::of(Box::new(state)))))
            .map_err(|_| too_short)
    }

    /// Creates a secret from base64, in the standard alphabet with padding (RFC 4648 section 4):
    /// the output of `openssl rand -base64 32`. White space at both ends is ignored, so the text of
    /// a file or of an environment variable can be passed as it is. The decoded bytes are wiped.
    ///
    /// # Errors
    /// [`InvalidSecret`], which never shows the text.
    pub fn from_base64(text: &str) -> Result<Self, InvalidSecret> {
        Self::new(text::base64(text.trim_ascii()).ok_or(InvalidSecret::NotBase64)?.as_slice())
    }

    /// Creates a secret from hexadecimal digits of either case: the output of
    /// `openssl rand -hex 32`. White space at both ends is ignored. The decoded bytes are wiped.
    ///
    /// # Errors
    /// [`InvalidSecret`], which never shows the text.
    ///
    /// ```
    /// use session_affinity::keys::{InvalidSecret, Secret};
    /// assert_eq!(Secret::from_hex(&"07".repeat(32))?, Secret::new([7; 32])?);
    /// assert_eq!(Secret::from_hex("0707"), Err(InvalidSecret::TooShort { bytes: 2 }));
    /// # Ok::<(), InvalidSecret>(())
    /// ```
    pub fn from_hex(text: &str) -> Result<Self, InvalidSecret> {
        Self::new(text::hex(text.trim_ascii()).ok_or(InvalidSecret::NotHex)?.as_slice())
    }

    /// Writes the first bytes, at most 32, of HMAC-SHA-256(secret, concatenated parts) to a key in
    /// place, for use in [`Boxed::new`].
    pub(crate) fn derive_into<const LENGTH: usize>(
        &self,
        key: &mut Zeroizing<[u8; LENGTH]>,
        parts: &[&[u8]],
    ) {
        const { assert!(LENGTH <= 32, "the output of SHA-256 has 32 bytes") };
        let mut mac = Hmac::clone(&self.0);
        for part in parts {
            mac.update(part);
        }
        let output = Zeroizing::new(<[u8; 32]>::from(mac.finalize().into_bytes()));
        for (to, from) in key.iter_mut().zip(output.iter()) {
            *to = *from;
        }
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        // The MACs of one message are equal when the secrets are, and comparing them reveals
        // nothing about the length of a common prefix.
        swept(|| Hmac::clone(&self.0).finalize() == Hmac::clone(&other.0).finalize())
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The error for a secret below 32 bytes or of zero bytes alone, or for a text that cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSecret {
    /// The secret has fewer than 32 bytes.
    #[error("secret has {bytes} bytes; allowed: 32 or more")]
    TooShort {
        /// The number of bytes that were given.
        bytes: usize,
    },
    /// Every byte of the secret is zero.
    #[error("secret has only zero bytes; allowed: bytes from a random generator")]
    AllZero,
    /// The text given to [`Secret::from_base64`] cannot be decoded.
    #[error("secret is not in base64; allowed: the standard alphabet, with padding")]
    NotBase64,
    /// The text given to [`Secret::from_hex`] cannot be decoded.
    #[error("secret is not in hexadecimal; allowed: an even number of hexadecimal digits")]
    NotHex,
}

/// A secret and its id. Every token carries the id of the key that sealed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    id: u8,
    secret: Secret,
}

impl Key {
    /// Creates a key. Each new secret needs a new id: opening a token uses the one key that has
    /// the id in the token.
    pub fn new(id: u8, secret: Secret) -> Self {
        Self { id, secret }
    }

    /// Returns the id of the key.
    pub fn id(&self) -> u8 {
        self.id
    }

    /// Returns the secret of the key.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }
}

/// The key that signs, and the keys that only verify.
///
/// To rotate keys across several nodes: on every node add the new key behind the old one, then on
/// every node move it to the front, and remove the old key when the longest session has expired.
///
/// ```
/// use session_affinity::keys::{Key, Keyring, Secret};
/// let new = Key::new(2, Secret::new([2; 32])?);
/// let old = Key::new(1, Secret::new([1; 32])?);
/// let keyring = Keyring::new([new, old])?;
/// assert_eq!(keyring.signing().id(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyring {
    signing: Key,
    verifying: Vec<Key>,
}

impl Keyring {
    /// Creates a keyring of 1 to 256 keys. The first one signs, all of them verify.
    ///
    /// # Errors
    /// [`InvalidKeyring`] when there are no keys or two keys have the same id.
    pub fn new(keys: impl IntoIterator<Item = Key>) -> Result<Self, InvalidKeyring> {
        let mut keys = keys.into_iter();
        let mut ring = Self::from(keys.next().ok_or(InvalidKeyring::Empty)?);
        for key in keys {
            if ring.key(key.id).is_some() {
                return Err(InvalidKeyring::DuplicateId(key.id));
            }
            ring.verifying.push(key);
        }
        Ok(ring)
    }

    /// Returns the key that signs.
    pub fn signing(&self) -> &Key {
        &self.signing
    }

    /// Returns the key with this id.
    pub fn key(&self, id: u8) -> Option<&Key> {
        self.keys().find(|key| key.id == id)
    }

    /// Returns all keys, the signing key first.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.signing).chain(&self.verifying)
    }
}

/// Creates a keyring of one key, which signs and verifies.
impl From<Key> for Keyring {
    fn from(signing: Key) -> Self {
        Self { signing, verifying: Vec::new() }
    }
}

/// The error for keys that do not form a keyring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidKeyring {
    /// The list of keys is empty.
    #[error("keys is empty; allowed: one key that signs and any number that verify")]
    Empty,
    /// Two keys have this id.
    #[error("keys has the id {0} twice; allowed: each id once")]
    DuplicateId(u8),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: u8) -> Key {
        Key::new(id, Secret::new([id | 0x80; 32]).unwrap())
    }

    #[test]
    fn secrets_have_at_least_32_bytes() {
        assert_eq!(
            Secret::new([7; 31]).unwrap_err().to_string(),
            "secret has 31 bytes; allowed: 32 or more"
        );
        assert!(Secret::new([7; 32]).is_ok());
        assert!(Secret::new([7; 1000]).is_ok());
    }

    #[test]
    fn secrets_of_zero_bytes_alone_are_refused() {
        for length in [32, 63, 64, 65, 1000] {
            let refused = Secret::new(vec![0; length]).unwrap_err();
            assert_eq!(
                refused.to_string(),
                "secret has only zero bytes; allowed: bytes from a random generator"
            );
            for place in [0, length / 2, length - 1] {
                let mut bytes = vec![0; length];
                bytes[place] = 1;
                assert!(Secret::new(bytes).is_ok(), "one bit in byte {place} of {length}");
            }
        }
        assert_eq!(Secret::new([0; 31]), Err(InvalidSecret::TooShort { bytes: 31 }));
        assert_eq!(Secret::from_hex(&"00".repeat(32)), Err(InvalidSecret::AllZero));
    }

    /// RFC 2104 section 2: a key is padded with zero bytes to 64, and hashed first above 64.
    #[test]
    fn zero_bytes_behind_a_secret_change_nothing_up_to_64_bytes() {
        let secret = |zeroes: usize| Secret::new([vec![7; 32], vec![0; zeroes]].concat()).unwrap();
        for zeroes in 1..=32 {
            assert_eq!(secret(0), secret(zeroes), "{zeroes}");
        }
        assert_ne!(secret(0), secret(33));
        let before = Secret::new([vec![0; 1], vec![7; 32]].concat()).unwrap();
        assert_ne!(secret(0), before);
        let long = [7; 65];
        let hashed = <sha2::Sha256 as sha2::Digest>::digest(long);
        assert_eq!(Secret::new(long).unwrap(), Secret::new(hashed).unwrap());
    }

    #[test]
    fn secrets_are_redacted_wherever_they_are_debugged() {
        let ring = Keyring::from(Key::new(1, Secret::new([65; 32]).unwrap()));
        let shown = format!("{ring:?} {:#?}", ring.signing().secret());
        assert!(shown.contains("Secret(..)"));
        assert!(!shown.contains("65, 65") && !shown.contains("AAA"), "{shown}");
    }

    #[test]
    fn secrets_are_equal_when_their_bytes_are() {
        assert_eq!(Secret::new([7; 32]).unwrap(), Secret::new(vec![7; 32]).unwrap());
        assert_ne!(Secret::new([7; 32]).unwrap(), Secret::new([7; 33]).unwrap());
    }

    #[test]
    fn a_keyring_has_one_signing_key_and_each_id_once() {
        let ring = Keyring::new([key(2), key(1), key(0)]).unwrap();
        assert_eq!(ring.signing().id(), 2);
        assert_eq!(ring.keys().map(Key::id).collect::<Vec<_>>(), [2, 1, 0]);
        assert_eq!(ring.key(1), Some(&key(1)));
        assert_eq!(ring.key(3), None);
        let empty = Keyring::new([]).unwrap_err();
        assert_eq!(
            empty.to_string(),
            "keys is empty; allowed: one key that signs and any number that verify"
        );
        let twice = Keyring::new([key(2), key(1), key(2)]).unwrap_err();
        assert_eq!(twice.to_string(), "keys has the id 2 twice; allowed: each id once");
    }

    // RFC 4231, test cases 1 to 4, 6 and 7 (case 5 truncates), for the HMAC implementation itself.
    #[test]
    fn hmac_sha_256_gives_the_results_of_rfc_4231() {
        let cases: [(Vec<u8>, Vec<u8>, &str); 6] = [
            (vec![0x0b; 20], b"Hi There".to_vec(), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (b"Jefe".to_vec(), b"what do ya want for nothing?".to_vec(), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
            (vec![0xaa; 20], vec![0xdd; 50], "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
            ((1..=25).collect(), vec![0xcd; 50], "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
            (vec![0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First".to_vec(), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"),
            (
                vec![0xaa; 131],
                b"This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm.".to_vec(),
                "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
            ),
        ];
        for (key, message, expected) in cases {
            let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
            mac.update(&message);
            let tag: [u8; 32] = mac.finalize().into_bytes().into();
            assert_eq!(hex(&tag), expected);
        }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
