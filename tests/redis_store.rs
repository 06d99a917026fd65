//! The store of several machines, against a `redis-server` of its own for each test.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue};
use session_affinity::*;
use tokio::runtime::Runtime;

#[path = "support/redis_server.rs"]
mod redis_server;
mod store_laws;
mod support;
use redis_server::RedisServer;
use store_laws::{Subject, endpoint, found, key};
use support::{NOW, pools, request, shop};

const TTL: u64 = 1_800;

/// Of key 1 in the scope of `shop()`.
const RAW_KEY: &str = "session-affinity:1:shop.example.com:00000000000000000000000000000001";
/// Endpoint 7 at `NOW`, by the table in the documentation.
const RAW_VALUE: [u8; 14] = [1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0x6b, 0x49, 0xd2, 0];

/// A store and a runtime, for tests that are no futures. Its deadline is longer than a busy
/// machine needs.
struct Client {
    store: Arc<RedisStore>,
    runtime: Runtime,
}

impl Client {
    fn of(server: &RedisServer) -> Self {
        Self::at(&server.url())
    }

    fn at(url: &str) -> Self {
        Self::with_deadline(url, 1_000)
    }

    fn with_deadline(url: &str, milliseconds: u64) -> Self {
        let store = RedisStore::new(&shop(), url).unwrap().with_deadline(StoreDeadline::new(milliseconds).unwrap());
        Self { store: Arc::new(store), runtime: runtime() }
    }

    fn connect(&self) -> Result<(), RedisError> {
        self.runtime.block_on(self.store.connect())
    }

    fn load(&self, number: u64) -> Result<Record, RedisError> {
        self.runtime.block_on(self.store.load(&lookup(number)))
    }

    fn pinned(&self, number: u64) -> Option<EndpointId> {
        found(self.load(number).unwrap()).map(|(endpoint, ..)| endpoint)
    }

    fn save(&self, write: StoreWrite) -> Result<(), RedisError> {
        self.runtime.block_on(self.store.save(&write))
    }

    fn wait_until_it_answers(&self) {
        wait_until("an answer", || self.load(1).is_ok());
    }
}

/// A runtime with a thread of its own, so that what runs in the background does.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn lookup(number: u64) -> Lookup {
    Lookup { key: key(number), ttl: TTL, now: NOW }
}

fn create(number: u64, pinned: u64) -> StoreWrite {
    StoreWrite::Create { key: key(number), endpoint: endpoint(pinned), ttl: TTL, now: NOW }
}

fn replace(number: u64, pinned: u64) -> StoreWrite {
    StoreWrite::Replace { key: key(number), endpoint: endpoint(pinned), ttl: TTL, now: NOW }
}

fn touch(number: u64) -> StoreWrite {
    StoreWrite::Touch { key: key(number), ttl: TTL, now: NOW }
}

fn timed<T>(call: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    (call(), start.elapsed())
}

#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(15), "waited too long for this: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

// The laws of the trait.

struct InRedis {
    server: Arc<RedisServer>,
    client: Arc<Client>,
    now: UnixTime,
}

impl InRedis {
    fn new() -> Self {
        let server = Arc::new(RedisServer::start());
        Self { client: Arc::new(Client::of(&server)), server, now: NOW }
    }
}

impl Subject for InRedis {
    fn load(&self, lookup: &Lookup) -> Record {
        self.client.runtime.block_on(self.client.store.load(lookup)).unwrap()
    }

    fn save(&self, write: &StoreWrite) {
        self.client.runtime.block_on(self.client.store.save(write)).unwrap();
    }

    fn live(&self) -> usize {
        self.server.ask(&["DBSIZE"])
    }

    fn now(&self) -> UnixTime {
        self.now
    }

    fn wait(&mut self, seconds: u64) {
        self.server.pass(seconds);
        self.now = self.now.saturating_add(seconds);
    }
}

macro_rules! laws {
    ($($law:ident)*) => {$(
        #[test]
        fn $law() {
            store_laws::$law(&mut InRedis::new());
        }
    )*};
}

laws! {
    a_record_is_alive_until_one_second_before_its_idle_time_is_over
    a_replacement_lives_for_its_own_time
    a_load_does_not_restart_the_timer
    a_touch_makes_no_record_and_wakes_none
    a_touch_keeps_endpoint_and_time_of_the_record
    a_create_keeps_what_came_first_and_a_replace_does_not
    a_create_that_comes_second_does_not_restart_the_timer
    a_key_shows_no_record_but_its_own
    an_idle_time_of_nothing_leaves_no_record
    the_longest_idle_time_can_be_stored
}

#[test]
fn it_behaves_as_a_map_does() {
    let InRedis { server, client, now } = InRedis::new();
    store_laws::it_behaves_as_a_map_does(16, || {
        server.ask::<()>(&["FLUSHALL"]);
        InRedis { server: server.clone(), client: client.clone(), now }
    });
}

// What stands in the server.

#[test]
fn keys_and_values_are_those_of_the_documentation_to_the_byte() {
    let server = RedisServer::start();
    let client = Client::of(&server);
    client.save(create(1, 7)).unwrap();
    assert_eq!(server.keys(), [RAW_KEY]);
    assert_eq!(server.ask::<Vec<u8>>(&["GET", RAW_KEY]), RAW_VALUE);
    server.ask::<()>(&["FLUSHALL"]);
    server.set(RAW_KEY, &RAW_VALUE);
    assert_eq!(found(client.load(1).unwrap()), Some((endpoint(7), NOW, NOW.saturating_add(TTL))));
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
    assert!(server.ask::<u64>(&["TTL", RAW_KEY]) <= 99, "a create that comes second restarts nothing");
}

#[test]
fn the_server_drops_a_record_by_its_own_clock() {
    let server = RedisServer::start();
    let client = Client::of(&server);
    let (_, now) = (client.save(StoreWrite::Create { key: key(1), endpoint: endpoint(7), ttl: 1, now: NOW }), NOW);
    wait_until("its end", || {
        client.runtime.block_on(client.store.load(&Lookup { key: key(1), ttl: 1, now })) == Ok(Record::Absent)
    });
}

#[test]
fn a_load_is_one_get_and_a_write_one_command() {
    let server = RedisServer::start();
    let client = Client::of(&server);
    client.connect().unwrap();
    let calls = |command: &str| -> u64 {
        let stats: String = server.ask(&["INFO", "commandstats"]);
        let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
        line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0)
    };
    let all = || ["get", "set", "expire"].map(calls);
    client.load(1).unwrap();
    assert_eq!(all(), [1, 0, 0]);
    client.save(create(1, 7)).unwrap();
    assert_eq!(all(), [1, 1, 0]);
    client.save(replace(1, 8)).unwrap();
    assert_eq!(all(), [1, 2, 0]);
    client.save(touch(1)).unwrap();
    assert_eq!(all(), [1, 2, 1]);
}

/// "an unknown version or bad length" is `Record::Unreadable`, and so is a record from a newer one.
#[test]
fn a_record_that_cannot_be_read_says_so_and_is_replaced() {
    let server = RedisServer::start();
    let client = Client::of(&server);
    let newer = [&[2][..], &RAW_VALUE[1..], b"more"].concat();
    let older = [&[0][..], &RAW_VALUE[1..]].concat();
    for bytes in [b"".as_slice(), b"eu-1", &RAW_VALUE[..13], &[&RAW_VALUE[..], b"\0"].concat(), &newer, &older] {
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
        let other = RedisStore::new(&Name::new(name).unwrap(), &server.url()).unwrap();
        assert_eq!(shop.runtime.block_on(other.with_deadline(StoreDeadline::MAX).load(&lookup(1))), Ok(Record::Absent));
    }
}

// More than one store.

/// "of two first requests racing on two nodes one wins and both nodes agree from then on"
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
    let secret = Secret::new([5; 32]).unwrap();
    let policy = HeaderPolicy::new(&shop(), &secret, &["x-user"], Require::Any, CookieName::default()).unwrap();
    let affinity = Affinity::new(&shop(), policy);
    let pools = pools(&["a", "b", "c"]);
    let headers = HeaderMap::from_iter([("x-user".parse().unwrap(), HeaderValue::from_static("ann"))]);
    let visit = || affinity.recall(&request(&headers), NOW);

    let visit_1 = visit();
    let record = nodes[0].runtime.block_on(nodes[0].store.record(&visit_1));
    assert_eq!(record, Record::Absent);
    let attempt = affinity.route(visit_1, record, &pools, || 0).unwrap();
    let refused = attempt.endpoint();
    let attempt = affinity.failover(attempt, &pools).unwrap();
    let served = attempt.endpoint();
    let settlement = affinity.settle(attempt, &pools);
    nodes[0].runtime.block_on(nodes[0].store.settle(&settlement)).unwrap();

    let visit_2 = visit();
    let record = nodes[1].runtime.block_on(nodes[1].store.record(&visit_2));
    let attempt = affinity.route(visit_2, record, &pools, || 0).unwrap();
    assert_eq!((attempt.outcome().label(), attempt.endpoint()), ("kept", served));
    assert_ne!(served, refused);
    let settlement = affinity.settle(attempt, &pools);
    assert!(matches!(settlement.store_write, Some(StoreWrite::Touch { .. })));
    nodes[1].runtime.block_on(nodes[1].store.settle(&settlement)).unwrap();
    nodes[1].runtime.block_on(nodes[1].store.settle(&Settlement::nothing())).unwrap();
}

#[test]
fn a_visit_without_a_lookup_asks_nobody() {
    let client = Client::at(&refusing());
    let affinity = Affinity::new(&shop(), support::cookie_policy());
    let visit = affinity.recall(&request(&HeaderMap::new()), NOW);
    assert_eq!(client.runtime.block_on(client.store.record(&visit)), Record::Absent);
}

#[test]
fn a_store_that_cannot_be_reached_is_a_record_that_says_so() {
    let client = Client::at(&refusing());
    let secret = Secret::new([5; 32]).unwrap();
    let policy = HeaderPolicy::new(&shop(), &secret, &["x-user"], Require::Any, CookieName::default()).unwrap();
    let headers = HeaderMap::from_iter([("x-user".parse().unwrap(), HeaderValue::from_static("ann"))]);
    let visit = Affinity::new(&shop(), policy).recall(&request(&headers), NOW);
    assert_eq!(client.runtime.block_on(client.store.record(&visit)), Record::Unreachable);
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
    // Ours, and the one that asks.
    assert_eq!(server.ask::<String>(&["CLIENT", "LIST"]).lines().count(), 2);
}

#[test]
fn a_store_that_is_dropped_closes_its_connection() {
    let server = RedisServer::start();
    let Client { store, runtime } = Client::of(&server);
    runtime.block_on(store.connect()).unwrap();
    drop(store);
    wait_until("the end of the connection", || server.ask::<String>(&["CLIENT", "LIST"]).lines().count() == 1);
}

// Trouble.

/// A URL of a port at which connections are refused.
fn refusing() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    format!("redis://127.0.0.1:{}", listener.local_addr().unwrap().port())
}

#[test]
fn a_server_that_is_gone_costs_nothing_and_is_found_again() {
    let mut server = RedisServer::start();
    let client = Client::of(&server);
    client.save(create(1, 7)).unwrap();
    server.go_down();
    for call in 0..20 {
        let ((loaded, saved), elapsed) = timed(|| (client.load(1), client.save(touch(1))));
        for error in [loaded.unwrap_err(), saved.unwrap_err()] {
            let text = error.to_string();
            assert!(text.starts_with("there is no connection to Redis: Connection refused"), "{text}");
        }
        assert!(elapsed < Duration::from_millis(500), "call {call}: {elapsed:?}");
    }
    server.come_back();
    client.wait_until_it_answers();
    assert_eq!(client.pinned(1), None, "what a server without a disk knew is gone");
    client.save(create(1, 8)).unwrap();
    assert_eq!(client.pinned(1), Some(endpoint(8)));
}

#[test]
fn a_server_that_was_not_there_at_first_is_found() {
    let mut server = RedisServer::start();
    server.go_down();
    let client = Client::of(&server);
    assert!(matches!(client.connect(), Err(RedisError::Unconnected(_))));
    server.come_back();
    client.wait_until_it_answers();
    assert_eq!(client.connect(), Ok(()));
}

#[test]
fn a_connection_that_ended_while_it_was_idle_fails_no_call() {
    let mut server = RedisServer::start();
    let client = Client::of(&server);
    client.save(create(1, 7)).unwrap();
    // A connection that has lived for a second is made anew at once.
    std::thread::sleep(Duration::from_millis(1_100));
    server.ask::<()>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    assert_eq!(client.load(1).map(found), Ok(Some((endpoint(7), NOW, NOW.saturating_add(TTL)))));
    std::thread::sleep(Duration::from_millis(1_100));
    server.go_down();
    server.come_back();
    assert_eq!(client.load(1), Ok(Record::Absent));
}

#[test]
fn a_server_that_hangs_costs_one_call_the_deadline_and_the_others_nothing() {
    let server = RedisServer::start();
    let client = Client::of(&server);
    client.save(create(1, 7)).unwrap();
    server.hang();
    let (first, elapsed) = timed(|| client.load(1));
    assert_eq!(first, Err(RedisError::TimedOut(StoreDeadline::MAX)));
    assert!(elapsed >= Duration::from_millis(1_000), "{elapsed:?}");
    let begun = Instant::now();
    // For long enough that the silent connection is given up and another one is tried.
    while begun.elapsed() < Duration::from_millis(2_500) {
        let (next, elapsed) = timed(|| client.load(1));
        assert!(matches!(next, Err(RedisError::Silent | RedisError::Unconnected(_))), "{next:?}");
        assert!(elapsed < Duration::from_millis(500), "{elapsed:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    server.go_on();
    client.wait_until_it_answers();
    assert_eq!(client.pinned(1), Some(endpoint(7)));
}

#[test]
fn a_short_silence_keeps_the_connection() {
    let server = RedisServer::start();
    let client = Client::with_deadline(&server.url(), 100);
    client.wait_until_it_answers();
    let id = || -> String {
        let list: String = server.ask(&["CLIENT", "LIST"]);
        list.split_whitespace().next().unwrap().into()
    };
    let before = id();
    server.hang();
    assert!(matches!(client.load(1), Err(RedisError::TimedOut(_))));
    assert_eq!(client.load(1), Err(RedisError::Silent));
    server.go_on();
    client.wait_until_it_answers();
    assert_eq!(id(), before);
}

/// "a hung or stopped server costs a request at most the deadline"
#[test]
fn no_call_takes_longer_than_the_deadline() {
    let hanging = RedisServer::start();
    hanging.hang();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let silent = format!("redis://{}", listener.local_addr().unwrap());
    let (blackhole, _kept) = blackhole();
    for url in [hanging.url(), format!("{}/3", hanging.url()), silent, blackhole, refusing()] {
        let client = Client::with_deadline(&url, 50);
        let mut slowest = Duration::ZERO;
        for call in 0..10 {
            let (loaded, elapsed) = timed(|| client.load(1));
            assert!(loaded.is_err(), "{url}: {loaded:?}");
            // Room for a busy machine, and less than ten deadlines.
            assert!(elapsed < Duration::from_millis(450), "{url}, call {call}: {elapsed:?}");
            slowest = slowest.max(elapsed);
        }
        println!("{url}: {slowest:?}");
    }
}

/// A port at which a connection is neither made nor refused: a listener that accepts nothing,
/// with a full queue. And what keeps it so.
fn blackhole() -> (String, impl Sized) {
    let runtime = runtime_of_one_thread();
    let _guard = runtime.enter();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let listener = socket.listen(1).unwrap().into_std().unwrap();
    let address = listener.local_addr().unwrap();
    let connect = |_| TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
    let queue: Vec<_> = (0..64).map_while(connect).collect();
    assert!(queue.len() < 64, "the queue is never full");
    (format!("redis://{address}"), (listener, queue))
}

/// Answers each command with these bytes.
fn answering(answer: impl Fn(&[String]) -> Option<&'static str> + Send + Clone + 'static) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("redis://127.0.0.1:{}", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answer = answer.clone();
            std::thread::spawn(move || converse(&stream, answer));
        }
    });
    url
}

/// Until the other side closes, or `answer` says that it has had enough.
fn converse(mut stream: &TcpStream, answer: impl Fn(&[String]) -> Option<&'static str>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = move || {
        let mut line = String::new();
        reader.read_line(&mut line).map(|_| line.trim_end().to_owned())
    };
    loop {
        let Some(count) = line()?.strip_prefix('*').and_then(|count| count.parse::<usize>().ok()) else { return Ok(()) };
        let mut words = Vec::new();
        for _ in 0..count {
            line()?;
            words.push(line()?);
        }
        let Some(bytes) = answer(&words) else { return Ok(()) };
        stream.write_all(bytes.as_bytes())?;
    }
}

#[test]
fn an_error_that_the_server_answers_with_is_told_by_its_code_and_at_once() {
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
        ("-hunter2 is no code\r\n", "of no name"),
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
fn what_does_not_speak_its_protocol_is_no_connection() {
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
fn a_server_that_hangs_up_on_every_get_is_not_hurried() {
    let connections = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = connections.clone();
    let url = answering(move |words| match words[0].as_str() {
        "PING" => {
            counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Some("+PONG\r\n")
        }
        _ => None,
    });
    let client = Client::with_deadline(&url, 20);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(2) {
        assert!(client.load(1).is_err());
    }
    let connections = connections.load(std::sync::atomic::Ordering::SeqCst);
    assert!((2..=20).contains(&connections), "{connections} connections in two seconds");
}

#[test]
fn a_replica_is_read_and_refuses_writes() {
    let server = RedisServer::start();
    let client = Client::of(&server);
    client.save(create(1, 7)).unwrap();
    let nobody = refusing();
    server.ask::<()>(&["REPLICAOF", "127.0.0.1", nobody.rsplit(':').next().unwrap()]);
    assert_eq!(client.pinned(1), Some(endpoint(7)));
    assert_eq!(client.save(replace(1, 8)), Err(RedisError::Refused("READONLY".into())));
    server.ask::<()>(&["REPLICAOF", "NO", "ONE"]);
    client.save(replace(1, 8)).unwrap();
    assert_eq!(client.pinned(1), Some(endpoint(8)));
}

#[test]
fn a_node_of_a_cluster_that_does_not_serve_the_slot_says_so() {
    let server = RedisServer::start_with(&["--cluster-enabled", "yes"]);
    let client = Client::of(&server);
    assert_eq!(client.load(1), Err(RedisError::Refused("CLUSTERDOWN".into())));
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

// Where and as whom.

#[test]
fn the_database_is_that_of_the_url() {
    let server = RedisServer::start();
    let client = Client::at(&format!("{}/3", server.url()));
    client.save(create(1, 7)).unwrap();
    assert!(server.keys().is_empty());
    assert_eq!(Client::at(&format!("{}/3", server.url())).pinned(1), Some(endpoint(7)));
    let missing = Client::at(&format!("{}/99", server.url())).load(1).unwrap_err();
    let message = "there is no connection to Redis: it refused the database, or asks for a password";
    assert_eq!(missing.to_string(), message);
}

#[test]
fn a_unix_socket_does_as_well() {
    let server = RedisServer::start_with(&["--unixsocket", "redis.sock"]);
    let client = Client::at(&server.unix_url());
    client.save(create(1, 7)).unwrap();
    assert_eq!(server.keys(), [RAW_KEY]);
    let elsewhere = Client::at(&format!("{}?db=2", server.unix_url()));
    assert_eq!(elsewhere.load(1), Ok(Record::Absent));
}

#[test]
fn both_versions_of_the_protocol_do() {
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
fn a_password_opens_the_door_and_is_never_shown() {
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
    assert_eq!(error.to_string(), "there is no connection to Redis: it refused the user or the password");
    let shown = format!("{:?} {:?} {error:?} {error}", client.store, wrong.store);
    assert!(!shown.contains("hunter"), "{shown}");
    assert_eq!(
        format!("{:?}", client.store),
        format!(
            "RedisStore {{ address: \"{address}\", keys: \"session-affinity:1:shop.example.com:\", \
             deadline: StoreDeadline(1000), .. }}"
        )
    );
}

/// "The user needs the commands `GET`, `SET`, `EXPIRE` and `PING`."
#[test]
fn a_user_needs_no_more_than_four_commands_and_the_keys() {
    let server = RedisServer::start();
    let rules = ["on", ">hunter2", "~session-affinity:1:shop.example.com:*", "+get", "+set", "+expire", "+ping"];
    server.ask::<()>(&[&["ACL", "SETUSER", "gateway"][..], &rules].concat());
    let client = Client::at(&format!("redis://gateway:hunter2@127.0.0.1:{}", server.port()));
    assert_eq!(client.connect(), Ok(()));
    for write in [create(1, 7), touch(1), replace(1, 8)] {
        client.save(write).unwrap();
    }
    assert_eq!(client.pinned(1), Some(endpoint(8)));
    assert!(server.ask::<Vec<redis::Value>>(&["ACL", "LOG"]).is_empty(), "nothing was refused");
}

#[test]
fn a_url_that_is_not_one_of_redis_is_refused_and_not_repeated() {
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
        "rediss://:hunter2@127.0.0.1",
        "redis+unix://?pass=hunter2&db=x",
        "redis://127.0.0.1/?protocol=hunter2",
    ] {
        let error = RedisStore::new(&shop(), url).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the URL is not one of Redis; allowed: redis://[user:password@]host[:port][/database] and \
             redis+unix:///path, and rediss:// where the crate redis is built with TLS"
        );
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}

// Runtimes.

#[test]
fn without_a_runtime_a_call_fails_and_does_not_panic() {
    let store = RedisStore::new(&shop(), &refusing()).unwrap();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let loaded = std::pin::pin!(store.load(&lookup(1))).poll(&mut context);
    assert_eq!(loaded, std::task::Poll::Ready(Err(RedisError::NoRuntime)));
    let connected = std::pin::pin!(store.connect()).poll(&mut context);
    assert_eq!(connected, std::task::Poll::Ready(Err(RedisError::NoRuntime)));
}

#[test]
fn a_store_outlives_the_runtime_that_it_was_first_used_in() {
    let server = RedisServer::start();
    let Client { store, runtime } = Client::of(&server);
    runtime.block_on(store.save(&create(1, 7))).unwrap();
    drop(runtime);
    assert!(matches!(runtime_of_one_thread().block_on(store.load(&lookup(1))), Ok(Record::Found(_))));
}

fn runtime_of_one_thread() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn the_futures_can_be_spawned() {
    fn spawnable<T: Send>(future: T) -> T {
        future
    }
    let client = Client::at(&refusing());
    let (lookup, write) = (lookup(1), touch(1));
    let (loading, saving) = (spawnable(client.store.load(&lookup)), spawnable(client.store.save(&write)));
    drop((loading, saving, spawnable(client.store.connect())));
}
