//! A request that no endpoint has answered.

use std::error::Error;
use std::io;

use hyper::Request;

use crate::own::{self, Own};
use crate::paced::{Interrupted, Paced};
use crate::stream::Stalled;

/// The reason for which an endpoint did not answer.
pub(crate) enum Failed {
    /// A connection could not be made. Nothing was sent, and the request is returned whole.
    Unconnected(Box<Request<Paced>>),
    /// A connection could not be made for want of something on the gateway's own side, such as file
    /// descriptors.
    OwnSide(io::Error),
    /// There was a connection, and the endpoint gave no answer that could be passed on: it broke off,
    /// was late, or used a transfer coding that is not known. The client gets this answer instead.
    Endpoint(Own),
    /// There was a connection, and the client did not send the rest of its body. It gets this answer.
    Client(Own),
}

impl From<hyper::Error> for Failed {
    fn from(error: hyper::Error) -> Self {
        let source = error.source();
        let is_late =
            source.is_some_and(|source| matches!(source.downcast_ref(), Some(Interrupted::Late)));
        let has_stalled = source
            .and_then(|source| source.downcast_ref::<io::Error>()?.get_ref())
            .is_some_and(|source| source.is::<Stalled>());
        // For hyper's client, the user is the sender of the body: here, the gateway's client.
        match error.is_user() {
            true if is_late => Self::Client(own::LATE),
            true => Self::Client(own::ABANDONED),
            false if has_stalled => Self::Endpoint(own::TIMED_OUT),
            false => Self::Endpoint(own::BROKE_OFF),
        }
    }
}
