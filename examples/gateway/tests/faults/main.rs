//! Faults while two thousand sessions are held: endpoints, the store and gateways fail, and every request is
//! checked against its session's pin.
//!
//! They are apart from the other tests of the gateway because of their load, beside which no time could be
//! measured.

#[path = "../gateway/support/mod.rs"]
mod support;

mod client;
mod crowd;
mod endpoints;
mod gateways;
mod port;
#[cfg(feature = "redis")]
#[path = "../../../../tests/support/redis_server.rs"]
mod redis_server;
mod round;
#[cfg(feature = "redis")]
mod store;
