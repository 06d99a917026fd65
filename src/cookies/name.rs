//! The name of the affinity cookie, and the cookies of that name in a request.

use std::iter;

use http::HeaderMap;
use http::header::{COOKIE, HeaderValue};
use siphasher::sip::SipHasher24;

use super::field_change::FieldChange;
use super::needle::{Found, Needle, is_token_char, parts, trim};
use crate::names::checked_text;

/// The name of a cookie: a token of RFC 9110 section 5.6.2 of at most 256 bytes, by default
/// `__cflb`. Names are compared byte by byte.
///
/// Browsers refuse a cookie whose name begins with `__Host-`, `__Secure-` or `__Http-` unless its
/// attributes meet the rules of the prefix, which [`SetCookie::new`](super::SetCookie::new) checks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CookieName(pub(super) Needle);

impl CookieName {
    /// The greatest length of a name, in bytes.
    const MOST: usize = 256;

    /// Checks a name.
    ///
    /// # Errors
    /// [`InvalidCookieName`] when the name is empty, longer than 256 bytes, or contains a
    /// character that could end the name or inject an attribute.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidCookieName> {
        let name = name.into();
        if name.is_empty() || name.len() > Self::MOST || !name.bytes().all(is_token_char) {
            return Err(InvalidCookieName { name });
        }
        Ok(Self(Needle::new(name)))
    }

    /// Makes a name for one scope, for gateways that need another cookie for each route or service
    /// of a host. Equal arguments give equal names, on every node.
    ///
    /// The name is `base`, `-`, and 16 hexadecimal digits in small letters: SipHash-2-4 of the scope
    /// in UTF-8, under the key `session-affinity` (16 bytes of ASCII). These bytes are part of the
    /// API. A scope is any text; it can be seen from the name only by those who guess it, so it is
    /// no secret.
    ///
    /// ```
    /// use session_affinity::cookies::CookieName;
    /// let name = CookieName::scoped("__cflb", "route-a")?;
    /// assert_eq!(name.as_str(), "__cflb-0508e4dd173aa2dd");
    /// assert_ne!(name, CookieName::scoped("__cflb", "route-b")?);
    /// # Ok::<(), session_affinity::cookies::InvalidCookieName>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidCookieName`] when the base is not valid, or is longer than 239 bytes. The error has
    /// the whole name.
    pub fn scoped(base: &str, scope: &str) -> Result<Self, InvalidCookieName> {
        let hash = SipHasher24::new_with_key(b"session-affinity").hash(scope.as_bytes());
        if base.is_empty() {
            return Err(InvalidCookieName { name: base.into() });
        }
        Self::new(format!("{base}-{hash:016x}"))
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Returns the values of all cookies of this name, in order, from every `Cookie` field line.
    ///
    /// Pairs are split at `;`, trimmed of spaces and tabs, and split at the first `=`. A part
    /// without `=` is ignored. Quotes are part of the value. Nothing is allocated or converted, and
    /// a value may contain any byte.
    ///
    /// ```
    /// use http::{HeaderMap, header::COOKIE};
    /// use session_affinity::cookies::CookieName;
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

    /// Returns the first of [`CookieName::values`], before its end is looked for.
    pub(crate) fn first<'a>(&self, headers: &'a HeaderMap) -> Option<Found<'a>> {
        headers.get_all(COOKIE).iter().find_map(|line| self.0.found(line.as_bytes(), &mut 0))
    }

    /// Removes every cookie of this name from the headers of a request, and a `Cookie` field line
    /// that becomes empty. All other cookies keep their bytes.
    ///
    /// ```
    /// use http::{HeaderMap, header::COOKIE};
    /// use session_affinity::cookies::CookieName;
    /// let mut headers = HeaderMap::new();
    /// headers.append(COOKIE, "a=1; __cflb=x; b=2".parse()?);
    /// CookieName::default().strip(&mut headers);
    /// assert_eq!(headers[COOKIE], "a=1; b=2");
    /// # Ok::<(), http::header::InvalidHeaderValue>(())
    /// ```
    pub fn strip(&self, headers: &mut HeaderMap) {
        let Some(lines) = self.remaining(headers) else { return };
        headers.remove(COOKIE);
        for line in lines {
            // The map has room: at most as many lines return as were removed.
            let _ = headers.try_append(COOKIE, line);
        }
    }

    /// Returns the changes of [`CookieName::strip`], for a request without a `&mut HeaderMap`. A
    /// request without a cookie of this name has none.
    ///
    /// ```
    /// use http::{HeaderMap, header::COOKIE};
    /// use session_affinity::cookies::{CookieName, FieldChange};
    /// let mut headers = HeaderMap::new();
    /// headers.append(COOKIE, "a=1; __cflb=x".parse()?);
    /// let changes: Vec<_> = CookieName::default().strip_changes(&headers).collect();
    /// assert_eq!(changes, [FieldChange::Remove(COOKIE), FieldChange::Append(COOKIE, "a=1".parse()?)]);
    /// # Ok::<(), http::header::InvalidHeaderValue>(())
    /// ```
    pub fn strip_changes(&self, headers: &HeaderMap) -> impl Iterator<Item = FieldChange> + use<> {
        self.remaining(headers).into_iter().flat_map(|lines| {
            let appended = lines.into_iter().map(|line| FieldChange::Append(COOKIE, line));
            iter::once(FieldChange::Remove(COOKIE)).chain(appended)
        })
    }

    /// Returns the `Cookie` field lines that are left without the cookies of this name, or `None`
    /// when there is no such cookie.
    fn remaining(&self, headers: &HeaderMap) -> Option<Vec<HeaderValue>> {
        self.values(headers).next()?;
        let lines = headers.get_all(COOKIE).iter();
        Some(lines.filter_map(|line| self.stripped(line)).collect())
    }

    /// Returns the line without the cookies of this name, or `None` when nothing is left.
    fn stripped(&self, line: &HeaderValue) -> Option<HeaderValue> {
        let mut rest = Vec::with_capacity(line.len());
        self.rest_of(line.as_bytes(), &mut |piece| rest.extend_from_slice(piece));
        let mut stripped = HeaderValue::from_bytes(&rest).ok().filter(|left| !left.is_empty())?;
        stripped.set_sensitive(line.is_sensitive());
        Some(stripped)
    }

    /// Passes a field line without the cookies of this name to `piece`, in pieces. A line that has
    /// none of them is passed whole.
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

/// Returns Cloudflare's name, `__cflb`.
impl Default for CookieName {
    fn default() -> Self {
        Self(Needle::new("__cflb".into()))
    }
}

checked_text!(CookieName, InvalidCookieName);

/// The error for a name that is not valid for a cookie.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the cookie name is {name:?}; allowed: 1 to 256 letters, digits and any of !#$%&'*+-.^_`|~"
)]
#[non_exhaustive]
pub struct InvalidCookieName {
    /// The name that was refused.
    pub name: String,
}
