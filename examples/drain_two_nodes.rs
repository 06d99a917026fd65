//! The end of a drain on two nodes. They have the same keys and serve the cookie sessions of one
//! endpoint, which is disabled at 12:00 on both. A session lives for 30 minutes.
//!
//! Each node notes the sessions that it sees at an endpoint: its census (`EndpointView::census`).
//! `Affinity::drain` computes the progress of the drain from one census, or from the censuses of
//! both nodes together (`Census::merge`), which is the answer to trust.
//!
//! `cargo run --example drain_two_nodes` prints four tables.

use std::error::Error;

use http::HeaderMap;
use session_affinity::cookies::SetCookie;
use session_affinity::drain::{Drain, DrainPhase, DrainSessions};
use session_affinity::limits::{DrainDuration, Ttl};
use session_affinity::pools::{EndpointView, NotInSnapshot};
use session_affinity::*;

/// Friday, 15 January 2027, 12:00 UTC.
const NOON: UnixTime = UnixTime::from_secs(1_800_014_400);

/// Hour and minute of that day.
type Clock = (u64, u64);

/// The start of a node, and the starts of the sessions that it sees.
type Traffic = (Clock, &'static [Clock]);

/// One node: a snapshot, and so a census, of its own, and the same keys as the other node.
struct Node {
    affinity: Affinity<CookiePolicy>,
    pools: Pools<()>,
}

impl Node {
    /// Plays a node from its start to the time at which the endpoint is disabled.
    fn new((start, sessions): Traffic, drain_minutes: u64) -> Result<Self, Box<dyn Error>> {
        let shop = LoadBalancer::new("shop.example.com")?;
        let keyring = Keyring::from(Key::new(1, Secret::new([7; 32])?));
        let ttl = Ttl::new(30 * 60)?;
        let policy = CookiePolicy::new(&shop, &keyring, SetCookie::default()).with_ttl(ttl);
        let drain_duration = DrainDuration::new(drain_minutes * 60)?;
        let affinity = Affinity::new(policy).with_drain_duration(drain_duration);
        let eu = Pool::new("eu").with_endpoint(Endpoint::new("eu-1", ()));
        let mut node = Self { affinity, pools: Pools::builder().pool(eu).build()? };
        // The census begins with the first request. The endpoint breaks off: no session begins.
        drop(node.first_request(start)?);
        for time in sessions {
            drop(node.affinity.settle(node.first_request(*time)?, &node.pools));
        }
        let (id, disabled) = (node.eu_1()?.id(), State::Disabled { at: Some(NOON) });
        node.pools = node.pools.edited(|edit| edit.state(id, disabled))?;
        Ok(node)
    }

    fn first_request(&self, time: Clock) -> Result<Attempt, Box<dyn Error>> {
        let headers = HeaderMap::new();
        let visit = self.affinity.recall(&RequestMeta::new(&headers, Scheme::Https), at(time));
        Ok(self.affinity.route(visit, Record::Absent, &self.pools, || 0x5eed)?.0)
    }

    /// The only endpoint, as this node sees it.
    fn eu_1(&self) -> Result<EndpointView<'_, ()>, NotInSnapshot> {
        let id = EndpointId::new("eu", "eu-1");
        self.pools.endpoint(id).ok_or(NotInSnapshot::Endpoint(id))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let early = (10, 0); // longer than a lifetime before 12:00
    println!("Nothing noted, by nodes that have looked for a lifetime");
    table(60, (early, &[]), (early, &[]))?;
    println!("The last session's end");
    table(60, (early, &[(11, 35), (11, 45)]), (early, &[(11, 55)]))?;
    println!("Node b is younger than a lifetime: who knows what was before");
    table(60, (early, &[(11, 45)]), ((11, 50), &[]))?;
    println!("A drain duration of 20 minutes cuts what is left");
    table(20, (early, &[(11, 45)]), (early, &[(11, 55)]))
}

/// Prints the progress of the drain after 12:00, as told by each node and by both together.
fn table(drain_minutes: u64, a: Traffic, b: Traffic) -> Result<(), Box<dyn Error>> {
    println!("  {:<8}{:<26}{:<26}both", "time", "node a alone", "node b alone");
    let (a, b) = (Node::new(a, drain_minutes)?, Node::new(b, drain_minutes)?);
    let (of_a, of_b) = (a.eu_1()?, b.eu_1()?);
    for time in [(12, 0), (12, 15), (12, 20), (12, 25), (12, 30)].map(at) {
        let told_by_a = told(a.affinity.drain(of_a, of_a.census(), time));
        let told_by_b = told(b.affinity.drain(of_b, of_b.census(), time));
        let both = told(a.affinity.drain(of_a, of_a.census().merge(of_b.census()), time));
        println!("  {:<8}{told_by_a:<26}{told_by_b:<26}{both}", clock(time));
    }
    println!();
    Ok(())
}

fn told(drain: Drain) -> String {
    let over = if drain.phase == DrainPhase::Over { "over: " } else { "" };
    match drain.sessions {
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
