//! Writing `Set-Cookie`.

use http::HeaderValue;

use super::attributes::{CookieAttributes, InvalidAttributes, Partitioned, SameSite, Secure};
use super::decimal::{decimal, imf_fixdate};
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
    /// `__cflb=`
    before_token: Box<str>,
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
        if (host || lowercase.starts_with("__secure-") || lowercase.starts_with("__http-")) && !always_secure {
            return Err(InvalidAttributes::PrefixWithoutSecure(name.as_str().into()));
        }
        if host && (attributes.path.0.as_ref() != "/" || attributes.domain.is_some()) {
            return Err(InvalidAttributes::HostPrefix(name.as_str().into()));
        }
        Ok(Self::checked(name, &attributes))
    }

    fn checked(name: CookieName, attributes: &CookieAttributes) -> Self {
        Self {
            before_token: format!("{name}=").into(),
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

    /// The line that gives the client this token until `expires`, marked sensitive.
    ///
    /// `Expires` is clamped to the end of the year 9999, the last that an
    /// IMF-fixdate (RFC 9110 section 5.6.7) can name; `Max-Age` is what is left from
    /// `now`. `None` is never seen: every part was checked when it was made.
    pub(crate) fn line(&self, token: &Token, now: UnixTime, expires: UnixTime, scheme: Scheme) -> Option<HeaderValue> {
        let tail = match scheme {
            Scheme::Http => &self.http,
            Scheme::Https => &self.https,
        };
        let mut digits = [0; 20];
        let max_age = decimal(expires.seconds_since(now), &mut digits);
        let date = imf_fixdate(expires);
        let parts: [&[u8]; 7] = [
            self.before_token.as_bytes(),
            token.as_str().as_bytes(),
            self.before_expires.as_bytes(),
            &date,
            b"; Max-Age=",
            max_age,
            tail.as_bytes(),
        ];
        // Exactly as long as the line: the header value takes it over as it is.
        let length = parts.iter().fold(0_usize, |sum, part| sum.saturating_add(part.len()));
        let mut line = Vec::with_capacity(length);
        for part in parts {
            line.extend_from_slice(part);
        }
        let mut value = HeaderValue::try_from(line).ok()?;
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
