//! The tables of section 5 and the rules of sections 8, 9 and 10, one small test for each
//! row or sentence. Every doc comment quotes the rule; the name says it.

mod naive;
mod support;

use std::collections::HashSet;

use naive::shedding_hash;
use session_affinity::{
    AcrossPools, Affinity, AffinityPolicy, Attempt, Census, CookieTtl, CoolingOff, Created,
    DrainDuration, DrainPhase, DrainSessions, Endpoint, EndpointId, FailoverMode, Health, Lent,
    LoadShedding, Lookup, MemoryStore, Moved, NoAffinity, NoEndpoint, Outcome, Percent, Pin, Pool,
    Pools, PoolsEdit, Record, Retries, SessionKey, SessionStore, Settlement, ShedBy, State,
    StoreWrite, Weight, steering,
};
use support::{Client, at, codec, cookie, header, ip_cookie, key, keyring, shop, token_of};

const NOW: u64 = support::NOW.as_secs();

const TTL: u64 = 82_800;
const IDLE: u64 = 1_800;
const MODES: [FailoverMode; 3] =
    [FailoverMode::None, FailoverMode::Temporary, FailoverMode::Sticky];

fn eu(number: u8) -> EndpointId {
    EndpointId::new("eu", &format!("eu-{number}"))
}

fn us(number: u8) -> EndpointId {
    EndpointId::new("us", &format!("us-{number}"))
}

fn pool(name: &str, endpoints: u8) -> Pool<()> {
    (1..=endpoints)
        .fold(Pool::new(name), |pool, n| pool.endpoint(Endpoint::new(format!("{name}-{n}"), ())))
}

/// One node, its snapshot and its clock. Without more, `eu` has two endpoints and so has
/// `us`, after it.
struct Site<P> {
    affinity: Affinity<P>,
    pools: Pools<()>,
    now: u64,
    record: Record,
    draws: u64,
}

/// What became of a request that was answered.
struct Answered {
    endpoint: EndpointId,
    outcome: Outcome,
    settlement: Settlement,
}

impl<P: AffinityPolicy> Site<P> {
    fn new(policy: P) -> Self {
        let pools = Pools::builder().pool(pool("eu", 2)).pool(pool("us", 2)).build().unwrap();
        Self {
            affinity: Affinity::new(&shop(), policy),
            pools,
            now: NOW,
            record: Record::Absent,
            draws: 0,
        }
    }

    fn with(mut self, change: impl FnOnce(Affinity<P>) -> Affinity<P>) -> Self {
        self.affinity = change(self.affinity);
        self
    }

    fn mode(self, mode: FailoverMode) -> Self {
        self.with(|affinity| affinity.with_failover(mode).unwrap())
    }

    fn across_pools(self) -> Self {
        self.with(|affinity| affinity.with_across_pools(AcrossPools::Yes))
    }

    fn retries(self, retries: u64) -> Self {
        self.with(|affinity| affinity.with_retries(Retries::new(retries).unwrap()))
    }

    fn cooling_off(self, seconds: u64) -> Self {
        self.with(|affinity| affinity.with_cooling_off(CoolingOff::new(seconds).unwrap()))
    }

    fn drain(self, seconds: u64) -> Self {
        self.with(|affinity| affinity.with_drain_duration(DrainDuration::new(seconds).unwrap()))
    }

    fn pools(mut self, pools: Pools<()>) -> Self {
        self.pools = pools;
        self
    }

    fn edit(&mut self, change: impl FnOnce(&mut PoolsEdit<()>)) {
        let mut edit = self.pools.edit();
        change(&mut edit);
        self.pools = edit.build();
    }

    fn unhealthy(&mut self, endpoints: &[EndpointId]) {
        self.edit(|edit| {
            endpoints.iter().for_each(|id| edit.health(*id, Health::Unhealthy).unwrap())
        });
    }

    fn disable(&mut self, endpoint: EndpointId, since: Option<u64>) {
        self.edit(|edit| edit.state(endpoint, State::Disabled { at: since.map(at) }).unwrap());
    }

    fn disable_pool(&mut self, pool: &str, since: Option<u64>) {
        self.edit(|edit| edit.pool_state(pool, State::Disabled { at: since.map(at) }).unwrap());
    }

    fn weight(&mut self, endpoint: EndpointId, weight: u64) {
        self.edit(|edit| edit.weight(endpoint, Weight::new(weight).unwrap()).unwrap());
    }

    fn shed(&mut self, pool: &str, default: u64, session: u64) {
        let shedding = LoadShedding {
            default_percent: Percent::new(default).unwrap(),
            default_policy: ShedBy::Hash,
            session_percent: Percent::new(session).unwrap(),
        };
        self.edit(|edit| edit.shedding(pool, shedding).unwrap());
    }

    fn route(&mut self, client: &Client) -> Result<Attempt, NoEndpoint> {
        let visit = self.affinity.recall(&client.request(), at(self.now));
        let draws = &mut self.draws;
        self.affinity.route(visit, self.record, &self.pools, || {
            *draws += 1;
            draws.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        })
    }

    fn answer(&mut self, client: &Client) -> Answered {
        let attempt = self.route(client).unwrap();
        self.settle(attempt)
    }

    fn settle(&self, attempt: Attempt) -> Answered {
        let (endpoint, outcome) = (attempt.endpoint(), attempt.outcome());
        Answered { endpoint, outcome, settlement: self.affinity.settle(attempt, &self.pools) }
    }

    /// Routed, refused so often, then answered.
    fn after(&mut self, failures: usize, client: &Client) -> Answered {
        let mut attempt = self.route(client).unwrap();
        for _ in 0..failures {
            attempt = self.affinity.failover(attempt, &self.pools).unwrap();
        }
        self.settle(attempt)
    }

    /// Routed, refused once, and then nobody else may be asked.
    fn gives_up(&mut self, client: &Client) -> bool {
        let attempt = self.route(client).unwrap();
        self.affinity.failover(attempt, &self.pools).is_err()
    }

    /// Where new sessions go, out of so many that differ in all that chooses.
    fn new_sessions(&mut self) -> HashSet<EndpointId> {
        (0..64)
            .filter_map(|number| Some(self.route(&Client::number(number)).ok()?.endpoint()))
            .collect()
    }

    /// The endpoint table's two columns.
    fn takes(&mut self, endpoint: EndpointId) -> (bool, bool) {
        let kept =
            self.route(&live(endpoint)).is_ok_and(|attempt| attempt.outcome() == Outcome::Kept);
        (kept, self.new_sessions().contains(&endpoint))
    }

    fn drain_of(&self, endpoint: EndpointId) -> session_affinity::Drain {
        let census = self.pools.census(endpoint).unwrap();
        self.affinity.drain(&self.pools, endpoint, census, at(self.now)).unwrap()
    }
}

fn pin(endpoint: EndpointId) -> Pin {
    Pin { endpoint, issued: at(NOW - 60), expires: at(NOW - 60 + TTL) }
}

/// A client with a live session in a cookie.
fn live(endpoint: EndpointId) -> Client {
    Client::number(7).with_pin(pin(endpoint))
}

fn site() -> Site<session_affinity::CookiePolicy> {
    Site::new(cookie(&keyring()))
}

/// A node of header sessions, and a client whose record says this endpoint.
fn stored(endpoint: EndpointId) -> (Site<session_affinity::HeaderPolicy>, Client) {
    let mut site = Site::new(header());
    site.record = Record::Found(pin(endpoint));
    (site, Client::number(7).with_user("ann"))
}

fn pin_in(settlement: &Settlement, now: u64) -> Option<Pin> {
    codec(&keyring()).open(token_of(settlement)?.as_bytes(), at(now)).ok()
}

fn is_nothing(settlement: &Settlement) -> bool {
    settlement.set_cookie.is_none() && settlement.store_write.is_none()
}

// ---- the endpoint table

/// "healthy, enabled, weight > 0 | yes | yes"
#[test]
fn a_healthy_enabled_endpoint_with_a_weight_takes_pinned_and_new_sessions() {
    assert_eq!(site().takes(eu(1)), (true, true));
}

/// "healthy, enabled, weight 0 | yes | no"
#[test]
fn an_endpoint_of_weight_0_takes_its_pinned_sessions_only() {
    let mut site = site();
    site.weight(eu(1), 0);
    assert_eq!(site.takes(eu(1)), (true, false));
}

/// "draining, healthy | yes | no"
#[test]
fn a_draining_healthy_endpoint_takes_its_pinned_sessions_only() {
    let mut site = site().drain(600);
    site.disable(eu(1), Some(NOW - 10));
    assert_eq!(site.takes(eu(1)), (true, false));
}

/// "disabled, drain over or drain_duration 0 | no | no"
#[test]
fn a_disabled_endpoint_takes_nothing_once_its_drain_is_over_or_where_there_is_none() {
    let mut over = site().drain(600);
    over.disable(eu(1), Some(NOW - 601));
    assert_eq!(over.takes(eu(1)), (false, false));
    let mut none = site();
    none.disable(eu(1), Some(NOW));
    assert_eq!(none.takes(eu(1)), (false, false));
    // Nor does one that a clock ahead of ours has disabled.
    none.disable(eu(1), Some(NOW + 5));
    assert_eq!(none.takes(eu(1)), (false, false));
}

/// "unhealthy, or not in the snapshot | no | no"
#[test]
fn an_unhealthy_or_unknown_endpoint_takes_nothing() {
    let mut site = site().drain(600);
    site.unhealthy(&[eu(1)]);
    assert_eq!(site.takes(eu(1)), (false, false));
    site.disable(eu(1), Some(NOW - 10));
    assert_eq!(site.takes(eu(1)), (false, false), "draining does not make it healthy");
    assert_eq!(site.takes(eu(9)), (false, false));
}

/// "Draining: disabled, and now < disabled_at + drain_duration."
#[test]
fn a_drain_is_over_when_its_duration_has_passed_to_the_second() {
    let mut site = site().drain(600);
    site.disable(eu(1), Some(NOW));
    site.now = NOW + 599;
    assert_eq!(site.takes(eu(1)), (true, false));
    site.now = NOW + 600;
    assert_eq!(site.takes(eu(1)), (false, false));
}

/// "A disabled pool drains its endpoints likewise"
#[test]
fn a_disabled_pool_drains_its_endpoints() {
    let mut site = site().drain(600);
    site.disable_pool("eu", Some(NOW));
    assert_eq!((site.takes(eu(1)), site.takes(eu(2))), ((true, false), (true, false)));
    site.now = NOW + 600;
    assert_eq!((site.takes(eu(1)), site.takes(eu(2))), ((false, false), (false, false)));
}

/// "where both are disabled the earlier end counts"
#[test]
fn where_endpoint_and_pool_are_disabled_the_earlier_end_counts() {
    for (endpoint, pool) in [(NOW, NOW - 300), (NOW - 300, NOW)] {
        let mut site = site().drain(600);
        site.disable(eu(1), Some(endpoint));
        site.disable_pool("eu", Some(pool));
        site.now = NOW + 299;
        assert_eq!(site.takes(eu(1)), (true, false));
        site.now = NOW + 300;
        assert_eq!(site.takes(eu(1)), (false, false));
    }
}

/// "disabled without a stamp means the drain is over"
#[test]
fn disabled_without_a_stamp_the_drain_is_over() {
    let mut site = site().drain(600);
    site.disable(eu(1), None);
    assert_eq!(site.takes(eu(1)), (false, false));
    assert_eq!(site.answer(&live(eu(1))).outcome, Outcome::Moved(Moved::Drained));
    site.disable_pool("us", None);
    site.disable(us(1), Some(NOW));
    assert_eq!(site.takes(us(1)), (false, false), "the pool's drain has always been over");
}

/// "A pool is critical when fewer than minimum_origins of its endpoints are healthy and
/// enabled (weight 0 counts, draining does not)."
#[test]
fn a_pool_is_critical_with_too_few_healthy_enabled_endpoints() {
    let critical = |site: &Site<_>| site.pools.pool("eu").unwrap().is_critical();
    let mut site = site().drain(600);
    site.edit(|edit| edit.minimum_origins("eu", 2).unwrap());
    assert!(!critical(&site));
    site.weight(eu(1), 0);
    assert!(!critical(&site), "weight 0 counts");
    site.disable(eu(1), Some(NOW));
    assert!(critical(&site), "draining does not");
    site.edit(|edit| edit.state(eu(1), State::Enabled).unwrap());
    site.unhealthy(&[eu(2)]);
    assert!(critical(&site), "unhealthy does not");
}

/// "It is open when it is enabled, not critical, and at least one endpoint takes new
/// sessions."
#[test]
fn an_open_pool_is_enabled_and_not_critical_and_somebody_takes_new_sessions() {
    let open = |change: &dyn Fn(&mut Site<_>)| {
        let mut site = site();
        change(&mut site);
        site.pools.pool("eu").unwrap().is_open()
    };
    assert!(open(&|_| {}));
    assert!(!open(&|site| site.disable_pool("eu", None)));
    assert!(!open(&|site| site.edit(|edit| edit.minimum_origins("eu", 3).unwrap())));
    assert!(!open(&|site| {
        site.weight(eu(1), 0);
        site.weight(eu(2), 0);
    }));
    assert!(!open(&|site| {
        site.edit(|edit| edit.minimum_origins("eu", 0).unwrap());
        site.unhealthy(&[eu(1), eu(2)]);
    }));
}

// ---- the session table

fn with_fallback(name: &str) -> Pools<()> {
    Pools::builder().pool(pool("eu", 2)).pool(pool("us", 2)).fallback(name).build().unwrap()
}

fn with_fallback_apart() -> Pools<()> {
    Pools::builder().pool(pool("eu", 2)).fallback_pool(pool("us", 2)).build().unwrap()
}

/// "its endpoint is an enabled one of the fallback pool, and no other pool is open | kept,
/// its health ignored | as kept"
#[test]
fn in_the_fallback_pool_a_session_is_kept_whatever_its_endpoints_health_when_no_other_pool_is_open()
{
    let mut site = site().pools(with_fallback("us"));
    site.unhealthy(&[us(1), eu(1), eu(2)]);
    let answered = site.answer(&live(us(1)));
    assert_eq!((answered.endpoint, answered.outcome), (us(1), Outcome::Kept));
    assert!(is_nothing(&answered.settlement));
    // With another pool open its health counts again.
    site.edit(|edit| edit.health(eu(1), Health::Healthy).unwrap());
    let answered = site.answer(&live(us(1)));
    assert_eq!((answered.endpoint, answered.outcome), (eu(1), Outcome::Moved(Moved::Unhealthy)));
}

/// "its endpoint takes its sessions, its pool sheds, and this client is in session_percent |
/// moved: steering from the next open pool on …| re-pin"
#[test]
fn a_shed_session_moves_to_the_next_open_pool() {
    let mut site = site();
    site.shed("eu", 0, 100);
    let answered = site.answer(&live(eu(1)));
    assert_eq!(answered.outcome, Outcome::Moved(Moved::Shed));
    assert!([us(1), us(2)].contains(&answered.endpoint));
    assert_eq!(pin_in(&answered.settlement, NOW).unwrap().endpoint, answered.endpoint);
    // Never to a pool before its own.
    site.shed("eu", 0, 0);
    site.shed("us", 0, 100);
    assert_eq!(site.answer(&live(us(1))).outcome, Outcome::Kept);
}

/// "… none open: the fallback pool; none at all: kept"
#[test]
fn a_shed_session_with_no_open_pool_after_its_own_moves_to_the_fallback_pool_or_else_is_kept() {
    let mut apart = site().pools(with_fallback_apart());
    apart.shed("eu", 0, 100);
    apart.unhealthy(&[us(1), us(2)]);
    let answered = apart.answer(&live(eu(1)));
    assert!([us(1), us(2)].contains(&answered.endpoint), "whatever its health");
    assert_eq!(answered.outcome, Outcome::Moved(Moved::Shed));
    let mut alone = site();
    alone.shed("eu", 0, 100);
    alone.unhealthy(&[us(1), us(2)]);
    let answered = alone.answer(&live(eu(1)));
    assert_eq!((answered.endpoint, answered.outcome), (eu(1), Outcome::Kept));
    // A session of the fallback pool is not shed to that pool.
    let mut own = site().pools(with_fallback("us"));
    own.shed("us", 0, 100);
    assert_eq!(own.answer(&live(us(1))).outcome, Outcome::Kept);
}

/// "its endpoint takes its sessions (its pool critical or not …) | kept | cookie: nothing."
#[test]
fn a_live_session_of_a_good_endpoint_is_kept_and_writes_no_cookie() {
    for mode in MODES {
        let mut site = site().mode(mode);
        let answered = site.answer(&live(eu(2)));
        assert_eq!((answered.endpoint, answered.outcome), (eu(2), Outcome::Kept));
        assert!(is_nothing(&answered.settlement));
        assert_eq!(site.draws, 0, "a kept request draws no entropy");
    }
}

/// "affinity overrides steering, and a drain that makes a pool critical must not break its
/// other sessions"
#[test]
fn a_drain_that_makes_a_pool_critical_does_not_break_its_other_sessions() {
    let mut site = site().drain(600);
    site.edit(|edit| edit.minimum_origins("eu", 2).unwrap());
    site.disable(eu(1), Some(NOW));
    assert!(site.pools.pool("eu").unwrap().is_critical());
    assert_eq!(site.answer(&live(eu(1))).outcome, Outcome::Kept);
    assert_eq!(site.answer(&live(eu(2))).outcome, Outcome::Kept);
    assert_eq!(site.new_sessions(), HashSet::from([us(1), us(2)]));
}

/// "header: Touch, the idle timer restarts"
#[test]
fn a_kept_header_session_is_touched() {
    let (mut site, client) = stored(eu(2));
    let answered = site.answer(&client);
    assert_eq!((answered.endpoint, answered.outcome), (eu(2), Outcome::Kept));
    let key = header().session_key(&client.request()).unwrap();
    assert_eq!(
        answered.settlement.store_write,
        Some(StoreWrite::Touch { key, ttl: IDLE, now: at(NOW) })
    );
    assert_eq!(answered.settlement.set_cookie, None);
}

/// "live | otherwise (unhealthy, removed, disabled, drain over), in every failover mode |
/// moved: the first open pool | re-pin"
#[test]
fn a_live_session_that_its_endpoint_does_not_take_moves_in_every_mode() {
    for mode in MODES {
        let mut unhealthy = site().mode(mode);
        unhealthy.unhealthy(&[eu(1)]);
        let mut disabled = site().mode(mode);
        disabled.disable(eu(1), Some(NOW));
        let mut drained = site().mode(mode).drain(600);
        drained.disable(eu(1), Some(NOW - 600));
        let mut removed = site().mode(mode);
        let eu_2 = Pool::new("eu").endpoint(Endpoint::new("eu-2", ()));
        removed.pools = removed.pools.rebuild().pool(eu_2).pool(pool("us", 2)).build().unwrap();
        let rows = [
            (unhealthy, Moved::Unhealthy),
            (removed, Moved::Removed),
            (disabled, Moved::Disabled),
            (drained, Moved::Drained),
        ];
        for (mut site, reason) in rows {
            let answered = site.answer(&live(eu(1)));
            assert_eq!(
                (answered.endpoint, answered.outcome),
                (eu(2), Outcome::Moved(reason)),
                "{mode:?}"
            );
            assert_eq!(site.draws, 0);
            assert_eq!(pin_in(&answered.settlement, NOW).unwrap().endpoint, eu(2));
        }
    }
}

/// "moved: the first open pool", not the session's own.
#[test]
fn a_session_moves_to_the_first_open_pool() {
    let mut site = site();
    site.unhealthy(&[us(1)]);
    assert!([eu(1), eu(2)].contains(&site.answer(&live(us(1))).endpoint));
}

/// "A re-pin is a new session: issued now, full TTL."
#[test]
fn a_repin_is_issued_now_with_the_full_lifetime() {
    let mut site = site();
    site.unhealthy(&[eu(1)]);
    site.now = NOW + 70_000;
    let answered = site.answer(&live(eu(1)));
    let expected =
        Pin { endpoint: eu(2), issued: at(NOW + 70_000), expires: at(NOW + 70_000 + TTL) };
    assert_eq!(pin_in(&answered.settlement, site.now), Some(expected));
    let (mut site, client) = stored(eu(1));
    site.unhealthy(&[eu(1)]);
    let key = header().session_key(&client.request()).unwrap();
    let replaced = StoreWrite::Replace { key, endpoint: eu(2), ttl: IDLE, now: at(NOW) };
    assert_eq!(site.answer(&client).settlement.store_write, Some(replaced));
}

/// "none, expired, idled out or not usable | created: the first open pool"
#[test]
fn a_request_without_a_usable_session_begins_one_in_the_first_open_pool() {
    let expired = Pin { expires: at(NOW), ..pin(eu(1)) };
    let premature = Pin { issued: at(NOW + 301), ..pin(eu(1)) };
    let sealed = |pin: &Pin, id| {
        codec(&session_affinity::Keyring::from(key(id))).seal(pin).as_str().to_owned()
    };
    let rows = [
        (Client::number(7), Created::NoCookie),
        (Client::number(7).with_pin(expired), Created::Expired),
        (Client::number(7).with_pin(premature), Created::Premature),
        (Client::number(7).with_token("abc"), Created::Malformed),
        (Client::number(7).with_token(&"A".repeat(48)), Created::UnknownVersion),
        (Client::number(7).with_token(&sealed(&pin(eu(1)), 2)), Created::UnknownKey),
        (Client::number(7).with_token(&format!("AQE{}", "A".repeat(45))), Created::Forged),
    ];
    for (client, reason) in rows {
        let answered = site().answer(&client);
        assert_eq!(answered.outcome, Outcome::Created(reason));
        assert!([eu(1), eu(2)].contains(&answered.endpoint));
        let expected = Pin { endpoint: answered.endpoint, issued: at(NOW), expires: at(NOW + TTL) };
        assert_eq!(pin_in(&answered.settlement, NOW), Some(expected));
    }
}

/// "Create (no record, or the store was out of reach) … Replace (moved, or the record was
/// unreadable)"
#[test]
fn a_header_session_is_created_unless_its_record_was_unreadable() {
    let (mut site, client) = stored(eu(1));
    let key = header().session_key(&client.request()).unwrap();
    let (ttl, now) = (IDLE, at(NOW));
    for (record, reason) in [
        (Record::Absent, Created::NoRecord),
        (Record::Unreachable, Created::StoreUnreachable),
        (Record::Unreadable, Created::Unreadable),
    ] {
        site.record = record;
        let answered = site.answer(&client);
        assert_eq!(answered.outcome, Outcome::Created(reason));
        let endpoint = answered.endpoint;
        let expected = match record {
            Record::Unreadable => StoreWrite::Replace { key, endpoint, ttl, now },
            _ => StoreWrite::Create { key, endpoint, ttl, now },
        };
        assert_eq!(answered.settlement.store_write, Some(expected));
    }
}

/// "live or none | to be created or moved, and no pool is open | an enabled endpoint, with
/// weight > 0, of the fallback pool, itself enabled; health, minimum_origins and shedding
/// ignored | re-pin"
#[test]
fn with_no_open_pool_the_fallback_pool_serves_whatever_its_health() {
    let mut site = site().pools(with_fallback_apart());
    site.unhealthy(&[eu(1), eu(2), us(1), us(2)]);
    site.shed("us", 100, 100);
    site.edit(|edit| edit.minimum_origins("us", 9).unwrap());
    assert_eq!(site.new_sessions(), HashSet::from([us(1), us(2)]));
    let moved = site.answer(&live(eu(1)));
    assert_eq!(moved.outcome, Outcome::Moved(Moved::Unhealthy));
    assert_eq!(pin_in(&moved.settlement, NOW).unwrap().endpoint, moved.endpoint);
    site.weight(us(1), 0);
    assert_eq!(site.new_sessions(), HashSet::from([us(2)]), "with weight > 0");
}

/// "live or none | not even that | NoEndpoint | nothing"
#[test]
fn with_nobody_to_try_there_is_no_endpoint() {
    let mut disabled = site().pools(with_fallback_apart());
    disabled.unhealthy(&[eu(1), eu(2)]);
    disabled.disable(us(1), Some(NOW));
    disabled.weight(us(2), 0);
    let mut pool_disabled = site().pools(with_fallback_apart());
    pool_disabled.unhealthy(&[eu(1), eu(2)]);
    pool_disabled.disable_pool("us", Some(NOW));
    let mut alone = site();
    alone.unhealthy(&[eu(1), eu(2), us(1), us(2)]);
    let empty = site().pools(Pools::builder().build().unwrap());
    for mut site in [disabled, pool_disabled, alone, empty] {
        for client in [live(eu(1)), Client::number(7)] {
            assert_eq!(site.route(&client).unwrap_err().outcome(), Outcome::NoEndpoint);
        }
    }
}

/// "the configured headers are missing (header), or policy none | unbound: steering chooses
/// every time, by the same pools | nothing"
#[test]
fn a_request_that_can_have_no_session_is_steered_every_time_and_writes_nothing() {
    fn check(mut site: Site<impl AffinityPolicy>) {
        let answered = site.answer(&Client::number(7));
        assert_eq!(answered.outcome, Outcome::Unbound);
        assert!(is_nothing(&answered.settlement));
        let all: HashSet<_> = (0..64).map(|_| site.answer(&Client::number(7)).endpoint).collect();
        assert_eq!(all, HashSet::from([eu(1), eu(2)]));
        site.unhealthy(&[eu(1), eu(2)]);
        assert_eq!(site.new_sessions(), HashSet::from([us(1), us(2)]));
    }
    check(Site::new(NoAffinity));
    check(Site::new(header()));
}

// ---- shedding

/// Which of 2000 clients' live sessions are shed at this percentage.
fn shed_at(percent: u64) -> HashSet<u16> {
    let mut site = site();
    site.shed("eu", 0, percent);
    let moved = |number: &u16| {
        let client = Client::number(*number).with_pin(pin(eu(1)));
        site.route(&client).unwrap().outcome() == Outcome::Moved(Moved::Shed)
    };
    (0..2_000).filter(moved).collect()
}

/// "who is shed at 30 % is shed at 60 %"
#[test]
fn who_is_shed_at_30_percent_is_shed_at_60_percent() {
    let (third, most) = (shed_at(30), shed_at(60));
    assert!(third.is_subset(&most));
    assert!((540..660).contains(&third.len()), "{} of 2000", third.len());
    assert!((1_130..1_270).contains(&most.len()), "{} of 2000", most.len());
    assert_eq!((shed_at(0).len(), shed_at(100).len()), (0, 2_000));
}

/// "hash = SipHash of the client's IP under a label of its own …: hash × 100 < percent × 2^64"
#[test]
fn every_node_sheds_the_same_clients_by_the_documented_hash() {
    let shed: HashSet<u16> = (0..2_000)
        .filter(|number| {
            let hash = shedding_hash("shop.example.com", Client::number(*number).ip.unwrap());
            naive::is_shed(hash, 30)
        })
        .collect();
    assert_eq!(shed_at(30), shed);
    // New sessions are shed by the same number.
    let mut site = site();
    site.shed("eu", 30, 0);
    for number in 0..2_000 {
        let endpoint = site.route(&Client::number(number)).unwrap().endpoint();
        assert_eq!([us(1), us(2)].contains(&endpoint), shed.contains(&number), "client {number}");
    }
}

/// "(not the one that chooses endpoints)"
#[test]
fn who_is_shed_says_nothing_of_the_endpoint_chosen() {
    let mut site = Site::new(ip_cookie(&keyring()));
    let shed = shed_at(50);
    let mut first = |numbers: &mut dyn Iterator<Item = u16>| {
        let chosen: Vec<_> =
            numbers.map(|number| site.route(&Client::number(number)).unwrap().endpoint()).collect();
        chosen.iter().filter(|id| **id == eu(1)).count() * 100 / chosen.len()
    };
    let among_shed = first(&mut (0..2_000).filter(|number| shed.contains(number)));
    let among_others = first(&mut (0..2_000).filter(|number| !shed.contains(number)));
    assert!((45..=55).contains(&among_shed), "{among_shed} %");
    assert!((45..=55).contains(&among_others), "{among_others} %");
}

/// "No client IP: live sessions are never shed, and default_policy: hash draws entropy."
#[test]
fn without_an_address_live_sessions_are_never_shed_and_new_ones_by_a_number_drawn() {
    let mut site = site();
    site.shed("eu", 50, 100);
    let client = Client::without_address().with_pin(pin(eu(1)));
    assert_eq!(site.answer(&client).outcome, Outcome::Kept);
    assert_eq!(site.draws, 0);
    let shed = (0..1_000).filter(|_| {
        let endpoint = site.route(&Client::without_address()).unwrap().endpoint();
        endpoint != eu(1) && endpoint != eu(2)
    });
    let shed = shed.count();
    assert!((450..550).contains(&shed), "{shed} of 1000");
}

/// "moved sessions ignore default_percent"
#[test]
fn a_moved_session_is_not_shed_as_a_new_one() {
    let mut site = site();
    site.shed("eu", 100, 0);
    site.unhealthy(&[eu(1)]);
    assert_eq!(site.answer(&live(eu(1))).endpoint, eu(2));
}

/// "a new one that every open pool sheds goes to the fallback pool, and without one to the
/// first open pool after all"
#[test]
fn a_new_session_that_every_open_pool_sheds_goes_to_the_fallback_or_else_to_the_first_open_pool() {
    let apart = Pools::builder()
        .pool(pool("eu", 2))
        .pool(pool("us", 2))
        .fallback_pool(pool("asia", 2))
        .build()
        .unwrap();
    let asia = |number: u8| EndpointId::new("asia", &format!("asia-{number}"));
    let mut fallback = site().pools(apart);
    let mut alone = site();
    for site in [&mut fallback, &mut alone] {
        site.shed("eu", 100, 0);
        site.shed("us", 100, 0);
    }
    assert_eq!(fallback.new_sessions(), HashSet::from([asia(1), asia(2)]));
    assert_eq!(alone.new_sessions(), HashSet::from([eu(1), eu(2)]));
}

// ---- failover

/// "none | give up, pin unchanged"
#[test]
fn in_mode_none_a_live_session_gives_up_and_its_pin_is_as_it_was() {
    let mut site = site();
    assert!(site.gives_up(&live(eu(1))));
    assert_eq!(site.answer(&live(eu(1))).outcome, Outcome::Kept);
}

/// "temporary | lend: another endpoint, pin unchanged", "Lent writes no cookie"
#[test]
fn in_mode_temporary_a_live_session_is_lent_and_comes_back() {
    let mut site = site().mode(FailoverMode::Temporary);
    let lent = site.after(1, &live(eu(1)));
    assert_eq!((lent.endpoint, lent.outcome), (eu(2), Outcome::Lent(Lent::ConnectFailed)));
    assert!(is_nothing(&lent.settlement));
    let back = site.answer(&live(eu(1)));
    assert_eq!((back.endpoint, back.outcome), (eu(1), Outcome::Kept));
}

/// "Lent …; for header it is a Touch."
#[test]
fn a_lent_header_session_is_touched() {
    let (site, client) = stored(eu(1));
    let lent = site.mode(FailoverMode::Temporary).after(1, &client);
    assert_eq!(lent.outcome, Outcome::Lent(Lent::ConnectFailed));
    assert!(matches!(lent.settlement.store_write, Some(StoreWrite::Touch { ttl: IDLE, .. })));
}

/// "sticky | rebind: re-pin to the one that answers"
#[test]
fn in_mode_sticky_a_live_session_is_pinned_to_the_one_that_answers() {
    let mut site = site().mode(FailoverMode::Sticky);
    let moved = site.after(1, &live(eu(1)));
    assert_eq!((moved.endpoint, moved.outcome), (eu(2), Outcome::Moved(Moved::ConnectFailed)));
    let pinned = Pin { endpoint: eu(2), issued: at(NOW), expires: at(NOW + TTL) };
    assert_eq!(pin_in(&moved.settlement, NOW), Some(pinned));
}

/// The column "unpinned": rebind, in every mode.
#[test]
fn created_moved_and_unbound_attempts_are_pinned_to_the_one_that_answers_in_every_mode() {
    for mode in MODES {
        let created = site().mode(mode).after(1, &Client::number(7));
        assert_eq!(created.outcome, Outcome::Created(Created::ConnectFailed));
        assert_eq!(pin_in(&created.settlement, NOW).unwrap().endpoint, created.endpoint);

        let mut site = site().mode(mode);
        site.unhealthy(&[us(1)]);
        let moved = site.after(1, &live(us(1)));
        assert_eq!(moved.outcome, Outcome::Moved(Moved::ConnectFailed));
        assert_eq!(pin_in(&moved.settlement, NOW).unwrap().endpoint, moved.endpoint);

        let unbound = Site::new(NoAffinity).mode(mode).after(1, &Client::number(7));
        assert_eq!(unbound.outcome, Outcome::Unbound);
        assert!(is_nothing(&unbound.settlement));
    }
}

/// "nobody left to try: give up"
#[test]
fn with_nobody_left_to_try_every_mode_gives_up() {
    for mode in MODES {
        let mut site = site().mode(mode);
        site.unhealthy(&[eu(2)]);
        assert!(site.gives_up(&live(eu(1))));
        assert!(site.gives_up(&Client::number(7)));
    }
}

/// "Next = the preferred untried endpoint that takes new sessions, in the attempt's own pool
/// (critical or not)"
#[test]
fn failover_stays_in_a_pool_that_is_critical() {
    let mut site = site().mode(FailoverMode::Temporary);
    site.edit(|edit| edit.minimum_origins("eu", 9).unwrap());
    assert_eq!(site.after(1, &live(eu(1))).endpoint, eu(2));
    site.weight(eu(2), 0);
    assert!(site.gives_up(&live(eu(1))), "weight 0 takes no new sessions");
}

/// "then, only with failover_across_pools, in the other open pools in order"
#[test]
fn failover_leaves_the_pool_only_across_pools_and_then_in_order() {
    let three = || {
        Pools::builder()
            .pool(pool("eu", 1))
            .pool(pool("us", 1))
            .pool(pool("asia", 1))
            .build()
            .unwrap()
    };
    let asia = EndpointId::new("asia", "asia-1");
    let mut within = site().pools(three()).mode(FailoverMode::Temporary);
    assert!(within.gives_up(&live(us(1))));
    let mut across = within.across_pools().retries(2);
    assert_eq!(across.after(1, &live(us(1))).endpoint, eu(1));
    assert_eq!(across.after(2, &live(us(1))).endpoint, asia);
    across.edit(|edit| edit.minimum_origins("eu", 2).unwrap());
    assert_eq!(across.after(1, &live(us(1))).endpoint, asia, "a critical pool is not open");
}

/// "Retries: one by default (Cloudflare's rule), up to eight by configuration; what was tried
/// for a request is not tried again for it."
#[test]
fn one_retry_by_default_up_to_eight_and_nobody_is_tried_twice() {
    for retries in 1..=8_usize {
        let pools = Pools::builder()
            .pool(pool("eu", 4))
            .pool(pool("us", 4))
            .pool(pool("asia", 4))
            .build()
            .unwrap();
        let mut site = site().pools(pools).mode(FailoverMode::Temporary).across_pools();
        if retries > 1 {
            site = site.retries(retries as u64);
        }
        for client in [live(us(1)), Client::number(7)] {
            let mut attempt = site.route(&client).unwrap();
            let mut tried = vec![attempt.endpoint()];
            while let Ok(next) = site.affinity.failover(attempt, &site.pools) {
                attempt = next;
                tried.push(attempt.endpoint());
                assert!(tried.len() <= retries + 1, "{tried:?}");
            }
            let distinct: HashSet<_> = tried.iter().collect();
            assert_eq!((tried.len(), distinct.len()), (retries + 1, retries + 1), "{tried:?}");
        }
    }
}

/// "One seed gives the whole failover order": the number drawn for the first choice decides
/// the next one too.
#[test]
fn failover_goes_to_whom_the_same_number_prefers_without_the_one_that_failed() {
    let pools = Pools::builder().pool(pool("eu", 9)).build().unwrap();
    let mut next = HashSet::new();
    for drawn in (1..100_u64).map(|step| step.wrapping_mul(0x9e37_79b9_7f4a_7c15)) {
        let site = site().pools(pools.clone());
        let (client, now) = (Client::number(1), at(NOW));
        let visit = || site.affinity.recall(&client.request(), now);
        let first = site.affinity.route(visit(), Record::Absent, &site.pools, || drawn).unwrap();
        let failed = first.endpoint();
        let second = site.affinity.failover(first, &site.pools).unwrap().endpoint();
        let mut edit = site.pools.edit();
        edit.health(failed, Health::Unhealthy).unwrap();
        let without =
            site.affinity.route(visit(), Record::Absent, &edit.build(), || drawn).unwrap();
        assert_eq!(second, without.endpoint());
        next.insert(second);
    }
    assert_eq!(next.len(), 9);
}

/// "`sticky` with `header` is refused at construction."
#[test]
fn sticky_header_sessions_are_refused() {
    let refused = Affinity::new(&shop(), header()).with_failover(FailoverMode::Sticky);
    assert_eq!(refused.err().unwrap().mode, FailoverMode::Sticky);
}

/// "Giving up consumes the attempt; nothing is written", "gave_up (also an endpoint that broke
/// off after the request was sent)"
#[test]
fn an_attempt_that_is_given_up_leaves_no_trace() {
    let mut site = site().mode(FailoverMode::Temporary).cooling_off(60);
    let attempt = site.route(&live(eu(1))).unwrap();
    assert_eq!(attempt.give_up().outcome(), Outcome::GaveUp);
    assert_eq!(
        site.answer(&live(eu(1))).outcome,
        Outcome::Kept,
        "breaking off is no passive failure"
    );
}

// ---- cooling off

/// "off by default"
#[test]
fn without_cooling_off_nobody_is_suspect() {
    let mut site = site().mode(FailoverMode::Temporary);
    site.after(1, &live(eu(1)));
    assert_eq!(site.answer(&live(eu(1))).outcome, Outcome::Kept);
    // Nor when another load balancer, with a cooling-off time, has the same snapshot.
    let mut other =
        self::site().mode(FailoverMode::Temporary).cooling_off(60).pools(site.pools.clone());
    other.after(1, &live(eu(1)));
    assert_eq!(other.answer(&live(eu(1))).outcome.label(), "lent:suspect");
    assert_eq!(site.answer(&live(eu(1))).outcome, Outcome::Kept);
}

/// "a live session is lent (temporary) or rebound (sticky) without waiting on it", "a passive
/// failure that costs no retry"
#[test]
fn a_live_session_does_not_wait_on_a_suspect_and_has_its_retry_still() {
    for (mode, outcome, then) in [
        (FailoverMode::Temporary, Outcome::Lent(Lent::Suspect), Outcome::Lent(Lent::ConnectFailed)),
        (
            FailoverMode::Sticky,
            Outcome::Moved(Moved::Suspect),
            Outcome::Moved(Moved::ConnectFailed),
        ),
    ] {
        let three = Pools::builder().pool(pool("eu", 3)).build().unwrap();
        let mut site = site().pools(three).mode(mode).cooling_off(60);
        site.after(1, &live(eu(1)));
        let attempt = site.route(&live(eu(1))).unwrap();
        assert_ne!(attempt.endpoint(), eu(1));
        assert_eq!(attempt.outcome(), outcome);
        assert_eq!(site.affinity.failover(attempt, &site.pools).unwrap().outcome(), then);
    }
}

/// "with none, or when nobody else is there, the pin itself is tried and the result is kept"
#[test]
fn a_suspect_pin_is_tried_in_mode_none_and_when_nobody_else_is_there() {
    let mut none = site().cooling_off(60);
    assert!(none.gives_up(&live(eu(1))));
    assert_eq!(none.answer(&live(eu(1))).outcome, Outcome::Kept);
    for mode in [FailoverMode::Temporary, FailoverMode::Sticky] {
        let mut alone = site().mode(mode).cooling_off(60);
        alone.unhealthy(&[eu(2)]);
        assert!(alone.gives_up(&live(eu(1))));
        assert_eq!(alone.answer(&live(eu(1))).outcome, Outcome::Kept);
    }
}

/// An attempt that was lent past a suspect pin comes back to it when the others fail.
#[test]
fn a_lent_session_comes_back_to_its_suspect_pin_as_the_last_resort() {
    let mut site = site().mode(FailoverMode::Temporary).cooling_off(60);
    site.weight(eu(1), 0);
    site.after(1, &live(eu(1)));
    let lent = site.route(&live(eu(1))).unwrap();
    assert_eq!((lent.endpoint(), lent.outcome()), (eu(2), Outcome::Lent(Lent::Suspect)));
    let back = site.affinity.failover(lent, &site.pools).unwrap();
    assert_eq!((back.endpoint(), back.outcome()), (eu(1), Outcome::Kept));
}

/// The same when the pin was taken out between the two tries, by another snapshot.
#[test]
fn a_lent_session_does_not_come_back_to_a_suspect_pin_that_takes_it_no_more() {
    let mut site = site().mode(FailoverMode::Temporary).cooling_off(60);
    site.weight(eu(1), 0);
    site.after(1, &live(eu(1)));
    let lent = site.route(&live(eu(1))).unwrap();
    site.unhealthy(&[eu(1)]);
    assert_eq!(site.affinity.failover(lent, &site.pools).err(), Some(session_affinity::GaveUp));
}

/// "A passive failure marks its endpoint suspect for cooling_off seconds, by the now of the
/// request"
#[test]
fn an_endpoint_is_suspect_for_cooling_off_seconds() {
    let mut site = site().mode(FailoverMode::Temporary).cooling_off(60);
    site.after(1, &live(eu(1)));
    site.now = NOW + 59;
    assert_eq!(site.answer(&live(eu(1))).outcome, Outcome::Lent(Lent::Suspect));
    site.now = NOW + 60;
    assert_eq!(site.answer(&live(eu(1))).outcome, Outcome::Kept);
}

/// "doubling up to eight times that when it fails again afterwards (a failure while already
/// suspect does not double), cleared by an answer"
#[test]
fn the_time_doubles_up_to_eight_times_and_an_answer_clears_it() {
    let mut site = site().mode(FailoverMode::Temporary).cooling_off(10);
    for seconds in [10, 20, 40, 80, 80, 80] {
        let refused_at = site.now;
        site.after(1, &live(eu(1)));
        // Refused once more while suspect, by a session that has nobody else.
        let mut alone =
            Site { draws: 0, affinity: site.affinity, pools: site.pools, ..self::site() };
        alone.now = refused_at + 5;
        alone.unhealthy(&[eu(2)]);
        assert!(alone.gives_up(&live(eu(1))));
        alone.edit(|edit| edit.health(eu(2), Health::Healthy).unwrap());
        site = alone;
        site.now = refused_at + seconds - 1;
        assert_eq!(
            site.route(&live(eu(1))).unwrap().outcome(),
            Outcome::Lent(Lent::Suspect),
            "{seconds}"
        );
        site.now = refused_at + seconds;
        assert_eq!(site.route(&live(eu(1))).unwrap().outcome(), Outcome::Kept, "{seconds}");
    }
    assert_eq!(site.answer(&live(eu(1))).outcome, Outcome::Kept);
    site.after(1, &live(eu(1)));
    site.now += 10;
    assert_eq!(site.answer(&live(eu(1))).outcome, Outcome::Kept, "an answer starts anew");
}

/// "New sessions avoid suspects in every mode."
#[test]
fn new_sessions_avoid_suspects_in_every_mode() {
    for mode in MODES {
        let mut site = site().mode(mode).cooling_off(60);
        let attempt = site.route(&live(eu(1))).unwrap();
        drop(site.affinity.failover(attempt, &site.pools));
        assert_eq!(site.new_sessions(), HashSet::from([eu(2)]));
    }
}

/// "Suspects come last among the candidates of their own pool, and before other pools unless
/// failover_across_pools."
#[test]
fn suspects_come_before_other_pools_unless_failover_goes_across() {
    let suspects = |site: &mut Site<session_affinity::CookiePolicy>| {
        for id in [eu(1), eu(2)] {
            let attempt = site.route(&live(id)).unwrap();
            assert!(site.affinity.failover(attempt, &site.pools).is_err());
        }
    };
    let mut within = site().cooling_off(60);
    suspects(&mut within);
    assert_eq!(within.new_sessions(), HashSet::from([eu(1), eu(2)]));
    let mut across = site().cooling_off(60).across_pools();
    suspects(&mut across);
    assert_eq!(across.new_sessions(), HashSet::from([us(1), us(2)]));
}

/// "So a dead endpoint is waited on once, not once per request"
#[test]
fn a_dead_endpoint_is_waited_on_once() {
    let mut site = site().mode(FailoverMode::Temporary).cooling_off(60);
    let mut waits = 0;
    for _ in 0..20 {
        let mut attempt = site.route(&live(eu(1))).unwrap();
        if attempt.endpoint() == eu(1) {
            waits += 1;
            attempt = site.affinity.failover(attempt, &site.pools).unwrap();
        }
        assert_eq!(site.settle(attempt).endpoint, eu(2));
    }
    assert_eq!(waits, 1);
}

// ---- choices

/// "Any choice for a live session … is seeded by SipHash of the pin's endpoint and issued time
/// …, so concurrent requests of one session agree, on every node"
#[test]
fn concurrent_requests_of_one_session_move_to_the_same_endpoint_on_every_node() {
    let six = || Pools::builder().pool(pool("eu", 6)).build().unwrap();
    let mut landed = HashSet::new();
    for issued in 0..32 {
        let client = Client::number(7).with_pin(Pin { issued: at(NOW - issued), ..pin(eu(1)) });
        let node = |draws| {
            let mut site = site().pools(six());
            site.draws = draws;
            site.unhealthy(&[eu(1)]);
            site.answer(&client).endpoint
        };
        assert_eq!(node(1), node(2));
        landed.insert(node(1));
    }
    assert!(landed.len() > 3, "different sessions spread: {landed:?}");
}

/// "ip_cookie | … the client's IP, else entropy", "a valid cookie beats the IP"
#[test]
fn ip_cookie_chooses_by_address_and_a_valid_cookie_beats_it() {
    let first = |number, draws| {
        let mut site = Site::new(ip_cookie(&keyring()));
        site.draws = draws;
        (site.route(&Client::number(number)).unwrap().endpoint(), site.draws - draws)
    };
    for number in 0..32 {
        assert_eq!(first(number, 1), first(number, 2));
        assert_eq!(first(number, 1).1, 0, "no entropy is drawn");
        for pinned in [eu(1), eu(2)] {
            let client = Client::number(number).with_pin(pin(pinned));
            assert_eq!(Site::new(ip_cookie(&keyring())).answer(&client).endpoint, pinned);
        }
    }
    let mut site = Site::new(ip_cookie(&keyring()));
    let all: HashSet<_> =
        (0..64).map(|_| site.answer(&Client::without_address()).endpoint).collect();
    assert_eq!(all.len(), 2, "without an address entropy decides");
}

/// "cookie | … the client's IP where the pool steers by hash and there is one, else entropy"
#[test]
fn a_cookie_session_begins_by_address_where_the_pool_steers_by_hash() {
    let hashing = || Pools::builder().pool(pool("eu", 4).steering(steering::Hash)).build().unwrap();
    let mut site = site().pools(hashing());
    for number in 0..32 {
        let first = site.answer(&Client::number(number)).endpoint;
        assert_eq!(site.answer(&Client::number(number)).endpoint, first);
    }
    assert_eq!(site.draws, 0);
    let all: HashSet<_> =
        (0..64).map(|_| site.answer(&Client::without_address()).endpoint).collect();
    assert_eq!(all.len(), 4);
}

/// "two first requests of one header session on two nodes choose the same endpoint, and with
/// the store out of reach a header session still lands where its key points"
#[test]
fn a_header_session_lands_where_its_key_points_with_or_without_a_store() {
    for user in 0..32 {
        let client = Client::number(user).with_user(&format!("user {user}"));
        let node = |record, draws| {
            let mut site = Site::new(header());
            (site.record, site.draws) = (record, draws);
            site.answer(&client).endpoint
        };
        assert_eq!(node(Record::Absent, 1), node(Record::Absent, 2));
        assert_eq!(node(Record::Absent, 1), node(Record::Unreachable, 3));
    }
}

/// "Rotating signing keys moves no ip_cookie first choice"
#[test]
fn rotating_signing_keys_moves_no_first_choice() {
    for number in 0..32 {
        let choice = |id| {
            let keyring = session_affinity::Keyring::from(key(id));
            Site::new(ip_cookie(&keyring)).answer(&Client::number(number)).endpoint
        };
        assert_eq!(choice(1), choice(2));
    }
}

// ---- header sessions and their store

/// "a record that is gone has idled out (at last use + ttl; alive one second before)"
#[test]
fn a_header_session_idles_out_one_ttl_after_its_last_use_and_lives_one_second_before() {
    let store = MemoryStore::new(1_000).unwrap();
    let mut site = Site::new(header());
    let client = Client::number(7).with_user("ann");
    let mut visit = |now: u64| {
        site.now = now;
        site.record = store.record(&site.affinity.recall(&client.request(), at(now)));
        let answered = site.answer(&client);
        store.settle(&answered.settlement).unwrap();
        answered.outcome
    };
    assert_eq!(visit(NOW), Outcome::Created(Created::NoRecord));
    assert_eq!(visit(NOW + IDLE - 1), Outcome::Kept);
    assert_eq!(visit(NOW + 2 * (IDLE - 1)), Outcome::Kept, "use restarts the timer");
    assert_eq!(visit(NOW + 2 * (IDLE - 1) + IDLE), Outcome::Created(Created::NoRecord));
}

fn load(store: &MemoryStore, key: SessionKey, now: u64) -> Option<(EndpointId, u64)> {
    match store.load(&Lookup { key, ttl: IDLE, now: at(now) }).unwrap() {
        Record::Found(pin) => Some((pin.endpoint, pin.issued.as_secs())),
        _ => None,
    }
}

/// "Create … keeps a record that came first, so of two first requests racing on two nodes one
/// wins and both nodes agree from then on"
#[test]
fn of_two_creates_the_first_wins() {
    let (store, key, ttl) = (MemoryStore::new(1_000).unwrap(), SessionKey([1; 16]), IDLE);
    store.save(&StoreWrite::Create { key, endpoint: eu(1), ttl, now: at(NOW) }).unwrap();
    store.save(&StoreWrite::Create { key, endpoint: eu(2), ttl, now: at(NOW) }).unwrap();
    assert_eq!(load(&store, key, NOW), Some((eu(1), NOW)));
}

/// "Replace (moved, or the record was unreadable) overwrites"
#[test]
fn a_replace_overwrites() {
    let (store, key, ttl) = (MemoryStore::new(1_000).unwrap(), SessionKey([1; 16]), IDLE);
    store.save(&StoreWrite::Create { key, endpoint: eu(1), ttl, now: at(NOW) }).unwrap();
    store.save(&StoreWrite::Replace { key, endpoint: eu(2), ttl, now: at(NOW + 5) }).unwrap();
    assert_eq!(load(&store, key, NOW + 5), Some((eu(2), NOW + 5)));
}

/// "Touch (kept, lent) restarts the timer and changes nothing else, so it can't undo another
/// node's move"
#[test]
fn a_touch_restarts_the_timer_and_changes_nothing_else() {
    let (store, key, ttl) = (MemoryStore::new(1_000).unwrap(), SessionKey([1; 16]), IDLE);
    store.save(&StoreWrite::Touch { key, ttl, now: at(NOW) }).unwrap();
    assert_eq!(load(&store, key, NOW), None, "it makes no record");
    store.save(&StoreWrite::Replace { key, endpoint: eu(2), ttl, now: at(NOW) }).unwrap();
    store.save(&StoreWrite::Touch { key, ttl, now: at(NOW + 100) }).unwrap();
    assert_eq!(load(&store, key, NOW + IDLE + 99), Some((eu(2), NOW)));
    assert_eq!(load(&store, key, NOW + IDLE + 100), None);
}

/// "adding, removing or changing one makes a new session"
#[test]
fn another_value_of_a_configured_header_is_another_session() {
    let key = |client: &Client| header().session_key(&client.request());
    let ann = Client::number(7).with_user("ann");
    assert_eq!(key(&ann), key(&Client::number(8).with_user("ann")), "the address is no part of it");
    assert_ne!(key(&ann), key(&Client::number(7).with_user("bob")));
    let mut twice = ann.clone();
    twice.headers.append("x-user", "ann".parse().unwrap());
    assert_ne!(key(&ann), key(&twice));
    assert_eq!(key(&Client::number(7)), None);
}

// ---- steering

/// "`least_outstanding_requests` and `least_connections` = entropy and weight / (n + 1)": 0.4
/// with three open against 0.6 with none are 14.29 % and 85.71 %.
#[test]
fn least_loaded_steering_splits_by_weight_over_load_plus_one() {
    fn share(steering: impl steering::Steering<u32> + 'static) -> f64 {
        let endpoint = |name, weight, open| Endpoint {
            weight: Weight::new(weight).unwrap(),
            ..Endpoint::new(name, open)
        };
        let pool =
            Pool::new("eu").endpoint(endpoint("eu-1", 40, 3_u32)).endpoint(endpoint("eu-2", 60, 0));
        let pools = Pools::builder().pool(pool.steering(steering)).build().unwrap();
        let affinity = Affinity::new(&shop(), NoAffinity);
        let client = Client::number(7);
        let mut entropy = 1_u64;
        let chosen = (0..100_000).filter(|_| {
            entropy = entropy.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            let visit = affinity.recall(&client.request(), at(NOW));
            let attempt = affinity.route(visit, Record::Absent, &pools, || entropy).unwrap();
            attempt.endpoint() == eu(1)
        });
        chosen.count() as f64 / 1_000.0
    }
    for percent in [
        share(steering::LeastOutstandingRequests(|open: &u32| *open)),
        share(steering::LeastConnections(|open: &u32| *open)),
    ] {
        // The standard deviation of 100 000 draws is 0.11 %.
        assert!((percent - 14.29).abs() < 0.4, "{percent} %");
    }
}

/// "Load counts matter only where entropy seeds."
#[test]
fn load_does_not_decide_where_the_seed_is_stable() {
    let chosen = |load: u32| -> Vec<_> {
        let steering =
            || steering::LeastConnections(move |first: &bool| if *first { load } else { 0 });
        let pool = Pool::new("eu")
            .endpoint(Endpoint::new("eu-1", true))
            .endpoint(Endpoint::new("eu-2", false));
        let pools = Pools::builder().pool(pool.steering(steering())).build().unwrap();
        let affinity = Affinity::new(&shop(), ip_cookie(&keyring()));
        let choose = |number| {
            let visit = affinity.recall(&Client::number(number).request(), at(NOW));
            affinity.route(visit, Record::Absent, &pools, || 4).unwrap().endpoint()
        };
        (0..64).map(choose).collect()
    };
    assert_eq!(chosen(0), chosen(1_000_000));
}

// ---- drain

/// One session that began at `NOW`, of a census that began one TTL and more before.
fn drained_site() -> Site<session_affinity::CookiePolicy> {
    let mut site = site().drain(604_800);
    site.now = NOW - TTL - 10;
    site.answer(&live(us(1)));
    site.now = NOW;
    site
}

/// "per endpoint the time last seen and the latest end of any session noted, written at settle
/// under the endpoint that the session is pinned to: expires for a cookie, now + ttl for header"
#[test]
fn settling_notes_when_an_endpoint_was_seen_and_its_latest_session_ends() {
    let mut cookies = site();
    let attempt = cookies.route(&live(eu(1))).unwrap();
    assert_eq!(cookies.pools.census(eu(1)).unwrap().latest_end, None, "routing notes nothing");
    cookies.settle(attempt);
    let census = cookies.pools.census(eu(1)).unwrap();
    assert_eq!((census.last_seen, census.latest_end), (Some(at(NOW)), Some(pin(eu(1)).expires)));
    cookies.now = NOW + 50;
    cookies.unhealthy(&[eu(1)]);
    cookies.answer(&live(eu(1)));
    let census = cookies.pools.census(eu(2)).unwrap();
    assert_eq!(
        (census.last_seen, census.latest_end),
        (Some(at(NOW + 50)), Some(at(NOW + 50 + TTL))),
        "moved"
    );

    let (mut headers, client) = stored(eu(1));
    headers.now = NOW + 20;
    headers.answer(&client);
    assert_eq!(headers.pools.census(eu(1)).unwrap().latest_end, Some(at(NOW + 20 + IDLE)));
}

/// "A lent request notes the pinned endpoint's session, and the one that served as seen."
#[test]
fn a_lent_request_notes_the_pinned_endpoints_session_and_the_one_that_served_as_seen() {
    let mut site = site().mode(FailoverMode::Temporary);
    site.after(1, &live(eu(1)));
    let (pinned, served) = (site.pools.census(eu(1)).unwrap(), site.pools.census(eu(2)).unwrap());
    assert_eq!((pinned.last_seen, pinned.latest_end), (None, Some(pin(eu(1)).expires)));
    assert_eq!((served.last_seen, served.latest_end), (Some(at(NOW)), None));
}

/// Policy `none` has no sessions to wait for.
#[test]
fn without_affinity_an_endpoint_is_drained_at_once() {
    let cookies = drained_site();
    cookies.settle(drained_site().route(&live(eu(1))).unwrap());
    let affinity =
        Affinity::new(&shop(), NoAffinity).with_drain_duration(DrainDuration::new(600).unwrap());
    let mut edit = cookies.pools.edit();
    edit.state(eu(1), State::Disabled { at: Some(at(NOW + 5)) }).unwrap();
    let pools = edit.build();
    let drain = affinity.drain(&pools, eu(1), pools.census(eu(1)).unwrap(), at(NOW + 5)).unwrap();
    assert_eq!((drain.phase, drain.last_seen), (DrainPhase::Draining, Some(at(NOW))));
    assert!(
        matches!(drain.sessions, DrainSessions::Drained { since: Some(since) } if since <= at(NOW + 5)),
        "{drain:?}"
    );
}

/// "Nothing noted and a census old enough: drained at once, with no end to name."
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

/// "min(disabled_at + drain_duration, max(latest end noted, disabled_at + ttl if this census
/// began less than one TTL before disabled_at))", the latest end noted.
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

/// The same formula: "disabled_at + ttl if this census began less than one TTL before".
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

/// The same formula: never after "disabled_at + drain_duration".
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

/// "Re-enabling ends the drain."
#[test]
fn reenabling_ends_the_drain() {
    let mut site = drained_site();
    site.disable(eu(1), Some(NOW));
    site.edit(|edit| edit.state(eu(1), State::Enabled).unwrap());
    let drain = site.drain_of(eu(1));
    assert_eq!((drain.phase, drain.sessions), (DrainPhase::InService, DrainSessions::Open));
    assert_eq!(site.takes(eu(1)), (true, true));
}

/// "A disabled pool drains its endpoints likewise; where both are disabled the earlier end
/// counts", in the census too.
#[test]
fn the_drain_of_a_disabled_pool_is_that_of_its_endpoints() {
    let mut site = site().drain(600);
    site.answer(&live(eu(1)));
    site.disable_pool("eu", Some(NOW - 100));
    assert_eq!(site.drain_of(eu(1)).sessions, DrainSessions::EndBy(at(NOW + 500)));
    site.disable(eu(1), Some(NOW - 200));
    assert_eq!(site.drain_of(eu(1)).sessions, DrainSessions::EndBy(at(NOW + 400)));
}

/// A token is expired when "`issued + ttl <= now` with the configured TTL": a session that
/// began under a longer one ends sooner, and the drain knows.
#[test]
fn a_lowered_ttl_ends_the_sessions_and_their_drain_sooner() {
    let mut site = drained_site();
    let begun = site.answer(&Client::number(7));
    let short = CookieTtl::new(1_800).unwrap();
    let policy = cookie(&keyring()).map_codec(|codec| codec.with_ttl(short));
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

/// "Censuses merge by taking the greater." "For header only the merge over all nodes counts".
#[test]
fn the_censuses_of_two_nodes_merge_by_taking_the_greater() {
    let (mut one, client) = stored(eu(1));
    let (mut two, _) = stored(eu(1));
    for site in [&mut one, &mut two] {
        site.now = NOW - IDLE - 10;
        site.record = Record::Found(pin(us(1)));
        site.answer(&client);
        site.record = Record::Found(pin(eu(1)));
    }
    (one.now, two.now) = (NOW - 100, NOW - 50);
    one.answer(&client);
    two.answer(&client);
    let mut one = one.drain(3_600);
    one.now = NOW;
    one.disable(eu(1), Some(NOW));
    let merged = one.pools.census(eu(1)).unwrap().merge(two.pools.census(eu(1)).unwrap());
    assert_eq!(merged.last_seen, Some(at(NOW - 50)));
    assert_eq!(merged.latest_end, Some(at(NOW - 50 + IDLE)));
    let drain = one.affinity.drain(&one.pools, eu(1), merged, at(NOW)).unwrap();
    assert_eq!(drain.sessions, DrainSessions::EndBy(at(NOW - 50 + IDLE)));
    assert_eq!(
        one.drain_of(eu(1)).sessions,
        DrainSessions::EndBy(at(NOW - 100 + IDLE)),
        "one node alone"
    );
    assert_eq!(merged, two.pools.census(eu(1)).unwrap().merge(one.pools.census(eu(1)).unwrap()));
    assert_eq!(merged.merge(merged), merged);
    assert_eq!(Census::default().merge(merged).latest_end, merged.latest_end);
}
