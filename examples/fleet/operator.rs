//! The operator and the health checks, which change the snapshot.

use std::ops::Range;

use session_affinity::drain::{DrainPhase, DrainSessions};
use session_affinity::pools::NotInSnapshot;
use session_affinity::{Affinity, CookiePolicy, Health, Pools, State, UnixTime};

use crate::Error;
use crate::fleet::{SERVERS, id};

/// The time at which the rolling restart begins, and the time that a server takes to restart.
const BEGIN: u64 = 28_800;
const RESTART: u64 = 60;

/// Drains and restarts one endpoint after the other.
pub struct RollingRestart {
    turns: std::vec::IntoIter<usize>,
    step: Step,
    /// The turns that are over.
    pub drains: Vec<Drained>,
}

/// The turn of one endpoint.
pub struct Drained {
    pub server: usize,
    /// The time for which the endpoint was disabled.
    pub seconds: Range<u64>,
    /// True if the drain duration ended before the sessions of the endpoint did.
    pub cut: bool,
}

impl Drained {
    /// Returns the minutes out of service, rounded up.
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

    /// Returns the server that does not listen because it restarts.
    pub fn restarting(&self) -> Option<usize> {
        match self.step {
            Step::Restarting { server, .. } => Some(server),
            Step::Waiting | Step::Draining { .. } => None,
        }
    }

    /// Does the work of this second. Returns the next snapshot, if it makes one.
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
                let disabled = State::Disabled { at: Some(now) };
                Ok(Some(pools.edited(|edit| edit.state(id(server), disabled))?))
            }
            Step::Draining { server, since } => {
                let unknown = NotInSnapshot::Endpoint(id(server));
                let endpoint = pools.endpoint(id(server)).ok_or(unknown)?;
                let drain = affinity.drain(endpoint, endpoint.census(), now);
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
                Ok(Some(pools.edited(|edit| edit.state(id(server), State::Enabled))?))
            }
        }
    }
}

/// The health checks of every endpoint, once a minute: unhealthy after two refusals in a row,
/// healthy after an answer.
#[derive(Default)]
pub struct HealthChecks {
    refusals: [u32; SERVERS.len()],
}

impl HealthChecks {
    pub fn check(
        &mut self,
        pools: &Pools<usize>,
        answers: impl Fn(usize) -> bool,
    ) -> Result<Pools<usize>, NotInSnapshot> {
        pools.edited(|edit| {
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
