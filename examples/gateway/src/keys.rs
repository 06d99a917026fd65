//! The keys that sign and verify tokens: reading them, and changing them while the gateway
//! runs.

use serde::de::{Deserialize, Deserializer, Error};
use session_affinity::{Key, Keyring, Secret};

use crate::json::Whole;

/// A key as it is written in the file.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyEntry {
    #[serde(deserialize_with = "id")]
    id: u8,
    secret: Secret,
}

impl From<KeyEntry> for Key {
    fn from(entry: KeyEntry) -> Self {
        Self::new(entry.id, entry.secret)
    }
}

/// A key as the admin listener receives it.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKey {
    #[serde(deserialize_with = "id")]
    id: u8,
    secret: Secret,
    #[serde(default = "yes")]
    sign: bool,
}

fn yes() -> bool {
    true
}

fn id<'de, D: Deserializer<'de>>(input: D) -> Result<u8, D::Error> {
    let Whole(id) = Whole::deserialize(input)?;
    u8::try_from(id).map_err(|_| D::Error::custom("expected a whole number from 0 to 255"))
}

/// Draws a key from the random generator of the system.
pub(crate) fn random() -> Result<Key, String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| format!("keys: no random key can be drawn: {error}"))?;
    Secret::new(bytes).map(|secret| Key::new(1, secret)).map_err(|error| format!("keys: {error}"))
}

/// The reason for which a change of keys is refused.
pub(crate) enum Refused {
    Unknown,
    Conflict(&'static str),
}

/// Returns the keyring with one more key, or with another key that signs.
pub(crate) fn add(ring: &Keyring, new: NewKey) -> Result<Keyring, Refused> {
    let key = Key::new(new.id, new.secret);
    let others = || ring.keys().filter(|known| known.id() != new.id).cloned();
    match ring.key(new.id) {
        Some(known) if known.secret() != key.secret() => {
            Err(Refused::Conflict("this id has another secret"))
        }
        Some(_) if ring.signing().id() == new.id && !new.sign => {
            Err(Refused::Conflict("this key signs; let another one sign instead"))
        }
        _ if new.sign => rebuilt(std::iter::once(key.clone()).chain(others())),
        Some(_) => Ok(ring.clone()),
        None => rebuilt(others().chain(std::iter::once(key.clone()))),
    }
}

/// Returns the keyring without the key of this id.
pub(crate) fn remove(ring: &Keyring, id: u8) -> Result<Keyring, Refused> {
    match ring.key(id) {
        None => Err(Refused::Unknown),
        Some(_) if ring.signing().id() == id => {
            Err(Refused::Conflict("this key signs; let another one sign first"))
        }
        Some(_) => rebuilt(ring.keys().filter(|key| key.id() != id).cloned()),
    }
}

fn rebuilt(keys: impl Iterator<Item = Key>) -> Result<Keyring, Refused> {
    // Not reached: no change above empties the ring or adds an id that it has.
    Keyring::new(keys).map_err(|_| Refused::Conflict("these keys make no keyring"))
}
