//! The pin and its sealed form: 36 bytes, always 48 characters.

use std::fmt;

use hmac::digest::zeroize::Zeroizing;
use siphasher::sip::SipHasher24;

use crate::base64url;
use crate::bounds::{ClockSkew, CookieTtl};
use crate::cookies::CookieName;
use crate::endpoint::EndpointId;
use crate::keys::Keyring;
use crate::mac::{HEAD, MacKey};
use crate::names::Name;
use crate::time::UnixTime;

/// What a session remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pin {
    /// The endpoint that has answered and shall serve the session.
    pub endpoint: EndpointId,
    /// When the session began.
    pub issued: UnixTime,
    /// The first moment at which it is over.
    pub expires: UnixTime,
}

/// Seals pins into tokens and opens them, for one load balancer and cookie name.
///
/// ```text
/// offset  0        1       2             10      15       20
///        ┌─────────┬────────┬─────────────┬────────┬─────────┬───────────────┐
///        │ version │ key id │ endpoint id │ issued │ expires │      tag      │
///        │  1      │        │ masked      │ u40 be │ u40 be  │ HMAC-SHA-256  │
///        └─────────┴────────┴─────────────┴────────┴─────────┴───────────────┘
/// bytes       1        1          8           5         5           16        = 36
/// ```
/// The tag authenticates the first 20 bytes with the endpoint id in clear; the mask
/// is SipHash-2-4 of the tag. This is the SIV construction (Rogaway and Shrimpton
/// 2006), so without the key a token does not show which endpoint it names. It is
/// deterministic: equal tokens mean the same endpoint in the same second. The times
/// can be read by anyone. Load balancer and cookie name are part of the keys, so a
/// token of another scope is noise.
///
/// ```
/// use session_affinity::{ClockSkew, CookieName, CookieTtl, EndpointId, Key, Keyring, Name, Pin, Rejected, Secret, TokenCodec, UnixTime};
///
/// let keyring = Keyring::from(Key::new(1, Secret::new([7; 32])?));
/// let codec = TokenCodec::new(&Name::new("shop")?, &CookieName::default(), &keyring)
///     .with_ttl(CookieTtl::default())
///     .with_clock_skew(ClockSkew::default());
/// let now = UnixTime::from_secs(1_800_000_000);
/// let pin = Pin { endpoint: EndpointId::new("eu", "eu-1"), issued: now, expires: now.saturating_add(3_600) };
///
/// let token = codec.seal(&pin);
/// assert_eq!(token.as_str().len(), 48);
/// assert_eq!(codec.open(token.as_str().as_bytes(), now), Ok(pin));
/// assert_eq!(codec.open(token.as_str().as_bytes(), pin.expires), Err(Rejected::Expired));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct TokenCodec {
    signing: TokenKey,
    verifying: Box<[TokenKey]>,
    ttl: CookieTtl,
    clock_skew: ClockSkew,
}

impl TokenCodec {
    /// A codec with the default lifetime and clock skew.
    pub fn new(load_balancer: &Name, cookie: &CookieName, keyring: &Keyring) -> Self {
        let context =
            [load_balancer.as_str().as_bytes(), &[0], cookie.as_str().as_bytes()].concat();
        let mut keys = keyring.keys().map(|key| TokenKey::derive(key, &context));
        let signing = keys.next().unwrap_or_else(|| TokenKey::derive(keyring.signing(), &context));
        Self {
            signing,
            verifying: keys.collect(),
            ttl: CookieTtl::default(),
            clock_skew: ClockSkew::default(),
        }
    }

    /// With this lifetime: a token that is older is refused, whatever it says itself.
    #[must_use]
    pub fn with_ttl(mut self, ttl: CookieTtl) -> Self {
        self.ttl = ttl;
        self
    }

    /// With this much tolerance for the clocks of other nodes.
    #[must_use]
    pub fn with_clock_skew(mut self, clock_skew: ClockSkew) -> Self {
        self.clock_skew = clock_skew;
        self
    }

    /// The lifetime of a session, in seconds.
    pub fn ttl(&self) -> CookieTtl {
        self.ttl
    }

    /// Seals a pin with the signing key.
    pub fn seal(&self, pin: &Pin) -> Token {
        let plain = Plain {
            key_id: self.signing.id,
            endpoint: pin.endpoint.as_u64(),
            issued: pin.issued,
            expires: pin.expires,
        };
        let tag = self.signing.mac.tag(&plain.to_bytes());
        let masked = Plain { endpoint: plain.endpoint ^ self.signing.mask(tag), ..plain };
        Token::encode(&masked, tag)
    }

    /// Opens a cookie's value.
    ///
    /// The pin's `expires` is what the token says, or `issued` plus the configured
    /// lifetime where that is earlier.
    ///
    /// # Errors
    /// The first check that fails, in the order of [`Rejected`]'s variants.
    pub fn open(&self, value: &[u8], now: UnixTime) -> Result<Pin, Rejected> {
        let (masked, tag) = Plain::decode(value)?;
        let key = self.key(masked.key_id).ok_or(Rejected::UnknownKey)?;
        let plain = Plain { endpoint: masked.endpoint ^ key.mask(tag), ..masked };
        if !key.mac.verifies(&plain.to_bytes(), tag) {
            return Err(Rejected::Forged);
        }
        if plain.issued > now.saturating_add(self.clock_skew.get()) {
            return Err(Rejected::Premature);
        }
        let expires = plain.expires.min(plain.issued.saturating_add(self.ttl.get()));
        if expires <= now {
            return Err(Rejected::Expired);
        }
        Ok(Pin { endpoint: EndpointId::from_u64(plain.endpoint), issued: plain.issued, expires })
    }

    fn key(&self, id: u8) -> Option<&TokenKey> {
        if id == self.signing.id {
            return Some(&self.signing);
        }
        self.verifying.iter().find(|key| key.id == id)
    }
}

/// Names the key ids; secrets stay hidden.
impl fmt::Debug for TokenCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCodec")
            .field("signing", &self.signing.id)
            .field("verifying", &self.verifying.iter().map(|key| key.id).collect::<Vec<_>>())
            .field("ttl", &self.ttl)
            .field("clock_skew", &self.clock_skew)
            .finish()
    }
}

/// A sealed pin: the cookie's value, 48 characters of the base64url alphabet
/// (RFC 4648 section 5, without padding).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token([u8; Token::LEN]);

impl Token {
    /// The length of every token, in characters.
    pub const LEN: usize = 48;

    /// The token as text.
    pub fn as_str(&self) -> &str {
        // Only the encoder writes here, and its alphabet is ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn encode(masked: &Plain, tag: Tag) -> Self {
        let [a, b, c, d] = masked.groups();
        Self(base64url::encode([a, b, c, d | (tag >> 96) as u64, (tag >> 48) as u64, tag as u64]))
    }
}

/// The text itself: it is on its way to the client.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.as_str())
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a cookie that came was not used, in the order in which it is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Rejected {
    /// Not 48 characters of the alphabet.
    #[error("the token is malformed; allowed: 48 characters of base64url")]
    Malformed,
    /// A version of the token that this crate does not write.
    #[error("the token is of an unknown version; allowed: 1")]
    UnknownVersion,
    /// A key id that is not on the keyring: retired, or not here yet.
    #[error("the token's key id is not on the keyring")]
    UnknownKey,
    /// The tag is not that of this key, load balancer and cookie name.
    #[error("the token's tag is not that of this key, load balancer and cookie name")]
    Forged,
    /// Issued further in the future than the clock skew allows.
    #[error("the token was issued further in the future than the clock skew allows")]
    Premature,
    /// Its life, or the configured lifetime, is over.
    #[error("the token has expired")]
    Expired,
}

const VERSION: u8 = 1;
/// 16 bytes, as a big-endian number.
type Tag = u128;

/// The fields of the first 20 bytes; the endpoint id in clear or masked.
#[derive(Clone, Copy)]
struct Plain {
    key_id: u8,
    endpoint: u64,
    issued: UnixTime,
    expires: UnixTime,
}

impl Plain {
    fn to_bytes(self) -> [u8; HEAD] {
        let (issued, expires) = (self.issued.as_secs(), self.expires.as_secs());
        let first = u64::from(VERSION) << 56 | u64::from(self.key_id) << 48 | self.endpoint >> 16;
        let second = self.endpoint << 48 | issued << 8 | expires >> 32;
        let mut bytes = [0; HEAD];
        let (eight, rest) = bytes.split_at_mut(8);
        let (sixteen, last) = rest.split_at_mut(8);
        eight.copy_from_slice(&first.to_be_bytes());
        sixteen.copy_from_slice(&second.to_be_bytes());
        last.copy_from_slice(&(expires as u32).to_be_bytes());
        bytes
    }

    /// The first groups of 6 bytes; the last is completed by the tag.
    fn groups(&self) -> [u64; 4] {
        let (issued, expires) = (self.issued.as_secs(), self.expires.as_secs());
        [
            u64::from(VERSION) << 40 | u64::from(self.key_id) << 32 | self.endpoint >> 32,
            self.endpoint << 16 | issued >> 24,
            issued << 24 | expires >> 16,
            expires << 32,
        ]
    }

    fn decode(value: &[u8]) -> Result<(Self, Tag), Rejected> {
        let text = <&[u8; Token::LEN]>::try_from(value).map_err(|_| Rejected::Malformed)?;
        // Six groups of 6 bytes; fields end within them.
        let [a, b, c, d, e, f] = base64url::decode(text).ok_or(Rejected::Malformed)?;
        if a >> 40 != u64::from(VERSION) {
            return Err(Rejected::UnknownVersion);
        }
        let masked = Self {
            key_id: (a >> 32) as u8,
            endpoint: a << 32 | b >> 16,
            issued: UnixTime::from_secs((b & 0xffff) << 24 | c >> 24),
            expires: UnixTime::from_secs((c & 0x00ff_ffff) << 16 | d >> 32),
        };
        Ok((masked, Tag::from(d) << 96 | Tag::from(e) << 48 | Tag::from(f)))
    }
}

/// What one key of the ring becomes in this scope.
#[derive(Clone)]
struct TokenKey {
    id: u8,
    mac: MacKey,
    mask: Zeroizing<[u8; 16]>,
}

impl TokenKey {
    fn derive(key: &crate::keys::Key, context: &[u8]) -> Self {
        let mac_key = key.secret().derive(&[b"session-affinity v1 mac", &[0], context]);
        let mask_key = key.secret().derive(&[b"session-affinity v1 mask", &[0], context]);
        let mask =
            Zeroizing::new(std::array::from_fn(|i| mask_key.get(i).copied().unwrap_or_default()));
        Self { id: key.id(), mac: MacKey::new(&mac_key), mask }
    }

    fn mask(&self, tag: Tag) -> u64 {
        SipHasher24::new_with_key(&self.mask).hash(&tag.to_be_bytes())
    }
}
