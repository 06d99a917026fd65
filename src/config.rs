//! The configuration under Cloudflare's parameter names, checked once.

use crate::affinity::Affinity;
use crate::carrier::IssuedHeader;
use crate::cookies::{
    CacheGuard, CookieAttributes, CookieDomain, CookieName, CookiePath, SameSite, Secure, SetCookie,
};
use crate::failover::{FailoverMode, FailoverScope};
use crate::keys::Keyring;
use crate::limits::{ClockSkew, CoolingOff, DrainDuration, Ipv6Prefix, OutOfRange, Retries, Ttl};
use crate::names::LoadBalancer;
use crate::policy::{
    AffinityPolicy, CookiePolicy, HeaderPolicy, IpCookiePolicy, NoAffinity, Require,
};

mod address;
#[cfg(feature = "serde")]
mod document;
mod extensions;
pub mod gateway_api;
mod invalid;
#[cfg(feature = "serde")]
mod lenient;
#[cfg(feature = "serde")]
mod named;
#[cfg(feature = "serde")]
mod object;
mod pool;
mod pool_order;
mod pool_steering;
mod pools;
#[cfg(feature = "serde")]
mod written;

#[cfg(feature = "serde")]
pub use document::{InvalidDocument, read_strict};
pub use extensions::{BoundedLoadConfig, CarrierConfig, CookieConfig, Extensions};
pub use invalid::InvalidConfig;
pub use pool::{LoadSheddingConfig, OriginConfig, OriginSteering, PoolConfig, SteeringPolicy};
pub use pool_steering::{PoolSteeringPolicy, RandomSteering};

/// The session affinity of a load balancer, under the names of Cloudflare's Load Balancing API.
/// [`Affinity::from_config`] checks it.
///
/// With the feature `serde` it reads a load balancer as Cloudflare's API returns it: unknown
/// keys are ignored, null means the default, numbers may be floats, `""` means `none`.
/// The [`extensions`](Config::extensions) are not part of that object; [`Extensions`] are read from
/// one of their own. `read_strict` refuses unknown keys, for files written by hand.
///
/// ```
/// use session_affinity::{Affinity, Key, Keyring, Secret};
/// use session_affinity::config::{Config, SessionAffinity};
///
/// let secret = Secret::from_base64("dGhpcyBpcyBhbiBleGFtcGxlLCBub3QgYSBzZWNyZXQ=")?;
/// let keyring = Keyring::from(Key::new(1, secret));
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
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[expect(clippy::exhaustive_structs, reason = "written with `..Config::new(…)`")]
pub struct Config {
    /// The name of the load balancer: 1 to 255 bytes without control characters. It is part of
    /// the keys, so a cookie of one load balancer counts as forged at another.
    pub name: String,
    /// The policy that remembers sessions. Default: none.
    pub session_affinity: SessionAffinity,
    /// The life of a session in seconds. `cookie` and `ip_cookie`: 1 800 to 604 800, absolute, default 82 800. `header`: 30
    /// to 3 600, idle, default 1 800.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub session_affinity_ttl: Option<u64>,
    /// The attributes of sessions: cookie, drain, failover, headers.
    pub session_affinity_attributes: SessionAffinityAttributes,
    /// The reach of failover.
    pub adaptive_routing: AdaptiveRouting,
    /// The order of the pools for sessions that begin or move. Default: off, the order of
    /// `default_pools`.
    pub steering_policy: PoolSteeringPolicy,
    /// The weights of the pools, for every `steering_policy` but off.
    pub random_steering: RandomSteering,
    /// The ids of the pools, in failover order; may be empty beside a `fallback_pool`. `None`: all
    /// pools, in the order given to [`Config::pools`].
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub default_pools: Option<Vec<String>>,
    /// The id of the pool that is used when no other is open.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub fallback_pool: Option<String>,
    /// The parameters that Cloudflare does not have.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub extensions: Extensions,
}

/// The policy that remembers sessions. Cloudflare: `session_affinity`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[expect(clippy::exhaustive_enums, reason = "these are Cloudflare's four values")]
pub enum SessionAffinity {
    /// No sessions: [`NoAffinity`]. Read from `""` too.
    #[default]
    #[cfg_attr(feature = "serde", serde(alias = ""))]
    None,
    /// Sessions by signed cookie: [`CookiePolicy`].
    Cookie,
    /// Sessions by signed cookie, begun by the client's address: [`IpCookiePolicy`].
    IpCookie,
    /// Sessions by request headers, in a store: [`HeaderPolicy`].
    Header,
}

/// The attributes of sessions. Cloudflare: `session_affinity_attributes`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[expect(
    clippy::exhaustive_structs,
    reason = "written with `..SessionAffinityAttributes::default()`"
)]
pub struct SessionAffinityAttributes {
    /// The `SameSite` attribute of the cookie. Default: Auto.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "lenient::or_default"))]
    pub samesite: SameSite,
    /// The `Secure` attribute of the cookie. Default: Auto.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "lenient::or_default"))]
    pub secure: Secure,
    /// The time for which a disabled endpoint keeps its sessions, in seconds: 0 to 604 800,
    /// default 0.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "lenient::whole"))]
    pub drain_duration: u64,
    /// The effect of a connection that could not be made on a live session. Default: none.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "lenient::or_default"))]
    pub zero_downtime_failover: FailoverMode,
    /// The headers that make a session key, for `header` only: 1 to 5 entries of 1 to 100
    /// characters, each a field name, `cookie` or `cookie:a,b`.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "lenient::or_default"))]
    pub headers: Vec<String>,
    /// Requires all headers in place of one, for `header` only. Default: false.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "lenient::or_default"))]
    pub require_all_headers: bool,
}

/// The reach of failover. Cloudflare: `adaptive_routing`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[expect(clippy::exhaustive_structs, reason = "written with `..AdaptiveRouting::default()`")]
pub struct AdaptiveRouting {
    /// Lets failover try the other open pools too. Default: false.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "lenient::or_default"))]
    pub failover_across_pools: bool,
}

impl Config {
    /// A configuration of defaults, under this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            session_affinity: SessionAffinity::default(),
            session_affinity_ttl: None,
            session_affinity_attributes: SessionAffinityAttributes::default(),
            adaptive_routing: AdaptiveRouting::default(),
            steering_policy: PoolSteeringPolicy::default(),
            random_steering: RandomSteering::default(),
            default_pools: None,
            fallback_pool: None,
            extensions: Extensions::default(),
        }
    }

    /// The values of absent keys.
    #[cfg(feature = "serde")]
    fn unnamed() -> Self {
        Self::new("")
    }

    fn load_balancer(&self) -> Result<LoadBalancer, InvalidConfig> {
        LoadBalancer::new(self.name.clone()).map_err(InvalidConfig::Name)
    }

    fn cookie_name(&self) -> Result<CookieName, InvalidConfig> {
        Ok(CookieName::new(self.extensions.cookie.name.clone())?)
    }

    fn set_cookie(&self) -> Result<SetCookie, InvalidConfig> {
        let (attributes, extensions) = (&self.session_affinity_attributes, &self.extensions);
        let attributes = CookieAttributes {
            samesite: attributes.samesite,
            secure: attributes.secure,
            path: CookiePath::new(extensions.cookie.path.clone())?,
            domain: extensions.cookie.domain.clone().map(CookieDomain::new).transpose()?,
            partitioned: extensions.cookie.partitioned,
            lifetime: extensions.cookie.lifetime,
            always_use_https: extensions.always_use_https,
        };
        Ok(SetCookie::new(self.cookie_name()?, attributes)?)
    }

    /// The configured lifetime, by Cloudflare's range for the policy.
    fn ttl(&self, default: Ttl, min: u64, max: u64, unit: &'static str) -> Result<Ttl, OutOfRange> {
        let Some(ttl) = self.session_affinity_ttl else { return Ok(default) };
        Ttl::new(OutOfRange::check("session_affinity_ttl", ttl, min..=max, unit)?)
    }

    fn cookie_policy(
        &self,
        name: &LoadBalancer,
        keyring: &Keyring,
        set_cookie: SetCookie,
    ) -> Result<CookiePolicy, InvalidConfig> {
        let unit = " seconds for cookie and ip_cookie";
        let ttl = self.ttl(CookiePolicy::DEFAULT_TTL, 1_800, 604_800, unit)?;
        let clock_skew = ClockSkew::new(self.extensions.clock_skew)?;
        let policy = match &self.extensions.carrier {
            CarrierConfig::Cookie => CookiePolicy::new(name, keyring, set_cookie),
            CarrierConfig::Header(header) => {
                CookiePolicy::in_header(name, keyring, IssuedHeader::new(header)?)
            }
        };
        Ok(policy.with_ttl(ttl).with_clock_skew(clock_skew))
    }

    fn header_policy(&self, name: &LoadBalancer) -> Result<HeaderPolicy, InvalidConfig> {
        let attributes = &self.session_affinity_attributes;
        let secret = self.extensions.session_secret.as_ref();
        let secret = secret.ok_or(InvalidConfig::NoSessionSecret)?;
        let require = if attributes.require_all_headers { Require::All } else { Require::Any };
        let ttl = self.ttl(HeaderPolicy::DEFAULT_TTL, 30, 3_600, " seconds for header")?;
        Ok(HeaderPolicy::new(name, secret, &attributes.headers)?
            .with_require(require)
            .with_own_cookie(self.cookie_name()?)
            .with_ttl(ttl))
    }

    /// Refuses a header as the carrier for a policy that has no token.
    fn check_carrier(&self, session_affinity: &'static str) -> Result<(), InvalidConfig> {
        match &self.extensions.carrier {
            CarrierConfig::Cookie => Ok(()),
            CarrierConfig::Header(header) => {
                Err(InvalidConfig::Carrier { header: header.clone(), session_affinity })
            }
        }
    }

    /// Makes the policy alone, for another one to be put around it. [`Affinity::from_config`] makes
    /// it by itself. The keyring is for the cookie policies.
    ///
    /// ```
    /// use session_affinity::config::{Config, SessionAffinity};
    /// use session_affinity::policy::SlidingPolicy;
    /// use session_affinity::{Affinity, Key, Keyring, Secret};
    ///
    /// let secret = Secret::from_base64("dGhpcyBpcyBhbiBleGFtcGxlLCBub3QgYSBzZWNyZXQ=")?;
    /// let keyring = Keyring::from(Key::new(1, secret));
    /// let config = Config { session_affinity: SessionAffinity::Cookie, ..Config::new("shop.example.com") };
    /// let sliding = SlidingPolicy::new(config.policy(&keyring)?)?;
    /// let affinity = Affinity::new(sliding).with_config(&config)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidConfig`] names the field, what it was and what is allowed. TTL and headers are
    /// checked for the policy that uses them.
    pub fn policy(&self, keyring: &Keyring) -> Result<Box<dyn AffinityPolicy>, InvalidConfig> {
        let name = self.load_balancer()?;
        // The cookie is checked for every policy: a configuration that is changed from
        // `none` to `cookie` ought not to fail then.
        let set_cookie = self.set_cookie()?;
        Ok(match self.session_affinity {
            SessionAffinity::None => {
                self.check_carrier("none")?;
                Box::new(NoAffinity::new(&name))
            }
            SessionAffinity::Cookie => Box::new(self.cookie_policy(&name, keyring, set_cookie)?),
            SessionAffinity::IpCookie => {
                Box::new(IpCookiePolicy::new(self.cookie_policy(&name, keyring, set_cookie)?))
            }
            SessionAffinity::Header => {
                self.check_carrier("header")?;
                Box::new(self.header_policy(&name)?)
            }
        })
    }
}

impl Affinity {
    /// Creates an affinity from a configuration. The keyring is for the cookie policies.
    ///
    /// # Errors
    /// [`InvalidConfig`] names the field, what it was and what is allowed. TTL and headers
    /// are checked for the policy that uses them.
    pub fn from_config(config: &Config, keyring: &Keyring) -> Result<Self, InvalidConfig> {
        Self::new(config.policy(keyring)?).with_config(config)
    }
}

impl<P: AffinityPolicy> Affinity<P> {
    /// Sets all parameters but those of the policy as a configuration has them, for a policy that
    /// is put around that of [`Config::policy`], or takes its place. Without a `move_within` in the
    /// configuration, that of the affinity stays.
    ///
    /// # Errors
    /// [`InvalidConfig`] names the field, what it was and what is allowed.
    pub fn with_config(self, config: &Config) -> Result<Self, InvalidConfig> {
        let (attributes, extensions) = (&config.session_affinity_attributes, &config.extensions);
        let scope = match config.adaptive_routing.failover_across_pools {
            false => FailoverScope::OwnPool,
            true => FailoverScope::AllPools,
        };
        let cache_guard =
            if extensions.cache_guard { CacheGuard::MakePrivate } else { CacheGuard::LeaveAsIs };
        ClockSkew::new(extensions.clock_skew)?;
        extensions.bound()?;
        let affinity = self
            .with_failover_mode(attributes.zero_downtime_failover)
            .map_err(InvalidConfig::FailoverMode)?
            .with_failover_scope(scope)
            .with_retries(Retries::new(extensions.retries)?)
            .with_drain_duration(DrainDuration::new(attributes.drain_duration)?)
            .with_cooling_off(CoolingOff::new(extensions.cooling_off)?)
            .with_on_loss(extensions.on_loss)
            .with_ipv6_prefix(Ipv6Prefix::new(extensions.ipv6_prefix)?)
            .with_cache_guard(cache_guard);
        Ok(match extensions.move_within {
            None => affinity,
            Some(move_within) => affinity.with_move_within(move_within),
        })
    }
}
