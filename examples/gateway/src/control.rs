//! The changes that the administrator makes while the gateway runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use session_affinity::config::Config;
use session_affinity::pools::NotInSnapshot;
use session_affinity::{Affinity, Keyring, Pools};

use crate::json::Whole;
use crate::keys::{self, NewKey, Refused};
use crate::proxy::Gateway;
use crate::upstream::Upstream;

/// The one place that changes the gateway. Changes are made one after the other, each as a whole: a
/// request sees the gateway either before a change or after it.
pub(crate) struct Control {
    pub(crate) gateway: Arc<Gateway>,
    config: Config,
    keyring: Mutex<Keyring>,
    pools: Mutex<()>,
}

impl Control {
    pub(crate) fn new(gateway: Arc<Gateway>, config: Config, keyring: Keyring) -> Self {
        Self { gateway, config, keyring: Mutex::new(keyring), pools: Mutex::new(()) }
    }

    /// Puts the snapshot that `change` makes of the current one in its place, and returns it.
    pub(crate) fn change_pools(
        &self,
        change: impl FnOnce(&Pools<Arc<Upstream>>) -> Result<Pools<Arc<Upstream>>, NotInSnapshot>,
    ) -> Result<Arc<Pools<Arc<Upstream>>>, NotInSnapshot> {
        // Two changes at once would both start from the same snapshot, and one would be lost.
        let _one_at_a_time = lock(&self.pools);
        let next = Arc::new(change(&self.gateway.pools.load())?);
        self.gateway.pools.store(next.clone());
        Ok(next)
    }

    pub(crate) fn add_key(&self, key: NewKey) -> Result<Keyring, Refused> {
        self.change_keys(|ring| keys::add(ring, key))
    }

    pub(crate) fn remove_key(&self, id: u8) -> Result<Keyring, Refused> {
        self.change_keys(|ring| keys::remove(ring, id))
    }

    fn change_keys(
        &self,
        change: impl FnOnce(&Keyring) -> Result<Keyring, Refused>,
    ) -> Result<Keyring, Refused> {
        let mut ring = lock(&self.keyring);
        let next = change(&ring)?;
        // The configuration was accepted with other keys, and no check of it depends on the keys.
        let affinity = Affinity::from_config(&self.config, &next)
            .map_err(|_| Refused::Conflict("these keys do not fit"))?;
        self.gateway.affinity.store(Arc::new(affinity));
        *ring = next.clone();
        Ok(next)
    }

    pub(crate) fn set_clock(&self, Whole(offset): Whole) {
        self.gateway.clock.set_offset(offset);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
