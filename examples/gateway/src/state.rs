//! The gateway's state as JSON.

use std::sync::Arc;

use serde_json::{Value, json};
use session_affinity::drain::{Drain, DrainPhase, DrainSessions};
use session_affinity::pools::{EndpointView, PoolView, ShedBy};
use session_affinity::{Health, Keyring, State, Weight};

use crate::proxy::Gateway;
use crate::store;
use crate::upstream::Upstream;

pub(crate) fn gateway(gateway: &Gateway) -> Value {
    let (pools, now) = (gateway.pools.load(), gateway.clock.now());
    let mut store = json!({ "sessions": gateway.store.live(now) });
    if let Some(health) = store::health(&gateway.store) {
        store["redis"] = health;
    }
    json!({
        "clock": now.as_secs(),
        "store": store,
        "outcomes": gateway.tally.to_json(),
        "pools": pools.iter().map(pool).collect::<Vec<_>>(),
    })
}

pub(crate) fn pool(pool: PoolView<'_, Arc<Upstream>>) -> Value {
    let shedding = pool.shedding();
    json!({
        "id": pool.name(),
        "enabled": pool.state().is_enabled(),
        "disabled_at": disabled_at(pool.state()),
        "minimum_origins": pool.minimum_origins(),
        "load_shedding": {
            "default_percent": shedding.default_percent.get(),
            "default_policy": match shedding.shed_by {
                ShedBy::Random => "random",
                ShedBy::Hash => "hash",
            },
            "session_percent": shedding.session_percent.get(),
            "session_policy": "hash",
        },
        "origins": pool.endpoints().map(origin).collect::<Vec<_>>(),
    })
}

pub(crate) fn origin(origin: EndpointView<'_, Arc<Upstream>>) -> Value {
    json!({
        "name": origin.name(),
        "healthy": origin.health() == Health::Healthy,
        "enabled": origin.state().is_enabled(),
        "disabled_at": disabled_at(origin.state()),
        "weight": weight(origin.weight()),
        "requests": origin.target().answered(),
    })
}

pub(crate) fn clock(gateway: &Gateway) -> Value {
    json!({ "clock": gateway.clock.now().as_secs(), "offset_seconds": gateway.clock.offset() })
}

/// Returns the ids of the keys. Secrets are never shown.
pub(crate) fn keys(ring: &Keyring) -> Value {
    json!({ "signing": ring.signing().id(), "keys": ring.keys().map(|key| key.id()).collect::<Vec<_>>() })
}

/// The gateways that an answer speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// This gateway alone.
    Node,
    /// All gateways together.
    Fleet,
}

impl Scope {
    /// Adds the scope to an answer.
    pub(crate) fn of(self, mut answer: Value) -> Value {
        answer["scope"] = match self {
            Self::Node => "node",
            Self::Fleet => "fleet",
        }
        .into();
        answer
    }
}

pub(crate) fn drain(drain: &Drain) -> Value {
    let (drained, end) = match drain.sessions {
        DrainSessions::Open => (false, None),
        DrainSessions::EndBy(end) => (false, Some(end)),
        DrainSessions::Drained { since } => (true, since),
    };
    json!({
        "draining": drain.phase == DrainPhase::Draining,
        "drained": drained,
        "last_seen": drain.last_seen.map(|time| time.as_secs()),
        "sessions_end_by": end.map(|time| time.as_secs()),
    })
}

fn disabled_at(state: State) -> Option<u64> {
    match state {
        State::Enabled => None,
        State::Disabled { at } => at.map(|time| time.as_secs()),
    }
}

/// Returns a weight from 0 to 1; these two as whole numbers, as the file writes them.
fn weight(weight: Weight) -> Value {
    match weight.get() {
        0 => 0.into(),
        100 => 1.into(),
        _ => weight.as_fraction().into(),
    }
}
