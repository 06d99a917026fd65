//! Drain and census. From manual::draining, When it is drained:
//!
//! > Each gateway notes, for each endpoint, the latest end of the sessions that it has seen
//! > ([`Census`]). As no session begins on a disabled endpoint, its sessions have ended at the
//! > earlier of
//! >
//! > - `disabled_at + drain_duration`, and
//! > - the latest end noted. If the census is younger than one TTL when the endpoint is disabled
//! >   (the gateway was restarted), sessions may exist that it has not seen: then at least
//! >   `disabled_at + ttl`. Likewise if the census is from before `disabled_at`. For header
//! >   sessions, if the census began after `disabled_at`: at least `began + ttl`.

use std::collections::HashMap;

use proptest::prelude::*;
use session_affinity::drain::{Census, Drain, DrainPhase, DrainSessions};
use session_affinity::limits::{DrainDuration, Ttl};
use session_affinity::outcome::Created;
use session_affinity::policy::Life;
use session_affinity::token::Pin;
use session_affinity::{Affinity, CookiePolicy, FailoverMode, NoAffinity, Outcome, State};

use crate::site::{IDLE, NOW, Site, TTL, eu, live, pin, record, site, stored, us};
use crate::support::{Client, at, cookie, keyring, shop, token_of, ttl};

/// A node whose census began one TTL and ten seconds before `NOW`.
fn drained_site() -> Site<CookiePolicy> {
    let mut site = site().drain(604_800);
    site.now = NOW - TTL - 10;
    let ended = Pin { endpoint: us(1), issued: at(site.now), expires: at(NOW - 10) };
    assert_eq!(site.answer(&Client::number(7).with_pin(ended)).endpoint, us(1));
    site.now = NOW;
    site
}

/// manual::draining, When it is drained: "Each gateway notes, for each endpoint, the latest end of
/// the sessions that it has seen", "when an attempt is settled: the expiry of a cookie, now + TTL
/// for a header session".
#[test]
fn settling_notes_when_an_endpoint_was_seen_and_its_latest_session_ends() {
    let mut cookies = site();
    let attempt = cookies.route(&live(eu(1))).unwrap();
    assert_eq!(cookies.census(eu(1)).latest_end, None, "routing notes nothing");
    cookies.settle(attempt);
    let census = cookies.census(eu(1));
    assert_eq!((census.last_seen, census.latest_end), (Some(at(NOW)), Some(pin(eu(1)).expires)));
    cookies.now = NOW + 50;
    cookies.unhealthy(&[eu(1)]);
    cookies.answer(&live(eu(1)));
    let census = cookies.census(eu(2));
    assert_eq!(
        (census.last_seen, census.latest_end),
        (Some(at(NOW + 50)), Some(at(NOW + 50 + TTL))),
        "moved"
    );

    let (mut headers, client) = stored(eu(1));
    headers.now = NOW + 20;
    headers.answer(&client);
    assert_eq!(headers.census(eu(1)).latest_end, Some(at(NOW + 20 + IDLE)));
}

/// manual::draining, When it is drained: "**Lent sessions** (mode `temporary`) count for the
/// endpoint that they are pinned to." "The endpoint that answered is noted as seen."
#[test]
fn a_lent_request_notes_the_pinned_endpoints_session_and_the_one_that_served_as_seen() {
    let mut site = site().mode(FailoverMode::Temporary);
    site.after(1, &live(eu(1)));
    let (pinned, served) = (site.census(eu(1)), site.census(eu(2)));
    assert_eq!((pinned.last_seen, pinned.latest_end), (None, Some(pin(eu(1)).expires)));
    assert_eq!((served.last_seen, served.latest_end), (Some(at(NOW)), None));
}

/// manual::draining, When it is drained: "So is every endpoint under the policy `none`, which has
/// no sessions."
#[test]
fn without_affinity_an_endpoint_is_drained_at_once() {
    let cookies = drained_site();
    cookies.settle(drained_site().route(&live(eu(1))).unwrap());
    let affinity = Affinity::new(NoAffinity::new(&shop()))
        .with_drain_duration(DrainDuration::new(600).unwrap());
    let disabled = State::Disabled { at: Some(at(NOW + 5)) };
    let pools = cookies.pools.edited(|edit| edit.state(eu(1), disabled)).unwrap();
    let endpoint = pools.endpoint(eu(1)).unwrap();
    let drain = affinity.drain(endpoint, endpoint.census(), at(NOW + 5));
    assert_eq!((drain.phase, drain.last_seen), (DrainPhase::Draining, Some(at(NOW))));
    assert!(
        matches!(drain.sessions, DrainSessions::Drained { since: Some(since) } if since <= at(NOW + 5)),
        "{drain:?}"
    );
}

/// manual::draining, When it is drained: "An endpoint of which an older census has noted nothing is
/// drained at once, with no end to name."
#[test]
fn with_nothing_noted_and_an_old_census_an_endpoint_is_drained_at_once() {
    let mut site = drained_site();
    site.disable(eu(1), Some(NOW));
    let drain = site.drain_of(eu(1));
    assert_eq!(
        (drain.phase, drain.sessions),
        (DrainPhase::Draining, DrainSessions::Drained { since: None })
    );
}

/// manual::draining, When it is drained: "its sessions have ended at the earlier of" the drain's
/// end and "the latest end noted".
#[test]
fn a_draining_endpoints_sessions_end_with_the_latest_noted_and_then_it_is_drained() {
    let mut site = drained_site();
    site.answer(&live(eu(1)));
    site.now = NOW + 10;
    site.disable(eu(1), Some(NOW + 10));
    let end = pin(eu(1)).expires;
    assert_eq!(site.drain_of(eu(1)).sessions, DrainSessions::EndBy(end));
    site.now = end.as_secs() - 1;
    assert_eq!(site.drain_of(eu(1)).sessions, DrainSessions::EndBy(end));
    site.now = end.as_secs();
    assert_eq!(site.drain_of(eu(1)).sessions, DrainSessions::Drained { since: Some(end) });
}

/// manual::draining, When it is drained: "If the census is younger than one TTL when the endpoint
/// is disabled", then "at least `disabled_at + ttl`".
#[test]
fn a_young_census_may_have_missed_sessions_that_live_one_ttl_after_the_endpoint_was_disabled() {
    for (age, end) in [
        (TTL - 1, DrainSessions::EndBy(at(NOW + TTL))),
        (TTL, DrainSessions::Drained { since: None }),
    ] {
        let mut site = site().drain(604_800);
        site.now = NOW - age;
        site.answer(&Client::number(7).with_pin(Pin {
            issued: at(site.now),
            expires: at(NOW),
            endpoint: us(1),
        }));
        site.now = NOW;
        site.disable(eu(1), Some(NOW));
        assert_eq!(site.drain_of(eu(1)).sessions, end, "census of {age} seconds");
    }
}

/// manual::draining, When it is drained: "Likewise if the census is from before `disabled_at`."
#[test]
fn a_census_from_before_the_endpoint_was_disabled_may_have_missed_sessions_as_well() {
    let mut site = drained_site();
    site.disable(eu(1), Some(NOW));
    for (now, sessions) in [
        (NOW - 1, DrainSessions::EndBy(at(NOW + TTL))),
        (NOW, DrainSessions::Drained { since: None }),
    ] {
        site.now = now;
        assert_eq!(site.drain_of(eu(1)).sessions, sessions, "{now}");
    }
}

/// The sessions of 60 seconds of an endpoint that was disabled at 100, by a census of the time
/// `now` that has noted nothing since it began.
fn unseen(life: fn(Ttl) -> Life, began: Option<u64>, now: u64) -> DrainSessions {
    let census = Census { began: began.map(at), ..Census::default() };
    let (state, drain) = (State::Disabled { at: Some(at(100)) }, DrainDuration::MAX);
    Drain::of(state, State::Enabled, drain, life(ttl(60)), census, at(now)).sessions
}

/// manual::draining, When it is drained: "**Header sessions**: […] every request on any of them
/// prolongs the session, during the drain as well. A gateway that restarts during the drain has not
/// seen the requests of before, so sessions may live until one TTL after its census began. The
/// census begins with its first request: until then that end is `now + ttl`."
#[test]
fn header_sessions_that_were_used_before_the_census_began_live_one_ttl_from_there() {
    let (end_by, drained) =
        (|end| DrainSessions::EndBy(at(end)), |since| DrainSessions::Drained { since });
    // One used at 151, on a gateway that restarted then, is live until 211.
    let rows = [
        (Some(40), 100, drained(None)),
        (Some(41), 100, end_by(160)),
        (Some(99), 159, end_by(160)),
        (Some(99), 160, drained(Some(at(160)))),
        (Some(100), 159, end_by(160)),
        (Some(101), 160, end_by(161)),
        (Some(101), 161, drained(Some(at(161)))),
        (Some(152), 165, end_by(212)),
        (Some(152), 211, end_by(212)),
        (Some(152), 212, drained(Some(at(212)))),
        (None, 99, end_by(160)),
        (None, 100, end_by(160)),
        (None, 165, end_by(225)),
        (None, 5_000, end_by(5_060)),
    ];
    for (began, now, sessions) in rows {
        assert_eq!(unseen(Life::Idle, began, now), sessions, "{began:?} {now}");
    }
}

/// A cookie session is not prolonged: one that no census has seen began before the endpoint was
/// disabled, and ends one TTL after that.
#[test]
fn cookie_sessions_that_no_census_has_seen_end_one_ttl_after_the_endpoint_was_disabled() {
    for began in [Some(41), Some(99), Some(100), Some(152), None] {
        assert_eq!(unseen(Life::Absolute, began, 159), DrainSessions::EndBy(at(160)), "{began:?}");
        let ended = DrainSessions::Drained { since: Some(at(160)) };
        assert_eq!(unseen(Life::Absolute, began, 160), ended, "{began:?}");
    }
}

/// An event on one of three gateways that share their sessions.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// A request of this session.
    Request(usize, u8),
    Restart(usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0_usize..3, 0_u8..4).prop_map(|(node, session)| Event::Request(node, session)),
        1 => (0_usize..3).prop_map(Event::Restart),
    ]
}

proptest! {
    /// The law of the whole: what three gateways have noted together, each since it was started,
    /// names no end before the last session's, whichever life the sessions have.
    #[test]
    fn no_session_is_live_at_an_endpoint_that_is_drained(
        is_idle in any::<bool>(),
        length in 20_u64..80,
        disabled in 50_u64..200,
        events in proptest::collection::vec((0_u64..15, event()), 1..60),
    ) {
        let life = if is_idle { Life::Idle(ttl(length)) } else { Life::Absolute(ttl(length)) };
        let state = State::Disabled { at: Some(at(disabled)) };
        let mut nodes = [Census::default(); 3];
        // The start and the end of each session.
        let mut sessions: HashMap<u8, (u64, u64)> = HashMap::new();
        let mut now = 1;
        for (pause, event) in events {
            now += pause;
            match event {
                Event::Restart(node) => nodes[node] = Census::default(),
                Event::Request(node, session) => {
                    let census = &mut nodes[node];
                    census.began = census.began.or(Some(at(now)));
                    let live = sessions.get(&session).copied().filter(|(_, end)| *end > now);
                    let used = match live {
                        Some((issued, _)) if is_idle => Some((issued, now + length)),
                        None if now < disabled => Some((now, now + length)),
                        live => live,
                    };
                    if let Some((issued, end)) = used {
                        sessions.insert(session, (issued, end));
                        let noted = Census {
                            latest_issued: Some(at(issued)),
                            latest_end: Some(at(end)),
                            ..*census
                        };
                        *census = census.merge(noted);
                    }
                }
            }
            let [one, two, three] = nodes;
            let census = one.merge(two).merge(three);
            let drain =
                Drain::of(state, State::Enabled, DrainDuration::MAX, life, census, at(now));
            let last = sessions.values().map(|(_, end)| at(*end)).max();
            let end = match drain.sessions {
                DrainSessions::Drained { .. } => at(now),
                DrainSessions::EndBy(end) => end,
                DrainSessions::Open => panic!("the endpoint is disabled"),
            };
            prop_assert!(last.is_none_or(|last| last <= end), "{:?} {:?}", last, drain.sessions);
        }
    }
}

/// manual::draining, When it is drained: "`disabled_at + drain_duration`" is the latest end.
#[test]
fn a_drain_ends_with_its_duration_at_the_latest() {
    let mut site = site().drain(600);
    site.answer(&live(eu(1)));
    site.disable(eu(1), Some(NOW));
    assert_eq!(site.drain_of(eu(1)).sessions, DrainSessions::EndBy(at(NOW + 600)));
    site.now = NOW + 600;
    let drain = site.drain_of(eu(1));
    assert_eq!(
        (drain.phase, drain.sessions),
        (DrainPhase::Over, DrainSessions::Drained { since: Some(at(NOW + 600)) })
    );
}

/// manual::draining, Step by step: "**5. Enable** it. That ends the drain"
#[test]
fn reenabling_ends_the_drain() {
    let mut site = drained_site();
    site.disable(eu(1), Some(NOW));
    site.edit(|edit| edit.state(eu(1), State::Enabled));
    let drain = site.drain_of(eu(1));
    assert_eq!((drain.phase, drain.sessions), (DrainPhase::InService, DrainSessions::Open));
    assert_eq!(site.takes(eu(1)), (true, true));
}

/// manual::tables, The endpoint: "A disabled pool drains all its endpoints; where both are
/// disabled, the earlier end counts", in the census too.
#[test]
fn the_drain_of_a_disabled_pool_is_that_of_its_endpoints() {
    let mut site = site().drain(600);
    site.answer(&live(eu(1)));
    site.disable_pool("eu", Some(NOW - 100));
    assert_eq!(site.drain_of(eu(1)).sessions, DrainSessions::EndBy(at(NOW + 500)));
    site.disable(eu(1), Some(NOW - 200));
    assert_eq!(site.drain_of(eu(1)).sessions, DrainSessions::EndBy(at(NOW + 400)));
}

/// manual::security, What the cookie is: "a token ends | `expires` in the token, and `issued` + the
/// TTL that is configured now", and the drain with it.
#[test]
fn a_lowered_ttl_ends_the_sessions_and_their_drain_sooner() {
    let mut site = drained_site();
    let begun = site.answer(&Client::number(7));
    let policy = cookie(&keyring()).with_ttl(ttl(1_800));
    let lowered = Site { pools: site.pools, ..Site::new(policy) };
    let mut lowered = lowered.drain(604_800);
    lowered.disable(begun.endpoint, Some(NOW));
    assert_eq!(lowered.drain_of(begun.endpoint).sessions, DrainSessions::EndBy(at(NOW + 1_800)));
    let client = Client::number(7).with_token(&token_of(&begun.settlement).unwrap());
    lowered.now = NOW + 1_799;
    assert_eq!(lowered.route(&client).unwrap().outcome(), Outcome::Kept);
    lowered.now = NOW + 1_800;
    assert_eq!(lowered.route(&client).unwrap().outcome(), Outcome::Created(Created::Expired));
    assert_eq!(
        lowered.drain_of(begun.endpoint).sessions,
        DrainSessions::Drained { since: Some(at(NOW + 1_800)) }
    );
}

/// manual::draining, When it is drained: "Merge their censuses with [`Census::merge`], which takes
/// the later time of each field". For header sessions "no single gateway's word is enough".
#[test]
fn the_censuses_of_two_nodes_merge_by_taking_the_greater() {
    let (mut one, client) = stored(eu(1));
    let (mut two, _) = stored(eu(1));
    for site in [&mut one, &mut two] {
        site.now = NOW - IDLE - 10;
        site.record = record(us(1));
        site.answer(&client);
        site.record = record(eu(1));
    }
    (one.now, two.now) = (NOW - 100, NOW - 50);
    one.answer(&client);
    two.answer(&client);
    let mut one = one.drain(3_600);
    one.now = NOW;
    one.disable(eu(1), Some(NOW));
    let merged = one.census(eu(1)).merge(two.census(eu(1)));
    assert_eq!(merged.last_seen, Some(at(NOW - 50)));
    assert_eq!(merged.latest_end, Some(at(NOW - 50 + IDLE)));
    assert_eq!(one.drain_by(eu(1), merged).sessions, DrainSessions::EndBy(at(NOW - 50 + IDLE)));
    assert_eq!(
        one.drain_of(eu(1)).sessions,
        DrainSessions::EndBy(at(NOW - 100 + IDLE)),
        "one node alone"
    );
    assert_eq!(merged, two.census(eu(1)).merge(one.census(eu(1))));
    assert_eq!(merged.merge(merged), merged);
    assert_eq!(Census::default().merge(merged).latest_end, merged.latest_end);
}

/// manual::draining, When it is drained: "Give the merged census to [`Affinity::drain`] or, in a
/// tool that has no `Affinity`, to [`Drain::of`]."
#[test]
fn a_drain_computed_from_values_is_that_of_the_affinity() {
    let mut site = drained_site();
    site.answer(&live(eu(1)));
    let noted = site.census(eu(1));
    let (drain, life) = (DrainDuration::new(604_800).unwrap(), Life::Absolute(ttl(TTL)));
    for (endpoint, pool) in [(None, None), (Some(NOW), None), (None, Some(NOW + 9))] {
        let state = |stamp: Option<u64>| match stamp {
            None => State::Enabled,
            Some(stamp) => State::Disabled { at: Some(at(stamp)) },
        };
        site.edit(|edit| edit.state(eu(1), state(endpoint)));
        site.edit(|edit| edit.pool_state("eu", state(pool)));
        for census in [noted, Census { began: None, ..noted }, Census::default()] {
            for now in [NOW + 10, NOW + TTL - 1, NOW + TTL, NOW + TTL + 9, NOW + 604_809] {
                site.now = now;
                let computed =
                    Drain::of(state(endpoint), state(pool), drain, life, census, at(now));
                assert_eq!(computed, site.drain_by(eu(1), census), "{endpoint:?} {pool:?} {now}");
            }
        }
    }
}
