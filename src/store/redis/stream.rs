//! The socket to a server: TCP, TLS over TCP, or a socket in the file system.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;

use super::address::{Address, Encryption, Place};

/// A connection, whatever it runs over.
pub(super) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

/// Connects to a host by all of its addresses at once, and keeps the first connection.
async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut attempts = JoinSet::new();
    for address in lookup_host((host, port)).await? {
        attempts.spawn(TcpStream::connect(address));
    }
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    while let Some(attempt) = attempts.join_next().await {
        match attempt.unwrap_or_else(|ended| Err(io::Error::other(ended))) {
            Ok(stream) => {
                // Without it, a small command waits for the acknowledgement of the one before, and
                // often misses the deadline.
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Connects to a server, and with TLS makes sure that it is the one of the URL.
pub(super) async fn open(address: &Address) -> io::Result<Box<dyn Socket>> {
    match &address.place {
        Place::Tcp { host, port, encryption: Encryption::Plain } => {
            Ok(Box::new(tcp(host, *port).await?))
        }
        #[cfg(feature = "redis-tls")]
        Place::Tcp { host, port, encryption: Encryption::Tls } => {
            let connector = address.tls.connector().await?;
            let name = host.clone().try_into().map_err(io::Error::other)?;
            Ok(Box::new(connector.connect(name, tcp(host, *port).await?).await?))
        }
        #[cfg(unix)]
        Place::Unix(path) => Ok(Box::new(tokio::net::UnixStream::connect(path).await?)),
        // Refused when the URL was read.
        #[cfg(not(all(unix, feature = "redis-tls")))]
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}
