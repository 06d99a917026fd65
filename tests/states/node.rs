//! A node of the crate made from the values of a state, and read back after a change.

use session_affinity::pools::PoolsBuilder;
use session_affinity::{
    Endpoint, EndpointId, Health, Pool, Pools, State as Service, UnixTime, Weight,
};

use super::broken::{Broken, law};
use super::marks;
use super::state::{ENDPOINTS, LONG_AGO, Mark, Node, Place, Secs, id, relative};
use super::world::Site;
use crate::naive::World;
use crate::support::at;

/// What a snapshot says of an endpoint, without what was noted about it.
pub(crate) type Status = (Place, Health, Option<Secs>, u8);

impl Site {
    /// The snapshot of a node. What is noted about endpoints is restored where the theme has it.
    pub(crate) fn pools(&self, node: &Node) -> Pools<EndpointId> {
        let status = |number: usize| {
            let member = &node.members[number];
            (member.place, member.health, member.disabled, member.weight)
        };
        let status: [Status; 4] = std::array::from_fn(status);
        if self.rules.has_marks() {
            return self.told(marks::restored(self, node), node);
        }
        let build = || self.told(self.known(node), node);
        self.built.borrow_mut().entry(status).or_insert_with(build).clone()
    }

    /// A snapshot of all endpoints that a node remembers.
    fn known(&self, node: &Node) -> Pools<EndpointId> {
        let known = |number: usize| node.members[number].place != Place::Unknown;
        self.describe(Pools::builder(), known).build().unwrap()
    }

    /// Adds both pools, with those of their endpoints for which this is true.
    pub(crate) fn describe(
        &self,
        mut builder: PoolsBuilder<EndpointId>,
        has: impl Fn(usize) -> bool,
    ) -> PoolsBuilder<EndpointId> {
        for name in ["a", "b"] {
            let mut pool = Pool::new(name).with_minimum_origins(self.minimum_origins());
            pool.room = self.has_room_rule().then(|| self.crowd.room());
            let own =
                (0..ENDPOINTS.len()).filter(|number| ENDPOINTS[*number].0 == name && has(*number));
            builder =
                builder.pool(pool.with_endpoints(
                    own.map(|number| Endpoint::new(ENDPOINTS[number].1, id(number))),
                ));
        }
        match self.fallback() {
            Some(_) => builder.fallback_in_order("a"),
            None => builder,
        }
    }

    /// The snapshot without the endpoints that were removed, told of health, states and weights.
    fn told(&self, known: Pools<EndpointId>, node: &Node) -> Pools<EndpointId> {
        let is_present = |number: usize| node.members[number].place == Place::Present;
        let is_whole = (0..4)
            .all(|number| is_present(number) == known.endpoint(id(number)).is_some())
            && known.pool("z").is_none();
        let pools = match is_whole {
            true => known,
            false => self.describe(known.rebuild(), is_present).build().unwrap(),
        };
        let told = pools.edited(|edit| {
            for number in (0..4).filter(|number| is_present(*number)) {
                let member = &node.members[number];
                edit.health(id(number), member.health)?;
                edit.state(id(number), member.service().state())?;
                edit.weight(id(number), Weight::new(member.weight.into()).unwrap())?;
            }
            Ok(())
        });
        told.unwrap()
    }

    /// Reads a node back from its snapshot, and what a request has made of its suspects from the
    /// tables.
    pub(crate) fn read(
        &self,
        pools: &Pools<EndpointId>,
        tables: Option<&World>,
        node: &mut Node,
    ) -> Result<(), Broken> {
        let now = at(node.now());
        for (number, member) in node.members.iter_mut().enumerate() {
            let Some(view) = pools.endpoint(id(number)) else {
                if member.place == Place::Present {
                    member.place = Place::Removed;
                    member.mark = Mark::NONE;
                    (member.health, member.disabled, member.weight) = (Health::Healthy, None, 100);
                }
                continue;
            };
            member.place = Place::Present;
            (member.health, member.weight) = (view.health(), view.weight().get());
            member.disabled = match view.state() {
                Service::Disabled { at } => at.map(|at| relative(at.as_secs())),
                Service::Enabled => None,
            };
            if self.rules.has_census() {
                let (census, secs) = (view.census(), |time: UnixTime| relative(time.as_secs()));
                member.mark.began = census.began.map(secs);
                member.mark.last_seen = census.last_seen.map(secs);
                let latest = census.latest_issued.zip(census.latest_end);
                member.mark.latest = latest.map(|(issued, end)| (secs(issued), secs(end)));
            }
            if let Some((_, e)) = tables.and_then(|tables| tables.find(id(number))) {
                let is_suspect = now.as_secs() < e.suspect_until && self.rules.cooling_off() > 0;
                law!(
                    view.is_suspect(now) == is_suspect || self.rules.cooling_off() == 0,
                    "a suspect of the tables is one of the node: {e:?}"
                );
                member.mark.failures = e.failures.min(4);
                member.mark.suspect_until =
                    if is_suspect { relative(e.suspect_until) } else { LONG_AGO };
            }
        }
        Ok(())
    }
}
