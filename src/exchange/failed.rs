//! The failures: those of the embedder's closure, and those that the client is answered with.

use std::io;

use http::{Request, Response, StatusCode};

use super::is_own_side;
use crate::affinity::{GaveUp, NoRoute, Trace};
use crate::outcome::Outcome;

/// The failure of one endpoint: it has not answered the request.
#[derive(Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "embedders build it; before, after, and none of the endpoint's doing"
)]
pub enum Failed<B, E> {
    /// No connection could be made, and this is the request as it was. Another endpoint may be
    /// tried.
    ///
    /// When a pooled connection turns out dead before anything was sent, first try a fresh
    /// connection to the same endpoint. Where a client drops the request that it cannot send,
    /// connect before the client is given the request.
    Unconnected(Box<Request<B>>),
    /// Something was sent, or the request is gone. No other endpoint is tried.
    BrokeOff(E),
    /// The proxy's own machine lacks something: see [`is_own_side`]. No other endpoint is tried,
    /// and none is blamed.
    OwnSide(E),
}

impl<B, E: From<io::Error>> Failed<B, E> {
    /// The failure of a connection that could not be made: [`Failed::OwnSide`] where
    /// [`is_own_side`] says so, else [`Failed::Unconnected`].
    ///
    /// ```
    /// use std::io::{Error, ErrorKind};
    /// use session_affinity::exchange::Failed;
    /// let refused = Error::from(ErrorKind::ConnectionRefused);
    /// let failed: Failed<(), Error> = Failed::connecting(refused, http::Request::new(()));
    /// assert!(matches!(failed, Failed::Unconnected(_)));
    /// ```
    pub fn connecting(error: io::Error, request: Request<B>) -> Self {
        if is_own_side(&error) {
            Self::OwnSide(error.into())
        } else {
            Self::Unconnected(Box::new(request))
        }
    }
}

/// The error of an exchange: no endpoint has answered. Nothing was promised to the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused<E> {
    /// There is no endpoint to try, or the session is refused: 503.
    #[error("{0}")]
    NoRoute(#[from] NoRoute),
    /// The tried endpoints could not be connected to: 502.
    #[error("{0}")]
    GaveUp(#[from] GaveUp),
    /// The endpoint broke off: 502.
    #[error("the endpoint broke off: {error}")]
    BrokeOff {
        /// The way of the request.
        trace: Trace,
        /// The error of the embedder's closure.
        error: E,
    },
    /// The proxy's own machine lacks something: 503. It is no outcome of the session.
    #[error("the proxy itself could not connect: {0}")]
    OwnSide(E),
}

impl<E> Refused<E> {
    /// Returns the outcome, `no_endpoint`, `lost:` and the reason, or `gave_up`; `None` for
    /// [`Refused::OwnSide`].
    pub fn outcome(&self) -> Option<Outcome> {
        self.trace().map(|trace| trace.outcome())
    }

    /// Returns the way of the request; `None` for [`Refused::OwnSide`].
    pub fn trace(&self) -> Option<Trace> {
        match self {
            Self::NoRoute(no_route) => Some(no_route.trace()),
            Self::GaveUp(gave_up) => Some(gave_up.trace()),
            Self::BrokeOff { trace, .. } => Some(*trace),
            Self::OwnSide(_) => None,
        }
    }

    /// Returns the status to answer with, 503 or 502.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoRoute(no_route) => no_route.status(),
            Self::OwnSide(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::GaveUp(_) | Self::BrokeOff { .. } => StatusCode::BAD_GATEWAY,
        }
    }

    /// Returns a response of that status with an empty body, and the [`Trace`] in its extensions.
    pub fn into_response<R: Default>(self) -> Response<R> {
        let mut response = Response::new(R::default());
        *response.status_mut() = self.status();
        if let Some(trace) = self.trace() {
            response.extensions_mut().insert(trace);
        }
        response
    }
}

/// The failure of an endpoint after which no other one was tried.
impl<B, E> From<Failed<B, E>> for Refused<E> {
    fn from(failed: Failed<B, E>) -> Self {
        let gave_up = GaveUp::new();
        match failed {
            Failed::Unconnected(_) => Self::GaveUp(gave_up),
            Failed::BrokeOff(error) => Self::BrokeOff { trace: gave_up.trace(), error },
            Failed::OwnSide(error) => Self::OwnSide(error),
        }
    }
}
