//! The parameters that Cloudflare does not have.

use crate::cookies::CookieName;
use crate::keys::Secret;
use crate::limits::{ClockSkew, CoolingOff, Ipv6Prefix, Retries};

/// The parameters that Cloudflare does not have, unchecked.
#[derive(Clone, Debug, PartialEq)]
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
    /// States that requests over http are redirected to https. Default: false.
    pub always_use_https: bool,
    /// Keeps responses with the affinity cookie out of shared caches. Default: true.
    pub cache_guard: bool,
    /// The secret of the session keys: at least 32 bytes. Required for `header`, unused otherwise.
    pub session_secret: Option<Secret>,
    /// The name of the cookie. Default: `__cflb`.
    pub cookie_name: String,
    /// The path of the cookie. Default: `/`.
    pub cookie_path: String,
    /// The domain of the cookie. Default: none, so the cookie is for one host.
    pub cookie_domain: Option<String>,
    /// Keeps the cookie apart for each top-level site. Default: false.
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
