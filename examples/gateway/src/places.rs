//! The places for connections.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// The time after which the connections are asked again for a place.
const PAUSE: Duration = Duration::from_millis(100);

/// The places of a listener, of which each connection has one.
#[derive(Debug)]
pub(crate) struct Places {
    free: Arc<Semaphore>,
    wanted: watch::Sender<()>,
}

impl Places {
    pub(crate) fn new(count: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(count)), wanted: watch::Sender::new(()) }
    }

    /// Returns a channel that changes while a connection waits for a place and none is free.
    pub(crate) fn wanted(&self) -> watch::Receiver<()> {
        self.wanted.subscribe()
    }

    /// Waits for a place, which is free again when the permit is dropped.
    pub(crate) async fn take(&self) -> OwnedSemaphorePermit {
        loop {
            if let Ok(place) = self.free.clone().try_acquire_owned() {
                return place;
            }
            self.wanted.send_replace(());
            // An error would mean that the semaphore is closed, which nothing does; and there may be
            // no place after this time.
            if let Ok(Ok(place)) =
                tokio::time::timeout(PAUSE, self.free.clone().acquire_owned()).await
            {
                return place;
            }
        }
    }
}
