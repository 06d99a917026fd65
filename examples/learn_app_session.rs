//! Affinity by the application's own session cookie: an endpoint sets `JSESSIONID` in a response,
//! and the session is learned from it. In HAProxy: `stick store-response res.cook(JSESSIONID)` and
//! `stick on req.cook(JSESSIONID)`, formerly `appsession`.
//!
//! `HeaderPolicy` with the entry `cookie:JSESSIONID` finds sessions. `HeaderPolicy::session_key`
//! computes the key of the next request, and a `StoreWrite` creates a record under it.
//!
//! `cargo run --example learn_app_session` prints:
//!
//! ```text
//! theme=dark                   eu-1  created:no_cookie  JSESSIONID=4711; Path=/; HttpOnly
//! theme=dark; JSESSIONID=4711  eu-1  kept
//! theme=dark; JSESSIONID=4711  eu-1  kept               JSESSIONID=4712; Path=/; HttpOnly
//! theme=dark; JSESSIONID=4712  eu-1  kept
//! JSESSIONID=made-up           eu-1  created:no_record  JSESSIONID=4713; Path=/; HttpOnly
//! JSESSIONID=4713              eu-1  kept
//! ```

use std::error::Error;

use http::Response;
use http::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use session_affinity::carrier::Carrier;
use session_affinity::policy::{Claim, Forgotten, Life, Recall, Served};
use session_affinity::store::{SessionKey, WriteKind};
use session_affinity::*;

/// For examples alone. Draw your own by `openssl rand -base64 32`, and keep it in a vault.
const EXAMPLE_SECRET: &str = "b25seSBmb3IgZXhhbXBsZXM6IGRyYXcgeW91ciBvd24=";

/// The policy `header`, except that a request without the cookie counts as a new session, not as
/// unbound: the response may begin the session, and a drain must know of it.
#[derive(Clone)]
struct AppSession(HeaderPolicy);

impl AffinityPolicy for AppSession {
    fn load_balancer(&self) -> &LoadBalancer {
        self.0.load_balancer()
    }

    fn read(&self, request: &RequestMeta<'_>, now: UnixTime) -> Recall {
        match self.0.read(request, now) {
            Recall { claim: Claim::Unbound, seed } => Recall { claim: Claim::New(None), seed },
            found => found,
        }
    }

    fn remember(&self, served: &Served<'_>) -> Settlement {
        self.0.remember(served)
    }

    fn supports(&self, mode: FailoverMode) -> bool {
        self.0.supports(mode)
    }

    fn forget(&self, forgotten: &Forgotten<'_>) -> Settlement {
        self.0.forget(forgotten)
    }

    fn carrier(&self) -> Option<&Carrier> {
        self.0.carrier()
    }

    fn life(&self) -> Life {
        self.0.life()
    }
}

impl AppSession {
    /// Returns the session key of the client's next request, if this response begins a session.
    fn begun_by(&self, response: &HeaderMap) -> Option<SessionKey> {
        response.get_all(SET_COOKIE).iter().find_map(|line| {
            let cookie = line.as_bytes().split(|byte| *byte == b';').next()?;
            let headers = HeaderMap::from_iter([(COOKIE, HeaderValue::from_bytes(cookie).ok()?)]);
            // The key of another cookie is `None`.
            self.0.session_key(&RequestMeta::new(&headers, Scheme::Https))
        })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let shop = LoadBalancer::new("shop.example.com")?;
    let secret = Secret::from_base64(EXAMPLE_SECRET)?;
    let policy = AppSession(HeaderPolicy::new(&shop, &secret, &["cookie:JSESSIONID"])?);
    let affinity = Affinity::new(policy.clone());
    let store = MemoryStore::new(100_000)?;
    let names = ["eu-1", "eu-2", "eu-3"];
    let eu = Pool::new("eu").with_endpoints(names.map(|name| Endpoint::new(name, name)));
    let pools = Pools::builder().pool(eu).build()?;

    // The cookies of the client, and the cookie that the application sets: a new one at login.
    let steps = [
        ("theme=dark", "JSESSIONID=4711; Path=/; HttpOnly"),
        ("theme=dark; JSESSIONID=4711", ""),
        ("theme=dark; JSESSIONID=4711", "JSESSIONID=4712; Path=/; HttpOnly"),
        ("theme=dark; JSESSIONID=4712", ""),
        ("JSESSIONID=made-up", "JSESSIONID=4713; Path=/; HttpOnly"),
        ("JSESSIONID=4713", ""),
    ];
    for ((cookies, set_cookie), minute) in steps.into_iter().zip(0..) {
        let now = UnixTime::from_secs(1_800_014_400 + minute * 60);
        let headers = HeaderMap::from_iter([(COOKIE, cookies.parse()?)]);
        let visit = affinity.recall(&RequestMeta::new(&headers, Scheme::Https), now);
        let record = store.record(visit.lookup());
        // A proxy passes `session_affinity::entropy`. With 1, every run prints the same.
        let (attempt, name) = affinity.route(visit, record, &pools, || 1)?;
        let (endpoint, outcome) = (attempt.endpoint(), attempt.outcome().label());
        println!("{}", format!("{cookies:<29}{name:<6}{outcome:<19}{set_cookie}").trim_end());
        // The endpoint has answered: settle the request, then learn from the response.
        let mut response = Response::new(());
        response.headers_mut().insert(SET_COOKIE, HeaderValue::from_static(set_cookie));
        store.commit(affinity.settle(attempt, &pools).apply(&mut response))?;
        if let Some(key) = policy.begun_by(response.headers()) {
            let kind = WriteKind::Create(endpoint);
            store.save(&StoreWrite { key, ttl: HeaderPolicy::DEFAULT_TTL, now, kind })?;
        }
    }
    Ok(())
}
