//! A session that lasts as long as it is used. A session of the policy `cookie` ends a fixed time
//! after it began. `SlidingPolicy` renews it by use, with a new cookie once half of its lifetime is
//! over, so that few responses carry one.
//!
//! `cargo run --example sliding_session` prints:
//!
//! ```text
//! minute 0   eu-2  created:no_cookie   a cookie for the next 30 minutes
//! minute 14  eu-2  kept                no cookie
//! minute 15  eu-2  kept                a cookie for the next 30 minutes
//! minute 29  eu-2  kept                no cookie
//! minute 31  eu-2  kept                a cookie for the next 30 minutes
//! minute 60  eu-2  kept                a cookie for the next 30 minutes
//! minute 91  eu-2  created:expired     a cookie for the next 30 minutes
//! ```

use std::error::Error;

use http::HeaderMap;
use http::header::COOKIE;
use session_affinity::cookies::SetCookie;
use session_affinity::limits::Ttl;
use session_affinity::policy::SlidingPolicy;
use session_affinity::*;

/// For examples alone. Draw your own by `openssl rand -base64 32`, and keep it in a vault.
const EXAMPLE_SECRET: &str = "b25seSBmb3IgZXhhbXBsZXM6IGRyYXcgeW91ciBvd24=";

fn main() -> Result<(), Box<dyn Error>> {
    let shop = LoadBalancer::new("shop.example.com")?;
    let keyring = Keyring::from(Key::new(1, Secret::from_base64(EXAMPLE_SECRET)?));
    let cookie = CookiePolicy::new(&shop, &keyring, SetCookie::default());
    let affinity = Affinity::new(SlidingPolicy::new(cookie.with_ttl(Ttl::new(30 * 60)?))?);
    let names = ["eu-1", "eu-2"];
    let eu = Pool::new("eu").with_endpoints(names.map(|name| Endpoint::new(name, name)));
    let pools = Pools::builder().pool(eu).build()?;

    let mut browser = HeaderMap::new();
    for minute in [0, 14, 15, 29, 31, 60, 91] {
        let now = UnixTime::from_secs(1_800_014_400 + minute * 60);
        let visit = affinity.recall(&RequestMeta::new(&browser, Scheme::Https), now);
        // A proxy passes `session_affinity::entropy`. With 4, every run prints the same.
        let (attempt, endpoint) = affinity.route(visit, Record::Absent, &pools, || 4)?;
        print!("minute {minute:<4}{endpoint:<6}{:<20}", attempt.outcome().label());
        match affinity.settle(attempt, &pools).set_cookie() {
            Some(line) => {
                println!("a cookie for the next 30 minutes");
                let cookie = line.to_str()?.split(';').next().unwrap_or_default();
                browser.insert(COOKIE, cookie.parse()?);
            }
            None => println!("no cookie"),
        }
    }
    Ok(())
}
