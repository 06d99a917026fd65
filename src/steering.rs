//! Who is preferred for a seed: weighted rendezvous hashing, in integers.
//!
//! Each endpoint gets a number from the seed and its own id, and the best number
//! wins. So an endpoint's share is its weight's share; a change of health, weight or
//! membership moves only the sessions that must move; the order of a list means
//! nothing; and one seed gives the whole failover order, on every node.
//!
//! Cloudflare's four `origin_steering` policies are this one algorithm with different
//! seeds and weights: [`Random`], [`struct@Hash`], [`LeastOutstandingRequests`] and
//! [`LeastConnections`]. [`Steering`] is a trait, so that an embedder's own balancer
//! can make the first choice. The function is frozen by golden vectors: it is part of
//! the API.

use crate::bounds::Weight;
use crate::endpoint::EndpointId;
use crate::pools::Candidates;

mod glance;
mod log2;
mod rendezvous;

pub(crate) use glance::glance;
use rendezvous::ByLoad;
pub(crate) use rendezvous::{ByWeight, Race, Runner, rendezvous};

/// How a pool chooses the endpoint of a new session, and of a request that can have
/// none. It is not asked for live sessions: those move by weights and a seed of their
/// own, so that all nodes agree.
///
/// Implementations should be deterministic in their arguments, apart from load
/// counts: with a [`Seed::Stable`] several nodes ought to make the same choice.
///
/// ```
/// use session_affinity::steering::{Candidate, Seed, Steering};
/// use session_affinity::Candidates;
///
/// /// The alphabetically first endpoint takes everything.
/// struct Alphabetical;
///
/// impl<T> Steering<T> for Alphabetical {
///     fn choose<'a>(&self, candidates: &Candidates<'a, T>, _: Seed) -> Option<Candidate<'a, T>> {
///         candidates.iter().min_by_key(|candidate| candidate.name())
///     }
/// }
/// ```
pub trait Steering<T>: Send + Sync {
    /// Chooses one of the candidates: endpoints that take new sessions and have not
    /// been tried for this request. `None` leaves the choice to weights and seed.
    fn choose<'a>(&self, candidates: &Candidates<'a, T>, seed: Seed) -> Option<Candidate<'a, T>>;

    /// What seeds the first choice where the policy has no seed of its own.
    fn seeding(&self) -> Seeding {
        Seeding::Entropy
    }
}

/// The number that decides a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seed {
    /// Drawn for this request: the next one differs. Load counts matter only here.
    Entropy(u64),
    /// Made of the client's address or the session: the same on every node.
    Stable(u64),
}

impl Seed {
    /// The number.
    pub const fn value(self) -> u64 {
        match self {
            Self::Entropy(value) | Self::Stable(value) => value,
        }
    }
}

/// What seeds a pool's first choices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Seeding {
    /// A number drawn for each.
    #[default]
    Entropy,
    /// The client's address where it is known, else a number drawn.
    ClientIp,
}

/// An endpoint that can be chosen. It can only be had from [`Candidates`], so what a
/// [`Steering`] returns was a candidate.
#[derive(Debug)]
pub struct Candidate<'a, T> {
    pub(crate) position: usize,
    pub(crate) id: EndpointId,
    pub(crate) weight: Weight,
    pub(crate) name: &'a str,
    pub(crate) target: &'a T,
}

impl<'a, T> Candidate<'a, T> {
    /// Its identity.
    pub fn id(&self) -> EndpointId {
        self.id
    }

    /// Its weight, never 0.
    pub fn weight(&self) -> Weight {
        self.weight
    }

    /// Its name.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The embedder's own value for it.
    pub fn target(&self) -> &'a T {
        self.target
    }
}

impl<T> Clone for Candidate<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Candidate<'_, T> {}

/// Entropy and weight. Cloudflare: `random`, the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Random;

impl<T> Steering<T> for Random {
    fn choose<'a>(&self, candidates: &Candidates<'a, T>, seed: Seed) -> Option<Candidate<'a, T>> {
        candidates.preferred(seed.value())
    }
}

/// The client's address and weight. Cloudflare: `hash`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hash;

impl<T> Steering<T> for Hash {
    fn choose<'a>(&self, candidates: &Candidates<'a, T>, seed: Seed) -> Option<Candidate<'a, T>> {
        candidates.preferred(seed.value())
    }

    fn seeding(&self) -> Seeding {
        Seeding::ClientIp
    }
}

/// Entropy and weight / (n + 1), where n is how many requests are outstanding at the
/// endpoint, by the embedder's count. Cloudflare: `least_outstanding_requests`.
#[derive(Clone, Copy, Debug)]
pub struct LeastOutstandingRequests<F>(pub F);

/// Entropy and weight / (n + 1), where n is how many connections are open to the
/// endpoint, by the embedder's count. Cloudflare: `least_connections`.
#[derive(Clone, Copy, Debug)]
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
        Seed::Entropy(seed) => candidates.preferred_by(seed, &ByLoad(load)),
        Seed::Stable(seed) => candidates.preferred(seed),
    }
}
