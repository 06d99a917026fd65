//! Any bytes are refused with a reason, or are a token that seals to the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use session_affinity::*;

fuzz_target!(|value: &[u8]| {
    let key = Key::new(1, Secret::new([7; 32]).expect("32 bytes"));
    let codec = TokenCodec::new(&Name::new("shop").expect("a name"), &CookieName::default(), &Keyring::from(key));
    if let Ok(pin) = codec.open(value, UnixTime::from_secs(1_800_000_000)) {
        assert_eq!(codec.seal(&pin).as_str().as_bytes(), value);
    }
});
