//! An operator's loop: an endpoint behind four gateways is taken out of service, restarted, and
//! put back.
//!
//! A gateway has seen only the sessions that came through it, so it may call an endpoint drained
//! that still serves sessions of the others. The operator asks each gateway for its census,
//! merges them, and asks the crate whether the drain is over. Sessions live for 30 minutes. The
//! gateways' clocks are set ahead, so nothing waits; `scene.rs` has the sockets.
//!
//! `cargo run -p gateway --example fleet_drain` prints:
//!
//! ```text
//!  60: a session begins at eu-1, through gateway a
//!  65: a session begins at eu-1, through gateway b
//!  70: a session begins at eu-1, through gateway c
//!  75: eu-1 is disabled at all gateways. The sessions there, as seen by
//!      a alone        b alone        c alone        d alone        all together
//!  76: ends by 90     ends by 95     ends by 100    drained        ends by 100
//!  76: the first session comes through gateway d, and is served by eu-1
//!  81: ends by 90     ends by 95     ends by 100    ends by 90     ends by 100
//!  86: ends by 90     ends by 95     ends by 100    ends by 90     ends by 100
//!  91: drained        ends by 95     ends by 100    drained        ends by 100
//!  96: drained        drained        ends by 100    drained        ends by 100
//! 101: drained        drained        drained        drained        drained
//! 101: eu-1 is restarted, and enabled at all gateways
//! 101: a session begins at eu-1, through gateway d
//! ```

use session_affinity::drain::{Census, Drain, DrainSessions};
use session_affinity::limits::{DrainDuration, Ttl};
use session_affinity::policy::Life;
use session_affinity::{State, UnixTime};

mod scene;

use scene::{Fleet, Result};

#[tokio::main]
async fn main() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    // A census younger than a session's life proves nothing, so each gateway began long before.
    let mut cookies = Vec::new();
    for (gateway, minute) in [("a", 60), ("b", 65), ("c", 70)] {
        fleet.set_clock(minute).await?;
        cookies.push(fleet.session_at_eu_1(gateway).await?);
        println!("{minute:>3}: a session begins at eu-1, through gateway {gateway}");
    }

    fleet.set_clock(75).await?;
    let state = disable(&fleet).await?;
    println!(" 75: eu-1 is disabled at all gateways. The sessions there, as seen by");
    println!("     a alone        b alone        c alone        d alone        all together");
    is_drained(&fleet, state, 76).await?;
    let (name, _) = fleet.visit("d", &cookies[0]).await?;
    println!(" 76: the first session comes through gateway d, and is served by {name}");
    let mut minute = 81;
    while !is_drained(&fleet, state, minute).await? {
        minute += 5;
    }

    fleet.restart_eu_1().await?;
    fleet.ask_all("PATCH /pools/eu/origins/eu-1", r#"{"enabled": true}"#).await?;
    println!("{minute:>3}: eu-1 is restarted, and enabled at all gateways");
    fleet.session_at_eu_1("d").await?;
    println!("{minute:>3}: a session begins at eu-1, through gateway d");
    Ok(())
}

/// Disables the endpoint at all gateways. Sessions may begin on it until the last one knows.
async fn disable(fleet: &Fleet) -> Result<State> {
    let origins = fleet.ask_all("PATCH /pools/eu/origins/eu-1", r#"{"enabled": false}"#).await?;
    let stamps = origins.iter().filter_map(|origin| origin["disabled_at"].as_u64());
    Ok(State::Disabled { at: stamps.max().map(UnixTime::from_secs) })
}

/// Prints the view of each gateway and of all together, and returns whether all together say that
/// the last session has ended.
async fn is_drained(fleet: &Fleet, state: State, minute: u64) -> Result<bool> {
    let (drain, ttl) = (DrainDuration::new(scene::DRAIN_DURATION)?, Ttl::new(scene::TTL)?);
    let now = fleet.set_clock(minute).await?;
    let sessions =
        |census| Drain::of(state, State::Enabled, drain, Life::Absolute(ttl), census, now).sessions;
    let answers = fleet.ask_all("GET /census/eu/eu-1", "").await?.into_iter();
    let censuses: Vec<Census> =
        answers.map(serde_json::from_value).collect::<std::result::Result<_, _>>()?;
    let together = censuses.iter().copied().reduce(Census::merge).ok_or("there is no gateway")?;
    print!("{minute:>3}: ");
    censuses.iter().for_each(|census| print!("{:<15}", told(fleet, sessions(*census))));
    println!("{}", told(fleet, sessions(together)));
    Ok(matches!(sessions(together), DrainSessions::Drained { .. }))
}

fn told(fleet: &Fleet, sessions: DrainSessions) -> String {
    match sessions {
        DrainSessions::Open => "in service".into(),
        DrainSessions::EndBy(end) => format!("ends by {}", fleet.minute(end)),
        DrainSessions::Drained { .. } => "drained".into(),
    }
}
