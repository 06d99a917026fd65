//! Rotating the signing key on two nodes, one after the other, without losing a session
//! (`Keyring::new`: the first key signs, all of them verify), and what is lost without a step.
//!
//! Each cell is a request with the newest token of a key: `kept`, or `lost` where the node does not
//! know the key: the session begins again (`created:unknown_key`). `-`: no client has such a
//! token, because the key has not signed yet, or its last session has expired.
//!
//! `cargo run --example key_rotation` prints:
//!
//! ```text
//!                                     keys of     token of 1    token of 2
//!                                     a     b     at a   at b   at a   at b
//! Three steps, each on both nodes before the next one begins: no session is lost.
//! 12:00                               1     1     kept   kept   -      -
//! 12:20  1. key 2 verifies on a       1 2   1     kept   kept   -      -
//! 12:21     and on b                  1 2   1 2   kept   kept   -      -
//! 12:30  2. key 2 signs on a          2 1   1 2   kept   kept   kept   kept
//! 12:31     and on b                  2 1   2 1   kept   kept   kept   kept
//! 11:31  3. 23 h on: no key 1 on a    2     2 1   -      -      kept   kept
//! 11:32     nor on b                  2     2     -      -      kept   kept
//! Step 1 left out: node b does not know the key that node a signs with.
//! 12:00                               1     1     kept   kept   -      -
//! 12:30  2. key 2 signs on a          2 1   1     kept   kept   kept   lost
//! Step 3 without the wait of a lifetime: key 1 still has sessions.
//! 12:00                               1     1     kept   kept   -      -
//! 12:31  1. and 2. are done           2 1   2 1   kept   kept   kept   kept
//! 12:40  3. at once: no key 1 on a    2     2 1   lost   kept   kept   kept
//! ```

use std::collections::BTreeMap;
use std::error::Error;

use http::HeaderMap;
use http::header::COOKIE;
use session_affinity::cookies::SetCookie;
use session_affinity::*;

/// For examples alone. Draw your own by `openssl rand -base64 32`, and keep them in a vault.
const EXAMPLE_SECRETS: [&str; 2] = [
    "b25seSBmb3IgZXhhbXBsZXM6IGRyYXcgeW91ciBvd24=",
    "b25seSBmb3IgZXhhbXBsZXM6IGRyYXcgYSBzZWNvbmQ=",
];

/// The time, in seconds after 12:00 too, the step, and the keys of node a and node b from then on.
type Row = (&'static str, u64, &'static str, [&'static str; 2]);

fn main() -> Result<(), Box<dyn Error>> {
    println!("{:<36}{:<12}{:<14}token of 2", "", "keys of", "token of 1");
    println!("{:<36}{:<6}{:<6}at a   at b   at a   at b", "", "a", "b");
    println!("Three steps, each on both nodes before the next one begins: no session is lost.");
    rotate(&[
        ("12:00", 0, "", ["1", "1"]),
        ("12:20", 1_200, "1. key 2 verifies on a", ["1 2", "1"]),
        ("12:21", 1_260, "   and on b", ["1 2", "1 2"]),
        ("12:30", 1_800, "2. key 2 signs on a", ["2 1", "1 2"]),
        ("12:31", 1_860, "   and on b", ["2 1", "2 1"]),
        // 23 hours is the lifetime of a session, from 12:31 on for the last one of key 1.
        ("11:31", 84_660, "3. 23 h on: no key 1 on a", ["2", "2 1"]),
        ("11:32", 84_720, "   nor on b", ["2", "2"]),
    ])?;
    println!("Step 1 left out: node b does not know the key that node a signs with.");
    rotate(&[("12:00", 0, "", ["1", "1"]), ("12:30", 1_800, "2. key 2 signs on a", ["2 1", "1"])])?;
    println!("Step 3 without the wait of a lifetime: key 1 still has sessions.");
    rotate(&[
        ("12:00", 0, "", ["1", "1"]),
        ("12:31", 1_860, "1. and 2. are done", ["2 1", "2 1"]),
        ("12:40", 2_400, "3. at once: no key 1 on a", ["2", "2 1"]),
    ])
}

fn rotate(rows: &[Row]) -> Result<(), Box<dyn Error>> {
    let eu = Pool::new("eu").with_endpoint(Endpoint::new("eu-1", "10.0.0.1:80"));
    let pools = Pools::builder().pool(eu).build()?;
    let mut newest = BTreeMap::new(); // by key: its newest token
    for (clock, seconds, step, [a, b]) in rows {
        let now = UnixTime::from_secs(1_800_014_400 + seconds);
        let nodes = [(a, node(a)?), (b, node(b)?)];
        let serve = |node: &Affinity<_>, browser: &HeaderMap| {
            let visit = node.recall(&RequestMeta::new(browser, Scheme::Https), now);
            // A proxy passes `session_affinity::entropy`.
            let (attempt, _) = node.route(visit, Record::Absent, &pools, || 4)?;
            let outcome = attempt.outcome();
            Ok::<_, Box<dyn Error>>((outcome, node.settle(attempt, &pools).set_cookie().cloned()))
        };
        for (keys, node) in &nodes {
            // A session begins here, with a token of the key that signs.
            let line = serve(node, &HeaderMap::new())?.1.ok_or("a session without a cookie")?;
            let cookie = line.to_str()?.split(';').next().unwrap_or_default().parse()?;
            let end = now.saturating_add(CookiePolicy::DEFAULT_TTL.get());
            newest.insert(keys.split(' ').next(), (HeaderMap::from_iter([(COOKIE, cookie)]), end));
        }
        let mut cells = String::new();
        for key in ["1", "2"] {
            let token = newest.get(&Some(key)).filter(|(_, end)| *end > now);
            for (_, node) in &nodes {
                let outcome = token.map(|(browser, _)| serve(node, browser)).transpose()?;
                cells += match outcome.map(|(outcome, _)| outcome.label()) {
                    Some("kept") => "kept   ",
                    Some("created:unknown_key") => "lost   ",
                    _ => "-      ",
                };
            }
        }
        println!("{}", format!("{clock:<7}{step:<29}{a:<6}{b:<6}{cells}").trim_end());
    }
    Ok(())
}

/// Builds the affinity of a node from the ids of its keys, at the start and after each change.
fn node(ids: &str) -> Result<Affinity<CookiePolicy>, Box<dyn Error>> {
    let mut keys = Vec::new();
    for id in ids.split(' ') {
        let secret = if id == "1" { EXAMPLE_SECRETS[0] } else { EXAMPLE_SECRETS[1] };
        keys.push(Key::new(id.parse()?, Secret::from_base64(secret)?));
    }
    let (shop, keyring) = (LoadBalancer::new("shop.example.com")?, Keyring::new(keys)?);
    Ok(Affinity::new(CookiePolicy::new(&shop, &keyring, SetCookie::default())))
}
