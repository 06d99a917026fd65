//! What a request leaves behind: the token, the write and the census of one that was answered, and
//! nothing of any other.

use session_affinity::store::Lookup;
use session_affinity::{Outcome, Record, Settlement};

use super::broken::{Broken, law};
use super::request::{Ask, Turn};
use super::state::{Jar, Late, LateKind, Place, State, id, index, relative};
use super::world::{RINGS, Site};
use crate::naive::{Ask as Stated, Session, Step, Write, write_of};
use crate::support::{Kind, at, token_of};

/// If a request is never settled, nothing was promised.
pub(crate) fn unpromised(before: &State, after: &State, ask: Ask) -> Result<(), Broken> {
    let is_same =
        before.jars == after.jars && before.stores == after.stores && before.late == after.late;
    law!(is_same, "giving up writes nothing");
    let pairs = before.nodes[ask.node].members.iter().zip(&after.nodes[ask.node].members);
    for (was, is) in pairs {
        let noted = (was.mark.last_seen, was.mark.latest) != (is.mark.last_seen, is.mark.latest);
        law!(!noted, "giving up notes no session: {was:?}, {is:?}");
    }
    Ok(())
}

/// What the client and the store are told is what the tables say, and names who has answered.
pub(crate) fn remembered(
    site: &Site,
    after: &mut State,
    ask: Ask,
    step: Step,
    record: Record,
    lookup: Option<Lookup>,
    settlement: &Settlement,
) -> Result<(), Broken> {
    let kind = site.rules.kind;
    let expected = write_of(step.outcome, kind.has_token(), record);
    let node = &after.nodes[ask.node];
    if let Some(token) = token_of(settlement) {
        law!(expected == Write::SetCookie, "a token only with a new pin: {step:?}");
        let key = RINGS[node.keys][0];
        let pin = site.codec(key).open(token.as_bytes(), at(node.now()));
        let pin = pin.map_err(|error| format!("the signing key opens it: {error}"))?;
        law!(pin.endpoint == step.endpoint, "a token names the endpoint that answered: {pin:?}");
        let is_whole = pin.issued.as_secs() == node.now()
            && pin.expires.as_secs() == node.now() + site.rules.ttl() as u64;
        law!(is_whole, "a new pin has its full life: {pin:?}");
        let issued = relative(pin.issued.as_secs());
        after.jars[ask.client] = Some(Jar { endpoint: index(pin.endpoint), issued, key });
    } else {
        law!(expected != Write::SetCookie, "a new pin is told: {step:?}");
    }
    let Some(write) = settlement.store_write else {
        let silent = matches!(expected, Write::Nothing | Write::SetCookie);
        law!(silent, "the store is told: {step:?}");
        return Ok(());
    };
    law!(
        lookup.is_some_and(|lookup| lookup.key == write.key),
        "a write of this session: {write:?}"
    );
    let late = Late::of(site.store_of(ask.node), ask.client, &write);
    let told = match late.kind {
        LateKind::Touch => Write::Touch,
        LateKind::Create(_) => Write::Create,
        LateKind::Replace(_) => Write::Replace,
    };
    law!(told == expected, "the kind of the write: {told:?}, {expected:?}");
    if let LateKind::Create(to) | LateKind::Replace(to) = late.kind {
        law!(id(to) == step.endpoint, "a record names the endpoint that answered: {write:?}");
    }
    match ask.turn {
        Turn::StoreDown => Ok(()),
        Turn::LateWrite => {
            after.late = Some(late);
            Ok(())
        }
        Turn::Nothing | Turn::Fails => site.carry_out(after, late),
    }
}

/// The census has the session under the endpoint that it is pinned to, and the answer under the one
/// that gave it.
pub(crate) fn noted(
    site: &Site,
    before: &State,
    after: &State,
    ask: Ask,
    step: Step,
    stated: &Stated,
) -> Result<(), Broken> {
    if !site.rules.has_census() || site.rules.kind == Kind::NoAffinity {
        return Ok(());
    }
    let (was, is) = (&before.nodes[ask.node], &after.nodes[ask.node]);
    let skew = was.skew;
    let pinned = match (step.outcome, stated.session) {
        (Outcome::Lent(_), Session::Live(pin)) => pin,
        _ => step.endpoint,
    };
    for number in 0..4 {
        let (was, is) = (&was.members[number].mark, &is.members[number].mark);
        let seen = id(number) == step.endpoint;
        law!(!seen || is.last_seen >= Some(skew), "the one that answered is seen: {is:?}");
        law!(seen || is.last_seen == was.last_seen, "no other is seen: {was:?}, {is:?}");
        let own = id(number) == pinned;
        law!(own || is.latest == was.latest, "sessions are noted where they are pinned: {is:?}");
        let is_known = before.nodes[ask.node].members[number].place == Place::Present;
        law!(
            !own || !is_known || is.latest.is_some_and(|(_, end)| end > skew),
            "a session is noted: {is:?}"
        );
    }
    Ok(())
}
