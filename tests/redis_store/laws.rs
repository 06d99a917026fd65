//! The laws of the trait, and how time passes for a server whose clock cannot be set.

use std::sync::Arc;

use session_affinity::*;

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
        let server = Arc::new(RedisServer::start());
        Self { client: Arc::new(Client::of(&server)), server, now: NOW }
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

macro_rules! laws {
    ($($law:ident)*) => {$(
        #[test]
        fn $law() {
            store_laws::$law(&mut InRedis::new());
        }
    )*};
}

laws! {
    a_record_is_alive_until_one_second_before_its_idle_time_is_over
    a_replacement_lives_for_its_own_time
    a_load_does_not_restart_the_timer
    a_touch_makes_no_record_and_wakes_none
    a_touch_keeps_endpoint_and_time_of_the_record
    a_create_keeps_what_came_first_and_a_replace_does_not
    a_create_that_comes_second_does_not_restart_the_timer
    a_key_shows_no_record_but_its_own
    an_idle_time_of_nothing_leaves_no_record
    the_longest_idle_time_can_be_stored
}

#[test]
fn it_behaves_as_a_map_does() {
    let InRedis { server, client, now } = InRedis::new();
    store_laws::it_behaves_as_a_map_does(16, || {
        server.ask::<()>(&["FLUSHALL"]);
        InRedis { server: server.clone(), client: client.clone(), now }
    });
}
