//! The rules of a small world: the policy, the failover, and a theme that says which events there are.

use session_affinity::FailoverMode;
use session_affinity::failover::{FailoverScope, MoveWithin, OnLoss};

use super::state::{Secs, UNIT};
use crate::support::Kind;

/// The kinds of events that happen in a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Theme {
    /// Health of each endpoint, on each node.
    Health,
    /// Pools that close, and a fallback pool.
    Fallback,
    /// Disabling and enabling, the census, restarts.
    Drain,
    /// Endpoints that leave and come, restarts.
    Members,
    /// A rotation in three steps.
    Keys,
    /// Endpoints that are full, and weights.
    Room,
    /// Refused connections, and suspects.
    Cooling,
    /// The clock of the second node.
    Clocks,
    /// A store that loses, is late or does not answer; requests at both nodes at once.
    Store,
    /// All of it.
    All,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) theme: Theme,
    pub(crate) kind: Kind,
    pub(crate) mode: FailoverMode,
    pub(crate) on_loss: OnLoss,
    /// Both nodes have one store.
    pub(crate) is_shared: bool,
    /// One or two. The worlds of one client are smaller, and visited to the end.
    pub(crate) clients: usize,
}

/// The policies of these worlds: those in which no session is renewed or taken over.
pub const KINDS: [Kind; 5] =
    [Kind::Cookie, Kind::IpCookie, Kind::Header, Kind::NoAffinity, Kind::IssuedHeader];

impl Rules {
    /// All worlds of a theme.
    pub(crate) fn all(theme: Theme) -> Vec<Self> {
        let mut all = Vec::new();
        for kind in KINDS {
            for mode in [FailoverMode::None, FailoverMode::Temporary, FailoverMode::Sticky] {
                for on_loss in [OnLoss::Move, OnLoss::Lend, OnLoss::Refuse] {
                    for (is_shared, clients) in [(true, 1), (true, 2), (false, 1), (false, 2)] {
                        let rules = Self { theme, kind, mode, on_loss, is_shared, clients };
                        if rules.is_possible() {
                            all.push(rules);
                        }
                    }
                }
            }
        }
        all
    }

    fn is_possible(&self) -> bool {
        let is_stored = self.kind == Kind::Header;
        let has_store = self.is_shared || is_stored;
        match self.theme {
            Theme::Keys | Theme::Clocks if !self.kind.has_token() => false,
            Theme::Store if !is_stored => false,
            _ => has_store && !(is_stored && self.mode == FailoverMode::Sticky),
        }
    }

    /// The lifetime of a session, for the policies of a token and for `header`.
    pub(crate) fn ttl(&self) -> Secs {
        match (self.kind, self.theme) {
            (_, Theme::Cooling) => 4 * UNIT,
            (Kind::Header, _) => UNIT,
            _ => 2 * UNIT,
        }
    }

    pub(crate) fn drain(&self) -> Secs {
        UNIT
    }

    pub(crate) fn cooling_off(&self) -> Secs {
        if matches!(self.theme, Theme::Cooling | Theme::All) { UNIT } else { 0 }
    }

    /// The census is part of the state: no request is routed by it, so other themes leave it out.
    pub(crate) fn has_census(&self) -> bool {
        matches!(self.theme, Theme::Drain | Theme::All)
    }

    pub(crate) fn has_marks(&self) -> bool {
        self.has_census() || self.cooling_off() > 0
    }

    pub(crate) fn move_within(&self) -> MoveWithin {
        if self.theme == Theme::Members { MoveWithin::OwnPool } else { MoveWithin::Order }
    }

    pub(crate) fn scope(&self) -> FailoverScope {
        let across = matches!(self.theme, Theme::Cooling | Theme::Room);
        if across { FailoverScope::AllPools } else { FailoverScope::OwnPool }
    }
}
