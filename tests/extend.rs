//! A third party writes its own policy, steering and store, with public items alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use session_affinity::steering::{Candidate, Seed, Seeding, Steering};
use session_affinity::*;

mod support;
use support::{NOW, pools, request, shop};

/// Remembers the endpoint in a bare cookie, as an old proxy did.
struct BareCookie;

impl AffinityPolicy for BareCookie {
    fn recall(&self, request: &RequestMeta<'_>, now: UnixTime) -> Recall {
        let name = CookieName::new("SERVERID").unwrap();
        let named = name.values(request.headers).find_map(|value| {
            let endpoint = EndpointId::new("eu", std::str::from_utf8(value).ok()?);
            Some(Pin { endpoint, issued: now, expires: now.saturating_add(3_600) })
        });
        Recall { claim: named.map_or(Claim::New(None), Claim::Carried), seed: Some(7) }
    }

    fn remember(&self, served: &Served) -> Settlement {
        match served.transition {
            Transition::Kept(_) | Transition::Lent { .. } => Settlement::nothing(),
            Transition::Created { endpoint } | Transition::Moved { endpoint, .. } => {
                Settlement::cookie(HeaderValue::from_str(&format!("SERVERID={endpoint}")).unwrap())
            }
        }
    }

    fn supports(&self, mode: FailoverMode) -> bool {
        mode == FailoverMode::None
    }
}

#[test]
fn a_policy_of_ones_own_goes_through_the_four_verbs() {
    let affinity = Affinity::new(&shop(), BareCookie);
    let pools = pools(&["eu-1", "eu-2"]);
    let mut headers = HeaderMap::new();
    let attempt = affinity
        .route(affinity.recall(&request(&headers), NOW), Record::Absent, &pools, || 0)
        .unwrap();
    assert_eq!(attempt.outcome(), Outcome::Created(Created::NoCookie));
    assert!(affinity.settle(attempt, &pools).set_cookie.is_some());
    headers.insert(COOKIE, HeaderValue::from_static("SERVERID=eu-2"));
    let attempt = affinity
        .route(affinity.recall(&request(&headers), NOW), Record::Absent, &pools, || 0)
        .unwrap();
    assert_eq!(
        (attempt.outcome(), pools.target(attempt.endpoint())),
        (Outcome::Kept, Some(&"eu-2"))
    );
}

/// A policy is asked once about a failover mode: when the affinity is made.
#[test]
fn a_policy_refuses_a_failover_mode_when_the_affinity_is_made() {
    let refused =
        Affinity::new(&shop(), BareCookie).with_failover(FailoverMode::Sticky).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "session_affinity_attributes.zero_downtime_failover is Sticky; allowed for this policy: another mode"
    );
}

#[test]
fn policies_are_object_safe_and_can_be_pointed_to() {
    fn is_policy(_: impl AffinityPolicy) {}
    is_policy(&BareCookie);
    is_policy(Box::new(BareCookie));
    is_policy(Arc::new(BareCookie));
    let boxed: Box<dyn AffinityPolicy> = Box::new(BareCookie);
    is_policy(&boxed);
    assert!(Affinity::new(&shop(), boxed).with_failover(FailoverMode::Temporary).is_err());
}

/// Gives the endpoint that the embedder's own count says is idle.
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
        .steering(witness.clone())
        .endpoint(Endpoint { weight: Weight::new(7).unwrap(), ..Endpoint::new("eu-1", 11) })
        .endpoint(Endpoint { weight: Weight::new(0).unwrap(), ..Endpoint::new("eu-2", 22) })
        .endpoint(Endpoint::new("eu-3", 33));
    let pools = Pools::builder().pool(pool).build().unwrap();
    let (affinity, headers) = (Affinity::new(&shop(), NoAffinity), HeaderMap::new());
    let _ = affinity
        .route(affinity.recall(&request(&headers), NOW), Record::Absent, &pools, || 0)
        .unwrap();
    let id = |name| EndpointId::new("eu", name);
    assert_eq!(
        *witness.0.lock().unwrap(),
        [format!("eu-1 {} 7 11", id("eu-1")), format!("eu-3 {} 100 33", id("eu-3"))]
    );
}

#[test]
fn a_steering_of_ones_own_makes_the_first_choice_and_the_next() {
    let pool = Pool::new("eu")
        .endpoint(Endpoint::new("busy", 9))
        .endpoint(Endpoint::new("idle", 1))
        .endpoint(Endpoint::new("middling", 5))
        .steering(Idlest);
    let pools = Pools::builder().pool(pool).build().unwrap();
    let affinity = Affinity::new(&shop(), support::cookie_policy());
    let headers = HeaderMap::new();
    let attempt = affinity
        .route(affinity.recall(&request(&headers), NOW), Record::Absent, &pools, || 42)
        .unwrap();
    assert_eq!(pools.target(attempt.endpoint()), Some(&1));
    let attempt = affinity.failover(attempt, &pools).unwrap();
    assert_eq!(pools.target(attempt.endpoint()), Some(&5));
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
        let pool =
            Pool::new("eu").endpoint(Endpoint::new("a", ())).endpoint(Endpoint::new("b", ()));
        let pool = if steered { pool.steering(Undecided) } else { pool.steering(steering::Hash) };
        Pools::builder().pool(pool).build().unwrap()
    };
    let affinity = Affinity::new(&shop(), NoAffinity);
    let headers = HeaderMap::new();
    for host in 0..50 {
        let request =
            RequestMeta { client_ip: Some([192, 0, 2, host].into()), ..request(&headers) };
        let choose = |pools: &Pools<()>| {
            let no_entropy = || -> u64 { panic!("the address seeds the choice") };
            affinity
                .route(affinity.recall(&request, NOW), Record::Absent, pools, no_entropy)
                .unwrap()
                .endpoint()
        };
        assert_eq!(choose(&endpoints(true)), choose(&endpoints(false)));
    }
}

/// Wants somebody to choose from.
struct NeverEmpty;

impl<T> Steering<T> for NeverEmpty {
    fn choose<'a>(&self, candidates: &Candidates<'a, T>, _: Seed) -> Option<Candidate<'a, T>> {
        Some(candidates.iter().next().expect("a candidate"))
    }
}

#[test]
fn where_nobody_can_be_chosen_no_steering_is_asked_and_no_number_drawn() {
    let pool = |name: &str, weight: u64| {
        let weight = Weight::new(weight).unwrap();
        Pool::new(name).endpoint(Endpoint { weight, ..Endpoint::new("a", ()) }).steering(NeverEmpty)
    };
    let headers = HeaderMap::new();
    for cooling_off in [0, 60] {
        let affinity = Affinity::new(&shop(), support::cookie_policy())
            .with_cooling_off(CoolingOff::new(cooling_off).unwrap());
        let visit = || affinity.recall(&request(&headers), NOW);
        let pools = Pools::builder().pool(pool("eu", 100)).build().unwrap();
        // The only one was tried.
        let attempt = affinity.route(visit(), Record::Absent, &pools, || 4).unwrap();
        assert!(affinity.failover(attempt, &pools).is_err());
        // The only one is suspect, if that is a thing: asked for among the suspects alone.
        assert!(affinity.route(visit(), Record::Absent, &pools, || 4).is_ok());
        // The fallback pool has nobody with a weight.
        let pools = Pools::builder().pool(pool("eu", 0)).fallback("eu").build().unwrap();
        let no_entropy = || -> u64 { panic!("nobody to choose") };
        assert!(affinity.route(visit(), Record::Absent, &pools, no_entropy).is_err());
    }
}

/// Keeps records in a map; breaks down when told to.
#[derive(Default)]
struct Map {
    records: Mutex<HashMap<SessionKey, Pin>>,
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
        Ok(match self.records.lock().unwrap().get(&lookup.key) {
            Some(pin) if pin.expires > lookup.now => Record::Found(*pin),
            _ => Record::Absent,
        })
    }

    fn save(&self, write: &StoreWrite) -> Result<(), Broken> {
        let mut records = self.records.lock().unwrap();
        match *write {
            StoreWrite::Touch { key, ttl, now } => {
                records.entry(key).and_modify(|pin| pin.expires = now.saturating_add(ttl));
            }
            StoreWrite::Create { key, endpoint, ttl, now } => {
                records.entry(key).or_insert(Pin {
                    endpoint,
                    issued: now,
                    expires: now.saturating_add(ttl),
                });
            }
            StoreWrite::Replace { key, endpoint, ttl, now } => {
                records
                    .insert(key, Pin { endpoint, issued: now, expires: now.saturating_add(ttl) });
            }
        }
        Ok(())
    }
}

#[test]
fn a_store_of_ones_own_remembers_and_one_that_fails_is_out_of_reach() {
    let secret = Secret::new([5; 32]).unwrap();
    let policy =
        HeaderPolicy::new(&shop(), &secret, &["x-user"], Require::Any, CookieName::default())
            .unwrap();
    let affinity = Affinity::new(&shop(), policy);
    let pools = pools(&["eu-1", "eu-2"]);
    let mut store = Map::default();
    let mut headers = HeaderMap::new();
    headers.insert("x-user", HeaderValue::from_static("alice"));
    let visit = |store: &Map| {
        let visit = affinity.recall(&request(&headers), NOW);
        let record = store.record(&visit);
        affinity.route(visit, record, &pools, || 0).unwrap()
    };
    let first = visit(&store);
    assert_eq!(first.outcome().label(), "created:no_record");
    let endpoint = first.endpoint();
    store.settle(&affinity.settle(first, &pools)).unwrap();
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
    let affinity = Affinity::new(&shop(), support::cookie_policy());
    let headers = HeaderMap::new();
    let visit = affinity.recall(&request(&headers), NOW);
    assert_eq!(visit.lookup(), None);
    assert_eq!(store.record(&visit), Record::Absent);
}

/// A store that is late with its expiry does not keep a session alive.
#[test]
fn a_record_that_has_ended_begins_a_session_anew() {
    let secret = Secret::new([5; 32]).unwrap();
    let policy =
        HeaderPolicy::new(&shop(), &secret, &["x-user"], Require::Any, CookieName::default())
            .unwrap();
    let (affinity, pools) = (Affinity::new(&shop(), policy), pools(&["eu-1"]));
    let mut headers = HeaderMap::new();
    headers.insert("x-user", HeaderValue::from_static("ann"));
    for (left, label) in [(1, "kept"), (0, "created:expired")] {
        let pin = Pin {
            endpoint: EndpointId::new("eu", "eu-1"),
            issued: NOW.saturating_sub(60),
            expires: NOW.saturating_add(left),
        };
        let visit = affinity.recall(&request(&headers), NOW);
        let attempt = affinity.route(visit, Record::Found(pin), &pools, || 0).unwrap();
        assert_eq!(attempt.outcome().label(), label);
    }
}
