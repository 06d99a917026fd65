//! The rule for a connection that could not be made: one table, one function. And the rule for a
//! session whose endpoint does not take it.

use std::fmt;
use std::str::FromStr;

mod move_within;
mod on_loss;

pub use move_within::MoveWithin;
pub use on_loss::OnLoss;

/// The effect of a passive failure on a live session. Cloudflare:
/// `session_affinity_attributes.zero_downtime_failover`.
///
/// A *passive failure* is a connection that could not be made (refused, timed out,
/// unreachable, TLS failed: Cloudflare's 521, 522, 523, 525, 526) between two health
/// checks. An endpoint's own answer, 5xx included, is never one.
///
/// As text it is written as Cloudflare's API does:
///
/// ```
/// use session_affinity::FailoverMode;
/// assert_eq!(FailoverMode::Sticky.to_string(), "sticky");
/// assert_eq!("temporary".parse(), Ok(FailoverMode::Temporary));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[expect(clippy::exhaustive_enums, reason = "these are Cloudflare's three modes")]
pub enum FailoverMode {
    /// The request fails; the session stays pinned to its endpoint.
    #[default]
    None,
    /// Another endpoint serves this request; the pin is unchanged.
    Temporary,
    /// The session is pinned to the endpoint that answers.
    Sticky,
}

impl FailoverMode {
    /// Returns the mode as text: `none`, `temporary` or `sticky`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Temporary => "temporary",
            Self::Sticky => "sticky",
        }
    }
}

impl fmt::Display for FailoverMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for FailoverMode {
    type Err = UnknownFailoverMode;

    fn from_str(text: &str) -> Result<Self, UnknownFailoverMode> {
        let mut modes = [Self::None, Self::Temporary, Self::Sticky].into_iter();
        let mode = modes.find(|mode| mode.as_str() == text);
        mode.ok_or_else(|| UnknownFailoverMode { text: text.into() })
    }
}

/// The endpoints that failover may try. Cloudflare: `adaptive_routing.failover_across_pools`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "complete by definition")]
pub enum FailoverScope {
    /// The pool of the endpoint that could not be connected to.
    #[default]
    OwnPool,
    /// That pool first, then the other open pools in order.
    AllPools,
}

/// The relation of an attempt to the pin of its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "complete by definition")]
pub enum Standing {
    /// The session is live and its pin is unchanged: the attempt is kept or lent.
    Pinned,
    /// The attempt is created, moved or unbound.
    Unpinned,
}

/// The decision after a passive failure. `E` is the next endpoint to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "complete by definition")]
pub enum Verdict<E> {
    /// The request fails and nothing is written.
    GiveUp,
    /// The next endpoint is tried, and the pin stays as it is.
    Lend(E),
    /// The next endpoint is tried, and the session is pinned to it when it answers.
    Rebind(E),
}

/// Decides by the failover table. `next` is the preferred untried endpoint: `None` when no
/// retry is left or no endpoint.
///
/// | mode | pinned | unpinned | no endpoint left to try |
/// |---|---|---|---|
/// | `none` | give up, pin unchanged | rebind | give up |
/// | `temporary` | **lend**: another endpoint, pin unchanged | rebind | give up |
/// | `sticky` | **rebind**: pinned to the one that answers | rebind | give up |
///
/// ```
/// use session_affinity::failover::{FailoverMode, Standing, Verdict, decide};
/// assert_eq!(decide(FailoverMode::Temporary, Standing::Pinned, Some("eu-2")), Verdict::Lend("eu-2"));
/// assert_eq!(decide(FailoverMode::None, Standing::Pinned, Some("eu-2")), Verdict::GiveUp);
/// ```
pub const fn decide<E: Copy>(
    mode: FailoverMode,
    standing: Standing,
    next: Option<E>,
) -> Verdict<E> {
    match (next, standing, mode) {
        (None, _, _) | (Some(_), Standing::Pinned, FailoverMode::None) => Verdict::GiveUp,
        (Some(next), Standing::Pinned, FailoverMode::Temporary) => Verdict::Lend(next),
        (Some(next), Standing::Pinned, FailoverMode::Sticky)
        | (Some(next), Standing::Unpinned, _) => Verdict::Rebind(next),
    }
}

/// A failover mode that the policy does not support.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the failover mode is {mode}; allowed: a mode that the policy supports")]
#[non_exhaustive]
pub struct InvalidFailoverMode {
    /// The mode that was given.
    pub mode: FailoverMode,
}

impl InvalidFailoverMode {
    /// The error about this mode.
    pub(crate) const fn new(mode: FailoverMode) -> Self {
        Self { mode }
    }
}

/// The error of reading a [`FailoverMode`] from text that is not the name of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the failover mode is {text:?}; allowed: none, temporary or sticky")]
#[non_exhaustive]
pub struct UnknownFailoverMode {
    /// The text that was read.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_failover_table() {
        use {FailoverMode::*, Standing::*, Verdict::*};
        let rows = [
            (None, Pinned, GiveUp),
            (None, Unpinned, Rebind(7)),
            (Temporary, Pinned, Lend(7)),
            (Temporary, Unpinned, Rebind(7)),
            (Sticky, Pinned, Rebind(7)),
            (Sticky, Unpinned, Rebind(7)),
        ];
        for (mode, standing, verdict) in rows {
            assert_eq!(decide(mode, standing, Some(7)), verdict, "{mode:?} {standing:?}");
            let left = decide::<u8>(mode, standing, Option::None);
            assert_eq!(left, GiveUp, "{mode:?} {standing:?}, no endpoint left");
        }
    }
    #[test]
    fn a_mode_is_shown_as_its_name_and_read_from_it() {
        for (mode, name) in [
            (FailoverMode::None, "none"),
            (FailoverMode::Temporary, "temporary"),
            (FailoverMode::Sticky, "sticky"),
        ] {
            assert_eq!((mode.as_str(), mode.to_string().as_str()), (name, name));
            assert_eq!(name.parse(), Ok(mode));
        }
        assert_eq!(format!("{:>7}", FailoverMode::None), "   none");
        for text in ["", "Sticky", "none "] {
            let message =
                format!("the failover mode is {text:?}; allowed: none, temporary or sticky");
            assert_eq!(text.parse::<FailoverMode>().unwrap_err().to_string(), message);
        }
    }
}
