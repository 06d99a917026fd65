//! Any JSON is refused or read, and what was read is written and read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use session_affinity::config::{Config, PoolConfig};
use session_affinity::*;

fuzz_target!(|json: &[u8]| {
    if let Ok(config) = serde_json::from_slice::<Config>(json) {
        let written = serde_json::to_vec(&config).expect("it can be written");
        assert_eq!(serde_json::from_slice::<Config>(&written).expect("it can be read"), config);
        let keyring = Keyring::from(Key::new(1, Secret::new([7; 32]).expect("32 bytes")));
        let _ = Affinity::from_config(&config, &keyring);
    }
    if let Ok(pools) = serde_json::from_slice::<Vec<PoolConfig>>(json) {
        let written = serde_json::to_vec(&pools).expect("it can be written");
        assert_eq!(serde_json::from_slice::<Vec<PoolConfig>>(&written).expect("it can be read"), pools);
        let _ = Config::new("shop").pools(&pools, |_, _| (), |()| 0);
    }
});
