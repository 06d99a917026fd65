//! The paths and hosts a cookie is sent to: its `Path` and `Domain` attributes.

use crate::names::checked_text;

/// The `Path` attribute: `/` and then visible ASCII characters other than `;`, 1 024 in all. By
/// default `/`.
///
/// ```
/// use session_affinity::cookies::CookiePath;
/// assert_eq!(CookiePath::new("/shop")?.as_str(), "/shop");
/// assert!(CookiePath::new("/; HttpOnly").is_err());
/// # Ok::<(), session_affinity::cookies::InvalidCookiePath>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CookiePath(Box<str>);

impl CookiePath {
    /// Checks a path.
    ///
    /// # Errors
    /// [`InvalidCookiePath`] when the path does not begin with `/`, is longer than 1 024
    /// characters, or contains a character that could inject an attribute.
    pub fn new(path: impl Into<String>) -> Result<Self, InvalidCookiePath> {
        let path = path.into();
        let clean = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';');
        if !path.starts_with('/') || path.len() > 1_024 || !clean {
            return Err(InvalidCookiePath { path });
        }
        Ok(Self(path.into_boxed_str()))
    }

    /// Returns the path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Returns the path `/`, which covers all paths of a host.
impl Default for CookiePath {
    fn default() -> Self {
        Self("/".into())
    }
}

checked_text!(CookiePath, InvalidCookiePath);

/// The error for a path that is not valid for a cookie.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the cookie path is {path:?}; allowed: / and then visible ASCII characters other than ;, 1024 in all"
)]
#[non_exhaustive]
pub struct InvalidCookiePath {
    /// The path that was refused.
    pub path: String,
}

/// The `Domain` attribute: a host name of letters, digits, `-` and `.`, 253 in all. A cookie
/// without it is sent only to the host that set it.
///
/// ```
/// use session_affinity::cookies::CookieDomain;
/// assert_eq!(CookieDomain::new("example.com")?.as_str(), "example.com");
/// assert!(CookieDomain::new("example.com; Path=/").is_err());
/// # Ok::<(), session_affinity::cookies::InvalidCookieDomain>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CookieDomain(Box<str>);

impl CookieDomain {
    /// Checks a domain. A leading dot is allowed, as RFC 6265 section 5.2.3 ignores it.
    ///
    /// # Errors
    /// [`InvalidCookieDomain`] when a label is empty, longer than 63 characters or begins or ends
    /// with `-`, when the domain is longer than 253 characters, or when it contains any other
    /// character.
    pub fn new(domain: impl Into<String>) -> Result<Self, InvalidCookieDomain> {
        let domain = domain.into();
        let name = domain.strip_prefix('.').unwrap_or(&domain);
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        if name.len() > 253 || !name.split('.').all(is_label) {
            return Err(InvalidCookieDomain { domain });
        }
        Ok(Self(domain.into_boxed_str()))
    }

    /// Returns the domain as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

checked_text!(CookieDomain, InvalidCookieDomain);

/// The error for a domain that is not valid for a cookie.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the cookie domain is {domain:?}; allowed: a host name of letters, digits, - and ., 253 in all"
)]
#[non_exhaustive]
pub struct InvalidCookieDomain {
    /// The domain that was refused.
    pub domain: String,
}
