//! A gateway in a process of its own, and its administrator.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use gateway::Running;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// The argument with which the program is a gateway.
pub const SERVE: &str = "--serve";
const DEADLINE: Duration = Duration::from_secs(30);

pub struct Gateway {
    pub address: SocketAddr,
    admin: SocketAddr,
    process: Child,
    orders: ChildStdin,
    replies: Lines<BufReader<ChildStdout>>,
}

/// What a process has taken.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// The memory in use, in KiB.
    pub memory: usize,
    pub files: usize,
}

/// Runs a gateway until the standard input ends: its file is the first line. Each further line
/// replaces the endpoints of a pool: `eu eu-1=127.0.0.1:9001 eu-2=127.0.0.1:9002`.
pub async fn serve() -> Result<(), String> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut next = async || lines.next_line().await.map_err(|error| error.to_string());
    let Some(file) = next().await? else { return Ok(()) };
    let running = Running::start(&file).await?;
    println!("{} {}", running.address, running.admin);
    while let Some(line) = next().await? {
        let (pool, origins) = line.split_once(' ').unwrap_or((line.as_str(), ""));
        let origin = |origin: &str| {
            let (name, address) = origin.split_once('=').ok_or("expected name=address")?;
            Ok((name.to_owned(), address.parse().map_err(|_| "expected an address")?))
        };
        let origins: Result<Vec<(String, SocketAddr)>, &str> =
            origins.split_whitespace().map(origin).collect();
        running.set_origins(pool, &origins?)?;
        println!("done");
    }
    Ok(())
}

impl Gateway {
    pub async fn start(file: &Value) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let spawned = Command::new(program)
            .arg(SERVE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let mut process = spawned.map_err(|error| format!("no gateway: {error}"))?;
        let mut orders = process.stdin.take().ok_or("no standard input")?;
        let mut replies =
            BufReader::new(process.stdout.take().ok_or("no standard output")?).lines();
        let addresses = order(&mut orders, &mut replies, &file.to_string()).await?;
        let mut addresses = addresses.split(' ').map(|address| address.parse().ok());
        let (Some(Some(address)), Some(Some(admin))) = (addresses.next(), addresses.next()) else {
            return Err("the gateway did not start".into());
        };
        Ok(Self { address, admin, process, orders, replies })
    }

    /// Replaces the endpoints of a pool.
    pub async fn set_origins(
        &mut self,
        pool: &str,
        origins: impl Iterator<Item = (&'static str, SocketAddr)>,
    ) -> Result<(), String> {
        let origins = origins.map(|(name, address)| format!(" {name}={address}"));
        let line = format!("{pool}{}", origins.collect::<String>());
        match order(&mut self.orders, &mut self.replies, &line).await?.as_str() {
            "done" => Ok(()),
            other => Err(format!("the gateway said {other:?} to {line:?}")),
        }
    }

    /// Makes a call at the admin listener, such as `GET /state`. The error has the answer other than 200.
    pub async fn call(&self, call: &str, body: &Value) -> Result<Value, String> {
        let answer = timeout(DEADLINE, self.exchange(call, body)).await;
        let answer = answer
            .map_err(|_| format!("{call} {body}: no answer in 30 s"))?
            .map_err(|error| format!("{call} {body}: {error}"))?;
        let (head, text) = answer.split_once("\r\n\r\n").unwrap_or((answer.as_str(), ""));
        match serde_json::from_str(text) {
            Ok(value) if head.starts_with("HTTP/1.1 200 ") => Ok(value),
            _ => Err(format!("{call} {body}: {answer}")),
        }
    }

    async fn exchange(&self, call: &str, body: &Value) -> std::io::Result<String> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut connection = TcpStream::connect(self.admin).await?;
        let request = format!(
            "{call} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            self.admin,
            body.len()
        );
        connection.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    /// Returns what the process has taken. Only Linux tells.
    pub fn taken(&self) -> Option<Taken> {
        let process = format!("/proc/{}", self.process.id()?);
        let status = std::fs::read_to_string(format!("{process}/status")).ok()?;
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let memory = memory.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(Taken { memory, files: std::fs::read_dir(format!("{process}/fd")).ok()?.count() })
    }
}

async fn order(
    orders: &mut ChildStdin,
    replies: &mut Lines<BufReader<ChildStdout>>,
    line: &str,
) -> Result<String, String> {
    let written = orders.write_all(format!("{line}\n").as_bytes()).await;
    written.map_err(|error| format!("the gateway has ended: {error}"))?;
    let reply = timeout(DEADLINE, replies.next_line()).await;
    let reply = reply.map_err(|_| "no reply of the gateway in 30 s")?;
    reply.ok().flatten().ok_or_else(|| "the gateway has ended".into())
}
