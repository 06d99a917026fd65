//! The allocations of each verb: none on the kept path, one header value for a cookie.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::IpAddr;

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use session_affinity::limits::CoolingOff;
use session_affinity::policy::{Claim, Require};
use session_affinity::store::{Lookup, SessionKey, WriteKind};
use session_affinity::token::{Pin, Rejected};
use session_affinity::*;

mod support;
use support::{NOW, codec, cookie_policy, keyring, request, shop, ttl};

/// Counts the allocations of the current thread.
struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator as it came; counting touches nothing
// but a thread-local cell without a destructor.
#[allow(unsafe_code, reason = "an allocator cannot be written without")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = COUNT.with(Cell::get);
    let result = work();
    (result, COUNT.with(Cell::get) - before)
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| vec![0_u8; 10]).1, 1);
    assert_eq!(allocations(|| 0).1, 0);
}

fn two_pools() -> Pools<&'static str> {
    let eu = Pool::new("eu")
        .with_endpoint(Endpoint::new("eu-1", "a"))
        .with_endpoint(Endpoint::new("eu-2", "b"));
    let us = Pool::new("us").with_endpoint(Endpoint::new("us-1", "c"));
    Pools::builder().pool(eu).pool(us).fallback_in_order("us").build().unwrap()
}

fn with_cookie(endpoint: &str) -> HeaderMap {
    let codec = codec(&keyring());
    let pin = Pin {
        endpoint: EndpointId::new("eu", endpoint),
        issued: NOW,
        expires: NOW.saturating_add(3_600),
    };
    let mut headers = HeaderMap::new();
    headers.append(COOKIE, HeaderValue::from_static("theme=dark; sid=0123456789abcdef"));
    headers.append(
        COOKIE,
        HeaderValue::from_str(&format!("x=y; __cflb=junk; __cflb={}", codec.seal(&pin))).unwrap(),
    );
    headers
}

/// A kept request of the cookie policies allocates nothing.
#[test]
fn a_kept_cookie_request_allocates_nothing() {
    let policies: [Box<dyn AffinityPolicy>; 4] = [
        Box::new(cookie_policy()),
        Box::new(IpCookiePolicy::new(cookie_policy())),
        Box::new(support::sliding(&keyring())),
        Box::new(support::migrating(&keyring())),
    ];
    for policy in policies {
        let affinity = Affinity::new(policy).with_cooling_off(CoolingOff::new(10).unwrap());
        let (pools, headers) = (two_pools(), with_cookie("eu-1"));
        let request = request(&headers).with_client_ip(IpAddr::from([192, 0, 2, 1]));
        let (kept, count) = allocations(|| {
            let visit = affinity.recall(&request, NOW);
            let (attempt, target) = affinity.route(visit, Record::Absent, &pools, || 0).unwrap();
            let by_id = pools.target(attempt.endpoint());
            let outcome = attempt.outcome();
            let settlement = affinity.settle(attempt, &pools);
            (outcome, target, by_id, settlement.set_cookie().is_some())
        });
        assert_eq!((kept, count), ((Outcome::Kept, &"a", Some(&"a"), false), 0));
    }
}

#[test]
fn a_kept_header_request_allocates_nothing() {
    let secret = Secret::new([5; 32]).unwrap();
    let entries = ["x-user", "cookie", "cookie:sid,theme"];
    let policy = HeaderPolicy::new(&shop(), &secret, &entries).unwrap();
    let affinity = Affinity::new(policy.with_require(Require::All));
    let (pools, mut headers) = (two_pools(), with_cookie("eu-1"));
    headers.insert("x-user", HeaderValue::from_static("alice"));
    let store = MemoryStore::new(1_000).unwrap();
    let request = request(&headers);
    let serve = || {
        let visit = affinity.recall(&request, NOW);
        let record = store.record(visit.lookup());
        let (attempt, _) = affinity.route(visit, record, &pools, || 0).unwrap();
        let outcome = attempt.outcome();
        let mut response = HeaderMap::new();
        store
            .commit(affinity.settle(attempt, &pools).apply_to(http::StatusCode::OK, &mut response))
            .unwrap();
        outcome
    };
    assert_eq!(serve().label(), "created:no_record");
    assert_eq!(allocations(serve), (Outcome::Kept, 0));
}

/// A created session, up to its Set-Cookie line, makes one allocation: the header value.
#[test]
fn a_created_cookie_allocates_its_header_value_alone() {
    let affinity = Affinity::new(cookie_policy());
    let (pools, headers) = (two_pools(), HeaderMap::new());
    let request = request(&headers);
    let (settlement, count) = allocations(|| {
        let visit = affinity.recall(&request, NOW);
        let (attempt, _) = affinity.route(visit, Record::Absent, &pools, || 7).unwrap();
        affinity.settle(attempt, &pools)
    });
    assert!(settlement.set_cookie().is_some());
    assert_eq!(count, 1);
}

/// In a header: nothing when kept, and the header value alone when created.
#[test]
fn an_issued_header_allocates_as_a_cookie_does() {
    let affinity = Affinity::new(support::in_header(&keyring()));
    let pools = two_pools();
    let serve = |headers: &HeaderMap| {
        let visit = affinity.recall(&request(headers), NOW);
        let (attempt, _) = affinity.route(visit, Record::Absent, &pools, || 7).unwrap();
        affinity.settle(attempt, &pools)
    };
    let mut headers = HeaderMap::new();
    // The first copy of the name makes the allocation that all others share.
    let first = serve(&headers).response.unwrap();
    let (created, count) = allocations(|| serve(&headers));
    assert_eq!((created.response.as_ref(), count), (Some(&first), 1));
    headers.append(support::issued_header().name(), HeaderValue::from_static("junk"));
    headers.append(support::issued_header().name(), first.value().clone());
    assert_eq!(allocations(|| serve(&headers)), (Settlement::nothing(), 0));
}

/// The order of pools takes no allocation: not for a session that begins, moves or fails over.
#[test]
fn pools_that_are_steered_allocate_no_more() {
    let pools = (0..100).fold(Pools::builder(), |builder, number| {
        let endpoint = |name| Endpoint::new(name, number);
        let name = if number == 0 { "eu".into() } else { format!("p{number}") };
        let pool = Pool::new(name).with_endpoint(endpoint("eu-1")).with_endpoint(endpoint("eu-2"));
        builder.pool(pool)
    });
    let count = |load: &u32| *load;
    let pools = pools.with_pool_steering(steering::LeastConnections(count)).build().unwrap();
    let lost = pools.edited(|edit| edit.pool_state("eu", State::Disabled { at: None })).unwrap();
    let affinity = Affinity::new(cookie_policy())
        .with_failover_mode(FailoverMode::Sticky)
        .unwrap()
        .with_failover_scope(failover::FailoverScope::AllPools)
        .with_retries(limits::Retries::new(3).unwrap());
    for (headers, pools, label, most) in [
        (with_cookie("eu-1"), &pools, "kept", 0),
        (with_cookie("eu-1"), &lost, "moved:disabled", 1),
        (HeaderMap::new(), &pools, "created:no_cookie", 1),
    ] {
        let request = request(&headers);
        let (outcome, allocated) = allocations(|| {
            let visit = affinity.recall(&request, NOW);
            let (attempt, _) = affinity.route(visit, Record::Absent, pools, || 7).unwrap();
            let outcome = attempt.outcome();
            let _ = affinity.settle(attempt, pools);
            outcome
        });
        assert_eq!((outcome.label(), allocated), (label, most));
    }
    let headers = HeaderMap::new();
    let request = request(&headers);
    let (_, allocated) = allocations(|| {
        let visit = affinity.recall(&request, NOW);
        let (mut attempt, _) = affinity.route(visit, Record::Absent, &pools, || 7).unwrap();
        for _ in 0..3 {
            (attempt, _) = affinity.failover(attempt, &pools).unwrap();
        }
        affinity.settle(attempt, &pools)
    });
    assert_eq!(allocated, 1);
}

#[test]
fn a_failover_and_a_rejected_forgery_allocate_no_more() {
    let affinity =
        Affinity::new(cookie_policy()).with_failover_mode(FailoverMode::Temporary).unwrap();
    let (pools, headers) = (two_pools(), with_cookie("eu-1"));
    let (lent, count) = allocations(|| {
        let visit = affinity.recall(&request(&headers), NOW);
        let (attempt, _) = affinity.route(visit, Record::Absent, &pools, || 0).unwrap();
        let (attempt, _) = affinity.failover(attempt, &pools).unwrap();
        let outcome = attempt.outcome();
        let _ = affinity.settle(attempt, &pools);
        outcome
    });
    assert_eq!((lent.label(), count), ("lent:connect_failed", 0));
    let mut headers = HeaderMap::new();
    headers
        .insert(COOKIE, HeaderValue::from_str(&format!("__cflb={}", "AQEA".repeat(12))).unwrap());
    let (claim, count) = allocations(|| affinity.recall(&request(&headers), NOW).claim());
    assert_eq!((claim, count), (Claim::New(Some(Rejected::Forged)), 0));
}

/// manual::security, Memory and time: "[`MemoryStore`] has a fixed size".
#[test]
fn a_million_made_up_header_sessions_allocate_nothing() {
    let store = MemoryStore::new(10_000).unwrap();
    let kind = WriteKind::Create(EndpointId::from_u64(7));
    let ((), count) = allocations(|| {
        for number in 0..1_000_000_u128 {
            let (key, ttl, now) = (SessionKey(number.to_be_bytes()), ttl(1_800), NOW);
            let Ok(()) = store.save(&StoreWrite { key, ttl, now, kind });
            let Ok(_) = store.load(&Lookup { key, ttl, now });
        }
    });
    assert_eq!(count, 0);
}

/// Moved: the header value of the new pin. Given up, shed, unbound: nothing.
#[test]
fn the_other_ways_a_request_can_end_allocate_no_more_than_their_cookie() {
    let affinity = Affinity::new(cookie_policy());
    let headers = with_cookie("eu-1");
    let eu_1 = EndpointId::new("eu", "eu-1");
    let pools = two_pools().edited(|edit| edit.health(eu_1, Health::Unhealthy)).unwrap();
    let (moved, count) = allocations(|| {
        let visit = affinity.recall(&request(&headers), NOW);
        let (attempt, _) = affinity.route(visit, Record::Absent, &pools, || 0).unwrap();
        (attempt.outcome(), affinity.settle(attempt, &pools).set_cookie().is_some())
    });
    assert_eq!((moved.0.label(), moved.1, count), ("moved:unhealthy", true, 1));

    let pools = two_pools();
    let (gave_up, count) = allocations(|| {
        let visit = affinity.recall(&request(&headers), NOW);
        let (attempt, _) = affinity.route(visit, Record::Absent, &pools, || 0).unwrap();
        affinity.failover(attempt, &pools).err().map(GaveUp::outcome)
    });
    assert_eq!((gave_up, count), (Some(Outcome::GaveUp), 0));

    let unbound = Affinity::new(NoAffinity::new(&shop()));
    let (outcome, count) = allocations(|| {
        let visit = unbound.recall(&request(&headers), NOW);
        let (attempt, _) = unbound.route(visit, Record::Absent, &pools, || 0).unwrap();
        let outcome = attempt.outcome();
        let _ = unbound.settle(attempt, &pools);
        outcome
    });
    assert_eq!((outcome, count), (Outcome::Unbound, 0));
}
