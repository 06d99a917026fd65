//! What happens to a request: recall, route, failover, settle, in that order.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hyper::body::{Body as _, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode, Version};
use session_affinity::{Affinity, AffinityPolicy, CookieName, Outcome, Pools, RequestMeta};
use tokio::sync::watch;

use crate::body::Body;
use crate::clock::Clock;
use crate::forwarded::TrustedProxies;
use crate::hop;
use crate::settings::Settings;
use crate::store::Store;
use crate::tally::Tally;
use crate::tunnel;
use crate::upstream::{Failed, InFlight, Upstream};

const EXPLANATION: HeaderName = HeaderName::from_static("x-affinity-outcome");

/// Everything that requests share. What the admin listener changes is behind an `ArcSwap`: a
/// request takes one snapshot and keeps it.
pub(crate) struct Gateway {
    pub(crate) affinity: ArcSwap<Affinity<Box<dyn AffinityPolicy>>>,
    pub(crate) pools: ArcSwap<Pools<Arc<Upstream>>>,
    pub(crate) clock: Clock,
    pub(crate) store: Arc<Store>,
    pub(crate) tally: Tally,
    trusted: TrustedProxies,
    cookie: CookieName,
    connect_timeout: Duration,
    explain: bool,
    stopped: watch::Receiver<bool>,
}

impl Gateway {
    pub(crate) fn new(settings: Settings, stopped: watch::Receiver<bool>) -> Self {
        Self {
            affinity: ArcSwap::from_pointee(settings.affinity),
            pools: ArcSwap::from_pointee(settings.pools),
            clock: Clock::default(),
            store: Arc::new(settings.store),
            tally: Tally::default(),
            trusted: settings.trusted,
            cookie: settings.cookie,
            connect_timeout: settings.connect_timeout,
            explain: settings.explain,
            stopped,
        }
    }

    /// Answers a request: what is none for a gateway is refused, the rest goes to an endpoint.
    pub(crate) async fn answer(
        &self,
        mut request: Request<Incoming>,
        peer: IpAddr,
    ) -> Response<Body> {
        if request.method() == Method::CONNECT {
            let mut refusal = plain(
                StatusCode::METHOD_NOT_ALLOWED,
                "this gateway opens no tunnels with CONNECT\n",
            );
            refusal.headers_mut().insert(
                ALLOW,
                HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
            );
            return refusal;
        }
        // The client's end of a tunnel, should the endpoint agree to one.
        let upgrade =
            hop::upgrade(&request).map(|protocol| (protocol, hyper::upgrade::on(&mut request)));
        if hop::normalise(&mut request).is_none() {
            return plain(
                StatusCode::BAD_REQUEST,
                "the request target or the Host header cannot be used\n",
            );
        }
        self.proxy(request, peer, upgrade).await
    }

    /// The law of the crate: a session is read once, before routing, and written once, after
    /// an endpoint has answered. One snapshot and one time serve the whole request.
    async fn proxy(
        &self,
        mut request: Request<Incoming>,
        peer: IpAddr,
        upgrade: Option<Upgrade>,
    ) -> Response<Body> {
        let (affinity, pools, now) =
            (self.affinity.load_full(), self.pools.load_full(), self.clock.now());
        let client = self.trusted.client(peer, request.headers());

        let meta = RequestMeta {
            headers: request.headers(),
            client_ip: Some(client.ip),
            scheme: client.scheme,
        };
        let visit = affinity.recall(&meta, now);
        let record = self.store.record(&visit).await;
        let mut attempt = match affinity.route(visit, record, &pools, entropy) {
            Ok(attempt) => attempt,
            Err(none) => {
                return self.failure(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "no endpoint to try\n",
                    none.outcome(),
                );
            }
        };
        let is_chunked = request.body().size_hint().exact().is_none();
        self.prepare(request.headers_mut(), peer, upgrade.as_ref());
        if is_chunked {
            // hyper would send the body of a GET or HEAD without it to nobody.
            request.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }

        while let Some(endpoint) = pools.target(attempt.endpoint()) {
            let in_flight = InFlight::at(endpoint);
            match endpoint.send(request, self.connect_timeout).await {
                Ok(mut response) => {
                    let tunnel =
                        upgrade.and_then(|(_, client)| tunnel::agreed(client, &mut response));
                    hop::remove(response.headers_mut());
                    self.note(response.headers_mut(), attempt.outcome());
                    let settlement = affinity.settle(attempt, &pools);
                    if let Some(write) = settlement.apply(response.headers_mut()) {
                        self.store.save(write);
                    }
                    return self.pass_on(response, tunnel, in_flight);
                }
                Err(Failed::Unconnected(whole)) => match affinity.failover(attempt, &pools) {
                    Ok(next) => (attempt, request) = (next, *whole),
                    Err(gave_up) => {
                        return self.failure(StatusCode::BAD_GATEWAY, UNREACHED, gave_up.outcome());
                    }
                },
                // Nobody is left to answer; no outcome is the endpoint's.
                Err(Failed::Abandoned) => {
                    return plain(StatusCode::BAD_REQUEST, "the request's body broke off\n");
                }
                Err(Failed::BrokeOff) => {
                    return self.failure(
                        StatusCode::BAD_GATEWAY,
                        "the endpoint broke off\n",
                        attempt.give_up().outcome(),
                    );
                }
            }
        }
        // Not reached: an attempt's endpoint is in the snapshot that it was made with.
        self.failure(StatusCode::BAD_GATEWAY, UNREACHED, attempt.give_up().outcome())
    }

    /// The headers as the endpoint is to see them.
    fn prepare(&self, headers: &mut HeaderMap, peer: IpAddr, upgrade: Option<&Upgrade>) {
        hop::remove(headers);
        self.cookie.strip(headers);
        self.trusted.tell(peer, headers);
        if let Some((protocol, _)) = upgrade {
            hop::set_upgrade(headers, protocol.clone());
        }
    }

    fn pass_on(
        &self,
        response: Response<Incoming>,
        tunnel: Option<tunnel::Agreed>,
        in_flight: InFlight,
    ) -> Response<Body> {
        let (mut head, body) = response.into_parts();
        // The endpoint's version is between it and the gateway.
        head.version = Version::HTTP_11;
        let Some(tunnel) = tunnel else {
            return Response::from_parts(head, Body::Endpoint { body, _in_flight: in_flight });
        };
        hop::set_upgrade(&mut head.headers, tunnel.protocol.clone());
        tokio::spawn(tunnel.run(in_flight, self.stopped.clone()));
        Response::from_parts(head, Body::empty())
    }

    /// The gateway's own 502 and 503, which promise nothing.
    fn failure(&self, status: StatusCode, line: &'static str, outcome: Outcome) -> Response<Body> {
        let mut response = plain(status, line);
        self.note(response.headers_mut(), outcome);
        response
    }

    /// Counts what became of a request, and says it to those who learn.
    fn note(&self, headers: &mut HeaderMap, outcome: Outcome) {
        self.tally.count(outcome);
        if self.explain {
            headers.insert(EXPLANATION, HeaderValue::from_static(outcome.label()));
        }
    }
}

/// The protocols that a client wants to switch to, and its end of the tunnel.
type Upgrade = (HeaderValue, OnUpgrade);

const UNREACHED: &str = "no endpoint could be connected to\n";

/// 64 random bits, for sessions that begin. Without a random generator any number will do:
/// choices are then less even, and nothing else.
fn entropy() -> u64 {
    getrandom::u64().unwrap_or_default()
}

fn plain(status: StatusCode, line: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::text(line));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
