//! When is a drain over? Two nodes with the same keys serve the cookie sessions of one
//! endpoint, which is disabled at 12:00 on both. A session lives for 30 minutes.
//!
//! Each node notes what it has seen of an endpoint's sessions: its census (`Pools::census`).
//! `Affinity::drain` reads how far the drain is out of one, or out of what the nodes
//! know together (`Census::merge`): the merge is the answer to trust.
//! Run it by `cargo run --example drain_two_nodes`.

use std::error::Error;

use http::HeaderMap;
use session_affinity::*;

/// Friday, 15 January 2027, 12:00 UTC.
const NOON: UnixTime = UnixTime::from_secs(1_800_014_400);

/// Hour and minute of that day.
type Clock = (u64, u64);

/// One node: its own snapshot and so its own census, the same keys as the other's.
struct Node {
    affinity: Affinity<CookiePolicy>,
    pools: Pools<()>,
}

impl Node {
    /// A node that started then. It looks from its first request on.
    fn new(started: Clock, drain_minutes: u64) -> Result<Self, Box<dyn Error>> {
        let shop = Name::new("shop.example.com")?;
        let keyring = Keyring::from(Key::new(1, Secret::new([7; 32])?));
        let ttl = CookieTtl::new(30 * 60)?;
        let policy = CookiePolicy::new(&shop, &keyring, SetCookie::default())
            .map_codec(|codec| codec.with_ttl(ttl));
        let affinity = Affinity::new(&shop, policy)
            .with_drain_duration(DrainDuration::new(drain_minutes * 60)?);
        let pools =
            Pools::builder().pool(Pool::new("eu").endpoint(Endpoint::new("eu-1", ()))).build()?;
        let node = Self { affinity, pools };
        drop(node.first_request(started)?); // it breaks off: no session comes of it
        Ok(node)
    }

    fn first_request(&self, time: Clock) -> Result<Attempt, Box<dyn Error>> {
        let request =
            RequestMeta { headers: &HeaderMap::new(), client_ip: None, scheme: Scheme::Https };
        let visit = self.affinity.recall(&request, at(time));
        Ok(self.affinity.route(visit, Record::Absent, &self.pools, || 0x5eed)?)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    // Why, each node's start and its sessions, and the drain duration in minutes.
    let stories: [(&str, [(Clock, &[Clock]); 2], u64); 4] = [
        (
            "Nothing noted, by nodes that have looked for a lifetime",
            [((10, 0), &[]), ((10, 0), &[])],
            60,
        ),
        ("The last session's end", [((10, 0), &[(11, 35), (11, 45)]), ((10, 0), &[(11, 55)])], 60),
        (
            "Node b is younger than a lifetime: who knows what was before",
            [((10, 0), &[(11, 45)]), ((11, 50), &[])],
            60,
        ),
        (
            "A drain duration of 20 minutes cuts what is left",
            [((10, 0), &[(11, 45)]), ((10, 0), &[(11, 55)])],
            20,
        ),
    ];
    for (why, nodes, drain_minutes) in stories {
        println!("{why}\n  {:<8}{:<26}{:<26}both", "time", "node a alone", "node b alone");
        let [mut a, mut b] =
            [Node::new(nodes[0].0, drain_minutes)?, Node::new(nodes[1].0, drain_minutes)?];
        let id = EndpointId::new("eu", "eu-1");
        for (node, (_, sessions)) in [(&mut a, nodes[0]), (&mut b, nodes[1])] {
            for time in sessions {
                drop(node.affinity.settle(node.first_request(*time)?, &node.pools)); // its Set-Cookie goes out
            }
            let mut edit = node.pools.edit();
            edit.state(id, State::Disabled { at: Some(NOON) })?;
            node.pools = edit.build();
        }
        let [of_a, of_b] = [&a, &b].map(|node| node.pools.census(id).unwrap_or_default());
        for time in [(12, 0), (12, 15), (12, 20), (12, 25), (12, 30)].map(at) {
            let tell =
                |node: &Node, census| told(node.affinity.drain(&node.pools, id, census, time));
            let both = tell(&a, of_a.merge(of_b));
            println!("  {:<8}{:<26}{:<26}{both}", clock(time), tell(&a, of_a), tell(&b, of_b));
        }
        println!();
    }
    Ok(())
}

fn told(drain: Option<Drain>) -> String {
    let Some(Drain { phase, sessions, .. }) = drain else { return "no such endpoint".into() };
    let over = if phase == DrainPhase::Over { "over: " } else { "" };
    match sessions {
        DrainSessions::Open => "in service".into(),
        DrainSessions::EndBy(end) => format!("the last ends by {}", clock(end)),
        DrainSessions::Drained { since: Some(end) } => {
            format!("{over}drained since {}", clock(end))
        }
        DrainSessions::Drained { since: None } => format!("{over}drained, none noted"),
    }
}

fn at((hour, minute): Clock) -> UnixTime {
    NOON.saturating_sub(12 * 3_600).saturating_add(hour * 3_600 + minute * 60)
}

fn clock(time: UnixTime) -> String {
    let minutes = time.as_secs() / 60 % (24 * 60);
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}
