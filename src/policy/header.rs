//! The pin lives in a store, under a key made of the request's headers.

use std::fmt;
use std::hash::Hasher;

use hmac::digest::zeroize::Zeroizing;
use http::HeaderName;
use http::header::COOKIE;
use siphasher::sip128::{Hasher128, SipHasher24};

use super::{AffinityPolicy, Claim, Life, Recall, Served, Settlement, Transition};
use crate::bounds::IdleTtl;
use crate::cookies::CookieName;
use crate::failover::FailoverMode;
use crate::keys::Secret;
use crate::names::Name;
use crate::request::RequestMeta;
use crate::store::{Record, SessionKey, StoreWrite};
use crate::time::UnixTime;

/// The pin lives in a store, under a key made of the headers that are configured. A
/// session's life is idle: use restarts it. Cloudflare: `header`.
///
/// Adding, removing or changing one of the headers makes a new session. The key is a
/// keyed hash of 16 bytes, so the store never sees a header's value, and clients cannot
/// find two header sets of one key.
///
/// [`FailoverMode::Sticky`] is refused, as Cloudflare does.
#[derive(Clone)]
pub struct HeaderPolicy {
    key: Zeroizing<[u8; 16]>,
    entries: Vec<HeaderEntry>,
    require: Require,
    own_cookie: CookieName,
    ttl: IdleTtl,
}

impl HeaderPolicy {
    /// A policy with the default idle time. `own_cookie` is left out of what `cookie`
    /// entries see.
    ///
    /// # Errors
    /// [`InvalidHeaders`] unless there are 1 to 5 entries of 1 to 100 characters, each a
    /// field name, `cookie` or `cookie:a,b`, unique without regard to case.
    pub fn new<S: AsRef<str>>(
        load_balancer: &Name,
        session_secret: &Secret,
        headers: &[S],
        require: Require,
        own_cookie: CookieName,
    ) -> Result<Self, InvalidHeaders> {
        if !(1..=5).contains(&headers.len()) {
            return Err(InvalidHeaders::Count(headers.len()));
        }
        let mut entries = Vec::with_capacity(headers.len());
        let mut seen: Vec<String> = Vec::with_capacity(headers.len());
        for header in headers {
            let header = header.as_ref();
            let lowercase = header.to_ascii_lowercase();
            entries.push(HeaderEntry::new(header)?);
            if seen.contains(&lowercase) {
                return Err(InvalidHeaders::Duplicate(header.into()));
            }
            seen.push(lowercase);
        }
        let key = session_secret.derive(&[
            b"session-affinity v1 header",
            &[0],
            load_balancer.as_str().as_bytes(),
        ]);
        let key = Zeroizing::new(std::array::from_fn(|i| key.get(i).copied().unwrap_or_default()));
        Ok(Self { key, entries, require, own_cookie, ttl: IdleTtl::default() })
    }

    /// With another idle time.
    #[must_use]
    pub fn with_ttl(mut self, ttl: IdleTtl) -> Self {
        self.ttl = ttl;
        self
    }

    /// The session key of a request; `None` when it lacks the configured headers.
    pub fn session_key(&self, request: &RequestMeta<'_>) -> Option<SessionKey> {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        let mut present = 0_usize;
        for (index, entry) in self.entries.iter().enumerate() {
            if entry.is_present(request, self) {
                present = present.saturating_add(1);
                number(&mut hasher, index);
                entry.write(&mut hasher, request, self);
            }
        }
        let enough = match self.require {
            Require::Any => present > 0,
            Require::All => present == self.entries.len(),
        };
        enough.then(|| SessionKey(hasher.finish128().as_bytes()))
    }
}

/// The key stays hidden.
impl fmt::Debug for HeaderPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeaderPolicy")
            .field("entries", &self.entries)
            .field("require", &self.require)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

impl AffinityPolicy for HeaderPolicy {
    fn recall(&self, request: &RequestMeta<'_>, _: UnixTime) -> Recall {
        match self.session_key(request) {
            None => Recall { claim: Claim::Unbound, seed: None },
            Some(key) => {
                let [a, b, c, d, e, f, g, h, ..] = key.0;
                let seed = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
                Recall { claim: Claim::Stored { key, ttl: self.ttl.get() }, seed: Some(seed) }
            }
        }
    }

    fn remember(&self, served: &Served) -> Settlement {
        let Claim::Stored { key, ttl } = served.claim else { return Settlement::nothing() };
        let now = served.now;
        Settlement::store(match served.transition {
            Transition::Kept(_) | Transition::Lent { .. } => StoreWrite::Touch { key, ttl, now },
            Transition::Created { endpoint } => match served.record {
                // What came first stays, also where the store was out of reach when asked.
                Record::Absent | Record::Unreachable => {
                    StoreWrite::Create { key, endpoint, ttl, now }
                }
                Record::Found(_) | Record::Unreadable => {
                    StoreWrite::Replace { key, endpoint, ttl, now }
                }
            },
            Transition::Moved { endpoint, .. } => StoreWrite::Replace { key, endpoint, ttl, now },
        })
    }

    fn supports(&self, mode: FailoverMode) -> bool {
        mode != FailoverMode::Sticky
    }

    /// The one that its `cookie` entries leave out: clients may have it from before.
    fn cookie_name(&self) -> Option<&CookieName> {
        Some(&self.own_cookie)
    }

    fn life(&self) -> Option<Life> {
        Some(Life::Idle(self.ttl.get()))
    }
}

/// How many of the configured headers a request must have. Cloudflare:
/// `require_all_headers`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Require {
    /// At least one, and of the cookies of an entry at least one.
    #[default]
    Any,
    /// Every one, and every cookie of an entry.
    All,
}

/// One configured header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderEntry {
    /// All lines of a field.
    Field(HeaderName),
    /// All cookies but our own.
    Cookies,
    /// The cookies of these names.
    NamedCookies(Vec<CookieName>),
}

impl HeaderEntry {
    /// Reads `x-user`, `cookie` or `cookie:a,b`.
    ///
    /// # Errors
    /// [`InvalidHeaders::Entry`] for anything else, or above 100 characters.
    pub fn new(entry: &str) -> Result<Self, InvalidHeaders> {
        let invalid = || InvalidHeaders::Entry(entry.into());
        if entry.is_empty() || entry.chars().count() > 100 {
            return Err(invalid());
        }
        if entry.eq_ignore_ascii_case("cookie") {
            return Ok(Self::Cookies);
        }
        if let Some((field, names)) = entry.split_once(':')
            && field.eq_ignore_ascii_case("cookie")
        {
            let mut cookies: Vec<CookieName> = Vec::new();
            for name in names.split(',') {
                let cookie = CookieName::new(name).map_err(|_| invalid())?;
                if cookies.contains(&cookie) {
                    return Err(invalid());
                }
                cookies.push(cookie);
            }
            return Ok(Self::NamedCookies(cookies));
        }
        HeaderName::from_bytes(entry.as_bytes()).map(Self::Field).map_err(|_| invalid())
    }

    /// Whether something non-empty is left of it.
    fn is_present(&self, request: &RequestMeta<'_>, policy: &HeaderPolicy) -> bool {
        match self {
            Self::Field(name) => request.headers.get_all(name).iter().any(|line| !line.is_empty()),
            Self::Cookies => {
                let mut length = 0_usize;
                cookies_but(&policy.own_cookie, request, &mut |piece| {
                    length = length.saturating_add(piece.len())
                });
                length > 0
            }
            Self::NamedCookies(names) => {
                let mut there = names.iter().map(|name| is_there(name, request));
                match policy.require {
                    Require::Any => there.any(|is| is),
                    Require::All => there.all(|is| is),
                }
            }
        }
    }

    /// Writes lengths before bytes, so that no two inputs collide.
    fn write(&self, hasher: &mut SipHasher24, request: &RequestMeta<'_>, policy: &HeaderPolicy) {
        match self {
            Self::Field(name) => {
                number(hasher, request.headers.get_all(name).iter().count());
                for line in request.headers.get_all(name) {
                    bytes(hasher, line.as_bytes());
                }
            }
            Self::Cookies => {
                let mut length = 0_usize;
                cookies_but(&policy.own_cookie, request, &mut |piece| {
                    length = length.saturating_add(piece.len())
                });
                number(hasher, length);
                cookies_but(&policy.own_cookie, request, &mut |piece| hasher.write(piece));
            }
            Self::NamedCookies(names) => {
                let there = || names.iter().enumerate().filter(|(_, name)| is_there(name, request));
                number(hasher, there().count());
                for (position, name) in there() {
                    number(hasher, position);
                    number(hasher, values(name, request).count());
                    for value in values(name, request) {
                        bytes(hasher, value);
                    }
                }
            }
        }
    }
}

fn number(hasher: &mut SipHasher24, number: usize) {
    hasher.write(&(number as u64).to_le_bytes());
}

fn bytes(hasher: &mut SipHasher24, bytes: &[u8]) {
    number(hasher, bytes.len());
    hasher.write(bytes);
}

fn values<'a>(
    name: &'a CookieName,
    request: &'a RequestMeta<'_>,
) -> impl Iterator<Item = &'a [u8]> {
    name.values(request.headers)
}

/// A cookie is there when one of its values is not empty.
fn is_there(name: &CookieName, request: &RequestMeta<'_>) -> bool {
    values(name, request).any(|value| !value.is_empty())
}

/// The lines of the Cookie field joined by `"; "`, without our own cookie, piece by piece.
fn cookies_but(own: &CookieName, request: &RequestMeta<'_>, piece: &mut impl FnMut(&[u8])) {
    let mut started = false;
    for line in request.headers.get_all(COOKIE) {
        let mut is_first = true;
        own.rest_of(line.as_bytes(), &mut |part| {
            if part.is_empty() {
                return;
            }
            if is_first && started {
                piece(b"; ");
            }
            is_first = false;
            started = true;
            piece(part);
        });
    }
}

/// Headers that make no header policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidHeaders {
    /// None, or more than five.
    #[error("session_affinity_attributes.headers has {0} entries; allowed: 1 to 5")]
    Count(usize),
    /// Not a field name, `cookie` or `cookie:a,b`.
    #[error(
        "session_affinity_attributes.headers has {0:?}; allowed: a field name, cookie or cookie:a,b, of 1 to 100 characters"
    )]
    Entry(String),
    /// Twice, but for case.
    #[error(
        "session_affinity_attributes.headers has {0:?} twice; allowed: each entry once, without regard to case"
    )]
    Duplicate(String),
}
