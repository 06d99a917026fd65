//! What the operator and the endpoints have made of the scene, and when.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::endpoint::Way;
use crate::kind::{Kind, SITE};
use crate::naive::{NaiveEndpoint, NaivePool, World};

/// Everything that decides what may become of a request, but for its session.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The pools as the operator has set them.
    pub world: World,
    ways: BTreeMap<&'static str, Way>,
    /// The endpoints whose connections are being closed.
    cut: BTreeSet<&'static str>,
    /// The seconds by which the gateway's clock is ahead.
    pub ahead: u64,
    /// The last time, by the gateway's clock, at which an endpoint may have refused a connection.
    refused: BTreeMap<&'static str, u64>,
    /// The disabled endpoints of which the gateway has said that they are drained.
    pub drained: BTreeSet<&'static str>,
}

/// A scene, and the time in which a request may have met it.
#[derive(Debug)]
struct Moment {
    scene: Arc<Scene>,
    began: Instant,
    ended: Option<Instant>,
}

/// The scenes of the last minute.
#[derive(Debug)]
pub struct Log(VecDeque<Moment>);

/// No request takes longer.
const KEPT: Duration = Duration::from_secs(60);

impl Scene {
    pub fn new(kind: &Kind) -> Self {
        let names = SITE.iter().flat_map(|(_, endpoints)| endpoints.iter().copied());
        Self {
            world: kind.world(),
            ways: names.map(|name| (name, Way::Answers)).collect(),
            cut: BTreeSet::new(),
            ahead: 0,
            refused: BTreeMap::new(),
            drained: BTreeSet::new(),
        }
    }

    pub fn clock(&self) -> u64 {
        seconds() + self.ahead
    }

    pub fn way(&self, name: &str) -> Way {
        self.ways.get(name).copied().unwrap_or(Way::Answers)
    }

    pub fn set_way(&mut self, name: &'static str, way: Way) {
        if self.ways.insert(name, way) == Some(Way::Refuses) || way == Way::Refuses {
            self.refused.insert(name, self.clock());
        }
    }

    pub fn is_cut(&self, name: &str) -> bool {
        self.cut.contains(name)
    }

    pub fn set_cut(&mut self, name: Option<&'static str>) {
        self.cut = name.into_iter().collect();
    }

    /// Returns whether a gateway that cools endpoints off may take this one for a suspect.
    pub fn may_be_suspect(&self, name: &str, cooling_off: u64, now: u64) -> bool {
        let until = self.refused.get(name).map(|last| last + 8 * cooling_off + 2);
        cooling_off > 0
            && (self.way(name) == Way::Refuses || until.is_some_and(|until| now < until))
    }

    pub fn pool_mut(&mut self, name: &str) -> Option<&mut NaivePool> {
        self.world.pools.iter_mut().find(|pool| pool.name == name)
    }

    pub fn origin_mut(&mut self, name: &str) -> Option<&mut NaiveEndpoint> {
        let origins = self.world.pools.iter_mut().flat_map(|pool| &mut pool.endpoints);
        origins.into_iter().find(|origin| origin.name == name)
    }
}

impl Log {
    pub fn new(scene: Scene) -> Self {
        Self([Moment { scene: Arc::new(scene), began: Instant::now(), ended: None }].into())
    }

    /// Returns the present scene.
    pub fn now(&self) -> Arc<Scene> {
        self.0.back().expect("there is always one").scene.clone()
    }

    /// From now on a request may meet this scene, or still the one before.
    pub fn begin(&mut self, scene: Scene) {
        self.0.push_back(Moment { scene: Arc::new(scene), began: Instant::now(), ended: None });
    }

    /// From now on a request meets the last scene, of which something more exact is known.
    pub fn settle(&mut self, scene: Scene) {
        let now = Instant::now();
        let last = self.0.back_mut().expect("there is always one");
        last.scene = Arc::new(scene);
        for moment in self.0.iter_mut().rev().skip(1).take_while(|moment| moment.ended.is_none()) {
            moment.ended = Some(now);
        }
        while self.0.front().is_some_and(|it| it.ended.is_some_and(|end| end + KEPT < now)) {
            self.0.pop_front();
        }
    }

    /// Returns the scenes that a request of this time may have met, in their order.
    pub fn during(&self, began: Instant, ended: Instant) -> Vec<Arc<Scene>> {
        let met =
            |moment: &&Moment| moment.began <= ended && moment.ended.is_none_or(|end| end >= began);
        self.0.iter().filter(met).map(|moment| moment.scene.clone()).collect()
    }
}

/// The real time, in seconds.
pub fn seconds() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
