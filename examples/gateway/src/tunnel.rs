//! The tunnel after an upgrade: bytes in both directions, until one side is done, nothing has come
//! for long, or the gateway stops.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{HeaderValue, UPGRADE};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use session_affinity::steering::InFlightGuard;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, watch};

/// The number of bytes that a tunnel reads at once from each side.
const PIECE: usize = 8 * 1024;

/// A tunnel that the client asks for.
pub(crate) struct Asked {
    pub(crate) protocol: HeaderValue,
    pub(crate) client: OnUpgrade,
    /// The place of the client's connection, which it has until the tunnel ends.
    pub(crate) place: Arc<OwnedSemaphorePermit>,
}

/// A tunnel that the endpoint has agreed to, before the client is told.
pub(crate) struct Agreed {
    pub(crate) protocol: HeaderValue,
    client: OnUpgrade,
    endpoint: OnUpgrade,
    place: Arc<OwnedSemaphorePermit>,
}

impl Asked {
    /// Returns the tunnel, if the response is a 101. A 101 must name the protocol that it switches
    /// to (RFC 9110 section 7.8); where it does not, `websocket` is assumed.
    pub(crate) fn agreed(self, response: &mut Response<Incoming>) -> Option<Agreed> {
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return None;
        }
        let protocol = response.headers().get(UPGRADE).cloned();
        Some(Agreed {
            protocol: protocol.unwrap_or(HeaderValue::from_static("websocket")),
            client: self.client,
            endpoint: hyper::upgrade::on(response),
            place: self.place,
        })
    }
}

impl Agreed {
    /// Moves bytes. The request counts as in flight until the tunnel ends.
    pub(crate) async fn run(
        self,
        in_flight: InFlightGuard,
        patience: Duration,
        mut stopped: watch::Receiver<bool>,
    ) {
        tokio::select! {
            () = connect(self.client, self.endpoint, patience) => {}
            // An error means that the sender is gone: the gateway has stopped.
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
        drop((in_flight, self.place));
    }
}

async fn connect(client: OnUpgrade, endpoint: OnUpgrade, patience: Duration) {
    let Ok((client, endpoint)) = tokio::try_join!(client, endpoint) else { return };
    let (from_client, to_client) = halves(client);
    let (from_endpoint, to_endpoint) = halves(endpoint);
    let pieces = AtomicU64::new(0);
    let both_ways = async {
        // An error concerns the two sides alone, and both see the end of the tunnel.
        let _ = tokio::try_join!(
            pour(from_client, to_endpoint, &pieces),
            pour(from_endpoint, to_client, &pieces),
        );
    };
    tokio::select! {
        () = both_ways => {}
        () = idle(&pieces, patience) => {}
    }
}

fn halves(side: Upgraded) -> (impl AsyncRead + Unpin, impl AsyncWrite + Unpin) {
    tokio::io::split(TokioIo::new(side))
}

/// Moves bytes in one direction until its end, of which the other side is told.
async fn pour(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    pieces: &AtomicU64,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let length = from.read(&mut piece).await?;
        pieces.fetch_add(1, Relaxed);
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(piece.get(..length).unwrap_or_default()).await?;
        to.flush().await?;
    }
}

/// Waits until no piece has come for this time, or up to as long again.
async fn idle(pieces: &AtomicU64, patience: Duration) {
    loop {
        let before = pieces.load(Relaxed);
        tokio::time::sleep(patience).await;
        if pieces.load(Relaxed) == before {
            return;
        }
    }
}
