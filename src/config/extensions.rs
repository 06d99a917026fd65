//! The parameters that Cloudflare does not have.

use crate::cookies::{CookieName, Lifetime};
use crate::failover::{MoveWithin, OnLoss};
use crate::keys::Secret;
use crate::limits::{BoundedLoad, ClockSkew, CoolingOff, Ipv6Prefix, OutOfRange, Retries};

/// The parameters that Cloudflare does not have, unchecked.
///
/// With the feature `serde` they are read from an object with the names of the fields. An absent
/// key means the default; an unknown key is an error, and so is null, except for the bounded load,
/// `move_within` and the domain of the cookie. The session secret is written in base64 (standard alphabet,
/// padded). Serializing leaves it out: a [`Secret`] does not keep its bytes.
///
/// ```
/// # #[cfg(feature = "serde")] {
/// use session_affinity::config::Extensions;
/// let read: Extensions = serde_json::from_str(r#"{ "retries": 2, "cookie": { "name": "lb" } }"#)?;
/// assert_eq!((read.retries, read.cookie.name.as_str(), read.cookie.path.as_str()), (2, "lb", "/"));
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[expect(clippy::exhaustive_structs, reason = "written with `..Extensions::default()`")]
pub struct Extensions {
    /// The number of further endpoints that one request may try: 1 to 8, default 1.
    pub retries: u64,
    /// The number of leading bits of an IPv6 address that tell clients apart: 1 to 128, default
    /// 64.
    pub ipv6_prefix: u64,
    /// The number of seconds that other nodes' clocks may be ahead: 0 to 86 400, default 300.
    pub clock_skew: u64,
    /// The number of seconds for which an endpoint is a suspect after a passive failure: 0 to 300,
    /// default 0.
    pub cooling_off: u64,
    /// The effect on a live session of an endpoint that does not take it: `move`, `lend` or
    /// `refuse`. Default: move.
    pub on_loss: OnLoss,
    /// The pool in which a session that moves looks first: `order` or `own_pool`. Default: `order`
    /// with the `steering_policy` off, `own_pool` with any other.
    pub move_within: Option<MoveWithin>,
    /// The most that an endpoint may carry, for each pool, by the load that `in_flight` of
    /// [`Config::pools`](super::Config::pools) returns. Default: none, no endpoint is ever full.
    pub bounded_load: Option<BoundedLoadConfig>,
    /// States that requests over http are redirected to https. Default: false.
    pub always_use_https: bool,
    /// Keeps responses with the affinity cookie out of shared caches. Default: true.
    pub cache_guard: bool,
    /// The secret of the session keys: at least 32 bytes. Required for `header`, unused otherwise.
    #[cfg_attr(feature = "serde", serde(skip_serializing))]
    pub session_secret: Option<Secret>,
    /// The carrier of the token. Default: a cookie.
    pub carrier: CarrierConfig,
    /// The name, the reach and the lifetime of the cookie.
    pub cookie: CookieConfig,
}

/// The most that an endpoint may carry, unchecked. Both numbers are required.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[expect(clippy::exhaustive_structs, reason = "the two numbers of the rule")]
pub struct BoundedLoadConfig {
    /// The percentage of its share of the pool's load that an endpoint may carry: 100 to 1 000.
    pub percent: u64,
    /// The load that each endpoint may carry whatever its share is: 1 or more.
    pub at_least: u64,
}

impl Extensions {
    /// Returns the bound on load, checked.
    pub(super) fn bound(&self) -> Result<Option<BoundedLoad>, OutOfRange> {
        self.bounded_load.map(|it| BoundedLoad::new(it.percent, it.at_least)).transpose()
    }
}

/// The carrier of the token, for `cookie` and `ip_cookie`. With the feature `serde` it is read from
/// `"cookie"` or `{ "header": "x-session-affinity" }`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[expect(clippy::exhaustive_enums, reason = "a token comes by a cookie or by a header")]
pub enum CarrierConfig {
    /// The cookie that [`Extensions::cookie`] describes.
    #[default]
    Cookie,
    /// A header of this name, which the gateway issues. See
    /// [`IssuedHeader`](crate::carrier::IssuedHeader).
    Header(String),
}

/// The name, the reach and the lifetime of the cookie. The attributes that Cloudflare has are in
/// [`SessionAffinityAttributes`](super::SessionAffinityAttributes).
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
#[expect(clippy::exhaustive_structs, reason = "written with `..CookieConfig::default()`")]
pub struct CookieConfig {
    /// The name of the cookie. Default: `__cflb`.
    pub name: String,
    /// The path of the cookie. Default: `/`.
    pub path: String,
    /// The domain of the cookie. Default: none, so the cookie is for one host.
    pub domain: Option<String>,
    /// Keeps the cookie apart for each top-level site. Default: false.
    pub partitioned: bool,
    /// The time for which clients keep the cookie. Default: permanent.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "super::named::lifetime"))]
    pub lifetime: Lifetime,
}

impl Default for Extensions {
    fn default() -> Self {
        Self {
            retries: Retries::default().get().into(),
            ipv6_prefix: Ipv6Prefix::default().get().into(),
            clock_skew: ClockSkew::default().get(),
            cooling_off: CoolingOff::default().get(),
            on_loss: OnLoss::default(),
            move_within: None,
            bounded_load: None,
            always_use_https: false,
            cache_guard: true,
            session_secret: None,
            carrier: CarrierConfig::Cookie,
            cookie: CookieConfig::default(),
        }
    }
}

impl Default for CookieConfig {
    fn default() -> Self {
        Self {
            name: CookieName::default().as_str().into(),
            path: "/".into(),
            domain: None,
            partitioned: false,
            lifetime: Lifetime::Permanent,
        }
    }
}
