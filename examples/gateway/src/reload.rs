//! The file, read again while requests are running.
//!
//! What has changed in the file takes effect; what the administrator has changed since stays where the
//! file says what it said before.

use std::sync::Arc;

use session_affinity::config::{LoadSheddingConfig, OriginConfig, PoolConfig};
use session_affinity::policy::Life;
use session_affinity::{EndpointId, Pools, UnixTime};

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
        let changed = self.fixed.changed(&Fixed::of(&file));
        if !changed.is_empty() {
            // Otherwise the restart would be the first to say so.
            settings::check_fixed(&mut file)?;
        }
        let restart = |field| format!("{field} needs a restart; the old value stays");
        let mut lines: Vec<String> = changed.into_iter().map(restart).collect();
        // A token of another load balancer is no token, and the store has keys by this name.
        file.load_balancer.name.clone_from(&terms.config.name);
        let (next, affinity, live) = Terms::new(&mut file, Some(&terms), &mut lines)?;

        let gateway = &self.gateway;
        let idle = gateway.limits.idle_upstreams();
        let Limits { connect, answer, .. } = live.limits;
        let limits = Limits { connect, answer, ..gateway.limits };
        let mut turn = None;
        gateway.pools.update(|now| {
            let described = since(&terms.pools, &next.pools, now);
            let pools = settings::rebuilt(&next.config, &described, now, idle)?;
            pools.begin_census(gateway.clock.now());
            // Before the snapshot is there for a report to the other gateways.
            note_all_unseen(now, &pools, affinity.life());
            // A request must not see these pools with the affinity of before.
            turn = Some(gateway.turn());
            Ok::<_, String>(pools)
        })?;
        gateway.affinity.store(Arc::new(affinity));
        gateway.live.store(Arc::new(Live { limits, ..live }));
        drop(turn);
        *terms = next;
        self.tell_the_fleet();
        Ok(lines)
    }
}

/// Notes the sessions that the endpoints may have unseen which a reload disables, or whose pools it
/// does.
fn note_all_unseen(before: &Pools<Arc<Upstream>>, next: &Pools<Arc<Upstream>>, life: Life) {
    for endpoint in next.iter().flat_map(|pool| pool.endpoints()) {
        let Some(known) = before.endpoint(endpoint.id()) else { continue };
        note_unseen(endpoint, life, [known.state(), endpoint.state()]);
        note_unseen(endpoint, life, [known.pool().state(), endpoint.pool().state()]);
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
    let states = [(before.enabled, before.disabled_at), (next.enabled, next.disabled_at)];
    (pool.enabled, pool.disabled_at) = state_since(states);
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
    let states = [(before.enabled, before.disabled_at), (next.enabled, next.disabled_at)];
    (origin.enabled, origin.disabled_at) = state_since(states);
    origin.weight = changed(before.weight, next.weight, 1.0);
    origin
}

/// `enabled` and `disabled_at`, as a file has them.
type Written = (Option<bool>, Option<UnixTime>);

/// Returns `enabled` and `disabled_at`, which are one value, where it has changed. What is enabled has
/// no time.
fn state_since(states: [Written; 2]) -> Written {
    let [before, next] = states.map(|(enabled, disabled_at)| {
        let enabled = enabled.unwrap_or(true);
        (enabled, disabled_at.filter(|_| !enabled))
    });
    match before == next {
        true => (None, None),
        false => (Some(next.0), next.1),
    }
}

/// Returns a value that has changed. One that is left out is the default, so that writing the default
/// down, or no longer doing so, is no change.
fn changed<T: PartialEq + Copy>(before: Option<T>, next: Option<T>, default: T) -> Option<T> {
    let [before, next] = [before, next].map(|value| value.unwrap_or(default));
    (before != next).then_some(next)
}
