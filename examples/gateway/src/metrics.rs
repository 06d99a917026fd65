//! The numbers that a Prometheus server scrapes, in the text format of OpenMetrics 1.0. They are
//! not counted apart: a scrape reads the same sources as `/state` and `/drain`.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use session_affinity::Health;
use session_affinity::drain::{Drain, DrainPhase, DrainSessions};
use session_affinity::pools::EndpointView;
use session_affinity::store::{StoreConnection, StoreHealth};

use crate::proxy::Gateway;
use crate::upstream::{self, Upstream};

pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(crate) fn scrape(gateway: &Gateway) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("affinity");
    registry.register_collector(Box::new(Scrape(families(gateway))));
    let mut text = String::new();
    text::encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Scrape(Vec<Family>);

/// The series of one name.
#[derive(Debug)]
struct Family {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    series: Vec<(Labels, u64)>,
}

type Labels = Vec<(&'static str, String)>;

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for Family { name, help, kind, series } in
            self.0.iter().filter(|family| !family.series.is_empty())
        {
            let mut encoder = encoder.encode_descriptor(name, help, None, *kind)?;
            for (labels, value) in series {
                let encoder = encoder.encode_family(labels)?;
                match kind {
                    MetricType::Counter => ConstCounter::new(*value).encode(encoder)?,
                    _ => ConstGauge::new(*value).encode(encoder)?,
                }
            }
        }
        Ok(())
    }
}

/// Returns all series, read from one snapshot at one time.
fn families(gateway: &Gateway) -> Vec<Family> {
    let ((affinity, _, pools), now) = (gateway.moment(), gateway.clock.now());
    let endpoints: Vec<_> = pools
        .iter()
        .flat_map(|pool| pool.endpoints())
        .map(|view| {
            let drain = affinity.drain(view, view.census(), now);
            Endpoint { view, is_suspect: view.is_suspect(now), drain }
        })
        .collect();
    let outcomes = gateway
        .tally
        .counts()
        .map(|(outcome, count)| (vec![("outcome", outcome.label().into())], count));
    // `None` for Redis: the series is then left out.
    let sessions =
        gateway.store.live(now).map(|sessions| (vec![("store", "memory".into())], sessions as u64));
    let open = pools.iter().map(|pool| (vec![("pool", pool.name().into())], pool.is_open().into()));
    let requests =
        endpoints.iter().map(|endpoint| (endpoint.labels(), endpoint.view.target().answered()));
    let namesakes =
        endpoints.iter().map(|endpoint| (endpoint.labels(), endpoint.view.target().namesakes()));
    let families = [
        Family::counter("requests", "Requests by what has become of them", outcomes),
        Family::gauge("store_sessions", "Live sessions in the store", sessions),
        Family::gauge("pool_open", "Whether a pool takes new sessions", open),
        Family::counter("endpoint_requests", "Requests that an endpoint has answered", requests),
        Family::counter(
            "endpoint_namesakes",
            "Answers of an endpoint with a cookie or header of the gateway's own name",
            namesakes,
        ),
    ];
    let gauges = GAUGES.iter().map(|(name, help, value)| {
        Family::gauge(
            name,
            help,
            endpoints.iter().map(|endpoint| (endpoint.labels(), value(endpoint))),
        )
    });
    let store = gateway.store.health().map(store).into_iter().flatten();
    families.into_iter().chain(gauges).chain(store).collect()
}

/// The series of a store across the network.
fn store(health: StoreHealth) -> Vec<Family> {
    let labels = || vec![("store", "redis".to_owned())];
    let one = |value| [(labels(), value)];
    let states = StoreConnection::ALL.into_iter().map(|state| {
        let state_label = [("state", state.label().to_owned())];
        (labels().into_iter().chain(state_label).collect(), (state == health.connection).into())
    });
    let errors = health.errors.iter().map(|(kind, count)| {
        (labels().into_iter().chain([("kind", (*kind).to_owned())]).collect(), *count)
    });
    let microseconds = u64::try_from(health.answer_time.as_micros()).unwrap_or(u64::MAX);
    vec![
        Family::gauge("store_connection", "Whether the connection is in this state", states),
        Family::counter(
            "store_answered",
            "Calls that the server has answered",
            one(health.answered),
        ),
        Family::counter(
            "store_answer_microseconds",
            "Time that the answered calls have taken together",
            one(microseconds),
        ),
        Family::counter("store_errors", "Calls that have failed, by kind of error", errors),
        Family::counter(
            "store_writes_failed",
            "Writes that have failed",
            one(health.writes_failed),
        ),
        Family::counter(
            "store_writes_retried",
            "Writes that were sent again after their connection was lost",
            one(health.writes_retried),
        ),
        Family::counter(
            "store_remembered",
            "Records answered from memory while the server was out of reach",
            one(health.remembered),
        ),
    ]
}

/// The name, the help text and the value of each gauge of an endpoint.
const GAUGES: [(&str, &str, fn(&Endpoint<'_>) -> u64); 5] = [
    ("endpoint_in_flight", "Requests that an endpoint has not answered to the end", |endpoint| {
        upstream::in_flight(endpoint.view.target()).into()
    }),
    ("endpoint_healthy", "Whether its health checks pass", |endpoint| {
        (endpoint.view.health() == Health::Healthy).into()
    }),
    ("endpoint_suspect", "Whether it cools off after a connection that failed", |endpoint| {
        endpoint.is_suspect.into()
    }),
    ("endpoint_draining", "Whether it is disabled and keeps its sessions", |endpoint| {
        (endpoint.drain.phase == DrainPhase::Draining).into()
    }),
    (
        "endpoint_drained",
        "Whether it is disabled and has no session left, as far as this gateway knows",
        |endpoint| matches!(endpoint.drain.sessions, DrainSessions::Drained { .. }).into(),
    ),
];

struct Endpoint<'a> {
    view: EndpointView<'a, Arc<Upstream>>,
    is_suspect: bool,
    drain: Drain,
}

impl Endpoint<'_> {
    fn labels(&self) -> Labels {
        vec![("pool", self.view.pool().name().into()), ("endpoint", self.view.name().into())]
    }
}

impl Family {
    fn counter(
        name: &'static str,
        help: &'static str,
        series: impl IntoIterator<Item = (Labels, u64)>,
    ) -> Self {
        Self { name, help, kind: MetricType::Counter, series: series.into_iter().collect() }
    }

    fn gauge(
        name: &'static str,
        help: &'static str,
        series: impl IntoIterator<Item = (Labels, u64)>,
    ) -> Self {
        Self { name, help, kind: MetricType::Gauge, series: series.into_iter().collect() }
    }
}
