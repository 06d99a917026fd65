//! The current snapshot, shared by readers and writers.

use std::fmt;
use std::sync::{Arc, PoisonError};

use super::Pools;
use super::edit::{NotInSnapshot, PoolsEdit};
use crate::sync::{Mutex, RwLock};

/// The current snapshot of the pools, shared by requests, health checks, discovery and operators.
///
/// Each request takes the snapshot of the moment with it: [`load`](LivePools::load) never waits
/// while the next one is made. Writers are let in one at a time, and each change is made from the
/// snapshot that the writer before left, so none is lost. No method stores a snapshot that was made
/// elsewhere, from one that may be out of date.
///
/// ```
/// use session_affinity::pools::LivePools;
/// use session_affinity::{Endpoint, EndpointId, Health, Pool, Pools};
///
/// let pools = Pools::builder().pool(Pool::new("eu")).pool(Pool::new("us")).build()?;
/// let live: LivePools<String> = pools.into();
///
/// // Discovery: a list of endpoints replaces the one of this pool before. An endpoint that was there
/// // keeps its health, weight, state and marks; a new one waits for its first health check.
/// let discovered = |found: &[(&str, &str)]| {
///     live.update(|now| {
///         let endpoints = found.iter().map(|(name, address)| {
///             let id = EndpointId::new("eu", name);
///             let known = now.target(id).filter(|target| target == address);
///             Endpoint::new(*name, known.cloned().unwrap_or_else(|| (*address).to_owned()))
///         });
///         now.with_endpoints_of("eu", endpoints, Health::Unchecked)
///     })
/// };
/// // The health check: the endpoint may have been removed since it was asked.
/// let checked = |name: &str, health| {
///     live.edit(|edit| edit.health(EndpointId::new("eu", name), health))
/// };
///
/// discovered(&[("eu-1", "10.0.0.1:80")])?;
/// checked("eu-1", Health::Healthy)?;
/// discovered(&[("eu-1", "10.0.0.1:80"), ("eu-2", "10.0.0.2:80")])?;
/// assert!(checked("eu-3", Health::Unhealthy).is_err());
///
/// // A request: one snapshot for all of its verbs.
/// let pools = live.load();
/// let health = |name| pools.endpoint(EndpointId::new("eu", name)).map(|it| it.health());
/// assert_eq!((health("eu-1"), health("eu-2")), (Some(Health::Healthy), Some(Health::Unchecked)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # In an `ArcSwap`
///
/// With the crate `arc-swap`, where reading takes no lock, writers change the snapshot by `rcu`
/// alone, never by `load` and then `store`. Its closure runs once more whenever another writer was
/// faster, so it must have no effect but its result:
///
/// ```
/// use std::sync::Arc;
/// use arc_swap::ArcSwap;
/// use session_affinity::{Endpoint, EndpointId, Health, Pool, Pools};
///
/// # let eu = Pool::new("eu").with_endpoint(Endpoint::new("eu-1", "10.0.0.1:80"));
/// let live = ArcSwap::from_pointee(Pools::builder().pool(eu).build()?);
/// let id = EndpointId::new("eu", "eu-1");
/// let mut refused = None;
/// live.rcu(|now| match now.edited(|edit| edit.health(id, Health::Unhealthy)) {
///     Ok(next) => {
///         refused = None;
///         Arc::new(next)
///     }
///     Err(error) => {
///         refused = Some(error);
///         Arc::clone(now)
///     }
/// });
/// assert_eq!(refused, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct LivePools<T> {
    current: RwLock<Arc<Pools<T>>>,
    /// Held by a writer from reading the current snapshot until the next one is stored.
    writing: Mutex<()>,
}

impl<T> LivePools<T> {
    /// Shares a first snapshot.
    pub fn new(pools: Pools<T>) -> Self {
        Self { current: RwLock::new(Arc::new(pools)), writing: Mutex::new(()) }
    }

    /// Returns the current snapshot. Changes that follow do not affect it.
    pub fn load(&self) -> Arc<Pools<T>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes health, weight, state, `minimum_origins` or shedding as [`Pools::edited`] does, and
    /// returns the snapshot that is current from now on. After an error nothing has changed.
    ///
    /// Waits for other writers, as [`LivePools::update`] does.
    ///
    /// # Errors
    /// The error of the closure, which is [`NotInSnapshot`] for an endpoint or a pool that the
    /// current snapshot does not have.
    pub fn edit(
        &self,
        edit: impl FnOnce(&mut PoolsEdit<T>) -> Result<(), NotInSnapshot>,
    ) -> Result<Arc<Pools<T>>, NotInSnapshot> {
        self.update(|current| current.edited(edit))
    }

    /// Replaces the current snapshot by one that the closure makes from it, by
    /// [`Pools::with_endpoints_of`] or [`Pools::rebuild`] for example, and returns the one that is
    /// current from now on. After an error nothing has changed.
    ///
    /// The closure runs once, while other writers wait and readers do not. It may call
    /// [`load`](LivePools::load), but no method that changes these pools: that would wait for
    /// itself. A snapshot that the closure makes from anything but its argument discards the changes
    /// and marks made since.
    ///
    /// # Errors
    /// The error of the closure.
    pub fn update<E>(
        &self,
        next: impl FnOnce(&Pools<T>) -> Result<Pools<T>, E>,
    ) -> Result<Arc<Pools<T>>, E> {
        // A closure that panicked has changed nothing, so a poisoned lock is as good as another.
        let writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        // Held until the end, so that the targets of the last snapshot are dropped without a lock.
        let current = self.load();
        let next = Arc::new(next(&current)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = next.clone();
        drop(writing);
        Ok(next)
    }
}

impl<T> From<Pools<T>> for LivePools<T> {
    fn from(pools: Pools<T>) -> Self {
        Self::new(pools)
    }
}

/// Shows the current snapshot.
impl<T: fmt::Debug> fmt::Debug for LivePools<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LivePools").field(&self.load()).finish()
    }
}
