//! The runtimes that a store works in.

use std::time::Duration;

use session_affinity::store::{Record, RedisError, RedisStore, StoreConnection};

use crate::client::*;
use crate::redis_server::RedisServer;
use crate::stubs::refusing;
use crate::support::shop;

#[test]
fn without_a_runtime_a_call_fails_and_does_not_panic() {
    let store = RedisStore::new(shop(), &refusing()).unwrap();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let loaded = std::pin::pin!(store.load(&lookup(1))).poll(&mut context);
    assert_eq!(loaded, std::task::Poll::Ready(Err(RedisError::NoRuntime)));
    let connected = std::pin::pin!(store.connect()).poll(&mut context);
    assert_eq!(connected, std::task::Poll::Ready(Err(RedisError::NoRuntime)));
}

#[test]
fn a_store_outlives_the_runtime_that_it_was_first_used_in() {
    let server = RedisServer::start();
    let Client { store, runtime } = Client::of(&server);
    runtime.block_on(store.save(&create(1, 7))).unwrap();
    drop(runtime);
    assert!(matches!(
        runtime_of_one_thread().block_on(store.load(&lookup(1))),
        Ok(Record::Found { .. })
    ));
}

#[test]
fn in_a_runtime_without_io_a_call_fails_and_does_not_panic() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let store = RedisStore::new(shop(), &refusing()).unwrap();
    assert!(runtime.block_on(store.load(&lookup(1))).is_err());
}

/// Tokio panics where it should make a socket. The panic is that of the background task.
#[cfg(unix)]
#[test]
fn after_a_panic_of_the_background_task_the_server_is_down_and_the_cause_is_told() {
    let path = std::env::temp_dir().join(format!("session-affinity-{}.sock", std::process::id()));
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let url = format!("redis+unix://{}", path.display());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .unwrap();
    let client = Client { store: RedisStore::new(shop(), &url).unwrap().into(), runtime };
    wait_until("the panic", || {
        client.load(1).is_err() && client.store.health().connection == StoreConnection::Down
    });
    let ((), elapsed) = timed(|| {
        for _ in 0..100 {
            let error = client.load(1).unwrap_err().to_string();
            let told = error.starts_with("there is no connection to Redis: a panic: ");
            assert!(told && error.contains("IO is disabled"), "{error}");
        }
    });
    assert!(elapsed < Duration::from_secs(1), "each waits for its deadline: {elapsed:?}");
    std::fs::remove_file(path).unwrap();
}

#[test]
fn the_futures_can_be_spawned() {
    fn spawnable<T: Send>(future: T) -> T {
        future
    }
    let client = Client::at(&refusing());
    let (lookup, write) = (lookup(1), touch(1));
    let (loading, saving) =
        (spawnable(client.store.load(&lookup)), spawnable(client.store.save(&write)));
    drop((loading, saving, spawnable(client.store.connect())));
}
