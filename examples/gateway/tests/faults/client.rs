//! One client and its session.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HeaderMap, SET_COOKIE};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::round::{Answer, Came};
use crate::support::DEADLINE;

/// What a client does when it gets no answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    /// It leaves it at that.
    Once,
    /// It asks again, as a browser does, at the next gateway that it knows.
    UntilAnswered,
}

#[derive(Clone, Debug)]
pub(crate) struct Client {
    number: usize,
    session: Session,
    /// The endpoint that its session is pinned to, as far as it can know.
    pin: Option<String>,
}

#[derive(Clone, Debug)]
enum Session {
    /// `name=value`, once it has one.
    Cookie(Option<String>),
    /// By the header `x-user`.
    Name,
}

/// The open connections of a worker.
pub(crate) type Lines = HashMap<SocketAddr, SendRequest<Empty<Bytes>>>;

impl Client {
    pub(crate) fn with_cookies(number: usize) -> Self {
        Self { number, session: Session::Cookie(None), pin: None }
    }

    pub(crate) fn with_name(number: usize) -> Self {
        Self { number, session: Session::Name, pin: None }
    }

    pub(crate) fn number(&self) -> usize {
        self.number
    }

    pub(crate) fn is_pinned_to(&self, endpoint: &str) -> bool {
        self.pin.as_deref() == Some(endpoint)
    }

    /// Asks, and believes what it is told of its session.
    pub(crate) async fn ask(
        &mut self,
        lines: &mut Lines,
        gateways: &[SocketAddr],
        patience: Patience,
    ) -> Answer {
        let (pin, start) = (self.pin.clone(), Instant::now());
        let mut unanswered = 0;
        let came = loop {
            // Of two gateways, half of the clients try the one first, half the other.
            let gateway = gateways[(self.number + unanswered) % gateways.len()];
            let came = self.exchange(lines, gateway).await;
            match (&came, patience) {
                (None, Patience::UntilAnswered) if start.elapsed() < DEADLINE => unanswered += 1,
                _ => break came,
            }
            sleep(Duration::from_millis(5)).await;
        };
        if let Some(came) = &came {
            self.learn(came);
        }
        Answer { client: self.number, pin, came, unanswered, is_last_quarter: false }
    }

    /// `None` when no head of a response has come.
    async fn exchange(&self, lines: &mut Lines, gateway: SocketAddr) -> Option<Came> {
        let mut line = match lines.remove(&gateway) {
            Some(line) if line.is_ready() => line,
            _ => connect(gateway).await?,
        };
        let response = timeout(DEADLINE, line.send_request(self.request())).await.ok()?.ok()?;
        let (head, body) = response.into_parts();
        let is_whole = timeout(DEADLINE, body.collect()).await.is_ok_and(|body| body.is_ok());
        if line.ready().await.is_ok() {
            lines.insert(gateway, line);
        }
        Some(Came {
            status: head.status.as_u16(),
            endpoint: text(&head.headers, "x-served-by"),
            outcome: text(&head.headers, "x-affinity-outcome").unwrap_or_default(),
            cookie: cookie(&head.headers),
            is_whole,
        })
    }

    fn request(&self) -> Request<Empty<Bytes>> {
        let request = Request::get("/").header("host", "shop.example.com");
        let request = match &self.session {
            Session::Cookie(None) => request,
            Session::Cookie(Some(cookie)) => request.header("cookie", cookie),
            Session::Name => request.header("x-user", format!("user-{}", self.number)),
        };
        request.body(Empty::new()).expect("a request")
    }

    /// A session is pinned when it is created or moved, and only then: by a cookie under the cookie
    /// policies, by a record in the store under the policy `header`.
    fn learn(&mut self, came: &Came) {
        let is_pinned = came.outcome.starts_with("created:") || came.outcome.starts_with("moved:");
        match &mut self.session {
            Session::Cookie(cookie) => {
                assert_eq!(came.cookie.is_some(), is_pinned, "client {}: {came:?}", self.number);
                if is_pinned {
                    cookie.clone_from(&came.cookie);
                    self.pin.clone_from(&came.endpoint);
                }
            }
            Session::Name => {
                assert_eq!(came.cookie, None, "client {}", self.number);
                if is_pinned && came.outcome != "created:store_unreachable" {
                    self.pin.clone_from(&came.endpoint);
                }
            }
        }
    }
}

async fn connect(address: SocketAddr) -> Option<SendRequest<Empty<Bytes>>> {
    let stream = timeout(DEADLINE, TcpStream::connect(address)).await.ok()?.ok()?;
    stream.set_nodelay(true).ok()?;
    let (line, driver) = handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(driver);
    Some(line)
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    let mut lines = headers.get_all(SET_COOKIE).iter();
    let line = lines.next()?.to_str().expect("ASCII");
    assert!(lines.next().is_none(), "two cookies: {headers:?}");
    assert!(line.starts_with("__cflb="), "{line}");
    line.split(';').next().map(str::to_owned)
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().expect("ASCII").to_owned())
}
