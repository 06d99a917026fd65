//! The whole cycle of a request for async stacks: recall, route, connect, retry, settle.
//!
//! [`Exchange`] calls the four verbs around one async closure of the embedder's, which connects to
//! an endpoint and sends the request. It needs no runtime and no boxed future, and is generic over
//! bodies and errors. The tower layer is built on it. For stacks that
//! call back there is [`Flow`](crate::callbacks::Flow).

use std::fmt;
use std::net::IpAddr;
use std::time::SystemTime;

use http::{Request, Response};

use crate::affinity::Affinity;
use crate::endpoint::EndpointId;
use crate::entropy::entropy;
use crate::policy::{AffinityPolicy, is_interim};
use crate::pools::Pools;
use crate::request::{RequestMeta, Scheme};
use crate::store::{AsyncSessionStore, NoStore};
use crate::time::UnixTime;

mod failed;
mod own_side;

pub use failed::{Failed, Refused};
pub use own_side::is_own_side;

/// One request and its response, with session affinity around the connection.
///
/// ```
/// # use std::io::Error;
/// # use std::net::SocketAddr;
/// # use http::{Request, Response};
/// # use session_affinity::{Affinity, CookiePolicy};
/// use session_affinity::exchange::{Exchange, Failed, Refused};
/// use session_affinity::{Pools, Scheme};
/// # struct Stream;
/// # async fn connect(_: SocketAddr) -> Result<Stream, Error> { Ok(Stream) }
/// # async fn send<B: Default>(_: Stream, _: Request<B>) -> Result<Response<B>, Error> { Ok(Response::default()) }
///
/// async fn proxy<B: Default>(
///     affinity: &Affinity<CookiePolicy>,
///     pools: &Pools<SocketAddr>,
///     peer: SocketAddr,
///     request: Request<B>,
/// ) -> Result<Response<B>, Refused<Error>> {
///     let exchange = Exchange::new(affinity, pools, Scheme::Https).with_client_ip(peer.ip());
///     exchange.run(request, async |address, request| match connect(*address).await {
///         Ok(stream) => send(stream, request).await.map_err(Failed::BrokeOff),
///         Err(error) => Err(Failed::connecting(error, request)),
///     }).await
/// }
/// # let eu = session_affinity::Pool::new("eu").with_endpoint(session_affinity::Endpoint::new("eu-1", ([10, 0, 0, 1], 80).into()));
/// # let pools = Pools::builder().pool(eu).build()?;
/// # let shop = session_affinity::LoadBalancer::new("shop")?;
/// # let keyring = session_affinity::Keyring::from(session_affinity::Key::new(1, session_affinity::Secret::from_base64("dGhpcyBpcyBhbiBleGFtcGxlLCBub3QgYSBzZWNyZXQ=")?));
/// # let affinity = Affinity::new(CookiePolicy::new(&shop, &keyring, Default::default()));
/// # let served = proxy(&affinity, &pools, ([10, 0, 9, 9], 4711).into(), Request::new(()));
/// # let response = tokio::runtime::Builder::new_current_thread().build()?.block_on(served)?;
/// # assert!(response.headers().contains_key("set-cookie"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What it does
/// 1. It reads the session, and asks the store where there is one.
/// 2. It chooses the endpoint and removes the affinity cookie, or the issued header, from the
///    request.
/// 3. It calls the closure with the endpoint's target and the request. The closure connects and
///    sends. Where no connection could be made it gives the request back, whole, in
///    [`Failed::Unconnected`]: another endpoint is tried as the failover mode allows. Any other
///    failure ends the exchange.
/// 4. When the endpoint has answered it drops what the response says under the name of the policy's
///    own cookie or header ([`Affinity::strip_response`](crate::Affinity::strip_response)), shows the
///    response to the policy, and settles: the response gets its `Set-Cookie` or issued header, the
///    store its write. A 304 gets no field. Of the interim responses (1xx) 101 is
///    settled; any other one is passed on as it is, and promises nothing.
///
/// The extensions of a response that was settled have the [`Trace`](crate::Trace) of the request,
/// for logs and metrics.
///
/// # Cancellation
/// Dropping the future at any await promises nothing to the client: there is no response with a
/// cookie. An endpoint's answer that has arrived by then may have been written to the store.
#[must_use = "an exchange does nothing until it is run"]
pub struct Exchange<'a, P, T, S = NoStore> {
    affinity: &'a Affinity<P>,
    pools: &'a Pools<T>,
    store: S,
    scheme: Scheme,
    client_ip: Option<IpAddr>,
    now: Option<UnixTime>,
    entropy: fn() -> u64,
}

impl<'a, P: AffinityPolicy, T> Exchange<'a, P, T> {
    /// Prepares an exchange over one snapshot of the pools, for a request that came by this scheme
    /// to the first trusted hop. By default the client's address is unknown, there is no store,
    /// the time is that of the system, and random bits are those of [`entropy`].
    pub fn new(affinity: &'a Affinity<P>, pools: &'a Pools<T>, scheme: Scheme) -> Self {
        Self { affinity, pools, store: NoStore, scheme, client_ip: None, now: None, entropy }
    }
}

impl<'a, P: AffinityPolicy, T, S: AsyncSessionStore> Exchange<'a, P, T, S> {
    /// Sets the address of the client, as far as the embedder believes it. Required by the policy
    /// `ip_cookie`, by steering by hash, and by shedding.
    pub fn with_client_ip(mut self, client_ip: impl Into<Option<IpAddr>>) -> Self {
        self.client_ip = client_ip.into();
        self
    }

    /// Sets the store of header sessions, by reference or behind an `Arc`:
    /// [`AnyStore`](crate::store::AnyStore), or one of your own. In debug builds a header
    /// session without a store panics: see [`NoStore`].
    pub fn with_store<R: AsyncSessionStore>(self, store: R) -> Exchange<'a, P, T, R> {
        let Self { affinity, pools, store: _, scheme, client_ip, now, entropy } = self;
        Exchange { affinity, pools, store, scheme, client_ip, now, entropy }
    }

    /// Sets the time of the request. By default that of [`SystemTime`].
    pub fn with_now(mut self, now: UnixTime) -> Self {
        self.now = Some(now);
        self
    }

    /// Sets the source of random bits. By default [`entropy`].
    pub fn with_entropy(mut self, entropy: fn() -> u64) -> Self {
        self.entropy = entropy;
        self
    }

    /// Serves the request: calls `connect` for each endpoint that is tried, and settles when one
    /// has answered.
    ///
    /// `connect` is an async closure, `async |target, request| …`. Write it without `move`: it
    /// borrows what it captures. To change that, use a cell or an atomic.
    ///
    /// # Errors
    /// [`Refused`], which knows the status to answer with. Nothing was promised to the client.
    pub async fn run<B, R, E, F>(
        self,
        request: Request<B>,
        mut connect: impl FnMut(&'a T, Request<B>) -> F,
    ) -> Result<Response<R>, Refused<E>>
    where
        F: Future<Output = Result<Response<R>, Failed<B, E>>>,
    {
        let entropy = self.entropy;
        self.drive(request, entropy, |_, target, request| connect(target, request)).await
    }

    /// Serves the request as [`Exchange::run`], and tells the closure the id of the endpoint too.
    pub(crate) async fn drive<B, R, E, F>(
        self,
        mut request: Request<B>,
        entropy: impl FnOnce() -> u64,
        mut connect: impl FnMut(EndpointId, &'a T, Request<B>) -> F,
    ) -> Result<Response<R>, Refused<E>>
    where
        F: Future<Output = Result<Response<R>, Failed<B, E>>>,
    {
        let Self { affinity, pools, store, scheme, client_ip, now, entropy: _ } = self;
        let now = now.unwrap_or_else(|| SystemTime::now().into());
        let visit = {
            let meta = RequestMeta::new(request.headers(), scheme).with_client_ip(client_ip);
            affinity.recall(&meta, now)
        };
        let record = store.record(visit.lookup()).await;
        let (mut attempt, mut target) = affinity.route(visit, record, pools, entropy)?;
        affinity.strip(request.headers_mut());
        loop {
            match connect(attempt.endpoint(), target, request).await {
                Ok(early) if is_interim(early.status()) => return Ok(early),
                Ok(mut response) => {
                    affinity.strip_response(response.headers_mut());
                    response.extensions_mut().insert(attempt.trace());
                    let settlement = affinity.settle_response(attempt, pools, &response);
                    store.commit(settlement.apply(&mut response)).await;
                    return Ok(response);
                }
                Err(Failed::Unconnected(whole)) => {
                    (attempt, target) = affinity.failover(attempt, pools)?;
                    request = *whole;
                }
                Err(Failed::BrokeOff(error)) => {
                    return Err(Refused::BrokeOff { trace: attempt.give_up().trace(), error });
                }
                Err(Failed::OwnSide(error)) => return Err(Refused::OwnSide { error }),
                Err(Failed::Abandoned(error)) => return Err(Refused::Abandoned { error }),
            }
        }
    }
}

/// Leaves out the store, which need not be `Debug`.
impl<P: AffinityPolicy, T: fmt::Debug, S> fmt::Debug for Exchange<'_, P, T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("affinity", self.affinity)
            .field("pools", self.pools)
            .field("scheme", &self.scheme)
            .field("client_ip", &self.client_ip)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}
