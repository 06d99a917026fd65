//! The effect of a refused connection on a session in each failover mode: the failover table,
//! printed by running it (`Affinity::with_failover_mode`, `failover`, `with_cooling_off`).
//!
//! Every session begins at eu-1, which then refuses connections while its health checks still
//! pass. With `cooling_off` the next request does not wait for it again.
//!
//! `cargo run --example failover_modes` prints:
//!
//! ```text
//! mode                     a live session             10 s later                eu-1 is back  a new session
//! none                     gave_up                    gave_up                   eu-1 kept     eu-2 created:connect_failed
//! temporary                eu-2 lent:connect_failed   eu-2 lent:connect_failed  eu-1 kept     eu-2 created:connect_failed
//! temporary, cooling_off   eu-2 lent:connect_failed   eu-2 lent:suspect         eu-1 kept     eu-2 created:connect_failed
//! sticky                   eu-2 moved:connect_failed  eu-2 kept                 eu-2 kept     eu-2 created:connect_failed
//!
//! No endpoint left to try, in every mode: gave_up
//! ```

use std::error::Error;

use http::HeaderMap;
use http::header::{COOKIE, SET_COOKIE};
use session_affinity::cookies::SetCookie;
use session_affinity::limits::CoolingOff;
use session_affinity::{
    Affinity, CookiePolicy, Endpoint, FailoverMode, Key, Keyring, LoadBalancer, Pool, Pools,
    Record, RequestMeta, Scheme, Secret, UnixTime,
};

/// For examples alone. Draw your own by `openssl rand -base64 32`, and keep it in a vault.
const EXAMPLE_SECRET: &str = "b25seSBmb3IgZXhhbXBsZXM6IGRyYXcgeW91ciBvd24=";

fn main() -> Result<(), Box<dyn Error>> {
    let modes = [
        ("none", FailoverMode::None, CoolingOff::OFF),
        ("temporary", FailoverMode::Temporary, CoolingOff::OFF),
        ("temporary, cooling_off", FailoverMode::Temporary, CoolingOff::new(30)?),
        ("sticky", FailoverMode::Sticky, CoolingOff::OFF),
    ];
    println!(
        "{:<25}{:<27}{:<26}{:<14}a new session",
        "mode", "a live session", "10 s later", "eu-1 is back"
    );
    for (name, mode, cooling_off) in modes {
        let proxy = Proxy::new(mode, cooling_off)?;
        let mut client = HeaderMap::new();
        proxy.request(&mut client, &[], 0)?;
        let first = proxy.request(&mut client, &["eu-1"], 60)?;
        let second = proxy.request(&mut client, &["eu-1"], 70)?;
        let back = proxy.request(&mut client, &[], 600)?;
        let new = Proxy::new(mode, cooling_off)?.request(&mut HeaderMap::new(), &["eu-1"], 60)?;
        println!("{name:<25}{first:<27}{second:<26}{back:<14}{new}");
    }
    let proxy = Proxy::new(FailoverMode::Sticky, CoolingOff::OFF)?;
    let outcome = proxy.request(&mut HeaderMap::new(), &["eu-1", "eu-2"], 0)?;
    println!("\nNo endpoint left to try, in every mode: {outcome}");
    Ok(())
}

struct Proxy {
    affinity: Affinity<CookiePolicy>,
    pools: Pools<&'static str>,
}

impl Proxy {
    fn new(mode: FailoverMode, cooling_off: CoolingOff) -> Result<Self, Box<dyn Error>> {
        let shop = LoadBalancer::new("shop.example.com")?;
        let keyring = Keyring::from(Key::new(1, Secret::from_base64(EXAMPLE_SECRET)?));
        let policy = CookiePolicy::new(&shop, &keyring, SetCookie::default());
        let affinity =
            Affinity::new(policy).with_failover_mode(mode)?.with_cooling_off(cooling_off);
        let eu = Pool::new("eu")
            .with_endpoint(Endpoint::new("eu-1", "eu-1"))
            .with_endpoint(Endpoint::new("eu-2", "eu-2"));
        Ok(Self { affinity, pools: Pools::builder().pool(eu).build()? })
    }

    /// Serves one request, some seconds after the start, while these endpoints refuse connections.
    /// Returns the endpoint that has answered and the outcome.
    fn request(
        &self,
        client: &mut HeaderMap,
        refusing: &[&str],
        seconds: u64,
    ) -> Result<String, Box<dyn Error>> {
        let Self { affinity, pools } = self;
        let request = RequestMeta::new(client, Scheme::Https);
        let visit = affinity.recall(&request, UnixTime::from_secs(1_800_014_400 + seconds));
        // A proxy passes `session_affinity::entropy`. With 1, every run prints the same.
        let (mut attempt, mut name) = affinity.route(visit, Record::Absent, pools, || 1)?;
        while refusing.contains(name) {
            (attempt, name) = match affinity.failover(attempt, pools) {
                Ok(next) => next,
                Err(gave_up) => return Ok(gave_up.outcome().to_string()), // 502, without a cookie
            };
        }
        // The endpoint has answered. From now on the session exists.
        let told = format!("{name} {}", attempt.outcome());
        let mut response = HeaderMap::new();
        let _ = affinity.settle(attempt, pools).apply_to(http::StatusCode::OK, &mut response); // no store to write to
        if let Some(line) = response.get(SET_COOKIE) {
            let cookie = line.to_str()?.split(';').next().unwrap_or_default();
            client.insert(COOKIE, cookie.parse()?);
        }
        Ok(told)
    }
}
