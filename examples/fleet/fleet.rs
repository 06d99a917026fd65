//! Two pools, a fallback pool, and the servers behind them.

use std::ops::Range;

use session_affinity::{Endpoint, EndpointId, LoadShedding, Percent, Pool, Pools, PoolsBuilder};

use crate::Error;

/// Pool and endpoint of each server. A server is its position here: that is the `T` of
/// the pools, what an attempt's endpoint is connected to.
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

/// Those that join during the day.
pub const JOIN: Range<usize> = 4..6;

/// The one that crashes, and from when to when, in seconds of the day.
pub const CRASH: (usize, Range<u64>) = (1, 45_617..48_000);

/// The one that refuses connections for 40 seconds of every minute, but not when the health
/// check looks, and from when to when.
pub const FLAP: (usize, Range<u64>) = (2, 54_000..61_200);

/// When two endpoints join.
pub const SCALE_UP: u64 = 72_000;

/// The id by which the crate knows a server.
pub fn id(server: usize) -> EndpointId {
    let (pool, name) = SERVERS[server];
    EndpointId::new(pool, name)
}

/// Whether a server accepts connections, apart from restarts.
pub fn is_up(server: usize, second: u64) -> bool {
    let crashed = server == CRASH.0 && CRASH.1.contains(&second);
    let flapping =
        server == FLAP.0 && FLAP.1.contains(&second) && (10..50).contains(&(second % 60));
    !crashed && !flapping
}

/// The fleet of the morning.
pub fn morning() -> Result<Pools<usize>, Error> {
    describe(Pools::builder(), |server| {
        (!JOIN.contains(&server)).then(|| Endpoint::new(SERVERS[server].1, server))
    })
}

/// The fleet with everybody in it. Those that stay keep their health and state, which a
/// description says anew, and their marks, which [`Pools::rebuild`] hands on.
pub fn scaled_up(before: &Pools<usize>) -> Result<Pools<usize>, Error> {
    describe(before.rebuild(), |server| {
        let fresh = Endpoint::new(SERVERS[server].1, server);
        Some(match before.endpoint(id(server)) {
            Some(now) => {
                Endpoint { health: now.health(), state: now.state(), weight: now.weight(), ..fresh }
            }
            None => fresh,
        })
    })
}

fn describe(
    builder: PoolsBuilder<usize>,
    endpoint: impl Fn(usize) -> Option<Endpoint<usize>>,
) -> Result<Pools<usize>, Error> {
    let pool = |name: &str| Pool {
        endpoints: (0..SERVERS.len())
            .filter(|server| SERVERS[*server].0 == name)
            .filter_map(&endpoint)
            .collect(),
        ..Pool::new(name)
    };
    // Three in ten new sessions go to the second pool, which takes them only while
    // both of its endpoints are in service. Those that it does not take go to the fallback.
    let shedding = LoadShedding { default_percent: Percent::new(30)?, ..LoadShedding::default() };
    let eu = Pool { shedding, ..pool("eu") };
    let us = Pool { minimum_origins: 2, ..pool("us") };
    Ok(builder.pool(eu).pool(us).fallback_pool(pool("spare")).build()?)
}
