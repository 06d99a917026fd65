//! A pool as the embedder describes it.

use std::fmt;
use std::sync::Arc;

use super::shedding::LoadShedding;
use crate::endpoint::{Endpoint, State};
use crate::limits::Weight;
use crate::steering::{Random, Room, Steering};

/// A pool as the embedder describes it, to be added to [`Pools`](crate::Pools).
///
/// State, weight, `minimum_origins` and shedding are stated or left open. Those left open stay as they are
/// where [`Pools::rebuild`](crate::Pools::rebuild) knows a pool of this name already, and are the
/// defaults for a new pool. The steering and the room are always those of the new description.
///
/// ```
/// use session_affinity::{Endpoint, Pool, steering::IpHash};
///
/// let pool = Pool::new("eu")
///     .with_endpoint(Endpoint::new("eu-1", "10.0.0.1:80"))
///     .with_endpoint(Endpoint::new("eu-2", "10.0.0.2:80"))
///     .with_minimum_origins(2)
///     .with_steering(IpHash);
/// assert_eq!(pool.endpoints.len(), 2);
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Pool<T> {
    /// The name of the pool, unique in its snapshot: 1 to 255 bytes without control characters.
    pub name: String,
    /// The endpoints of the pool, at most 32 768. Their order does not affect choices.
    pub endpoints: Vec<Endpoint<T>>,
    /// The state that the operator has set. A disabled pool drains all its endpoints. `None`: as
    /// before; enabled for a new pool.
    pub state: Option<State>,
    /// The share of new sessions that the pool gets where the pools are steered: see
    /// [`PoolsBuilder::with_pool_steering`](super::PoolsBuilder::with_pool_steering). `None`: as
    /// before; 1 for a new pool. Cloudflare: `random_steering`.
    pub weight: Option<Weight>,
    /// The number of healthy and enabled endpoints below which the pool takes no new sessions.
    /// `None`: as before; 1 for a new pool. Cloudflare: `minimum_origins`.
    pub minimum_origins: Option<u32>,
    /// The shares of sessions that are sent to the pools after this one. `None`: as before; 0 for a
    /// new pool.
    pub shedding: Option<LoadShedding>,
    /// The choice of endpoints for new sessions, [`Random`] unless another one is set. A rebuild
    /// does not look at the steering before.
    pub steering: Arc<dyn Steering<T>>,
    /// The rule by which an endpoint is full. `None`: all endpoints have room at any time. A rebuild
    /// does not look at the rule before.
    pub room: Option<Room<T>>,
}

impl<T> Pool<T> {
    /// Describes a pool without endpoints that steers by [`Random`], and states nothing else: a new
    /// pool is enabled, needs one healthy endpoint and sheds no sessions.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            endpoints: Vec::new(),
            state: None,
            weight: None,
            minimum_origins: None,
            shedding: None,
            steering: Arc::new(Random),
            room: None,
        }
    }

    /// Adds an endpoint.
    #[must_use]
    pub fn with_endpoint(mut self, endpoint: Endpoint<T>) -> Self {
        self.endpoints.push(endpoint);
        self
    }

    /// Adds endpoints.
    ///
    /// ```
    /// use session_affinity::{Endpoint, Pool};
    ///
    /// let addresses = [("eu-1", "10.0.0.1:80"), ("eu-2", "10.0.0.2:80")];
    /// let endpoints = addresses.map(|(name, address)| Endpoint::new(name, address));
    /// assert_eq!(Pool::new("eu").with_endpoints(endpoints).endpoints.len(), 2);
    /// ```
    #[must_use]
    pub fn with_endpoints(mut self, endpoints: impl IntoIterator<Item = Endpoint<T>>) -> Self {
        self.endpoints.extend(endpoints);
        self
    }

    /// Sets how endpoints are chosen for new sessions. Cloudflare: `origin_steering`.
    #[must_use]
    pub fn with_steering(mut self, steering: impl Steering<T> + 'static) -> Self {
        self.steering = Arc::new(steering);
        self
    }

    /// Sets the rule by which an endpoint is full, and sends its requests to others with room. By
    /// default all endpoints have room at any time.
    #[must_use]
    pub fn with_room(mut self, room: Room<T>) -> Self {
        self.room = Some(room);
        self
    }

    /// States whether the pool is in service. Cloudflare: `enabled`.
    #[must_use]
    pub fn with_state(mut self, state: State) -> Self {
        self.state = Some(state);
        self
    }

    /// States the share of new sessions that the pool gets where the pools are steered. A pool of
    /// weight 0 takes none while an open pool of more weight is there, and keeps its live ones.
    /// Cloudflare: `random_steering`.
    #[must_use]
    pub fn with_weight(mut self, weight: Weight) -> Self {
        self.weight = Some(weight);
        self
    }

    /// States the number of healthy and enabled endpoints below which the pool takes no new sessions.
    /// Cloudflare: `minimum_origins`.
    #[must_use]
    pub fn with_minimum_origins(mut self, minimum_origins: u32) -> Self {
        self.minimum_origins = Some(minimum_origins);
        self
    }

    /// States the shares of sessions that are sent to the pools after this one. Cloudflare:
    /// `load_shedding`.
    #[must_use]
    pub fn with_shedding(mut self, shedding: LoadShedding) -> Self {
        self.shedding = Some(shedding);
        self
    }
}

/// Leaves out the steering, which is a trait object.
impl<T: fmt::Debug> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, endpoints, state, weight, minimum_origins, shedding, steering: _, room } =
            self;
        f.debug_struct("Pool")
            .field("name", name)
            .field("endpoints", endpoints)
            .field("state", state)
            .field("weight", weight)
            .field("minimum_origins", minimum_origins)
            .field("shedding", shedding)
            .field("room", room)
            .finish_non_exhaustive()
    }
}
