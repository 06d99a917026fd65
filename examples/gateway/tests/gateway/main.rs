//! The gateway, driven from outside: its own process, real endpoints on loopback ports, and
//! nothing known of it but what its documentation says.
//!
//! With the feature `redis` some of the tests start a `redis-server`.

mod support;

mod admin;
mod carrier;
mod clock;
mod config;
mod demo;
mod disabled_at;
mod drain;
mod failover;
#[cfg(feature = "redis")]
mod fleet;
mod forwarding;
mod hostile;
mod keys;
mod limits;
mod metrics;
mod on_loss;
mod outcomes;
mod pools;
mod proxy_protocol;
#[cfg(feature = "redis")]
#[path = "../../../../tests/support/redis_server.rs"]
mod redis_server;
#[cfg(feature = "redis")]
mod redis_store;
mod reload;
mod restart;
mod room;
mod sessions;
mod shutdown;
mod steering;
mod stickiness;
mod store;
mod store_file;
mod two_gateways;
mod upgrade;
