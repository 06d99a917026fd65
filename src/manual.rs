//! The manual: what the crate does, why, and how to run it. Each chapter is a module.
//!
//! 1. [Concepts](concepts): the words, with pictures; the law; the life of a session.
//! 2. [Embedding](embedding): putting the crate into a proxy, from the first request to the shutdown.
//! 3. [The tables](tables): what happens when, and what each outcome asks of an operator.
//! 4. [Choosing a policy](choosing): policies, failover modes, lifetimes, kinds of clients.
//! 5. [Several gateways](gateways): what must be equal on each, stores, clocks, upgrades.
//! 6. [Draining](draining): taking a server out without losing a cart.
//! 7. [Kubernetes](kubernetes): pods as endpoints, rolling updates.
//! 8. [The Gateway API](gateway_api): `sessionPersistence`, for implementers.
//! 9. [Keys](keys): rotating them, and what to do when one leaks.
//! 10. [Caching](caching): caches and CDNs, before the gateway and in it.
//! 11. [Cloudflare](cloudflare): the same and the different, parameter by parameter.
//! 12. [Coming from](coming_from) HAProxy, nginx, Apache, Envoy, Traefik, Caddy, YARP, AWS or Azure.
//! 13. [Security](security): what the cookie protects and what it does not.
//! 14. [Threats](threats): what each actor can do, what stops it, and the test that shows it.
//! 15. [The token](token): its specification, for other implementations, and what is proved of it.
//! 16. [Design questions](design): why it is as it is.
//!
//! The module exists in the documentation only; a compiled program does not contain it.

#[doc = include_str!("manual/concepts.md")]
pub mod concepts {}

#[doc = include_str!("manual/embedding.md")]
pub mod embedding {}

#[doc = include_str!("manual/tables.md")]
pub mod tables {}

#[doc = include_str!("manual/choosing.md")]
pub mod choosing {}

#[doc = include_str!("manual/gateways.md")]
pub mod gateways {}

#[doc = include_str!("manual/draining.md")]
pub mod draining {}

#[doc = include_str!("manual/kubernetes.md")]
pub mod kubernetes {}

#[doc = include_str!("manual/gateway_api.md")]
pub mod gateway_api {}

#[doc = include_str!("manual/keys.md")]
pub mod keys {}

#[doc = include_str!("manual/caching.md")]
pub mod caching {}

#[doc = include_str!("manual/cloudflare.md")]
pub mod cloudflare {}

#[doc = include_str!("manual/coming_from.md")]
pub mod coming_from {}

#[doc = include_str!("manual/security.md")]
pub mod security {}

#[doc = include_str!("manual/threats.md")]
pub mod threats {}

#[doc = include_str!("manual/token.md")]
pub mod token {}

#[doc = include_str!("manual/design.md")]
pub mod design {}
