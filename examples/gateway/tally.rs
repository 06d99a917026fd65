//! Requests counted by what became of them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde_json::{Map, Value};
use session_affinity::Outcome;

/// One counter for each outcome there is: the labels are few and never change.
pub(crate) struct Tally([AtomicU64; Outcome::ALL.len()]);

impl Tally {
    pub(crate) fn count(&self, outcome: Outcome) {
        if let Some((_, counter)) = self.counters().find(|(known, _)| *known == outcome) {
            counter.fetch_add(1, Relaxed);
        }
    }

    /// Those that have occurred, by label.
    pub(crate) fn to_json(&self) -> Map<String, Value> {
        let counts = self.counters().map(|(outcome, counter)| (outcome.label().into(), counter.load(Relaxed)));
        counts.filter(|(_, count)| *count > 0).map(|(label, count)| (label, count.into())).collect()
    }

    fn counters(&self) -> impl Iterator<Item = (Outcome, &AtomicU64)> {
        Outcome::ALL.into_iter().zip(&self.0)
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}
