//! A client, its session, and its requests.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HeaderMap, HeaderName, SET_COOKIE};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::kind::{ISSUED, Kind, Policy};

/// No answer takes longer, unless the gateway holds the request.
const DEADLINE: Duration = Duration::from_secs(30);
/// The number of answers that are told when a rule is broken.
const TOLD: usize = 8;

#[derive(Clone, Debug)]
pub struct Client {
    /// Its name for `header` sessions, and the number in its address.
    number: u32,
    /// The cookie or the issued header.
    token: Option<String>,
    pub pin: Option<Pin>,
    /// The last answers.
    pub told: VecDeque<String>,
}

/// What a client can know of its session, from outside.
#[derive(Clone, Debug)]
pub struct Pin {
    pub endpoint: &'static str,
    /// The earliest and the latest time, by the gateway's clock, at which the session began; with
    /// the policy `header`, at which it was last used.
    pub from: u64,
    pub to: u64,
}

/// A request, as far as it decides what may become of it.
#[derive(Clone, Debug)]
pub struct Asked {
    pub pin: Option<Pin>,
    /// The length of its body.
    pub length: usize,
    /// The real seconds in which it began, and in which its answer came.
    pub began: u64,
    pub ended: u64,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Came {
    pub status: u16,
    pub by: Option<String>,
    pub label: String,
    pub tokens: Vec<String>,
    pub is_whole: bool,
    pub body: String,
}

/// A connection to the gateway that may be used again.
pub type Line = Option<SendRequest<Full<Bytes>>>;

impl Client {
    pub fn new(number: u32) -> Self {
        Self { number, token: None, pin: None, told: VecDeque::new() }
    }

    pub fn request(&self, kind: &Kind, method: Method, length: usize) -> Request<Full<Bytes>> {
        let [_, a, b, c] = self.number.to_be_bytes();
        let request = Request::builder().method(method).uri("/").header("host", "shop.example.com");
        let request = request.header("x-forwarded-for", format!("10.{a}.{b}.{c}"));
        let request = match (kind.policy, &self.token) {
            (Policy::Header, _) => request.header("x-user", format!("user-{}", self.number)),
            (Policy::IssuedHeader, Some(token)) => request.header(ISSUED, token),
            (Policy::Cookie | Policy::Address, Some(token)) => {
                request.header("cookie", format!("theme=dark; __cflb={token}"))
            }
            (_, None) => request,
        };
        let has_cookie = request.headers_ref().is_some_and(|it| it.contains_key("cookie"));
        let request = if has_cookie { request } else { request.header("cookie", "theme=dark") };
        request.body(Full::from(vec![b'x'; length])).expect("a valid request")
    }

    /// Learns of its session what this permitted answer tells. `taken` are the times between which
    /// the gateway took the request.
    pub fn learn(&mut self, kind: &Kind, came: &Came, taken: (u64, u64), by: Option<&'static str>) {
        let is_pinned = came.label.starts_with("created:") || came.label.starts_with("moved:");
        if let Some(token) = came.tokens.first() {
            self.token = Some(token.clone());
        }
        match (by, &mut self.pin) {
            (Some(endpoint), pin) if is_pinned => {
                *pin = Some(Pin { endpoint, from: taken.0, to: taken.1 });
            }
            // A use restarts the timer of a record.
            (Some(_), Some(pin)) if kind.policy == Policy::Header => (pin.from, pin.to) = taken,
            _ => {}
        }
    }

    pub fn tell(&mut self, text: String) {
        if self.told.len() == TOLD {
            self.told.pop_front();
        }
        self.told.push_back(text);
    }
}

/// Makes a request. The error says that no head of an answer came.
pub async fn exchange(
    line: &mut Line,
    gateway: SocketAddr,
    kind: &Kind,
    request: Request<Full<Bytes>>,
) -> Result<Came, String> {
    let mut connection = match line.take().filter(SendRequest::is_ready) {
        Some(connection) => connection,
        None => connect(gateway).await.map_err(|error| format!("no connection: {error}"))?,
    };
    let answer = timeout(DEADLINE, connection.send_request(request)).await;
    let response = answer.map_err(|_| "no answer in 30 s")?.map_err(|error| error.to_string())?;
    let (head, mut body) = response.into_parts();
    let mut bytes = Vec::new();
    let is_whole = loop {
        match timeout(DEADLINE, body.frame()).await.map_err(|_| "half an answer in 30 s")? {
            None => break true,
            Some(Err(_)) => break false,
            Some(Ok(frame)) => bytes.extend(frame.data_ref().into_iter().flatten()),
        }
    };
    let by = text(&head.headers, "x-served-by");
    // After an answer of its own the gateway may close the connection.
    if is_whole && by.is_some() && connection.ready().await.is_ok() {
        *line = Some(connection);
    }
    Ok(Came {
        status: head.status.as_u16(),
        by,
        label: text(&head.headers, "x-affinity-outcome").unwrap_or_default(),
        tokens: tokens(kind, &head.headers),
        is_whole,
        body: String::from_utf8_lossy(&bytes).into_owned(),
    })
}

async fn connect(gateway: SocketAddr) -> Result<SendRequest<Full<Bytes>>, String> {
    let stream = timeout(DEADLINE, TcpStream::connect(gateway)).await;
    let stream = stream.map_err(|_| "not in 30 s")?.map_err(|error| error.to_string())?;
    let (connection, driver) =
        handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    tokio::spawn(driver);
    Ok(connection)
}

/// Returns every token that an answer brings, in the cookie and in the header, and every other
/// cookie.
fn tokens(kind: &Kind, headers: &HeaderMap) -> Vec<String> {
    let issued = headers.get_all(HeaderName::from_static(ISSUED)).iter();
    let cookies = headers.get_all(SET_COOKIE).iter().filter_map(|line| line.to_str().ok());
    let value = |line: &str| line.strip_prefix("__cflb=")?.split(';').next().map(str::to_owned);
    let cookies = cookies.map(|line| value(line).unwrap_or_else(|| line.into()));
    let issued = issued.filter_map(|line| line.to_str().ok()).map(str::to_owned);
    match kind.policy {
        // In the other carrier a token would be one too many.
        Policy::IssuedHeader => issued.chain(cookies).collect(),
        _ => cookies.chain(issued).collect(),
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}
