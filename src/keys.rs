//! Secrets, the keys made of them, and the keyring: one key signs, all of them verify.

use std::fmt;

use hmac::digest::zeroize::Zeroizing;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// At least 32 secret bytes.
///
/// What is kept is the state that HMAC-SHA-256 makes of them, not the bytes. It stands in
/// one place, wherever the secret is moved; it is wiped when dropped and never shown: `Debug`
/// prints `Secret(..)`. Two secrets are compared in constant time.
///
/// ```
/// use session_affinity::Secret;
/// let secret = Secret::new(b"32 bytes from your secret store.")?;
/// assert_eq!(format!("{secret:?}"), "Secret(..)");
/// # Ok::<(), session_affinity::SecretTooShort>(())
/// ```
#[derive(Clone)]
pub struct Secret(Box<Hmac<Sha256>>);

impl Secret {
    /// The least length of a secret, in bytes: the output length of SHA-256, as
    /// RFC 2104 section 3 advises.
    pub const MIN_BYTES: usize = 32;

    /// Takes a secret in. The bytes stay the caller's, to wipe or to keep.
    ///
    /// # Errors
    /// [`SecretTooShort`] below 32 bytes. Their quality cannot be checked here: draw
    /// them from a cryptographic random generator.
    pub fn new(bytes: impl AsRef<[u8]>) -> Result<Self, SecretTooShort> {
        let bytes = bytes.as_ref();
        if bytes.len() < Self::MIN_BYTES {
            return Err(SecretTooShort { bytes: bytes.len() });
        }
        // HMAC takes keys of any length; its error type is for other MACs.
        Hmac::new_from_slice(bytes)
            .map(|state| Self(Box::new(state)))
            .map_err(|_| SecretTooShort { bytes: bytes.len() })
    }

    /// HMAC-SHA-256(secret, parts joined), 32 bytes that are wiped when dropped.
    pub(crate) fn derive(&self, parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        let mut mac = Hmac::clone(&self.0);
        for part in parts {
            mac.update(part);
        }
        Zeroizing::new(mac.finalize().into_bytes().into())
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        // Comparing the MACs of one message compares the secrets, without time
        // telling how much of them agrees.
        Hmac::clone(&self.0).finalize() == Hmac::clone(&other.0).finalize()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A secret below 32 bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("secret has {bytes} bytes; allowed: 32 or more")]
pub struct SecretTooShort {
    /// How many bytes were given.
    pub bytes: usize,
}

/// A secret under the id that each token sealed with it carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    id: u8,
    secret: Secret,
}

impl Key {
    /// A key. Give every new secret a new id: the id picks the key when a token is
    /// opened, nothing is tried in turn.
    pub fn new(id: u8, secret: Secret) -> Self {
        Self { id, secret }
    }

    /// The id.
    pub fn id(&self) -> u8 {
        self.id
    }

    /// The secret.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }
}

/// The key that signs and the keys that still verify.
///
/// To rotate on several nodes: first add the new key behind the old one everywhere,
/// then move it to the front everywhere, and drop the old one when the longest
/// session has ended.
///
/// ```
/// use session_affinity::{Key, Keyring, Secret};
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
    /// A keyring of up to 256 keys. The first one signs, all of them verify.
    ///
    /// # Errors
    /// [`InvalidKeyring`] when there is no key or two have the same id.
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

    /// The key that signs.
    pub fn signing(&self) -> &Key {
        &self.signing
    }

    /// The key under this id.
    pub fn key(&self, id: u8) -> Option<&Key> {
        self.keys().find(|key| key.id == id)
    }

    /// All keys, the signing one first.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.signing).chain(&self.verifying)
    }
}

/// A keyring of one key.
impl From<Key> for Keyring {
    fn from(signing: Key) -> Self {
        Self { signing, verifying: Vec::new() }
    }
}

/// Keys that make no keyring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidKeyring {
    /// There was no key at all.
    #[error("keys is empty; allowed: one key that signs and any number that verify")]
    Empty,
    /// Two keys had this id.
    #[error("keys has the id {0} twice; allowed: each id once")]
    DuplicateId(u8),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: u8) -> Key {
        Key::new(id, Secret::new([id; 32]).unwrap())
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
    fn secrets_are_redacted_wherever_they_are_debugged() {
        let ring = Keyring::new([key(65)]).unwrap();
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

    // RFC 4231, test cases 1 to 4, 6 and 7 (5 truncates): the building block itself.
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
