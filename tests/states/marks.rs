//! What a node has noted about its endpoints, noted again in a new snapshot by requests of the crate.

use session_affinity::carrier::Carrier;
use session_affinity::failover::OnLoss;
use session_affinity::limits::CoolingOff;
use session_affinity::policy::{Claim, Forgotten, Life, Recall, Served};
use session_affinity::token::Pin;
use session_affinity::{
    Affinity, AffinityPolicy, Endpoint, EndpointId, Health, LoadBalancer, NoAffinity, Pool, Pools,
    Record, RequestMeta, Settlement, UnixTime,
};

use super::state::{Mark, Node, Place, Secs, UNIT, absolute, id};
use super::world::Site;
use crate::support::{Client, PinnedTo, at, shop};

/// A policy whose only session has this pin.
struct Only(LoadBalancer, Pin);

impl AffinityPolicy for Only {
    fn load_balancer(&self) -> &LoadBalancer {
        &self.0
    }

    fn read(&self, _: &RequestMeta<'_>, _: UnixTime) -> Recall {
        Recall::from(Claim::Carried(self.1))
    }

    fn remember(&self, _: &Served<'_>) -> Settlement {
        Settlement::nothing()
    }

    fn forget(&self, _: &Forgotten<'_>) -> Settlement {
        Settlement::nothing()
    }

    fn carrier(&self) -> Option<&Carrier> {
        None
    }

    fn life(&self) -> Life {
        Life::Unknown
    }
}

/// A snapshot of all endpoints that the node remembers and of pool `z`, which serves what is lent to
/// note it. All are healthy, and have the marks of the node.
pub(crate) fn restored(site: &Site, node: &Node) -> Pools<EndpointId> {
    let known = |number: usize| node.members[number].place != Place::Unknown;
    let mut begun: Vec<Secs> =
        (0..4).filter(|it| known(*it)).filter_map(|it| node.members[it].mark.began).collect();
    begun.sort_unstable();
    begun.dedup();
    let spare = || Pool::new("z").with_endpoint(Endpoint::new("0", EndpointId::new("z", "0")));
    let mut pools: Option<Pools<EndpointId>> = None;
    // The endpoints that were added in one build share the start of their census.
    for began in &begun {
        let has =
            |it: usize| known(it) && node.members[it].mark.began.is_some_and(|it| it <= *began);
        let builder = pools.as_ref().map_or_else(Pools::builder, Pools::rebuild);
        let next = site.describe(builder, has).pool(spare()).build().unwrap();
        next.begin_census(at(absolute(*began)));
        pools = Some(next);
    }
    if !site.rules.has_census() {
        pools = Some(site.describe(Pools::builder(), known).pool(spare()).build().unwrap());
    }
    let Some(pools) = pools else {
        return site.describe(Pools::builder(), known).build().unwrap();
    };
    site.crowd.set(&[]);
    for number in (0..4).filter(|number| pools.endpoint(id(*number)).is_some()) {
        note(&pools, number, &node.members[number].mark, site.rules.cooling_off());
    }
    let is_left = (0..4).any(|it| known(it) && pools.endpoint(id(it)).is_none());
    if is_left { site.describe(pools.rebuild(), known).build().unwrap() } else { pools }
}

fn note(pools: &Pools<EndpointId>, number: usize, mark: &Mark, cooling_off: Secs) {
    let client = Client::default();
    // Only this endpoint takes requests.
    let alone = |wanted: EndpointId| {
        let all: Vec<EndpointId> =
            pools.iter().flat_map(|pool| pool.endpoints().map(|it| it.id())).collect();
        let health = |id| if id == wanted { Health::Healthy } else { Health::Unhealthy };
        pools.edited(|edit| all.iter().try_for_each(|id| edit.health(*id, health(*id)))).unwrap()
    };
    if let Some((issued, end)) = mark.latest {
        let pin =
            Pin { endpoint: id(number), issued: at(absolute(issued)), expires: at(absolute(end)) };
        let lender = Affinity::new(Only(shop(), pin)).with_on_loss(OnLoss::Lend);
        let pools = alone(EndpointId::new("z", "0"));
        let visit = lender.recall(&client.request(), at(absolute(end - 1)));
        let (attempt, _) = lender.route(visit, Record::Absent, &pools, || 0).unwrap();
        let _ = lender.settle(attempt, &pools);
    }
    if let Some(seen) = mark.last_seen {
        let (server, pools) = (Affinity::new(NoAffinity::new(&shop())), alone(id(number)));
        let visit = server.recall(&client.request(), at(absolute(seen)));
        let (attempt, _) = server.route(visit, Record::Absent, &pools, || 0).unwrap();
        let _ = server.settle(attempt, &pools);
    }
    for failure in 0..mark.failures {
        // The last one has the length that it had, those before it are over.
        let is_last = failure + 1 == mark.failures;
        let length = if is_last { cooling_off } else { 1 };
        let when = match is_last {
            true => mark.suspect_until - (cooling_off << failure.min(3)),
            false => -200 * UNIT + 10 * failure as Secs,
        };
        let limit = CoolingOff::new(length as u64).unwrap();
        let refuser = Affinity::new(PinnedTo::new(id(number))).with_cooling_off(limit);
        let visit = refuser.recall(&client.request(), at(absolute(when)));
        let (attempt, _) = refuser.route(visit, Record::Absent, pools, || 0).unwrap();
        let _ = refuser.failover(attempt, pools).unwrap_err();
    }
}
