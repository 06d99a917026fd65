//! The exchange: what the closure gets, what the client gets, and what is promised when the future
//! is dropped on its way. What it shares with the layer is in `layer.rs`.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{Error, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use http::header::{CACHE_CONTROL, COOKIE, SET_COOKIE};
use http::{HeaderValue, Request, Response, StatusCode};
use session_affinity::exchange::{Failed, Refused};
use session_affinity::failover::OnLoss;
use session_affinity::limits::Retries;
use session_affinity::store::{AnyStore, AsyncSessionStore, Lookup, NoStore};
use session_affinity::*;

mod support;
use support::{NOW, cookie_policy, header, pools};

type Answer = Result<Response<&'static str>, Refused<Error>>;

/// An endpoint's answer of this status, with its name as the body.
fn answer(name: &'static str, status: u16) -> Response<&'static str> {
    Response::builder().status(status).body(name).unwrap()
}

fn sticky() -> Affinity<CookiePolicy> {
    Affinity::new(cookie_policy()).with_failover_mode(FailoverMode::Sticky).unwrap()
}

/// Runs a future that never waits.
fn now<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future waits"),
    }
}

fn exchange<'a, T>(
    affinity: &'a Affinity<CookiePolicy>,
    pools: &'a Pools<T>,
) -> Exchange<'a, CookiePolicy, T> {
    Exchange::new(affinity, pools, Scheme::Https).with_now(NOW)
}

fn cookie(response: &Response<&str>) -> Option<HeaderValue> {
    let line = response.headers().get(SET_COOKIE)?.to_str().unwrap();
    Some(line.split(';').next().unwrap().parse().unwrap())
}

#[test]
fn a_session_is_created_kept_and_its_cookie_stripped() {
    let (affinity, pools) = (sticky(), pools(&["eu-1", "eu-2", "eu-3"]));
    let serve = |sent: Option<&HeaderValue>| {
        let mut request = Request::new("body");
        request.headers_mut().extend(sent.map(|line| (COOKIE, line.clone())));
        now(exchange(&affinity, &pools).run(request, async |name, request| {
            assert_eq!(request.headers().get(COOKIE), None, "the endpoint does not see it");
            assert_eq!(*request.body(), "body");
            Ok::<_, Failed<&str, Error>>(answer(name, 200))
        }))
        .unwrap()
    };
    let label = |response: &Response<&str>| {
        let trace = response.extensions().get::<Trace>().unwrap();
        assert_eq!(trace.endpoint(), Some(EndpointId::new("eu", response.body())));
        trace.outcome().label()
    };
    let created = serve(None);
    assert_eq!(label(&created), "created:no_cookie");
    assert_eq!(created.headers()[CACHE_CONTROL], "private");
    for _ in 0..5 {
        let kept = serve(cookie(&created).as_ref());
        assert_eq!((label(&kept), kept.body()), ("kept", created.body()));
        assert!(kept.headers().is_empty());
    }
}

/// manual::tables, A failed connection. The trace tells the way.
/// manual::security, Two gateways of one name: "What the endpoint's response says under the
/// gateway's own name is dropped".
#[test]
fn behind_a_gateway_of_the_same_name_the_session_of_the_one_in_front_is_kept() {
    let (affinity, pools) = (sticky(), pools(&["eu-1"]));
    let serve = |sent: Option<&HeaderValue>| {
        let mut request = Request::new("body");
        request.headers_mut().extend(sent.map(|line| (COOKIE, line.clone())));
        now(exchange(&affinity, &pools).run(request, async |name, _| {
            let mut response = answer(name, 200);
            let theirs = HeaderValue::from_static("__cflb=of-the-one-behind; Path=/");
            response.headers_mut().append(SET_COOKIE, theirs);
            Ok::<_, Failed<&str, Error>>(response)
        }))
        .unwrap()
    };
    let first = serve(None);
    assert_eq!(first.headers().get_all(SET_COOKIE).iter().count(), 1);
    assert_eq!(serve(cookie(&first).as_ref()).headers().get(SET_COOKIE), None);
}

#[test]
fn the_request_goes_to_the_next_endpoint_whole_and_the_trace_names_those_tried() {
    let (affinity, pools) = (sticky(), pools(&["eu-1", "eu-2", "eu-3"]));
    let affinity = affinity.with_retries(Retries::new(2).unwrap());
    let asked = RefCell::new(Vec::new());
    let mut request = Request::new("body");
    request.headers_mut().insert("x-other", HeaderValue::from_static("stays"));
    let served = exchange(&affinity, &pools).run(request, async |name, request| {
        assert_eq!(
            (*request.body(), request.headers()["x-other"].as_bytes()),
            ("body", &b"stays"[..])
        );
        asked.borrow_mut().push(*name);
        if asked.borrow().len() <= 2 {
            return Err(Failed::connecting(ErrorKind::ConnectionRefused.into(), request));
        }
        Ok::<_, Failed<&str, Error>>(answer(name, 200))
    });
    let response = now(served).unwrap();
    let ids: Vec<_> = asked.borrow().iter().map(|name| EndpointId::new("eu", name)).collect();
    let trace = response.extensions().get::<Trace>().unwrap();
    assert_eq!((trace.tried(), trace.endpoint()), (&ids[..2], Some(ids[2])));
    assert_eq!(trace.first_outcome().label(), "created:no_cookie");
    assert_eq!(
        trace.to_string(),
        format!(
            "created:connect_failed first=created:no_cookie tried={},{} endpoint={}",
            ids[0], ids[1], ids[2]
        )
    );
}

#[test]
fn a_request_that_was_given_up_names_its_pin_and_all_that_were_tried() {
    let (affinity, pools) = (sticky(), pools(&["eu-1", "eu-2"]));
    let created = now(exchange(&affinity, &pools)
        .run(Request::new(()), async |name, _| Ok::<_, Failed<(), Error>>(answer(name, 200))));
    let created = created.unwrap();
    let mut request = Request::new(());
    request.headers_mut().insert(COOKIE, cookie(&created).unwrap());
    let refused: Answer = now(exchange(&affinity, &pools)
        .run(request, async |_, request| Err(Failed::Unconnected(Box::new(request)))));
    let refused = refused.unwrap_err();
    let trace = refused.trace().unwrap();
    let pinned = EndpointId::new("eu", created.body());
    assert_eq!((trace.pinned(), trace.endpoint(), trace.tried().len()), (Some(pinned), None, 2));
    assert_eq!(trace.tried()[0], pinned);
    assert_eq!((trace.first_outcome(), refused.outcome()), (Outcome::Kept, Some(Outcome::GaveUp)));
    assert_eq!(refused.status(), StatusCode::BAD_GATEWAY);
}

#[test]
fn an_endpoint_that_broke_off_is_the_last_and_is_named() {
    let (affinity, pools) = (sticky(), pools(&["eu-1", "eu-2"]));
    let refused: Answer = now(exchange(&affinity, &pools).run(Request::new(()), async |_, _| {
        Err::<_, Failed<(), Error>>(Failed::BrokeOff(Error::other("reset")))
    }));
    let refused = refused.unwrap_err();
    assert_eq!(refused.to_string(), "the endpoint broke off: reset");
    assert_eq!(refused.trace().unwrap().tried().len(), 1);
}

/// manual::tables, A lost endpoint: "`refuse` | [`NoRoute::Lost`]: answer 503 | the same | nothing".
/// The log knows the pin.
#[test]
fn a_session_that_is_refused_is_503_and_no_endpoint_is_asked() {
    let pools = pools(&["eu-1", "eu-2"]);
    let affinity = sticky().with_on_loss(OnLoss::Refuse);
    let created: Answer =
        now(exchange(&affinity, &pools)
            .run(Request::new(()), async |name, _| Ok(answer(name, 200))));
    let created = created.unwrap();
    let home = EndpointId::new("eu", created.body());
    let ill = pools.edited(|edit| edit.health(home, Health::Unhealthy)).unwrap();
    let ask = |pools: &Pools<&'static str>| {
        let mut request = Request::new(());
        request.headers_mut().insert(COOKIE, cookie(&created).unwrap());
        now(exchange(&affinity, pools).run(request, async |name, _| {
            assert_eq!(name, created.body(), "no other endpoint");
            Ok::<_, Failed<(), Error>>(answer(name, 200))
        }))
    };
    let refused = ask(&ill).unwrap_err();
    let trace = refused.trace().unwrap();
    assert_eq!(trace.to_string(), format!("lost:unhealthy pinned={home}"));
    let response: Response<String> = refused.into_response();
    assert_eq!((response.status().as_u16(), response.headers().len()), (503, 0));
    assert_eq!(response.extensions().get::<Trace>(), Some(&trace));
    assert_eq!(ask(&pools).unwrap().extensions().get::<Trace>().unwrap().outcome(), Outcome::Kept);
}

/// manual::embedding, Connecting: "a failure of your own side is no passive failure".
#[test]
fn a_failure_of_the_proxys_own_side_tries_nobody_else_and_blames_nobody() {
    let (affinity, pools) = (sticky(), pools(&["eu-1", "eu-2"]));
    let affinity = affinity.with_cooling_off(limits::CoolingOff::new(60).unwrap());
    let calls = Cell::new(0);
    let refused: Answer =
        now(exchange(&affinity, &pools).run(Request::new(()), async |_, request: Request<()>| {
            calls.set(calls.get() + 1);
            Err(Failed::connecting(ErrorKind::AddrNotAvailable.into(), request))
        }));
    let refused = refused.unwrap_err();
    assert_eq!((refused.status(), refused.outcome()), (StatusCode::SERVICE_UNAVAILABLE, None));
    assert_eq!(calls.get(), 1);
    assert!(pools.iter().flat_map(|pool| pool.endpoints()).all(|it| !it.is_suspect(NOW)));
    let response: Response<String> = refused.into_response();
    assert_eq!((response.status().as_u16(), response.extensions().len()), (503, 0));
}

/// manual::embedding, Connecting: "the client did not send the rest of its body".
#[test]
fn a_client_that_leaves_its_request_half_sent_blames_no_endpoint() {
    let (affinity, pools) = (sticky(), pools(&["eu-1", "eu-2"]));
    let refused: Answer = now(exchange(&affinity, &pools).run(Request::new(()), async |_, _| {
        Err::<_, Failed<(), Error>>(Failed::Abandoned(Error::other("the body broke off")))
    }));
    let refused = refused.unwrap_err();
    assert_eq!((refused.status(), refused.outcome()), (StatusCode::BAD_REQUEST, None));
    assert_eq!(
        refused.to_string(),
        "the client did not send the rest of its request: the body broke off"
    );
}

#[test]
fn an_error_says_itself_once() {
    use std::error::Error as _;
    for refused in [Refused::<Error>::from(GaveUp::new()), NoRoute::no_endpoint(None).into()] {
        assert!(refused.source().is_none(), "{refused}");
    }
}

#[test]
fn an_interim_response_is_passed_on_and_promises_nothing() {
    let (affinity, pools) = (sticky(), pools(&["eu-1"]));
    for (status, settles, carries) in
        [(100, false, false), (101, true, true), (103, false, false), (304, true, false)]
    {
        let served = exchange(&affinity, &pools).run(Request::new(()), async |name, _| {
            Ok::<_, Failed<(), Error>>(answer(name, status))
        });
        let response = now(served).unwrap();
        assert_eq!(cookie(&response).is_some(), carries, "{status}");
        assert_eq!(response.extensions().get::<Trace>().is_some(), settles, "{status}");
    }
}

/// A store that lets others run before each of its steps, and counts what it was asked.
struct Slow {
    store: MemoryStore,
    loads: Cell<u32>,
}

// The test has one thread.
struct Shared(std::sync::Mutex<Slow>);

impl AsyncSessionStore for Shared {
    async fn record(&self, lookup: Option<Lookup>) -> Record {
        pause().await;
        let slow = self.0.lock().unwrap();
        slow.loads.set(slow.loads.get() + 1);
        slow.store.record(lookup)
    }

    async fn commit(&self, write: Option<StoreWrite>) {
        pause().await;
        let Ok(()) = self.0.lock().unwrap().store.commit(write);
        pause().await;
    }
}

/// Waits once.
async fn pause() {
    let mut waited = false;
    poll_fn(|_| if std::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending })
        .await;
}

/// The whole way has six awaits: the record, a connection that is refused, one that is made, its
/// answer, and two of the write. Dropped at any of them, the exchange has returned no response;
/// until an endpoint has answered, store and census are as they were.
#[test]
fn an_exchange_that_is_dropped_at_any_await_has_promised_nothing() {
    let names = ["eu-1", "eu-2"];
    let mut polls = 0;
    let mut is_done = false;
    while !is_done {
        polls += 1;
        let affinity = Affinity::new(header());
        let pools = pools(&names);
        let store = Shared(std::sync::Mutex::new(Slow {
            store: MemoryStore::new(10).unwrap(),
            loads: Cell::new(0),
        }));
        let (calls, answered) = (Cell::new(0), Cell::new(false));
        let mut request = Request::new(());
        request.headers_mut().insert("x-user", HeaderValue::from_static("ada"));
        let mut response = None;
        {
            let exchange = Exchange::new(&affinity, &pools, Scheme::Http)
                .with_now(NOW)
                .with_store(&store)
                .with_client_ip(IpAddr::from([192, 0, 2, 1]));
            let mut served = pin!(exchange.run(request, async |name, request| {
                pause().await;
                calls.set(calls.get() + 1);
                if calls.get() == 1 {
                    return Err(Failed::Unconnected(Box::new(request)));
                }
                pause().await;
                answered.set(true);
                Ok::<_, Failed<(), Error>>(answer(name, 200))
            }));
            for _ in 0..polls {
                let polled = served.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                if let Poll::Ready(ended) = polled {
                    response = Some(ended.unwrap());
                    break;
                }
            }
            // Dropped here.
        }
        is_done = response.is_some();
        let stored = store.0.lock().unwrap().store.live(NOW);
        let seen = pools.iter().flat_map(|pool| pool.endpoints()).any(|endpoint| {
            let census = endpoint.census();
            census.last_seen.is_some() || census.latest_end.is_some()
        });
        assert_eq!(seen, answered.get(), "after {polls} polls");
        assert!(stored == 0 || answered.get(), "after {polls} polls");
        if is_done {
            assert_eq!((stored, store.0.lock().unwrap().loads.get()), (1, 1));
        }
    }
    assert_eq!(polls, 7, "six awaits, each of which was the last one once");
}

#[test]
fn a_header_session_is_kept_in_a_store_chosen_at_run_time() {
    let affinity = Affinity::new(header());
    let pools = pools(&["eu-1", "eu-2", "eu-3"]);
    let labels = |store: &AnyStore| {
        [(); 2].map(|()| {
            let request = Request::builder().header("x-user", "ada").body(()).unwrap();
            let exchange = Exchange::new(&affinity, &pools, Scheme::Http).with_store(store);
            let served = exchange
                .run(request, async |name, _| Ok::<_, Failed<(), Error>>(answer(name, 200)));
            now(served).unwrap().extensions().get::<Trace>().unwrap().outcome().label()
        })
    };
    let memory = AnyStore::open("memory:100", &affinity).unwrap();
    assert_eq!(labels(&memory), ["created:no_record", "kept"]);
    assert_eq!(memory.live(std::time::SystemTime::now().into()), Some(1));
    assert_eq!(labels(&AnyStore::none()), ["created:no_record"; 2]);
}

/// In debug builds; in release builds the session is created again by every request.
#[cfg(debug_assertions)]
#[test]
fn a_header_session_whose_store_is_never_asked_is_found_out() {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    let (affinity, pools) = (Affinity::new(header()), pools(&["eu-1"]));
    let request = Request::builder().header("x-user", "ada").body(()).unwrap();
    let meta = RequestMeta::new(request.headers(), Scheme::Http);
    let panics = |work: &dyn Fn()| catch_unwind(AssertUnwindSafe(work)).is_err();

    let routed = |asks: bool, record| {
        let visit = affinity.recall(&meta, NOW);
        if asks {
            assert!(visit.lookup().is_some());
        }
        assert!(affinity.route(visit, record, &pools, entropy).is_ok());
    };
    assert!(panics(&|| routed(false, Record::Absent)));
    assert!(!panics(&|| routed(true, Record::Absent)));
    assert!(!panics(&|| routed(false, Record::Unreachable)), "a store that was asked by itself");
    assert!(panics(&|| {
        let exchange = Exchange::new(&affinity, &pools, Scheme::Http);
        let answered = async |name: &&'static str, _| Ok::<_, Failed<(), Error>>(answer(name, 200));
        let _ = now(exchange.run(request.clone(), answered));
    }));
    assert_eq!(now(NoStore.record(None)), Record::Absent);
}

/// A server spawns the future that serves a connection, so it must be `Send`, with everything that
/// the closure captures and holds.
#[tokio::test]
async fn an_exchange_can_be_spawned() {
    let shop = Arc::new((sticky(), {
        let eu = Endpoint::new("eu-1", SocketAddr::from(([127, 0, 0, 1], 1)));
        Pools::builder().pool(Pool::new("eu").with_endpoint(eu)).build().unwrap()
    }));
    let served = tokio::spawn(async move {
        let (affinity, pools) = &*shop;
        let exchange = Exchange::new(affinity, pools, Scheme::Http);
        let served = exchange.run(Request::new(String::new()), async |address, request| {
            match tokio::net::TcpStream::connect(address).await {
                Ok(_) => Err(Failed::BrokeOff(Error::other("something listens on port 1"))),
                Err(error) => Err(Failed::connecting(error, request)),
            }
        });
        let ended: Result<Response<()>, Refused<Error>> = served.await;
        ended.map(|_| ())
    });
    let refused = served.await.unwrap().unwrap_err();
    assert_eq!(refused.outcome(), Some(Outcome::GaveUp));
}
