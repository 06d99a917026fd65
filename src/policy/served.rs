//! A session that an endpoint has served, as a policy is told of it.

use crate::endpoint::EndpointId;
use crate::pin::Pin;
use crate::request::Scheme;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Served<'a> {
    /// The change of the session.
    pub transition: Transition,
    /// The key under which the session is stored, for a request with
    /// [`Claim::Stored`](super::Claim::Stored).
    pub session_key: Option<&'a SessionKey>,
    /// The answer of the store; [`Record::Absent`] for a request without a key.
    pub record: Record,
    /// The scheme of the request.
    pub scheme: Scheme,
    /// The time of the request.
    pub now: UnixTime,
}

impl<'a> Served<'a> {
    /// Describes a session without a key, for which no store was asked.
    #[inline]
    pub fn new(transition: Transition, scheme: Scheme, now: UnixTime) -> Self {
        Self { transition, session_key: None, record: Record::Absent, scheme, now }
    }

    /// Sets the key of a stored session, and the answer of the store.
    #[must_use]
    #[inline]
    pub fn with_session(self, key: &'a SessionKey, record: Record) -> Self {
        Self { session_key: Some(key), record, ..self }
    }

    /// Sets another transition, for a policy that wraps another one.
    #[must_use]
    pub fn with_transition(self, transition: Transition) -> Self {
        Self { transition, ..self }
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
