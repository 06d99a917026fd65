//! Sticky sessions in a pingora proxy: the four verbs, each in the callback where it belongs.
//!
//! ```text
//! request_filter ──────────── recall, route; 503 when there is no endpoint
//!   (the cache: a hit goes straight to response_filter)
//! upstream_peer ───────────── where this attempt goes  ◀─────────┐
//! fail_to_connect ─────────── failover: the next endpoint ───────┘ or 502
//! upstream_request_filter ─── our cookie is taken out
//! upstream_response_filter ── an endpoint has answered
//! response_filter ─────────── settle: Set-Cookie, after the cache
//! logging ─────────────────── what became of the session
//! ```
//!
//! The attempt waits in the request's context, and settling moves it out: once, and only after
//! an endpoint has answered.

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

/// Responses are cached for as long as they say, and not at all when they say nothing.
const CACHED: CacheMetaDefaults = CacheMetaDefaults::new(|_| None, 0, 0);

/// A reverse proxy whose clients come back to their endpoints.
pub struct StickyProxy {
    pub affinity: Affinity<CookiePolicy>,
    /// Whoever checks the endpoints' health stores the next snapshot here.
    pub pools: Arc<ArcSwap<Pools<SocketAddr>>>,
    /// pingora's cache in memory: enough to show what becomes of cookies, not for production.
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
    /// This endpoint is asked.
    Routed(Attempt),
    /// It has answered, and the client has not been told.
    Answered(Attempt),
    Over(Outcome),
}

/// A server of that proxy; `run_forever` starts it.
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
        let visit = self.affinity.recall(
            &RequestMeta {
                headers: &session.req_header().headers,
                client_ip: session
                    .client_addr()
                    .and_then(|peer| peer.as_inet())
                    .map(SocketAddr::ip),
                scheme: if is_https { Scheme::Https } else { Scheme::Http },
            },
            SystemTime::now().into(),
        );
        // The random bits only spread new sessions: the keys of a new RandomState are good enough.
        let entropy = || RandomState::new().hash_one(());
        match self.affinity.route(visit, Record::Absent, &exchange.pools, entropy) {
            Ok(attempt) => {
                exchange.stage = Stage::Routed(attempt);
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

    /// Runs again for each attempt: after `fail_to_connect` with the next endpoint, and with the
    /// same one after a kept connection that turned out dead (pingora's own rule).
    async fn upstream_peer(
        &self,
        _: &mut Session,
        exchange: &mut Exchange,
    ) -> Result<Box<HttpPeer>> {
        let (Stage::Routed(attempt) | Stage::Answered(attempt)) = &exchange.stage else {
            return Error::e_explain(
                ErrorType::InternalError,
                "an endpoint is asked for when the session is settled",
            );
        };
        let Some(address) = exchange.pools.target(attempt.endpoint()) else {
            return Error::e_explain(ErrorType::InternalError, "an endpoint of another snapshot");
        };
        let mut peer = HttpPeer::new(*address, false, String::new());
        // This long a client waits for a dead endpoint, before it gets the next one.
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
            Stage::Routed(attempt) if is_passive_failure(&e.etype) => {
                match self.affinity.failover(attempt, &exchange.pools) {
                    Ok(next) => {
                        e.set_retry(true);
                        Stage::Routed(next)
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
            Some(ours) => fields::strip(ours, request),
            None => Ok(()),
        }
    }

    /// Runs before a response is cached, so the cookie is not set here: everybody would get it.
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
                Stage::Routed(attempt) => Stage::Answered(attempt),
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
        // What an endpoint tells one client is not for the others, whatever else it says.
        if response.headers.contains_key(SET_COOKIE) {
            return Ok(Uncacheable(NoCacheReason::OriginNotCache));
        }
        let is_authorized = session.req_header().headers.contains_key(AUTHORIZATION);
        let control = CacheControl::from_resp_headers(response);
        Ok(resp_cacheable(control.as_ref(), response.clone(), is_authorized, &CACHED))
    }

    /// Also runs for 103, where the response is still to come, and for what comes from the cache,
    /// where no endpoint has answered: neither settles.
    async fn response_filter(
        &self,
        _: &mut Session,
        response: &mut ResponseHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        exchange.stage = match mem::take(&mut exchange.stage) {
            Stage::Answered(attempt) => {
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
            Stage::Routed(attempt) | Stage::Answered(attempt) if is_upstreams => {
                attempt.give_up().outcome().label()
            }
            // Served from the cache, refused by pingora, or the client has left.
            Stage::Unrouted | Stage::Routed(_) | Stage::Answered(_) => "-",
        };
        let status = session.response_written().map_or(0, |response| response.status.as_u16());
        let client = session.client_addr().map_or_else(String::new, ToString::to_string);
        log::info!(target: "access", "{client} {} {status} {outcome}", session.req_header().uri.path());
    }
}

/// Whether no connection could be made. What goes wrong on our side (no socket, no port) says
/// nothing about the endpoint; another one would not help.
fn is_passive_failure(error: &ErrorType) -> bool {
    use ErrorType::*;
    let unconnected =
        matches!(error, ConnectTimedout | ConnectRefused | ConnectNoRoute | ConnectError);
    unconnected
        || matches!(
            error,
            TLSHandshakeFailure | TLSHandshakeTimedout | InvalidCert | HandshakeError
        )
}
