//! The background task that connects, checks the connection and connects again.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Value, cmd};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::address::Address;
use super::answers::{Answers, Arrived};
use super::error::{RedisError, reason};
use super::server::{Server, accept_cluster};
use super::state::{Channel, Driver, State};
use super::stream;

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
    address: Arc<Address>,
    state: Arc<watch::Sender<State>>,
}

impl Supervisor {
    pub(super) fn new(address: Arc<Address>, state: Arc<watch::Sender<State>>) -> Self {
        Self { address, state }
    }

    /// Runs until the task is aborted or its runtime ends.
    pub(super) async fn run(self) {
        let mut pause = SHORTEST_PAUSE;
        loop {
            let begun = Instant::now();
            // A panic below, in a library say, would end the task, and each call would begin it
            // again and wait for it.
            if let Err(cause) = caught(self.connected()).await {
                let cause = format!("a panic: {}", self.address.redacted(&cause));
                self.state.send_replace(State::Down(RedisError::Unconnected(cause)));
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

    /// Connects, and stays with the connection until it has failed.
    async fn connected(&self) {
        let attempt = timeout(ATTEMPT, self.connect()).await;
        match attempt.unwrap_or_else(|_| Err(RedisError::Unconnected(TIMED_OUT.into()))) {
            Ok(channel) => {
                self.state.send_replace(State::Up(channel.clone()));
                self.check(channel).await;
            }
            Err(error) => {
                self.state.send_replace(State::Down(error));
            }
        }
    }

    async fn connect(&self) -> Result<Channel, RedisError> {
        let mut channel = self.open().await?;
        // The kernel accepts connections for a stopped process too.
        answered(channel.commands.send_packed_command(&cmd("PING")).await)?;
        match Server::ask(&mut channel.commands).await {
            Ok(Server::Primary) => Ok(channel),
            Ok(Server::Replica) => Err(RedisError::Replica),
            Ok(Server::Sentinel) => Err(RedisError::Sentinel),
            Ok(Server::ClusterNode) => {
                accept_cluster(&mut channel.commands).await.map(|()| channel)
            }
            // A proxy that closes the connection at a command that it does not know.
            Err(_) => {
                let mut channel = self.open().await?;
                answered(channel.commands.send_packed_command(&cmd("PING")).await)?;
                Ok(channel)
            }
        }
    }

    /// Opens a connection and signs in.
    async fn open(&self) -> Result<Channel, RedisError> {
        let unconnected = |error: std::io::Error| RedisError::Unconnected(error.to_string());
        let arrived = Arc::new(Arrived::default());
        let socket =
            Answers::new(stream::open(&self.address).await.map_err(unconnected)?, arrived.clone());
        // Each call has a deadline of its own.
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let login = &self.address.login;
        let (commands, driver) = MultiplexedConnection::new_with_config(login, socket, config)
            .await
            .map_err(|error| RedisError::Unconnected(reason(&error)))?;
        let task = tokio::spawn(driver).abort_handle();
        Ok(Channel { commands, driver: Arc::new(Driver { task, arrived }) })
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
                Ok(Ok(Value::ServerError(error))) => {
                    self.state.send_replace(State::Down(RedisError::refused(error.code())));
                    return;
                }
                Ok(Ok(_)) => {
                    channel.driver.arrived.answered();
                    self.state.send_if_modified(State::wake);
                }
                Ok(Err(_)) => {
                    self.state.send_if_modified(|state| state.lose(&channel.driver));
                    return;
                }
                Err(_) => {
                    let error = RedisError::Unconnected(TIMED_OUT.into());
                    self.state.send_replace(State::Down(error));
                    return;
                }
            }
        }
    }
}

/// Returns the error of a `PING`, whether it is one of the connection or the server's answer.
fn answered(pong: Result<Value, ::redis::RedisError>) -> Result<(), RedisError> {
    match pong {
        Ok(Value::ServerError(error)) => Err(RedisError::refused(error.code())),
        Ok(_) => Ok(()),
        Err(error) => Err(RedisError::Unconnected(reason(&error))),
    }
}

/// Runs a future to its end, or to a panic, of which the message is returned.
async fn caught(future: impl Future<Output = ()>) -> Result<(), String> {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| {
        // The future is dropped after a panic, and the state that it shares is written whole.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(message(&*panic))),
        }
    })
    .await
}

fn message(panic: &(dyn Any + Send)) -> String {
    let literal = panic.downcast_ref::<&str>().copied();
    let text = literal.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it says no more").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_caught_with_its_message() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let of_a_string = async { std::panic::panic_any(String::from("of a string")) };
        assert_eq!(runtime.block_on(caught(of_a_string)), Err("of a string".into()));
        let of_a_literal = async { panic!("of a literal") };
        assert_eq!(runtime.block_on(caught(of_a_literal)), Err("of a literal".into()));
        let of_another_type = async { std::panic::panic_any(7) };
        assert_eq!(runtime.block_on(caught(of_another_type)), Err("it says no more".into()));
        assert_eq!(runtime.block_on(caught(async {})), Ok(()));
    }
}
