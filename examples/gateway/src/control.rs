//! The changes that the administrator makes while the gateway runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use session_affinity::config::Config;
use session_affinity::{Affinity, Keyring};

use crate::json::Whole;
use crate::keys::{self, NewKey, Refused};
use crate::proxy::Gateway;

/// The one place that changes the gateway. Changes are made one after the other, each as a whole: a
/// request sees the gateway either before a change or after it.
pub(crate) struct Control {
    pub(crate) gateway: Arc<Gateway>,
    config: Config,
    keyring: Mutex<Keyring>,
}

impl Control {
    pub(crate) fn new(gateway: Arc<Gateway>, config: Config, keyring: Keyring) -> Self {
        Self { gateway, config, keyring: Mutex::new(keyring) }
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

    /// Lets the other gateways know of a change soon.
    pub(crate) fn tell_the_fleet(&self) {
        if let Some(fleet) = &self.gateway.fleet {
            fleet.tell();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
