//! A body that must not stand still.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::oneshot;
use tokio::time::Sleep;

/// A body as it comes in. It ends with an error when somebody waits for its next piece too long.
#[derive(Debug)]
pub(crate) struct Paced {
    body: Incoming,
    patience: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
    /// Told of the end of the body, and dropped with it.
    end: Option<oneshot::Sender<()>>,
}

/// The reason for which a body ends before its end.
#[derive(Debug)]
pub(crate) enum Interrupted {
    /// The next piece did not come in time.
    Late,
    /// The connection that brings the body failed.
    Failed(hyper::Error),
}

impl Paced {
    pub(crate) fn new(body: Incoming, patience: Duration) -> Self {
        Self { body, patience, waiting: None, end: None }
    }

    /// Returns a channel that tells when the body has been read to its end, and closes without a word
    /// when it is dropped before; `None` for a body that has ended already.
    pub(crate) fn end(&mut self) -> Option<oneshot::Receiver<()>> {
        if self.body.is_end_stream() {
            return None;
        }
        let (end, ended) = oneshot::channel();
        self.end = Some(end);
        Some(ended)
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = Interrupted;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Interrupted>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.waiting = None;
            // hyper does not ask again after the last piece of a body whose length it knows.
            if (frame.is_none() || this.body.is_end_stream())
                && let Some(end) = this.end.take()
            {
                // An error says that the request has been given up.
                let _ = end.send(());
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Interrupted::Failed)));
        }
        let patience = this.patience;
        let waiting = this.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        waiting.as_mut().poll(cx).map(|()| Some(Err(Interrupted::Late)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late => f.write_str("the next piece of the body did not come in time"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl Error for Interrupted {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Late => None,
            Self::Failed(error) => Some(error),
        }
    }
}
