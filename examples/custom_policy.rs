//! A custom policy: a sliding cookie. A session of the policy `cookie` ends a fixed time after it
//! began. This one is renewed by use, with a new cookie once half of its lifetime is over, so that
//! few responses carry one. It wraps `CookiePolicy` and changes `AffinityPolicy::remember`.
//!
//! `cargo run --example custom_policy` prints:
//!
//! ```text
//! minute 0   eu-1  created:no_cookie   a cookie for the next 30 minutes
//! minute 14  eu-1  kept                no cookie
//! minute 15  eu-1  kept                a cookie for the next 30 minutes
//! minute 29  eu-1  kept                no cookie
//! minute 31  eu-1  kept                a cookie for the next 30 minutes
//! minute 60  eu-1  kept                a cookie for the next 30 minutes
//! minute 91  eu-1  created:expired     a cookie for the next 30 minutes
//! ```

use std::error::Error;

use http::HeaderMap;
use http::header::{COOKIE, SET_COOKIE};
use session_affinity::carrier::Carrier;
use session_affinity::cookies::SetCookie;
use session_affinity::limits::Ttl;
use session_affinity::policy::{Forgotten, Life, Recall, Served, Transition};
use session_affinity::{
    Affinity, AffinityPolicy, CookiePolicy, Endpoint, Key, Keyring, LoadBalancer, Pool, Pools,
    Record, RequestMeta, Scheme, Secret, Settlement, UnixTime,
};

/// For examples alone. Draw your own by `openssl rand -base64 32`, and keep it in a vault.
const EXAMPLE_SECRET: &str = "b25seSBmb3IgZXhhbXBsZXM6IGRyYXcgeW91ciBvd24=";

struct SlidingCookie {
    cookie: CookiePolicy,
    ttl: Ttl,
}

impl SlidingCookie {
    fn new(cookie: CookiePolicy, ttl: Ttl) -> Self {
        Self { cookie: cookie.with_ttl(ttl), ttl }
    }
}

impl AffinityPolicy for SlidingCookie {
    fn load_balancer(&self) -> &LoadBalancer {
        self.cookie.load_balancer()
    }

    fn read(&self, request: &RequestMeta<'_>, now: UnixTime) -> Recall {
        self.cookie.read(request, now)
    }

    fn remember(&self, served: &Served<'_>) -> Settlement {
        match served.transition {
            Transition::Kept(pin) if served.now.seconds_since(pin.issued) * 2 >= self.ttl.get() => {
                // To the wrapped policy this is a new session at the same endpoint.
                let renewed = Transition::Created { endpoint: pin.endpoint };
                self.cookie.remember(&served.with_transition(renewed))
            }
            _ => self.cookie.remember(served),
        }
    }

    fn forget(&self, forgotten: &Forgotten<'_>) -> Settlement {
        self.cookie.forget(forgotten)
    }

    fn carrier(&self) -> Option<&Carrier> {
        self.cookie.carrier()
    }

    /// Idle, because use renews a session. A drain is measured by it.
    fn life(&self) -> Life {
        Life::Idle(self.ttl)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let shop = LoadBalancer::new("shop.example.com")?;
    let keyring = Keyring::from(Key::new(1, Secret::from_base64(EXAMPLE_SECRET)?));
    let cookie = CookiePolicy::new(&shop, &keyring, SetCookie::default());
    let affinity = Affinity::new(SlidingCookie::new(cookie, Ttl::new(30 * 60)?));
    let eu = Pool::new("eu")
        .with_endpoint(Endpoint::new("eu-1", "eu-1"))
        .with_endpoint(Endpoint::new("eu-2", "eu-2"));
    let pools = Pools::builder().pool(eu).build()?;

    let mut browser = HeaderMap::new();
    for minute in [0, 14, 15, 29, 31, 60, 91] {
        let now = UnixTime::from_secs(1_800_014_400 + minute * 60);
        let request = RequestMeta::new(&browser, Scheme::Https);
        let visit = affinity.recall(&request, now);
        // A proxy passes `session_affinity::entropy`. With 1, every run prints the same.
        let (attempt, endpoint) = affinity.route(visit, Record::Absent, &pools, || 1)?;
        let told = format!("minute {minute:<4}{endpoint:<6}{:<20}", attempt.outcome().label());
        let mut response = HeaderMap::new();
        let _ = affinity.settle(attempt, &pools).apply_to(http::StatusCode::OK, &mut response); // no store to write to
        match response.get(SET_COOKIE) {
            Some(line) => {
                println!("{told}a cookie for the next 30 minutes");
                let cookie = line.to_str()?.split(';').next().unwrap_or_default();
                browser.insert(COOKIE, cookie.parse()?);
            }
            None => println!("{told}no cookie"),
        }
    }
    Ok(())
}
