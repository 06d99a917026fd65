//! Configuration under Cloudflare's parameter names, checked once.

use crate::affinity::{AcrossPools, Affinity, UnsupportedMode};
use crate::bounds::{
    ClockSkew, CookieTtl, CoolingOff, DrainDuration, IdleTtl, Ipv6Prefix, OutOfRange, Retries,
};
use crate::cookies::{
    AlwaysUseHttps, CacheGuard, CookieAttributes, CookieDomain, CookieName, CookiePath,
    InvalidAttributes, InvalidCookieName, Partitioned, SameSite, Secure, SetCookie,
};
use crate::failover::FailoverMode;
use crate::keys::{Keyring, Secret};
use crate::names::{InvalidName, Name};
use crate::policy::{
    AffinityPolicy, CookiePolicy, HeaderPolicy, InvalidHeaders, IpCookiePolicy, NoAffinity, Require,
};

#[cfg(feature = "serde")]
mod date;
#[cfg(feature = "serde")]
mod lenient;
mod pool;

pub use pool::{
    LoadSheddingConfig, OriginConfig, OriginSteering, PoolConfig, SessionPolicy, SteeringPolicy,
};

/// A load balancer's session affinity, under the names of Cloudflare's Load Balancing API.
/// Nothing is checked until [`Affinity::from_config`] reads it.
///
/// With the feature `serde` it reads a load balancer as Cloudflare's API returns it: unknown
/// keys are ignored, null means the default, numbers may be floats, `""` means `none`.
/// The [`extensions`](Config::extensions) are not part of that object. A value of the wrong kind is
/// the deserializer's to refuse: `serde_path_to_error` makes it name the field.
///
/// ```
/// use session_affinity::{Affinity, Key, Keyring, Secret};
/// use session_affinity::config::{Config, SessionAffinity};
///
/// let keyring = Keyring::from(Key::new(1, Secret::new([7; 32])?));
/// let config = Config { session_affinity: SessionAffinity::Cookie, ..Config::new("shop.example.com") };
/// let affinity = Affinity::from_config(&config, &keyring)?;
///
/// let hasty = Config { session_affinity_ttl: Some(60), ..config };
/// assert_eq!(
///     Affinity::from_config(&hasty, &keyring).unwrap_err().to_string(),
///     "session_affinity_ttl is 60; allowed: 1800 to 604800 seconds for cookie and ip_cookie"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
pub struct Config {
    /// The load balancer's name: 1 to 255 bytes without control characters. It is part of
    /// the keys, so a cookie of one load balancer is noise to another.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "lenient::or_default"))]
    pub name: String,
    /// Where sessions are remembered. Default: none.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "lenient::or_default"))]
    pub session_affinity: SessionAffinity,
    /// Seconds. `cookie` and `ip_cookie`: 1 800 to 604 800, absolute, default 82 800. `header`: 30
    /// to 3 600, idle, default 1 800.
    #[cfg_attr(
        feature = "serde",
        serde(deserialize_with = "lenient::whole_option", skip_serializing_if = "Option::is_none")
    )]
    pub session_affinity_ttl: Option<u64>,
    /// How sessions behave.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "lenient::object"))]
    pub session_affinity_attributes: SessionAffinityAttributes,
    /// How failover behaves.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "lenient::object"))]
    pub adaptive_routing: AdaptiveRouting,
    /// The ids of the pools, in failover order. `None`: all that are given, in that order.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub default_pools: Option<Vec<String>>,
    /// The id of the pool that is used when no other is open.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub fallback_pool: Option<String>,
    /// What Cloudflare does not have.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub extensions: Extensions,
}

/// Which policy remembers sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
pub enum SessionAffinity {
    /// None: [`NoAffinity`]. Read from `""` too.
    #[default]
    #[cfg_attr(feature = "serde", serde(alias = ""))]
    None,
    /// [`CookiePolicy`]
    Cookie,
    /// [`IpCookiePolicy`]
    IpCookie,
    /// [`HeaderPolicy`]
    Header,
}

/// Cloudflare: `session_affinity_attributes`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
pub struct SessionAffinityAttributes {
    /// The cookie's `SameSite`. Default: Auto.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "lenient::or_default"))]
    pub samesite: SameSite,
    /// The cookie's `Secure`. Default: Auto.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "lenient::or_default"))]
    pub secure: Secure,
    /// For how long a disabled endpoint keeps its sessions, in seconds: 0 to 604 800,
    /// default 0.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "lenient::whole"))]
    pub drain_duration: u64,
    /// What a connection that cannot be made does to a live session. Default: none.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "lenient::or_default"))]
    pub zero_downtime_failover: FailoverMode,
    /// `header` only: 1 to 5 entries of 1 to 100 characters: a field name, `cookie` or
    /// `cookie:a,b`.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "lenient::or_default"))]
    pub headers: Vec<String>,
    /// `header` only: whether all of them must be there, or one. Default: one.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "lenient::or_default"))]
    pub require_all_headers: bool,
}

/// Cloudflare: `adaptive_routing`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
pub struct AdaptiveRouting {
    /// Whether failover may leave the pool. Default: no.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "lenient::or_default"))]
    pub failover_across_pools: bool,
}

/// Parameters that Cloudflare does not have.
#[derive(Clone, Debug, PartialEq)]
pub struct Extensions {
    /// Further endpoints that one request may try: 1 to 8, default 1.
    pub retries: u64,
    /// Leading bits of an IPv6 address that tell clients apart: 1 to 128, default 64.
    pub ipv6_prefix: u64,
    /// Seconds that other nodes' clocks may be ahead: 0 to 86 400, default 300.
    pub clock_skew: u64,
    /// Seconds for which an endpoint is suspect after a passive failure: 0 to 300,
    /// default 0.
    pub cooling_off: u64,
    /// Whether requests over http are redirected. Default: no.
    pub always_use_https: bool,
    /// Whether responses with our cookie are kept out of shared caches. Default: yes.
    pub cache_guard: bool,
    /// `header` only, and needed there: the secret of the session keys.
    pub session_secret: Option<Secret>,
    /// The cookie's name. Default: `__cflb`.
    pub cookie_name: String,
    /// The cookie's path. Default: `/`.
    pub cookie_path: String,
    /// The cookie's domain. Default: none, the host alone.
    pub cookie_domain: Option<String>,
    /// Whether the cookie is kept apart by top-level site. Default: no.
    pub cookie_partitioned: bool,
}

impl Default for Extensions {
    fn default() -> Self {
        Self {
            retries: Retries::default().get().into(),
            ipv6_prefix: Ipv6Prefix::default().get().into(),
            clock_skew: ClockSkew::default().get(),
            cooling_off: CoolingOff::default().get(),
            always_use_https: false,
            cache_guard: true,
            session_secret: None,
            cookie_name: CookieName::default().as_str().into(),
            cookie_path: "/".into(),
            cookie_domain: None,
            cookie_partitioned: false,
        }
    }
}

impl Config {
    /// The defaults, under this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    fn name(&self) -> Result<Name, InvalidConfig> {
        Name::new(self.name.clone()).map_err(InvalidConfig::Name)
    }

    fn cookie_name(&self) -> Result<CookieName, InvalidConfig> {
        Ok(CookieName::new(self.extensions.cookie_name.clone())?)
    }

    fn set_cookie(&self) -> Result<SetCookie, InvalidConfig> {
        let extensions = &self.extensions;
        let attributes = CookieAttributes {
            samesite: self.session_affinity_attributes.samesite,
            secure: self.session_affinity_attributes.secure,
            path: CookiePath::new(extensions.cookie_path.clone())?,
            domain: extensions.cookie_domain.clone().map(CookieDomain::new).transpose()?,
            partitioned: if extensions.cookie_partitioned {
                Partitioned::Yes
            } else {
                Partitioned::No
            },
            always_use_https: if extensions.always_use_https {
                AlwaysUseHttps::On
            } else {
                AlwaysUseHttps::Off
            },
        };
        Ok(SetCookie::new(self.cookie_name()?, attributes)?)
    }

    fn cookie_policy(
        &self,
        name: &Name,
        keyring: &Keyring,
        set_cookie: SetCookie,
    ) -> Result<CookiePolicy, InvalidConfig> {
        let ttl = self.session_affinity_ttl.map_or(Ok(CookieTtl::default()), CookieTtl::new)?;
        let clock_skew = ClockSkew::new(self.extensions.clock_skew)?;
        Ok(CookiePolicy::new(name, keyring, set_cookie)
            .map_codec(|codec| codec.with_ttl(ttl).with_clock_skew(clock_skew)))
    }

    fn header_policy(&self, name: &Name) -> Result<HeaderPolicy, InvalidConfig> {
        let attributes = &self.session_affinity_attributes;
        let secret =
            self.extensions.session_secret.as_ref().ok_or(InvalidConfig::NoSessionSecret)?;
        let require = if attributes.require_all_headers { Require::All } else { Require::Any };
        let ttl = self.session_affinity_ttl.map_or(Ok(IdleTtl::default()), IdleTtl::new)?;
        Ok(HeaderPolicy::new(name, secret, &attributes.headers, require, self.cookie_name()?)?
            .with_ttl(ttl))
    }

    fn policy(
        &self,
        name: &Name,
        keyring: &Keyring,
    ) -> Result<Box<dyn AffinityPolicy>, InvalidConfig> {
        // The cookie is checked for every policy: a configuration that is changed from
        // `none` to `cookie` ought not to fail then.
        let set_cookie = self.set_cookie()?;
        let prefix = Ipv6Prefix::new(self.extensions.ipv6_prefix)?;
        Ok(match self.session_affinity {
            SessionAffinity::None => Box::new(NoAffinity),
            SessionAffinity::Cookie => Box::new(self.cookie_policy(name, keyring, set_cookie)?),
            SessionAffinity::IpCookie => Box::new(IpCookiePolicy::new(
                name,
                prefix,
                self.cookie_policy(name, keyring, set_cookie)?,
            )),
            SessionAffinity::Header => Box::new(self.header_policy(name)?),
        })
    }
}

impl Affinity<Box<dyn AffinityPolicy>> {
    /// Reads a configuration. The keyring is for the cookie policies.
    ///
    /// # Errors
    /// [`InvalidConfig`] names the field, what it was and what is allowed. TTL and headers
    /// are checked for the policy that uses them.
    pub fn from_config(config: &Config, keyring: &Keyring) -> Result<Self, InvalidConfig> {
        let name = config.name()?;
        let extensions = &config.extensions;
        let attributes = &config.session_affinity_attributes;
        let across = config.adaptive_routing.failover_across_pools;
        ClockSkew::new(extensions.clock_skew)?;
        Ok(Affinity::new(&name, config.policy(&name, keyring)?)
            .with_failover(attributes.zero_downtime_failover)
            .map_err(InvalidConfig::StickyHeader)?
            .with_retries(Retries::new(extensions.retries)?)
            .with_across_pools(if across { AcrossPools::Yes } else { AcrossPools::No })
            .with_drain_duration(DrainDuration::new(attributes.drain_duration)?)
            .with_cooling_off(CoolingOff::new(extensions.cooling_off)?)
            .with_ipv6_prefix(Ipv6Prefix::new(extensions.ipv6_prefix)?)
            .with_cache_guard(if extensions.cache_guard {
                CacheGuard::On
            } else {
                CacheGuard::Off
            }))
    }
}

/// A configuration that is refused. Each message names the field, what it was and what is
/// allowed; a secret is in none.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidConfig {
    /// A number is out of range.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
    /// The load balancer's name is none.
    #[error("name is {:?}; allowed: 1 to 255 bytes without control characters", .0.name)]
    Name(InvalidName),
    /// The cookie's name is none.
    #[error("cookie.name is {:?}; allowed: 1 to 255 letters, digits and any of !#$%&'*+-.^_`|~", .0.name)]
    CookieName(#[from] InvalidCookieName),
    /// The cookie's attributes do not fit.
    #[error(transparent)]
    Attributes(#[from] InvalidAttributes),
    /// The headers make no session key.
    #[error(transparent)]
    Headers(#[from] InvalidHeaders),
    /// `header` without a session secret.
    #[error("session_secret is missing; allowed for header: 32 or more secret bytes")]
    NoSessionSecret,
    /// `header` with `sticky`.
    #[error(
        "session_affinity_attributes.zero_downtime_failover is sticky; allowed for header: none or temporary"
    )]
    StickyHeader(UnsupportedMode),
    /// A parameter of a pool or an endpoint.
    #[error("{field} is {value}; allowed: {allowed}")]
    Pool {
        /// The path to the field.
        field: String,
        /// What it was.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
}
