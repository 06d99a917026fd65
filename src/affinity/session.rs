//! What a request's session is, once the store has answered.

use super::Visit;
use crate::outcome::Created;
use crate::policy::Claim;
use crate::store::Record;
use crate::token::Pin;

/// A session that is live, that begins, or that cannot be.
#[derive(Clone, Copy)]
pub(super) enum Session {
    Live(Pin),
    New(Created),
    Unbound,
}

impl Session {
    pub(super) fn of(visit: &Visit, record: Record) -> Self {
        let (pin, otherwise) = match (visit.claim, record) {
            (Claim::Unbound, _) => return Self::Unbound,
            (Claim::New(reason), _) => {
                return Self::New(reason.map_or(Created::NoCookie, Created::from));
            }
            (Claim::Carried(pin), _) => (Some(pin), Created::Expired),
            (Claim::Stored { .. }, Record::Found(pin)) => (Some(pin), Created::Expired),
            (Claim::Stored { .. }, record) => (None, Created::from(record)),
        };
        // A policy or a store that is late with its expiry does not keep a session alive.
        match pin.filter(|pin| pin.expires > visit.now) {
            Some(pin) => Self::Live(pin),
            None => Self::New(otherwise),
        }
    }

    pub(super) fn pin(self) -> Option<Pin> {
        match self {
            Self::Live(pin) => Some(pin),
            Self::New(_) | Self::Unbound => None,
        }
    }
}
