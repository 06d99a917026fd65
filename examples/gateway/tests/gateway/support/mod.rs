//! What the tests are made of: endpoints, a client, the gateway's process and its file.
#![allow(dead_code, unused_imports, reason = "each test target uses its own part of this")]

mod client;
mod endpoint;
mod file;
mod path;
mod process;
mod wire;

pub(crate) use client::{Browser, Connection, Request, Response, get, post, request};
pub(crate) use endpoint::{Answer, Endpoint, Gate, Silent};
pub(crate) use file::{Config, SECRETS, shop, shop_of_pools};
pub(crate) use path::OwnPath;
pub(crate) use process::{Gateway, run_to_its_end};
pub(crate) use wire::Head;

use std::thread::sleep;
use std::time::{Duration, Instant};

/// No wait in these tests is longer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(15);

/// Waits until something is so.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < DEADLINE, "waited too long for this: {what}");
        sleep(Duration::from_millis(5));
    }
}

/// Bytes of which no two neighbouring blocks are equal.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index.wrapping_mul(31) ^ (index >> 8)) as u8).collect()
}
