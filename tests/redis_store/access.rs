//! The URL of the server, its users and passwords.

use session_affinity::drain::Census;
use session_affinity::store::{Record, RedisError, RedisStore};

use crate::client::*;
use crate::redis_server::RedisServer;
use crate::store_laws::endpoint;
use crate::support::{NOW, shop};

#[test]
fn the_database_is_that_of_the_url() {
    let server = RedisServer::start();
    let client = Client::at(&format!("{}/3", server.url()));
    client.save(create(1, 7)).unwrap();
    assert!(server.keys().is_empty());
    assert_eq!(Client::at(&format!("{}/3", server.url())).pinned(1), Some(endpoint(7)));
    let missing = Client::at(&format!("{}/99", server.url())).load(1).unwrap_err();
    let message =
        "there is no connection to Redis: the server refused the database, or requires a password";
    assert_eq!(missing.to_string(), message);
}

#[test]
fn a_unix_socket_works_as_well() {
    let server = RedisServer::start_with(&["--unixsocket", "redis.sock"]);
    let client = Client::at(&server.unix_url());
    client.save(create(1, 7)).unwrap();
    assert_eq!(server.keys(), [RAW_KEY]);
    let elsewhere = Client::at(&format!("{}?db=2", server.unix_url()));
    assert_eq!(elsewhere.load(1), Ok(Record::Absent));
}

#[test]
fn both_versions_of_the_protocol_work() {
    let server = RedisServer::start();
    let client = Client::at(&format!("{}/?protocol=resp3", server.url()));
    assert_eq!(client.load(1), Ok(Record::Absent));
    client.save(create(1, 7)).unwrap();
    client.save(create(1, 8)).unwrap();
    client.save(touch(1)).unwrap();
    assert_eq!(client.pinned(1), Some(endpoint(7)));
}

const PASSWORD: &str = "hunter2 @/:#%";
const ENCODED: &str = "hunter2%20%40%2F%3A%23%25";

#[test]
fn a_password_is_sent_and_never_shown() {
    let server = RedisServer::start_for(&format!(":{ENCODED}@"), &["--requirepass", PASSWORD]);
    let client = Client::of(&server);
    client.save(create(1, 7)).unwrap();
    assert_eq!(client.pinned(1), Some(endpoint(7)));

    let address = format!("127.0.0.1:{}", server.port());
    let without = Client::at(&format!("redis://{address}"));
    assert_eq!(without.load(1), Err(RedisError::Refused("NOAUTH".into())));
    assert_eq!(without.connect(), Err(RedisError::Refused("NOAUTH".into())));
    let wrong = Client::at(&format!("redis://:hunter3@{address}"));
    let error = wrong.load(1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no connection to Redis: the server refused the user or the password"
    );
    let shown = format!("{:?} {:?} {error:?} {error}", client.store, wrong.store);
    assert!(!shown.contains("hunter"), "{shown}");
    assert_eq!(
        format!("{:?}", client.store),
        format!(
            "RedisStore {{ address: \"{address}\", keys: \"session-affinity:1:shop.example.com:\", \
             deadline: StoreDeadline(1000), write_deadline: StoreDeadline(1000), \
             touch_interval: TouchInterval(0), outage_sessions: OutageSessions(20000), .. }}"
        )
    );
}

/// The user of the server needs the commands GET, SET, EXPIRE, DEL and PING.
#[test]
fn a_user_needs_no_more_than_five_commands_and_the_keys() {
    let server = RedisServer::start();
    let rules = [
        "on",
        ">hunter2",
        "~session-affinity:1:shop.example.com:*",
        "+get",
        "+set",
        "+expire",
        "+del",
        "+ping",
    ];
    server.ask::<()>(&[&["ACL", "SETUSER", "gateway"][..], &rules].concat());
    let client = Client::at(&format!("redis://gateway:hunter2@127.0.0.1:{}", server.port()));
    assert_eq!(client.connect(), Ok(()));
    for write in [create(1, 7), touch(1), replace(1, 8)] {
        client.save(write).unwrap();
    }
    assert_eq!(client.pinned(1), Some(endpoint(8)));
    client.save(remove(1)).unwrap();
    assert_eq!(client.pinned(1), None);
    client.runtime.block_on(async {
        let (store, census) = (&client.store, Census::default());
        store.publish_census("a", endpoint(7), census, NOW).await.unwrap();
        assert!(store.shared_census(&["a"], endpoint(7)).await.unwrap().is_some());
    });
    assert!(server.ask::<Vec<redis::Value>>(&["ACL", "LOG"]).is_empty(), "nothing was refused");
}

#[test]
fn a_user_of_another_database_or_of_a_cluster_of_one_shard_needs_one_command_more() {
    let server = RedisServer::start();
    let node = RedisServer::start_with(&["--cluster-enabled", "yes"]);
    node.ask::<()>(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    wait_until("the cluster", || {
        node.ask::<String>(&["CLUSTER", "INFO"]).contains("cluster_state:ok")
    });
    let user = ["ACL", "SETUSER", "gateway", "on", ">hunter2", "~*", "+get", "+set", "+ping"];
    for (server, database, command, refusal) in [
        (&server, "/3", "+select", "the server refused the database, or requires a password"),
        (&node, "", "+cluster|info", "a cluster of shards that CLUSTER INFO does not tell"),
    ] {
        server.ask::<()>(&user);
        let url = format!("redis://gateway:hunter2@127.0.0.1:{}{database}", server.port());
        let refused = Client::at(&url).connect().unwrap_err().to_string();
        assert!(refused.contains(refusal), "{refused}");
        server.ask::<()>(&["ACL", "SETUSER", "gateway", command]);
        let client = Client::at(&url);
        assert_eq!(client.connect(), Ok(()));
        client.save(create(1, 7)).unwrap();
        assert_eq!(client.pinned(1), Some(endpoint(7)));
    }
}

#[test]
fn a_url_that_is_not_a_redis_url_is_refused_and_not_shown() {
    for url in [
        "",
        "redis",
        "redis://",
        "memory",
        "http://:hunter2@127.0.0.1",
        "127.0.0.1:6379",
        "redis://:hunter2@127.0.0.1:6379/database",
        "redis://:hunter2@127.0.0.1:99999",
        "redis://:hunter2@0.0.0.0",
        "rediss://:hunter2@127.0.0.1#insecure",
        "redis+unix://?pass=hunter2&db=x",
        "redis://127.0.0.1/?protocol=hunter2",
    ] {
        let error = RedisStore::new(shop(), url).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the URL is not a Redis URL; allowed: redis://[user:password@]host[:port][/database], \
             rediss:// for the same with TLS, and redis+unix:///path"
        );
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}

#[cfg(not(feature = "redis-tls"))]
#[test]
fn tls_needs_its_feature_and_the_error_says_so() {
    let error = RedisStore::new(shop(), "rediss://:hunter2@127.0.0.1").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the URL asks for TLS, and the feature redis-tls is off; allowed: redis:// and redis+unix://"
    );
}
