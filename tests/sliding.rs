//! Sessions that use renews: `SlidingPolicy`.

use proptest::prelude::*;
use session_affinity::drain::DrainSessions;
use session_affinity::limits::{DrainDuration, RenewAfter};
use session_affinity::policy::{InvalidLife, Life, MigratingPolicy, SlidingPolicy};
use session_affinity::token::Pin;
use session_affinity::*;

mod support;
use support::{
    Client, NOW, at, codec, cookie_policy, header, in_header, issued_header, keyring, pools, shop,
    sliding, token_of, ttl,
};

/// The lifetime of a cookie session, in seconds.
const TTL: u64 = 82_800;

type Sliding = Affinity<SlidingPolicy<CookiePolicy>>;

fn affinity() -> Sliding {
    Affinity::new(sliding(&keyring()))
}

/// A request of a client whose endpoint answers: its outcome, and the token that it gets.
fn serve(
    affinity: &Affinity<impl AffinityPolicy>,
    pools: &Pools<&'static str>,
    client: &Client,
    now: u64,
) -> (&'static str, EndpointId, Option<String>) {
    let visit = affinity.recall(&client.request(), at(now));
    let (attempt, _) = affinity.route(visit, Record::Absent, pools, || 4).unwrap();
    let (outcome, endpoint) = (attempt.outcome().label(), attempt.endpoint());
    (outcome, endpoint, token_of(&affinity.settle(attempt, pools)))
}

fn pin(issued: u64) -> Pin {
    let endpoint = EndpointId::new("eu", "eu-1");
    Pin { endpoint, issued: at(issued), expires: at(issued + TTL) }
}

/// manual::choosing, The lifetime: "a response brings a new token once half of the life is over".
#[test]
fn a_session_is_renewed_at_its_endpoint_once_half_of_its_life_is_over() {
    let (affinity, pools, now) = (affinity(), pools(&["eu-1", "eu-2"]), NOW.as_secs());
    let client = Client::number(7).with_pin(pin(now));
    let half = now + TTL / 2;
    for (time, token) in [
        (now, None),
        (half - 1, None),
        (half, Some(pin(half))),
        (now + TTL - 1, Some(pin(now + TTL - 1))),
    ] {
        let (outcome, endpoint, renewed) = serve(&affinity, &pools, &client, time);
        assert_eq!((outcome, endpoint), ("kept", EndpointId::new("eu", "eu-1")));
        let open = |token: String| codec(&keyring()).open(token.as_bytes(), at(time)).unwrap();
        assert_eq!(renewed.map(open), token, "{time}");
    }
    assert_eq!(serve(&affinity, &pools, &client, now + TTL).0, "created:expired");
}

#[test]
fn the_share_of_the_life_can_be_set() {
    let (pools, now) = (pools(&["eu-1", "eu-2"]), NOW.as_secs());
    let client = Client::number(7).with_pin(pin(now));
    for (percent, from) in [(0, 0), (1, 828), (99, 81_972)] {
        let policy = sliding(&keyring()).with_renew_after(RenewAfter::new(percent).unwrap());
        let affinity = Affinity::new(policy);
        let is_renewed = |time: u64| serve(&affinity, &pools, &client, time).2.is_some();
        assert!(from == 0 || !is_renewed(now + from - 1), "{percent}");
        assert!(is_renewed(now + from), "{percent}");
    }
}

/// A lifetime that is lowered ends older sessions sooner, so they are renewed sooner.
#[test]
fn the_share_is_one_of_the_shorter_life() {
    let (pools, now) = (pools(&["eu-1", "eu-2"]), NOW.as_secs());
    let policy = SlidingPolicy::new(cookie_policy().with_ttl(ttl(1_000))).unwrap();
    let affinity = Affinity::new(policy);
    let client = Client::number(7).with_pin(pin(now));
    assert_eq!(serve(&affinity, &pools, &client, now + 499).2, None);
    assert!(serve(&affinity, &pools, &client, now + 500).2.is_some());
    assert_eq!(serve(&affinity, &pools, &client, now + 1_000).0, "created:expired");
}

#[test]
fn an_issued_header_is_renewed_too() {
    let (pools, now) = (pools(&["eu-1", "eu-2"]), NOW.as_secs());
    let affinity = Affinity::new(SlidingPolicy::new(in_header(&keyring())).unwrap());
    let codec = token::TokenCodec::new(&shop(), issued_header(), &keyring());
    let client =
        support::Kind::IssuedHeader.with_token(Client::number(7), codec.seal(&pin(now)).as_str());
    assert_eq!(serve(&affinity, &pools, &client, now + 1), ("kept", pin(now).endpoint, None));
    let (outcome, _, renewed) = serve(&affinity, &pools, &client, now + TTL / 2);
    assert_eq!((outcome, renewed.is_some()), ("kept", true));
}

/// manual::choosing, The lifetime: "a request that is lent renews nothing"
#[test]
fn a_lent_request_renews_nothing() {
    let (pools, now) = (pools(&["eu-1", "eu-2"]), NOW.as_secs());
    let affinity = affinity().with_failover_mode(FailoverMode::Temporary).unwrap();
    let client = Client::number(7).with_pin(pin(now));
    let visit = affinity.recall(&client.request(), at(now + TTL - 1));
    let (attempt, _) = affinity.route(visit, Record::Absent, &pools, || 4).unwrap();
    let (attempt, _) = affinity.failover(attempt, &pools).unwrap();
    assert_eq!(attempt.outcome().label(), "lent:connect_failed");
    assert_eq!(affinity.settle(attempt, &pools), Settlement::nothing());
}

/// manual::draining, When it is drained: "a cookie that use renews ends one TTL after its last use at
/// the latest"
#[test]
fn a_drain_waits_for_the_sessions_that_were_renewed() {
    let (mut now, names) = (NOW.as_secs(), ["eu-1", "eu-2"]);
    let mut pools = pools(&names);
    let affinity = affinity().with_drain_duration(DrainDuration::MAX);
    let eu_1 = EndpointId::new("eu", "eu-1");
    pools.begin_census(at(now - 2 * TTL));
    let mut client = Client::number(7).with_pin(pin(now));
    serve(&affinity, &pools, &client, now);
    pools = pools.edited(|edit| edit.state(eu_1, State::Disabled { at: Some(at(now)) })).unwrap();
    let sessions = |pools: &Pools<&'static str>, now: u64| {
        let endpoint = pools.endpoint(eu_1).unwrap();
        affinity.drain(endpoint, endpoint.census(), at(now)).sessions
    };
    // Four renewals, each of which is a promise that the report keeps.
    for _ in 0..4 {
        now += TTL / 2;
        let (outcome, endpoint, renewed) = serve(&affinity, &pools, &client, now);
        assert_eq!((outcome, endpoint), ("kept", eu_1));
        client = Client::number(7).with_token(&renewed.unwrap());
        assert_eq!(sessions(&pools, now), DrainSessions::EndBy(at(now + TTL)));
    }
    let end = now + TTL;
    assert_eq!(sessions(&pools, end), DrainSessions::Drained { since: Some(at(end)) });
    assert_eq!(serve(&affinity, &pools, &client, end).0, "created:expired");
}

/// The renewals of the time in which foreign cookies were accepted count afterwards: the marks go on.
#[test]
fn a_renewal_under_a_policy_of_unknown_life_is_noted_too() {
    let (now, mut pools) = (NOW.as_secs(), pools(&["eu-1", "eu-2"]));
    pools.begin_census(at(now - 2 * TTL));
    let migrating = support::migrating(&keyring());
    let before = Affinity::new(SlidingPolicy::new(migrating).unwrap());
    let client = Client::number(7).with_pin(pin(now));
    let renewed = now + TTL - 1;
    assert!(serve(&before, &pools, &client, renewed).2.is_some());

    let afterwards = affinity().with_drain_duration(DrainDuration::new(2 * TTL).unwrap());
    let disabled = State::Disabled { at: Some(at(renewed)) };
    pools = pools.edited(|edit| edit.state(pin(now).endpoint, disabled)).unwrap();
    let endpoint = pools.endpoint(pin(now).endpoint).unwrap();
    let drain = afterwards.drain(endpoint, endpoint.census(), at(renewed + TTL - 1));
    assert!(matches!(drain.sessions, DrainSessions::EndBy(end) if end >= at(renewed + TTL)));
}

#[test]
fn only_a_policy_that_use_does_not_renew_as_it_is_can_be_wrapped() {
    let refused = SlidingPolicy::new(header()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the policy within SlidingPolicy has the life Idle(Ttl(1800)); allowed: Life::Absolute or \
         Life::Unknown, such as CookiePolicy"
    );
    let life = |refused: Result<_, InvalidLife>| refused.map(|_: SlidingPolicy<_>| ()).unwrap_err();
    assert_eq!(life(SlidingPolicy::new(NoAffinity::new(&shop()))).life, Life::Sessionless);
    let twice = SlidingPolicy::new(sliding(&keyring())).unwrap_err();
    assert_eq!(twice.life, Life::Idle(ttl(TTL)));

    let boxed: Box<dyn AffinityPolicy> = Box::new(cookie_policy());
    assert_eq!(SlidingPolicy::new(boxed).unwrap().life(), Life::Idle(ttl(TTL)));
    let migrating = MigratingPolicy::new(cookie_policy()).unwrap();
    assert_eq!(SlidingPolicy::new(migrating).unwrap().life(), Life::Unknown);
}

proptest! {
    /// A client that comes back within the rest of the life after a renewal never loses its session.
    #[test]
    fn a_session_that_is_used_in_time_never_ends(
        percent in 0_u64..=99,
        gaps in prop::collection::vec(0_u64..=100, 1..40),
    ) {
        let policy = sliding(&keyring()).with_renew_after(RenewAfter::new(percent).unwrap());
        let (affinity, pools) = (Affinity::new(policy), pools(&["eu-1", "eu-2"]));
        let mut now = NOW.as_secs();
        let (mut client, mut issued) = (Client::number(7).with_pin(pin(now)), now);
        // The least time after its last use that a session lasts.
        let rest = TTL - TTL * percent / 100 - 1;
        for gap in gaps {
            now += rest * gap / 100;
            let (outcome, endpoint, renewed) = serve(&affinity, &pools, &client, now);
            prop_assert_eq!((outcome, endpoint), ("kept", pin(now).endpoint));
            prop_assert_eq!(renewed.is_some(), (now - issued) * 100 >= TTL * percent);
            if let Some(token) = renewed {
                client = Client::number(7).with_token(&token);
                issued = now;
            }
        }
    }
}
