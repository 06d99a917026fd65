//! The snapshot: what is refused when it is built, and what a change leaves alone.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use session_affinity::limits::{CoolingOff, Percent};
use session_affinity::pools::{InvalidPools, LoadShedding, NotInSnapshot, PoolsEdit};
use session_affinity::steering::{Random, Room};
use session_affinity::*;

mod support;
use support::{NOW, at, cookie_policy, request, shop};

/// A target that cannot be cloned.
struct Peer(u32);

fn fleet() -> Pools<Peer> {
    let eu = Pool::new("eu")
        .with_endpoint(Endpoint::new("eu-1", Peer(1)))
        .with_endpoint(Endpoint::new("eu-2", Peer(2)));
    let us = Pool::new("us").with_minimum_origins(2).with_endpoint(Endpoint::new("us-1", Peer(3)));
    Pools::builder().pool(eu).pool(us).build().unwrap()
}

/// Names that were searched for their ids: a minute or two of one core for each pair.
/// manual::threats, The one who names endpoints: "The build refuses the later one and names both"
#[test]
fn names_with_one_id_are_refused_and_the_error_names_both() {
    let pool = |name: &str, endpoints: &[&str]| {
        endpoints
            .iter()
            .fold(Pool::new(name), |pool, name| pool.with_endpoint(Endpoint::new(*name, ())))
    };
    let (ours, theirs) = ("coagehkojjmcoeac", "nbioeccdpngdgkne");
    assert_eq!(EndpointId::new("tenant1", ours), EndpointId::new("tenant2", theirs));
    let of_two_pools = Pools::builder()
        .pool(pool("tenant1", &["a", ours]))
        .pool(pool("tenant2", &["a", theirs]))
        .build()
        .unwrap_err();
    assert_eq!(
        said_once(&of_two_pools),
        r#"the id of endpoint "nbioeccdpngdgkne" in pool "tenant2" is b70b0fc67ce462b4, as that of endpoint "coagehkojjmcoeac" in pool "tenant1"; allowed: names with different ids"#
    );

    let of_one_pool = Pools::builder()
        .pool(pool("tenant2", &["fpnbnkheghglojga", "deknmailbpcmmnap"]))
        .build()
        .unwrap_err();
    assert_eq!(
        said_once(&of_one_pool),
        r#"the id of endpoint "deknmailbpcmmnap" in pool "tenant2" is e0770bcd1f9d6cd1, as that of endpoint "fpnbnkheghglojga" in pool "tenant2"; allowed: names with different ids"#
    );

    let pools = Pools::builder()
        .pool(pool("hddmgeplcomficgn", &["a"]))
        .fallback_apart(pool("gnnpbgphmidoacej", &["b"]))
        .build()
        .unwrap_err();
    assert_eq!(
        said_once(&pools),
        r#"the id of pool "gnnpbgphmidoacej" is that of pool "hddmgeplcomficgn"; allowed: names with different ids"#
    );

    let before = Pools::builder().pool(pool("tenant2", &[theirs])).pool(pool("tenant1", &["a"]));
    let found = [Endpoint::new(ours, ())];
    let by_discovery =
        before.build().unwrap().with_endpoints_of("tenant1", found, Health::Healthy).unwrap_err();
    assert!(matches!(by_discovery, InvalidPools::SameEndpointId { .. }), "{by_discovery}");
}

#[test]
fn names_that_are_invalid_or_occur_twice_and_too_many_endpoints_are_refused() {
    let pool = |name: &str, endpoints: &[&str]| {
        endpoints
            .iter()
            .fold(Pool::new(name), |pool, name| pool.with_endpoint(Endpoint::new(*name, ())))
    };
    let refused = [
        (
            Pools::builder().pool(pool("eu", &[])).pool(pool("eu", &[])),
            r#"the name of two pools is "eu"; allowed: each name once"#,
        ),
        (
            Pools::builder().pool(pool("eu", &[])).fallback_apart(pool("eu", &[])),
            r#"the name of two pools is "eu"; allowed: each name once"#,
        ),
        (
            Pools::builder().pool(pool("eu", &["a", "b", "a"])),
            r#"the name of two endpoints in pool "eu" is "a"; allowed: each name once in a pool"#,
        ),
        (
            Pools::builder().pool(pool("", &[])),
            r#"the name of a pool is ""; allowed: 1 to 255 bytes without control characters"#,
        ),
        (
            Pools::builder().pool(pool("eu", &["a\n"])),
            r#"the name of an endpoint in pool "eu" is "a\n"; allowed: 1 to 255 bytes without control characters"#,
        ),
        (
            Pools::builder().pool((0..32_769).fold(Pool::new("eu"), |pool, number| {
                pool.with_endpoint(Endpoint::new(number.to_string(), ()))
            })),
            r#"pool "eu" has 32769 endpoints; allowed: at most 32768 in a pool"#,
        ),
        (
            Pools::builder().pool(pool("eu", &[])).fallback_in_order("us"),
            r#"the fallback pool is "us"; allowed: the name of a pool in failover order"#,
        ),
    ];
    for (builder, message) in refused {
        assert_eq!(said_once(&builder.build().unwrap_err()), message);
    }
    assert!(
        Pools::builder()
            .pool(pool("eu", &["a"]))
            .pool(pool("us", &["a"]))
            .fallback_in_order("us")
            .build()
            .is_ok()
    );
    assert!(Pools::<()>::builder().build().is_ok());
}

#[test]
fn a_change_shares_the_topology_and_leaves_the_old_snapshot_as_it_was() {
    let before = fleet();
    assert_eq!(before.iter().map(|pool| pool.minimum_origins()).collect::<Vec<_>>(), [1, 2]);
    let id = EndpointId::new("eu", "eu-1");
    let shedding = LoadShedding { session_percent: Percent::MAX, ..LoadShedding::default() };
    let edited = before.edited(|edit| {
        edit.health(id, Health::Unhealthy)?;
        edit.weight(id, Weight::ZERO)?;
        edit.state(id, State::Disabled { at: None })?;
        edit.pool_state("us", State::Disabled { at: Some(UnixTime::EPOCH) })?;
        edit.pool_minimum_origins("us", 0)?;
        edit.pool_shedding("us", shedding)
    });
    let after = edited.unwrap();
    let (old, new) = (before.endpoint(id).unwrap(), after.endpoint(id).unwrap());
    assert!(std::ptr::eq(old.target(), new.target()));
    assert_eq!(
        (old.health(), old.weight(), old.state()),
        (Health::Healthy, Weight::default(), State::Enabled)
    );
    assert_eq!(
        (new.health(), new.weight(), new.state()),
        (Health::Unhealthy, Weight::ZERO, State::Disabled { at: None })
    );
    let us = after.pool("us").unwrap();
    assert_eq!(
        (us.minimum_origins(), us.state()),
        (0, State::Disabled { at: Some(UnixTime::EPOCH) })
    );
    assert_eq!(us.shedding().session_percent, Percent::MAX);
    assert_eq!(before.pool("us").unwrap().state(), State::Enabled);
}

#[test]
fn what_is_not_there_cannot_be_changed() {
    let refused = |edit: &dyn Fn(&mut PoolsEdit<Peer>) -> Result<(), NotInSnapshot>| {
        fleet().edited(edit).map(drop).unwrap_err()
    };
    let stranger = EndpointId::new("eu", "eu-9");
    let unknown = NotInSnapshot::Endpoint(stranger);
    assert_eq!(refused(&|edit| edit.health(stranger, Health::Healthy)), unknown);
    assert_eq!(refused(&|edit| edit.weight(stranger, Weight::ZERO)), unknown);
    assert_eq!(refused(&|edit| edit.state(stranger, State::Enabled)), unknown);
    let message =
        format!("endpoint {stranger} is not in the snapshot; allowed: the id of one that is");
    assert_eq!(unknown.to_string(), message);

    let unknown = NotInSnapshot::Pool("asia".into());
    assert_eq!(refused(&|edit| edit.pool_state("asia", State::Enabled)), unknown);
    assert_eq!(refused(&|edit| edit.pool_minimum_origins("asia", 1)), unknown);
    assert_eq!(refused(&|edit| edit.pool_shedding("asia", LoadShedding::default())), unknown);
    let message = r#"pool "asia" is not in the snapshot; allowed: the name of one that is"#;
    assert_eq!(unknown.to_string(), message);
}

#[test]
fn an_edit_that_was_refused_can_go_on_and_has_changed_nothing() {
    let (stranger, id) = (EndpointId::new("eu", "eu-9"), EndpointId::new("eu", "eu-1"));
    let edited = fleet().edited(|edit| {
        assert!(edit.health(stranger, Health::Unhealthy).is_err());
        edit.weight(id, Weight::ZERO)
    });
    let pools = edited.unwrap();
    let endpoints = pools.iter().flat_map(|pool| pool.endpoints());
    for endpoint in endpoints {
        assert_eq!(endpoint.health(), Health::Healthy);
        assert_eq!(endpoint.weight() == Weight::ZERO, endpoint.id() == id);
    }
}

/// manual::tables, The endpoint: "An endpoint of weight 0 counts; a draining one, and one not
/// checked yet, does not."
/// manual::concepts, Words: "*critical* pool | fewer than `minimum_origins` of its endpoints are
/// healthy and enabled", "*open* pool | enabled, not critical, and one of its endpoints takes new
/// sessions".
#[test]
fn critical_and_open_follow_every_change() {
    let pools = fleet();
    let id = EndpointId::new("eu", "eu-1");
    let both = [id, EndpointId::new("eu", "eu-2")];
    let open = |pools: &Pools<Peer>| {
        pools.pool("eu").map(|pool| (pool.is_critical(), pool.is_open())).unwrap()
    };
    assert_eq!(open(&pools), (false, true));
    assert!(pools.pool("us").unwrap().is_critical());

    let edited = pools.edited(|edit| {
        edit.pool_minimum_origins("eu", 2)?;
        edit.weight(id, Weight::ZERO)
    });
    let pools = edited.unwrap();
    assert_eq!(open(&pools), (false, true));

    let pools = pools.edited(|edit| edit.state(id, State::Disabled { at: None })).unwrap();
    assert_eq!(open(&pools), (true, false));

    let edited = pools.edited(|edit| {
        edit.pool_minimum_origins("eu", 0)?;
        for id in both {
            edit.state(id, State::Enabled)?;
            edit.weight(id, Weight::ZERO)?;
        }
        Ok(())
    });
    assert_eq!(open(&edited.unwrap()), (false, false));

    let edited = pools.edited(|edit| {
        for id in both {
            edit.health(id, Health::Unhealthy)?;
            edit.health(id, Health::Unhealthy)?;
            edit.health(id, Health::Healthy)?;
            edit.state(id, State::Enabled)?;
            edit.weight(id, Weight::default())?;
        }
        edit.pool_state("eu", State::Disabled { at: None })
    });
    assert_eq!(open(&edited.unwrap()), (false, false));
}

#[test]
fn a_rebuilt_fleet_has_other_members_under_the_same_ids() {
    let before = fleet();
    let eu = Pool::new("eu")
        .with_endpoint(Endpoint::new("eu-2", Peer(20)))
        .with_endpoint(Endpoint::new("eu-3", Peer(30)));
    let after = before.rebuild().pool(eu).build().unwrap();
    assert!(after.target(EndpointId::new("eu", "eu-1")).is_none());
    assert_eq!(after.target(EndpointId::new("eu", "eu-2")).map(|peer| peer.0), Some(20));
    assert_eq!(
        after
            .iter()
            .flat_map(|pool| pool.endpoints().map(|endpoint| endpoint.name()))
            .collect::<Vec<_>>(),
        ["eu-2", "eu-3"]
    );
}

/// The state of an endpoint or a pool that an operator has disabled.
const DISABLED: State = State::Disabled { at: Some(NOW) };

/// manual::gateways, Changing the endpoints: "An endpoint that stays keeps its health, weight and
/// state […] unless its new description states another one".
#[test]
fn a_rebuild_keeps_of_an_endpoint_what_the_description_does_not_state() {
    let edited = fleet().edited(|edit| {
        let id = EndpointId::new("eu", "eu-1");
        edit.weight(id, Weight::new(30).unwrap())?;
        edit.health(id, Health::Unhealthy)?;
        edit.state(id, DISABLED)
    });
    let before = edited.unwrap();
    let was = (Weight::new(30).unwrap(), Health::Unhealthy, DISABLED);
    let stated = (Weight::new(70).unwrap(), Health::Unchecked, State::Disabled { at: None });
    for (initial, states) in [Health::Healthy, Health::Unhealthy, Health::Unchecked]
        .into_iter()
        .flat_map(|health| (0..8).map(move |states| (health, states)))
    {
        let bit = |bit: u32| states & (1 << bit) != 0;
        let describe = |name: &str| {
            let mut endpoint = Endpoint::new(name, Peer(9));
            if bit(0) {
                endpoint = endpoint.with_weight(stated.0);
            }
            if bit(1) {
                endpoint = endpoint.with_health(stated.1);
            }
            if bit(2) {
                endpoint = endpoint.with_state(stated.2);
            }
            endpoint
        };
        let new = (Weight::default(), initial, State::Enabled);
        let rows = [(before.rebuild(), "eu-1", was), (before.rebuild(), "eu-9", new)];
        let rows = rows.into_iter().chain([(Pools::builder(), "eu-1", new)]);
        for (builder, name, open) in rows {
            let pool = Pool::new("eu").with_endpoint(describe(name));
            let pools = builder.with_initial_health(initial).pool(pool).build().unwrap();
            let endpoint = pools.endpoint(EndpointId::new("eu", name)).unwrap();
            let weight = if bit(0) { stated.0 } else { open.0 };
            let health = if bit(1) { stated.1 } else { open.1 };
            let state = if bit(2) { stated.2 } else { open.2 };
            assert_eq!(endpoint.target().0, 9, "the target is always the new one");
            assert_eq!(
                (endpoint.weight(), endpoint.health(), endpoint.state()),
                (weight, health, state),
                "{name}, {states:03b}"
            );
            // What is counted follows: the next change counts from there.
            let serves = health == Health::Healthy && state == State::Enabled;
            assert_eq!(endpoint.pool().is_critical(), !serves);
            let id = endpoint.id();
            let healed = pools.edited(|edit| {
                edit.state(id, State::Enabled)?;
                edit.health(id, Health::Healthy)
            });
            assert!(healed.unwrap().pool("eu").unwrap().is_open());
        }
    }
}

/// manual::gateways, Changing the endpoints: "A pool keeps its state, weight, `minimum_origins` and
/// shedding in the same way".
#[test]
fn a_rebuild_keeps_of_a_pool_what_the_description_does_not_state() {
    let percent = |percent| LoadShedding {
        session_percent: Percent::new(percent).unwrap(),
        ..LoadShedding::default()
    };
    let edited = fleet().edited(|edit| {
        edit.pool_state("eu", DISABLED)?;
        edit.pool_minimum_origins("eu", 3)?;
        edit.pool_shedding("eu", percent(5))
    });
    let before = edited.unwrap();
    let was = (DISABLED, 3, percent(5));
    let new = (State::Enabled, 1, percent(0));
    let stated = (State::Disabled { at: None }, 0, percent(7));
    for states in 0..8 {
        let bit = |bit: u32| states & (1 << bit) != 0;
        let describe = |name: &str| {
            let mut pool = Pool::new(name);
            if bit(0) {
                pool = pool.with_state(stated.0);
            }
            if bit(1) {
                pool = pool.with_minimum_origins(stated.1);
            }
            if bit(2) {
                pool = pool.with_shedding(stated.2);
            }
            pool
        };
        // In the order or apart from it: the name is the pool's identity.
        let rows = [
            (before.rebuild().pool(describe("eu")), "eu", was),
            (before.rebuild().fallback_apart(describe("eu")), "eu", was),
            (before.rebuild().pool(describe("asia")), "asia", new),
            (Pools::builder().pool(describe("eu")), "eu", new),
        ];
        for (builder, name, open) in rows {
            let pools = builder.build().unwrap();
            let pool = pools.pool(name).unwrap();
            let expected = (
                if bit(0) { stated.0 } else { open.0 },
                if bit(1) { stated.1 } else { open.1 },
                if bit(2) { stated.2 } else { open.2 },
            );
            let found = (pool.state(), pool.minimum_origins(), pool.shedding());
            assert_eq!(found, expected, "{name}, {states:03b}");
        }
    }
}

/// manual::gateways, Changing the endpoints: "The other pools, their order, the fallback pool, the
/// steerings and the rooms stay as they are".
#[test]
fn the_endpoints_of_one_pool_change_and_all_else_stays() {
    let shedding = LoadShedding { session_percent: Percent::MAX, ..LoadShedding::default() };
    let build = |builder: pools::PoolsBuilder<()>| builder.build().unwrap();
    let eu = || named(&["a", "b"]).with_steering(LastName);
    let (us, last) = (
        || Pool::new("us").with_endpoints(named(&["a"]).endpoints),
        || Pool::new("last").with_endpoints(named(&["z"]).endpoints).with_steering(LastName),
    );
    let all = [
        build(Pools::builder().pool(eu()).pool(us())),
        build(Pools::builder().pool(us()).pool(eu())),
        build(Pools::builder().pool(eu()).pool(us()).fallback_in_order("us")),
        build(Pools::builder().pool(us()).pool(eu()).fallback_in_order("eu")),
        build(Pools::builder().pool(us()).pool(eu()).fallback_apart(last())),
        build(Pools::builder().pool(us()).fallback_apart(eu())),
        build(Pools::builder().fallback_apart(eu())),
    ];
    // An endpoint as everything but its place and its target.
    let told = |pools: &Pools<()>| {
        let fallback = pools.fallback().map(|pool| pool.name().to_owned());
        let of_pool = |pool: pools::PoolView<'_, ()>| {
            let endpoints = pool.endpoints().map(|it| format!("{it:?} {:?}", it.census()));
            (pool.name().to_owned(), format!("{pool:?}"), endpoints.collect::<Vec<_>>())
        };
        (fallback, pools.iter().map(of_pool).collect::<Vec<_>>())
    };
    for before in all {
        let edited = before.edited(|edit| {
            for endpoint in before.iter().flat_map(|pool| pool.endpoints()) {
                edit.health(endpoint.id(), Health::Unhealthy)?;
                edit.weight(endpoint.id(), Weight::new(30).unwrap())?;
                edit.state(endpoint.id(), DISABLED)?;
            }
            for pool in &before {
                edit.pool_state(pool.name(), DISABLED)?;
                edit.pool_minimum_origins(pool.name(), 7)?;
                edit.pool_shedding(pool.name(), shedding)?;
            }
            Ok(())
        });
        let before = edited.unwrap();
        let endpoints = |names: &[&'static str]| named(names).endpoints;
        let same = before.with_endpoints_of("eu", endpoints(&["a", "b"]), Health::Unchecked);
        assert_eq!(told(&same.unwrap()), told(&before));

        let after = before.with_endpoints_of("eu", endpoints(&["c", "b"]), Health::Unchecked);
        let after = after.unwrap();
        let ((was_fallback, was), (fallback, is)) = (told(&before), told(&after));
        assert_eq!(fallback, was_fallback);
        assert_eq!(was.len(), is.len());
        for (was, is) in was.iter().zip(&is) {
            assert_eq!(was.0, is.0, "the order of the pools");
            assert_eq!(was.1, is.1, "what is set for a pool");
            if was.0 == "eu" {
                assert_eq!((is.2.len(), &is.2[1]), (2, &was.2[1]), "b, as it was");
            } else {
                assert_eq!(was.2, is.2);
            }
        }
        let of = |name| after.endpoint(EndpointId::new("eu", name));
        let c = of("c").unwrap();
        assert_eq!(
            (c.health(), c.weight(), c.state()),
            (Health::Unchecked, Weight::default(), State::Enabled)
        );
        assert!(of("a").is_none());
    }
}

/// Routes one request of a client, and returns the endpoint's name.
fn steered(pools: &Pools<()>) -> String {
    let (affinity, headers) = (Affinity::new(NoAffinity::new(&shop())), http::HeaderMap::new());
    let request = request(&headers).with_client_ip(IpAddr::from([192, 0, 2, 1]));
    let visit = affinity.recall(&request, NOW);
    let (attempt, ()) = affinity.route(visit, Record::Absent, pools, || 0).unwrap();
    pools.endpoint(attempt.endpoint()).unwrap().name().to_owned()
}

#[test]
fn a_pool_whose_endpoints_change_steers_as_before() {
    let before = Pools::builder().pool(named(&["a", "b"]).with_steering(LastName)).build().unwrap();
    assert_eq!(steered(&before), "b");
    let found = || named(&["c", "a", "d", "b"]).endpoints;
    let after = before.with_endpoints_of("eu", found(), Health::Healthy).unwrap();
    assert_eq!(steered(&after), "d");
    // Nor is a new one chosen that was not checked yet.
    let after = before.with_endpoints_of("eu", found(), Health::Unchecked).unwrap();
    assert_eq!(steered(&after), "b");
    // A description that states health is believed.
    let found = found().into_iter().map(|it| it.with_health(Health::Healthy));
    let after = before.with_endpoints_of("eu", found, Health::Unchecked).unwrap();
    assert_eq!(steered(&after), "d");
}

#[test]
fn endpoints_of_a_pool_that_is_not_there_and_names_that_occur_twice_are_refused() {
    let before = Pools::builder().pool(named(&["a"])).build().unwrap();
    let refused = |pool: &str, names: &[&'static str]| {
        let refused = before.with_endpoints_of(pool, named(names).endpoints, Health::Healthy);
        said_once(&refused.unwrap_err())
    };
    assert_eq!(
        refused("asia", &["a"]),
        r#"pool "asia" is not in the snapshot; allowed: the name of one that is"#
    );
    assert_eq!(
        refused("eu", &["a", "a"]),
        r#"the name of two endpoints in pool "eu" is "a"; allowed: each name once in a pool"#
    );
    assert_eq!(
        refused("eu", &[""]),
        r#"the name of an endpoint in pool "eu" is ""; allowed: 1 to 255 bytes without control characters"#
    );
}

/// The message of an error that has no source to say it again.
fn said_once(error: &dyn std::error::Error) -> String {
    assert!(error.source().is_none(), "{error} {:?}", error.source());
    error.to_string()
}

#[test]
fn the_fallback_pool_is_told_and_stays_only_where_it_is_described_again() {
    let us = || Pool::new("us").with_endpoints(named(&["a"]).endpoints);
    let name = |pools: &Pools<()>| pools.fallback().map(|pool| pool.name().to_owned());
    let none = Pools::builder().pool(named(&["a"])).pool(us()).build().unwrap();
    let in_order = none.rebuild().pool(named(&[])).pool(us()).fallback_in_order("eu").build();
    let apart = none.rebuild().pool(named(&[])).fallback_apart(us()).build().unwrap();
    assert_eq!(name(&none), None);
    assert_eq!(name(&in_order.unwrap()).as_deref(), Some("eu"));
    assert_eq!(name(&apart).as_deref(), Some("us"));
    let after = apart.rebuild().pool(named(&[])).pool(us()).build().unwrap();
    assert_eq!(name(&after), None);
}

/// manual::gateways, Changing the endpoints: "One that moves to another pool is new, and so is one
/// that was missing from a snapshot in between."
#[test]
fn an_endpoint_in_another_pool_or_after_an_absence_is_new() {
    let ill = |pools: Pools<()>, pool: &str| {
        let id = EndpointId::new(pool, "a");
        pools.edited(|edit| edit.health(id, Health::Unhealthy)).unwrap()
    };
    let pool = |name: &str, endpoints: &[&str]| {
        Pool::new(name).with_endpoints(endpoints.iter().map(|name| Endpoint::new(*name, ())))
    };
    let health = |pools: &Pools<()>, pool| {
        pools.endpoint(EndpointId::new(pool, "a")).map(|endpoint| endpoint.health())
    };
    let before = ill(Pools::builder().pool(pool("eu", &["a"])).build().unwrap(), "eu");
    let moved = before.rebuild().pool(pool("eu", &[])).pool(pool("us", &["a"])).build().unwrap();
    assert_eq!((health(&moved, "eu"), health(&moved, "us")), (None, Some(Health::Healthy)));
    let back = moved.rebuild().pool(pool("eu", &["a"])).build().unwrap();
    assert_eq!(health(&back, "eu"), Some(Health::Healthy));
    let turned = before.rebuild().pool(pool("eu", &["b", "a"])).build().unwrap();
    assert_eq!(health(&turned, "eu"), Some(Health::Unhealthy), "another place is the same one");
}

/// manual::gateways, Changing the endpoints: "its steering, its room, its place in the order and its
/// list of endpoints are always those of the new description".
#[test]
fn a_rebuild_steers_as_its_own_description_says() {
    let chosen = |pools: &Pools<()>| {
        let (affinity, headers) = (Affinity::new(NoAffinity::new(&shop())), http::HeaderMap::new());
        let request = request(&headers).with_client_ip(IpAddr::from([192, 0, 2, 1]));
        let choose = |drawn| {
            let visit = affinity.recall(&request, NOW);
            affinity.route(visit, Record::Absent, pools, || drawn).unwrap().0.endpoint()
        };
        (0..64).map(choose).collect::<HashSet<_>>().len()
    };
    let by_name = named(&["a", "b", "c"]).with_steering(LastName);
    let before = Pools::builder().pool(by_name).build().unwrap();
    let after = before.rebuild().pool(named(&["a", "b", "c"])).build().unwrap();
    assert_eq!((chosen(&before), chosen(&after)), (1, 3));
}

fn named(names: &[&str]) -> Pool<()> {
    names.iter().fold(Pool::new("eu"), |pool, name| pool.with_endpoint(Endpoint::new(*name, ())))
}

/// manual::gateways, Changing the endpoints: "and always its marks (suspects, census)", in
/// whatever order the endpoints stand.
#[test]
fn what_is_settled_in_another_snapshot_is_noted_under_its_own_endpoint() {
    let affinity = Affinity::new(cookie_policy());
    let headers = http::HeaderMap::new();
    let end = Some(NOW.saturating_add(82_800));
    for drawn in 0..8 {
        let before = Pools::builder().pool(named(&["a", "b", "c"])).build().unwrap();
        let turned = before.rebuild().pool(named(&["c", "a", "b"])).build().unwrap();
        let route = || {
            let visit = affinity.recall(&request(&headers), NOW);
            affinity.route(visit, Record::Absent, &before, || drawn).unwrap().0
        };
        let attempt = route();
        let own = attempt.endpoint();
        let _ = affinity.settle(attempt, &turned);
        let noted = |pools: &Pools<()>| {
            let ends = |id| pools.endpoint(id)?.census().latest_end;
            ["a", "b", "c"].map(|name| EndpointId::new("eu", name)).map(|id| (id == own, ends(id)))
        };
        assert!(
            noted(&turned).iter().all(|(is_own, noted)| *noted == end.filter(|_| *is_own)),
            "{:?}",
            noted(&turned)
        );
        assert_eq!(noted(&turned), noted(&before), "the marks are shared");
        assert_eq!(turned.endpoint(own).unwrap().census().began, Some(NOW));

        let others = ["a", "b", "c"]
            .into_iter()
            .filter(|name| EndpointId::new("eu", name) != own)
            .collect::<Vec<_>>();
        let without = before.rebuild().pool(named(&others)).build().unwrap();
        let _ = affinity.settle(route(), &without);
        assert!(
            noted(&without).iter().all(|(_, noted)| noted.is_none()),
            "it is gone: {:?}",
            noted(&without)
        );
    }
}

#[test]
fn a_snapshot_is_shared_by_threads_and_costs_pointers_to_copy() {
    fn shared<T: Send + Sync + Clone + 'static>(_: &T) {}
    let pools = fleet();
    shared(&pools);
    shared(&Arc::new(fleet()));
}

/// Chooses the endpoint whose name is the last in the alphabet.
struct LastName;

impl steering::Steering<()> for LastName {
    fn choose<'a>(
        &self,
        candidates: &steering::Candidates<'a, ()>,
        _: steering::Seed,
    ) -> Option<steering::Candidate<'a, ()>> {
        candidates.iter().max_by_key(|candidate| candidate.name())
    }

    fn seeding(&self) -> steering::Seeding {
        steering::Seeding::ClientIp
    }
}

#[test]
fn steering_behind_a_pointer_chooses_and_is_seeded_as_it_is_by_itself() {
    let boxed: Box<dyn steering::Steering<()>> = Box::new(LastName);
    let shared: Arc<dyn steering::Steering<()>> = Arc::new(LastName);
    let steered = [
        named(&["a", "b", "c"]).with_steering(LastName),
        named(&["a", "b", "c"]).with_steering(&LastName),
        named(&["a", "b", "c"]).with_steering(boxed),
        named(&["a", "b", "c"]).with_steering(shared),
    ];
    let (affinity, headers) = (Affinity::new(NoAffinity::new(&shop())), http::HeaderMap::new());
    let request = request(&headers).with_client_ip(IpAddr::from([192, 0, 2, 1]));
    for pool in steered {
        let pools = Pools::builder().pool(pool).build().unwrap();
        let visit = affinity.recall(&request, NOW);
        let entropy = || unreachable!("the client's address is the seed");
        let (attempt, ()) = affinity.route(visit, Record::Absent, &pools, entropy).unwrap();
        assert_eq!(attempt.endpoint(), EndpointId::new("eu", "c"));
    }
}

#[test]
fn the_pools_are_read_in_order_the_fallback_apart_at_the_end() {
    let pools = fleet().rebuild().fallback_apart(Pool::new("last")).pool(Pool::new("eu"));
    let pools = pools.pool(Pool::new("us")).build().unwrap();
    let mut names = Vec::new();
    for pool in &pools {
        names.push(pool.name());
    }
    assert_eq!(names, ["eu", "us", "last"]);
    let mut rest = pools.iter();
    assert_eq!((rest.len(), rest.next().map(|pool| pool.name())), (3, Some("eu")));
    assert_eq!((rest.len(), rest.clone().count(), rest.last().unwrap().name()), (2, 2, "last"));
}

/// manual::gateways, Changing the endpoints: "The other pools, their order, the fallback pool, the
/// steerings and the rooms stay as they are".
#[test]
fn other_endpoints_of_one_pool_leave_the_rooms_and_the_order_of_pools_alone() {
    let pool = |name: &str| {
        Pool::new(name)
            .with_endpoints(["1", "2"].map(|name| Endpoint::new(name, name)))
            .with_room(Room::full_when(|target| *target == "1"))
    };
    let before =
        Pools::builder().pool(pool("a")).pool(pool("b")).with_pool_steering(Random).build();
    let before = before.unwrap();
    let endpoints = ["1", "2", "3"].map(|name| Endpoint::new(name, name));
    let after = before.with_endpoints_of("b", endpoints, Health::Healthy).unwrap();
    for pools in [&before, &after] {
        for pool in ["a", "b"] {
            assert!(pools.endpoint(EndpointId::new(pool, "1")).unwrap().is_full());
        }
    }
    let affinity = Affinity::new(cookie_policy());
    let headers = http::HeaderMap::new();
    let first = |pools: &Pools<&str>, drawn: u64| {
        let visit = affinity.recall(&request(&headers), NOW);
        let (attempt, _) = affinity.route(visit, Record::Absent, pools, || drawn).unwrap();
        pools.endpoint(attempt.endpoint()).unwrap().pool().name() == "a"
    };
    let drawn = (0..200).map(|number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let chosen: Vec<bool> = drawn.clone().map(|drawn| first(&before, drawn)).collect();
    assert!(chosen.contains(&true) && chosen.contains(&false));
    assert_eq!(chosen, drawn.map(|drawn| first(&after, drawn)).collect::<Vec<_>>());
}

#[test]
fn a_pool_takes_several_endpoints_at_once_and_is_cloned_with_its_steering() {
    let endpoints = || ["b", "c"].map(|name| Endpoint::new(name, ()));
    let pool = named(&["a"]).with_endpoints(endpoints()).with_steering(LastName);
    let copy = pool.clone();
    let names =
        |pool: &Pool<()>| pool.endpoints.iter().map(|it| it.name.clone()).collect::<Vec<_>>();
    assert_eq!((names(&pool), names(&copy)), (names(&named(&["a", "b", "c"])), names(&pool)));
    assert!(Arc::ptr_eq(&pool.steering, &copy.steering));
}

#[test]
fn an_endpoint_is_suspect_until_it_has_cooled_off_or_has_answered() {
    let headers = http::HeaderMap::new();
    let after = |seconds| NOW.saturating_add(seconds);
    for (cooling_off, suspect) in [(CoolingOff::new(30).unwrap(), true), (CoolingOff::MIN, false)] {
        let affinity = Affinity::new(NoAffinity::new(&shop())).with_cooling_off(cooling_off);
        let pools = fleet();
        let route = || {
            let visit = affinity.recall(&request(&headers), NOW);
            affinity.route(visit, Record::Absent, &pools, || 4).unwrap()
        };
        let (refused, target) = route();
        let id = refused.endpoint();
        assert!(std::ptr::eq(target, pools.target(id).unwrap()));
        let is_suspect =
            |now| pools.edited(|_| Ok(())).unwrap().endpoint(id).unwrap().is_suspect(now);
        assert!(!is_suspect(NOW));
        let (other, target) = affinity.failover(refused, &pools).unwrap();
        assert!(std::ptr::eq(target, pools.target(other.endpoint()).unwrap()));
        assert_eq!(
            [0, 29, 30].map(|seconds| is_suspect(after(seconds))),
            [suspect, suspect, false]
        );
        assert!(!pools.endpoint(other.endpoint()).unwrap().is_suspect(NOW));
        assert!(affinity.failover(other, &pools).is_err());
        // Both have refused: the next request tries one of them all the same, and it answers.
        let (answered, _) = route();
        let endpoint = pools.endpoint(answered.endpoint()).unwrap();
        assert_eq!(endpoint.is_suspect(NOW), suspect);
        let _ = affinity.settle(answered, &pools);
        assert!(!endpoint.is_suspect(NOW));
    }
}

/// manual::draining, When it is drained: "The census begins with its first request", of endpoints that
/// were in snapshots before it too: discovery often finds more before the first request arrives.
#[test]
fn the_first_request_begins_the_census_of_endpoints_that_were_rebuilt_before_it() {
    let with = |names: &[&'static str], before: &Pools<&'static str>| {
        let pool = names
            .iter()
            .fold(Pool::new("eu"), |pool, name| pool.with_endpoint(Endpoint::new(*name, *name)));
        before.rebuild().pool(pool).build().unwrap()
    };
    let began = |pools: &Pools<_>, name| {
        pools.endpoint(EndpointId::new("eu", name)).unwrap().census().began
    };
    let first = with(&["eu-1"], &Pools::builder().build().unwrap());
    let second = with(&["eu-1", "eu-2"], &first);
    second.begin_census(at(100));
    assert_eq!(began(&second, "eu-1"), Some(at(100)));
    assert_eq!(began(&second, "eu-2"), Some(at(100)));

    let third = with(&["eu-1", "eu-2", "eu-3"], &second);
    assert_eq!(began(&third, "eu-3"), None, "an endpoint that is new has a census of its own");
    third.begin_census(at(200));
    assert_eq!(began(&third, "eu-1"), Some(at(100)));
    assert_eq!(began(&third, "eu-3"), Some(at(200)));
}
