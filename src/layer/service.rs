//! The way of one request through the layer.

use std::any::type_name;
use std::future::poll_fn;
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::{Client, Gateway};
use crate::endpoint::EndpointId;
use crate::exchange::{Exchange, Failed, Refused};

/// Puts session affinity around a service that connects and sends: see the [module](super).
#[derive(Debug)]
pub struct AffinityLayer<G>(Arc<G>);

/// The service that an [`AffinityLayer`] makes of an inner one. It calls the inner service once for
/// each endpoint that is tried, when that service is ready.
#[derive(Debug)]
pub struct AffinityService<G, S> {
    gateway: Arc<G>,
    inner: S,
}

/// The endpoint of a request, in the extensions of the request that the inner service is called
/// with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Routed<T> {
    /// The id of the endpoint.
    pub endpoint: EndpointId,
    /// The embedder's own value for the endpoint.
    pub target: T,
}

impl<T> Routed<T> {
    /// Returns the endpoint of a request that came through an [`AffinityLayer`].
    ///
    /// # Errors
    /// [`NotRouted`] outside of the layer, and where the layer's target is of another type.
    pub fn of<B>(request: &Request<B>) -> Result<&Self, NotRouted>
    where
        T: Send + Sync + 'static,
    {
        let target = type_name::<T>();
        request.extensions().get().ok_or(NotRouted { target })
    }

    /// Creates the extension, for tests of an inner service.
    pub fn new(endpoint: EndpointId, target: T) -> Self {
        Self { endpoint, target }
    }
}

/// The error of an inner service that looks for an endpoint and finds none of its type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the request has no endpoint with a target of type {target}; allowed: a service within an AffinityLayer of this type"
)]
#[non_exhaustive]
pub struct NotRouted {
    /// The type that was asked for.
    pub target: &'static str,
}

/// It says nothing of any endpoint.
impl<B, E: From<NotRouted>> From<NotRouted> for Failed<B, E> {
    fn from(error: NotRouted) -> Self {
        Self::OwnSide(error.into())
    }
}

impl From<NotRouted> for io::Error {
    fn from(error: NotRouted) -> Self {
        Self::other(error)
    }
}

impl<G> AffinityLayer<G> {
    /// Creates a layer for this gateway.
    pub fn new(gateway: Arc<G>) -> Self {
        Self(gateway)
    }
}

impl<G, S> Layer<S> for AffinityLayer<G> {
    type Service = AffinityService<G, S>;

    fn layer(&self, inner: S) -> AffinityService<G, S> {
        AffinityService { gateway: self.0.clone(), inner }
    }
}

impl<G, S, B, R, E> Service<Request<B>> for AffinityService<G, S>
where
    G: Gateway,
    S: Service<Request<B>, Response = Response<R>, Error = Failed<B, E>, Future: Send>
        + Clone
        + Send
        + 'static,
    B: Send + 'static,
    R: Send + 'static,
    E: Send + 'static,
{
    type Response = Response<R>;
    type Error = Refused<E>;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, Refused<E>>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Refused<E>>> {
        self.inner.poll_ready(context).map_err(Refused::from)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The service that was polled is the one that is ready; its clone is not.
        let unpolled = self.inner.clone();
        Box::pin(serve(self.gateway.clone(), mem::replace(&mut self.inner, unpolled), request))
    }
}

/// Runs the exchange of one request, with one snapshot and one time for all of it.
async fn serve<G, S, B, R, E>(
    gateway: Arc<G>,
    ready: S,
    request: Request<B>,
) -> Result<Response<R>, Refused<E>>
where
    G: Gateway,
    S: Service<Request<B>, Response = Response<R>, Error = Failed<B, E>> + Clone,
{
    let (affinity, pools) = (gateway.affinity(), gateway.pools());
    let (head, body) = request.into_parts();
    let Client { client_ip, scheme } = gateway.client(&head);
    let request = Request::from_parts(head, body);

    let again = ready.clone();
    let mut ready = Some(ready);
    let exchange = Exchange::new(&affinity, &pools, scheme)
        .with_client_ip(client_ip)
        .with_store(gateway.store())
        .with_now(gateway.now());
    let connect = move |endpoint, target: &G::Target, mut request: Request<B>| {
        request.extensions_mut().insert(Routed::new(endpoint, target.clone()));
        // The service that is called again was cloned, and a clone is not ready.
        let (mut inner, is_ready) = match ready.take() {
            Some(ready) => (ready, true),
            None => (again.clone(), false),
        };
        async move {
            if !is_ready {
                poll_fn(|context| inner.poll_ready(context)).await?;
            }
            inner.call(request).await
        }
    };
    exchange.drive(request, || gateway.entropy(), connect).await
}

impl<G> Clone for AffinityLayer<G> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<G, S: Clone> Clone for AffinityService<G, S> {
    fn clone(&self) -> Self {
        Self { gateway: self.gateway.clone(), inner: self.inner.clone() }
    }
}
