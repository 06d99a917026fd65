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
    reason = "embedders build it; the endpoint's doing before and after, the proxy's, the client's"
)]
pub enum Failed<B, E> {
    /// No connection could be made, and this is the request as it was. Another endpoint may be
    /// tried. The cause is not kept: log it here where that is wanted.
    ///
    /// When a pooled connection turns out dead before anything was sent, first try a fresh
    /// connection to the same endpoint. Where a client drops the request that it cannot send,
    /// connect before the client is given the request.
    Unconnected(Box<Request<B>>),
    /// Something was sent, or the request is gone. No other endpoint is tried.
    BrokeOff(E),
    /// The proxy's own machine lacks something: see [`is_own_side`]. No other endpoint is tried,
    /// and no endpoint is blamed.
    OwnSide(E),
    /// The client did not send the rest of its request. No other endpoint is tried, and no endpoint
    /// is blamed. With hyper's client that is an error of which `is_user` is true.
    Abandoned(E),
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
    #[error(transparent)]
    NoRoute(#[from] NoRoute),
    /// The tried endpoints could not be connected to: 502.
    #[error(transparent)]
    GaveUp(#[from] GaveUp),
    /// The endpoint broke off: 502.
    #[error("the endpoint broke off: {error}")]
    #[non_exhaustive]
    BrokeOff {
        /// The way of the request.
        trace: Trace,
        /// The error of the embedder's closure.
        error: E,
    },
    /// The proxy's own machine lacks something: 503. It is no outcome of the session.
    #[error("the proxy itself could not connect: {error}")]
    #[non_exhaustive]
    OwnSide {
        /// The error of the embedder's closure.
        error: E,
    },
    /// The client did not send the rest of its request: 400. It is no outcome of the session.
    #[error("the client did not send the rest of its request: {error}")]
    #[non_exhaustive]
    Abandoned {
        /// The error of the embedder's closure.
        error: E,
    },
}

impl<E> Refused<E> {
    /// Returns the outcome, `no_endpoint`, `lost:` and the reason, or `gave_up`; `None` for
    /// [`Refused::OwnSide`] and [`Refused::Abandoned`].
    pub fn outcome(&self) -> Option<Outcome> {
        self.trace().map(|trace| trace.outcome())
    }

    /// Returns the way of the request; `None` for [`Refused::OwnSide`] and [`Refused::Abandoned`].
    pub fn trace(&self) -> Option<Trace> {
        match self {
            Self::NoRoute(no_route) => Some(no_route.trace()),
            Self::GaveUp(gave_up) => Some(gave_up.trace()),
            Self::BrokeOff { trace, .. } => Some(*trace),
            Self::OwnSide { .. } | Self::Abandoned { .. } => None,
        }
    }

    /// Returns the status to answer with: 503, 502 or 400.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoRoute(no_route) => no_route.status(),
            Self::OwnSide { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::GaveUp(_) | Self::BrokeOff { .. } => StatusCode::BAD_GATEWAY,
            Self::Abandoned { .. } => StatusCode::BAD_REQUEST,
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
            Failed::OwnSide(error) => Self::OwnSide { error },
            Failed::Abandoned(error) => Self::Abandoned { error },
        }
    }
}
