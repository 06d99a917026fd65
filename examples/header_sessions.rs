//! Sessions of clients that keep no cookies: the policy `header` recognises them by headers they send,
//! and a `SessionStore` (here `MemoryStore`) remembers where they belong. The store sees a keyed hash
//! of the headers, never their values.
//!
//! `cargo run --example header_sessions` prints:
//!
//! ```text
//! after   a request                      goes to  outcome             what the store is told
//! 0 s     ann's first one                eu-3     created:no_record   create, for 1800 s
//! 60 s    ann's next one                 eu-3     kept                touch, for 1800 s more
//! 60 s    bob's first one                eu-3     created:no_record   create, for 1800 s
//! 60 s    one without x-user             eu-1     unbound             nothing
//! 120 s   ann's endpoint is unhealthy    eu-1     moved:unhealthy     replace, for 1800 s
//! 1900 s  ann after 1780 s of idleness   eu-1     kept                touch, for 1800 s more
//! 3700 s  ann after 1800 s of idleness   eu-1     created:no_record   create, for 1800 s
//! ```

use std::error::Error;

use http::{HeaderMap, HeaderValue};
use session_affinity::config::{Config, SessionAffinity, SessionAffinityAttributes};
use session_affinity::{
    Affinity, AffinityPolicy, Endpoint, EndpointId, Health, Key, Keyring, MemoryStore, Pool, Pools,
    RequestMeta, Scheme, Secret, SessionStore, StoreWrite, UnixTime,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut config = Config {
        session_affinity: SessionAffinity::Header,
        session_affinity_ttl: Some(1_800), // of idle time: use restarts it
        session_affinity_attributes: SessionAffinityAttributes {
            headers: vec!["x-user".into()],
            ..Default::default()
        },
        ..Config::new("api.example.com")
    };
    config.extensions.session_secret =
        Some(Secret::new(b"32 secret bytes, the same on each node")?);
    // The keyring is for the policies with a cookie.
    let affinity =
        Affinity::from_config(&config, &Keyring::from(Key::new(1, Secret::new([7; 32])?)))?;
    let store = MemoryStore::new(100_000)?;
    let names = ["eu-1", "eu-2", "eu-3"];
    let eu = names
        .into_iter()
        .fold(Pool::new("eu"), |pool, name| pool.endpoint(Endpoint::new(name, name)));
    let mut pools = Pools::builder().pool(eu).build()?;

    println!(
        "{:<8}{:<31}{:<9}{:<20}what the store is told",
        "after", "a request", "goes to", "outcome"
    );
    let steps = [
        (0, "ann's first one", Some("ann")),
        (60, "ann's next one", Some("ann")),
        (60, "bob's first one", Some("bob")),
        (60, "one without x-user", None),
        (120, "ann's endpoint is unhealthy", Some("ann")),
        (1_900, "ann after 1780 s of idleness", Some("ann")),
        (3_700, "ann after 1800 s of idleness", Some("ann")),
    ];
    for (seconds, what, user) in steps {
        if seconds == 120 {
            let mut edit = pools.edit();
            edit.health(EndpointId::new("eu", "eu-3"), Health::Unhealthy)?;
            pools = edit.build();
        }
        let mut headers = HeaderMap::new();
        if let Some(user) = user {
            headers.insert("x-user", HeaderValue::from_static(user));
        }
        let told = serve(
            &affinity,
            &pools,
            &store,
            &headers,
            UnixTime::from_secs(1_800_014_400 + seconds),
        )?;
        println!("{:<8}{what:<31}{told}", format!("{seconds} s"));
    }
    Ok(())
}

fn serve(
    affinity: &Affinity<impl AffinityPolicy>,
    pools: &Pools<&str>,
    store: &MemoryStore,
    headers: &HeaderMap,
    now: UnixTime,
) -> Result<String, Box<dyn Error>> {
    let request = RequestMeta { headers, client_ip: None, scheme: Scheme::Https };
    let visit = affinity.recall(&request, now);
    let record = store.record(&visit); // asks nothing for a request that can have no session
    let attempt = affinity.route(visit, record, pools, || 4)?; // your random bits
    let (endpoint, outcome) =
        (pools.target(attempt.endpoint()).ok_or("not in the snapshot")?, attempt.outcome());
    // The endpoint has answered: what is left to write, now or after the response has gone?
    let write = affinity.settle(attempt, pools).apply(&mut HeaderMap::new());
    let told = match write {
        Some(StoreWrite::Create { ttl, .. }) => format!("create, for {ttl} s"),
        Some(StoreWrite::Touch { ttl, .. }) => format!("touch, for {ttl} s more"),
        Some(StoreWrite::Replace { ttl, .. }) => format!("replace, for {ttl} s"),
        None => "nothing".into(),
    };
    if let Some(write) = write {
        store.save(&write)?;
    }
    Ok(format!("{endpoint:<9}{:<20}{told}", outcome.label()))
}
