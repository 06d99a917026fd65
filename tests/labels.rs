//! Each outcome has its label, and each label can be reached.

use std::net::IpAddr;

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use session_affinity::carrier::IssuedHeader;
use session_affinity::cookies::CookieName;
use session_affinity::failover::OnLoss;
use session_affinity::limits::{CoolingOff, DrainDuration, Percent};
use session_affinity::pools::{LoadShedding, NotInSnapshot, PoolsEdit};
use session_affinity::steering::Room;
use session_affinity::token::{Pin, TokenCodec};
use session_affinity::*;

mod support;
use support::{NOW, PinnedTo, cookie_policy, header, key, request, shop};

/// manual::tables, Every outcome, and what to do: "There are no others, and none will be added
/// without a breaking release."
const LABELS: [&str; 33] = [
    "kept",
    "migrated",
    "created:no_cookie",
    "created:no_header",
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
    "moved:full",
    "lent:connect_failed",
    "lent:suspect",
    "lent:full",
    "lent:unhealthy",
    "lost:unhealthy",
    "lost:removed",
    "lost:disabled",
    "lost:drained",
    "unbound",
    "no_endpoint",
    "gave_up",
];

#[test]
fn the_list_of_labels_is_closed() {
    let labels: Vec<_> = Outcome::ALL.iter().map(|outcome| outcome.label()).collect();
    assert_eq!(labels, LABELS);
    assert_eq!(Outcome::Kept.to_string(), "kept");
}

/// Two endpoints, `a` and `b`, which a test changes.
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
    let pool =
        Pool::new("eu").with_endpoint(Endpoint::new(A, ())).with_endpoint(Endpoint::new(B, ()));
    Case {
        affinity: Affinity::new(cookie_policy()).with_failover_mode(mode).unwrap(),
        pools: Pools::builder().pool(pool).build().unwrap(),
        entropy: 0,
    }
}

impl Case {
    fn edit(&mut self, change: impl FnOnce(&mut PoolsEdit<()>) -> Result<(), NotInSnapshot>) {
        self.pools = self.pools.edited(change).unwrap();
    }

    fn route(&self, cookie: Option<&str>, now: UnixTime) -> Result<Attempt, NoRoute> {
        let mut headers = HeaderMap::new();
        if let Some(cookie) = cookie {
            headers.insert(COOKIE, HeaderValue::from_str(&format!("__cflb={cookie}")).unwrap());
        }
        let request = request(&headers).with_client_ip(IpAddr::from([192, 0, 2, 1]));
        let visit = self.affinity.recall(&request, now);
        let (attempt, ()) =
            self.affinity.route(visit, Record::Absent, &self.pools, || self.entropy)?;
        Ok(attempt)
    }

    fn failover(&self, attempt: Attempt) -> Result<Attempt, GaveUp> {
        self.affinity.failover(attempt, &self.pools).map(|(attempt, ())| attempt)
    }

    fn label(&self, cookie: Option<&str>) -> &'static str {
        self.route(cookie, NOW).unwrap().outcome().label()
    }

    fn token(&self, endpoint: &str, issued: UnixTime, keys: impl Into<Keyring>) -> String {
        let codec = TokenCodec::new(&shop(), CookieName::default(), &keys.into());
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
    assert_eq!(case.failover(attempt).unwrap().outcome().label(), "created:connect_failed");
}

#[test]
fn labels_of_sessions_that_another_system_has_pinned() {
    let affinity = Affinity::new(support::migrating(&support::keyring()));
    let pools = Pools::builder().pool(Pool::new("a").with_endpoint(Endpoint::new("1", ())));
    let pools = pools.build().unwrap();
    let label = |server| {
        let client = support::Client::number(7).with_old_cookie(server);
        let visit = affinity.recall(&client.request(), NOW);
        let (attempt, ()) = affinity.route(visit, Record::Absent, &pools, || 0).unwrap();
        attempt.outcome().label()
    };
    assert_eq!(label("a.1"), "migrated");
    assert_eq!(label("a.2"), "moved:removed");
    assert_eq!(label("another"), "created:no_cookie");
}

#[test]
fn labels_of_sessions_in_an_issued_header() {
    let header = IssuedHeader::new("x-session-affinity").unwrap();
    let affinity = Affinity::new(CookiePolicy::in_header(&shop(), &key(1).into(), header.clone()));
    let pools = support::pools(&["a", "b"]);
    let label = |value: Option<&str>| {
        let mut headers = HeaderMap::new();
        if let Some(value) = value {
            headers.insert(header.name(), HeaderValue::from_str(value).unwrap());
        }
        let visit = affinity.recall(&request(&headers), NOW);
        let (attempt, _) = affinity.route(visit, Record::Absent, &pools, || 0).unwrap();
        attempt.outcome().label()
    };
    let token = |issued: UnixTime, keys: Key| {
        let pin = Pin { endpoint: id(A), issued, expires: issued.saturating_add(82_800) };
        TokenCodec::new(&shop(), &header, &keys.into()).seal(&pin)
    };
    assert_eq!(label(None), "created:no_header");
    assert_eq!(label(Some("")), "created:malformed");
    assert_eq!(label(Some(token(NOW, key(1)).as_str())), "kept");
    assert_eq!(label(Some(token(NOW, key(9)).as_str())), "created:unknown_key");
    assert_eq!(label(Some(token(NOW.saturating_sub(82_800), key(1)).as_str())), "created:expired");
    // A cookie's token is of another scope.
    assert_eq!(label(Some(&case(FailoverMode::None).pinned())), "created:forged");
}

#[test]
fn labels_of_sessions_whose_record_is_in_a_store() {
    let affinity = Affinity::new(header());
    let pools = support::pools(&["a", "b"]);
    let mut headers = HeaderMap::new();
    let label = |headers: &HeaderMap, record| {
        let visit = affinity.recall(&request(headers), NOW);
        assert_eq!(visit.lookup().is_some(), !headers.is_empty());
        let (attempt, _) = affinity.route(visit, record, &pools, || 0).unwrap();
        attempt.outcome().label()
    };
    assert_eq!(label(&headers, Record::Absent), "unbound");
    headers.insert("x-user", HeaderValue::from_static("alice"));
    assert_eq!(label(&headers, Record::Found { endpoint: id(A), issued: NOW }), "kept");
    assert_eq!(label(&headers, Record::Absent), "created:no_record");
    assert_eq!(label(&headers, Record::Unreadable), "created:unreadable");
    assert_eq!(label(&headers, Record::Unreachable), "created:store_unreachable");
}

/// The end of a session counts, also where the policy states a pin that has expired.
#[test]
fn labels_of_a_policy_that_is_late_with_its_expiry() {
    let affinity = Affinity::new(PinnedTo::new(id(A)));
    let (pools, headers) = (support::pools(&["a", "b"]), HeaderMap::new());
    let label = |now| {
        let visit = affinity.recall(&request(&headers), now);
        let (attempt, _) = affinity.route(visit, Record::Absent, &pools, || 0).unwrap();
        attempt.outcome().label()
    };
    assert_eq!(label(UnixTime::MAX.saturating_sub(1)), "kept");
    assert_eq!(label(UnixTime::MAX), "created:expired");
}

#[test]
fn labels_of_live_sessions() {
    let mut case = case(FailoverMode::Sticky);
    assert_eq!(case.label(Some(&case.pinned())), "kept");
    assert_eq!(case.label(Some(&case.token("gone", NOW, key(1)))), "moved:removed");
    let attempt = case.route(Some(&case.pinned()), NOW).unwrap();
    assert_eq!(case.failover(attempt).unwrap().outcome().label(), "moved:connect_failed");

    case.edit(|edit| edit.state(id(A), State::Disabled { at: Some(NOW) }));
    assert_eq!(case.label(Some(&case.pinned())), "moved:disabled");
    case.affinity = case.affinity.with_drain_duration(DrainDuration::new(10).unwrap());
    assert_eq!(case.label(Some(&case.pinned())), "kept");
    let over = NOW.saturating_add(10);
    assert_eq!(case.route(Some(&case.pinned()), over).unwrap().outcome().label(), "moved:drained");
    case.edit(|edit| edit.state(id(A), State::Enabled));

    case.edit(|edit| edit.health(id(A), Health::Unhealthy));
    assert_eq!(case.label(Some(&case.pinned())), "moved:unhealthy");
    case.edit(|edit| edit.health(id(B), Health::Unhealthy));
    assert_eq!(case.route(None, NOW).unwrap_err().outcome().label(), "no_endpoint");
}

#[test]
fn labels_of_sessions_whose_endpoint_is_lost() {
    let mut case = case(FailoverMode::Temporary);
    case.affinity = case.affinity.with_on_loss(OnLoss::Lend);
    case.edit(|edit| edit.health(id(A), Health::Unhealthy));
    assert_eq!(case.label(Some(&case.pinned())), "lent:unhealthy");

    case.affinity = case.affinity.with_on_loss(OnLoss::Refuse);
    let lost = |case: &Case, endpoint, now| {
        let token = case.token(endpoint, NOW, key(1));
        case.route(Some(&token), now).unwrap_err().outcome().label()
    };
    assert_eq!(lost(&case, A, NOW), "lost:unhealthy");
    assert_eq!(lost(&case, "gone", NOW), "lost:removed");
    case.edit(|edit| edit.state(id(A), State::Disabled { at: Some(NOW) }));
    assert_eq!(lost(&case, A, NOW), "lost:disabled");
    case.affinity = case.affinity.with_drain_duration(DrainDuration::new(10).unwrap());
    assert_eq!(lost(&case, A, NOW), "lost:unhealthy");
    assert_eq!(lost(&case, A, NOW.saturating_add(10)), "lost:drained");
    case.edit(|edit| edit.health(id(A), Health::Healthy));
    assert_eq!(case.label(Some(&case.pinned())), "kept");
}

#[test]
fn labels_of_sessions_that_are_lent_or_given_up() {
    let case = case(FailoverMode::Temporary);
    let attempt = case.route(Some(&case.pinned()), NOW).unwrap();
    let attempt = case.failover(attempt).unwrap();
    assert_eq!(attempt.outcome().label(), "lent:connect_failed");
    assert_eq!(case.failover(attempt).unwrap_err().outcome().label(), "gave_up");
    assert_eq!(case.route(None, NOW).unwrap().give_up().outcome().label(), "gave_up");
}

#[test]
fn labels_of_sessions_whose_endpoint_is_full() {
    for (mode, label) in [
        (FailoverMode::None, "kept"),
        (FailoverMode::Temporary, "lent:full"),
        (FailoverMode::Sticky, "moved:full"),
    ] {
        let affinity = Affinity::new(cookie_policy()).with_failover_mode(mode).unwrap();
        let pool = Pool::new("eu")
            .with_endpoint(Endpoint::new(A, A))
            .with_endpoint(Endpoint::new(B, B))
            .with_room(Room::full_when(|name| *name == A));
        let pools = Pools::builder().pool(pool).build().unwrap();
        let mut headers = HeaderMap::new();
        let cookie = format!("__cflb={}", case(mode).pinned());
        headers.insert(COOKIE, HeaderValue::from_str(&cookie).unwrap());
        let visit = affinity.recall(&request(&headers), NOW);
        let (attempt, _) = affinity.route(visit, Record::Absent, &pools, || 0).unwrap();
        assert_eq!(attempt.outcome().label(), label);
    }
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
        let _ = case.failover(attempt);
        assert_eq!(case.label(Some(&case.pinned())), label);
    }
    let mut case = case(FailoverMode::None);
    let shedding =
        LoadShedding { session_percent: Percent::new(100).unwrap(), ..LoadShedding::default() };
    let eu = Pool::new("eu").with_shedding(shedding).with_endpoint(Endpoint::new(A, ()));
    let us = Pool::new("us").with_endpoint(Endpoint::new("us-1", ()));
    case.pools = Pools::builder().pool(eu).pool(us).build().unwrap();
    assert_eq!(case.label(Some(&case.pinned())), "moved:shed");
}
