//! A `redis-server` of a test's own, on a free port of this machine, which keeps nothing on disk.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// No wait for a server is longer.
const PATIENCE: Duration = Duration::from_secs(15);

/// In the arguments of a server: a second free port.
pub const SECOND_PORT: &str = "SECOND_PORT";

/// It is killed when the test is done with it.
pub struct RedisServer {
    port: u16,
    second_port: u16,
    arguments: Vec<String>,
    credentials: String,
    directory: PathBuf,
    child: Child,
}

impl RedisServer {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// With further arguments, such as `["--databases", "2"]`.
    pub fn start_with(arguments: &[&str]) -> Self {
        Self::start_for("", arguments)
    }

    /// One that is asked under `user:password@`.
    pub fn start_for(credentials: &str, arguments: &[&str]) -> Self {
        // Another process may take a port between the look at it and the start.
        for _ in 0..20 {
            let port = free_port();
            let directory = parent(arguments)
                .join(format!("session-affinity-redis-{}-{port}", std::process::id()));
            std::fs::create_dir_all(&directory).expect("a directory");
            let second_port = free_port();
            let arguments: Vec<String> = arguments
                .iter()
                .map(|argument| argument.replace(SECOND_PORT, &second_port.to_string()))
                .collect();
            let child = spawn(port, &directory, &arguments);
            let credentials = credentials.into();
            let mut server = Self { port, second_port, arguments, credentials, directory, child };
            if server.is_ready() {
                return server;
            }
        }
        panic!(
            "redis-server does not start: see what `redis-server --port 0 --unixsocket ./x` says"
        );
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port that stands in its arguments as `SECOND_PORT`.
    pub fn second_port(&self) -> u16 {
        self.second_port
    }

    pub fn url(&self) -> String {
        format!("redis://{}127.0.0.1:{}", self.credentials, self.port)
    }

    /// Its socket in the file system, with `--unixsocket redis.sock`.
    pub fn unix_url(&self) -> String {
        format!("redis+unix://{}", self.directory.join("redis.sock").display())
    }

    /// Asks it behind the store's back.
    pub fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_ask(words).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    fn try_ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> redis::RedisResult<T> {
        let mut connection =
            redis::Client::open(self.url())?.get_connection_with_timeout(PATIENCE)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        let mut command = redis::Cmd::new();
        command.arg(words);
        command.query(&mut connection)
    }

    /// Sets a key to these bytes.
    pub fn set(&self, key: &str, value: &[u8]) {
        let mut connection = redis::Client::open(self.url())
            .and_then(|client| client.get_connection())
            .expect("a server");
        redis::cmd("SET").arg(key).arg(value).exec(&mut connection).expect("a string");
    }

    /// All its keys, sorted.
    pub fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.ask(&["KEYS", "*"]);
        keys.sort();
        keys
    }

    /// The number of times that this command was called, in small letters.
    pub fn calls(&self, command: &str) -> u64 {
        let stats: String = self.ask(&["INFO", "commandstats"]);
        let line =
            stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
        line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0)
    }

    /// The ids of its connections other than the one that asks.
    pub fn connections(&self) -> Vec<String> {
        let list: String = self.ask(&["CLIENT", "LIST", "TYPE", "normal"]);
        let others = list.lines().filter(|line| !line.contains("cmd=client"));
        others.filter_map(|line| line.split(' ').next()).map(String::from).collect()
    }

    /// Lets all records grow older by this many seconds: its clock cannot be set, so their times
    /// to live are shortened. What has passed of a second by the real clock is not counted.
    pub fn pass(&self, seconds: u64) {
        let script = "for _, key in ipairs(redis.call('KEYS', '*')) do \
                      local left = math.ceil(redis.call('PTTL', key) / 1000) - ARGV[1] \
                      redis.call('PEXPIRE', key, string.format('%d', left * 1000)) end";
        self.ask::<()>(&["EVAL", script, "0", &seconds.to_string()]);
    }

    /// Kills it: connections are closed and new ones refused, and what it knew is gone.
    pub fn go_down(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again, on the same port.
    pub fn come_back(&mut self) {
        self.child = spawn(self.port, &self.directory, &self.arguments);
        assert!(self.is_ready(), "port {} was taken by somebody else", self.port);
    }

    /// Stops its process: the kernel goes on taking connections for it.
    /// Stops the process, and waits until it stands still: a signal takes effect after it was sent.
    pub fn hang(&self) {
        self.signal("STOP");
        let stat = format!("/proc/{}/stat", self.child.id());
        let is_stopped = || {
            let stat = std::fs::read_to_string(&stat).expect("the process is there");
            stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
        };
        for _ in 0..2_000 {
            if is_stopped() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        panic!("the process goes on after a STOP");
    }

    pub fn go_on(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.expect("kill").success());
    }

    /// Waits until this very process answers; `false` when it has ended instead.
    fn is_ready(&mut self) -> bool {
        let start = Instant::now();
        let ours = format!("process_id:{}\r\n", self.child.id());
        while self.child.try_wait().expect("a child").is_none() {
            if self.try_ask(&["INFO", "server"]).is_ok_and(|info: String| info.contains(&ours)) {
                return true;
            }
            assert!(start.elapsed() < PATIENCE, "redis-server takes too long to start");
            sleep(Duration::from_millis(5));
        }
        false
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.go_down();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Below cargo's target directory, so that a run of the tests that is killed leaves nothing elsewhere. A socket's
/// path has to be short.
fn parent(arguments: &[&str]) -> PathBuf {
    match arguments.contains(&"--unixsocket") {
        true => std::env::temp_dir(),
        false => env!("CARGO_TARGET_TMPDIR").into(),
    }
}

fn spawn(port: u16, directory: &PathBuf, arguments: &[String]) -> Child {
    // Another name, for Valkey or a build of one's own.
    let program = std::env::var("REDIS_SERVER").unwrap_or_else(|_| "redis-server".into());
    let mut command = Command::new(&program);
    if arguments.iter().any(|argument| argument == "--sentinel") {
        // A Sentinel keeps its configuration in a file.
        let file = directory.join("sentinel.conf");
        std::fs::write(&file, "").expect("a file");
        command.arg(file).arg("--sentinel");
    }
    let arguments = arguments.iter().filter(|argument| *argument != "--sentinel");
    command.args([
        "--bind",
        "127.0.0.1",
        "--port",
        &port.to_string(),
        "--save",
        "",
        "--appendonly",
        "no",
    ]);
    command.args(["--daemonize", "no", "--dir"]).arg(directory).args(arguments);
    command.current_dir(directory).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap_or_else(|error| {
        panic!(
            "{program} cannot be started: {error}. The tests of the feature redis need it: \
             apt-get install redis-server, or set REDIS_SERVER to its path"
        )
    })
}

/// Below the ports that outgoing connections are given, so that nobody takes it while the
/// server is down.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = (std::process::id() % 100) as u16 * 100;
    for _ in 0..10_000 {
        let port = 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no port of 20000 to 29999 is free");
}
