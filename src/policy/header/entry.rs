//! One configured header: reading its name, and hashing what a request has of it.

use std::hash::Hasher;

use http::HeaderName;
use http::header::COOKIE;
use siphasher::sip128::SipHasher24;

use crate::cookies::CookieName;
use crate::request::RequestMeta;

/// The number of configured headers that a request must have. Cloudflare:
/// `require_all_headers`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "these are Cloudflare's two values")]
pub enum Require {
    /// At least one entry, and of the cookies of an entry at least one.
    #[default]
    Any,
    /// Every entry, and every cookie of an entry.
    All,
}

/// One configured header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HeaderEntry {
    /// All lines of a field.
    Field(HeaderName),
    /// All cookies but the affinity cookie.
    Cookies,
    /// The cookies of these names.
    NamedCookies(Vec<CookieName>),
}

impl HeaderEntry {
    /// Reads `x-user`, `cookie` or `cookie:a,b`; `None` for anything else, or for more than 100
    /// characters.
    pub(super) fn read(entry: &str) -> Option<Self> {
        if entry.is_empty() || entry.chars().count() > 100 {
            return None;
        }
        if entry.eq_ignore_ascii_case("cookie") {
            return Some(Self::Cookies);
        }
        if let Some((field, names)) = entry.split_once(':')
            && field.eq_ignore_ascii_case("cookie")
        {
            let mut cookies: Vec<CookieName> = Vec::new();
            for name in names.split(',') {
                let cookie = CookieName::new(name).ok()?;
                if cookies.contains(&cookie) {
                    return None;
                }
                cookies.push(cookie);
            }
            return Some(Self::NamedCookies(cookies));
        }
        HeaderName::from_bytes(entry.as_bytes()).ok().map(Self::Field)
    }

    /// Returns whether a request has something non-empty for this entry.
    pub(super) fn is_present(
        &self,
        request: &RequestMeta<'_>,
        own_cookie: &CookieName,
        require: Require,
    ) -> bool {
        match self {
            Self::Field(name) => request.headers.get_all(name).iter().any(|line| !line.is_empty()),
            Self::Cookies => {
                let mut length = 0_usize;
                cookies_but(own_cookie, request, &mut |piece| {
                    length = length.saturating_add(piece.len())
                });
                length > 0
            }
            Self::NamedCookies(names) => {
                let mut there = names.iter().map(|name| is_there(name, request));
                match require {
                    Require::Any => there.any(|is| is),
                    Require::All => there.all(|is| is),
                }
            }
        }
    }

    /// Hashes the entry. Lengths come before bytes, so that no two inputs collide.
    pub(super) fn write(
        &self,
        hasher: &mut SipHasher24,
        request: &RequestMeta<'_>,
        own_cookie: &CookieName,
    ) {
        match self {
            Self::Field(name) => {
                number(hasher, request.headers.get_all(name).iter().count());
                for line in request.headers.get_all(name) {
                    bytes(hasher, line.as_bytes());
                }
            }
            Self::Cookies => {
                let mut length = 0_usize;
                cookies_but(own_cookie, request, &mut |piece| {
                    length = length.saturating_add(piece.len())
                });
                number(hasher, length);
                cookies_but(own_cookie, request, &mut |piece| hasher.write(piece));
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

/// Hashes a number: u64, little-endian.
pub(super) fn number(hasher: &mut SipHasher24, number: usize) {
    hasher.write(&(number as u64).to_le_bytes());
}

/// Hashes bytes after their length.
pub(super) fn bytes(hasher: &mut SipHasher24, bytes: &[u8]) {
    number(hasher, bytes.len());
    hasher.write(bytes);
}

fn values<'a>(
    name: &'a CookieName,
    request: &'a RequestMeta<'_>,
) -> impl Iterator<Item = &'a [u8]> {
    name.values(request.headers)
}

/// Returns whether one of the cookie's values is non-empty.
fn is_there(name: &CookieName, request: &RequestMeta<'_>) -> bool {
    values(name, request).any(|value| !value.is_empty())
}

/// Hands over the lines of the Cookie field joined by `"; "`, without the affinity cookie, piece by
/// piece.
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
