//! The choice of an endpoint for a new session: the first, in an order that a seed decides, whose
//! door opens.
//!
//! Each endpoint of a pool lives behind one of 65 536 doors, and opens it with the probability of
//! its weight. So an endpoint's share of the sessions is its weight's share; a change of health or
//! weight moves only the sessions that must move; the order of the list does not matter; and one
//! seed gives the whole failover order, on every node. A choice takes about as long among 10 000
//! endpoints as among 100. The function is computed in integers, frozen by golden vectors, and part
//! of the API: [the manual](crate::manual::design#doors-to-the-letter) defines it.
//!
//! Of Cloudflare's four `origin_steering` policies, [`Random`] and [`IpHash`] are this function
//! with two kinds of seeds; [`LeastOutstandingRequests`] and [`LeastConnections`] ask each endpoint
//! for its load, in a weighted rendezvous. An embedder's own balancer makes the first choice by
//! implementing [`Steering`].
//!
//! A weighted rendezvous orders the pools of a load balancer, where a steering is set:
//! [`PoolSteering`].

use std::sync::Arc;

mod candidates;
mod doors;
mod in_flight;
mod lanes;
mod lateness;
mod log2;
mod opening;
mod permutation;
mod pool_candidates;
mod pool_steering;
mod rendezvous;
mod room;

pub(crate) use candidates::Suspects;
pub use candidates::{Candidate, Candidates};
pub(crate) use doors::Doors;
pub use in_flight::{InFlight, InFlightGuard, PoolLoad};
pub(crate) use pool_candidates::OpenPools;
pub use pool_candidates::{PoolCandidate, PoolCandidates};
pub(crate) use pool_steering::PoolOrder;
pub use pool_steering::PoolSteering;
pub(crate) use rendezvous::Place;
pub(crate) use room::Occupancy;
pub use room::Room;

/// Chooses an endpoint for each new session of a pool, and for each request that has no session.
///
/// Live sessions are not steered: they move by weights and a seed of their own, so that all nodes
/// agree.
///
/// A choice should depend on the arguments alone, load counts excepted: with a [`Seed::Stable`],
/// all nodes are expected to make the same choice.
///
/// # Example
///
/// The power of two choices: of two candidates drawn by weight, the one with fewer requests in
/// flight.
///
/// ```
/// use session_affinity::steering::{Candidate, Candidates, Seed, Steering};
/// use session_affinity::{Endpoint, Pool};
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// struct Peer {
///     address: &'static str,
///     in_flight: AtomicU32,
/// }
///
/// struct TwoChoices;
///
/// impl Steering<Peer> for TwoChoices {
///     fn choose<'a>(
///         &self,
///         candidates: &Candidates<'a, Peer>,
///         seed: Seed,
///     ) -> Option<Candidate<'a, Peer>> {
///         // All nodes must agree on the choice of a stable seed, so this node's load must not
///         // count: `None` leaves it to weights and seed.
///         let Seed::Entropy(drawn) = seed else { return None };
///         let two = [candidates.preferred(drawn)?, candidates.preferred(drawn.rotate_left(32))?];
///         two.into_iter().min_by_key(|peer| peer.target().in_flight.load(Ordering::Relaxed))
///     }
/// }
///
/// let peer = Peer { address: "10.0.0.1:80", in_flight: AtomicU32::new(0) };
/// let pool = Pool::new("eu").with_endpoint(Endpoint::new("eu-1", peer)).with_steering(TwoChoices);
/// ```
pub trait Steering<T>: Send + Sync {
    /// Chooses one of the candidates; `None` leaves the choice to weights and seed.
    ///
    /// Candidates take new sessions and have not been tried for this request. Where some of them have
    /// [`Room`] and are not suspect, the others are left out. With one exception: when no open pool
    /// takes the session, and no endpoint of the fallback pool takes new sessions either, the
    /// candidates are that pool's enabled endpoints with a weight above 0, their health ignored.
    fn choose<'a>(&self, candidates: &Candidates<'a, T>, seed: Seed) -> Option<Candidate<'a, T>>;

    /// Returns the source of the seed of a first choice, where the affinity policy has no seed of
    /// its own. Default: [`Seeding::Entropy`].
    fn seeding(&self) -> Seeding {
        Seeding::Entropy
    }
}

macro_rules! steering_behind {
    ($($pointer:ty),+) => {$(
        impl<T, S: Steering<T> + ?Sized> Steering<T> for $pointer {
            fn choose<'a>(
                &self,
                candidates: &Candidates<'a, T>,
                seed: Seed,
            ) -> Option<Candidate<'a, T>> {
                (**self).choose(candidates, seed)
            }

            fn seeding(&self) -> Seeding {
                (**self).seeding()
            }
        }
    )+};
}

steering_behind!(&S, Box<S>, Arc<S>);

/// The number that decides a choice, and its origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a seed differs by request or it does not")]
pub enum Seed {
    /// A number drawn for this request: the next request has another one. Load counts matter only
    /// with this seed.
    Entropy(u64),
    /// A number computed from the client's address or from the session: the same on every node.
    Stable(u64),
}

impl Seed {
    /// Returns the number.
    pub const fn value(self) -> u64 {
        match self {
            Self::Entropy(value) | Self::Stable(value) => value,
        }
    }
}

/// The source of the seed of a pool's first choices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Seeding {
    /// A number drawn for each choice.
    #[default]
    Entropy,
    /// The client's address where it is known, else a number drawn.
    ClientIp,
}

/// Steers by entropy and weight. Cloudflare: `random`, the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "has no parameters")]
pub struct Random;

impl<T> Steering<T> for Random {
    fn choose<'a>(&self, candidates: &Candidates<'a, T>, seed: Seed) -> Option<Candidate<'a, T>> {
        candidates.preferred(seed.value())
    }
}

/// Steers by the client's address and weight. Cloudflare: `hash`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "has no parameters")]
pub struct IpHash;

impl<T> Steering<T> for IpHash {
    fn choose<'a>(&self, candidates: &Candidates<'a, T>, seed: Seed) -> Option<Candidate<'a, T>> {
        candidates.preferred(seed.value())
    }

    fn seeding(&self) -> Seeding {
        Seeding::ClientIp
    }
}

/// Steers by entropy and weight / (n + 1), where n is the embedder's count of requests in flight to
/// the endpoint. Cloudflare: `least_outstanding_requests`.
///
/// ```
/// use session_affinity::steering::{InFlight, LeastOutstandingRequests};
/// use session_affinity::{Endpoint, Pool};
///
/// struct Peer {
///     address: &'static str,
///     /// The proxy calls `begin` when it sends a request, and keeps the guard until the response
///     /// has ended.
///     in_flight: InFlight,
/// }
///
/// let peer = Peer { address: "10.0.0.1:80", in_flight: InFlight::default() };
/// let pool = Pool::new("eu")
///     .with_endpoint(Endpoint::new("eu-1", peer))
///     .with_steering(LeastOutstandingRequests(|peer: &Peer| peer.in_flight.count()));
/// ```
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the count is the only parameter")]
pub struct LeastOutstandingRequests<F>(pub F);

/// Steers by entropy and weight / (n + 1), where n is the embedder's count of open connections to
/// the endpoint. Cloudflare: `least_connections`.
///
/// ```
/// use session_affinity::steering::LeastConnections;
/// use session_affinity::{Endpoint, Pool};
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// struct Peer {
///     address: &'static str,
///     /// The proxy adds 1 when it opens a connection, and subtracts 1 when it closes one.
///     connections: AtomicU32,
/// }
///
/// let peer = Peer { address: "10.0.0.1:80", connections: AtomicU32::new(0) };
/// let count = |peer: &Peer| peer.connections.load(Ordering::Relaxed);
/// let pool = Pool::new("eu")
///     .with_endpoint(Endpoint::new("eu-1", peer))
///     .with_steering(LeastConnections(count));
/// ```
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the count is the only parameter")]
pub struct LeastConnections<F>(pub F);

impl<T, F: Fn(&T) -> u32 + Send + Sync> Steering<T> for LeastOutstandingRequests<F> {
    fn choose<'a>(&self, candidates: &Candidates<'a, T>, seed: Seed) -> Option<Candidate<'a, T>> {
        least_loaded(candidates, seed, &self.0)
    }
}

impl<T, F: Fn(&T) -> u32 + Send + Sync> Steering<T> for LeastConnections<F> {
    fn choose<'a>(&self, candidates: &Candidates<'a, T>, seed: Seed) -> Option<Candidate<'a, T>> {
        least_loaded(candidates, seed, &self.0)
    }
}

fn least_loaded<'a, T>(
    candidates: &Candidates<'a, T>,
    seed: Seed,
    load: impl Fn(&T) -> u32,
) -> Option<Candidate<'a, T>> {
    match seed {
        Seed::Entropy(seed) => candidates.preferred_by(seed, load),
        Seed::Stable(seed) => candidates.preferred(seed),
    }
}
