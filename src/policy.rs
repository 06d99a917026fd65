//! The policy: how a session is found in a request, and how it is remembered.

use std::sync::Arc;

use crate::carrier::Carrier;
use crate::endpoint::EndpointId;
use crate::failover::FailoverMode;
use crate::limits::Ttl;
use crate::names::LoadBalancer;
use crate::pin::Pin;
use crate::request::RequestMeta;
use crate::store::SessionKey;
use crate::time::UnixTime;
use crate::token::Rejected;

mod cookie;
mod foreign_cookie;
mod foreign_format;
mod forgotten;
mod header;
mod invalid_life;
mod ip_cookie;
mod learned;
mod migrating;
mod none;
mod response_field;
mod served;
mod server_hash;
mod settlement;
mod sliding;

pub use cookie::CookiePolicy;
pub use foreign_cookie::{CookieOwner, ForeignCookie};
pub use foreign_format::ForeignFormat;
pub use forgotten::Forgotten;
pub use header::{HeaderPolicy, InvalidHeaders, Require};
pub use invalid_life::InvalidLife;
pub use ip_cookie::IpCookiePolicy;
pub use learned::LearnedPolicy;
pub use migrating::MigratingPolicy;
pub use none::NoAffinity;
pub use response_field::ResponseField;
pub use served::{Served, Transition};
pub use server_hash::ServerHash;
pub use settlement::Settlement;
pub(crate) use settlement::is_interim;
pub use sliding::SlidingPolicy;

/// The place where sessions are remembered. A policy has two halves: [`read`](Self::read) finds
/// the session of a request, and [`remember`](Self::remember) notes where it was served.
/// [`forget`](Self::forget) takes it back.
/// The trait is object-safe, and implemented for references, boxes and `Arc`s of a policy too.
///
/// | policy | the pin lives in | the first choice is seeded by | life |
/// |---|---|---|---|
/// | [`CookiePolicy`] | the cookie, or an issued header | the client's address where the pool steers by `hash`, else entropy | absolute |
/// | [`IpCookiePolicy`] | the cookie or an issued header; a valid one beats the address | the client's address, else entropy | absolute |
/// | [`HeaderPolicy`] | the store, under the session key | the session key | idle |
/// | [`LearnedPolicy`] | the store, under the application's own session cookie | the session key; entropy or the address before there is one | idle |
/// | [`NoAffinity`] | nowhere | the client's address where the pool steers by `hash`, else entropy | – |
///
/// Two more wrap another policy: [`SlidingPolicy`] renews a session that is used, and
/// [`MigratingPolicy`] takes over the sessions of another system by its cookies.
///
/// # Laws
/// `read` does no I/O, is a pure function of its arguments, and cannot fail: a cookie or key
/// that cannot be used is [`Claim::New`] with a reason. `remember` is called once,
/// after an endpoint has answered, and never for [`Claim::Unbound`].
///
/// # Example
/// A policy that wraps another one forwards what it does not change:
///
/// ```
/// use session_affinity::carrier::Carrier;
/// use session_affinity::policy::{Claim, ForeignCookie, Forgotten, Life, Recall, Served};
/// use session_affinity::{
///     AffinityPolicy, CookiePolicy, FailoverMode, LoadBalancer, RequestMeta, Settlement, UnixTime,
/// };
///
/// /// Sessions by cookie, but none for clients that ask not to be tracked.
/// struct Discreet(CookiePolicy);
///
/// impl AffinityPolicy for Discreet {
///     fn load_balancer(&self) -> &LoadBalancer {
///         self.0.load_balancer()
///     }
///
///     fn read(&self, request: &RequestMeta<'_>, now: UnixTime) -> Recall {
///         match request.headers.get("sec-gpc") {
///             Some(_) => Recall::from(Claim::Unbound),
///             None => self.0.read(request, now),
///         }
///     }
///
///     fn remember(&self, served: &Served<'_>) -> Settlement {
///         self.0.remember(served)
///     }
///
///     fn forget(&self, forgotten: &Forgotten<'_>) -> Settlement {
///         self.0.forget(forgotten)
///     }
///
///     fn carrier(&self) -> Option<&Carrier> {
///         self.0.carrier()
///     }
///
///     fn foreign_cookies(&self) -> &[ForeignCookie] {
///         self.0.foreign_cookies()
///     }
///
///     fn life(&self) -> Life {
///         self.0.life()
///     }
///
///     fn supports(&self, mode: FailoverMode) -> bool {
///         self.0.supports(mode)
///     }
/// }
/// ```
pub trait AffinityPolicy: Send + Sync {
    /// The name of the load balancer whose sessions these are. It keys the hashes of client
    /// addresses, and scopes tokens, session keys and stores.
    fn load_balancer(&self) -> &LoadBalancer;

    /// Reads what a request says about its session.
    fn read(&self, request: &RequestMeta<'_>, now: UnixTime) -> Recall;

    /// Returns the response field or the store write for a session that was served.
    fn remember(&self, served: &Served<'_>) -> Settlement;

    /// Returns the steps that take a session back, for
    /// [`Affinity::forget`](crate::Affinity::forget): the `Set-Cookie` that makes the client drop
    /// its cookie, or the write that removes the record. A policy that wraps another one must
    /// forward it, or sessions outlive a logout.
    fn forget(&self, forgotten: &Forgotten<'_>) -> Settlement;

    /// The cookie or the header that carries the token of this policy, to be stripped from upstream
    /// requests. `None` for a policy that gives the client nothing. A policy that wraps another one
    /// must forward it, or the endpoints see the token.
    fn carrier(&self) -> Option<&Carrier>;

    /// The cookies of other systems that the policy accepts: see [`MigratingPolicy`]. What those
    /// systems have put into them is stripped from upstream requests. A policy that wraps another one
    /// must forward it, or the endpoints see the cookies.
    fn foreign_cookies(&self) -> &[ForeignCookie] {
        &[]
    }

    /// The life of this policy's sessions. A drain is measured by it, and a stored session idles
    /// out after it.
    fn life(&self) -> Life;

    /// Returns whether the policy supports a failover mode. Asked once, by
    /// [`Affinity::with_failover_mode`](crate::Affinity::with_failover_mode). A policy that wraps
    /// another one must forward it.
    fn supports(&self, mode: FailoverMode) -> bool {
        let _ = mode;
        true
    }
}

/// The answer of [`AffinityPolicy::read`]: the claim, and the seed of a first choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "policies outside of this crate build it")]
pub struct Recall {
    /// The claim of the request.
    pub claim: Claim,
    /// The seed of the first choice, if the session is new or the request has none.
    pub seed: ChoiceSeed,
}

/// Leaves the seed to the steering of the pool.
impl From<Claim> for Recall {
    fn from(claim: Claim) -> Self {
        Self { claim, seed: ChoiceSeed::Steering }
    }
}

/// The statement of a request about its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the session table has a row for each")]
pub enum Claim {
    /// The request carries a pin that is valid now.
    Carried(Pin),
    /// The request carries no pin, but the cookie of another system that keeps its session at this
    /// endpoint. The session is live; its beginning and its end are unknown.
    Foreign(EndpointId),
    /// The request carries no pin, or none that is valid, for this reason.
    New(Option<Rejected>),
    /// The pin, if it exists, is in the store under this key.
    Stored(SessionKey),
    /// The request has no session.
    Unbound,
}

/// The seed of the choice for a session that begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "complete by definition")]
pub enum ChoiceSeed {
    /// The steering of the pool decides between the client's address and entropy.
    #[default]
    Steering,
    /// The hash of the client's address; entropy when the address is unknown.
    ClientIp,
    /// A number that the policy has worked out, such as a hash of the session key.
    Fixed(u64),
}

/// The life of a policy's sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "complete by definition")]
pub enum Life {
    /// Sessions end this long after they began.
    Absolute(Ttl),
    /// Sessions end this long after their last use.
    Idle(Ttl),
    /// The end of a session is not known. A drain takes the whole drain duration, and the store is
    /// asked with the longest idle time, [`Ttl::MAX`].
    Unknown,
    /// The policy has no sessions.
    Sessionless,
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<P: AffinityPolicy + ?Sized> AffinityPolicy for $pointer {
            fn load_balancer(&self) -> &LoadBalancer {
                (**self).load_balancer()
            }

            fn read(&self, request: &RequestMeta<'_>, now: UnixTime) -> Recall {
                (**self).read(request, now)
            }

            fn remember(&self, served: &Served<'_>) -> Settlement {
                (**self).remember(served)
            }

            fn forget(&self, forgotten: &Forgotten<'_>) -> Settlement {
                (**self).forget(forgotten)
            }

            fn carrier(&self) -> Option<&Carrier> {
                (**self).carrier()
            }

            fn foreign_cookies(&self) -> &[ForeignCookie] {
                (**self).foreign_cookies()
            }

            fn life(&self) -> Life {
                (**self).life()
            }

            fn supports(&self, mode: FailoverMode) -> bool {
                (**self).supports(mode)
            }
        }
    )*};
}

forward!(&P, Box<P>, Arc<P>);
