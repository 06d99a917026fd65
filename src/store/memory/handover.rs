//! Sessions that one [`MemoryStore`] hands over to another one, of the next process for example.

use super::address::Address;
use super::place::Place;
use super::stored_session::StoredSession;
use super::{MemoryStore, lock};
use crate::limits::Ttl;
use crate::store::SessionKey;
use crate::time::UnixTime;

impl MemoryStore {
    /// Returns the sessions that are live at the time `now`, for [`MemoryStore::restore`] in a later
    /// process. The bytes in which they wait are the caller's: give them a version, check them when
    /// they are read, and keep them from other users.
    ///
    /// The iterator copies one shard at a time and holds no lock in between, so the store can be used
    /// meanwhile. A session that begins or moves during the iteration is returned as it was or as it
    /// is: end the traffic first where none may be missed.
    ///
    /// ```
    /// # use session_affinity::limits::Ttl;
    /// # use session_affinity::store::{MemoryStore, SessionKey, SessionStore, StoredSession, StoreWrite, WriteKind};
    /// # use session_affinity::{EndpointId, UnixTime};
    /// # let (ttl, now) = (Ttl::new(1_800)?, UnixTime::from_secs(1_800_000_000));
    /// # let write = StoreWrite { key: SessionKey([7; 16]), ttl, now, kind: WriteKind::Create(EndpointId::new("eu", "eu-1")) };
    /// # let before = MemoryStore::new(1_000)?;
    /// # before.save(&write)?;
    /// let handed_over: Vec<StoredSession> = before.sessions(now).collect();
    ///
    /// // A minute later, in the next process.
    /// let later = now.saturating_add(60);
    /// let store = MemoryStore::new(1_000)?;
    /// assert_eq!(store.restore(handed_over, ttl, later), 1);
    /// assert_eq!(store.session(SessionKey([7; 16]), later).map(|it| it.issued), Some(now));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sessions(&self, now: UnixTime) -> impl Iterator<Item = StoredSession> {
        self.shards.iter().flat_map(move |shard| {
            let live: Vec<Place> = lock(shard).live_places(now).copied().collect();
            live.into_iter().map(|place| place.session())
        })
    }

    /// Returns one session, if it is live at the time `now`. This is no use of the session: its idle
    /// time goes on.
    pub fn session(&self, key: SessionKey, now: UnixTime) -> Option<StoredSession> {
        let at = Address::of(key);
        Some(self.shard(&at)?.find(&at, now)?.session())
    }

    /// Takes over the sessions of another store, and returns how many it has taken. `ttl` is the idle
    /// time of the policy now.
    ///
    /// Left out are sessions that have ended by `now`, and those that cannot be: issued after `now`
    /// or after their end. One that would end later than `ttl` after `now` ends then. A session
    /// replaces the one of its key that is there, so of several entries of one key the last one
    /// counts. In a store that is full, sessions give way as they do to new ones, so fewer may be
    /// live than were taken.
    ///
    /// Restore only what was handed over at the end of the process before, and once: an older copy
    /// brings back sessions that have been moved or ended since.
    pub fn restore(
        &self,
        sessions: impl IntoIterator<Item = StoredSession>,
        ttl: Ttl,
        now: UnixTime,
    ) -> usize {
        let latest = now.saturating_add(ttl.get());
        let mut taken = 0_usize;
        for session in sessions {
            let StoredSession { issued, end, .. } = session;
            if end <= now || issued > now || issued >= end {
                continue;
            }
            let at = Address::of(session.key);
            let Some(mut shard) = self.shard(&at) else { continue };
            shard.remove(&at);
            shard.put(
                &at,
                Place::of(&at, &StoredSession { end: end.min(latest), ..session }),
                ttl,
                now,
            );
            taken = taken.saturating_add(1);
        }
        taken
    }
}
