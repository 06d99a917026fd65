//! The store of several machines. Each test starts a `redis-server` of its own.

#[path = "../support/redis_server.rs"]
mod redis_server;
#[path = "../store_laws/mod.rs"]
mod store_laws;
#[path = "../support/mod.rs"]
mod support;

mod access;
mod answers;
mod census;
mod client;
mod eviction;
mod health;
mod kinds;
mod laws;
mod layout;
mod nodes;
mod outages;
mod remembered;
mod runtimes;
mod stubs;
#[cfg(feature = "redis-tls")]
mod tls;
mod touches;
mod writes;
