//! The sealed form of a pin: 36 bytes, always 48 characters.

use std::fmt;

use hmac::digest::zeroize::Zeroizing;
use siphasher::sip::SipHasher24;

use crate::carrier::Carrier;
use crate::endpoint::EndpointId;
use crate::keys::{Boxed, Key, Keyring};
use crate::limits::{ClockSkew, Ttl};
use crate::names::LoadBalancer;
use crate::time::UnixTime;

mod base64url;
mod layout;
mod mac;
mod rejected;

pub use crate::pin::Pin;
pub use rejected::Rejected;

use layout::{Plain, Tag};
use mac::MacKey;

/// Seals pins into tokens and opens them, for one load balancer and one carrier: the name of a
/// cookie or of an issued header.
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
/// 2006): without the key a token does not show which endpoint it names. The construction is
/// deterministic: equal tokens mean the same endpoint in the same second. The times
/// are readable by any client. The load balancer and the carrier are part of the keys, so a token
/// of another scope counts as forged. A header stands there as `header:` and its name in small
/// letters.
///
/// ```
/// use session_affinity::cookies::CookieName;
/// use session_affinity::token::{Pin, Rejected, TokenCodec};
/// use session_affinity::{EndpointId, Key, Keyring, LoadBalancer, Secret, UnixTime};
///
/// let keyring = Keyring::from(Key::new(1, Secret::new([7; 32])?));
/// let codec = TokenCodec::new(&LoadBalancer::new("shop")?, &CookieName::default(), &keyring);
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
    signing: Boxed<TokenKey>,
    verifying: Boxed<[TokenKey]>,
    ttl: Ttl,
    clock_skew: ClockSkew,
}

impl TokenCodec {
    /// The lifetime of a token unless another one is set: 82 800 seconds.
    pub const DEFAULT_TTL: Ttl = Ttl::clamped(82_800);

    /// Creates a codec with the default lifetime and clock skew. The carrier is a
    /// [`CookieName`](crate::cookies::CookieName) or an
    /// [`IssuedHeader`](crate::carrier::IssuedHeader).
    pub fn new(
        load_balancer: &LoadBalancer,
        carrier: impl Into<Carrier>,
        keyring: &Keyring,
    ) -> Self {
        let scope = carrier.into().scope();
        let context = [load_balancer.as_str().as_bytes(), &[0], scope.as_bytes()].concat();
        let signing = || {
            let mut signing = Box::<TokenKey>::default();
            signing.set(keyring.signing(), &context);
            signing
        };
        let others = || keyring.keys().skip(1);
        let verifying = || {
            let mut verifying: Box<[_]> = others().map(|_| TokenKey::default()).collect();
            verifying.iter_mut().zip(others()).for_each(|(to, key)| to.set(key, &context));
            verifying
        };
        Self {
            signing: Boxed::new(signing),
            verifying: Boxed::new(verifying),
            ttl: Self::DEFAULT_TTL,
            clock_skew: ClockSkew::default(),
        }
    }

    /// Sets the lifetime. An older token is refused, whatever its own expiry says.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Ttl) -> Self {
        self.ttl = ttl;
        self
    }

    /// Sets the tolerance for the clocks of other nodes.
    #[must_use]
    pub fn with_clock_skew(mut self, clock_skew: ClockSkew) -> Self {
        self.clock_skew = clock_skew;
        self
    }

    /// The lifetime of a session.
    pub fn ttl(&self) -> Ttl {
        self.ttl
    }

    /// Seals a pin with the signing key.
    pub fn seal(&self, pin: &Pin) -> Token {
        self.seal_beside(pin, || ()).0
    }

    /// Seals a pin, and does other work where the processor waits for the hashes: each step of them
    /// needs the one before, so that the work costs next to nothing there.
    #[inline]
    pub(crate) fn seal_beside<R>(&self, pin: &Pin, other: impl FnOnce() -> R) -> (Token, R) {
        let plain = Plain {
            key_id: self.signing.id,
            endpoint: pin.endpoint.as_u64(),
            issued: pin.issued,
            expires: pin.expires,
        };
        let tag = self.signing.mac.tag(&plain.to_bytes());
        let result = other();
        let masked = Plain { endpoint: plain.endpoint ^ self.signing.mask(tag), ..plain };
        (Token(masked.encode(tag)), result)
    }

    /// Opens the value of a cookie or of an issued header.
    ///
    /// The `expires` of the pin is that of the token, or `issued` plus the configured
    /// lifetime where that is earlier.
    ///
    /// # Errors
    /// The first check that fails, in the order of [`Rejected`]'s variants.
    pub fn open(&self, value: &[u8], now: UnixTime) -> Result<Pin, Rejected> {
        self.open_text(value.try_into().map_err(|_| Rejected::Malformed)?, now)
    }

    /// Opens a value of the length of a token.
    #[inline(always)]
    pub(crate) fn open_text(
        &self,
        text: &[u8; Token::LEN],
        now: UnixTime,
    ) -> Result<Pin, Rejected> {
        let (masked, tag) = Plain::decode(text)?;
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

/// Shows the key ids; the secrets stay hidden.
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

/// A sealed pin: the value of the cookie or of the issued header, 48 characters of the base64url alphabet
/// (RFC 4648 section 5, without padding).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token([u8; Token::LEN]);

impl Token {
    /// The length of every token, in characters.
    pub const LEN: usize = layout::LEN;

    /// The token as text.
    pub fn as_str(&self) -> &str {
        // Only the encoder writes here, and its alphabet is ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The token as bytes of ASCII.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<str> for Token {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

/// Shows the token itself, because it goes to the client.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.as_str())
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The two keys that one key of the ring gives in this scope.
#[derive(Clone, Default)]
struct TokenKey {
    id: u8,
    mac: MacKey,
    mask: Zeroizing<[u8; 16]>,
}

impl TokenKey {
    /// Replaces both keys, in place, by those derived from a key of the ring.
    fn set(&mut self, key: &Key, context: &[u8]) {
        let mut mac_key = Zeroizing::default();
        key.secret().derive_into(&mut mac_key, &[b"session-affinity v1 mac", &[0], context]);
        self.mac.set(&mac_key);
        key.secret().derive_into(&mut self.mask, &[b"session-affinity v1 mask", &[0], context]);
        self.id = key.id();
    }

    fn mask(&self, tag: Tag) -> u64 {
        SipHasher24::new_with_key(&self.mask).hash(&tag.to_be_bytes())
    }
}
