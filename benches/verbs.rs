//! The time that each verb takes, and each of its parts.

#![allow(missing_docs, reason = "the macros of criterion make undocumented functions")]

use std::hint::black_box;
use std::net::IpAddr;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use session_affinity::cookies::{CookieName, SetCookie};
use session_affinity::store::{Lookup, SessionKey, WriteKind};
use session_affinity::token::{Pin, TokenCodec};
use session_affinity::*;

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

fn shop() -> LoadBalancer {
    LoadBalancer::new("shop.example.com").unwrap()
}

fn keyring() -> Keyring {
    Keyring::from(Key::new(1, Secret::new([7; 32]).unwrap()))
}

/// Endpoints of mixed weights.
fn pools(count: usize) -> Pools<usize> {
    weighted(count, |number| 50 + number % 51)
}

fn weighted(count: usize, weight: fn(u64) -> u64) -> Pools<usize> {
    let pool = (0..count).fold(Pool::new("eu"), |pool, number| {
        let weight = Weight::new(weight(number as u64)).unwrap();
        pool.with_endpoint(Endpoint::new(format!("eu-{number}"), number).with_weight(weight))
    });
    Pools::builder().pool(pool).build().unwrap()
}

/// Headers with a Cookie line of 300 bytes, the affinity cookie last.
fn with_cookie() -> HeaderMap {
    let pin = Pin {
        endpoint: EndpointId::new("eu", "eu-1"),
        issued: NOW,
        expires: NOW.saturating_add(3_600),
    };
    let token = TokenCodec::new(&shop(), CookieName::default(), &keyring()).seal(&pin);
    let mut line = String::from("theme=dark; session=0123456789abcdef0123456789abcdef; ");
    while line.len() < 300 - 55 {
        line.push_str(&format!("_ga_{:02}=GS1.1.1700000000; ", line.len() % 97));
    }
    line.push_str(&format!("__cflb={token}"));
    let mut headers = HeaderMap::new();
    headers.insert(COOKIE, HeaderValue::from_str(&line).unwrap());
    headers.insert("x-user", HeaderValue::from_static("alice@example.com"));
    headers
}

fn request(headers: &HeaderMap) -> RequestMeta<'_> {
    RequestMeta::new(headers, Scheme::Https).with_client_ip(IpAddr::from([192, 0, 2, 1]))
}

fn token(c: &mut Criterion) {
    let codec = TokenCodec::new(&shop(), CookieName::default(), &keyring());
    let pin = Pin {
        endpoint: EndpointId::new("eu", "eu-1"),
        issued: NOW,
        expires: NOW.saturating_add(3_600),
    };
    let sealed = codec.seal(&pin);
    let mut forged = sealed.as_str().as_bytes().to_vec();
    forged[47] ^= 1;
    c.bench_function("token/seal", |b| b.iter(|| codec.seal(black_box(&pin))));
    c.bench_function("token/open", |b| {
        b.iter(|| codec.open(black_box(sealed.as_str().as_bytes()), NOW))
    });
    c.bench_function("token/forged", |b| b.iter(|| codec.open(black_box(&forged), NOW)));
}

fn request_of<P: AffinityPolicy>(c: &mut Criterion, name: &str, policy: P, headers: &HeaderMap) {
    let affinity = Affinity::new(policy);
    let pools = pools(3);
    let mut seed = 0_u64;
    c.bench_function(name, |b| {
        b.iter(|| {
            let visit = affinity.recall(black_box(&request(headers)), NOW);
            seed = seed.wrapping_add(1);
            let (attempt, target) = affinity.route(visit, Record::Absent, &pools, || seed).unwrap();
            (*target, affinity.settle(attempt, &pools))
        });
    });
}

fn requests(c: &mut Criterion) {
    let cookie = || CookiePolicy::new(&shop(), &keyring(), SetCookie::default());
    let ip_cookie = IpCookiePolicy::new(cookie());
    let (known, unknown) = (with_cookie(), HeaderMap::new());
    request_of(c, "request/none", NoAffinity::new(&shop()), &known);
    request_of(c, "request/kept cookie", cookie(), &known);
    request_of(c, "request/kept ip_cookie", ip_cookie, &known);
    request_of(c, "request/created cookie", cookie(), &unknown);

    let secret = Secret::new([5; 32]).unwrap();
    let header = HeaderPolicy::new(&shop(), &secret, &["x-user"]).unwrap();
    let affinity = Affinity::new(header);
    let (pools, store) = (pools(3), MemoryStore::new(100_000).unwrap());
    c.bench_function("request/kept header", |b| {
        b.iter(|| {
            let visit = affinity.recall(black_box(&request(&known)), NOW);
            let record = store.record(visit.lookup());
            let (attempt, target) = affinity.route(visit, record, &pools, || 0).unwrap();
            let write = affinity.settle(attempt, &pools).store_write;
            (*target, store.commit(write))
        });
    });

    let temporary = Affinity::new(cookie()).with_failover_mode(FailoverMode::Temporary).unwrap();
    c.bench_function("request/lent cookie", |b| {
        b.iter(|| {
            let visit = temporary.recall(black_box(&request(&known)), NOW);
            let (attempt, _) = temporary.route(visit, Record::Absent, &pools, || 0).unwrap();
            let (attempt, target) = temporary.failover(attempt, &pools).unwrap();
            (*target, temporary.settle(attempt, &pools))
        });
    });
}

fn steering(c: &mut Criterion) {
    let mut group = c.benchmark_group("steering");
    let kinds: [(&str, fn(u64) -> u64); 2] =
        [("equal", |_| 100), ("mixed", |it| 1 + it * 37 % 100)];
    for (kind, weight) in kinds {
        for count in [3, 10, 64, 300, 1_000, 10_000] {
            let affinity = Affinity::new(NoAffinity::new(&shop()));
            let (pools, headers) = (weighted(count, weight), HeaderMap::new());
            let mut seed = 0_u64;
            group.bench_function(BenchmarkId::new(kind, count), |b| {
                b.iter(|| {
                    seed = seed.wrapping_add(1);
                    let visit = affinity.recall(&request(&headers), NOW);
                    affinity.route(visit, Record::Absent, &pools, || seed).unwrap()
                });
            });
        }
    }
}

fn snapshot(c: &mut Criterion) {
    let before = pools(10_000);
    let id = EndpointId::new("eu", "eu-5000");
    c.bench_function("snapshot/build 10 000", |b| b.iter(|| pools(10_000)));
    c.bench_function("snapshot/flip one of 10 000", |b| {
        b.iter(|| before.edited(|edit| edit.health(id, Health::Unhealthy)).unwrap());
    });
}

fn memory_store(c: &mut Criterion) {
    let (sessions, ttl) = (1_000_000_u64, HeaderPolicy::DEFAULT_TTL);
    let store = MemoryStore::new(sessions as usize).unwrap();
    let key = |number: u64| {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        SessionKey(bytes)
    };
    for number in 0..sessions {
        let kind = WriteKind::Create(EndpointId::from_u64(number));
        store.save(&StoreWrite { key: key(number), ttl, now: NOW, kind }).unwrap();
    }
    let mut number = 0_u64;
    c.bench_function("store/hit and touch, 1 M sessions", |b| {
        b.iter(|| {
            number = number
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let key = key((number >> 33) % sessions);
            let record = store.load(&Lookup { key, ttl, now: NOW });
            store.save(&StoreWrite { key, ttl, now: NOW, kind: WriteKind::Touch }).unwrap();
            record
        });
    });
}

criterion_group!(benches, token, requests, steering, snapshot, memory_store);
criterion_main!(benches);
