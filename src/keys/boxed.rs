//! Keys that stay where they are made, and leave no copy behind.

use std::ops::Deref;

use hmac::digest::zeroize::Zeroize;

/// A key in a heap allocation of its own. Moving the owner leaves the key in place, so that no copy
/// of it stays behind. The key wipes itself when it is dropped.
pub(crate) struct Boxed<T: ?Sized>(Box<T>);

impl<T: ?Sized> Boxed<T> {
    /// Takes over a key that stands in its box already.
    pub(super) fn of(key: Box<T>) -> Self {
        Self(key)
    }

    /// Makes the key, and overwrites the copies of it that this leaves on the stack.
    pub(crate) fn new(make: impl FnOnce() -> Box<T>) -> Self {
        Self(swept(make))
    }
}

impl<T: ?Sized> Clone for Boxed<T>
where
    Box<T>: Clone,
{
    fn clone(&self) -> Self {
        Self::new(|| self.0.clone())
    }
}

impl<T: ?Sized> Deref for Boxed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Runs work on keys and overwrites the copies of them that it leaves on the stack. They could
/// reach the heap: a value that is moved there takes what was on the stack as its unused bytes.
pub(super) fn swept<T>(work: impl FnOnce() -> T) -> T {
    #[inline(never)]
    fn run<T>(work: impl FnOnce() -> T) -> T {
        work()
    }

    // Called from the same frame as the work, this covers the same part of the stack.
    #[inline(never)]
    fn sweep() {
        [0_u64; 512].zeroize();
    }

    let result = run(work);
    sweep();
    result
}
