//! Servers that cannot keep the sessions: nodes of a cluster, a Sentinel, a replica, one that answers
//! `PING` with an error.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use session_affinity::store::{Record, RedisError, StoreConnection};

use crate::client::*;
use crate::redis_server::RedisServer;
use crate::store_laws::endpoint;
use crate::stubs::{answering, refusing};

fn node() -> RedisServer {
    RedisServer::start_with(&["--cluster-enabled", "yes"])
}

/// Gives a node these slots.
fn serves(node: &RedisServer, first: u16, last: u16) {
    node.ask::<()>(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]);
}

fn wait_for_shards(node: &RedisServer, shards: usize) {
    wait_until("the cluster", || {
        let info: String = node.ask(&["CLUSTER", "INFO"]);
        info.contains("cluster_state:ok") && info.contains(&format!("cluster_size:{shards}\r\n"))
    });
}

fn meet(node: &RedisServer, other: &RedisServer) {
    node.ask::<()>(&["CLUSTER", "MEET", "127.0.0.1", &other.port().to_string()]);
}

/// manual::gateways, What Redis needs: "a cluster of several shards, a Sentinel and a replica are
/// refused, at the start and at each connection".
#[test]
fn a_cluster_of_three_shards_is_refused_at_the_start() {
    let nodes = [node(), node(), node()];
    for (node, (first, last)) in nodes.iter().zip([(0, 5_460), (5_461, 10_922), (10_923, 16_383)]) {
        serves(node, first, last);
    }
    meet(&nodes[0], &nodes[1]);
    meet(&nodes[0], &nodes[2]);
    for node in &nodes {
        wait_for_shards(node, 3);
        let client = Client::of(node);
        let error = client.connect().unwrap_err();
        assert_eq!(error, RedisError::Cluster { shards: 3 });
        assert!(error.is_wrong_server());
        assert_eq!(
            error.to_string(),
            "Redis is a cluster of 3 shards, and redirections are not followed; allowed: a single \
             server, a cluster of one shard, or a proxy in front of the cluster"
        );
        for number in 0..20 {
            assert_eq!(client.load(number), Err(error.clone()), "each session is treated alike");
        }
    }
}

#[test]
fn a_cluster_of_one_shard_keeps_all_sessions_until_it_has_two() {
    let nodes = [node(), node()];
    serves(&nodes[0], 0, 16_383);
    wait_for_shards(&nodes[0], 1);
    let client = Client::of(&nodes[0]);
    assert_eq!(client.connect(), Ok(()));
    for number in 0..50 {
        client.save(create(number, number)).unwrap();
        assert_eq!(client.pinned(number), Some(endpoint(number)));
    }
    meet(&nodes[0], &nodes[1]);
    for node in &nodes {
        wait_until("the other node", || {
            let info: String = node.ask(&["CLUSTER", "INFO"]);
            info.contains("cluster_known_nodes:2") && info.contains("cluster_slots_assigned:16384")
        });
    }
    nodes[0].ask::<()>(&["FLUSHALL"]);
    // The second node takes half of the slots, and says so with a later epoch.
    nodes[0].ask::<()>(&["CLUSTER", "DELSLOTSRANGE", "0", "8191"]);
    nodes[1].ask::<()>(&["CLUSTER", "DELSLOTSRANGE", "0", "8191"]);
    serves(&nodes[1], 0, 8_191);
    nodes[1].ask::<redis::Value>(&["CLUSTER", "BUMPEPOCH"]);
    wait_for_shards(&nodes[0], 2);
    wait_until("a refusal", || {
        let refused = |number| client.load(number) == Err(RedisError::Cluster { shards: 2 });
        (0..20).filter(|number| refused(*number)).count() == 20
    });
}

#[test]
fn a_node_of_a_cluster_that_does_not_serve_the_slot_says_so() {
    let node = node();
    let client = Client::of(&node);
    assert_eq!(client.load(1), Err(RedisError::Refused("CLUSTERDOWN".into())));
}

#[test]
fn a_sentinel_is_refused_at_the_start() {
    let sentinel = RedisServer::start_with(&["--sentinel"]);
    let client = Client::of(&sentinel);
    assert_eq!(client.connect(), Err(RedisError::Sentinel));
    assert_eq!(client.load(1), Err(RedisError::Sentinel));
    assert!(RedisError::Sentinel.is_wrong_server());
}

fn become_replica(server: &RedisServer) {
    let unreachable = refusing();
    server.ask::<()>(&["REPLICAOF", "127.0.0.1", unreachable.rsplit(':').next().unwrap()]);
}

#[test]
fn a_replica_is_refused_at_the_start() {
    let server = RedisServer::start();
    become_replica(&server);
    let client = Client::of(&server);
    assert_eq!(client.connect(), Err(RedisError::Replica));
    assert_eq!(client.load(1), Err(RedisError::Replica));
}

#[test]
fn a_primary_that_becomes_a_replica_is_left_and_taken_again_as_a_primary() {
    let server = RedisServer::start();
    let client = Client::of(&server);
    client.save(create(1, 7)).unwrap();
    become_replica(&server);
    assert_eq!(client.pinned(1), Some(endpoint(7)), "no write has been refused yet");
    assert_eq!(client.save(replace(1, 8)), Err(RedisError::Replica));
    assert_eq!(client.load(1), Err(RedisError::Replica));
    server.ask::<()>(&["REPLICAOF", "NO", "ONE"]);
    client.wait_until_it_answers();
    client.save(replace(1, 8)).unwrap();
    assert_eq!(client.pinned(1), Some(endpoint(8)));
}

/// As behind a name that follows the primary: the next connection leads to another server.
#[test]
fn a_write_that_a_replica_has_refused_is_sent_again_by_the_next_connection() {
    let sets = Arc::new(AtomicUsize::new(0));
    let counter = sets.clone();
    let client = Client::at(&answering(move |words| match words[0].as_str() {
        "SET" if counter.fetch_add(1, SeqCst) == 0 => Some("-READONLY\r\n"),
        "SET" => Some("+OK\r\n"),
        "PING" => Some("+PONG\r\n"),
        _ => Some("*0\r\n"),
    }));
    assert_eq!(client.save(replace(1, 8)), Ok(()));
    assert_eq!((sets.load(SeqCst), client.store.health().writes_retried), (2, 1));
}

#[test]
fn a_server_that_answers_ping_with_an_error_is_down() {
    for (answer, code) in [
        ("-LOADING Redis is loading the dataset in memory\r\n", "LOADING"),
        ("-NOAUTH Authentication required.\r\n", "NOAUTH"),
        ("-MASTERDOWN Link with MASTER is down\r\n", "MASTERDOWN"),
    ] {
        let is_well = Arc::new(AtomicUsize::new(1));
        let well = is_well.clone();
        let client = Client::at(&answering(move |words| match words[0].as_str() {
            "PING" if well.load(SeqCst) == 0 => Some(answer),
            "PING" => Some("+PONG\r\n"),
            _ => Some("$-1\r\n"),
        }));
        assert_eq!(client.load(1), Ok(Record::Absent));
        is_well.store(0, SeqCst);
        wait_until("the check of the connection", || {
            client.store.health().connection == StoreConnection::Down
        });
        assert_eq!(client.load(1), Err(RedisError::Refused(code.into())));
        is_well.store(1, SeqCst);
        client.wait_until_it_answers();
    }
}

/// Some proxies do, at a command that they do not know.
#[test]
fn a_server_that_hangs_up_on_hello_is_taken() {
    let client = Client::at(&answering(|words| match words[0].as_str() {
        "HELLO" => None,
        "PING" => Some("+PONG\r\n"),
        _ => Some("$-1\r\n"),
    }));
    assert_eq!(client.connect(), Ok(()));
    assert_eq!(client.load(1), Ok(Record::Absent));
}
