//! What a refused connection does to a session in each failover mode: the failover table, printed by
//! running it (`Affinity::with_failover`, `Affinity::failover`, `Affinity::with_cooling_off`).
//!
//! Every session here begins at eu-1, which then refuses connections while its health checks still
//! pass. With `cooling_off` the next request does not wait on it again.
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
//! Nobody left to try, in every mode: gave_up
//! ```

use std::error::Error;

use http::HeaderMap;
use http::header::{COOKIE, SET_COOKIE};
use session_affinity::{
    Affinity, CookiePolicy, CoolingOff, Endpoint, FailoverMode, Key, Keyring, Name, Pool, Pools,
    Record, RequestMeta, Scheme, Secret, SetCookie, UnixTime,
};

fn main() -> Result<(), Box<dyn Error>> {
    let modes = [
        ("none", FailoverMode::None, CoolingOff::MIN),
        ("temporary", FailoverMode::Temporary, CoolingOff::MIN),
        ("temporary, cooling_off", FailoverMode::Temporary, CoolingOff::new(30)?),
        ("sticky", FailoverMode::Sticky, CoolingOff::MIN),
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
    let nobody = Proxy::new(FailoverMode::Sticky, CoolingOff::MIN)?;
    println!(
        "\nNobody left to try, in every mode: {}",
        nobody.request(&mut HeaderMap::new(), &["eu-1", "eu-2"], 0)?
    );
    Ok(())
}

struct Proxy {
    affinity: Affinity<CookiePolicy>,
    pools: Pools<&'static str>,
}

impl Proxy {
    fn new(mode: FailoverMode, cooling_off: CoolingOff) -> Result<Self, Box<dyn Error>> {
        let shop = Name::new("shop.example.com")?;
        let keyring = Keyring::from(Key::new(1, Secret::new([7; 32])?));
        let policy = CookiePolicy::new(&shop, &keyring, SetCookie::default());
        let affinity =
            Affinity::new(&shop, policy).with_failover(mode)?.with_cooling_off(cooling_off);
        let eu = Pool::new("eu")
            .endpoint(Endpoint::new("eu-1", "eu-1"))
            .endpoint(Endpoint::new("eu-2", "eu-2"));
        Ok(Self { affinity, pools: Pools::builder().pool(eu).build()? })
    }

    /// One request, some seconds after the start, while these endpoints refuse connections: who has
    /// answered, and what became of the session.
    fn request(
        &self,
        client: &mut HeaderMap,
        refusing: &[&str],
        seconds: u64,
    ) -> Result<String, Box<dyn Error>> {
        let Self { affinity, pools } = self;
        let request = RequestMeta { headers: client, client_ip: None, scheme: Scheme::Https };
        let visit = affinity.recall(&request, UnixTime::from_secs(1_800_014_400 + seconds));
        let mut attempt = affinity.route(visit, Record::Absent, pools, || 4)?; // your random bits
        loop {
            let name = *pools.target(attempt.endpoint()).ok_or("not in the snapshot")?;
            if !refusing.contains(&name) {
                let told = format!("{name} {}", attempt.outcome());
                // It has answered. Only now is anything promised.
                let mut response = HeaderMap::new();
                affinity.settle(attempt, pools).apply(&mut response);
                if let Some(line) = response.get(SET_COOKIE) {
                    let cookie = line.to_str()?.split(';').next().unwrap_or_default();
                    client.insert(COOKIE, cookie.parse()?);
                }
                return Ok(told);
            }
            match affinity.failover(attempt, pools) {
                Ok(next) => attempt = next,
                Err(gave_up) => return Ok(gave_up.outcome().to_string()), // a 502, and no cookie
            }
        }
    }
}
