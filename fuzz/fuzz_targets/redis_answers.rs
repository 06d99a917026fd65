#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| session_affinity::store::check_redis_answers(input));
