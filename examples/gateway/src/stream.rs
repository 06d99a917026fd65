//! A TCP connection whose other side must keep taking what is sent to it.

use std::error::Error;
use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// A connection. A write fails with [`Stalled`] when the other side has taken nothing for some
/// time: the body that waits behind it is not asked for its next piece, and could not notice.
#[derive(Debug)]
pub(crate) struct Stream {
    tcp: TcpStream,
    /// Bytes that were read already and come first.
    early: Bytes,
    patience: Duration,
    stalling: Option<Pin<Box<Sleep>>>,
}

/// The reason of an error of a connection whose other side takes nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stalled;

impl Stream {
    pub(crate) fn new(tcp: TcpStream, early: Bytes, patience: Duration) -> Self {
        // An error is harmless: small messages only wait longer.
        let _ = tcp.set_nodelay(true);
        Self { tcp, early, patience, stalling: None }
    }

    /// Returns the connection before these bytes were read of it: they come again, and then the rest.
    pub(crate) fn unread(self, early: &[u8]) -> Self {
        Self { early: [early, &self.early].concat().into(), ..self }
    }

    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalling = None;
            return written;
        }
        let patience = self.patience;
        let stalling = self.stalling.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        stalling.as_mut().poll(cx).map(|()| Err(io::Error::new(io::ErrorKind::TimedOut, Stalled)))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.early.is_empty() {
            return Pin::new(&mut this.tcp).poll_read(cx, buffer);
        }
        let length = this.early.len().min(buffer.remaining());
        buffer.put_slice(this.early.get(..length).unwrap_or_default());
        this.early.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.tcp).poll_write(cx, bytes);
        this.watch(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.tcp).poll_write_vectored(cx, slices);
        this.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_shutdown(cx)
    }
}

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the other side takes nothing")
    }
}

impl Error for Stalled {}
