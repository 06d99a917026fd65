//! One session from its first request to the next day: the calls of a proxy for each request
//! (`Affinity::recall`, `route`, `settle`, `Settlement::apply`), and the cookies of the client.
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
    // Once, at the start: a key, a configuration under Cloudflare's names, and the endpoints.
    let keyring = Keyring::from(Key::new(1, Secret::new(b"32 bytes or more from your vault")?));
    let config =
        Config { session_affinity: SessionAffinity::Cookie, ..Config::new("shop.example.com") };
    let affinity = Affinity::from_config(&config, &keyring)?;
    let eu = Pool::new("eu")
        .with_endpoint(Endpoint::new("eu-1", "10.0.0.1:80"))
        .with_endpoint(Endpoint::new("eu-2", "10.0.0.2:80"));
    let pools = Pools::builder().pool(eu).build()?;

    // The headers of the browser's next request.
    let mut browser = HeaderMap::new();
    println!("A first request, at noon:");
    serve(&affinity, &pools, &mut browser, NOON)?;
    println!("A minute later the cookie comes back:");
    serve(&affinity, &pools, &mut browser, NOON.saturating_add(60))?;

    // A health check has failed: the next snapshot says so.
    let eu_2 = EndpointId::new("eu", "eu-2");
    let pools = pools.edited(|edit| edit.health(eu_2, Health::Unhealthy))?;
    println!("Its endpoint is unhealthy:");
    serve(&affinity, &pools, &mut browser, NOON.saturating_add(120))?;
    println!("The next day the session is over:");
    serve(&affinity, &pools, &mut browser, NOON.saturating_add(86_400))?;
    Ok(())
}

/// Serves one request, as a proxy does.
fn serve(
    affinity: &Affinity<impl AffinityPolicy>,
    pools: &Pools<&str>,
    browser: &mut HeaderMap,
    now: UnixTime,
) -> Result<(), Box<dyn Error>> {
    let request = RequestMeta::new(browser, Scheme::Https);
    let visit = affinity.recall(&request, now);
    // The closure draws 64 random bits.
    let (attempt, address) = affinity.route(visit, Record::Absent, pools, || 0x5eed)?;
    println!("  {address} serves it: {}", attempt.outcome());

    // Here the proxy connects to the address, sends the request and receives the response.
    let mut response = Response::new("hello");
    let _ = affinity.settle(attempt, pools).apply(&mut response); // no store to write to

    if let Some(line) = response.headers().get(SET_COOKIE) {
        let (cookie, attributes) =
            line.to_str()?.split_once("; ").ok_or("a cookie without attributes")?;
        println!("  Set-Cookie: {cookie};\n              {attributes}");
        browser.insert(COOKIE, cookie.parse()?);
    }
    Ok(())
}
