//! A custom session store: the two methods of `SessionStore`, here over a table in this process
//! that two nodes share. The laws of the trait keep the nodes in agreement, whichever is late.
//!
//! `cargo run --example custom_store` prints:
//!
//! ```text
//! node a, a first request              eu-1  created:no_record
//! node b, to which eu-1 is unhealthy   eu-2  moved:unhealthy
//! node a agrees                        eu-2  kept
//! node a, the table does not answer    eu-1  created:store_unreachable
//! node a, the record has stayed        eu-2  kept
//! ```

use std::collections::HashMap;
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use http::{HeaderMap, HeaderValue};
use session_affinity::store::{Lookup, Record, SessionKey, SessionStore, StoreWrite, WriteKind};
use session_affinity::{
    Affinity, Endpoint, EndpointId, HeaderPolicy, Health, LoadBalancer, Pool, Pools, RequestMeta,
    Scheme, Secret, UnixTime,
};

/// For examples alone. Draw your own by `openssl rand -base64 32`, and keep it in a vault.
const EXAMPLE_SECRET: &str = "b25seSBmb3IgZXhhbXBsZXM6IGRyYXcgeW91ciBvd24=";

/// A table that keeps every row. In a database rows would expire, and `MemoryStore` is bounded.
#[derive(Default)]
struct Table {
    rows: Mutex<HashMap<SessionKey, Row>>,
    is_slow: AtomicBool,
}

struct Row {
    endpoint: EndpointId,
    issued: UnixTime,
    end: UnixTime,
}

/// The error of a table that did not answer in time.
#[derive(Debug)]
struct TooLate;

impl SessionStore for Table {
    type Error = TooLate;

    fn load(&self, lookup: &Lookup) -> Result<Record, TooLate> {
        if self.is_slow.load(Relaxed) {
            return Err(TooLate);
        }
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match rows.get(&lookup.key).filter(|row| row.end > lookup.now) {
            None => Record::Absent,
            Some(row) => Record::Found { endpoint: row.endpoint, issued: row.issued },
        })
    }

    fn save(&self, write: &StoreWrite) -> Result<(), TooLate> {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let StoreWrite { key, ttl, now, kind } = *write;
        let end = now.saturating_add(ttl.get());
        match (rows.get_mut(&key).filter(|row| row.end > now), kind) {
            // Only the time changes: the endpoint may be a newer choice of another node.
            (Some(row), WriteKind::Touch) => row.end = end,
            // A live row stays: of two first requests that race, one wins.
            (None, WriteKind::Touch) | (Some(_), WriteKind::Create(_)) => {}
            // The session has ended: the next request begins another one.
            (_, WriteKind::Remove) => drop(rows.remove(&key)),
            (_, WriteKind::Create(endpoint) | WriteKind::Replace(endpoint)) => {
                rows.insert(key, Row { endpoint, issued: now, end });
            }
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (shop, secret) =
        (LoadBalancer::new("shop.example.com")?, Secret::from_base64(EXAMPLE_SECRET)?);
    let policy = HeaderPolicy::new(&shop, &secret, &["x-user"])?;
    let affinity = Affinity::new(policy);
    let eu = Pool::new("eu")
        .with_endpoint(Endpoint::new("eu-1", "eu-1"))
        .with_endpoint(Endpoint::new("eu-2", "eu-2"));
    let node_a = Pools::builder().pool(eu).build()?;
    // The health check of node b has failed.
    let eu_1 = EndpointId::new("eu", "eu-1");
    let node_b = node_a.edited(|edit| edit.health(eu_1, Health::Unhealthy))?;
    let table = Table::default();
    let headers = HeaderMap::from_iter([("x-user".parse()?, HeaderValue::from_static("ann"))]);
    let request = RequestMeta::new(&headers, Scheme::Https);
    let steps = [
        ("node a, a first request", &node_a, false),
        ("node b, to which eu-1 is unhealthy", &node_b, false),
        ("node a agrees", &node_a, false),
        ("node a, the table does not answer", &node_a, true),
        ("node a, the record has stayed", &node_a, false),
    ];
    for (minute, (what, pools, is_slow)) in (0..).zip(steps) {
        table.is_slow.store(is_slow, Relaxed);
        let visit = affinity.recall(&request, UnixTime::from_secs(1_800_014_400 + minute * 60));
        let record = table.record(visit.lookup()); // Record::Unreachable for an error
        // A proxy passes `session_affinity::entropy`. With 4, every run prints the same.
        let (attempt, endpoint) = affinity.route(visit, record, pools, || 4)?;
        println!("{what:<37}{endpoint:<6}{}", attempt.outcome());
        let write = affinity.settle(attempt, pools).apply(&mut http::Response::new(()));
        if table.commit(write).is_err() {
            eprintln!("a session was not stored"); // the response is sent nevertheless
        }
    }
    Ok(())
}
