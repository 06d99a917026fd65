//! Moving over from another proxy without moving a session: a policy that reads the old proxy's cookie
//! once, and hands out our own in its place (`AffinityPolicy` around `CookiePolicy`, `CookieName::values`).
//!
//! The old cookie here is HAProxy's, of `cookie SERVERID insert` and `server eu-1 10.0.0.1:80 cookie s1`.
//! That of nginx (`sticky cookie`) is read alike: its value is the MD5 of the server's address and port, in
//! hexadecimal. Neither is signed, so only the values of a table count, and `s9` is none.
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
use session_affinity::{
    Affinity, AffinityPolicy, Claim, CookieName, CookiePolicy, CookieTtl, Endpoint, EndpointId,
    Key, Keyring, Life, Name, Pin, Pool, Pools, Recall, Record, RequestMeta, Scheme, Secret,
    Served, SetCookie, Settlement, Transition, UnixTime,
};

struct Migrating {
    new: CookiePolicy,
    old: CookieName,
    /// Which endpoint a value of the old cookie means.
    endpoints: HashMap<&'static [u8], EndpointId>,
}

impl AffinityPolicy for Migrating {
    fn recall(&self, request: &RequestMeta<'_>, now: UnixTime) -> Recall {
        let recall = self.new.recall(request, now);
        // Ours goes first, also when it has expired: the old session is over then.
        let Claim::New(None) = recall.claim else { return recall };
        let Some(endpoint) =
            self.old.values(request.headers).find_map(|value| self.endpoints.get(value))
        else {
            return recall;
        };
        let expires = now.saturating_add(CookieTtl::default().get());
        Recall {
            claim: Claim::Carried(Pin { endpoint: *endpoint, issued: now, expires }),
            ..recall
        }
    }

    fn remember(&self, served: &Served) -> Settlement {
        let mut served = *served;
        // Issued by this very request: read from the old cookie, and worth one of ours.
        if let Transition::Kept(Pin { endpoint, issued, .. }) = served.transition
            && issued == served.now
        {
            served.transition = Transition::Created { endpoint };
        }
        self.new.remember(&served)
    }

    fn life(&self) -> Option<Life> {
        self.new.life()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let shop = Name::new("shop.example.com")?;
    let keyring = Keyring::from(Key::new(1, Secret::new([7; 32])?));
    let (eu_1, eu_2) = (EndpointId::new("eu", "eu-1"), EndpointId::new("eu", "eu-2"));
    let policy = Migrating {
        new: CookiePolicy::new(&shop, &keyring, SetCookie::default()),
        old: CookieName::new("SERVERID")?,
        endpoints: HashMap::from([(b"s1".as_slice(), eu_1), (b"s2", eu_2)]),
    };
    let affinity = Affinity::new(&shop, policy);
    let eu = Pool::new("eu")
        .endpoint(Endpoint::new("eu-1", "eu-1"))
        .endpoint(Endpoint::new("eu-2", "eu-2"));
    let pools = Pools::builder().pool(eu).build()?;

    for old in ["SERVERID=s2", "SERVERID=s9", "theme=dark"] {
        let mut browser = HeaderMap::from_iter([(COOKIE, old.parse()?)]);
        for seconds in [0, 60] {
            let request = RequestMeta { headers: &browser, client_ip: None, scheme: Scheme::Https };
            let now = UnixTime::from_secs(1_800_014_400 + seconds);
            let attempt =
                affinity.route(affinity.recall(&request, now), Record::Absent, &pools, || 4)?; // your random bits
            let endpoint = pools.target(attempt.endpoint()).ok_or("not in the snapshot")?;
            let ours = if browser.get_all(COOKIE).iter().count() > 1 { "and ours" } else { "" };
            print!("{old:<12}{ours:<11}{endpoint:<6}{:<20}", attempt.outcome().label());
            let mut response = HeaderMap::new();
            affinity.settle(attempt, &pools).apply(&mut response);
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
