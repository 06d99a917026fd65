//! Where a session is remembered.

use std::sync::Arc;

use http::header::{HeaderMap, HeaderValue, SET_COOKIE};

use crate::cookies::{CacheGuard, CookieName};
use crate::endpoint::EndpointId;
use crate::failover::FailoverMode;
use crate::request::{RequestMeta, Scheme};
use crate::store::{Record, SessionKey, StoreWrite};
use crate::time::UnixTime;
use crate::token::{Pin, Rejected};

mod cookie;
mod header;
mod ip_cookie;
mod none;

pub use cookie::CookiePolicy;
pub use header::{HeaderEntry, HeaderPolicy, InvalidHeaders, Require};
pub use ip_cookie::IpCookiePolicy;
pub use none::NoAffinity;

/// Where a session is remembered: two halves, *find who it was* and *note who it became*.
/// Object-safe; implemented for references, boxes and `Arc`s of a policy too.
///
/// | policy | the pin lives in | first choice is seeded by | life |
/// |---|---|---|---|
/// | [`CookiePolicy`] | the cookie | the client's address where the pool steers by `hash`, else entropy | absolute |
/// | [`IpCookiePolicy`] | the cookie; a valid one beats the address | the client's address, else entropy | absolute |
/// | [`HeaderPolicy`] | the store, under the session key | the session key | idle |
/// | [`NoAffinity`] | nowhere | the client's address where the pool steers by `hash`, else entropy | – |
///
/// # Laws
/// `recall` must not do I/O, must be a pure function of its arguments, and must not fail:
/// memory that cannot be used is [`Claim::New`] with a reason. `remember` is called once,
/// after an endpoint has answered, and never for [`Claim::Unbound`].
pub trait AffinityPolicy: Send + Sync {
    /// What this request says about its session.
    fn recall(&self, request: &RequestMeta<'_>, now: UnixTime) -> Recall;

    /// What the client or the store must be told.
    fn remember(&self, served: &Served) -> Settlement;

    /// Whether the policy can keep its promise in this mode. Asked once, when the
    /// [`Affinity`](crate::Affinity) is made.
    fn supports(&self, mode: FailoverMode) -> bool {
        let _ = mode;
        true
    }

    /// The cookie that is the policy's own: endpoints have no business with it. `None`: it has
    /// none.
    fn cookie_name(&self) -> Option<&CookieName> {
        None
    }

    /// How long its sessions live: what a drain is measured by. `None`: not known, so a
    /// drain takes the whole drain duration.
    fn life(&self) -> Option<Life> {
        None
    }
}

/// What a request says about its session, and what seeds a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recall {
    /// What it says.
    pub claim: Claim,
    /// The seed of the first choice. `None`: the pool's steering decides between the
    /// client's address and a number drawn.
    pub seed: Option<u64>,
}

/// What a request says about its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It carried a pin that is valid now.
    Carried(Pin),
    /// It carried none, or none that could be used, for this reason.
    New(Option<Rejected>),
    /// Its pin, if there is one, is in the store.
    Stored {
        /// Under this key.
        key: SessionKey,
        /// For so long after the last use, in seconds.
        ttl: u64,
    },
    /// It can have no session.
    Unbound,
}

/// How long the sessions of a policy live, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// From the moment they are made.
    Absolute(u64),
    /// From their last use.
    Idle(u64),
}

/// What happened to a session, told to its policy after an endpoint has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Served {
    /// What became of it.
    pub transition: Transition,
    /// What the request had said.
    pub claim: Claim,
    /// What the store had said; [`Record::Absent`] where it was not asked.
    pub record: Record,
    /// How the request came.
    pub scheme: Scheme,
    /// The time of the request.
    pub now: UnixTime,
}

/// What became of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// Its endpoint has served it.
    Kept(Pin),
    /// It is new.
    Created {
        /// The endpoint that has answered.
        endpoint: EndpointId,
    },
    /// It is pinned anew.
    Moved {
        /// To what it was pinned.
        from: Pin,
        /// The endpoint that has answered.
        endpoint: EndpointId,
    },
    /// Another endpoint has served it this once.
    Lent {
        /// Its pin, unchanged.
        pin: Pin,
        /// The endpoint that has answered.
        endpoint: EndpointId,
    },
}

/// What is to be done for the next request to come back to the same place.
///
/// [`Settlement::apply`] does what concerns the response; stacks without a `HeaderMap` use
/// the fields. Not `Clone`: it is applied once.
///
/// ```compile_fail,E0599
/// fn twice(settlement: session_affinity::Settlement) -> [session_affinity::Settlement; 2] {
///     [settlement.clone(), settlement]
/// }
/// ```
#[derive(Debug, Default, PartialEq)]
#[non_exhaustive]
#[must_use = "the session is forgotten unless this is applied"]
pub struct Settlement {
    /// A `Set-Cookie` line to append to the response.
    pub set_cookie: Option<HeaderValue>,
    /// A write for the session store.
    pub store_write: Option<StoreWrite>,
    /// What happens to the response's cacheability when it sets a cookie. Set by
    /// [`Affinity`](crate::Affinity), whatever the policy says.
    pub cache_guard: CacheGuard,
}

impl Settlement {
    /// Nothing to be done.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// A cookie for the client.
    pub fn cookie(set_cookie: HeaderValue) -> Self {
        Self { set_cookie: Some(set_cookie), ..Self::default() }
    }

    /// A write for the store.
    pub fn store(write: StoreWrite) -> Self {
        Self { store_write: Some(write), ..Self::default() }
    }

    /// Appends the cookie, never replacing another, and guards the response against shared
    /// caches; both only when there is a cookie. What is left to do is the write.
    ///
    /// Call it for final responses and 101, not for other 1xx.
    ///
    /// ```
    /// use http::{HeaderMap, HeaderValue, header::SET_COOKIE};
    /// use session_affinity::Settlement;
    /// let mut headers = HeaderMap::new();
    /// headers.insert(SET_COOKIE, HeaderValue::from_static("theirs=1"));
    /// let write = Settlement::cookie(HeaderValue::from_static("ours=2")).apply(&mut headers);
    /// assert_eq!(headers.get_all(SET_COOKIE).iter().count(), 2);
    /// assert!(write.is_none());
    /// ```
    pub fn apply(self, headers: &mut HeaderMap) -> Option<StoreWrite> {
        if let Some(mut set_cookie) = self.set_cookie {
            set_cookie.set_sensitive(true);
            // Room for two fields, as the guard may bring one: where it is not there, no cookie is
            // better than a cookie without the guard, and than a panic.
            if headers.try_reserve(2).is_ok() && headers.try_append(SET_COOKIE, set_cookie).is_ok()
            {
                self.cache_guard.apply(headers);
            }
        }
        self.store_write
    }
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<P: AffinityPolicy + ?Sized> AffinityPolicy for $pointer {
            fn recall(&self, request: &RequestMeta<'_>, now: UnixTime) -> Recall {
                (**self).recall(request, now)
            }

            fn remember(&self, served: &Served) -> Settlement {
                (**self).remember(served)
            }

            fn supports(&self, mode: FailoverMode) -> bool {
                (**self).supports(mode)
            }

            fn cookie_name(&self) -> Option<&CookieName> {
                (**self).cookie_name()
            }

            fn life(&self) -> Option<Life> {
                (**self).life()
            }
        }
    )*};
}

forward!(&P, Box<P>, Arc<P>);
