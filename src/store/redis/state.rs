//! The state of the connection, which tells each call what to do.

use std::sync::Arc;

use ::redis::aio::MultiplexedConnection;
use tokio::time::Instant;

/// The state of the connection, and what a call does in it.
pub(super) enum State {
    /// The first answer of the server is awaited: a call waits for it, until a deadline after
    /// `since`.
    Connecting { since: Instant },
    /// The server answers: a call sends its command.
    Up(Channel),
    /// Connected, but a call has waited in vain: calls fail at once.
    Silent(Channel),
    /// Not connected, for this reason: calls fail at once.
    Down(String),
}

/// A connected socket that all calls send commands to.
#[derive(Clone)]
pub(super) struct Channel {
    pub(super) commands: MultiplexedConnection,
    /// Tells a channel from the ones before and after it.
    pub(super) identity: Arc<()>,
}

impl State {
    /// Notes that a call has waited for this channel in vain. Returns whether the state changed.
    pub(super) fn silence(&mut self, asked: &Arc<()>) -> bool {
        match self {
            Self::Up(channel) if Arc::ptr_eq(&channel.identity, asked) => {
                *self = Self::Silent(channel.clone());
                true
            }
            _ => false,
        }
    }

    /// Notes that a silent channel has answered. Returns whether the state changed.
    pub(super) fn wake(&mut self) -> bool {
        match self {
            Self::Silent(channel) => {
                *self = Self::Up(channel.clone());
                true
            }
            _ => false,
        }
    }

    /// Notes that this channel has ended. Returns whether the state changed.
    pub(super) fn lose(&mut self, ended: &Arc<()>) -> bool {
        match self {
            Self::Up(channel) | Self::Silent(channel) if Arc::ptr_eq(&channel.identity, ended) => {
                *self = Self::Connecting { since: Instant::now() };
                true
            }
            _ => false,
        }
    }
}
