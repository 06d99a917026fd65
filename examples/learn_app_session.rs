//! Sticking by the application's own session cookie: an endpoint sets `JSESSIONID` in a response, and the
//! session is learned from there. HAProxy does this by `stick store-response res.cook(JSESSIONID)` and
//! `stick on req.cook(JSESSIONID)`, and once did by `appsession`.
//!
//! `HeaderPolicy` with the entry `cookie:JSESSIONID` finds sessions; `HeaderPolicy::session_key` says under
//! which key the next request will look, and a `StoreWrite::Create` puts the endpoint there.
//!
//! `cargo run --example learn_app_session` prints:
//!
//! ```text
//! theme=dark                   eu-1  created:no_cookie  JSESSIONID=4711; Path=/; HttpOnly
//! theme=dark; JSESSIONID=4711  eu-1  kept
//! theme=dark; JSESSIONID=4711  eu-1  kept               JSESSIONID=4712; Path=/; HttpOnly
//! theme=dark; JSESSIONID=4712  eu-1  kept
//! JSESSIONID=made-up           eu-2  created:no_record  JSESSIONID=4713; Path=/; HttpOnly
//! JSESSIONID=4713              eu-2  kept
//! ```

use std::error::Error;

use http::HeaderMap;
use http::header::{COOKIE, HeaderValue, SET_COOKIE};
use session_affinity::*;

/// The policy `header`, but a request without the cookie counts as a new session, not as one that can
/// have none: the response may begin it, and a drain has to know.
#[derive(Clone)]
struct AppSession(HeaderPolicy);

impl AffinityPolicy for AppSession {
    fn recall(&self, request: &RequestMeta<'_>, now: UnixTime) -> Recall {
        match self.0.recall(request, now) {
            Recall { claim: Claim::Unbound, seed } => Recall { claim: Claim::New(None), seed },
            found => found,
        }
    }

    fn remember(&self, served: &Served) -> Settlement {
        self.0.remember(served)
    }

    fn supports(&self, mode: FailoverMode) -> bool {
        self.0.supports(mode)
    }

    fn life(&self) -> Option<Life> {
        self.0.life()
    }
}

impl AppSession {
    /// The key of the session that the next request will have, if this response begins one.
    fn begun_by(&self, response: &HeaderMap) -> Option<SessionKey> {
        response.get_all(SET_COOKIE).iter().find_map(|line| {
            let cookie = line.as_bytes().split(|byte| *byte == b';').next()?;
            let headers = HeaderMap::from_iter([(COOKIE, HeaderValue::from_bytes(cookie).ok()?)]);
            // Other cookies make no key.
            self.0.session_key(&RequestMeta {
                headers: &headers,
                client_ip: None,
                scheme: Scheme::Https,
            })
        })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (shop, secret, ttl) =
        (Name::new("shop.example.com")?, Secret::new([5; 32])?, IdleTtl::new(1_800)?);
    let header = HeaderPolicy::new(
        &shop,
        &secret,
        &["cookie:JSESSIONID"],
        Require::Any,
        CookieName::default(),
    )?;
    let policy = AppSession(header.with_ttl(ttl));
    let affinity = Affinity::new(&shop, policy.clone());
    let store = MemoryStore::new(100_000)?;
    let names = ["eu-1", "eu-2", "eu-3"];
    let eu = names
        .into_iter()
        .fold(Pool::new("eu"), |pool, name| pool.endpoint(Endpoint::new(name, name)));
    let pools = Pools::builder().pool(eu).build()?;

    // What the client sends, and what the application sets: another one at login, say.
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
        let visit = affinity.recall(
            &RequestMeta { headers: &headers, client_ip: None, scheme: Scheme::Https },
            now,
        );
        let record = store.record(&visit);
        let attempt = affinity.route(visit, record, &pools, || 4)?; // your random bits
        let (endpoint, outcome) = (attempt.endpoint(), attempt.outcome().label());
        let name = pools.target(endpoint).ok_or("not in the snapshot")?;
        println!("{}", format!("{cookies:<29}{name:<6}{outcome:<19}{set_cookie}").trim_end());
        // It has answered: first what is known of the session, then what is learned.
        let response = HeaderMap::from_iter([(SET_COOKIE, HeaderValue::from_static(set_cookie))]);
        store.settle(&affinity.settle(attempt, &pools))?;
        if let Some(key) = policy.begun_by(&response) {
            store.save(&StoreWrite::Create { key, endpoint, ttl: ttl.get(), now })?;
        }
    }
    Ok(())
}
