//! A custom policy: sessions only with the client's consent. It wraps `CookiePolicy`, changes
//! `AffinityPolicy::read`, and forwards the rest: a request without consent is unbound, so it gets
//! no cookie. When the consent is withdrawn, `Affinity::forget` takes the cookie back.
//!
//! `cargo run --example custom_policy` prints:
//!
//! ```text
//! theme=dark                   eu-2  unbound            no cookie
//! theme=dark; consent=yes      eu-2  created:no_cookie  a cookie
//! theme=dark; consent=yes      eu-2  kept               no cookie
//! theme=dark; consent=no       eu-2  unbound            the cookie is taken back
//! ```

use std::error::Error;

use http::HeaderMap;
use http::header::COOKIE;
use session_affinity::carrier::Carrier;
use session_affinity::cookies::{CookieName, SetCookie};
use session_affinity::policy::{Claim, ForeignCookie, Forgotten, Life, Recall, Served};
use session_affinity::*;

/// For examples alone. Draw your own by `openssl rand -base64 32`, and keep it in a vault.
const EXAMPLE_SECRET: &str = "b25seSBmb3IgZXhhbXBsZXM6IGRyYXcgeW91ciBvd24=";

/// Any policy, for the requests whose cookie `consent` says `yes`.
struct WithConsent<P> {
    policy: P,
    consent: CookieName,
}

impl<P: AffinityPolicy> AffinityPolicy for WithConsent<P> {
    fn read(&self, request: &RequestMeta<'_>, now: UnixTime) -> Recall {
        match self.consent.values(request.headers).next() {
            Some(b"yes") => self.policy.read(request, now),
            _ => Recall::from(Claim::Unbound),
        }
    }

    fn load_balancer(&self) -> &LoadBalancer {
        self.policy.load_balancer()
    }

    fn remember(&self, served: &Served<'_>) -> Settlement {
        self.policy.remember(served)
    }

    fn forget(&self, forgotten: &Forgotten<'_>) -> Settlement {
        self.policy.forget(forgotten)
    }

    fn carrier(&self) -> Option<&Carrier> {
        self.policy.carrier()
    }

    fn foreign_cookies(&self) -> &[ForeignCookie] {
        self.policy.foreign_cookies()
    }

    fn life(&self) -> Life {
        self.policy.life()
    }

    fn supports(&self, mode: FailoverMode) -> bool {
        self.policy.supports(mode)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let shop = LoadBalancer::new("shop.example.com")?;
    let keyring = Keyring::from(Key::new(1, Secret::from_base64(EXAMPLE_SECRET)?));
    let policy = CookiePolicy::new(&shop, &keyring, SetCookie::default());
    let affinity = Affinity::new(WithConsent { policy, consent: CookieName::new("consent")? });
    let names = ["eu-1", "eu-2"];
    let eu = Pool::new("eu").with_endpoints(names.map(|name| Endpoint::new(name, name)));
    let pools = Pools::builder().pool(eu).build()?;
    let now = UnixTime::from_secs(1_800_014_400);

    let mut ours = HeaderMap::new();
    for cookies in [
        "theme=dark",
        "theme=dark; consent=yes",
        "theme=dark; consent=yes",
        "theme=dark; consent=no",
    ] {
        let mut headers = ours.clone();
        headers.append(COOKIE, cookies.parse()?);
        let request = RequestMeta::new(&headers, Scheme::Https);
        let visit = affinity.recall(&request, now);
        // A proxy passes `session_affinity::entropy`. With 4, every run prints the same.
        let (attempt, endpoint) = affinity.route(visit, Record::Absent, &pools, || 4)?;
        print!("{cookies:<29}{endpoint:<6}{:<19}", attempt.outcome().label());
        let settlement = affinity.settle(attempt, &pools);
        if let Some(line) = settlement.set_cookie() {
            println!("a cookie");
            ours.insert(COOKIE, line.to_str()?.split(';').next().unwrap_or_default().parse()?);
        } else if cookies.ends_with("no")
            && affinity.forget(affinity.recall(&request, now)).set_cookie().is_some()
        {
            println!("the cookie is taken back");
        } else {
            println!("no cookie");
        }
    }
    Ok(())
}
