//! The changes that the administrator makes while the gateway runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use session_affinity::{Affinity, Keyring};

use crate::fixed::Fixed;
use crate::json::Whole;
use crate::keys::{self, NewKey, Refused};
use crate::proxy::Gateway;
use crate::terms::Terms;

/// The one place that changes the gateway. Changes are made one after the other, each as a whole: a
/// request sees the gateway either before a change or after it.
pub(crate) struct Control {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) fixed: Fixed,
    terms: Mutex<Terms>,
}

impl Control {
    pub(crate) fn new(gateway: Arc<Gateway>, terms: Terms, fixed: Fixed) -> Self {
        Self { gateway, fixed, terms: Mutex::new(terms) }
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
        let mut terms = self.terms();
        let next = change(&terms.keyring)?;
        // The configuration was accepted with other keys, and no check of it depends on the keys.
        let affinity = Affinity::from_config(&terms.config, &next)
            .map_err(|_| Refused::Conflict("these keys do not fit"))?;
        self.gateway.affinity.store(Arc::new(affinity));
        terms.keyring = next.clone();
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

    /// Waits for other changes of what the file says, and keeps them out.
    pub(crate) fn terms(&self) -> MutexGuard<'_, Terms> {
        self.terms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
