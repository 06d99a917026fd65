//! The gateways that share a Redis, and what they have seen of an endpoint's sessions together: a
//! drain is over when all of them say so.

use std::collections::HashSet;
#[cfg(feature = "redis")]
use std::sync::Arc;
use std::time::Duration;

use session_affinity::drain::Census;
#[cfg(feature = "redis")]
use session_affinity::pools::EndpointView;
use session_affinity::{EndpointId, UnixTime};
use tokio::sync::{Mutex, Notify};

use crate::proxy::Gateway;
#[cfg(feature = "redis")]
use crate::upstream::{self, Upstream};

/// The time between two reports of a gateway.
const INTERVAL: Duration = Duration::from_secs(2);
/// The age at which a report counts as missing, in seconds: the gateway may have been restarted
/// meanwhile, and begin sessions again.
const STALE: u64 = 15;
/// The greatest number of gateways: each costs a call to Redis for every question.
const MOST: usize = 64;

/// The key `fleet` of the file.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FleetEntry {
    node: String,
    nodes: Vec<String>,
}

/// The names of this gateway and of all of them.
#[derive(Debug)]
pub(crate) struct Fleet {
    #[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "there is nowhere to report"))]
    node: String,
    nodes: Vec<String>,
    /// Something has changed that the others ought to know soon.
    news: Notify,
    /// The endpoints that this gateway has reported as in service, and not as disabled since.
    #[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "as `node`"))]
    in_service: Mutex<HashSet<EndpointId>>,
}

/// The sessions of an endpoint, as all gateways have seen them.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    pub(crate) census: Census,
    /// The time as of which the reports are complete.
    pub(crate) as_of: UnixTime,
    /// The gateways that have not reported lately that the endpoint is disabled. They may begin
    /// sessions on it.
    pub(crate) waiting_for: Vec<String>,
}

impl Fleet {
    /// Checks the key of the file.
    pub(crate) fn new(entry: Option<FleetEntry>, is_shared: bool) -> Result<Option<Self>, String> {
        let Some(FleetEntry { node, nodes }) = entry else { return Ok(None) };
        if !is_shared {
            return Err(
                "fleet is set, and a store in memory has one gateway; expected a Redis store"
                    .into(),
            );
        }
        if nodes.len() > MOST {
            return Err(format!("fleet.nodes has {} names; allowed: at most {MOST}", nodes.len()));
        }
        let is_twice =
            |(index, name): (usize, &String)| nodes.iter().take(index).any(|it| it == name);
        if nodes.iter().enumerate().any(is_twice) || nodes.iter().any(String::is_empty) {
            return Err("fleet.nodes has a name twice, or an empty one; expected each once".into());
        }
        if !nodes.contains(&node) {
            return Err(format!("fleet.node is {node:?}; expected one of fleet.nodes"));
        }
        Ok(Some(Self { node, nodes, news: Notify::new(), in_service: Mutex::default() }))
    }

    /// Reports at once, and not only at the next turn.
    pub(crate) fn tell(&self) {
        self.news.notify_one();
    }

    /// Waits for the next turn to report.
    async fn turn(&self) {
        let _ = tokio::time::timeout(INTERVAL, self.news.notified()).await;
    }

    fn is_fresh(as_of: UnixTime, now: UnixTime) -> bool {
        now.seconds_since(as_of) <= STALE
    }
}

/// The time for the first reports, which the first request waits for.
const FIRST: Duration = Duration::from_secs(2);
/// The pause after a first report that has failed.
const AGAIN: Duration = Duration::from_millis(50);

/// Reports for the first time, before the first request: what this gateway has reported in a life
/// before may say that its sessions on an endpoint have ended. After an error it tries again, for as long
/// as the first request waits.
pub(crate) async fn begin(gateway: &Gateway) {
    let Some(fleet) = &gateway.fleet else { return };
    let reported = async {
        while report_all(gateway, fleet).await.is_err() {
            tokio::time::sleep(AGAIN).await;
        }
    };
    let _ = tokio::time::timeout(FIRST, reported).await;
}

/// Reports what this gateway sees of the endpoints that are disabled, for as long as it runs.
pub(crate) async fn report(gateway: &Gateway) {
    let Some(fleet) = &gateway.fleet else { return };
    loop {
        // The store counts and tells its errors. The report before stays, and grows stale.
        let _ = report_all(gateway, fleet).await;
        fleet.turn().await;
    }
}

/// Reports on all endpoints, up to the first error.
async fn report_all(gateway: &Gateway, fleet: &Fleet) -> Result<(), String> {
    for endpoint in gateway.pools.load().iter().flat_map(|pool| pool.endpoints()) {
        publish(gateway, fleet, endpoint.id()).await?;
    }
    Ok(())
}

/// Returns the reports of all gateways on an endpoint.
///
/// # Errors
/// One line, if the store did not answer.
pub(crate) async fn reports(
    gateway: &Gateway,
    fleet: &Fleet,
    id: EndpointId,
) -> Result<Reports, String> {
    let now = gateway.clock.now();
    publish(gateway, fleet, id).await?;
    let mut reports: Option<Reports> = None;
    let mut waiting_for = Vec::new();
    for node in &fleet.nodes {
        let Some((census, as_of)) = of_node(gateway, node, id).await? else {
            waiting_for.push(node.clone());
            continue;
        };
        if !Fleet::is_fresh(as_of, now) || census == IN_SERVICE {
            waiting_for.push(node.clone());
        }
        reports = Some(match reports {
            None => Reports { census, as_of, waiting_for: Vec::new() },
            Some(others) => Reports {
                census: others.census.merge(census),
                as_of: others.as_of.min(as_of),
                waiting_for: Vec::new(),
            },
        });
    }
    Ok(Reports { waiting_for, ..reports.unwrap_or_default() })
}

/// The report on an endpoint in service: its sessions begin, and their end is not known.
const IN_SERVICE: Census = Census {
    began: None,
    last_seen: None,
    latest_issued: Some(UnixTime::MAX),
    latest_end: Some(UnixTime::MAX),
};

/// Reports what this gateway has seen of an endpoint that is disabled, or whose pool is; of one in
/// service once, that it is.
#[cfg(feature = "redis")]
async fn publish(gateway: &Gateway, fleet: &Fleet, id: EndpointId) -> Result<(), String> {
    let Some(redis) = gateway.store.redis() else { return Ok(()) };
    // One report at a time, each of the current state: an older one must not come last.
    let mut in_service = fleet.in_service.lock().await;
    let (pools, now) = (gateway.pools.load(), gateway.clock.now());
    let Some(endpoint) = pools.endpoint(id) else { return Ok(()) };
    let is_in_service = endpoint.state().is_enabled() && endpoint.pool().state().is_enabled();
    if is_in_service && in_service.contains(&id) {
        return Ok(());
    }
    let census = if is_in_service { IN_SERVICE } else { with_those_in_flight(endpoint, now) };
    // After an error it is not known what is reported.
    in_service.remove(&id);
    let reported = redis.publish_census(&fleet.node, id, census, now).await;
    reported.map_err(|error| error.to_string())?;
    if is_in_service {
        in_service.insert(id);
    }
    Ok(())
}

/// Returns the census of an endpoint with what its requests in flight may add: until the endpoint has
/// answered them, nothing is noted of their sessions.
#[cfg(feature = "redis")]
fn with_those_in_flight(endpoint: EndpointView<'_, Arc<Upstream>>, now: UnixTime) -> Census {
    // Counted first: one that ends in between is noted in the census.
    let in_flight = upstream::in_flight(endpoint.target());
    let mut census = endpoint.census();
    if in_flight > 0 {
        census.latest_issued = census.latest_issued.max(Some(now));
        census.latest_end = census.latest_end.max(Some(now.saturating_add(STALE)));
    }
    census
}

#[cfg(not(feature = "redis"))]
async fn publish(_: &Gateway, _: &Fleet, _: EndpointId) -> Result<(), String> {
    Ok(())
}

/// Returns the report of one gateway, and the time as of which it is complete.
#[cfg(feature = "redis")]
async fn of_node(
    gateway: &Gateway,
    node: &str,
    id: EndpointId,
) -> Result<Option<(Census, UnixTime)>, String> {
    let Some(redis) = gateway.store.redis() else { return Ok(None) };
    redis.shared_census(&[node], id).await.map_err(|error| error.to_string())
}

#[cfg(not(feature = "redis"))]
async fn of_node(
    _: &Gateway,
    _: &str,
    _: EndpointId,
) -> Result<Option<(Census, UnixTime)>, String> {
    Ok(None)
}
