//! The count of an endpoint's requests in flight, and the sum over its pool.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::sync::AtomicU64;

/// A counter of the requests that an endpoint has not answered to the end, for
/// [`LeastOutstandingRequests`](super::LeastOutstandingRequests). Cloning is cheap, and clones
/// share the count.
///
/// Put one into the embedder's own value for the endpoint, call [`InFlight::begin`] when a request
/// is sent, and keep the guard until the last byte of the response has gone. The guard borrows
/// nothing, so it can be moved into the response's body or into the task of a tunnel.
///
/// ```
/// use session_affinity::steering::{InFlight, InFlightGuard, LeastOutstandingRequests, PoolLoad};
/// use session_affinity::{Endpoint, Pool};
///
/// struct Peer {
///     address: &'static str,
///     in_flight: InFlight,
/// }
///
/// /// The body of a response, of which the request is in flight until this is dropped.
/// struct Body {
///     bytes: &'static [u8],
///     _in_flight: InFlightGuard,
/// }
///
/// let load = PoolLoad::default(); // shared by the endpoints of one pool
/// let peer = |address| Peer { address, in_flight: InFlight::of(&load) };
/// let (one, two) = (peer("10.0.0.1:80"), peer("10.0.0.2:80"));
///
/// let body = Body { bytes: b"hello", _in_flight: one.in_flight.begin() };
/// assert_eq!((one.in_flight.count(), two.in_flight.count(), load.total()), (1, 0, 1));
/// drop(body);
/// assert_eq!((one.in_flight.count(), load.total()), (0, 0));
///
/// let pool = Pool::new("eu")
///     .with_endpoint(Endpoint::new("eu-1", one))
///     .with_endpoint(Endpoint::new("eu-2", two))
///     .with_steering(LeastOutstandingRequests(|peer: &Peer| peer.in_flight.count()));
/// ```
///
/// A value that stays the same from snapshot to snapshot keeps its count; where each snapshot gets
/// values of its own, clone the counter of the one before.
#[derive(Clone, Default)]
pub struct InFlight {
    own: Arc<Count>,
    pool: Option<PoolLoad>,
}

/// The sum of the requests in flight to all endpoints of one pool. Cloning is cheap, and clones
/// share the sum.
#[derive(Clone, Default)]
pub struct PoolLoad(Arc<Count>);

/// One request in flight, counted until this is dropped.
#[derive(Debug)]
#[must_use = "the request counts as ended when the guard is dropped"]
pub struct InFlightGuard {
    endpoint: InFlight,
}

/// A count in a cache line of its own, because every request writes to it. 64 bits do not
/// overflow: each request that counts has a guard in memory.
#[derive(Default)]
#[repr(align(64))]
struct Count(AtomicU64);

impl InFlight {
    /// Creates the counter of one endpoint of a pool, whose requests count in the sum of the pool
    /// as well. [`InFlight::default`] is a counter without a pool.
    pub fn of(pool: &PoolLoad) -> Self {
        Self { own: Arc::default(), pool: Some(pool.clone()) }
    }

    /// Counts one more request until the guard is dropped.
    pub fn begin(&self) -> InFlightGuard {
        self.counts().for_each(|count| _ = count.0.fetch_add(1, Relaxed));
        InFlightGuard { endpoint: self.clone() }
    }

    /// Returns the number of requests in flight to the endpoint, at most [`u32::MAX`].
    pub fn count(&self) -> u32 {
        self.own.load()
    }

    /// Returns the number of requests in flight to all endpoints of the pool, at most
    /// [`u32::MAX`]; without a pool, to this endpoint.
    pub fn total(&self) -> u32 {
        self.pool.as_ref().map_or_else(|| self.count(), PoolLoad::total)
    }

    /// Returns the counts that a request changes.
    fn counts(&self) -> impl Iterator<Item = &Count> {
        let pool = self.pool.as_ref().map(|pool| &*pool.0);
        [&*self.own].into_iter().chain(pool)
    }
}

impl PoolLoad {
    /// Returns the number of requests in flight to all endpoints of the pool, at most
    /// [`u32::MAX`].
    pub fn total(&self) -> u32 {
        self.0.load()
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.endpoint.counts().for_each(|count| _ = count.0.fetch_sub(1, Relaxed));
    }
}

impl Count {
    fn load(&self) -> u32 {
        u32::try_from(self.0.load(Relaxed)).unwrap_or(u32::MAX)
    }
}

/// `InFlight { count: 3, .. }`
impl fmt::Debug for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InFlight").field("count", &self.count()).finish_non_exhaustive()
    }
}

/// `PoolLoad { total: 7 }`
impl fmt::Debug for PoolLoad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolLoad").field("total", &self.total()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_for_its_endpoint_and_its_pool_until_the_guard_is_dropped() {
        let (eu, us) = (PoolLoad::default(), PoolLoad::default());
        let (one, two, other) = (InFlight::of(&eu), InFlight::of(&eu), InFlight::of(&us));
        let guards = [one.begin(), one.begin(), two.begin()];
        let _elsewhere = other.begin();
        assert_eq!((one.count(), two.count(), other.count()), (2, 1, 1));
        assert_eq!((one.total(), two.total(), eu.total(), us.total()), (3, 3, 3, 1));
        let [first, second, third] = guards;
        drop((first, third));
        assert_eq!((one.count(), two.count(), eu.total()), (1, 0, 1));
        drop(second);
        assert_eq!((one.count(), eu.total(), us.total()), (0, 0, 1));
    }

    #[test]
    fn clones_share_the_count_and_a_guard_outlives_the_counter() {
        let eu = PoolLoad::default();
        let one = InFlight::of(&eu);
        let guard = one.clone().begin();
        assert_eq!((one.count(), eu.clone().total()), (1, 1));
        drop(one);
        assert_eq!(eu.total(), 1);
        drop(guard);
        assert_eq!(eu.total(), 0);
    }

    #[test]
    fn without_a_pool_the_total_is_the_count() {
        let (alone, another) = (InFlight::default(), InFlight::default());
        let _guards = [alone.begin(), alone.begin(), another.begin()];
        assert_eq!((alone.count(), alone.total(), another.total()), (2, 2, 1));
    }

    #[test]
    fn a_count_beyond_32_bits_is_the_greatest_of_32_bits() {
        let eu = PoolLoad::default();
        let one = InFlight::of(&eu);
        one.own.0.store(u32::MAX.into(), Relaxed);
        eu.0.0.store(u64::MAX >> 1, Relaxed);
        let _guard = one.begin();
        assert_eq!((one.count(), one.total()), (u32::MAX, u32::MAX));
    }

    #[test]
    fn debug_shows_the_counts() {
        let eu = PoolLoad::default();
        let one = InFlight::of(&eu);
        let guards = [one.begin(), InFlight::of(&eu).begin()];
        assert_eq!(format!("{one:?} {eu:?}"), "InFlight { count: 1, .. } PoolLoad { total: 2 }");
        assert_eq!(format!("{:?}", guards[0]), format!("InFlightGuard {{ endpoint: {one:?} }}"));
    }

    #[test]
    fn no_two_counts_share_a_cache_line() {
        assert_eq!((size_of::<Count>(), align_of::<Count>()), (64, 64));
    }
}
