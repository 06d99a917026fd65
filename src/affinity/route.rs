//! The session table: the row that decides where a request goes.

use super::attempt::Course;
use super::failed::NoRoute;
use super::search::Search;
use super::visit::Session;
use crate::endpoint::member::Position;
use crate::failover::{OnLoss, Standing, Verdict, decide};
use crate::outcome::{Lent, Lost, Moved};
use crate::pin::Pin;
use crate::pools::{EndpointView, PoolView};

/// Returns the endpoint of a request and the course of its session, by the first row that matches.
///
/// | row | session | and | course |
/// |--:|---|---|---|
/// | 1 | live | its endpoint is an enabled one of the fallback pool, itself enabled, no pool is open, and no endpoint of the fallback pool takes new sessions either | kept, health ignored |
/// | 2 | live | its endpoint takes it, its pool sheds, and the session is in the percentage | moved to the next open pool, else the fallback pool, else kept |
/// | 3 | live | its endpoint takes it and is a suspect | by the failover table: kept, lent or moved |
/// | 4 | live | its endpoint takes it and is full | by the failover table, and only to one with room: kept, lent or moved |
/// | 5 | live | its endpoint takes it | kept |
/// | 6 | live | otherwise | by [`OnLoss`]: moved, or lent, to the first open pool, else the fallback pool; or refused |
/// | 7 | new | | created in the first open pool that does not shed it, else in the fallback pool, else in the first open pool |
/// | 8 | unbound | | chosen as a new one |
///
/// A session that another system has pinned is live in each row, and migrated where another one would
/// be kept.
///
/// In the fallback pool, itself enabled, an endpoint that takes new sessions is chosen; where there
/// is no such endpoint, any enabled one with a weight above 0, its health ignored. Without that the
/// error is [`NoRoute::NoEndpoint`].
///
/// The endpoint is told by its position, which stays in registers.
#[inline(always)] // as `Search::choose_inline`
pub(super) fn route<T>(
    session: &Session,
    search: &Search<'_, '_, T>,
) -> Result<(Position, Course), NoRoute> {
    let at = |(endpoint, course): (EndpointView<'_, T>, _)| (endpoint.position(), course);
    let course = match session {
        Session::Live(pin) => return live(pin, Course::Kept, search).map(at),
        Session::Foreign(pin) => return live(pin, Course::Migrated, search).map(at),
        Session::New(reason) => Course::Created(*reason), // row 7
        Session::Unbound => Course::Unbound,              // row 8
    };
    Ok((search.for_new().ok_or(NoRoute::no_endpoint(None))?, course))
}

#[inline(never)]
fn live<'p, T>(
    pin: &Pin,
    home: Course,
    search: &Search<'p, '_, T>,
) -> Result<(EndpointView<'p, T>, Course), NoRoute> {
    let Some(endpoint) = search.pools.endpoint(pin.endpoint) else {
        let own = search.pools.pool_of_removed(pin.endpoint);
        return lost(pin, Lost::Removed, own, search); // row 6
    };
    let kept = (endpoint, home);
    if search.is_last_resort(endpoint) {
        return Ok(kept); // row 1
    }
    match search.takes_pinned(endpoint) {
        Ok(()) if search.sheds_session(endpoint.pool()) => {
            let shed = search.for_shed(endpoint.pool()); // row 2
            Ok(shed.map_or(kept, |other| (other, Course::Moved(Moved::Shed))))
        }
        Ok(()) if search.is_suspect(endpoint) => {
            let next = search.next_trusted(endpoint.pool().id()); // row 3
            Ok(instead(search, next, Lent::Suspect, Moved::Suspect).unwrap_or(kept))
        }
        Ok(()) if search.is_full(endpoint) => {
            let next = search.next_with_room(endpoint.pool().id()); // row 4
            Ok(instead(search, next, Lent::Full, Moved::Full).unwrap_or(kept))
        }
        Ok(()) => Ok(kept),                                              // row 5
        Err(reason) => lost(pin, reason, Some(endpoint.pool()), search), // row 6
    }
}

/// Rows 3 and 4: another endpoint in the place of the pinned one, which could be tried. `None` where
/// that is to be tried.
fn instead<'p, T>(
    search: &Search<'p, '_, T>,
    next: Option<EndpointView<'p, T>>,
    lent: Lent,
    moved: Moved,
) -> Option<(EndpointView<'p, T>, Course)> {
    match decide(search.rules.failover_mode, Standing::Pinned, next) {
        Verdict::Lend(next) => Some((next, Course::Lent(lent))),
        Verdict::Rebind(next) => Some((next, Course::Moved(moved))),
        Verdict::GiveUp => None,
    }
}

/// Row 6: the endpoint of a live session does not take it.
fn lost<'p, T>(
    pin: &Pin,
    reason: Lost,
    own: Option<PoolView<'p, T>>,
    search: &Search<'p, '_, T>,
) -> Result<(EndpointView<'p, T>, Course), NoRoute> {
    let course = match (search.rules.on_loss, reason) {
        (OnLoss::Refuse, reason) => return Err(NoRoute::lost(pin.endpoint, reason)),
        (OnLoss::Lend, Lost::Unhealthy) => Course::Lent(Lent::Unhealthy),
        (OnLoss::Move | OnLoss::Lend, reason) => Course::Moved(Moved::lost(reason)),
    };
    let no_endpoint = NoRoute::no_endpoint(Some(pin.endpoint));
    Ok((search.for_moved(own).ok_or(no_endpoint)?, course))
}
