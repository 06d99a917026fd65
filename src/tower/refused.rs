//! What can go wrong: what the inner service says, and what the layer answers.

use http::{Request, Response, StatusCode};

use crate::affinity::{GaveUp, NoEndpoint};
use crate::outcome::Outcome;

/// What an inner service says of a request that no endpoint has answered.
#[derive(Debug)]
pub enum Failed<B, E> {
    /// No connection could be made, or one turned out dead before anything was sent: here is the
    /// request as it was. Another endpoint may be tried.
    ///
    /// A pooled connection that turns out dead wants a fresh one to the same endpoint first: that
    /// is the inner service's to do. Where a client drops the request that it cannot send, connect
    /// before the request is given to it.
    Unconnected(Box<Request<B>>),
    /// Something was sent, or the request is gone. Nobody else is asked.
    BrokeOff(E),
}

/// Why there is no response of an endpoint. Nothing was promised to the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused<E> {
    /// There is nobody to try: 503.
    #[error(transparent)]
    NoEndpoint(#[from] NoEndpoint),
    /// Those that were tried could not be connected to: 502.
    #[error(transparent)]
    GaveUp(#[from] GaveUp),
    /// The endpoint broke off: 502. What the inner service said.
    #[error("the endpoint broke off: {0}")]
    BrokeOff(E),
}

impl<E> Refused<E> {
    /// `no_endpoint` or `gave_up`.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::NoEndpoint(_) => Outcome::NoEndpoint,
            Self::GaveUp(_) | Self::BrokeOff(_) => Outcome::GaveUp,
        }
    }

    /// 503 or 502.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoEndpoint(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::GaveUp(_) | Self::BrokeOff(_) => StatusCode::BAD_GATEWAY,
        }
    }

    /// A response of that status with an empty body, and the outcome in its extensions.
    pub fn into_response<R: Default>(self) -> Response<R> {
        let mut response = Response::new(R::default());
        *response.status_mut() = self.status();
        response.extensions_mut().insert(self.outcome());
        response
    }
}

/// Nobody is left who could be tried.
impl<B, E> From<Failed<B, E>> for Refused<E> {
    fn from(failed: Failed<B, E>) -> Self {
        match failed {
            Failed::Unconnected(_) => Self::GaveUp(GaveUp),
            Failed::BrokeOff(error) => Self::BrokeOff(error),
        }
    }
}
