//! The keys and values on the server, and the commands that write them.

use session_affinity::LoadBalancer;
use session_affinity::limits::StoreDeadline;
use session_affinity::store::{Lookup, Record, RedisStore, StoreWrite, WriteKind};

use crate::client::*;
use crate::redis_server::RedisServer;
use crate::store_laws::{endpoint, found, key, ttl};
use crate::support::NOW;

#[test]
fn keys_and_values_are_those_of_the_documentation_to_the_byte() {
    let server = RedisServer::start();
    let client = Client::of(&server);
    client.save(create(1, 7)).unwrap();
    assert_eq!(server.keys(), [RAW_KEY]);
    assert_eq!(server.ask::<Vec<u8>>(&["GET", RAW_KEY]), RAW_VALUE);
    server.ask::<()>(&["FLUSHALL"]);
    server.set(RAW_KEY, &RAW_VALUE);
    assert_eq!(found(client.load(1).unwrap()), Some((endpoint(7), NOW)));
}

#[test]
fn the_time_to_live_is_on_the_server() {
    let server = RedisServer::start();
    let client = Client::of(&server);
    for write in [create(1, 7), touch(1), replace(1, 8)] {
        client.save(write).unwrap();
        let left: u64 = server.ask(&["PTTL", RAW_KEY]);
        assert!((TTL * 1_000 - 900..=TTL * 1_000).contains(&left), "{left} ms after {write:?}");
        server.ask::<()>(&["EXPIRE", RAW_KEY, "99"]);
    }
    client.save(create(1, 9)).unwrap();
    assert!(
        server.ask::<u64>(&["TTL", RAW_KEY]) <= 99,
        "a create that comes second restarts nothing"
    );
}

#[test]
fn the_server_drops_a_record_by_its_own_clock() {
    let server = RedisServer::start();
    let client = Client::of(&server);
    let (key, ttl, now) = (key(1), ttl(1), NOW);
    let kind = WriteKind::Create(endpoint(7));
    client.save(StoreWrite { key, ttl, now, kind }).unwrap();
    wait_until("the end of the record", || {
        client.runtime.block_on(client.store.load(&Lookup { key, ttl, now })) == Ok(Record::Absent)
    });
}

#[test]
fn a_load_is_one_get_and_a_write_one_command() {
    let server = RedisServer::start();
    let client = Client::of(&server);
    client.connect().unwrap();
    let all = || ["get", "set", "expire", "del"].map(|command| server.calls(command));
    client.load(1).unwrap();
    assert_eq!(all(), [1, 0, 0, 0]);
    client.save(create(1, 7)).unwrap();
    assert_eq!(all(), [1, 1, 0, 0]);
    client.save(replace(1, 8)).unwrap();
    assert_eq!(all(), [1, 2, 0, 0]);
    client.save(touch(1)).unwrap();
    assert_eq!(all(), [1, 2, 1, 0]);
    client.save(remove(1)).unwrap();
    assert_eq!(all(), [1, 2, 1, 1]);
}

/// A value of another version or length is unreadable, and a replace writes over it.
#[test]
fn a_record_that_cannot_be_read_says_so_and_is_replaced() {
    let server = RedisServer::start();
    let client = Client::of(&server);
    let newer = [&[3][..], &RAW_VALUE[1..], b"more"].concat();
    let older = [&[1][..], &RAW_VALUE[1..14]].concat();
    for bytes in [
        b"".as_slice(),
        b"eu-1",
        &RAW_VALUE[..19],
        &[&RAW_VALUE[..], b"\0"].concat(),
        &newer,
        &older,
    ] {
        server.set(RAW_KEY, bytes);
        assert_eq!(client.load(1), Ok(Record::Unreadable), "{bytes:?}");
        client.save(create(1, 7)).unwrap();
        assert_eq!(client.load(1), Ok(Record::Unreadable), "a create keeps what came first");
        client.save(replace(1, 8)).unwrap();
        assert_eq!(client.pinned(1), Some(endpoint(8)));
    }
    server.ask::<()>(&["DEL", RAW_KEY]);
    server.ask::<()>(&["RPUSH", RAW_KEY, "a list"]);
    assert_eq!(client.load(1), Ok(Record::Unreadable));
    client.save(replace(1, 8)).unwrap();
    assert_eq!(client.pinned(1), Some(endpoint(8)));
}

#[test]
fn load_balancers_on_one_server_do_not_see_each_others_sessions() {
    let server = RedisServer::start();
    let shop = Client::of(&server);
    shop.save(create(1, 7)).unwrap();
    for name in ["blog.example.com", "shop.example.com:1", "shop", "SHOP.example.com"] {
        let other = RedisStore::new(LoadBalancer::new(name).unwrap(), &server.url()).unwrap();
        assert_eq!(
            shop.runtime.block_on(other.with_deadline(StoreDeadline::MAX).load(&lookup(1))),
            Ok(Record::Absent)
        );
    }
}
