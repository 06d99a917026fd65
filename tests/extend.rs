//! A third party writes its own policy, steering and store, with public items alone.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use session_affinity::carrier::Carrier;
use session_affinity::cookies::CookieName;
use session_affinity::limits::CoolingOff;
use session_affinity::outcome::Created;
use session_affinity::policy::{ChoiceSeed, Claim, Forgotten, Life, Recall, Served, Transition};
use session_affinity::steering::{Candidate, Candidates, Seed, Seeding, Steering};
use session_affinity::store::{Lookup, SessionKey, WriteKind};
use session_affinity::token::Pin;
use session_affinity::*;

mod support;
use support::{NOW, header, pools, request, shop};

/// Remembers the endpoint in a bare cookie, as an old proxy did.
struct BareCookie {
    load_balancer: LoadBalancer,
    carrier: Carrier,
    /// The seconds for which a session is left to live at each request.
    left: u64,
}

impl BareCookie {
    fn new() -> Self {
        Self::with(3_600)
    }

    fn with(left: u64) -> Self {
        let name = CookieName::new("SERVERID").unwrap();
        Self { load_balancer: shop(), carrier: name.into(), left }
    }
}

impl AffinityPolicy for BareCookie {
    fn load_balancer(&self) -> &LoadBalancer {
        &self.load_balancer
    }

    fn read(&self, request: &RequestMeta<'_>, now: UnixTime) -> Recall {
        let name = self.carrier.cookie_name().unwrap();
        let named = name.values(request.headers).find_map(|value| {
            let endpoint = EndpointId::new("eu", std::str::from_utf8(value).ok()?);
            let expires = now.saturating_add(self.left);
            Some(Pin { endpoint, issued: now.saturating_sub(60), expires })
        });
        let claim = named.map_or(Claim::New(None), Claim::Carried);
        Recall { claim, seed: ChoiceSeed::Fixed(7) }
    }

    fn remember(&self, served: &Served<'_>) -> Settlement {
        match served.transition {
            Transition::Kept(_) | Transition::Lent { .. } => Settlement::nothing(),
            Transition::Created { endpoint } | Transition::Moved { endpoint, .. } => {
                Settlement::cookie(HeaderValue::from_str(&format!("SERVERID={endpoint}")).unwrap())
            }
        }
    }

    fn forget(&self, _: &Forgotten<'_>) -> Settlement {
        Settlement::cookie(HeaderValue::from_static("SERVERID=; Max-Age=0"))
    }

    fn carrier(&self) -> Option<&Carrier> {
        Some(&self.carrier)
    }

    fn life(&self) -> Life {
        Life::Unknown
    }

    fn supports(&self, mode: FailoverMode) -> bool {
        mode == FailoverMode::None
    }
}

#[test]
fn a_policy_of_ones_own_goes_through_the_four_verbs() {
    let affinity = Affinity::new(BareCookie::new());
    let pools = pools(&["eu-1", "eu-2"]);
    let mut headers = HeaderMap::new();
    let visit = affinity.recall(&request(&headers), NOW);
    let (attempt, _) = affinity.route(visit, Record::Absent, &pools, || 0).unwrap();
    assert_eq!(attempt.outcome(), Outcome::Created(Created::NoCookie));
    assert!(affinity.settle(attempt, &pools).set_cookie().is_some());
    headers.insert(COOKIE, HeaderValue::from_static("SERVERID=eu-2"));
    let visit = affinity.recall(&request(&headers), NOW);
    let (attempt, target) = affinity.route(visit, Record::Absent, &pools, || 0).unwrap();
    assert_eq!((attempt.outcome(), target), (Outcome::Kept, &"eu-2"));
    assert_eq!(pools.target(attempt.endpoint()), Some(target));
}

/// A policy that is late with its expiry does not keep a session alive.
#[test]
fn a_pin_that_has_expired_makes_a_new_session() {
    let pools = pools(&["eu-1"]);
    let mut headers = HeaderMap::new();
    headers.insert(COOKIE, HeaderValue::from_static("SERVERID=eu-1"));
    for (left, label) in [(1, "kept"), (0, "created:expired")] {
        let affinity = Affinity::new(BareCookie::with(left));
        let visit = affinity.recall(&request(&headers), NOW);
        let (attempt, _) = affinity.route(visit, Record::Absent, &pools, || 0).unwrap();
        assert_eq!(attempt.outcome().label(), label);
    }
}

/// manual::choosing, The failover mode: "A policy is asked once whether it supports a mode, when
/// the affinity is made".
#[test]
fn a_policy_refuses_a_failover_mode_when_the_affinity_is_made() {
    let affinity = Affinity::new(BareCookie::new());
    let refused = affinity.with_failover_mode(FailoverMode::Sticky).unwrap_err();
    assert_eq!(refused.mode, FailoverMode::Sticky);
    assert_eq!(
        refused.to_string(),
        "the failover mode is sticky; allowed: a mode that the policy supports"
    );
}

#[test]
fn policies_are_object_safe_and_can_be_pointed_to() {
    fn is_policy(_: impl AffinityPolicy) {}
    let policy = BareCookie::new();
    is_policy(&policy);
    is_policy(policy);
    is_policy(Box::new(BareCookie::new()));
    is_policy(Arc::new(BareCookie::new()));
    let boxed: Box<dyn AffinityPolicy> = Box::new(BareCookie::new());
    is_policy(&boxed);
    assert!(Affinity::new(boxed).with_failover_mode(FailoverMode::Temporary).is_err());
}

/// A policy is tested without an affinity: it is told of sessions that no request has had.
#[test]
fn what_a_policy_remembers_can_be_tested_by_itself() {
    let (from, endpoint) = (EndpointId::new("eu", "eu-1"), EndpointId::new("eu", "eu-2"));
    let pin = Pin { endpoint: from, issued: NOW, expires: NOW.saturating_add(60) };
    let created = Served::new(Transition::Created { endpoint }, Scheme::Https, NOW);
    assert_eq!((created.session_key, created.record), (None, Record::Absent));
    let kept = created.with_transition(Transition::Kept(pin));
    let policy = BareCookie::new();
    let line = format!("SERVERID={endpoint}");
    assert_eq!(policy.remember(&created).set_cookie().cloned().unwrap(), line.as_str());
    assert_eq!(policy.remember(&kept), Settlement::nothing());

    let policy = header();
    assert_eq!(policy.remember(&created), Settlement::nothing(), "no key");
    let key = SessionKey([7; 16]);
    let kind = |served: Served<'_>| policy.remember(&served).store_write.map(|write| write.kind);
    assert_eq!(kind(created.with_session(&key, Record::Absent)), Some(WriteKind::Create(endpoint)));
    let unreadable = created.with_session(&key, Record::Unreadable);
    assert_eq!(kind(unreadable), Some(WriteKind::Replace(endpoint)));
    let found = Record::Found { endpoint: from, issued: NOW };
    assert_eq!(kind(kept.with_session(&key, found)), Some(WriteKind::Touch));
}

/// Chooses the endpoint with the lowest count, which is the embedder's own value.
struct Idlest;

impl Steering<u32> for Idlest {
    fn choose<'a>(
        &self,
        candidates: &Candidates<'a, u32>,
        seed: Seed,
    ) -> Option<Candidate<'a, u32>> {
        assert_eq!(seed, Seed::Entropy(42));
        assert_eq!(candidates.pool(), "eu");
        candidates.iter().min_by_key(|candidate| *candidate.target())
    }
}

/// Notes what it was shown.
#[derive(Clone, Default)]
struct Witness(Arc<Mutex<Vec<String>>>);

impl Steering<u32> for Witness {
    fn choose<'a>(&self, candidates: &Candidates<'a, u32>, _: Seed) -> Option<Candidate<'a, u32>> {
        let shown = candidates
            .iter()
            .map(|it| format!("{} {} {} {}", it.name(), it.id(), it.weight().get(), it.target()));
        self.0.lock().unwrap().extend(shown);
        None
    }
}

#[test]
fn a_steering_is_shown_what_the_embedder_said_of_each_candidate() {
    let witness = Witness::default();
    let pool = Pool::new("eu")
        .with_steering(witness.clone())
        .with_endpoint(Endpoint::new("eu-1", 11).with_weight(Weight::new(7).unwrap()))
        .with_endpoint(Endpoint::new("eu-2", 22).with_weight(Weight::ZERO))
        .with_endpoint(Endpoint::new("eu-3", 33));
    let pools = Pools::builder().pool(pool).build().unwrap();
    let (affinity, headers) = (Affinity::new(NoAffinity::new(&shop())), HeaderMap::new());
    let visit = affinity.recall(&request(&headers), NOW);
    assert!(affinity.route(visit, Record::Absent, &pools, || 0).is_ok());
    let id = |name| EndpointId::new("eu", name);
    assert_eq!(
        *witness.0.lock().unwrap(),
        [format!("eu-1 {} 7 11", id("eu-1")), format!("eu-3 {} 100 33", id("eu-3"))]
    );
}

#[test]
fn a_steering_of_ones_own_makes_the_first_choice_and_the_next() {
    let pool = Pool::new("eu")
        .with_endpoint(Endpoint::new("busy", 9))
        .with_endpoint(Endpoint::new("idle", 1))
        .with_endpoint(Endpoint::new("middling", 5))
        .with_steering(Idlest);
    let pools = Pools::builder().pool(pool).build().unwrap();
    let affinity = Affinity::new(support::cookie_policy());
    let headers = HeaderMap::new();
    let visit = affinity.recall(&request(&headers), NOW);
    let (attempt, target) = affinity.route(visit, Record::Absent, &pools, || 42).unwrap();
    assert_eq!((target, pools.target(attempt.endpoint())), (&1, Some(&1)));
    let (attempt, target) = affinity.failover(attempt, &pools).unwrap();
    assert_eq!((target, pools.target(attempt.endpoint())), (&5, Some(&5)));
}

/// Has no opinion.
struct Undecided;

impl<T> Steering<T> for Undecided {
    fn choose<'a>(&self, _: &Candidates<'a, T>, _: Seed) -> Option<Candidate<'a, T>> {
        None
    }

    fn seeding(&self) -> Seeding {
        Seeding::ClientIp
    }
}

#[test]
fn a_steering_without_an_opinion_leaves_the_choice_to_weights_and_seed() {
    let endpoints = |steered: bool| {
        let pool = Pool::new("eu")
            .with_endpoint(Endpoint::new("a", ()))
            .with_endpoint(Endpoint::new("b", ()));
        let pool = if steered {
            pool.with_steering(Undecided)
        } else {
            pool.with_steering(steering::IpHash)
        };
        Pools::builder().pool(pool).build().unwrap()
    };
    let affinity = Affinity::new(NoAffinity::new(&shop()));
    let headers = HeaderMap::new();
    for host in 0..50 {
        let client_ip = IpAddr::from([192, 0, 2, host]);
        let request = request(&headers).with_client_ip(client_ip);
        let choose = |pools: &Pools<()>| {
            let no_entropy = || -> u64 { panic!("the address seeds the choice") };
            let visit = affinity.recall(&request, NOW);
            affinity.route(visit, Record::Absent, pools, no_entropy).unwrap().0.endpoint()
        };
        assert_eq!(choose(&endpoints(true)), choose(&endpoints(false)));
    }
}

/// Expects a candidate.
struct NeverEmpty;

impl<T> Steering<T> for NeverEmpty {
    fn choose<'a>(&self, candidates: &Candidates<'a, T>, _: Seed) -> Option<Candidate<'a, T>> {
        Some(candidates.iter().next().expect("a candidate"))
    }
}

#[test]
fn without_a_candidate_no_steering_is_asked_and_no_number_drawn() {
    let pool = |name: &str, weight: u64| {
        let endpoint = Endpoint::new("a", ()).with_weight(Weight::new(weight).unwrap());
        Pool::new(name).with_endpoint(endpoint).with_steering(NeverEmpty)
    };
    let headers = HeaderMap::new();
    for cooling_off in [0, 60] {
        let affinity = Affinity::new(support::cookie_policy())
            .with_cooling_off(CoolingOff::new(cooling_off).unwrap());
        let visit = || affinity.recall(&request(&headers), NOW);
        let pools = Pools::builder().pool(pool("eu", 100)).build().unwrap();
        // The only endpoint was tried.
        let (attempt, _) = affinity.route(visit(), Record::Absent, &pools, || 4).unwrap();
        assert!(affinity.failover(attempt, &pools).is_err());
        // The only endpoint is suspect where there is a cooling off: it is chosen among suspects.
        assert!(affinity.route(visit(), Record::Absent, &pools, || 4).is_ok());
        // The fallback pool has only an endpoint of weight 0.
        let pools = Pools::builder().pool(pool("eu", 0)).fallback_in_order("eu").build().unwrap();
        let no_entropy = || -> u64 { panic!("there is no candidate") };
        assert!(affinity.route(visit(), Record::Absent, &pools, no_entropy).is_err());
    }
}

/// Keeps records in a map; fails when `broken` is set.
#[derive(Default)]
struct Map {
    rows: Mutex<HashMap<SessionKey, Pin>>,
    broken: bool,
}

#[derive(Debug)]
struct Broken;

impl SessionStore for Map {
    type Error = Broken;

    fn load(&self, lookup: &Lookup) -> Result<Record, Broken> {
        if self.broken {
            return Err(Broken);
        }
        Ok(match self.rows.lock().unwrap().get(&lookup.key) {
            Some(row) if row.expires > lookup.now => {
                Record::Found { endpoint: row.endpoint, issued: row.issued }
            }
            _ => Record::Absent,
        })
    }

    fn save(&self, write: &StoreWrite) -> Result<(), Broken> {
        let StoreWrite { key, ttl, now, kind } = *write;
        let expires = now.saturating_add(ttl.get());
        let mut rows = self.rows.lock().unwrap();
        let row = rows.entry(key);
        match kind {
            WriteKind::Touch => drop(row.and_modify(|row| row.expires = expires)),
            WriteKind::Remove => drop(rows.remove(&key)),
            WriteKind::Create(endpoint) => {
                row.or_insert(Pin { endpoint, issued: now, expires });
            }
            WriteKind::Replace(endpoint) => {
                row.insert_entry(Pin { endpoint, issued: now, expires });
            }
        }
        Ok(())
    }
}

#[test]
fn a_store_of_ones_own_remembers_and_one_that_fails_is_out_of_reach() {
    let affinity = Affinity::new(header());
    let pools = pools(&["eu-1", "eu-2"]);
    let mut store = Map::default();
    let mut headers = HeaderMap::new();
    headers.insert("x-user", HeaderValue::from_static("alice"));
    let visit = |store: &Map| {
        let visit = affinity.recall(&request(&headers), NOW);
        let record = store.record(visit.lookup());
        affinity.route(visit, record, &pools, || 0).unwrap().0
    };
    let first = visit(&store);
    assert_eq!(first.outcome().label(), "created:no_record");
    let endpoint = first.endpoint();
    let write = affinity.settle(first, &pools).apply(&mut http::Response::new(()));
    store.commit(write).unwrap();
    let second = visit(&store);
    assert_eq!((second.outcome(), second.endpoint()), (Outcome::Kept, endpoint));
    store.broken = true;
    let third = visit(&store);
    assert_eq!(third.outcome().label(), "created:store_unreachable");
    // manual::gateways, When a shared store is needed: "With the store out of reach a request is
    // served all the same, where its key points".
    assert_eq!(third.endpoint(), endpoint);
}

#[test]
fn a_store_is_not_asked_about_a_cookie() {
    let store = Map { broken: true, ..Map::default() };
    let affinity = Affinity::new(support::cookie_policy());
    let headers = HeaderMap::new();
    let visit = affinity.recall(&request(&headers), NOW);
    assert_eq!(visit.lookup(), None);
    assert_eq!(store.record(visit.lookup()), Record::Absent);
}

/// A store that does not drop a record in time keeps the session: a record carries no end.
#[test]
fn a_record_is_live_when_the_store_returns_it() {
    let (affinity, pools) = (Affinity::new(header()), pools(&["eu-1"]));
    let mut headers = HeaderMap::new();
    headers.insert("x-user", HeaderValue::from_static("ann"));
    for age in [0, 60, 1_800, 1_000_000] {
        let endpoint = EndpointId::new("eu", "eu-1");
        let record = Record::Found { endpoint, issued: NOW.saturating_sub(age) };
        let visit = affinity.recall(&request(&headers), NOW);
        let (attempt, _) = affinity.route(visit, record, &pools, || 0).unwrap();
        assert_eq!(attempt.outcome().label(), "kept", "{age} seconds old");
    }
}
