//! Session affinity for HTTP proxies and gateways. Some clients must keep reaching the same
//! backend: their cart, upload or cache lives there. This crate picks the endpoint of each
//! request, decides what to do when that endpoint is down, draining or refuses the connection,
//! and produces the `Set-Cookie` or store write that brings the client back.
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
//! [`settle`](Affinity::settle)) pass on three values that can be neither copied nor used twice
//! ([`Visit`], [`Attempt`], [`Settlement`]). The core is pure: no I/O, no clock, no
//! randomness, no threads. Every input is an argument and every effect is a return value, so the
//! same code fits straight-line async and callbacks, and an async store needs no async trait.
//! [`Exchange`] makes the four calls around one async closure, [`callbacks::Flow`] keeps their values
//! for a stack that calls back.
//!
//! Nothing a client sends causes an error. A cookie or record that cannot be used is treated as
//! absent; the [`Outcome`] says why. Errors exist for configuration, for requests without an
//! endpoint to try, and, where the embedder asks for it, for sessions whose endpoint is lost.
//!
//! # Example
//!
//! ```
//! use http::HeaderMap;
//! use session_affinity::config::{Config, SessionAffinity};
//! use session_affinity::{Affinity, Endpoint, Key, Keyring, Pool, Pools, Record, RequestMeta, Scheme, Secret, UnixTime, entropy};
//!
//! let secret = Secret::from_base64("dGhpcyBpcyBhbiBleGFtcGxlLCBub3QgYSBzZWNyZXQ=")?;
//! let keyring = Keyring::from(Key::new(1, secret));
//! let config = Config { session_affinity: SessionAffinity::Cookie, ..Config::new("shop.example.com") };
//! let affinity = Affinity::from_config(&config, &keyring)?;
//! let eu = Pool::new("eu")
//!     .with_endpoint(Endpoint::new("eu-1", "10.0.0.1:80"))
//!     .with_endpoint(Endpoint::new("eu-2", "10.0.0.2:80"));
//! let pools = Pools::builder().pool(eu).build()?;
//!
//! // For each request: recall, route, connect, and settle once the endpoint has answered.
//! let (headers, now) = (HeaderMap::new(), UnixTime::from(std::time::SystemTime::now()));
//! let visit = affinity.recall(&RequestMeta::new(&headers, Scheme::Https), now);
//! let (attempt, address) = affinity.route(visit, Record::Absent, &pools, entropy)?;
//! println!("connect to {address}");
//! assert_eq!(attempt.outcome().label(), "created:no_cookie");
//!
//! let mut response = http::Response::new("hello");
//! let write = affinity.settle(attempt, &pools).apply(&mut response);
//! assert!(response.headers()["set-cookie"].to_str()?.starts_with("__cflb="));
//! assert!(write.is_none()); // the policy `cookie` has no store
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Words
//!
//! An *endpoint* serves requests; a *pool* is a list of endpoints. A *pin* is the memory of a
//! session: endpoint, issued, expires. A *token* is a sealed pin; its *carrier* is a cookie, or a
//! header that the gateway issues. A *session key* names a header session in its store. A *claim*
//! is the statement of a request about its session; a *live session* is a claim with a pin that is
//! valid now. *Steering* chooses the endpoint of a new session; the *seed* is the number that
//! decides the choice. A session is *kept*, *created*, *moved*, or *lent* (served elsewhere for one
//! request, the pin unchanged); a request without a session is *unbound*. A *passive failure* is a
//! connection that could not be made; a *suspect* is an endpoint that cools off after one; a *full*
//! endpoint has no room. *Policy* always means [`AffinityPolicy`].
//!
//! # What happens
//!
//! | the endpoint is | it takes its pinned sessions | it takes new ones |
//! |---|---|---|
//! | healthy, enabled, weight > 0 | yes | yes |
//! | healthy, enabled, weight 0 | yes | no |
//! | draining, healthy | yes | no |
//! | not checked yet, enabled or draining | yes | no |
//! | disabled, its drain over or none | no | no |
//! | unhealthy, or not in the snapshot | no | no |
//!
//! *Draining*: disabled, and now before `disabled_at` +
//! [`DrainDuration`](limits::DrainDuration). A disabled pool drains its endpoints likewise. A pool
//! is *critical* when fewer than `minimum_origins` of its endpoints are healthy and enabled, and
//! *open* when it is enabled, not critical, and one of its endpoints takes new sessions.
//!
//! | session | and | outcome | what is written |
//! |---|---|---|---|
//! | live | its endpoint is an enabled one of the fallback pool, itself enabled, no pool is open, and no endpoint of the fallback pool takes new sessions either | kept, its health ignored | as kept |
//! | live | its endpoint takes it, its pool sheds, and the session is in the percentage | moved to the next open pool, else the fallback, else kept | a new pin |
//! | live | its endpoint takes it and is suspect | `none`: kept; `temporary`: lent; `sticky`: moved | by the outcome |
//! | live | its endpoint takes it and is full, and another one has [`Room`](steering::Room) | `none`: kept; `temporary`: lent; `sticky`: moved | by the outcome |
//! | live | its endpoint takes it | kept; migrated where another system's cookie has named it | cookie: nothing; header: the idle timer restarts; migrated: a new pin |
//! | live | otherwise, in every failover mode | moved to the first open pool; or lent or refused, as [`OnLoss`](failover::OnLoss) says | a new pin; lent: as kept; refused: nothing |
//! | absent, or not usable | | created in the first open pool that does not shed it | a new pin |
//! | to be created, moved, or lent from a lost endpoint | no pool is open, or every open pool sheds a new one | the fallback pool, itself enabled: an endpoint that takes new sessions; where there is no such endpoint, any enabled one with weight > 0, its health ignored; a new session without it: the first open pool | a new pin; lent: as kept |
//! | | not even that | [`NoRoute::NoEndpoint`] | nothing |
//! | unbound | | steering chooses every time | nothing |
//!
//! The open pools are used in the order in which they were given, or as a
//! [`PoolSteering`](steering::PoolSteering) orders them for the session.
//!
//! The rule for a connection that could not be made is the table of [`failover::decide`]. Each
//! outcome has a stable label: [`Outcome`].
//!
//! # Modules
//!
//! The names of a first proxy are at the root. Every part has a module with all of its items:
//! [`callbacks`], [`carrier`], [`config`], [`cookies`], [`drain`], [`exchange`], [`failover`],
//! [`keys`], [`limits`], [`outcome`], [`policy`], [`pools`], [`steering`], [`store`], [`token`], and
//! with the feature `tower` the module `layer`. The verbs and their values, the request, the time
//! and the load balancer's name are at the root alone.
//!
//! # Exhaustiveness
//!
//! Reasons, errors and structs that may grow are `#[non_exhaustive]`. Enums that are complete by
//! definition, such as [`FailoverMode`], are not: a match on them needs no wildcard. Structs of
//! [`config`] are written with `..Config::new(…)` and the like, and a new field is a minor change.
//!
//! # Security
//!
//! Without the key no client can make a token or see which endpoint it names; the times in it
//! are readable. A copied token is sent where its owner is until it expires: a token is no
//! authentication. Secrets have at least 32 bytes, are wiped when dropped and redacted in
//! `Debug`. At most four cookies or headers of that name are tried for a request. A session is
//! taken back by [`Affinity::forget`]. Stores see a keyed hash of the headers, never their values,
//! and [`MemoryStore`] is bounded.
//!
//! # What it does not do
//!
//! The embedder does health checks, connection pooling, DNS, TLS, reading of configuration files,
//! and decides which peers to trust for X-Forwarded-For. The times of a session are not encrypted.
//!
//! # The manual
//!
//! [Concepts](manual::concepts), [embedding](manual::embedding), [the tables](manual::tables),
//! [choosing a policy](manual::choosing), [several gateways](manual::gateways),
//! [draining](manual::draining), [Kubernetes](manual::kubernetes),
//! [the Gateway API](manual::gateway_api), [keys](manual::keys), [caching](manual::caching),
//! [Cloudflare](manual::cloudflare), [coming from HAProxy, nginx, Apache, Envoy, Traefik, Caddy,
//! YARP, AWS or Azure](manual::coming_from), [security](manual::security),
//! [threats](manual::threats), [the token](manual::token), [design questions](manual::design).
//!
//! # Features
//!
//! - `redis`: `RedisStore` keeps header sessions in Redis or Valkey, for gateways on more than
//!   one machine. The only part that does I/O; it needs Tokio. Off by default.
//! - `redis-tls`: `rediss://` URLs, with certificates in `store::RedisTls`. TLS is that of rustls
//!   with the provider ring, which needs a C compiler. Off by default.
//! - `serde`: [`config::Config`] and [`config::PoolConfig`] are read and written under the
//!   names of Cloudflare's API, [`config::Extensions`] under ours,
//!   [`config::gateway_api::SessionPersistence`] under those of the Gateway API; `config::read_strict`
//!   names unknown keys. A [`Secret`] is read from base64. Ids, session keys and outcomes are written as
//!   their text, times as seconds, a [`drain::Census`] and a [`drain::Drain`] by their fields. Off
//!   by default.
//! - `time`: [`UnixTime`] is made from the date types of the crate `time`. Off by default.
//! - `tower`: `layer::AffinityLayer` calls the four verbs, with retries, in an axum or another
//!   tower server. It needs no runtime, and reads the system's clock unless it is given another.
//!   Off by default.
//! - `memchr`: the affinity cookie is found by vector instructions. On by default; without it the
//!   result is the same.
//! - `md5`: `policy::ServerHash::Nginx` makes the values of nginx's `sticky cookie`, for those who
//!   come from there. Off by default.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
// These lints are for the library alone, so they cannot stand in Cargo.toml with the others: a
// panic must not be reachable from a request or from configuration, but tests and examples may
// panic.
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
pub mod callbacks;
pub mod carrier;
pub mod config;
pub mod cookies;
pub mod drain;
mod endpoint;
mod entropy;
pub mod exchange;
pub mod failover;
#[cfg(all(test, session_affinity_loom))]
mod interleavings;
pub mod keys;
#[cfg(feature = "tower")]
pub mod layer;
pub mod limits;
#[cfg(any(doc, doctest))]
pub mod manual;
mod names;
pub mod outcome;
mod pin;
pub mod policy;
pub mod pools;
mod request;
mod response;
pub mod steering;
pub mod store;
mod sync;
mod time;
pub mod token;
#[cfg(feature = "serde")]
mod wire;

pub use affinity::{Affinity, Attempt, GaveUp, NoRoute, Trace, Visit};
pub use endpoint::{Endpoint, EndpointId, Health, State};
pub use entropy::entropy;
pub use exchange::Exchange;
pub use failover::FailoverMode;
pub use keys::{Key, Keyring, Secret};
pub use limits::Weight;
pub use names::{InvalidName, LoadBalancer};
pub use outcome::Outcome;
pub use policy::{
    AffinityPolicy, CookiePolicy, HeaderPolicy, IpCookiePolicy, NoAffinity, Settlement,
};
pub use pools::{Pool, Pools};
pub use request::{RequestMeta, Scheme};
pub use response::ResponseMeta;
#[cfg(feature = "redis")]
pub use store::RedisStore;
pub use store::{MemoryStore, Record, SessionStore, StoreWrite};
pub use time::UnixTime;

/// The examples of the README, compiled. One of them needs the feature `tower`.
#[cfg(all(doctest, feature = "tower"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// The types that an embedder shares between threads.
const _: () = {
    const fn is_shared<T: Send + Sync + 'static>() {}
    is_shared::<Affinity>();
    is_shared::<Visit>();
    is_shared::<Attempt>();
    is_shared::<Settlement>();
    is_shared::<callbacks::Flow<()>>();
    is_shared::<Pools<()>>();
    is_shared::<pools::LivePools<()>>();
    is_shared::<MemoryStore>();
    is_shared::<Box<dyn steering::Steering<()>>>();
    is_shared::<steering::InFlight>();
    is_shared::<steering::InFlightGuard>();
    is_shared::<steering::Room<()>>();
    #[cfg(feature = "redis")]
    is_shared::<RedisStore>();
    #[cfg(feature = "redis-tls")]
    is_shared::<store::RedisTls>();
};
