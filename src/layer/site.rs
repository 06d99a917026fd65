//! A gateway for programs that need no other: an affinity, pools and a store.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use http::request::Parts;

use super::{Client, Gateway};
use crate::affinity::Affinity;
use crate::policy::AffinityPolicy;
use crate::pools::{LivePools, Pools};
use crate::store::AnyStore;

/// An affinity, pools and a store in one value, for an [`AffinityLayer`](super::AffinityLayer).
/// Keep an `Arc` of it for health checks, discovery and the rotation of keys, which change it while
/// requests are served. A program with a clock or a store of its own implements [`Gateway`].
///
/// ```
/// use std::sync::Arc;
/// use session_affinity::layer::{AffinityLayer, Site};
/// use session_affinity::{Affinity, Endpoint, EndpointId, Health, LoadBalancer, NoAffinity, Pool, Pools};
///
/// let affinity = Affinity::new(NoAffinity::new(&LoadBalancer::new("shop.example.com")?));
/// let eu = Pool::new("eu").with_endpoint(Endpoint::new("eu-1", "10.0.0.1:80"));
/// let site = Arc::new(Site::new(affinity, Pools::builder().pool(eu).build()?));
/// let layer = AffinityLayer::new(site.clone());
///
/// // A health check:
/// let id = EndpointId::new("eu", "eu-1");
/// site.live_pools().edit(|edit| edit.health(id, Health::Unhealthy))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Site<T, P = Box<dyn AffinityPolicy>> {
    affinity: RwLock<Arc<Affinity<P>>>,
    pools: LivePools<T>,
    store: AnyStore,
    client: Box<dyn Fn(&Parts) -> Client + Send + Sync>,
}

impl<T, P> Site<T, P> {
    /// Creates a site without a store, whose clients are unknown and come over http.
    pub fn new(affinity: Affinity<P>, pools: Pools<T>) -> Self {
        Self {
            affinity: RwLock::new(Arc::new(affinity)),
            pools: LivePools::new(pools),
            store: AnyStore::unset(),
            client: Box::new(|_| Client::default()),
        }
    }

    /// Sets the store of header sessions. Without a call of this, a header session panics in debug
    /// builds, as [`NoStore`](crate::store::NoStore) does, and goes by its stable choice in release
    /// builds. [`AnyStore::none`] says that this is meant.
    #[must_use]
    pub fn with_store(mut self, store: impl Into<AnyStore>) -> Self {
        self.store = store.into();
        self
    }

    /// Sets the function that works out the client of a request: see [`Gateway::client`].
    #[must_use]
    pub fn with_client(
        mut self,
        client: impl Fn(&Parts) -> Client + Send + Sync + 'static,
    ) -> Self {
        self.client = Box::new(client);
        self
    }

    /// Returns the current pools, to be changed by health checks and discovery.
    pub fn live_pools(&self) -> &LivePools<T> {
        &self.pools
    }

    /// Replaces the affinity, where keys rotate or a configuration is reloaded. It holds from the
    /// next request on.
    pub fn set_affinity(&self, affinity: Affinity<P>) {
        *self.affinity.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(affinity);
    }
}

impl<T, P> Gateway for Site<T, P>
where
    T: Clone + Send + Sync + 'static,
    P: AffinityPolicy + 'static,
{
    type Policy = P;
    type Target = T;
    type Store = AnyStore;

    fn affinity(&self) -> Arc<Affinity<P>> {
        self.affinity.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn pools(&self) -> Arc<Pools<T>> {
        self.pools.load()
    }

    fn client(&self, head: &Parts) -> Client {
        (self.client)(head)
    }

    fn store(&self) -> &AnyStore {
        &self.store
    }
}

/// Shows the store alone: the pools are long, and the affinity is behind a lock.
impl<T, P> fmt::Debug for Site<T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").field("store", &self.store).finish_non_exhaustive()
    }
}
