//! The end of a drain on two nodes, which have the same keys and serve the sessions of one endpoint.
//! It is disabled at 12:00 on both; a session lives for 30 minutes.
//!
//! Each node notes the sessions that it sees: its census (`EndpointView::census`). `Affinity::drain`
//! tells from one census, or from those of both (`Census::merge`), when the endpoint can restart.
//!
//! `cargo run --example drain_two_nodes` prints, for each case, when eu-1 is drained and why:
//!
//! ```text
//! No session has begun at eu-1 in two hours: it can restart at once.
//!   node a alone  12:00  no session was noted
//!   node b alone  12:00  no session was noted
//!   both merged   12:00  no session was noted
//! The last sessions began at 11:45 on a and at 11:55 on b: a alone is too early.
//!   node a alone  12:15  the last session noted has ended
//!   node b alone  12:25  the last session noted has ended
//!   both merged   12:25  the last session noted has ended
//! b was started at 11:50: older sessions, unknown to it, end by 12:30.
//!   node a alone  12:15  the last session noted has ended
//!   node b alone  12:30  a lifetime has passed since 12:00
//!   both merged   12:30  a lifetime has passed since 12:00
//! A drain duration of 20 minutes: the session that began at 11:55 moves.
//!   node a alone  12:15  the last session noted has ended
//!   node b alone  12:20  the drain is over
//!   both merged   12:20  the drain is over
//! ```

use std::error::Error;

use http::HeaderMap;
use session_affinity::cookies::SetCookie;
use session_affinity::drain::{DrainPhase, DrainSessions};
use session_affinity::limits::{DrainDuration, Ttl};
use session_affinity::pools::{EndpointView, NotInSnapshot};
use session_affinity::*;

/// For examples alone. Draw your own by `openssl rand -base64 32`, and keep it in a vault.
const EXAMPLE_SECRET: &str = "b25seSBmb3IgZXhhbXBsZXM6IGRyYXcgeW91ciBvd24=";

/// Friday, 15 January 2027, 12:00 UTC.
const NOON: UnixTime = UnixTime::from_secs(1_800_014_400);

/// The start of a node, and the starts of the sessions that it sees, in minutes before 12:00.
type Traffic = (u64, &'static [u64]);

/// One node: its snapshot, which has its census, and the same keys as the other node.
struct Node {
    affinity: Affinity<CookiePolicy>,
    pools: Pools<()>,
}

impl Node {
    /// Plays a node from its start to the time at which the endpoint is disabled.
    fn new((start, sessions): Traffic, drain_minutes: u64) -> Result<Self, Box<dyn Error>> {
        let shop = LoadBalancer::new("shop.example.com")?;
        let keyring = Keyring::from(Key::new(1, Secret::from_base64(EXAMPLE_SECRET)?));
        let ttl = Ttl::new(30 * 60)?;
        let policy = CookiePolicy::new(&shop, &keyring, SetCookie::default()).with_ttl(ttl);
        let duration = DrainDuration::new(drain_minutes * 60)?;
        let affinity = Affinity::new(policy).with_drain_duration(duration);
        let eu = Pool::new("eu").with_endpoint(Endpoint::new("eu-1", ()));
        let mut node = Self { affinity, pools: Pools::builder().pool(eu).build()? };
        // The census begins with the first request. The endpoint breaks off: no session begins.
        drop(node.first_request(start)?);
        for minutes in sessions {
            drop(node.affinity.settle(node.first_request(*minutes)?, &node.pools));
        }
        let (id, disabled) = (node.eu_1()?.id(), State::Disabled { at: Some(NOON) });
        node.pools = node.pools.edited(|edit| edit.state(id, disabled))?;
        Ok(node)
    }

    fn first_request(&self, minutes: u64) -> Result<Attempt, Box<dyn Error>> {
        let (headers, now) = (HeaderMap::new(), NOON.saturating_sub(minutes * 60));
        let visit = self.affinity.recall(&RequestMeta::new(&headers, Scheme::Https), now);
        Ok(self.affinity.route(visit, Record::Absent, &self.pools, entropy)?.0)
    }

    fn eu_1(&self) -> Result<EndpointView<'_, ()>, NotInSnapshot> {
        let id = EndpointId::new("eu", "eu-1");
        self.pools.endpoint(id).ok_or(NotInSnapshot::Endpoint(id))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("No session has begun at eu-1 in two hours: it can restart at once.");
    drain(60, (120, &[]), (120, &[]))?;
    println!("The last sessions began at 11:45 on a and at 11:55 on b: a alone is too early.");
    drain(60, (120, &[25, 15]), (120, &[5]))?;
    println!("b was started at 11:50: older sessions, unknown to it, end by 12:30.");
    drain(60, (120, &[15]), (10, &[]))?;
    println!("A drain duration of 20 minutes: the session that began at 11:55 moves.");
    drain(20, (120, &[15]), (120, &[5]))
}

/// Prints from when on eu-1 is drained, and why, as told by each node and by both together.
fn drain(drain_minutes: u64, a: Traffic, b: Traffic) -> Result<(), Box<dyn Error>> {
    let (a, b) = (Node::new(a, drain_minutes)?, Node::new(b, drain_minutes)?);
    let (eu_1, of_a, of_b) = (a.eu_1()?, a.eu_1()?.census(), b.eu_1()?.census());
    let both = of_a.merge(of_b);
    for (told_by, census) in [("node a alone", of_a), ("node b alone", of_b), ("both merged", both)]
    {
        // An operator asks again and again.
        for minute in 0.. {
            let drain = a.affinity.drain(eu_1, census, NOON.saturating_add(minute * 60));
            let DrainSessions::Drained { since } = drain.sessions else { continue };
            let why = match since {
                _ if drain.phase == DrainPhase::Over => "the drain is over",
                None => "no session was noted",
                Some(_) if minute == 30 => "a lifetime has passed since 12:00",
                Some(_) => "the last session noted has ended",
            };
            println!("  {told_by:<14}12:{minute:02}  {why}");
            break;
        }
    }
    Ok(())
}
