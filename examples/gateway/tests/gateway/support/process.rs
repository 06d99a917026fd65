//! The gateway's process.

use std::fmt::Display;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde_json::{Value, json};

use super::{Browser, Connection, Request, Response, get, request, wait_until};

/// A gateway that runs. It is killed when the test is done with it.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    process: Process,
    output: Lines,
    errors: Lines,
}

impl Gateway {
    /// Starts it with this file and waits until it is ready.
    #[track_caller]
    pub(crate) fn start(file: &impl Display) -> Self {
        Self::start_with(Some(&file.to_string()), &[])
    }

    /// Starts it with a file or without, and with further flags.
    #[track_caller]
    pub(crate) fn start_with(file: Option<&str>, flags: &[&str]) -> Self {
        let file = file.map(File::new);
        let mut process = Process::start(file.as_ref(), flags);
        let output = Lines::collect(process.0.stdout.take());
        let errors = Lines::collect(process.0.stderr.take());
        let mut ended = None;
        wait_until("the ready lines", || {
            ended = process.status();
            ended.is_some() || output.get().len() >= 2
        });
        let lines = output.get();
        assert!(lines.len() >= 2, "it ended with {ended:?}: {:?}", errors.get());
        let address = |line: &str, before: &str| -> SocketAddr {
            let address = line.strip_prefix(before).and_then(|address| address.parse().ok());
            address.unwrap_or_else(|| panic!("this is no ready line: {line:?}"))
        };
        Self {
            address: address(&lines[0], "gateway listening on http://"),
            admin: address(&lines[1], "admin listening on http://"),
            process,
            output,
            errors,
        }
    }

    /// One request on a connection of its own.
    #[track_caller]
    pub(crate) fn fetch(&self, request: &Request) -> Response {
        Connection::open(self.address).exchange(request)
    }

    /// A new session's first request.
    #[track_caller]
    pub(crate) fn visit(&self) -> Response {
        self.fetch(&get("/"))
    }

    /// The next request of the session with this cookie.
    #[track_caller]
    pub(crate) fn revisit(&self, cookie: &str) -> Response {
        self.fetch(&get("/").with("Cookie", cookie))
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser::new(self.address)
    }

    /// A browser with a session at this endpoint.
    #[track_caller]
    pub(crate) fn browser_at(&self, endpoint: &str) -> Browser {
        for _ in 0..100 {
            let mut browser = self.browser();
            if browser.get("/").served_by() == endpoint {
                return browser;
            }
        }
        panic!("no new session goes to {endpoint}");
    }

    /// A call to the admin listener: status and JSON.
    #[track_caller]
    pub(crate) fn admin(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let mut call = request(method, path).with("Host", "localhost");
        if !body.is_empty() {
            call = call.with("Content-Type", "application/json").body(body);
        }
        let response = Connection::open(self.admin).exchange(&call);
        let json = match response.body.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&response.body)
                .unwrap_or_else(|_| panic!("no JSON: {response:?}")),
        };
        (response.status, json)
    }

    /// A call to the admin listener that succeeds.
    #[track_caller]
    pub(crate) fn change(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, json) = self.admin(method, path, &body.to_string());
        assert!((200..300).contains(&status), "{method} {path} {body}: {status} {json}");
        json
    }

    #[track_caller]
    pub(crate) fn patch(&self, path: &str, body: Value) {
        self.change("PATCH", path, &body);
    }

    #[track_caller]
    pub(crate) fn set_clock(&self, offset_seconds: i64) {
        self.change("PUT", "/clock", &json!({ "offset_seconds": offset_seconds }));
    }

    #[track_caller]
    pub(crate) fn state(&self) -> Value {
        self.admin("GET", "/state", "").1
    }

    /// The gateway's clock.
    #[track_caller]
    pub(crate) fn clock(&self) -> u64 {
        self.state()["clock"].as_u64().expect("a time")
    }

    /// An origin, as `/state` shows it.
    #[track_caller]
    pub(crate) fn origin(&self, pool: &str, name: &str) -> Value {
        let state = self.state();
        let named = |list: &Value, key: &str, name: &str| {
            list.as_array()
                .and_then(|list| list.iter().find(|item| item[key] == name).cloned())
                .expect("it is there")
        };
        named(&named(&state["pools"], "id", pool)["origins"], "name", name)
    }

    /// How often `/state` says that this has become of a request.
    #[track_caller]
    pub(crate) fn counted(&self, outcome: &str) -> u64 {
        self.state()["outcomes"][outcome].as_u64().unwrap_or(0)
    }

    /// What it has written to stdout.
    pub(crate) fn output(&self) -> Vec<String> {
        self.output.get()
    }

    /// What it has written to stderr.
    pub(crate) fn errors(&self) -> Vec<String> {
        self.errors.get()
    }

    /// Sends it a signal, such as `TERM`.
    #[track_caller]
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.process.0.id().to_string())
            .status();
        assert!(sent.expect("kill").success());
    }

    /// From now on it may have no file descriptor of this number or a greater one.
    #[cfg(target_os = "linux")]
    #[track_caller]
    pub(crate) fn limit_files(&self, limit: u32) {
        let process = self.process.0.id().to_string();
        let limited = Command::new("prlimit")
            .args(["--pid", &process])
            .arg(format!("--nofile={limit}:"))
            .status();
        assert!(limited.expect("prlimit of util-linux").success());
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.process.status().is_none()
    }

    /// Waits until it has ended.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the gateway's end", || {
            status = self.process.status();
            status.is_some()
        });
        status.expect("a status")
    }

    /// Kills it with SIGKILL: it can end nothing and write nothing any more.
    pub(crate) fn kill(mut self) {
        self.process.kill();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.process.kill();
        if thread::panicking() {
            eprintln!("the gateway's stderr: {:?}", self.errors());
        }
    }
}

/// How a gateway that did not start has ended.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs it until it ends by itself.
#[track_caller]
pub(crate) fn run_to_its_end(file: Option<&str>, flags: &[&str]) -> Refused {
    let file = file.map(File::new);
    let mut process = Process::start(file.as_ref(), flags);
    let stdout = Lines::collect(process.0.stdout.take());
    let stderr = Lines::collect(process.0.stderr.take());
    let mut status = None;
    // A gateway that does start instead prints that it is ready.
    wait_until("its end", || {
        status = process.status();
        status.is_some() || stdout.get().iter().any(|line| line.starts_with("admin listening"))
    });
    process.kill();
    Refused {
        status: status.and_then(|status| status.code()),
        stdout: stdout.all(),
        stderr: stderr.all(),
    }
}

/// A process that does not outlive the test, however that ends.
#[derive(Debug)]
struct Process(Child);

impl Process {
    fn start(file: Option<&File>, flags: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
        if let Some(File(path)) = file {
            command.arg("--config").arg(path);
        }
        command.args(flags).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().expect("the gateway"))
    }

    /// How it has ended, if it has.
    fn status(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().expect("a child")
    }

    fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The lines of an output, collected as they come.
#[derive(Debug)]
struct Lines {
    lines: Arc<Mutex<Vec<String>>>,
    thread: thread::JoinHandle<()>,
}

impl Lines {
    fn collect(output: Option<impl Read + Send + 'static>) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (sink, output) = (Arc::clone(&lines), BufReader::new(output.expect("an output")));
        let thread = thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                sink.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        Self { lines, thread }
    }

    fn get(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All there was, once the output is closed.
    fn all(self) -> String {
        wait_until("the end of an output", || self.thread.is_finished());
        self.get().join("\n")
    }
}

/// A gateway's file, which is there until it has been read. It is below cargo's target directory: a run of the
/// tests that is killed leaves nothing elsewhere.
#[derive(Debug)]
struct File(PathBuf);

impl File {
    fn new(text: &str) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{process}-{number}-gateway.json"));
        fs::write(&path, text).expect("a file");
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
