//! The bytes that a server sends: counted, and cut off where an answer has no end.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The longest line and the longest text of an answer, in bytes. A record has 20, and what a server
/// says of itself some hundred.
const TEXT: u64 = 64 * 1024;

/// The largest number of elements in a list or a map.
const ELEMENTS: u64 = 1_024;

/// The number of bytes that may arrive without one answer being complete. The answers to calls at
/// the same time arrive together, so it is far above one of them.
const UNANSWERED: usize = 1024 * 1024;

/// The bytes that have arrived on a connection, counted.
#[derive(Debug, Default)]
pub(super) struct Arrived {
    /// All bytes.
    total: AtomicU64,
    /// The bytes since the last answer.
    unanswered: AtomicUsize,
}

impl Arrived {
    /// Returns a number that changes with each byte.
    pub(super) fn total(&self) -> u64 {
        self.total.load(Relaxed)
    }

    /// Notes that an answer is complete.
    pub(super) fn answered(&self) {
        self.unanswered.store(0, Relaxed);
    }

    fn add(&self, bytes: usize) -> io::Result<()> {
        self.total.fetch_add(bytes as u64, Relaxed);
        let before = self.unanswered.fetch_add(bytes, Relaxed);
        if before.saturating_add(bytes) > UNANSWERED { Err(too_long()) } else { Ok(()) }
    }
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "an answer of the server is too long")
}

fn no_number() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "an answer of the server has a length that is no number",
    )
}

/// A socket whose answers are bounded.
pub(super) struct Answers<S> {
    socket: S,
    arrived: Arc<Arrived>,
    position: Position,
}

impl<S> Answers<S> {
    pub(super) fn new(socket: S, arrived: Arc<Arrived>) -> Self {
        Self { socket, arrived, position: Position::Start }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Answers<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.socket).poll_read(cx, buffer);
        if !matches!(polled, Poll::Ready(Ok(()))) {
            return polled;
        }
        let new = buffer.filled().get(before..).unwrap_or_default();
        let bounded = self.arrived.add(new.len()).and_then(|()| self.position.read(new));
        if bounded.is_err() {
            buffer.set_filled(before);
        }
        Poll::Ready(bounded)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Answers<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// The position in the protocol: enough of it to see how long a part says it is, before the client
/// library makes room for it. The library reads numbers loosely, `+5` and ` 5` too; those are refused
/// here, because a number that is read in two ways hides what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// The first byte of a line follows.
    Start,
    /// The number of bytes (`$5`) or of elements (`*2`) of a part is being read.
    Number { counts: Counts, value: Option<u64> },
    /// The line feed after a number follows.
    NumberEnd { counts: Counts, value: u64 },
    /// The rest of a line, of which this many bytes have been read. It ends with a carriage return
    /// and a line feed: one of them alone is part of it.
    Line { read: u64, after_return: bool },
    /// The rest of a text, of which this many bytes follow, its line end included.
    Text(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counts {
    Bytes,
    Elements,
}

impl Position {
    fn read(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while let Some((&first, rest)) = bytes.split_first() {
            if let Self::Text(left) = *self {
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                *self = match left.saturating_sub(here as u64) {
                    0 => Self::Start,
                    left => Self::Text(left),
                };
                bytes = bytes.get(here..).unwrap_or_default();
                continue;
            }
            *self = self.after(first)?;
            bytes = rest;
        }
        Ok(())
    }

    /// The position after one byte that is not in a text.
    fn after(self, byte: u8) -> io::Result<Self> {
        let line = |read| Self::Line { read, after_return: byte == b'\r' };
        Ok(match (self, byte) {
            (Self::Start, b'$' | b'=' | b'!') => {
                Self::Number { counts: Counts::Bytes, value: None }
            }
            (Self::Start, b'*' | b'%' | b'~' | b'>' | b'|') => {
                Self::Number { counts: Counts::Elements, value: None }
            }
            (Self::Number { counts, value }, b'0'..=b'9') => {
                let digit = u64::from(byte.saturating_sub(b'0'));
                let value = value.unwrap_or(0).saturating_mul(10).saturating_add(digit);
                let most = if counts == Counts::Bytes { TEXT } else { ELEMENTS };
                if value > most {
                    return Err(too_long());
                }
                Self::Number { counts, value: Some(value) }
            }
            (Self::Number { counts, value: Some(value) }, b'\r') => {
                Self::NumberEnd { counts, value }
            }
            (Self::NumberEnd { counts: Counts::Bytes, value }, b'\n') => {
                Self::Text(value.saturating_add(2))
            }
            (Self::NumberEnd { counts: Counts::Elements, .. }, b'\n') => Self::Start,
            // `$-1` is no text.
            (Self::Number { value: None, .. }, b'-') => line(2),
            (Self::Number { .. } | Self::NumberEnd { .. }, _) => return Err(no_number()),
            (Self::Line { after_return: true, .. }, b'\n') => Self::Start,
            (Self::Line { read: TEXT.., .. }, _) => return Err(too_long()),
            (Self::Line { read, .. }, _) => line(read.saturating_add(1)),
            // What begins no answer is for the client library to refuse.
            _ => line(1),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(pieces: &[&[u8]]) -> Option<Position> {
        let mut position = Position::Start;
        pieces.iter().try_for_each(|piece| position.read(piece)).ok().map(|()| position)
    }

    #[test]
    fn each_answer_ends_where_the_next_one_starts() {
        for answer in [
            "+PONG\r\n",
            "-ERR no\r\n",
            ":7\r\n",
            "$-1\r\n",
            "_\r\n",
            "*-1\r\n",
            "$0\r\n\r\n",
            "$5\r\na\r\n$9\r\n",
            "*2\r\n$3\r\n*9\n\r\n:1\r\n",
            "%1\r\n+mode\r\n$7\r\ncluster\r\n",
            "\r\n",
        ] {
            assert_eq!(read(&[answer.as_bytes()]), Some(Position::Start), "{answer:?}");
            let bytes: Vec<&[u8]> = answer.as_bytes().chunks(1).collect();
            assert_eq!(read(&bytes), Some(Position::Start), "{answer:?} byte by byte");
        }
    }

    #[test]
    fn a_part_that_says_it_is_too_long_is_cut_off_at_its_number() {
        for (allowed, refused) in [("$65536", "$65537"), ("*1024", "*1025"), ("%1024", "%9999")] {
            assert!(read(&[allowed.as_bytes()]).is_some(), "{allowed}");
            assert_eq!(read(&[refused.as_bytes()]), None, "{refused}");
        }
        assert_eq!(read(&[b"*1\r\n*2000000000\r\n"]), None);
        assert_eq!(read(&[b"=99999999999999999999999999"]), None);
    }

    /// The client library trims a number, takes a sign, and ends a line at both of its bytes alone.
    #[test]
    fn a_length_that_the_client_library_reads_in_another_way_is_refused() {
        for length in
            ["$+70000", "* 2000", "*\t2", "$5 ", "$\n70000\r\n", "$5\n", "$5\rx", "$\r", "*--1"]
        {
            let refused = read(&[length.as_bytes()]).is_none();
            assert_eq!(refused, length != "*--1", "{length:?}");
        }
        let line = b"+a\n$60000\r\n*2000";
        assert_eq!(read(&[line]), None, "a line feed alone ends no line");
        assert_eq!(read(&[b"+a\n$60000\r\n:1\r\n"]), Some(Position::Start));
    }

    #[test]
    fn a_line_without_an_end_is_cut_off() {
        let line = vec![b'+'; 64 * 1024];
        assert!(read(&[&line]).is_some());
        assert_eq!(read(&[&line, b"+"]), None);
    }

    #[test]
    fn bytes_without_an_answer_are_counted_until_one_is_complete() {
        let arrived = Arrived::default();
        assert!(arrived.add(UNANSWERED).is_ok());
        assert!(arrived.add(1).is_err());
        arrived.answered();
        assert!(arrived.add(UNANSWERED).is_ok());
        assert_eq!(arrived.total(), 2 * UNANSWERED as u64 + 1);
    }

    proptest! {
        #[test]
        fn pieces_are_read_as_the_whole(bytes: Vec<u8>, at in 0_usize..64) {
            let (left, right) = bytes.split_at(at.min(bytes.len()));
            prop_assert_eq!(read(&[left, right]), read(&[&bytes]));
        }
    }
}
