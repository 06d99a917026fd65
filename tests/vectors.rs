//! Bytes against vectors from elsewhere: tokens, endpoint ids, session keys, choices.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use session_affinity::carrier::{Carrier, IssuedHeader};
use session_affinity::cookies::{CookieAttributes, CookieName, SetCookie};
use session_affinity::limits::{ClockSkew, Ttl};
use session_affinity::policy::{Claim, Require};
use session_affinity::pools::PoolsBuilder;
use session_affinity::token::{Pin, Rejected, TokenCodec};
use session_affinity::*;

const TOKEN: &str = include_str!("vectors/token.json");
const MORE: &str = include_str!("vectors/more.json");
const REFUSED: &str = include_str!("vectors/refused.json");

#[test]
fn endpoint_ids_are_those_of_the_vectors() {
    let vectors: Value = serde_json::from_str(TOKEN).unwrap();
    let entries = vectors["endpoint_ids"].as_array().unwrap();
    for entry in entries {
        let id = EndpointId::new(text(&entry["pool"]), text(&entry["endpoint"]));
        assert_eq!(id.to_string(), text(&entry["id"]), "{entry}");
    }
    assert!(entries.len() >= 6);
}

#[test]
fn tokens_open_or_are_refused_as_the_vectors_say() {
    let vectors: Value = serde_json::from_str(TOKEN).unwrap();
    let scopes: Vec<(TokenCodec, &Value)> =
        vectors["scopes"].as_array().unwrap().iter().map(|s| (codec(s), s)).collect();
    let mut opened = 0;
    for entry in vectors["open"].as_array().unwrap() {
        let (codec, scope) = &scopes[entry["scope"].as_u64().unwrap() as usize];
        opened += check(codec, scope, entry, entry["steps"]["key_id"].as_u64());
    }
    assert!(opened >= 7, "{opened} opened");
}

#[test]
fn tokens_open_or_are_refused_where_those_leave_off() {
    let vectors: Value = serde_json::from_str(MORE).unwrap();
    let codec = codec(&vectors["scope"]);
    for entry in vectors["tokens"].as_array().unwrap() {
        check(&codec, &vectors["scope"], entry, entry["key_id"].as_u64());
    }
}

/// The scope has the name of the header in capitals, which do not matter.
#[test]
fn tokens_of_an_issued_header_open_or_are_refused_as_the_vectors_say() {
    let vectors: Value = serde_json::from_str(MORE).unwrap();
    let (scope, entries) = (&vectors["header_scope"], vectors["header_tokens"].as_array().unwrap());
    let codec = codec(scope);
    let opened: usize =
        entries.iter().map(|entry| check(&codec, scope, entry, entry["key_id"].as_u64())).sum();
    assert_eq!((opened, entries.len()), (3, 11));
}

/// manual::token, Opening: "The first check that fails is the reason."
#[test]
fn every_token_that_is_to_be_refused_is_refused_for_its_reason() {
    let vectors: Value = serde_json::from_str(REFUSED).unwrap();
    let mut counts = BTreeMap::new();
    for group in vectors["testGroups"].as_array().unwrap() {
        let codec = group_codec(group, None);
        for test in group["tests"].as_array().unwrap() {
            let now = UnixTime::from_secs(test["now"].as_u64().unwrap());
            let result = match text(&group["type"]) {
                "Token" => codec.open(&bytes(test), now).map_err(Some),
                _ => claimed(group, test, now),
            };
            let stated = match test["reason"].as_str() {
                Some(reason) => Err(reason),
                None => Ok(pin(&test["pin"])),
            };
            let reason = |reason: Option<Rejected>| reason.map_or("none", reason_of);
            assert_eq!(result.map_err(reason), stated, "{test}");
            if let (Ok(pin), Some(key_id)) = (result, test["sealedWith"].as_u64()) {
                let sealed = group_codec(group, Some(key_id)).seal(&pin);
                assert_eq!(sealed.as_bytes(), bytes(test), "{test}");
            }
            *counts.entry(stated.err().unwrap_or("valid")).or_insert(0) += 1;
        }
    }
    let total: u64 = counts.values().sum();
    assert_eq!(vectors["numberOfTests"].as_u64(), Some(total));
    let reasons = ["malformed", "unknown_version", "unknown_key", "forged", "premature", "expired"];
    assert!(reasons.iter().all(|reason| counts[reason] >= 25), "{counts:?}");
}

/// The codec of a group, the key of this id in front.
fn group_codec(group: &Value, signing: Option<u64>) -> TokenCodec {
    TokenCodec::new(&balancer(group), carrier(group), &ring(group, signing))
        .with_ttl(Ttl::new(group["ttl"].as_u64().unwrap()).unwrap())
        .with_clock_skew(ClockSkew::new(group["clockSkew"].as_u64().unwrap()).unwrap())
}

fn balancer(group: &Value) -> LoadBalancer {
    LoadBalancer::new(text(&group["loadBalancer"])).unwrap()
}

fn carrier(group: &Value) -> Carrier {
    match group["header"].as_str() {
        Some(header) => IssuedHeader::new(header).unwrap().into(),
        None => CookieName::new(text(&group["cookie"])).unwrap().into(),
    }
}

fn ring(group: &Value, signing: Option<u64>) -> Keyring {
    let key = |key: &Value| {
        let secret = Secret::from_hex(text(&key["secretHex"])).unwrap();
        Key::new(u8::try_from(key["id"].as_u64().unwrap()).unwrap(), secret)
    };
    let mut keys: Vec<Key> = group["keys"].as_array().unwrap().iter().map(key).collect();
    keys.sort_by_key(|key| signing.is_some_and(|id| u64::from(key.id()) != id));
    Keyring::new(keys).unwrap()
}

/// What a policy makes of the fields of a request.
fn claimed(group: &Value, test: &Value, now: UnixTime) -> Result<Pin, Option<Rejected>> {
    let (balancer, ring) = (balancer(group), ring(group, None));
    let policy = match carrier(group) {
        Carrier::Cookie(name) => {
            let set_cookie = SetCookie::new(name, CookieAttributes::default()).unwrap();
            CookiePolicy::new(&balancer, &ring, set_cookie)
        }
        Carrier::Header(header) => CookiePolicy::in_header(&balancer, &ring, header),
    };
    let mut headers = HeaderMap::new();
    for field in test["fields"].as_array().unwrap() {
        let name: HeaderName = text(&field["name"]).parse().unwrap();
        headers.append(name, HeaderValue::from_bytes(&bytes(field)).unwrap());
    }
    let visit = Affinity::new(policy).recall(&RequestMeta::new(&headers, Scheme::Https), now);
    match visit.claim() {
        Claim::Carried(pin) => Ok(pin),
        Claim::New(reason) => Err(reason),
        other => panic!("{other:?}: {test}"),
    }
}

/// A value as text, or in hexadecimal where it is not ASCII.
fn bytes(entry: &Value) -> Vec<u8> {
    match entry["valueHex"].as_str() {
        Some(digits) => unhex(digits),
        None => text(&entry["value"]).as_bytes().to_vec(),
    }
}

fn pin(entry: &Value) -> Pin {
    Pin {
        endpoint: text(&entry["endpoint"]).parse().unwrap(),
        issued: UnixTime::from_secs(entry["issued"].as_u64().unwrap()),
        expires: UnixTime::from_secs(entry["expires"].as_u64().unwrap()),
    }
}

#[test]
fn names_of_cookies_for_a_scope_are_those_of_a_second_implementation() {
    let vectors: Value = serde_json::from_str(MORE).unwrap();
    for entry in vectors["cookie_names"].as_array().unwrap() {
        let name = CookieName::scoped(text(&entry["base"]), text(&entry["scope"])).unwrap();
        assert_eq!(name.as_str(), text(&entry["name"]));
    }
}

/// Opens the token, and seals its pin again where the entry names the key. Returns
/// how many opened.
fn check(codec: &TokenCodec, scope: &Value, entry: &Value, key_id: Option<u64>) -> usize {
    let now = UnixTime::from_secs(entry["now"].as_u64().unwrap());
    let token = text(&entry["token"]);
    let opened = codec.open(token.as_bytes(), now);
    if let Some(reason) = entry["reject"].as_str() {
        assert_eq!(opened.map_err(reason_of), Err(reason), "{entry}");
        return 0;
    }
    let pin = Pin {
        endpoint: EndpointId::from_u64(
            u64::from_str_radix(text(&entry["endpoint_id"]), 16).unwrap(),
        ),
        issued: UnixTime::from_secs(entry["issued"].as_u64().unwrap()),
        expires: UnixTime::from_secs(entry["expires"].as_u64().unwrap()),
    };
    assert_eq!(opened, Ok(pin), "{entry}");
    if let Some(key_id) = key_id {
        assert_eq!(sealing_with(scope, key_id).seal(&pin).as_str(), token, "{entry}");
    }
    1
}

/// The reason as the vectors spell it.
fn reason_of(rejected: Rejected) -> &'static str {
    match rejected {
        Rejected::Malformed => "malformed",
        Rejected::UnknownVersion => "unknown_version",
        Rejected::UnknownKey => "unknown_key",
        Rejected::Forged => "forged",
        Rejected::Premature => "premature",
        Rejected::Expired => "expired",
        other => panic!("the vectors do not know {other:?}"),
    }
}

#[test]
fn session_keys_are_those_of_a_second_implementation() {
    let vectors: Value = serde_json::from_str(MORE).unwrap();
    let secret = Secret::new(unhex(text(&vectors["scope"]["keys"][1]["secret_hex"]))).unwrap();
    let shop = LoadBalancer::new("shop").unwrap();
    for entry in vectors["session_keys"].as_array().unwrap() {
        let headers: Vec<&str> = entry["headers"].as_array().unwrap().iter().map(text).collect();
        let require = if entry["require_all_headers"].as_bool().unwrap() {
            Require::All
        } else {
            Require::Any
        };
        let policy = HeaderPolicy::new(&shop, &secret, &headers).unwrap().with_require(require);
        let mut map = HeaderMap::new();
        for header in entry["request"].as_array().unwrap() {
            let name: HeaderName = text(&header[0]).parse().unwrap();
            map.append(name, HeaderValue::from_bytes(text(&header[1]).as_bytes()).unwrap());
        }
        let request = RequestMeta::new(&map, Scheme::Http);
        let key = policy.session_key(&request).map(|key| key.to_string());
        assert_eq!(key.as_deref(), entry["key"].as_str(), "{entry}");
    }
}

#[test]
fn the_doors_are_frozen() {
    let vectors: Value = serde_json::from_str(MORE).unwrap();
    let affinity = Affinity::new(NoAffinity::new(&LoadBalancer::new("shop").unwrap()));
    let headers = HeaderMap::new();
    for entry in vectors["doors"]["pools"].as_array().unwrap() {
        let mut pool = Pool::new("eu");
        for endpoint in text(&entry["endpoints"]).split(' ') {
            let (name, weight) = endpoint.split_once('=').unwrap();
            let weight = Weight::new(weight.parse().unwrap()).unwrap();
            pool = pool.with_endpoint(Endpoint::new(name, ()).with_weight(weight));
        }
        let all = Pools::builder().pool(pool).build().unwrap();
        let route = |pools: &Pools<()>, seed| {
            let request = RequestMeta::new(&headers, Scheme::Http);
            let visit = affinity.recall(&request, UnixTime::EPOCH);
            affinity.route(visit, Record::Absent, pools, || seed).ok().map(|(attempt, ())| attempt)
        };
        let endpoints = text(&entry["endpoints"]).split(' ');
        let eligible = endpoints.filter(|endpoint| !endpoint.ends_with("=0")).count();
        for order in entry["orders"].as_array().unwrap() {
            let mut pools = all.clone();
            let seed = u64::from_str_radix(text(&order["seed"]), 16).unwrap();
            let names = text(&order["order"]).split(' ');
            let is_whole = names.clone().count() == eligible;
            for (rank, expected) in names.enumerate() {
                let attempt = route(&pools, seed).unwrap();
                let chosen = pools.endpoint(attempt.endpoint()).unwrap();
                assert_eq!(chosen.name(), expected, "{rank} of {}", order["seed"]);
                // The next in the failover order is preferred without this one.
                let next = pools.edited(|edit| edit.health(chosen.id(), Health::Unhealthy));
                pools = next.unwrap();
            }
            assert_eq!(route(&pools, seed).is_none(), is_whole, "{}", order["seed"]);
        }
    }
}

#[test]
fn the_order_of_pools_is_frozen() {
    let vectors: Value = serde_json::from_str(MORE).unwrap();
    let load = |load: &u32| *load;
    for entry in vectors["pool_orders"].as_array().unwrap() {
        let by_weight = pools_of(entry).with_pool_steering(steering::Random);
        assert_eq!(order_of(entry, by_weight.build().unwrap()), entry["order"], "{entry}");
        let by_load = pools_of(entry).with_pool_steering(steering::LeastConnections(load));
        assert_eq!(order_of(entry, by_load.build().unwrap()), entry["order_by_load"], "{entry}");
    }
}

/// The pools of an entry, each of one endpoint whose load is its target.
fn pools_of(entry: &Value) -> PoolsBuilder<u32> {
    entry["pools"].as_array().unwrap().iter().fold(Pools::builder(), |builder, pool| {
        let load = u32::try_from(pool[2].as_u64().unwrap()).unwrap();
        let weight = Weight::new(pool[1].as_u64().unwrap()).unwrap();
        let pool = Pool::new(text(&pool[0])).with_weight(weight);
        builder.pool(pool.with_endpoint(Endpoint::new("1", load)))
    })
}

/// The names of the pools in the order of the entry's seed, of which the weighted ones are closed
/// one after another.
fn order_of(entry: &Value, mut pools: Pools<u32>) -> Value {
    let seed = u64::from_str_radix(text(&entry["seed"]), 16).unwrap();
    let affinity = Affinity::new(NoAffinity::new(&LoadBalancer::new("shop").unwrap()));
    let expected = entry["order"].as_array().unwrap();
    let next = |_| {
        let headers = HeaderMap::new();
        let visit = affinity.recall(&RequestMeta::new(&headers, Scheme::Http), UnixTime::EPOCH);
        let (attempt, _) = affinity.route(visit, Record::Absent, &pools, || seed).unwrap();
        let chosen = pools.endpoint(attempt.endpoint()).unwrap().pool().name().to_owned();
        pools = pools.edited(|edit| edit.pool_minimum_origins(&chosen, 2)).unwrap();
        Value::from(chosen)
    };
    expected.iter().map(next).collect::<Vec<_>>().into()
}

fn codec(scope: &Value) -> TokenCodec {
    sealing_with(scope, scope["keys"][0]["id"].as_u64().unwrap())
}

/// The scope's codec, with this key moved to the front.
fn sealing_with(scope: &Value, key_id: u64) -> TokenCodec {
    let mut keys: Vec<Key> = scope["keys"].as_array().unwrap().iter().map(key).collect();
    keys.sort_by_key(|key| u64::from(key.id()) != key_id);
    let name = LoadBalancer::new(text(&scope["load_balancer"])).unwrap();
    let carrier = match scope["header"].as_str() {
        Some(header) => Carrier::from(IssuedHeader::new(header).unwrap()),
        None => Carrier::from(CookieName::new(text(&scope["cookie"])).unwrap()),
    };
    TokenCodec::new(&name, carrier, &Keyring::new(keys).unwrap())
        .with_ttl(Ttl::new(scope["ttl"].as_u64().unwrap()).unwrap())
        .with_clock_skew(ClockSkew::new(scope["clock_skew"].as_u64().unwrap()).unwrap())
}

fn key(entry: &Value) -> Key {
    let id = entry["id"].as_u64().unwrap();
    Key::new(u8::try_from(id).unwrap(), Secret::new(unhex(text(&entry["secret_hex"]))).unwrap())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn unhex(digits: &str) -> Vec<u8> {
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
