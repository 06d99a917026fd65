//! The tower layer: the requests that the inner service gets, the response to the client, and the
//! endpoint that is asked next.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use http::header::{CACHE_CONTROL, COOKIE, SET_COOKIE};
use http::request::{Parts, Request};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use session_affinity::carrier::IssuedHeader;
use session_affinity::exchange::{Failed, Refused};
use session_affinity::layer::{AffinityLayer, AffinityService, Client, Gateway, Routed, Site};
use session_affinity::outcome::Lost;
use session_affinity::store::{AnyStore, AsyncSessionStore, Lookup, WriteKind};
use session_affinity::*;
use tower::{Layer, Service, ServiceExt};

mod support;
use support::{NOW, cookie_policy, header, pools};

/// A body that can be neither copied nor made a second time.
#[derive(Debug, PartialEq)]
struct Once(&'static str);

type Answer = Result<Response<String>, Refused<Error>>;

/// A gateway whose clock and dice are set by hand.
struct Bench {
    affinity: ArcSwap<Affinity>,
    pools: ArcSwap<Pools<&'static str>>,
    client: Client,
    now: AtomicU64,
    drawn: AtomicU64,
    store: Option<MemoryStore>,
    /// The calls of the store, in order: `load`, or the name of a write.
    asked: Mutex<Vec<&'static str>>,
}

impl Bench {
    fn new(affinity: Affinity) -> Self {
        Self {
            affinity: ArcSwap::from_pointee(affinity),
            pools: ArcSwap::from_pointee(pools(&["eu-1", "eu-2", "eu-3"])),
            client: Client::default(),
            now: AtomicU64::new(NOW.as_secs()),
            drawn: AtomicU64::new(0),
            store: None,
            asked: Mutex::default(),
        }
    }

    fn cookie(mode: FailoverMode) -> Self {
        Self::new(affinity(cookie_policy()).with_failover_mode(mode).unwrap())
    }

    fn header(mode: FailoverMode, store: Option<MemoryStore>) -> Self {
        Self { store, ..Self::new(affinity(header()).with_failover_mode(mode).unwrap()) }
    }

    fn set_health(&self, name: &str, health: Health) {
        let id = EndpointId::new("eu", name);
        let pools = self.pools.load().edited(|edit| edit.health(id, health)).unwrap();
        self.pools.store(Arc::new(pools));
    }
}

fn affinity(policy: impl AffinityPolicy + 'static) -> Affinity {
    Affinity::new(Box::new(policy))
}

impl Gateway for Bench {
    type Policy = Box<dyn AffinityPolicy>;
    type Target = &'static str;
    type Store = Self;

    fn affinity(&self) -> Arc<Affinity<Self::Policy>> {
        self.affinity.load_full()
    }

    fn pools(&self) -> Arc<Pools<&'static str>> {
        self.pools.load_full()
    }

    fn client(&self, head: &Parts) -> Client {
        let ip = head.headers.get("x-real-ip").map(|ip| ip.to_str().unwrap().parse().unwrap());
        Client { client_ip: ip.or(self.client.client_ip), ..self.client }
    }

    fn now(&self) -> UnixTime {
        UnixTime::from_secs(self.now.load(SeqCst))
    }

    fn entropy(&self) -> u64 {
        self.drawn.fetch_add(1, SeqCst)
    }

    fn store(&self) -> &Self {
        self
    }
}

impl AsyncSessionStore for Bench {
    async fn record(&self, lookup: Option<Lookup>) -> Record {
        if lookup.is_some() {
            self.asked.lock().unwrap().push("load");
        }
        match &self.store {
            Some(store) => store.record(lookup),
            None => Record::Unreachable,
        }
    }

    async fn commit(&self, write: Option<StoreWrite>) {
        let Some(write) = write else { return };
        self.asked.lock().unwrap().push(match write.kind {
            WriteKind::Create(_) => "create",
            WriteKind::Replace(_) => "replace",
            WriteKind::Touch => "touch",
            WriteKind::Remove => "remove",
        });
        if let Some(store) = &self.store {
            store.save(&write).unwrap();
        }
    }
}

/// The answer of an endpoint to a request.
#[derive(Clone, Copy, Debug)]
enum Does {
    Answer(u16),
    Refuse,
    BreakOff,
}

/// The endpoints: what they were sent, and what they do next (by default, answer).
#[derive(Default)]
struct Endpoints {
    seen: Mutex<Vec<(&'static str, HeaderMap, Once)>>,
    script: Mutex<VecDeque<Does>>,
}

/// The inner service. It panics when it is called without having been asked whether it is ready.
struct Forward {
    endpoints: Arc<Endpoints>,
    is_ready: AtomicBool,
}

impl Clone for Forward {
    fn clone(&self) -> Self {
        Self { endpoints: self.endpoints.clone(), is_ready: false.into() }
    }
}

impl Service<Request<Once>> for Forward {
    type Response = Response<String>;
    type Error = Failed<Once, Error>;
    type Future = Ready<Result<Response<String>, Failed<Once, Error>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.is_ready.store(true, SeqCst);
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Once>) -> Self::Future {
        assert!(self.is_ready.swap(false, SeqCst), "called without being ready");
        let routed =
            *request.extensions().get::<Routed<&'static str>>().expect("a place to send it to");
        assert_eq!(routed.endpoint, EndpointId::new("eu", routed.target));
        let does = self.endpoints.script.lock().unwrap().pop_front().unwrap_or(Does::Answer(200));
        let seen = |body| {
            self.endpoints.seen.lock().unwrap().push((
                routed.target,
                request.headers().clone(),
                body,
            ))
        };
        ready(match does {
            Does::Answer(status) => {
                let headers = request.headers().clone();
                self.endpoints.seen.lock().unwrap().push((
                    routed.target,
                    headers,
                    request.into_body(),
                ));
                Ok(Response::builder().status(status).body(routed.target.to_owned()).unwrap())
            }
            Does::Refuse => {
                seen(Once("not sent"));
                Err(Failed::Unconnected(Box::new(request)))
            }
            Does::BreakOff => {
                seen(Once("half sent"));
                Err(Failed::BrokeOff(Error::other("reset")))
            }
        })
    }
}

/// A proxy of the layer, and the client that keeps its cookie.
struct Proxy {
    service: AffinityService<Bench, Forward>,
    gateway: Arc<Bench>,
    endpoints: Arc<Endpoints>,
}

impl Proxy {
    fn new(bench: Bench) -> Self {
        let (gateway, endpoints) = (Arc::new(bench), Arc::new(Endpoints::default()));
        let forward = Forward { endpoints: endpoints.clone(), is_ready: false.into() };
        Self { service: AffinityLayer::new(gateway.clone()).layer(forward), gateway, endpoints }
    }

    /// The endpoints do this from now on, one after the other.
    fn script(&self, does: &[Does]) {
        *self.endpoints.script.lock().unwrap() = does.iter().copied().collect();
    }

    #[track_caller]
    fn send(&self, headers: &[(&'static str, &str)]) -> Answer {
        let mut request = Request::new(Once("the body"));
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(self.service.clone().oneshot(request))
    }

    /// The endpoints that were asked since the last time, in order.
    fn asked(&self) -> Vec<&'static str> {
        self.endpoints.seen.lock().unwrap().drain(..).map(|(name, ..)| name).collect()
    }
}

fn set_cookie(response: &Response<String>) -> Option<String> {
    let line = response.headers().get(SET_COOKIE)?.to_str().unwrap();
    Some(line.split(';').next().unwrap().to_owned())
}

fn label(response: &Response<String>) -> &'static str {
    label_of(response)
}

fn label_of<B>(response: &Response<B>) -> &'static str {
    response.extensions().get::<Trace>().expect("a trace").outcome().label()
}

#[test]
fn a_session_is_created_and_then_kept() {
    let proxy = Proxy::new(Bench::cookie(FailoverMode::None));
    let created = proxy.send(&[]).unwrap();
    assert_eq!(label(&created), "created:no_cookie");
    assert_eq!(created.headers()[CACHE_CONTROL], "private");
    let (cookie, endpoint) = (set_cookie(&created).unwrap(), created.into_body());
    for _ in 0..20 {
        let kept = proxy.send(&[("cookie", &cookie)]).unwrap();
        assert_eq!(
            (label(&kept), set_cookie(&kept), kept.into_body()),
            ("kept", None, endpoint.clone())
        );
    }
    assert_eq!(proxy.gateway.drawn.load(SeqCst), 1, "a live session draws nothing");
}

#[test]
fn our_cookie_does_not_go_upstream_and_others_do() {
    let proxy = Proxy::new(Bench::cookie(FailoverMode::Sticky));
    let cookie = set_cookie(&proxy.send(&[]).unwrap()).unwrap();
    proxy.script(&[Does::Refuse, Does::Answer(200)]);
    proxy.send(&[("cookie", &format!("a=1; {cookie}; b=2")), ("x-other", "stays")]).unwrap();
    for (name, headers, _) in proxy.endpoints.seen.lock().unwrap().iter().skip(1) {
        assert_eq!(headers.get(COOKIE).unwrap(), "a=1; b=2", "{name}");
        assert_eq!(headers["x-other"], "stays", "{name}");
    }
}

/// manual::tables, A failed connection: "give up; the pin stays", "lend: the next one serves this
/// once; the pin stays", "rebind: pin it to the next one, if that answers".
#[test]
fn a_connection_that_cannot_be_made_goes_by_the_failover_table() {
    for mode in [FailoverMode::None, FailoverMode::Temporary, FailoverMode::Sticky] {
        let proxy = Proxy::new(Bench::cookie(mode));
        let created = proxy.send(&[]).unwrap();
        let (cookie, home) = (set_cookie(&created).unwrap(), created.into_body());
        proxy.asked();
        proxy.script(&[Does::Refuse]);
        let answer = proxy.send(&[("cookie", &cookie)]);
        let asked = proxy.asked();
        assert_eq!(asked[0], home);
        let after = |cookie: &str| proxy.send(&[("cookie", cookie)]).unwrap().into_body();
        match mode {
            FailoverMode::None => {
                let refused = answer.unwrap_err();
                assert!(matches!(refused, Refused::GaveUp(_)), "{refused:?}");
                assert_eq!((asked.len(), after(&cookie)), (1, home));
            }
            FailoverMode::Temporary => {
                let lent = answer.unwrap();
                assert_eq!((label(&lent), set_cookie(&lent)), ("lent:connect_failed", None));
                assert_eq!(asked[1], lent.body());
                assert_ne!(lent.body(), &home);
                assert_eq!(after(&cookie), home);
            }
            FailoverMode::Sticky => {
                let moved = answer.unwrap();
                assert_eq!(label(&moved), "moved:connect_failed");
                assert_ne!(moved.body(), &home);
                let moved_cookie = set_cookie(&moved).unwrap();
                assert_eq!(after(&moved_cookie), *moved.body());
                assert_eq!(
                    moved.headers().get_all(SET_COOKIE).iter().count(),
                    1,
                    "no cookie names one that refused"
                );
            }
        }
    }
}

#[test]
fn the_next_endpoint_gets_the_request_whole() {
    let proxy = Proxy::new(Bench::cookie(FailoverMode::None));
    proxy.script(&[Does::Refuse]);
    let response = proxy.send(&[("x-other", "stays")]).unwrap();
    assert_eq!(label(&response), "created:connect_failed");
    let seen = proxy.endpoints.seen.lock().unwrap();
    let (name, headers, body) = &seen[1];
    assert_eq!(
        (*name, &headers["x-other"], body),
        (response.body().as_str(), &HeaderValue::from_static("stays"), &Once("the body"))
    );
    assert_ne!(seen[0].0, *name);
}

#[test]
fn an_endpoint_that_broke_off_is_the_last_that_is_asked() {
    let proxy = Proxy::new(Bench::cookie(FailoverMode::Sticky));
    proxy.script(&[Does::BreakOff]);
    let refused = proxy.send(&[]).unwrap_err();
    assert_eq!(proxy.asked().len(), 1);
    assert_eq!(refused.to_string(), "the endpoint broke off: reset");
    assert_eq!(
        (refused.status(), refused.outcome()),
        (StatusCode::BAD_GATEWAY, Some(Outcome::GaveUp))
    );
}

#[test]
fn retries_end_with_gave_up() {
    let proxy = Proxy::new(Bench::cookie(FailoverMode::Sticky));
    proxy.script(&[Does::Refuse; 9]);
    let refused = proxy.send(&[]).unwrap_err();
    assert_eq!(proxy.asked().len(), 2, "one retry by default");
    assert_eq!(refused.to_string(), "gave up: none of the tried endpoints answered");
    let response: Response<String> = refused.into_response();
    assert_eq!((response.status(), label(&response)), (StatusCode::BAD_GATEWAY, "gave_up"));
    assert!(response.headers().is_empty() && response.body().is_empty());
}

#[test]
fn without_an_endpoint_nobody_is_asked() {
    let proxy = Proxy::new(Bench::cookie(FailoverMode::Sticky));
    for name in ["eu-1", "eu-2", "eu-3"] {
        proxy.gateway.set_health(name, Health::Unhealthy);
    }
    let refused = proxy.send(&[]).unwrap_err();
    assert!(proxy.asked().is_empty());
    assert_eq!(
        refused.to_string(),
        "no endpoint to try: no pool is open, and no fallback pool has an enabled endpoint"
    );
    let response: Response<String> = refused.into_response();
    assert_eq!(
        (response.status(), label(&response)),
        (StatusCode::SERVICE_UNAVAILABLE, "no_endpoint")
    );
    assert!(response.headers().is_empty() && response.body().is_empty());
}

/// manual::caching, Which responses: "final, of any other status, errors of the endpoint included |
/// yes", "304 Not Modified | no", "101 Switching Protocols | yes", "100, 102, 103 Early Hints | no".
#[test]
fn final_responses_other_than_304_and_101_carry_the_cookie() {
    for (status, settles, carries) in [
        (100, false, false),
        (101, true, true),
        (102, false, false),
        (103, false, false),
        (200, true, true),
        (304, true, false),
        (503, true, true),
    ] {
        let proxy = Proxy::new(Bench::cookie(FailoverMode::None));
        proxy.script(&[Does::Answer(status)]);
        let response = proxy.send(&[]).unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(set_cookie(&response).is_some(), carries, "{status}");
        assert_eq!(response.extensions().get::<Trace>().is_some(), settles, "{status}");
    }
}

/// What it shares with the exchange is in `carrier.rs`.
#[test]
fn a_header_is_issued_read_and_kept_from_the_endpoint() {
    let name = IssuedHeader::new("x-session-affinity").unwrap();
    let policy = CookiePolicy::in_header(&support::shop(), &support::keyring(), name);
    let proxy = Proxy::new(Bench::new(affinity(policy)));
    let created = proxy.send(&[]).unwrap();
    assert_eq!((label(&created), set_cookie(&created)), ("created:no_header", None));
    let token = created.headers()["x-session-affinity"].to_str().unwrap().to_owned();
    let kept = proxy.send(&[("x-session-affinity", &token)]).unwrap();
    assert_eq!((label(&kept), kept.headers().len()), ("kept", 0));
    assert_eq!(kept.body(), created.body());
    for (_, headers, _) in proxy.endpoints.seen.lock().unwrap().iter() {
        assert!(headers.is_empty(), "{headers:?}");
    }
}

#[test]
fn a_header_session_is_kept_in_the_store_that_the_gateway_has() {
    let store = MemoryStore::new(100).unwrap();
    let proxy = Proxy::new(Bench::header(FailoverMode::None, Some(store)));
    let created = proxy.send(&[("x-user", "ada")]).unwrap();
    assert_eq!((label(&created), set_cookie(&created)), ("created:no_record", None));
    let home = created.into_body();
    proxy.gateway.set_health(name(&home), Health::Unhealthy);
    let moved = proxy.send(&[("x-user", "ada")]).unwrap();
    assert_eq!(label(&moved), "moved:unhealthy");
    proxy.gateway.set_health(name(&home), Health::Healthy);
    let kept = proxy.send(&[("x-user", "ada")]).unwrap();
    assert_eq!((label(&kept), kept.body()), ("kept", moved.body()), "the move is remembered");
    assert_eq!(label(&proxy.send(&[]).unwrap()), "unbound");
}

#[test]
fn the_store_is_read_for_a_session_of_its_own_and_written_only_when_an_endpoint_answers() {
    let store = MemoryStore::new(100).unwrap();
    let proxy = Proxy::new(Bench::header(FailoverMode::Temporary, Some(store)));
    let asked = |headers: &[(&'static str, &str)], does: &[Does]| {
        proxy.script(does);
        let _ = proxy.send(headers);
        proxy.gateway.asked.lock().unwrap().split_off(0)
    };
    let ada: &[(&str, &str)] = &[("x-user", "ada")];
    assert!(asked(&[], &[]).is_empty(), "no session, no store");
    assert_eq!(asked(ada, &[Does::Refuse, Does::Refuse]), ["load"]);
    assert_eq!(asked(ada, &[Does::BreakOff]), ["load"]);
    assert_eq!(asked(ada, &[Does::Answer(103)]), ["load"]);
    assert_eq!(asked(ada, &[Does::Answer(200)]), ["load", "create"]);
    assert_eq!(asked(ada, &[Does::Refuse, Does::Answer(200)]), ["load", "touch"]);
    for name in ["eu-1", "eu-2", "eu-3"] {
        proxy.gateway.set_health(name, Health::Unhealthy);
    }
    assert_eq!(asked(ada, &[]), ["load"]);

    let proxy = Proxy::new(Bench::cookie(FailoverMode::Sticky));
    let cookie = set_cookie(&proxy.send(&[]).unwrap()).unwrap();
    proxy.send(&[("cookie", &cookie)]).unwrap();
    assert!(proxy.gateway.asked.lock().unwrap().is_empty(), "a cookie needs no store");
}

#[test]
fn a_store_out_of_reach_costs_the_memory_and_not_the_request() {
    let proxy = Proxy::new(Bench::header(FailoverMode::None, None));
    let first = proxy.send(&[("x-user", "ada")]).unwrap();
    assert_eq!(label(&first), "created:store_unreachable");
    assert_eq!(proxy.send(&[("x-user", "ada")]).unwrap().body(), first.body(), "the stable choice");
}

/// Snapshots of keys and health count from the next request on.
#[test]
fn keys_and_health_are_asked_for_with_each_request() {
    let proxy = Proxy::new(Bench::cookie(FailoverMode::None));
    let created = proxy.send(&[]).unwrap();
    let cookie = set_cookie(&created).unwrap();
    proxy.gateway.set_health(name(created.body()), Health::Unhealthy);
    let moved = proxy.send(&[("cookie", &cookie)]).unwrap();
    assert_eq!(label(&moved), "moved:unhealthy");
    let cookie = set_cookie(&moved).unwrap();

    let rotated = affinity(support::cookie(&Keyring::from(support::key(2))));
    proxy.gateway.affinity.store(Arc::new(rotated));
    assert_eq!(label(&proxy.send(&[("cookie", &cookie)]).unwrap()), "created:unknown_key");
}

#[test]
fn the_time_is_the_gateways() {
    let proxy = Proxy::new(Bench::cookie(FailoverMode::None));
    let cookie = set_cookie(&proxy.send(&[]).unwrap()).unwrap();
    proxy.gateway.now.fetch_add(82_799, SeqCst);
    assert_eq!(label(&proxy.send(&[("cookie", &cookie)]).unwrap()), "kept");
    proxy.gateway.now.fetch_add(1, SeqCst);
    assert_eq!(label(&proxy.send(&[("cookie", &cookie)]).unwrap()), "created:expired");
}

#[test]
fn the_client_is_whom_the_gateway_takes_it_for() {
    let bench = Bench::new(affinity(IpCookiePolicy::new(cookie_policy())));
    let client = Client { client_ip: None, scheme: Scheme::Https };
    let proxy = Proxy::new(Bench { client, ..bench });
    let response = proxy.send(&[("x-real-ip", "192.0.2.7")]).unwrap();
    assert!(response.headers()[SET_COOKIE].to_str().unwrap().contains("; Secure"));
    for _ in 0..20 {
        assert_eq!(proxy.send(&[("x-real-ip", "192.0.2.7")]).unwrap().body(), response.body());
    }
    assert_eq!(proxy.gateway.drawn.load(SeqCst), 0, "the address decides");
}

/// A gateway that says no more than it must.
struct Plain(Arc<Affinity<HeaderPolicy>>, Arc<Pools<()>>, AnyStore);

impl Gateway for Plain {
    type Policy = HeaderPolicy;
    type Target = ();
    type Store = AnyStore;

    fn store(&self) -> &AnyStore {
        &self.2
    }

    fn affinity(&self) -> Arc<Affinity<HeaderPolicy>> {
        self.0.clone()
    }

    fn pools(&self) -> Arc<Pools<()>> {
        self.1.clone()
    }

    fn client(&self, _: &Parts) -> Client {
        Client::default()
    }
}

#[test]
fn a_gateway_that_says_no_more_than_it_must_has_the_systems_time() {
    let pool = Pool::new("eu").with_endpoint(Endpoint::new("eu-1", ()));
    let plain = Plain(
        Arc::new(Affinity::new(header())),
        Arc::new(Pools::builder().pool(pool).build().unwrap()),
        AnyStore::none(),
    );

    let before = UnixTime::from(std::time::SystemTime::now());
    let now = plain.now();
    assert!(before <= now && now <= before.saturating_add(60));
    let drawn: std::collections::HashSet<u64> = (0..1_000).map(|_| plain.entropy()).collect();
    assert_eq!(drawn.len(), 1_000);
    // Every bit is a coin: within 6 standard deviations of 500 in 1 000.
    for bit in 0..64 {
        let ones = drawn.iter().filter(|number| *number >> bit & 1 == 1).count();
        assert!((405..=595).contains(&ones), "bit {bit} is set {ones} times of 1000");
    }

    let inner = tower::service_fn(async |_: Request<()>| {
        Ok::<_, Failed<(), Infallible>>(Response::new(()))
    });
    let service = AffinityLayer::new(Arc::new(plain)).layer(inner);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for _ in 0..2 {
        let request = Request::builder().header("x-user", "ada").body(()).unwrap();
        let response = runtime.block_on(service.clone().oneshot(request)).unwrap();
        assert_eq!(label_of(&response), "created:no_record");
    }
}

/// In debug builds; in release builds the session is created again by every request.
#[cfg(debug_assertions)]
#[test]
fn a_site_without_a_store_finds_out_that_a_header_session_needs_one() {
    let serve = |site: Site<&'static str, HeaderPolicy>| {
        let inner = tower::service_fn(async |_: Request<()>| {
            Ok::<_, Failed<(), Infallible>>(Response::new(()))
        });
        let service = AffinityLayer::new(Arc::new(site)).layer(inner);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let request = Request::builder().header("x-user", "ada").body(()).unwrap();
        let served = std::panic::AssertUnwindSafe(|| runtime.block_on(service.oneshot(request)));
        std::panic::catch_unwind(served).map(|response| label_of(&response.unwrap()))
    };
    let site = || Site::new(Affinity::new(header()), pools(&["eu-1"]));
    assert!(serve(site()).is_err());
    assert_eq!(serve(site().with_store(AnyStore::none())).unwrap(), "created:no_record");
    let memory = MemoryStore::new(10).unwrap();
    assert_eq!(serve(site().with_store(memory)).unwrap(), "created:no_record");
}

/// Is never ready.
#[derive(Clone)]
struct Broken;

impl Service<Request<()>> for Broken {
    type Response = Response<()>;
    type Error = Failed<(), Error>;
    type Future = Ready<Result<Response<()>, Failed<(), Error>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Err(Failed::BrokeOff(Error::other("shut down"))))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        panic!("called without being ready");
    }
}

#[test]
fn an_inner_service_that_fails_before_it_is_called_is_not_called() {
    let mut service =
        AffinityLayer::new(Arc::new(Bench::cookie(FailoverMode::Sticky))).layer(Broken);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let refused = runtime.block_on(async { service.ready().await.map(|_| ()).unwrap_err() });
    assert_eq!(refused.to_string(), "the endpoint broke off: shut down");
}

/// Refuses one request, notes the extension that a server put there, and is never ready again.
#[derive(Clone)]
struct OnceReady {
    is_spent: Arc<AtomicBool>,
    left: Arc<Mutex<Vec<&'static str>>>,
}

impl Service<Request<()>> for OnceReady {
    type Response = Response<()>;
    type Error = Failed<(), Error>;
    type Future = Ready<Result<Response<()>, Failed<(), Error>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(match self.is_spent.load(SeqCst) {
            true => Err(Failed::BrokeOff(Error::other("shut down"))),
            false => Ok(()),
        })
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        assert!(!self.is_spent.swap(true, SeqCst), "called without being ready");
        self.left.lock().unwrap().extend(request.extensions().get::<&'static str>());
        ready(Err(Failed::Unconnected(Box::new(request))))
    }
}

#[test]
fn the_inner_service_is_asked_whether_it_is_ready_before_each_attempt() {
    let inner = OnceReady { is_spent: Arc::default(), left: Arc::default() };
    let service =
        AffinityLayer::new(Arc::new(Bench::cookie(FailoverMode::Sticky))).layer(inner.clone());
    let mut request = Request::new(());
    request.extensions_mut().insert("the server's own");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let refused = runtime.block_on(service.oneshot(request)).unwrap_err();
    assert_eq!(refused.to_string(), "the endpoint broke off: shut down");
    assert_eq!(*inner.left.lock().unwrap(), ["the server's own"], "other extensions stay");
}

/// The parts that a test of a gateway's own service and of its error responses makes by itself.
#[test]
fn an_inner_service_and_its_errors_can_be_tested_without_the_layer() {
    let id = EndpointId::new("eu", "eu-1");
    let mut request = http::Request::new(());
    request.extensions_mut().insert(Routed::new(id, "10.0.0.1:80"));
    let routed = Routed::<&str>::of(&request).unwrap();
    assert_eq!((routed.endpoint, routed.target), (id, "10.0.0.1:80"));
    let error = Routed::<u16>::of(&request).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the request has no endpoint with a target of type u16; allowed: a service within an \
         AffinityLayer of this type"
    );
    assert!(matches!(Failed::<(), Error>::from(error), Failed::OwnSide(_)));
    let no_route = [NoRoute::no_endpoint(None), NoRoute::lost(id, Lost::Unhealthy)];
    let [none, lost] = no_route.map(Refused::<&str>::from);
    let refused = [none, lost, GaveUp::new().into()];
    let answers = refused.map(|it| (it.status().as_u16(), it.outcome().unwrap().label()));
    assert_eq!(answers, [(503, "no_endpoint"), (503, "lost:unhealthy"), (502, "gave_up")]);
}

#[test]
fn layer_and_service_fit_into_servers() {
    fn fits<S: Clone + Send + Sync + 'static>(_: &S) {}
    let layer = AffinityLayer::new(Arc::new(Bench::cookie(FailoverMode::None)));
    fits(&layer);
    fits(&layer.clone().layer(Forward { endpoints: Arc::default(), is_ready: false.into() }));
}

/// The endpoint of that name, as the pools spell it.
fn name(body: &str) -> &'static str {
    ["eu-1", "eu-2", "eu-3"].into_iter().find(|name| *name == body).expect("a name")
}

/// The layer in an axum server, over loopback. `cargo test` builds the examples;
/// `cargo test --test layer` alone does not: run `cargo build --example layer` first.
#[test]
fn the_example_prints_what_its_head_says() {
    let source = include_str!("../examples/layer.rs");
    let head = source.lines().map_while(|line| line.strip_prefix("//!"));
    let promised =
        head.skip_while(|line| *line != " ```text").skip(1).take_while(|line| *line != " ```");
    let tests = std::env::current_exe().expect("a path");
    let profile = tests.parent().and_then(std::path::Path::parent).expect("a directory");
    let binary = profile.join("examples").join(format!("layer{}", std::env::consts::EXE_SUFFIX));
    assert!(binary.exists(), "the example is not built: cargo build --example layer");
    let output = std::process::Command::new(binary).output().expect("the example");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let printed = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(promised.map(str::trim_start).eq(printed.lines()), "{printed}");
    assert_eq!(printed.lines().count(), 4);
}
