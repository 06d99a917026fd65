//! Requests counted by outcome.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde_json::{Map, Value};
use session_affinity::Outcome;

/// One counter for each outcome. The outcomes are few and their labels are stable.
pub(crate) struct Tally([AtomicU64; Outcome::ALL.len()]);

impl Tally {
    pub(crate) fn count(&self, outcome: Outcome) {
        if let Some((_, counter)) = self.counters().find(|(known, _)| *known == outcome) {
            counter.fetch_add(1, Relaxed);
        }
    }

    /// Returns every outcome and the number of requests that ended in it.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (Outcome, u64)> {
        self.counters().map(|(outcome, counter)| (outcome, counter.load(Relaxed)))
    }

    /// Returns the counts above 0 by label.
    pub(crate) fn to_json(&self) -> Map<String, Value> {
        let occurred = self.counts().filter(|(_, count)| *count > 0);
        occurred.map(|(outcome, count)| (outcome.label().into(), count.into())).collect()
    }

    fn counters(&self) -> impl Iterator<Item = (Outcome, &AtomicU64)> {
        Outcome::ALL.iter().copied().zip(&self.0)
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}
