//! The snapshot: what is refused when it is built, and what a change leaves alone.

use std::sync::Arc;

use session_affinity::*;

mod support;
use support::{NOW, cookie_policy, request, shop};

/// A target that cannot be cloned.
struct Peer(u32);

fn fleet() -> Pools<Peer> {
    let eu = Pool::new("eu")
        .endpoint(Endpoint::new("eu-1", Peer(1)))
        .endpoint(Endpoint::new("eu-2", Peer(2)));
    let us =
        Pool { minimum_origins: 2, ..Pool::new("us") }.endpoint(Endpoint::new("us-1", Peer(3)));
    Pools::builder().pool(eu).pool(us).build().unwrap()
}

#[test]
fn names_that_are_none_or_occur_twice_are_refused() {
    let pool = |name: &str, endpoints: &[&str]| {
        endpoints.iter().fold(Pool::new(name), |pool, name| pool.endpoint(Endpoint::new(*name, ())))
    };
    let refused = [
        (
            Pools::builder().pool(pool("eu", &[])).pool(pool("eu", &[])),
            r#"pool "eu" is there twice; allowed: each name once"#,
        ),
        (
            Pools::builder().pool(pool("eu", &[])).fallback_pool(pool("eu", &[])),
            r#"pool "eu" is there twice; allowed: each name once"#,
        ),
        (
            Pools::builder().pool(pool("eu", &["a", "b", "a"])),
            r#"endpoint "a" is twice in pool "eu"; allowed: each name once in a pool"#,
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
            Pools::builder().pool(pool("eu", &[])).fallback("us"),
            r#"fallback_pool is "us"; allowed: the name of a pool that was added"#,
        ),
    ];
    for (builder, message) in refused {
        assert_eq!(builder.build().unwrap_err().to_string(), message);
    }
    assert!(
        Pools::builder()
            .pool(pool("eu", &["a"]))
            .pool(pool("us", &["a"]))
            .fallback("us")
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
    let mut edit = before.edit();
    edit.health(id, Health::Unhealthy).unwrap();
    edit.weight(id, Weight::ZERO).unwrap();
    edit.state(id, State::Disabled { at: None }).unwrap();
    edit.pool_state("us", State::Disabled { at: Some(UnixTime::EPOCH) }).unwrap();
    edit.minimum_origins("us", 0).unwrap();
    edit.shedding("us", LoadShedding { session_percent: Percent::MAX, ..LoadShedding::default() })
        .unwrap();
    let after = edit.build();
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
    let pools = fleet();
    let mut edit = pools.edit();
    let stranger = EndpointId::new("eu", "eu-9");
    let message =
        format!("endpoint {stranger} is not in the snapshot; allowed: the id of one that is");
    assert_eq!(edit.health(stranger, Health::Healthy).unwrap_err().to_string(), message);
    assert!(
        edit.weight(stranger, Weight::ZERO).is_err()
            && edit.state(stranger, State::Enabled).is_err()
    );
    let message = r#"pool "asia" is not in the snapshot; allowed: the name of one that is"#;
    assert_eq!(edit.pool_state("asia", State::Enabled).unwrap_err().to_string(), message);
    assert!(
        edit.minimum_origins("asia", 1).is_err()
            && edit.shedding("asia", LoadShedding::default()).is_err()
    );
}

/// manual::concepts, Who is who: "*critical* pool | fewer than `minimum_origins` of its endpoints
/// are healthy and enabled". An endpoint of weight 0 counts, a draining one does not. "*open* pool
/// | enabled, not critical, and one of its endpoints takes new sessions".
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

    let mut edit = pools.edit();
    edit.minimum_origins("eu", 2).unwrap();
    edit.weight(id, Weight::ZERO).unwrap();
    let pools = edit.build();
    assert_eq!(open(&pools), (false, true));

    let mut edit = pools.edit();
    edit.state(id, State::Disabled { at: None }).unwrap();
    let pools = edit.build();
    assert_eq!(open(&pools), (true, false));

    let mut edit = pools.edit();
    edit.minimum_origins("eu", 0).unwrap();
    for id in both {
        edit.state(id, State::Enabled).unwrap();
        edit.weight(id, Weight::ZERO).unwrap();
    }
    assert_eq!(open(&edit.build()), (false, false));

    let mut edit = pools.edit();
    for id in both {
        edit.health(id, Health::Unhealthy).unwrap();
        edit.health(id, Health::Unhealthy).unwrap();
        edit.health(id, Health::Healthy).unwrap();
        edit.state(id, State::Enabled).unwrap();
        edit.weight(id, Weight::default()).unwrap();
    }
    edit.pool_state("eu", State::Disabled { at: None }).unwrap();
    assert_eq!(open(&edit.build()), (false, false));
}

#[test]
fn a_rebuilt_fleet_has_other_members_under_the_same_ids() {
    let before = fleet();
    let eu = Pool::new("eu")
        .endpoint(Endpoint::new("eu-2", Peer(20)))
        .endpoint(Endpoint::new("eu-3", Peer(30)));
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

fn named(names: &[&str]) -> Pool<()> {
    names.iter().fold(Pool::new("eu"), |pool, name| pool.endpoint(Endpoint::new(*name, ())))
}

/// manual::gateways, Changing the endpoints: "those that stay keep their marks (suspects, census)",
/// in whatever order they stand.
#[test]
fn what_is_settled_in_another_snapshot_is_noted_under_its_own_endpoint() {
    let affinity = Affinity::new(&shop(), cookie_policy());
    let headers = http::HeaderMap::new();
    let end = Some(NOW.saturating_add(82_800));
    for drawn in 0..8 {
        let before = Pools::builder().pool(named(&["a", "b", "c"])).build().unwrap();
        let turned = before.rebuild().pool(named(&["c", "a", "b"])).build().unwrap();
        let route = || {
            affinity
                .route(affinity.recall(&request(&headers), NOW), Record::Absent, &before, || drawn)
                .unwrap()
        };
        let attempt = route();
        let own = attempt.endpoint();
        let _ = affinity.settle(attempt, &turned);
        let noted = |pools: &Pools<()>| {
            let ends = |id| pools.census(id).and_then(|census| census.latest_end);
            ["a", "b", "c"].map(|name| EndpointId::new("eu", name)).map(|id| (id == own, ends(id)))
        };
        assert!(
            noted(&turned).iter().all(|(is_own, noted)| *noted == end.filter(|_| *is_own)),
            "{:?}",
            noted(&turned)
        );
        assert_eq!(noted(&turned), noted(&before), "the marks are shared");
        assert_eq!(turned.census(own).and_then(|census| census.began), Some(NOW));

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

#[test]
fn an_endpoint_is_suspect_until_it_has_cooled_off_or_has_answered() {
    let (shop, headers, noon) =
        (Name::new("shop").unwrap(), http::HeaderMap::new(), UnixTime::from_secs(1_800_014_400));
    let request = RequestMeta { headers: &headers, client_ip: None, scheme: Scheme::Http };
    let after = |seconds| noon.saturating_add(seconds);
    for (cooling_off, suspect) in [(CoolingOff::new(30).unwrap(), true), (CoolingOff::MIN, false)] {
        let affinity = Affinity::new(&shop, NoAffinity).with_cooling_off(cooling_off);
        let pools = fleet();
        let route = || {
            affinity.route(affinity.recall(&request, noon), Record::Absent, &pools, || 4).unwrap()
        };
        let refused = route();
        let id = refused.endpoint();
        let is_suspect = |now| pools.edit().build().endpoint(id).unwrap().is_suspect(now);
        assert!(!is_suspect(noon));
        let other = affinity.failover(refused, &pools).unwrap();
        assert_eq!(
            [0, 29, 30].map(|seconds| is_suspect(after(seconds))),
            [suspect, suspect, false]
        );
        assert!(!pools.endpoint(other.endpoint()).unwrap().is_suspect(noon));
        assert!(affinity.failover(other, &pools).is_err());
        // Both have refused: the next request tries one of them all the same, and it answers.
        let answered = route();
        let endpoint = pools.endpoint(answered.endpoint()).unwrap();
        assert_eq!(endpoint.is_suspect(noon), suspect);
        let _ = affinity.settle(answered, &pools);
        assert!(!endpoint.is_suspect(noon));
    }
}
