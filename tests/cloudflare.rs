//! Load balancers and pools as Cloudflare's API lists them (`GET /zones/{zone}/load_balancers` and
//! `GET /accounts/{account}/load_balancers/pools`) are read unchanged and given back. The names are
//! those of its reference, the values are made up.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use session_affinity::config::*;
use session_affinity::cookies::{SameSite, Secure};
use session_affinity::pools::ShedBy;
use session_affinity::*;

mod support;
use support::keyring;

const EU: &str = "1d9b64f07c2a4e85a3f6c0e85b7d2914";
const US: &str = "7a02e9c35f8d41b6905ec1d7f34a86b2";
const LAST: &str = "c83e57d1a9f04b62b7e0d45f1a2c6938";

/// The value under `result` in these answers.
fn listed(answer: &str) -> Value {
    serde_json::from_str::<Value>(answer).unwrap()["result"].take()
}

fn load_balancers() -> (Value, Vec<Config>) {
    let listed = listed(include_str!("cloudflare/load_balancers.json"));
    (listed.clone(), serde_json::from_value(listed).unwrap())
}

fn pools() -> (Value, Vec<PoolConfig>) {
    let listed = listed(include_str!("cloudflare/pools.json"));
    (listed.clone(), serde_json::from_value(listed).unwrap())
}

fn ids(ids: &[&str]) -> Option<Vec<String>> {
    Some(ids.iter().map(|id| (*id).into()).collect())
}

#[test]
fn load_balancers_are_read_as_the_api_lists_them() {
    let shop = Config {
        session_affinity: SessionAffinity::Cookie,
        session_affinity_ttl: Some(14_400),
        session_affinity_attributes: SessionAffinityAttributes {
            samesite: SameSite::Lax,
            secure: Secure::Always,
            drain_duration: 600,
            zero_downtime_failover: FailoverMode::Sticky,
            headers: vec![],
            require_all_headers: false,
        },
        adaptive_routing: AdaptiveRouting { failover_across_pools: true },
        default_pools: ids(&[EU, US]),
        fallback_pool: Some(LAST.into()),
        ..Config::new("shop.example.com")
    };
    let api = Config {
        session_affinity: SessionAffinity::Header,
        session_affinity_ttl: Some(900),
        session_affinity_attributes: SessionAffinityAttributes {
            zero_downtime_failover: FailoverMode::Temporary,
            headers: vec!["x-tenant".into(), "cookie:sid,lang".into()],
            require_all_headers: true,
            ..SessionAffinityAttributes::default()
        },
        default_pools: ids(&[US]),
        fallback_pool: Some(US.into()),
        ..Config::new("api.example.com")
    };
    let plain = Config { default_pools: ids(&[LAST, EU]), ..Config::new("static.example.com") };
    assert_eq!(load_balancers().1, [shop, api, plain]);
}

#[test]
fn pools_are_read_as_the_api_lists_them() {
    let origin = |name: &str, address: &str, port, weight| OriginConfig {
        port,
        weight: Some(weight),
        enabled: Some(true),
        ..OriginConfig::new(name, address)
    };
    let eu = PoolConfig {
        enabled: Some(true),
        minimum_origins: Some(2),
        origin_steering: OriginSteering { policy: SteeringPolicy::LeastOutstandingRequests },
        load_shedding: Some(LoadSheddingConfig {
            default_percent: 25,
            default_policy: ShedBy::Hash,
            session_percent: 5,
        }),
        origins: vec![
            origin("fra-1", "192.0.2.11", Some(0), 1.0),
            origin("fra-2", "2001:db8:11::2", Some(0), 0.56),
            OriginConfig {
                enabled: Some(false),
                disabled_at: Some(UnixTime::from_secs(1_799_961_450)),
                ..origin("fra-3", "fra-3.shop.example.net", Some(8080), 0.3)
            },
        ],
        ..PoolConfig::new(EU)
    };
    let us = PoolConfig {
        enabled: Some(false),
        disabled_at: Some(UnixTime::from_secs(1_792_888_200)),
        minimum_origins: Some(1),
        load_shedding: Some(LoadSheddingConfig::default()),
        origins: vec![
            origin("iad-1", "198.51.100.21", None, 1.0),
            origin("iad-2", "198.51.100.22", None, 0.0),
        ],
        ..PoolConfig::new(US)
    };
    // Null states the default.
    let last = PoolConfig {
        enabled: Some(true),
        minimum_origins: Some(0),
        load_shedding: Some(LoadSheddingConfig::default()),
        origin_steering: OriginSteering { policy: SteeringPolicy::Hash },
        origins: vec![origin("sorry", "203.0.113.80", None, 1.0)],
        ..PoolConfig::new(LAST)
    };
    assert_eq!(pools().1, [eu, us, last]);
}

/// Asserts that the written value says the same as the one that was read, where that one said
/// anything: null and `""` leave it to the default. Unknown names are not written.
#[track_caller]
fn assert_given_back(written: &Value, read: &Value, path: &str) {
    match (written, read) {
        (_, Value::Null) => {}
        (Value::String(written), Value::String(read)) if path.ends_with(".disabled_at") => {
            let time = |text: &str| {
                serde_json::from_value::<OriginConfig>(json!({ "disabled_at": text })).unwrap()
            };
            assert_eq!(time(written), time(read), "{path}");
        }
        (Value::String(written), Value::String(read)) => {
            assert!(read.is_empty() || written == read, "{path}: {written}")
        }
        (Value::Number(written), Value::Number(read)) => {
            assert_eq!(written.as_f64(), read.as_f64(), "{path}")
        }
        (Value::Bool(written), Value::Bool(read)) => assert_eq!(written, read, "{path}"),
        (Value::Array(written), Value::Array(read)) => {
            assert_eq!(written.len(), read.len(), "{path}");
            written
                .iter()
                .zip(read)
                .for_each(|(written, read)| assert_given_back(written, read, path));
        }
        (Value::Object(written), Value::Object(read)) => {
            for (name, written) in written {
                assert_given_back(
                    written,
                    read.get(name).unwrap_or(&Value::Null),
                    &format!("{path}.{name}"),
                );
            }
        }
        _ => panic!("{path}: {written} for {read}"),
    }
}

/// The names in an object that is not empty.
fn names(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn a_load_balancer_is_given_back() {
    let (read, configs) = load_balancers();
    let written = serde_json::to_value(&configs).unwrap();
    assert_given_back(&written, &read, "load_balancers");
    assert_eq!(serde_json::from_value::<Vec<Config>>(written.clone()).unwrap(), configs);
    let known = [
        "adaptive_routing",
        "default_pools",
        "fallback_pool",
        "name",
        "session_affinity",
        "session_affinity_attributes",
        "session_affinity_ttl",
    ];
    assert_eq!(names(&written[0]), known.into());
    assert_eq!(
        names(&written[0]["session_affinity_attributes"]),
        names(&read[0]["session_affinity_attributes"])
    );
    assert_eq!(names(&written[0]["adaptive_routing"]), names(&read[0]["adaptive_routing"]));
    // What was null is left out, or is the default.
    assert_eq!(
        written[2],
        json!({
            "name": "static.example.com",
            "session_affinity": "none",
            "session_affinity_attributes": {
                "samesite": "Auto", "secure": "Auto", "drain_duration": 0, "zero_downtime_failover": "none",
                "headers": [], "require_all_headers": false
            },
            "adaptive_routing": { "failover_across_pools": false },
            "default_pools": [LAST, EU]
        })
    );
}

#[test]
fn a_pool_is_given_back() {
    let (read, pools) = pools();
    let written = serde_json::to_value(&pools).unwrap();
    assert_given_back(&written, &read, "pools");
    assert_eq!(serde_json::from_value::<Vec<PoolConfig>>(written.clone()).unwrap(), pools);
    let known = [
        "id",
        "enabled",
        "disabled_at",
        "minimum_origins",
        "load_shedding",
        "origin_steering",
        "origins",
    ];
    assert_eq!(names(&written[1]), known.into());
    assert_eq!(names(&written[0]["load_shedding"]), names(&read[0]["load_shedding"]));
    assert_eq!(
        written[0]["origins"][2],
        json!({
            "name": "fra-3", "address": "fra-3.shop.example.net", "port": 8080, "weight": 0.3,
            "enabled": false, "disabled_at": "2027-01-14T21:17:30Z"
        })
    );
    assert_eq!(
        written[1]["load_shedding"],
        json!({ "default_percent": 0, "default_policy": "random", "session_percent": 0, "session_policy": "hash" })
    );
}

#[test]
fn what_the_api_lists_makes_load_balancers() {
    let (_, mut configs) = load_balancers();
    let (_, pools) = pools();
    for config in &mut configs {
        // The one parameter that an export cannot have.
        config.extensions.session_secret = Some(Secret::new([5; 32]).unwrap());
        Affinity::from_config(config, &keyring()).unwrap();
    }
    let snapshot = configs[0]
        .pools(&pools, Health::Healthy, |_, origin| origin.address.clone(), |_| 0)
        .unwrap();
    assert_eq!(snapshot.iter().map(|pool| pool.name()).collect::<Vec<_>>(), [EU, US, LAST]);
    let endpoint = |pool, name| snapshot.endpoint(EndpointId::new(pool, name)).unwrap();
    assert_eq!(endpoint(EU, "fra-2").weight(), Weight::new(56).unwrap());
    assert_eq!(
        endpoint(EU, "fra-3").state(),
        State::Disabled { at: Some(UnixTime::from_secs(1_799_961_450)) }
    );
    assert_eq!(endpoint(US, "iad-2").weight(), Weight::ZERO);
    assert_eq!(
        snapshot.pool(US).unwrap().state(),
        State::Disabled { at: Some(UnixTime::from_secs(1_792_888_200)) }
    );
    assert!(snapshot.pool(EU).is_some_and(|pool| pool.is_open()));
    assert_eq!(endpoint(LAST, "sorry").target(), "203.0.113.80");
}
