//! The pools of a snapshot: all of them, the open ones, one by its name.

use std::fmt;
use std::ops::Range;

use super::Pools;
use super::view::PoolView;
use crate::endpoint::member::PoolIndex;

impl<T> Pools<T> {
    /// Returns all pools: those in failover order, then a fallback pool apart from them.
    ///
    /// ```
    /// use session_affinity::{Endpoint, Pool, Pools};
    ///
    /// let pool = Pool::new("eu").with_endpoint(Endpoint::new("eu-1", "10.0.0.1:80"));
    /// for pool in &Pools::builder().pool(pool).build()? {
    ///     println!("{} is open: {}", pool.name(), pool.is_open());
    /// }
    /// # Ok::<(), session_affinity::pools::InvalidPools>(())
    /// ```
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { pools: self, indices: 0..self.pools.len() }
    }

    /// Returns the pool with this name.
    pub fn pool(&self, name: &str) -> Option<PoolView<'_, T>> {
        self.iter().find(|pool| pool.name() == name)
    }

    /// Returns the pools that take new sessions, in failover order.
    pub(crate) fn open(&self) -> impl Iterator<Item = PoolView<'_, T>> + Clone + use<'_, T> {
        self.iter().take(self.topology.in_order).filter(PoolView::is_open)
    }

    /// Returns the pool that is used when no other is open. Cloudflare: `fallback_pool`.
    pub fn fallback(&self) -> Option<PoolView<'_, T>> {
        PoolView::new(self, self.topology.fallback?)
    }
}

impl<'a, T> IntoIterator for &'a Pools<T> {
    type Item = PoolView<'a, T>;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

/// The iterator of [`Pools::iter`].
pub struct Iter<'a, T> {
    pools: &'a Pools<T>,
    indices: Range<usize>,
}

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = PoolView<'a, T>;

    fn next(&mut self) -> Option<PoolView<'a, T>> {
        PoolView::new(self.pools, PoolIndex(self.indices.next()?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.indices.size_hint()
    }
}

impl<T> ExactSizeIterator for Iter<'_, T> {}

impl<T> Clone for Iter<'_, T> {
    fn clone(&self) -> Self {
        Self { pools: self.pools, indices: self.indices.clone() }
    }
}

/// Shows the pools that are left.
impl<T> fmt::Debug for Iter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}
