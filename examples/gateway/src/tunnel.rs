//! The tunnel after an upgrade: bytes in both directions, until one side is done or the gateway
//! stops.

use hyper::body::Incoming;
use hyper::header::{HeaderValue, UPGRADE};
use hyper::upgrade::OnUpgrade;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use session_affinity::steering::InFlightGuard;
use tokio::sync::watch;

/// A tunnel that the endpoint has agreed to, before the client is told.
pub(crate) struct Agreed {
    pub(crate) protocol: HeaderValue,
    client: OnUpgrade,
    endpoint: OnUpgrade,
}

/// Returns the tunnel, if the response is a 101. A 101 must name the protocol that it switches to
/// (RFC 9110 section 7.8); where it does not, `websocket` is assumed.
pub(crate) fn agreed(client: OnUpgrade, response: &mut Response<Incoming>) -> Option<Agreed> {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return None;
    }
    let protocol =
        response.headers().get(UPGRADE).cloned().unwrap_or(HeaderValue::from_static("websocket"));
    Some(Agreed { protocol, client, endpoint: hyper::upgrade::on(response) })
}

impl Agreed {
    /// Moves bytes. The request counts as in flight until the tunnel ends.
    pub(crate) async fn run(self, in_flight: InFlightGuard, mut stopped: watch::Receiver<bool>) {
        tokio::select! {
            () = connect(self.client, self.endpoint) => {}
            // An error means that the sender is gone: the gateway has stopped.
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
        drop(in_flight);
    }
}

async fn connect(client: OnUpgrade, endpoint: OnUpgrade) {
    let Ok((client, endpoint)) = tokio::try_join!(client, endpoint) else { return };
    // An error concerns the two sides alone, and both see the end of the tunnel.
    let _ =
        tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(endpoint)).await;
}
