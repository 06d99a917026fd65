//! The settings of the gateway: the contents of the file, checked before any address is bound.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use session_affinity::config::{Config, InvalidConfig, OriginConfig, PoolConfig};
use session_affinity::store::AnyStore;
use session_affinity::{Affinity, Health, LoadBalancer, Pools};

use crate::address::{ALLOWED, Address};
use crate::control::Control;
use crate::file::File;
use crate::fixed::Fixed;
use crate::fleet::Fleet;
use crate::json::Object;
use crate::limits::Limits;
use crate::proxy::Gateway;
use crate::proxy_protocol::ProxyProtocol;
use crate::store::{self, StoreKeys};
use crate::terms::{Live, Terms};
use crate::upstream::{self, Upstream};

pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) proxy_protocol: ProxyProtocol,
    pub(crate) limits: Limits,
    pub(crate) live: Live,
    pub(crate) affinity: Affinity,
    pub(crate) pools: Pools<Arc<Upstream>>,
    pub(crate) store: AnyStore,
    pub(crate) store_file: Option<PathBuf>,
    pub(crate) fleet: Option<Fleet>,
    pub(crate) warnings: Vec<String>,
    terms: Terms,
    fixed: Fixed,
}

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

impl Settings {
    /// Checks a file.
    pub(crate) fn new(mut file: File) -> Result<Self, String> {
        let mut warnings = Vec::new();
        let fixed = Fixed::of(&file);
        let (terms, affinity, live) = Terms::new(&mut file, None, &mut warnings)?;
        let (store, fleet) = shared(&mut file, affinity.load_balancer())?;
        Ok(Self {
            listen: file.listen.unwrap_or(LOOPBACK),
            admin: file.admin.unwrap_or(LOOPBACK),
            proxy_protocol: match file.proxy_protocol {
                true => ProxyProtocol::FromTrusted,
                false => ProxyProtocol::Off,
            },
            limits: live.limits,
            pools: pools(&terms, live.limits.idle_upstreams())?,
            live,
            affinity,
            store,
            store_file: file.store_file.take(),
            fleet,
            warnings,
            terms,
            fixed,
        })
    }

    /// Returns a function that makes the administrator's control of a gateway with these settings.
    pub(crate) fn control(&self) -> impl FnOnce(Arc<Gateway>) -> Control + use<> {
        let (terms, fixed) = (self.terms.clone(), self.fixed.clone());
        move |gateway| Control::new(gateway, terms, fixed)
    }
}

/// Opens the store of a file, and reads what the file says of a fleet.
fn shared(file: &mut File, name: &LoadBalancer) -> Result<(AnyStore, Option<Fleet>), String> {
    let store = store::open(
        StoreKeys {
            store: file.store.take(),
            deadline: file.store_deadline_ms,
            write_deadline: file.store_write_deadline_ms,
            outage_sessions: file.store_outage_sessions,
            tls: file.store_tls.take().map(|Object(tls)| tls),
            file: file.store_file.is_some(),
        },
        name,
    )?;
    let fleet = file.fleet.take().map(|Object(fleet)| fleet);
    let fleet = Fleet::new(fleet, store.memory().is_none())?;
    Ok((store, fleet))
}

/// Checks the fields of a file that take effect at the next start, and which [`Terms::new`] does not
/// check: without this a restart would be the first to refuse them.
pub(crate) fn check_fixed(file: &mut File) -> Result<(), String> {
    let name = LoadBalancer::new(file.load_balancer.name.clone());
    let name = name.map_err(|error| in_the_file(InvalidConfig::Name(error)))?;
    shared(file, &name).map(drop)
}

/// Returns the message of an error of the crate, which names the fields as the file does. The name
/// of the load balancer is one of many names there.
pub(crate) fn in_the_file(error: InvalidConfig) -> String {
    match error {
        InvalidConfig::Name(_) => format!("load_balancer.{error}"),
        _ => error.to_string(),
    }
}

/// Returns the first snapshot. `idle` is the number of idle connections that all endpoints may have.
fn pools(terms: &Terms, idle: usize) -> Result<Pools<Arc<Upstream>>, String> {
    let Terms { config, pools, .. } = terms;
    check(pools)?;
    let target = |pool: &PoolConfig, origin: &OriginConfig| target(pool, origin, pools, idle);
    // The administrator sets health; until then an endpoint is taken to be well.
    config.pools(pools, Health::Healthy, target, upstream::in_flight).map_err(in_the_file)
}

/// Returns the next snapshot, of a file that was read again. An endpoint whose address is the same
/// keeps its connections and its counts.
pub(crate) fn rebuilt(
    config: &Config,
    pools: &[PoolConfig],
    before: &Pools<Arc<Upstream>>,
    idle: usize,
) -> Result<Pools<Arc<Upstream>>, String> {
    check(pools)?;
    let target = |pool: &PoolConfig, origin: &OriginConfig, before: Option<&Arc<Upstream>>| {
        let target = target(pool, origin, pools, idle);
        let known =
            before.filter(|known| known.address().to_string() == target.address().to_string());
        known.cloned().unwrap_or(target)
    };
    config.rebuild(before, pools, Health::Healthy, target, upstream::in_flight).map_err(in_the_file)
}

fn check(pools: &[PoolConfig]) -> Result<(), String> {
    let origins = |pool: &PoolConfig| {
        pool.origins.iter().try_for_each(|origin| address(pool, origin).map(|_| ()))
    };
    pools.iter().try_for_each(origins)
}

/// Makes the way to an endpoint, with its share of the idle connections.
fn target(
    pool: &PoolConfig,
    origin: &OriginConfig,
    pools: &[PoolConfig],
    idle: usize,
) -> Arc<Upstream> {
    let endpoints: usize = pools.iter().map(|pool| pool.origins.len()).sum();
    let share = idle.checked_div(endpoints).unwrap_or(idle);
    // Each address has been read once already, so the substitute is never used.
    Arc::new(Upstream::new(address(pool, origin).unwrap_or(Address::Ip(LOOPBACK)), share))
}

fn address(pool: &PoolConfig, origin: &OriginConfig) -> Result<Address, String> {
    origin.authority().parse().map_err(|()| {
        let (pool, name, address) = (&pool.id, &origin.name, &origin.address);
        format!("pools[{pool}].origins[{name}].address is {address:?}; allowed: {ALLOWED}")
    })
}
