//! The progress of a drain: that of this gateway, or of all that share a Redis.

use serde_json::json;
use session_affinity::EndpointId;
use session_affinity::drain::{DrainPhase, DrainSessions};

use super::Answer;
use super::refusal::{unknown_origin, unreachable};
use crate::control::Control;
use crate::fleet;
use crate::state::{self, Scope};

/// Returns the progress of an endpoint's drain, and what the answer speaks of.
pub(super) async fn drain(control: &Control, pool: &str, name: &str) -> Answer {
    let gateway = &control.gateway;
    let (affinity, _, pools) = gateway.moment();
    let id = EndpointId::new(pool, name);
    let endpoint = pools.endpoint(id).ok_or_else(|| unknown_origin(pool, name))?;
    let now = gateway.clock.now();
    let alone = affinity.drain(endpoint, endpoint.census(), now);
    let Some(fleet) = &gateway.fleet else { return Ok(Scope::Node.of(state::drain(&alone))) };

    let reports = fleet::reports(gateway, fleet, id).await.map_err(unreachable)?;
    let mut drain = affinity.drain(endpoint, reports.census, reports.as_of);
    // The reports are a moment old, and the phase is that of now.
    drain.phase = alone.phase;
    drain.last_seen = drain.last_seen.max(alone.last_seen);
    if !reports.waiting_for.is_empty() || alone.phase == DrainPhase::InService {
        drain.sessions = DrainSessions::Open;
    }
    let mut answer = Scope::Fleet.of(state::drain(&drain));
    answer["as_of"] = reports.as_of.as_secs().into();
    answer["waiting_for"] = json!(reports.waiting_for);
    Ok(answer)
}

/// Returns what this gateway has seen of an endpoint's sessions, for an operator who merges it with
/// the censuses of the other gateways.
pub(super) fn census(control: &Control, pool: &str, name: &str) -> Answer {
    let pools = control.gateway.pools.load();
    let endpoint = pools.endpoint(EndpointId::new(pool, name));
    Ok(json!(endpoint.ok_or_else(|| unknown_origin(pool, name))?.census()))
}
