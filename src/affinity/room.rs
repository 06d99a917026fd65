//! The order in which the endpoints of a choice are preferred: by their room, and by trust in them.

use crate::limits::CoolingOff;

/// A part of the candidates of one choice, from the best to all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Preference {
    /// Trusted, and with room.
    WithRoom,
    /// Trusted: no suspects.
    Trusted,
    /// All, suspects and full ones too.
    Any,
}

impl Preference {
    /// Returns the parts of the candidates to look at, one after the other: those that can differ
    /// where there is a rule of room, or a cooling off. What cannot differ costs nothing.
    ///
    /// The last look is at all candidates, because another request may have ended a suspicion or
    /// taken the room since the one before.
    pub(super) const fn order(has_room_rule: bool, cooling_off: CoolingOff) -> &'static [Self] {
        match (has_room_rule, cooling_off.get()) {
            (false, 0) => &[Self::Any],
            (false, _) => &[Self::Trusted, Self::Any],
            (true, 0) => &[Self::WithRoom, Self::Any],
            (true, _) => &[Self::WithRoom, Self::Trusted, Self::Any],
        }
    }
}
