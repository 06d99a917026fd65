//! Snapshots that are edited, rebuilt and given other endpoints, against a plain list: what is
//! stated, what is kept, what is refused, where requests go, and what has been noted meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use session_affinity::failover::MoveWithin;
use session_affinity::limits::{CoolingOff, Percent};
use session_affinity::pools::{
    InvalidPools, LivePools, LoadShedding, NotInSnapshot, PoolsBuilder, PoolsEdit, ShedBy,
};
use session_affinity::{
    Affinity, Endpoint, EndpointId, Health, LoadBalancer, NoAffinity, Outcome, Pool, Pools, Record,
    State, UnixTime, Weight,
};

use super::choices::Choices;
use super::support::{Chance, Client, NOW, PinnedTo};

/// The last four names of pools and endpoints have the same ids two by two.
const POOLS: [&str; 7] = ["a", "b", "c", "", "x\n", "tenant1", "tenant2"];
const ENDPOINTS: [&str; 8] =
    ["1", "2", "3", "4", "", "\u{7f}", "coagehkojjmcoeac", "nbioeccdpngdgkne"];

pub fn check(input: &[u8]) {
    let mut choices = Choices(input);
    let empty = Pools::builder().build().unwrap();
    let mut trial = Trial { live: LivePools::new(empty), plain: Plain::default(), now: NOW };
    // The clock stays within the time for which an endpoint that failed is suspect.
    for step in 0..200 {
        if choices.is_used_up() {
            break;
        }
        trial.now = NOW.saturating_add(step);
        let (before, was) = (trial.live.load(), trial.plain.clone());
        match choices.below(8) {
            0 => trial.build(&mut choices, Before::Nothing),
            1 | 2 => trial.build(&mut choices, Before::Known),
            3 => trial.discover(&mut choices),
            4 | 5 => trial.edit(&mut choices),
            _ => trial.serve(&mut choices),
        }
        // A request that has the snapshot before still sees it as it was.
        was.is_seen_in(&before);
        let now = trial.live.load();
        trial.plain.is_seen_in(&now);
        trial.plain.marks_are_seen_in(&now, trial.now);
        if choices.percent(50) {
            trial.requests_go_where_they_would_from_scratch(&now, &mut choices);
        }
    }
}

struct Trial {
    live: LivePools<u64>,
    plain: Plain,
    now: UnixTime,
}

#[derive(Clone, Copy, PartialEq)]
enum Before {
    Nothing,
    Known,
}

/// A snapshot as a list.
#[derive(Clone, Default)]
struct Plain {
    pools: Vec<PlainPool>,
    in_order: usize,
    fallback: Option<usize>,
    marks: BTreeMap<EndpointId, Mark>,
    /// The pools of endpoints that have been removed.
    removed: BTreeMap<EndpointId, String>,
}

#[derive(Clone)]
struct PlainPool {
    name: String,
    state: State,
    weight: Weight,
    minimum: u32,
    shedding: LoadShedding,
    endpoints: Vec<PlainEndpoint>,
}

#[derive(Clone)]
struct PlainEndpoint {
    name: String,
    target: u64,
    weight: Weight,
    health: Health,
    state: State,
}

#[derive(Clone, Copy, Default)]
struct Mark {
    began: Option<UnixTime>,
    last_seen: Option<UnixTime>,
    is_suspect: bool,
}

/// The kind of an error and the name that it is about.
type Refusal = (&'static str, String);

impl Trial {
    fn build(&mut self, choices: &mut Choices<'_>, before: Before) {
        let mut pools: Vec<Pool<u64>> = (0..choices.below(5)).map(|_| a_pool(choices)).collect();
        keep_one_of_each(&mut pools, |pool| &pool.name, choices);
        let initial = a_health(choices);
        let fallback = choices.below(4);
        let (named, apart) = (choices.one_of(&POOLS), a_pool(choices));
        let describe = |builder: PoolsBuilder<u64>| {
            let builder = builder.with_initial_health(initial);
            let builder = pools.iter().cloned().fold(builder, PoolsBuilder::pool);
            match fallback {
                0 | 1 => builder,
                2 => builder.fallback_in_order(named),
                _ => builder.fallback_apart(apart.clone()),
            }
        };

        let in_order = pools.len();
        let expected = match fallback {
            2 => match pools.iter().position(|pool| pool.name == named) {
                None => Err(("fallback", named.to_owned())),
                index => Ok((pools.clone(), index)),
            },
            3 => Ok((pools.iter().cloned().chain([apart.clone()]).collect(), Some(in_order))),
            _ => Ok((pools.clone(), None)),
        };
        let known = if before == Before::Known { self.plain.clone() } else { Plain::default() };
        let expected = expected.and_then(|(described, fallback)| {
            known.followed_by(&described, in_order, fallback, initial)
        });
        let built = self.live.update(|now| match before {
            Before::Nothing => describe(Pools::builder()).build(),
            Before::Known => describe(now.rebuild()).build(),
        });
        self.compare(built, expected);
    }

    fn discover(&mut self, choices: &mut Choices<'_>) {
        let name = choices.one_of(&POOLS);
        let found = some_endpoints(choices);
        let initial = a_health(choices);
        let built =
            self.live.update(|now| now.with_endpoints_of(name, found.iter().cloned(), initial));

        let mut described: Vec<Pool<u64>> = self.plain.pools.iter().map(unstated).collect();
        let expected = match described.iter_mut().find(|pool| pool.name == name) {
            None => Err(("pool of discovery", name.to_owned())),
            Some(pool) => {
                pool.endpoints = found;
                let (in_order, fallback) = (self.plain.in_order, self.plain.fallback);
                self.plain.followed_by(&described, in_order, fallback, initial)
            }
        };
        self.compare(built, expected);
    }

    fn compare(
        &mut self,
        built: Result<Arc<Pools<u64>>, InvalidPools>,
        expected: Result<Plain, Refusal>,
    ) {
        match (built, expected) {
            (Ok(_), Ok(next)) => self.plain = next,
            (Err(error), Err(refusal)) => assert_eq!(refused(&error), refusal),
            (built, expected) => panic!("{built:?}, and not {:?}", expected.map(|_| ())),
        }
    }

    /// Some changes in one closure. The first that fails ends it, and then none of them is made; or
    /// it is passed over.
    fn edit(&mut self, choices: &mut Choices<'_>) {
        let ends = choices.percent(60);
        let changes: Vec<Change> = (0..1 + choices.below(4)).map(|_| a_change(choices)).collect();
        let edited = self.live.edit(|edit| {
            changes.iter().try_for_each(|change| match change.made(edit) {
                Err(_) if !ends => Ok(()),
                result => result,
            })
        });
        let mut next = self.plain.clone();
        let mut first_error = None;
        for change in &changes {
            if let Err(error) = next.change(change)
                && ends
            {
                first_error = Some(error);
                break;
            }
        }
        match (edited, first_error) {
            (Ok(_), None) => self.plain = next,
            (Err(error), Some(expected)) => assert_eq!(error, expected),
            (edited, expected) => panic!("{edited:?}, and not {expected:?}"),
        }
    }

    /// A request of a session that is pinned somewhere: its endpoint answers or refuses it.
    fn serve(&mut self, choices: &mut Choices<'_>) {
        let pools = self.live.load();
        let id = EndpointId::new(choices.one_of(&POOLS), choices.one_of(&ENDPOINTS));
        let affinity = Affinity::new(PinnedTo::new(id)).with_cooling_off(CoolingOff::MAX);
        let client = Client::number(1);
        let visit = affinity.recall(&client.request(), self.now);
        let routed = affinity.route(visit, Record::Absent, &pools, || 0);
        self.plain.begin(self.now);
        let Ok((attempt, target)) = routed else { return };
        let at = attempt.endpoint();
        assert_eq!(self.plain.endpoint(at).map(|(_, endpoint)| endpoint.target), Some(*target));
        let mark = self.plain.marks.get_mut(&at).unwrap();
        if choices.percent(50) {
            let _ = affinity.settle(attempt, &pools);
            *mark = Mark { last_seen: Some(self.now), is_suspect: false, ..*mark };
        } else {
            // It was suspect before, or is now; the next one is not asked.
            let _ = affinity.failover(attempt, &pools);
            mark.is_suspect = true;
        }
    }

    /// A new session and one that is pinned go where they would in a snapshot that was built at once
    /// with all of this stated; and one whose endpoint was removed stays in its pool.
    fn requests_go_where_they_would_from_scratch(
        &mut self,
        pools: &Pools<u64>,
        choices: &mut Choices<'_>,
    ) {
        self.plain.begin(self.now);
        let (plain, now) = (&self.plain, self.now);
        let builder = plain.pools.iter().take(plain.in_order).map(PlainPool::stated);
        let builder = builder.fold(Pools::builder(), PoolsBuilder::pool);
        let builder = match plain.fallback {
            Some(index) if index < plain.in_order => {
                builder.fallback_in_order(&plain.pools[index].name)
            }
            Some(index) => builder.fallback_apart(plain.pools[index].stated()),
            None => builder,
        };
        let scratch = builder.build().unwrap();
        let shop = LoadBalancer::new("shop").unwrap();
        let (entropy, client) = (choices.next(), Client::number(choices.number(1 << 16) as u16));
        let new = Affinity::new(NoAffinity::new(&shop));
        let named = EndpointId::new(choices.one_of(&POOLS), choices.one_of(&ENDPOINTS));
        let removed: Vec<EndpointId> = plain.removed.keys().copied().collect();
        let id = match removed.len() {
            0 => named,
            count if choices.percent(50) => removed[choices.below(count)],
            _ => named,
        };
        let routed = |pools: &Pools<u64>, is_pinned: bool| {
            let request = client.request();
            if is_pinned {
                let pinned = Affinity::new(PinnedTo::new(id)).with_move_within(MoveWithin::Order);
                let visit = pinned.recall(&request, now);
                let routed = pinned.route(visit, Record::Absent, pools, || entropy);
                return routed
                    .map(|(attempt, to)| (attempt.endpoint(), attempt.outcome(), *to))
                    .ok();
            }
            let routed = new.route(new.recall(&request, now), Record::Absent, pools, || entropy);
            routed.map(|(attempt, to)| (attempt.endpoint(), attempt.outcome(), *to)).ok()
        };
        for is_pinned in [false, true] {
            assert_eq!(routed(pools, is_pinned), routed(&scratch, is_pinned), "{is_pinned}");
        }

        let Some(home) = plain.removed.get(&id) else { return };
        let in_order = plain.pools.iter().take(plain.in_order);
        let Some(home) = in_order.into_iter().find(|pool| pool.name == *home && pool.is_open())
        else {
            return;
        };
        let pinned = Affinity::new(PinnedTo::new(id)).with_move_within(MoveWithin::OwnPool);
        let visit = pinned.recall(&client.request(), now);
        let (attempt, _) = pinned.route(visit, Record::Absent, pools, || entropy).unwrap();
        assert!(matches!(attempt.outcome(), Outcome::Moved(_)));
        let at = pools.endpoint(attempt.endpoint()).unwrap();
        // The pool may shed live sessions, which go to another one then.
        let is_shed = home.shedding.session_percent > Percent::ZERO;
        assert!(at.pool().name() == home.name || is_shed, "{}", at.pool().name());
    }
}

impl Plain {
    /// The first request begins the census of the endpoints that are new.
    fn begin(&mut self, now: UnixTime) {
        for mark in self.marks.values_mut() {
            mark.began.get_or_insert(now);
        }
    }

    /// The list after a description that takes its place.
    fn followed_by(
        &self,
        described: &[Pool<u64>],
        in_order: usize,
        fallback: Option<usize>,
        initial: Health,
    ) -> Result<Self, Refusal> {
        let mut next = Self { in_order, fallback, ..Self::default() };
        let mut names: Vec<(EndpointId, &str, &str)> = Vec::new();
        for pool in described {
            if !is_name(&pool.name) {
                return Err(("pool name", pool.name.clone()));
            }
            if next.pools.iter().any(|known| known.name == pool.name) {
                return Err(("two pools", pool.name.clone()));
            }
            let known = self.pools.iter().find(|known| known.name == pool.name);
            let mut endpoints = Vec::new();
            for endpoint in &pool.endpoints {
                let name = endpoint.name.as_str();
                if !is_name(name) {
                    return Err(("endpoint name", name.to_owned()));
                }
                let id = EndpointId::new(&pool.name, name);
                if let Some((_, of, other)) = names.iter().find(|(known, ..)| *known == id) {
                    let is_same = (*of, *other) == (&pool.name, name);
                    let kind = if is_same { "two endpoints" } else { "one id" };
                    return Err((kind, name.to_owned()));
                }
                names.push((id, &pool.name, name));
                let was = self.endpoint(id).map(|(_, endpoint)| endpoint);
                endpoints.push(PlainEndpoint {
                    name: name.to_owned(),
                    target: endpoint.target,
                    weight: endpoint.weight.or(was.map(|was| was.weight)).unwrap_or(Weight::MAX),
                    health: endpoint.health.or(was.map(|was| was.health)).unwrap_or(initial),
                    state: endpoint.state.or(was.map(|was| was.state)).unwrap_or(State::Enabled),
                });
                next.marks.insert(id, self.marks.get(&id).copied().unwrap_or_default());
            }
            next.pools.push(PlainPool {
                name: pool.name.clone(),
                state: pool.state.or(known.map(|it| it.state)).unwrap_or(State::Enabled),
                weight: pool.weight.or(known.map(|it| it.weight)).unwrap_or(Weight::MAX),
                minimum: pool.minimum_origins.or(known.map(|it| it.minimum)).unwrap_or(1),
                shedding: pool.shedding.or(known.map(|it| it.shedding)).unwrap_or_default(),
                endpoints,
            });
        }
        let all = self.pools.iter().flat_map(|pool| {
            let of =
                |it: &PlainEndpoint| (EndpointId::new(&pool.name, &it.name), pool.name.clone());
            pool.endpoints.iter().map(of)
        });
        next.removed = self.removed.clone().into_iter().chain(all).collect();
        next.removed.retain(|id, _| !next.marks.contains_key(id));
        Ok(next)
    }

    fn change(&mut self, change: &Change) -> Result<(), NotInSnapshot> {
        let Change { pool, endpoint, to } = change;
        let id = EndpointId::new(pool, endpoint);
        let known = self.pools.iter_mut().find(|known| known.name == *pool);
        if let To::Health(_) | To::Weight(_) | To::State(_) = to {
            // By id: another pool may have an endpoint of this one.
            let all = self.pools.iter_mut().flat_map(|pool| {
                let name = pool.name.clone();
                pool.endpoints.iter_mut().map(move |it| (EndpointId::new(&name, &it.name), it))
            });
            let found = all.into_iter().find(|(known, _)| *known == id);
            let (_, endpoint) = found.ok_or(NotInSnapshot::Endpoint(id))?;
            match *to {
                To::Health(health) => endpoint.health = health,
                To::Weight(weight) => endpoint.weight = weight,
                To::State(state) => endpoint.state = state,
                _ => {}
            }
            return Ok(());
        }
        let known = known.ok_or_else(|| NotInSnapshot::Pool((*pool).into()))?;
        match *to {
            To::PoolState(state) => known.state = state,
            To::PoolWeight(weight) => known.weight = weight,
            To::Minimum(minimum) => known.minimum = minimum,
            To::Shedding(shedding) => known.shedding = shedding,
            _ => {}
        }
        Ok(())
    }

    fn endpoint(&self, id: EndpointId) -> Option<(&PlainPool, &PlainEndpoint)> {
        let all =
            self.pools.iter().flat_map(|pool| pool.endpoints.iter().map(move |it| (pool, it)));
        all.into_iter().find(|(pool, it)| EndpointId::new(&pool.name, &it.name) == id)
    }

    fn is_seen_in(&self, pools: &Pools<u64>) {
        assert_eq!(pools.iter().len(), self.pools.len());
        let fallback = self.fallback.map(|index| self.pools[index].name.as_str());
        assert_eq!(pools.fallback().map(|pool| pool.name()), fallback);
        for (seen, plain) in pools.iter().zip(&self.pools) {
            assert_eq!(seen.name(), plain.name);
            assert_eq!(
                (seen.state(), seen.weight(), seen.minimum_origins(), seen.shedding()),
                (plain.state, plain.weight, plain.minimum, plain.shedding)
            );
            assert_eq!(
                (seen.is_critical(), seen.is_open()),
                (plain.is_critical(), plain.is_open())
            );
            assert_eq!(pools.pool(&plain.name).map(|pool| pool.name()), Some(seen.name()));
            assert_eq!(seen.endpoints().count(), plain.endpoints.len());
            for (seen, it) in seen.endpoints().zip(&plain.endpoints) {
                let id = EndpointId::new(&plain.name, &it.name);
                assert_eq!((seen.id(), seen.name(), *seen.target()), (id, &*it.name, it.target));
                assert_eq!(
                    (seen.weight(), seen.health(), seen.state()),
                    (it.weight, it.health, it.state)
                );
                assert_eq!(pools.target(id), Some(&it.target));
                let by_id = pools.endpoint(id).unwrap();
                assert_eq!((by_id.name(), by_id.pool().name()), (&*it.name, &*plain.name));
            }
        }
        for id in self.removed.keys() {
            assert!(pools.endpoint(*id).is_none() && pools.target(*id).is_none());
        }
    }

    fn marks_are_seen_in(&self, pools: &Pools<u64>, now: UnixTime) {
        for endpoint in pools.iter().flat_map(|pool| pool.endpoints()) {
            let (mark, census) = (self.marks[&endpoint.id()], endpoint.census());
            assert_eq!((census.began, census.last_seen), (mark.began, mark.last_seen));
            assert_eq!(endpoint.is_suspect(now), mark.is_suspect, "{}", endpoint.name());
        }
    }
}

impl PlainPool {
    fn is_critical(&self) -> bool {
        let serving = self.endpoints.iter().filter(|endpoint| endpoint.is_serving()).count();
        serving < self.minimum as usize
    }

    fn is_open(&self) -> bool {
        let takes_new = |it: &PlainEndpoint| it.is_serving() && it.weight > Weight::ZERO;
        self.state.is_enabled() && !self.is_critical() && self.endpoints.iter().any(takes_new)
    }

    /// The pool with everything stated.
    fn stated(&self) -> Pool<u64> {
        let endpoint = |it: &PlainEndpoint| {
            Endpoint::new(&*it.name, it.target)
                .with_weight(it.weight)
                .with_health(it.health)
                .with_state(it.state)
        };
        Pool::new(&*self.name)
            .with_state(self.state)
            .with_weight(self.weight)
            .with_minimum_origins(self.minimum)
            .with_shedding(self.shedding)
            .with_endpoints(self.endpoints.iter().map(endpoint))
    }
}

impl PlainEndpoint {
    fn is_serving(&self) -> bool {
        self.health == Health::Healthy && self.state.is_enabled()
    }
}

/// The pool with nothing stated but the endpoints that are in it.
fn unstated(pool: &PlainPool) -> Pool<u64> {
    let endpoints = pool.endpoints.iter().map(|it| Endpoint::new(&*it.name, it.target));
    Pool::new(&*pool.name).with_endpoints(endpoints)
}

fn is_name(name: &str) -> bool {
    (1..=255).contains(&name.len()) && !name.chars().any(char::is_control)
}

fn refused(error: &InvalidPools) -> Refusal {
    match error {
        InvalidPools::PoolName(error) => ("pool name", error.name.clone()),
        InvalidPools::EndpointName { error, .. } => ("endpoint name", error.name.clone()),
        InvalidPools::DuplicatePool(name) => ("two pools", name.clone()),
        InvalidPools::DuplicateEndpoint { endpoint, .. } => ("two endpoints", endpoint.clone()),
        InvalidPools::SameEndpointId { endpoint, .. } => ("one id", endpoint.clone()),
        InvalidPools::UnknownFallback(name) => ("fallback", name.clone()),
        InvalidPools::UnknownPool(name) => ("pool of discovery", name.clone()),
        other => panic!("{other}"),
    }
}

/// One change in an edit.
struct Change {
    pool: &'static str,
    endpoint: &'static str,
    to: To,
}

enum To {
    Health(Health),
    Weight(Weight),
    State(State),
    PoolState(State),
    PoolWeight(Weight),
    Minimum(u32),
    Shedding(LoadShedding),
}

impl Change {
    fn made(&self, edit: &mut PoolsEdit<u64>) -> Result<(), NotInSnapshot> {
        let id = EndpointId::new(self.pool, self.endpoint);
        match self.to {
            To::Health(health) => edit.health(id, health),
            To::Weight(weight) => edit.weight(id, weight),
            To::State(state) => edit.state(id, state),
            To::PoolState(state) => edit.pool_state(self.pool, state),
            To::PoolWeight(weight) => edit.pool_weight(self.pool, weight),
            To::Minimum(minimum) => edit.pool_minimum_origins(self.pool, minimum),
            To::Shedding(shedding) => edit.pool_shedding(self.pool, shedding),
        }
    }
}

fn a_change(choices: &mut Choices<'_>) -> Change {
    // Most often of those that there are.
    let (pools, endpoints) = if choices.percent(20) { (7, 8) } else { (3, 4) };
    let (pool, endpoint) =
        (choices.one_of(&POOLS[..pools]), choices.one_of(&ENDPOINTS[..endpoints]));
    let to = match choices.below(7) {
        0 => To::Health(a_health(choices)),
        1 => To::Weight(a_weight(choices)),
        2 => To::State(a_state(choices)),
        3 => To::PoolState(a_state(choices)),
        4 => To::PoolWeight(a_weight(choices)),
        5 => To::Minimum(choices.one_of(&[1, 0, 2, 5, u32::MAX])),
        _ => To::Shedding(a_shedding(choices)),
    };
    Change { pool, endpoint, to }
}

fn a_pool(choices: &mut Choices<'_>) -> Pool<u64> {
    let most = if choices.percent(90) { 3 } else { POOLS.len() };
    let mut pool = Pool::new(choices.one_of(&POOLS[..most]));
    pool.endpoints = some_endpoints(choices);
    pool.state = choices.percent(15).then(|| a_state(choices));
    pool.weight = choices.percent(15).then(|| a_weight(choices));
    pool.minimum_origins = choices.percent(15).then(|| choices.one_of(&[0, 2, 4]));
    pool.shedding = choices.percent(10).then(|| a_shedding(choices));
    pool
}

fn some_endpoints(choices: &mut Choices<'_>) -> Vec<Endpoint<u64>> {
    let mut endpoints = (0..choices.below(5)).map(|_| an_endpoint(choices)).collect();
    keep_one_of_each(&mut endpoints, |endpoint| &endpoint.name, choices);
    endpoints
}

/// Makes most lists such as are not refused.
fn keep_one_of_each<V>(list: &mut Vec<V>, name: fn(&V) -> &String, choices: &mut Choices<'_>) {
    if !choices.percent(10) {
        let mut names = BTreeSet::new();
        list.retain(|it| names.insert(name(it).clone()));
    }
}

fn an_endpoint(choices: &mut Choices<'_>) -> Endpoint<u64> {
    let most = if choices.percent(96) { 4 } else { ENDPOINTS.len() };
    let mut endpoint = Endpoint::new(choices.one_of(&ENDPOINTS[..most]), choices.number(256));
    endpoint.weight = choices.percent(15).then(|| a_weight(choices));
    endpoint.health = choices.percent(15).then(|| a_health(choices));
    endpoint.state = choices.percent(15).then(|| a_state(choices));
    endpoint
}

fn a_health(choices: &mut Choices<'_>) -> Health {
    choices.one_of(&[Health::Healthy, Health::Unhealthy, Health::Unchecked])
}

fn a_weight(choices: &mut Choices<'_>) -> Weight {
    Weight::new(choices.one_of(&[0, 1, 50, 100])).unwrap()
}

fn a_state(choices: &mut Choices<'_>) -> State {
    let disabled = |at| State::Disabled { at };
    choices.one_of(&[
        State::Enabled,
        disabled(None),
        disabled(Some(NOW)),
        disabled(Some(UnixTime::MAX)),
    ])
}

fn a_shedding(choices: &mut Choices<'_>) -> LoadShedding {
    let percent = |choices: &mut Choices<'_>| Percent::new(choices.one_of(&[0, 50, 100])).unwrap();
    LoadShedding {
        default_percent: percent(choices),
        shed_by: choices.one_of(&[ShedBy::Random, ShedBy::Hash]),
        session_percent: percent(choices),
    }
}
