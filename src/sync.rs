//! The atomics and the locks of this crate: those of the standard library, or, for the tests in
//! `interleavings`, those of loom, which runs a test in every order of the steps of its threads.

#[cfg(not(all(test, session_affinity_loom)))]
pub(crate) use std::sync::{Mutex, MutexGuard, RwLock, atomic::AtomicU64};

#[cfg(all(test, session_affinity_loom))]
pub(crate) use loom::sync::{Mutex, MutexGuard, RwLock, atomic::AtomicU64};
