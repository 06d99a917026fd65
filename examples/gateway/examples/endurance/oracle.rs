//! The answers that a request may get, by the naive tables of the crate's tests.

use std::collections::BTreeSet;
use std::sync::Arc;

use session_affinity::outcome::Created;
use session_affinity::{EndpointId, Outcome};

use crate::client::{Asked, Came};
use crate::endpoint::Way;
use crate::kind::{Kind, Policy, TTL, pool_of};
use crate::naive::{Ask, Session, Step, Walk, World};
use crate::scene::Scene;

/// An answer that a request may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permitted {
    /// An endpoint's.
    By { endpoint: &'static str, label: &'static str, way: Way },
    /// The gateway's own.
    Own { status: u16, label: &'static str },
}

/// Returns the times, by the gateway's clock, between which the gateway may have taken this request;
/// all answers that it may get, if this one is not among them.
pub fn judge(
    kind: &Kind,
    scenes: &[Arc<Scene>],
    asked: &Asked,
    came: &Came,
) -> Result<(u64, u64), BTreeSet<Permitted>> {
    let mut times = Vec::new();
    let mut all = BTreeSet::new();
    for first in 0..scenes.len() {
        let request = Request { kind, asked, scenes: scenes.split_at(first).1 };
        let ahead = request.scene().ahead;
        for now in asked.began + ahead..=asked.ended + ahead {
            let is = |permitted: &Permitted| permitted.is(came, kind, asked);
            let permitted = request.permitted(now, is);
            if permitted.iter().any(is) {
                times.push(now);
            }
            all.extend(permitted);
        }
    }
    match (times.iter().min(), times.iter().max()) {
        (Some(first), Some(last)) => Ok((*first, *last)),
        _ => Err(all),
    }
}

impl Permitted {
    fn is(&self, came: &Came, kind: &Kind, asked: &Asked) -> bool {
        match *self {
            Self::By { endpoint, label, way } => {
                // Created and moved: one token. All else: none.
                let is_pinned = label.starts_with("created:") || label.starts_with("moved:");
                let expected = if is_pinned && kind.policy != Policy::Header { 1 } else { 0 };
                let is_whole = way != Way::Halves;
                came.status == if way == Way::Fails { 500 } else { 200 }
                    && came.by.as_deref() == Some(endpoint)
                    && came.label == label
                    && came.tokens.len() == expected
                    && came.is_whole == is_whole
                    && (!is_whole || came.body == format!("{endpoint} {}", asked.length))
            }
            Self::Own { status, label } => {
                came.status == status
                    && came.by.is_none()
                    && came.label == label
                    && came.tokens.is_empty()
                    && came.is_whole
            }
        }
    }
}

/// A request that has met the first of these scenes when it was routed, and any of them afterwards.
struct Request<'a> {
    kind: &'a Kind,
    asked: &'a Asked,
    scenes: &'a [Arc<Scene>],
}

impl Request<'_> {
    fn scene(&self) -> &Scene {
        &self.scenes[0]
    }

    /// Returns the answers that the request may get; `is_enough` ends the search for more.
    fn permitted(&self, now: u64, is_enough: impl Fn(&Permitted) -> bool) -> BTreeSet<Permitted> {
        let mut all = BTreeSet::new();
        for session in self.sessions(now) {
            for mut world in self.worlds(&self.scene().world, now) {
                let ask = Ask { now, session, hash: Some(0), key_hash: Some(0) };
                match world.route(&ask) {
                    Err(outcome) => {
                        all.insert(Permitted::Own { status: 503, label: outcome.label() });
                    }
                    Ok(steps) => {
                        for step in steps.into_iter().filter(|step| !self.is_drained(step)) {
                            let walk = Walk::begin(ask, step);
                            self.walk(now, walk, &mut world, &mut all);
                        }
                    }
                }
                if all.iter().any(&is_enough) {
                    return all;
                }
            }
        }
        all
    }

    /// What the session of the request may be: around its end either of two.
    fn sessions(&self, now: u64) -> Vec<Session> {
        let Some(pin) = &self.asked.pin else {
            return vec![Session::New(match self.kind.policy {
                Policy::Cookie | Policy::Address => Created::NoCookie,
                Policy::IssuedHeader => Created::NoHeader,
                Policy::Header => Created::NoRecord,
            })];
        };
        let ended = match self.kind.policy {
            Policy::Header => Created::NoRecord,
            _ => Created::Expired,
        };
        let live = Session::Live(EndpointId::new(pool_of(pin.endpoint), pin.endpoint));
        let mut sessions = Vec::new();
        sessions.extend((now < pin.to + TTL).then_some(live));
        sessions.extend((now >= pin.from + TTL).then_some(Session::New(ended)));
        sessions
    }

    /// Returns this world with every suspicion that makes a difference, of those that there may be:
    /// none, all, one alone, and all but one.
    fn worlds(&self, world: &World, now: u64) -> Vec<World> {
        let cooling_off = self.kind.cooling_off;
        if cooling_off == 0 {
            return vec![world.clone()];
        }
        let known = world.pools.iter().flat_map(|pool| &pool.endpoints);
        let may_be =
            |name| self.scenes.iter().any(|scene| scene.may_be_suspect(name, cooling_off, now));
        let all: Vec<_> =
            known.filter(|origin| may_be(origin.name)).map(|origin| origin.id).collect();
        let alone = all.iter().map(|one| vec![*one]);
        let all_but_one =
            all.iter().map(|one| all.iter().copied().filter(|other| other != one).collect());
        let sets: BTreeSet<Vec<EndpointId>> =
            [Vec::new(), all.clone()].into_iter().chain(alone).chain(all_but_one).collect();
        let suspected = |suspects: Vec<EndpointId>| {
            let mut world = world.clone();
            for origin in world.pools.iter_mut().flat_map(|pool| &mut pool.endpoints) {
                origin.suspect_until = if suspects.contains(&origin.id) { now + 1 } else { 0 };
            }
            world
        };
        sets.into_iter().map(suspected).collect()
    }

    /// The gateway has said that no session is left there.
    fn is_drained(&self, step: &Step) -> bool {
        let is_said = |name: &&'static str| EndpointId::new(pool_of(name), name) == step.endpoint;
        step.outcome == Outcome::Kept && self.scene().drained.iter().any(is_said)
    }

    fn walk(&self, now: u64, walk: Walk, world: &mut World, all: &mut BTreeSet<Permitted>) {
        let Some((_, origin)) = world.find(walk.step.endpoint) else { return };
        let (endpoint, label) = (origin.name, walk.step.outcome.label());
        let broke_off = Permitted::Own { status: 502, label: Outcome::GaveUp.label() };
        if self.scenes.iter().any(|scene| scene.is_cut(endpoint)) {
            all.insert(broke_off);
        }
        let late = Permitted::Own { status: 504, label: Outcome::GaveUp.label() };
        if crate::has_stalled() {
            all.insert(late);
        }
        let ways: BTreeSet<_> = self.scenes.iter().map(|scene| scene.way(endpoint)).collect();
        for way in ways {
            match way {
                Way::Answers | Way::Fails | Way::Halves => {
                    all.insert(Permitted::By { endpoint, label, way });
                }
                Way::Closes => {
                    all.insert(broke_off);
                }
                Way::Hangs => {
                    all.insert(late);
                }
                Way::Refuses => self.fail(now, &walk, world, all),
            }
        }
    }

    fn fail(&self, now: u64, walk: &Walk, world: &World, all: &mut BTreeSet<Permitted>) {
        // Others may have come under suspicion since the request was routed, or have been cleared.
        for mut world in self.worlds(world, now) {
            let mut walk = walk.clone();
            let next = walk.fail(&mut world);
            if next.is_empty() {
                all.insert(Permitted::Own { status: 502, label: Outcome::GaveUp.label() });
            }
            for step in next {
                let mut walk = walk.clone();
                walk.go_on(step);
                self.walk(now, walk, &mut world, all);
            }
        }
    }
}
