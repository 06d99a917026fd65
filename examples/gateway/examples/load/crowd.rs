//! The clients: the same requests for each proxy, over connections that are kept.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Result;

const CLIENTS: usize = 240;

/// The number of connections to a proxy, each with one request at a time.
pub const CONNECTIONS: usize = 16;

/// The requests of all clients.
#[derive(Clone)]
pub struct Clients(Arc<Vec<String>>);

impl Clients {
    /// Returns clients with a session at the gateway that sets cookies.
    pub async fn of(gateway: SocketAddr) -> Result<Self> {
        let mut connection = Connection::open(gateway).await?;
        let mut requests = Vec::new();
        for number in 0..CLIENTS {
            let answer = connection.exchange(&request(number, "")).await?;
            let cookie = answer.cookie.ok_or("a new client gets no cookie")?;
            requests.push(request(number, &format!("; {cookie}")));
        }
        Ok(Self(Arc::new(requests)))
    }
}

/// The sessions of other proxies are in the line as well: each has its own cookie among others.
fn request(number: usize, cookie: &str) -> String {
    let server = number % 3 + 1;
    format!(
        "GET / HTTP/1.1\r\nHost: load.example\r\nUser-Agent: load\r\nAccept: */*\r\nX-User: user-{number}\r\n\
         Cookie: theme=dark; lang=en; srv=c{number}; backend=s{server}{cookie}\r\n\r\n"
    )
}

/// What is remembered of a client's answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Bond {
    /// Each client meets its endpoint again.
    Sticky,
    None,
}

/// The crowd in front of one proxy.
pub struct Crowd {
    clients: Clients,
    connections: Vec<Connection>,
    /// The endpoint of each client, if they are bound to one.
    homes: Option<Vec<u8>>,
}

impl Crowd {
    /// Connects to a proxy. Each client comes once, so sessions by header begin.
    pub async fn meet(proxy: SocketAddr, bond: Bond, clients: Clients) -> Result<Self> {
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(Connection::open(proxy).await?);
        }
        let mut crowd = Self { clients, connections, homes: None };
        let met = crowd.play(CLIENTS).await?;
        if bond == Bond::Sticky {
            if met.iter().all(|home| Some(home) == met.first()) {
                return Err("all clients are sent to one endpoint".into());
            }
            crowd.homes = Some(met);
        }
        Ok(crowd)
    }

    /// Sends this many requests, a multiple of the number of clients at best, and fails unless each
    /// is answered as it must be.
    pub async fn slice(&mut self, requests: usize) -> Result<()> {
        let met = self.play(requests).await?;
        let homes = self.homes.iter().flatten().cycle();
        if self.homes.is_some() && met.iter().zip(homes).any(|(met, home)| met != home) {
            return Err("a client does not meet its endpoint again".into());
        }
        Ok(())
    }

    /// Returns the endpoints that answered, in the order of the requests.
    async fn play(&mut self, requests: usize) -> Result<Vec<u8>> {
        let mut tasks = JoinSet::new();
        for (first, mut connection) in self.connections.drain(..).enumerate() {
            let clients = self.clients.clone();
            tasks.spawn(async move {
                let mut met = Vec::new();
                for number in (first..requests).step_by(CONNECTIONS) {
                    let answer = connection.exchange(&clients.0[number % CLIENTS]).await?;
                    if let Some(cookie) = answer.cookie {
                        return Err(format!("a session is not kept: {cookie}").into());
                    }
                    met.push((number, answer.endpoint));
                }
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>((connection, met))
            });
        }
        let mut all = vec![0; requests];
        while let Some(done) = tasks.join_next().await {
            let (connection, met) = done??;
            self.connections.push(connection);
            met.into_iter().for_each(|(number, endpoint)| all[number] = endpoint);
        }
        Ok(all)
    }
}

struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

struct Answer {
    /// The last character of the endpoint's name.
    endpoint: u8,
    /// The cookie that is set, name and value.
    cookie: Option<String>,
}

impl Connection {
    async fn open(proxy: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(proxy).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, read: Vec::with_capacity(4_096) })
    }

    async fn exchange(&mut self, request: &str) -> Result<Answer> {
        self.stream.write_all(request.as_bytes()).await?;
        self.read.clear();
        loop {
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err("the proxy closed a connection".into());
            }
            if let Some(answer) = answer(&self.read)? {
                return Ok(answer);
            }
        }
    }
}

/// Reads an answer, if it is whole.
fn answer(bytes: &[u8]) -> Result<Option<Answer>> {
    let Some(end) = bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&bytes[..end])?;
    let body = &bytes[end + 4..];
    if !head.starts_with("HTTP/1.1 200 ") {
        return Err(format!("a request failed: {}", head.lines().next().unwrap_or_default()).into());
    }
    let field = |name: &str| {
        let mut fields = head.lines().filter_map(|line| line.split_once(": "));
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    };
    let length: usize = field("content-length").ok_or("an answer without a length")?.parse()?;
    if body.len() < length {
        return Ok(None);
    }
    let endpoint = *body.last().ok_or("an empty answer")?;
    let cookie = field("set-cookie").and_then(|line| line.split(';').next()).map(str::to_owned);
    Ok(Some(Answer { endpoint, cookie }))
}
