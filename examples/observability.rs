//! The outcome of each request as a counter (`metrics`), and its way as a line in the log
//! (`tracing`). An `Outcome` has one of 29 stable labels, which suit a metric. A `Trace` tells
//! the endpoints too: `pinned` of the session, `tried` without a connection, and the one that has
//! answered. Both come from `Attempt`, or from the error where no endpoint has answered.
//!
//! `cargo run --example observability` prints the log and the result of a scrape:
//!
//! ```text
//!  INFO created:malformed endpoint=bf54fd3b4b4ea9db
//!  WARN lent:connect_failed first=kept pinned=bf54fd3b4b4ea9db tried=bf54fd3b4b4ea9db endpoint=e5b4df0727cee040
//! ERROR gave_up first=kept pinned=bf54fd3b4b4ea9db tried=bf54fd3b4b4ea9db,e5b4df0727cee040
//! affinity_requests_total{endpoint="eu-1",outcome="created:malformed"} 1
//! affinity_requests_total{endpoint="eu-1",outcome="kept"} 3
//! affinity_requests_total{endpoint="eu-2",outcome="lent:connect_failed"} 1
//! affinity_requests_total{endpoint="none",outcome="gave_up"} 1
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderMap;
use http::header::{COOKIE, SET_COOKIE};
use metrics::{
    Counter, Gauge, Histogram, KeyName, Metadata, Recorder, SharedString, Unit, counter,
};
use session_affinity::cookies::SetCookie;
use session_affinity::*;

/// For examples alone. Draw your own by `openssl rand -base64 32`, and keep it in a vault.
const EXAMPLE_SECRET: &str = "b25seSBmb3IgZXhhbXBsZXM6IGRyYXcgeW91ciBvd24=";

/// Counts and logs a request: the part to copy. `endpoint` is the one that has answered, or "none".
fn observe(outcome: Outcome, endpoint: &'static str, trace: impl Display) {
    let label = outcome.label();
    counter!("affinity_requests_total", "endpoint" => endpoint, "outcome" => label).increment(1);
    match outcome {
        Outcome::Kept | Outcome::Unbound => tracing::debug!("{trace}"),
        Outcome::Created(_) => tracing::info!("{trace}"),
        Outcome::Moved(_) | Outcome::Lent(_) => tracing::warn!("{trace}"),
        // `NoEndpoint`, `Lost` and `GaveUp`, and outcomes that a later version adds.
        _ => tracing::error!("{trace}"),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().without_time().with_target(false).with_writer(std::io::stdout).init();
    let shop = LoadBalancer::new("shop.example.com")?;
    let keyring = Keyring::from(Key::new(1, Secret::from_base64(EXAMPLE_SECRET)?));
    let policy = CookiePolicy::new(&shop, &keyring, SetCookie::default());
    let affinity = Affinity::new(policy).with_failover_mode(FailoverMode::Temporary)?;
    let eu = Pool::new("eu")
        .with_endpoint(Endpoint::new("eu-1", "eu-1"))
        .with_endpoint(Endpoint::new("eu-2", "eu-2"));
    let pools = Pools::builder().pool(eu).build()?;
    // Serves one request, while these endpoints refuse connections.
    let serve = |headers: &HeaderMap, refusing: &[&str], response: &mut HeaderMap| {
        let request = RequestMeta::new(headers, Scheme::Https);
        let visit = affinity.recall(&request, UnixTime::from_secs(1_800_014_400));
        // A proxy passes `session_affinity::entropy`. With 1, every run prints the same.
        let (mut attempt, mut endpoint) = match affinity.route(visit, Record::Absent, &pools, || 1)
        {
            Ok(routed) => routed,
            Err(error) => return observe(error.outcome(), "none", error),
        };
        while refusing.contains(endpoint) {
            (attempt, endpoint) = match affinity.failover(attempt, &pools) {
                Ok(next) => next,
                Err(error) => return observe(error.outcome(), "none", error.trace()),
            };
        }
        observe(attempt.outcome(), endpoint, attempt.trace());
        let _ = affinity.settle(attempt, &pools).apply_to(http::StatusCode::OK, response); // no store to write to
    };
    let scrape = Scrape::default();
    let mut browser = HeaderMap::from_iter([(COOKIE, "__cflb=guessed".parse()?)]);
    for refusing in [&[] as &[&str], &[], &[], &["eu-1"], &["eu-1", "eu-2"], &[]] {
        let mut response = HeaderMap::new();
        metrics::with_local_recorder(&scrape, || serve(&browser, refusing, &mut response));
        if let Some(line) = response.get(SET_COOKIE) {
            browser.insert(COOKIE, line.to_str()?.split(';').next().unwrap_or_default().parse()?);
        }
    }
    for (series, count) in &*scrape.0.lock().unwrap_or_else(PoisonError::into_inner) {
        println!("{series} {}", count.load(Relaxed));
    }
    Ok(())
}

/// Counters in the place of an exporter, printed in the notation of Prometheus.
#[derive(Default)]
struct Scrape(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

impl Recorder for Scrape {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &metrics::Key, _: &Metadata<'_>) -> Counter {
        let labels: Vec<_> =
            key.labels().map(|label| format!("{}={:?}", label.key(), label.value())).collect();
        let series = format!("{}{{{}}}", key.name(), labels.join(","));
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Counter::from_arc(counters.entry(series).or_default().clone())
    }

    fn register_gauge(&self, _: &metrics::Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &metrics::Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
