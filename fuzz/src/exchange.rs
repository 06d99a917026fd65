//! Requests through an exchange or the tower layer, over endpoints that refuse, break off, answer
//! interim or oddly, and that are dropped at any await: a session is settled once at most, by an
//! endpoint that has answered, and nothing else leaves a trace.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use http::header::{CACHE_CONTROL, COOKIE, SET_COOKIE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response};
use session_affinity::cookies::CookieName;
use session_affinity::drain::Census;
use session_affinity::exchange::{Failed, Refused};
use session_affinity::failover::OnLoss;
use session_affinity::layer::{AffinityLayer, Client as Peer, Gateway, NotRouted, Routed};
use session_affinity::limits::{CoolingOff, Retries};
use session_affinity::store::{AsyncSessionStore, Lookup, WriteKind};
use session_affinity::{
    Affinity, Endpoint, EndpointId, Exchange, FailoverMode, Health, MemoryStore, NoRoute, Outcome,
    Pool, Pools, Record, Scheme, SessionStore, State, StoreWrite, Trace, UnixTime,
};
use tower::{Layer, Service};

use super::choices::Choices;
use super::support::{Chance, Client, Kind, NOW, issued_header, keyring};

const NAMES: [&str; 4] = ["1", "2", "3", "4"];

pub fn check(input: &[u8]) {
    let mut choices = Choices(input);
    let mut trial = Trial::new(&mut choices);
    // The clock stays within the time for which an endpoint that failed is suspect.
    for _ in 0..24 {
        if choices.is_used_up() {
            break;
        }
        match choices.below(8) {
            0 => trial.change(&mut choices),
            1 => trial.now = trial.now.saturating_add(choices.number(12)),
            _ => trial.request(&mut choices),
        }
    }
}

/// The end of one call to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Refuses,
    BreaksOff,
    OwnSide,
    Abandoned,
    Answers(u16),
}

/// One call to an endpoint, as it will go.
#[derive(Clone, Copy, Debug)]
struct Play {
    end: End,
    pauses: usize,
    /// The endpoint says something under our own name.
    speaks_in_our_name: bool,
    is_public: bool,
}

#[derive(Debug, PartialEq)]
struct Broken(usize);

/// The layer's own error; never seen, as the inner service asks for the target's own type.
impl From<NotRouted> for Broken {
    fn from(error: NotRouted) -> Self {
        panic!("{error}")
    }
}

type Ended = Result<Response<EndpointId>, Refused<Broken>>;

struct Trial {
    kind: Kind,
    site: Arc<Site>,
    retries: usize,
    on_loss: OnLoss,
    cools_off: bool,
    clients: Vec<Client>,
    now: UnixTime,
    /// The first time at which a request was routed.
    began: Option<UnixTime>,
    suspects: BTreeSet<EndpointId>,
    last_seen: BTreeMap<EndpointId, UnixTime>,
}

/// The gateway that a request runs through, with the script of its endpoints.
struct Site {
    affinity: Arc<Affinity>,
    pools: Mutex<Arc<Pools<&'static str>>>,
    store: Store,
    stage: Mutex<Stage>,
}

#[derive(Default)]
struct Stage {
    kind: Option<Kind>,
    now: UnixTime,
    peer: Peer,
    plays: Vec<Play>,
    body: usize,
    /// The endpoints that were called.
    called: Vec<EndpointId>,
    /// The calls that have come to their end.
    ended: Vec<End>,
}

struct Store {
    store: MemoryStore,
    stage: Mutex<StoreStage>,
}

#[derive(Default)]
struct StoreStage {
    is_down: bool,
    pauses: usize,
    loads: usize,
    commits: Vec<Option<StoreWrite>>,
}

impl Trial {
    fn new(choices: &mut Choices<'_>) -> Self {
        let kind = choices.one_of(&Kind::ALL);
        let modes = [FailoverMode::None, FailoverMode::Temporary, FailoverMode::Sticky];
        let mode = choices.one_of(if kind == Kind::Header { &modes[..2] } else { &modes });
        let retries = 1 + choices.number(4);
        let on_loss = choices.one_of(&[OnLoss::Move, OnLoss::Lend, OnLoss::Refuse]);
        let cools_off = choices.percent(50);
        let cooling_off = if cools_off { CoolingOff::MAX } else { CoolingOff::OFF };
        let affinity = Affinity::new(kind.policy(&keyring()))
            .with_failover_mode(mode)
            .unwrap()
            .with_retries(Retries::new(retries).unwrap())
            .with_on_loss(on_loss)
            .with_cooling_off(cooling_off);
        let names = &NAMES[..1 + choices.below(NAMES.len())];
        let endpoints = names.iter().map(|name| Endpoint::new(*name, *name));
        let pool = Pool::new("a").with_endpoints(endpoints);
        let pools = Pools::builder().pool(pool).build().unwrap();
        let store = MemoryStore::new(100).unwrap();
        let site = Site {
            affinity: Arc::new(affinity),
            pools: Mutex::new(Arc::new(pools)),
            store: Store { store, stage: Mutex::default() },
            stage: Mutex::default(),
        };
        let old = Client::number(9).with_user("eve").with_old_cookie("a.2");
        BITS.set(choices.number(256));
        Self {
            kind,
            site: Arc::new(site),
            retries: retries as usize,
            on_loss,
            cools_off,
            clients: vec![Client::number(7).with_user("ada"), Client::without_address(), old],
            now: NOW,
            began: None,
            suspects: BTreeSet::new(),
            last_seen: BTreeMap::new(),
        }
    }

    fn change(&mut self, choices: &mut Choices<'_>) {
        let pools = self.site.pools();
        let id = EndpointId::new("a", choices.one_of(&NAMES));
        let change = choices.below(4);
        let next = pools.edited(|edit| match change {
            0 => edit.health(id, Health::Unhealthy),
            1 => edit.health(id, Health::Healthy),
            2 => edit.state(id, State::Disabled { at: Some(NOW) }),
            _ => edit.state(id, State::Enabled),
        });
        if let Ok(next) = next {
            *self.site.pools.lock().unwrap() = Arc::new(next);
        }
    }

    fn request(&mut self, choices: &mut Choices<'_>) {
        let statuses = [200, 304, 101, 103, 500];
        let plays: Vec<Play> = (0..=self.retries)
            .map(|_| Play {
                end: match choices.below(12) {
                    0..5 => End::Refuses,
                    5 => End::BreaksOff,
                    6 => End::OwnSide,
                    7 => End::Abandoned,
                    _ => End::Answers(choices.one_of(&statuses)),
                },
                pauses: choices.below(3),
                speaks_in_our_name: choices.percent(20),
                is_public: choices.percent(20),
            })
            .collect();
        let client = choices.below(self.clients.len());
        let most_polls = if choices.percent(40) { 1 + choices.below(12) } else { usize::MAX };
        let through_the_layer = choices.percent(50);

        let mut request = Request::new(plays.len());
        *request.headers_mut() = self.clients[client].headers.clone();
        request.headers_mut().insert("x-other", HeaderValue::from_static("stays"));
        let body = *request.body();
        *self.site.stage.lock().unwrap() = Stage {
            kind: Some(self.kind),
            now: self.now,
            peer: Peer { client_ip: self.clients[client].ip, scheme: Scheme::Https },
            plays,
            body,
            called: Vec::new(),
            ended: Vec::new(),
        };
        *self.site.store.stage.lock().unwrap() = StoreStage {
            is_down: choices.percent(20),
            pauses: choices.below(3),
            ..StoreStage::default()
        };
        let before = self.censuses();
        let ended = match through_the_layer {
            false => self.site.exchange(request, most_polls),
            true => self.site.layer(request, most_polls),
        };
        self.keep_the_laws(ended.as_ref(), &before);
        if let Some(Ok(response)) = ended {
            self.keep_the_token(client, response.headers());
        }
    }

    fn keep_the_laws(&mut self, ended: Option<&Ended>, before: &BTreeMap<EndpointId, Census>) {
        let stage = self.site.stage.lock().unwrap();
        let store = self.site.store.stage.lock().unwrap();
        let (called, calls_ended) = (&stage.called, &stage.ended);
        // Each endpoint is called once for a request, and the next one only after a refusal.
        assert!(called.len() <= self.retries + 1, "{called:?}");
        assert_eq!(called.iter().collect::<BTreeSet<_>>().len(), called.len(), "{called:?}");
        assert!(called.len() - calls_ended.len() <= 1);
        assert!(calls_ended.iter().rev().skip(1).all(|end| *end == End::Refuses));
        assert!(store.loads <= 1 && (called.is_empty() || store.loads == 1));

        // An answer is settled, and nothing else is: once, by the endpoint that has answered.
        let answered = match calls_ended.last() {
            Some(End::Answers(status)) => Some((called[called.len() - 1], *status)),
            _ => None,
        };
        let settled = answered.filter(|(_, status)| *status == 101 || *status >= 200);
        assert_eq!(store.commits.len(), usize::from(settled.is_some()));
        for write in store.commits.iter().flatten() {
            assert_eq!(self.kind, Kind::Header);
            match write.kind {
                WriteKind::Touch => {}
                WriteKind::Create(at) | WriteKind::Replace(at) => {
                    assert_eq!(Some(at), settled.map(|(at, _)| at));
                }
                other => panic!("{other:?}"),
            }
        }

        match ended {
            // Dropped on its way: there is no response that could promise anything.
            None => {}
            Some(Ok(response)) => {
                let (at, status) = answered.unwrap();
                assert_eq!((*response.body(), response.status().as_u16()), (at, status));
                let trace = response.extensions().get::<Trace>();
                assert_eq!(trace.is_some(), settled.is_some());
                if let Some(trace) = trace {
                    assert_eq!(trace.endpoint(), Some(at));
                    assert_eq!(trace.tried(), &called[..called.len() - 1]);
                    self.is_as_its_outcome(response, trace, at, &store.commits[0]);
                }
            }
            Some(Err(refused)) => {
                assert!(settled.is_none());
                match (refused, calls_ended.last()) {
                    (Refused::NoRoute(NoRoute::Lost { .. }), None) => {
                        assert_eq!(self.on_loss, OnLoss::Refuse);
                    }
                    (Refused::NoRoute(_), None) | (Refused::GaveUp(_), Some(End::Refuses)) => {}
                    (Refused::BrokeOff { error, .. }, Some(End::BreaksOff))
                    | (Refused::OwnSide { error, .. }, Some(End::OwnSide))
                    | (Refused::Abandoned { error, .. }, Some(End::Abandoned)) => {
                        assert_eq!(*error, Broken(calls_ended.len()));
                    }
                    other => panic!("{other:?}"),
                }
                let tried = refused.trace().map(|trace| trace.tried().to_vec());
                assert!(tried.is_none_or(|tried| tried == *called), "{refused:?} {called:?}");
            }
        }

        // A refusal makes an endpoint suspect, an answer clears it, and nothing else does either.
        let refused = called.iter().zip(calls_ended).filter(|(_, end)| **end == End::Refuses);
        self.suspects.extend(refused.map(|(at, _)| *at).filter(|_| self.cools_off));
        if let Some((at, _)) = settled {
            self.suspects.remove(&at);
            self.last_seen.insert(at, self.now);
        }
        // The census begins once, with the first request that is routed.
        let is_routed = store.loads == 1 && (ended.is_some() || !called.is_empty());
        if is_routed {
            self.began.get_or_insert(self.now);
        }
        let pinned = match ended {
            Some(Ok(response)) => response.extensions().get::<Trace>().and_then(Trace::pinned),
            _ => None,
        };
        let pools = self.site.pools();
        for endpoint in pools.iter().flat_map(|pool| pool.endpoints()) {
            let (id, census) = (endpoint.id(), endpoint.census());
            assert_eq!(endpoint.is_suspect(self.now), self.suspects.contains(&id), "{id}");
            assert_eq!(census.last_seen, self.last_seen.get(&id).copied());
            assert!(census.began == self.began || (ended.is_none() && called.is_empty()));
            let is_unchanged =
                Census { began: None, ..census } == Census { began: None, ..before[&id] };
            let was_lent = settled.is_some() && (ended.is_none() || pinned == Some(id));
            let is_settled = settled.is_some_and(|(at, _)| at == id);
            assert!(is_unchanged || is_settled || was_lent, "{id} {census:?}");
            assert!(census.latest_end >= before[&id].latest_end);
        }
        self.began =
            pools.iter().flat_map(|pool| pool.endpoints()).find_map(|it| it.census().began);
    }

    /// The response carries a token exactly where the session begins, moves or comes over, and the
    /// token names the endpoint that has answered.
    fn is_as_its_outcome(
        &self,
        response: &Response<EndpointId>,
        trace: &Trace,
        at: EndpointId,
        write: &Option<StoreWrite>,
    ) {
        let outcome = trace.outcome();
        let is_pinned_here = match outcome {
            Outcome::Created(_) | Outcome::Moved(_) | Outcome::Migrated => true,
            Outcome::Kept | Outcome::Lent(_) | Outcome::Unbound => false,
            other => panic!("{other:?}"),
        };
        let has_field = is_pinned_here && self.kind.has_token() && response.status() != 304;
        let tokens = self.tokens(response.headers());
        assert_eq!(tokens.len(), usize::from(has_field), "{outcome:?} {response:?}");
        for token in tokens {
            let pin = self.kind.codec(&keyring()).open(token.as_bytes(), self.now).unwrap();
            assert_eq!((pin.endpoint, pin.issued), (at, self.now));
            assert_eq!(response.headers().get_all(CACHE_CONTROL).iter().count(), 1);
            assert!(response.headers()[CACHE_CONTROL].as_bytes().starts_with(b"private"));
        }
        match (self.kind, outcome) {
            (Kind::Header, Outcome::Unbound) | (_, Outcome::Unbound) => assert_eq!(*write, None),
            (Kind::Header, _) => {
                let kind = write.as_ref().unwrap().kind;
                assert_eq!(kind == WriteKind::Touch, !is_pinned_here, "{outcome:?}");
            }
            _ => assert_eq!(*write, None),
        }
        match outcome {
            Outcome::Kept | Outcome::Migrated => assert_eq!(trace.pinned(), Some(at)),
            Outcome::Lent(_) | Outcome::Moved(_) => {
                assert!(trace.pinned().is_some_and(|pinned| pinned != at));
            }
            _ => assert_eq!(trace.pinned(), None),
        }
    }

    /// The values of our cookie, or of our header, in a response.
    fn tokens(&self, headers: &HeaderMap) -> Vec<String> {
        if self.kind == Kind::IssuedHeader {
            let lines = headers.get_all(issued_header().name()).iter();
            return lines.map(|line| line.to_str().unwrap().to_owned()).collect();
        }
        let lines = headers.get_all(SET_COOKIE).iter().map(|line| line.to_str().unwrap());
        let values = lines.filter_map(|line| line.strip_prefix("__cflb="));
        // A policy without a cookie leaves the endpoint's alone.
        let values = values.filter(|_| self.kind.has_token());
        values.map(|value| value.split(';').next().unwrap().to_owned()).collect()
    }

    fn keep_the_token(&mut self, client: usize, headers: &HeaderMap) {
        for token in self.tokens(headers).iter().take(1).filter(|token| token.len() == 48) {
            let known = std::mem::take(&mut self.clients[client]);
            self.clients[client] = self.kind.with_token(known, token);
        }
    }

    fn censuses(&self) -> BTreeMap<EndpointId, Census> {
        let pools = self.site.pools();
        pools.iter().flat_map(|pool| pool.endpoints()).map(|it| (it.id(), it.census())).collect()
    }
}

impl Site {
    fn pools(&self) -> Arc<Pools<&'static str>> {
        self.pools.lock().unwrap().clone()
    }

    fn exchange(&self, request: Request<usize>, most_polls: usize) -> Option<Ended> {
        let pools = self.pools();
        let (now, peer) = {
            let stage = self.stage.lock().unwrap();
            (stage.now, stage.peer)
        };
        let exchange = Exchange::new(&self.affinity, &pools, peer.scheme)
            .with_client_ip(peer.client_ip)
            .with_now(now)
            .with_entropy(bits)
            .with_store(&self.store);
        polled(
            exchange.run(request, async |name, request| self.call(name, request).await),
            most_polls,
        )
    }

    fn layer(self: &Arc<Self>, request: Request<usize>, most_polls: usize) -> Option<Ended> {
        let mut service = AffinityLayer::new(self.clone()).layer(Inner(self.clone()));
        let mut context = Context::from_waker(Waker::noop());
        assert!(service.poll_ready(&mut context).is_ready());
        polled(service.call(request), most_polls)
    }

    /// Plays the next call of the script.
    async fn call(
        &self,
        name: &str,
        mut request: Request<usize>,
    ) -> Result<Response<EndpointId>, Failed<usize, Broken>> {
        let id = EndpointId::new("a", name);
        let play = {
            let mut stage = self.stage.lock().unwrap();
            stage.called.push(id);
            assert_eq!(*request.body(), stage.body);
            assert_eq!(request.headers()["x-other"], "stays");
            is_stripped(stage.kind.unwrap(), request.headers());
            stage.plays[stage.called.len() - 1]
        };
        pause(play.pauses).await;
        let mut stage = self.stage.lock().unwrap();
        stage.ended.push(play.end);
        let error = Broken(stage.ended.len());
        Err(match play.end {
            End::Refuses => {
                request.extensions_mut().clear();
                Failed::Unconnected(Box::new(request))
            }
            End::BreaksOff => Failed::BrokeOff(error),
            End::OwnSide => Failed::OwnSide(error),
            End::Abandoned => Failed::Abandoned(error),
            End::Answers(status) => {
                let mut response = Response::builder().status(status).body(id).unwrap();
                let headers = response.headers_mut();
                if play.speaks_in_our_name {
                    let theirs = HeaderValue::from_static("__cflb=theirs; Path=/");
                    headers.append(SET_COOKIE, theirs);
                    headers.append(issued_header().name(), HeaderValue::from_static("theirs"));
                }
                if play.is_public {
                    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public"));
                }
                return Ok(response);
            }
        })
    }
}

/// No endpoint sees our token, nor the cookie of the proxy before.
fn is_stripped(kind: Kind, headers: &HeaderMap) {
    let has = |name: &str| CookieName::new(name).unwrap().values(headers).next().is_some();
    match kind {
        Kind::Header | Kind::NoAffinity => {}
        Kind::IssuedHeader => assert!(!headers.contains_key(issued_header().name())),
        Kind::Migrating => assert!(!has("__cflb") && !has("SERVERID"), "{:?}", headers.get(COOKIE)),
        Kind::Cookie | Kind::IpCookie | Kind::Sliding => assert!(!has("__cflb")),
    }
}

/// Polls a future as often as this, then drops it. An exchange has few awaits.
fn polled<F: Future>(future: F, most: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..most.min(100) {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Some(output);
        }
    }
    assert!(most < 100, "the exchange does not end");
    None
}

async fn pause(times: usize) {
    let mut left = times;
    poll_fn(|_| match left.checked_sub(1) {
        None => Poll::Ready(()),
        Some(fewer) => {
            left = fewer;
            Poll::Pending
        }
    })
    .await;
}

thread_local! {
    static BITS: Cell<u64> = const { Cell::new(0) };
}

/// Other bits each time, the same ones in each run.
fn bits() -> u64 {
    BITS.set(BITS.get().wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1));
    BITS.get()
}

impl AsyncSessionStore for Store {
    async fn record(&self, lookup: Option<Lookup>) -> Record {
        let (pauses, is_down) = {
            let stage = self.stage.lock().unwrap();
            (stage.pauses, stage.is_down)
        };
        pause(pauses).await;
        self.stage.lock().unwrap().loads += 1;
        match lookup {
            Some(_) if is_down => Record::Unreachable,
            lookup => self.store.record(lookup),
        }
    }

    async fn commit(&self, write: Option<StoreWrite>) {
        let (pauses, is_down) = {
            let mut stage = self.stage.lock().unwrap();
            stage.commits.push(write);
            (stage.pauses, stage.is_down)
        };
        pause(pauses).await;
        let Ok(()) = self.store.commit(write.filter(|_| !is_down));
    }
}

impl Gateway for Site {
    type Policy = Box<dyn session_affinity::AffinityPolicy>;
    type Target = &'static str;
    type Store = Store;

    fn affinity(&self) -> Arc<Affinity> {
        self.affinity.clone()
    }

    fn pools(&self) -> Arc<Pools<&'static str>> {
        self.pools()
    }

    fn client(&self, _: &Parts) -> Peer {
        self.stage.lock().unwrap().peer
    }

    fn now(&self) -> UnixTime {
        self.stage.lock().unwrap().now
    }

    fn entropy(&self) -> u64 {
        bits()
    }

    fn store(&self) -> &Store {
        &self.store
    }
}

/// The inner service of the layer, ready when it was asked twice.
struct Inner(Arc<Site>);

impl Clone for Inner {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl Service<Request<usize>> for Inner {
    type Response = Response<EndpointId>;
    type Error = Failed<usize, Broken>;
    type Future =
        std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<usize>) -> Self::Future {
        let site = self.0.clone();
        Box::pin(async move {
            let Routed { endpoint, target, .. } = *Routed::<&str>::of(&request)?;
            assert_eq!(endpoint, EndpointId::new("a", target));
            site.call(target, request).await
        })
    }
}
