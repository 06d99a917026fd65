//! Changes of pools and endpoints. An answer speaks of this gateway: the others are told separately.

use hyper::StatusCode;
use hyper::body::Incoming;
use session_affinity::EndpointId;

use super::refusal::{Refusal, bad, unknown_origin};
use super::{Answer, read};
use crate::changes::{OriginChange, PoolChange, Unchanged};
use crate::control::Control;
use crate::disabling::note_unseen;
use crate::state::{self, Scope};

pub(super) async fn change_pool(control: &Control, pool: &str, body: Incoming) -> Answer {
    let unknown = || Refusal::new(StatusCode::NOT_FOUND, format!("there is no pool {pool:?}"));
    let gateway = &control.gateway;
    let before = gateway.pools.load().pool(pool).ok_or_else(unknown)?.state();
    let change: PoolChange = read(control, body).await?;
    if change.is_empty() {
        return Err(bad(PoolChange::EXPECTED));
    }
    let now = gateway.clock.now();
    let changed = gateway.pools.update(|pools| change.apply(pools, pool, now));
    let pools = changed.map_err(|error| unchanged(error, unknown))?;
    let view = pools.pool(pool).ok_or_else(unknown)?;
    let life = gateway.affinity.load().life();
    for endpoint in view.endpoints() {
        note_unseen(endpoint, life, [before, view.state()]);
    }
    control.tell_the_fleet();
    Ok(Scope::Node.of(state::pool(view)))
}

pub(super) async fn change_origin(
    control: &Control,
    pool: &str,
    name: &str,
    body: Incoming,
) -> Answer {
    let unknown = || unknown_origin(pool, name);
    let (gateway, id) = (&control.gateway, EndpointId::new(pool, name));
    let before = gateway.pools.load().endpoint(id).ok_or_else(unknown)?.state();
    let change: OriginChange = read(control, body).await?;
    if change.is_empty() {
        return Err(bad(OriginChange::EXPECTED));
    }
    let now = gateway.clock.now();
    let changed = gateway.pools.update(|pools| change.apply(pools, id, now));
    let pools = changed.map_err(|error| unchanged(error, unknown))?;
    let endpoint = pools.endpoint(id).ok_or_else(unknown)?;
    note_unseen(endpoint, gateway.affinity.load().life(), [before, endpoint.state()]);
    control.tell_the_fleet();
    Ok(Scope::Node.of(state::origin(endpoint)))
}

fn unchanged(error: Unchanged, unknown: impl Fn() -> Refusal) -> Refusal {
    match error {
        Unchanged::Unknown => unknown(),
        Unchanged::Invalid(error) => bad(error),
    }
}
