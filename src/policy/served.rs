//! A session that an endpoint has served, as a policy is told of it.

use std::fmt;

use crate::endpoint::EndpointId;
use crate::pin::Pin;
use crate::request::Scheme;
use crate::response::ResponseMeta;
use crate::store::{Record, SessionKey};
use crate::time::UnixTime;

/// A session that an endpoint has served, as told to
/// [`AffinityPolicy::remember`](super::AffinityPolicy::remember).
///
/// Policies receive it; tests of a policy create it:
///
/// ```
/// use session_affinity::policy::{Served, Transition};
/// use session_affinity::{AffinityPolicy, EndpointId, LoadBalancer, NoAffinity, Scheme, UnixTime};
///
/// let created = Transition::Created { endpoint: EndpointId::new("eu", "eu-1") };
/// let served = Served::new(created, Scheme::Https, UnixTime::from_secs(1_800_000_000));
/// let policy = NoAffinity::new(&LoadBalancer::new("shop.example.com")?);
/// assert_eq!(policy.remember(&served).response, None);
/// # Ok::<(), session_affinity::InvalidName>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Served<'a> {
    /// The change of the session.
    pub transition: Transition,
    /// The key under which the session is stored, for a request with
    /// [`Claim::Stored`](super::Claim::Stored).
    pub session_key: Option<&'a SessionKey>,
    /// The answer of the store; [`Record::Absent`] for a request without a key.
    pub record: Record,
    /// The session was live by the cookie of another system:
    /// [`Claim::Foreign`](super::Claim::Foreign). At its own endpoint it is
    /// [`Transition::Created`], because the client has no pin of ours.
    pub is_foreign: bool,
    /// The response of the endpoint; `None` where the embedder does not show it, by
    /// [`Affinity::settle`](crate::Affinity::settle).
    pub response: Option<ResponseMeta<'a>>,
    /// The scheme of the request.
    pub scheme: Scheme,
    /// The time of the request.
    pub now: UnixTime,
}

impl<'a> Served<'a> {
    /// Describes a session without a key, for which no store was asked.
    #[inline]
    pub fn new(transition: Transition, scheme: Scheme, now: UnixTime) -> Self {
        Self {
            transition,
            session_key: None,
            record: Record::Absent,
            is_foreign: false,
            response: None,
            scheme,
            now,
        }
    }

    /// Sets the key of a stored session, and the answer of the store.
    #[must_use]
    #[inline]
    pub fn with_session(self, key: &'a SessionKey, record: Record) -> Self {
        Self { session_key: Some(key), record, ..self }
    }

    /// Sets the response of the endpoint.
    #[must_use]
    pub fn with_response(self, response: impl Into<ResponseMeta<'a>>) -> Self {
        Self { response: Some(response.into()), ..self }
    }

    /// Describes a session that was live by the cookie of another system.
    #[must_use]
    pub fn with_foreign_session(self) -> Self {
        Self { is_foreign: true, ..self }
    }

    /// Sets another transition, for a policy that wraps another one.
    #[must_use]
    pub fn with_transition(self, transition: Transition) -> Self {
        Self { transition, ..self }
    }
}

/// Shows the status of the response alone: its fields may hold the application's own cookies.
impl fmt::Debug for Served<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served")
            .field("transition", &self.transition)
            .field("session_key", &self.session_key)
            .field("record", &self.record)
            .field("is_foreign", &self.is_foreign)
            .field("response", &self.response.map(|response| response.status))
            .field("scheme", &self.scheme)
            .field("now", &self.now)
            .finish()
    }
}

/// The change of a session by one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the session table has a row for each")]
pub enum Transition {
    /// The pinned endpoint has served the session.
    Kept(Pin),
    /// The session is new.
    Created {
        /// The endpoint that has answered.
        endpoint: EndpointId,
    },
    /// The session is pinned to another endpoint.
    Moved {
        /// The pin that the session had.
        from: Pin,
        /// The endpoint that has answered.
        endpoint: EndpointId,
    },
    /// Another endpoint has served this request.
    Lent {
        /// The pin of the session, unchanged.
        pin: Pin,
        /// The endpoint that has answered.
        endpoint: EndpointId,
    },
}
