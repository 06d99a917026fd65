#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| session_affinity_fuzz::exchange::check(input));
