//! Each outcome has its label, and each label can be reached.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use session_affinity::*;

mod support;
use support::{NOW, key, request, shop};

/// manual::tables, Every outcome, and what to do: "There are no others, and none will be added
/// without a breaking release."
const LABELS: [&str; 24] = [
    "kept",
    "created:no_cookie",
    "created:expired",
    "created:malformed",
    "created:forged",
    "created:premature",
    "created:unknown_key",
    "created:unknown_version",
    "created:no_record",
    "created:unreadable",
    "created:store_unreachable",
    "created:connect_failed",
    "moved:unhealthy",
    "moved:removed",
    "moved:disabled",
    "moved:drained",
    "moved:shed",
    "moved:connect_failed",
    "moved:suspect",
    "lent:connect_failed",
    "lent:suspect",
    "unbound",
    "no_endpoint",
    "gave_up",
];

#[test]
fn the_list_of_labels_is_closed() {
    assert_eq!(Outcome::ALL.map(Outcome::label), LABELS);
    assert_eq!(Outcome::Kept.to_string(), "kept");
}

/// Two endpoints, `a` and `b`, and what a test changes of them.
struct Case {
    affinity: Affinity<CookiePolicy>,
    pools: Pools<()>,
    entropy: u64,
}

const A: &str = "a";
const B: &str = "b";

fn id(name: &str) -> EndpointId {
    EndpointId::new("eu", name)
}

fn case(mode: FailoverMode) -> Case {
    let policy = CookiePolicy::new(&shop(), &Keyring::from(key(1)), SetCookie::default());
    let pool = Pool::new("eu").endpoint(Endpoint::new(A, ())).endpoint(Endpoint::new(B, ()));
    Case {
        affinity: Affinity::new(&shop(), policy).with_failover(mode).unwrap(),
        pools: Pools::builder().pool(pool).build().unwrap(),
        entropy: 0,
    }
}

impl Case {
    fn edit(&mut self, change: impl FnOnce(&mut PoolsEdit<()>)) {
        let mut edit = self.pools.edit();
        change(&mut edit);
        self.pools = edit.build();
    }

    fn route(&self, cookie: Option<&str>, now: UnixTime) -> Result<Attempt, NoEndpoint> {
        let mut headers = HeaderMap::new();
        if let Some(cookie) = cookie {
            headers.insert(COOKIE, HeaderValue::from_str(&format!("__cflb={cookie}")).unwrap());
        }
        let client_ip = Some([192, 0, 2, 1].into());
        let request = RequestMeta { client_ip, ..request(&headers) };
        self.affinity.route(
            self.affinity.recall(&request, now),
            Record::Absent,
            &self.pools,
            || self.entropy,
        )
    }

    fn label(&self, cookie: Option<&str>) -> &'static str {
        self.route(cookie, NOW).unwrap().outcome().label()
    }

    fn token(&self, endpoint: &str, issued: UnixTime, keys: impl Into<Keyring>) -> String {
        let codec = TokenCodec::new(&shop(), &CookieName::default(), &keys.into());
        let pin = Pin { endpoint: id(endpoint), issued, expires: issued.saturating_add(82_800) };
        codec.seal(&pin).as_str().to_owned()
    }

    fn pinned(&self) -> String {
        self.token(A, NOW, key(1))
    }
}

#[test]
fn labels_of_new_sessions() {
    let case = case(FailoverMode::None);
    assert_eq!(case.label(None), "created:no_cookie");
    assert_eq!(case.label(Some("x")), "created:malformed");
    assert_eq!(case.label(Some(&"A".repeat(48))), "created:unknown_version");
    assert_eq!(case.label(Some(&case.token(A, NOW, key(9)))), "created:unknown_key");
    let impostor = Key::new(1, Secret::new([8; 32]).unwrap());
    assert_eq!(case.label(Some(&case.token(A, NOW, impostor))), "created:forged");
    assert_eq!(
        case.label(Some(&case.token(A, NOW.saturating_add(301), key(1)))),
        "created:premature"
    );
    assert_eq!(
        case.label(Some(&case.token(A, NOW.saturating_sub(82_800), key(1)))),
        "created:expired"
    );
    let attempt = case.route(None, NOW).unwrap();
    assert_eq!(
        case.affinity.failover(attempt, &case.pools).unwrap().outcome().label(),
        "created:connect_failed"
    );
}

#[test]
fn labels_of_sessions_whose_record_is_in_a_store() {
    let secret = Secret::new([5; 32]).unwrap();
    let policy =
        HeaderPolicy::new(&shop(), &secret, &["x-user"], Require::Any, CookieName::default())
            .unwrap();
    let affinity = Affinity::new(&shop(), policy);
    let pools = support::pools(&["a", "b"]);
    let mut headers = HeaderMap::new();
    let label = |headers: &HeaderMap, record| {
        affinity
            .route(affinity.recall(&request(headers), NOW), record, &pools, || 0)
            .unwrap()
            .outcome()
            .label()
    };
    assert_eq!(label(&headers, Record::Absent), "unbound");
    headers.insert("x-user", HeaderValue::from_static("alice"));
    let pin = Pin { endpoint: id(A), issued: NOW, expires: NOW.saturating_add(1) };
    assert_eq!(label(&headers, Record::Found(pin)), "kept");
    assert_eq!(label(&headers, Record::Found(Pin { expires: NOW, ..pin })), "created:expired");
    assert_eq!(label(&headers, Record::Absent), "created:no_record");
    assert_eq!(label(&headers, Record::Unreadable), "created:unreadable");
    assert_eq!(label(&headers, Record::Unreachable), "created:store_unreachable");
}

#[test]
fn labels_of_live_sessions() {
    let mut case = case(FailoverMode::Sticky);
    assert_eq!(case.label(Some(&case.pinned())), "kept");
    assert_eq!(case.label(Some(&case.token("gone", NOW, key(1)))), "moved:removed");
    let attempt = case.route(Some(&case.pinned()), NOW).unwrap();
    assert_eq!(
        case.affinity.failover(attempt, &case.pools).unwrap().outcome().label(),
        "moved:connect_failed"
    );

    case.edit(|edit| edit.state(id(A), State::Disabled { at: Some(NOW) }).unwrap());
    assert_eq!(case.label(Some(&case.pinned())), "moved:disabled");
    case.affinity = case.affinity.with_drain_duration(DrainDuration::new(10).unwrap());
    assert_eq!(case.label(Some(&case.pinned())), "kept");
    let over = NOW.saturating_add(10);
    assert_eq!(case.route(Some(&case.pinned()), over).unwrap().outcome().label(), "moved:drained");
    case.edit(|edit| edit.state(id(A), State::Enabled).unwrap());

    case.edit(|edit| edit.health(id(A), Health::Unhealthy).unwrap());
    assert_eq!(case.label(Some(&case.pinned())), "moved:unhealthy");
    case.edit(|edit| edit.health(id(B), Health::Unhealthy).unwrap());
    assert_eq!(case.route(None, NOW).unwrap_err().outcome().label(), "no_endpoint");
}

#[test]
fn labels_of_sessions_that_are_lent_or_given_up() {
    let case = case(FailoverMode::Temporary);
    let attempt = case.route(Some(&case.pinned()), NOW).unwrap();
    let attempt = case.affinity.failover(attempt, &case.pools).unwrap();
    assert_eq!(attempt.outcome().label(), "lent:connect_failed");
    assert_eq!(
        case.affinity.failover(attempt, &case.pools).unwrap_err().outcome().label(),
        "gave_up"
    );
    assert_eq!(case.route(None, NOW).unwrap().give_up().outcome().label(), "gave_up");
}

#[test]
fn labels_of_suspects_and_of_the_shed() {
    for (mode, label) in [
        (FailoverMode::None, "kept"),
        (FailoverMode::Temporary, "lent:suspect"),
        (FailoverMode::Sticky, "moved:suspect"),
    ] {
        let mut case = case(mode);
        case.affinity = case.affinity.with_cooling_off(CoolingOff::new(30).unwrap());
        let attempt = case.route(Some(&case.pinned()), NOW).unwrap();
        let _ = case.affinity.failover(attempt, &case.pools);
        assert_eq!(case.label(Some(&case.pinned())), label);
    }
    let mut case = case(FailoverMode::None);
    let shedding =
        LoadShedding { session_percent: Percent::new(100).unwrap(), ..LoadShedding::default() };
    let eu = Pool { shedding, ..Pool::new("eu") }.endpoint(Endpoint::new(A, ()));
    let us = Pool::new("us").endpoint(Endpoint::new("us-1", ()));
    case.pools = Pools::builder().pool(eu).pool(us).build().unwrap();
    assert_eq!(case.label(Some(&case.pinned())), "moved:shed");
}
