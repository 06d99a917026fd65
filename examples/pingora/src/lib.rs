//! Sticky sessions in a pingora proxy: the four verbs, each in the callback where it belongs.
//!
//! ```text
//! request_filter ──────────── recall, route; 503 when there is no endpoint
//!   (the cache: a hit goes straight to response_filter)
//! upstream_peer ───────────── the endpoint of this attempt ◀─────┐
//! fail_to_connect ─────────── failover: the next endpoint ───────┘ or 502
//! upstream_request_filter ─── the affinity cookie is removed
//! upstream_response_filter ── an endpoint has answered
//! response_filter ─────────── settle: Set-Cookie, after the cache
//! logging ─────────────────── the outcome
//! ```
//!
//! The attempt waits in the context of the request. Settling moves it out, so it happens once, and
//! only after an endpoint has answered.

use std::hash::{BuildHasher, RandomState};
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use http::StatusCode;
use http::header::{AUTHORIZATION, HOST, SET_COOKIE};
use pingora_cache::RespCacheable::Uncacheable;
use pingora_cache::cache_control::CacheControl;
use pingora_cache::filters::{request_cacheable, resp_cacheable};
use pingora_cache::{CacheKey, CacheMetaDefaults, MemCache, NoCacheReason, RespCacheable};
use pingora_core::server::Server;
use pingora_core::server::configuration::ServerConf;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorSource, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};
use session_affinity::{
    Affinity, Attempt, CookiePolicy, Outcome, Pools, Record, RequestMeta, Scheme,
};

mod fields;

/// Caches a response for as long as its own fields allow, and not at all without such fields.
const CACHED: CacheMetaDefaults = CacheMetaDefaults::new(|_| None, 0, 0);

/// A reverse proxy whose clients come back to their endpoints.
pub struct StickyProxy {
    /// The policy, with its key.
    pub affinity: Affinity<CookiePolicy>,
    /// The current snapshot. Health checks store the next one here.
    pub pools: Arc<ArcSwap<Pools<SocketAddr>>>,
    /// The cache of pingora in memory: enough to show the treatment of cookies, not for production.
    pub cache: Option<&'static MemCache>,
}

/// One request on its way through the callbacks, with one snapshot for all of them.
pub struct Exchange {
    pools: Arc<Pools<SocketAddr>>,
    stage: Stage,
}

#[derive(Default)]
enum Stage {
    #[default]
    Unrouted,
    /// An endpoint was chosen and has not answered.
    Routed(Attempt, SocketAddr),
    /// The endpoint has answered, and the session is not settled.
    Answered(Attempt, SocketAddr),
    Over(Outcome),
}

/// Creates a server for the proxy, to be started by `run_forever`.
pub fn server(listen: SocketAddr, proxy: StickyProxy) -> Server {
    let mut server = Server::new_with_opt_and_conf(None, ServerConf::default());
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, proxy);
    service.add_tcp(&listen.to_string());
    server.add_service(service);
    server
}

#[async_trait]
impl ProxyHttp for StickyProxy {
    type CTX = Exchange;

    fn new_ctx(&self) -> Exchange {
        Exchange { pools: self.pools.load_full(), stage: Stage::Unrouted }
    }

    async fn request_filter(&self, session: &mut Session, exchange: &mut Exchange) -> Result<bool> {
        let is_https = session.digest().is_some_and(|digest| digest.ssl_digest.is_some());
        let scheme = if is_https { Scheme::Https } else { Scheme::Http };
        let peer = session.client_addr().and_then(|peer| peer.as_inet());
        let request = RequestMeta::new(&session.req_header().headers, scheme)
            .with_client_ip(peer.map(SocketAddr::ip));
        let visit = self.affinity.recall(&request, SystemTime::now().into());
        // The random bits only spread new sessions: the keys of a new RandomState are good enough.
        let entropy = || RandomState::new().hash_one(());
        match self.affinity.route(visit, Record::Absent, &exchange.pools, entropy) {
            Ok((attempt, address)) => {
                exchange.stage = Stage::Routed(attempt, *address);
                Ok(false)
            }
            Err(no_endpoint) => {
                exchange.stage = Stage::Over(no_endpoint.outcome());
                session.respond_error(503).await?;
                Ok(true)
            }
        }
    }

    fn request_cache_filter(&self, session: &mut Session, _: &mut Exchange) -> Result<()> {
        if let Some(storage) = self.cache.filter(|_| request_cacheable(session.req_header())) {
            session.cache.enable(storage, None, None, None, None);
        }
        Ok(())
    }

    fn cache_key_callback(&self, session: &Session, _: &mut Exchange) -> Result<CacheKey> {
        let request = session.req_header();
        let host = request.headers.get(HOST).map_or(&b""[..], |host| host.as_bytes());
        Ok(CacheKey::new([host, b"\0", request.raw_path()].concat(), ""))
    }

    /// Runs for each attempt: again after `fail_to_connect` with the next endpoint, and with the
    /// same one after a kept connection that turned out dead (pingora's own rule).
    async fn upstream_peer(
        &self,
        _: &mut Session,
        exchange: &mut Exchange,
    ) -> Result<Box<HttpPeer>> {
        let (Stage::Routed(_, address) | Stage::Answered(_, address)) = exchange.stage else {
            return Error::e_explain(
                ErrorType::InternalError,
                "pingora asks for an endpoint after the session was settled",
            );
        };
        let mut peer = HttpPeer::new(address, false, String::new());
        // The longest that a client waits for a dead endpoint before the next one is tried.
        peer.options.connection_timeout = Some(Duration::from_secs(1));
        Ok(Box::new(peer))
    }

    fn fail_to_connect(
        &self,
        _: &mut Session,
        _: &HttpPeer,
        exchange: &mut Exchange,
        mut e: Box<Error>,
    ) -> Box<Error> {
        e.set_retry(false);
        exchange.stage = match mem::take(&mut exchange.stage) {
            Stage::Routed(attempt, _) if is_passive_failure(&e.etype) => {
                match self.affinity.failover(attempt, &exchange.pools) {
                    Ok((next, address)) => {
                        e.set_retry(true);
                        Stage::Routed(next, *address)
                    }
                    Err(gave_up) => Stage::Over(gave_up.outcome()),
                }
            }
            other => other,
        };
        e
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        request: &mut RequestHeader,
        _: &mut Exchange,
    ) -> Result<()> {
        match self.affinity.cookie_name() {
            Some(name) => fields::strip(name, request),
            None => Ok(()),
        }
    }

    /// Runs before a response is cached, so the cookie is not set here: every client would get it.
    async fn upstream_response_filter(
        &self,
        _: &mut Session,
        response: &mut ResponseHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        let is_early = response.status.is_informational()
            && response.status != StatusCode::SWITCHING_PROTOCOLS;
        if !is_early {
            exchange.stage = match mem::take(&mut exchange.stage) {
                Stage::Routed(attempt, address) => Stage::Answered(attempt, address),
                other => other,
            };
        }
        Ok(())
    }

    fn response_cache_filter(
        &self,
        session: &Session,
        response: &ResponseHeader,
        _: &mut Exchange,
    ) -> Result<RespCacheable> {
        // A response that sets a cookie is for one client only, whatever its other fields allow.
        if response.headers.contains_key(SET_COOKIE) {
            return Ok(Uncacheable(NoCacheReason::OriginNotCache));
        }
        let is_authorized = session.req_header().headers.contains_key(AUTHORIZATION);
        let control = CacheControl::from_resp_headers(response);
        Ok(resp_cacheable(control.as_ref(), response.clone(), is_authorized, &CACHED))
    }

    /// Also runs for 103, where the response is still to come, and for a response from the cache,
    /// where no endpoint has answered: neither settles.
    async fn response_filter(
        &self,
        _: &mut Session,
        response: &mut ResponseHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        exchange.stage = match mem::take(&mut exchange.stage) {
            Stage::Answered(attempt, _) => {
                let outcome = attempt.outcome();
                fields::apply(self.affinity.settle(attempt, &exchange.pools), response)?;
                Stage::Over(outcome)
            }
            other => other,
        };
        Ok(())
    }

    async fn logging(&self, session: &mut Session, e: Option<&Error>, exchange: &mut Exchange) {
        let is_upstreams = e.is_some_and(|e| *e.esource() == ErrorSource::Upstream);
        let outcome = match mem::take(&mut exchange.stage) {
            Stage::Over(outcome) => outcome.label(),
            // The endpoint broke off.
            Stage::Routed(attempt, _) | Stage::Answered(attempt, _) if is_upstreams => {
                attempt.give_up().outcome().label()
            }
            // Served from the cache, refused by pingora, or the client has left.
            Stage::Unrouted | Stage::Routed(..) | Stage::Answered(..) => "-",
        };
        let status = session.response_written().map_or(0, |response| response.status.as_u16());
        let client = session.client_addr().map_or_else(String::new, ToString::to_string);
        log::info!(target: "access", "{client} {} {status} {outcome}", session.req_header().uri.path());
    }
}

/// Returns whether no connection could be made. A failure on the proxy's side (no socket, no port)
/// does not count: it says nothing about the endpoint, and another one would not help.
fn is_passive_failure(error: &ErrorType) -> bool {
    use ErrorType::*;
    let tcp = matches!(error, ConnectTimedout | ConnectRefused | ConnectNoRoute | ConnectError);
    let tls =
        matches!(error, TLSHandshakeFailure | TLSHandshakeTimedout | InvalidCert | HandshakeError);
    tcp || tls
}
