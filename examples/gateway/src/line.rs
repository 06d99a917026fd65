//! One connection to an endpoint: a request is sent, and the head of its answer read.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::failed::Failed;
use crate::limits::Limits;
use crate::own;
use crate::paced::Paced;
use crate::replay::Replay;
use crate::stream::Stream;

/// The greatest number of header lines of an answer.
const MOST_FIELDS: usize = 512;
/// The greatest number of bytes that hyper buffers for a connection by default.
pub(crate) const BUFFER: usize = 400 * 1024;

/// The purpose of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Requests whose answers seldom have more than hyper's default of 100 header lines. Room for
    /// more costs 6 % of the gateway's time for a request, so an answer that has more is read twice.
    FewFields,
    /// Requests to an endpoint of which an answer had more.
    ManyFields,
    /// A request that asks for a tunnel.
    Tunnel,
}

/// A connection to an endpoint.
#[derive(Debug)]
pub(crate) struct Line {
    sender: SendRequest<Paced>,
    /// `None` where an answer with many header lines is read at once.
    refused: Option<Refused>,
}

/// The remains of a connection after an answer that hyper has refused.
#[derive(Debug)]
struct Refused {
    rest: oneshot::Receiver<Rest>,
    /// Set while an answer is waited for. At other times a connection that has ended is not kept.
    is_asked: Arc<AtomicBool>,
}

/// The connection, and what was read of the answer.
type Rest = (Stream, Bytes);

/// The head of an answer, and what becomes of the connection.
#[derive(Debug)]
pub(crate) enum Answered {
    /// The connection may be used again when the answer is through.
    AsUsual(Response<Incoming>),
    /// The answer has more header lines than usual, and its connection ends with it.
    ManyFields(Response<Incoming>),
}

/// The reason for which a connection brought no answer.
pub(crate) enum Unanswered {
    /// Nothing was sent, and the request is returned whole.
    Unsent(Box<Request<Paced>>),
    /// An answer with more header lines than usual came before the end of the request's body, of which
    /// nothing more can be sent.
    TooEarly,
    Failed(Failed),
}

impl Line {
    /// Begins to speak HTTP over a connection.
    pub(crate) async fn new(stream: Stream, purpose: Purpose, limits: &Limits) -> io::Result<Self> {
        let mut builder = builder(limits);
        if purpose != Purpose::FewFields {
            builder.max_headers(MOST_FIELDS);
        }
        let (sender, driver) =
            builder.handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        // The sender of a request sees the error of its connection, so it is dropped here.
        if purpose != Purpose::FewFields {
            tokio::spawn(driver.with_upgrades());
            return Ok(Self { sender, refused: None });
        }
        let ((rest, receiver), is_asked) = (oneshot::channel(), Arc::<AtomicBool>::default());
        tokio::spawn(drive(driver, rest, is_asked.clone()));
        Ok(Self { sender, refused: Some(Refused { rest: receiver, is_asked }) })
    }

    /// Returns whether the connection takes a request now.
    pub(crate) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    /// Waits until the last answer is through, and returns whether the connection goes on.
    pub(crate) async fn ready(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    /// Sends a request and waits for the head of its answer; once the request is sent, for the time
    /// that the endpoint has. Until then it is the body's and the connection's to give up.
    pub(crate) async fn exchange(
        &mut self,
        mut request: Request<Paced>,
        limits: &Limits,
    ) -> Result<Answered, Unanswered> {
        let patience = limits.answer;
        let method = request.method().clone();
        self.set_asked(true);
        let mut sent = request.body_mut().end();
        let mut answer = pin!(self.sender.try_send_request(request));
        let mut is_sent = sent.is_none();
        let early = match sent.as_mut() {
            None => None,
            Some(sent) => tokio::select! {
                biased;
                answered = answer.as_mut() => {
                    is_sent = sent.try_recv().is_ok();
                    Some(answered)
                }
                end = &mut *sent => {
                    is_sent = end.is_ok();
                    None
                }
            },
        };
        let deadline = Instant::now() + patience;
        let answered = match early {
            Some(answered) => Ok(answered),
            None => tokio::time::timeout_at(deadline, answer).await,
        };
        let mut error = match answered {
            Ok(Ok(response)) => {
                self.set_asked(false);
                return Ok(Answered::AsUsual(response));
            }
            Ok(Err(error)) => error,
            Err(_) => return Err(Unanswered::Failed(Failed::Endpoint(own::TIMED_OUT))),
        };
        if let Some(unsent) = error.take_message() {
            return Err(Unanswered::Unsent(Box::new(unsent)));
        }
        let error = error.into_error();
        if error.is_parse_too_large() && self.refused.is_some() && !is_sent {
            return Err(Unanswered::TooEarly);
        }
        if error.is_parse_too_large()
            && let Some(refused) = self.refused.take()
            && let Ok(rest) = refused.rest.await
        {
            let again = read_again(rest, method, limits);
            return match tokio::time::timeout_at(deadline, again).await {
                Ok(Ok(response)) => Ok(Answered::ManyFields(response)),
                Ok(Err(error)) => Err(Unanswered::Failed(error.into())),
                Err(_) => Err(Unanswered::Failed(Failed::Endpoint(own::TIMED_OUT))),
            };
        }
        Err(Unanswered::Failed(error.into()))
    }

    fn set_asked(&self, is_asked: bool) {
        if let Some(refused) = &self.refused {
            refused.is_asked.store(is_asked, Relaxed);
        }
    }
}

fn builder(limits: &Limits) -> Builder {
    let mut builder = Builder::new();
    builder.max_header_size(limits.head_bytes).max_buf_size(limits.head_bytes.max(BUFFER));
    builder
}

/// Runs a connection to its end, and hands over what is left of it if an answer was waited for.
async fn drive(
    mut driver: Connection<TokioIo<Stream>, Paced>,
    rest: oneshot::Sender<Rest>,
    is_asked: Arc<AtomicBool>,
) {
    let _ = poll_fn(|cx| driver.poll_without_shutdown(cx)).await;
    let parts = driver.into_parts();
    if is_asked.load(Relaxed) && !parts.read_buf.is_empty() {
        // An error says that the request has been given up.
        let _ = rest.send((parts.io.into_inner(), parts.read_buf));
    }
}

/// Reads an answer once more, with room for more header lines.
async fn read_again(
    (stream, early): Rest,
    method: hyper::Method,
    limits: &Limits,
) -> Result<Response<Incoming>, hyper::Error> {
    let io = TokioIo::new(Replay::new(stream, &early));
    let (mut sender, driver) = builder(limits).max_headers(MOST_FIELDS).handshake(io).await?;
    tokio::spawn(driver);
    let mut request = Request::new(Empty::<Bytes>::new());
    // By the method hyper knows whether the answer has a body.
    *request.method_mut() = method;
    sender.send_request(request).await
}
