//! The report of a drain, for the operator who waits for it.

use super::Affinity;
use crate::drain::{Census, Drain};
use crate::policy::AffinityPolicy;
use crate::pools::EndpointView;
use crate::time::UnixTime;

impl<P: AffinityPolicy> Affinity<P> {
    /// The progress of an endpoint's drain.
    ///
    /// `census` is that of [`EndpointView::census`], merged with those of the other nodes if
    /// there are any. For header sessions only the merge over all nodes counts, because any node
    /// may keep a record alive; one that no node has seen ends one lifetime after the last of the
    /// nodes has begun to note sessions. A cookie session is known to each node that has seen it,
    /// and one that no node has seen ends one lifetime after the endpoint was disabled.
    ///
    /// ```
    /// # use session_affinity::*;
    /// use session_affinity::drain::DrainPhase;
    /// # let affinity = Affinity::new(NoAffinity::new(&LoadBalancer::new("shop")?));
    /// # let pools = Pools::builder().pool(Pool::new("eu").with_endpoint(Endpoint::new("eu-1", ()))).build()?;
    /// # let now = UnixTime::from_secs(1_800_000_000);
    /// let endpoint = pools.endpoint(EndpointId::new("eu", "eu-1")).ok_or("not in the snapshot")?;
    /// let drain = affinity.drain(endpoint, endpoint.census(), now);
    /// assert_eq!(drain.phase, DrainPhase::InService);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn drain<T>(&self, endpoint: EndpointView<'_, T>, census: Census, now: UnixTime) -> Drain {
        let (own, pool) = (endpoint.state(), endpoint.pool().state());
        Drain::of(own, pool, self.rules.drain_duration, self.policy.life(), census, now)
    }
}
