//! The rule for a live session whose endpoint does not take it.

use std::fmt;

/// The effect on a live session of an endpoint that does not take it: one that is unhealthy, not in
/// the snapshot, or disabled without a drain that goes on. It holds in every failover mode.
///
/// | | the endpoint is unhealthy | it is removed, disabled or drained |
/// |---|---|---|
/// | [`Move`](Self::Move) | moved | moved |
/// | [`Lend`](Self::Lend) | lent to the endpoint that it would move to, the pin unchanged | moved |
/// | [`Refuse`](Self::Refuse) | [`NoRoute::Lost`](crate::NoRoute::Lost): answer 503 | the same |
///
/// Where several reasons hold, disabled and drained come before unhealthy. Set it by
/// [`Affinity::with_on_loss`](crate::Affinity::with_on_loss).
///
/// ```
/// use session_affinity::failover::OnLoss;
/// assert_eq!(OnLoss::default(), OnLoss::Move);
/// assert_eq!(OnLoss::Refuse.to_string(), "refuse");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[expect(clippy::exhaustive_enums, reason = "complete by definition: move, stay, or neither")]
pub enum OnLoss {
    /// The session is pinned to another endpoint.
    #[default]
    Move,
    /// The session of an unhealthy endpoint is served by another one, and comes home when the
    /// endpoint is healthy again. Other sessions move.
    Lend,
    /// The request has no endpoint, and the session stays as it was.
    Refuse,
}

impl OnLoss {
    /// Returns the value as text: `move`, `lend` or `refuse`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Move => "move",
            Self::Lend => "lend",
            Self::Refuse => "refuse",
        }
    }
}

impl fmt::Display for OnLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
