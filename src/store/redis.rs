//! The store of several machines: Redis or Valkey, behind the feature `redis`.

use std::fmt;
use std::time::Instant;

use ::redis::{Cmd, Value, cmd};

use crate::limits::{OutageSessions, StoreDeadline};
use crate::names::LoadBalancer;
use crate::store::{Lookup, Record, StoreConnection, StoreHealth, StoreWrite};

mod address;
mod answers;
mod census;
mod connection;
mod counts;
mod error;
#[cfg(any(test, fuzzing))]
mod fuzzed;
mod layout;
mod parameters;
mod remembered;
mod server;
mod state;
mod stream;
mod supervisor;
#[cfg(feature = "redis-tls")]
mod tls;
mod touches;
mod unfinished;
mod writes;

use address::Address;
use connection::{Call, Connection, Patience};
use counts::Counts;
pub use error::{InvalidRedisUrl, RedisError};
use layout::Layout;
use remembered::{Remembered, Since};
use state::State;
#[cfg(feature = "redis-tls")]
pub use tls::{InvalidRedisTls, RedisTls};
use touches::Touches;
use unfinished::Unfinished;
pub(super) use writes::Writes;

/// Header sessions in Redis 7 or Valkey, for gateways on several machines. Share the store behind
/// an `Arc`.
///
/// Use it where all gateways must know the moves that failovers and drains make. Cookie sessions
/// need no store, and for the header sessions of one gateway there is
/// [`MemoryStore`](crate::store::MemoryStore). The methods are those of
/// [`SessionStore`](crate::store::SessionStore), but async, and keep the laws of that trait.
///
/// **Commands.** A request waits for one `GET`. The write (`SET … NX EX` for a create, `SET … EX`
/// for a replace, `EXPIRE` for a touch, `DEL` for a remove) may be done after the response has been
/// sent. So each request of a session that is kept costs two commands, `GET` and `EXPIRE`. With
/// [a touch interval](RedisStore::with_touch_interval) it costs the `GET`, and on each gateway one
/// `EXPIRE` in each interval.
///
/// **Time** is the server's: the server drops a record when its idle time is over, and counts the
/// idle time of a late write from its arrival.
///
/// **Deadline.** A call that a request waits for ends within 20 ms, or the
/// [deadline set](RedisStore::with_deadline), whatever the server does. After a failed call
/// [`RedisStore::record`] returns the record that it
/// [remembers](RedisStore::with_outage_sessions), and without one [`Record::Unreachable`]: the session
/// goes to its stable choice, and only moves made by failovers and drains are forgotten. Reads do not
/// wait for a server that is known to be down or silent, but fail at once. Meanwhile a background task
/// connects again, after pauses of 50 ms to one second, and sends `PING` to a silent server. A server
/// that is slow and goes on answering is not silent.
///
/// **Writes** have a [deadline of their own](RedisStore::with_write_deadline), a second, as no response
/// has to wait for them, and a second try where the connection is lost.
///
/// **Runtime.** The connection is made by the first call, or by [`RedisStore::connect`], and lives
/// in the Tokio runtime of that call. Keep that runtime running, or drop it: the next call then
/// connects in its own.
///
/// **Server.** One server, or what looks like one: a proxy, a cluster of one shard, or a name that
/// follows the primary (the name is looked up again when a replica refuses a write). Redirections of
/// Redis Cluster are not followed, and Sentinels are not asked for the primary: a node of a cluster of
/// several shards, a Sentinel and a replica are refused each time they are connected
/// ([`RedisError::is_wrong_server`]), and all sessions go to their stable choice. A server that answers
/// `PING` with an error, such as `NOAUTH` or `LOADING`, is down. The manual has the commands that the
/// user needs and the settings of the server in
/// [one table](crate::manual::gateways#what-redis-needs): set `maxmemory`, and the eviction policy
/// `volatile-lfu`, because made-up headers create sessions there too.
///
/// **Health.** [`RedisStore::health`] tells the state of the connection, and counts calls and errors.
///
/// **Drains.** The nodes can share what they have seen of an endpoint's sessions here, for cookie
/// sessions as well: [`RedisStore::publish_census`] and [`RedisStore::shared_census`].
///
/// # Layout
/// The key is `session-affinity:1:<load balancer>:<session key>`. In the name of the load balancer
/// every byte other than letters, digits and `-._~` is written `%XX`. So no name can reach the keys
/// of another, and none contains the braces that bind keys to one slot of a cluster. The session
/// key is 32 hexadecimal digits. The value has 20 bytes:
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 1 | version = 2 |
/// | 1 | 8 | endpoint id, big-endian |
/// | 9 | 5 | issued, Unix seconds, big-endian |
/// | 14 | 6 | the last six bytes of the session key |
///
/// A value of another version or length is [`Record::Unreadable`], and is replaced. So is one that
/// names another key; the connection is then made again, as the answers may have come out of step with
/// the commands. A connection is closed at an answer with a text of more than 64 KiB, a list of more
/// than 1,024 elements, or more than a MiB in all.
///
/// The key of a census is `session-affinity:1:<load balancer>:census:<endpoint id>:<node>`, the
/// node's name written like the load balancer's. Its value has 26 bytes: version = 1, and five times
/// of 5 bytes, Unix seconds, big-endian, 0 for none: the time at which it was published, and the
/// fields of [`Census`](crate::drain::Census) in their order.
///
/// # URL
/// `redis://[user:password@]host[:port][/database]`, or
/// `redis+unix:///path[?db=number&user=name&pass=password]`. `rediss://` (TLS) requires the
/// feature `redis-tls`, and no preparation of the process. `RedisStore::with_tls` takes other
/// authorities and a certificate of the gateway's own.
///
/// No error and no `Debug` output contains the URL or the password.
///
/// # Example
/// ```no_run
/// use std::sync::Arc;
/// use http::Response;
/// use session_affinity::store::RedisStore;
/// use session_affinity::{Affinity, HeaderPolicy, Pools, RequestMeta, UnixTime, entropy};
///
/// async fn serve(
///     affinity: &Affinity<HeaderPolicy>,
///     pools: &Pools<&str>,
///     store: &Arc<RedisStore>, // RedisStore::new(affinity, "redis://10.0.0.5:6379/0")?
///     request: RequestMeta<'_>,
///     now: UnixTime,
/// ) -> Result<Response<()>, Box<dyn std::error::Error>> {
///     let visit = affinity.recall(&request, now);
///     let record = store.record(visit.lookup()).await; // at most 20 ms
///     let (attempt, address) = affinity.route(visit, record, pools, entropy)?;
///     let mut response = Response::new(()); // of the server at that address
///     let write = affinity.settle(attempt, pools).apply(&mut response);
///     let store = store.clone();
///     tokio::spawn(async move {
///         if let Err(error) = store.commit(write).await {
///             eprintln!("session store: {error}");
///         }
///     });
///     Ok(response)
/// }
/// ```
///
/// # Panics
/// The async methods panic in a Tokio runtime without a timer (`enable_time`). Without I/O
/// (`enable_io`), or outside a runtime, they return an error.
pub struct RedisStore {
    connection: Connection,
    layout: Layout,
    deadline: StoreDeadline,
    write_deadline: StoreDeadline,
    touches: Option<Touches>,
    remembered: Option<Remembered>,
    unfinished: Unfinished,
    counts: Counts,
}

impl RedisStore {
    /// Creates a store for the sessions of one load balancer, without connecting yet. Pass the
    /// affinity, or the name of the load balancer.
    ///
    /// # Errors
    /// [`InvalidRedisUrl`] if `url` is not a Redis URL, or asks for TLS without the feature
    /// `redis-tls`.
    pub fn new(load_balancer: impl Into<LoadBalancer>, url: &str) -> Result<Self, InvalidRedisUrl> {
        Ok(Self {
            connection: Connection::new(Address::parse(url)?),
            layout: Layout::new(&load_balancer.into()),
            deadline: StoreDeadline::default(),
            write_deadline: StoreDeadline::MAX,
            touches: None,
            remembered: Remembered::new(OutageSessions::default()),
            unfinished: Unfinished::default(),
            counts: Counts::default(),
        })
    }

    /// Connects now rather than at the first call, and checks that the server can be used. Takes
    /// little more than a second at most. After an error the background task goes on trying to connect.
    ///
    /// # Errors
    /// [`RedisError`] if the server is out of reach or refuses the connection.
    pub async fn connect(&self) -> Result<(), RedisError> {
        self.connection.attempted().await?;
        self.ask(&cmd("PING")).await.map(|_| ())
    }

    /// Reads the record of a session by one `GET`. Errors take the place of
    /// [`Record::Unreachable`], which is never returned.
    ///
    /// # Errors
    /// [`RedisError`] if the server did not answer in time, or answered with an error.
    pub async fn load(&self, lookup: &Lookup) -> Result<Record, RedisError> {
        let since = self.remembered.as_ref().map(|remembered| remembered.load_begins(lookup.key));
        let record = match self.ask(&self.layout.get(lookup.key)).await {
            // A list or a set: not written by a store.
            Err(RedisError::Refused(code)) if code == "WRONGTYPE" => Record::Unreadable,
            Err(error) => return Err(error),
            Ok(answer) => match layout::answered(lookup.key, &answer) {
                layout::Value::Absent => Record::Absent,
                layout::Value::Record { endpoint, issued } => Record::Found { endpoint, issued },
                layout::Value::Unreadable => Record::Unreadable,
                layout::Value::Foreign => {
                    // The answers may have come out of step with the commands.
                    self.connection.distrust();
                    Record::Unreadable
                }
            },
        };
        if let (Some(remembered), Some(since)) = (&self.remembered, since) {
            remembered.loaded(lookup, record, since);
        }
        Ok(record)
    }

    /// Carries out a write by one command, or by none where the
    /// [touch interval](RedisStore::with_touch_interval) allows it.
    ///
    /// # Errors
    /// [`RedisError`]. The response is not affected: report the error and continue.
    pub async fn save(&self, write: &StoreWrite) -> Result<(), RedisError> {
        if self.is_done(write) {
            return Ok(());
        }
        let since = self.begin(write);
        self.send(write, since).await
    }

    /// Returns whether a write is a touch that need not be sent.
    fn is_done(&self, write: &StoreWrite) -> bool {
        self.touches.as_ref().is_some_and(|touches| touches.cover(write))
    }

    /// Begins a write: from now on, what it replaces is not answered from memory.
    fn begin(&self, write: &StoreWrite) -> Option<Since> {
        self.remembered.as_ref().map(|remembered| remembered.write_begins(write))
    }

    /// Sends a write that has begun.
    async fn send(&self, write: &StoreWrite, since: Option<Since>) -> Result<(), RedisError> {
        let result = self.sent(write, since).await;
        if result.is_err() {
            self.counts.writes_failed.add();
        }
        result
    }

    async fn sent(&self, write: &StoreWrite, since: Option<Since>) -> Result<(), RedisError> {
        let unfinished = self.unfinished.begin(write).inspect_err(|it| self.counts.failed(it))?;
        let may_repeat = || {
            let is_last = unfinished.is_last();
            if is_last {
                self.counts.writes_retried.add();
            }
            is_last
        };
        let answer = self
            .counted(Call {
                command: &self.layout.command(write),
                deadline: self.write_deadline,
                patience: Patience::Waits,
                may_repeat,
            })
            .await?;
        if has_changed(&answer) {
            if let Some(touches) = &self.touches {
                touches.note(write);
            }
            if let (Some(remembered), Some(since)) = (&self.remembered, since) {
                remembered.created(write, since);
            }
        }
        Ok(())
    }

    /// Returns the record for [`Affinity::route`](crate::Affinity::route):
    /// [`Record::Absent`] without a lookup. After an error the record is the one
    /// [remembered](RedisStore::with_outage_sessions), or [`Record::Unreachable`].
    pub async fn record(&self, lookup: Option<Lookup>) -> Record {
        self.record_or(lookup, |_| {}).await
    }

    /// Returns the record for a request, and reports the error.
    pub(super) async fn record_or(
        &self,
        lookup: Option<Lookup>,
        report: impl FnOnce(&RedisError),
    ) -> Record {
        let Some(lookup) = lookup else { return Record::Absent };
        match self.load(&lookup).await {
            Ok(record) => record,
            Err(error) => {
                report(&error);
                // What is merely late may have been replaced by another gateway meanwhile.
                let is_up = self.health().connection == StoreConnection::Up;
                if is_up { Record::Unreachable } else { self.recall(&lookup) }
            }
        }
    }

    /// Returns what is remembered of a session while the server is out of reach.
    fn recall(&self, lookup: &Lookup) -> Record {
        let record = self.remembered.as_ref().and_then(|remembered| remembered.record(lookup));
        if record.is_some() {
            self.counts.remembered.add();
        }
        record.unwrap_or(Record::Unreachable)
    }

    /// Carries out the write that [`Settlement::apply`](crate::Settlement::apply) returned, if
    /// there is one.
    ///
    /// # Errors
    /// As [`RedisStore::save`].
    pub async fn commit(&self, write: Option<StoreWrite>) -> Result<(), RedisError> {
        match write {
            None => Ok(()),
            Some(write) => self.save(&write).await,
        }
    }

    /// Returns the state of the connection and the calls so far. Asks the server for nothing.
    pub fn health(&self) -> StoreHealth {
        let connection = self.connection.state(|state| match state {
            State::Connecting { .. } => StoreConnection::Connecting,
            State::Up(_) => StoreConnection::Up,
            State::Silent(_) => StoreConnection::Silent,
            State::Down(_) => StoreConnection::Down,
        });
        self.counts.health(connection)
    }

    /// Asks within the deadline of a request.
    async fn ask(&self, command: &Cmd) -> Result<Value, RedisError> {
        let (deadline, may_repeat) = (self.deadline, || true);
        self.counted(Call { command, deadline, patience: Patience::None, may_repeat }).await
    }

    /// Returns any answer other than an error.
    async fn counted(&self, call: Call<'_, impl Fn() -> bool>) -> Result<Value, RedisError> {
        let begun = Instant::now();
        let answer = match self.connection.ask(call).await {
            Ok(Value::ServerError(error)) => Err(RedisError::refused(error.code())),
            answer => answer,
        };
        match &answer {
            Ok(_) => self.counts.answered(begun.elapsed()),
            Err(error) => self.counts.failed(error),
        }
        answer
    }
}

/// Shows the address, the prefix of the keys and the parameters, not the user and the password.
impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("address", &self.connection.address().place.to_string())
            .field("keys", &self.layout.prefix())
            .field("deadline", &self.deadline)
            .field("write_deadline", &self.write_deadline)
            .field("touch_interval", &self.touch_interval())
            .field("outage_sessions", &self.outage_sessions())
            .finish_non_exhaustive()
    }
}

/// Checks the laws of reading any bytes of a server. Only for the fuzzer.
///
/// # Panics
/// When one of the laws is broken.
#[cfg(fuzzing)]
pub fn check_redis_answers(input: &[u8]) {
    fuzzed::check(input);
}

/// Returns whether a write has changed its record: a create that came second, and a touch of a
/// record that is gone, have not.
fn has_changed(answer: &Value) -> bool {
    matches!(answer, Value::Okay | Value::Int(1))
}
