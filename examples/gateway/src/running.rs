//! A gateway that runs, from its first bound port to the end of the last request.

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use session_affinity::{Endpoint, EndpointId, Health};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::address::Address;
use crate::control::Control;
use crate::file::{self, File};
use crate::fleet;
use crate::handover;
use crate::listener;
use crate::proxy::Gateway;
use crate::settings::Settings;
use crate::store;
use crate::upstream::Upstream;
use crate::warn;
use crate::warning::Warnings;

/// A gateway that runs in the Tokio runtime in which it was started. It stops when this is dropped.
pub struct Running {
    /// The address at which clients are served.
    pub address: SocketAddr,
    /// The address of the admin listener.
    pub admin: SocketAddr,
    gateway: Arc<Gateway>,
    control: Arc<Control>,
    store_file: Option<PathBuf>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    serving_admin: JoinHandle<()>,
    reporting: JoinHandle<()>,
    beating: JoinHandle<()>,
}

impl Running {
    /// Starts a gateway. `file` is the content of a configuration file, of which the warnings are
    /// dropped.
    ///
    /// # Errors
    /// One line that names the field, and what was expected.
    pub async fn start(file: &str) -> Result<Self, String> {
        let settings = Settings::new(file::parse(file.as_bytes())?)?;
        let (listen, admin) = (settings.listen, settings.admin);
        Self::with_settings(settings, listen, admin).await
    }

    /// Starts a gateway that listens on these addresses instead of those of its file.
    pub(crate) async fn with_settings(
        settings: Settings,
        listen: SocketAddr,
        admin: SocketAddr,
    ) -> Result<Self, String> {
        store::connect(&settings.store).await?;
        let (listener, address) = bind("listen", listen).await?;
        let (admin_listener, admin) = bind("admin", admin).await?;
        let (stop, stopped) = watch::channel(false);
        let control = settings.control();
        let store_file = settings.store_file.clone();
        let gateway = Arc::new(Gateway::new(settings, stopped.clone()));
        let control = Arc::new(control(gateway.clone()));
        if let Some(path) = &store_file {
            let (life, now) = (gateway.affinity.load().life(), gateway.clock.now());
            let restored = handover::restore(path, &gateway.store, life, now);
            restored.unwrap_or_else(|error| {
                warn(&format!("store_file: {error}; no session is taken over"));
            });
        }
        fleet::begin(&gateway).await;
        let serving = tokio::spawn(listener::serve(listener, gateway.clone(), stopped));
        let serving_admin = tokio::spawn(listener::serve_admin(admin_listener, control.clone()));
        let reporter = gateway.clone();
        let reporting = tokio::spawn(async move { fleet::report(&reporter).await });
        Ok(Self {
            address,
            admin,
            gateway,
            control,
            store_file,
            stop,
            serving,
            serving_admin,
            reporting,
            beating: tokio::spawn(beat()),
        })
    }

    /// Replaces the endpoints of a pool, as discovery does: those that are there already keep their
    /// health, weight, state and marks, and new ones are healthy.
    ///
    /// # Errors
    /// One line that names the pool or the endpoint that is refused. Then nothing has changed.
    pub fn set_origins(&self, pool: &str, origins: &[(String, SocketAddr)]) -> Result<(), String> {
        let changed = self.gateway.pools.update(|pools| {
            let others = pools.iter().filter(|other| other.name() != pool);
            let count = others.map(|other| other.endpoints().count()).sum::<usize>();
            let share = self.gateway.limits.idle_upstreams();
            let share = share.checked_div(count.saturating_add(origins.len())).unwrap_or(share);
            let endpoints = origins.iter().map(|(name, address)| {
                let known = pools.target(EndpointId::new(pool, name));
                let upstream = match known.filter(|known| known.is_at(*address)) {
                    Some(known) => known.clone(),
                    None => Arc::new(Upstream::new(Address::Ip(*address), share)),
                };
                Endpoint::new(name.as_str(), upstream)
            });
            pools.with_endpoints_of(pool, endpoints, Health::Healthy)
        });
        changed.map(drop).map_err(|error| error.to_string())
    }

    /// Stops when the requests in flight have ended, or when their time is over. Tunnels are closed
    /// at once.
    pub(crate) async fn stop(mut self) -> Result<(), String> {
        // An error means that all receivers are gone, so there is nothing left to stop.
        let _ = self.stop.send(true);
        let shutdown = self.gateway.limits.shutdown;
        let ended = match tokio::time::timeout(shutdown, &mut self.serving).await {
            Ok(ended) => ended.map_err(|error| format!("the listener failed: {error}")),
            Err(_) => {
                Warnings::about("shutdown").warn(&InFlight(shutdown));
                Ok(())
            }
        };
        // The store may still be writing the sessions of the last responses.
        self.gateway.store.finish().await;
        if let Some(path) = &self.store_file {
            let written = handover::write(path, &self.gateway.store, self.gateway.clock.now());
            written.unwrap_or_else(|error| warn(&format!("store_file: {error}")));
        }
        ended
    }

    /// Takes over a file that was read again: see [`Control::reload`].
    pub(crate) fn reload(&self, file: File) -> Result<Vec<String>, String> {
        self.control.reload(file)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The other listener ends with the sender of `stop`.
        self.serving_admin.abort();
        self.reporting.abort();
        self.beating.abort();
    }
}

/// Shows the two addresses.
impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("address", &self.address)
            .field("admin", &self.admin)
            .finish_non_exhaustive()
    }
}

/// The requests that were still in flight when the time of a shutdown was over.
#[derive(Debug)]
struct InFlight(Duration);

impl fmt::Display for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "requests are still in flight after {} ms, and are cut off", self.0.as_millis())
    }
}

impl Error for InFlight {}

/// Keeps a timer that is due within a second. Tokio wakes its thread by a system call, `write` to an
/// eventfd, for every timer that is due before all others, and without this one that is nearly every
/// request: the next one's head is due in 15 seconds, before the answers that are due in 60.
async fn beat() {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn bind(field: &str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), String> {
    let unbound = |error| format!("{field}: {address} cannot be bound: {error}");
    let listener = TcpListener::bind(address).await.map_err(unbound)?;
    let bound = listener.local_addr().map_err(unbound)?;
    Ok((listener, bound))
}
