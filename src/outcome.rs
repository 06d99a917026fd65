//! The outcome of a request and the reason for it, as a stable label.

use std::fmt;
use std::str::FromStr;

use crate::token::Rejected;

/// The outcome of a request for its session, with the reason. [`Outcome::label`] is stable and
/// of low cardinality, made for metrics and logs; a new label is a breaking change.
///
/// | label | meaning |
/// |---|---|
/// | `kept` | the pinned endpoint serves the request |
/// | `migrated` | the endpoint that another system's cookie names serves the request, and the client gets our cookie in its place |
/// | `created:…` | a new session begins: see [`Created`] |
/// | `moved:…` | a live session is pinned to another endpoint: see [`Moved`] |
/// | `lent:…` | another endpoint serves this request, the pin is unchanged: see [`Lent`] |
/// | `lost:…` | the pinned endpoint does not take the session, which is not to be moved: see [`Lost`] |
/// | `unbound` | the request has no session: policy `none`, or the configured headers are missing |
/// | `no_endpoint` | the snapshot has no endpoint to try |
/// | `gave_up` | no connection could be made, or an endpoint broke off after the request was sent |
///
/// ```
/// use session_affinity::outcome::{Moved, Outcome};
/// let outcome = Outcome::Moved(Moved::Unhealthy);
/// assert_eq!(outcome.label(), "moved:unhealthy");
/// assert!(Outcome::ALL.contains(&outcome));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The pinned endpoint serves the request.
    Kept,
    /// The endpoint that another system's cookie names serves the request, and the session is
    /// pinned to it: see [`MigratingPolicy`](crate::policy::MigratingPolicy).
    Migrated,
    /// A new session begins.
    Created(Created),
    /// A live session is pinned to another endpoint.
    Moved(Moved),
    /// Another endpoint serves this request; the pin is unchanged.
    Lent(Lent),
    /// The pinned endpoint does not take the session, and no other endpoint was chosen.
    Lost(Lost),
    /// The request has no session.
    Unbound,
    /// The snapshot has no endpoint to try.
    NoEndpoint,
    /// The tried endpoints could not be reached, or one broke off.
    GaveUp,
}

/// The reason for which a session began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Created {
    /// The request had no cookie of the policy's name.
    NoCookie,
    /// The request had no header of the name that the gateway issues.
    NoHeader,
    /// The pin in the cookie or the issued header had expired.
    Expired,
    /// The cookie or the issued header was not 48 characters of the base64url alphabet.
    Malformed,
    /// The token's tag was wrong; a token of another load balancer counts as forged.
    Forged,
    /// The token was issued further in the future than the clock skew allows.
    Premature,
    /// The token's key is not on the keyring.
    UnknownKey,
    /// The token has a version that this crate does not know.
    UnknownVersion,
    /// The store had no record.
    NoRecord,
    /// The store had a record that could not be read.
    Unreadable,
    /// The store did not answer.
    StoreUnreachable,
    /// The endpoint chosen first could not be connected to.
    ConnectFailed,
}

/// The reason for which a live session was pinned to another endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Moved {
    /// The pinned endpoint was unhealthy.
    Unhealthy,
    /// The pinned endpoint was not in the snapshot.
    Removed,
    /// The pinned endpoint was disabled, and there is no drain.
    Disabled,
    /// The drain of the pinned endpoint was over.
    Drained,
    /// The pool of the pinned endpoint sheds load, and the client was in the percentage.
    Shed,
    /// The pinned endpoint, or the one the session was moved to, could not be connected to.
    ConnectFailed,
    /// The pinned endpoint was cooling off.
    Suspect,
    /// The pinned endpoint was full, by the rule of [`Room`](crate::steering::Room).
    Full,
}

/// The reason for which another endpoint served one request of a live session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Lent {
    /// The pinned endpoint could not be connected to.
    ConnectFailed,
    /// The pinned endpoint was cooling off.
    Suspect,
    /// The pinned endpoint was full, by the rule of [`Room`](crate::steering::Room).
    Full,
    /// The pinned endpoint was unhealthy, under [`OnLoss::Lend`](crate::failover::OnLoss::Lend).
    Unhealthy,
}

/// The reason for which the endpoint of a live session does not take it. It is an outcome under
/// [`OnLoss::Refuse`](crate::failover::OnLoss::Refuse).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Lost {
    /// The pinned endpoint is unhealthy.
    Unhealthy,
    /// The pinned endpoint is not in the snapshot.
    Removed,
    /// The pinned endpoint is disabled, and there is no drain.
    Disabled,
    /// The drain of the pinned endpoint is over.
    Drained,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: &'static [Self] = &[
        Self::Kept,
        Self::Migrated,
        Self::Created(Created::NoCookie),
        Self::Created(Created::NoHeader),
        Self::Created(Created::Expired),
        Self::Created(Created::Malformed),
        Self::Created(Created::Forged),
        Self::Created(Created::Premature),
        Self::Created(Created::UnknownKey),
        Self::Created(Created::UnknownVersion),
        Self::Created(Created::NoRecord),
        Self::Created(Created::Unreadable),
        Self::Created(Created::StoreUnreachable),
        Self::Created(Created::ConnectFailed),
        Self::Moved(Moved::Unhealthy),
        Self::Moved(Moved::Removed),
        Self::Moved(Moved::Disabled),
        Self::Moved(Moved::Drained),
        Self::Moved(Moved::Shed),
        Self::Moved(Moved::ConnectFailed),
        Self::Moved(Moved::Suspect),
        Self::Moved(Moved::Full),
        Self::Lent(Lent::ConnectFailed),
        Self::Lent(Lent::Suspect),
        Self::Lent(Lent::Full),
        Self::Lent(Lent::Unhealthy),
        Self::Lost(Lost::Unhealthy),
        Self::Lost(Lost::Removed),
        Self::Lost(Lost::Disabled),
        Self::Lost(Lost::Drained),
        Self::Unbound,
        Self::NoEndpoint,
        Self::GaveUp,
    ];

    /// Returns the stable label, such as `created:no_cookie`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Migrated => "migrated",
            Self::Created(Created::NoCookie) => "created:no_cookie",
            Self::Created(Created::NoHeader) => "created:no_header",
            Self::Created(Created::Expired) => "created:expired",
            Self::Created(Created::Malformed) => "created:malformed",
            Self::Created(Created::Forged) => "created:forged",
            Self::Created(Created::Premature) => "created:premature",
            Self::Created(Created::UnknownKey) => "created:unknown_key",
            Self::Created(Created::UnknownVersion) => "created:unknown_version",
            Self::Created(Created::NoRecord) => "created:no_record",
            Self::Created(Created::Unreadable) => "created:unreadable",
            Self::Created(Created::StoreUnreachable) => "created:store_unreachable",
            Self::Created(Created::ConnectFailed) => "created:connect_failed",
            Self::Moved(Moved::Unhealthy) => "moved:unhealthy",
            Self::Moved(Moved::Removed) => "moved:removed",
            Self::Moved(Moved::Disabled) => "moved:disabled",
            Self::Moved(Moved::Drained) => "moved:drained",
            Self::Moved(Moved::Shed) => "moved:shed",
            Self::Moved(Moved::ConnectFailed) => "moved:connect_failed",
            Self::Moved(Moved::Suspect) => "moved:suspect",
            Self::Moved(Moved::Full) => "moved:full",
            Self::Lent(Lent::ConnectFailed) => "lent:connect_failed",
            Self::Lent(Lent::Suspect) => "lent:suspect",
            Self::Lent(Lent::Full) => "lent:full",
            Self::Lent(Lent::Unhealthy) => "lent:unhealthy",
            Self::Lost(Lost::Unhealthy) => "lost:unhealthy",
            Self::Lost(Lost::Removed) => "lost:removed",
            Self::Lost(Lost::Disabled) => "lost:disabled",
            Self::Lost(Lost::Drained) => "lost:drained",
            Self::Unbound => "unbound",
            Self::NoEndpoint => "no_endpoint",
            Self::GaveUp => "gave_up",
        }
    }
}

/// Writes the label.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.label())
    }
}

/// Reads a label.
impl FromStr for Outcome {
    type Err = UnknownLabel;

    fn from_str(label: &str) -> Result<Self, UnknownLabel> {
        let known = Self::ALL.iter().find(|outcome| outcome.label() == label);
        known.copied().ok_or_else(|| UnknownLabel { label: label.into() })
    }
}

#[cfg(feature = "serde")]
crate::wire::text!(Outcome);

/// The error for a text that is not the label of an outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the label is {label:?}; allowed: the label of an outcome, such as kept")]
#[non_exhaustive]
pub struct UnknownLabel {
    /// The text that was read.
    pub label: String,
}

impl Moved {
    /// The reason for which a session is moved from an endpoint that does not take it.
    pub(crate) const fn lost(reason: Lost) -> Self {
        match reason {
            Lost::Unhealthy => Self::Unhealthy,
            Lost::Removed => Self::Removed,
            Lost::Disabled => Self::Disabled,
            Lost::Drained => Self::Drained,
        }
    }
}

impl Created {
    /// The reason for which a request with a token that was rejected begins a session.
    pub(crate) const fn rejected(reason: Rejected) -> Self {
        match reason {
            Rejected::Malformed => Self::Malformed,
            Rejected::UnknownVersion => Self::UnknownVersion,
            Rejected::UnknownKey => Self::UnknownKey,
            Rejected::Forged => Self::Forged,
            Rejected::Premature => Self::Premature,
            Rejected::Expired => Self::Expired,
        }
    }
}
