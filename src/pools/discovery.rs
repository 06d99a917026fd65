//! A snapshot in which one pool has other endpoints.

use super::Pools;
use super::build::{InvalidPools, PoolsBuilder};
use super::view::PoolView;
use crate::endpoint::{Endpoint, Health};

impl<T> Pools<T> {
    /// Returns the next snapshot, in which the pool of this name has these endpoints, for a list from
    /// discovery. All else stays: the other pools, their order and its steering, the fallback pool, and
    /// state, weight, `minimum_origins`, shedding, steering and room of this one.
    ///
    /// An endpoint that was in the pool already keeps its weight, health and state, each unless its
    /// description states another one, and always what has been noted about it, as with
    /// [`Pools::rebuild`]. `initial` is the health of a new one whose description states none: with
    /// health checks [`Health::Unchecked`], so that it takes new sessions from its first good check on;
    /// without them [`Health::Healthy`]. One that is not listed is removed.
    ///
    /// The targets of the other pools are cloned, so connections and counters belong in an `Arc`.
    /// [`LivePools::update`](super::LivePools::update) stores the result so that no change by another
    /// writer is lost, nor one by the discovery of another pool.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use session_affinity::{Endpoint, EndpointId, Health, Pool, Pools};
    ///
    /// struct Backend { address: String } // and its connections
    /// # let backend = |address: &str| Arc::new(Backend { address: address.into() });
    /// # let eu = Pool::new("eu").with_endpoint(Endpoint::new("eu-1", backend("10.0.0.1:80")));
    /// # let us = Pool::new("us").with_endpoint(Endpoint::new("us-1", backend("10.1.0.1:80")));
    /// # let before = Pools::builder().pool(eu).fallback_apart(us).build()?;
    /// # let eu_1 = EndpointId::new("eu", "eu-1");
    /// # let before = before.edited(|edit| edit.health(eu_1, Health::Unhealthy))?;
    /// let found = [("eu-1", "10.0.0.1:80"), ("eu-2", "10.0.0.2:80")]; // by discovery
    /// let endpoints = found.map(|(name, address)| {
    ///     let known = before.target(EndpointId::new("eu", name));
    ///     let target = match known.filter(|backend| backend.address == address) {
    ///         Some(backend) => Arc::clone(backend),
    ///         None => Arc::new(Backend { address: address.into() }),
    ///     };
    ///     Endpoint::new(name, target)
    /// });
    /// let after = before.with_endpoints_of("eu", endpoints, Health::Unchecked)?;
    ///
    /// let health = |name| after.endpoint(EndpointId::new("eu", name)).map(|it| it.health());
    /// assert_eq!(health("eu-1"), Some(Health::Unhealthy)); // as the health check left it
    /// assert_eq!(health("eu-2"), Some(Health::Unchecked));
    /// assert_eq!(after.fallback().map(|pool| pool.name()), Some("us"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidPools::UnknownPool`] when this snapshot has no pool of this name, and the error of
    /// [`PoolsBuilder::build`] when the name of an endpoint is invalid or occurs twice, when two names
    /// have the same id, and when the list has more than 32 768 endpoints.
    pub fn with_endpoints_of(
        &self,
        pool: &str,
        endpoints: impl IntoIterator<Item = Endpoint<T>>,
        initial: Health,
    ) -> Result<Self, InvalidPools>
    where
        T: Clone,
    {
        let mut described: Vec<_> = self.iter().map(PoolView::described).collect();
        let Some(found) = described.iter_mut().find(|known| known.name == pool) else {
            return Err(InvalidPools::UnknownPool(pool.into()));
        };
        found.endpoints = endpoints.into_iter().collect();
        let apart = described.split_off(self.topology.in_order.min(described.len()));
        let mut builder = self.rebuild().with_initial_health(initial);
        builder.order = self.topology.order.clone();
        let builder = described.into_iter().fold(builder, PoolsBuilder::pool);
        match (apart.into_iter().next(), self.fallback()) {
            (Some(pool), _) => builder.fallback_apart(pool),
            (None, Some(pool)) => builder.fallback_in_order(pool.name()),
            (None, None) => builder,
        }
        .build()
    }
}
