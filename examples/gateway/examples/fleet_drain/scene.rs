//! Two endpoints and four gateways on loopback ports, and their clients.

use std::error::Error;
use std::net::SocketAddr;

use gateway::{Running, endpoint};
use serde_json::{Value, json};
use session_affinity::UnixTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The life of a session, in seconds.
pub const TTL: u64 = 30 * 60;
/// The longest time that a session may stay at an endpoint that was disabled, in seconds.
pub const DRAIN_DURATION: u64 = 2 * 60 * 60;

pub struct Fleet {
    gateways: Vec<(&'static str, Running)>,
    eu_1: (SocketAddr, JoinHandle<()>),
    began: UnixTime,
}

impl Fleet {
    /// Starts the endpoints eu-1 and eu-2 and the gateways a, b, c and d, and sends each gateway
    /// a first request.
    pub async fn start() -> Result<Self> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (eu_1, eu_2) = (serve("eu-1", any).await?, serve("eu-2", any).await?);
        let file = json!({
            "keys": [{ "id": 1, "secret": "MzIgYnl0ZXMgb3IgbW9yZSBmcm9tIHlvdXIgdmF1bHQ=" }],
            "load_balancer": {
                "name": "shop.example.com",
                "session_affinity": "cookie",
                "session_affinity_ttl": TTL,
                "session_affinity_attributes": { "drain_duration": DRAIN_DURATION },
                "default_pools": ["eu"],
            },
            "pools": [{ "id": "eu", "origins": [
                { "name": "eu-1", "address": eu_1.0.to_string() },
                { "name": "eu-2", "address": eu_2.0.to_string() },
            ] }],
        });
        let mut gateways = Vec::new();
        for name in ["a", "b", "c", "d"] {
            gateways.push((name, Running::start(&file.to_string()).await?));
        }
        let mut fleet = Self { gateways, eu_1, began: UnixTime::EPOCH };
        fleet.began = fleet.set_clock(0).await?;
        for (name, _) in &fleet.gateways {
            fleet.visit(name, "").await?;
        }
        Ok(fleet)
    }

    /// Sets the clocks of all gateways to a minute after their start, and returns the earliest.
    pub async fn set_clock(&self, minute: u64) -> Result<UnixTime> {
        let offset = json!({ "offset_seconds": minute * 60 });
        let answers = self.ask_all("PUT /clock", &offset.to_string()).await?;
        let earliest = answers.iter().filter_map(|answer| answer["clock"].as_u64()).min();
        Ok(UnixTime::from_secs(earliest.ok_or("a gateway tells no time")?))
    }

    /// Returns the minute after the start of the gateways that a time is in.
    pub fn minute(&self, time: UnixTime) -> u64 {
        time.seconds_since(self.began) / 60
    }

    /// Makes the same call at the admin listeners of all gateways.
    pub async fn ask_all(&self, call_line: &str, body: &str) -> Result<Vec<Value>> {
        let mut answers = Vec::new();
        for (_, gateway) in &self.gateways {
            let (_, answer) = call(gateway.admin, call_line, "", body).await?;
            answers.push(serde_json::from_str(&answer)?);
        }
        Ok(answers)
    }

    /// Sends a request with this cookie, empty for a new client. Returns the name of the endpoint
    /// and the cookie of the session.
    pub async fn visit(&self, gateway: &str, cookie: &str) -> Result<(String, String)> {
        let named = self.gateways.iter().find(|(name, _)| *name == gateway);
        let (_, gateway) = named.ok_or("there is no such gateway")?;
        let (head, greeting) = call(gateway.address, "GET /", cookie, "").await?;
        let set = head.lines().find_map(|line| line.strip_prefix("set-cookie: "));
        let cookie = set.and_then(|line| line.split(';').next()).unwrap_or(cookie);
        let name = ["eu-1", "eu-2"].into_iter().find(|name| greeting.contains(name));
        Ok((name.ok_or("an endpoint without a name")?.into(), cookie.into()))
    }

    /// Begins sessions through a gateway until one is at eu-1, and returns its cookie.
    pub async fn session_at_eu_1(&self, gateway: &str) -> Result<String> {
        for _ in 0..100 {
            let (name, cookie) = self.visit(gateway, "").await?;
            if name == "eu-1" {
                return Ok(cookie);
            }
        }
        Err("no session begins at eu-1".into())
    }

    /// Ends the endpoint eu-1, and starts another one on the same port.
    pub async fn restart_eu_1(&mut self) -> Result<()> {
        call(self.eu_1.0, "DELETE /", "", "").await?;
        (&mut self.eu_1.1).await?;
        self.eu_1 = serve("eu-1", self.eu_1.0).await?;
        Ok(())
    }
}

async fn serve(name: &'static str, address: SocketAddr) -> Result<(SocketAddr, JoinHandle<()>)> {
    let listener = TcpListener::bind(address).await?;
    Ok((listener.local_addr()?, tokio::spawn(endpoint(listener, name))))
}

/// Makes a request on a connection of its own, and returns the head and the body of the answer.
async fn call(
    address: SocketAddr,
    call: &str,
    cookie: &str,
    body: &str,
) -> Result<(String, String)> {
    let request = format!(
        "{call} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nCookie: {cookie}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut connection = TcpStream::connect(address).await?;
    connection.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200 ") => Ok((head.into(), body.into())),
        _ => Err(format!("{call}: {answer}").into()),
    }
}
