//! Any JSON is refused or read, and what was read is written and read again as the same; what the
//! strict reader accepts is the same too; what is accepted serves a request.

use std::net::IpAddr;

use http::HeaderMap;
use session_affinity::config::{Config, Extensions, OriginConfig, PoolConfig, read_strict};
use session_affinity::{
    Affinity, Health, Key, Keyring, Pools, Record, RequestMeta, Scheme, Secret, UnixTime,
};

macro_rules! strict {
    ($type:ty, $json:expr) => {
        read_strict::<$type, _>(&mut serde_json::Deserializer::from_slice($json)).ok()
    };
}

pub fn check(json: &[u8]) {
    if let Ok(mut config) = serde_json::from_slice::<Config>(json) {
        let written = serde_json::to_vec(&config).unwrap();
        assert_eq!(strict!(Config, &written).unwrap(), config);
        assert!(strict!(Config, json).is_none_or(|strict| strict == config));
        serve(&config, &[]);
        config.extensions.session_secret = Some(Secret::new([5; 32]).unwrap());
        serve(&config, &[]);
    }
    if let Ok(pools) = serde_json::from_slice::<Vec<PoolConfig>>(json) {
        let written = serde_json::to_vec(&pools).unwrap();
        assert_eq!(strict!(Vec<PoolConfig>, &written).unwrap(), pools);
        assert!(strict!(Vec<PoolConfig>, json).is_none_or(|strict| strict == pools));
        for origin in pools.iter().flat_map(|pool| &pool.origins) {
            let address = origin.authority();
            let complete = OriginConfig { address: address.clone(), ..origin.clone() };
            assert_eq!(complete.authority(), address);
        }
        serve(&Config::new("shop"), &pools);
    }
    if let Ok(mut extensions) = serde_json::from_slice::<Extensions>(json) {
        serve(&Config { extensions: extensions.clone(), ..Config::new("shop") }, &[]);
        extensions.session_secret = None;
        let written = serde_json::to_vec(&extensions).unwrap();
        assert_eq!(strict!(Extensions, &written).unwrap(), extensions);
    }
}

fn serve(config: &Config, described: &[PoolConfig]) {
    let keyring = Keyring::from(Key::new(1, Secret::new([7; 32]).unwrap()));
    let affinity = match Affinity::from_config(config, &keyring) {
        Ok(affinity) => affinity,
        Err(refused) => return drop(refused.to_string()),
    };
    let pools: Pools<()> = match config.pools(described, Health::Healthy, |_, _| (), |()| 0) {
        Ok(pools) => pools,
        Err(refused) => return drop(refused.to_string()),
    };
    // The same file, read again, changes nothing.
    let again = config.rebuild(&pools, described, Health::Healthy, |_, _, _| (), |()| 0).unwrap();
    assert_eq!(format!("{:?}", again.iter()), format!("{:?}", pools.iter()));
    let endpoints = |pools: &Pools<()>| {
        pools
            .iter()
            .flat_map(|pool| pool.endpoints())
            .map(|it| format!("{it:?}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(endpoints(&again), endpoints(&pools));
    let headers = HeaderMap::new();
    let client_ip = IpAddr::from([192, 0, 2, 1]);
    let request = RequestMeta::new(&headers, Scheme::Http).with_client_ip(client_ip);
    let visit = affinity.recall(&request, UnixTime::from_secs(1_800_000_000));
    if let Ok((attempt, ())) = affinity.route(visit, Record::Absent, &pools, || 0)
        && let Ok((next, ())) = affinity.failover(attempt, &pools)
    {
        let _ = affinity.settle(next, &pools);
    }
}
