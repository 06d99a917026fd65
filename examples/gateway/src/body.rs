//! The body of a response: the gateway's own line, or an endpoint's stream.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use session_affinity::steering::InFlightGuard;

use crate::idle::Busy;
use crate::paced::{Interrupted, Paced};

pub(crate) enum Body {
    /// A text of the gateway's own.
    Own(Full<Bytes>),
    /// The stream of an endpoint, which counts the request as in flight until the last byte is
    /// through.
    Endpoint { body: Paced, _in_flight: InFlightGuard, _busy: Option<Busy> },
}

impl Body {
    pub(crate) fn empty() -> Self {
        Self::Own(Full::default())
    }

    /// The stream of an endpoint.
    pub(crate) fn of_endpoint(body: Paced, in_flight: InFlightGuard) -> Self {
        Self::Endpoint { body, _in_flight: in_flight, _busy: None }
    }

    /// Keeps the client's connection busy until the last byte of an endpoint's stream. A text of the
    /// gateway's own is there at once.
    pub(crate) fn until_its_end(self, busy: Busy) -> Self {
        match self {
            Self::Own(text) => Self::Own(text),
            Self::Endpoint { body, _in_flight, .. } => {
                Self::Endpoint { body, _in_flight, _busy: Some(busy) }
            }
        }
    }

    pub(crate) fn text(text: impl Into<Bytes>) -> Self {
        Self::Own(Full::new(text.into()))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Interrupted;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Interrupted>>> {
        match self.get_mut() {
            Self::Own(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            Self::Endpoint { body, .. } => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(body) => body.is_end_stream(),
            Self::Endpoint { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(body) => body.size_hint(),
            Self::Endpoint { body, .. } => body.size_hint(),
        }
    }
}
