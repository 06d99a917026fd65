//! A small world with the parts of the crate that do not change, and the tables' view of it.

use std::cell::RefCell;
use std::collections::HashMap;

use session_affinity::failover::FailoverScope;
use session_affinity::limits::{ClockSkew, CoolingOff, DrainDuration, Retries};
use session_affinity::policy::Life;
use session_affinity::token::TokenCodec;
use session_affinity::{
    Affinity, AffinityPolicy, EndpointId, IpCookiePolicy, Keyring, NoAffinity, Pools, Record,
};

use super::node::Status;
use super::rules::{Rules, Theme};
use super::state::{ENDPOINTS, Place, Secs, State, UNIT, absolute, id};
use crate::naive::{Crowd, NaivePool, World};
use crate::support::{self, Client, Kind, NOW, key, ttl};

/// The keys of a node after so many steps of a rotation; the first one signs.
pub(crate) const RINGS: [&[u8]; 4] = [&[1], &[1, 2], &[2, 1], &[2]];
pub(crate) const SKEW: Secs = UNIT;

/// A world with the parts of the crate that do not change.
pub(crate) struct Site {
    pub(crate) rules: Rules,
    /// By the steps of the key rotation.
    pub(crate) affinities: Vec<Affinity<Box<dyn AffinityPolicy>>>,
    /// By the key.
    codecs: [TokenCodec; 2],
    pub(crate) crowd: Crowd,
    clients: [Client; 2],
    /// Random bits that choose different endpoints.
    pub(crate) bits: [u64; 2],
    pub(crate) built: RefCell<HashMap<[Status; 4], Pools<EndpointId>>>,
}

impl Site {
    pub(crate) fn new(rules: Rules) -> Self {
        let ring = |keys: &[u8]| Keyring::new(keys.iter().map(|id| key(*id))).unwrap();
        let mut site = Self {
            rules,
            affinities: RINGS.iter().map(|keys| affinity(rules, &ring(keys))).collect(),
            codecs: [1, 2]
                .map(|id| rules.kind.codec(&ring(&[id])).with_ttl(ttl(rules.ttl() as u64))),
            crowd: Crowd::default(),
            clients: [Client::number(1), Client::number(2)],
            bits: [0; 2],
            built: RefCell::default(),
        };
        let candidates = || (0..200_u16).map(|n| Client::number(n).with_user(&format!("u{n}")));
        for endpoint in 0..2 {
            let chosen = |client: &Client, bits| site.first_choice(client, bits) == id(endpoint);
            let bits = (0..200).find(|bits| chosen(&Client::number(1), *bits));
            let client = candidates().find(|client| chosen(client, bits.unwrap_or(0)));
            (site.bits[endpoint], site.clients[endpoint]) =
                (bits.unwrap_or(endpoint as u64), client.expect("some client begins there"));
        }
        site
    }

    fn first_choice(&self, client: &Client, bits: u64) -> EndpointId {
        let visit = self.affinities[0].recall(&client.request(), NOW);
        let _ = visit.lookup();
        let pools = self.pools(&State::first().nodes[0]);
        let (attempt, _) =
            self.affinities[0].route(visit, Record::Absent, &pools, || bits).unwrap();
        attempt.endpoint()
    }

    pub(crate) fn codec(&self, key: u8) -> &TokenCodec {
        &self.codecs[usize::from(key) - 1]
    }

    pub(crate) fn client(&self, client: usize) -> Client {
        self.clients[client].clone()
    }

    /// The store that a node uses.
    pub(crate) fn store_of(&self, node: usize) -> usize {
        if self.rules.is_shared { 0 } else { node }
    }

    pub(crate) fn life(&self) -> Life {
        let ttl = ttl(self.rules.ttl() as u64);
        match self.rules.kind {
            Kind::Header => Life::Idle(ttl),
            Kind::NoAffinity => Life::Sessionless,
            _ => Life::Absolute(ttl),
        }
    }

    /// One endpoint alone makes a pool critical in the worlds with a fallback pool.
    pub(crate) fn minimum_origins(&self) -> u32 {
        if self.rules.theme == Theme::Fallback { 2 } else { 1 }
    }

    pub(crate) fn fallback(&self) -> Option<usize> {
        (self.rules.theme == Theme::Fallback).then_some(0)
    }

    pub(crate) fn has_room_rule(&self) -> bool {
        matches!(self.rules.theme, Theme::Room | Theme::All)
    }

    pub(crate) fn set_crowd(&self, state: &State) {
        let full: Vec<_> = (0..4).filter(|endpoint| state.full[*endpoint]).map(id).collect();
        self.crowd.set(&full);
    }

    /// The tables' view of what a node knows.
    pub(crate) fn naive(&self, state: &State, node: usize) -> World {
        let node = &state.nodes[node];
        let mut world = World::new(vec![NaivePool::new("a", &[]), NaivePool::new("b", &[])]);
        world.rules.mode = self.rules.mode;
        world.rules.on_loss = self.rules.on_loss;
        world.rules.retries = 2;
        world.rules.across_pools = self.rules.scope() == FailoverScope::AllPools;
        world.rules.drain_duration = self.rules.drain() as u64;
        world.rules.cooling_off = self.rules.cooling_off() as u64;
        world.fallback = self.fallback();
        world.move_within = Some(self.rules.move_within());
        for pool in &mut world.pools {
            pool.minimum_origins = self.minimum_origins();
            pool.crowd = self.has_room_rule().then(|| self.crowd.clone());
        }
        for (number, member) in node.members.iter().enumerate() {
            let (pool, name) = ENDPOINTS[number];
            let pool = usize::from(pool == "b");
            match member.place {
                Place::Unknown => continue,
                Place::Removed => world.removed.push((id(number), pool)),
                Place::Present => {
                    let pool = &mut world.pools[pool];
                    let mut e = NaivePool::new(pool.name, &[name]).endpoints.remove(0);
                    (e.weight, e.health, e.service) =
                        (member.weight, member.health, member.service());
                    e.suspect_until = absolute(member.mark.suspect_until);
                    e.failures = member.mark.failures;
                    pool.endpoints.push(e);
                }
            }
        }
        world
    }
}

fn affinity(rules: Rules, keyring: &Keyring) -> Affinity<Box<dyn AffinityPolicy>> {
    let (life, skew) = (ttl(rules.ttl() as u64), ClockSkew::new(SKEW as u64).unwrap());
    let cookie = || support::cookie(keyring).with_ttl(life).with_clock_skew(skew);
    let policy: Box<dyn AffinityPolicy> = match rules.kind {
        Kind::Cookie => Box::new(cookie()),
        Kind::IpCookie => Box::new(IpCookiePolicy::new(cookie())),
        Kind::IssuedHeader => {
            Box::new(support::in_header(keyring).with_ttl(life).with_clock_skew(skew))
        }
        Kind::Header => Box::new(support::header().with_ttl(life)),
        Kind::NoAffinity => Box::new(NoAffinity::new(&support::shop())),
        Kind::Sliding | Kind::Migrating => panic!("no world has sessions that are renewed"),
    };
    Affinity::new(policy)
        .with_failover_mode(rules.mode)
        .unwrap()
        .with_on_loss(rules.on_loss)
        .with_retries(Retries::new(2).unwrap())
        .with_failover_scope(rules.scope())
        .with_move_within(rules.move_within())
        .with_drain_duration(DrainDuration::new(rules.drain() as u64).unwrap())
        .with_cooling_off(CoolingOff::new(rules.cooling_off() as u64).unwrap())
}
