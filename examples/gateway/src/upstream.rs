//! The way to one endpoint: its address, its idle connections, and its requests in flight.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HOST, HeaderValue, UPGRADE};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use session_affinity::exchange::is_own_side;
use session_affinity::steering::{InFlight, InFlightGuard};
use tokio::net::TcpStream;

use crate::address::Address;
use crate::failed::Failed;
use crate::hop;
use crate::limits::Limits;
use crate::own;
use crate::paced::Paced;
use crate::stream::Stream;

/// The greatest number of idle connections that are kept to one endpoint of few.
const MOST_IDLE: usize = 64;
/// The age at which an idle connection is dropped, when another one is taken or kept.
const LONGEST_IDLE: Duration = Duration::from_secs(60);

/// The greatest number of header lines of an answer. The default of hyper is 100.
const MOST_FIELDS: usize = 512;
/// The greatest number of bytes that hyper buffers for a connection by default.
pub(crate) const BUFFER: usize = 400 * 1024;

/// The gateway's own value for an endpoint: the `T` of `Pools<T>`, which stays the same from
/// snapshot to snapshot.
#[derive(Debug)]
pub(crate) struct Upstream {
    address: Address,
    idle: Mutex<VecDeque<Idle>>,
    most_idle: usize,
    in_flight: InFlight,
    answered: AtomicU64,
    namesakes: AtomicU64,
}

#[derive(Debug)]
struct Idle {
    connection: SendRequest<Paced>,
    since: Instant,
}

/// Returns the number of requests that an endpoint has not answered to the end.
pub(crate) fn in_flight(upstream: &Arc<Upstream>) -> u32 {
    upstream.in_flight.count()
}

impl Upstream {
    /// `share` is the number of idle connections that all endpoints may have, divided among them.
    pub(crate) fn new(address: Address, share: usize) -> Self {
        Self {
            address,
            idle: Mutex::default(),
            most_idle: share.clamp(1, MOST_IDLE),
            in_flight: InFlight::default(),
            answered: AtomicU64::new(0),
            namesakes: AtomicU64::new(0),
        }
    }

    /// Returns the number of requests that the endpoint has answered.
    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Relaxed)
    }

    /// Returns the number of its answers that had a cookie or a header of the gateway's own name.
    pub(crate) fn namesakes(&self) -> u64 {
        self.namesakes.load(Relaxed)
    }

    /// Counts an answer that had a cookie or a header of the gateway's own name.
    pub(crate) fn count_namesake(&self) {
        self.namesakes.fetch_add(1, Relaxed);
    }

    /// Returns the address, as in a `Host` header.
    pub(crate) fn address(&self) -> impl fmt::Display {
        &self.address
    }

    /// Returns whether this is its address.
    pub(crate) fn is_at(&self, address: SocketAddr) -> bool {
        self.address == Address::Ip(address)
    }

    /// Counts a request as in flight until the guard is dropped.
    pub(crate) fn begin(&self) -> InFlightGuard {
        self.in_flight.begin()
    }

    /// Sends a request over an idle connection, or over one made in time.
    ///
    /// An idle connection may have been closed by the endpoint. If nothing was sent over it, hyper
    /// returns the request, and the next connection is tried.
    pub(crate) async fn send(
        self: &Arc<Self>,
        mut request: Request<Paced>,
        limits: &Limits,
    ) -> Result<Response<Incoming>, Failed> {
        let upgrades = request.headers().contains_key(UPGRADE);
        while let Some(mut connection) = self.take_idle() {
            self.set_host(&mut request);
            match exchange(&mut connection, request, limits.answer).await {
                Ok(response) => return self.answer(response, connection, upgrades),
                Err(Unanswered::Unsent(unsent)) => request = *unsent,
                Err(Unanswered::Failed(failed)) => return Err(failed),
            }
        }
        let mut connection = match self.connect(limits).await {
            Ok(connection) => connection,
            Err(error) if is_own_side(&error) => return Err(Failed::OwnSide(error)),
            Err(_) => return Err(Failed::Unconnected(Box::new(request))),
        };
        self.set_host(&mut request);
        match exchange(&mut connection, request, limits.answer).await {
            Ok(response) => self.answer(response, connection, upgrades),
            Err(Unanswered::Unsent(_)) => Err(Failed::Endpoint(own::BROKE_OFF)),
            Err(Unanswered::Failed(failed)) => Err(failed),
        }
    }

    fn answer(
        self: &Arc<Self>,
        response: Response<Incoming>,
        connection: SendRequest<Paced>,
        upgrades: bool,
    ) -> Result<Response<Incoming>, Failed> {
        match response.status() {
            StatusCode::SWITCHING_PROTOCOLS if !upgrades => {
                return Err(Failed::Endpoint(own::BROKE_OFF));
            }
            StatusCode::SWITCHING_PROTOCOLS => {}
            _ if hop::is_coded_otherwise(response.headers()) => {
                return Err(Failed::Endpoint(own::CODED_ANSWER));
            }
            _ => self.keep(connection),
        }
        self.answered.fetch_add(1, Relaxed);
        Ok(response)
    }

    /// Sets `Host`, which HTTP/1.1 requires, on a request that came over HTTP/1.0 without one.
    fn set_host(&self, request: &mut Request<Paced>) {
        if request.headers().contains_key(HOST) {
            return;
        }
        if let Ok(host) = HeaderValue::try_from(self.address.to_string()) {
            request.headers_mut().insert(HOST, host);
        }
    }

    async fn connect(&self, limits: &Limits) -> io::Result<SendRequest<Paced>> {
        let stream = tokio::time::timeout(limits.connect, self.open()).await??;
        let stream = Stream::new(stream, Bytes::new(), limits.body_idle);
        let mut builder = http1::Builder::new();
        let (connection, driver) = builder
            .max_headers(MOST_FIELDS)
            .max_header_size(limits.head_bytes)
            .max_buf_size(limits.head_bytes.max(BUFFER))
            .handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        // The sender of a request sees the error of its connection, so it is dropped here.
        tokio::spawn(driver.with_upgrades());
        Ok(connection)
    }

    async fn open(&self) -> io::Result<TcpStream> {
        match &self.address {
            Address::Ip(address) => TcpStream::connect(address).await,
            Address::Name(host, port) => TcpStream::connect((host.as_str(), *port)).await,
        }
    }

    /// Adds a connection to the idle ones when its response is through.
    fn keep(self: &Arc<Self>, mut connection: SendRequest<Paced>) {
        if connection.is_ready() {
            return self.put_idle(connection);
        }
        let upstream = self.clone();
        tokio::spawn(async move {
            if connection.ready().await.is_ok() {
                upstream.put_idle(connection);
            }
        });
    }

    fn put_idle(&self, connection: SendRequest<Paced>) {
        let mut idle = self.idle();
        let is_surplus = |oldest: &Idle| oldest.since.elapsed() >= LONGEST_IDLE;
        while idle.len() >= self.most_idle || idle.front().is_some_and(is_surplus) {
            idle.pop_front();
        }
        idle.push_back(Idle { connection, since: Instant::now() });
    }

    /// Takes the idle connection that was used last, so that surplus ones grow old and are dropped.
    fn take_idle(&self) -> Option<SendRequest<Paced>> {
        let mut idle = self.idle();
        while idle.front().is_some_and(|oldest| oldest.since.elapsed() >= LONGEST_IDLE) {
            idle.pop_front();
        }
        while let Some(Idle { connection, .. }) = idle.pop_back() {
            if connection.is_ready() {
                return Some(connection);
            }
        }
        None
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reason for which a connection brought no answer.
enum Unanswered {
    /// Nothing was sent, and the request is returned whole.
    Unsent(Box<Request<Paced>>),
    Failed(Failed),
}

/// Sends a request and waits for the head of its answer; once the request is sent, for this time.
/// Until then it is the body's and the connection's to give up.
async fn exchange(
    connection: &mut SendRequest<Paced>,
    mut request: Request<Paced>,
    patience: Duration,
) -> Result<Response<Incoming>, Unanswered> {
    let sent = request.body_mut().end();
    let mut answer = pin!(connection.try_send_request(request));
    let answered = match sent {
        None => tokio::time::timeout(patience, answer).await,
        Some(sent) => tokio::select! {
            biased;
            answered = answer.as_mut() => Ok(answered),
            _ = sent => tokio::time::timeout(patience, answer).await,
        },
    };
    match answered {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(mut error)) => Err(match error.take_message() {
            Some(unsent) => Unanswered::Unsent(Box::new(unsent)),
            None => Unanswered::Failed(error.into_error().into()),
        }),
        Err(_) => Err(Unanswered::Failed(Failed::Endpoint(own::TIMED_OUT))),
    }
}
