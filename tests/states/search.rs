//! The search: breadth first from the beginning, each state once.

use std::collections::HashMap;

use super::alphabet::events;
use super::broken::Broken;
use super::event::{Event, apply};
use super::rules::Rules;
use super::state::State;
use super::world::Site;
use super::{laws, quiet};

/// What was visited in one world, or in several.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Visited {
    pub(crate) worlds: usize,
    pub(crate) states: usize,
    pub(crate) transitions: usize,
    /// The least depth to which all states were visited.
    pub(crate) depth: usize,
    /// The worlds of which every state was visited.
    pub(crate) ended: usize,
}

impl Visited {
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            worlds: self.worlds + other.worlds,
            states: self.states + other.states,
            transitions: self.transitions + other.transitions,
            depth: if self.worlds == 0 { other.depth } else { self.depth.min(other.depth) },
            ended: self.ended + other.ended,
        }
    }
}

/// A state that was met, and the way to it.
struct Met {
    state: State,
    from: Option<(usize, Event)>,
    depth: usize,
}

/// Visits the states of a world, at most as many.
///
/// # Panics
/// When a law does not hold, with the way to the state.
pub(crate) fn visit(rules: Rules, most: usize) -> Visited {
    let site = Site::new(rules);
    let mut met = vec![Met { state: State::first(), from: None, depth: 0 }];
    let mut known: HashMap<State, usize> = HashMap::from([(State::first(), 0)]);
    let (mut at, mut transitions) = (0, 0);
    while at < met.len() && at < most {
        let state = met[at].state.clone();
        let checked = laws::check(&site, &state).and_then(|()| quiet::check(&site, &state));
        checked.unwrap_or_else(|broken| fail(&site, &met, at, None, &broken));
        for event in events(&site, &state) {
            transitions += 1;
            match apply(&site, &state, event) {
                Err(broken) => fail(&site, &met, at, Some(event), &broken),
                Ok(next) => {
                    if !known.contains_key(&next) && met.len() < 4 * most {
                        known.insert(next.clone(), met.len());
                        let depth = met[at].depth + 1;
                        met.push(Met { state: next, from: Some((at, event)), depth });
                    }
                }
            }
        }
        at += 1;
    }
    let ended = usize::from(at == met.len());
    let depth = met.get(at).map_or(met[at - 1].depth, |next| next.depth - 1);
    Visited { worlds: 1, states: at, transitions, depth, ended }
}

fn fail(site: &Site, met: &[Met], at: usize, event: Option<Event>, broken: &Broken) -> ! {
    let mut way: Vec<String> = event.iter().map(|event| format!("{event:?}")).collect();
    let mut from = &met[at].from;
    while let Some((before, event)) = from {
        way.push(format!("{event:?}"));
        from = &met[*before].from;
    }
    way.reverse();
    let rules = site.rules;
    panic!("{broken}\nin {rules:?}\nafter\n  {}\nat {:#?}", way.join("\n  "), met[at].state);
}
