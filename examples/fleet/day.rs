//! The day, second by second, and the way of a request through the four verbs.

use http::HeaderMap;
use session_affinity::cookies::SetCookie;
use session_affinity::limits::{BoundedLoad, CoolingOff, DrainDuration, Ttl};
use session_affinity::policy::Claim;
use session_affinity::steering::{InFlight, InFlightGuard, Room};
use session_affinity::token::Pin;
use session_affinity::{
    Affinity, CookiePolicy, FailoverMode, Key, Keyring, LoadBalancer, Outcome, Pools, Record,
    RequestMeta, Scheme, Secret, UnixTime,
};

use crate::Error;
use crate::clients::{Client, Door, Jar, Random};
use crate::fleet::{self, JOIN, SCALE_UP, SERVERS, SLOW};
use crate::operator::{HealthChecks, RollingRestart};
use crate::tally::{LIVE_EVERY, Tally};

/// For examples alone. Draw your own by `openssl rand -base64 32`, and keep it in a vault.
const EXAMPLE_SECRET: &str = "b25seSBmb3IgZXhhbXBsZXM6IGRyYXcgeW91ciBvd24=";

/// Friday, 15 January 2027, 00:00 UTC, and the length of a day in seconds.
const MIDNIGHT: UnixTime = UnixTime::from_secs(1_799_971_200);
const SECONDS: u64 = 86_400;

/// In seconds: the lifetime of a session, the drain duration of an endpoint (longer, so that no
/// session is cut off), and the interval of health checks.
pub const LIFETIME: u64 = 1_800;
const DRAIN: u64 = 2_700;
pub const CHECK_EVERY: u64 = 60;

/// The parameters in which one day differs from the others.
pub struct Row {
    pub name: &'static str,
    pub mode: FailoverMode,
    pub cooling_off: CoolingOff,
    pub bound: Option<BoundedLoad>,
}

/// The load balancer with its operator, its health checks and its clients.
pub struct Day {
    affinity: Affinity<CookiePolicy>,
    pools: Pools<usize>,
    room: Option<Room<usize>>,
    /// The requests in flight, by server, and when each of them ends.
    in_flight: Vec<InFlight>,
    busy: Vec<(u64, InFlightGuard)>,
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
        let shop = LoadBalancer::new("shop.example.com")?;
        let keyring = Keyring::from(Key::new(1, Secret::from_base64(EXAMPLE_SECRET)?));
        let ttl = Ttl::new(LIFETIME)?;
        let policy = CookiePolicy::new(&shop, &keyring, SetCookie::default()).with_ttl(ttl);
        let affinity = Affinity::new(policy)
            .with_failover_mode(row.mode)?
            .with_cooling_off(row.cooling_off)
            .with_drain_duration(DrainDuration::new(DRAIN)?);
        let in_flight: Vec<InFlight> = SERVERS.iter().map(|_| InFlight::default()).collect();
        let counts = in_flight.clone();
        let load = move |server: &usize| counts.get(*server).map_or(0, InFlight::count);
        let room = row.bound.map(|bound| Room::bounded(bound, load));
        let mut door = Door::new(1);
        Ok(Self {
            affinity,
            pools: fleet::morning(room.clone())?,
            room,
            in_flight,
            busy: Vec::new(),
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

    /// Plays the day from midnight to midnight.
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
            self.busy.retain(|(end, _)| *end > second);
            self.clients.extend(self.door.arrivals(second));
            let mut clients = std::mem::take(&mut self.clients);
            clients.retain_mut(|client| {
                if !client.asks(second) {
                    return true;
                }
                let seconds = self.serve(&mut client.jar);
                client.wait(seconds);
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

    /// Serves one request: recall, route, connect, and settle once an endpoint has answered. Returns
    /// the seconds that the answer takes.
    fn serve(&mut self, jar: &mut Jar) -> u64 {
        let now = self.now();
        let visit = self.affinity.recall(&request(jar.headers(now)), now);
        let before = carried(visit.claim());
        let routed =
            self.affinity.route(visit, Record::Absent, &self.pools, || self.entropy.draw());
        let (mut attempt, mut server) = match routed {
            Ok((attempt, &server)) => (attempt, server),
            Err(no_endpoint) => return self.fails(no_endpoint.outcome()),
        };
        let first = attempt.outcome();
        let mut refused = false;
        while !self.connects(server) {
            refused = true;
            (attempt, server) = match self.affinity.failover(attempt, &self.pools) {
                Ok((attempt, &server)) => (attempt, server),
                Err(gave_up) => return self.fails(gave_up.outcome()),
            };
        }
        let (endpoint, outcome) = (attempt.endpoint(), attempt.outcome());
        let mut response = HeaderMap::new();
        let _ = self
            .affinity
            .settle(attempt, &self.pools)
            .apply_to(http::StatusCode::OK, &mut response); // no store to write to
        jar.take(&response, now);

        self.tally.request(self.second, outcome);
        let begins = matches!(outcome, Outcome::Created(_) | Outcome::Moved(_));
        let is_enabled = self.pools.endpoint(endpoint).is_some_and(|it| it.state().is_enabled());
        self.tally.begun_while_draining += u64::from(begins && !is_enabled);
        // The endpoint would have taken its session, so only the refusal can have changed the pin.
        if refused && first == Outcome::Kept {
            self.tally.pins_changed_by_refusal += u64::from(self.pin(jar) != before);
        }
        self.answer(server)
    }

    fn fails(&mut self, outcome: Outcome) -> u64 {
        self.tally.request(self.second, outcome);
        0
    }

    /// Counts the request as in flight until its answer is there. Returns the seconds that this takes.
    fn answer(&mut self, server: usize) -> u64 {
        let guard = self.in_flight[server].begin();
        let in_flight = self.in_flight[server].count();
        let seconds = fleet::seconds(server, self.second, in_flight);
        if seconds > 0 {
            self.busy.push((self.second + seconds, guard));
        }
        if server == SLOW.0 {
            self.tally.most_at_slow = self.tally.most_at_slow.max(in_flight);
        }
        self.tally.answer(self.second, seconds);
        seconds
    }

    /// Returns whether a server accepts a connection. If it does not, a client has waited for it.
    fn connects(&mut self, server: usize) -> bool {
        let restarts = self.operator.restarting() == Some(server);
        let connects = !restarts && fleet::is_up(server, self.second);
        self.tally.waits += u64::from(!connects);
        self.tally.waits_on_restart += u64::from(restarts);
        connects
    }

    /// Adds two endpoints, and compares where each live session is served before and after. An
    /// attempt that is not settled promises nothing, so asking is free.
    fn scale_up(&mut self) -> Result<(), Error> {
        let after = fleet::scaled_up(&self.pools, self.room.clone())?;
        let now = self.now();
        for client in &mut self.clients {
            let headers = client.jar.headers(now);
            let ask = |pools| {
                let visit = self.affinity.recall(&request(headers), now);
                let is_live = carried(visit.claim()).is_some();
                let (attempt, _) = self.affinity.route(visit, Record::Absent, pools, || 0).ok()?;
                is_live.then(|| (attempt.endpoint(), attempt.outcome()))
            };
            let before = ask(&self.pools);
            self.tally.live_at_scale_up += u64::from(before.is_some());
            self.tally.moved_by_scale_up += u64::from(before.is_some() && before != ask(&after));
        }
        self.pools = after;
        Ok(())
    }

    /// Returns the pins in the cookie jars of the clients on the site.
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
    RequestMeta::new(headers, Scheme::Https)
}

fn carried(claim: Claim) -> Option<Pin> {
    match claim {
        Claim::Carried(pin) => Some(pin),
        Claim::Foreign(_) | Claim::New(_) | Claim::Stored(_) | Claim::Unbound => None,
    }
}
