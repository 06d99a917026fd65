//! Sessions that gateways on several machines share.

use std::sync::Arc;
use std::time::Duration;

use session_affinity::{Name, Record, RedisError, RedisStore, StoreDeadline, StoreWrite, Visit};
use tokio::sync::watch;

pub(crate) struct Redis {
    store: RedisStore,
    /// How many writes are running.
    writes: Arc<watch::Sender<usize>>,
}

impl Redis {
    pub(crate) fn new(
        url: &str,
        deadline: Option<u64>,
        load_balancer: &Name,
    ) -> Result<Self, String> {
        let deadline = match deadline {
            None => StoreDeadline::default(),
            Some(milliseconds) => {
                StoreDeadline::new(milliseconds).map_err(|error| error.to_string())?
            }
        };
        let store =
            RedisStore::new(load_balancer, url).map_err(|error| format!("store: {error}"))?;
        Ok(Self { store: store.with_deadline(deadline), writes: Arc::new(watch::Sender::new(0)) })
    }

    pub(crate) async fn connect(&self) -> Result<(), RedisError> {
        self.store.connect().await
    }

    /// As `RedisStore::record`, with the reason when it is out of reach.
    pub(crate) async fn record(&self, visit: &Visit) -> Result<Record, RedisError> {
        match visit.lookup() {
            None => Ok(Record::Absent),
            Some(lookup) => self.store.load(&lookup).await,
        }
    }

    pub(crate) async fn save(&self, write: &StoreWrite) -> Result<(), RedisError> {
        self.store.save(write).await
    }

    /// To be held while a write is running.
    pub(crate) fn running(&self) -> Running {
        self.writes.send_modify(|count| *count += 1);
        Running(self.writes.clone())
    }

    /// Waits until no write is running. Each has its deadline, of a second at most.
    pub(crate) async fn finish(&self) {
        let mut writes = self.writes.subscribe();
        // If they have not ended by then, they never do.
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
