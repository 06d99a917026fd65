//! Sticky sessions in a pingora proxy: the four verbs, each in the callback where it belongs.
//!
//! ```text
//! request_filter ──────────── recall, the store, route; 503 when it has no endpoint
//!   (the cache: a hit goes straight to response_filter)
//! upstream_peer ───────────── the endpoint of this attempt ◀─────┐
//! fail_to_connect ─────────── failover: the next endpoint ───────┘ or 502
//! upstream_request_filter ─── the affinity cookie is removed
//! upstream_response_filter ── an endpoint has answered
//! response_filter ─────────── settle: Set-Cookie, after the cache; the write for the store
//! logging ─────────────────── the outcome
//! ```
//!
//! The context of a request is a [`Flow`], which knows the step that is due: it settles once, and
//! only after an endpoint has answered. Building pingora needs cmake and a C compiler, for the
//! zlib-ng that it compresses with (Debian: `apt-get install cmake gcc`).

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use async_trait::async_trait;
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
use session_affinity::callbacks::Flow;
use session_affinity::cookies::FieldChange;
use session_affinity::{
    Affinity, MemoryStore, Pools, RequestMeta, ResponseMeta, Scheme, SessionStore,
};

/// Caches a response for as long as its own fields allow, and not at all without such fields.
const CACHED: CacheMetaDefaults = CacheMetaDefaults::new(|_| None, 0, 0);

/// A reverse proxy whose clients come back to their endpoints.
pub struct StickyProxy {
    /// The policy, with its key.
    pub affinity: Affinity,
    /// The current snapshot. Health checks store the next one here.
    pub pools: Arc<ArcSwap<Pools<SocketAddr>>>,
    /// The sessions of the policy `header`. The other policies have none to look up.
    pub store: MemoryStore,
    /// The cache of pingora in memory: enough to show the treatment of cookies, not for production.
    pub cache: Option<&'static MemCache>,
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
    type CTX = Flow<SocketAddr>;

    fn new_ctx(&self) -> Flow<SocketAddr> {
        Flow::default()
    }

    async fn request_filter(
        &self,
        session: &mut Session,
        flow: &mut Flow<SocketAddr>,
    ) -> Result<bool> {
        let is_https = session.digest().is_some_and(|digest| digest.ssl_digest.is_some());
        let scheme = if is_https { Scheme::Https } else { Scheme::Http };
        let peer = session.client_addr().and_then(|peer| peer.as_inet());
        let request = RequestMeta::new(&session.req_header().headers, scheme)
            .with_client_ip(peer.map(SocketAddr::ip));
        let visit = self.affinity.recall(&request, SystemTime::now().into());
        // `RedisStore` has the same two methods, `record` and `commit`, to be awaited.
        let record = self.store.record(visit.lookup());
        // The random bits only spread new sessions: the keys of a new RandomState are good enough.
        let entropy = || RandomState::new().hash_one(());
        let routed = flow.route(&self.affinity, visit, record, self.pools.load_full(), entropy);
        let Err(no_route) = routed else { return Ok(false) };
        session.respond_error(no_route.status().as_u16()).await?;
        Ok(true)
    }

    fn request_cache_filter(&self, session: &mut Session, _: &mut Flow<SocketAddr>) -> Result<()> {
        if let Some(storage) = self.cache.filter(|_| request_cacheable(session.req_header())) {
            session.cache.enable(storage, None, None, None, None);
        }
        Ok(())
    }

    fn cache_key_callback(&self, session: &Session, _: &mut Flow<SocketAddr>) -> Result<CacheKey> {
        let request = session.req_header();
        let host = request.headers.get(HOST).map_or(&b""[..], |host| host.as_bytes());
        Ok(CacheKey::new([host, b"\0", request.raw_path()].concat(), ""))
    }

    /// Runs for each attempt: again after `fail_to_connect` with the next endpoint, and with the
    /// same one after a kept connection that turned out dead (pingora's own rule).
    async fn upstream_peer(
        &self,
        _: &mut Session,
        flow: &mut Flow<SocketAddr>,
    ) -> Result<Box<HttpPeer>> {
        let Some(address) = flow.target() else {
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
        flow: &mut Flow<SocketAddr>,
        mut e: Box<Error>,
    ) -> Box<Error> {
        e.set_retry(is_passive_failure(&e.etype) && flow.failover(&self.affinity).is_some());
        e
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        request: &mut RequestHeader,
        _: &mut Flow<SocketAddr>,
    ) -> Result<()> {
        for change in self.affinity.strip_changes(&request.headers) {
            match change {
                FieldChange::Remove(name) => drop(request.remove_header(&name)),
                FieldChange::Append(name, value) => drop(request.append_header(name, value)?),
            }
        }
        Ok(())
    }

    /// Runs before a response is cached, so the cookie is not set here: every client would get it.
    /// A cookie of our name that an endpoint sets goes, or it would take the place of ours.
    async fn upstream_response_filter(
        &self,
        _: &mut Session,
        response: &mut ResponseHeader,
        flow: &mut Flow<SocketAddr>,
    ) -> Result<()> {
        for change in self.affinity.strip_response_changes(&response.headers) {
            match change {
                FieldChange::Remove(name) => drop(response.remove_header(&name)),
                FieldChange::Append(name, value) => drop(response.append_header(name, value)?),
            }
        }
        flow.answered(response.status);
        Ok(())
    }

    fn response_cache_filter(
        &self,
        session: &Session,
        response: &ResponseHeader,
        _: &mut Flow<SocketAddr>,
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
        flow: &mut Flow<SocketAddr>,
    ) -> Result<()> {
        let meta = ResponseMeta::new(response.status, &response.headers);
        let settlement = flow.settle_response(&self.affinity, meta);
        let (changes, write) = settlement.changes(&response.headers);
        for change in changes {
            match change {
                FieldChange::Remove(name) => drop(response.remove_header(&name)),
                FieldChange::Append(name, value) => drop(response.append_header(name, value)?),
            }
        }
        let Ok(()) = self.store.commit(write); // a store in memory has no errors
        Ok(())
    }

    async fn logging(&self, session: &mut Session, e: Option<&Error>, flow: &mut Flow<SocketAddr>) {
        if e.is_some_and(|e| *e.esource() == ErrorSource::Upstream) {
            flow.broke_off();
        }
        // Without an outcome: served from the cache, refused by pingora, or the client has left.
        let outcome = flow.outcome().map_or("-", |outcome| outcome.label());
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
