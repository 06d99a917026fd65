//! Affinity by the application's own session cookie: an endpoint sets `JSESSIONID` in a response,
//! and `LearnedPolicy` pins the session to it. In HAProxy: `stick store-response
//! res.cook(JSESSIONID)` and `stick on req.cook(JSESSIONID)`, formerly `appsession`; in nginx
//! `sticky learn`.
//!
//! `cargo run --example learn_app_session` prints:
//!
//! ```text
//! theme=dark                   eu-2  created:no_cookie  JSESSIONID=4711; Path=/; HttpOnly
//! theme=dark; JSESSIONID=4711  eu-2  kept
//! theme=dark; JSESSIONID=4711  eu-2  kept               JSESSIONID=4712; Path=/; HttpOnly
//! theme=dark; JSESSIONID=4712  eu-2  kept
//! JSESSIONID=made-up           eu-1  created:no_record  JSESSIONID=4713; Path=/; HttpOnly
//! JSESSIONID=4713              eu-1  kept               JSESSIONID=; Max-Age=0
//! JSESSIONID=4713              eu-1  created:no_record
//! ```

use std::error::Error;

use http::Response;
use http::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use session_affinity::cookies::CookieName;
use session_affinity::policy::LearnedPolicy;
use session_affinity::*;

/// For examples alone. Draw your own by `openssl rand -base64 32`, and keep it in a vault.
const EXAMPLE_SECRET: &str = "b25seSBmb3IgZXhhbXBsZXM6IGRyYXcgeW91ciBvd24=";

fn main() -> Result<(), Box<dyn Error>> {
    let shop = LoadBalancer::new("shop.example.com")?;
    let secret = Secret::from_base64(EXAMPLE_SECRET)?;
    let policy = LearnedPolicy::new(&shop, &secret, CookieName::new("JSESSIONID")?);
    let affinity = Affinity::new(policy);
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
        ("JSESSIONID=4713", "JSESSIONID=; Max-Age=0"),
        ("JSESSIONID=4713", ""),
    ];
    for ((cookies, set_cookie), minute) in steps.into_iter().zip(0..) {
        let now = UnixTime::from_secs(1_800_014_400 + minute * 60);
        let headers = HeaderMap::from_iter([(COOKIE, cookies.parse()?)]);
        let visit = affinity.recall(&RequestMeta::new(&headers, Scheme::Https), now);
        let record = store.record(visit.lookup());
        // A proxy passes `session_affinity::entropy`. With 4, every run prints the same.
        let (attempt, name) = affinity.route(visit, record, &pools, || 4)?;
        let outcome = attempt.outcome().label();
        println!("{}", format!("{cookies:<29}{name:<6}{outcome:<19}{set_cookie}").trim_end());
        // The endpoint has answered: the policy sees its response.
        let mut response = Response::new(());
        response.headers_mut().insert(SET_COOKIE, HeaderValue::from_static(set_cookie));
        let settlement = affinity.settle_response(attempt, &pools, &response);
        store.commit(settlement.apply(&mut response))?;
    }
    Ok(())
}
