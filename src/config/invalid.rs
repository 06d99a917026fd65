//! The error for a configuration that is refused.

use crate::cookies::{
    InvalidAttributes, InvalidCookieDomain, InvalidCookieName, InvalidCookiePath,
};
use crate::failover::InvalidFailoverMode;
use crate::limits::OutOfRange;
use crate::names::InvalidName;
use crate::policy::InvalidHeaders;

/// The error for a configuration that is refused. Each message names the field, what it was and
/// what is allowed; no message has a secret.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidConfig {
    /// A parameter of Cloudflare's is out of range.
    #[error("{0}")]
    OutOfRange(#[from] OutOfRange),
    /// A number of [`Extensions`](super::Extensions) is out of range.
    #[error("extensions.{0}")]
    Extension(#[source] OutOfRange),
    /// The name of the load balancer is not valid.
    #[error("name is {:?}; allowed: 1 to 255 bytes without control characters", .0.name)]
    Name(#[source] InvalidName),
    /// The name of the cookie is not valid.
    #[error(
        "extensions.cookie_name is {:?}; allowed: 1 to 255 letters, digits and any of !#$%&'*+-.^_`|~",
        .0.name
    )]
    CookieName(#[from] InvalidCookieName),
    /// The path of the cookie is not valid.
    #[error(
        "extensions.cookie_path is {:?}; allowed: / and then visible ASCII characters other than ;, 1024 in all",
        .0.path
    )]
    CookiePath(#[from] InvalidCookiePath),
    /// The domain of the cookie is not valid.
    #[error(
        "extensions.cookie_domain is {:?}; allowed: a host name of letters, digits, - and ., 253 in all",
        .0.domain
    )]
    CookieDomain(#[from] InvalidCookieDomain),
    /// The attributes of the cookie contradict each other.
    #[error("{}", of_attributes(.0))]
    Attributes(#[from] InvalidAttributes),
    /// The list of headers is not valid.
    #[error("{0}")]
    Headers(#[from] InvalidHeaders),
    /// The policy `header` has no session secret.
    #[error("extensions.session_secret is missing; allowed for header: 32 or more secret bytes")]
    NoSessionSecret,
    /// The policy `header` does not support the failover mode `sticky`.
    #[error(
        "session_affinity_attributes.zero_downtime_failover is sticky; allowed for header: none or temporary"
    )]
    FailoverMode(#[source] InvalidFailoverMode),
    /// The id of a pool is not valid.
    #[error("pools.id is {:?}; allowed: 1 to 255 bytes without control characters", .0.name)]
    PoolId(#[source] InvalidName),
    /// A pool occurs twice in `pools` or in `default_pools`.
    #[error("{field} is {id:?} twice; allowed: each id once")]
    DuplicatePool {
        /// The list, `pools` or `default_pools`.
        field: &'static str,
        /// The id of the pool.
        id: String,
    },
    /// `default_pools` or `fallback_pool` names a pool that does not exist.
    #[error("{field} is {id:?}; allowed: the id of a pool that exists")]
    UnknownPool {
        /// The field, `default_pools` or `fallback_pool`.
        field: &'static str,
        /// The id that was given.
        id: String,
    },
    /// The name of an origin is not valid.
    #[error(
        "pools[{pool}].origins.name is {:?}; allowed: 1 to 255 bytes without control characters",
        .source.name
    )]
    OriginName {
        /// The id of the pool.
        pool: String,
        /// The error of the name.
        source: InvalidName,
    },
    /// Two origins of a pool have the same name.
    #[error("pools[{pool}].origins is {origin:?} twice; allowed: each name once in a pool")]
    DuplicateOrigin {
        /// The id of the pool.
        pool: String,
        /// The name of the origins.
        origin: String,
    },
    /// The weight of an origin is not a hundredth.
    #[error("pools[{pool}].origins[{origin}].weight is {weight}; allowed: 0 to 1 in steps of 0.01")]
    Weight {
        /// The id of the pool.
        pool: String,
        /// The name of the origin.
        origin: String,
        /// The weight that was given.
        weight: f64,
    },
    /// A number of a pool is out of range.
    #[error("pools[{pool}].{source}")]
    Pool {
        /// The id of the pool.
        pool: String,
        /// The error of the number.
        source: OutOfRange,
    },
}

/// The message of an error about attributes, with the fields of this configuration.
fn of_attributes(error: &InvalidAttributes) -> String {
    match error {
        InvalidAttributes::PartitionedWithoutSecure => {
            "extensions.cookie_partitioned is true with secure Never; allowed: true with secure Auto or Always".into()
        }
        InvalidAttributes::PrefixWithoutSecure(name) => format!(
            "extensions.cookie_name is {name:?}; allowed with this prefix: secure Always, or always_use_https with secure Auto"
        ),
        InvalidAttributes::HostPrefix(name) => format!(
            "extensions.cookie_name is {name:?}; allowed with the prefix __Host-: path / and no domain"
        ),
        InvalidAttributes::NoneWithoutSecure => format!("session_affinity_attributes.{error}"),
    }
}
