//! A session that is taken back, as a policy is told of it.

use crate::request::Scheme;
use crate::store::SessionKey;
use crate::time::UnixTime;

/// A session that is taken back, as told to
/// [`AffinityPolicy::forget`](super::AffinityPolicy::forget).
///
/// Policies receive it; tests of a policy create it:
///
/// ```
/// use session_affinity::policy::Forgotten;
/// use session_affinity::{AffinityPolicy, LoadBalancer, NoAffinity, Scheme, Settlement, UnixTime};
///
/// let forgotten = Forgotten::new(Scheme::Https, UnixTime::from_secs(1_800_000_000));
/// let policy = NoAffinity::new(&LoadBalancer::new("shop.example.com")?);
/// assert_eq!(policy.forget(&forgotten), Settlement::nothing());
/// # Ok::<(), session_affinity::InvalidName>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forgotten<'a> {
    /// The key under which the session is stored, for a request with
    /// [`Claim::Stored`](super::Claim::Stored).
    pub session_key: Option<&'a SessionKey>,
    /// The scheme of the request.
    pub scheme: Scheme,
    /// The time of the request.
    pub now: UnixTime,
}

impl<'a> Forgotten<'a> {
    /// Describes a session without a key.
    pub fn new(scheme: Scheme, now: UnixTime) -> Self {
        Self { session_key: None, scheme, now }
    }

    /// Sets the key of a stored session.
    #[must_use]
    pub fn with_session(self, key: &'a SessionKey) -> Self {
        Self { session_key: Some(key), ..self }
    }
}
