//! Laws of a state by itself: nodes agree, reports of drains are true, rotations end no session. And the
//! law that a session stays where it can.

use session_affinity::{Health, Outcome, State as Service};

use session_affinity::drain::{Census, Drain, DrainPhase, DrainSessions};
use session_affinity::limits::DrainDuration;
use session_affinity::outcome::Lent;

use super::broken::{Broken, law};
use super::request::{Ask, End, ask};
use super::rules::Theme;
use super::state::{Mark, Place, State, absolute};
use super::world::{RINGS, SKEW, Site};
use crate::naive::{Ask as Stated, Session, Step, World};
use crate::support::{Kind, at};

pub(crate) fn check(site: &Site, state: &State) -> Result<(), Broken> {
    nodes_agree(site, state)?;
    drains_are_told_truly(site, state)?;
    rotations_end_no_session(site, state)
}

/// Two nodes with equal snapshots, suspects, clocks and keys send a client to the same endpoint.
fn nodes_agree(site: &Site, state: &State) -> Result<(), Broken> {
    let known = |node: usize| {
        let node = &state.nodes[node];
        let member = |it: usize| {
            let member = &node.members[it];
            let suspect = member.mark.suspect_until;
            (member.place, member.health, member.disabled, member.weight, suspect)
        };
        (node.skew, node.keys, [0, 1, 2, 3].map(member))
    };
    if known(0) != known(1) {
        return Ok(());
    }
    for client in 0..site.rules.clients {
        if !site.rules.is_shared && state.stores[0][client] != state.stores[1][client] {
            continue;
        }
        let drop = |node| Ask { end: End::Drop, ..Ask::answered(client, node) };
        let [one, two] = [0, 1].map(|node| ask(site, state, drop(node)).map(|(_, answer)| answer));
        let (one, two) = (one?, two?);
        law!(one == two, "two nodes agree: {one:?}, {two:?}");
    }
    Ok(())
}

/// An endpoint that is reported as drained while it drains has no live session.
fn drains_are_told_truly(site: &Site, state: &State) -> Result<(), Broken> {
    if site.rules.theme != Theme::Drain || site.rules.kind == Kind::NoAffinity {
        return Ok(());
    }
    for endpoint in 0..4 {
        let members = state.nodes.each_ref().map(|node| &node.members[endpoint]);
        let [Some(one), Some(two)] = members.map(|member| member.disabled) else { continue };
        // The nodes were told at different times: the latest counts.
        let latest = one.max(two);
        let disabled = Service::Disabled { at: Some(at(absolute(latest))) };
        let [one, two] = members.map(|member| census(&member.mark));
        let drain = DrainDuration::new(site.rules.drain() as u64).unwrap();
        let report = Drain::of(
            disabled,
            Service::Enabled,
            drain,
            site.life(),
            one.merge(two),
            at(absolute(0)),
        );
        if report.phase != DrainPhase::Draining {
            continue;
        }
        let jars = state
            .jars
            .iter()
            .flatten()
            .filter(|jar| jar.endpoint == endpoint && jar.issued + site.rules.ttl() > 0);
        let rows = state.stores.iter().flatten().flatten();
        let rows = rows.filter(|row| row.endpoint == endpoint && row.end > 0);
        let ends: Vec<i32> =
            jars.map(|jar| jar.issued + site.rules.ttl()).chain(rows.map(|row| row.end)).collect();
        match report.sessions {
            DrainSessions::Open => return Err(format!("a drain is reported: {report:?}")),
            DrainSessions::Drained { .. } => {
                law!(ends.is_empty(), "a drained report is true: {report:?}, {ends:?}");
            }
            // A header session may be prolonged until the drain is over.
            DrainSessions::EndBy(by) if site.rules.kind != Kind::Header => {
                let is_cut = by.as_secs() == absolute(latest + site.rules.drain());
                let over = |end: &i32| is_cut || absolute(*end) <= by.as_secs();
                law!(ends.iter().all(over), "no session outlives its report: {report:?}, {ends:?}");
            }
            DrainSessions::EndBy(_) => {}
        }
    }
    Ok(())
}

fn census(mark: &Mark) -> Census {
    let time = |secs| at(absolute(secs));
    Census {
        began: mark.began.map(time),
        last_seen: mark.last_seen.map(time),
        latest_issued: mark.latest.map(|(issued, _)| time(issued)),
        latest_end: mark.latest.map(|(_, end)| time(end)),
    }
}

/// A rotation in three steps, each on every node before the next, ends no session.
fn rotations_end_no_session(site: &Site, state: &State) -> Result<(), Broken> {
    for (client, jar) in state.jars.iter().enumerate() {
        let Some(jar) = jar else { continue };
        for node in &state.nodes {
            let is_alive =
                jar.issued + site.rules.ttl() > node.skew && jar.issued <= node.skew + SKEW;
            let is_known = RINGS[node.keys].contains(&jar.key);
            law!(is_known || !is_alive, "a live token is opened by every node: {client}, {jar:?}");
        }
    }
    Ok(())
}

/// A live session whose endpoint takes it, is no suspect and has room, is kept.
pub(crate) fn keeps_who_can_stay(
    tables: &World,
    stated: &Stated,
    first: Step,
) -> Result<(), Broken> {
    let Session::Live(pin) = stated.session else { return Ok(()) };
    let good = tables.find(pin).is_some_and(|(pool, e)| {
        tables.takes_pinned(pool, &e, stated.now)
            && !tables.is_suspect(&e, stated.now)
            && !tables.is_full(pool, &e)
    });
    let kept = Step { endpoint: pin, outcome: Outcome::Kept };
    law!(!good || first == kept, "a live session of a good endpoint stays: {first:?}");
    // No session is lent needlessly.
    let home = tables.find(pin);
    let is_needed = match first.outcome {
        Outcome::Lent(Lent::Full) => home.is_some_and(|(pool, e)| tables.is_full(pool, &e)),
        Outcome::Lent(Lent::Suspect) => {
            home.is_some_and(|(_, e)| tables.is_suspect(&e, stated.now))
        }
        Outcome::Lent(Lent::Unhealthy) => home.is_some_and(|(_, e)| !e.is_healthy()),
        Outcome::Lent(_) => false,
        _ => true,
    };
    law!(is_needed, "a session is lent only for a reason that holds: {first:?}");
    law!(!matches!(first.outcome, Outcome::Lent(_)) || first.endpoint != pin, "lent to its own");
    Ok(())
}

/// A node on which all is well: every endpoint there, enabled, healthy and with its weight.
pub(crate) fn repaired(site: &Site, state: &State) -> State {
    let mut state = state.clone();
    state.full = [false; 4];
    for node in &mut state.nodes {
        for member in &mut node.members {
            if member.place != Place::Present {
                (member.place, member.mark) = (Place::Present, Mark::NONE);
            }
            (member.health, member.disabled, member.weight) = (Health::Healthy, None, 100);
        }
    }
    let until = |state: &State| {
        let marks = state.nodes.iter().flat_map(|node| &node.members);
        marks.map(|member| member.mark.suspect_until).max().unwrap_or(0)
    };
    let left = until(&state);
    if left > 0 {
        state.pass(left, site.rules.ttl());
    }
    state
}
