//! The whole core in a module of WebAssembly that imports nothing, and so has no clock, randomness,
//! files, sockets or threads. `run.mjs` runs it in Node.

use std::net::IpAddr;

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use session_affinity::config::{Config, SessionAffinity};
use session_affinity::{
    Affinity, Endpoint, FailoverMode, Key, Keyring, MemoryStore, Pool, Pools, RequestMeta, Scheme,
    Secret, SessionStore, UnixTime,
};

/// Serves requests under each policy, and returns their number. An error is a trap.
#[unsafe(no_mangle)]
pub extern "C" fn run() -> u32 {
    let policies = [
        SessionAffinity::None,
        SessionAffinity::Cookie,
        SessionAffinity::IpCookie,
        SessionAffinity::Header,
    ];
    policies.into_iter().map(serve).sum()
}

/// Reads the clock, which traps: a module that did so would be noticed.
#[unsafe(no_mangle)]
pub extern "C" fn clock() -> u64 {
    UnixTime::from(std::time::SystemTime::now()).as_secs()
}

/// Serves three requests of a session, which begins, is kept, and loses its endpoint. Returns their
/// number.
fn serve(session_affinity: SessionAffinity) -> u32 {
    let mut config = Config { session_affinity, ..Config::new("shop.example.com") };
    config.session_affinity_attributes.zero_downtime_failover = FailoverMode::Temporary;
    config.session_affinity_attributes.headers = vec!["x-user".into()];
    config.extensions.session_secret = Some(Secret::new([5; 32]).unwrap());
    let keyring = Keyring::from(Key::new(1, Secret::new([7; 32]).unwrap()));
    let affinity = Affinity::from_config(&config, &keyring).unwrap();
    let pool = Pool::new("eu")
        .with_endpoint(Endpoint::new("eu-1", ()))
        .with_endpoint(Endpoint::new("eu-2", ()));
    let pools = Pools::builder().pool(pool).build().unwrap();
    let store = MemoryStore::new(100).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("x-user", HeaderValue::from_static("ann"));

    let mut served = 0;
    for refusals in [0, 0, 1] {
        let request =
            RequestMeta::new(&headers, Scheme::Https).with_client_ip(IpAddr::from([192, 0, 2, 1]));
        let visit = affinity.recall(&request, UnixTime::from_secs(1_800_000_000));
        let record = store.record(visit.lookup());
        let (mut attempt, _) = affinity.route(visit, record, &pools, || 7).unwrap();
        for _ in 0..refusals {
            (attempt, _) = affinity.failover(attempt, &pools).unwrap();
        }
        let mut response = HeaderMap::new();
        store.commit(affinity.settle(attempt, &pools).apply_to(http::StatusCode::OK, &mut response)).unwrap();
        if let Some(line) = response.get("set-cookie") {
            let pair = line.to_str().unwrap().split(';').next().unwrap();
            headers.insert(COOKIE, HeaderValue::from_str(pair).unwrap());
        }
        served += 1;
    }
    served
}
