//! Taking an endpoint out of service without breaking a session: disable it, with the time of
//! disabling (`State::Disabled`, `Pools::edited`), let its sessions end, and ask when the last one
//! has ended (`EndpointView::census`, `Affinity::drain`). Then it can be restarted. Sessions live
//! for 30 minutes here; a `drain_duration` of an hour lets each come to its own end.
//!
//! `cargo run --example draining` prints:
//!
//! ```text
//! time   ann                     a new client            the drain of eu-1
//! 11:15                          eu-1 created:no_cookie  in service
//! 11:50  eu-1 created:no_cookie  eu-1 created:no_cookie  in service
//! 12:00  eu-1 kept               eu-2 created:no_cookie  the last session ends by 12:20
//! 12:10  eu-1 kept               eu-2 created:no_cookie  the last session ends by 12:20
//! 12:20  eu-2 created:expired    eu-2 created:no_cookie  drained since 12:20
//! 12:30  eu-2 kept               eu-1 created:no_cookie  in service
//! ```

use std::error::Error;

use http::HeaderMap;
use http::header::{COOKIE, SET_COOKIE};
use session_affinity::config::{Config, SessionAffinity, SessionAffinityAttributes};
use session_affinity::drain::{Drain, DrainSessions};
use session_affinity::pools::NotInSnapshot;
use session_affinity::{
    Affinity, AffinityPolicy, Endpoint, EndpointId, Key, Keyring, Pool, Pools, Record, RequestMeta,
    Scheme, Secret, State, UnixTime,
};

/// For examples alone. Draw your own by `openssl rand -base64 32`, and keep it in a vault.
const EXAMPLE_SECRET: &str = "b25seSBmb3IgZXhhbXBsZXM6IGRyYXcgeW91ciBvd24=";

/// The beginning of Friday, 15 January 2027, UTC.
const MIDNIGHT: u64 = 1_799_971_200;

fn main() -> Result<(), Box<dyn Error>> {
    let config = Config {
        session_affinity: SessionAffinity::Cookie,
        session_affinity_ttl: Some(30 * 60),
        session_affinity_attributes: SessionAffinityAttributes {
            drain_duration: 3_600,
            ..Default::default()
        },
        ..Config::new("shop.example.com")
    };
    let affinity = Affinity::from_config(
        &config,
        &Keyring::from(Key::new(1, Secret::from_base64(EXAMPLE_SECRET)?)),
    )?;
    let eu = Pool::new("eu")
        .with_endpoint(Endpoint::new("eu-1", "eu-1"))
        .with_endpoint(Endpoint::new("eu-2", "eu-2"));
    let mut pools = Pools::builder().pool(eu).build()?;
    let eu_1 = EndpointId::new("eu", "eu-1");

    println!("{:<7}{:<24}{:<24}the drain of eu-1", "time", "ann", "a new client");
    let mut ann = HeaderMap::new();
    for (hour, minute) in [(11, 15), (11, 50), (12, 0), (12, 10), (12, 20), (12, 30)] {
        let now = UnixTime::from_secs(MIDNIGHT + (hour * 60 + minute) * 60);
        match (hour, minute) {
            (12, 0) => {
                let disabled = State::Disabled { at: Some(now) };
                pools = pools.edited(|edit| edit.state(eu_1, disabled))?;
            }
            // It has been restarted.
            (12, 30) => pools = pools.edited(|edit| edit.state(eu_1, State::Enabled))?,
            _ => {}
        }
        let new = serve(&affinity, &pools, &mut HeaderMap::new(), now)?;
        let ann = if (hour, minute) < (11, 50) {
            String::new()
        } else {
            serve(&affinity, &pools, &mut ann, now)?
        };
        let endpoint = pools.endpoint(eu_1).ok_or(NotInSnapshot::Endpoint(eu_1))?;
        // For several nodes, merge their censuses by Census::merge.
        let drain = affinity.drain(endpoint, endpoint.census(), now);
        println!("{:<7}{ann:<24}{new:<24}{}", clock(now), told(drain));
    }
    Ok(())
}

/// Serves one request, and returns the endpoint that has answered and the outcome.
fn serve(
    affinity: &Affinity<impl AffinityPolicy>,
    pools: &Pools<&str>,
    browser: &mut HeaderMap,
    now: UnixTime,
) -> Result<String, Box<dyn Error>> {
    let request = RequestMeta::new(browser, Scheme::Https);
    let visit = affinity.recall(&request, now);
    // A proxy passes `session_affinity::entropy`. With 1, every run prints the same.
    let (attempt, endpoint) = affinity.route(visit, Record::Absent, pools, || 1)?;
    let told = format!("{endpoint} {}", attempt.outcome());
    let mut response = HeaderMap::new();
    let _ = affinity.settle(attempt, pools).apply_to(http::StatusCode::OK, &mut response); // no store to write to
    if let Some(line) = response.get(SET_COOKIE) {
        let cookie = line.to_str()?.split(';').next().unwrap_or_default();
        browser.insert(COOKIE, cookie.parse()?);
    }
    Ok(told)
}

fn told(drain: Drain) -> String {
    match drain.sessions {
        DrainSessions::Open => "in service".into(),
        DrainSessions::EndBy(end) => format!("the last session ends by {}", clock(end)),
        DrainSessions::Drained { since: Some(end) } => format!("drained since {}", clock(end)),
        DrainSessions::Drained { since: None } => "drained: it had no session".into(),
    }
}

fn clock(time: UnixTime) -> String {
    let minutes = time.as_secs() / 60 % (24 * 60);
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}
