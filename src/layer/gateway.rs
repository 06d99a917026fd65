//! The program that the layer is built into, as the layer sees it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use http::request::Parts;

use crate::affinity::Affinity;
use crate::policy::AffinityPolicy;
use crate::pools::Pools;
use crate::request::Scheme;
use crate::store::AsyncSessionStore;
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
    /// The store of header sessions: [`NoStore`](crate::store::NoStore) for policies without one,
    /// [`AnyStore`](crate::store::AnyStore) for one that is chosen at run time.
    type Store: AsyncSessionStore;

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

    /// Draws 64 random bits for a session that begins; by default those of
    /// [`entropy`](crate::entropy).
    fn entropy(&self) -> u64 {
        crate::entropy()
    }

    /// Returns the store of header sessions. The layer waits for it before an endpoint is chosen,
    /// and for its write before the response goes on.
    fn store(&self) -> &Self::Store;
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
