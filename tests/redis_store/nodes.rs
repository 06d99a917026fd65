//! Several stores on one server, and requests whose sessions are kept there.

use http::{HeaderMap, HeaderValue};
use session_affinity::Affinity;
use session_affinity::store::{Record, WriteKind};

use crate::client::*;
use crate::redis_server::RedisServer;
use crate::store_laws::{endpoint, found};
use crate::stubs::refusing;
use crate::support::{NOW, cookie_policy, header, pools, request};

/// Of two first requests that race on two nodes one wins, and both nodes agree from then on.
#[test]
fn of_two_stores_that_race_one_wins_and_both_agree() {
    let server = RedisServer::start();
    let nodes = [Client::of(&server), Client::of(&server)];
    let mut wins = [0; 2];
    for number in 0..100 {
        std::thread::scope(|scope| {
            for (node, pinned) in nodes.iter().zip([1, 2]) {
                scope.spawn(move || node.save(create(number, pinned)).unwrap());
            }
        });
        let agreed = nodes[0].pinned(number).unwrap();
        assert_eq!(nodes[1].pinned(number), Some(agreed));
        assert!([endpoint(1), endpoint(2)].contains(&agreed));
        wins[(agreed == endpoint(2)) as usize] += 1;
        for node in &nodes {
            node.save(create(number, 3)).unwrap();
        }
        assert_eq!(nodes[0].pinned(number), Some(agreed), "from then on");
    }
    assert_eq!(wins[0] + wins[1], 100);
}

#[test]
fn a_failover_on_one_node_is_remembered_on_the_other() {
    let server = RedisServer::start();
    let nodes = [Client::of(&server), Client::of(&server)];
    let affinity = Affinity::new(header());
    let pools = pools(&["a", "b", "c"]);
    let headers =
        HeaderMap::from_iter([("x-user".parse().unwrap(), HeaderValue::from_static("ann"))]);
    let visit = || affinity.recall(&request(&headers), NOW);

    let visit_1 = visit();
    let record = nodes[0].runtime.block_on(nodes[0].store.record(visit_1.lookup()));
    assert_eq!(record, Record::Absent);
    let (attempt, _) = affinity.route(visit_1, record, &pools, || 0).unwrap();
    let refused = attempt.endpoint();
    let (attempt, _) = affinity.failover(attempt, &pools).unwrap();
    let served = attempt.endpoint();
    let write = affinity.settle(attempt, &pools).apply(&mut http::Response::new(()));
    nodes[0].runtime.block_on(nodes[0].store.commit(write)).unwrap();

    let visit_2 = visit();
    let record = nodes[1].runtime.block_on(nodes[1].store.record(visit_2.lookup()));
    let (attempt, _) = affinity.route(visit_2, record, &pools, || 0).unwrap();
    assert_eq!((attempt.outcome().label(), attempt.endpoint()), ("kept", served));
    assert_ne!(served, refused);
    let write = affinity.settle(attempt, &pools).apply(&mut http::Response::new(()));
    assert_eq!(write.map(|write| write.kind), Some(WriteKind::Touch));
    nodes[1].runtime.block_on(nodes[1].store.commit(write)).unwrap();
    nodes[1].runtime.block_on(nodes[1].store.commit(None)).unwrap();
}

#[test]
fn a_visit_without_a_lookup_sends_no_command() {
    let client = Client::at(&refusing());
    let affinity = Affinity::new(cookie_policy());
    let visit = affinity.recall(&request(&HeaderMap::new()), NOW);
    assert_eq!(client.runtime.block_on(client.store.record(visit.lookup())), Record::Absent);
}

#[test]
fn a_store_that_cannot_be_reached_is_a_record_that_says_so() {
    let client = Client::at(&refusing());
    let headers =
        HeaderMap::from_iter([("x-user".parse().unwrap(), HeaderValue::from_static("ann"))]);
    let visit = Affinity::new(header()).recall(&request(&headers), NOW);
    assert_eq!(client.runtime.block_on(client.store.record(visit.lookup())), Record::Unreachable);
}

#[test]
fn many_calls_share_one_connection() {
    let server = RedisServer::start();
    let client = Client::of(&server);
    client.runtime.block_on(async {
        let tasks: Vec<_> = (0..500)
            .map(|number| {
                let store = client.store.clone();
                tokio::spawn(async move {
                    store.save(&create(number, number)).await.unwrap();
                    store.load(&lookup(number)).await.unwrap()
                })
            })
            .collect();
        for (number, task) in (0..).zip(tasks) {
            assert_eq!(found(task.await.unwrap()).unwrap().0, endpoint(number));
        }
    });
    // That of the store, and that of the test.
    assert_eq!(server.ask::<String>(&["CLIENT", "LIST"]).lines().count(), 2);
}

#[test]
fn a_store_that_is_dropped_closes_its_connection() {
    let server = RedisServer::start();
    let Client { store, runtime } = Client::of(&server);
    runtime.block_on(store.connect()).unwrap();
    drop(store);
    wait_until("the end of the connection", || {
        server.ask::<String>(&["CLIENT", "LIST"]).lines().count() == 1
    });
}
