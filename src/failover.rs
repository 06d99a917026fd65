//! What follows when a connection could not be made: one table, one function.

use crate::endpoint::EndpointId;

/// What a passive failure does to a session. Cloudflare:
/// `session_affinity_attributes.zero_downtime_failover`.
///
/// A *passive failure* is a connection that could not be made (refused, timed out,
/// unreachable, TLS failed: Cloudflare's 521, 522, 523, 525, 526) between two health
/// checks. An endpoint's own answer, 5xx included, is never one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
pub enum FailoverMode {
    /// A live session waits for its endpoint: the request fails.
    #[default]
    None,
    /// Another endpoint serves it this once; the pin stays.
    Temporary,
    /// It is pinned anew to the endpoint that answers.
    Sticky,
}

/// Whether the attempt still stands for the live session's own pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// The session was live and its pin is untouched (kept, or lent already).
    Pinned,
    /// Created, moved and unbound attempts.
    Unpinned,
}

/// What to do after a passive failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The request fails; nothing is written.
    GiveUp,
    /// This endpoint serves it, the pin unchanged.
    Lend(EndpointId),
    /// This endpoint serves it and is pinned when it answers.
    Rebind(EndpointId),
}

/// The failover table. `next` is the preferred untried endpoint, if retries are left
/// and there is one.
///
/// | mode | pinned | unpinned | nobody left to try |
/// |---|---|---|---|
/// | `none` | give up, pin unchanged | rebind | give up |
/// | `temporary` | **lend**: another endpoint, pin unchanged | rebind | give up |
/// | `sticky` | **rebind**: pinned to the one that answers | rebind | give up |
///
/// ```
/// use session_affinity::{EndpointId, FailoverMode, Standing, Verdict, decide};
/// let other = EndpointId::new("eu", "eu-2");
/// assert_eq!(decide(FailoverMode::Temporary, Standing::Pinned, Some(other)), Verdict::Lend(other));
/// assert_eq!(decide(FailoverMode::None, Standing::Pinned, Some(other)), Verdict::GiveUp);
/// ```
pub const fn decide(mode: FailoverMode, standing: Standing, next: Option<EndpointId>) -> Verdict {
    match (next, standing, mode) {
        (None, _, _) | (Some(_), Standing::Pinned, FailoverMode::None) => Verdict::GiveUp,
        (Some(next), Standing::Pinned, FailoverMode::Temporary) => Verdict::Lend(next),
        (Some(next), Standing::Pinned, FailoverMode::Sticky)
        | (Some(next), Standing::Unpinned, _) => Verdict::Rebind(next),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_failover_table() {
        use {FailoverMode::*, Standing::*, Verdict::*};
        let other = EndpointId::from_u64(7);
        let rows = [
            (None, Pinned, GiveUp),
            (None, Unpinned, Rebind(other)),
            (Temporary, Pinned, Lend(other)),
            (Temporary, Unpinned, Rebind(other)),
            (Sticky, Pinned, Rebind(other)),
            (Sticky, Unpinned, Rebind(other)),
        ];
        for (mode, standing, verdict) in rows {
            assert_eq!(decide(mode, standing, Some(other)), verdict, "{mode:?} {standing:?}");
            assert_eq!(
                decide(mode, standing, Option::None),
                GiveUp,
                "{mode:?} {standing:?}, nobody left"
            );
        }
    }
}
