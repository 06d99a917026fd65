//! A server that answers with an error, or with something else than asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use session_affinity::store::{Record, RedisError};

use crate::client::*;
use crate::redis_server::RedisServer;
use crate::store_laws::endpoint;
use crate::stubs::answering;

#[test]
fn an_error_of_the_server_is_returned_at_once_by_its_code() {
    for (answer, code) in [
        ("-LOADING Redis is loading the dataset in memory\r\n", "LOADING"),
        ("-NOAUTH Authentication required.\r\n", "NOAUTH"),
        ("-NOPERM this user has no permissions to run the 'get' command\r\n", "NOPERM"),
        ("-READONLY You can't write against a read only replica.\r\n", "READONLY"),
        ("-MOVED 3999 127.0.0.1:6381\r\n", "MOVED"),
        ("-ASK 3999 127.0.0.1:6381\r\n", "ASK"),
        ("-CLUSTERDOWN Hash slot not served\r\n", "CLUSTERDOWN"),
        ("-MASTERDOWN Link with MASTER is down\r\n", "MASTERDOWN"),
        ("-OOM command not allowed when used memory > 'maxmemory'.\r\n", "OOM"),
        ("-ERR unknown command 'GET', with args beginning with: 'hunter2'\r\n", "ERR"),
        ("-hunter2 is not a code\r\n", "(no code)"),
    ] {
        let client = Client::at(&answering(move |_| Some(answer)));
        let (loaded, elapsed) = timed(|| client.load(1));
        let error = loaded.unwrap_err();
        assert_eq!(error, RedisError::Refused(code.into()));
        assert_eq!(error.to_string(), format!("Redis answered with the error {code}"));
        assert_eq!(client.save(touch(1)), Err(error.clone()));
        assert_eq!(client.connect(), Err(error));
        assert!(elapsed < Duration::from_millis(500), "{answer}: {elapsed:?}");
    }
}

#[test]
fn a_server_of_another_protocol_is_not_connected() {
    for answer in ["HTTP/1.1 400 Bad Request\r\n\r\n", "\0\0\0\0", "*-5\r\n:x\r\n"] {
        let client = Client::at(&answering(move |_| Some(answer)));
        let (loaded, elapsed) = timed(|| client.load(1));
        assert!(matches!(loaded, Err(RedisError::Unconnected(_))), "{answer:?}: {loaded:?}");
        assert!(elapsed < Duration::from_millis(500), "{answer:?}: {elapsed:?}");
    }
}

#[test]
fn an_answer_of_the_wrong_kind_is_an_unreadable_record() {
    for answer in [":7\r\n", "*0\r\n", "+OK\r\n"] {
        assert_eq!(Client::at(&answering(move |_| Some(answer))).load(1), Ok(Record::Unreadable));
    }
}

#[test]
fn a_server_that_hangs_up_on_every_get_is_not_flooded_with_connections() {
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = connections.clone();
    let url = answering(move |words| match words[0].as_str() {
        "PING" => {
            counter.fetch_add(1, Ordering::SeqCst);
            Some("+PONG\r\n")
        }
        "HELLO" => Some("*0\r\n"),
        _ => None,
    });
    let client = Client::with_deadline(&url, 20);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(2) {
        assert!(client.load(1).is_err());
    }
    let connections = connections.load(Ordering::SeqCst);
    assert!((2..=20).contains(&connections), "{connections} connections in two seconds");
}

/// The connection ends instead, before memory is made for it.
#[test]
fn an_answer_without_an_end_is_cut_off() {
    for answer in ["$1000000000\r\n", "*2000000000\r\n", "*1\r\n*2000000000\r\n"] {
        let client = Client::at(&answering(move |words| match words[0].as_str() {
            "GET" => Some(answer),
            "PING" => Some("+PONG\r\n"),
            _ => Some("*0\r\n"),
        }));
        client.connect().unwrap();
        let (loaded, elapsed) = timed(|| client.load(1));
        let error = loaded.unwrap_err().to_string();
        assert!(error.ends_with("an answer of the server is too long"), "{answer:?}: {error}");
        assert!(elapsed < Duration::from_millis(500), "{answer:?}: {elapsed:?}");
    }
}

/// manual::gateways, What Redis needs: "A value that names another key is `unreadable`, so an answer
/// that was meant for another session is not believed."
#[test]
fn an_answer_that_belongs_to_another_key_is_not_believed_and_the_connection_is_made_again() {
    let server = RedisServer::start();
    let client = Client::of(&server);
    client.save(create(2, 7)).unwrap();
    let of_key_2: Vec<u8> = server.ask(&["GET", &server.keys()[0]]);
    server.set(RAW_KEY, &of_key_2);
    let before = server.connections();
    assert_eq!(client.load(1), Ok(Record::Unreadable));
    wait_until("another connection", || {
        let now = server.connections();
        now.len() == 1 && now != before
    });
    client.wait_until_it_answers();
    client.save(replace(1, 8)).unwrap();
    assert_eq!((client.pinned(1), client.pinned(2)), (Some(endpoint(8)), Some(endpoint(7))));
}

#[test]
fn a_full_server_refuses_writes_and_is_read() {
    let server = RedisServer::start();
    let client = Client::of(&server);
    client.save(create(1, 7)).unwrap();
    server.ask::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
    assert_eq!(client.save(create(2, 7)), Err(RedisError::Refused("OOM".into())));
    assert_eq!(client.pinned(1), Some(endpoint(7)));
}
