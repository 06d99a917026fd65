//! The touch interval: which touches are sent, and how long a record lives.

use std::collections::HashMap;

use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use session_affinity::Affinity;
use session_affinity::limits::TouchInterval;
use session_affinity::store::{AnyStore, AsyncSessionStore, RedisError, RedisStore, StoreWrite};

use crate::client::*;
use crate::redis_server::RedisServer;
use crate::store_laws::{endpoint, ttl};
use crate::support::{NOW, header, pools, request, shop};

/// A write `seconds` after `NOW`.
fn after(seconds: u64, write: StoreWrite) -> StoreWrite {
    StoreWrite { now: NOW.saturating_add(seconds), ..write }
}

#[test]
fn without_an_interval_every_touch_is_sent() {
    let server = RedisServer::start();
    let client = Client::of(&server);
    assert_eq!(client.store.touch_interval(), TouchInterval::OFF);
    client.save(create(1, 7)).unwrap();
    for calls in 1..=3 {
        client.save(touch(1)).unwrap();
        assert_eq!(server.calls("expire"), calls);
    }
}

/// A request of a session that is kept costs a `GET`, and an `EXPIRE` once in an interval.
#[test]
fn a_kept_request_costs_a_get_and_once_in_an_interval_an_expire() {
    let server = RedisServer::start();
    let client = Client::with_touch_interval(&server, 60);
    let (affinity, pools) = (Affinity::new(header()), pools(&["a", "b", "c"]));
    let headers =
        HeaderMap::from_iter([("x-user".parse().unwrap(), HeaderValue::from_static("ann"))]);
    let answer = |seconds| {
        let visit = affinity.recall(&request(&headers), NOW.saturating_add(seconds));
        let record = client.runtime.block_on(client.store.record(visit.lookup()));
        let (attempt, _) = affinity.route(visit, record, &pools, || 0).unwrap();
        let label = attempt.outcome().label();
        let write = affinity.settle(attempt, &pools).apply(&mut http::Response::new(()));
        client.runtime.block_on(client.store.commit(write)).unwrap();
        (label, ["get", "set", "expire"].map(|command| server.calls(command)))
    };
    assert_eq!(answer(0), ("created:no_record", [1, 1, 0]));
    assert_eq!(answer(1), ("kept", [2, 1, 0]));
    assert_eq!(answer(59), ("kept", [3, 1, 0]));
    assert_eq!(answer(60), ("kept", [4, 1, 1]));
    assert_eq!(answer(119), ("kept", [5, 1, 1]));
    assert_eq!(answer(200), ("kept", [6, 1, 2]));
}

#[test]
fn creating_and_replacing_a_record_count_as_a_touch() {
    let server = RedisServer::start();
    let client = Client::with_touch_interval(&server, 60);
    for write in [create(1, 7), after(60, replace(1, 8))] {
        let begun = write.now;
        client.save(write).unwrap();
        let touch = StoreWrite { now: begun.saturating_add(59), ..touch(1) };
        client.save(touch).unwrap();
        assert_eq!(server.calls("expire"), 0, "{write:?}");
    }
    client.save(after(120, touch(1))).unwrap();
    assert_eq!(server.calls("expire"), 1);
    client.save(after(121, touch(2))).unwrap();
    assert_eq!(server.calls("expire"), 2, "another session");
}

#[test]
fn a_touch_that_failed_is_sent_again() {
    let server = RedisServer::start();
    let client = Client::with_touch_interval(&server, 60);
    client.save(create(1, 7)).unwrap();
    server.ask::<()>(&["ACL", "SETUSER", "default", "-expire"]);
    for seconds in [60, 61] {
        let refused = client.save(after(seconds, touch(1)));
        assert_eq!(refused, Err(RedisError::Refused("NOPERM".into())), "{seconds}");
    }
    server.ask::<()>(&["ACL", "SETUSER", "default", "+expire"]);
    for (seconds, calls) in [(62, 1), (63, 1)] {
        client.save(after(seconds, touch(1))).unwrap();
        assert_eq!(server.calls("expire"), calls, "{seconds}");
    }
}

/// A create that came second has left the idle time of the record as it was.
#[test]
fn a_create_that_came_second_and_a_touch_without_a_record_do_not_count() {
    let server = RedisServer::start();
    let client = Client::with_touch_interval(&server, 60);
    Client::of(&server).save(create(1, 7)).unwrap();
    server.pass(TTL - 10);
    client.save(create(1, 8)).unwrap();
    client.save(touch(1)).unwrap();
    assert_eq!(server.calls("expire"), 1);
    assert!(server.ask::<u64>(&["TTL", RAW_KEY]) > TTL - 10);

    for calls in [2, 3] {
        client.save(touch(2)).unwrap();
        assert_eq!(server.calls("expire"), calls);
    }
}

#[test]
fn a_session_that_another_node_has_moved_is_touched_within_the_interval() {
    let server = RedisServer::start();
    let (one, other) = (Client::with_touch_interval(&server, 60), Client::of(&server));
    one.save(create(1, 7)).unwrap();
    other.save(after(10, replace(1, 8))).unwrap();
    one.save(after(59, touch(1))).unwrap();
    assert_eq!(server.calls("expire"), 0);
    server.pass(60);
    one.save(after(60, touch(1))).unwrap();
    assert_eq!(server.calls("expire"), 1);
    assert!(server.ask::<u64>(&["TTL", RAW_KEY]) > TTL - 60);
    assert_eq!(one.pinned(1), Some(endpoint(8)));
}

#[test]
fn a_record_that_the_server_has_lost_is_created_again() {
    let server = RedisServer::start();
    let client = Client::with_touch_interval(&server, 60);
    client.save(create(1, 7)).unwrap();
    server.ask::<()>(&["FLUSHALL"]);
    assert_eq!(client.pinned(1), None);
    client.save(after(1, create(1, 8))).unwrap();
    assert_eq!(client.pinned(1), Some(endpoint(8)));
}

#[test]
fn a_clock_that_is_set_back_sends_the_touch() {
    let server = RedisServer::start();
    let client = Client::with_touch_interval(&server, 60);
    client.save(after(5_000, create(1, 7))).unwrap();
    for (seconds, calls) in [(4_999, 1), (0, 2), (59, 2), (60, 3)] {
        client.save(after(seconds, touch(1))).unwrap();
        assert_eq!(server.calls("expire"), calls, "{seconds}");
    }
}

#[test]
fn a_store_chosen_at_run_time_has_the_interval_too() {
    let server = RedisServer::start();
    let runtime = runtime();
    let interval = TouchInterval::new(60).unwrap();
    let opened = AnyStore::open(&server.url(), shop()).unwrap().with_touch_interval(interval);
    let given = RedisStore::new(shop(), &server.url()).unwrap().with_touch_interval(interval);
    for (store, number) in [(opened, 1), (given.into(), 2)] {
        let expires = server.calls("expire");
        for (seconds, calls) in [(0, 0), (59, 0), (60, 1), (61, 1)] {
            let write = if seconds == 0 { create(number, 7) } else { touch(number) };
            runtime.block_on(async {
                store.commit(Some(after(seconds, write))).await;
                store.finish().await;
            });
            assert_eq!(server.calls("expire"), expires + calls, "{seconds}");
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Touch(u64),
    Create(u64),
    Replace(u64),
    /// A replace by another node.
    Move(u64),
    Wait(u64),
}

/// A touch is sent if and only if the last write of this node that changed the record is an
/// interval ago; and after each use the record lives for the idle time less the interval at least.
#[test]
fn a_touch_is_sent_once_in_an_interval_and_no_record_ends_earlier_by_more() {
    let number = || 0_u64..4;
    let step = prop_oneof![
        4 => number().prop_map(Step::Touch),
        1 => number().prop_map(Step::Create),
        1 => number().prop_map(Step::Replace),
        1 => number().prop_map(Step::Move),
        3 => (0_u64..15).prop_map(Step::Wait),
    ];
    let (seconds, interval) = (120, 12);
    let server = RedisServer::start();
    let other = Client::of(&server);
    let config = Config { cases: 12, failure_persistence: None, ..Config::default() };
    let steps = proptest::collection::vec(step, 1..60);
    let result = TestRunner::new(config).run(&steps, |steps| {
        server.ask::<()>(&["FLUSHALL"]);
        // Longer than a tenth of the idle time, which is what counts.
        let node = Client::with_touch_interval(&server, 60);
        let mut now = 0;
        // The end of each record, and the time of the last write of the node that changed it.
        let (mut ends, mut last): (HashMap<u64, u64>, HashMap<u64, u64>) = Default::default();
        for step in steps {
            let expires = server.calls("expire");
            let of = |write| StoreWrite { ttl: ttl(seconds), ..after(now, write) };
            let (number, is_sent) = match step {
                Step::Wait(seconds) => {
                    server.pass(seconds);
                    now += seconds;
                    ends.retain(|_, end| *end > now);
                    continue;
                }
                Step::Touch(number) => {
                    node.save(of(touch(number))).unwrap();
                    let is_sent = last.get(&number).is_none_or(|last| now - last >= interval);
                    if is_sent && ends.contains_key(&number) {
                        ends.insert(number, now + seconds);
                        last.insert(number, now);
                    }
                    (number, is_sent)
                }
                Step::Create(number) => {
                    node.save(of(create(number, 7))).unwrap();
                    ends.entry(number).or_insert_with(|| {
                        last.insert(number, now);
                        now + seconds
                    });
                    continue;
                }
                Step::Replace(number) => {
                    node.save(of(replace(number, 8))).unwrap();
                    ends.insert(number, now + seconds);
                    last.insert(number, now);
                    (number, false)
                }
                Step::Move(number) => {
                    other.save(of(replace(number, 9))).unwrap();
                    ends.insert(number, now + seconds);
                    (number, false)
                }
            };
            prop_assert_eq!(server.calls("expire") - expires, u64::from(is_sent));
            let left = ends.get(&number).map(|end| end - now);
            let key = RAW_KEY.strip_suffix('1').unwrap();
            let milliseconds: i64 = server.ask(&["PTTL", &format!("{key}{number}")]);
            let found = u64::try_from(milliseconds).ok().map(|left| left.div_ceil(1_000));
            prop_assert_eq!(found.is_some(), left.is_some());
            if let (Some(found), Some(left)) = (found, left) {
                prop_assert!(left > seconds - interval);
                // A busy machine may take two seconds for the commands.
                prop_assert!(found <= left && left <= found + 2, "{} {}", found, left);
            }
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}
