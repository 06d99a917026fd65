//! The checks of the fuzz targets, one file each. `tests/fuzz_targets.rs` runs them over the
//! corpora and over random bytes, without a fuzzer; `gateway` is run by the example gateway's tests.

pub mod apply;
pub mod cache_guard;
pub mod config_json;
pub mod cookie_header;
pub mod exchange;
pub mod flow;
pub mod header_keys;
pub mod issued_header;
pub mod memory_store;
pub mod pools;
pub mod set_cookie;
pub mod strip;
pub mod token;

mod choices;
mod plain_cookies;

#[path = "../../tests/history/mod.rs"]
mod history;
#[path = "../../tests/naive/mod.rs"]
mod naive;
#[path = "../../tests/support/mod.rs"]
mod support;
