//! The path of a request: recall, route, failover, settle, in that order. The crate's `Exchange`
//! would do the same in fewer lines; this file shows what is in it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hyper::body::{Body as _, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode, Version};
use session_affinity::cookies::CookieName;
use session_affinity::pools::LivePools;
use session_affinity::steering::InFlightGuard;
use session_affinity::store::{AnyStore, AsyncSessionStore};
use session_affinity::{Affinity, NoRoute, Outcome, RequestMeta, entropy};
use tokio::sync::watch;

use crate::body::Body;
use crate::clock::Clock;
use crate::forwarded::TrustedProxies;
use crate::hop;
use crate::settings::Settings;
use crate::tally::Tally;
use crate::tunnel;
use crate::upstream::{Failed, Upstream};
use crate::warning::Warnings;

const EXPLANATION: HeaderName = HeaderName::from_static("x-affinity-outcome");

/// The state that all requests share. A request takes one snapshot of the affinity and of the pools,
/// which the admin listener changes, and keeps it.
pub(crate) struct Gateway {
    pub(crate) affinity: ArcSwap<Affinity>,
    pub(crate) pools: LivePools<Arc<Upstream>>,
    pub(crate) clock: Clock,
    pub(crate) store: AnyStore,
    pub(crate) tally: Tally,
    trusted: TrustedProxies,
    cookie: CookieName,
    connect_timeout: Duration,
    explain: bool,
    warnings: Warnings,
    stopped: watch::Receiver<bool>,
}

impl Gateway {
    pub(crate) fn new(settings: Settings, stopped: watch::Receiver<bool>) -> Self {
        let clock = Clock::default();
        // What an endpoint's sessions do is noted from here on, whether or not a request comes.
        settings.pools.begin_census(clock.now());
        Self {
            affinity: ArcSwap::from_pointee(settings.affinity),
            pools: LivePools::new(settings.pools),
            clock,
            store: settings.store,
            tally: Tally::default(),
            trusted: settings.trusted,
            cookie: settings.cookie,
            connect_timeout: settings.connect_timeout,
            explain: settings.explain,
            warnings: Warnings::about("connections to endpoints"),
            stopped,
        }
    }

    /// Answers a request: refuses it when a gateway cannot serve it, else proxies it to an
    /// endpoint.
    pub(crate) async fn answer(
        &self,
        mut request: Request<Incoming>,
        peer: IpAddr,
    ) -> Response<Body> {
        if request.method() == Method::CONNECT {
            let mut refusal = plain(NO_CONNECT);
            refusal.headers_mut().insert(ALLOW, ALLOWED);
            return refusal;
        }
        // The client's end of a tunnel, in case the endpoint agrees to one.
        let upgrade =
            hop::upgrade(&request).map(|protocol| (protocol, hyper::upgrade::on(&mut request)));
        if hop::normalise(&mut request).is_none() {
            return plain(UNUSABLE);
        }
        self.proxy(request, peer, upgrade).await
    }

    /// Proxies a request by the law of the crate: a session is read once, before routing, and
    /// written once, after an endpoint has answered. One snapshot and one time serve the whole
    /// request.
    async fn proxy(
        &self,
        mut request: Request<Incoming>,
        peer: IpAddr,
        upgrade: Option<Upgrade>,
    ) -> Response<Body> {
        let (affinity, pools, now) =
            (self.affinity.load_full(), self.pools.load(), self.clock.now());
        let client = self.trusted.client(peer, request.headers());

        let meta = RequestMeta::new(request.headers(), client.scheme).with_client_ip(client.ip);
        let visit = affinity.recall(&meta, now);
        let record = self.store.record(visit.lookup()).await;
        let (mut attempt, mut endpoint) = match affinity.route(visit, record, &pools, entropy) {
            Ok(chosen) => chosen,
            Err(error @ NoRoute::Lost { .. }) => return self.failure(LOST, error.outcome()),
            Err(error) => return self.failure(NO_ENDPOINT, error.outcome()),
        };
        self.prepare(&mut request, &affinity, peer, upgrade.as_ref());
        loop {
            let in_flight = endpoint.begin();
            match endpoint.send(request, self.connect_timeout).await {
                Ok(mut response) => {
                    let tunnel =
                        upgrade.and_then(|(_, client)| tunnel::agreed(client, &mut response));
                    hop::remove(response.headers_mut());
                    self.note(response.headers_mut(), attempt.outcome());
                    let settlement = affinity.settle_response(attempt, &pools, &response);
                    self.store.commit(settlement.apply(&mut response)).await;
                    return self.pass_on(response, tunnel, in_flight);
                }
                Err(Failed::Unconnected(unsent)) => match affinity.failover(attempt, &pools) {
                    Ok((next, other)) => (attempt, endpoint, request) = (next, other, *unsent),
                    Err(gave_up) => return self.failure(UNREACHED, gave_up.outcome()),
                },
                Err(Failed::BrokeOff) => {
                    return self.failure(BROKE_OFF, attempt.give_up().outcome());
                }
                // It says nothing of the endpoint, which keeps its sessions and its good name.
                Err(Failed::OwnSide(error)) => {
                    self.warnings.warn(&error);
                    return plain(OWN_SIDE);
                }
                // The client has gone, which is no outcome of an endpoint.
                Err(Failed::Abandoned) => return plain(ABANDONED),
            }
        }
    }

    /// Makes the request as the endpoint is to see it: without hop-by-hop fields and the affinity
    /// cookie or issued header, with the address of the client.
    fn prepare(
        &self,
        request: &mut Request<Incoming>,
        affinity: &Affinity,
        peer: IpAddr,
        upgrade: Option<&Upgrade>,
    ) {
        let is_chunked = request.body().size_hint().exact().is_none();
        let headers = request.headers_mut();
        hop::remove(headers);
        affinity.strip(headers);
        // Under a policy without a cookie too: of the time before it, clients may have one.
        self.cookie.strip(headers);
        self.trusted.tell(peer, headers);
        if let Some((protocol, _)) = upgrade {
            hop::set_upgrade(headers, protocol.clone());
        }
        if is_chunked {
            // Without the field, hyper would not send the body of a GET or HEAD.
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
    }

    /// Makes the response for the client, which counts as in flight until its last byte is sent.
    fn pass_on(
        &self,
        response: Response<Incoming>,
        tunnel: Option<tunnel::Agreed>,
        in_flight: InFlightGuard,
    ) -> Response<Body> {
        let (mut head, body) = response.into_parts();
        // The endpoint's version holds for the connection to the endpoint only.
        head.version = Version::HTTP_11;
        let Some(tunnel) = tunnel else {
            return Response::from_parts(head, Body::Endpoint { body, _in_flight: in_flight });
        };
        hop::set_upgrade(&mut head.headers, tunnel.protocol.clone());
        tokio::spawn(tunnel.run(in_flight, self.stopped.clone()));
        Response::from_parts(head, Body::empty())
    }

    /// Makes a 502 or 503 of the gateway's own, without a cookie.
    fn failure(&self, answer: Own, outcome: Outcome) -> Response<Body> {
        let mut response = plain(answer);
        self.note(response.headers_mut(), outcome);
        response
    }

    /// Counts the outcome of a request, and adds the header field that explains it where that is
    /// on.
    fn note(&self, headers: &mut HeaderMap, outcome: Outcome) {
        self.tally.count(outcome);
        if self.explain {
            headers.insert(EXPLANATION, HeaderValue::from_static(outcome.label()));
        }
    }
}

/// The protocols that a client wants to switch to, and the client's end of the tunnel.
type Upgrade = (HeaderValue, OnUpgrade);

/// An answer of the gateway's own: its status and its one line.
type Own = (StatusCode, &'static str);

const NO_CONNECT: Own =
    (StatusCode::METHOD_NOT_ALLOWED, "this gateway opens no tunnels with CONNECT\n");
const UNUSABLE: Own =
    (StatusCode::BAD_REQUEST, "the request target or the Host header cannot be used\n");
const ABANDONED: Own = (StatusCode::BAD_REQUEST, "the request's body broke off\n");
const NO_ENDPOINT: Own = (StatusCode::SERVICE_UNAVAILABLE, "no endpoint to try\n");
const OWN_SIDE: Own = (StatusCode::SERVICE_UNAVAILABLE, "this gateway cannot open a connection\n");
const LOST: Own =
    (StatusCode::SERVICE_UNAVAILABLE, "the endpoint of this session is not available\n");
const UNREACHED: Own = (StatusCode::BAD_GATEWAY, "no endpoint could be connected to\n");
const BROKE_OFF: Own = (StatusCode::BAD_GATEWAY, "the endpoint broke off\n");

/// The methods of the answer to CONNECT.
const ALLOWED: HeaderValue =
    HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");

fn plain((status, line): Own) -> Response<Body> {
    let mut response = Response::new(Body::text(line));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
