//! The events of a world, and what each makes of a state.

use session_affinity::pools::{NotInSnapshot, PoolsEdit};
use session_affinity::{EndpointId, Health, Pools, State as Service, Weight};

use super::broken::{Broken, law};
use super::request::{Ask, Turn, ask};
use super::state::{Late, Mark, Node, Place, State, absolute, id};
use super::world::Site;
use crate::support::{Kind, at};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    Ask(Ask),
    /// Both nodes serve one client at once, and the second answer comes first.
    Race {
        client: usize,
        is_second_first: bool,
    },
    /// A write that was late is carried out.
    Deliver,
    Tick,
    Health {
        node: usize,
        endpoint: usize,
        to: Health,
    },
    Disable {
        node: usize,
        endpoint: usize,
    },
    Enable {
        node: usize,
        endpoint: usize,
    },
    /// Both gateways are told at the same time.
    DisableAtBoth {
        endpoint: usize,
    },
    EnableAtBoth {
        endpoint: usize,
    },
    Remove {
        node: usize,
        endpoint: usize,
    },
    Add {
        node: usize,
        endpoint: usize,
    },
    Weight {
        node: usize,
        endpoint: usize,
    },
    Full {
        endpoint: usize,
    },
    Rotate {
        node: usize,
    },
    /// The clock of the second node is set.
    Skew {
        to: i32,
    },
    /// A gateway starts again, with the endpoints that it had.
    Restart {
        node: usize,
    },
    LoseStore {
        store: usize,
    },
}

pub(crate) fn apply(site: &Site, before: &State, event: Event) -> Result<State, Broken> {
    let mut after = before.clone();
    match event {
        Event::Ask(request) => return Ok(ask(site, before, request)?.0),
        Event::Race { client, is_second_first } => {
            return race(site, before, client, is_second_first);
        }
        Event::Deliver => {
            let late: Option<Late> = after.late.take();
            late.map_or(Ok(()), |late| site.carry_out(&mut after, late))?;
        }
        Event::Tick => after.tick(site.rules.ttl()),
        Event::Full { endpoint } => after.full[endpoint] = !after.full[endpoint],
        Event::Skew { to } => after.nodes[1].skew = to,
        Event::LoseStore { store } => after.stores[store] = [None; 2],
        Event::Rotate { node } => {
            after.nodes[node].keys += 1;
            // The last one to begin counts.
            if after.nodes[node].keys == 2 {
                after.promoted = Some(0);
            }
        }
        Event::Health { node, endpoint, to } => {
            let edit = |edit: &mut PoolsEdit<_>| edit.health(id(endpoint), to);
            after.nodes[node] = edited(site, &before.nodes[node], endpoint, edit)?;
        }
        Event::Disable { node, endpoint } => {
            let state = Service::Disabled { at: Some(at(absolute(0))) };
            let edit = |edit: &mut PoolsEdit<_>| edit.state(id(endpoint), state);
            after.nodes[node] = edited(site, &before.nodes[node], endpoint, edit)?;
        }
        Event::DisableAtBoth { endpoint } => {
            let one = apply(site, before, Event::Disable { node: 0, endpoint })?;
            return apply(site, &one, Event::Disable { node: 1, endpoint });
        }
        Event::EnableAtBoth { endpoint } => {
            let one = apply(site, before, Event::Enable { node: 0, endpoint })?;
            return apply(site, &one, Event::Enable { node: 1, endpoint });
        }
        Event::Enable { node, endpoint } => {
            let edit = |edit: &mut PoolsEdit<_>| edit.state(id(endpoint), Service::Enabled);
            after.nodes[node] = edited(site, &before.nodes[node], endpoint, edit)?;
        }
        Event::Weight { node, endpoint } => {
            let weight = 100 - before.nodes[node].members[endpoint].weight;
            let weight = Weight::new(weight.into()).unwrap();
            let edit = |edit: &mut PoolsEdit<_>| edit.weight(id(endpoint), weight);
            after.nodes[node] = edited(site, &before.nodes[node], endpoint, edit)?;
        }
        Event::Remove { node, endpoint } | Event::Add { node, endpoint } => {
            let (node, is_added) = (&mut after.nodes[node], matches!(event, Event::Add { .. }));
            let was_there = |number: usize| node.members[number].place == Place::Present;
            let has = |number: usize| if number == endpoint { is_added } else { was_there(number) };
            let rebuild = |pools: &Pools<_>| site.describe(pools.rebuild(), has).build().unwrap();
            *node = changed(site, node, endpoint, rebuild)?;
        }
        Event::Restart { node } => {
            for member in &mut after.nodes[node].members {
                member.mark = Mark::NONE;
                match member.place {
                    Place::Present => member.health = Health::Unchecked,
                    Place::Removed | Place::Unknown => member.place = Place::Unknown,
                }
            }
        }
    }
    Ok(after)
}

fn edited(
    site: &Site,
    before: &Node,
    endpoint: usize,
    edit: impl FnOnce(&mut PoolsEdit<EndpointId>) -> Result<(), NotInSnapshot>,
) -> Result<Node, Broken> {
    changed(site, before, endpoint, |pools| pools.edited(edit).unwrap())
}

/// A change of a snapshot, which leaves all other endpoints as they were.
fn changed(
    site: &Site,
    before: &Node,
    endpoint: usize,
    change: impl FnOnce(&Pools<EndpointId>) -> Pools<EndpointId>,
) -> Result<Node, Broken> {
    let mut after = before.clone();
    site.read(&change(&site.pools(before)), None, &mut after)?;
    for other in (0..4).filter(|other| *other != endpoint) {
        let (was, is) = (&before.members[other], &after.members[other]);
        law!(was == is, "a change leaves the other endpoints as they were: {was:?}, {is:?}");
    }
    let (was, is) = (&before.members[endpoint], &after.members[endpoint]);
    let stays = was.place == Place::Present && is.place == Place::Present;
    law!(!stays || was.mark == is.mark, "a change keeps what was noted: {was:?}, {is:?}");
    Ok(after)
}

/// Two requests of one client, one at each node, that both state what the client had before.
fn race(
    site: &Site,
    before: &State,
    client: usize,
    is_second_first: bool,
) -> Result<State, Broken> {
    let order = if is_second_first { [1, 0] } else { [0, 1] };
    let mut after = before.clone();
    let mut writes = Vec::new();
    for node in order {
        let turn = if site.rules.kind == Kind::Header { Turn::LateWrite } else { Turn::Nothing };
        let (alone, _) = ask(site, before, Ask { turn, ..Ask::answered(client, node) })?;
        if alone.jars[client] != before.jars[client] {
            after.jars[client] = alone.jars[client];
        }
        if alone.late != before.late {
            writes.extend(alone.late);
        }
        after.nodes[node] = alone.nodes[node].clone();
    }
    for write in writes {
        site.carry_out(&mut after, write)?;
    }
    Ok(after)
}
