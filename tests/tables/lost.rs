//! Live sessions whose endpoint does not serve them. From manual::tables, A lost endpoint:
//!
//! | `on_loss` | the endpoint is unhealthy | it is removed, disabled, or its drain is over | what is written |
//! |---|---|---|---|
//! | `move` (default) | moved | moved | a new pin |
//! | `lend` | lent to the endpoint that it would move to | moved | lent: as kept; moved: a new pin |
//! | `refuse` | [`NoRoute::Lost`]: answer 503 | the same | nothing |
//!
//! > It holds in every failover mode. Where several reasons hold, disabled and drained come before
//! > unhealthy. The lines of the fallback pool, of shedding, of suspects and of full endpoints come
//! > first.

use session_affinity::failover::OnLoss;
use session_affinity::outcome::{Lent, Lost, Moved};
use session_affinity::store::WriteKind;
use session_affinity::{
    AffinityPolicy, Endpoint, EndpointId, FailoverMode, Health, NoRoute, Outcome, Pool, Pools,
    StoreWrite,
};

use crate::site::{
    IDLE, MODES, NOW, Site, TTL, eu, is_nothing, live, pin, pin_in, pool, record, site, stored, us,
    with_fallback_apart,
};
use crate::support::{Client, Kind, at, header, keyring, ttl};

const LOSSES: [OnLoss; 3] = [OnLoss::Move, OnLoss::Lend, OnLoss::Refuse];

type AnySite = Site<Box<dyn AffinityPolicy>>;

/// A node of this policy, whose client has a live session of `eu-1`.
fn of_kind(kind: Kind) -> (AnySite, Client) {
    let mut site = Site::new(kind.policy(&keyring()));
    if kind == Kind::Header {
        site.record = record(eu(1));
        return (site, Client::number(7).with_user("ann"));
    }
    (site, live(eu(1)))
}

fn remove(site: AnySite) -> AnySite {
    let eu_2 = Pool::new("eu").with_endpoint(Endpoint::new("eu-2", ()));
    let pools = site.pools.rebuild().pool(eu_2).pool(pool("us", 2)).build().unwrap();
    site.pools(pools)
}

/// A reason with a change of the site that makes it.
type Row = (Lost, fn(AnySite) -> AnySite);

fn with(mut site: AnySite, change: impl FnOnce(&mut AnySite)) -> AnySite {
    change(&mut site);
    site
}

/// Each reason alone, then those that hold together.
const ROWS: [Row; 9] = [
    (Lost::Unhealthy, |site| with(site, |site| site.unhealthy(&[eu(1)]))),
    (Lost::Removed, remove),
    (Lost::Disabled, |site| with(site, |site| site.disable(eu(1), Some(NOW)))),
    (Lost::Disabled, |site| with(site, |site| site.disable_pool("eu", Some(NOW)))),
    (Lost::Drained, |site| with(site.drain(600), |site| site.disable(eu(1), Some(NOW - 600)))),
    (Lost::Drained, |site| with(site.drain(600), |site| site.disable_pool("eu", None))),
    (Lost::Unhealthy, |site| {
        with(site.drain(600), |site| {
            site.disable(eu(1), Some(NOW - 599));
            site.unhealthy(&[eu(1)]);
        })
    }),
    (Lost::Disabled, |site| {
        with(site, |site| {
            site.disable(eu(1), Some(NOW));
            site.unhealthy(&[eu(1)]);
        })
    }),
    (Lost::Drained, |site| {
        with(site.drain(600), |site| {
            site.disable(eu(1), Some(NOW - 600));
            site.unhealthy(&[eu(1)]);
        })
    }),
];

/// The cells of the table: moved, lent or refused.
fn cell(on_loss: OnLoss, reason: Lost) -> &'static str {
    match (on_loss, reason) {
        (OnLoss::Lend, Lost::Unhealthy) => "lent:unhealthy",
        (OnLoss::Refuse, Lost::Unhealthy) => "lost:unhealthy",
        (OnLoss::Refuse, Lost::Removed) => "lost:removed",
        (OnLoss::Refuse, Lost::Disabled) => "lost:disabled",
        (OnLoss::Refuse, Lost::Drained) => "lost:drained",
        (_, Lost::Unhealthy) => "moved:unhealthy",
        (_, Lost::Removed) => "moved:removed",
        (_, Lost::Disabled) => "moved:disabled",
        (_, Lost::Drained) => "moved:drained",
        (_, other) => panic!("the table does not know {other:?}"),
    }
}

/// manual::tables, A lost endpoint: every cell, for every policy in every mode, with what is
/// written. "Where several reasons hold, disabled and drained come before unhealthy."
#[test]
fn every_cell_of_the_table_for_every_policy_in_every_mode() {
    for (kind, mode) in [Kind::Cookie, Kind::IpCookie, Kind::Header]
        .into_iter()
        .flat_map(|kind| MODES.map(|mode| (kind, mode)))
        .filter(|combination| *combination != (Kind::Header, FailoverMode::Sticky))
    {
        for (on_loss, (reason, change)) in
            LOSSES.into_iter().flat_map(|on_loss| ROWS.map(|row| (on_loss, row)))
        {
            let (site, client) = of_kind(kind);
            let mut site = change(site.mode(mode).on_loss(on_loss));
            let expected = cell(on_loss, reason);
            let why = format!("{kind:?} {mode:?} {on_loss:?} {reason:?}");
            let routed = site.route(&client);
            assert_eq!(site.draws, 0, "{why}: a live session draws no entropy");
            let attempt = match routed {
                Ok(attempt) => attempt,
                Err(error) => {
                    assert_eq!(error, NoRoute::lost(eu(1), reason), "{why}");
                    assert_eq!(error.outcome().label(), expected, "{why}");
                    continue;
                }
            };
            assert_eq!(attempt.outcome().label(), expected, "{why}");
            let endpoint = attempt.endpoint();
            assert_ne!(endpoint, eu(1), "{why}");
            let settlement = site.settle(attempt).settlement;
            let moves = expected.starts_with("moved:");
            let written = match kind {
                Kind::Header => {
                    let key = header().session_key(&client.request()).unwrap();
                    let kind = if moves { WriteKind::Replace(endpoint) } else { WriteKind::Touch };
                    Some(StoreWrite { key, ttl: ttl(IDLE), now: at(NOW), kind })
                }
                _ => None,
            };
            assert_eq!(settlement.store_write, written, "{why}");
            let pinned = pin_in(&settlement, NOW).map(|pin| pin.endpoint);
            let cookie = (kind != Kind::Header && moves).then_some(endpoint);
            assert_eq!((settlement.set_cookie().is_some(), pinned), (cookie.is_some(), cookie));
        }
    }
}

/// manual::tables, A lost endpoint: `lend` lends "to the endpoint that it would move to", and
/// `move` is the default.
#[test]
fn a_session_is_lent_to_the_endpoint_that_it_would_move_to() {
    let six = || Pools::builder().pool(pool("eu", 6)).build().unwrap();
    for issued in 0..32 {
        let client = Client::number(7)
            .with_pin(session_affinity::token::Pin { issued: at(NOW - issued), ..pin(eu(1)) });
        let served = |mut site: Site<_>| {
            site.unhealthy(&[eu(1)]);
            let answered = site.answer(&client);
            (answered.outcome, answered.endpoint)
        };
        let (moved, to) = served(site().pools(six()));
        assert_eq!(moved, Outcome::Moved(Moved::Unhealthy));
        assert_eq!(served(site().pools(six()).on_loss(OnLoss::Move)), (moved, to));
        let lent = Outcome::Lent(Lent::Unhealthy);
        assert_eq!(served(site().pools(six()).on_loss(OnLoss::Lend)), (lent, to));
        // With no pool open: the fallback pool.
        let apart = |on_loss| {
            let mut site = site().pools(with_fallback_apart()).on_loss(on_loss);
            site.unhealthy(&[eu(2), us(1), us(2)]);
            site
        };
        let (moved, lent) = (served(apart(OnLoss::Move)), served(apart(OnLoss::Lend)));
        assert_eq!((lent.0, lent.1), (Outcome::Lent(Lent::Unhealthy), moved.1));
    }
}

/// manual::tables, A lost endpoint: "A lent session comes home when its endpoint is healthy
/// again."
#[test]
fn a_lent_session_comes_home_when_its_endpoint_is_healthy_again() {
    for mode in MODES {
        let mut site = site().mode(mode).on_loss(OnLoss::Lend);
        site.unhealthy(&[eu(1)]);
        for _ in 0..3 {
            let lent = site.answer(&live(eu(1)));
            assert_eq!((lent.endpoint, lent.outcome), (eu(2), Outcome::Lent(Lent::Unhealthy)));
            assert!(is_nothing(&lent.settlement));
        }
        site.edit(|edit| edit.health(eu(1), Health::Healthy));
        let back = site.answer(&live(eu(1)));
        assert_eq!((back.endpoint, back.outcome), (eu(1), Outcome::Kept), "{mode:?}");
    }
}

/// manual::tables, A lost endpoint: "A refused session stays as it was, and the same request is
/// served again when its endpoint takes it". New sessions and those of other endpoints are served meanwhile.
#[test]
fn a_refused_session_is_kept_when_its_endpoint_takes_it_again() {
    let mut site = site().on_loss(OnLoss::Refuse);
    site.unhealthy(&[eu(1)]);
    let error = site.route(&live(eu(1))).unwrap_err();
    assert_eq!((error.status().as_u16(), error.outcome().label()), (503, "lost:unhealthy"));
    assert_eq!((error.trace().pinned(), error.trace().endpoint()), (Some(eu(1)), None));
    assert_eq!(
        error.to_string(),
        format!(
            "the session's endpoint {} does not take it (lost:unhealthy), and on_loss is refuse",
            eu(1)
        )
    );
    assert_eq!(site.answer(&live(eu(2))).outcome, Outcome::Kept);
    assert_eq!(site.new_sessions(), [eu(2)].into());
    assert_eq!(site.census(eu(1)).last_seen, None, "no endpoint is told of it");
    site.edit(|edit| edit.health(eu(1), Health::Healthy));
    assert_eq!(site.answer(&live(eu(1))).outcome, Outcome::Kept);
}

/// manual::tables, A lost endpoint: "Without an endpoint to lend to there is no route, as without
/// one to move to". A session that is refused is refused without any endpoint too.
#[test]
fn without_any_endpoint_nothing_is_lent_and_the_refused_are_refused() {
    for (on_loss, outcome) in [
        (OnLoss::Move, Outcome::NoEndpoint),
        (OnLoss::Lend, Outcome::NoEndpoint),
        (OnLoss::Refuse, Outcome::Lost(Lost::Unhealthy)),
    ] {
        let mut site = site().on_loss(on_loss);
        site.unhealthy(&[eu(1), eu(2), us(1), us(2)]);
        let error = site.route(&live(eu(1))).unwrap_err();
        assert_eq!((error.outcome(), error.trace().pinned()), (outcome, Some(eu(1))));
        let new = site.route(&Client::number(7)).unwrap_err();
        assert_eq!((new, new.trace().pinned()), (NoRoute::no_endpoint(None), None));
    }
}

/// manual::tables, A failed connection: "*Pinned* is an attempt at the live session's own endpoint,
/// or lent in its place", for whatever reason it was lent.
#[test]
fn a_refused_connection_of_a_lent_session_is_by_the_failover_mode() {
    for (mode, outcome) in [
        (FailoverMode::None, None),
        (FailoverMode::Temporary, Some(Outcome::Lent(Lent::ConnectFailed))),
        (FailoverMode::Sticky, Some(Outcome::Moved(Moved::ConnectFailed))),
    ] {
        let three = Pools::builder().pool(pool("eu", 3)).build().unwrap();
        let mut site = site().pools(three).mode(mode).on_loss(OnLoss::Lend);
        site.unhealthy(&[eu(1)]);
        let attempt = site.route(&live(eu(1))).unwrap();
        let first = attempt.endpoint();
        let next = site.failover(attempt);
        assert_eq!(next.as_ref().ok().map(|next| next.outcome()), outcome, "{mode:?}");
        let Ok(next) = next else { continue };
        assert!(![first, eu(1)].contains(&next.endpoint()));
        let settlement = site.settle(next).settlement;
        assert_eq!(pin_in(&settlement, NOW).is_some(), mode == FailoverMode::Sticky);
    }
}

/// manual::tables, A failed connection: "The attempt's own pool is searched": that of the endpoint
/// to which the session was lent.
#[test]
fn the_next_endpoint_of_a_lent_session_is_of_the_pool_that_it_was_lent_to() {
    let mut site = site().mode(FailoverMode::Temporary).on_loss(OnLoss::Lend);
    site.unhealthy(&[eu(1), eu(2)]);
    let attempt = site.route(&live(eu(1))).unwrap();
    let others = if attempt.endpoint() == us(1) { us(2) } else { us(1) };
    // Its own pool is open again meanwhile.
    site.edit(|edit| edit.health(eu(2), Health::Healthy));
    assert_eq!(site.failover(attempt).unwrap().endpoint(), others);
}

/// manual::draining, When it is drained: a lent request notes the session under the endpoint that
/// it is pinned to, and the one that has served it as seen.
#[test]
fn a_lent_request_is_noted_under_its_pin_and_seen_at_the_endpoint_that_served_it() {
    let mut site = site().on_loss(OnLoss::Lend);
    site.unhealthy(&[eu(1)]);
    assert_eq!(site.answer(&live(eu(1))).endpoint, eu(2));
    let (home, lent_to) = (site.census(eu(1)), site.census(eu(2)));
    assert_eq!((home.latest_end, home.last_seen), (Some(at(NOW - 60 + TTL)), None));
    assert_eq!((lent_to.latest_end, lent_to.last_seen), (None, Some(at(NOW))));
    let (site, client) = stored(eu(1));
    let mut site = site.on_loss(OnLoss::Lend);
    site.unhealthy(&[eu(1)]);
    site.answer(&client);
    assert_eq!(site.census(eu(1)).latest_end, Some(at(NOW + IDLE)));
}

/// manual::tables, A lost endpoint: "The lines of the fallback pool, of shedding, of
/// suspects and of full endpoints come first."
#[test]
fn the_rows_before_it_hold_whatever_is_set_for_a_lost_endpoint() {
    for on_loss in LOSSES {
        let mut last = site().pools(with_fallback_apart()).on_loss(on_loss);
        last.unhealthy(&[us(1), us(2), eu(1), eu(2)]);
        assert_eq!(last.answer(&live(us(1))).outcome, Outcome::Kept, "{on_loss:?}");

        let mut shed = site().on_loss(on_loss);
        shed.shed("eu", 0, 100);
        assert_eq!(shed.answer(&live(eu(1))).outcome, Outcome::Moved(Moved::Shed), "{on_loss:?}");

        for (mode, outcome) in [
            (FailoverMode::None, Outcome::Kept),
            (FailoverMode::Temporary, Outcome::Lent(Lent::Suspect)),
            (FailoverMode::Sticky, Outcome::Moved(Moved::Suspect)),
        ] {
            let mut suspect = site().mode(mode).cooling_off(60).on_loss(on_loss);
            let _ = suspect.route(&live(eu(1))).map(|attempt| suspect.failover(attempt));
            assert_eq!(suspect.answer(&live(eu(1))).outcome, outcome, "{on_loss:?}");
        }
    }
}

/// An endpoint that takes its sessions has not lost them: one that is not checked yet, one that
/// drains, one of weight 0, one of a critical pool.
#[test]
fn an_endpoint_that_takes_its_sessions_is_not_lost() {
    let changes: [fn(&mut Site<_>, EndpointId); 4] = [
        |site, id| site.unchecked(&[id]),
        |site, id| site.disable(id, Some(NOW)),
        |site, id| site.weight(id, 0),
        |site, _| site.edit(|edit| edit.pool_minimum_origins("eu", 9)),
    ];
    for (on_loss, change) in
        LOSSES.into_iter().flat_map(|on_loss| changes.map(|change| (on_loss, change)))
    {
        let mut site = site().drain(600).on_loss(on_loss);
        change(&mut site, eu(1));
        assert_eq!(site.answer(&live(eu(1))).outcome, Outcome::Kept, "{on_loss:?}");
    }
}
