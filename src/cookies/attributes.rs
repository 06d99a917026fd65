//! What a cookie says beside its name, value and lifetime, checked once.

use crate::request::Scheme;

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
pub struct CookiePath(pub(super) Box<str>);

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
    #[error(
        "cookie.path is {0:?}; allowed: / and then visible ASCII characters other than ;, 1024 in all"
    )]
    Path(String),
    /// Not a domain.
    #[error("cookie.domain is {0:?}; allowed: a host name of letters, digits, - and ., 253 in all")]
    Domain(String),
    /// SameSite=None on a cookie that is never Secure.
    #[error(
        "session_affinity_attributes.samesite is None with secure Never; allowed: None with secure Auto or Always"
    )]
    NoneWithoutSecure,
    /// Partitioned on a cookie that is never Secure.
    #[error(
        "cookie.partitioned is true with secure Never; allowed: true with secure Auto or Always"
    )]
    PartitionedWithoutSecure,
    /// A name that promises Secure on a cookie that may lack it.
    #[error(
        "cookie.name is {0:?}; allowed with this prefix: secure Always, or always_use_https with secure Auto"
    )]
    PrefixWithoutSecure(String),
    /// A name that promises one host and all paths.
    #[error("cookie.name is {0:?}; allowed with the prefix __Host-: path / and no domain")]
    HostPrefix(String),
}

impl CookieAttributes {
    pub(super) fn is_secure(&self, scheme: Scheme) -> bool {
        match self.secure {
            Secure::Always => true,
            Secure::Never => false,
            Secure::Auto => scheme == Scheme::Https || self.always_use_https == AlwaysUseHttps::On,
        }
    }

    /// Secure resolves first; a None that ends up without it is written as Lax.
    pub(super) fn tail(&self, scheme: Scheme) -> Box<str> {
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
