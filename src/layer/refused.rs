//! The failures: those of the inner service, and those that the layer answers with.

use http::{Request, Response, StatusCode};

use crate::affinity::{GaveUp, NoEndpoint};
use crate::outcome::Outcome;

/// The error of an inner service: no endpoint has answered the request.
#[derive(Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "inner services build it; there are two kinds of failure"
)]
pub enum Failed<B, E> {
    /// No connection could be made, and this is the request as it was. Another endpoint may be
    /// tried.
    ///
    /// When a pooled connection turns out dead before anything was sent, the inner service first
    /// tries a fresh connection to the same endpoint. Where a client drops the request that it
    /// cannot send, connect before the client is given the request.
    Unconnected(Box<Request<B>>),
    /// Something was sent, or the request is gone. No other endpoint is tried.
    BrokeOff(E),
}

/// The error of the layer: no endpoint has answered. Nothing was promised to the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused<E> {
    /// There is no endpoint to try: 503.
    #[error("{0}")]
    NoEndpoint(#[from] NoEndpoint),
    /// The tried endpoints could not be connected to: 502.
    #[error("{0}")]
    GaveUp(#[from] GaveUp),
    /// The endpoint broke off: 502. The error is that of the inner service.
    #[error("the endpoint broke off: {0}")]
    BrokeOff(E),
}

impl<E> Refused<E> {
    /// Returns the outcome, `no_endpoint` or `gave_up`.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::NoEndpoint(_) => Outcome::NoEndpoint,
            Self::GaveUp(_) | Self::BrokeOff(_) => Outcome::GaveUp,
        }
    }

    /// Returns the status to answer with, 503 or 502.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoEndpoint(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::GaveUp(_) | Self::BrokeOff(_) => StatusCode::BAD_GATEWAY,
        }
    }

    /// Returns a response of that status with an empty body, and the outcome in its extensions.
    pub fn into_response<R: Default>(self) -> Response<R> {
        let mut response = Response::new(R::default());
        *response.status_mut() = self.status();
        response.extensions_mut().insert(self.outcome());
        response
    }
}

/// An error of an inner service that is not called again.
impl<B, E> From<Failed<B, E>> for Refused<E> {
    fn from(failed: Failed<B, E>) -> Self {
        match failed {
            Failed::Unconnected(_) => Self::GaveUp(GaveUp::new()),
            Failed::BrokeOff(error) => Self::BrokeOff(error),
        }
    }
}
