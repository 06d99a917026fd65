//! The health of a store across the network, for those who watch it.

use std::time::Duration;

/// The state of a store across the network and the calls so far, for a page of metrics. Made by
/// [`AnyStore::health`](super::AnyStore::health) and `RedisStore::health`. All counts begin with
/// the store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreHealth {
    /// The state of the connection.
    pub connection: StoreConnection,
    /// The message of the last error, kept after calls have succeeded again.
    pub last_error: Option<String>,
    /// The number of calls that the server has answered, other than with an error.
    pub answered: u64,
    /// The time that all answered calls have taken together, waiting for a connection included.
    pub answer_time: Duration,
    /// The number of calls that have failed, by kind of error: `timed_out`, `silent` (not sent,
    /// because an earlier call had timed out), `unconnected`, `refused` (the server answered with an
    /// error), `wrong_server` (a cluster, a Sentinel or a replica), `overloaded` and `no_runtime`.
    /// Every kind is there, counted or not.
    pub errors: Vec<(&'static str, u64)>,
    /// The number of writes that have failed, which `errors` counts too.
    pub writes_failed: u64,
    /// The number of writes that were sent a second time, after their connection was lost.
    pub writes_retried: u64,
    /// The number of records that were answered from memory, because the server was out of reach.
    pub remembered: u64,
}

/// The state of the connection to a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreConnection {
    /// No attempt to connect has ended yet, or the connection has just been lost.
    Connecting,
    /// The server answers.
    Up,
    /// The connection is there, and a call has waited for an answer in vain.
    Silent,
    /// There is no connection, or the server cannot be used.
    Down,
}

impl StoreConnection {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Connecting, Self::Up, Self::Silent, Self::Down];

    /// Returns the state as a word: `connecting`, `up`, `silent` or `down`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Up => "up",
            Self::Silent => "silent",
            Self::Down => "down",
        }
    }
}
