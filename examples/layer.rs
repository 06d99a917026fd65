//! A reverse proxy on axum: `AffinityLayer` around a function that sends one request to one
//! endpoint. A client comes back to its endpoint, and another one serves it when that is gone.
//!
//! The layer calls `forward` with the endpoint in the request's extensions. If no connection can
//! be made, `forward` hands the request back and is called again with the next endpoint.
//!
//! `cargo run --example layer --features tower` prints:
//!
//! ```text
//! first request             eu-2  created:no_cookie, Set-Cookie
//! second                    eu-2  kept
//! third, its endpoint gone  eu-1  moved:connect_failed, Set-Cookie
//! fourth                    eu-1  kept
//! ```

use std::collections::HashMap;
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::BoxError;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::error_handling::HandleError;
use axum::extract::{ConnectInfo, Request};
use axum::http::header::{COOKIE, HOST, HeaderValue, SET_COOKIE};
use axum::http::request::Parts;
use axum::response::Response;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use session_affinity::cookies::SetCookie;
use session_affinity::exchange::{Failed, Refused};
use session_affinity::layer::{AffinityLayer, Client, Routed, Site};
use session_affinity::steering::IpHash;
use session_affinity::{
    Affinity, CookiePolicy, Endpoint, FailoverMode, Key, Keyring, LoadBalancer, Pool, Pools,
    Scheme, Secret, Trace,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tower::{Layer, ServiceExt, service_fn};

/// For examples alone. Draw your own by `openssl rand -base64 32`, and keep it in a vault.
const EXAMPLE_SECRET: &str = "b25seSBmb3IgZXhhbXBsZXM6IGRyYXcgeW91ciBvd24=";

/// The client of a request: its address is what axum puts into the extensions.
fn client(head: &Parts) -> Client {
    let peer = head.extensions.get::<ConnectInfo<SocketAddr>>();
    Client { client_ip: peer.map(|ConnectInfo(peer)| peer.ip()), scheme: Scheme::Http }
}

/// Sends one request to one endpoint. A production proxy also keeps connections and removes
/// hop-by-hop fields.
async fn forward(request: Request) -> Result<Response, Failed<Body, BoxError>> {
    let Routed { target, .. } = *Routed::<SocketAddr>::of(&request)?;
    let connecting = timeout(Duration::from_millis(500), TcpStream::connect(target));
    match connecting.await.unwrap_or_else(|elapsed| Err(elapsed.into())) {
        Ok(stream) => send(stream, request).await.map_err(|error| Failed::BrokeOff(error.into())),
        Err(error) => Err(Failed::connecting(error, request)),
    }
}

async fn send(stream: TcpStream, request: Request) -> Result<Response, hyper::Error> {
    let (mut connection, driver) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(driver);
    Ok(connection.send_request(request).await?.map(Body::new))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Steered by the client's address, so that every run prints the same.
    let (mut eu, mut servers) = (Pool::new("eu").with_steering(IpHash), HashMap::new());
    for name in ["eu-1", "eu-2"] {
        let (address, server) = serve(Router::new().fallback(name)).await?;
        eu = eu.with_endpoint(Endpoint::new(name, address));
        servers.insert(name.to_owned(), server);
    }
    let shop = LoadBalancer::new("shop.example.com")?;
    let keyring = Keyring::from(Key::new(1, Secret::from_base64(EXAMPLE_SECRET)?));
    let policy = CookiePolicy::new(&shop, &keyring, SetCookie::default());
    let affinity = Affinity::new(policy).with_failover_mode(FailoverMode::Sticky)?;
    let site = Site::new(affinity, Pools::builder().pool(eu).build()?).with_client(client);

    let layer = AffinityLayer::new(Arc::new(site));
    let proxy = HandleError::new(layer.layer(service_fn(forward)), async |refused: Refused<_>| {
        refused.into_response::<Body>()
    });
    // Outer layers find the trace of the request in the response's extensions.
    let proxy = proxy.map_response(|mut response| {
        let label =
            response.extensions().get::<Trace>().map_or("", |trace| trace.outcome().label());
        response.headers_mut().insert("x-outcome", HeaderValue::from_static(label));
        response
    });
    let (proxy, _) = serve(Router::new().fallback_service(proxy)).await?;

    let (mut cookie, mut endpoint) = (String::new(), String::new());
    for step in ["first request", "second", "third, its endpoint gone", "fourth"] {
        if step.ends_with("gone")
            && let Some(server) = servers.remove(&endpoint)
        {
            server.abort();
            let _ = server.await;
        }
        let request = Request::builder()
            .header(HOST, "shop.example.com")
            .header(COOKIE, &cookie)
            .body(Body::empty())?;
        let (head, body) = send(TcpStream::connect(proxy).await?, request).await?.into_parts();
        endpoint = String::from_utf8(to_bytes(body, 100).await?.into())?;
        let set_cookie = head.headers.get(SET_COOKIE).map(|line| line.to_str()).transpose()?;
        let outcome = head.headers.get("x-outcome").map_or(Ok(""), |label| label.to_str())?;
        println!("{step:<24}  {endpoint}  {outcome}{}", set_cookie.map_or("", |_| ", Set-Cookie"));
        cookie = set_cookie.and_then(|line| line.split(';').next()).map_or(cookie, str::to_owned);
    }
    Ok(())
}

/// Serves a router on a free port until the task is stopped.
async fn serve(router: Router) -> std::io::Result<(SocketAddr, JoinHandle<()>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    Ok((address, tokio::spawn(async { axum::serve(listener, service).await.unwrap_or_default() })))
}
