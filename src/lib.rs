//! Session affinity.

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
mod bounds;
mod client;
pub mod config;
mod cookies;
mod drain;
mod endpoint;
mod failover;
mod keys;
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
mod time;
mod token;

pub use affinity::{AcrossPools, Affinity, Attempt, GaveUp, NoEndpoint, UnsupportedMode, Visit};
pub use bounds::{
    ClockSkew, CookieTtl, CoolingOff, DrainDuration, IdleTtl, Ipv6Prefix, OutOfRange, Percent, Retries, Weight,
};
pub use cookies::{
    AlwaysUseHttps, CacheGuard, CookieAttributes, CookieDomain, CookieName, CookiePath, InvalidAttributes,
    InvalidCookieName, Partitioned, SameSite, Secure, SetCookie,
};
pub use drain::{Drain, DrainPhase, DrainSessions};
pub use endpoint::{Endpoint, EndpointId, Health, State};
pub use failover::{FailoverMode, Standing, Verdict, decide};
pub use keys::{InvalidKeyring, Key, Keyring, Secret, SecretTooShort};
pub use marks::Census;
pub use names::{InvalidName, Name};
pub use outcome::{Created, Lent, Moved, Outcome};
pub use policy::{
    AffinityPolicy, Claim, CookiePolicy, HeaderEntry, HeaderPolicy, InvalidHeaders, IpCookiePolicy, Life, NoAffinity,
    Recall, Require, Served, Settlement, Transition,
};
pub use pools::{
    Candidates, EndpointView, InvalidPools, Pool, PoolView, Pools, PoolsBuilder, PoolsEdit, UnknownEndpoint, UnknownPool,
};
pub use request::{RequestMeta, Scheme};
pub use shedding::{LoadShedding, ShedBy};
pub use store::{InvalidCapacity, Lookup, MemoryStore, Record, SessionKey, SessionStore, StoreWrite};
pub use time::UnixTime;
pub use token::{Pin, Rejected, Token, TokenCodec};
