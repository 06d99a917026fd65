//! A policy of one's own: a sliding cookie. A session of the policy `cookie` ends a fixed time after its
//! beginning; this one is renewed by use, with a new cookie when half of its life is over, so that few
//! responses carry one. It wraps `CookiePolicy` and changes what `AffinityPolicy::remember` says.
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
use session_affinity::{
    Affinity, AffinityPolicy, CookiePolicy, CookieTtl, Endpoint, Key, Keyring, Life, Name, Pool,
    Pools, Recall, Record, RequestMeta, Scheme, Secret, Served, SetCookie, Settlement, Transition,
    UnixTime,
};

struct SlidingCookie {
    cookie: CookiePolicy,
    ttl: CookieTtl,
}

impl SlidingCookie {
    fn new(load_balancer: &Name, keyring: &Keyring, set_cookie: SetCookie, ttl: CookieTtl) -> Self {
        let cookie = CookiePolicy::new(load_balancer, keyring, set_cookie)
            .map_codec(|codec| codec.with_ttl(ttl));
        Self { cookie, ttl }
    }
}

impl AffinityPolicy for SlidingCookie {
    fn recall(&self, request: &RequestMeta<'_>, now: UnixTime) -> Recall {
        self.cookie.recall(request, now)
    }

    fn remember(&self, served: &Served) -> Settlement {
        match served.transition {
            Transition::Kept(pin) if served.now.seconds_since(pin.issued) * 2 >= self.ttl.get() => {
                // To the wrapped policy it is a new session at the same endpoint.
                let mut renewed = *served;
                renewed.transition = Transition::Created { endpoint: pin.endpoint };
                self.cookie.remember(&renewed)
            }
            _ => self.cookie.remember(served),
        }
    }

    /// A drain is measured by this: use restarts it.
    fn life(&self) -> Option<Life> {
        Some(Life::Idle(self.ttl.get()))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let shop = Name::new("shop.example.com")?;
    let keyring = Keyring::from(Key::new(1, Secret::new([7; 32])?));
    let policy =
        SlidingCookie::new(&shop, &keyring, SetCookie::default(), CookieTtl::new(30 * 60)?);
    let affinity = Affinity::new(&shop, policy);
    let eu = Pool::new("eu")
        .endpoint(Endpoint::new("eu-1", "eu-1"))
        .endpoint(Endpoint::new("eu-2", "eu-2"));
    let pools = Pools::builder().pool(eu).build()?;

    let mut browser = HeaderMap::new();
    for minute in [0, 14, 15, 29, 31, 60, 91] {
        let now = UnixTime::from_secs(1_800_014_400 + minute * 60);
        let request = RequestMeta { headers: &browser, client_ip: None, scheme: Scheme::Https };
        let attempt =
            affinity.route(affinity.recall(&request, now), Record::Absent, &pools, || 4)?; // your random bits
        let endpoint = pools.target(attempt.endpoint()).ok_or("not in the snapshot")?;
        let told = format!("minute {minute:<4}{endpoint:<6}{:<20}", attempt.outcome().label());
        let mut response = HeaderMap::new();
        affinity.settle(attempt, &pools).apply(&mut response);
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
