//! One session from its first request to the next day: what a proxy calls for each request
//! (`Affinity::recall`, `route`, `settle`, `Settlement::apply`), and what the client is told.
//!
//! `cargo run --example quickstart` prints:
//!
//! ```text
//! A first request, at noon:
//!   10.0.0.2:80 serves it: created:no_cookie
//!   Set-Cookie: __cflb=AQED08CdQYYLIABrSgpAAGtLTbDocL6FkaxGhm5SGnFTdcpP;
//!               Path=/; Expires=Sat, 16 Jan 2027 11:00:00 GMT; Max-Age=82800; HttpOnly; Secure; SameSite=None
//! A minute later the cookie comes back:
//!   10.0.0.2:80 serves it: kept
//! Its endpoint is unhealthy:
//!   10.0.0.1:80 serves it: moved:unhealthy
//!   Set-Cookie: __cflb=AQEdp75e7GP--ABrSgq4AGtLTij5DIaGfbvQQCNWRMrGmvJt;
//!               Path=/; Expires=Sat, 16 Jan 2027 11:02:00 GMT; Max-Age=82800; HttpOnly; Secure; SameSite=None
//! The next day the session is over:
//!   10.0.0.1:80 serves it: created:expired
//!   Set-Cookie: __cflb=AQGbA2tY3USO0gBrS1vAAGtMnzB5kfo3r_yqzmdVbtCmvFya;
//!               Path=/; Expires=Sun, 17 Jan 2027 11:00:00 GMT; Max-Age=82800; HttpOnly; Secure; SameSite=None
//! ```

use std::error::Error;

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, Response};
use session_affinity::config::{Config, SessionAffinity};
use session_affinity::{
    Affinity, AffinityPolicy, Endpoint, EndpointId, Health, Key, Keyring, Pool, Pools, Record,
    RequestMeta, Scheme, Secret, UnixTime,
};

/// Friday, 15 January 2027, 12:00 UTC.
const NOON: UnixTime = UnixTime::from_secs(1_800_014_400);

fn main() -> Result<(), Box<dyn Error>> {
    // Once, at the start: a configuration under Cloudflare's names, a key, and where the endpoints are.
    let keyring = Keyring::from(Key::new(1, Secret::new(b"32 bytes or more from your vault")?));
    let config =
        Config { session_affinity: SessionAffinity::Cookie, ..Config::new("shop.example.com") };
    let affinity = Affinity::from_config(&config, &keyring)?;
    let eu = Pool::new("eu")
        .endpoint(Endpoint::new("eu-1", "10.0.0.1:80"))
        .endpoint(Endpoint::new("eu-2", "10.0.0.2:80"));
    let mut pools = Pools::builder().pool(eu).build()?;

    // A browser, as far as this matters: the headers of its next request.
    let mut browser = HeaderMap::new();
    println!("A first request, at noon:");
    serve(&affinity, &pools, &mut browser, NOON)?;
    println!("A minute later the cookie comes back:");
    serve(&affinity, &pools, &mut browser, NOON.saturating_add(60))?;

    // A health check fails: whoever runs it makes the next snapshot.
    let mut edit = pools.edit();
    edit.health(EndpointId::new("eu", "eu-2"), Health::Unhealthy)?;
    pools = edit.build();
    println!("Its endpoint is unhealthy:");
    serve(&affinity, &pools, &mut browser, NOON.saturating_add(120))?;
    println!("The next day the session is over:");
    serve(&affinity, &pools, &mut browser, NOON.saturating_add(86_400))?;
    Ok(())
}

/// What a proxy does with one request.
fn serve(
    affinity: &Affinity<impl AffinityPolicy>,
    pools: &Pools<&str>,
    browser: &mut HeaderMap,
    now: UnixTime,
) -> Result<(), Box<dyn Error>> {
    let request = RequestMeta { headers: browser, client_ip: None, scheme: Scheme::Https };
    let visit = affinity.recall(&request, now);
    let attempt = affinity.route(visit, Record::Absent, pools, || 0x5eed)?; // your random bits
    let address = pools.target(attempt.endpoint()).ok_or("not in the snapshot")?;
    println!("  {address} serves it: {}", attempt.outcome());

    // Here the proxy connects to that address, sends the request and has the answer.
    let mut response = Response::new("hello");
    affinity.settle(attempt, pools).apply(response.headers_mut());

    if let Some(line) = response.headers().get(SET_COOKIE) {
        let (cookie, attributes) =
            line.to_str()?.split_once("; ").ok_or("a cookie without attributes")?;
        println!("  Set-Cookie: {cookie};\n              {attributes}");
        browser.insert(COOKIE, cookie.parse()?);
    }
    Ok(())
}
