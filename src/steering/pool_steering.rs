//! The order of pools for a session that begins or moves.

use std::fmt;
use std::sync::Arc;

use super::pool_candidates::{PoolCandidate, PoolCandidates};
use super::{LeastConnections, LeastOutstandingRequests, Random, Seed, Seeding};

/// Orders the pools for each session that begins or moves: chooses the first pool, then the next
/// one of those that are left, and so on, as far as the request needs them. Cloudflare:
/// `steering_policy`.
///
/// Set it by [`PoolsBuilder::with_pool_steering`](crate::pools::PoolsBuilder::with_pool_steering).
/// Without one, the pools are used in the order in which they were given.
///
/// | | steers by | Cloudflare |
/// |---|---|---|
/// | [`Random`] | the weight of each pool | `random` |
/// | [`LeastOutstandingRequests`] | weight / (n + 1), n the sum of the counts of the pool's endpoints | `least_outstanding_requests` |
/// | [`LeastConnections`] | the same | `least_connections` |
///
/// A session that is kept is not steered: it stays in its pool whatever the weights become. The
/// sessions that move are ordered under a stable seed, so that all nodes agree.
///
/// # Example
///
/// The pool with the least latency first, as the embedder measures it.
///
/// ```
/// use session_affinity::steering::{PoolCandidate, PoolCandidates, PoolSteering, Seed};
/// use session_affinity::{Endpoint, Pool, Pools};
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// struct Peer {
///     address: &'static str,
///     /// A moving average of the round-trip time.
///     microseconds: AtomicU32,
/// }
///
/// struct Nearest;
///
/// impl PoolSteering<Peer> for Nearest {
///     fn choose<'a>(
///         &self,
///         candidates: &PoolCandidates<'a, Peer>,
///         _: Seed,
///     ) -> Option<PoolCandidate<'a, Peer>> {
///         let latency = |peer: &Peer| peer.microseconds.load(Ordering::Relaxed);
///         candidates.iter().min_by_key(|pool| pool.targets().map(latency).min())
///     }
/// }
///
/// let pool = |name, address, microseconds: u32| {
///     let peer = Peer { address, microseconds: microseconds.into() };
///     Pool::new(name).with_endpoint(Endpoint::new("1", peer))
/// };
/// let pools = Pools::builder()
///     .pool(pool("eu", "10.0.0.1:80", 80_000))
///     .pool(pool("us", "10.1.0.1:80", 9_000))
///     .with_pool_steering(Nearest)
///     .build()?;
/// # use session_affinity::*;
/// # let affinity = Affinity::new(NoAffinity::new(&LoadBalancer::new("shop")?));
/// # let headers = http::HeaderMap::new();
/// # let visit = affinity.recall(&RequestMeta::new(&headers, Scheme::Https), UnixTime::EPOCH);
/// let (attempt, peer) = affinity.route(visit, Record::Absent, &pools, || 4)?;
/// assert_eq!(peer.address, "10.1.0.1:80");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait PoolSteering<T>: Send + Sync {
    /// Chooses the next pool of the order; `None` leaves the choice to weights and seed.
    ///
    /// Pools of weight 0 are no candidates. They are used, in the order in which they were given,
    /// while no pool of more weight is open.
    fn choose<'a>(
        &self,
        candidates: &PoolCandidates<'a, T>,
        seed: Seed,
    ) -> Option<PoolCandidate<'a, T>>;

    /// Returns the source of the seed for a session that begins, where the affinity policy has no
    /// seed of its own. Default: [`Seeding::Entropy`].
    fn seeding(&self) -> Seeding {
        Seeding::Entropy
    }
}

macro_rules! steering_behind {
    ($($pointer:ty),+) => {$(
        impl<T, S: PoolSteering<T> + ?Sized> PoolSteering<T> for $pointer {
            fn choose<'a>(
                &self,
                candidates: &PoolCandidates<'a, T>,
                seed: Seed,
            ) -> Option<PoolCandidate<'a, T>> {
                (**self).choose(candidates, seed)
            }

            fn seeding(&self) -> Seeding {
                (**self).seeding()
            }
        }
    )+};
}

steering_behind!(&S, Box<S>, Arc<S>);

impl<T> PoolSteering<T> for Random {
    fn choose<'a>(
        &self,
        candidates: &PoolCandidates<'a, T>,
        seed: Seed,
    ) -> Option<PoolCandidate<'a, T>> {
        candidates.preferred(seed.value())
    }
}

impl<T, F: Fn(&T) -> u32 + Send + Sync> PoolSteering<T> for LeastOutstandingRequests<F> {
    fn choose<'a>(
        &self,
        candidates: &PoolCandidates<'a, T>,
        seed: Seed,
    ) -> Option<PoolCandidate<'a, T>> {
        least_loaded(candidates, seed, &self.0)
    }
}

impl<T, F: Fn(&T) -> u32 + Send + Sync> PoolSteering<T> for LeastConnections<F> {
    fn choose<'a>(
        &self,
        candidates: &PoolCandidates<'a, T>,
        seed: Seed,
    ) -> Option<PoolCandidate<'a, T>> {
        least_loaded(candidates, seed, &self.0)
    }
}

fn least_loaded<'a, T>(
    candidates: &PoolCandidates<'a, T>,
    seed: Seed,
    load: impl Fn(&T) -> u32,
) -> Option<PoolCandidate<'a, T>> {
    let sum = |pool: &PoolCandidate<'a, T>| pool.targets().map(&load).fold(0, u32::saturating_add);
    match seed {
        Seed::Entropy(seed) => candidates.preferred_by(seed, sum),
        Seed::Stable(seed) => candidates.preferred(seed),
    }
}

/// The order of the pools of a snapshot: as given, or by a steering.
pub(crate) struct PoolOrder<T>(pub(crate) Option<Arc<dyn PoolSteering<T>>>);

impl<T> Clone for PoolOrder<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for PoolOrder<T> {
    fn default() -> Self {
        Self(None)
    }
}

/// `AsGiven`, or `Steered` without the steering, which is a trait object.
impl<T> fmt::Debug for PoolOrder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Steered" } else { "AsGiven" })
    }
}
