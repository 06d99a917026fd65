//! Session affinity for HTTP proxies and gateways: which endpoint a request belongs to, what
//! happens when that endpoint is unhealthy, draining or refuses the connection, and what
//! the client or the session store must be told so that the next request comes back to the
//! same place.
//!
//! ```text
//!  request ──recall──▶ Visit ──route──▶ Attempt ──settle──▶ Settlement ──▶ Set-Cookie
//!                       │  ▲             │    ▲                      └───▶ StoreWrite
//!                lookup ▼  │ record      └────┘ failover (connect error)
//!                    your store: sync, async, or none
//! ```
//!
//! # The law
//!
//! > A session is **read once, before routing**, and **written once, after an endpoint has
//! > answered**. What happens in between (a dead pin, a draining endpoint, a refused
//! > connection) changes only the value in your hand. If you never settle, nothing was ever
//! > promised to the client.
//!
//! Four verbs ([`Affinity::recall`], [`route`](Affinity::route), [`failover`](Affinity::failover),
//! [`settle`](Affinity::settle)) and three values that can be neither copied nor used twice
//! ([`Visit`], [`Attempt`], [`Settlement`]). The core is pure: no I/O, no clock, no
//! randomness, no threads. Everything that happens is an argument, everything to be done is
//! a return value. So the same code fits straight-line async and callbacks, and an async
//! store needs no async trait.
//!
//! A request never causes an error. Memory that cannot be used is no memory, with a reason.
//! Errors exist for configuration, and for *there is no endpoint left*.
//!
//! # Example
//!
//! ```
//! use http::{HeaderMap, StatusCode};
//! use session_affinity::config::{Config, SessionAffinity};
//! use session_affinity::{Affinity, Endpoint, Key, Keyring, Outcome, Pool, Pools, Record, RequestMeta, Scheme, Secret, UnixTime};
//!
//! let keyring = Keyring::from(Key::new(1, Secret::new([7; 32])?));
//! let config = Config { session_affinity: SessionAffinity::Cookie, ..Config::new("shop.example.com") };
//! let affinity = Affinity::from_config(&config, &keyring)?;
//! let pool = Pool::new("eu").endpoint(Endpoint::new("eu-1", "10.0.0.1:80")).endpoint(Endpoint::new("eu-2", "10.0.0.2:80"));
//! let pools = Pools::builder().pool(pool).build()?;
//!
//! // For each request: recall, route, connect, and settle once the endpoint has answered.
//! let (headers, now) = (HeaderMap::new(), UnixTime::from(std::time::SystemTime::now()));
//! let request = RequestMeta { headers: &headers, client_ip: None, scheme: Scheme::Https };
//! let visit = affinity.recall(&request, now);
//! let attempt = affinity.route(visit, Record::Absent, &pools, || 0x5eed)?; // your random bits
//! let address = pools.target(attempt.endpoint());
//! assert_eq!(attempt.outcome().label(), "created:no_cookie");
//!
//! let mut response = http::Response::new("hello");
//! affinity.settle(attempt, &pools).apply(response.headers_mut());
//! assert!(response.headers()["set-cookie"].to_str()?.starts_with("__cflb="));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Words
//!
//! An *endpoint* serves requests; a *pool* is a list of them. A *pin* is what a session
//! remembers: endpoint, issued, expires. A *token* is a sealed pin, the cookie's value. A
//! *session key* is where a header session is stored. A *claim* is what a request says about
//! its session; a *live session* is a claim whose pin is valid now. *Steering* chooses the
//! endpoint of a new session; the *seed* is the number that decides. A session is *kept*,
//! *created*, *moved*, or *lent* (served elsewhere this once, the pin unchanged); a request
//! that can have none is *unbound*. A *passive failure* is a connection that could not be
//! made; a *suspect* is an endpoint that cools off after one.
//!
//! # What happens
//!
//! | the endpoint is | it takes its pinned sessions | it takes new ones |
//! |---|---|---|
//! | healthy, enabled, weight > 0 | yes | yes |
//! | healthy, enabled, weight 0 | yes | no |
//! | draining, healthy | yes | no |
//! | disabled, its drain over or none | no | no |
//! | unhealthy, or not in the snapshot | no | no |
//!
//! *Draining*: disabled, and now before `disabled_at` + [`DrainDuration`]. A disabled pool
//! drains its endpoints likewise. A pool is *critical* when fewer than `minimum_origins` of
//! its endpoints are healthy and enabled, and *open* when it is enabled, not critical, and
//! one of its endpoints takes new sessions.
//!
//! | session | and | outcome | what is written |
//! |---|---|---|---|
//! | live | its endpoint is an enabled one of the fallback pool, itself enabled, and no other pool is open | kept, its health ignored | as kept |
//! | live | its endpoint takes it, its pool sheds, and the client is in the percentage | moved to the next open pool, else the fallback, else kept | pinned anew |
//! | live | its endpoint takes it and is suspect | `none`: kept; `temporary`: lent; `sticky`: moved | by the outcome |
//! | live | its endpoint takes it | kept | cookie: nothing; header: the idle timer restarts |
//! | live | otherwise, in every failover mode | moved to the first open pool | pinned anew |
//! | none, or not usable | | created in the first open pool that does not shed it | pinned |
//! | to be created or moved | no pool is open | an enabled endpoint of the fallback pool, its health ignored | pinned |
//! | | not even that | [`NoEndpoint`] | nothing |
//! | unbound | | steering chooses every time | nothing |
//!
//! What follows a connection that could not be made is the table of [`decide`]. Each
//! outcome has a stable label: [`Outcome`].
//!
//! # Security
//!
//! Without the key nobody can make a token or see which endpoint it names; the times in it
//! can be read. Whoever copies one is sent where its owner is until it expires: it is no
//! authentication. Secrets have at least 32 bytes, are wiped when dropped and redacted in
//! `Debug`. At most four cookies of our name are tried for a request. Stores see a keyed hash
//! of the headers, never their values, and [`MemoryStore`] is bounded.
//!
//! # What it does not do
//!
//! Health checks, connection pooling, DNS, TLS, reading configuration files, deciding which
//! peers to trust for X-Forwarded-For: the embedder's. No encryption of the session's times.
//!
//! # The manual
//!
//! [Concepts](manual::concepts), [the tables](manual::tables), [choosing a policy](manual::choosing),
//! [several gateways](manual::gateways), [draining](manual::draining), [keys](manual::keys),
//! [caching](manual::caching), [Cloudflare](manual::cloudflare), [coming from HAProxy, nginx, Envoy,
//! Traefik or YARP](manual::coming_from), [security](manual::security), [design questions](manual::design).
//!
//! # Features
//!
//! - `redis`: `RedisStore` keeps header sessions in Redis or Valkey, for gateways on more than
//!   one machine. The only part that does I/O; it needs Tokio. Off by default.
//! - `serde`: [`config::Config`] and [`config::PoolConfig`] are read and written under the
//!   names of Cloudflare's API. Off by default.
//! - `tower`: `tower::AffinityLayer` does the four verbs and the retries in an axum or another tower
//!   server. It needs no runtime, and reads the system's clock unless it is given another. Off by
//!   default.
//! - `memchr`: our cookie is found by vector instructions. On by default; without it the
//!   result is the same.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(unreachable_pub)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

mod affinity;
mod base64url;
mod bounds;
mod client;
pub mod config;
mod cookies;
mod drain;
mod endpoint;
mod failover;
#[cfg(all(test, session_affinity_loom))]
mod interleavings;
mod keys;
mod mac;
#[cfg(any(doc, doctest))]
pub mod manual;
mod marks;
mod names;
mod outcome;
mod policy;
mod pools;
mod request;
mod search;
mod shedding;
pub mod steering;
mod store;
mod sync;
mod time;
mod token;
#[cfg(feature = "tower")]
pub mod tower;

pub use affinity::{AcrossPools, Affinity, Attempt, GaveUp, NoEndpoint, UnsupportedMode, Visit};
#[cfg(feature = "redis")]
pub use bounds::StoreDeadline;
pub use bounds::{
    ClockSkew, CookieTtl, CoolingOff, DrainDuration, IdleTtl, Ipv6Prefix, OutOfRange, Percent,
    Retries, Weight,
};
pub use cookies::{
    AlwaysUseHttps, CacheGuard, CookieAttributes, CookieDomain, CookieName, CookiePath,
    InvalidAttributes, InvalidCookieName, Partitioned, SameSite, Secure, SetCookie,
};
pub use drain::{Drain, DrainPhase, DrainSessions};
pub use endpoint::{Endpoint, EndpointId, Health, State};
pub use failover::{FailoverMode, Standing, Verdict, decide};
pub use keys::{InvalidKeyring, Key, Keyring, Secret, SecretTooShort};
pub use marks::Census;
pub use names::{InvalidName, Name};
pub use outcome::{Created, Lent, Moved, Outcome};
pub use policy::{
    AffinityPolicy, Claim, CookiePolicy, HeaderEntry, HeaderPolicy, InvalidHeaders, IpCookiePolicy,
    Life, NoAffinity, Recall, Require, Served, Settlement, Transition,
};
pub use pools::{
    Candidates, EndpointView, InvalidPools, Pool, PoolView, Pools, PoolsBuilder, PoolsEdit,
    UnknownEndpoint, UnknownPool,
};
pub use request::{RequestMeta, Scheme};
pub use shedding::{LoadShedding, ShedBy};
pub use store::{
    InvalidCapacity, Lookup, MemoryStore, Record, SessionKey, SessionStore, StoreWrite,
};
#[cfg(feature = "redis")]
pub use store::{InvalidRedisUrl, RedisError, RedisStore};
pub use time::UnixTime;
pub use token::{Pin, Rejected, Token, TokenCodec};

/// The examples of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
