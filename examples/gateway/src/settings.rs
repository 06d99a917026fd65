//! The settings of the gateway: the contents of the file, checked before any address is bound.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use session_affinity::config::{Config, InvalidConfig, OriginConfig, PoolConfig, SessionAffinity};
use session_affinity::cookies::CookieName;
use session_affinity::store::AnyStore;
use session_affinity::{Affinity, Health, Keyring, Pools, Secret};

use crate::address::{ALLOWED, Address};
use crate::control::Control;
use crate::file::File;
use crate::fleet::Fleet;
use crate::forwarded::{Ports, TrustedProxies};
use crate::json::Object;
use crate::keys;
use crate::limits::Limits;
use crate::proxy::Gateway;
use crate::proxy_protocol::ProxyProtocol;
use crate::store::{self, StoreKeys};
use crate::upstream::{self, Upstream};

pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) trusted: TrustedProxies,
    pub(crate) proxy_protocol: ProxyProtocol,
    pub(crate) limits: Limits,
    pub(crate) explain: bool,
    pub(crate) cookie: CookieName,
    pub(crate) affinity: Affinity,
    pub(crate) pools: Pools<Arc<Upstream>>,
    pub(crate) store: AnyStore,
    pub(crate) fleet: Option<Fleet>,
    pub(crate) warnings: Vec<String>,
    config: Config,
    keyring: Keyring,
}

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

impl Settings {
    /// Checks a file.
    pub(crate) fn new(mut file: File) -> Result<Self, String> {
        let mut warnings = Vec::new();
        let keyring = keyring(&mut file, &mut warnings)?;
        let pool_configs = std::mem::take(&mut file.pools);
        let limits = Limits::new(&file, &mut warnings)?;
        let mut config = file.load_balancer;
        if config.session_affinity == SessionAffinity::Header
            && config.extensions.session_secret.is_none()
        {
            config.extensions.session_secret = Some(last(&keyring));
            warnings.push(
                "session_secret is not set: the last of the keys takes its place until the end"
                    .into(),
            );
        }
        let cookie = CookieName::new(config.extensions.cookie.name.clone())
            .map_err(|error| in_the_file(error.into()))?;
        let affinity = Affinity::from_config(&config, &keyring).map_err(in_the_file)?;
        let store = store::open(
            StoreKeys {
                store: file.store.take(),
                deadline: file.store_deadline_ms,
                write_deadline: file.store_write_deadline_ms,
                outage_sessions: file.store_outage_sessions,
                tls: file.store_tls.take().map(|Object(tls)| tls),
            },
            affinity.load_balancer(),
        )?;
        let fleet = file.fleet.take().map(|Object(fleet)| fleet);
        let fleet = Fleet::new(fleet, store.memory().is_none())?;
        let ports = if file.forwarded_ports { Ports::Ignored } else { Ports::Refused };
        Ok(Self {
            listen: file.listen.unwrap_or(LOOPBACK),
            admin: file.admin.unwrap_or(LOOPBACK),
            trusted: TrustedProxies::new(std::mem::take(&mut file.trusted_proxies), ports),
            proxy_protocol: match file.proxy_protocol {
                true => ProxyProtocol::FromTrusted,
                false => ProxyProtocol::Off,
            },
            limits,
            explain: file.explain,
            cookie,
            affinity,
            store,
            fleet,
            pools: pools(&config, &pool_configs, limits.idle_upstreams())?,
            warnings,
            config,
            keyring,
        })
    }

    /// Returns a function that makes the administrator's control of a gateway with these settings.
    pub(crate) fn control(&self) -> impl FnOnce(Arc<Gateway>) -> Control + use<> {
        let (config, keyring) = (self.config.clone(), self.keyring.clone());
        move |gateway| Control::new(gateway, config, keyring)
    }
}

fn keyring(file: &mut File, warnings: &mut Vec<String>) -> Result<Keyring, String> {
    match file.keys.take() {
        Some(keys) => Keyring::new(keys.into_iter().map(|Object(key)| key.into()))
            .map_err(|error| error.to_string()),
        None => {
            warnings.push(
                "keys is not set: a random key is used, and sessions end with this process".into(),
            );
            keys::random().map(Keyring::from)
        }
    }
}

fn last(keyring: &Keyring) -> Secret {
    keyring.keys().last().unwrap_or(keyring.signing()).secret().clone()
}

/// Returns the message of an error of the crate, which names the fields as the file does. The name
/// of the load balancer is one of many names there.
fn in_the_file(error: InvalidConfig) -> String {
    match error {
        InvalidConfig::Name(_) => format!("load_balancer.{error}"),
        _ => error.to_string(),
    }
}

/// `idle` is the number of idle connections that all endpoints may have.
fn pools(
    config: &Config,
    pools: &[PoolConfig],
    idle: usize,
) -> Result<Pools<Arc<Upstream>>, String> {
    let endpoints: usize = pools.iter().map(|pool| pool.origins.len()).sum();
    let share = idle.checked_div(endpoints).unwrap_or(idle);

    for pool in pools {
        for origin in &pool.origins {
            address(pool, origin)?;
        }
    }
    // Each address has been read once already, so the substitute is never used.
    let target = |pool: &PoolConfig, origin: &OriginConfig| {
        Arc::new(Upstream::new(address(pool, origin).unwrap_or(Address::Ip(LOOPBACK)), share))
    };
    // The administrator sets health; until then an endpoint is taken to be well.
    config.pools(pools, Health::Healthy, target, upstream::in_flight).map_err(in_the_file)
}

fn address(pool: &PoolConfig, origin: &OriginConfig) -> Result<Address, String> {
    origin.authority().parse().map_err(|()| {
        let (pool, name, address) = (&pool.id, &origin.name, &origin.address);
        format!("pools[{pool}].origins[{name}].address is {address:?}; allowed: {ALLOWED}")
    })
}
