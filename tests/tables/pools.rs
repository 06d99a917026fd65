//! The order of pools. From manual::tables, The order of pools:
//!
//! > | `steering_policy` | the order | fits pools that are |
//! > |---|---|---|
//! > | `off` (default) | as given: all sessions begin in the first open pool | primary and backup |
//! > | `random` | drawn by the weights of the pools (`random_steering`), by weighted rendezvous hashing | peers, or versions |
//! > | `least_outstanding_requests`, `least_connections` | the same, the weight of a pool divided by the sum of its endpoints' counts plus one, where random bits are the seed | peers |
//! > | a `PoolSteering` of your own | as it chooses | regions |
//!
//! > | `move_within` | looks first in | default with |
//! > |---|---|---|
//! > | `order` | the first open pool of the order | `off` |
//! > | `own_pool` | its own pool, while that is open and in the order; then as `order` | any other policy |
//!
//! All conditions at once are in `tests/pool_order.rs`, the bytes in `tests/vectors.rs`.

use std::collections::HashMap;

use session_affinity::failover::MoveWithin;
use session_affinity::limits::Percent;
use session_affinity::outcome::{Created, Moved};
use session_affinity::pools::{LoadShedding, PoolsBuilder};
use session_affinity::steering::{
    LeastConnections, LeastOutstandingRequests, PoolCandidate, PoolCandidates, PoolSteering,
    Random as ByWeight, Seed, Seeding,
};
use session_affinity::{
    Affinity, AffinityPolicy, Endpoint, EndpointId, Health, NoAffinity, Outcome, Pool, Pools,
    Record, Weight,
};

use crate::site::{NOW, Site, live, pin, pin_in, pool, record, stored};
use crate::support::{
    Chance, Client, Kind, Random, at, cookie_policy, header, ip_cookie, keyring, shop,
};

const NAMES: [&str; 3] = ["a", "b", "c"];

fn weight(hundredths: u64) -> Weight {
    Weight::new(hundredths).unwrap()
}

/// Pools of two endpoints each, `a`, `b` and `c`, with these weights.
fn weighted(weights: [u64; 3]) -> PoolsBuilder<()> {
    let pools = NAMES.into_iter().zip(weights);
    pools.fold(Pools::builder(), |builder, (name, hundredths)| {
        builder.pool(pool(name, 2).with_weight(weight(hundredths)))
    })
}

fn steered(weights: [u64; 3]) -> Pools<()> {
    weighted(weights).with_pool_steering(ByWeight).build().unwrap()
}

fn id(pool: &str, number: u8) -> EndpointId {
    EndpointId::new(pool, &format!("{pool}-{number}"))
}

/// A node of the policy `cookie` over three pools that are steered by these weights.
fn site(weights: [u64; 3]) -> Site<session_affinity::CookiePolicy> {
    Site::new(cookie_policy()).pools(steered(weights))
}

impl<P: AffinityPolicy> Site<P> {
    fn pool_of(&self, endpoint: EndpointId) -> &str {
        self.pools.endpoint(endpoint).unwrap().pool().name()
    }

    /// The name of the pool that a request goes to.
    fn pool_for(&mut self, client: &Client) -> String {
        let endpoint = self.route(client).unwrap().endpoint();
        self.pool_of(endpoint).to_owned()
    }

    fn set_weight(&mut self, pool: &str, hundredths: u64) {
        self.edit(|edit| edit.pool_weight(pool, weight(hundredths)));
    }

    /// Makes a pool critical, or not.
    fn open(&mut self, pool: &str, is_open: bool) {
        self.edit(|edit| edit.pool_minimum_origins(pool, if is_open { 1 } else { 9 }));
    }

    /// The pools of the first choices of these clients.
    fn firsts(&mut self, clients: &[Client]) -> Vec<String> {
        clients.iter().map(|client| self.pool_for(client)).collect()
    }
}

/// Clients that differ in address and in `x-user`.
fn clients(count: u16) -> Vec<Client> {
    (0..count).map(|number| Client::number(number).with_user(&format!("u{number}"))).collect()
}

/// Asserts that the counts are as the weights say: with three pools the statistic exceeds 18.4 once
/// in ten thousand times, and the seeds are fixed.
#[track_caller]
fn assert_shares(firsts: &[String], weights: [u64; 3]) {
    let mut counts: HashMap<&str, u64> = HashMap::new();
    firsts.iter().for_each(|pool| *counts.entry(pool).or_default() += 1);
    let total: u64 = weights.iter().sum();
    let chi_square: f64 = NAMES
        .into_iter()
        .zip(weights)
        .map(|(pool, weight)| {
            let count = counts.get(pool).copied().unwrap_or_default() as f64;
            let expected = firsts.len() as f64 * weight as f64 / total as f64;
            if weight == 0 { count * 1e9 } else { (count - expected).powi(2) / expected }
        })
        .sum();
    assert!(chi_square < 18.4, "{chi_square}: {counts:?} for {weights:?}");
}

/// "`off` (default) | as given: all sessions begin in the first open pool". "With `off` weights do
/// not count."
#[test]
fn without_a_steering_all_sessions_begin_in_the_first_open_pool_whatever_the_weights() {
    let mut site = Site::new(cookie_policy()).pools(weighted([0, 100, 100]).build().unwrap());
    assert!(site.firsts(&clients(50)).iter().all(|pool| pool == "a"));
    site.open("a", false);
    assert!(site.firsts(&clients(50)).iter().all(|pool| pool == "b"));
}

/// "`random` | drawn by the weights of the pools (`random_steering`)". "While a pool is closed, its
/// share is spread over the others by their weights."
#[test]
fn pools_share_the_new_sessions_by_weight_and_a_closed_ones_share_goes_to_the_others_by_weight() {
    for kind in Kind::ALL {
        for weights in [[50, 30, 20], [1, 100, 7], [0, 60, 40]] {
            let mut site = Site::new(kind.policy(&keyring())).pools(steered(weights));
            let clients = clients(5_000);
            assert_shares(&site.firsts(&clients), weights);
            site.open("b", false);
            assert_shares(&site.firsts(&clients), [weights[0], 0, weights[2]]);
        }
    }
}

/// The shares are those of pools, not of their endpoints; and within a pool the second choice is
/// independent of the first.
#[test]
fn the_choice_of_the_pool_says_nothing_about_the_choice_of_the_endpoint() {
    for kind in Kind::ALL {
        let mut site = Site::new(kind.policy(&keyring())).pools(steered([50, 30, 20]));
        let mut counts: HashMap<EndpointId, i32> = HashMap::new();
        for client in clients(4_000) {
            *counts.entry(site.route(&client).unwrap().endpoint()).or_default() += 1;
        }
        for pool in NAMES {
            let [one, two] = [1, 2].map(|number| counts[&id(pool, number)]);
            // Five standard deviations of the difference.
            assert!((one - two).pow(2) < 25 * (one + two), "{kind:?} {pool}: {one}, {two}");
        }
    }
}

/// "the first pool of an `ip_cookie` client and of a `header` session is stable, and the same on
/// every node."
#[test]
fn the_first_pool_of_an_address_or_a_key_is_the_same_on_every_node() {
    fn check<P: AffinityPolicy>(policy: impl Fn() -> P) {
        let (mut one, mut other) = (
            Site::new(policy()).pools(steered([50, 30, 20])),
            Site::new(policy()).pools(steered([50, 30, 20])),
        );
        other.draws = 1_000_000;
        let clients = clients(500);
        assert_eq!(one.firsts(&clients), other.firsts(&clients));
        assert_eq!((one.draws, other.draws), (0, 1_000_000));
    }
    check(|| ip_cookie(&keyring()));
    check(header);
}

/// "When the weight of one pool rises, first choices move to that pool and to no other." The
/// canary: 20 000 clients that never keep a cookie.
#[test]
fn first_choices_move_only_to_the_pool_whose_weight_rises() {
    for kind in [Kind::IpCookie, Kind::Header] {
        let mut site = Site::new(kind.policy(&keyring())).pools(steered([100, 0, 0]));
        site.open("c", false);
        let clients = clients(20_000);
        let mut before = site.firsts(&clients);
        for (canary, others) in [(5, 95), (5, 15), (50, 50), (100, 0)] {
            // Weights are relative: 5 %, 25 %, 50 %, all.
            site.set_weight("a", others);
            site.set_weight("b", canary);
            let now = site.firsts(&clients);
            for (was, is) in before.iter().zip(&now) {
                assert!(was == is || is == "b", "{kind:?} at {canary}: from {was} to {is}");
            }
            assert_shares(&now, [others, canary, 0]);
            before = now;
        }
    }
}

/// "no session moves because weights have changed": the canary again, for 20 000 clients that do
/// keep their cookie.
#[test]
fn a_pinned_session_never_moves_because_weights_changed() {
    let mut site = site([95, 5, 0]);
    let mut pinned: Vec<(Client, EndpointId)> = Vec::new();
    for number in 0..20_000 {
        let answered = site.answer(&Client::number(number));
        let pin = pin_in(&answered.settlement, NOW).unwrap();
        pinned.push((Client::number(number).with_pin(pin), answered.endpoint));
    }
    for (others, canary) in [(75, 25), (0, 100), (100, 0)] {
        site.set_weight("a", others);
        site.set_weight("b", canary);
        for (client, endpoint) in &pinned {
            let attempt = site.route(client).unwrap();
            assert_eq!((attempt.outcome(), attempt.endpoint()), (Outcome::Kept, *endpoint));
        }
    }
}

/// "A pool of weight 0 takes no new session while an open pool of more weight is there, and its
/// live sessions stay. While only such pools are open they are used as given."
#[test]
fn a_pool_of_weight_0_takes_new_sessions_only_while_no_other_is_open() {
    let mut site = site([0, 100, 0]).across_pools();
    assert!(site.firsts(&clients(100)).iter().all(|pool| pool == "b"));
    assert_eq!(site.route(&live(id("a", 1))).unwrap().outcome(), Outcome::Kept);
    // Not after a failed connection either, nor where the other pool sheds.
    let attempt = site.route(&Client::number(1)).unwrap();
    let attempt = site.failover(attempt).unwrap();
    assert_eq!(site.pool_of(attempt.endpoint()), "b");
    site.shed("b", 100, 0);
    assert!(site.firsts(&clients(100)).iter().all(|pool| pool == "b"));
    site.open("b", false);
    assert!(site.firsts(&clients(100)).iter().all(|pool| pool == "a"));
    site.open("a", false);
    assert!(site.firsts(&clients(100)).iter().all(|pool| pool == "c"));
}

/// "the weight of a pool divided by the sum of its endpoints' counts plus one, where random bits
/// are the seed"
#[test]
fn by_load_a_pool_gets_its_weight_over_the_sum_of_its_counts_plus_one() {
    fn firsts<P: AffinityPolicy>(
        policy: P,
        steering: impl PoolSteering<u32> + 'static,
    ) -> Vec<String> {
        let pool = |name: &str, hundredths, loads: [u32; 2]| {
            let endpoints = (1..).zip(loads);
            let endpoints = endpoints.map(|(n, load)| Endpoint::new(format!("{name}-{n}"), load));
            Pool::new(name).with_endpoints(endpoints).with_weight(weight(hundredths))
        };
        let pools = Pools::builder()
            .pool(pool("a", 40, [1, 0]))
            .pool(pool("b", 80, [1, 2]))
            .pool(pool("c", 20, [0, 0]))
            .with_pool_steering(steering)
            .build()
            .unwrap();
        let (affinity, mut random) = (Affinity::new(policy), Random(7));
        let choose = |client: Client| {
            let visit = affinity.recall(&client.request(), at(NOW));
            let _ = visit.lookup();
            let draw = || random.next();
            let (attempt, _) = affinity.route(visit, Record::Absent, &pools, draw).unwrap();
            pools.endpoint(attempt.endpoint()).unwrap().pool().name().to_owned()
        };
        clients(9_000).into_iter().map(choose).collect()
    }
    let count = |load: &u32| *load;
    // 40 / 2, 80 / 4, 20 / 1
    assert_shares(&firsts(cookie_policy(), LeastOutstandingRequests(count)), [20, 20, 20]);
    assert_shares(&firsts(NoAffinity::new(&shop()), LeastConnections(count)), [20, 20, 20]);
    // Nodes must agree on a stable seed, and their loads differ.
    assert_shares(&firsts(ip_cookie(&keyring()), LeastConnections(count)), [40, 80, 20]);
    let endless = |_: &u32| u32::MAX;
    assert_shares(&firsts(cookie_policy(), LeastConnections(endless)), [40, 80, 20]);
}

/// "where a pool sheds a new session" the next pool is the next one of the order.
#[test]
fn what_a_pool_sheds_begins_in_the_next_pool_of_its_order() {
    let policy = || ip_cookie(&keyring());
    let mut site = Site::new(policy()).pools(steered([50, 30, 20]));
    let clients = clients(3_000);
    site.open("a", false);
    let expected = site.firsts(&clients);
    site.open("a", true);
    site.shed("a", 100, 0);
    assert_eq!(site.firsts(&clients), expected);
    assert_shares(&expected, [0, 30, 20]);
    // "shed by every open pool: the fallback pool, and without one the first open pool after all"
    site.shed("b", 100, 0);
    site.shed("c", 100, 0);
    let mut plain = Site::new(policy()).pools(steered([50, 30, 20]));
    assert_eq!(site.firsts(&clients), plain.firsts(&clients));
}

/// "where failover goes across pools": in the order of the session.
#[test]
fn failover_across_pools_goes_on_in_the_order_of_the_session() {
    let mut site = Site::new(ip_cookie(&keyring())).pools(steered([50, 30, 20]));
    site = site.across_pools().retries(8);
    let closed = |site: &mut Site<_>, pools: &[&str], client: &Client| {
        pools.iter().for_each(|pool| site.open(pool, false));
        let first = site.pool_for(client);
        pools.iter().for_each(|pool| site.open(pool, true));
        first
    };
    for client in clients(200) {
        // The order, by closing the first pool and then the second.
        let first = closed(&mut site, &[], &client);
        let second = closed(&mut site, &[&first], &client);
        let third = closed(&mut site, &[&first, &second], &client);
        let mut attempt = site.route(&client).unwrap();
        let mut way = vec![site.pool_of(attempt.endpoint()).to_owned()];
        for _ in 0..5 {
            attempt = site.failover(attempt).unwrap();
            way.push(site.pool_of(attempt.endpoint()).to_owned());
        }
        let order = [&first, &first, &second, &second, &third, &third];
        assert_eq!(way.iter().collect::<Vec<_>>(), order);
    }
}

/// "A live session that a pool sheds … moves to the first of the other pools in its order that does
/// not shed it in turn."
#[test]
fn a_live_session_is_shed_once_and_not_back_and_forth() {
    let mut site = site([50, 30, 20]);
    for pool in ["a", "b"] {
        site.shed(pool, 0, 60);
    }
    let (mut kept, mut moved) = (0, 0);
    for number in 0..1_000 {
        for home in ["a", "b", "c"] {
            let client = Client::number(number);
            let pinned = client.clone().with_pin(pin(id(home, 1)));
            let answered = site.answer(&pinned);
            if answered.outcome == Outcome::Kept {
                kept += 1;
                continue;
            }
            moved += 1;
            assert_eq!(answered.outcome, Outcome::Moved(Moved::Shed));
            assert_eq!(site.pool_of(answered.endpoint), "c", "the one that does not shed it");
            let again = client.with_pin(pin_in(&answered.settlement, NOW).unwrap());
            assert_eq!(site.route(&again).unwrap().outcome(), Outcome::Kept);
        }
    }
    assert!((1_100..1_300).contains(&moved), "{moved} moved, {kept} kept");
    // Every pool sheds it, and there is no fallback pool.
    site.shed("a", 0, 100);
    site.shed("b", 0, 100);
    site.shed("c", 0, 100);
    assert_eq!(site.route(&live(id("b", 1))).unwrap().outcome(), Outcome::Kept);
}

/// The pool to which 40 sessions of an endpoint move when it fails: `None` where they differ.
fn moves_to<P: AffinityPolicy>(site: &mut Site<P>, lost: EndpointId) -> Option<String> {
    let mut to = (0..40).map(|number| {
        let issued = pin(lost);
        let issued = session_affinity::token::Pin { issued: at(NOW - 60 - number), ..issued };
        let attempt = site.route(&Client::number(7).with_pin(issued)).unwrap();
        assert!(matches!(attempt.outcome(), Outcome::Moved(_)), "{}", attempt.outcome());
        site.pool_of(attempt.endpoint()).to_owned()
    });
    let first = to.next()?;
    to.all(|pool| pool == first).then_some(first)
}

/// The two rows of `move_within`, and the defaults.
#[test]
fn a_moved_session_looks_first_in_the_pool_that_move_within_says() {
    let as_given = || weighted([100; 3]).build().unwrap();
    let by_weight = || steered([100; 3]);
    let (b, order, own) = (id("b", 1), MoveWithin::Order, MoveWithin::OwnPool);
    for (pools, move_within, to) in [
        (as_given(), None, Some("a")),
        (as_given(), Some(order), Some("a")),
        (as_given(), Some(own), Some("b")),
        (by_weight(), None, Some("b")),
        (by_weight(), Some(own), Some("b")),
        (by_weight(), Some(order), None),
    ] {
        let mut site = Site::new(cookie_policy()).pools(pools);
        if let Some(move_within) = move_within {
            site = site.with(|affinity| affinity.with_move_within(move_within));
        }
        site.unhealthy(&[b]);
        assert_eq!(moves_to(&mut site, b).as_deref(), to, "{move_within:?}");
        // For a disabled endpoint likewise.
        site.edit(|edit| edit.health(b, Health::Healthy));
        site.disable(b, None);
        assert_eq!(moves_to(&mut site, b).as_deref(), to, "{move_within:?}");
        // "while that is open"
        if move_within != Some(order) {
            site.open("b", false);
            let to = moves_to(&mut site, b);
            assert_ne!(to.as_deref(), Some("b"), "{move_within:?}");
        }
    }
}

/// "to be moved or lent"
#[test]
fn a_lent_session_looks_first_where_a_moved_one_does() {
    let mut site = site([100; 3]).on_loss(session_affinity::failover::OnLoss::Lend);
    site.unhealthy(&[id("b", 1)]);
    for number in 0..40 {
        let attempt = site.route(&Client::number(number).with_pin(pin(id("b", 1)))).unwrap();
        assert_eq!(attempt.endpoint(), id("b", 2));
    }
}

/// "while that is open and in the order": a fallback pool apart is for the time without another one.
#[test]
fn a_session_leaves_a_fallback_pool_that_stands_apart() {
    let pools = weighted([100; 3]).fallback_apart(pool("f", 2)).with_pool_steering(ByWeight);
    let mut site = Site::new(cookie_policy()).pools(pools.build().unwrap());
    site.unhealthy(&[id("f", 1)]);
    assert_ne!(moves_to(&mut site, id("f", 1)).as_deref(), Some("f"));
}

/// A pool of weight 0 keeps its sessions when one of its endpoints fails: the canary that is taken
/// back, or the old version at its end.
#[test]
fn a_session_stays_in_its_own_pool_of_weight_0_when_its_endpoint_fails() {
    let mut site = site([100, 0, 0]);
    site.unhealthy(&[id("b", 1)]);
    assert_eq!(moves_to(&mut site, id("b", 1)).as_deref(), Some("b"));
}

/// Pools `a` and `b` with these endpoints of `b`, after other ones.
fn rebuilt(before: &Pools<()>, endpoints: impl IntoIterator<Item = String>) -> Pools<()> {
    let b = Pool::new("b").with_endpoints(endpoints.into_iter().map(|it| Endpoint::new(it, ())));
    let rebuilt = before.rebuild().pool(pool("a", 2)).pool(b).pool(pool("c", 2));
    rebuilt.with_pool_steering(ByWeight).build().unwrap()
}

/// "the snapshots remember the pools of the last 1 024 endpoints that `Pools::rebuild` has left
/// out."
#[test]
fn the_sessions_of_a_replaced_endpoint_stay_in_their_pool() {
    let mut site = site([100; 3]);
    let pod = |number: usize| format!("pod-{number}");
    let at_pod = |number| EndpointId::new("b", &pod(number));
    // Each pod is replaced by the next one: the sessions of all that are gone move within `b`.
    for number in 0..5 {
        site.pools = rebuilt(&site.pools, [pod(number)]);
        // A change of health is a snapshot that follows, too.
        site.edit(|edit| edit.health(id("a", 1), Health::Healthy));
        for gone in 0..number {
            assert_eq!(moves_to(&mut site, at_pod(gone)).as_deref(), Some("b"), "{gone}");
        }
        assert_eq!(moves_to(&mut site, id("b", 1)).as_deref(), Some("b"));
    }
    // An endpoint that no snapshot had, and one whose pool is gone.
    assert_eq!(moves_to(&mut site, at_pod(77)), None);
    site.pools = site.pools.rebuild().pool(pool("a", 2)).pool(pool("c", 2)).build().unwrap();
    assert_eq!(moves_to(&mut site, at_pod(0)).as_deref(), Some("a"));
    // The pool is back, and its endpoints have not been forgotten.
    site.pools = rebuilt(&site.pools, [pod(9)]);
    assert_eq!(moves_to(&mut site, at_pod(0)).as_deref(), Some("b"));
    // With the order as given, sessions go by `move_within`, which is `order` then.
    let plain = site.pools.rebuild().pool(pool("a", 2)).pool(pool("b", 2));
    site.pools = plain.build().unwrap();
    assert_eq!(moves_to(&mut site, at_pod(0)).as_deref(), Some("a"));
}

#[test]
fn the_pools_of_1024_removed_endpoints_are_remembered_and_the_oldest_is_forgotten_first() {
    let mut site = site([100; 3]);
    let name = |number: usize| format!("pod-{number}");
    let at_pod = |number| EndpointId::new("b", &name(number));
    site.pools = rebuilt(&steered([100; 3]).rebuild().build().unwrap(), (0..1_500).map(name));
    // Three are removed first, then as many as there is room beside two of those.
    site.pools = rebuilt(&site.pools, (3..1_500).map(name));
    site.pools = rebuilt(&site.pools, (3 + 1_022..1_500).map(name));
    let known = |site: &mut Site<_>, number| moves_to(site, at_pod(number)).as_deref() == Some("b");
    assert!(!known(&mut site, 0), "the oldest");
    assert!([1, 2, 3, 500, 1_024].iter().all(|number| known(&mut site, *number)));
    // One that returns is no removed one any more, which makes room.
    site.pools = rebuilt(&site.pools, [2, 1_100].map(name));
    let attempt = site.route(&live(at_pod(2))).unwrap();
    assert_eq!(attempt.outcome(), Outcome::Kept);
    assert!(!known(&mut site, 1) && known(&mut site, 1_024) && known(&mut site, 1_499));
}

/// manual::tables, The choice of an endpoint: "the concurrent requests of a live session agree on
/// every node […] and draw no random bits."
#[test]
fn nodes_agree_where_a_live_session_moves_and_draw_nothing_for_it() {
    let order = |affinity: Affinity<_>| affinity.with_move_within(MoveWithin::Order);
    let [mut one, mut other] = [0, 1_000].map(|draws| {
        let mut site = site([50, 30, 20]).with(order);
        site.unhealthy(&[id("a", 1)]);
        site.draws = draws;
        site
    });
    let mut firsts = Vec::new();
    for number in 0..3_000 {
        let issued = session_affinity::token::Pin { issued: at(NOW - number), ..pin(id("a", 1)) };
        let client = Client::number(7).with_pin(issued);
        let pool = one.pool_for(&client);
        assert_eq!(other.pool_for(&client), pool);
        firsts.push(pool);
    }
    assert_eq!((one.draws, other.draws), (0, 1_000));
    assert_shares(&firsts, [50, 30, 20]);

    // A header session by its key, as it was created.
    let (mut site, client) = stored(id("a", 1));
    site = site
        .pools(steered([50, 30, 20]))
        .with(|affinity| affinity.with_move_within(MoveWithin::Order));
    let home = site.record;
    site.record = Record::Absent;
    let first = site.pool_for(&client);
    site.record = home;
    site.unhealthy(&[id("a", 1)]);
    assert_eq!(site.pool_for(&client), first);
    site.record = record(id("b", 1));
    site.unhealthy(&[id("b", 1)]);
    assert_eq!(site.pool_for(&client), first);
}

/// Random bits are drawn for a new session only where a choice is made of them.
#[test]
fn the_order_draws_random_bits_only_where_there_is_a_choice() {
    let drawn = |mut site: Site<Box<dyn AffinityPolicy>>| {
        let _ = site.route(&Client::number(7).with_user("ann")).unwrap();
        site.draws
    };
    let site = |kind: Kind, pools: PoolsBuilder<()>| {
        Site::new(kind.policy(&keyring()))
            .pools(pools.with_pool_steering(ByWeight).build().unwrap())
    };
    for (kind, draws) in
        [(Kind::Cookie, 1), (Kind::NoAffinity, 1), (Kind::IpCookie, 0), (Kind::Header, 0)]
    {
        assert_eq!(drawn(site(kind, weighted([50, 30, 20]))), draws, "{kind:?}");
    }
    // Pools of the hash policy draw none, so the order alone would.
    let by_hash = |weights: [u64; 3]| {
        NAMES.into_iter().zip(weights).fold(Pools::builder(), |builder, (name, hundredths)| {
            let pool = pool(name, 2).with_weight(weight(hundredths));
            builder.pool(pool.with_steering(session_affinity::steering::IpHash))
        })
    };
    assert_eq!(drawn(site(Kind::Cookie, by_hash([50, 50, 0]))), 1);
    assert_eq!(drawn(site(Kind::Cookie, by_hash([50, 0, 0]))), 0);
    assert_eq!(drawn(site(Kind::Cookie, by_hash([0, 0, 0]))), 0);
}

/// A steering of the embedder's that prefers pools by name, or leaves the choice to the weights.
struct Named {
    first: Option<&'static str>,
    seeding: Seeding,
}

impl PoolSteering<()> for Named {
    fn choose<'a>(
        &self,
        candidates: &PoolCandidates<'a, ()>,
        _: Seed,
    ) -> Option<PoolCandidate<'a, ()>> {
        candidates.iter().find(|pool| Some(pool.name()) == self.first)
    }

    fn seeding(&self) -> Seeding {
        self.seeding
    }
}

/// "a `PoolSteering` of your own | as it chooses"
#[test]
fn an_embedders_steering_chooses_and_what_it_leaves_open_goes_by_weight() {
    let pools = |first, seeding| {
        let steering = Named { first, seeding };
        weighted([50, 30, 20]).with_pool_steering(steering).build().unwrap()
    };
    let clients = clients(3_000);
    let mut site = Site::new(cookie_policy()).pools(pools(Some("c"), Seeding::Entropy));
    assert_shares(&site.firsts(&clients), [0, 0, 20]);
    // The first place is taken, so it leaves the second one to weights and seed.
    site.shed("c", 100, 0);
    assert_shares(&site.firsts(&clients), [50, 30, 0]);
    // By the client's address, which is as stable as `ip_cookie` is.
    let mut site = Site::new(cookie_policy()).pools(pools(None, Seeding::ClientIp));
    let mut by_address = Site::new(ip_cookie(&keyring())).pools(steered([50, 30, 20]));
    assert_eq!(site.firsts(&clients), by_address.firsts(&clients));
    // By pointer, too.
    let steering: Box<dyn PoolSteering<()>> = Box::new(ByWeight);
    let boxed = weighted([50, 30, 20]).with_pool_steering(std::sync::Arc::new(steering));
    let mut boxed = Site::new(ip_cookie(&keyring())).pools(boxed.build().unwrap());
    assert_eq!(boxed.firsts(&clients), by_address.firsts(&clients));
}

/// A steering that leaves the pools as they were given.
struct AsGiven;

impl PoolSteering<()> for AsGiven {
    fn choose<'a>(
        &self,
        candidates: &PoolCandidates<'a, ()>,
        _: Seed,
    ) -> Option<PoolCandidate<'a, ()>> {
        candidates.iter().next()
    }
}

/// More pools than fit into one word are all reached, each once.
#[test]
fn a_session_reaches_each_of_300_pools() {
    for is_given in [false, true] {
        let builder = (0..300)
            .fold(Pools::builder(), |builder, number| builder.pool(pool(&format!("p{number}"), 1)));
        let builder = match is_given {
            true => builder.with_pool_steering(AsGiven),
            false => builder.with_pool_steering(ByWeight),
        };
        let mut site = Site::new(cookie_policy()).pools(builder.build().unwrap());
        // All others shed every new session, so the search goes through all of them.
        let shed =
            LoadShedding { default_percent: Percent::new(100).unwrap(), ..LoadShedding::default() };
        for last in [127, 299] {
            let name = format!("p{last}");
            let others: Vec<_> = (0..300).filter(|number| *number != last).collect();
            site.edit(|edit| {
                others.iter().try_for_each(|n| edit.pool_shedding(&format!("p{n}"), shed))?;
                edit.pool_shedding(&name, LoadShedding::default())
            });
            assert_eq!(site.pool_for(&Client::number(1)), name, "as given: {is_given}");
        }
    }
}

/// A created session says so: the order has no label of its own.
#[test]
fn a_session_that_begins_in_any_pool_is_created() {
    let mut site = site([50, 30, 20]);
    for client in clients(20) {
        let outcome = site.route(&client).unwrap().outcome();
        assert_eq!(outcome, Outcome::Created(Created::NoCookie));
    }
}
