//! The acts of an operator, and of the endpoints.

use session_affinity::Health;

use crate::endpoint::Way;
use crate::kind::{Kind, SITE};
use crate::naive::{NaiveEndpoint, Service};
use crate::random::Random;
use crate::scene::Scene;

/// One act.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    Health(&'static str, bool),
    Enabled(&'static str, bool),
    Weight(&'static str, u8),
    Add(&'static str),
    Remove(&'static str),
    PoolEnabled(&'static str, bool),
    Minimum(&'static str, u32),
    /// The percentages of new and of live sessions that a pool sheds.
    Shed(&'static str, u8, u8),
    Way(&'static str, Way),
    Cut(&'static str),
    /// Sets the clock ahead by so many seconds more.
    Ahead(u64),
    AskDrain(&'static str),
}

impl Act {
    /// Chooses an act: the more is wrong, the sooner something is put right.
    pub fn choose(kind: &Kind, scene: &Scene, random: &mut Random) -> Self {
        let wrong = wrong(kind, scene);
        if !wrong.is_empty() && random.below(100) < 8 * wrong.len() {
            return wrong[random.below(wrong.len())];
        }
        let pools = &scene.world.pools;
        let pool = pools[random.below(pools.len())].name;
        let of_pool = SITE.iter().find(|(name, _)| *name == pool).map_or(&[][..], |it| it.1);
        let name = of_pool[random.below(of_pool.len())];
        match random.below(14) {
            0 | 1 => Self::Health(name, false),
            2 => Self::Enabled(name, false),
            3 => Self::Weight(name, [0, 1, 50][random.below(3)]),
            4 => Self::Remove(name),
            5 => Self::PoolEnabled(pool, false),
            6 => Self::Minimum(pool, random.below(4) as u32),
            7 => Self::Shed(pool, [0, 50, 100][random.below(3)], [0, 100][random.below(2)]),
            8 => Self::Cut(name),
            9 => Self::Ahead(1 + random.below(300) as u64),
            10 => Self::AskDrain(name),
            11 | 12 => Self::Way(name, Way::Refuses),
            _ => {
                Self::Way(name, [Way::Fails, Way::Halves, Way::Closes, Way::Hangs][random.below(4)])
            }
        }
    }
}

/// Returns the acts that would put right what is wrong.
fn wrong(kind: &Kind, scene: &Scene) -> Vec<Act> {
    let mut acts = Vec::new();
    for pool in &kind.world().pools {
        for origin in &pool.endpoints {
            let name = origin.name;
            acts.extend((scene.way(name) != Way::Answers).then_some(Act::Way(name, Way::Answers)));
            let known = scene.world.pools.iter().flat_map(|pool| &pool.endpoints);
            let Some(known) = known.clone().find(|known| known.name == name) else {
                acts.push(Act::Add(name));
                continue;
            };
            acts.extend(wrong_with(known));
        }
    }
    for pool in &scene.world.pools {
        let name = pool.name;
        let is_disabled = pool.service != Service::Enabled;
        acts.extend(is_disabled.then_some(Act::PoolEnabled(name, true)));
        acts.extend((pool.minimum_origins > 1).then_some(Act::Minimum(name, 1)));
        let sheds = (pool.default_percent, pool.session_percent) != (0, 0);
        acts.extend(sheds.then_some(Act::Shed(name, 0, 0)));
    }
    acts
}

fn wrong_with(origin: &NaiveEndpoint) -> Vec<Act> {
    let name = origin.name;
    let mut acts = Vec::new();
    acts.extend((origin.health != Health::Healthy).then_some(Act::Health(name, true)));
    acts.extend((origin.service != Service::Enabled).then_some(Act::Enabled(name, true)));
    acts.extend((origin.weight != 100).then_some(Act::Weight(name, 100)));
    acts
}
