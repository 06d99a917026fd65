//! The result of a request for its session: a cookie for the client, a write for the store.

use http::header::{HeaderMap, HeaderValue, SET_COOKIE};
use http::{Response, StatusCode};

use crate::cookies::CacheGuard;
use crate::store::StoreWrite;

/// The steps that bring the client's next request back to the same endpoint.
///
/// [`Settlement::apply`] does what concerns the response; stacks without a `HeaderMap` use
/// the fields. A settlement is not `Clone`, because it is applied once.
///
/// ```
/// # use session_affinity::{Affinity, AffinityPolicy, Attempt, MemoryStore, Pools, SessionStore};
/// # fn serve<P: AffinityPolicy>(affinity: &Affinity<P>, attempt: Attempt, pools: &Pools<&str>, store: &MemoryStore, mut response: http::Response<()>) {
/// let settlement = affinity.settle(attempt, pools);
/// let write = settlement.apply(&mut response);
/// let Ok(()) = store.commit(write); // a store in memory has no errors
/// # }
/// ```
/// ```compile_fail,E0599
/// fn twice(settlement: session_affinity::Settlement) -> [session_affinity::Settlement; 2] {
///     [settlement.clone(), settlement]
/// }
/// ```
#[derive(Debug, Default, PartialEq)]
#[non_exhaustive]
#[must_use = "the session is forgotten unless this is applied"]
pub struct Settlement {
    /// The `Set-Cookie` line to append to the response.
    pub set_cookie: Option<HeaderValue>,
    /// The write for the session store.
    pub store_write: Option<StoreWrite>,
    /// The treatment of the response's cacheability when it sets a cookie.
    /// [`Affinity::settle`](crate::Affinity::settle) sets it, whatever the policy returned.
    pub cache_guard: CacheGuard,
}

impl Settlement {
    /// A settlement without a step.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// A settlement that sets this cookie.
    pub fn cookie(set_cookie: HeaderValue) -> Self {
        Self { set_cookie: Some(set_cookie), ..Self::default() }
    }

    /// A settlement that writes to the store.
    pub fn store(write: StoreWrite) -> Self {
        Self { store_write: Some(write), ..Self::default() }
    }

    /// Appends the cookie to the response, never replacing another, and keeps shared caches
    /// from storing the response; both only when there is a cookie. Returns the write for the
    /// store, for [`SessionStore::commit`](crate::SessionStore::commit).
    ///
    /// A 304 gets no cookie: a shared cache may copy its fields into the response that it has
    /// stored for all (RFC 9111 section 4.3.4). A session created by a 304 begins with the
    /// next response. Informational responses other than 101 get no cookie either: settle when the
    /// final response is there. The write for the store is returned all the same.
    ///
    /// ```
    /// use http::{HeaderValue, Response, StatusCode, header::SET_COOKIE};
    /// use session_affinity::Settlement;
    /// let mut response = Response::new("hello");
    /// response.headers_mut().insert(SET_COOKIE, HeaderValue::from_static("theirs=1"));
    /// let write = Settlement::cookie(HeaderValue::from_static("ours=2")).apply(&mut response);
    /// assert_eq!(response.headers().get_all(SET_COOKIE).iter().count(), 2);
    /// assert!(write.is_none());
    /// ```
    #[must_use = "the session is forgotten unless the store commits the write"]
    pub fn apply<B>(self, response: &mut Response<B>) -> Option<StoreWrite> {
        self.apply_to(response.status(), response.headers_mut())
    }

    /// Does as [`Settlement::apply`] to the header fields of a response of this status, for stacks
    /// that keep them apart.
    #[must_use = "the session is forgotten unless the store commits the write"]
    pub fn apply_to(self, status: StatusCode, headers: &mut HeaderMap) -> Option<StoreWrite> {
        if let Some(mut set_cookie) = self.set_cookie.filter(|_| may_set_cookies(status)) {
            set_cookie.set_sensitive(true);
            // The guard may add a field. In a map without room for both, no cookie is better
            // than a cookie without the guard, and better than a panic.
            if headers.try_reserve(2).is_ok() && headers.try_append(SET_COOKIE, set_cookie).is_ok()
            {
                self.cache_guard.apply(headers);
            }
        }
        self.store_write
    }
}

/// Returns whether a response of this status is final, or the last one of HTTP/1.1 on its
/// connection, and its fields stay out of shared caches.
fn may_set_cookies(status: StatusCode) -> bool {
    match status {
        StatusCode::SWITCHING_PROTOCOLS => true,
        StatusCode::NOT_MODIFIED => false,
        status => !status.is_informational(),
    }
}
