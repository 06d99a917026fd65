//! The configuration file as it is written. Its values are checked in `settings.rs`.

use std::net::SocketAddr;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, Error};
use session_affinity::Secret;
use session_affinity::config::{Config, PoolConfig};

use crate::args::ADDRESS;
use crate::forwarded::Network;
use crate::json::{Object, object, of_object, some, some_count, some_object};
use crate::keys::{KeyEntry, some_secret};

/// The configuration file. `load_balancer` and `pools` are read by the crate, as Cloudflare's API
/// writes them. The other keys are the gateway's own, and an unknown one is an error.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    #[serde(default, deserialize_with = "address")]
    pub(crate) listen: Option<SocketAddr>,
    #[serde(default, deserialize_with = "address")]
    pub(crate) admin: Option<SocketAddr>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) keys: Option<Vec<Object<KeyEntry>>>,
    #[serde(default)]
    pub(crate) trusted_proxies: Vec<Network>,
    #[serde(default, deserialize_with = "some_count")]
    pub(crate) connect_timeout_ms: Option<u64>,
    #[serde(default)]
    pub(crate) explain: bool,
    #[serde(default, deserialize_with = "some")]
    pub(crate) store: Option<String>,
    #[serde(default, deserialize_with = "some_count")]
    pub(crate) store_deadline_ms: Option<u64>,
    #[serde(default, deserialize_with = "some_secret")]
    pub(crate) session_secret: Option<Secret>,
    #[serde(default)]
    pub(crate) always_use_https: bool,
    #[serde(default, deserialize_with = "some_count")]
    pub(crate) retries: Option<u64>,
    #[serde(default, deserialize_with = "some_count")]
    pub(crate) cooling_off: Option<u64>,
    #[serde(default, deserialize_with = "some_count")]
    pub(crate) clock_skew: Option<u64>,
    #[serde(default, deserialize_with = "some_count")]
    pub(crate) ipv6_prefix: Option<u64>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) cache_guard: Option<bool>,
    #[serde(default, deserialize_with = "some_object")]
    pub(crate) cookie: Option<Cookie>,
    #[serde(deserialize_with = "of_object")]
    pub(crate) load_balancer: Config,
    pub(crate) pools: Vec<Object<PoolConfig>>,
}

/// The cookie, as `Extensions` of the crate has it.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cookie {
    #[serde(default, deserialize_with = "some")]
    pub(crate) name: Option<String>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) path: Option<String>,
    /// The domain of the cookie. Null is allowed, and means the host that set the cookie.
    #[serde(default)]
    pub(crate) domain: Option<String>,
    #[serde(default)]
    pub(crate) partitioned: bool,
}

/// Reads the file.
pub(crate) fn read(path: &Path) -> Result<File, String> {
    let text = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    object(&text).map_err(|error| format!("{}: {error}", path.display()))
}

fn address<'de, D: Deserializer<'de>>(input: D) -> Result<Option<SocketAddr>, D::Error> {
    let address = String::deserialize(input)?.parse();
    address.map(Some).map_err(|_| D::Error::custom(format_args!("expected {ADDRESS}")))
}
