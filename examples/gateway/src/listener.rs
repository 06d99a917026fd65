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
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use crate::admin;
use crate::control::Control;
use crate::limits::Limits;
use crate::proxy::Gateway;
use crate::proxy_protocol::{self, Introduction};
use crate::stream::Stream;
use crate::upstream::BUFFER;

/// The greatest number of connections of administrators at one time.
const MOST_ADMINISTRATORS: usize = 64;

/// Serves clients until `stopped` is true and the requests in flight have ended. Connections beyond
/// the limit wait in the queue of the operating system until one of the others has ended.
pub(crate) async fn serve(
    listener: TcpListener,
    gateway: Arc<Gateway>,
    mut stopped: watch::Receiver<bool>,
) {
    // Each connection holds a sender, so the channel closes when the last connection has ended.
    let (open, mut ended) = mpsc::channel::<Infallible>(1);
    let places = Arc::new(Semaphore::new(gateway.limits.connections));
    loop {
        let (stream, peer, place) = tokio::select! {
            // An error means that the sender is gone, and with it the program that could stop this.
            _ = stopped.wait_for(|stopped| *stopped) => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let (gateway, stopped, open) = (gateway.clone(), stopped.clone(), open.clone());
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
    place: OwnedSemaphorePermit,
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
    let peer = introduction.client.unwrap_or(peer);
    let (begun, place) = (AtomicBool::new(false), Arc::new(place));
    let service = service_fn(|request| {
        begun.store(true, Relaxed);
        let (gateway, place) = (gateway.clone(), place.clone());
        async move { Ok::<_, Infallible>(gateway.answer(request, peer, &place).await) }
    });
    let stream = TokioIo::new(Stream::new(stream, introduction.early, limits.body_idle));
    let mut connection = pin!(builder(&limits).serve_connection(stream, service).with_upgrades());
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stopped.wait_for(|stopped| *stopped) => connection.as_mut().graceful_shutdown(),
    }
    // Half a head does not count as a request in flight: its client is not waited for.
    let ended = tokio::time::timeout(Duration::from_millis(250), connection.as_mut()).await.is_ok();
    if !ended && begun.load(Relaxed) {
        let _ = connection.await;
    }
}

/// Serves the administrator for as long as the process lives.
pub(crate) async fn serve_admin(listener: TcpListener, control: Arc<Control>) {
    let limits = control.gateway.limits;
    let places = Arc::new(Semaphore::new(MOST_ADMINISTRATORS));
    loop {
        let (stream, _, place) = accept(&listener, &places).await;
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

/// Returns the next connection, once there is a place for it. After an error it tries again: either
/// that one connection has failed, or the process has no file descriptor left and must wait for one.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, IpAddr, OwnedSemaphorePermit) {
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            // Nothing closes the semaphore.
            return std::future::pending().await;
        };
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer.ip(), place),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}
