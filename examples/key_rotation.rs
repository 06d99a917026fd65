//! Rotating the signing key on two nodes, one after the other, without losing a session
//! (`Keyring::new`: the first key signs, all of them verify), and two mistakes that lose some.
//!
//! A session begins at one node and its next request comes to the other: the columns have the
//! outcome of that request. The last one is for a session that began at 12:00 under key 1.
//!
//! `cargo run --example key_rotation` prints:
//!
//! ```text
//!                                                   a, then b            b, then a            since 12:00
//! 12:00                                             kept                 kept                 kept
//! 12:10  mistake: a signs with a key that b lacks   created:unknown_key  kept                 kept
//! 12:20  1. add key 2 on a                          kept                 kept                 kept
//! 12:21     and on b                                kept                 kept                 kept
//! 12:30  2. sign with key 2 on a                    kept                 kept                 kept
//! 12:31     and on b                                kept                 kept                 kept
//! 12:40  mistake: drop key 1 while it has sessions  kept                 kept                 created:unknown_key
//! 11:40  3. a lifetime after step 2: drop key 1     kept                 kept                 over
//! ```

use std::error::Error;

use http::HeaderMap;
use http::header::{COOKIE, SET_COOKIE};
use session_affinity::cookies::SetCookie;
use session_affinity::{
    Affinity, CookiePolicy, Endpoint, Key, Keyring, LoadBalancer, Outcome, Pool, Pools, Record,
    RequestMeta, Scheme, Secret, UnixTime,
};

fn main() -> Result<(), Box<dyn Error>> {
    let pools = Pools::builder()
        .pool(Pool::new("eu").with_endpoint(Endpoint::new("eu-1", "10.0.0.1:80")))
        .build()?;
    let noon = UnixTime::from_secs(1_800_014_400);
    let mut old = HeaderMap::new();
    request(&node(&[1])?, &pools, &mut old, noon)?;
    // The time, the step, and the ids of the keys on node a and on node b from then on.
    let steps: [(&str, u64, &str, &[u8], &[u8]); 8] = [
        ("12:00", 0, "", &[1], &[1]),
        ("12:10", 600, "mistake: a signs with a key that b lacks", &[2, 1], &[1]),
        ("12:20", 1_200, "1. add key 2 on a", &[1, 2], &[1]),
        ("12:21", 1_260, "   and on b", &[1, 2], &[1, 2]),
        ("12:30", 1_800, "2. sign with key 2 on a", &[2, 1], &[1, 2]),
        ("12:31", 1_860, "   and on b", &[2, 1], &[2, 1]),
        ("12:40", 2_400, "mistake: drop key 1 while it has sessions", &[2], &[2]),
        ("11:40", 85_200, "3. a lifetime after step 2: drop key 1", &[2], &[2]),
    ];
    println!("{:<7}{:<43}{:<21}{:<21}since 12:00", "", "", "a, then b", "b, then a");
    for (clock, seconds, what, a, b) in steps {
        let (a, b, now) = (node(a)?, node(b)?, noon.saturating_add(seconds));
        let across = |from, to| -> Result<Outcome, Box<dyn Error>> {
            let mut browser = HeaderMap::new();
            request(from, &pools, &mut browser, now)?;
            request(to, &pools, &mut browser, now)
        };
        let old = match seconds < CookiePolicy::DEFAULT_TTL.get() {
            true => request(&b, &pools, &mut old.clone(), now)?.label(),
            false => "over",
        };
        println!(
            "{clock:<7}{what:<43}{:<21}{:<21}{old}",
            across(&a, &b)?.label(),
            across(&b, &a)?.label()
        );
    }
    Ok(())
}

/// Builds the affinity of a node from its keys, at the start and after each change of them.
fn node(ids: &[u8]) -> Result<Affinity<CookiePolicy>, Box<dyn Error>> {
    let shop = LoadBalancer::new("shop.example.com")?;
    // Each id has a secret of its own, drawn once and kept in a vault: 32 random bytes or more.
    let keys = ids.iter().map(|id| Ok(Key::new(*id, Secret::new([*id; 32])?)));
    let keyring = Keyring::new(keys.collect::<Result<Vec<_>, Box<dyn Error>>>()?)?;
    Ok(Affinity::new(CookiePolicy::new(&shop, &keyring, SetCookie::default())))
}

/// Serves one request, and returns its outcome.
fn request(
    node: &Affinity<CookiePolicy>,
    pools: &Pools<&str>,
    browser: &mut HeaderMap,
    now: UnixTime,
) -> Result<Outcome, Box<dyn Error>> {
    let request = RequestMeta::new(browser, Scheme::Https);
    let visit = node.recall(&request, now);
    let (attempt, _) = node.route(visit, Record::Absent, pools, || 4)?; // 64 random bits
    let outcome = attempt.outcome();
    let mut response = HeaderMap::new();
    let _ = node.settle(attempt, pools).apply_to(http::StatusCode::OK, &mut response); // no store to write to
    if let Some(line) = response.get(SET_COOKIE) {
        let cookie = line.to_str()?.split(';').next().unwrap_or_default();
        browser.insert(COOKIE, cookie.parse()?);
    }
    Ok(outcome)
}
