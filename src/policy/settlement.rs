//! The result of a request for its session: a field for the client, a write for the store.

use http::header::{HeaderMap, HeaderValue};
use http::{Response, StatusCode};

use super::ResponseField;
use crate::carrier::IssuedHeader;
use crate::cookies::{CacheGuard, FieldChange};
use crate::store::StoreWrite;

/// The steps that bring the client's next request back to the same endpoint.
///
/// [`Settlement::apply`] does what concerns the response; [`Settlement::changes`] says it, for
/// stacks that lend no `&mut HeaderMap`. A settlement is not `Clone`, because it is applied once.
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
    /// The field for the response: a `Set-Cookie` line or an issued header.
    pub response: Option<ResponseField>,
    /// The `Set-Cookie` lines that take the cookies of another system back: one word, as most
    /// settlements have none, and every one is moved.
    #[expect(clippy::box_collection, reason = "a boxed slice would be two words")]
    removals: Option<Box<Vec<HeaderValue>>>,
    /// The write for the session store.
    pub store_write: Option<StoreWrite>,
    /// The treatment of the response's cacheability when it gets that field.
    /// [`Affinity::settle`](crate::Affinity::settle) sets it, whatever the policy returned.
    pub cache_guard: CacheGuard,
}

impl Settlement {
    /// A settlement without a step.
    #[inline]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// A settlement that sets this cookie.
    pub fn cookie(set_cookie: HeaderValue) -> Self {
        Self { response: Some(ResponseField::SetCookie(set_cookie)), ..Self::default() }
    }

    /// A settlement that issues this header.
    pub fn header(header: IssuedHeader, value: HeaderValue) -> Self {
        Self { response: Some(ResponseField::Header(header, value)), ..Self::default() }
    }

    /// A settlement that writes to the store.
    pub fn store(write: StoreWrite) -> Self {
        Self { store_write: Some(write), ..Self::default() }
    }

    /// Adds a `Set-Cookie` line that takes a cookie of another system back. It is written after the
    /// cookie or the issued header, and by itself where the settlement has neither.
    pub fn with_removal(mut self, set_cookie: HeaderValue) -> Self {
        self.removals.get_or_insert_default().push(set_cookie);
        self
    }

    /// Returns the `Set-Cookie` lines that take the cookies of another system back.
    pub fn removals(&self) -> &[HeaderValue] {
        self.removals.as_deref().map(Vec::as_slice).unwrap_or_default()
    }

    /// Returns the `Set-Cookie` line; `None` for a settlement without one, such as one with an
    /// issued header.
    pub fn set_cookie(&self) -> Option<&HeaderValue> {
        self.response.as_ref()?.set_cookie()
    }

    /// Puts the field into the response, takes the cookies of another system back, and keeps shared
    /// caches from storing the response; all of it only when there is a field. A cookie is appended
    /// and never replaces another; an issued header replaces the response's own field of that name. Returns the write for the store, for
    /// [`SessionStore::commit`](crate::SessionStore::commit).
    ///
    /// A 304 gets no field: a shared cache may copy its fields into the response that it has
    /// stored for all (RFC 9111 section 4.3.4). A session created by a 304 begins with the
    /// next response. Interim responses (1xx) other than 101 get no field either: settle when the
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
        let Self { response, removals, store_write, cache_guard } = self.for_status(status);
        let removals = removals.into_iter().flat_map(|it| *it).map(ResponseField::SetCookie);
        // The guard may add a field. In a map without room for all, no token is better than one
        // without the guard, and better than a panic; and a session that has no token keeps the
        // cookie that it came with.
        let mut has_changed = false;
        for field in response.into_iter().chain(removals) {
            if field.put(headers, 1).is_none() {
                break;
            }
            has_changed = true;
        }
        if has_changed {
            cache_guard.apply(headers);
        }
        store_write
    }

    /// Returns the settlement for a response of this status: without the field where
    /// [`Settlement::apply`] would not add it.
    pub fn for_status(mut self, status: StatusCode) -> Self {
        if status == StatusCode::NOT_MODIFIED || is_interim(status) {
            self.response = None;
            self.removals = None;
        }
        self
    }

    /// Returns the changes that [`Settlement::apply`] would make in these headers of a response,
    /// for a stack that lends no `&mut HeaderMap`, and the write for the store. Call
    /// [`Settlement::for_status`] first; [`Flow::settle`](crate::callbacks::Flow::settle) has done so.
    ///
    /// The cookie or the issued header comes after those of the guard, so a response that refuses an
    /// earlier one gets no token without the guard, if the caller stops there. Cookies of another
    /// system are taken back by the last changes.
    ///
    /// ```
    /// use http::{HeaderMap, HeaderValue, header::{CACHE_CONTROL, SET_COOKIE}};
    /// use session_affinity::Settlement;
    /// use session_affinity::cookies::FieldChange;
    /// let set_cookie = HeaderValue::from_static("ours=2");
    /// let (changes, write) = Settlement::cookie(set_cookie.clone()).changes(&HeaderMap::new());
    /// let private = FieldChange::Append(CACHE_CONTROL, HeaderValue::from_static("private"));
    /// assert_eq!(changes.collect::<Vec<_>>(), [private, FieldChange::Append(SET_COOKIE, set_cookie)]);
    /// assert!(write.is_none());
    /// ```
    #[must_use = "the session is forgotten unless the changes are made and the store commits the write"]
    pub fn changes(
        self,
        headers: &HeaderMap,
    ) -> (impl Iterator<Item = FieldChange> + use<>, Option<StoreWrite>) {
        let Self { response, removals, store_write, cache_guard } = self;
        let has_field = response.is_some() || removals.is_some();
        let guard = has_field.then(|| cache_guard.changes(headers)).into_iter().flatten();
        let token = response.map(|field| field.changes(headers)).into_iter().flatten();
        let removals = removals.into_iter().flat_map(|it| *it).map(ResponseField::SetCookie);
        let removed = removals.flat_map(|line| line.changes(&HeaderMap::new()));
        (guard.chain(token).chain(removed), store_write)
    }
}

/// Returns whether another response to the same request follows one of this status.
pub(crate) fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}
