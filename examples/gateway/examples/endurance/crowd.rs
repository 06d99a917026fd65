//! The clients of one gateway, and the judgement of every answer.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper::Method;
use tokio::time::{sleep, timeout};

use crate::act::Act;
use crate::client::{Asked, Came, Client, Line, exchange};
use crate::day::Day;
use crate::kind::{Kind, Policy, SITE};
use crate::oracle::judge;
use crate::random::Random;
use crate::scene::{Log, Scene, seconds};

/// The number of sessions of a gateway.
const SESSIONS: u32 = 150;
/// The number of acts that are told when a rule is broken.
const TOLD: usize = 24;

/// The clients of a gateway, and what has happened so far.
pub struct Crowd {
    kind: &'static Kind,
    gateway: SocketAddr,
    pub log: Arc<Mutex<Log>>,
    clients: Mutex<Clients>,
    day: Mutex<Day>,
    /// The last acts.
    acts: Mutex<VecDeque<String>>,
    began: Instant,
    end: Instant,
}

/// The clients without a request in flight.
struct Clients {
    known: Vec<Client>,
    /// The number of the last new one.
    last: u32,
}

impl Crowd {
    pub fn new(kind: &'static Kind, gateway: SocketAddr, length: Duration) -> Self {
        let known = (1..=SESSIONS).map(Client::new).collect();
        let began = Instant::now();
        Self {
            kind,
            gateway,
            log: Arc::new(Mutex::new(Log::new(Scene::new(kind)))),
            clients: Mutex::new(Clients { known, last: SESSIONS }),
            day: Mutex::default(),
            acts: Mutex::default(),
            began,
            end: began + length,
        }
    }

    pub fn began(&self) -> Instant {
        self.began
    }

    pub fn end(&self) -> Instant {
        self.end
    }

    pub fn day(&self) -> Day {
        std::mem::take(&mut *lock(&self.day))
    }

    /// Asks, for one session after the other, until the end. The error tells of a broken rule.
    pub async fn ask(self: Arc<Self>, mut random: Random) -> Result<(), String> {
        let mut line = Line::None;
        while Instant::now() < self.end {
            sleep(Duration::from_millis(random.below(25) as u64)).await;
            let mut client = lock(&self.clients).take(&mut random);
            let length = if random.below(4) == 0 { 1 + random.below(4_000) } else { 0 };
            let method = if length > 0 { Method::POST } else { Method::GET };
            let request = client.request(self.kind, method, length);
            if random.below(16) == 0 {
                line = None;
            }
            let (start, began) = (Instant::now(), seconds());
            let exchange = exchange(&mut line, self.gateway, self.kind, request);
            if random.below(64) == 0 {
                let patience = Duration::from_micros(random.below(3_000) as u64);
                if timeout(patience, exchange).await.is_err() {
                    line = None;
                }
                // What has come is lost all the same.
                self.abandoned(client);
                continue;
            }
            let came = exchange.await;
            let asked = Asked { pin: client.pin.clone(), length, began, ended: seconds() };
            let came = came.map_err(|error| self.broken(&client, &asked, start, &error))?;
            self.judge(&mut client, &asked, &came, start)?;
            lock(&self.clients).known.push(client);
        }
        Ok(())
    }

    fn judge(
        &self,
        client: &mut Client,
        asked: &Asked,
        came: &Came,
        start: Instant,
    ) -> Result<(), String> {
        let scenes = lock(&self.log).during(start, Instant::now());
        let taken = judge(self.kind, &scenes, asked, came).map_err(|permitted| {
            let broken = format!("came: {came:?}\npermitted: {permitted:#?}");
            self.broken(client, asked, start, &broken)
        })?;
        let mut names = SITE.iter().flat_map(|(_, endpoints)| endpoints.iter().copied());
        client.learn(self.kind, came, taken, names.find(|name| came.by.as_deref() == Some(name)));
        client.tell(format!("{} {} by {:?}", self.time(start), came.label, came.by));
        *lock(&self.day).outcomes.entry(came.label.clone()).or_default() += 1;
        Ok(())
    }

    /// A client has given up. A cookie that did not come is as if it had not been sent, but of a
    /// record it cannot be known whether it was changed: its client is not seen again.
    fn abandoned(&self, client: Client) {
        lock(&self.day).abandoned += 1;
        let mut clients = lock(&self.clients);
        let client = if self.kind.policy == Policy::Header { clients.create() } else { client };
        clients.known.push(client);
    }

    pub fn acts(&self, act: Act) {
        lock(&self.day).acts += 1;
        let mut acts = lock(&self.acts);
        if acts.len() == TOLD {
            acts.pop_front();
        }
        acts.push_back(format!("{} {act:?}", self.time(Instant::now())));
    }

    pub fn has_acted(&self) {
        if let Some(act) = lock(&self.acts).back_mut() {
            act.push_str(&format!(", done at {}", self.time(Instant::now())));
        }
    }

    fn time(&self, at: Instant) -> String {
        format!("{:.4}", at.duration_since(self.began).as_secs_f64())
    }

    fn broken(&self, client: &Client, asked: &Asked, start: Instant, broken: &str) -> String {
        let told: String = client.told.iter().map(|line| format!("  {line}\n")).collect();
        let (from, to) = (self.time(start), self.time(Instant::now()));
        self.with_acts(&format!(
            "from {from} to {to}\nasked: {asked:?}\n{broken}\nbefore, the same session:\n{told}"
        ))
    }

    pub fn with_acts(&self, broken: &str) -> String {
        let acts: String = lock(&self.acts).iter().map(|act| format!("  {act}\n")).collect();
        format!("{}: {broken}\nthe last acts:\n{acts}", self.kind.name)
    }
}

impl Clients {
    /// Takes a client that no other request is using; now and then one forgets its session.
    fn take(&mut self, random: &mut Random) -> Client {
        let at = random.below(self.known.len().max(1));
        let known = (at < self.known.len()).then(|| self.known.swap_remove(at));
        known.filter(|_| random.below(200) > 0).unwrap_or_else(|| self.create())
    }

    fn create(&mut self) -> Client {
        self.last += 1;
        Client::new(self.last)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
