//! One session from its first request to the next day: the calls of a proxy for each request
//! (`Affinity::recall`, `route`, `settle`, `Settlement::apply`), and the cookies of the client.
//!
//! `cargo run --example quickstart` prints:
//!
//! ```text
//! A first request, at noon:
//!   10.0.0.2:80 serves it: created:no_cookie
//!   Set-Cookie: __cflb=AQEFHmXORuHpyQBrSgpAAGtLTbC_fiHwbP1qzxb7t3wmAAv0;
//!               Path=/; Expires=Sat, 16 Jan 2027 11:00:00 GMT; Max-Age=82800; HttpOnly; Secure; SameSite=None
//! A minute later the cookie comes back:
//!   10.0.0.2:80 serves it: kept
//! Its endpoint is unhealthy:
//!   10.0.0.1:80 serves it: moved:unhealthy
//!   Set-Cookie: __cflb=AQHZd9rnmyxoxgBrSgq4AGtLTigpCkpfRGMBpNycp_xj_4Rb;
//!               Path=/; Expires=Sat, 16 Jan 2027 11:02:00 GMT; Max-Age=82800; HttpOnly; Secure; SameSite=None
//! The next day the session is over:
//!   10.0.0.1:80 serves it: created:expired
//!   Set-Cookie: __cflb=AQFon30WT0gmaQBrS1vAAGtMnzBIjOKSrZBdA88nEiUUrPuk;
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

/// For examples alone. Draw your own by `openssl rand -base64 32`, and keep it in a vault.
const EXAMPLE_SECRET: &str = "b25seSBmb3IgZXhhbXBsZXM6IGRyYXcgeW91ciBvd24=";

/// Friday, 15 January 2027, 12:00 UTC.
const NOON: UnixTime = UnixTime::from_secs(1_800_014_400);

fn main() -> Result<(), Box<dyn Error>> {
    // Once, at the start: a key, a configuration under Cloudflare's names, and the endpoints.
    let keyring = Keyring::from(Key::new(1, Secret::from_base64(EXAMPLE_SECRET)?));
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
    // A proxy passes `session_affinity::entropy`. With a fixed number, every run prints the same.
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
