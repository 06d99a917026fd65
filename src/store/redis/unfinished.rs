//! The writes that wait for the server: bounded, and in order for each session.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::error::RedisError;
use crate::store::{SessionKey, StoreWrite, WriteKind};

/// The number of writes that may wait at the same time. It stands in the documentation.
const MOST: usize = 4_096;

/// The writes that have begun and not ended.
#[derive(Debug, Default)]
pub(super) struct Unfinished(Mutex<Writes>);

#[derive(Debug, Default)]
struct Writes {
    count: usize,
    begun: u64,
    /// The number of the last write of each session; a touch changes no record and is not here.
    last: HashMap<SessionKey, u64>,
}

impl Unfinished {
    /// Begins a write.
    ///
    /// # Errors
    /// [`RedisError::Overloaded`] if too many have not ended.
    pub(super) fn begin(&self, write: &StoreWrite) -> Result<Write<'_>, RedisError> {
        let mut writes = self.lock();
        if writes.count >= MOST {
            return Err(RedisError::Overloaded(MOST));
        }
        writes.count = writes.count.saturating_add(1);
        writes.begun = writes.begun.wrapping_add(1);
        let number = writes.begun;
        let key = (write.kind != WriteKind::Touch).then_some(write.key);
        if let Some(key) = key {
            writes.last.insert(key, number);
        }
        Ok(Write { all: self, key, number })
    }

    fn lock(&self) -> MutexGuard<'_, Writes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A write that has begun. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Write<'u> {
    all: &'u Unfinished,
    key: Option<SessionKey>,
    number: u64,
}

impl Write<'_> {
    /// Returns whether no other write of the session has begun since: sent again after it, this
    /// one would undo it.
    pub(super) fn is_last(&self) -> bool {
        self.key.is_none_or(|key| self.all.lock().last.get(&key) == Some(&self.number))
    }
}

impl Drop for Write<'_> {
    fn drop(&mut self) {
        let mut writes = self.all.lock();
        writes.count = writes.count.saturating_sub(1);
        if let Some(key) = self.key
            && writes.last.get(&key) == Some(&self.number)
        {
            writes.last.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::EndpointId;
    use crate::limits::Ttl;
    use crate::time::UnixTime;

    fn write(number: u128, kind: WriteKind) -> StoreWrite {
        let key = SessionKey::from(number.to_be_bytes());
        StoreWrite { key, ttl: Ttl::MIN, now: UnixTime::EPOCH, kind }
    }

    const MOVE: WriteKind = WriteKind::Replace(EndpointId::from_u64(7));

    #[test]
    fn a_write_is_the_last_of_its_session_until_another_one_begins() {
        let all = Unfinished::default();
        let first = all.begin(&write(1, MOVE)).unwrap();
        let touch = all.begin(&write(1, WriteKind::Touch)).unwrap();
        let other = all.begin(&write(2, MOVE)).unwrap();
        assert!(first.is_last() && touch.is_last() && other.is_last());
        let second = all.begin(&write(1, WriteKind::Remove)).unwrap();
        assert!(!first.is_last() && second.is_last() && touch.is_last() && other.is_last());
        drop(second);
        assert!(!first.is_last(), "what has ended came later all the same");
        drop((first, touch, other));
        assert!(all.lock().last.is_empty() && all.lock().count == 0);
    }

    #[test]
    fn no_more_than_4096_writes_wait() {
        let all = Unfinished::default();
        let mut waiting: Vec<_> =
            (0..4_096).map(|number| all.begin(&write(number, MOVE)).unwrap()).collect();
        assert_eq!(all.begin(&write(1, MOVE)).unwrap_err(), RedisError::Overloaded(4_096));
        waiting.pop();
        assert!(all.begin(&write(1, MOVE)).is_ok());
    }
}
