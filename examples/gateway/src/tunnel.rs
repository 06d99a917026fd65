//! After an upgrade: bytes in both directions, until one side is done or the gateway stops.

use hyper::body::Incoming;
use hyper::header::{HeaderValue, UPGRADE};
use hyper::upgrade::OnUpgrade;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::sync::watch;

use crate::upstream::InFlight;

/// A tunnel that the endpoint has agreed to and the client is about to hear of.
pub(crate) struct Agreed {
    pub(crate) protocol: HeaderValue,
    client: OnUpgrade,
    endpoint: OnUpgrade,
}

/// The tunnel, if this response is a 101. To what was switched must be said there.
pub(crate) fn agreed(client: OnUpgrade, response: &mut Response<Incoming>) -> Option<Agreed> {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return None;
    }
    let protocol =
        response.headers().get(UPGRADE).cloned().unwrap_or(HeaderValue::from_static("websocket"));
    Some(Agreed { protocol, client, endpoint: hyper::upgrade::on(response) })
}

impl Agreed {
    /// Moves bytes. The endpoint is at work as long as this runs.
    pub(crate) async fn run(self, in_flight: InFlight, mut stopped: watch::Receiver<bool>) {
        tokio::select! {
            () = connect(self.client, self.endpoint) => {}
            // An error means that the gateway is gone altogether.
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
        drop(in_flight);
    }
}

async fn connect(client: OnUpgrade, endpoint: OnUpgrade) {
    let Ok((client, endpoint)) = tokio::try_join!(client, endpoint) else { return };
    // How a tunnel ends is no one's business but the two sides'.
    let _ =
        tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(endpoint)).await;
}
