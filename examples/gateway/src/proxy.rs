//! The path of a request: recall, route, failover, settle, in that order. The crate's `Exchange`
//! would do the same in fewer lines; this file shows what is in it.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use arc_swap::ArcSwap;
use hyper::body::{Body as _, Incoming};
use hyper::header::{HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use hyper::{Method, Request, Response, Version};
use session_affinity::pools::LivePools;
use session_affinity::steering::InFlightGuard;
use session_affinity::store::{AnyStore, AsyncSessionStore};
use session_affinity::{Affinity, NoRoute, Outcome, Pools, RequestMeta, entropy};
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::body::Body;
use crate::clock::Clock;
use crate::failed::Failed;
use crate::fleet::Fleet;
use crate::forwarded::{Client, Peer};
use crate::hop;
use crate::limits::Limits;
use crate::own::{self, Own};
use crate::paced::Paced;
use crate::proxy_protocol::ProxyProtocol;
use crate::settings::Settings;
use crate::tally::Tally;
use crate::terms::Live;
use crate::tunnel;
use crate::upstream::Upstream;
use crate::warning::{Notice, Warnings};

const EXPLANATION: HeaderName = HeaderName::from_static("x-affinity-outcome");

/// The state that all requests share. A request takes one snapshot of the affinity and of the pools,
/// which the admin listener and a reload change, and keeps it.
pub(crate) struct Gateway {
    pub(crate) affinity: ArcSwap<Affinity>,
    pub(crate) pools: LivePools<Arc<Upstream>>,
    pub(crate) clock: Clock,
    pub(crate) store: AnyStore,
    pub(crate) fleet: Option<Fleet>,
    pub(crate) tally: Tally,
    /// The limits of the start. Those that a reload may change are in `live`.
    pub(crate) limits: Limits,
    pub(crate) live: ArcSwap<Live>,
    /// Held for reading while a request takes its snapshots, and for writing by a reload from the
    /// first of them that it replaces to the last one.
    turn: RwLock<()>,
    proxy_protocol: ProxyProtocol,
    warnings: Warnings,
    namesake: Notice,
    pub(crate) malformed: Notice,
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
            fleet: settings.fleet,
            tally: Tally::default(),
            limits: settings.limits,
            live: ArcSwap::from_pointee(settings.live),
            turn: RwLock::default(),
            proxy_protocol: settings.proxy_protocol,
            warnings: Warnings::about("connections to endpoints"),
            namesake: Notice::about("answers of endpoints"),
            malformed: Notice::about("proxy_protocol"),
            stopped,
        }
    }

    /// Returns whether a connection of this peer begins with a header of the PROXY protocol.
    pub(crate) fn expects_introduction(&self, peer: IpAddr) -> bool {
        self.proxy_protocol == ProxyProtocol::FromTrusted && self.live.load().trusted.trusts(peer)
    }

    /// Keeps requests from beginning until the guard is dropped: they see all changes made meanwhile.
    pub(crate) fn turn(&self) -> RwLockWriteGuard<'_, ()> {
        self.turn.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the snapshots of one moment: all of before a reload, or all of after it.
    pub(crate) fn moment(&self) -> (Arc<Affinity>, Arc<Live>, Arc<Pools<Arc<Upstream>>>) {
        let _turn = self.turn.read().unwrap_or_else(PoisonError::into_inner);
        (self.affinity.load_full(), self.live.load_full(), self.pools.load())
    }

    /// Answers a request: refuses it when a gateway cannot serve it, else proxies it to an
    /// endpoint. `place` is that of the client's connection among those that the gateway has.
    pub(crate) async fn answer(
        &self,
        mut request: Request<Incoming>,
        peer: &Peer,
        place: &Arc<OwnedSemaphorePermit>,
    ) -> Response<Body> {
        if request.method() == Method::CONNECT {
            return own::no_connect();
        }
        // The client's end of a tunnel, in case the endpoint agrees to one.
        let upgrade = hop::upgrade(&request).map(|protocol| tunnel::Asked {
            protocol,
            client: hyper::upgrade::on(&mut request),
            place: place.clone(),
        });
        if hop::normalise(&mut request).is_none() {
            return own::answer(own::UNUSABLE);
        }
        if hop::is_coded_otherwise(request.headers()) {
            return own::answer(own::CODED);
        }
        let request = request.map(|body| Paced::new(body, self.limits.body_idle));
        self.proxy(request, peer, upgrade).await
    }

    /// Proxies a request by the law of the crate: a session is read once, before routing, and
    /// written once, after an endpoint has answered. One snapshot and one time serve the whole
    /// request.
    async fn proxy(
        &self,
        mut request: Request<Paced>,
        peer: &Peer,
        upgrade: Option<tunnel::Asked>,
    ) -> Response<Body> {
        let ((affinity, live, pools), now) = (self.moment(), self.clock.now());
        let client = live.trusted.client(peer, request.headers());

        let meta = RequestMeta::new(request.headers(), client.scheme).with_client_ip(client.ip);
        let visit = affinity.recall(&meta, now);
        let record = self.store.record(visit.lookup()).await;
        let (mut attempt, mut endpoint) = match affinity.route(visit, record, &pools, entropy) {
            Ok(chosen) => chosen,
            Err(error @ NoRoute::Lost { .. }) => {
                return self.failure(own::LOST, error.outcome(), &live);
            }
            Err(error) => return self.failure(own::NO_ENDPOINT, error.outcome(), &live),
        };
        self.prepare(&mut request, (&affinity, &live), (peer, client), upgrade.as_ref());
        loop {
            let in_flight = endpoint.begin();
            match endpoint.send(request, &live.limits).await {
                Ok(mut response) => {
                    let tunnel = upgrade.and_then(|asked| asked.agreed(&mut response));
                    hop::remove(response.headers_mut());
                    self.remove_namesake(response.headers_mut(), &affinity, endpoint);
                    self.note(response.headers_mut(), attempt.outcome(), &live);
                    let settlement = affinity.settle_response(attempt, &pools, &response);
                    self.store.commit(settlement.apply(&mut response)).await;
                    return self.pass_on(response, tunnel, in_flight);
                }
                Err(Failed::Unconnected(unsent)) => match affinity.failover(attempt, &pools) {
                    Ok((next, other)) => (attempt, endpoint, request) = (next, other, *unsent),
                    Err(gave_up) => return self.failure(own::UNREACHED, gave_up.outcome(), &live),
                },
                Err(Failed::Endpoint(answer)) => {
                    return self.failure(answer, attempt.give_up().outcome(), &live);
                }
                // It says nothing of the endpoint, which keeps its sessions and its good name.
                Err(Failed::OwnSide(error)) => {
                    self.warnings.warn(&error);
                    return own::answer(own::OWN_SIDE);
                }
                // It is no outcome of an endpoint.
                Err(Failed::Client(answer)) => return own::answer(answer),
            }
        }
    }

    /// Makes the request as the endpoint is to see it: without hop-by-hop fields and the affinity
    /// cookie or issued header, with the address of the client.
    fn prepare(
        &self,
        request: &mut Request<Paced>,
        (affinity, live): (&Affinity, &Live),
        (peer, client): (&Peer, Client),
        upgrade: Option<&tunnel::Asked>,
    ) {
        let is_chunked = request.body().size_hint().exact().is_none();
        let headers = request.headers_mut();
        hop::remove(headers);
        affinity.strip(headers);
        // Under a policy without a cookie too: of the time before it, clients may have one.
        live.cookie.strip(headers);
        live.trusted.tell(peer, client, headers);
        if let Some(asked) = upgrade {
            hop::set_upgrade(headers, asked.protocol.clone());
        }
        if is_chunked {
            // Without the field, hyper would not send the body of a GET or HEAD.
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
    }

    /// Removes what an endpoint says under the name of the gateway's own cookie or header, before the
    /// gateway sets it.
    fn remove_namesake(&self, headers: &mut HeaderMap, affinity: &Affinity, endpoint: &Upstream) {
        let Some(carrier) = affinity.carrier() else { return };
        if affinity.strip_response(headers) > 0 {
            endpoint.count_namesake();
            self.namesake.give(|| {
                let (address, name) = (endpoint.address(), carrier.as_str());
                format!("the endpoint at {address} sets {name}, which is dropped: it is the name of this gateway's own")
            });
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
            let body = Paced::new(body, self.limits.body_idle);
            return Response::from_parts(head, Body::of_endpoint(body, in_flight));
        };
        hop::set_upgrade(&mut head.headers, tunnel.protocol.clone());
        tokio::spawn(tunnel.run(in_flight, self.limits.tunnel_idle, self.stopped.clone()));
        Response::from_parts(head, Body::empty())
    }

    /// Makes a 502, 503 or 504 of the gateway's own, without a cookie.
    fn failure(&self, answer: Own, outcome: Outcome, live: &Live) -> Response<Body> {
        let mut response = own::answer(answer);
        self.note(response.headers_mut(), outcome, live);
        response
    }

    /// Counts the outcome of a request, and adds the header field that explains it where that is
    /// on for this request.
    fn note(&self, headers: &mut HeaderMap, outcome: Outcome, live: &Live) {
        self.tally.count(outcome);
        if live.explain {
            headers.insert(EXPLANATION, HeaderValue::from_static(outcome.label()));
        }
    }
}
