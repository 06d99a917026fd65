//! Our cookie among the client's: reading it, and taking it out of what goes upstream.

use std::fmt;

use http::HeaderMap;
use http::header::{COOKIE, HeaderValue};

mod attributes;
mod cache_guard;
mod date;
mod needle;
mod set_cookie;

pub use attributes::{
    AlwaysUseHttps, CookieAttributes, CookieDomain, CookiePath, InvalidAttributes, Partitioned,
    SameSite, Secure,
};
pub use cache_guard::CacheGuard;
pub(crate) use set_cookie::Lines;
pub use set_cookie::SetCookie;

use needle::{Needle, parts};

/// The name of the affinity cookie: a token of RFC 9110 section 5.6.2, at most 255
/// bytes, compared to the letter. By default `__cflb`.
///
/// The prefixes `__Host-`, `__Secure-` and `__Http-` make browsers refuse the cookie
/// unless its attributes fit; [`SetCookie::new`] checks that.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CookieName(Needle);

impl CookieName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`InvalidCookieName`] when it is empty, longer than 255 bytes, or has a
    /// character that could end the name or inject an attribute.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidCookieName> {
        let name = name.into();
        if name.is_empty() || name.len() > 255 || !name.bytes().all(is_token_char) {
            return Err(InvalidCookieName { name });
        }
        Ok(Self(Needle::new(name)))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The values of all cookies of this name, in order, over every `Cookie` field line.
    ///
    /// Pairs are split at `;`, trimmed of spaces and tabs, and split at the first
    /// `=`; a part without `=` is none. Quotes are not stripped. Nothing is
    /// allocated or converted; any byte may occur in a value.
    ///
    /// ```
    /// use http::{HeaderMap, header::COOKIE};
    /// use session_affinity::CookieName;
    /// let mut headers = HeaderMap::new();
    /// headers.append(COOKIE, "a=1; __cflb=first".parse()?);
    /// headers.append(COOKIE, "__cflb=second".parse()?);
    /// let name = CookieName::default();
    /// let values: Vec<&[u8]> = name.values(&headers).collect();
    /// assert_eq!(values, [b"first".as_slice(), b"second"]);
    /// # Ok::<(), http::header::InvalidHeaderValue>(())
    /// ```
    pub fn values<'a>(&'a self, headers: &'a HeaderMap) -> impl Iterator<Item = &'a [u8]> + 'a {
        headers.get_all(COOKIE).iter().flat_map(|line| self.0.values(line.as_bytes()))
    }

    /// Removes every cookie of this name from a request that goes upstream, and a
    /// `Cookie` field line when nothing is left of it. Other cookies stay as they were,
    /// byte for byte.
    ///
    /// ```
    /// use http::{HeaderMap, header::COOKIE};
    /// use session_affinity::CookieName;
    /// let mut headers = HeaderMap::new();
    /// headers.append(COOKIE, "a=1; __cflb=x; b=2".parse()?);
    /// CookieName::default().strip(&mut headers);
    /// assert_eq!(headers[COOKIE], "a=1; b=2");
    /// # Ok::<(), http::header::InvalidHeaderValue>(())
    /// ```
    pub fn strip(&self, headers: &mut HeaderMap) {
        if self.values(headers).next().is_none() {
            return;
        }
        let lines: Vec<HeaderValue> =
            headers.get_all(COOKIE).iter().filter_map(|line| self.stripped(line)).collect();
        headers.remove(COOKIE);
        for line in lines {
            // At most as many lines as there were, so there is room for each.
            let _ = headers.try_append(COOKIE, line);
        }
    }

    /// The line without our cookie; `None` when nothing is left.
    fn stripped(&self, line: &HeaderValue) -> Option<HeaderValue> {
        let mut rest = Vec::with_capacity(line.len());
        self.rest_of(line.as_bytes(), &mut |piece| rest.extend_from_slice(piece));
        let mut stripped = HeaderValue::from_bytes(&rest).ok().filter(|left| !left.is_empty())?;
        stripped.set_sensitive(line.is_sensitive());
        Some(stripped)
    }

    /// Hands over, piece by piece, what a field line is without our cookie. A line
    /// that does not have it stays whole.
    pub(crate) fn rest_of(&self, line: &[u8], piece: &mut impl FnMut(&[u8])) {
        if self.0.values(line).next().is_none() {
            return piece(line);
        }
        let mut started = false;
        for part in parts(line).filter(|part| !self.0.names(part)) {
            if started {
                piece(b";");
                piece(part);
            } else {
                piece(trim(part));
                started = !trim(part).is_empty();
            }
        }
    }
}

/// Cloudflare's name, `__cflb`.
impl Default for CookieName {
    fn default() -> Self {
        Self(Needle::new("__cflb".into()))
    }
}

impl fmt::Display for CookieName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that no cookie can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no cookie name; allowed: 1 to 255 letters, digits and any of !#$%&'*+-.^_`|~")]
pub struct InvalidCookieName {
    /// What was given.
    pub name: String,
}

/// Without the spaces and tabs around it.
fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// RFC 9110 section 5.6.2: tchar.
fn is_token_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
