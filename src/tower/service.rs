//! One request through the layer.

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

/// What an [`AffinityLayer`] makes of an inner service: one that calls it once for each endpoint
/// that is tried, when it is ready.
#[derive(Debug)]
pub struct AffinityService<G, S> {
    gateway: Arc<G>,
    inner: S,
}

/// In the extensions of the request that the inner service is called with: where to send it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Routed<T> {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// The embedder's own value for it.
    pub target: T,
}

impl<G> AffinityLayer<G> {
    /// With what this gateway says.
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
        // The one that was polled is the one that is ready.
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

    let meta = RequestMeta { headers: &head.headers, client_ip: client.ip, scheme: client.scheme };
    let visit = affinity.recall(&meta, now);
    let record = match visit.lookup() {
        Some(lookup) => gateway.load(lookup).await,
        None => Record::Absent,
    };
    let mut attempt = affinity.route(visit, record, &pools, || gateway.entropy())?;
    if let Some(cookie) = affinity.cookie_name() {
        cookie.strip(&mut head.headers);
    }

    let mut request = Request::from_parts(head, body);
    while let Some(target) = pools.target(attempt.endpoint()) {
        request
            .extensions_mut()
            .insert(Routed { endpoint: attempt.endpoint(), target: target.clone() });
        match inner.call(request).await {
            // Of the informational ones only 101 ends the exchange.
            Ok(early)
                if early.status().is_informational()
                    && early.status() != StatusCode::SWITCHING_PROTOCOLS =>
            {
                return Ok(early);
            }
            Ok(mut response) => {
                response.extensions_mut().insert(attempt.outcome());
                if let Some(write) = affinity.settle(attempt, &pools).apply(response.headers_mut())
                {
                    gateway.save(write).await;
                }
                return Ok(response);
            }
            Err(Failed::Unconnected(whole)) => {
                (attempt, request) = (affinity.failover(attempt, &pools)?, *whole)
            }
            Err(Failed::BrokeOff(error)) => return Err(Refused::BrokeOff(error)),
        }
        poll_fn(|context| inner.poll_ready(context)).await?;
    }
    // Not reached: an attempt's endpoint is in the snapshot that it was made with.
    Err(attempt.give_up().into())
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
