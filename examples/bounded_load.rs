//! One slow endpoint, with and without a bound on its load: sessions overflow to one second home
//! each (`Room::bounded`, `InFlight`).
//!
//! Forty clients ask again twenty seconds after each answer. An endpoint takes longer the more it
//! has to do, and eu-1 takes six times as long as the others: think of caches, or of language
//! models that keep the prefix of a conversation. The last column is the most endpoints that one
//! client has seen, the first hundred seconds left out.
//!
//! `cargo run --example bounded_load` prints:
//!
//! ```text
//! rule, mode               answers    lent   moved  most at eu-1   mean wait     most homes
//! no rule                     5575       0       0             8       5.9 s              1
//! 125 %, none                 5575       0       0             8       5.9 s              1
//! 125 %, temporary            6546    1015       0             2       2.0 s              2
//! 125 %, sticky               6565       0       7             2       2.0 s              1
//! ```

use std::collections::BTreeSet;
use std::error::Error;

use http::HeaderMap;
use http::header::COOKIE;
use session_affinity::cookies::SetCookie;
use session_affinity::limits::BoundedLoad;
use session_affinity::steering::{InFlight, InFlightGuard, Room};
use session_affinity::{
    Affinity, CookiePolicy, Endpoint, FailoverMode, Key, Keyring, LoadBalancer, Outcome, Pool,
    Pools, Record, RequestMeta, Scheme, Secret, UnixTime,
};

/// For examples alone. Draw your own by `openssl rand -base64 32`, and keep it in a vault.
const EXAMPLE_SECRET: &str = "b25seSBmb3IgZXhhbXBsZXM6IGRyYXcgeW91ciBvd24=";
const CLIENTS: u64 = 40;
const PAUSE: u64 = 20;
const SECONDS: u64 = 3_600;

struct Peer {
    name: &'static str,
    /// The seconds that a request takes, times those in flight.
    slowness: u64,
    in_flight: InFlight,
}

#[derive(Default)]
struct Client {
    jar: HeaderMap,
    busy: Option<(u64, InFlightGuard)>,
    next: u64,
    /// The endpoints that have served it, the first hundred seconds left out.
    homes: BTreeSet<&'static str>,
}

fn main() -> Result<(), Box<dyn Error>> {
    println!(
        "{:<24}{:>8}{:>8}{:>8}{:>14}{:>12}{:>15}",
        "rule, mode", "answers", "lent", "moved", "most at eu-1", "mean wait", "most homes"
    );
    let bound = BoundedLoad::new(125, 2)?;
    for (name, bound, mode) in [
        ("no rule", None, FailoverMode::Temporary),
        ("125 %, none", Some(bound), FailoverMode::None),
        ("125 %, temporary", Some(bound), FailoverMode::Temporary),
        ("125 %, sticky", Some(bound), FailoverMode::Sticky),
    ] {
        println!("{name:<24}{}", play(bound, mode)?);
    }
    Ok(())
}

fn play(bound: Option<BoundedLoad>, mode: FailoverMode) -> Result<String, Box<dyn Error>> {
    let shop = LoadBalancer::new("shop.example.com")?;
    let keyring = Keyring::from(Key::new(1, Secret::from_base64(EXAMPLE_SECRET)?));
    let policy = CookiePolicy::new(&shop, &keyring, SetCookie::default());
    let affinity = Affinity::new(policy).with_failover_mode(mode)?;
    let peers = [("eu-1", 6), ("eu-2", 1), ("eu-3", 1), ("eu-4", 1)].map(|(name, slowness)| {
        Endpoint::new(name, Peer { name, slowness, in_flight: InFlight::default() })
    });
    let mut eu = Pool::new("eu").with_endpoints(peers);
    if let Some(bound) = bound {
        eu = eu.with_room(Room::bounded(bound, |peer: &Peer| peer.in_flight.count()));
    }
    let pools = Pools::builder().pool(eu).build()?;

    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| Client::default()).collect();
    let (mut answers, mut lent, mut moved, mut waited, mut most) = (0_u64, 0, 0, 0, 0);
    for second in 0..SECONDS {
        let now = UnixTime::from_secs(1_800_000_000 + second);
        for (number, client) in (0..).zip(&mut clients) {
            client.busy = client.busy.take().filter(|(until, _)| *until > second);
            if client.busy.is_some() || second < client.next {
                continue;
            }
            let visit = affinity.recall(&RequestMeta::new(&client.jar, Scheme::Https), now);
            let seed = || u64::wrapping_mul(number + 400, 0x9e37_79b9_7f4a_7c15);
            let (attempt, peer) = affinity.route(visit, Record::Absent, &pools, seed)?;
            answers += 1;
            lent += u64::from(matches!(attempt.outcome(), Outcome::Lent(_)));
            moved += u64::from(matches!(attempt.outcome(), Outcome::Moved(_)));
            let guard = peer.in_flight.begin();
            let load = u64::from(peer.in_flight.count());
            client.busy = Some((second + peer.slowness * load, guard));
            client.next = second + peer.slowness * load + PAUSE;
            waited += peer.slowness * load;
            if second >= 100 {
                client.homes.insert(peer.name);
                most = most.max(if peer.name == "eu-1" { load } else { 0 });
            }
            if let Some(line) = affinity.settle(attempt, &pools).set_cookie() {
                let cookie = line.to_str()?.split(';').next().unwrap_or_default();
                client.jar.insert(COOKIE, cookie.parse()?);
            }
        }
    }
    let homes = clients.iter().map(|client| client.homes.len()).max().unwrap_or(0);
    let mean = format!("{}.{} s", waited / answers, waited * 10 / answers % 10);
    Ok(format!("{answers:>8}{lent:>8}{moved:>8}{most:>14}{mean:>12}{homes:>15}"))
}
