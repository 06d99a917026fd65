//! Sessions of clients that keep no cookies: the policy `header` recognizes a session by headers
//! of the request, and a `SessionStore` (here `MemoryStore`) remembers its endpoint. The store sees
//! a keyed hash of the headers, never their values.
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
use session_affinity::store::WriteKind;
use session_affinity::{
    Affinity, AffinityPolicy, Endpoint, EndpointId, Health, Key, Keyring, MemoryStore, Pool, Pools,
    RequestMeta, Scheme, Secret, SessionStore, UnixTime,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut config = Config {
        session_affinity: SessionAffinity::Header,
        session_affinity_ttl: Some(1_800), // idle time: each use restarts it
        session_affinity_attributes: SessionAffinityAttributes {
            headers: vec!["x-user".into()],
            ..Default::default()
        },
        ..Config::new("api.example.com")
    };
    config.extensions.session_secret =
        Some(Secret::new(b"32 secret bytes, the same on each node")?);
    // The keyring is for the policies with a cookie.
    let keyring = Keyring::from(Key::new(1, Secret::new([7; 32])?));
    let affinity = Affinity::from_config(&config, &keyring)?;
    let store = MemoryStore::new(100_000)?;
    let names = ["eu-1", "eu-2", "eu-3"];
    let eu = names
        .into_iter()
        .fold(Pool::new("eu"), |pool, name| pool.with_endpoint(Endpoint::new(name, name)));
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
            let eu_3 = EndpointId::new("eu", "eu-3");
            pools = pools.edited(|edit| edit.health(eu_3, Health::Unhealthy))?;
        }
        let mut headers = HeaderMap::new();
        if let Some(user) = user {
            headers.insert("x-user", HeaderValue::from_static(user));
        }
        let now = UnixTime::from_secs(1_800_014_400 + seconds);
        let told = serve(&affinity, &pools, &store, &headers, now)?;
        println!("{:<8}{what:<31}{told}", format!("{seconds} s"));
    }
    Ok(())
}

/// Serves one request, and returns the endpoint, the outcome and the write to the store.
fn serve(
    affinity: &Affinity<impl AffinityPolicy>,
    pools: &Pools<&str>,
    store: &MemoryStore,
    headers: &HeaderMap,
    now: UnixTime,
) -> Result<String, Box<dyn Error>> {
    let request = RequestMeta::new(headers, Scheme::Https);
    let visit = affinity.recall(&request, now);
    let record = store.record(visit.lookup()); // a request without a session has no lookup
    let (attempt, endpoint) = affinity.route(visit, record, pools, || 4)?; // 64 random bits
    let outcome = attempt.outcome();
    // The endpoint has answered. The write may also be committed after the response was sent.
    let write = affinity.settle(attempt, pools).apply(&mut http::Response::new(()));
    let told = match write.map(|write| (write.kind, write.ttl)) {
        Some((WriteKind::Create(_), ttl)) => format!("create, for {ttl} s"),
        Some((WriteKind::Touch, ttl)) => format!("touch, for {ttl} s more"),
        Some((WriteKind::Replace(_), ttl)) => format!("replace, for {ttl} s"),
        Some((WriteKind::Remove, _)) => "remove".into(),
        None => "nothing".into(),
    };
    store.commit(write)?;
    Ok(format!("{endpoint:<9}{:<20}{told}", outcome.label()))
}
