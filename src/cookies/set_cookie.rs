//! Writing `Set-Cookie`.

use std::ops::Range;

use http::HeaderValue;

use super::attributes::{CookieAttributes, InvalidAttributes, Partitioned, SameSite, Secure};
use super::date::{IMF_FIXDATE, imf_fixdate};
use crate::bounds::CookieTtl;
use crate::cookies::CookieName;
use crate::request::Scheme;
use crate::time::UnixTime;
use crate::token::Token;

/// Writes the `Set-Cookie` line of one cookie, for http and for https.
///
/// ```
/// use session_affinity::{CookieAttributes, CookieName, SetCookie};
/// let set_cookie = SetCookie::new(CookieName::default(), CookieAttributes::default())?;
/// assert_eq!(set_cookie.name().as_str(), "__cflb");
/// # Ok::<(), session_affinity::InvalidAttributes>(())
/// ```
#[derive(Clone, Debug)]
pub struct SetCookie {
    name: CookieName,
    /// `; Path=/; Expires=`
    before_expires: Box<str>,
    /// `; HttpOnly; …` for each scheme.
    http: Box<str>,
    https: Box<str>,
}

impl SetCookie {
    /// Checks that the attributes fit each other and the name.
    ///
    /// # Errors
    /// [`InvalidAttributes`] for SameSite=None or Partitioned with Secure=Never, and for
    /// a `__Host-`, `__Secure-` or `__Http-` name whose rules the attributes break (RFC 6265bis
    /// section 4.1.3; browsers compare the prefix without regard to case).
    pub fn new(name: CookieName, attributes: CookieAttributes) -> Result<Self, InvalidAttributes> {
        if attributes.secure == Secure::Never {
            if attributes.samesite == SameSite::None {
                return Err(InvalidAttributes::NoneWithoutSecure);
            }
            if attributes.partitioned == Partitioned::Yes {
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
        if host && (attributes.path.0.as_ref() != "/" || attributes.domain.is_some()) {
            return Err(InvalidAttributes::HostPrefix(name.as_str().into()));
        }
        Ok(Self::checked(name, &attributes))
    }

    fn checked(name: CookieName, attributes: &CookieAttributes) -> Self {
        Self {
            before_expires: format!("; Path={}; Expires=", attributes.path.0).into(),
            http: attributes.tail(Scheme::Http),
            https: attributes.tail(Scheme::Https),
            name,
        }
    }

    /// The cookie's name.
    pub fn name(&self) -> &CookieName {
        &self.name
    }

    /// Its lines for sessions that live so long.
    pub(crate) fn lines(&self, ttl: CookieTtl) -> Lines {
        let line = |tail: &str| {
            let mut text = format!("{}=", self.name.as_str());
            let token = text.len()..text.len().saturating_add(Token::LEN);
            text.extend(std::iter::repeat_n('-', Token::LEN));
            text.push_str(&self.before_expires);
            let expires = text.len()..text.len().saturating_add(IMF_FIXDATE);
            text.extend(std::iter::repeat_n('-', IMF_FIXDATE));
            text.push_str(&format!("; Max-Age={}{tail}", ttl.get()));
            Line { text: text.into_bytes().into(), token, expires }
        };
        Lines { http: line(&self.http), https: line(&self.https) }
    }
}

/// The `Set-Cookie` lines of a cookie and a lifetime, written but for token and date.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    http: Line,
    https: Line,
}

#[derive(Clone, Debug)]
struct Line {
    text: Box<[u8]>,
    token: Range<usize>,
    expires: Range<usize>,
}

impl Lines {
    /// The line that gives the client this token until `expires`, marked sensitive.
    ///
    /// `Expires` is clamped to the end of the year 9999, the last that an
    /// IMF-fixdate (RFC 9110 section 5.6.7) can name. `None` is never seen: every part was
    /// checked when it was made.
    pub(crate) fn line(
        &self,
        token: &Token,
        expires: UnixTime,
        scheme: Scheme,
    ) -> Option<HeaderValue> {
        let line = match scheme {
            Scheme::Http => &self.http,
            Scheme::Https => &self.https,
        };
        // As long as it stays: the header value takes it over as it is.
        let mut text = line.text.to_vec();
        text.get_mut(line.token.clone())?.copy_from_slice(token.as_bytes());
        text.get_mut(line.expires.clone())?.copy_from_slice(&imf_fixdate(expires));
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// `__cflb` with the default attributes, which fit it.
impl Default for SetCookie {
    fn default() -> Self {
        Self::checked(CookieName::default(), &CookieAttributes::default())
    }
}
