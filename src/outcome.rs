//! What became of a request, as a label.

use std::fmt;

use crate::store::Record;
use crate::token::Rejected;

/// What became of a request and why. [`Outcome::label`] is stable and of low
/// cardinality, made for metrics and logs; a new label is a breaking change.
///
/// | label | when |
/// |---|---|
/// | `kept` | the pinned endpoint serves |
/// | `created:…` | a new session begins: see [`Created`] |
/// | `moved:…` | a live session is pinned anew: see [`Moved`] |
/// | `lent:…` | another endpoint serves this once, the pin unchanged: see [`Lent`] |
/// | `unbound` | the request can have no session |
/// | `no_endpoint` | there is nobody to try |
/// | `gave_up` | those tried could not be connected to, or one broke off after the request was sent |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The pinned endpoint serves.
    Kept,
    /// A new session begins.
    Created(Created),
    /// A live session is pinned anew.
    Moved(Moved),
    /// Another endpoint serves this once.
    Lent(Lent),
    /// The request can have no session.
    Unbound,
    /// There is nobody to try.
    NoEndpoint,
    /// Those tried have failed.
    GaveUp,
}

/// Why a new session began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Created {
    /// No cookie of our name came.
    NoCookie,
    /// The pin's life was over.
    Expired,
    /// The cookie was not 48 characters of the alphabet.
    Malformed,
    /// The tag was not ours; another load balancer's cookie counts as forged.
    Forged,
    /// It was issued further in the future than the clock skew allows.
    Premature,
    /// Its key is not on the keyring.
    UnknownKey,
    /// Its version is not known.
    UnknownVersion,
    /// The store had no record.
    NoRecord,
    /// The store had one that could not be read.
    Unreadable,
    /// The store did not answer.
    StoreUnreachable,
    /// The endpoint chosen first could not be connected to.
    ConnectFailed,
}

/// Why a live session was pinned anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Moved {
    /// Its endpoint was unhealthy.
    Unhealthy,
    /// Its endpoint was not in the snapshot.
    Removed,
    /// Its endpoint was disabled, with no drain.
    Disabled,
    /// Its endpoint's drain was over.
    Drained,
    /// Its pool sheds load and it was in the percentage.
    Shed,
    /// Its endpoint, or the one it was moved to, could not be connected to.
    ConnectFailed,
    /// Its endpoint was cooling off.
    Suspect,
}

/// Why another endpoint served a live session this once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lent {
    /// The pinned endpoint could not be connected to.
    ConnectFailed,
    /// The pinned endpoint was cooling off.
    Suspect,
}

impl Outcome {
    /// Every outcome there is.
    pub const ALL: [Self; 24] = [
        Self::Kept,
        Self::Created(Created::NoCookie),
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
        Self::Lent(Lent::ConnectFailed),
        Self::Lent(Lent::Suspect),
        Self::Unbound,
        Self::NoEndpoint,
        Self::GaveUp,
    ];

    /// The stable label.
    ///
    /// ```
    /// use session_affinity::{Moved, Outcome};
    /// assert_eq!(Outcome::Moved(Moved::Unhealthy).label(), "moved:unhealthy");
    /// ```
    pub const fn label(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Created(Created::NoCookie) => "created:no_cookie",
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
            Self::Lent(Lent::ConnectFailed) => "lent:connect_failed",
            Self::Lent(Lent::Suspect) => "lent:suspect",
            Self::Unbound => "unbound",
            Self::NoEndpoint => "no_endpoint",
            Self::GaveUp => "gave_up",
        }
    }
}

/// The label.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl From<Rejected> for Created {
    fn from(rejected: Rejected) -> Self {
        match rejected {
            Rejected::Malformed => Self::Malformed,
            Rejected::UnknownVersion => Self::UnknownVersion,
            Rejected::UnknownKey => Self::UnknownKey,
            Rejected::Forged => Self::Forged,
            Rejected::Premature => Self::Premature,
            Rejected::Expired => Self::Expired,
        }
    }
}

/// Why a record begins a new session; a record that was found does when its life is over.
impl From<Record> for Created {
    fn from(record: Record) -> Self {
        match record {
            Record::Found(_) => Self::Expired,
            Record::Absent => Self::NoRecord,
            Record::Unreadable => Self::Unreadable,
            Record::Unreachable => Self::StoreUnreachable,
        }
    }
}
