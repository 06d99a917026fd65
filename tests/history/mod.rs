//! Random histories: clients with cookie jars, header values and addresses, against health
//! flaps, drains, edits, other members, rotated keys, clocks that step, stores that lose or
//! do not answer, and connections that cannot be made. After every step the laws must hold.
//! Chance is a seed or a fuzzer's bytes.

#![allow(dead_code)] // Each test uses its part.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Debug;

use session_affinity::cookies::CookieName;
use session_affinity::failover::{FailoverScope, MoveWithin, OnLoss};
use session_affinity::limits::{CoolingOff, DrainDuration, Retries};
use session_affinity::outcome::Created;
use session_affinity::policy::Claim;
use session_affinity::store::{Lookup, SessionKey, WriteKind};
use session_affinity::token::{Pin, TokenCodec};
use session_affinity::{
    Affinity, AffinityPolicy, Attempt, EndpointId, FailoverMode, Health, Keyring, LoadBalancer,
    Outcome, Pools, Record, Settlement, StoreWrite, Visit,
};

use super::naive::{
    Ask, Crowd, NaivePool, Rules, Service, Session, Sources, Step, Walk, World, Write, drawn,
    shedding_hash, shedding_hash_of_key, write_of,
};
use super::support::{self, Chance, Client, Kind, NOW, at, key, token_of};

const LOAD_BALANCER: &str = "shop.example.com";
const MEMBERS: [(&str, &[&str]); 4] =
    [("a", &["1", "2", "3", "4"]), ("b", &["1", "2", "3"]), ("c", &["1", "2"]), ("f", &["1", "2"])];
/// The pool that is in no order: it serves as a fallback at times.
const APART: usize = 3;
const HEALTHS: [Health; 3] = [Health::Healthy, Health::Unhealthy, Health::Unchecked];

/// A cookie as the browser keeps it, and the pin that is in it.
#[derive(Clone, Debug)]
struct Jar {
    token: String,
    pin: Pin,
    key: u8,
}

#[derive(Clone, Debug, Default)]
struct User {
    client: Client,
    jar: Option<Jar>,
    /// The server that the other proxy's cookie names.
    old: Option<String>,
    /// The endpoint that it was pinned to when it was lent last.
    lent_from: Option<EndpointId>,
}

impl User {
    /// The client with the other proxy's cookie, if it has one.
    fn sends(&self, client: Client) -> Client {
        match &self.old {
            Some(server) => client.with_old_cookie(server),
            None => client,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Stored {
    endpoint: EndpointId,
    issued: u64,
    end: u64,
    readable: bool,
}

/// A store of header sessions that does no more than it must.
#[derive(Default)]
struct Store {
    records: HashMap<SessionKey, Stored>,
    writes: usize,
}

impl Store {
    fn load(&self, lookup: &Lookup) -> Record {
        match self.records.get(&lookup.key) {
            Some(stored) if lookup.now.as_secs() >= stored.end => Record::Absent,
            Some(stored) if !stored.readable => Record::Unreadable,
            Some(stored) => Record::Found { endpoint: stored.endpoint, issued: at(stored.issued) },
            None => Record::Absent,
        }
    }

    fn save(&mut self, write: StoreWrite) {
        self.writes += 1;
        let StoreWrite { key, ttl, now, kind } = write;
        let (issued, end) = (now.as_secs(), now.as_secs() + ttl.get());
        let live = self.records.get_mut(&key).filter(|stored| issued < stored.end);
        match (kind, live) {
            (WriteKind::Touch, Some(stored)) => stored.end = end,
            (WriteKind::Touch, None) | (WriteKind::Create(_), Some(_)) => {}
            (WriteKind::Remove, _) => drop(self.records.remove(&key)),
            (WriteKind::Create(endpoint), None) | (WriteKind::Replace(endpoint), _) => {
                self.records.insert(key, Stored { endpoint, issued, end, readable: true });
            }
        }
    }
}

type Node = (Affinity<Box<dyn AffinityPolicy>>, Pools<EndpointId>);

/// One history: the model's world and two nodes that ought to agree with it.
pub(crate) struct History<C> {
    name: String,
    step: usize,
    kind: Kind,
    random: C,
    world: World,
    nodes: [Node; 2],
    /// The first key signs.
    keys: Vec<u8>,
    next_key: u8,
    now: u64,
    latest: u64,
    users: Vec<User>,
    store: Store,
    dead: HashSet<EndpointId>,
    crowd: Crowd,
    pub(crate) counts: BTreeMap<&'static str, usize>,
    /// The combinations of rules under which requests were routed.
    pub(crate) met: HashSet<Met>,
    pub(crate) requests: usize,
    settled: usize,
}

/// A combination of rules that are drawn each by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Met {
    pub(crate) on_loss: OnLoss,
    pub(crate) is_steered: bool,
    pub(crate) move_within: Option<MoveWithin>,
    /// The first pool has a rule of room.
    pub(crate) has_room_rule: bool,
}

impl<C: Chance> History<C> {
    pub(crate) fn new(
        name: String,
        mut random: C,
        kind: Kind,
        mode: FailoverMode,
        clients: usize,
    ) -> Self {
        let mut world = World::new(
            MEMBERS.iter().map(|(name, endpoints)| NaivePool::new(name, endpoints)).collect(),
        );
        world.rules.mode = mode;
        world.pools[APART].in_order = false;
        let crowd = Crowd::default();
        world.pools.iter_mut().for_each(|pool| pool.crowd = Some(crowd.clone()));
        let user = |number| {
            let mut client = Client::number(number as u16);
            if random.percent(10) {
                client.ip = None;
            }
            if random.percent(85) {
                client = client.with_user(&format!("user {number}"));
            }
            User { client, ..User::default() }
        };
        let users = (0..clients).map(user).collect();
        let node = || {
            let affinity = Affinity::new(kind.policy(&Keyring::from(key(1))));
            (affinity, world.describe(Pools::builder()))
        };
        let nodes = [node(), node()];
        let mut history = Self {
            name,
            step: 0,
            kind,
            random,
            world,
            nodes,
            keys: vec![1],
            next_key: 2,
            now: NOW.as_secs(),
            latest: NOW.as_secs(),
            users,
            store: Store::default(),
            dead: HashSet::new(),
            crowd,
            counts: BTreeMap::new(),
            met: HashSet::new(),
            requests: 0,
            settled: 0,
        };
        history.configure();
        history
    }

    #[track_caller]
    fn law(&self, law: &str, holds: bool, found: &dyn Debug) {
        let Self { name, step, kind, world, now, .. } = self;
        let (rules, fallback) = (world.rules, world.fallback);
        let pools = || world.pools.iter().map(|pool| format!("{pool:?}\n")).collect::<String>();
        assert!(
            holds,
            "{law}\nfound {found:?}\n{name}, step {step}, {kind:?}, {rules:?}, now {now}, fallback {fallback:?}\n{}",
            pools()
        );
    }

    // ---- events

    /// Both nodes are told of other rules or keys; their pools are as they were.
    fn configure(&mut self) {
        let Rules { mode, retries, across_pools, drain_duration, cooling_off, on_loss } =
            self.world.rules;
        let keyring = Keyring::new(self.keys.iter().map(|id| key(*id))).unwrap();
        for (affinity, _) in &mut self.nodes {
            let next = Affinity::new(self.kind.policy(&keyring))
                .with_failover_mode(mode)
                .unwrap()
                .with_retries(Retries::new(retries as u64).unwrap())
                .with_failover_scope(if across_pools {
                    FailoverScope::AllPools
                } else {
                    FailoverScope::OwnPool
                })
                .with_drain_duration(DrainDuration::new(drain_duration).unwrap())
                .with_cooling_off(CoolingOff::new(cooling_off).unwrap())
                .with_on_loss(on_loss);
            *affinity = match self.world.move_within {
                Some(move_within) => next.with_move_within(move_within),
                None => next,
            };
        }
    }

    fn publish(&mut self) {
        for (_, pools) in &mut self.nodes {
            *pools = self.world.edit(pools);
        }
    }

    fn event(&mut self) {
        match self.random.below(18) {
            0..=5 => self.change_endpoint(),
            6 | 7 => self.change_pool(),
            8 => self.change_members(),
            9 => self.rotate_keys(),
            10 => self.change_rules(),
            11 | 12 => self.step_clock(),
            13 => self.harm_store(),
            14 => self.kill_or_revive(),
            15 | 16 => self.crowd_or_empty(),
            _ => self.repair(),
        }
    }

    fn change_endpoint(&mut self) {
        let (now, pool) = (self.now, self.random.below(self.world.pools.len()));
        let endpoints = self.world.pools[pool].endpoints.len();
        if endpoints == 0 {
            return;
        }
        let endpoint = self.random.below(endpoints);
        let kind = self.random.below(8);
        let e = &mut self.world.pools[pool].endpoints[endpoint];
        match kind {
            0 | 1 => e.health = self.random.one_of(&HEALTHS),
            2 => e.health = Health::Healthy,
            3 => e.service = Service::Disabled(Some(now)),
            4 if self.random.percent(30) => e.service = Service::Disabled(None),
            4..=6 => e.service = Service::Enabled,
            _ => e.weight = self.random.one_of(&[0, 1, 30, 100, 100]),
        }
        self.publish();
    }

    fn change_pool(&mut self) {
        let pool = self.random.below(self.world.pools.len());
        let pool = &mut self.world.pools[pool];
        match self.random.below(9) {
            0 => pool.service = Service::Disabled(Some(self.now)),
            1 if self.random.percent(30) => pool.service = Service::Disabled(None),
            1 | 2 => pool.service = Service::Enabled,
            3 => pool.minimum_origins = self.random.one_of(&[0, 1, 1, 2, 3]),
            4 => pool.default_percent = self.random.one_of(&[30, 60, 100]),
            5 => pool.session_percent = self.random.one_of(&[30, 60, 100]),
            6 => (pool.default_percent, pool.session_percent) = (0, 0),
            7 => pool.weight = self.random.one_of(&[0, 5, 50, 100]),
            _ => pool.default_by_hash = !pool.default_by_hash,
        }
        self.publish();
    }

    /// Endpoints leave and come (again), another pool is the fallback, and the order of the pools is
    /// another one.
    fn change_members(&mut self) {
        let known = |world: &World| -> Vec<(EndpointId, usize)> {
            let pools = world.pools.iter().enumerate();
            let all = pools.flat_map(|(pool, it)| it.endpoints.iter().map(move |e| (e.id, pool)));
            all.filter(|(id, _)| world.find(*id).is_some()).collect()
        };
        let before = known(&self.world);
        self.world.is_steered = self.random.percent(50);
        self.world.fallback =
            self.random.one_of(&[None, Some(0), Some(1), Some(2), Some(APART), Some(APART)]);
        for (pool, (name, endpoints)) in self.world.pools.iter_mut().zip(MEMBERS) {
            let has_room_rule = self.random.percent(70);
            pool.crowd = has_room_rule.then(|| self.crowd.clone());
            let all = NaivePool::new(name, endpoints).endpoints;
            for member in all {
                let place = pool.endpoints.iter().position(|e| e.id == member.id);
                match place {
                    Some(place) if self.random.percent(15) => drop(pool.endpoints.remove(place)),
                    None if self.random.percent(60) => pool.endpoints.push(member),
                    _ => {}
                }
            }
        }
        if self.world.fallback != Some(APART) {
            // An endpoint that leaves the snapshot leaves its marks.
            for e in &mut self.world.pools[APART].endpoints {
                (e.suspect_until, e.failures) = (0, 0);
            }
        }
        let now = known(&self.world);
        self.world.removed.extend(before);
        self.world.removed.retain(|(id, _)| now.iter().all(|(known, _)| known != id));
        for (_, pools) in &mut self.nodes {
            *pools = self.world.rebuild(pools);
        }
    }

    /// The three steps of a rotation: add, promote, retire.
    fn rotate_keys(&mut self) {
        match self.random.below(3) {
            0 if self.keys.len() < 4 => {
                self.keys.push(self.next_key);
                self.next_key = self.next_key % 250 + 1;
            }
            1 => self.keys.rotate_left(1),
            _ if self.keys.len() > 1 => drop(self.keys.pop()),
            _ => {}
        }
        self.configure();
    }

    fn change_rules(&mut self) {
        let rules = &mut self.world.rules;
        rules.retries = self.random.one_of(&[1, 1, 2, 3, 8]);
        rules.across_pools = self.random.percent(50);
        rules.drain_duration = self.random.one_of(&[0, 600, 600, 5_000]);
        rules.cooling_off = self.random.one_of(&[0, 10, 60]);
        rules.on_loss = self.random.one_of(&[OnLoss::Move, OnLoss::Lend, OnLoss::Refuse]);
        let within = [None, Some(MoveWithin::Order), Some(MoveWithin::OwnPool)];
        self.world.move_within = self.random.one_of(&within);
        self.configure();
    }

    /// Forward by seconds or hours, back by at most 15 minutes from the latest time seen.
    fn step_clock(&mut self) {
        self.now = match self.random.below(10) {
            0..=5 => self.now + self.random.number(300),
            6 | 7 => self.now + self.random.number(3_000),
            8 if self.random.percent(60) => self.now + self.random.number(60_000),
            _ => (self.now - self.random.number(900)).max(self.latest - 900),
        };
        self.latest = self.latest.max(self.now);
    }

    fn harm_store(&mut self) {
        let mut keys: Vec<SessionKey> = self.store.records.keys().copied().collect();
        keys.sort();
        if keys.is_empty() {
            return;
        }
        let key = self.random.one_of(&keys);
        match self.random.below(6) {
            0 => self.store.records.clear(),
            1 | 2 => drop(self.store.records.remove(&key)),
            _ => {
                if let Some(stored) = self.store.records.get_mut(&key) {
                    stored.readable = false;
                }
            }
        }
    }

    /// Most of what is broken is repaired in time.
    fn repair(&mut self) {
        self.dead.clear();
        self.crowd.set(&[]);
        let pool = self.random.below(self.world.pools.len());
        for pool in &mut self.world.pools[pool..] {
            (pool.service, pool.minimum_origins) = (Service::Enabled, 1);
            (pool.default_percent, pool.session_percent) = (0, 0);
            for e in &mut pool.endpoints {
                e.health = Health::Healthy;
                e.service = Service::Enabled;
            }
        }
        self.publish();
    }

    fn kill_or_revive(&mut self) {
        let (pool, endpoints) = MEMBERS[self.random.below(MEMBERS.len())];
        let id = EndpointId::new(pool, self.random.one_of(endpoints));
        if !self.dead.remove(&id) && self.random.percent(60) {
            self.dead.insert(id);
        }
    }

    /// Endpoints become full, or have room again.
    fn crowd_or_empty(&mut self) {
        for _ in 0..3 {
            let (pool, endpoints) = MEMBERS[self.random.below(MEMBERS.len())];
            self.crowd.flip(EndpointId::new(pool, self.random.one_of(endpoints)));
        }
    }

    // ---- requests

    /// The request that a client sends this time, and the session that it states.
    fn ask(&mut self, user: &User) -> (Client, Session) {
        let (client, now) = (user.client.clone(), self.now);
        match self.kind {
            Kind::NoAffinity => (client, Session::Unbound),
            Kind::Header => (client, Session::Unbound), // Until the store has said more.
            _ => {
                let old = user.old.as_ref().map(|server| {
                    let (pool, name) = server.split_once('.').unwrap();
                    Session::Foreign(EndpointId::new(pool, name))
                });
                let missing = old.unwrap_or(Session::New(self.kind.missing()));
                let Some(jar) = &user.jar else { return (user.sends(client), missing) };
                let (token, broken) = match self.random.below(100) {
                    0 => (jar.token[..47].into(), Some(Created::Malformed)),
                    1 => (format!("Ag{}", &jar.token[2..]), Some(Created::UnknownVersion)),
                    2 => (another_load_balancers(jar), Some(Created::Forged)),
                    _ => (jar.token.clone(), None),
                };
                let Jar { pin, key, .. } = jar;
                let session = match broken {
                    Some(reason @ (Created::Malformed | Created::UnknownVersion)) => {
                        Session::New(reason)
                    }
                    _ if !self.keys.contains(key) => Session::New(Created::UnknownKey),
                    Some(reason) => Session::New(reason),
                    None if pin.issued.as_secs() > now + 300 => Session::New(Created::Premature),
                    None if pin.expires.as_secs() <= now => Session::New(Created::Expired),
                    None => Session::Live(pin.endpoint),
                };
                (user.sends(self.kind.with_token(client, &token)), session)
            }
        }
    }

    /// The client begins anew at the other proxy, perhaps with our cookie still there.
    fn comes_from_elsewhere(&mut self, number: usize) {
        let (pool, endpoints) = MEMBERS[self.random.below(MEMBERS.len())];
        let server = format!("{pool}.{}", self.random.one_of(endpoints));
        let keeps_ours = self.random.percent(30);
        let user = &mut self.users[number];
        user.old = Some(server);
        if !keeps_ours {
            user.jar = None;
        }
        if user.jar.is_none() {
            // What was lent was a session of the old cookie that this one replaces.
            user.lent_from = None;
        }
    }

    fn request(&mut self) {
        self.requests += 1;
        self.now += self.random.number(6);
        self.latest = self.latest.max(self.now);
        let number = self.random.below(self.users.len());
        if self.kind == Kind::Migrating && self.random.percent(4) {
            self.comes_from_elsewhere(number);
        }
        let user = self.users[number].clone();
        let (client, mut session) = self.ask(&user);
        let now = at(self.now);

        let [one, two] = [0, 1].map(|node| self.nodes[node].0.recall(&client.request(), now));
        self.law(
            "two nodes say the same of a session",
            one.claim() == two.claim(),
            &(one.claim(), two.claim()),
        );
        let claim = one.claim();
        let lookup = one.lookup();
        let mut record = Record::Absent;
        if let Some(lookup) = lookup {
            record =
                if self.random.percent(4) { Record::Unreachable } else { self.store.load(&lookup) };
            session = match record {
                Record::Found { endpoint, .. } => Session::Live(endpoint),
                Record::Absent => Session::New(Created::NoRecord),
                Record::Unreadable => Session::New(Created::Unreadable),
                Record::Unreachable => Session::New(Created::StoreUnreachable),
            };
        }
        if let (Some(pinned), Some(pin)) = (user.lent_from, session.pinned()) {
            self.law("a lent session comes back", pinned == pin, &(pinned, pin));
        }
        let ask = Ask {
            now: self.now,
            session,
            hash: client.ip.map(|ip| shedding_hash(LOAD_BALANCER, ip)),
            key_hash: lookup.map(|lookup| shedding_hash_of_key(LOAD_BALANCER, lookup.key)),
        };
        self.met.insert(Met {
            on_loss: self.world.rules.on_loss,
            is_steered: self.world.is_steered,
            move_within: self.world.move_within,
            has_room_rule: self.world.pools[0].crowd.is_some(),
        });
        let sources = Sources {
            key: lookup.map(|lookup| lookup.key),
            pin: match claim {
                Claim::Carried(pin) => Some(pin),
                Claim::Foreign(_) | Claim::New(_) | Claim::Stored(_) | Claim::Unbound => None,
            },
            foreign: match claim {
                Claim::Foreign(endpoint) => Some((endpoint, self.now)),
                _ => None,
            },
            by_address: self.kind == Kind::IpCookie,
            ip: client.ip,
            drawn: None,
        };
        let taken = self.route([one, two], sources, record, ask);
        let Some((attempts, walk)) = taken else { return };
        self.carry_on(number, attempts, walk, ask, record, lookup.map(|lookup| lookup.key));
    }

    /// The first choice, on both nodes.
    fn route(
        &mut self,
        visits: [Visit; 2],
        sources: Sources,
        record: Record,
        ask: Ask,
    ) -> Option<([Attempt; 2], Walk)> {
        let number = self.random.next();
        // The number that a node draws must not matter to a live session, nor to a new one whose
        // first choice is made by the address or the session key while no pool sheds by chance.
        let by_chance = self.world.pools.iter().any(|pool| {
            !matches!(pool.default_percent, 0 | 100)
                && (!pool.default_by_hash || ask.hash.is_none())
        });
        let stable = match (ask.session, self.kind) {
            (Session::Live(_) | Session::Foreign(_), _) => true,
            (Session::New(_), Kind::IpCookie) => ask.hash.is_some() && !by_chance,
            (Session::New(_), Kind::Header) => !by_chance,
            _ => false,
        };
        let [one, two] = visits;
        let draws = Cell::new(0);
        let entropy = |number| {
            draws.set(draws.get() + 1);
            number
        };
        let first = self.nodes[0].0.route(one, record, &self.nodes[0].1, || entropy(number));
        let other = if stable { !number } else { number };
        let second = self.nodes[1].0.route(two, record, &self.nodes[1].1, || entropy(other));
        let sources = Sources { drawn: (draws.get() > 0).then_some(number), ..sources };
        self.world.drawn = self.world.is_steered.then(|| drawn(sources.seed(), &self.world));
        let permitted = self.world.route(&ask);
        let ((first, target), (second, _), permitted) = match (first, second, permitted) {
            (Ok(first), Ok(second), Ok(permitted)) => (first, second, permitted),
            (first, second, permitted) => {
                let found = [first.err(), second.err()].map(|error| error.map(|it| it.outcome()));
                let agree = permitted.is_err() && found == [permitted.clone().err(); 2];
                self.law(
                    "no endpoint only when none is permitted, and for the reason of the tables",
                    agree,
                    &(ask, sources, found, &permitted),
                );
                if let Some(outcome) = found[0] {
                    self.count(outcome);
                }
                return None;
            }
        };
        let step = Step { endpoint: first.endpoint(), outcome: first.outcome() };
        self.law("a target is its endpoint's", *target == step.endpoint, &(step, target));
        let agrees = second.endpoint() == step.endpoint && second.outcome() == step.outcome;
        self.law("two nodes agree", agrees, &(ask, &first, &second));
        self.law("the session table", permitted.contains(&step), &(ask, step, &permitted));
        if let Some(pin) = ask.session.pinned() {
            self.law("a kept request draws no entropy", draws.get() == 0, &ask);
            let good = self.world.find(pin).is_some_and(|(pool, e)| {
                let shed = self.world.sheds_session(pool, &ask);
                self.world.takes_pinned(pool, &e, ask.now)
                    && !self.world.is_suspect(&e, ask.now)
                    && !self.world.is_full(pool, &e)
                    && !shed
            });
            let kept = step == Step { endpoint: pin, outcome: ask.session.at_home() };
            self.law("a live session of a good endpoint never moves", !good || kept, &(ask, step));
        }
        Some(([first, second], Walk::begin(ask, step)))
    }

    fn may_take(&self, step: Step, now: u64) -> bool {
        let Some((pool, e)) = self.world.find(step.endpoint) else { return false };
        let enabled =
            e.service == Service::Enabled && self.world.pools[pool].service == Service::Enabled;
        let own = &self.world.pools[pool];
        let last_resort = self.world.fallback == Some(pool)
            && enabled
            && !own.endpoints.iter().any(|e| own.takes_new(e));
        match step.outcome {
            Outcome::Kept | Outcome::Migrated => {
                self.world.takes_pinned(pool, &e, now) || last_resort
            }
            _ => e.weight > 0 && enabled && (e.is_healthy() || last_resort),
        }
    }

    /// Connections fail or do not, and then an endpoint answers or the request is given up.
    fn carry_on(
        &mut self,
        number: usize,
        attempts: [Attempt; 2],
        mut walk: Walk,
        ask: Ask,
        record: Record,
        key: Option<SessionKey>,
    ) {
        let mut tried = HashSet::new();
        let [mut first, mut second] = attempts;
        let began = walk.step.outcome;
        loop {
            let step = walk.step;
            let may = self.may_take(step, ask.now);
            self.law("no request is routed to an endpoint that may not take it", may, &(ask, step));
            self.law(
                "what was tried is not tried again",
                tried.insert(step.endpoint),
                &(ask, step),
            );
            if self.random.percent(2) {
                let [one, two] = [first, second].map(|attempt| attempt.give_up().outcome());
                self.law(
                    "an endpoint that broke off is given up",
                    one == Outcome::GaveUp && two == one,
                    &step,
                );
                return self.given_up(number, ask, record);
            }
            if !self.dead.contains(&step.endpoint) && !self.random.percent(8) {
                return self.settle(number, [first, second], (began, step), ask, record, key);
            }
            if self.random.percent(10) {
                // Health checks do not wait for requests.
                let pool = self.random.below(MEMBERS.len());
                if let Some(e) = self.world.pools[pool].endpoints.first_mut() {
                    e.health = self.random.one_of(&HEALTHS);
                    self.publish();
                }
            }
            let permitted = walk.fail(&mut self.world);
            let next_one = self.nodes[0].0.failover(first, &self.nodes[0].1);
            let next_two = self.nodes[1].0.failover(second, &self.nodes[1].1);
            let target;
            ((first, target), (second, _)) = match (next_one, next_two) {
                (Ok(one), Ok(two)) => (one, two),
                (one, two) => {
                    let none = one.is_err() && two.is_err() && permitted.is_empty();
                    self.law(
                        "giving up only when no endpoint is permitted",
                        none,
                        &(ask, step, permitted),
                    );
                    return self.given_up(number, ask, record);
                }
            };
            let next = Step { endpoint: first.endpoint(), outcome: first.outcome() };
            self.law("a target is its endpoint's", *target == next.endpoint, &(next, target));
            let agrees = second.endpoint() == next.endpoint && second.outcome() == next.outcome;
            self.law("two nodes agree on the endpoint to try next", agrees, &(ask, next, &second));
            self.law(
                "the failover table",
                permitted.contains(&next),
                &(ask, step, next, permitted),
            );
            walk.go_on(next);
        }
    }

    /// manual::concepts, One request: "A request that is dropped half way, or fails, has promised
    /// nothing." The same request says the same again.
    fn given_up(&mut self, number: usize, ask: Ask, record: Record) {
        self.count(Outcome::GaveUp);
        let mut client = self.users[number].client.clone();
        if let Some(jar) = &self.users[number].jar {
            client = self.kind.with_token(client, &jar.token);
        }
        client = self.users[number].sends(client);
        let visit = self.nodes[0].0.recall(&client.request(), at(ask.now));
        let same = match (visit.lookup(), visit.claim()) {
            (Some(lookup), _) => {
                record == Record::Unreachable || self.store.load(&lookup) == record
            }
            (None, Claim::Carried(pin)) => {
                self.users[number].jar.as_ref().is_some_and(|jar| jar.pin == pin)
            }
            (None, Claim::Foreign(pin)) => ask.session == Session::Foreign(pin),
            (None, _) => ask.session.pinned().is_none(),
        };
        self.law("giving up writes nothing", same, &(ask, record));
    }

    fn settle(
        &mut self,
        number: usize,
        attempts: [Attempt; 2],
        (began, Step { endpoint, outcome }): (Outcome, Step),
        ask: Ask,
        record: Record,
        key: Option<SessionKey>,
    ) {
        self.count(outcome);
        self.settled += 1;
        let [first, second] = attempts;
        let one: Settlement = self.nodes[0].0.settle(first, &self.nodes[0].1);
        let two: Settlement = self.nodes[1].0.settle(second, &self.nodes[1].1);
        self.law("two nodes write the same", one == two, &(&one, &two));
        self.world.answered(endpoint);
        let mut expected = write_of(outcome, self.kind.has_token(), record);
        if outcome == Outcome::Kept && self.kind == Kind::Sliding && self.is_due(number) {
            expected = Write::SetCookie;
        }
        let written = match (&one.response, one.store_write.map(|write| write.kind)) {
            (None, None) => Write::Nothing,
            (Some(_), None) => Write::SetCookie,
            (None, Some(WriteKind::Touch)) => Write::Touch,
            (None, Some(WriteKind::Create(_))) => Write::Create,
            (None, Some(WriteKind::Replace(_))) => Write::Replace,
            (None, Some(WriteKind::Remove)) => panic!("no session is taken back"),
            (Some(_), Some(_)) => panic!("a session lives in one place"),
        };
        self.law("what is written", written == expected, &(outcome, record, &one));
        if self.world.rules.mode == FailoverMode::Temporary
            && matches!(began, Outcome::Kept | Outcome::Lent(_))
        {
            let stays = match outcome {
                Outcome::Kept => ask.session == Session::Live(endpoint),
                Outcome::Migrated => ask.session == Session::Foreign(endpoint),
                Outcome::Lent(_) => matches!(written, Write::Nothing | Write::Touch),
                _ => false,
            };
            self.law("temporary never changes a pin", stays, &(ask, began, outcome));
        }

        let is_foreign = matches!(ask.session, Session::Foreign(_));
        self.law(
            "the other cookie is taken back when ours takes its place",
            one.removals().len() == usize::from(is_foreign && written == Write::SetCookie),
            &(outcome, &one),
        );
        let user = &mut self.users[number];
        if !one.removals().is_empty() {
            user.old = None;
        }
        user.lent_from = match (outcome, ask.session.pinned()) {
            (Outcome::Lent(_), Some(pin)) => Some(pin),
            _ => None,
        };
        if let Some(token) = token_of(&one) {
            let keyring = Keyring::from(support::key(self.keys[0]));
            let pin = self
                .kind
                .codec(&keyring)
                .open(token.as_bytes(), at(ask.now))
                .expect("sealed by the signing key");
            user.jar = Some(Jar { token, pin, key: self.keys[0] });
            let expires = at(ask.now + 82_800);
            self.law("a pin is new", pin == Pin { endpoint, issued: at(ask.now), expires }, &pin);
        }
        if let Some(write) = one.store_write {
            let names_endpoint = match write.kind {
                WriteKind::Touch => true,
                WriteKind::Remove => false,
                WriteKind::Create(to) | WriteKind::Replace(to) => to == endpoint,
            };
            let of_this_session = Some(write.key) == key && names_endpoint;
            self.law(
                "a write is about this session and the endpoint that answered",
                of_this_session,
                &write,
            );
            // A store that did not answer does not always take the write either.
            if record != Record::Unreachable || self.random.percent(50) {
                self.store.save(write);
            } else {
                self.users[number].lent_from = None;
            }
        }
    }

    /// Half of the session's life is over.
    fn is_due(&self, number: usize) -> bool {
        let jar = self.users[number].jar.as_ref();
        jar.is_some_and(|jar| self.now.saturating_sub(jar.pin.issued.as_secs()) >= 82_800 / 2)
    }

    fn count(&mut self, outcome: Outcome) {
        *self.counts.entry(outcome.label()).or_default() += 1;
    }

    /// As many steps, unless there is nothing left to decide them.
    pub(crate) fn run(mut self, steps: usize) -> Self {
        for step in 0..steps {
            if self.random.is_used_up() {
                break;
            }
            self.step = step;
            if self.random.percent(20) {
                self.event();
            } else {
                self.request();
            }
        }
        let writes = if self.kind == Kind::Header { self.store.writes } else { 0 };
        self.law("a write happens only from settle", writes <= self.settled, &writes);
        self
    }
}

/// The same pin under the same key, for another load balancer.
fn another_load_balancers(jar: &Jar) -> String {
    let other = LoadBalancer::new("other.example.com").unwrap();
    let codec = TokenCodec::new(&other, CookieName::default(), &Keyring::from(key(jar.key)));
    codec.seal(&jar.pin).as_str().into()
}
