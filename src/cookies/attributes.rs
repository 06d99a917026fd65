//! The attributes of a cookie beside its name and value, and what they resolve to.

use std::fmt;

use super::scope::{CookieDomain, CookiePath};
use crate::request::Scheme;

/// The attributes of a cookie beside its name and value. `HttpOnly` is always written.
///
/// ```
/// use session_affinity::cookies::{CookieAttributes, CookiePath};
/// let attributes = CookieAttributes {
///     path: CookiePath::new("/shop")?,
///     partitioned: true,
///     ..CookieAttributes::default()
/// };
/// # Ok::<(), session_affinity::cookies::InvalidCookiePath>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "users write it as a literal")]
pub struct CookieAttributes {
    /// The `SameSite` attribute: the requests from other sites that carry the cookie.
    pub samesite: SameSite,
    /// The `Secure` attribute: the cookie is sent over https only.
    pub secure: Secure,
    /// The `Path` attribute: the paths the cookie is sent to.
    pub path: CookiePath,
    /// The time for which clients keep the cookie.
    pub lifetime: Lifetime,
    /// The `Domain` attribute: the hosts the cookie is sent to. `None` is the host that set it.
    pub domain: Option<CookieDomain>,
    /// The `Partitioned` attribute (CHIPS): browsers keep a separate cookie for each top-level
    /// site. Written only together with `Secure`, as browsers refuse it otherwise.
    pub partitioned: bool,
    /// Cloudflare's zone setting *Always Use HTTPS*: requests over http are redirected before they
    /// reach the gateway. The `Auto` values then resolve to Secure and SameSite=Lax.
    pub always_use_https: bool,
}

/// The `SameSite` attribute. Cloudflare: `session_affinity_attributes.samesite`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[expect(clippy::exhaustive_enums, reason = "the values of Cloudflare's parameter")]
pub enum SameSite {
    /// Lax with `always_use_https`; without it, None over https and Lax over http.
    #[default]
    Auto,
    /// The cookie is sent with requests of its own site and top-level navigations from other sites.
    Lax,
    /// The cookie is sent with all requests. Without `Secure` it is written as Lax, as browsers
    /// refuse it otherwise.
    None,
    /// The cookie is sent with requests of its own site only.
    Strict,
}

impl SameSite {
    /// Returns the value as Cloudflare's API writes it, `Auto` for example.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "Auto",
            Self::Lax => "Lax",
            Self::None => "None",
            Self::Strict => "Strict",
        }
    }
}

impl fmt::Display for SameSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The `Secure` attribute. Cloudflare: `session_affinity_attributes.secure`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[expect(clippy::exhaustive_enums, reason = "the values of Cloudflare's parameter")]
pub enum Secure {
    /// Written on responses to requests over https, and on all with `always_use_https`.
    #[default]
    Auto,
    /// Written on all responses.
    Always,
    /// Never written.
    Never,
}

impl Secure {
    /// Returns the value as Cloudflare's API writes it, `Auto` for example.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "Auto",
            Self::Always => "Always",
            Self::Never => "Never",
        }
    }
}

impl fmt::Display for Secure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The time for which clients keep the cookie. The session ends with its token in either case: the
/// token says when it expires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[expect(clippy::exhaustive_enums, reason = "a cookie has these attributes or it has not")]
pub enum Lifetime {
    /// Clients keep the cookie until its token expires: `Expires` and `Max-Age` are written.
    #[default]
    Permanent,
    /// Browsers drop the cookie when they are closed: neither `Expires` nor `Max-Age` is written.
    /// A browser that restores its windows keeps it, so the expiry of the token counts.
    Session,
}

impl Lifetime {
    /// Returns the value as a configuration writes it, `permanent` for example.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permanent => "permanent",
            Self::Session => "session",
        }
    }
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The error for attributes that contradict each other or the name of the cookie, so that browsers
/// would refuse it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAttributes {
    /// SameSite=None for a cookie that is never Secure.
    #[error("samesite is None with secure Never; allowed: None with secure Auto or Always")]
    NoneWithoutSecure,
    /// Partitioned for a cookie that is never Secure.
    #[error("partitioned is true with secure Never; allowed: true with secure Auto or Always")]
    PartitionedWithoutSecure,
    /// The name has a prefix that requires Secure, which the cookie may lack.
    #[error(
        "the cookie name is {0:?}; allowed with this prefix: secure Always, or always_use_https with secure Auto"
    )]
    PrefixWithoutSecure(String),
    /// The name has the prefix `__Host-`, which requires the path `/` and no domain.
    #[error("the cookie name is {0:?}; allowed with the prefix __Host-: path / and no domain")]
    HostPrefix(String),
}

impl CookieAttributes {
    /// Returns whether `Secure` is written on the response to a request of this scheme.
    pub(super) fn is_secure(&self, scheme: Scheme) -> bool {
        match self.secure {
            Secure::Always => true,
            Secure::Never => false,
            Secure::Auto => scheme == Scheme::Https || self.always_use_https,
        }
    }

    /// Returns the attributes that follow path and lifetime. `Secure` resolves first, as None is written as
    /// Lax without it.
    pub(super) fn tail(&self, scheme: Scheme) -> Box<str> {
        let secure = self.is_secure(scheme);
        let resolved = match (self.samesite, self.always_use_https, scheme) {
            (SameSite::Auto, false, Scheme::Https) => SameSite::None,
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
            tail.push_str(domain.as_str());
        }
        if secure && self.partitioned {
            tail.push_str("; Partitioned");
        }
        tail.into_boxed_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_as_a_configuration_writes_them() {
        let shown = [SameSite::Auto, SameSite::Lax, SameSite::None, SameSite::Strict]
            .map(|it| it.to_string());
        assert_eq!(shown, ["Auto", "Lax", "None", "Strict"]);
        let shown = [Secure::Auto, Secure::Always, Secure::Never].map(|it| it.to_string());
        assert_eq!(shown, ["Auto", "Always", "Never"]);
        let shown = [Lifetime::Permanent, Lifetime::Session].map(|it| it.to_string());
        assert_eq!(shown, ["permanent", "session"]);
    }
}
