//! The requests of one world, each through every step.

use session_affinity::outcome::Created;
use session_affinity::store::WriteKind;
use session_affinity::token::Pin;
use session_affinity::{Attempt, EndpointId, Health, Outcome, Record, Visit};

use super::world::{Drawn, MEMBERS};
use crate::naive::{
    Ask, Session, Sources, Step, Walk, Write, drawn, shedding_hash, shedding_hash_of_key, write_of,
};
use crate::support::{Chance, Client, Kind, NOW, at, token_of};

/// The outcomes of requests that no client of these worlds sends; tests/model.rs has them.
pub(crate) const UNSTATED: [&str; 7] = [
    "migrated",
    "created:malformed",
    "created:forged",
    "created:premature",
    "created:unknown_key",
    "created:unknown_version",
    "created:expired",
];

const SHOP: &str = "shop.example.com";
const REQUESTS: usize = 6;

/// What was met in one world.
#[derive(Default)]
pub(crate) struct Outcomes {
    pub(crate) labels: Vec<&'static str>,
    pub(crate) requests: usize,
    pub(crate) attempts: usize,
}

pub(crate) struct Requests {
    drawn: Drawn,
    outcomes: Outcomes,
}

/// One request of a client, and what it states.
struct Stated {
    client: Client,
    record: Record,
    pin: Option<Pin>,
}

impl Requests {
    pub(crate) fn of(drawn: Drawn) -> Self {
        Self { drawn, outcomes: Outcomes::default() }
    }

    pub(crate) fn run(mut self) -> Outcomes {
        for _ in 0..REQUESTS {
            self.outcomes.requests += 1;
            let stated = self.state();
            self.request(&stated);
            self.drawn.crowd();
        }
        self.outcomes
    }

    /// A live session of any endpoint, known or removed, or a new one, or none.
    fn state(&mut self) -> Stated {
        let (kind, random) = (self.drawn.conditions.kind, &mut self.drawn.random);
        let mut client = match random.percent(90) {
            true => Client::number(random.below(60_000) as u16),
            false => Client::without_address(),
        };
        if random.percent(90) {
            client = client.with_user(&format!("user {}", random.below(100_000)));
        }
        let is_live = random.percent(70) && kind != Kind::NoAffinity;
        let (pool, names) = random.one_of(&MEMBERS);
        let known = random.one_of(names);
        let name = random
            .one_of(&[known, known, known, known, known, known, known, known, "new", "unknown"]);
        let issued = NOW.as_secs() - random.number(1_000);
        let endpoint = EndpointId::new(pool, name);
        let pin = Pin { endpoint, issued: at(issued), expires: at(issued + 82_800) };
        let record = match (kind, is_live) {
            (Kind::Header, true) => Record::Found { endpoint, issued: pin.issued },
            (Kind::Header, false) => {
                random.one_of(&[Record::Absent, Record::Unreadable, Record::Unreachable])
            }
            _ => Record::Absent,
        };
        if is_live && kind.has_token() {
            let token = kind.codec(&crate::support::keyring()).seal(&pin);
            client = kind.with_token(client, token.as_str());
        }
        Stated { client, record, pin: is_live.then_some(pin) }
    }

    /// One request on both nodes, through refusals, to an answer or to its end.
    fn request(&mut self, stated: &Stated) {
        let Drawn { conditions, random, world, nodes, .. } = &mut self.drawn;
        let kind = conditions.kind;
        let [one, two] =
            nodes.each_ref().map(|(node, _)| node.recall(&stated.client.request(), NOW));
        assert_eq!(one.claim(), two.claim());
        let key = one.lookup().map(|lookup| lookup.key);
        let session = session_of(kind, &one, stated);
        let pin = stated.pin.filter(|_| matches!(session, Session::Live(_)));
        let ask = Ask {
            now: NOW.as_secs(),
            session,
            hash: stated.client.ip.map(|ip| shedding_hash(SHOP, ip)),
            key_hash: key.map(|key| shedding_hash_of_key(SHOP, key)),
        };
        let bits = random.next();
        let mut has_drawn = false;
        let first = nodes[0].0.route(one, stated.record, &nodes[0].1, || {
            has_drawn = true;
            bits
        });
        let second = nodes[1].0.route(two, stated.record, &nodes[1].1, || bits);
        if world.is_steered {
            // Random bits order the pools where neither an address, a key nor a pin does.
            let is_open = |pool: &usize| world.pools[*pool].weight > 0;
            let is_choice = world.open().iter().filter(|pool| is_open(pool)).count() > 1;
            let by_bits = pin.is_none() && key.is_none() && kind != Kind::IpCookie;
            assert!(has_drawn || !(is_choice && by_bits), "drew no bits: {conditions:?}\n{ask:?}");
            let by_address = kind == Kind::IpCookie;
            let (ip, bits) = (stated.client.ip, has_drawn.then_some(bits));
            let sources = Sources { key, pin, foreign: None, by_address, ip, drawn: bits };
            world.drawn = Some(drawn(sources.seed(), world));
        }
        let permitted = world.route(&ask);
        let explain = |found: &dyn std::fmt::Debug| format!("{conditions:?}\n{ask:?}\n{found:?}");
        match (first, second, permitted) {
            (Ok((first, _)), Ok((second, _)), Ok(permitted)) => {
                self.carry_on(first, second, permitted, ask, stated.record);
            }
            (first, second, permitted) => {
                let outcomes = [first.err(), second.err()].map(|it| it.map(|it| it.outcome()));
                assert_eq!(outcomes, [permitted.err(); 2], "{}", explain(&world.pools));
                self.outcomes.labels.extend(outcomes[0].map(Outcome::label));
            }
        }
    }

    fn carry_on(
        &mut self,
        mut first: Attempt,
        mut second: Attempt,
        mut permitted: Vec<Step>,
        ask: Ask,
        record: Record,
    ) {
        let mut walk: Option<Walk> = None;
        loop {
            let Drawn { conditions, random, world, nodes, .. } = &mut self.drawn;
            self.outcomes.attempts += 1;
            let step = Step { endpoint: first.endpoint(), outcome: first.outcome() };
            let other = Step { endpoint: second.endpoint(), outcome: second.outcome() };
            let explain = || format!("{conditions:?}\n{ask:?}\n{walk:?}\n{world:#?}");
            assert_eq!(step, other, "two nodes: {}", explain());
            assert!(permitted.contains(&step), "{step:?} of {permitted:?}: {}", explain());
            self.outcomes.labels.push(step.outcome.label());
            if random.percent(25) {
                return self.settle(first, second, step, record);
            }
            match &mut walk {
                None => walk = Some(Walk::begin(ask, step)),
                Some(walk) => walk.go_on(step),
            }
            if random.percent(20) {
                // Health checks do not wait for requests.
                let (pool, names) = random.one_of(&MEMBERS);
                let id = EndpointId::new(pool, random.one_of(names));
                let all = world.pools.iter_mut().flat_map(|pool| &mut pool.endpoints);
                for e in all.filter(|e| e.id == id) {
                    e.health = random.one_of(&[Health::Healthy, Health::Unhealthy]);
                }
                for (_, pools) in nodes.iter_mut() {
                    *pools = world.edit(pools);
                }
            }
            permitted = walk.as_mut().unwrap().fail(world);
            let next = [(first, &nodes[0]), (second, &nodes[1])];
            let [one, two] = next.map(|(attempt, (node, pools))| node.failover(attempt, pools));
            match (one, two) {
                (Ok((one, _)), Ok((two, _))) => (first, second) = (one, two),
                (one, two) => {
                    let ends = one.is_err() && two.is_err() && permitted.is_empty();
                    assert!(ends, "gave up with {permitted:?} left: {conditions:?}\n{ask:?}");
                    return self.outcomes.labels.push(Outcome::GaveUp.label());
                }
            }
        }
    }

    fn settle(&mut self, first: Attempt, second: Attempt, step: Step, record: Record) {
        let Drawn { conditions, world, nodes, .. } = &mut self.drawn;
        let [(one, pools), (two, others)] = nodes;
        let (one, two) = (one.settle(first, pools), two.settle(second, others));
        assert_eq!(one, two, "two nodes write the same: {conditions:?}");
        world.answered(step.endpoint);
        let kind = conditions.kind;
        let written = match (&one.response, one.store_write.map(|write| write.kind)) {
            (None, None) => Write::Nothing,
            (Some(_), None) => Write::SetCookie,
            (None, Some(WriteKind::Touch)) => Write::Touch,
            (None, Some(WriteKind::Create(to))) if to == step.endpoint => Write::Create,
            (None, Some(WriteKind::Replace(to))) if to == step.endpoint => Write::Replace,
            _ => panic!("{one:?} after {step:?}"),
        };
        assert_eq!(written, write_of(step.outcome, kind.has_token(), record), "{step:?}");
        if let Some(token) = token_of(&one) {
            let codec = kind.codec(&crate::support::keyring());
            let pin = codec.open(token.as_bytes(), NOW).unwrap();
            assert_eq!((pin.endpoint, pin.issued), (step.endpoint, NOW), "the one that answered");
        }
    }
}

/// The session that a request states, by the policy.
fn session_of(kind: Kind, visit: &Visit, stated: &Stated) -> Session {
    match (kind, stated.pin, stated.record) {
        (Kind::NoAffinity, ..) => Session::Unbound,
        (Kind::Header, ..) if visit.lookup().is_none() => Session::Unbound,
        (_, Some(pin), _) => Session::Live(pin.endpoint),
        (Kind::Header, None, Record::Unreadable) => Session::New(Created::Unreadable),
        (Kind::Header, None, Record::Unreachable) => Session::New(Created::StoreUnreachable),
        (Kind::Header, None, _) => Session::New(Created::NoRecord),
        (_, None, _) => Session::New(kind.missing()),
    }
}
