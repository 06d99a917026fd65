//! A proxy, its endpoints and its clients, over loopback. Every wait has a limit, and threads stop
//! with their owner.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use log::{LevelFilter, Log, Metadata, Record};
use pingora_cache::MemCache;
use pingora_core::server::{RunArgs, ShutdownSignal, ShutdownSignalWatch};
use session_affinity::cookies::SetCookie;
use session_affinity::*;
use session_affinity_pingora::{StickyProxy, server};
use tokio::sync::Notify;

/// The longest wait.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct Proxy {
    address: SocketAddr,
    pools: Arc<ArcSwap<Pools<SocketAddr>>>,
    pub endpoints: Vec<Origin>,
    stop: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts a proxy with three endpoints and the failover mode `sticky`.
    pub fn start() -> Self {
        Self::with_cache(None)
    }

    pub fn with_cache(cache: Option<&'static MemCache>) -> Self {
        let keyring = Keyring::from(Key::new(1, Secret::new([7; 32]).unwrap()));
        let policy = CookiePolicy::new(&shop(), &keyring, SetCookie::default());
        Self::serving(Box::new(policy), FailoverMode::Sticky, cache)
    }

    /// Starts a proxy whose sessions are those of the field `x-user`, with the failover mode
    /// `temporary`.
    pub fn by_header() -> Self {
        let secret = Secret::new([9; 32]).unwrap();
        let policy = HeaderPolicy::new(&shop(), &secret, &["x-user"]).unwrap();
        Self::serving(Box::new(policy), FailoverMode::Temporary, None)
    }

    fn serving(
        policy: Box<dyn AffinityPolicy>,
        mode: FailoverMode,
        cache: Option<&'static MemCache>,
    ) -> Self {
        let endpoints: Vec<_> = ["eu-1", "eu-2", "eu-3"].map(Origin::start).into();
        let mut pool = Pool::new("eu");
        for endpoint in &endpoints {
            pool = pool.with_endpoint(Endpoint::new(endpoint.name, endpoint.address));
        }
        let pools = Arc::new(ArcSwap::from_pointee(Pools::builder().pool(pool).build().unwrap()));
        let affinity = Affinity::new(policy).with_failover_mode(mode).unwrap();
        let store = MemoryStore::new(1_000).unwrap();
        access_log();

        let address = free_address();
        let server = server(address, StickyProxy { affinity, pools: pools.clone(), store, cache });
        let stop = Arc::new(Notify::new());
        let shutdown_signal = Box::new(Stop(stop.clone()));
        let thread = thread::spawn(move || server.run(RunArgs { shutdown_signal }));
        let proxy = Self { address, pools, endpoints, stop, thread: Some(thread) };
        eventually("the proxy listens", || TcpStream::connect(address).ok());
        proxy
    }

    /// Sends a request with these field lines and returns the reply.
    #[track_caller]
    pub fn send(&self, method: &str, path: &str, fields: &[&str]) -> Reply {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let client = stream.local_addr().unwrap();
        let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: shop.example.com\r\nConnection: close\r\n{fields}\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = BufReader::new(stream);
        let mut early = Vec::new();
        let head = loop {
            match Head::read(&mut answer).expect("an answer") {
                head if head.status() < 200 => early.push(head),
                head => break head,
            }
        };
        let mut body = String::new();
        answer.read_to_string(&mut body).unwrap();
        Reply { early, head, body, outcome: logged(&format!("{client} {path} ")) }
    }

    #[track_caller]
    pub fn get(&self, path: &str, fields: &[&str]) -> Reply {
        self.send("GET", path, fields)
    }

    pub fn stop_endpoint(&mut self, name: &str) {
        self.endpoints.retain(|endpoint| endpoint.name != name);
    }

    pub fn set_unhealthy(&self, name: &str) {
        let id = EndpointId::new("eu", name);
        let pools = self.pools.load().edited(|edit| edit.health(id, Health::Unhealthy)).unwrap();
        self.pools.store(Arc::new(pools));
    }

    /// Returns the requests since the last call: the endpoint and the head of each.
    pub fn seen(&self) -> Vec<(&'static str, Head)> {
        let heads = |endpoint: &Origin| endpoint.seen.lock().unwrap().split_off(0);
        self.endpoints
            .iter()
            .flat_map(|endpoint| heads(endpoint).into_iter().map(|head| (endpoint.name, head)))
            .collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn shop() -> LoadBalancer {
    LoadBalancer::new("shop.example.com").unwrap()
}

struct Stop(Arc<Notify>);

#[async_trait]
impl ShutdownSignalWatch for Stop {
    async fn recv(&self) -> ShutdownSignal {
        self.0.notified().await;
        ShutdownSignal::FastShutdown
    }
}

pub struct Reply {
    /// The heads of the informational responses before the final one.
    pub early: Vec<Head>,
    pub head: Head,
    pub body: String,
    /// The outcome, as the proxy logs it.
    pub outcome: String,
}

impl Reply {
    /// Returns `name=value` of the cookie that is set.
    pub fn cookie(&self) -> String {
        let lines = self.head.values("set-cookie");
        assert_eq!(lines.len(), 1, "{:?}", self.head);
        lines[0].split(';').next().unwrap().to_owned()
    }

    #[track_caller]
    pub fn assert(&self, status: u16, outcome: &str) {
        assert_eq!((self.head.status(), &*self.outcome), (status, outcome), "{:?}", self.head);
    }
}

/// The first line and the fields of a message.
#[derive(Debug)]
pub struct Head {
    start: String,
    fields: Vec<(String, String)>,
}

impl Head {
    /// Reads a head; `None` when the peer has closed the connection.
    fn read(stream: &mut impl BufRead) -> Option<Self> {
        let mut line = || {
            let mut line = String::new();
            stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
            Some(line.trim_end().to_owned())
        };
        let start = line()?;
        let mut fields = Vec::new();
        loop {
            match &*line()? {
                "" => return Some(Self { start, fields }),
                field => {
                    let (name, value) = field.split_once(':').expect("a field");
                    fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
                }
            }
        }
    }

    pub fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status")
    }

    pub fn values(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|field| field.0 == name).map(|field| &*field.1).collect()
    }
}

/// An endpoint that answers with its name, in the way that the path selects.
pub struct Origin {
    pub name: &'static str,
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Head>>>,
    is_stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Origin {
    fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, is_stopped) = (Arc::<Mutex<Vec<Head>>>::default(), Arc::<AtomicBool>::default());
        let (heads, stopped) = (seen.clone(), is_stopped.clone());
        let thread = thread::spawn(move || {
            for stream in listener.incoming().take_while(|_| !stopped.load(SeqCst)) {
                let (stream, heads) = (stream.unwrap(), heads.clone());
                thread::spawn(move || answer(name, stream, &heads));
            }
        });
        Self { name, address, seen, is_stopped, thread: Some(thread) }
    }
}

/// Stops the endpoint: it refuses connections from now on.
impl Drop for Origin {
    fn drop(&mut self) {
        self.is_stopped.store(true, SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(name: &str, stream: TcpStream, seen: &Mutex<Vec<Head>>) -> Option<()> {
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut requests = BufReader::new(stream.try_clone().ok()?);
    let mut responses = stream;
    for earlier in 0.. {
        let head = Head::read(&mut requests)?;
        let path = head.start.split(' ').nth(1).expect("a path").to_owned();
        let breaks_off = !head.values("x-break-off").is_empty();
        let (is_conditional, mut body) = (!head.values("if-none-match").is_empty(), name);
        seen.lock().unwrap().push(head);
        let (mut status, mut before, mut fields) = ("200 OK", "", "Connection: close\r\n");
        match &*path {
            _ if breaks_off => return None,
            // A kept connection that turns out dead when it is used again.
            "/dead-when-kept" if earlier > 0 => return None,
            "/dead-when-kept" => fields = "",
            "/early" => {
                before = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
            }
            "/public" => {
                fields = "Cache-Control: public, max-age=60\r\nCDN-Cache-Control: max-age=60\r\nConnection: close\r\n";
            }
            "/sets-a-cookie" => {
                fields = "Cache-Control: public, max-age=60\r\nSet-Cookie: theirs=1\r\nConnection: close\r\n"
            }
            "/sets-our-cookie" => {
                fields = "Set-Cookie: __cflb=of-another-gateway\r\nConnection: close\r\n";
            }
            "/stale" => {
                fields = "Cache-Control: max-age=0, stale-if-error=60\r\nConnection: close\r\n"
            }
            "/revalidated" => {
                fields = "Cache-Control: max-age=0\r\nETag: \"1\"\r\nConnection: close\r\n";
                if is_conditional {
                    (status, body) = ("304 Not Modified", "");
                }
            }
            _ => {}
        }
        let length = if is_conditional {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        write!(responses, "{before}HTTP/1.1 {status}\r\n{length}{fields}\r\n{body}").ok()?;
        if fields.contains("close") {
            return None;
        }
    }
    None
}

/// Returns an address with a free port. If another process takes it before the proxy does, the
/// proxy does not start, and the test fails and says so.
fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

fn access_log() -> &'static AccessLog {
    static LOG: OnceLock<AccessLog> = OnceLock::new();
    let log = LOG.get_or_init(AccessLog::default);
    // Fails for every test but the first, because the logger is set.
    let _ = log::set_logger(log);
    log::set_max_level(LevelFilter::Info);
    log
}

/// Returns the outcome on the newest line with this beginning. The line is written after the
/// response.
fn logged(beginning: &str) -> String {
    eventually(beginning, || {
        let lines = access_log().0.lock().unwrap();
        let line = lines.iter().rev().find(|line| line.starts_with(beginning))?;
        line.rsplit(' ').next().map(str::to_owned)
    })
}

#[derive(Default)]
struct AccessLog(Mutex<Vec<String>>);

impl Log for AccessLog {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.target() == "access"
    }

    fn log(&self, record: &Record) {
        if self.enabled(record.metadata()) {
            self.0.lock().unwrap().push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

#[track_caller]
fn eventually<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        match poll() {
            Some(value) => return value,
            None if start.elapsed() > PATIENCE => panic!("{what}: not within {PATIENCE:?}"),
            None => thread::sleep(Duration::from_millis(5)),
        }
    }
}
