//! A gRPC gateway over HTTP/2 in clear text: `AffinityLayer` around a function that sends one call
//! to one endpoint, with the session in the metadata.
//!
//! A gRPC client keeps no cookies, so the gateway issues a header. The client finds it in the
//! metadata of a response and sends it with each call: `tests/metadata.rs` does so with tonic.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use http_body_util::{Either, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::{client, server};
use hyper_util::rt::{TokioExecutor, TokioIo};
use session_affinity::CookiePolicy;
use session_affinity::exchange::{Failed, Refused};
use session_affinity::layer::{AffinityLayer, Routed, Site};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tower::{Layer, ServiceExt, service_fn};

/// Serves the clients of a listener until the task is aborted.
pub async fn serve(listener: TcpListener, site: Arc<Site<SocketAddr, CookiePolicy>>) {
    let service = AffinityLayer::new(site).layer(service_fn(forward));
    while let Ok((stream, _)) = listener.accept().await {
        let service = service.clone();
        let answer = hyper::service::service_fn(move |call| {
            let served = service.clone().oneshot(call);
            async {
                Ok::<_, Infallible>(match served.await {
                    Ok(response) => response.map(Either::Left),
                    Err(refused) => unavailable(&refused),
                })
            }
        });
        let connection = server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), answer);
        tokio::spawn(connection);
    }
}

/// Sends one call to one endpoint. A production gateway also keeps connections.
async fn forward(
    request: Request<Incoming>,
) -> Result<Response<Incoming>, Failed<Incoming, hyper::Error>> {
    let target = request.extensions().get::<Routed<SocketAddr>>().map(|routed| routed.target);
    let connecting =
        timeout(Duration::from_millis(500), TcpStream::connect(target.unwrap_or(NONE)));
    let Ok(Ok(stream)) = connecting.await else {
        return Err(Failed::Unconnected(Box::new(request)));
    };
    let handshake = client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(Failed::BrokeOff)?;
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(Failed::BrokeOff)
}

/// An address that refuses every connection, for a call outside of the layer.
const NONE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// The answer of the gateway's own: gRPC has a status of its own, 14, and HTTP's is 200.
fn unavailable<E>(refused: &Refused<E>) -> Response<Either<Incoming, Empty<Bytes>>> {
    let mut response = Response::new(Either::Right(Empty::new()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from_static("14"));
    let label = refused.outcome().map_or("gateway", |outcome| outcome.label());
    headers.insert("grpc-message", HeaderValue::from_static(label));
    response
}
