//! One request to one node, through the crate and through the tables, with the laws that hold for it.

use session_affinity::outcome::Created;
use session_affinity::policy::Claim;
use session_affinity::token::Pin;
use session_affinity::{
    Affinity, AffinityPolicy, Attempt, EndpointId, Health, Outcome, Pools, Record, Visit,
};

use super::broken::{Broken, law};
use super::laws::keeps_who_can_stay;
use super::promise::{noted, remembered, unpromised};
use super::state::{Jar, State, absolute, id};
use super::world::{RINGS, SKEW, Site};
use crate::naive::{Ask as Stated, Session, Step, Walk, World};
use crate::support::{Client, Kind, at};

/// A request, and what happens to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub(crate) client: usize,
    pub(crate) node: usize,
    pub(crate) bits: usize,
    /// The connections that are refused, as long as another endpoint is tried.
    pub(crate) refusals: usize,
    pub(crate) end: End,
    pub(crate) turn: Turn,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum End {
    Answer,
    /// The request is dropped half way.
    Drop,
    /// The endpoint broke off after the request was sent.
    Break,
}

/// What else happens in the meantime.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Turn {
    Nothing,
    /// A health check takes the endpoint out while it answers.
    Fails,
    /// The store does not answer, and takes no write.
    StoreDown,
    /// The write is carried out later.
    LateWrite,
}

impl Ask {
    pub(crate) fn answered(client: usize, node: usize) -> Self {
        Self { client, node, bits: 0, refusals: 0, end: End::Answer, turn: Turn::Nothing }
    }
}

/// The first choice, and the last one if an endpoint has answered; or the outcome without a choice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) first: Result<Step, Outcome>,
    pub(crate) served: Option<Step>,
}

/// A request on its way, in the crate and in the tables.
struct Way {
    attempt: Attempt,
    step: Step,
    walk: Walk,
    tables: World,
    tried: Vec<Step>,
}

pub(crate) fn ask(site: &Site, before: &State, ask: Ask) -> Result<(State, Answer), Broken> {
    let node = &before.nodes[ask.node];
    let affinity = &site.affinities[node.keys];
    let pools = site.pools(node);
    site.set_crowd(before);
    let now = at(node.now());
    let client = client_of(site, before, ask.client);
    let visit = affinity.recall(&client.request(), now);
    let lookup = visit.lookup();
    let record = match lookup {
        Some(_) if ask.turn == Turn::StoreDown => Record::Unreachable,
        Some(lookup) => site.load(before, ask, &lookup)?,
        None => Record::Absent,
    };
    let session = session(site, before, ask, &visit, record)?;
    let stated = Stated { now: now.as_secs(), session, hash: None, key_hash: None };
    let tables = site.naive(before, ask.node);
    let mut after = before.clone();
    let unsettled = |tables: World, first| {
        let mut after = before.clone();
        site.read(&pools, Some(&tables), &mut after.nodes[ask.node])?;
        unpromised(before, &after, ask)?;
        Ok((after, Answer { first, served: None }))
    };
    let permitted = tables.route(&stated);
    let routed = affinity.route(visit, record, &pools, || site.bits[ask.bits]);
    let (attempt, permitted) = match (routed, permitted) {
        (Ok((attempt, _)), Ok(permitted)) => (attempt, permitted),
        (Err(error), Err(outcome)) if error.outcome() == outcome => {
            return unsettled(tables, Err(outcome));
        }
        (routed, permitted) => return Err(format!("the session table: {routed:?}, {permitted:?}")),
    };
    let first = Step { endpoint: attempt.endpoint(), outcome: attempt.outcome() };
    law!(permitted.contains(&first), "the session table: {first:?} of {permitted:?}");
    keeps_who_can_stay(&tables, &stated, first)?;
    let walk = Walk::begin(stated, first);
    let way = Way { attempt, step: first, walk, tables, tried: Vec::new() };
    let mut way = match refused(affinity, &pools, &stated, way, ask.refusals)? {
        Went::Ended(tables) => return unsettled(tables, Ok(first)),
        Went::On(way) => *way,
    };
    if ask.end == End::Break {
        law!(way.attempt.give_up().outcome() == Outcome::GaveUp, "broken off is given up");
        return unsettled(way.tables, Ok(first));
    }
    if ask.end == End::Drop {
        return unsettled(way.tables, Ok(first));
    }
    let pools = match ask.turn {
        Turn::Fails => {
            let fails = way.step.endpoint;
            pools.edited(|edit| edit.health(fails, Health::Unhealthy)).unwrap()
        }
        _ => pools,
    };
    let settlement = affinity.settle(way.attempt, &pools);
    way.tables.answered(way.step.endpoint);
    site.read(&pools, Some(&way.tables), &mut after.nodes[ask.node])?;
    remembered(site, &mut after, ask, way.step, record, lookup, &settlement)?;
    noted(site, before, &after, ask, way.step, &stated)?;
    Ok((after, Answer { first: Ok(first), served: Some(way.step) }))
}

/// A request after so many refused connections, or its end with the tables as they are then.
enum Went {
    On(Box<Way>),
    Ended(World),
}

fn refused(
    affinity: &Affinity<Box<dyn AffinityPolicy>>,
    pools: &Pools<EndpointId>,
    stated: &Stated,
    mut way: Way,
    refusals: usize,
) -> Result<Went, Broken> {
    for _ in 0..refusals {
        may_be_tried(&way, stated)?;
        let Way { attempt, step, mut walk, mut tables, mut tried } = way;
        let permitted = walk.fail(&mut tables);
        tried.push(step);
        let Ok((attempt, _)) = affinity.failover(attempt, pools) else {
            law!(permitted.is_empty(), "giving up while {permitted:?} can be tried");
            return Ok(Went::Ended(tables));
        };
        let step = Step { endpoint: attempt.endpoint(), outcome: attempt.outcome() };
        law!(permitted.contains(&step), "the failover table: {step:?} of {permitted:?}");
        walk.go_on(step);
        way = Way { attempt, step, walk, tables, tried };
    }
    may_be_tried(&way, stated)?;
    Ok(Went::On(Box::new(way)))
}

/// The client with its token, sealed again.
pub(crate) fn client_of(site: &Site, state: &State, client: usize) -> Client {
    let jar = state.jars[client];
    let client = site.client(client);
    match jar {
        Some(jar) => {
            let token = site.codec(jar.key).seal(&pin_of(site, jar));
            site.rules.kind.with_token(client, token.as_str())
        }
        None => client,
    }
}

fn pin_of(site: &Site, jar: Jar) -> Pin {
    let (issued, expires) = (absolute(jar.issued), absolute(jar.issued + site.rules.ttl()));
    Pin { endpoint: id(jar.endpoint), issued: at(issued), expires: at(expires) }
}

/// The session that the tables see in this request; the crate has read the same.
fn session(
    site: &Site,
    state: &State,
    ask: Ask,
    visit: &Visit,
    record: Record,
) -> Result<Session, Broken> {
    let (node, claim) = (&state.nodes[ask.node], visit.claim());
    let session = match (site.rules.kind, state.jars[ask.client]) {
        (Kind::NoAffinity, _) => Session::Unbound,
        (Kind::Header, _) => match record {
            Record::Found { endpoint, .. } => Session::Live(endpoint),
            Record::Absent => Session::New(Created::NoRecord),
            Record::Unreadable => Session::New(Created::Unreadable),
            Record::Unreachable => Session::New(Created::StoreUnreachable),
        },
        (kind, None) => Session::New(kind.missing()),
        (_, Some(jar)) if !RINGS[node.keys].contains(&jar.key) => Session::New(Created::UnknownKey),
        (_, Some(jar)) if jar.issued > node.skew + SKEW => Session::New(Created::Premature),
        (_, Some(jar)) if jar.issued + site.rules.ttl() <= node.skew => {
            Session::New(Created::Expired)
        }
        (_, Some(jar)) => {
            let pin = pin_of(site, jar);
            law!(claim == Claim::Carried(pin), "a valid token is read: {claim:?}, {pin:?}");
            Session::Live(pin.endpoint)
        }
    };
    let is_read = matches!(claim, Claim::Carried(_));
    let is_live = matches!(session, Session::Live(_)) && site.rules.kind != Kind::Header;
    law!(is_read == is_live, "only a valid token is read: {claim:?}, {session:?}");
    Ok(session)
}

/// No request comes to an endpoint that may not take it, and none twice to the same.
fn may_be_tried(way: &Way, stated: &Stated) -> Result<(), Broken> {
    let step = way.step;
    let again = way.tried.iter().any(|tried| tried.endpoint == step.endpoint);
    law!(!again, "what was tried is not tried again: {step:?}");
    let Some((pool, e)) = way.tables.find(step.endpoint) else {
        return Err(format!("an endpoint of the snapshot is tried: {step:?}"));
    };
    let is_last_resort = way.tables.fallback == Some(pool) && way.tables.open().is_empty();
    let may = match step.outcome {
        Outcome::Kept => way.tables.takes_pinned(pool, &e, stated.now) || is_last_resort,
        _ => way.tables.pools[pool].takes_new(&e) || (is_last_resort && e.weight > 0),
    };
    law!(may, "no request is routed to an endpoint that may not take it: {step:?}");
    Ok(())
}
