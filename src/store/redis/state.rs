//! The state of the connection, which tells each call what to do.

use std::sync::Arc;

use ::redis::aio::MultiplexedConnection;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::answers::Arrived;
use super::error::RedisError;

/// The state of the connection, and what a call does in it.
pub(super) enum State {
    /// The first answer of the server is awaited: a call waits for it, until a deadline after
    /// `since`.
    Connecting { since: Instant },
    /// The server answers: a call sends its command.
    Up(Channel),
    /// Connected, but a call has waited in vain: a read fails at once, a write is sent and waits.
    Silent(Channel),
    /// Not connected, or to a server that cannot be used, for this reason: calls fail at once.
    Down(RedisError),
}

/// A connected socket that all calls send commands to.
#[derive(Clone)]
pub(super) struct Channel {
    pub(super) commands: MultiplexedConnection,
    /// Tells a channel from the ones before and after it.
    pub(super) driver: Arc<Driver>,
}

/// The task that moves the bytes of a channel. It ends with the last copy of the channel.
pub(super) struct Driver {
    pub(super) task: AbortHandle,
    pub(super) arrived: Arc<Arrived>,
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    /// Notes that a call has waited for this channel in vain. Returns whether the state changed.
    pub(super) fn silence(&mut self, asked: &Arc<Driver>) -> bool {
        match self {
            Self::Up(channel) if Arc::ptr_eq(&channel.driver, asked) => {
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
    pub(super) fn lose(&mut self, ended: &Arc<Driver>) -> bool {
        match self {
            Self::Up(channel) | Self::Silent(channel) if Arc::ptr_eq(&channel.driver, ended) => {
                *self = Self::Connecting { since: Instant::now() };
                true
            }
            _ => false,
        }
    }
}
