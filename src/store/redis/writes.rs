//! Writes that run in tasks of their own, so that no response waits for the server.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::timeout;

use super::{RedisError, RedisStore};
use crate::store::StoreWrite;

/// The longest time to wait for the writes that are running: each has a deadline of at most one
/// second.
const FINISH: Duration = Duration::from_secs(2);

/// A store, and the number of its writes that are running.
#[derive(Debug)]
pub(in crate::store) struct Writes {
    store: Arc<RedisStore>,
    running: Arc<watch::Sender<usize>>,
}

impl Writes {
    pub(in crate::store) fn new(store: RedisStore) -> Self {
        Self { store: Arc::new(store), running: Arc::new(watch::Sender::new(0)) }
    }

    pub(in crate::store) fn store(&self) -> &RedisStore {
        &self.store
    }

    /// Changes the store by one of its `with_*`, before the first write.
    pub(in crate::store) fn set(self, change: impl FnOnce(RedisStore) -> RedisStore) -> Self {
        let Self { store, running } = self;
        let store = match Arc::try_unwrap(store) {
            Ok(store) => Arc::new(change(store)),
            Err(shared) => shared,
        };
        Self { store, running }
    }

    /// Carries out a write in a task of the current runtime, and passes on its error.
    pub(in crate::store) fn spawn(
        &self,
        write: StoreWrite,
        report: impl Fn(&RedisError) + Send + 'static,
    ) {
        // A task costs more than the look into the memory of touches.
        if self.store.is_done(&write) {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return report(&RedisError::NoRuntime) };
        let (store, running) = (self.store.clone(), Running::new(self.running.clone()));
        // Here and not in the task: what is replaced is not answered from memory from now on.
        let since = store.begin(&write);
        runtime.spawn(async move {
            if let Err(error) = store.send(&write, since).await {
                report(&error);
            }
            drop(running);
        });
    }

    /// Waits until all writes have ended.
    pub(in crate::store) async fn finish(&self) {
        let mut running = self.running.subscribe();
        // A write that has outlived its deadline by then is not waited for.
        let _ = timeout(FINISH, running.wait_for(|count| *count == 0)).await;
    }
}

/// Counts a write as running until it is dropped, with the task's future if not before.
struct Running(Arc<watch::Sender<usize>>);

impl Running {
    fn new(count: Arc<watch::Sender<usize>>) -> Self {
        count.send_modify(|count| *count = count.saturating_add(1));
        Self(count)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}
