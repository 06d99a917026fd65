//! The two listeners: connections are accepted, served, and ended in order.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use crate::admin;
use crate::control::Control;
use crate::forwarded::Peer;
use crate::idle::Idle;
use crate::limits::Limits;
use crate::line::BUFFER;
use crate::places::Places;
use crate::proxy::Gateway;
use crate::proxy_protocol::{self, Introduction};
use crate::stream::Stream;

/// The greatest number of connections of administrators at one time.
const MOST_ADMINISTRATORS: usize = 64;

/// Serves clients until `stopped` is true and the requests in flight have ended. Connections beyond
/// the limit wait until one of the others has ended, or gives way because it is idle: the first one
/// here, the rest in the queue of the operating system.
pub(crate) async fn serve(
    listener: TcpListener,
    gateway: Arc<Gateway>,
    mut stopped: watch::Receiver<bool>,
) {
    // Each connection holds a sender, so the channel closes when the last connection has ended.
    let (open, mut ended) = mpsc::channel::<Infallible>(1);
    let places = Places::new(gateway.limits.connections);
    loop {
        let next = async {
            let (stream, peer) = accept(&listener).await;
            (stream, peer, places.take().await)
        };
        let (stream, peer, place) = tokio::select! {
            // An error means that the sender is gone, and with it the program that could stop this.
            _ = stopped.wait_for(|stopped| *stopped) => break,
            next = next => next,
        };
        let (gateway, stopped, open) = (gateway.clone(), stopped.clone(), open.clone());
        let place = (place, places.wanted());
        tokio::spawn(async move {
            converse(stream, peer, place, gateway, stopped).await;
            drop(open);
        });
    }
    drop((listener, open));
    ended.recv().await;
}

/// Serves one connection. Its error is dropped: it concerns the client alone.
async fn converse(
    mut stream: TcpStream,
    peer: IpAddr,
    (place, mut wanted): (OwnedSemaphorePermit, watch::Receiver<()>),
    gateway: Arc<Gateway>,
    mut stopped: watch::Receiver<bool>,
) {
    let limits = gateway.limits;
    let mut introduction = Introduction { client: None, early: Bytes::new() };
    if gateway.expects_introduction(peer) {
        let read = tokio::time::timeout(limits.head, proxy_protocol::read(&mut stream));
        introduction = tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => return,
            read = read => match read {
                Ok(Ok(introduction)) => introduction,
                Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
                    return gateway.malformed.give(|| {
                        format!("the trusted peer {peer} begins a connection with something else")
                    });
                }
                Ok(Err(_)) | Err(_) => return,
            },
        };
    }
    let peer = Arc::new(Peer::new(introduction.client.unwrap_or(peer)));
    let (begun, place, idle) = (AtomicBool::new(false), Arc::new(place), Idle::new());
    let service = service_fn(|request| {
        begun.store(true, Relaxed);
        let (gateway, peer, place, busy) =
            (gateway.clone(), peer.clone(), place.clone(), idle.begin());
        async move {
            let answer = gateway.answer(request, &peer, &place).await;
            Ok::<_, Infallible>(answer.map(|body| body.until_its_end(busy)))
        }
    });
    let stream = TokioIo::new(Stream::new(stream, introduction.early, limits.body_idle));
    let mut connection = pin!(builder(&limits).serve_connection(stream, service).with_upgrades());
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = stopped.wait_for(|stopped| *stopped) => break,
            // An error means that the listener has ended, and so does this.
            // Gracefully: the end of the last answer may still wait for a slow client.
            wanted = wanted.changed() => if wanted.is_ok() && idle.may_give_way() { break },
        }
    }
    connection.as_mut().graceful_shutdown();
    // Half a head does not count as a request in flight: its client is not waited for.
    let ended = tokio::time::timeout(Duration::from_millis(250), connection.as_mut()).await.is_ok();
    if !ended && begun.load(Relaxed) {
        let _ = connection.await;
    }
}

/// Serves the administrator for as long as the process lives.
pub(crate) async fn serve_admin(listener: TcpListener, control: Arc<Control>) {
    let limits = control.gateway.limits;
    let places = Places::new(MOST_ADMINISTRATORS);
    loop {
        let place = places.take().await;
        let (stream, _) = accept(&listener).await;
        let stream = TokioIo::new(Stream::new(stream, Bytes::new(), limits.body_idle));
        let control = control.clone();
        let service = service_fn(move |request| {
            let control = control.clone();
            async move { Ok::<_, Infallible>(admin::answer(&control, request).await) }
        });
        let connection = builder(&limits).serve_connection(stream, service);
        tokio::spawn(async move {
            // It concerns the administrator alone.
            let _ = connection.await;
            drop(place);
        });
    }
}

fn builder(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_header_size(limits.head_bytes)
        .max_buf_size(limits.head_bytes.max(BUFFER));
    builder
}

/// Returns the next connection. After an error it tries again: either that one connection has
/// failed, or the process has no file descriptor left and must wait for one.
async fn accept(listener: &TcpListener) -> (TcpStream, IpAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer.ip()),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}
