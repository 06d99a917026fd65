//! The one connection to the server, and what a call does while the server is out of reach.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::redis::{Cmd, Value};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use super::address::Address;
use super::error::{RedisError, reason};
use super::state::{Channel, Driver, State};
use super::supervisor::{ATTEMPT, Supervisor};
use crate::limits::StoreDeadline;

/// The errors of a server that has become another one than it was when it was connected, or that
/// cannot serve for a while: a replica, a node of a cluster, one that loads its data.
const CHANGED: [&str; 6] = ["READONLY", "MOVED", "CLUSTERDOWN", "MASTERDOWN", "LOADING", "NOAUTH"];

/// The time to wait for the end of an attempt: longer than the attempt may take, so that its own
/// reason is told.
const ATTEMPTED: Duration = ATTEMPT.saturating_add(Duration::from_millis(100));

/// The connection that all calls share. Commands follow each other on it without waiting for
/// answers. A background task, the supervisor, connects and connects again.
pub(super) struct Connection {
    address: Arc<Address>,
    state: Arc<watch::Sender<State>>,
    supervisor: Mutex<Option<AbortHandle>>,
}

/// A command, and how long and how often it may be tried.
pub(super) struct Call<'c, R> {
    pub(super) command: &'c Cmd,
    pub(super) deadline: StoreDeadline,
    pub(super) patience: Patience,
    /// Tells, after the connection was lost, whether the command may be sent a second time.
    pub(super) may_repeat: R,
}

/// The rule for a call while the server is silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// It fails, because a request waits for it.
    None,
    /// It is sent, after those that are sent already, and waits.
    Waits,
}

impl Connection {
    pub(super) fn new(address: Address) -> Self {
        let (state, _) = watch::channel(State::Connecting { since: Instant::now() });
        Self { address: Arc::new(address), state: Arc::new(state), supervisor: Mutex::default() }
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// Reads the state.
    pub(super) fn state<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.state.borrow())
    }

    /// Sends a command and returns the answer, which may be an error of the server.
    pub(super) async fn ask(&self, call: Call<'_, impl Fn() -> bool>) -> Result<Value, RedisError> {
        // Tokio makes timers only within a runtime.
        Handle::try_current().map_err(|_| RedisError::NoRuntime)?;
        let deadline = call.deadline;
        let mut asked = None;
        let answer = timeout(duration(deadline), self.answer(call, &mut asked)).await;
        answer.unwrap_or_else(|_| {
            // Where other answers have arrived meanwhile, the server is slow and not silent.
            if let Some(Asked { driver, arrived }) = asked
                && driver.arrived.total() == arrived
            {
                self.state.send_if_modified(|state| state.silence(&driver));
            }
            Err(RedisError::TimedOut(deadline))
        })
    }

    /// Gives up the connection, as its answers are not those to its commands, and connects again.
    pub(super) fn distrust(&self) {
        let driver = self.state(|state| match state {
            State::Up(channel) | State::Silent(channel) => Some(channel.driver.clone()),
            _ => None,
        });
        if let Some(driver) = driver {
            self.state.send_if_modified(|state| state.lose(&driver));
        }
    }

    /// Waits until an attempt to connect has succeeded or failed, for as long as one may take.
    pub(super) async fn attempted(&self) -> Result<(), RedisError> {
        self.supervise()?;
        let mut states = self.state.subscribe();
        // The next call returns the result of the attempt.
        let _ =
            timeout(ATTEMPTED, states.wait_for(|state| !matches!(state, State::Connecting { .. })))
                .await;
        Ok(())
    }

    /// Sends a command, and once more where the connection fails: one that ended while it was idle
    /// may fail only when it is used.
    async fn answer(
        &self,
        call: Call<'_, impl Fn() -> bool>,
        asked: &mut Option<Asked>,
    ) -> Result<Value, RedisError> {
        match self.sent(&call, asked).await? {
            Sent::Answered(answer) => return Ok(answer),
            Sent::InVain(result) if !(call.may_repeat)() => return result,
            Sent::InVain(_) => {}
        }
        match self.sent(&call, asked).await? {
            Sent::Answered(answer) => Ok(answer),
            Sent::InVain(result) => result,
        }
    }

    async fn sent<R>(
        &self,
        call: &Call<'_, R>,
        asked: &mut Option<Asked>,
    ) -> Result<Sent, RedisError> {
        *asked = None;
        let Channel { mut commands, driver } = self.channel(call).await?;
        *asked = Some(Asked { driver: driver.clone(), arrived: driver.arrived.total() });
        let answer = match commands.send_packed_command(call.command).await {
            Ok(answer) => answer,
            Err(error) => {
                self.state.send_if_modified(|state| state.lose(&driver));
                return Ok(Sent::InVain(Err(RedisError::Unconnected(reason(&error)))));
            }
        };
        driver.arrived.answered();
        let code = match &answer {
            Value::ServerError(error) => error.code(),
            _ => return Ok(Sent::Answered(answer)),
        };
        if !CHANGED.contains(&code) {
            return Ok(Sent::Answered(answer));
        }
        // The name may lead to another server by now.
        self.state.send_if_modified(|state| state.lose(&driver));
        Ok(match call.patience {
            Patience::None => Sent::Answered(answer),
            Patience::Waits => Sent::InVain(Ok(answer)),
        })
    }

    /// Returns the channel that is up, waiting for it while an attempt to connect is young.
    async fn channel<R>(&self, call: &Call<'_, R>) -> Result<Channel, RedisError> {
        if let State::Up(channel) = &*self.state.borrow() {
            return Ok(channel.clone());
        }
        self.supervise()?;
        let mut states = self.state.subscribe();
        let begun = Instant::now();
        loop {
            let since = match (&*states.borrow_and_update(), call.patience) {
                (State::Up(channel), _) | (State::Silent(channel), Patience::Waits) => {
                    return Ok(channel.clone());
                }
                (State::Silent(_), Patience::None) => return Err(RedisError::Silent),
                (State::Down(error), _) => return Err(error.clone()),
                (State::Connecting { since }, Patience::None) => *since,
                (State::Connecting { .. }, Patience::Waits) => begun,
            };
            let left = duration(call.deadline).saturating_sub(since.elapsed());
            if !matches!(timeout(left, states.changed()).await, Ok(Ok(()))) {
                return Err(RedisError::TimedOut(call.deadline));
            }
        }
    }

    /// Starts the supervisor unless it runs. It ends with the runtime that it was started in.
    fn supervise(&self) -> Result<(), RedisError> {
        let runtime = Handle::try_current().map_err(|_| RedisError::NoRuntime)?;
        let mut supervisor = self.supervisor.lock().unwrap_or_else(PoisonError::into_inner);
        if supervisor.as_ref().is_none_or(AbortHandle::is_finished) {
            self.state.send_replace(State::Connecting { since: Instant::now() });
            let task = Supervisor::new(self.address.clone(), self.state.clone()).run();
            *supervisor = Some(runtime.spawn(task).abort_handle());
        }
        Ok(())
    }
}

/// A channel that a command was sent to, and what had arrived on it by then.
struct Asked {
    driver: Arc<Driver>,
    arrived: u64,
}

/// The result of sending a command once.
enum Sent {
    Answered(Value),
    /// The connection has failed, or its server refuses what a primary takes. Another connection may
    /// succeed.
    InVain(Result<Value, RedisError>),
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
