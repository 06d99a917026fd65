//! Three endpoints in this process, for a first look that needs nothing else.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use base64::Engine;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::file::{self, File};

const NAMES: [&str; 3] = ["eu-1", "eu-2", "us-1"];

pub(crate) struct Demo {
    addresses: Vec<SocketAddr>,
}

impl Demo {
    /// Starts the endpoints on free ports of this machine.
    pub(crate) async fn start() -> Result<Self, String> {
        let mut addresses = Vec::new();
        for name in NAMES {
            let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
            let listener = bound.map_err(|error| format!("the demo cannot listen: {error}"))?;
            addresses.push(
                listener
                    .local_addr()
                    .map_err(|error| format!("the demo cannot listen: {error}"))?,
            );
            tokio::spawn(endpoint(listener, name));
        }
        Ok(Self { addresses })
    }

    /// Returns the configuration file that an operator would write for these endpoints.
    pub(crate) fn file(&self) -> Result<File, String> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)
            .map_err(|error| format!("no random key can be drawn: {error}"))?;
        let origin = |(name, address): (&str, &SocketAddr)| json!({ "name": name, "address": address.to_string() });
        let mut origins = NAMES.into_iter().zip(&self.addresses).map(origin);
        let eu: Vec<_> = origins.by_ref().take(2).collect();
        let us: Vec<_> = origins.collect();
        let file = json!({
            "explain": true,
            "keys": [{ "id": 1, "secret": base64::engine::general_purpose::STANDARD.encode(secret) }],
            "load_balancer": {
                "name": "demo",
                "session_affinity": "cookie",
                "session_affinity_attributes": { "zero_downtime_failover": "sticky", "drain_duration": 3600 },
                "adaptive_routing": { "failover_across_pools": true },
                "default_pools": ["eu", "us"],
                "fallback_pool": "us",
            },
            "pools": [{ "id": "eu", "origins": eu }, { "id": "us", "origins": us }],
        });
        file::parse(file.to_string().as_bytes())
    }
}

/// Serves one endpoint, which greets, and ends at a DELETE with all its connections.
pub async fn endpoint(listener: TcpListener, name: &'static str) {
    let (requests, dying, dead) =
        (Arc::<AtomicU64>::default(), Arc::new(Notify::new()), Arc::new(Notify::new()));
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            () = dying.notified() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => continue,
            },
        };
        let (requests, dying, dead) = (requests.clone(), dying.clone(), dead.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let number = requests.fetch_add(1, Relaxed).saturating_add(1);
            let (dying, dead) = (dying.clone(), dead.clone());
            async move {
                let mut response = Response::new(Full::<Bytes>::from(format!(
                    "hello from {name}, request {number}\n"
                )));
                if request.method() == Method::DELETE {
                    // The listener is closed before the answer is sent.
                    dying.notify_one();
                    dead.notified().await;
                    *response.body_mut() =
                        Full::from(format!("goodbye from {name}, request {number}\n"));
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(response)
            }
        });
        while connections.try_join_next().is_some() {}
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
    drop(listener);
    dead.notify_one();
    // The last answer must be sent before the connections are cut.
    tokio::time::sleep(Duration::from_millis(50)).await;
    // A request on one that is only about to be cut would be lost.
    connections.shutdown().await;
}

/// Returns commands to copy into a shell, in the order in which they tell a story. The comments have
/// no apostrophe, which would open a string in a shell that takes comments from scripts alone.
pub(crate) fn what_to_try(gateway: SocketAddr, admin: SocketAddr) -> String {
    // Two demos at once must not share a cookie jar.
    let jar = format!("/tmp/affinity-{}.cookies", gateway.port());
    format!(
        "\
The endpoints eu-1, eu-2 and us-1 are in this process. In another terminal, try:

# A session begins. The cookie in the jar brings each further request to the same endpoint.
curl -i -c {jar} http://{gateway}/
curl -i -b {jar} -c {jar} http://{gateway}/

# The health checks of both endpoints of the pool eu fail: the session moves to the pool us.
curl -X PATCH -d '{{\"healthy\": false}}' http://{admin}/pools/eu/origins/eu-1
curl -X PATCH -d '{{\"healthy\": false}}' http://{admin}/pools/eu/origins/eu-2
curl -i -b {jar} -c {jar} http://{gateway}/

# Both pass again, and the pool us is taken out of service. Its sessions stay until the drain ends, an hour at most.
curl -X PATCH -d '{{\"healthy\": true}}' http://{admin}/pools/eu/origins/eu-1
curl -X PATCH -d '{{\"healthy\": true}}' http://{admin}/pools/eu/origins/eu-2
curl -X PATCH -d '{{\"enabled\": false}}' http://{admin}/pools/us
curl -i -b {jar} -c {jar} http://{gateway}/
curl http://{admin}/drain/us/us-1

# The clock of the gateway is set ahead by a day: the session has expired, and a new one begins in eu.
curl -X PUT -d '{{\"offset_seconds\": 86400}}' http://{admin}/clock
curl -i -b {jar} -c {jar} http://{gateway}/

# The endpoint of that session stops, and no health check has noticed. The next request cannot connect to it,
# so the session moves to the other endpoint of eu and stays there.
curl -X DELETE -b {jar} http://{gateway}/
curl -i -b {jar} -c {jar} http://{gateway}/
curl -i -b {jar} -c {jar} http://{gateway}/

# The pools and the requests counted by outcome, as JSON and as Prometheus scrapes them.
curl http://{admin}/state
curl http://{admin}/metrics

Ctrl-C ends the demo.
"
    )
}
