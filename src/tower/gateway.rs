//! What the layer is told by the program that it is built into.

use std::future::ready;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use http::request::Parts;

use crate::affinity::Affinity;
use crate::policy::AffinityPolicy;
use crate::pools::Pools;
use crate::request::Scheme;
use crate::store::{Lookup, Record, StoreWrite};
use crate::time::UnixTime;

/// The program that the layer is built into: its affinity, its pools and its view of a client.
/// What else there is has a default.
///
/// Snapshots and the time are asked for once in a request, so that a change counts from the next
/// one on; random bits and the store only where they are needed.
pub trait Gateway: Send + Sync + 'static {
    /// Where sessions are remembered; `Box<dyn AffinityPolicy>` after
    /// [`Affinity::from_config`](crate::Affinity::from_config).
    type Policy: AffinityPolicy + 'static;
    /// Its own value for an endpoint: an address, or an `Arc` of what it keeps for one.
    type Target: Clone + Send + Sync + 'static;

    /// The affinity as it is now: `self.affinity.load_full()` of an `ArcSwap`, where keys rotate
    /// without a restart, or a clone of an `Arc`.
    fn affinity(&self) -> Arc<Affinity<Self::Policy>>;

    /// The pools as they are now, likewise.
    fn pools(&self) -> Arc<Pools<Self::Target>>;

    /// Whose request it is. Servers put the peer's address into the request's extensions (axum's
    /// `ConnectInfo`); whether to believe `X-Forwarded-For` and `-Proto` is decided here.
    fn client(&self, head: &Parts) -> Client;

    /// The time; by default [`SystemTime`]'s.
    fn now(&self) -> UnixTime {
        SystemTime::now().into()
    }

    /// 64 random bits for a session that begins; by default a keyed hash of nothing under the
    /// keys of a new [`RandomState`]. They spread sessions and hide nothing: whoever guesses
    /// them knows where a session without a cookie would go, and can still make no token.
    fn entropy(&self) -> u64 {
        RandomState::new().hash_one(())
    }

    /// Reads the record of a header session; [`Record::Unreachable`] when the store did not
    /// answer: `self.store.load(&lookup).unwrap_or(Record::Unreachable)`, with `.await` for
    /// `RedisStore`. It is waited for before an endpoint is chosen, so it keeps a deadline. By
    /// default there is no store, and a header session goes by its stable choice.
    fn load(&self, _lookup: Lookup) -> impl Future<Output = Record> + Send {
        ready(Record::Absent)
    }

    /// Writes what a settlement asks for, and reports what goes wrong with it. It is waited for
    /// before the response goes on; one that shall not be is spawned here.
    fn save(&self, _write: StoreWrite) -> impl Future<Output = ()> + Send {
        ready(())
    }
}

/// Whose request it is, as far as the gateway believes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// Its address; `None` behind a Unix socket.
    pub ip: Option<IpAddr>,
    /// How its request came to the first hop that is trusted.
    pub scheme: Scheme,
}
