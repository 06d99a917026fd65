//! The atomics and the lock of the crate: the standard library's. In `interleavings` they are
//! loom's, which runs a test through every order of its threads' steps.

#[cfg(not(all(test, session_affinity_loom)))]
pub(crate) use std::sync::{Mutex, MutexGuard, atomic::AtomicU64};

#[cfg(all(test, session_affinity_loom))]
pub(crate) use loom::sync::{Mutex, MutexGuard, atomic::AtomicU64};
