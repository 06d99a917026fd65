//! A request on its way through the callbacks of a stack, in the right order and in every other.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use session_affinity::callbacks::Flow;
use session_affinity::failover::OnLoss;
use session_affinity::outcome::Lost;
use session_affinity::store::WriteKind;
use session_affinity::*;

mod support;
use support::{NOW, at, cookie_policy, header, pools, request};

const OK: StatusCode = StatusCode::OK;
const NOT_MODIFIED: StatusCode = StatusCode::NOT_MODIFIED;
const EARLY_HINTS: StatusCode = StatusCode::EARLY_HINTS;
const SWITCHING: StatusCode = StatusCode::SWITCHING_PROTOCOLS;

type Shop = Affinity<CookiePolicy>;

/// One retry, which `sticky` allows for every session.
fn shop() -> Shop {
    Affinity::new(cookie_policy()).with_failover_mode(FailoverMode::Sticky).unwrap()
}

/// A call of the program.
#[derive(Clone, Copy, Debug)]
enum Call {
    Route,
    /// With a snapshot that has no endpoint to try.
    RouteInVain,
    Failover,
    Answered(StatusCode),
    BrokeOff,
    Settle(StatusCode),
}

const CALLS: [Call; 12] = [
    Call::Route,
    Call::RouteInVain,
    Call::Failover,
    Call::Answered(OK),
    Call::Answered(EARLY_HINTS),
    Call::Answered(SWITCHING),
    Call::Answered(NOT_MODIFIED),
    Call::BrokeOff,
    Call::Settle(OK),
    Call::Settle(EARLY_HINTS),
    Call::Settle(SWITCHING),
    Call::Settle(NOT_MODIFIED),
];

/// The answer to a call, and what can be seen of the flow after it.
#[derive(Debug, PartialEq)]
struct Seen {
    /// A route that found an endpoint, or a failover that found another.
    succeeded: bool,
    sets_cookie: bool,
    has_target: bool,
    outcome: Option<&'static str>,
}

struct World {
    affinity: Shop,
    pools: Arc<Pools<&'static str>>,
    closed: Arc<Pools<&'static str>>,
}

impl World {
    fn new() -> Self {
        let pools = pools(&["eu-1", "eu-2"]);
        let closed = pools.edited(|edit| {
            edit.health(EndpointId::new("eu", "eu-1"), Health::Unhealthy)?;
            edit.health(EndpointId::new("eu", "eu-2"), Health::Unhealthy)
        });
        Self { affinity: shop(), closed: Arc::new(closed.unwrap()), pools: Arc::new(pools) }
    }

    fn route(&self, flow: &mut Flow<&'static str>, pools: &Arc<Pools<&'static str>>) -> bool {
        let visit = self.affinity.recall(&request(&HeaderMap::new()), NOW);
        flow.route(&self.affinity, visit, Record::Absent, pools.clone(), || 4).is_ok()
    }

    fn call(&self, flow: &mut Flow<&'static str>, call: Call) -> Seen {
        let (mut succeeded, mut settlement) = (false, Settlement::nothing());
        match call {
            Call::Route => succeeded = self.route(flow, &self.pools),
            Call::RouteInVain => succeeded = self.route(flow, &self.closed),
            Call::Failover => {
                let next = flow.failover(&self.affinity).copied();
                assert!(next.is_none() || next == flow.target().copied(), "{next:?}");
                succeeded = next.is_some();
            }
            Call::Answered(status) => flow.answered(status),
            Call::BrokeOff => flow.broke_off(),
            Call::Settle(status) => settlement = flow.settle(&self.affinity, status),
        }
        Seen {
            succeeded,
            sets_cookie: settlement.set_cookie().is_some(),
            has_target: flow.target().is_some(),
            outcome: flow.outcome().map(Outcome::label),
        }
    }
}

/// The table of [`Flow`] a second time, as plainly as can be.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Plain {
    Unrouted,
    Trying { failures: u8 },
    Answered { failures: u8 },
    Over(&'static str),
}

impl Plain {
    /// Returns the stage after a call, whether a route or failover succeeds, and whether there is a
    /// cookie.
    fn after(self, call: Call) -> (Self, bool, bool) {
        let created =
            |failures| if failures == 0 { "created:no_cookie" } else { "created:connect_failed" };
        let is_final = |status| status != EARLY_HINTS;
        match (self, call) {
            (_, Call::Route) => (Self::Trying { failures: 0 }, true, false),
            (_, Call::RouteInVain) => (Self::Over("no_endpoint"), false, false),
            (Self::Trying { failures: 0 }, Call::Failover) => {
                (Self::Trying { failures: 1 }, true, false)
            }
            (Self::Trying { .. }, Call::Failover) => (Self::Over("gave_up"), false, false),
            (Self::Trying { failures }, Call::Answered(status)) if is_final(status) => {
                (Self::Answered { failures }, false, false)
            }
            (Self::Trying { .. } | Self::Answered { .. }, Call::BrokeOff) => {
                (Self::Over("gave_up"), false, false)
            }
            (Self::Answered { failures }, Call::Settle(status)) if is_final(status) => {
                (Self::Over(created(failures)), false, status != NOT_MODIFIED)
            }
            (stage, _) => (stage, false, false),
        }
    }
}

/// Every method may be called at any time: a call that is not due changes nothing. There is no
/// cookie before an answer, after a settlement, or for an interim response.
#[test]
fn every_call_in_every_order_does_what_the_table_of_flow_says() {
    let world = World::new();
    let tried = |calls: &[Call]| {
        let (mut flow, mut plain) = (Flow::default(), Plain::Unrouted);
        for call in calls {
            let (stage, succeeded, sets_cookie) = plain.after(*call);
            plain = stage;
            let has_target = matches!(plain, Plain::Trying { .. } | Plain::Answered { .. });
            let outcome = if let Plain::Over(label) = plain { Some(label) } else { None };
            let expected = Seen { succeeded, sets_cookie, has_target, outcome };
            assert_eq!(world.call(&mut flow, *call), expected, "{call:?} of {calls:?}");
        }
        plain
    };
    let mut reached = Vec::new();
    for first in CALLS {
        for second in CALLS {
            for third in CALLS {
                for last in CALLS {
                    // Most orders have no use for their first call: each is also tried routed.
                    reached.push(tried(&[first, second, third, last]));
                    reached.push(tried(&[Call::Route, first, second, third, last]));
                }
            }
        }
    }
    for stage in [
        Plain::Unrouted,
        Plain::Trying { failures: 0 },
        Plain::Trying { failures: 1 },
        Plain::Answered { failures: 1 },
        Plain::Over("created:no_cookie"),
        Plain::Over("created:connect_failed"),
        Plain::Over("gave_up"),
        Plain::Over("no_endpoint"),
    ] {
        assert!(reached.contains(&stage), "{stage:?}");
    }
}

#[test]
fn a_retry_goes_to_another_endpoint_and_the_cookie_names_the_one_that_answered() {
    let world = World::new();
    let mut flow = Flow::default();
    assert!(world.route(&mut flow, &world.pools));
    let first = *flow.target().unwrap();
    let second = *flow.failover(&world.affinity).unwrap();
    assert_ne!(first, second);
    flow.answered(OK);
    assert_eq!(flow.target(), Some(&second), "for a fresh connection to it");
    let set_cookie = flow.settle(&world.affinity, OK).set_cookie().cloned().unwrap();

    let mut headers = HeaderMap::new();
    let pair = set_cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
    headers.insert("cookie", pair.parse().unwrap());
    let visit = world.affinity.recall(&request(&headers), NOW);
    flow.route(&world.affinity, visit, Record::Absent, world.pools.clone(), || 4).unwrap();
    assert_eq!(flow.target(), Some(&second));
    flow.answered(OK);
    assert_eq!(flow.settle(&world.affinity, OK), Settlement::nothing());
    assert_eq!(flow.outcome(), Some(Outcome::Kept));
}

/// manual::tables, A lost endpoint: "`refuse` | [`NoRoute::Lost`]: answer 503 | the same | nothing".
#[test]
fn a_flow_whose_session_is_refused_is_over_with_the_reason() {
    let affinity = Affinity::new(header()).with_on_loss(OnLoss::Refuse);
    let (pools, pinned) = (Arc::new(pools(&["eu-1", "eu-2"])), EndpointId::new("eu", "eu-3"));
    let mut headers = HeaderMap::new();
    headers.insert("x-user", "ada".parse().unwrap());
    let visit = affinity.recall(&request(&headers), NOW);
    let record = Record::Found { endpoint: pinned, issued: NOW };
    let mut flow = Flow::default();
    let _ = visit.lookup();
    let refused = flow.route(&affinity, visit, record, pools, || 4).unwrap_err();
    assert_eq!((refused, refused.status().as_u16()), (NoRoute::lost(pinned, Lost::Removed), 503));
    assert_eq!(flow.trace(), Some(refused.trace()));
    assert_eq!(flow.outcome().map(Outcome::label), Some("lost:removed"));
    flow.answered(OK);
    assert_eq!(flow.settle(&affinity, OK), Settlement::nothing());
}

/// One snapshot serves the whole request: what was changed meanwhile holds from the next one on.
#[test]
fn a_flow_keeps_the_snapshot_that_it_was_routed_in() {
    let world = World::new();
    let mut flow = Flow::default();
    assert!(world.route(&mut flow, &world.pools));
    let held = Arc::downgrade(&world.pools);
    drop(world.pools);
    assert!(flow.target().is_some());
    flow.answered(OK);
    assert!(flow.settle(&world.affinity, OK).set_cookie().is_some());
    assert!(held.upgrade().is_none(), "a flow that is over holds no snapshot");
}

/// manual::caching, Which responses: "304 Not Modified | no: a session that it created begins with
/// the next response". "The write for a session store is done all the same: it is no field of the
/// response."
#[test]
fn a_response_304_writes_to_the_store_all_the_same() {
    let affinity = Affinity::new(header());
    let (pools, store) = (Arc::new(pools(&["eu-1", "eu-2"])), MemoryStore::new(100).unwrap());
    let mut headers = HeaderMap::new();
    headers.insert("x-user", "ada".parse().unwrap());
    let serve = |status: StatusCode, now: UnixTime| {
        let mut flow = Flow::default();
        let visit = affinity.recall(&request(&headers), now);
        let record = store.record(visit.lookup());
        flow.route(&affinity, visit, record, pools.clone(), || 4).unwrap();
        flow.answered(status);
        let settlement = flow.settle(&affinity, status);
        assert_eq!(settlement.response, None);
        let Ok(()) = store.commit(settlement.store_write);
        (flow.outcome().unwrap().label(), settlement.store_write.unwrap().kind)
    };
    let (label, kind) = serve(NOT_MODIFIED, NOW);
    assert_eq!(label, "created:no_record");
    assert!(matches!(kind, WriteKind::Create(_)), "{kind:?}");
    assert_eq!(serve(NOT_MODIFIED, at(NOW.as_secs() + 1)), ("kept", WriteKind::Touch));
}

/// The endpoint's 304 told the stack's cache that its copy is fresh; the client gets that copy.
#[test]
fn the_status_that_decides_on_the_cookie_is_the_one_that_the_client_gets() {
    let world = World::new();
    for (from_endpoint, to_client, sets_cookie) in
        [(NOT_MODIFIED, OK, true), (OK, NOT_MODIFIED, false), (SWITCHING, SWITCHING, true)]
    {
        let mut flow = Flow::default();
        assert!(world.route(&mut flow, &world.pools));
        flow.answered(from_endpoint);
        let settlement = flow.settle(&world.affinity, to_client);
        assert_eq!(settlement.set_cookie().is_some(), sets_cookie, "{from_endpoint} {to_client}");
    }
}
