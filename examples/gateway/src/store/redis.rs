//! The store that gateways on several machines share.

use std::sync::Arc;
use std::time::Duration;

use session_affinity::limits::StoreDeadline;
use session_affinity::store::{Lookup, RedisError};
use session_affinity::{LoadBalancer, Record, RedisStore, StoreWrite};
use tokio::sync::watch;

/// The error of a URL in the file. The URL is not shown, because it may contain a password.
const INVALID_URL: &str = "store: the URL is not one of Redis; allowed: \
    redis://[user:password@]host[:port][/database] and redis+unix:///path, and rediss:// where the \
    crate redis is built with TLS";

pub(crate) struct Redis {
    store: RedisStore,
    /// The number of writes that are running.
    writes: Arc<watch::Sender<usize>>,
}

impl Redis {
    pub(crate) fn new(
        url: &str,
        deadline: Option<u64>,
        load_balancer: &LoadBalancer,
    ) -> Result<Self, String> {
        let deadline = match deadline {
            None => StoreDeadline::default(),
            Some(milliseconds) => {
                StoreDeadline::new(milliseconds).map_err(|error| error.to_string())?
            }
        };
        let store = RedisStore::new(load_balancer, url).map_err(|_| INVALID_URL)?;
        Ok(Self { store: store.with_deadline(deadline), writes: Arc::new(watch::Sender::new(0)) })
    }

    pub(crate) async fn connect(&self) -> Result<(), RedisError> {
        self.store.connect().await
    }

    /// Returns the record as `RedisStore::record` does, but the error where the store is out of
    /// reach.
    pub(crate) async fn record(&self, lookup: Option<Lookup>) -> Result<Record, RedisError> {
        match lookup {
            None => Ok(Record::Absent),
            Some(lookup) => self.store.load(&lookup).await,
        }
    }

    pub(crate) async fn save(&self, write: &StoreWrite) -> Result<(), RedisError> {
        self.store.save(write).await
    }

    /// Counts a write as running until the returned value is dropped.
    pub(crate) fn running(&self) -> Running {
        self.writes.send_modify(|count| *count += 1);
        Running(self.writes.clone())
    }

    /// Waits until all writes have ended. Each has a deadline of at most one second.
    pub(crate) async fn finish(&self) {
        let mut writes = self.writes.subscribe();
        // A write that has outlived its deadline by then is not waited for.
        let _ = tokio::time::timeout(Duration::from_secs(2), writes.wait_for(|count| *count == 0))
            .await;
    }
}

pub(crate) struct Running(Arc<watch::Sender<usize>>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}
