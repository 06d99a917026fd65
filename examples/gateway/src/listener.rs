//! The two listeners: connections are accepted, served, and ended in order.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use crate::admin;
use crate::control::Control;
use crate::proxy::Gateway;

/// The time that a client may take for the head of a request, and be idle before it.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);

/// Serves clients until `stopped` is true and the requests in flight have ended.
pub(crate) async fn serve(
    listener: TcpListener,
    gateway: Arc<Gateway>,
    mut stopped: watch::Receiver<bool>,
) {
    // Each connection holds a sender, so the channel closes when the last connection has ended.
    let (open, mut ended) = mpsc::channel::<Infallible>(1);
    loop {
        let (stream, peer) = tokio::select! {
            // An error means that the sender is gone, and with it the program that could stop this.
            _ = stopped.wait_for(|stopped| *stopped) => break,
            accepted = accept(&listener) => accepted,
        };
        let (gateway, stopped, open) = (gateway.clone(), stopped.clone(), open.clone());
        tokio::spawn(async move {
            converse(stream, peer, gateway, stopped).await;
            drop(open);
        });
    }
    drop((listener, open));
    ended.recv().await;
}

/// Serves one connection. Its error is dropped: it concerns the client alone.
async fn converse(
    stream: TcpStream,
    peer: IpAddr,
    gateway: Arc<Gateway>,
    mut stopped: watch::Receiver<bool>,
) {
    let begun = AtomicBool::new(false);
    let service = service_fn(|request| {
        begun.store(true, Relaxed);
        let gateway = gateway.clone();
        async move { Ok::<_, Infallible>(gateway.answer(request, peer).await) }
    });
    let mut connection =
        pin!(builder().serve_connection(TokioIo::new(stream), service).with_upgrades());
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
    loop {
        let (stream, _) = accept(&listener).await;
        let control = control.clone();
        let service = service_fn(move |request| {
            let control = control.clone();
            async move { Ok::<_, Infallible>(admin::answer(&control, request).await) }
        });
        tokio::spawn(builder().serve_connection(TokioIo::new(stream), service));
    }
}

fn builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    builder
}

/// Returns the next connection. After an error it tries again: either that one connection has
/// failed, or the process has no file descriptor left and must wait for one.
async fn accept(listener: &TcpListener) -> (TcpStream, IpAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // An error is harmless: small responses only wait longer.
                let _ = stream.set_nodelay(true);
                return (stream, peer.ip());
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}
