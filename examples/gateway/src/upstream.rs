//! The way to one endpoint: its address, its idle connections, and its requests in flight.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{HOST, HeaderValue, UPGRADE};
use hyper::{Request, Response, StatusCode};
use session_affinity::exchange::is_own_side;
use session_affinity::steering::{InFlight, InFlightGuard};
use tokio::net::TcpStream;

use crate::address::Address;
use crate::failed::Failed;
use crate::hop;
use crate::limits::Limits;
use crate::line::{Answered, Line, Purpose, Unanswered};
use crate::own;
use crate::paced::Paced;
use crate::stream::Stream;

/// The greatest number of idle connections that are kept to one endpoint of few.
const MOST_IDLE: usize = 64;
/// The age at which an idle connection is dropped, when another one is taken or kept.
const LONGEST_IDLE: Duration = Duration::from_secs(60);

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
    has_many_fields: AtomicBool,
}

#[derive(Debug)]
struct Idle {
    connection: Line,
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
            has_many_fields: AtomicBool::new(false),
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
        let purpose = match request.headers().contains_key(UPGRADE) {
            true => Purpose::Tunnel,
            false if self.has_many_fields.load(Relaxed) => Purpose::ManyFields,
            false => Purpose::FewFields,
        };
        while let Some(mut connection) = self.take_idle(purpose) {
            self.set_host(&mut request);
            match connection.exchange(request, limits).await {
                Ok(answered) => return self.answer(answered, connection, purpose),
                Err(Unanswered::Unsent(unsent)) => request = *unsent,
                Err(Unanswered::TooEarly) => return Err(self.too_early()),
                Err(Unanswered::Failed(failed)) => return Err(failed),
            }
        }
        let mut connection = match self.connect(purpose, limits).await {
            Ok(connection) => connection,
            Err(error) if is_own_side(&error) => return Err(Failed::OwnSide(error)),
            Err(_) => return Err(Failed::Unconnected(Box::new(request))),
        };
        self.set_host(&mut request);
        match connection.exchange(request, limits).await {
            Ok(answered) => self.answer(answered, connection, purpose),
            Err(Unanswered::Unsent(_)) => Err(Failed::Endpoint(own::BROKE_OFF)),
            Err(Unanswered::TooEarly) => Err(self.too_early()),
            Err(Unanswered::Failed(failed)) => Err(failed),
        }
    }

    /// The upload is cut off, and a success would hide that. There is room for the next such answer.
    fn too_early(&self) -> Failed {
        self.has_many_fields.store(true, Relaxed);
        Failed::Endpoint(own::BROKE_OFF)
    }

    fn answer(
        self: &Arc<Self>,
        answered: Answered,
        connection: Line,
        purpose: Purpose,
    ) -> Result<Response<Incoming>, Failed> {
        let (response, connection) = match answered {
            Answered::AsUsual(response) => (response, Some(connection)),
            Answered::ManyFields(response) => {
                self.has_many_fields.store(true, Relaxed);
                (response, None)
            }
        };
        match response.status() {
            StatusCode::SWITCHING_PROTOCOLS if purpose != Purpose::Tunnel => {
                return Err(Failed::Endpoint(own::BROKE_OFF));
            }
            StatusCode::SWITCHING_PROTOCOLS => {}
            _ if hop::is_coded_otherwise(response.headers()) => {
                return Err(Failed::Endpoint(own::CODED_ANSWER));
            }
            _ => connection.into_iter().for_each(|connection| self.keep(connection)),
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

    async fn connect(&self, purpose: Purpose, limits: &Limits) -> io::Result<Line> {
        let stream = tokio::time::timeout(limits.connect, self.open()).await??;
        Line::new(Stream::new(stream, Bytes::new(), limits.body_idle), purpose, limits).await
    }

    async fn open(&self) -> io::Result<TcpStream> {
        match &self.address {
            Address::Ip(address) => TcpStream::connect(address).await,
            Address::Name(host, port) => TcpStream::connect((host.as_str(), *port)).await,
        }
    }

    /// Adds a connection to the idle ones when its response is through.
    fn keep(self: &Arc<Self>, mut connection: Line) {
        if connection.is_ready() {
            return self.put_idle(connection);
        }
        let upstream = self.clone();
        tokio::spawn(async move {
            if connection.ready().await {
                upstream.put_idle(connection);
            }
        });
    }

    fn put_idle(&self, connection: Line) {
        let mut idle = self.idle();
        let is_surplus = |oldest: &Idle| oldest.since.elapsed() >= LONGEST_IDLE;
        while idle.len() >= self.most_idle || idle.front().is_some_and(is_surplus) {
            idle.pop_front();
        }
        idle.push_back(Idle { connection, since: Instant::now() });
    }

    /// Takes the idle connection that was used last, so that surplus ones grow old and are dropped.
    /// A tunnel gets a connection of its own.
    fn take_idle(&self, purpose: Purpose) -> Option<Line> {
        if purpose == Purpose::Tunnel {
            return None;
        }
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
