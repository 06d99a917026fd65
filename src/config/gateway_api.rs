//! The `sessionPersistence` of a Gateway API route rule or backend, checked once.
//!
//! The text is GEP-1619 of August 2026, with the types of `apis/v1` beside it: the union of `cookie`
//! and `header`, without `idleTimeout`. [`GatewayDuration`] is the format of GEP-2257. The manual's
//! chapter [on the Gateway API](crate::manual::gateway_api) tells implementers the rest.

use crate::carrier::IssuedHeader;
use crate::cookies::{
    CookieAttributes, CookieName, CookiePath, InvalidAttributes, Lifetime, SameSite, Secure,
    SetCookie,
};
use crate::keys::Keyring;
use crate::limits::Ttl;
use crate::names::LoadBalancer;
use crate::policy::CookiePolicy;

mod duration;
mod invalid;
mod values;
#[cfg(feature = "serde")]
mod written;

pub use duration::{GatewayDuration, InvalidGatewayDuration};
pub use invalid::InvalidSessionPersistence;
pub use values::{CookieLifetimeType, SessionPersistenceType};

/// The `sessionPersistence` of an `HTTPRoute` or `GRPCRoute` rule, or of a `BackendTrafficPolicy`,
/// unchecked. [`SessionPersistence::policy`] checks it.
///
/// With the feature `serde` it is read and written under the names of the API. Unknown keys are
/// ignored, null means absent. The fields `sessionName`, `cookieConfig` and `idleTimeout` of earlier
/// texts are refused by name, because a session that ignores them differs from the one that is meant.
///
/// ```
/// use session_affinity::config::gateway_api::SessionPersistence;
/// use session_affinity::{Affinity, Key, Keyring, LoadBalancer, Secret};
///
/// let secret = Secret::from_base64("dGhpcyBpcyBhbiBleGFtcGxlLCBub3QgYSBzZWNyZXQ=")?;
/// let keyring = Keyring::from(Key::new(1, secret));
/// let rule = LoadBalancer::new("default/shop/0")?; // the route and its rule
///
/// let persistence = SessionPersistence::in_cookie();
/// let affinity = Affinity::new(persistence.policy(&rule, &keyring)?);
///
/// let persistence =
///     SessionPersistence { absolute_timeout: Some("1d".into()), ..SessionPersistence::in_cookie() };
/// assert_eq!(
///     persistence.policy(&rule, &keyring).unwrap_err().to_string(),
///     "absoluteTimeout is \"1d\"; allowed: 1 to 4 times up to 5 digits and h, m, s or ms, such as 1h30m"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
#[expect(clippy::exhaustive_structs, reason = "written with `..SessionPersistence::in_cookie()`")]
pub struct SessionPersistence {
    /// The time after which a session ends, however much it is used: a [`GatewayDuration`] of 1
    /// second to ten years, a fraction of a second rounded up. Required for a cookie that is
    /// permanent. `None`: the session has no such end, and its token lives for [`Ttl::MAX`].
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub absolute_timeout: Option<String>,
    /// The carrier of the session. Default: a cookie.
    pub r#type: SessionPersistenceType,
    /// The cookie: required for the type `Cookie`, refused for `Header`.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub cookie: Option<CookieConfig>,
    /// The header: required for the type `Header`, refused for `Cookie`.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub header: Option<HeaderConfig>,
}

/// The cookie of a session. Gateway API: `sessionPersistence.cookie`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
#[expect(clippy::exhaustive_structs, reason = "written with `..CookieConfig::default()`")]
pub struct CookieConfig {
    /// The name of the cookie: 1 to 256 letters, digits and any of ``!#$%&'*+-.^_`|~``. `None`: a name
    /// of its own for each load balancer, made by [`CookieName::scoped`].
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub name: Option<String>,
    /// The path of the cookie: `/` and then visible ASCII characters other than `;`, 1 024 in all.
    /// Default: `/`.
    pub path: String,
    /// The time for which clients keep the cookie. Default: session.
    pub lifetime_type: CookieLifetimeType,
}

/// The header of a session. Gateway API: `sessionPersistence.header`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[expect(clippy::exhaustive_structs, reason = "the one field of the API")]
pub struct HeaderConfig {
    /// The name of the header, as [`IssuedHeader`] allows it. Required.
    pub name: String,
}

impl Default for CookieConfig {
    fn default() -> Self {
        Self { name: None, path: "/".into(), lifetime_type: CookieLifetimeType::default() }
    }
}

impl SessionPersistence {
    /// Sessions by a cookie of the API's defaults: a generated name, the path `/`, dropped when the
    /// browser is closed.
    pub fn in_cookie() -> Self {
        Self {
            absolute_timeout: None,
            r#type: SessionPersistenceType::Cookie,
            cookie: Some(CookieConfig::default()),
            header: None,
        }
    }

    /// Sessions by a header of this name.
    pub fn in_header(name: impl Into<String>) -> Self {
        Self {
            absolute_timeout: None,
            r#type: SessionPersistenceType::Header,
            cookie: None,
            header: Some(HeaderConfig { name: name.into() }),
        }
    }

    /// Returns the session persistence of a backend, of which several route rules can make use, for
    /// one of them: a cookie that has a name gets one of its own for this load balancer, by
    /// [`CookieName::scoped`]. All else stays.
    ///
    /// Two rules that gave the same browser a cookie of the same name would overwrite each other's.
    ///
    /// ```
    /// use session_affinity::LoadBalancer;
    /// use session_affinity::config::gateway_api::{CookieConfig, SessionPersistence};
    /// let cookie = CookieConfig { name: Some("basket".into()), ..CookieConfig::default() };
    /// let backend = SessionPersistence { cookie: Some(cookie), ..SessionPersistence::in_cookie() };
    /// let rule = backend.scoped_to(&LoadBalancer::new("default/shop/0")?)?;
    /// let name = rule.cookie.and_then(|cookie| cookie.name);
    /// assert_eq!(name.as_deref(), Some("basket-34997f03a3168cb4"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidSessionPersistence::CookieName`] when the name is not valid, or is longer than 239
    /// bytes.
    pub fn scoped_to(
        &self,
        load_balancer: &LoadBalancer,
    ) -> Result<Self, InvalidSessionPersistence> {
        let mut scoped = self.clone();
        if let Some(name) = scoped.cookie.as_mut().and_then(|cookie| cookie.name.as_mut()) {
            *name = CookieName::scoped(name, load_balancer.as_str())?.as_str().into();
        }
        Ok(scoped)
    }

    /// Makes the policy of one route rule, its cookie with the attributes that GEP-1619 recommends:
    /// `HttpOnly`, `SameSite=Strict`, and `Secure` over https.
    ///
    /// The load balancer stands for the rule: give each rule a name of its own, such as
    /// `default/shop/0`, so that rules share no sessions. A token is valid for one load balancer
    /// only, and the generated name of the cookie is made of that name.
    ///
    /// # Errors
    /// [`InvalidSessionPersistence`] names the field, what it was and what is allowed.
    pub fn policy(
        &self,
        load_balancer: &LoadBalancer,
        keyring: &Keyring,
    ) -> Result<CookiePolicy, InvalidSessionPersistence> {
        let attributes =
            CookieAttributes { samesite: SameSite::Strict, ..CookieAttributes::default() };
        self.policy_with(load_balancer, keyring, attributes)
    }

    /// Makes the policy of one route rule, as [`SessionPersistence::policy`] does, with other
    /// attributes of the cookie. Path and lifetime are those of the `sessionPersistence`, whatever
    /// the attributes say.
    ///
    /// A name with the prefix `__Host-`, `__Secure-` or `__Http-` makes [`Secure::Auto`] an
    /// [`Always`](Secure::Always), without which browsers refuse it.
    ///
    /// # Errors
    /// As [`SessionPersistence::policy`], and for attributes that contradict each other.
    pub fn policy_with(
        &self,
        load_balancer: &LoadBalancer,
        keyring: &Keyring,
        attributes: CookieAttributes,
    ) -> Result<CookiePolicy, InvalidSessionPersistence> {
        use InvalidSessionPersistence as Invalid;
        let policy = match (self.r#type, &self.cookie, &self.header) {
            (SessionPersistenceType::Cookie, Some(cookie), None) => {
                if cookie.lifetime_type == CookieLifetimeType::Permanent
                    && self.absolute_timeout.is_none()
                {
                    return Err(Invalid::NoAbsoluteTimeout);
                }
                CookiePolicy::new(
                    load_balancer,
                    keyring,
                    cookie.set_cookie(load_balancer, attributes)?,
                )
            }
            (SessionPersistenceType::Header, None, Some(header)) => {
                CookiePolicy::in_header(load_balancer, keyring, IssuedHeader::new(&*header.name)?)
            }
            (SessionPersistenceType::Cookie, _, Some(_)) => return Err(Invalid::HeaderWithCookie),
            (SessionPersistenceType::Cookie, None, None) => return Err(Invalid::NoCookie),
            (SessionPersistenceType::Header, Some(_), _) => return Err(Invalid::CookieWithHeader),
            (SessionPersistenceType::Header, None, None) => return Err(Invalid::NoHeader),
        };
        Ok(policy.with_ttl(self.ttl()?))
    }

    fn ttl(&self) -> Result<Ttl, InvalidSessionPersistence> {
        let Some(text) = &self.absolute_timeout else { return Ok(Ttl::MAX) };
        let timeout: GatewayDuration =
            text.parse().map_err(InvalidSessionPersistence::AbsoluteTimeout)?;
        Ttl::try_from(std::time::Duration::from(timeout))
            .map_err(|_| InvalidSessionPersistence::Lifetime { absolute_timeout: text.clone() })
    }
}

impl CookieConfig {
    fn set_cookie(
        &self,
        load_balancer: &LoadBalancer,
        attributes: CookieAttributes,
    ) -> Result<SetCookie, InvalidSessionPersistence> {
        let name = match &self.name {
            Some(name) => CookieName::new(&**name),
            None => CookieName::scoped(CookieName::default().as_str(), load_balancer.as_str()),
        }?;
        let attributes = CookieAttributes {
            path: CookiePath::new(&*self.path)?,
            lifetime: Lifetime::from(self.lifetime_type),
            ..attributes
        };
        let always = CookieAttributes { secure: Secure::Always, ..attributes.clone() };
        let is_auto = attributes.secure == Secure::Auto;
        Ok(match SetCookie::new(name.clone(), attributes) {
            // The user of the API can state the name, and nothing of `Secure`.
            Err(InvalidAttributes::PrefixWithoutSecure(_)) if is_auto => {
                SetCookie::new(name, always)
            }
            made => made,
        }?)
    }
}
