//! The operator and the health checks: who changes the snapshot, and when.

use std::ops::Range;

use session_affinity::{
    Affinity, CookiePolicy, DrainPhase, DrainSessions, Health, Pools, PoolsEdit, State, UnixTime,
    UnknownEndpoint,
};

use crate::Error;
use crate::fleet::{SERVERS, id};

/// When the rolling restart begins, and how long a server takes to restart.
const BEGIN: u64 = 28_800;
const RESTART: u64 = 60;

/// Drains and restarts one endpoint after the other.
pub struct RollingRestart {
    turns: std::vec::IntoIter<usize>,
    step: Step,
    /// What has been done.
    pub drains: Vec<Drained>,
}

/// One endpoint's turn.
pub struct Drained {
    pub server: usize,
    /// From being disabled to being enabled again.
    pub seconds: Range<u64>,
    /// Whether its drain duration ended before its sessions did.
    pub cut: bool,
}

impl Drained {
    /// How long it was out of service, rounded up.
    pub fn minutes(&self) -> u64 {
        (self.seconds.end - self.seconds.start).div_ceil(60)
    }
}

enum Step {
    Waiting,
    Draining { server: usize, since: u64 },
    Restarting { server: usize, since: u64, cut: bool, until: u64 },
}

impl RollingRestart {
    pub fn new(servers: Vec<usize>) -> Self {
        Self { turns: servers.into_iter(), step: Step::Waiting, drains: Vec::new() }
    }

    /// The server that does not listen, because it restarts.
    pub fn restarting(&self) -> Option<usize> {
        match self.step {
            Step::Restarting { server, .. } => Some(server),
            Step::Waiting | Step::Draining { .. } => None,
        }
    }

    /// What the operator does in this second: a new snapshot, or nothing.
    pub fn act(
        &mut self,
        affinity: &Affinity<CookiePolicy>,
        pools: &Pools<usize>,
        second: u64,
        now: UnixTime,
    ) -> Result<Option<Pools<usize>>, Error> {
        match self.step {
            Step::Waiting if second < BEGIN => Ok(None),
            Step::Waiting => {
                let Some(server) = self.turns.next() else { return Ok(None) };
                self.step = Step::Draining { server, since: second };
                Ok(Some(changed(pools, |edit| {
                    edit.state(id(server), State::Disabled { at: Some(now) })
                })?))
            }
            Step::Draining { server, since } => {
                let census = pools.census(id(server)).ok_or("no such endpoint")?;
                let drain =
                    affinity.drain(pools, id(server), census, now).ok_or("no such endpoint")?;
                let cut = drain.phase == DrainPhase::Over;
                if cut || matches!(drain.sessions, DrainSessions::Drained { .. }) {
                    self.step = Step::Restarting { server, since, cut, until: second + RESTART };
                }
                Ok(None)
            }
            Step::Restarting { until, .. } if second < until => Ok(None),
            Step::Restarting { server, since, cut, .. } => {
                self.drains.push(Drained { server, seconds: since..second, cut });
                self.step = Step::Waiting;
                Ok(Some(changed(pools, |edit| edit.state(id(server), State::Enabled))?))
            }
        }
    }
}

/// Looks at every endpoint once a minute: down after two refusals in a row, up after an answer.
#[derive(Default)]
pub struct HealthChecks {
    refusals: [u32; SERVERS.len()],
}

impl HealthChecks {
    pub fn check(
        &mut self,
        pools: &Pools<usize>,
        answers: impl Fn(usize) -> bool,
    ) -> Result<Pools<usize>, UnknownEndpoint> {
        changed(pools, |edit| {
            for endpoint in pools.iter().flat_map(|pool| pool.endpoints()) {
                let server = *endpoint.target();
                let refusals = &mut self.refusals[server];
                *refusals = if answers(server) { 0 } else { *refusals + 1 };
                let health = if *refusals >= 2 { Health::Unhealthy } else { Health::Healthy };
                edit.health(endpoint.id(), health)?;
            }
            Ok(())
        })
    }
}

fn changed(
    pools: &Pools<usize>,
    change: impl FnOnce(&mut PoolsEdit<usize>) -> Result<(), UnknownEndpoint>,
) -> Result<Pools<usize>, UnknownEndpoint> {
    let mut edit = pools.edit();
    change(&mut edit)?;
    Ok(edit.build())
}
