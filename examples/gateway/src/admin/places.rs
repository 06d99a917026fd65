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
    gateway.pools.load().pool(pool).ok_or_else(unknown)?;
    let change: PoolChange = read(control, body).await?;
    if change.is_empty() {
        return Err(bad(PoolChange::EXPECTED));
    }
    let (life, now) = (gateway.affinity.load().life(), gateway.clock.now());
    let changed = gateway.pools.update(|pools| {
        let next = change.apply(pools, pool, now)?;
        // Before the change is seen: a report in between would tell of a drain without these.
        if let (Some(was), Some(is)) = (pools.pool(pool), next.pool(pool)) {
            for endpoint in is.endpoints() {
                note_unseen(endpoint, life, [was.state(), is.state()]);
            }
        }
        Ok(next)
    });
    let pools = changed.map_err(|error| unchanged(error, unknown))?;
    let view = pools.pool(pool).ok_or_else(unknown)?;
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
    gateway.pools.load().endpoint(id).ok_or_else(unknown)?;
    let change: OriginChange = read(control, body).await?;
    if change.is_empty() {
        return Err(bad(OriginChange::EXPECTED));
    }
    let (life, now) = (gateway.affinity.load().life(), gateway.clock.now());
    let changed = gateway.pools.update(|pools| {
        let next = change.apply(pools, id, now)?;
        // Before the change is seen, as with a pool.
        if let (Some(was), Some(is)) = (pools.endpoint(id), next.endpoint(id)) {
            note_unseen(is, life, [was.state(), is.state()]);
        }
        Ok(next)
    });
    let pools = changed.map_err(|error| unchanged(error, unknown))?;
    let endpoint = pools.endpoint(id).ok_or_else(unknown)?;
    control.tell_the_fleet();
    Ok(Scope::Node.of(state::origin(endpoint)))
}

fn unchanged(error: Unchanged, unknown: impl Fn() -> Refusal) -> Refusal {
    match error {
        Unchanged::Unknown => unknown(),
        Unchanged::Invalid(error) => bad(error),
    }
}
