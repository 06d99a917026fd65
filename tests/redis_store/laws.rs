//! The laws of the trait, on a server whose records are made older.

use std::sync::Arc;

use session_affinity::UnixTime;
use session_affinity::store::{Lookup, Record, StoreWrite};

use crate::client::Client;
use crate::redis_server::RedisServer;
use crate::store_laws::{self, Subject};
use crate::support::NOW;

struct InRedis {
    server: Arc<RedisServer>,
    client: Arc<Client>,
    now: UnixTime,
}

impl InRedis {
    fn new() -> Self {
        Self::with_touch_interval(0)
    }

    fn with_touch_interval(seconds: u64) -> Self {
        let server = Arc::new(RedisServer::start());
        let client = Arc::new(Client::with_touch_interval(&server, seconds));
        Self { server, client, now: NOW }
    }
}

impl Subject for InRedis {
    fn load(&self, lookup: &Lookup) -> Record {
        self.client.runtime.block_on(self.client.store.load(lookup)).unwrap()
    }

    fn save(&self, write: &StoreWrite) {
        self.client.runtime.block_on(self.client.store.save(write)).unwrap();
    }

    fn live(&self) -> usize {
        self.server.ask(&["DBSIZE"])
    }

    fn now(&self) -> UnixTime {
        self.now
    }

    fn wait(&mut self, seconds: u64) {
        self.server.pass(seconds);
        self.now = self.now.saturating_add(seconds);
    }
}

store_laws::laws!(InRedis::new());

#[test]
fn it_behaves_as_a_map_does() {
    let InRedis { server, client, now } = InRedis::new();
    store_laws::it_behaves_as_a_map_does(16, || {
        server.ask::<()>(&["FLUSHALL"]);
        InRedis { server: server.clone(), client: client.clone(), now }
    });
}

/// No law asks that every touch is sent. (The map does.)
mod with_a_touch_interval {
    use super::*;

    store_laws::laws!(InRedis::with_touch_interval(3_600));
}
