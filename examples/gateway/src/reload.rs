//! The file, read again while requests are running.
//!
//! What has changed in the file takes effect; what the administrator has changed since stays where the
//! file says what it said before.

use std::sync::Arc;

use session_affinity::EndpointId;
use session_affinity::Pools;
use session_affinity::config::{LoadSheddingConfig, OriginConfig, PoolConfig};

use crate::control::Control;
use crate::disabling::note_unseen;
use crate::file::File;
use crate::fixed::Fixed;
use crate::limits::Limits;
use crate::settings;
use crate::terms::{Live, Terms};
use crate::upstream::Upstream;

impl Control {
    /// Takes over a file: all of it that can change, or nothing. Returns what there is to say: fields
    /// that need a restart, and warnings.
    ///
    /// # Errors
    /// One line that names the field, and what was expected. The configuration is as it was.
    pub(crate) fn reload(&self, mut file: File) -> Result<Vec<String>, String> {
        let mut terms = self.terms();
        let changed = self.fixed.changed(&Fixed::of(&file)).into_iter();
        let restart = |field| format!("{field} needs a restart; the old value stays");
        let mut lines: Vec<String> = changed.map(restart).collect();
        // A token of another load balancer is no token, and the store has keys by this name.
        file.load_balancer.name.clone_from(&terms.config.name);
        let (next, affinity, live) = Terms::new(&mut file, Some(&terms), &mut lines)?;

        let gateway = &self.gateway;
        let idle = gateway.limits.idle_upstreams();
        let mut before = None;
        let pools = gateway.pools.update(|now| {
            before = Some(now.clone());
            let described = since(&terms.pools, &next.pools, now);
            settings::rebuilt(&next.config, &described, now, idle)
        })?;
        pools.begin_census(gateway.clock.now());
        for endpoint in pools.iter().flat_map(|pool| pool.endpoints()) {
            let known = before.as_ref().and_then(|before| before.endpoint(endpoint.id()));
            let Some(known) = known else { continue };
            note_unseen(endpoint, affinity.life(), [known.state(), endpoint.state()]);
            let states = [known.pool().state(), endpoint.pool().state()];
            note_unseen(endpoint, affinity.life(), states);
        }
        gateway.affinity.store(Arc::new(affinity));
        let Limits { connect, answer, .. } = live.limits;
        let limits = Limits { connect, answer, ..gateway.limits };
        gateway.live.store(Arc::new(Live { limits, ..live }));
        *terms = next;
        self.tell_the_fleet();
        Ok(lines)
    }
}

/// Returns the pools of a file as they are to be described to [`Pools::rebuild`]: without what the file
/// says as it did before, so that it stays as it is by now.
fn since(
    before: &[PoolConfig],
    next: &[PoolConfig],
    now: &Pools<Arc<Upstream>>,
) -> Vec<PoolConfig> {
    let described = |pool: &PoolConfig| {
        let known = before.iter().find(|known| known.id == pool.id);
        match known.filter(|_| now.pool(&pool.id).is_some()) {
            Some(known) => pool_since(known, pool, now),
            None => pool.clone(),
        }
    };
    next.iter().map(described).collect()
}

fn pool_since(before: &PoolConfig, next: &PoolConfig, now: &Pools<Arc<Upstream>>) -> PoolConfig {
    let mut pool = next.clone();
    (pool.enabled, pool.disabled_at) =
        match before.enabled == next.enabled && before.disabled_at == next.disabled_at {
            true => (None, None),
            false => (Some(next.enabled.unwrap_or(true)), next.disabled_at),
        };
    pool.minimum_origins = changed(before.minimum_origins, next.minimum_origins, 1);
    let shedding = LoadSheddingConfig::default();
    pool.load_shedding = changed(before.load_shedding, next.load_shedding, shedding);
    for origin in &mut pool.origins {
        let known = before.origins.iter().find(|known| known.name == origin.name);
        let is_there = now.endpoint(EndpointId::new(&next.id, &origin.name)).is_some();
        if let Some(known) = known.filter(|_| is_there) {
            *origin = origin_since(known, origin);
        }
    }
    pool
}

fn origin_since(before: &OriginConfig, next: &OriginConfig) -> OriginConfig {
    let mut origin = next.clone();
    (origin.enabled, origin.disabled_at) =
        match before.enabled == next.enabled && before.disabled_at == next.disabled_at {
            true => (None, None),
            false => (Some(next.enabled.unwrap_or(true)), next.disabled_at),
        };
    origin.weight = changed(before.weight, next.weight, 1.0);
    origin
}

/// Returns a value that has changed: the default where it is left out by now. `None` where it is as it
/// was.
fn changed<T: PartialEq>(before: Option<T>, next: Option<T>, default: T) -> Option<T> {
    (before != next).then(|| next.unwrap_or(default))
}
