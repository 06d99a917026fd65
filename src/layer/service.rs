//! The way of one request through the layer.

use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response, StatusCode};
use tower_layer::Layer;
use tower_service::Service;

use super::{Failed, Gateway, Refused};
use crate::endpoint::EndpointId;
use crate::request::RequestMeta;
use crate::store::Record;

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
    /// Creates the extension, for tests of an inner service.
    pub fn new(endpoint: EndpointId, target: T) -> Self {
        Self { endpoint, target }
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

/// The law of the crate: a session is read once, before routing, and written once, after an
/// endpoint has answered. One snapshot and one time serve the whole request.
async fn serve<G, S, B, R, E>(
    gateway: Arc<G>,
    mut inner: S,
    request: Request<B>,
) -> Result<Response<R>, Refused<E>>
where
    G: Gateway,
    S: Service<Request<B>, Response = Response<R>, Error = Failed<B, E>>,
{
    let (affinity, pools, now) = (gateway.affinity(), gateway.pools(), gateway.now());
    let (mut head, body) = request.into_parts();
    let client = gateway.client(&head);

    let meta = RequestMeta::new(&head.headers, client.scheme).with_client_ip(client.client_ip);
    let visit = affinity.recall(&meta, now);
    let record = match visit.lookup() {
        Some(lookup) => gateway.load(lookup).await,
        None => Record::Absent,
    };
    let (mut attempt, mut target) = affinity.route(visit, record, &pools, || gateway.entropy())?;
    if let Some(cookie) = affinity.cookie_name() {
        cookie.strip(&mut head.headers);
    }

    let mut request = Request::from_parts(head, body);
    loop {
        let routed = Routed::new(attempt.endpoint(), target.clone());
        request.extensions_mut().insert(routed);
        match inner.call(request).await {
            // Of the informational responses only 101 ends the exchange.
            Ok(early) if is_interim(early.status()) => return Ok(early),
            Ok(mut response) => {
                response.extensions_mut().insert(attempt.outcome());
                let settlement = affinity.settle(attempt, &pools);
                if let Some(write) = settlement.apply(response.headers_mut()) {
                    gateway.save(write).await;
                }
                return Ok(response);
            }
            Err(Failed::Unconnected(whole)) => {
                (attempt, target) = affinity.failover(attempt, &pools)?;
                request = *whole;
            }
            Err(Failed::BrokeOff(error)) => return Err(Refused::BrokeOff(error)),
        }
        poll_fn(|context| inner.poll_ready(context)).await?;
    }
}

fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
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
