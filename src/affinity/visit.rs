//! A request whose session has been recalled and that has not been routed yet.

use crate::client::ClientAddress;
use crate::policy::Claim;
use crate::request::Scheme;
use crate::search::Seeds;
use crate::store::Lookup;
use crate::time::UnixTime;
use crate::token::Pin;

/// What one request says about its session. Owned and `'static`, so it can wait for a
/// store; not `Clone`, so it is routed once.
///
/// ```
/// fn holds<T: Send + Sync + 'static>() {}
/// holds::<session_affinity::Visit>();
/// ```
/// ```compile_fail,E0599
/// fn twice(visit: session_affinity::Visit) -> [session_affinity::Visit; 2] {
///     [visit.clone(), visit]
/// }
/// ```
#[derive(Debug)]
#[must_use = "a visit that is not routed serves nobody"]
pub struct Visit {
    pub(super) claim: Claim,
    pub(super) seed: Option<u64>,
    pub(super) client: Option<ClientAddress>,
    pub(super) scheme: Scheme,
    pub(super) now: UnixTime,
}

impl Visit {
    /// What to ask the session store, for policies that have one. Pass the answer to
    /// [`Affinity::route`](crate::Affinity::route); pass
    /// [`Record::Absent`](crate::Record::Absent) when this is `None`.
    pub fn lookup(&self) -> Option<Lookup> {
        match self.claim {
            Claim::Stored { key, ttl } => Some(Lookup { key, ttl, now: self.now }),
            Claim::Carried(_) | Claim::New(_) | Claim::Unbound => None,
        }
    }

    /// What the request says about its session.
    pub fn claim(&self) -> Claim {
        self.claim
    }

    /// Who decides its choices, given its pin if it is live.
    pub(super) fn seeds(&self, live: Option<Pin>) -> Seeds {
        match (live, self.claim, self.seed) {
            (Some(_), Claim::Stored { .. }, Some(seed)) => Seeds::Live(seed),
            (Some(pin), ..) => Seeds::Pinned(pin),
            (None, _, Some(seed)) => Seeds::Policy(seed),
            (None, _, None) => Seeds::Pool,
        }
    }
}
