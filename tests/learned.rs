//! Sessions that are learned from the application's own session cookie: `LearnedPolicy`.

use std::collections::BTreeMap;

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use proptest::prelude::*;
use session_affinity::callbacks::Flow;
use session_affinity::cookies::CookieName;
use session_affinity::policy::{Claim, LearnedPolicy, Life, Served, Transition};
use session_affinity::store::WriteKind;
use session_affinity::token::Pin;
use session_affinity::*;

mod support;
use support::{NOW, at, pools, shop, ttl};

fn policy() -> LearnedPolicy {
    let secret = Secret::new([9; 32]).unwrap();
    LearnedPolicy::new(&shop(), &secret, CookieName::new("SID").unwrap())
}

fn eu(number: u8) -> EndpointId {
    EndpointId::new("eu", &format!("eu-{number}"))
}

fn request(cookies: &str) -> HeaderMap {
    HeaderMap::from_iter([(COOKIE, HeaderValue::from_str(cookies).unwrap())])
}

fn response(status: u16, lines: &[&str]) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    for line in lines {
        response.headers_mut().append(SET_COOKIE, HeaderValue::from_str(line).unwrap());
    }
    response
}

/// The key of a request with this cookie.
fn key(value: &str) -> store::SessionKey {
    let headers = request(&format!("SID={value}"));
    match policy().read(&support::request(&headers), NOW).claim {
        Claim::Stored(key) => key,
        other => panic!("{other:?}"),
    }
}

/// The write after a response, for a session with this cookie, or without one.
fn written(
    cookie: Option<&str>,
    transition: Transition,
    response: &Response<()>,
) -> Option<String> {
    let key_of = cookie.map(key);
    let mut served = Served::new(transition, Scheme::Https, NOW).with_response(response);
    if let Some(key) = &key_of {
        let record = match transition {
            Transition::Created { .. } => Record::Absent,
            _ => Record::Found { endpoint: eu(1), issued: NOW },
        };
        served = served.with_session(key, record);
    }
    let settlement = policy().remember(&served);
    assert_eq!(settlement.response, None, "the client gets nothing");
    let write = settlement.store_write?;
    assert_eq!((write.ttl, write.now), (ttl(1_800), NOW));
    let known = ["a", "b"].into_iter().find(|value| key(value) == write.key).unwrap();
    let to = |id| if id == eu(1) { "eu-1" } else { "eu-2" };
    Some(match write.kind {
        WriteKind::Touch => format!("touch {known}"),
        WriteKind::Create(id) => format!("create {known} at {}", to(id)),
        WriteKind::Replace(id) => format!("replace {known} at {}", to(id)),
        WriteKind::Remove => format!("remove {known}"),
    })
}

/// manual::choosing, Clients: "the endpoint that has made the session keeps it".
#[test]
fn what_is_written_after_each_kind_of_response() {
    let pin = Pin { endpoint: eu(1), issued: NOW, expires: NOW.saturating_add(60) };
    let kept = Transition::Kept(pin);
    let created = Transition::Created { endpoint: eu(2) };
    let moved = Transition::Moved { from: pin, endpoint: eu(2) };
    let lent = Transition::Lent { pin, endpoint: eu(2) };
    let (none, same, other) = (response(200, &[]), response(200, &["SID=a"]), "SID=b; Path=/");
    let begun = response(200, &["theme=dark", other]);
    let ended = response(200, &["SID=; Max-Age=0"]);
    for (cookie, transition, response, expected) in [
        (None, created, &none, None),
        (None, created, &begun, Some("create b at eu-2")),
        (None, created, &ended, None),
        (Some("a"), created, &none, Some("create a at eu-2")),
        (Some("a"), kept, &none, Some("touch a")),
        (Some("a"), moved, &none, Some("replace a at eu-2")),
        (Some("a"), lent, &none, Some("touch a")),
        (Some("a"), created, &same, Some("create a at eu-2")),
        (Some("a"), kept, &same, Some("touch a")),
        (Some("a"), lent, &same, Some("touch a")),
        (Some("a"), created, &begun, Some("create b at eu-2")),
        (Some("a"), kept, &begun, Some("create b at eu-1")),
        (Some("a"), moved, &begun, Some("create b at eu-2")),
        // The endpoint that it is lent to has made the new session, and has it.
        (Some("a"), lent, &begun, Some("create b at eu-2")),
        (Some("a"), created, &ended, Some("remove a")),
        (Some("a"), kept, &ended, Some("remove a")),
        (Some("a"), lent, &ended, Some("remove a")),
    ] {
        let found = written(cookie, transition, response);
        assert_eq!(found.as_deref(), expected, "{cookie:?} {transition:?} {response:?}");
    }
    // A client heeds the Set-Cookie of a 304 too (RFC 6265 section 3).
    for status in [101, 204, 302, 304, 401, 500] {
        let begun = self::response(status, &[other]);
        assert_eq!(written(None, created, &begun).as_deref(), Some("create b at eu-2"), "{status}");
    }
    for status in [100, 103] {
        let begun = self::response(status, &[other]);
        assert_eq!(written(None, created, &begun), None, "{status}");
        assert_eq!(written(Some("a"), kept, &begun).as_deref(), Some("touch a"), "{status}");
    }
}

#[test]
fn without_the_response_nothing_is_learned() {
    let (affinity, pools) = (Affinity::new(policy()), pools(&["eu-1", "eu-2"]));
    let headers = HeaderMap::new();
    let visit = affinity.recall(&support::request(&headers), NOW);
    let (attempt, _) = affinity.route(visit, Record::Absent, &pools, || 4).unwrap();
    assert_eq!(affinity.settle(attempt, &pools), Settlement::nothing());
}

/// The first cookie with a value counts, as clients send the one of the longest path first.
#[test]
fn of_several_cookies_the_first_with_a_value_counts() {
    let claim = |cookies: &str| {
        let headers = request(cookies);
        policy().read(&support::request(&headers), NOW).claim
    };
    for cookies in ["SID=a; SID=b", "SID=; SID=a; SID=b", "x=y; SID = a", "SID=a; SID="] {
        assert_eq!(claim(cookies), Claim::Stored(key("a")), "{cookies}");
    }
    for cookies in ["SID=", "sid=a", "x=y"] {
        assert_eq!(claim(cookies), Claim::New(None), "{cookies}");
    }
}

#[test]
fn the_policy_is_idle_refuses_sticky_and_leaves_the_cookie_to_the_application() {
    let affinity = Affinity::new(policy().with_ttl(ttl(60)));
    let mut headers = request("SID=a; __cflb=x");
    affinity.strip(&mut headers);
    assert_eq!(headers[COOKIE], "SID=a");
    assert!(affinity.with_failover_mode(FailoverMode::Sticky).is_err());
    assert_eq!(policy().with_ttl(ttl(60)).life(), Life::Idle(ttl(60)));
    let own = policy().with_own_cookie(CookieName::new("ours").unwrap());
    assert_eq!(own.carrier().map(carrier::Carrier::as_str), Some("ours"));
}

#[test]
fn a_session_that_is_taken_back_is_no_more_in_the_store() {
    let affinity = Affinity::new(policy());
    let headers = request("SID=a");
    let visit = affinity.recall(&support::request(&headers), NOW);
    let write = affinity.forget(visit).store_write.unwrap();
    assert_eq!((write.key, write.kind), (key("a"), WriteKind::Remove));
}

/// In callbacks too the policy sees the response.
#[test]
fn a_flow_shows_the_response_to_the_policy() {
    let affinity = Affinity::new(policy());
    let pools = std::sync::Arc::new(pools(&["eu-1", "eu-2"]));
    let headers = HeaderMap::new();
    let settle = |status: u16| {
        let mut flow = Flow::default();
        let visit = affinity.recall(&support::request(&headers), NOW);
        flow.route(&affinity, visit, Record::Absent, pools.clone(), || 4).unwrap();
        flow.answered(StatusCode::OK);
        let settlement = flow.settle_response(&affinity, &response(status, &["SID=a"]));
        settlement.store_write.map(|write| write.key)
    };
    assert_eq!(settle(200), Some(key("a")));
    assert_eq!(settle(103), None, "it is no answer yet");
}

/// A node with its store, and the application's sessions as they ought to be.
struct Node {
    affinity: Affinity<LearnedPolicy>,
    pools: Pools<&'static str>,
    store: MemoryStore,
}

impl Node {
    fn serve(&self, cookie: Option<u8>, sets: &str, now: u64) -> (&'static str, EndpointId) {
        let headers = cookie.map_or(HeaderMap::new(), |number| request(&format!("SID={number}")));
        let visit = self.affinity.recall(&support::request(&headers), at(now));
        let Ok(record) = visit.lookup().map_or(Ok(Record::Absent), |it| self.store.load(&it));
        let drawn = now ^ 0x5bd1_e995;
        let (attempt, _) = self.affinity.route(visit, record, &self.pools, || drawn).unwrap();
        let (outcome, endpoint) = (attempt.outcome().label(), attempt.endpoint());
        let lines = [sets];
        let mut answer = response(200, if sets.is_empty() { &[] } else { &lines });
        let settlement = self.affinity.settle_response(attempt, &self.pools, &answer);
        let Ok(()) = self.store.commit(settlement.apply(&mut answer));
        (outcome, endpoint)
    }
}

proptest! {
    /// Each session of the application is served by the endpoint that has made it, until it ends or
    /// idles out: against a map of the sessions.
    #[test]
    fn every_session_stays_with_the_endpoint_that_has_made_it(
        steps in prop::collection::vec((prop::option::of(0_u8..6), 0_u8..4, 0_u8..6, 0_u64..900), 1..60),
    ) {
        let node = Node {
            affinity: Affinity::new(policy()),
            pools: pools(&["eu-1", "eu-2", "eu-3"]),
            store: MemoryStore::new(10_000).unwrap(),
        };
        let mut known: BTreeMap<u8, (EndpointId, u64)> = BTreeMap::new();
        let mut now = NOW.as_secs();
        for (cookie, does, number, pause) in steps {
            now += pause;
            known.retain(|_, (_, end)| *end > now);
            let sets = match does {
                0 | 1 => String::new(),
                2 => format!("SID={number}; Path=/; HttpOnly"),
                _ => "SID=gone; Expires=Thu, 01 Jan 1970 00:00:00 GMT".into(),
            };
            let (outcome, endpoint) = node.serve(cookie, &sets, now);
            let pinned = cookie.and_then(|cookie| known.get(&cookie).copied());
            match (cookie, pinned) {
                (None, _) => prop_assert_eq!(outcome, "created:no_cookie"),
                (Some(_), None) => prop_assert_eq!(outcome, "created:no_record"),
                (Some(_), Some((home, _))) => prop_assert_eq!((outcome, endpoint), ("kept", home)),
            }
            let end = now + 1_800;
            match (does, cookie) {
                // A session that is there keeps its endpoint: the first of two wins.
                (2, _) if cookie != Some(number) => {
                    known.entry(number).or_insert((endpoint, end));
                }
                (3, Some(cookie)) => drop(known.remove(&cookie)),
                (0..=2, Some(cookie)) => drop(known.insert(cookie, (endpoint, end))),
                _ => {}
            }
        }
    }
}
