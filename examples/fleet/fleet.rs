//! Two pools, a fallback pool, and the servers behind them.

use std::ops::Range;

use session_affinity::limits::Percent;
use session_affinity::pools::{LoadShedding, PoolsBuilder};
use session_affinity::steering::Room;
use session_affinity::{Endpoint, EndpointId, Pool, Pools};

use crate::Error;

/// The pool and the endpoint of each server. A server is known by its position in this list, which
/// is the `T` of the pools.
pub const SERVERS: [(&str, &str); 9] = [
    ("eu", "eu-1"),
    ("eu", "eu-2"),
    ("eu", "eu-3"),
    ("eu", "eu-4"),
    ("eu", "eu-5"),
    ("eu", "eu-6"),
    ("us", "us-1"),
    ("us", "us-2"),
    ("spare", "spare"),
];

/// The servers that join during the day.
pub const JOIN: Range<usize> = 4..6;

/// The server that crashes, and the time for which it is down, in seconds of the day.
pub const CRASH: (usize, Range<u64>) = (1, 45_617..48_000);

/// The server that refuses connections for 40 seconds of every minute, but not at the time of the
/// health check, and the time for which it does.
pub const FLAP: (usize, Range<u64>) = (2, 54_000..61_200);

/// The server that is slow without being down, the time for which it is, and the seconds that an answer
/// takes for each request in flight there.
pub const SLOW: (usize, Range<u64>, u64) = (3, 63_000..68_400, 2);

/// The time at which two endpoints join.
pub const SCALE_UP: u64 = 72_000;

/// Returns the endpoint id of a server.
pub fn id(server: usize) -> EndpointId {
    let (pool, name) = SERVERS[server];
    EndpointId::new(pool, name)
}

/// Returns whether a server accepts connections, apart from restarts.
pub fn is_up(server: usize, second: u64) -> bool {
    let crashed = server == CRASH.0 && CRASH.1.contains(&second);
    let flapping =
        server == FLAP.0 && FLAP.1.contains(&second) && (10..50).contains(&(second % 60));
    !crashed && !flapping
}

/// Returns the seconds that an answer takes, with so many requests in flight.
pub fn seconds(server: usize, second: u64, in_flight: u32) -> u64 {
    let is_slow = server == SLOW.0 && SLOW.1.contains(&second);
    if is_slow { SLOW.2 * u64::from(in_flight) } else { 0 }
}

/// Builds the fleet of the morning, with this rule of room in the first pool.
pub fn morning(room: Option<Room<usize>>) -> Result<Pools<usize>, Error> {
    describe(Pools::builder(), room, |server| {
        (!JOIN.contains(&server)).then(|| Endpoint::new(SERVERS[server].1, server))
    })
}

/// Builds the whole fleet, with this rule of room again. Endpoints that stay keep their health, state, weight and marks, which
/// [`Pools::rebuild`] passes on.
pub fn scaled_up(before: &Pools<usize>, room: Option<Room<usize>>) -> Result<Pools<usize>, Error> {
    describe(before.rebuild(), room, |server| Some(Endpoint::new(SERVERS[server].1, server)))
}

fn describe(
    builder: PoolsBuilder<usize>,
    room: Option<Room<usize>>,
    endpoint: impl Fn(usize) -> Option<Endpoint<usize>>,
) -> Result<Pools<usize>, Error> {
    let pool = |name: &str| {
        let servers = (0..SERVERS.len()).filter(|server| SERVERS[*server].0 == name);
        servers.filter_map(&endpoint).fold(Pool::new(name), Pool::with_endpoint)
    };
    // Three in ten new sessions go to the second pool, which takes them only while both of its
    // endpoints are in service. Otherwise they go to the fallback pool.
    let shedding = LoadShedding { default_percent: Percent::new(30)?, ..LoadShedding::default() };
    let mut eu = pool("eu").with_shedding(shedding);
    eu.room = room;
    let us = pool("us").with_minimum_origins(2);
    Ok(builder.pool(eu).pool(us).fallback_apart(pool("spare")).build()?)
}
