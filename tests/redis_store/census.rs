//! Censuses that nodes share: their keys and values on the server, and when there is none.

use session_affinity::drain::{Census, Drain, DrainSessions};
use session_affinity::limits::{DrainDuration, Ttl};
use session_affinity::policy::Life;
use session_affinity::store::RedisError;
use session_affinity::{EndpointId, State, UnixTime};

use crate::client::*;
use crate::redis_server::RedisServer;
use crate::store_laws::endpoint;
use crate::stubs::{answering, refusing};
use crate::support::NOW;

/// The name of the census of the node `eu/1` of endpoint 7 on the server.
const RAW_CENSUS: &str =
    "session-affinity:1:shop.example.com:census:0000000000000007:gateway%20eu%2F1";

fn at(seconds: u64) -> UnixTime {
    NOW.saturating_add(seconds)
}

/// A census that began at `NOW`, and has noted a session that ends `seconds` later.
fn until(seconds: u64) -> Census {
    Census { began: Some(NOW), latest_end: Some(at(seconds)), ..Census::default() }
}

impl Client {
    fn publish(&self, node: &str, of: EndpointId, census: Census, now: UnixTime) {
        self.runtime.block_on(self.store.publish_census(node, of, census, now)).unwrap();
    }

    fn shared(&self, nodes: &[&str]) -> Result<Option<(Census, UnixTime)>, RedisError> {
        self.runtime.block_on(self.store.shared_census(nodes, endpoint(7)))
    }
}

#[test]
fn the_key_and_the_value_are_those_of_the_documentation_to_the_byte() {
    let server = RedisServer::start();
    let client = Client::of(&server);
    let census = Census {
        began: Some(at(1)),
        last_seen: Some(at(2)),
        latest_issued: None,
        latest_end: Some(UnixTime::MAX),
    };
    client.publish("gateway eu/1", endpoint(7), census, at(3));
    assert_eq!(server.keys(), [RAW_CENSUS]);
    let mut raw = vec![1];
    for time in [at(3), at(1), at(2), UnixTime::EPOCH, UnixTime::MAX] {
        raw.extend_from_slice(&time.as_secs().to_be_bytes()[3..]);
    }
    assert_eq!(raw.len(), 26);
    assert_eq!(server.ask::<Vec<u8>>(&["GET", RAW_CENSUS]), raw);
    assert_eq!(client.shared(&["gateway eu/1"]), Ok(Some((census, at(2)))), "a second before");
    let left: u64 = server.ask(&["TTL", RAW_CENSUS]);
    assert!((7 * 86_400 - 5..=7 * 86_400).contains(&left), "{left} s");
}

#[test]
fn the_censuses_of_all_nodes_merge_as_of_the_oldest() {
    let server = RedisServer::start();
    let nodes = [Client::of(&server), Client::of(&server), Client::of(&server)];
    let censuses = [until(50), until(90), Census { began: Some(at(5)), ..Census::default() }];
    for (node, (name, census)) in nodes.iter().zip(["a", "b", "c"].into_iter().zip(censuses)) {
        node.publish(name, endpoint(7), Census::default(), at(10));
        node.publish(name, endpoint(7), census, at(if name == "b" { 20 } else { 30 }));
    }
    nodes[0].publish("a", endpoint(8), until(500), at(30));
    let [a, b, c] = censuses;
    assert_eq!(nodes[1].shared(&["a", "b", "c"]), Ok(Some((a.merge(b).merge(c), at(19)))));
    assert_eq!(nodes[1].shared(&["a", "c"]), Ok(Some((a.merge(c), at(29)))));
}

/// A drain is never declared over because the census of a node could not be read.
#[test]
fn a_census_that_is_missing_or_unreadable_is_no_census_of_all() {
    let server = RedisServer::start();
    let client = Client::of(&server);
    assert_eq!(client.shared(&[]), Ok(None));
    client.publish("a", endpoint(7), until(50), at(60));
    assert_eq!(client.shared(&["a", "gateway eu/1"]), Ok(None), "missing");
    client.publish("gateway eu/1", endpoint(7), until(50), at(60));
    assert_eq!(client.shared(&["a", "gateway eu/1"]), Ok(Some((until(50), at(59)))));

    let raw: Vec<u8> = server.ask(&["GET", RAW_CENSUS]);
    let newer = [&[2][..], &raw[1..]].concat();
    let longer = [&raw[..], &[0; 5]].concat();
    for value in [&raw[..25], &raw[..21], &raw[..1], &[], &longer, &longer[..27], &newer] {
        server.set(RAW_CENSUS, value);
        assert_eq!(client.shared(&["a", "gateway eu/1"]), Ok(None), "{value:?}");
        assert_eq!(client.shared(&["gateway eu/1", "a"]), Ok(None), "{value:?}");
    }
    server.ask::<()>(&["DEL", RAW_CENSUS]);
    server.ask::<()>(&["RPUSH", RAW_CENSUS, "a list"]);
    let wrong = Err(RedisError::Refused("WRONGTYPE".into()));
    assert_eq!(client.shared(&["a", "gateway eu/1"]), wrong);
    let odd = Client::at(&answering(|_| Some(":7\r\n")));
    assert_eq!(odd.shared(&["a"]), Ok(None));
    assert!(Client::at(&refusing()).shared(&["a"]).is_err());
}

/// A report from before the endpoint was disabled, or before a session was prolonged, does not end
/// a drain: its progress is asked as of the oldest report.
#[test]
fn a_drain_is_over_once_reports_from_after_its_last_session_say_so() {
    let server = RedisServer::start();
    let client = Client::of(&server);
    let (drain, life) = (DrainDuration::new(9_000).unwrap(), Life::Idle(Ttl::new(60).unwrap()));
    let sessions = || {
        let (census, as_of) = client.shared(&["a", "b"]).unwrap()?;
        let state = State::Disabled { at: Some(at(100)) };
        Some(Drain::of(state, State::Enabled, drain, life, census, as_of).sessions)
    };
    client.publish("a", endpoint(7), until(50), at(100));
    client.publish("b", endpoint(7), until(20), at(99));
    let unknown = Some(DrainSessions::EndBy(at(160)));
    assert_eq!(sessions(), unknown, "sessions may have begun after the reports");
    client.publish("b", endpoint(7), until(20), at(101));
    assert_eq!(sessions(), unknown, "or in the second of one of them");
    client.publish("a", endpoint(7), until(155), at(120));
    assert_eq!(sessions(), Some(DrainSessions::EndBy(at(155))), "one had begun");
    client.publish("a", endpoint(7), until(155), at(300));
    assert_eq!(sessions(), Some(DrainSessions::EndBy(at(155))), "b may have prolonged it");
    client.publish("b", endpoint(7), until(210), at(200));
    assert_eq!(sessions(), Some(DrainSessions::EndBy(at(210))), "and has");
    client.publish("b", endpoint(7), until(210), at(211));
    assert_eq!(sessions(), Some(DrainSessions::Drained { since: Some(at(210)) }));
}
