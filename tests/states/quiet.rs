//! What comes to pass in the end, from every state: all is repaired or let be, and clients go on.

use session_affinity::Outcome;
use session_affinity::drain::{DrainPhase, DrainSessions};

use super::broken::{Broken, law};
use super::laws::repaired;
use super::request::{Ask, ask};
use super::state::{Jar, Mark, Place, State, id};
use super::world::{RINGS, SKEW, Site};
use crate::naive::Step;
use crate::support::{Kind, at};

pub(crate) fn check(site: &Site, state: &State) -> Result<(), Broken> {
    sessions_come_home(site, state)?;
    drains_end(site, state)?;
    gateways_come_to_agree(site, state)
}

/// A lent session, and any other one that is alive, is served at home once its endpoint is well.
fn sessions_come_home(site: &Site, state: &State) -> Result<(), Broken> {
    let well = repaired(site, state);
    for client in 0..site.rules.clients {
        for node in 0..2 {
            let request = Ask::answered(client, node);
            let home = match site.rules.kind {
                Kind::NoAffinity => None,
                Kind::Header => well.stores[site.store_of(node)][client]
                    .filter(|row| row.end > well.nodes[node].skew)
                    .map(|row| row.endpoint),
                _ => well.jars[client]
                    .filter(|jar| is_read(site, &well, node, jar))
                    .map(|jar| jar.endpoint),
            };
            let Some(home) = home else { continue };
            let (after, answer) = ask(site, &well, request)?;
            let kept = Step { endpoint: id(home), outcome: Outcome::Kept };
            law!(answer.served == Some(kept), "a session comes home: {answer:?}, {home}");
            law!(after.jars == well.jars, "a session that is home keeps its token");
        }
    }
    Ok(())
}

fn is_read(site: &Site, state: &State, node: usize, jar: &Jar) -> bool {
    let node = &state.nodes[node];
    RINGS[node.keys].contains(&jar.key)
        && jar.issued + site.rules.ttl() > node.skew
        && jar.issued <= node.skew + SKEW
}

/// A drain is over when its time is, and then no request comes to the endpoint.
fn drains_end(site: &Site, state: &State) -> Result<(), Broken> {
    for node in 0..2 {
        for endpoint in 0..4 {
            let member = &state.nodes[node].members[endpoint];
            let (Some(disabled), Place::Present) = (member.disabled, member.place) else {
                continue;
            };
            let mut later = state.clone();
            let left = disabled + site.rules.drain() - later.nodes[node].skew;
            if left > 0 {
                later.pass(left, site.rules.ttl());
            }
            let pools = site.pools(&later.nodes[node]);
            let view = pools.endpoint(id(endpoint)).expect("it is there");
            let now = at(later.nodes[node].now());
            let report = site.affinities[0].drain(view, view.census(), now);
            let is_drained = matches!(report.sessions, DrainSessions::Drained { .. });
            law!(report.phase == DrainPhase::Over && is_drained, "a drain ends: {report:?}");
            for client in 0..site.rules.clients {
                let (_, answer) = ask(site, &later, Ask::answered(client, node))?;
                let is_there = answer.first.is_ok_and(|step| step.endpoint == id(endpoint));
                law!(!is_there, "no request comes after a drain: {answer:?}");
            }
        }
    }
    Ok(())
}

/// When both gateways are told the same, a client finds the same endpoint at each, and again.
fn gateways_come_to_agree(site: &Site, state: &State) -> Result<(), Broken> {
    if site.rules.kind == Kind::NoAffinity {
        return Ok(());
    }
    let mut same = state.clone();
    for node in &mut same.nodes {
        node.skew = 0;
        node.keys = state.nodes[0].keys;
    }
    for number in 0..4 {
        let (first, second) = same.nodes.split_at_mut(1);
        let (told, other) = (&first[0].members[number], &mut second[0].members[number]);
        (other.place, other.health) = (told.place, told.health);
        (other.disabled, other.weight) = (told.disabled, told.weight);
        if told.place != Place::Present {
            other.mark = Mark::NONE;
        }
    }
    if let Some(late) = same.late.take() {
        site.carry_out(&mut same, late)?;
    }
    // Suspicions end; where each gateway has a store of its own, so do the sessions.
    let marks = same.nodes.iter().flat_map(|node| &node.members).map(|it| it.mark.suspect_until);
    let mut left = marks.max().unwrap_or(0).max(0);
    if !site.rules.is_shared {
        left = left.max(2 * site.rules.ttl());
    }
    same.pass(left, site.rules.ttl());
    for client in 0..site.rules.clients {
        let mut state = same.clone();
        let mut served = Vec::new();
        for node in [0, 1, 0, 1] {
            let (after, answer) = ask(site, &state, Ask::answered(client, node))?;
            served.push(answer.served.map(|step| step.endpoint).ok_or(answer.first.err()));
            state = after;
        }
        let agree = served.windows(2).all(|pair| pair[0] == pair[1]);
        law!(agree, "two gateways come to agree: {served:?}");
    }
    Ok(())
}
