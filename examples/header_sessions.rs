//! Sessions of clients that keep no cookies: the policy `header` recognizes a session by headers
//! of the request, and a store remembers its endpoint. The store sees a keyed hash of the headers,
//! never their values.
//!
//! A text chooses the store (`AnyStore::open`): `none`, `memory`, or a Redis with the feature
//! `redis`: `cargo run --example header_sessions --features redis -- redis://127.0.0.1:6379/0`.
//! Redis measures idle time by its own clock, and an outage shows as `created:store_unreachable`.
//!
//! `cargo run --example header_sessions` prints:
//!
//! ```text
//! after   a request                     goes to  outcome                   what the store is told
//! 0 s     ann's first one               eu-3     created:no_record         create, for 1800 s
//! 60 s    ann's next one                eu-3     kept                      touch, for 1800 s more
//! 60 s    bob's first one               eu-3     created:no_record         create, for 1800 s
//! 60 s    one without x-user            eu-1     unbound                   nothing
//! 120 s   ann's endpoint is unhealthy   eu-2     moved:unhealthy           replace, for 1800 s
//! 1900 s  ann after 1780 s of idleness  eu-2     kept                      touch, for 1800 s more
//! 3700 s  ann after 1800 s of idleness  eu-2     created:no_record         create, for 1800 s
//! ```

use std::error::Error;

use http::{HeaderMap, HeaderValue};
use session_affinity::config::{Config, SessionAffinity, SessionAffinityAttributes};
use session_affinity::store::{AnyStore, AsyncSessionStore, WriteKind};
use session_affinity::*;

/// For examples alone. Draw your own by `openssl rand -base64 32`, and keep them in a vault.
const EXAMPLE_SECRETS: [&str; 2] = [
    "b25seSBmb3IgZXhhbXBsZXM6IGRyYXcgeW91ciBvd24=",
    "b25seSBmb3IgZXhhbXBsZXM6IGRyYXcgYSBzZWNvbmQ=",
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut config = Config {
        session_affinity: SessionAffinity::Header,
        session_affinity_ttl: Some(1_800), // idle time: each use restarts it
        session_affinity_attributes: SessionAffinityAttributes {
            headers: vec!["x-user".into()],
            ..Default::default()
        },
        ..Config::new("api.example.com")
    };
    let [key, session_secret] = EXAMPLE_SECRETS.map(Secret::from_base64);
    config.extensions.session_secret = Some(session_secret?); // the same on each node
    // The keyring is for the policies with a cookie.
    let affinity = Affinity::from_config(&config, &Keyring::from(Key::new(1, key?)))?;
    let store = std::env::args().nth(1).unwrap_or("memory".into()); // in a proxy: its configuration
    let store =
        AnyStore::open(&store, &affinity)?.with_report(|error| eprintln!("session store: {error}"));
    let names = ["eu-1", "eu-2", "eu-3"];
    let eu = names
        .into_iter()
        .fold(Pool::new("eu"), |pool, name| pool.with_endpoint(Endpoint::new(name, name)));
    let mut pools = Pools::builder().pool(eu).build()?;

    println!(
        "{:<8}{:<30}{:<9}{:<26}what the store is told",
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
    let mut anns = ""; // the endpoint of ann's session
    for (seconds, what, user) in steps {
        if seconds == 120 {
            let id = EndpointId::new("eu", anns);
            pools = pools.edited(|edit| edit.health(id, Health::Unhealthy))?;
        }
        let mut headers = HeaderMap::new();
        if let Some(user) = user {
            headers.insert("x-user", HeaderValue::from_static(user));
        }
        let now = UnixTime::from_secs(1_800_014_400 + seconds);
        let (endpoint, told) = serve(&affinity, &pools, &store, &headers, now).await?;
        println!("{:<8}{what:<30}{endpoint:<9}{told}", format!("{seconds} s"));
        anns = if user == Some("ann") { endpoint } else { anns };
    }
    Ok(())
}

/// Serves one request, and returns the endpoint, the outcome and the write to the store.
async fn serve(
    affinity: &Affinity<impl AffinityPolicy>,
    pools: &Pools<&'static str>,
    store: &AnyStore,
    headers: &HeaderMap,
    now: UnixTime,
) -> Result<(&'static str, String), Box<dyn Error>> {
    let request = RequestMeta::new(headers, Scheme::Https);
    let visit = affinity.recall(&request, now);
    let record = store.record(visit.lookup()).await; // a request without a session has no lookup
    // A proxy passes `session_affinity::entropy`. With 1, every run prints the same.
    let (attempt, endpoint) = affinity.route(visit, record, pools, || 1)?;
    let outcome = attempt.outcome();
    // The endpoint has answered.
    let write = affinity.settle(attempt, pools).apply(&mut http::Response::new(()));
    let told = match write.map(|write| (write.kind, write.ttl)) {
        Some((WriteKind::Create(_), ttl)) => format!("create, for {ttl} s"),
        Some((WriteKind::Touch, ttl)) => format!("touch, for {ttl} s more"),
        Some((WriteKind::Replace(_), ttl)) => format!("replace, for {ttl} s"),
        Some((WriteKind::Remove, _)) => "remove".into(),
        None => "nothing".into(),
    };
    store.commit(write).await;
    // A write to Redis runs by itself. A proxy goes on meanwhile; here the next line depends on it.
    store.finish().await;
    Ok((endpoint, format!("{:<26}{told}", outcome.label())))
}
