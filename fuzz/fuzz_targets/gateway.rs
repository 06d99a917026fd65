#![no_main]

// Not in the library of the targets, which the crate's own tests include: they know no gateway.
#[path = "../src/gateway.rs"]
mod gateway_check;

libfuzzer_sys::fuzz_target!(|input: &[u8]| gateway_check::check(input));
