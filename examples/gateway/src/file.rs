//! The configuration file as it is written. Its values are checked in `settings.rs`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::de::{Deserialize, Deserializer, Error};
use session_affinity::config::{Config, Extensions, PoolConfig};

use crate::args::ADDRESS;
use crate::flat::flat_object;
use crate::fleet::FleetEntry;
use crate::forwarded::Network;
use crate::json::{Object, some, some_count};
use crate::keys::KeyEntry;
use crate::store::StoreTls;

/// The gateway's own keys of the configuration file. `load_balancer` and `pools` are read by the
/// crate, as Cloudflare's API writes them. Beside these keys stand those of the crate's
/// `Extensions`; any other key is an error.
#[derive(serde::Deserialize)]
pub(crate) struct File {
    #[serde(default, deserialize_with = "address")]
    pub(crate) listen: Option<SocketAddr>,
    #[serde(default, deserialize_with = "address")]
    pub(crate) admin: Option<SocketAddr>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) keys: Option<Vec<Object<KeyEntry>>>,
    #[serde(default)]
    pub(crate) trusted_proxies: Vec<Network>,
    #[serde(default)]
    pub(crate) forwarded_ports: bool,
    #[serde(default)]
    pub(crate) proxy_protocol: bool,
    #[serde(default, deserialize_with = "some_count")]
    pub(crate) connect_timeout_ms: Option<u64>,
    #[serde(default, deserialize_with = "some_count")]
    pub(crate) max_connections: Option<u64>,
    #[serde(default, deserialize_with = "some_count")]
    pub(crate) max_head_bytes: Option<u64>,
    #[serde(default, deserialize_with = "some_count")]
    pub(crate) head_timeout_ms: Option<u64>,
    #[serde(default, deserialize_with = "some_count")]
    pub(crate) answer_timeout_ms: Option<u64>,
    #[serde(default, deserialize_with = "some_count")]
    pub(crate) body_idle_timeout_ms: Option<u64>,
    #[serde(default, deserialize_with = "some_count")]
    pub(crate) tunnel_idle_timeout_ms: Option<u64>,
    #[serde(default, deserialize_with = "some_count")]
    pub(crate) shutdown_timeout_ms: Option<u64>,
    #[serde(default)]
    pub(crate) explain: bool,
    #[serde(default, deserialize_with = "some")]
    pub(crate) store: Option<String>,
    #[serde(default, deserialize_with = "some_count")]
    pub(crate) store_deadline_ms: Option<u64>,
    #[serde(default, deserialize_with = "some_count")]
    pub(crate) store_write_deadline_ms: Option<u64>,
    #[serde(default, deserialize_with = "some_count")]
    pub(crate) store_outage_sessions: Option<u64>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) store_tls: Option<Object<StoreTls>>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) store_file: Option<PathBuf>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) fleet: Option<Object<FleetEntry>>,
    pub(crate) load_balancer: Config,
    pub(crate) pools: Vec<PoolConfig>,
}

/// Reads the file.
pub(crate) fn read(path: &Path) -> Result<File, String> {
    let text = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    parse(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Reads the text of a file. The extensions become those of `load_balancer`.
pub(crate) fn parse(text: &[u8]) -> Result<File, String> {
    let (mut file, extensions): (File, Extensions) = flat_object(text)?;
    file.load_balancer.extensions = extensions;
    Ok(file)
}

fn address<'de, D: Deserializer<'de>>(input: D) -> Result<Option<SocketAddr>, D::Error> {
    let address = String::deserialize(input)?.parse();
    address.map(Some).map_err(|_| D::Error::custom(format_args!("expected {ADDRESS}")))
}
