//! The one connection to the server, and what calls do while there is none.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Client, Cmd, Value, cmd};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

use super::error::{RedisError, reason};
use crate::bounds::StoreDeadline;

/// All calls share one connection, on which commands follow each other without waiting. A task
/// of its own, the keeper, makes it, looks after it and makes it anew.
pub(super) struct Link {
    client: Client,
    state: Arc<watch::Sender<State>>,
    keeper: Mutex<Option<AbortHandle>>,
}

/// What calls are to do.
enum State {
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
struct Connection {
    commands: MultiplexedConnection,
    /// Tells connections apart.
    identity: Arc<()>,
}

impl State {
    /// A call has waited for this connection in vain.
    fn silence(&mut self, asked: &Arc<()>) -> bool {
        match self {
            Self::Up(connection) if Arc::ptr_eq(&connection.identity, asked) => {
                *self = Self::Silent(connection.clone());
                true
            }
            _ => false,
        }
    }

    /// A silent connection has given a sign of life.
    fn wake(&mut self) -> bool {
        match self {
            Self::Silent(connection) => {
                *self = Self::Up(connection.clone());
                true
            }
            _ => false,
        }
    }

    /// This connection has ended.
    fn lose(&mut self, ended: &Arc<()>) -> bool {
        match self {
            Self::Up(connection) | Self::Silent(connection) if Arc::ptr_eq(&connection.identity, ended) => {
                *self = Self::Connecting { since: Instant::now() };
                true
            }
            _ => false,
        }
    }
}

impl Link {
    pub(super) fn new(client: Client) -> Self {
        let (state, _) = watch::channel(State::Connecting { since: Instant::now() });
        Self { client, state: Arc::new(state), keeper: Mutex::default() }
    }

    pub(super) fn address(&self) -> String {
        self.client.get_connection_info().addr().to_string()
    }

    /// Sends a command and gives its answer, which may be an error of the server's.
    pub(super) async fn ask(&self, command: &Cmd, deadline: StoreDeadline) -> Result<Value, RedisError> {
        // A timer can only be made in a runtime.
        Handle::try_current().map_err(|_| RedisError::NoRuntime)?;
        let mut asked = None;
        let answer = timeout(duration(deadline), self.answer(command, deadline, &mut asked)).await;
        answer.unwrap_or_else(|_| {
            if let Some(asked) = asked {
                self.state.send_if_modified(|state| state.silence(&asked));
            }
            Err(RedisError::TimedOut(deadline))
        })
    }

    /// Waits until it is known whether the server is there, for as long as one attempt may take.
    pub(super) async fn settled(&self) -> Result<(), RedisError> {
        self.keep()?;
        let mut states = self.state.subscribe();
        // The next call says what has come of it.
        let _ = timeout(ATTEMPT, states.wait_for(|state| !matches!(state, State::Connecting { .. }))).await;
        Ok(())
    }

    async fn answer(
        &self,
        command: &Cmd,
        deadline: StoreDeadline,
        asked: &mut Option<Arc<()>>,
    ) -> Result<Value, RedisError> {
        let mut lost = String::new();
        // Twice: that a connection has ended while it was idle may be seen only when it is
        // used. All our commands may be repeated.
        for _ in 0..2 {
            let Connection { mut commands, identity } = self.connection(deadline).await?;
            *asked = Some(identity.clone());
            match commands.send_packed_command(command).await {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    self.state.send_if_modified(|state| state.lose(&identity));
                    lost = reason(&error);
                }
            }
            *asked = None;
        }
        Err(RedisError::Unconnected(lost))
    }

    /// The connection that is up, if need be after waiting for it.
    async fn connection(&self, deadline: StoreDeadline) -> Result<Connection, RedisError> {
        if let State::Up(connection) = &*self.state.borrow() {
            return Ok(connection.clone());
        }
        self.keep()?;
        let mut states = self.state.subscribe();
        loop {
            let since = match &*states.borrow_and_update() {
                State::Connecting { since } => *since,
                State::Up(connection) => return Ok(connection.clone()),
                State::Silent(_) => return Err(RedisError::Silent),
                State::Down(reason) => return Err(RedisError::Unconnected(reason.clone())),
            };
            let left = duration(deadline).saturating_sub(since.elapsed());
            if !matches!(timeout(left, states.changed()).await, Ok(Ok(()))) {
                return Err(RedisError::TimedOut(deadline));
            }
        }
    }

    /// Starts the keeper, unless it is there: it ends with the runtime that it was started in.
    fn keep(&self) -> Result<(), RedisError> {
        let runtime = Handle::try_current().map_err(|_| RedisError::NoRuntime)?;
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        if keeper.as_ref().is_none_or(AbortHandle::is_finished) {
            self.state.send_replace(State::Connecting { since: Instant::now() });
            let task = Keeper { client: self.client.clone(), state: self.state.clone() }.run();
            *keeper = Some(runtime.spawn(task).abort_handle());
        }
        Ok(())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let keeper = self.keeper.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(keeper) = keeper {
            keeper.abort();
        }
    }
}

/// How long making a connection may take, and how long one that is up or silent has for a sign
/// of life.
const ATTEMPT: Duration = Duration::from_secs(1);

/// How often a connection that is up is asked for a sign of life.
const ROUND: Duration = Duration::from_secs(1);

/// Between two attempts, doubling.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

const TIMED_OUT: &str = "it did not answer within a second";

struct Keeper {
    client: Client,
    state: Arc<watch::Sender<State>>,
}

impl Keeper {
    async fn run(self) {
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
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let attempt = async {
            let mut commands = self.client.get_multiplexed_async_connection_with_config(&config).await?;
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

fn duration(deadline: StoreDeadline) -> Duration {
    Duration::from_millis(deadline.get())
}
