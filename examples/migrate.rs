//! Migration from another proxy without moving a session: a policy that reads the old proxy's
//! cookie once and sets its own beside it (`AffinityPolicy` around `CookiePolicy`,
//! `CookieName::values`).
//!
//! The old cookie is that of HAProxy, with `cookie SERVERID insert` and `server eu-1 10.0.0.1:80
//! cookie s1`. That of nginx (`sticky cookie`) is read likewise: its value is the MD5 of the
//! server's address and port, in hexadecimal. Neither is signed, so only the values in a table
//! count; `s9` is not in it.
//!
//! `cargo run --example migrate` prints:
//!
//! ```text
//! SERVERID=s2            eu-2  kept                Set-Cookie: __cflb
//! SERVERID=s2 and ours   eu-2  kept                no cookie
//! SERVERID=s9            eu-1  created:no_cookie   Set-Cookie: __cflb
//! SERVERID=s9 and ours   eu-1  kept                no cookie
//! theme=dark             eu-1  created:no_cookie   Set-Cookie: __cflb
//! theme=dark  and ours   eu-1  kept                no cookie
//! ```

use std::collections::HashMap;
use std::error::Error;

use http::HeaderMap;
use http::header::{COOKIE, SET_COOKIE};
use session_affinity::carrier::Carrier;
use session_affinity::cookies::{CookieName, SetCookie};
use session_affinity::policy::{Claim, Forgotten, Life, Recall, Served, Transition};
use session_affinity::token::Pin;
use session_affinity::*;

/// For examples alone. Draw your own by `openssl rand -base64 32`, and keep it in a vault.
const EXAMPLE_SECRET: &str = "b25seSBmb3IgZXhhbXBsZXM6IGRyYXcgeW91ciBvd24=";

struct Migrating {
    new: CookiePolicy,
    old: CookieName,
    /// The endpoint for each value of the old cookie.
    endpoints: HashMap<&'static [u8], EndpointId>,
}

impl AffinityPolicy for Migrating {
    fn load_balancer(&self) -> &LoadBalancer {
        self.new.load_balancer()
    }

    fn read(&self, request: &RequestMeta<'_>, now: UnixTime) -> Recall {
        let recall = self.new.read(request, now);
        // The new cookie takes precedence even when it has expired: the old session is over then.
        let Claim::New(None) = recall.claim else { return recall };
        let mut values = self.old.values(request.headers);
        let Some(&endpoint) = values.find_map(|value| self.endpoints.get(value)) else {
            return recall;
        };
        let expires = now.saturating_add(CookiePolicy::DEFAULT_TTL.get());
        Recall { claim: Claim::Carried(Pin { endpoint, issued: now, expires }), ..recall }
    }

    fn remember(&self, served: &Served<'_>) -> Settlement {
        let transition = match served.transition {
            // A pin issued by this request comes from the old cookie: the client needs the new one.
            Transition::Kept(Pin { endpoint, issued, .. }) if issued == served.now => {
                Transition::Created { endpoint }
            }
            other => other,
        };
        self.new.remember(&served.with_transition(transition))
    }

    fn forget(&self, forgotten: &Forgotten<'_>) -> Settlement {
        self.new.forget(forgotten)
    }

    fn carrier(&self) -> Option<&Carrier> {
        self.new.carrier()
    }

    fn life(&self) -> Life {
        self.new.life()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let shop = LoadBalancer::new("shop.example.com")?;
    let keyring = Keyring::from(Key::new(1, Secret::from_base64(EXAMPLE_SECRET)?));
    let (eu_1, eu_2) = (EndpointId::new("eu", "eu-1"), EndpointId::new("eu", "eu-2"));
    let policy = Migrating {
        new: CookiePolicy::new(&shop, &keyring, SetCookie::default()),
        old: CookieName::new("SERVERID")?,
        endpoints: HashMap::from([(b"s1".as_slice(), eu_1), (b"s2", eu_2)]),
    };
    let affinity = Affinity::new(policy);
    let eu = Pool::new("eu")
        .with_endpoint(Endpoint::new("eu-1", "eu-1"))
        .with_endpoint(Endpoint::new("eu-2", "eu-2"));
    let pools = Pools::builder().pool(eu).build()?;

    for old in ["SERVERID=s2", "SERVERID=s9", "theme=dark"] {
        let mut browser = HeaderMap::from_iter([(COOKIE, old.parse()?)]);
        for seconds in [0, 60] {
            let request = RequestMeta::new(&browser, Scheme::Https);
            let visit = affinity.recall(&request, UnixTime::from_secs(1_800_014_400 + seconds));
            // A proxy passes `session_affinity::entropy`. With 1, every run prints the same.
            let (attempt, endpoint) = affinity.route(visit, Record::Absent, &pools, || 1)?;
            let ours = if browser.get_all(COOKIE).iter().count() > 1 { "and ours" } else { "" };
            print!("{old:<12}{ours:<11}{endpoint:<6}{:<20}", attempt.outcome().label());
            let mut response = HeaderMap::new();
            let _ = affinity.settle(attempt, &pools).apply_to(http::StatusCode::OK, &mut response); // no store to write to
            let Some(line) = response.get(SET_COOKIE) else {
                println!("no cookie");
                continue;
            };
            println!("Set-Cookie: __cflb");
            let cookie = line.to_str()?.split(';').next().unwrap_or_default();
            browser.append(COOKIE, cookie.parse()?);
        }
    }
    Ok(())
}
