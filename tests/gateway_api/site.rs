//! A gateway with the rules of a route, as an implementation would build it, and its clients.

use std::collections::BTreeMap;

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};
use serde_json::Value;
use session_affinity::config::gateway_api::SessionPersistence;
use session_affinity::limits::DrainDuration;
use session_affinity::steering::Random as ByWeight;
use session_affinity::*;

use crate::support::{Chance, Random, keyring};

/// A backendRef: the Service, its weight, its pods.
pub type Backend<'a> = (&'a str, u64, &'a [&'static str]);

/// A rule of a route: a load balancer, an affinity and a snapshot of its own.
pub struct Rule {
    path: &'static str,
    affinity: Affinity<CookiePolicy>,
    pub pools: Pools<&'static str>,
}

impl Rule {
    /// The rule for this path or gRPC method. A `sessionPersistence` that is accepted is the
    /// condition `Accepted=True` of the route.
    #[track_caller]
    pub fn new(path: &'static str, persistence: Value, backends: &[Backend<'_>]) -> Self {
        Self::of(path, &read(persistence), backends)
    }

    #[track_caller]
    pub fn of(
        path: &'static str,
        persistence: &SessionPersistence,
        backends: &[Backend<'_>],
    ) -> Self {
        let policy = persistence.policy(&name(path), &keyring()).expect("Accepted=True");
        let affinity = Affinity::new(policy).with_drain_duration(DrainDuration::new(600).unwrap());
        let builder = backends.iter().fold(Pools::builder(), |builder, (service, weight, pods)| {
            let pods = pods.iter().map(|pod| Endpoint::new(*pod, *pod));
            let weight = Weight::new(*weight).unwrap();
            builder.pool(Pool::new(*service).with_weight(weight).with_endpoints(pods))
        });
        Self { path, affinity, pools: builder.with_pool_steering(ByWeight).build().unwrap() }
    }

    /// Gives the Services these weights.
    pub fn reweigh(&mut self, weights: &[(&str, u64)]) {
        let edited = self.pools.edited(|edit| {
            weights.iter().try_for_each(|(service, weight)| {
                edit.pool_weight(service, Weight::new(*weight).unwrap())
            })
        });
        self.pools = edited.unwrap();
    }
}

/// The name of the load balancer that stands for a rule.
pub fn name(path: &str) -> LoadBalancer {
    LoadBalancer::new(format!("default/route:{path}")).unwrap()
}

#[track_caller]
pub fn read(persistence: Value) -> SessionPersistence {
    serde_json::from_value(persistence).expect("a sessionPersistence")
}

pub struct Gateway {
    pub rules: Vec<Rule>,
    random: Random,
}

/// The answer to a request.
#[derive(Debug)]
pub struct Answer {
    pub pod: &'static str,
    pub label: &'static str,
    pub headers: HeaderMap,
}

impl Answer {
    /// The one `Set-Cookie` line.
    #[track_caller]
    pub fn set_cookie(&self) -> &str {
        let mut lines = self.headers.get_all(SET_COOKIE).iter();
        let line = lines.next().expect("a Set-Cookie").to_str().unwrap();
        assert_eq!(lines.next(), None);
        line
    }

    /// The attributes of the cookie, without their values.
    #[track_caller]
    pub fn attributes(&self) -> Vec<&str> {
        let parts = self.set_cookie().split("; ").skip(1);
        parts.map(|part| part.split('=').next().unwrap()).collect()
    }
}

impl Gateway {
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Self {
        Self { rules: rules.into_iter().collect(), random: Random(1_619) }
    }

    /// Serves one request: route matching first, then the session of that rule.
    #[track_caller]
    pub fn send(&mut self, path: &str, client: &Client, now: UnixTime) -> Answer {
        let rule = self.rules.iter().find(|rule| rule.path == path).expect("a rule");
        let headers = client.headers();
        let visit = rule.affinity.recall(&RequestMeta::new(&headers, Scheme::Http), now);
        let entropy = || self.random.next();
        let routed = rule.affinity.route(visit, Record::Absent, &rule.pools, entropy);
        let (attempt, pod) = routed.unwrap();
        let label = attempt.outcome().label();
        let mut response = http::Response::new(());
        let write = rule.affinity.settle(attempt, &rule.pools).apply(&mut response);
        assert!(write.is_none());
        Answer { pod, label, headers: response.into_parts().0.headers }
    }

    /// Returns whether there is no endpoint for a request.
    pub fn refuses(&self, path: &str, client: &Client, now: UnixTime) -> bool {
        let rule = self.rules.iter().find(|rule| rule.path == path).expect("a rule");
        let headers = client.headers();
        let visit = rule.affinity.recall(&RequestMeta::new(&headers, Scheme::Http), now);
        let routed = rule.affinity.route(visit, Record::Absent, &rule.pools, || 0);
        matches!(routed, Err(NoRoute::NoEndpoint { .. }))
    }

    /// Serves a request, and lets the client take what it is given.
    #[track_caller]
    pub fn visit(&mut self, path: &str, client: &mut Client, now: UnixTime) -> Answer {
        let answer = self.send(path, client, now);
        client.take(&answer);
        answer
    }

    /// Asserts that so many further requests reach this pod and change nothing in the client.
    #[track_caller]
    pub fn stays(
        &mut self,
        requests: usize,
        path: &str,
        client: &Client,
        pod: &str,
        now: UnixTime,
    ) {
        for _ in 0..requests {
            let answer = self.send(path, client, now);
            assert_eq!((answer.pod, answer.label), (pod, "kept"), "{path}");
            assert_eq!(answer.headers, HeaderMap::new());
        }
    }
}

/// A client with a jar that sends its cookies to all paths, and metadata that it sends back.
#[derive(Clone, Debug, Default)]
pub struct Client {
    pub cookies: BTreeMap<String, String>,
    /// The one header that the client repeats.
    repeats: Option<(&'static str, Option<HeaderValue>)>,
}

impl Client {
    /// A client that repeats the newest value of this header.
    pub fn repeating(header: &'static str) -> Self {
        Self { repeats: Some((header, None)), ..Self::default() }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let pairs = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        let pairs = pairs.collect::<Vec<_>>().join("; ");
        if !pairs.is_empty() {
            headers.insert(COOKIE, pairs.try_into().unwrap());
        }
        if let Some((name, Some(value))) = &self.repeats {
            headers.insert(*name, value.clone());
        }
        headers
    }

    fn take(&mut self, answer: &Answer) {
        for line in answer.headers.get_all(SET_COOKIE) {
            let pair = line.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.insert(name.into(), value.into());
        }
        if let Some((name, kept)) = &mut self.repeats
            && let Some(value) = answer.headers.get(*name)
        {
            *kept = Some(value.clone());
        }
    }
}
