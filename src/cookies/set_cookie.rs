//! The `Set-Cookie` lines of the affinity cookie.

use std::ops::Range;

use http::HeaderValue;

use super::attributes::{CookieAttributes, InvalidAttributes, Lifetime, SameSite, Secure};
use super::date::{IMF_FIXDATE, imf_fixdate};
use super::name::CookieName;
use crate::limits::Ttl;
use crate::request::Scheme;
use crate::time::UnixTime;

/// A cookie's name and attributes, checked to fit each other: all of its `Set-Cookie` line except
/// value and dates. The default is `__cflb` with the default attributes.
///
/// ```
/// use session_affinity::cookies::{CookieAttributes, CookieName, InvalidAttributes, SetCookie};
/// let set_cookie = SetCookie::new(CookieName::default(), CookieAttributes::default())?;
/// assert_eq!(set_cookie.name().as_str(), "__cflb");
/// # Ok::<(), InvalidAttributes>(())
/// ```
#[derive(Clone, Debug)]
pub struct SetCookie {
    name: CookieName,
    lifetime: Lifetime,
    /// `; Path=/`
    path: Box<str>,
    /// `; HttpOnly; …` for each scheme.
    http: Box<str>,
    https: Box<str>,
}

impl SetCookie {
    /// Checks that the attributes fit each other and the name.
    ///
    /// # Errors
    /// [`InvalidAttributes`] for SameSite=None or Partitioned with Secure=Never, and for a name
    /// with the prefix `__Host-`, `__Secure-` or `__Http-` when the attributes break the rules of
    /// the prefix (RFC 6265bis section 4.1.3; browsers ignore the case of a prefix).
    pub fn new(name: CookieName, attributes: CookieAttributes) -> Result<Self, InvalidAttributes> {
        if attributes.secure == Secure::Never {
            if attributes.samesite == SameSite::None {
                return Err(InvalidAttributes::NoneWithoutSecure);
            }
            if attributes.partitioned {
                return Err(InvalidAttributes::PartitionedWithoutSecure);
            }
        }
        let lowercase = name.as_str().to_ascii_lowercase();
        let host = lowercase.starts_with("__host-");
        let always_secure = attributes.is_secure(Scheme::Http);
        if (host || lowercase.starts_with("__secure-") || lowercase.starts_with("__http-"))
            && !always_secure
        {
            return Err(InvalidAttributes::PrefixWithoutSecure(name.as_str().into()));
        }
        if host && (attributes.path.as_str() != "/" || attributes.domain.is_some()) {
            return Err(InvalidAttributes::HostPrefix(name.as_str().into()));
        }
        Ok(Self::checked(name, &attributes))
    }

    fn checked(name: CookieName, attributes: &CookieAttributes) -> Self {
        Self {
            lifetime: attributes.lifetime,
            path: format!("; Path={}", attributes.path).into(),
            http: attributes.tail(Scheme::Http),
            https: attributes.tail(Scheme::Https),
            name,
        }
    }

    /// Returns the name of the cookie.
    pub fn name(&self) -> &CookieName {
        &self.name
    }

    /// Returns the lines for values of `value_len` bytes that live for `ttl`.
    pub(crate) fn lines(&self, ttl: Ttl, value_len: usize) -> Lines {
        let line = |tail: &str| {
            let mut text = format!("{}=", self.name.as_str());
            let value = text.len()..text.len().saturating_add(value_len);
            text.extend(std::iter::repeat_n('-', value_len));
            text.push_str(&self.path);
            let expires = match self.lifetime {
                Lifetime::Session => 0..0,
                Lifetime::Permanent => {
                    text.push_str("; Expires=");
                    let expires = text.len()..text.len().saturating_add(IMF_FIXDATE);
                    text.extend(std::iter::repeat_n('-', IMF_FIXDATE));
                    text.push_str(&format!("; Max-Age={ttl}"));
                    expires
                }
            };
            text.push_str(tail);
            Line { text: text.into_bytes().into(), value, expires }
        };
        Lines { http: line(&self.http), https: line(&self.https) }
    }

    /// Returns the line that makes the client drop the cookie, marked sensitive: browsers replace a
    /// cookie of the same name, path and domain, and keep none of a `Max-Age` of 0.
    pub(crate) fn removal(&self, scheme: Scheme) -> Option<HeaderValue> {
        let tail = match scheme {
            Scheme::Http => &self.http,
            Scheme::Https => &self.https,
        };
        let text = format!("{}={}; Max-Age=0{tail}", self.name, self.path);
        let mut line = HeaderValue::try_from(text).ok()?;
        line.set_sensitive(true);
        Some(line)
    }
}

/// Returns `__cflb` with the default attributes, which fit it.
impl Default for SetCookie {
    fn default() -> Self {
        Self::checked(CookieName::default(), &CookieAttributes::default())
    }
}

/// The `Set-Cookie` lines of a cookie and a lifetime, with room for value and date.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    http: Line,
    https: Line,
}

#[derive(Clone, Debug)]
struct Line {
    text: Box<[u8]>,
    value: Range<usize>,
    /// The place of the date; empty for a cookie of a browser session.
    expires: Range<usize>,
}

impl Lines {
    /// Returns the line that lasts until `expires`, in which the value is left out.
    ///
    /// `Expires` is clamped to the end of the year 9999, the last that an IMF-fixdate (RFC 9110
    /// section 5.6.7) can express.
    pub(crate) fn draft(&self, expires: UnixTime, scheme: Scheme) -> Draft {
        let line = match scheme {
            Scheme::Http => &self.http,
            Scheme::Https => &self.https,
        };
        // The length stays the same, so that the header value takes the allocation over.
        let mut text = line.text.to_vec();
        if let Some(place) = text.get_mut(line.expires.clone()).filter(|place| !place.is_empty()) {
            place.copy_from_slice(&imf_fixdate(expires));
        }
        Draft { text, value: line.value.clone() }
    }
}

/// A `Set-Cookie` line without its value.
pub(crate) struct Draft {
    text: Vec<u8>,
    value: Range<usize>,
}

impl Draft {
    /// Returns the line that gives the client this value, marked sensitive.
    ///
    /// The value is written as it is: its bytes must be cookie-octets of RFC 6265 section 4.1.1.
    /// Returns `None` for a value of another length than the lines were made for, or with bytes that
    /// are invalid in a header.
    pub(crate) fn with_value(mut self, value: &[u8]) -> Option<HeaderValue> {
        let place = self.text.get_mut(self.value).filter(|place| place.len() == value.len())?;
        place.copy_from_slice(value);
        let mut header = HeaderValue::try_from(self.text).ok()?;
        header.set_sensitive(true);
        Some(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_room_for_values_of_one_length() {
        let lines = SetCookie::default().lines(Ttl::MIN, 4);
        let draft = || lines.draft(UnixTime::EPOCH, Scheme::Http);
        let line = |value: &[u8]| draft().with_value(value);
        assert_eq!(
            line(b"pear").unwrap(),
            "__cflb=pear; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=1; HttpOnly; SameSite=Lax"
        );
        for invalid in [b"".as_slice(), b"fig", b"apple", b"\r\n\r\n"] {
            assert_eq!(line(invalid), None, "{invalid:?}");
        }
    }
}
