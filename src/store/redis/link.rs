//! The one connection to the server, and what calls do while there is none.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::redis::{Client, Cmd, Value};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use super::error::{RedisError, reason};
use super::keeper::{ATTEMPT, Keeper};
use super::state::{Connection, State};
use crate::bounds::StoreDeadline;

/// All calls share one connection, on which commands follow each other without waiting. A task
/// of its own, the keeper, makes it, looks after it and makes it anew.
pub(super) struct Link {
    client: Client,
    state: Arc<watch::Sender<State>>,
    keeper: Mutex<Option<AbortHandle>>,
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
    pub(super) async fn ask(
        &self,
        command: &Cmd,
        deadline: StoreDeadline,
    ) -> Result<Value, RedisError> {
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
        let _ =
            timeout(ATTEMPT, states.wait_for(|state| !matches!(state, State::Connecting { .. })))
                .await;
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
                Ok(answer) => {
                    // A primary that has become a replica: its name may be another's by now.
                    if matches!(&answer, Value::ServerError(error) if error.code() == "READONLY") {
                        self.state.send_if_modified(|state| state.lose(&identity));
                    }
                    return Ok(answer);
                }
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
            let task = Keeper::new(self.client.clone(), self.state.clone()).run();
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

fn duration(deadline: StoreDeadline) -> Duration {
    Duration::from_millis(deadline.get())
}
