//! The calls so far, counted by how they ended.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::error::{Kind, RedisError};
use crate::store::{StoreConnection, StoreHealth};

#[derive(Debug, Default)]
pub(super) struct Counts {
    answered: AtomicU64,
    /// In microseconds.
    answer_time: AtomicU64,
    errors: [AtomicU64; Kind::ALL.len()],
    pub(super) writes_failed: Count,
    pub(super) writes_retried: Count,
    pub(super) remembered: Count,
    last_error: Mutex<Option<RedisError>>,
}

#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Counts {
    pub(super) fn answered(&self, time: Duration) {
        self.answered.fetch_add(1, Relaxed);
        let time = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.answer_time.fetch_add(time, Relaxed);
    }

    pub(super) fn failed(&self, error: &RedisError) {
        if let Some(count) = self.errors.get(error.kind() as usize) {
            count.fetch_add(1, Relaxed);
        }
        let mut last = self.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        // An outage has one error after the other of the same kind.
        if last.as_ref() != Some(error) {
            *last = Some(error.clone());
        }
    }

    /// The numbers so far, for a connection in this state.
    pub(super) fn health(&self, connection: StoreConnection) -> StoreHealth {
        let last = self.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        let errors = Kind::ALL.into_iter().zip(&self.errors);
        StoreHealth {
            connection,
            last_error: last.as_ref().map(ToString::to_string),
            answered: self.answered.load(Relaxed),
            answer_time: Duration::from_micros(self.answer_time.load(Relaxed)),
            errors: errors.map(|(kind, count)| (kind.label(), count.load(Relaxed))).collect(),
            writes_failed: self.writes_failed.get(),
            writes_retried: self.writes_retried.get(),
            remembered: self.remembered.get(),
        }
    }
}
