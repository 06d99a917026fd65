//! What is known of the connection, and what calls are to do because of it.

use std::sync::Arc;

use ::redis::aio::MultiplexedConnection;
use tokio::time::Instant;

/// What calls are to do.
pub(super) enum State {
    /// Nobody knows yet whether the server is there: wait, up to the deadline from `since` on.
    Connecting { since: Instant },
    /// Ask.
    Up(Connection),
    /// Fail at once: it is connected, but has let a call wait in vain.
    Silent(Connection),
    /// Fail at once: it is not connected, for this reason.
    Down(String),
}

#[derive(Clone)]
pub(super) struct Connection {
    pub(super) commands: MultiplexedConnection,
    /// Tells connections apart.
    pub(super) identity: Arc<()>,
}

impl State {
    /// A call has waited for this connection in vain.
    pub(super) fn silence(&mut self, asked: &Arc<()>) -> bool {
        match self {
            Self::Up(connection) if Arc::ptr_eq(&connection.identity, asked) => {
                *self = Self::Silent(connection.clone());
                true
            }
            _ => false,
        }
    }

    /// A silent connection has given a sign of life.
    pub(super) fn wake(&mut self) -> bool {
        match self {
            Self::Silent(connection) => {
                *self = Self::Up(connection.clone());
                true
            }
            _ => false,
        }
    }

    /// This connection has ended.
    pub(super) fn lose(&mut self, ended: &Arc<()>) -> bool {
        match self {
            Self::Up(connection) | Self::Silent(connection)
                if Arc::ptr_eq(&connection.identity, ended) =>
            {
                *self = Self::Connecting { since: Instant::now() };
                true
            }
            _ => false,
        }
    }
}
