//! The error for a configuration that is refused.

use super::pool_steering::PoolSteeringPolicy;
use crate::carrier::InvalidIssuedHeader;
use crate::cookies::{
    InvalidAttributes, InvalidCookieDomain, InvalidCookieName, InvalidCookiePath,
};
use crate::endpoint::EndpointId;
use crate::failover::InvalidFailoverMode;
use crate::limits::OutOfRange;
use crate::names::InvalidName;
use crate::policy::InvalidHeaders;

/// The error for a configuration that is refused. Each message names the field, what it was and
/// what is allowed, so there is no source that would say it again; no message has a secret.
///
/// A field is named by its path in [`Config`](super::Config) or in
/// [`Extensions`](super::Extensions), or from `pools`, with the id of the pool and the name of the
/// origin: `session_affinity_attributes.drain_duration`, `cookie.name`,
/// `pools[eu].origins[eu-1].weight`. [`field`](Self::field) returns it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidConfig {
    /// A number is out of range.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
    /// The name of the load balancer is not valid.
    #[error("{} is {:?}; allowed: 1 to 255 bytes without control characters", self.field(), .0.name)]
    Name(InvalidName),
    /// The name of the cookie is not valid.
    #[error(
        "{} is {:?}; allowed: 1 to 256 letters, digits and any of !#$%&'*+-.^_`|~",
        self.field(), .0.name
    )]
    CookieName(InvalidCookieName),
    /// The path of the cookie is not valid.
    #[error(
        "{} is {:?}; allowed: / and then visible ASCII characters other than ;, 1024 in all",
        self.field(), .0.path
    )]
    CookiePath(InvalidCookiePath),
    /// The domain of the cookie is not valid.
    #[error(
        "{} is {:?}; allowed: a host name of letters, digits, - and ., 253 in all",
        self.field(), .0.domain
    )]
    CookieDomain(InvalidCookieDomain),
    /// The attributes of the cookie contradict each other.
    #[error("{} {}", self.field(), contradiction(.0))]
    Attributes(InvalidAttributes),
    /// The name of the issued header is not valid.
    #[error("{} {}", self.field(), refused(.0))]
    IssuedHeader(InvalidIssuedHeader),
    /// The policy has no token, so no header can carry it.
    #[error("{} is the header {header:?}; allowed for {session_affinity}: cookie", self.field())]
    Carrier {
        /// The name of the header.
        header: String,
        /// The policy, `header` or `none`.
        session_affinity: &'static str,
    },
    /// The list of headers is not valid.
    #[error(transparent)]
    Headers(#[from] InvalidHeaders),
    /// The policy `header` has no session secret.
    #[error("{} is missing; allowed for header: 32 or more secret bytes", self.field())]
    NoSessionSecret,
    /// The policy `header` does not support the failover mode `sticky`.
    #[error("{} is sticky; allowed for header: none or temporary", self.field())]
    FailoverMode(InvalidFailoverMode),
    /// There is no pool, nor a `fallback_pool`.
    #[error("{field} is []; allowed: one pool or more, or a fallback_pool")]
    NoPools {
        /// The list, `default_pools` or, where that is absent, `pools`.
        field: &'static str,
    },
    /// The id of a pool is not valid.
    #[error("{} is {:?}; allowed: 1 to 255 bytes without control characters", self.field(), .0.name)]
    PoolId(InvalidName),
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
        "{} is {:?}; allowed: 1 to 255 bytes without control characters",
        self.field(), .error.name
    )]
    OriginName {
        /// The id of the pool.
        pool: String,
        /// The error of the name.
        error: InvalidName,
    },
    /// Two origins of a pool have the same name.
    #[error("{} is {origin:?} twice; allowed: each name once in a pool", self.field())]
    DuplicateOrigin {
        /// The id of the pool.
        pool: String,
        /// The name of the origins.
        origin: String,
    },
    /// Two origins with different names have the same id.
    #[error(
        "{} is {origin:?}, whose id {id} is that of {other_origin:?} in pools[{other_pool}]; allowed: names with different ids",
        self.field()
    )]
    SameOriginId {
        /// The id of both origins.
        id: EndpointId,
        /// The id of the later origin's pool.
        pool: String,
        /// The name of the later origin.
        origin: String,
        /// The id of the earlier origin's pool.
        other_pool: String,
        /// The name of the earlier origin.
        other_origin: String,
    },
    /// Two pools with different names have the same hash.
    #[error("{} is {pool:?}, whose hash is that of {other:?}; allowed: ids with different hashes", self.field())]
    SamePoolId {
        /// The later pool.
        pool: String,
        /// The earlier pool.
        other: String,
    },
    /// A pool has too many origins.
    #[error("{} has {count} entries; allowed: at most 32768", self.field())]
    TooManyOrigins {
        /// The id of the pool.
        pool: String,
        /// The number of its origins.
        count: usize,
    },
    /// The port of an origin is not the one in its address.
    #[error(
        "{} is {port} with the address {address:?}; allowed: an address without a port, or with this one",
        self.field()
    )]
    Port {
        /// The id of the pool.
        pool: String,
        /// The name of the origin.
        origin: String,
        /// The port that was given.
        port: u16,
        /// The address that was given.
        address: String,
    },
    /// The address of an origin is not well-formed, or it is empty beside a `port`.
    #[error(
        "{} is {address:?}; allowed: an IP address or a host name, perhaps with :port, IPv6 then in brackets",
        self.field()
    )]
    Address {
        /// The id of the pool.
        pool: String,
        /// The name of the origin.
        origin: String,
        /// The address that was given.
        address: String,
    },
    /// The weight of an origin is not a hundredth.
    #[error("{} is {weight}; allowed: 0 to 1 in steps of 0.01", self.field())]
    Weight {
        /// The id of the pool.
        pool: String,
        /// The name of the origin.
        origin: String,
        /// The weight that was given.
        weight: f64,
    },
    /// The policy orders pools by the place of the client, which the embedder knows.
    #[error(
        "{} is {policy}; allowed: off, random, least_outstanding_requests or least_connections",
        self.field()
    )]
    SteeringPolicy {
        /// The policy that was given.
        policy: PoolSteeringPolicy,
    },
    /// The weight of a pool is not a hundredth.
    #[error("{} is {weight}; allowed: 0 to 1 in steps of 0.01", self.field())]
    PoolWeight {
        /// The id of the pool; `None` for the default weight.
        pool: Option<String>,
        /// The weight that was given.
        weight: f64,
    },
    /// A number of a pool is out of range.
    #[error("pools[{pool}].{error}")]
    Pool {
        /// The id of the pool.
        pool: String,
        /// The error of the number.
        error: OutOfRange,
    },
}

impl InvalidConfig {
    /// Returns the path of the field with which the message begins.
    ///
    /// ```
    /// use session_affinity::Health;
    /// use session_affinity::config::{Config, PoolConfig};
    /// let pools = [PoolConfig { minimum_origins: Some(u64::MAX), ..PoolConfig::new("eu") }];
    /// let error = Config::new("shop").pools(&pools, Health::Healthy, |_, _| (), |_| 0).err();
    /// assert_eq!(error.map(|error| error.field()).as_deref(), Some("pools[eu].minimum_origins"));
    /// ```
    pub fn field(&self) -> String {
        match self {
            Self::OutOfRange(error) => error.field.into(),
            Self::Name(_) => "name".into(),
            Self::CookieName(_) => "cookie.name".into(),
            Self::CookiePath(_) => "cookie.path".into(),
            Self::CookieDomain(_) => "cookie.domain".into(),
            Self::Attributes(error) => of_attributes(error).into(),
            Self::IssuedHeader(_) => "carrier.header".into(),
            Self::Carrier { .. } => "carrier".into(),
            Self::Headers(_) => "session_affinity_attributes.headers".into(),
            Self::NoSessionSecret => "session_secret".into(),
            Self::FailoverMode(_) => "session_affinity_attributes.zero_downtime_failover".into(),
            Self::NoPools { field }
            | Self::DuplicatePool { field, .. }
            | Self::UnknownPool { field, .. } => (*field).into(),
            Self::PoolId(_) | Self::SamePoolId { .. } => "pools.id".into(),
            Self::OriginName { pool, .. } | Self::SameOriginId { pool, .. } => {
                format!("pools[{pool}].origins.name")
            }
            Self::DuplicateOrigin { pool, .. } | Self::TooManyOrigins { pool, .. } => {
                format!("pools[{pool}].origins")
            }
            Self::Port { pool, origin, .. } => format!("pools[{pool}].origins[{origin}].port"),
            Self::Address { pool, origin, .. } => {
                format!("pools[{pool}].origins[{origin}].address")
            }
            Self::Weight { pool, origin, .. } => format!("pools[{pool}].origins[{origin}].weight"),
            Self::Pool { pool, error } => format!("pools[{pool}].{}", error.field),
            Self::SteeringPolicy { .. } => "steering_policy".into(),
            Self::PoolWeight { pool: Some(pool), .. } => {
                format!("random_steering.pool_weights[{pool}]")
            }
            Self::PoolWeight { pool: None, .. } => "random_steering.default_weight".into(),
        }
    }
}

/// Makes `?` work on errors that are no sources: the message of the error says all of theirs.
macro_rules! from {
    ($whole:ident: $($variant:ident($error:ident),)*) => {$(
        impl From<$error> for $whole {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        }
    )*};
}
pub(super) use from;

from! { InvalidConfig:
    CookieName(InvalidCookieName),
    CookiePath(InvalidCookiePath),
    CookieDomain(InvalidCookieDomain),
    Attributes(InvalidAttributes),
    IssuedHeader(InvalidIssuedHeader),
}

fn of_attributes(error: &InvalidAttributes) -> &'static str {
    match error {
        InvalidAttributes::NoneWithoutSecure => "session_affinity_attributes.samesite",
        InvalidAttributes::PartitionedWithoutSecure => "cookie.partitioned",
        InvalidAttributes::PrefixWithoutSecure(_) | InvalidAttributes::HostPrefix(_) => {
            "cookie.name"
        }
    }
}

/// The message of an error about the issued header, after the field.
pub(super) fn refused(error: &InvalidIssuedHeader) -> String {
    match error {
        InvalidIssuedHeader::Name(name) => {
            format!("is {name:?}; allowed: 1 to 256 letters, digits and any of !#$%&'*+-.^_`|~")
        }
        InvalidIssuedHeader::Reserved(name) => format!(
            "is {name:?}; allowed: a name without a meaning in HTTP, such as x-session-affinity"
        ),
    }
}

/// The message of an error about attributes, after the field.
pub(super) fn contradiction(error: &InvalidAttributes) -> String {
    match error {
        InvalidAttributes::NoneWithoutSecure => {
            "is None with secure Never; allowed: None with secure Auto or Always".into()
        }
        InvalidAttributes::PartitionedWithoutSecure => {
            "is true with secure Never; allowed: true with secure Auto or Always".into()
        }
        InvalidAttributes::PrefixWithoutSecure(name) => format!(
            "is {name:?}; allowed with this prefix: secure Always, or always_use_https with secure Auto"
        ),
        InvalidAttributes::HostPrefix(name) => {
            format!("is {name:?}; allowed with the prefix __Host-: path / and no domain")
        }
    }
}
