//! Taking an endpoint out of service without breaking its sessions, and knowing when
//! the last of them has ended.

use crate::affinity::Affinity;
use crate::bounds::DrainDuration;
use crate::endpoint::{EndpointId, State};
use crate::marks::Census;
use crate::policy::{AffinityPolicy, Life};
use crate::pools::Pools;
use crate::time::UnixTime;

/// How far an endpoint's drain is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// Whether it is in service, draining, or past its drain duration.
    pub phase: DrainPhase,
    /// What is left of its sessions.
    pub sessions: DrainSessions,
    /// When it last answered a request.
    pub last_seen: Option<UnixTime>,
}

/// Where an endpoint stands between in service and out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrainPhase {
    /// It and its pool are enabled.
    InService,
    /// Disabled, and its drain duration not over: it takes its pinned sessions.
    Draining,
    /// Disabled, its drain duration over.
    Over,
}

/// What is left of an endpoint's sessions once no new ones begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrainSessions {
    /// It is in service: sessions may begin.
    Open,
    /// The last of them ends by then.
    EndBy(UnixTime),
    /// None is served any more: the last one has ended, or the drain was over before. In
    /// the second case, [`DrainPhase::Over`], clients may still hold cookies that will be
    /// moved.
    Drained {
        /// Since when. `None` when there was none, or when it is not known.
        since: Option<UnixTime>,
    },
}

impl<P: AffinityPolicy> Affinity<P> {
    /// How far an endpoint's drain is; `None` when it is not in the snapshot.
    ///
    /// `census` is [`Pools::census`], merged with those of the other nodes if there are
    /// any. For header sessions only the merge over all nodes counts, as a record may be
    /// kept alive by any of them; a cookie session is known to each node that has seen it,
    /// and one that no node has seen ends one lifetime after the endpoint was disabled.
    ///
    /// ```
    /// # use session_affinity::*;
    /// # let shop = Name::new("shop")?;
    /// # let affinity = Affinity::new(&shop, NoAffinity);
    /// # let pools = Pools::builder().pool(Pool::new("eu").endpoint(Endpoint::new("eu-1", ()))).build()?;
    /// # let now = UnixTime::from_secs(1_800_000_000);
    /// let id = EndpointId::new("eu", "eu-1");
    /// let drain = pools.census(id).and_then(|census| affinity.drain(&pools, id, census, now));
    /// assert_eq!(drain.map(|drain| drain.phase), Some(DrainPhase::InService));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn drain<T>(
        &self,
        pools: &Pools<T>,
        id: EndpointId,
        census: Census,
        now: UnixTime,
    ) -> Option<Drain> {
        let endpoint = pools.endpoint(id)?;
        let (state, pool) = (endpoint.state(), endpoint.pool().state());
        let last_seen = census.last_seen;
        let Some(over) = over(state, pool, self.drain_duration()) else {
            return Some(Drain {
                phase: DrainPhase::InService,
                sessions: DrainSessions::Open,
                last_seen,
            });
        };
        let phase = if now < over { DrainPhase::Draining } else { DrainPhase::Over };
        let sessions = match self.sessions_end(census, disabled_at(state, pool), over) {
            Some(UnixTime::EPOCH) => DrainSessions::Drained { since: disabled_at(state, pool) },
            None => DrainSessions::Drained { since: None },
            Some(end) if end <= now => DrainSessions::Drained { since: Some(end) },
            Some(end) => DrainSessions::EndBy(end),
        };
        Some(Drain { phase, sessions, last_seen })
    }

    /// By when the sessions of an endpoint that was disabled at `stamp` have ended.
    /// `None`: there were none.
    fn sessions_end(
        &self,
        census: Census,
        stamp: Option<UnixTime>,
        over: UnixTime,
    ) -> Option<UnixTime> {
        let (Some(life), Some(stamp)) = (self.life(), stamp) else { return Some(over) };
        let (Life::Absolute(ttl) | Life::Idle(ttl)) = life;
        let noted = match life {
            // A lifetime that was lowered ends the older sessions too.
            Life::Absolute(ttl) => {
                census.latest_end.min(census.latest_issued.map(|issued| issued.saturating_add(ttl)))
            }
            Life::Idle(_) => census.latest_end,
        };
        let is_young = census.began.is_none_or(|began| began.saturating_add(ttl) > stamp);
        let unseen = is_young.then(|| stamp.saturating_add(ttl));
        noted.max(unseen).map(|end| end.min(over))
    }
}

/// When the drain of an endpoint in a pool is over; `None` when both are in service.
/// Where both are disabled the earlier end counts. Without a stamp, or with a drain
/// duration of 0, it has always been over.
pub(crate) fn over(endpoint: State, pool: State, drain: DrainDuration) -> Option<UnixTime> {
    if endpoint.is_enabled() && pool.is_enabled() {
        return None;
    }
    match disabled_at(endpoint, pool) {
        Some(stamp) if drain > DrainDuration::MIN => Some(stamp.saturating_add(drain.get())),
        _ => Some(UnixTime::EPOCH),
    }
}

/// When the first of an endpoint and its pool was disabled, if each that is says when.
fn disabled_at(endpoint: State, pool: State) -> Option<UnixTime> {
    match (endpoint, pool) {
        (State::Enabled, State::Enabled) => None,
        (State::Disabled { at }, State::Enabled) | (State::Enabled, State::Disabled { at }) => at,
        (State::Disabled { at: endpoint }, State::Disabled { at: pool }) => endpoint.min(pool),
    }
}
