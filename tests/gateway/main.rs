//! The example gateway, driven from outside: its own process, real endpoints on loopback ports,
//! and nothing known of it but what its documentation says.
//!
//! `cargo test` builds the gateway too. `cargo test --test gateway` alone does not: run
//! `cargo build --example gateway` first.

mod support;

mod admin;
mod clock;
mod config;
mod demo;
mod drain;
mod failover;
mod forwarding;
mod hostile;
mod keys;
mod outcomes;
mod pools;
mod restart;
mod shutdown;
mod stickiness;
mod store;
mod two_gateways;
mod upgrade;
