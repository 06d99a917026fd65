//! The task that makes the connection, looks after it and makes it anew.

use std::sync::Arc;
use std::time::Duration;

use ::redis::{AsyncConnectionConfig, Client, cmd};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::error::reason;
use super::state::{Connection, State};

/// How long making a connection may take, and how long one that is up or silent has for a sign
/// of life.
pub(super) const ATTEMPT: Duration = Duration::from_secs(1);

/// How often a connection that is up is asked for a sign of life.
const ROUND: Duration = Duration::from_secs(1);

/// Between two attempts, doubling.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

const TIMED_OUT: &str = "it did not answer within a second";

pub(super) struct Keeper {
    client: Client,
    state: Arc<watch::Sender<State>>,
}

impl Keeper {
    pub(super) fn new(client: Client, state: Arc<watch::Sender<State>>) -> Self {
        Self { client, state }
    }

    pub(super) async fn run(self) {
        let mut pause = SHORTEST_PAUSE;
        loop {
            let begun = Instant::now();
            match self.connect().await {
                Ok(connection) => {
                    self.state.send_replace(State::Up(connection.clone()));
                    self.look_after(connection).await;
                }
                Err(reason) => {
                    self.state.send_replace(State::Down(reason));
                }
            }
            // What ends as soon as it has begun is not begun again in haste.
            if begun.elapsed() < LONGEST_PAUSE {
                sleep(pause).await;
                pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
            } else {
                pause = SHORTEST_PAUSE;
            }
        }
    }

    async fn connect(&self) -> Result<Connection, String> {
        // Whoever waits has a deadline of his own.
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let attempt = async {
            let mut commands =
                self.client.get_multiplexed_async_connection_with_config(&config).await?;
            // The kernel accepts connections for a process that is stopped too.
            commands.send_packed_command(&cmd("PING")).await?;
            Ok(Connection { commands, identity: Arc::default() })
        };
        match timeout(ATTEMPT, attempt).await {
            Ok(attempt) => attempt.map_err(|error| reason(&error)),
            Err(_) => Err(TIMED_OUT.into()),
        }
    }

    /// Returns when the connection is of no use any more.
    async fn look_after(&self, mut connection: Connection) {
        let mut states = self.state.subscribe();
        loop {
            // Nothing happens in most rounds.
            let _ = timeout(ROUND, states.wait_for(|state| !matches!(state, State::Up(_)))).await;
            if matches!(&*self.state.borrow(), State::Connecting { .. }) {
                return;
            }
            match timeout(ATTEMPT, connection.commands.send_packed_command(&cmd("PING"))).await {
                Ok(Ok(_)) => {
                    self.state.send_if_modified(State::wake);
                }
                Ok(Err(_)) => {
                    self.state.send_if_modified(|state| state.lose(&connection.identity));
                    return;
                }
                Err(_) => {
                    self.state.send_replace(State::Down(TIMED_OUT.into()));
                    return;
                }
            }
        }
    }
}
