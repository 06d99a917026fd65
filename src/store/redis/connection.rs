//! The one connection to the server, and what a call does while the server is out of reach.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::redis::{Client, Cmd, Value};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use super::error::{RedisError, reason};
use super::state::{Channel, State};
use super::supervisor::{ATTEMPT, Supervisor};
use crate::limits::StoreDeadline;

/// The connection that all calls share. Commands follow each other on it without waiting for
/// answers. A background task, the supervisor, connects and connects again.
pub(super) struct Connection {
    client: Client,
    state: Arc<watch::Sender<State>>,
    supervisor: Mutex<Option<AbortHandle>>,
}

impl Connection {
    pub(super) fn new(client: Client) -> Self {
        let (state, _) = watch::channel(State::Connecting { since: Instant::now() });
        Self { client, state: Arc::new(state), supervisor: Mutex::default() }
    }

    pub(super) fn address(&self) -> String {
        self.client.get_connection_info().addr().to_string()
    }

    /// Sends a command and returns the answer, which may be an error of the server.
    pub(super) async fn ask(
        &self,
        command: &Cmd,
        deadline: StoreDeadline,
    ) -> Result<Value, RedisError> {
        // Tokio makes timers only within a runtime.
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

    /// Waits until an attempt to connect has succeeded or failed, for as long as one may take.
    pub(super) async fn attempted(&self) -> Result<(), RedisError> {
        self.supervise()?;
        let mut states = self.state.subscribe();
        // The next call returns the result of the attempt.
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
        // Two tries: a connection that ended while idle may fail only when it is used. Every
        // command of this store may be repeated.
        for _ in 0..2 {
            let Channel { mut commands, identity } = self.channel(deadline).await?;
            *asked = Some(identity.clone());
            match commands.send_packed_command(command).await {
                Ok(answer) => {
                    // A primary has become a replica: the name may lead to another server by now.
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

    /// Returns the channel that is up, waiting for it while an attempt to connect is young.
    async fn channel(&self, deadline: StoreDeadline) -> Result<Channel, RedisError> {
        if let State::Up(channel) = &*self.state.borrow() {
            return Ok(channel.clone());
        }
        self.supervise()?;
        let mut states = self.state.subscribe();
        loop {
            let since = match &*states.borrow_and_update() {
                State::Connecting { since } => *since,
                State::Up(channel) => return Ok(channel.clone()),
                State::Silent(_) => return Err(RedisError::Silent),
                State::Down(reason) => return Err(RedisError::Unconnected(reason.clone())),
            };
            let left = duration(deadline).saturating_sub(since.elapsed());
            if !matches!(timeout(left, states.changed()).await, Ok(Ok(()))) {
                return Err(RedisError::TimedOut(deadline));
            }
        }
    }

    /// Starts the supervisor unless it runs. It ends with the runtime that it was started in.
    fn supervise(&self) -> Result<(), RedisError> {
        let runtime = Handle::try_current().map_err(|_| RedisError::NoRuntime)?;
        let mut supervisor = self.supervisor.lock().unwrap_or_else(PoisonError::into_inner);
        if supervisor.as_ref().is_none_or(AbortHandle::is_finished) {
            self.state.send_replace(State::Connecting { since: Instant::now() });
            let task = Supervisor::new(self.client.clone(), self.state.clone()).run();
            *supervisor = Some(runtime.spawn(task).abort_handle());
        }
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let supervisor = self.supervisor.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(supervisor) = supervisor {
            supervisor.abort();
        }
    }
}

fn duration(deadline: StoreDeadline) -> Duration {
    Duration::from_millis(deadline.get())
}
