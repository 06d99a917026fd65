//! The store of several machines: Redis or Valkey, behind the feature `redis`.

use std::fmt;

use ::redis::{Client, Cmd, IntoConnectionInfo, Value, cmd};

use crate::affinity::Visit;
use crate::bounds::StoreDeadline;
use crate::names::Name;
use crate::policy::Settlement;
use crate::store::{Lookup, Record, StoreWrite};
use crate::token::Pin;

mod error;
mod keeper;
mod layout;
mod link;
mod state;

pub use error::{InvalidRedisUrl, RedisError};
use layout::Layout;
use link::Link;

/// Header sessions in Redis 7 or Valkey, for gateways on more than one machine. Share it behind
/// an `Arc`.
///
/// It is for header sessions whose failovers and drains all gateways shall remember. Cookie
/// sessions need no store, and header sessions of one gateway have
/// [`MemoryStore`](crate::MemoryStore). Its methods are those of
/// [`SessionStore`](crate::SessionStore), but async, and they keep the laws of that trait.
///
/// **On the request's path** there is one `GET`. The write (`SET … NX EX` for a create, `SET …
/// EX` for a replacement, `EXPIRE` for a touch) may be done after the response has gone. **Time**
/// is the server's: it drops a record when its idle time is over, and a write that is late counts
/// from when it is done.
///
/// **A deadline**, 20 ms unless it is set, bounds each call, whatever the server does. A call
/// that fails costs memory of failovers and drains, nothing else: [`RedisStore::record`] says
/// [`Record::Unreachable`], and the session goes by its stable choice. A server that is known to
/// be down or silent is not waited for again: a background task connects anew, after pauses of
/// 50 ms to one second, and asks a silent server for a sign of life; until then calls fail at
/// once. The connection is made at the first call, or by [`RedisStore::connect`],
/// and lives in the runtime of that call: keep that one running, or drop it.
///
/// **One server**, or what looks like one: a proxy, or a name that follows the primary (it is
/// looked up again when a write is refused by a replica). Redirections of Redis Cluster are not
/// followed. The user needs the commands `GET`, `SET`,
/// `EXPIRE` and `PING`. Let the server have a `maxmemory` and evict (`volatile-ttl`): made-up
/// headers make sessions there too.
///
/// # Layout
/// The key is `session-affinity:1:<load balancer>:<session key>`. In the load balancer's name
/// every byte but letters, digits and `-._~` is written `%XX`, so that no name reaches into
/// another's keys and none has the braces that tie keys to one slot of a cluster. The session
/// key is 32 hexadecimal digits. The value has 14 bytes:
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 1 | version = 1 |
/// | 1 | 8 | endpoint id, big-endian |
/// | 9 | 5 | issued, Unix seconds, big-endian |
///
/// A value of another version or length is [`Record::Unreadable`], and replaced.
///
/// # URL
/// `redis://[user:password@]host[:port][/database]`, or
/// `redis+unix:///path[?db=number&user=name&pass=password]`. `rediss://` (TLS) is understood
/// when a TLS feature of the crate `redis`, such as `tokio-rustls-comp`, is switched on by a
/// dependency of your own. No error and no `Debug` shows the URL or the password.
///
/// # Example
/// ```no_run
/// use std::sync::Arc;
/// use session_affinity::{Affinity, HeaderPolicy, Name, Pools, RedisStore, RequestMeta, UnixTime};
///
/// # async fn serve(affinity: Affinity<HeaderPolicy>, pools: Pools<&str>, request: RequestMeta<'_>, now: UnixTime)
/// # -> Result<(), Box<dyn std::error::Error>> {
/// let store = Arc::new(RedisStore::new(&Name::new("shop.example.com")?, "redis://10.0.0.5:6379/0")?);
///
/// let visit = affinity.recall(&request, now);
/// let record = store.record(&visit).await; // at most 20 ms
/// let attempt = affinity.route(visit, record, &pools, || 0x5eed)?; // your random bits
/// // … the endpoint answers …
/// let settlement = affinity.settle(attempt, &pools);
/// tokio::spawn(async move {
///     if let Err(error) = store.settle(&settlement).await {
///         eprintln!("session store: {error}");
///     }
/// });
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// Its methods panic in a Tokio runtime that was built without its timer. Without its I/O, or
/// without a runtime, they fail.
pub struct RedisStore {
    link: Link,
    layout: Layout,
    deadline: StoreDeadline,
}

impl RedisStore {
    /// A store for the sessions of this load balancer. Nothing is connected yet.
    ///
    /// # Errors
    /// [`InvalidRedisUrl`] for a URL that is not one of Redis.
    pub fn new(load_balancer: &Name, url: &str) -> Result<Self, InvalidRedisUrl> {
        let info = url.into_connection_info().map_err(|_| InvalidRedisUrl)?;
        // A small command that waits for the acknowledgement of the one before it would
        // often miss the deadline.
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        let redis = info.redis_settings().clone().set_skip_set_lib_name();
        let client = Client::open(info.set_tcp_settings(tcp).set_redis_settings(redis))
            .map_err(|_| InvalidRedisUrl)?;
        Ok(Self {
            link: Link::new(client),
            layout: Layout::new(load_balancer),
            deadline: StoreDeadline::default(),
        })
    }

    /// With another deadline for each call.
    #[must_use]
    pub fn with_deadline(mut self, deadline: StoreDeadline) -> Self {
        self.deadline = deadline;
        self
    }

    /// The deadline of each call.
    pub fn deadline(&self) -> StoreDeadline {
        self.deadline
    }

    /// Connects now rather than at the first call, and says whether the server can be used. It
    /// takes a second at most; whatever it says, the connection is kept or tried for from now on.
    ///
    /// # Errors
    /// [`RedisError`]: there is no server, or it refuses us.
    pub async fn connect(&self) -> Result<(), RedisError> {
        self.link.settled().await?;
        accepted(self.ask(&cmd("PING")).await?)
    }

    /// Reads a record: one `GET`. It never says [`Record::Unreachable`]; errors mean that.
    ///
    /// # Errors
    /// [`RedisError`]: the server did not answer in time, or with an error.
    pub async fn load(&self, lookup: &Lookup) -> Result<Record, RedisError> {
        let value = match self.ask(&self.layout.get(lookup.key)).await? {
            Value::Nil => return Ok(Record::Absent),
            Value::BulkString(value) => value,
            // Not a string: nothing that a store has written.
            Value::ServerError(error) if error.code() == "WRONGTYPE" => {
                return Ok(Record::Unreadable);
            }
            other => return accepted(other).map(|()| Record::Unreadable),
        };
        Ok(match layout::read(&value) {
            None => Record::Unreadable,
            Some((endpoint, issued)) => Record::Found(Pin {
                endpoint,
                issued,
                expires: lookup.now.saturating_add(lookup.ttl),
            }),
        })
    }

    /// Writes what a settlement asks for.
    ///
    /// # Errors
    /// [`RedisError`]. The response has been decided by then: report it and go on.
    pub async fn save(&self, write: &StoreWrite) -> Result<(), RedisError> {
        match self.layout.command(write) {
            None => Ok(()),
            Some(command) => accepted(self.ask(&command).await?),
        }
    }

    /// The record for a visit: [`Record::Absent`] when none is asked for, and
    /// [`Record::Unreachable`] for an error.
    pub async fn record(&self, visit: &Visit) -> Record {
        match visit.lookup() {
            None => Record::Absent,
            Some(lookup) => self.load(&lookup).await.unwrap_or(Record::Unreachable),
        }
    }

    /// Writes what a settlement asks for, if it does.
    ///
    /// # Errors
    /// As [`RedisStore::save`].
    pub async fn settle(&self, settlement: &Settlement) -> Result<(), RedisError> {
        match &settlement.store_write {
            None => Ok(()),
            Some(write) => self.save(write).await,
        }
    }

    async fn ask(&self, command: &Cmd) -> Result<Value, RedisError> {
        self.link.ask(command, self.deadline).await
    }
}

/// The address and the scope, without user and password.
impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("address", &self.link.address())
            .field("keys", &self.layout.prefix())
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// Any answer but an error.
fn accepted(answer: Value) -> Result<(), RedisError> {
    match answer {
        Value::ServerError(error) => Err(RedisError::refused(error.code())),
        _ => Ok(()),
    }
}
