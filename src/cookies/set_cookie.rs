//! Writing `Set-Cookie`: the attributes, checked once, and the line made of them.

use http::HeaderValue;

use crate::cookies::CookieName;
use crate::request::Scheme;
use crate::time::UnixTime;
use crate::token::Token;

/// The `SameSite` attribute. Cloudflare: `session_affinity_attributes.samesite`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum SameSite {
    /// Lax with `always_use_https`; otherwise None over https and Lax over http.
    #[default]
    Auto,
    /// Sent along with top-level navigations from other sites.
    Lax,
    /// Sent along from everywhere. Without Secure it is written as Lax: browsers
    /// drop a None cookie that is not Secure.
    None,
    /// Never sent along from other sites.
    Strict,
}

/// The `Secure` attribute. Cloudflare: `session_affinity_attributes.secure`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Secure {
    /// On requests over https, and on all with `always_use_https`.
    #[default]
    Auto,
    /// On every cookie.
    Always,
    /// On none.
    Never,
}

/// Whether a cookie is kept apart for each top-level site (CHIPS).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Partitioned {
    /// One jar for all sites.
    #[default]
    No,
    /// The attribute is written wherever Secure is; without Secure browsers would
    /// drop the cookie.
    Yes,
}

/// The `Path` attribute: begins with `/`, at most 1 024 visible ASCII characters
/// without `;`. By default `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookiePath(Box<str>);

impl CookiePath {
    /// Checks a path.
    ///
    /// # Errors
    /// [`InvalidAttributes::Path`], also for one that could inject an attribute.
    pub fn new(path: impl Into<String>) -> Result<Self, InvalidAttributes> {
        let path = path.into();
        let clean = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';');
        if !path.starts_with('/') || path.len() > 1_024 || !clean {
            return Err(InvalidAttributes::Path(path));
        }
        Ok(Self(path.into_boxed_str()))
    }
}

impl Default for CookiePath {
    fn default() -> Self {
        Self("/".into())
    }
}

/// The `Domain` attribute: a host name of at most 253 letters, digits, `-` and `.`.
/// Without it a cookie is for the host alone that set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieDomain(Box<str>);

impl CookieDomain {
    /// Checks a domain. A leading dot is allowed, as RFC 6265 section 5.2.3 ignores it.
    ///
    /// # Errors
    /// [`InvalidAttributes::Domain`], also for one that could inject an attribute.
    pub fn new(domain: impl Into<String>) -> Result<Self, InvalidAttributes> {
        let domain = domain.into();
        let name = domain.strip_prefix('.').unwrap_or(&domain);
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        if name.len() > 253 || !name.split('.').all(is_label) {
            return Err(InvalidAttributes::Domain(domain));
        }
        Ok(Self(domain.into_boxed_str()))
    }
}

/// What a cookie says beside its name, value and lifetime. `HttpOnly` is always said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CookieAttributes {
    /// When other sites' pages may send it along.
    pub samesite: SameSite,
    /// Whether it is for https only.
    pub secure: Secure,
    /// Which paths it is for.
    pub path: CookiePath,
    /// Which hosts it is for; `None`: the one that set it.
    pub domain: Option<CookieDomain>,
    /// Whether it is kept apart by top-level site.
    pub partitioned: Partitioned,
    /// Whether every request that matters comes over https, whatever the last hop said.
    pub always_use_https: AlwaysUseHttps,
}

/// Cloudflare's zone setting *Always Use HTTPS*, which the `Auto` values ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AlwaysUseHttps {
    /// Requests may come over http.
    #[default]
    Off,
    /// Requests over http are redirected before anyone sees the cookie.
    On,
}

/// Attributes that browsers would refuse or that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAttributes {
    /// Not a path.
    #[error("cookie.path is {0:?}; allowed: / and then visible ASCII characters other than ;, 1024 in all")]
    Path(String),
    /// Not a domain.
    #[error("cookie.domain is {0:?}; allowed: a host name of letters, digits, - and ., 253 in all")]
    Domain(String),
    /// SameSite=None on a cookie that is never Secure.
    #[error("session_affinity_attributes.samesite is None with secure Never; allowed: None with secure Auto or Always")]
    NoneWithoutSecure,
    /// Partitioned on a cookie that is never Secure.
    #[error("cookie.partitioned is true with secure Never; allowed: true with secure Auto or Always")]
    PartitionedWithoutSecure,
    /// A name that promises Secure on a cookie that may lack it.
    #[error("cookie.name is {0:?}; allowed with this prefix: secure Always, or always_use_https with secure Auto")]
    PrefixWithoutSecure(String),
    /// A name that promises one host and all paths.
    #[error("cookie.name is {0:?}; allowed with the prefix __Host-: path / and no domain")]
    HostPrefix(String),
}

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

impl CookieAttributes {
    fn is_secure(&self, scheme: Scheme) -> bool {
        match self.secure {
            Secure::Always => true,
            Secure::Never => false,
            Secure::Auto => scheme == Scheme::Https || self.always_use_https == AlwaysUseHttps::On,
        }
    }

    /// Secure resolves first; a None that ends up without it is written as Lax.
    fn tail(&self, scheme: Scheme) -> Box<str> {
        let secure = self.is_secure(scheme);
        let resolved = match (self.samesite, self.always_use_https, scheme) {
            (SameSite::Auto, AlwaysUseHttps::Off, Scheme::Https) => SameSite::None,
            (SameSite::Auto, ..) => SameSite::Lax,
            (explicit, ..) => explicit,
        };
        let samesite = match resolved {
            SameSite::Strict => "Strict",
            SameSite::None if secure => "None",
            SameSite::None | SameSite::Lax | SameSite::Auto => "Lax",
        };
        let mut tail = String::from("; HttpOnly");
        if secure {
            tail.push_str("; Secure");
        }
        tail.push_str("; SameSite=");
        tail.push_str(samesite);
        if let Some(domain) = &self.domain {
            tail.push_str("; Domain=");
            tail.push_str(&domain.0);
        }
        if secure && self.partitioned == Partitioned::Yes {
            tail.push_str("; Partitioned");
        }
        tail.into_boxed_str()
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`: RFC 9110 section 5.6.7.
fn imf_fixdate(time: UnixTime) -> [u8; 29] {
    const LAST: u64 = 253_402_300_799; // 9999-12-31T23:59:59Z
    let clamped = i64::try_from(time.as_secs().min(LAST)).unwrap_or(0);
    let date = time::UtcDateTime::from_unix_timestamp(clamped).unwrap_or(time::UtcDateTime::UNIX_EPOCH);
    let [d0, d1, d2] = *match date.weekday() {
        time::Weekday::Monday => b"Mon",
        time::Weekday::Tuesday => b"Tue",
        time::Weekday::Wednesday => b"Wed",
        time::Weekday::Thursday => b"Thu",
        time::Weekday::Friday => b"Fri",
        time::Weekday::Saturday => b"Sat",
        time::Weekday::Sunday => b"Sun",
    };
    let [m0, m1, m2] = *match date.month() {
        time::Month::January => b"Jan",
        time::Month::February => b"Feb",
        time::Month::March => b"Mar",
        time::Month::April => b"Apr",
        time::Month::May => b"May",
        time::Month::June => b"Jun",
        time::Month::July => b"Jul",
        time::Month::August => b"Aug",
        time::Month::September => b"Sep",
        time::Month::October => b"Oct",
        time::Month::November => b"Nov",
        time::Month::December => b"Dec",
    };
    let year = date.year().unsigned_abs();
    let [y0, y1] = two_digits(year / 100);
    let [y2, y3] = two_digits(year % 100);
    let [a0, a1] = two_digits(date.day().into());
    let [h0, h1] = two_digits(date.hour().into());
    let [i0, i1] = two_digits(date.minute().into());
    let [s0, s1] = two_digits(date.second().into());
    [
        d0, d1, d2, b',', b' ', a0, a1, b' ', m0, m1, m2, b' ', y0, y1, y2, y3, b' ', h0, h1, b':', i0, i1, b':', s0, s1,
        b' ', b'G', b'M', b'T',
    ]
}

/// The last two decimal digits of a number.
fn two_digits(number: u32) -> [u8; 2] {
    [digit(u64::from(number) / 10), digit(u64::from(number))]
}

/// The last decimal digit of a number.
fn digit(number: u64) -> u8 {
    b'0'.saturating_add((number % 10) as u8)
}

/// A number in decimal, right-aligned in `buffer`: 20 digits hold any.
fn decimal(mut number: u64, buffer: &mut [u8; 20]) -> &[u8] {
    let mut start = buffer.len();
    for (position, place) in buffer.iter_mut().enumerate().rev() {
        *place = digit(number);
        start = position;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    buffer.get(start..).unwrap_or_default()
}
