//! What a Prometheus server scrapes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use session_affinity::Outcome;

use crate::support::{
    Answer, Connection, Endpoint, Gate, Gateway, Response, get, request, shop, shop_of_pools,
    wait_until,
};

/// The numbers of a scrape, by series.
type Numbers = BTreeMap<String, u64>;

fn fetch(gateway: &Gateway, method: &str) -> Response {
    Connection::open(gateway.admin).exchange(&request(method, "/metrics").with("Host", "127.0.0.1"))
}

#[track_caller]
pub(crate) fn scrape(gateway: &Gateway) -> Numbers {
    let response = fetch(gateway, "GET");
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(
        response.head.all("content-type"),
        ["application/openmetrics-text; version=1.0.0; charset=utf-8"]
    );
    numbers(&response.text())
}

/// Reads the text format as OpenMetrics 1.0 has it, as far as counters and gauges go.
#[track_caller]
fn numbers(text: &str) -> Numbers {
    let body = text.strip_suffix("# EOF\n").unwrap_or_else(|| panic!("no end: {text}"));
    let (mut numbers, mut families) = (Numbers::new(), BTreeSet::new());
    let (mut helped, mut sample_of) = ("", None);
    for line in body.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            (helped, sample_of) = (help.split_once(' ').expect("a text").0, None);
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("a kind");
            assert_eq!(name, helped, "a family has its help and its type in one place");
            assert!(families.insert(name), "{name} is there twice");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            sample_of = Some(match kind {
                "counter" => format!("{name}_total{{"),
                "gauge" => format!("{name}{{"),
                _ => panic!("{line}"),
            });
        } else {
            let start = sample_of.as_deref().expect("a type before the samples");
            let (series, number) = line.rsplit_once(' ').expect("a number");
            assert!(series.starts_with(start) && series.ends_with('}'), "{line}");
            let number = number.parse().unwrap_or_else(|_| panic!("{line}"));
            assert!(numbers.insert(series.to_owned(), number).is_none(), "{series} is there twice");
        }
    }
    numbers
}

pub(crate) fn of(numbers: &Numbers, name: &str, endpoint: &str) -> u64 {
    numbers[&format!("affinity_endpoint_{name}{{pool=\"eu\",endpoint=\"{endpoint}\"}}")]
}

#[test]
fn requests_are_counted_by_outcome_and_by_endpoint_as_the_state_counts_them() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let gateway = Gateway::start(&shop(&[&a, &b]).failover("temporary"));
    let before = scrape(&gateway);
    assert_eq!(
        before.iter().filter(|(_, number)| **number > 0).count(),
        3,
        "two healthy endpoints, one open pool"
    );
    let mut pinned = gateway.browser_at("a");
    pinned.get("/");
    a.go_down();
    pinned.get("/");
    b.go_down();
    assert_eq!(pinned.get("/").status, 502);
    let (numbers, state) = (scrape(&gateway), gateway.state());
    for label in Outcome::ALL.iter().map(|outcome| outcome.label()) {
        let told = numbers[&format!("affinity_requests_total{{outcome=\"{label}\"}}")];
        assert_eq!(told, state["outcomes"][label].as_u64().unwrap_or(0), "{label}");
    }
    assert_eq!(
        numbers.keys().filter(|series| series.starts_with("affinity_requests_total")).count(),
        Outcome::ALL.len()
    );
    for label in ["kept", "lent:connect_failed", "gave_up"] {
        assert_eq!(numbers[&format!("affinity_requests_total{{outcome=\"{label}\"}}")], 1);
    }
    assert_eq!(of(&numbers, "requests_total", "a"), a.count() as u64);
    assert_eq!(of(&numbers, "requests_total", "b"), b.count() as u64);
    assert!(a.count() >= 2 && b.count() >= 1);
}

#[test]
fn health_drain_and_open_pools_follow_what_the_operator_and_the_checks_say() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let gateway = Gateway::start(&shop(&[&a, &b]).attribute("drain_duration", 100));
    let gauges = |endpoint: &str| {
        let numbers = scrape(&gateway);
        let of = |name| of(&numbers, name, endpoint);
        (of("healthy"), of("draining"), of("drained"), numbers["affinity_pool_open{pool=\"eu\"}"])
    };
    // A session that the drain can wait for.
    drop(gateway.browser_at("a"));
    assert_eq!(gauges("a"), (1, 0, 0, 1));
    gateway.patch("/pools/eu/origins/a", json!({ "enabled": false }));
    assert_eq!(gauges("a"), (1, 1, 0, 1));
    gateway.set_clock(101);
    assert_eq!(gauges("a"), (1, 0, 1, 1));
    gateway.patch("/pools/eu/origins/b", json!({ "healthy": false }));
    assert_eq!(gauges("b"), (0, 0, 0, 0));
    gateway.patch("/pools/eu/origins/a", json!({ "enabled": true }));
    assert_eq!(gauges("a"), (1, 0, 0, 1));
}

#[test]
fn an_endpoint_is_suspect_while_it_cools_off() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let gateway = Gateway::start(&shop(&[&a, &b]).failover("temporary").set("cooling_off", 10));
    let mut pinned = gateway.browser_at("a");
    let suspects = || {
        let numbers = scrape(&gateway);
        ["a", "b"].map(|endpoint| of(&numbers, "suspect", endpoint))
    };
    assert_eq!(suspects(), [0, 0]);
    a.go_down();
    assert_eq!(pinned.get("/").outcome(), "lent:connect_failed");
    assert_eq!(suspects(), [1, 0]);
    gateway.set_clock(60);
    assert_eq!(suspects(), [0, 0]);
}

#[test]
fn a_request_is_in_flight_until_its_answer_is_through() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]));
    let gate = Gate::new();
    a.answers(Answer::Gated(gate.clone()));
    let mut client = Connection::open(gateway.address);
    client.send(&get("/"));
    wait_until("a request in flight", || of(&scrape(&gateway), "in_flight", "a") == 1);
    gate.open();
    client.response().assert_ok();
    wait_until("no request in flight", || of(&scrape(&gateway), "in_flight", "a") == 0);
    assert_eq!(of(&scrape(&gateway), "requests_total", "a"), 1);
}

#[test]
fn live_sessions_in_the_store_are_told_until_they_have_idled_out() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(
        &shop(&[&a]).by_headers(&["x-user"]).set("load_balancer.session_affinity_ttl", 30),
    );
    let sessions = || scrape(&gateway)["affinity_store_sessions{store=\"memory\"}"];
    assert_eq!(sessions(), 0);
    for user in 0..5 {
        gateway.fetch(&get("/").with("X-User", format!("user-{user}"))).assert_ok();
    }
    assert_eq!(sessions(), 5);
    gateway.set_clock(100);
    assert_eq!(sessions(), 0);
}

/// A Redis does not tell how many there are, and one that is out of reach is no reason not to answer.
#[cfg(feature = "redis")]
#[test]
fn sessions_in_a_redis_are_not_counted() {
    let a = Endpoint::start("a");
    let file = shop(&[&a]).by_headers(&["x-user"]).set("store", "redis://127.0.0.1:1/0");
    let numbers = scrape(&Gateway::start(&file));
    assert!(!numbers.keys().any(|series| series.contains("store_sessions")), "{numbers:?}");
    assert_eq!(of(&numbers, "healthy", "a"), 1);
}

#[test]
fn names_are_escaped() {
    let a = Endpoint::start("a");
    let file =
        shop_of_pools(&[(r#"the "eu"\1"#, &[&a])]).set("pools.0.origins.0.name", "Zürich\" 1");
    let numbers = scrape(&Gateway::start(&file));
    let series = r#"affinity_endpoint_healthy{pool="the \"eu\"\\1",endpoint="Zürich\" 1"}"#;
    assert_eq!(numbers.get(series), Some(&1), "{numbers:?}");
}

#[test]
fn metrics_are_for_reading() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]));
    let (get, head) = (fetch(&gateway, "GET"), fetch(&gateway, "HEAD"));
    assert_eq!((head.status, head.body.is_empty()), (200, true));
    assert_eq!(head.head.get("content-length"), get.head.get("content-length"));
    assert_eq!(head.head.get("content-type"), get.head.get("content-type"));
    let post = fetch(&gateway, "POST");
    assert_eq!((post.status, post.head.get("allow").as_deref()), (405, Some("GET, HEAD")));
    assert_eq!(scrape(&gateway)["affinity_pool_open{pool=\"eu\"}"], 1);
}
