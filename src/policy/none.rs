//! The policy without sessions.

use super::{AffinityPolicy, Claim, Forgotten, Life, Recall, Served, Settlement};
use crate::carrier::Carrier;
use crate::names::LoadBalancer;
use crate::request::RequestMeta;
use crate::time::UnixTime;

/// Remembers nothing: steering chooses an endpoint for every request. Cloudflare: `none`.
///
/// ```
/// use session_affinity::{Affinity, LoadBalancer, NoAffinity};
/// let affinity = Affinity::new(NoAffinity::new(&LoadBalancer::new("shop.example.com")?));
/// assert_eq!(affinity.carrier(), None);
/// # Ok::<(), session_affinity::InvalidName>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NoAffinity {
    load_balancer: LoadBalancer,
}

impl NoAffinity {
    /// Creates the policy. The name keys the hashes of client addresses.
    pub fn new(load_balancer: &LoadBalancer) -> Self {
        Self { load_balancer: load_balancer.clone() }
    }
}

impl AffinityPolicy for NoAffinity {
    fn load_balancer(&self) -> &LoadBalancer {
        &self.load_balancer
    }

    fn read(&self, _: &RequestMeta<'_>, _: UnixTime) -> Recall {
        Recall::from(Claim::Unbound)
    }

    fn remember(&self, _: &Served<'_>) -> Settlement {
        Settlement::nothing()
    }

    fn forget(&self, _: &Forgotten<'_>) -> Settlement {
        Settlement::nothing()
    }

    fn carrier(&self) -> Option<&Carrier> {
        None
    }

    /// Sessionless: a draining endpoint is drained at once.
    fn life(&self) -> Life {
        Life::Sessionless
    }
}
