//! The store of several machines: Redis or Valkey, behind the feature `redis`.

use std::fmt;

use ::redis::{Client, Cmd, IntoConnectionInfo, Value, cmd};

use crate::limits::StoreDeadline;
use crate::names::LoadBalancer;
use crate::store::{Lookup, Record, StoreWrite};

mod census;
mod connection;
mod error;
mod layout;
mod parameters;
mod state;
mod supervisor;
mod touches;
mod writes;

use connection::Connection;
pub use error::{InvalidRedisUrl, RedisError};
use layout::Layout;
use touches::Touches;
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
/// **Deadline.** Each call ends within 20 ms, or the deadline set, whatever the server does. After
/// a failed call [`RedisStore::record`] returns [`Record::Unreachable`], and the session goes to
/// its stable choice: only moves made by failovers and drains are forgotten. Calls do not wait for
/// a server that is known to be down or silent, but fail at once. Meanwhile a background task
/// connects again, after pauses of 50 ms to one second, and sends `PING` to a silent server.
///
/// **Runtime.** The connection is made by the first call, or by [`RedisStore::connect`], and lives
/// in the Tokio runtime of that call. Keep that runtime running, or drop it: the next call then
/// connects in its own.
///
/// **Server.** One server, or what looks like one: a proxy, or a name that follows the primary (the
/// name is looked up again when a replica refuses a write). Redirections of Redis Cluster are not
/// followed. The user needs the commands `GET`, `SET`, `EXPIRE`, `DEL` and `PING`, for shared
/// censuses too, and the keys below. Set `maxmemory` and the eviction policy `volatile-ttl` on the server: made-up
/// headers create sessions there too.
///
/// **Drains.** The nodes can share what they have seen of an endpoint's sessions here, for cookie
/// sessions as well: [`RedisStore::publish_census`] and [`RedisStore::shared_census`].
///
/// # Layout
/// The key is `session-affinity:1:<load balancer>:<session key>`. In the name of the load balancer
/// every byte other than letters, digits and `-._~` is written `%XX`. So no name can reach the keys
/// of another, and none contains the braces that bind keys to one slot of a cluster. The session
/// key is 32 hexadecimal digits. The value has 14 bytes:
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 1 | version = 1 |
/// | 1 | 8 | endpoint id, big-endian |
/// | 9 | 5 | issued, Unix seconds, big-endian |
///
/// A value of another version or length is [`Record::Unreadable`], and is replaced.
///
/// The key of a census is `session-affinity:1:<load balancer>:census:<endpoint id>:<node>`, the
/// node's name written like the load balancer's. Its value has 26 bytes: version = 1, and five times
/// of 5 bytes, Unix seconds, big-endian, 0 for none: the time at which it was published, and the
/// fields of [`Census`](crate::drain::Census) in their order.
///
/// # URL
/// `redis://[user:password@]host[:port][/database]`, or
/// `redis+unix:///path[?db=number&user=name&pass=password]`. `rediss://` (TLS) requires a TLS
/// feature of the crate `redis`, such as `tokio-rustls-comp`: enable it by a direct dependency on
/// that crate.
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
    touches: Option<Touches>,
}

impl RedisStore {
    /// Creates a store for the sessions of one load balancer, without connecting yet. Pass the
    /// affinity, or the name of the load balancer.
    ///
    /// # Errors
    /// [`InvalidRedisUrl`] if `url` is not a Redis URL.
    pub fn new(load_balancer: impl Into<LoadBalancer>, url: &str) -> Result<Self, InvalidRedisUrl> {
        let info = url.into_connection_info().map_err(|_| InvalidRedisUrl)?;
        // Without it, a small command waits for the acknowledgement of the one before, and often
        // misses the deadline.
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        let redis = info.redis_settings().clone().set_skip_set_lib_name();
        let client = Client::open(info.set_tcp_settings(tcp).set_redis_settings(redis))
            .map_err(|_| InvalidRedisUrl)?;
        Ok(Self {
            connection: Connection::new(client),
            layout: Layout::new(&load_balancer.into()),
            deadline: StoreDeadline::default(),
            touches: None,
        })
    }

    /// Connects now rather than at the first call, and checks that the server can be used. Takes a
    /// second at most. After an error the background task goes on trying to connect.
    ///
    /// # Errors
    /// [`RedisError`] if the server is out of reach or refuses the connection.
    pub async fn connect(&self) -> Result<(), RedisError> {
        self.connection.attempted().await?;
        accepted(self.ask(&cmd("PING")).await?)
    }

    /// Reads the record of a session by one `GET`. Errors take the place of
    /// [`Record::Unreachable`], which is never returned.
    ///
    /// # Errors
    /// [`RedisError`] if the server did not answer in time, or answered with an error.
    pub async fn load(&self, lookup: &Lookup) -> Result<Record, RedisError> {
        let value = match self.ask(&self.layout.get(lookup.key)).await? {
            Value::Nil => return Ok(Record::Absent),
            Value::BulkString(value) => value,
            // A list or a set: not written by a store.
            Value::ServerError(error) if error.code() == "WRONGTYPE" => {
                return Ok(Record::Unreadable);
            }
            other => return accepted(other).map(|()| Record::Unreadable),
        };
        Ok(match layout::read(&value) {
            None => Record::Unreadable,
            Some((endpoint, issued)) => Record::Found { endpoint, issued },
        })
    }

    /// Carries out a write by one command, or by none where the
    /// [touch interval](RedisStore::with_touch_interval) allows it.
    ///
    /// # Errors
    /// [`RedisError`]. The response is not affected: report the error and continue.
    pub async fn save(&self, write: &StoreWrite) -> Result<(), RedisError> {
        if self.is_done(write) { Ok(()) } else { self.send(write).await }
    }

    /// Returns whether a write is a touch that need not be sent.
    fn is_done(&self, write: &StoreWrite) -> bool {
        self.touches.as_ref().is_some_and(|touches| touches.cover(write))
    }

    async fn send(&self, write: &StoreWrite) -> Result<(), RedisError> {
        let answer = self.ask(&self.layout.command(write)).await?;
        if let Some(touches) = &self.touches
            && has_changed(&answer)
        {
            touches.note(write);
        }
        accepted(answer)
    }

    /// Returns the record for [`Affinity::route`](crate::Affinity::route):
    /// [`Record::Absent`] without a lookup, [`Record::Unreachable`] for an error.
    pub async fn record(&self, lookup: Option<Lookup>) -> Record {
        match lookup {
            None => Record::Absent,
            Some(lookup) => self.load(&lookup).await.unwrap_or(Record::Unreachable),
        }
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

    async fn ask(&self, command: &Cmd) -> Result<Value, RedisError> {
        self.connection.ask(command, self.deadline).await
    }
}

/// Shows the address, the prefix of the keys, the deadline and the touch interval, not the user and the password.
impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("address", &self.connection.address())
            .field("keys", &self.layout.prefix())
            .field("deadline", &self.deadline)
            .field("touch_interval", &self.touch_interval())
            .finish_non_exhaustive()
    }
}

/// Returns whether a write has changed its record: a create that came second, and a touch of a
/// record that is gone, have not.
fn has_changed(answer: &Value) -> bool {
    matches!(answer, Value::Okay | Value::Int(1))
}

/// Accepts any answer other than an error.
fn accepted(answer: Value) -> Result<(), RedisError> {
    match answer {
        Value::ServerError(error) => Err(RedisError::refused(error.code())),
        _ => Ok(()),
    }
}
