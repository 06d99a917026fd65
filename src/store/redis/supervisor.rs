//! The background task that connects, checks the connection and connects again.

use std::sync::Arc;
use std::time::Duration;

use ::redis::{AsyncConnectionConfig, Client, cmd};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::error::reason;
use super::state::{Channel, State};

/// The time that an attempt to connect may take, and that a connected server has to answer a
/// `PING`.
pub(super) const ATTEMPT: Duration = Duration::from_secs(1);

/// The time between two checks of a connection that is up.
const ROUND: Duration = Duration::from_secs(1);

/// The pause between two attempts, which doubles from the shortest to the longest.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

const TIMED_OUT: &str = "the server did not answer within a second";

pub(super) struct Supervisor {
    client: Client,
    state: Arc<watch::Sender<State>>,
}

impl Supervisor {
    pub(super) fn new(client: Client, state: Arc<watch::Sender<State>>) -> Self {
        Self { client, state }
    }

    /// Runs until the task is aborted or its runtime ends.
    pub(super) async fn run(self) {
        let mut pause = SHORTEST_PAUSE;
        loop {
            let begun = Instant::now();
            match self.connect().await {
                Ok(channel) => {
                    self.state.send_replace(State::Up(channel.clone()));
                    self.check(channel).await;
                }
                Err(reason) => {
                    self.state.send_replace(State::Down(reason));
                }
            }
            // Pause only where attempts follow each other fast: after a connection that has
            // lasted, the first attempt is made at once.
            if begun.elapsed() < LONGEST_PAUSE {
                sleep(pause).await;
                pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
            } else {
                pause = SHORTEST_PAUSE;
            }
        }
    }

    async fn connect(&self) -> Result<Channel, String> {
        // Each call has a deadline of its own.
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let attempt = async {
            let mut commands =
                self.client.get_multiplexed_async_connection_with_config(&config).await?;
            // The kernel accepts connections for a stopped process too.
            commands.send_packed_command(&cmd("PING")).await?;
            Ok(Channel { commands, identity: Arc::default() })
        };
        match timeout(ATTEMPT, attempt).await {
            Ok(attempt) => attempt.map_err(|error| reason(&error)),
            Err(_) => Err(TIMED_OUT.into()),
        }
    }

    /// Checks a channel every round, and as soon as it is silent. Returns when it has failed.
    async fn check(&self, mut channel: Channel) {
        let mut states = self.state.subscribe();
        loop {
            // Most rounds end by the timeout: the channel was up all the time.
            let _ = timeout(ROUND, states.wait_for(|state| !matches!(state, State::Up(_)))).await;
            if matches!(&*self.state.borrow(), State::Connecting { .. }) {
                return;
            }
            match timeout(ATTEMPT, channel.commands.send_packed_command(&cmd("PING"))).await {
                Ok(Ok(_)) => {
                    self.state.send_if_modified(State::wake);
                }
                Ok(Err(_)) => {
                    self.state.send_if_modified(|state| state.lose(&channel.identity));
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
