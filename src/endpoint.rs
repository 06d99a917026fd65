//! Endpoints: the servers that requests are sent to.

use crate::limits::Weight;

mod census;
mod id;
pub(crate) mod mark;
pub(crate) mod member;
mod state;

pub use census::Census;
pub use id::{EndpointId, InvalidEndpointId};
pub use state::{DrainPhase, Health, State};

/// An endpoint as the embedder describes it, to be added to a [`Pool`](crate::Pool).
///
/// `T` is the embedder's own type for what to connect to: an address, a peer, a connection pool.
///
/// Weight, health and state are stated or left open. Those left open stay as they are where
/// [`Pools::rebuild`](crate::Pools::rebuild) knows the endpoint already, and are the defaults for a
/// new endpoint.
///
/// ```
/// use session_affinity::{Endpoint, Health, Weight};
///
/// let endpoint = Endpoint::new("eu-1", "10.0.0.1:8080")
///     .with_weight(Weight::new(50)?)
///     .with_health(Health::Unhealthy);
/// assert_eq!(endpoint.target, "10.0.0.1:8080");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Endpoint<T> {
    /// The name of the endpoint, unique in its pool: 1 to 255 bytes without control characters.
    pub name: String,
    /// The embedder's own value for the endpoint, returned by
    /// [`Pools::target`](crate::Pools::target).
    pub target: T,
    /// The endpoint's share of new sessions, relative to the other endpoints of its pool. `None`:
    /// as before; 1 (100 hundredths) for a new endpoint.
    pub weight: Option<Weight>,
    /// The result of the latest health check. `None`: as before; for a new endpoint the initial health
    /// of [`Pools::with_endpoints_of`](crate::Pools::with_endpoints_of) or
    /// [`PoolsBuilder::with_initial_health`](crate::pools::PoolsBuilder::with_initial_health).
    pub health: Option<Health>,
    /// The state that the operator has set. `None`: as before; enabled for a new endpoint.
    pub state: Option<State>,
}

impl<T> Endpoint<T> {
    /// Describes an endpoint and states neither weight nor health nor state: a new endpoint is
    /// enabled, healthy and of weight 1.
    pub fn new(name: impl Into<String>, target: T) -> Self {
        Self { name: name.into(), target, weight: None, health: None, state: None }
    }

    /// States the share of new sessions. Cloudflare: `origins[].weight`.
    #[must_use]
    pub fn with_weight(mut self, weight: Weight) -> Self {
        self.weight = Some(weight);
        self
    }

    /// States the result of the latest health check.
    #[must_use]
    pub fn with_health(mut self, health: Health) -> Self {
        self.health = Some(health);
        self
    }

    /// States whether the endpoint is in service. Cloudflare: `origins[].enabled`.
    #[must_use]
    pub fn with_state(mut self, state: State) -> Self {
        self.state = Some(state);
        self
    }
}
