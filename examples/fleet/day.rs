//! The day: what happens, second by second, and a request's way through the four verbs.

use http::HeaderMap;
use session_affinity::{
    Affinity, Claim, CookiePolicy, CookieTtl, CoolingOff, DrainDuration, EndpointId, FailoverMode,
    Key, Keyring, Name, Outcome, Pin, Pools, Record, RequestMeta, Scheme, Secret, SetCookie,
    UnixTime,
};

use crate::Error;
use crate::clients::{Client, Door, Jar, Random};
use crate::fleet::{self, JOIN, SCALE_UP, SERVERS};
use crate::operator::{HealthChecks, RollingRestart};
use crate::tally::{LIVE_EVERY, Tally};

/// Friday, 15 January 2027, 00:00 UTC, and how long a day is, in seconds.
const MIDNIGHT: UnixTime = UnixTime::from_secs(1_799_971_200);
const SECONDS: u64 = 86_400;

/// How long a session lives, how long a disabled endpoint drains (longer: no session is cut
/// off), and how often health is checked, in seconds.
pub const LIFETIME: u64 = 1_800;
const DRAIN: u64 = 2_700;
pub const CHECK_EVERY: u64 = 60;

/// How one day differs from the others.
pub struct Row {
    pub name: &'static str,
    pub mode: FailoverMode,
    pub cooling_off: CoolingOff,
}

/// The load balancer and everybody around it.
pub struct Day {
    affinity: Affinity<CookiePolicy>,
    pools: Pools<usize>,
    operator: RollingRestart,
    checks: HealthChecks,
    clients: Vec<Client>,
    door: Door,
    entropy: Random,
    second: u64,
    tally: Tally,
}

impl Day {
    pub fn new(row: &Row) -> Result<Self, Error> {
        let shop = Name::new("shop.example.com")?;
        let keyring = Keyring::from(Key::new(1, Secret::new([7; 32])?));
        let ttl = CookieTtl::new(LIFETIME)?;
        let policy = CookiePolicy::new(&shop, &keyring, SetCookie::default())
            .map_codec(|codec| codec.with_ttl(ttl));
        let affinity = Affinity::new(&shop, policy)
            .with_failover(row.mode)?
            .with_cooling_off(row.cooling_off)
            .with_drain_duration(DrainDuration::new(DRAIN)?);
        let mut door = Door::new(1);
        Ok(Self {
            affinity,
            pools: fleet::morning()?,
            operator: RollingRestart::new(
                (0..SERVERS.len()).filter(|server| !JOIN.contains(server)).collect(),
            ),
            checks: HealthChecks::default(),
            clients: door.at_midnight(),
            door,
            entropy: Random::new(2),
            second: 0,
            tally: Tally::new(row),
        })
    }

    /// Plays it from midnight to midnight.
    pub fn play(mut self) -> Result<Tally, Error> {
        for second in 0..SECONDS {
            self.second = second;
            if second % CHECK_EVERY == 0 {
                let restarting = self.operator.restarting();
                let answers = |server| restarting != Some(server) && fleet::is_up(server, second);
                self.pools = self.checks.check(&self.pools, answers)?;
            }
            let now = self.now();
            if let Some(pools) = self.operator.act(&self.affinity, &self.pools, second, now)? {
                self.pools = pools;
            }
            if second == SCALE_UP {
                self.scale_up()?;
            }
            self.clients.extend(self.door.arrivals(second));
            let mut clients = std::mem::take(&mut self.clients);
            clients.retain_mut(|client| {
                if !client.asks(second) {
                    return true;
                }
                self.serve(&mut client.jar);
                !client.leaves()
            });
            self.clients = clients;
            if (second + 1) % LIVE_EVERY == 0 {
                let pins = self.pins();
                self.tally
                    .live(pins.iter().flatten().filter_map(|pin| self.pools.target(pin.endpoint)));
            }
        }
        self.tally.drains = self.operator.drains;
        Ok(self.tally)
    }

    /// One request: recall, route, connect, and settle once an endpoint has answered.
    fn serve(&mut self, jar: &mut Jar) {
        let now = self.now();
        let visit = self.affinity.recall(&request(jar.headers(now)), now);
        let before = carried(visit.claim());
        let mut attempt =
            match self.affinity.route(visit, Record::Absent, &self.pools, || self.entropy.draw()) {
                Ok(attempt) => attempt,
                Err(nobody) => return self.tally.request(self.second, nobody.outcome()),
            };
        let first = attempt.outcome();
        let mut refused = false;
        while !self.connects(attempt.endpoint()) {
            refused = true;
            attempt = match self.affinity.failover(attempt, &self.pools) {
                Ok(attempt) => attempt,
                Err(gave_up) => return self.tally.request(self.second, gave_up.outcome()),
            };
        }
        let (endpoint, outcome) = (attempt.endpoint(), attempt.outcome());
        let mut response = HeaderMap::new();
        self.affinity.settle(attempt, &self.pools).apply(&mut response);
        jar.take(&response, now);

        self.tally.request(self.second, outcome);
        let begins = matches!(outcome, Outcome::Created(_) | Outcome::Moved(_));
        let is_enabled =
            self.pools.endpoint(endpoint).is_some_and(|endpoint| endpoint.state().is_enabled());
        self.tally.begun_while_draining += u64::from(begins && !is_enabled);
        // The endpoint would have taken its session: whatever changed the pin was the refusal.
        if refused && first == Outcome::Kept {
            self.tally.pins_changed_by_refusal += u64::from(self.pin(jar) != before);
        }
    }

    /// Whether an endpoint accepts a connection. When it does not, somebody has waited.
    fn connects(&mut self, endpoint: EndpointId) -> bool {
        let Some(&server) = self.pools.target(endpoint) else { return false };
        let restarts = self.operator.restarting() == Some(server);
        let connects = !restarts && fleet::is_up(server, self.second);
        self.tally.waits += u64::from(!connects);
        self.tally.waits_on_restart += u64::from(restarts);
        connects
    }

    /// Two endpoints join. Where would every live session be served before and after? An
    /// attempt that is not settled promises nothing, so asking is free.
    fn scale_up(&mut self) -> Result<(), Error> {
        let after = fleet::scaled_up(&self.pools)?;
        let now = self.now();
        for client in &mut self.clients {
            let headers = client.jar.headers(now);
            let ask = |pools| {
                let visit = self.affinity.recall(&request(headers), now);
                let is_live = carried(visit.claim()).is_some();
                let attempt = self.affinity.route(visit, Record::Absent, pools, || 0).ok()?;
                is_live.then(|| (attempt.endpoint(), attempt.outcome()))
            };
            let before = ask(&self.pools);
            self.tally.live_at_scale_up += u64::from(before.is_some());
            self.tally.moved_by_scale_up += u64::from(before.is_some() && before != ask(&after));
        }
        self.pools = after;
        Ok(())
    }

    /// What the jars of those on the site say.
    fn pins(&mut self) -> Vec<Option<Pin>> {
        let mut clients = std::mem::take(&mut self.clients);
        let pins = clients.iter_mut().map(|client| self.pin(&mut client.jar)).collect();
        self.clients = clients;
        pins
    }

    fn pin(&self, jar: &mut Jar) -> Option<Pin> {
        carried(self.affinity.recall(&request(jar.headers(self.now())), self.now()).claim())
    }

    fn now(&self) -> UnixTime {
        MIDNIGHT.saturating_add(self.second)
    }
}

fn request(headers: &HeaderMap) -> RequestMeta<'_> {
    RequestMeta { headers, client_ip: None, scheme: Scheme::Https }
}

fn carried(claim: Claim) -> Option<Pin> {
    match claim {
        Claim::Carried(pin) => Some(pin),
        Claim::New(_) | Claim::Stored { .. } | Claim::Unbound => None,
    }
}
