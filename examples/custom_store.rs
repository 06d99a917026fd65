//! A session store of one's own: the two methods of `SessionStore`, here over a table in this process
//! that two nodes share. Its laws keep the nodes in agreement, whichever of them is late.
//!
//! `cargo run --example custom_store` prints:
//!
//! ```text
//! node a, a first request              eu-1  created:no_record
//! node b, to which eu-1 is unhealthy   eu-2  moved:unhealthy
//! node a agrees                        eu-2  kept
//! node a, the table is asked in vain   eu-1  created:store_unreachable
//! node a, the record has stayed        eu-2  kept
//! ```

use std::collections::HashMap;
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use http::{HeaderMap, HeaderValue};
use session_affinity::{
    Affinity, CookieName, Endpoint, EndpointId, HeaderPolicy, Health, Lookup, Name, Pin, Pool,
    Pools, Record, RequestMeta, Require, Scheme, Secret, SessionKey, SessionStore, StoreWrite,
    UnixTime,
};

/// It keeps every row it was ever given: a database has rows expire, and `MemoryStore` is bounded.
#[derive(Default)]
struct Table {
    rows: Mutex<HashMap<SessionKey, Pin>>,
    is_slow: AtomicBool,
}

/// It did not answer in time.
#[derive(Debug)]
struct TooLate;

impl SessionStore for Table {
    type Error = TooLate;

    fn load(&self, lookup: &Lookup) -> Result<Record, TooLate> {
        if self.is_slow.load(Relaxed) {
            return Err(TooLate);
        }
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let live = rows.get(&lookup.key).filter(|pin| pin.expires > lookup.now);
        let expires = lookup.now.saturating_add(lookup.ttl); // this request is a use, and restarts it
        Ok(live.map_or(Record::Absent, |pin| Record::Found(Pin { expires, ..*pin })))
    }

    fn save(&self, write: &StoreWrite) -> Result<(), TooLate> {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        match *write {
            // Of two first requests one wins: a row that is live stays.
            StoreWrite::Create { key, now, .. }
                if rows.get(&key).is_some_and(|pin| pin.expires > now) => {}
            StoreWrite::Create { key, endpoint, ttl, now }
            | StoreWrite::Replace { key, endpoint, ttl, now } => {
                rows.insert(key, Pin { endpoint, issued: now, expires: now.saturating_add(ttl) });
            }
            // The time alone: the endpoint may be another node's newer choice.
            StoreWrite::Touch { key, ttl, now } => {
                if let Some(pin) = rows.get_mut(&key).filter(|pin| pin.expires > now) {
                    pin.expires = now.saturating_add(ttl);
                }
            }
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (shop, secret) = (Name::new("shop.example.com")?, Secret::new([5; 32])?);
    let policy =
        HeaderPolicy::new(&shop, &secret, &["x-user"], Require::Any, CookieName::default())?;
    let affinity = Affinity::new(&shop, policy);
    let eu = Pool::new("eu")
        .endpoint(Endpoint::new("eu-1", "eu-1"))
        .endpoint(Endpoint::new("eu-2", "eu-2"));
    let node_a = Pools::builder().pool(eu).build()?;
    let mut edit = node_a.edit();
    edit.health(EndpointId::new("eu", "eu-1"), Health::Unhealthy)?;
    let node_b = edit.build(); // a health check of its own has failed
    let table = Table::default();
    let headers = HeaderMap::from_iter([("x-user".parse()?, HeaderValue::from_static("ann"))]);
    let request = RequestMeta { headers: &headers, client_ip: None, scheme: Scheme::Https };
    let steps = [
        ("node a, a first request", &node_a, false),
        ("node b, to which eu-1 is unhealthy", &node_b, false),
        ("node a agrees", &node_a, false),
        ("node a, the table is asked in vain", &node_a, true),
        ("node a, the record has stayed", &node_a, false),
    ];
    for (minute, (what, pools, is_slow)) in (0..).zip(steps) {
        table.is_slow.store(is_slow, Relaxed);
        let visit = affinity.recall(&request, UnixTime::from_secs(1_800_014_400 + minute * 60));
        let record = table.record(&visit); // Record::Unreachable for an error
        let attempt = affinity.route(visit, record, pools, || 4)?; // your random bits
        let endpoint = pools.target(attempt.endpoint()).ok_or("not in the snapshot")?;
        println!("{what:<37}{endpoint:<6}{}", attempt.outcome());
        if table.settle(&affinity.settle(attempt, pools)).is_err() {
            eprintln!("a session was not written down"); // the response goes out all the same
        }
    }
    Ok(())
}
