//! A world: conditions, pools, and two nodes that have been told the same.

use session_affinity::failover::{FailoverScope, MoveWithin, OnLoss};
use session_affinity::limits::{CoolingOff, DrainDuration, Retries};
use session_affinity::{Affinity, AffinityPolicy, EndpointId, FailoverMode, Health, Pools, Record};

use crate::naive::{Crowd, NaivePool, Service, World};
use crate::support::{Chance, Client, Kind, NOW, PinnedTo, Random, at, keyring};

pub(crate) const MEMBERS: [(&str, &[&str]); 4] =
    [("a", &["1", "2", "3"]), ("b", &["1", "2"]), ("c", &["1", "2"]), ("f", &["1", "2"])];
/// The pool that is in no order: it serves as a fallback in some worlds.
const APART: usize = 3;

/// The conditions that are counted through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Conditions {
    pub(crate) kind: Kind,
    mode: FailoverMode,
    on_loss: OnLoss,
    is_steered: bool,
    move_within: Option<MoveWithin>,
    room: RoomRule,
    cooling_off: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum RoomRule {
    None,
    Predicate,
    Bounded,
}

/// `header` has two modes, the other four have three.
pub(crate) const CONDITIONS: usize = (4 * 3 + 2) * 3 * 2 * 3 * 3 * 2;

impl Conditions {
    pub(crate) fn number(number: usize) -> Self {
        let mut left = number;
        let mut digit = |values: usize| {
            let digit = left % values;
            left /= values;
            digit
        };
        let modes = [FailoverMode::Temporary, FailoverMode::None, FailoverMode::Sticky];
        let (kind, mode) = match digit(14) {
            both @ (0 | 1) => (Kind::Header, modes[both]),
            both => {
                let others = [Kind::Cookie, Kind::IpCookie, Kind::IssuedHeader, Kind::NoAffinity];
                (others[(both - 2) / 3], modes[(both - 2) % 3])
            }
        };
        Self {
            kind,
            mode,
            on_loss: [OnLoss::Move, OnLoss::Lend, OnLoss::Refuse][digit(3)],
            is_steered: digit(2) == 0,
            move_within: [None, Some(MoveWithin::Order), Some(MoveWithin::OwnPool)][digit(3)],
            room: [RoomRule::None, RoomRule::Predicate, RoomRule::Bounded][digit(3)],
            cooling_off: [0, 10][digit(2)],
        }
    }
}

type Node = (Affinity<Box<dyn AffinityPolicy>>, Pools<EndpointId>);

/// A world that is drawn, and two nodes that were told of it.
pub(crate) struct Drawn {
    pub(crate) conditions: Conditions,
    pub(crate) random: Random,
    pub(crate) world: World,
    pub(crate) nodes: [Node; 2],
    crowd: Crowd,
}

impl Drawn {
    pub(crate) fn new(conditions: Conditions, mut random: Random) -> Self {
        let crowd = match conditions.room {
            RoomRule::Bounded => {
                Crowd::bounded(random.one_of(&[100, 125, 200]), random.one_of(&[1, 3]))
            }
            RoomRule::None | RoomRule::Predicate => Crowd::default(),
        };
        let mut world = World::new(
            MEMBERS.iter().map(|(name, endpoints)| NaivePool::new(name, endpoints)).collect(),
        );
        world.pools[APART].in_order = false;
        world.fallback = random.one_of(&[None, Some(0), Some(2), Some(APART), Some(APART)]);
        world.is_steered = conditions.is_steered;
        world.move_within = conditions.move_within;
        world.rules.mode = conditions.mode;
        world.rules.on_loss = conditions.on_loss;
        world.rules.cooling_off = conditions.cooling_off;
        world.rules.retries = random.one_of(&[1, 1, 2, 4]);
        world.rules.across_pools = random.percent(50);
        world.rules.drain_duration = random.one_of(&[0, 600]);
        for pool in &mut world.pools {
            let has_rule = conditions.room != RoomRule::None && random.percent(80);
            pool.crowd = has_rule.then(|| crowd.clone());
            pool.by_address = random.percent(30);
        }
        let nodes =
            [(); 2].map(|()| (affinity(conditions, &world), world.describe(Pools::builder())));
        let mut drawn = Self { conditions, random, world, nodes, crowd };
        drawn.refuse();
        drawn.replace();
        drawn.tell();
        drawn.crowd();
        drawn
    }

    /// Some endpoints have refused connections, now or a while ago, some of them twice.
    fn refuse(&mut self) {
        let cooling_off = CoolingOff::new(self.conditions.cooling_off).unwrap();
        for (pool, names) in MEMBERS {
            for name in names {
                let id = EndpointId::new(pool, name);
                if self.world.find(id).is_none() || !self.random.percent(30) {
                    continue;
                }
                let often = self.random.one_of(&[&[25][..], &[5], &[0], &[25, 5], &[25, 0]]);
                for ago in often {
                    let when = NOW.as_secs() - ago;
                    self.world.failed(id, when);
                    for (_, pools) in &self.nodes {
                        let refuser =
                            Affinity::new(PinnedTo::new(id)).with_cooling_off(cooling_off);
                        let visit = refuser.recall(&Client::default().request(), at(when));
                        let routed = refuser.route(visit, Record::Absent, pools, || 0);
                        let _ = refuser.failover(routed.unwrap().0, pools).unwrap_err();
                    }
                }
            }
        }
    }

    /// Some endpoints are removed, and a new one may come.
    fn replace(&mut self) {
        for index in 0..self.world.pools.len() {
            let is_known = index != APART || self.world.fallback == Some(APART);
            let pool = &mut self.world.pools[index];
            if self.random.percent(25) {
                let place = self.random.below(pool.endpoints.len());
                let removed = pool.endpoints.remove(place).id;
                if is_known {
                    self.world.removed.push((removed, index));
                }
            }
            if self.random.percent(15) {
                let pool = &mut self.world.pools[index];
                pool.endpoints.extend(NaivePool::new(pool.name, &["new"]).endpoints);
            }
        }
        for (_, pools) in &mut self.nodes {
            *pools = self.world.rebuild(pools);
        }
    }

    /// Health, states, weights and shedding of all.
    fn tell(&mut self) {
        let (random, now) = (&mut self.random, NOW.as_secs());
        let good = random.one_of(&[50, 85, 95, 98]);
        let service = |random: &mut Random| match random.below(4) {
            0 => Service::Disabled(None),
            1 => Service::Disabled(Some(now - 600)),
            2 => Service::Disabled(Some(now - 599)),
            _ => Service::Disabled(Some(now)),
        };
        for pool in &mut self.world.pools {
            pool.weight = random.one_of(&[100, 100, 60, 5, 0]);
            pool.minimum_origins = random.one_of(&[1, 1, 1, 0, 2, 3]);
            if random.percent(12) {
                pool.service = service(random);
            }
            if random.percent(25) {
                pool.default_percent = random.one_of(&[30, 60, 100]);
                pool.default_by_hash = random.percent(50);
            }
            if random.percent(25) {
                pool.session_percent = random.one_of(&[30, 60, 100]);
            }
            for e in &mut pool.endpoints {
                if !random.percent(good) {
                    e.health =
                        random.one_of(&[Health::Unhealthy, Health::Unhealthy, Health::Unchecked]);
                }
                if !random.percent(good) {
                    e.service = service(random);
                }
                e.weight = random.one_of(&[100, 100, 100, 30, 1, 0]);
            }
        }
        self.publish();
    }

    pub(crate) fn publish(&mut self) {
        for (_, pools) in &mut self.nodes {
            *pools = self.world.edit(pools);
        }
    }

    /// Some endpoints are full.
    pub(crate) fn crowd(&mut self) {
        let ids: Vec<EndpointId> =
            self.world.pools.iter().flat_map(|pool| pool.endpoints.iter().map(|e| e.id)).collect();
        let most = self.random.one_of(&[1, 4, 12]);
        for id in &ids {
            self.crowd.set_load(*id, self.random.below(most) as u32);
        }
        let share = self.random.one_of(&[20, 50, 90]);
        let full: Vec<_> = ids.into_iter().filter(|_| self.random.percent(share)).collect();
        self.crowd.set(&full);
    }
}

fn affinity(conditions: Conditions, world: &World) -> Affinity<Box<dyn AffinityPolicy>> {
    let rules = &world.rules;
    let scope = if rules.across_pools { FailoverScope::AllPools } else { FailoverScope::OwnPool };
    let affinity = Affinity::new(conditions.kind.policy(&keyring()))
        .with_failover_mode(rules.mode)
        .unwrap()
        .with_failover_scope(scope)
        .with_retries(Retries::new(rules.retries as u64).unwrap())
        .with_drain_duration(DrainDuration::new(rules.drain_duration).unwrap())
        .with_cooling_off(CoolingOff::new(rules.cooling_off).unwrap())
        .with_on_loss(rules.on_loss);
    match world.move_within {
        Some(move_within) => affinity.with_move_within(move_within),
        None => affinity,
    }
}
