//! The program that the layer is built into, as the layer sees it.

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
/// Everything else has a default.
///
/// The layer asks for the snapshots and the time once in a request, so a change holds from the
/// next request on; it asks for random bits and the store only when they are needed.
pub trait Gateway: Send + Sync + 'static {
    /// The policy; `Box<dyn AffinityPolicy>` after
    /// [`Affinity::from_config`](crate::Affinity::from_config).
    type Policy: AffinityPolicy + 'static;
    /// The gateway's own value for an endpoint: an address, or an `Arc` of a connection pool.
    type Target: Clone + Send + Sync + 'static;

    /// Returns the current affinity: `self.affinity.load_full()` of an `ArcSwap`, where keys
    /// rotate without a restart, or a clone of an `Arc`.
    fn affinity(&self) -> Arc<Affinity<Self::Policy>>;

    /// Returns the current pools, likewise.
    fn pools(&self) -> Arc<Pools<Self::Target>>;

    /// Works out the client of a request. Servers put the peer's address into the request's
    /// extensions (axum's `ConnectInfo`); this method decides whether to believe
    /// `X-Forwarded-For` and `X-Forwarded-Proto`.
    fn client(&self, head: &Parts) -> Client;

    /// Returns the time; by default that of [`SystemTime`].
    fn now(&self) -> UnixTime {
        SystemTime::now().into()
    }

    /// Draws 64 random bits for a session that begins; by default a hash under the keys of a new
    /// [`RandomState`]. The bits spread sessions and hide nothing: a client that guesses
    /// them knows the endpoint of a session without a cookie, and can still make no token.
    fn entropy(&self) -> u64 {
        RandomState::new().hash_one(())
    }

    /// Reads the record of a header session; [`Record::Unreachable`] when the store did not
    /// answer: `self.store.record(Some(lookup))`, with `.await` for `RedisStore`. The layer waits
    /// for it before an endpoint is chosen, so it needs a deadline. By default there is no store,
    /// and a header session goes by its stable choice.
    fn load(&self, _lookup: Lookup) -> impl Future<Output = Record> + Send {
        ready(Record::Absent)
    }

    /// Writes to the store, and reports what goes wrong. The layer waits for it before the
    /// response goes on; spawn a task here for a write that may come later.
    fn save(&self, _write: StoreWrite) -> impl Future<Output = ()> + Send {
        ready(())
    }
}

/// The client of a request, as far as the gateway believes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "gateways build it, and RequestMeta has no more")]
pub struct Client {
    /// The address of the client; `None` behind a Unix socket.
    pub client_ip: Option<IpAddr>,
    /// The scheme by which the request came to the first trusted hop.
    pub scheme: Scheme,
}
