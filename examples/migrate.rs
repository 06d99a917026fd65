//! Migration from another proxy without moving a session: `MigratingPolicy` reads the old proxy's
//! cookie where ours is missing, and the same response brings ours and takes the old one back.
//!
//! The old cookie is that of HAProxy, with `cookie SERVERID insert maxidle 30m` and `server eu-1
//! 10.0.0.1:80 cookie s1`. It is not signed, so only the values in a table count; `s9` is not in it.
//! The manual's chapter *coming from* has the formats of other proxies.
//!
//! `cargo run --example migrate` prints:
//!
//! ```text
//! SERVERID=s2|Zx8yA  eu-2  migrated            sets __cflb, removes SERVERID
//! ours               eu-2  kept                sets nothing
//! SERVERID=s9|Zx8yA  eu-1  created:no_cookie   sets __cflb
//! SERVERID and ours  eu-1  kept                sets nothing
//! theme=dark         eu-1  created:no_cookie   sets __cflb
//! ours               eu-1  kept                sets nothing
//! ```

use std::error::Error;

use http::HeaderMap;
use http::header::COOKIE;
use session_affinity::cookies::{CookieName, SetCookie};
use session_affinity::policy::{ForeignCookie, ForeignFormat, MigratingPolicy};
use session_affinity::*;

/// For examples alone. Draw your own by `openssl rand -base64 32`, and keep it in a vault.
const EXAMPLE_SECRET: &str = "b25seSBmb3IgZXhhbXBsZXM6IGRyYXcgeW91ciBvd24=";

fn main() -> Result<(), Box<dyn Error>> {
    let shop = LoadBalancer::new("shop.example.com")?;
    let keyring = Keyring::from(Key::new(1, Secret::from_base64(EXAMPLE_SECRET)?));
    let serverid = ForeignCookie::new(CookieName::new("SERVERID")?)
        .with_format(ForeignFormat::HAPROXY_INSERT)
        .with_endpoint("s1", EndpointId::new("eu", "eu-1"))
        .with_endpoint("s2", EndpointId::new("eu", "eu-2"));
    let policy = CookiePolicy::new(&shop, &keyring, SetCookie::default());
    let migrating = MigratingPolicy::new(policy)?
        .with_cookie(serverid)
        .with_until(UnixTime::from_secs(1_802_600_000));
    let affinity = Affinity::new(migrating);
    let names = ["eu-1", "eu-2"];
    let eu = Pool::new("eu").with_endpoints(names.map(|name| Endpoint::new(name, name)));
    let pools = Pools::builder().pool(eu).build()?;
    let now = UnixTime::from_secs(1_800_014_400);

    for old in ["SERVERID=s2|Zx8yA", "SERVERID=s9|Zx8yA", "theme=dark"] {
        let (mut browser, mut sends) = (HeaderMap::from_iter([(COOKIE, old.parse()?)]), old);
        for _ in 0..2 {
            let visit = affinity.recall(&RequestMeta::new(&browser, Scheme::Https), now);
            // A proxy passes `session_affinity::entropy`. With 1, every run prints the same.
            let (attempt, endpoint) = affinity.route(visit, Record::Absent, &pools, || 1)?;
            print!("{sends:<19}{endpoint:<6}{:<20}sets ", attempt.outcome().label());
            let settlement = affinity.settle(attempt, &pools);
            let is_removed = !settlement.removals().is_empty();
            let Some(line) = settlement.set_cookie() else {
                println!("nothing");
                continue;
            };
            println!("__cflb{}", if is_removed { ", removes SERVERID" } else { "" });
            sends = match old.starts_with("SERVERID") && !is_removed {
                true => "SERVERID and ours",
                false => "ours",
            };
            if is_removed {
                browser.clear();
            }
            let cookie = line.to_str()?.split(';').next().unwrap_or_default();
            browser.append(COOKIE, cookie.parse()?);
        }
    }
    Ok(())
}
