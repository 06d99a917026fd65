//! The part of a snapshot that every change replaces: states, health, weights.

use super::pool::Pool;
use super::shedding::LoadShedding;
use crate::endpoint::{Endpoint, Health, State};
use crate::limits::{Percent, Weight};

/// The status of a pool in one snapshot.
#[derive(Clone, Copy, Debug)]
pub(super) struct PoolStatus {
    pub(super) state: State,
    /// The share of the pool's new sessions, where the pools are steered.
    pub(super) weight: Weight,
    pub(super) minimum_origins: u32,
    pub(super) shedding: LoadShedding,
    /// The number of endpoints that are healthy and enabled.
    serving: u32,
    /// The number of endpoints that take new sessions: those that serve and have a weight above 0.
    accepting: u32,
}

impl PoolStatus {
    /// Returns the status of a new pool of which nothing is stated, without endpoints.
    pub(super) fn new() -> Self {
        let (state, shedding) = (State::default(), LoadShedding::default());
        let weight = Weight::default();
        Self { state, weight, minimum_origins: 1, shedding, serving: 0, accepting: 0 }
    }

    /// Returns this status as it goes on in another snapshot, whose endpoints are still to come:
    /// what is stated replaces what was there.
    pub(super) fn followed_by<T>(&self, pool: &Pool<T>) -> Self {
        Self {
            state: pool.state.unwrap_or(self.state),
            weight: pool.weight.unwrap_or(self.weight),
            minimum_origins: pool.minimum_origins.unwrap_or(self.minimum_origins),
            shedding: pool.shedding.unwrap_or(self.shedding),
            serving: 0,
            accepting: 0,
        }
    }

    #[inline]
    pub(super) fn is_critical(&self) -> bool {
        self.serving < self.minimum_origins
    }

    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.is_accepting() && !self.is_critical()
    }

    /// Returns whether one of the endpoints takes new sessions.
    #[inline]
    pub(super) fn is_accepting(&self) -> bool {
        self.state.is_enabled() && self.accepting > 0
    }

    /// Returns whether the pool keeps each session that its endpoint takes: it is enabled and sheds
    /// none.
    #[inline]
    pub(super) fn is_undisturbed(&self) -> bool {
        self.state.is_enabled() && self.shedding.session_percent == Percent::ZERO
    }

    /// Returns whether the pool sheds no new session.
    #[inline]
    pub(super) fn sheds_no_new(&self) -> bool {
        self.shedding.default_percent == Percent::ZERO
    }

    /// Counts an endpoint that is added.
    pub(super) fn count(&mut self, endpoint: &EndpointStatus) {
        self.serving = self.serving.saturating_add(endpoint.is_serving().into());
        self.accepting = self.accepting.saturating_add(endpoint.is_accepting().into());
    }

    /// Counts an endpoint again whose status has changed.
    pub(super) fn recount(&mut self, before: &EndpointStatus, after: &EndpointStatus) {
        self.serving = self.serving.saturating_sub(before.is_serving().into());
        self.accepting = self.accepting.saturating_sub(before.is_accepting().into());
        self.count(after);
    }
}

/// The status of an endpoint in one snapshot.
#[derive(Clone, Copy, Debug)]
pub(super) struct EndpointStatus {
    pub(super) weight: Weight,
    pub(super) health: Health,
    pub(super) state: State,
}

impl EndpointStatus {
    /// Returns the status of a new endpoint of which nothing is stated.
    pub(super) fn new(health: Health) -> Self {
        Self { weight: Weight::default(), health, state: State::default() }
    }

    /// Returns this status as it goes on in another snapshot: what is stated replaces what was
    /// there.
    pub(super) fn followed_by<T>(&self, endpoint: &Endpoint<T>) -> Self {
        Self {
            weight: endpoint.weight.unwrap_or(self.weight),
            health: endpoint.health.unwrap_or(self.health),
            state: endpoint.state.unwrap_or(self.state),
        }
    }

    /// Returns the weight in the choice of an endpoint for a new session.
    #[inline]
    pub(super) fn new_session_weight(&self) -> Weight {
        if self.is_serving() { self.weight } else { Weight::ZERO }
    }

    /// Returns the weight in a choice among the endpoints of the fallback pool.
    pub(super) fn fallback_weight(&self) -> Weight {
        if self.state.is_enabled() { self.weight } else { Weight::ZERO }
    }

    #[inline]
    fn is_serving(&self) -> bool {
        self.health == Health::Healthy && self.state.is_enabled()
    }

    /// Returns whether the endpoint takes new sessions, as far as its pool does.
    #[inline]
    pub(super) fn is_accepting(&self) -> bool {
        self.new_session_weight() > Weight::ZERO
    }
}
