//! Many clients at once, each with a session that is set against every answer.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::vec::IntoIter;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::client::{Client, Lines, Patience};
use crate::round::{Answer, Round};
use crate::support::wait_until;

/// How many sessions are held.
pub(crate) const SESSIONS: usize = 2_000;
/// How many requests are under way at once.
pub(crate) const AT_ONCE: usize = 32;

/// 2 000 clients with a session each.
pub(crate) struct Crowd {
    clients: Vec<Client>,
    patience: Patience,
    gateways: Arc<[SocketAddr]>,
    runtime: Runtime,
}

/// Requests under way.
pub(crate) struct Load {
    workers: JoinSet<Vec<(Client, Answer)>>,
    answered: Arc<AtomicUsize>,
    /// Dropped to let those go that are held back.
    release: watch::Sender<()>,
}

impl Crowd {
    /// Clients that keep cookies.
    pub(crate) fn with_cookies(gateways: &[SocketAddr]) -> Self {
        Self::of(gateways, Client::with_cookies)
    }

    /// Clients that say in a header who they are, and keep no cookies.
    pub(crate) fn with_names(gateways: &[SocketAddr]) -> Self {
        Self::of(gateways, Client::with_name)
    }

    fn of(gateways: &[SocketAddr], client: fn(usize) -> Client) -> Self {
        Self {
            clients: (0..SESSIONS).map(client).collect(),
            patience: Patience::Once,
            gateways: gateways.into(),
            runtime: Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .expect("a runtime"),
        }
    }

    /// The same clients with the same sessions, as another crowd at these gateways.
    pub(crate) fn as_it_is(&self, gateways: &[SocketAddr]) -> Self {
        Self { clients: self.clients.clone(), ..Self::of(gateways, Client::with_cookies) }
    }

    /// They ask until they are answered.
    pub(crate) fn patient(mut self) -> Self {
        self.patience = Patience::UntilAnswered;
        self
    }

    /// From now on they know these gateways.
    #[cfg(feature = "redis")]
    pub(crate) fn knows(&mut self, gateways: &[SocketAddr]) {
        self.gateways = gateways.into();
    }

    /// How many sessions are pinned to this endpoint.
    pub(crate) fn pinned_to(&self, endpoint: &str) -> usize {
        self.clients.iter().filter(|client| client.is_pinned_to(endpoint)).count()
    }

    /// They ask for the first time, some in each of so many seconds.
    #[track_caller]
    pub(crate) fn arrive_in(&mut self, seconds: i64, set_clock: impl Fn(i64)) {
        for second in 0..seconds {
            set_clock(second);
            let load = self.start(|client| client.number() as i64 % seconds == second, 0);
            self.finish(load);
        }
    }

    /// Each client asks once.
    #[track_caller]
    pub(crate) fn round(&mut self) -> Round {
        let load = self.start(|_| true, 0);
        self.finish(load)
    }

    /// Each client asks once, and meanwhile this happens: a quarter of the answers have come when it begins, and the
    /// last quarter of the requests are sent when it has ended.
    #[track_caller]
    pub(crate) fn round_during(&mut self, event: impl FnOnce()) -> Round {
        let quarter = self.clients.len() / 4;
        let load = self.start(|_| true, quarter);
        wait_until("a quarter of the answers", || load.answered.load(Ordering::SeqCst) >= quarter);
        event();
        self.finish(load)
    }

    /// Each client that is pinned to this endpoint sets out. Until they are back, the crowd is the others.
    pub(crate) fn send_those_at(&mut self, endpoint: &str) -> Load {
        self.start(|client| client.is_pinned_to(endpoint), 0)
    }

    /// Waits until they are all back.
    #[track_caller]
    pub(crate) fn finish(&mut self, load: Load) -> Round {
        drop(load.release);
        let done = self.runtime.block_on(load.workers.join_all()).into_iter().flatten();
        let (clients, answers): (Vec<_>, Vec<_>) = done.unzip();
        self.clients.extend(clients);
        self.clients.sort_by_key(Client::number);
        Round::new(answers)
    }

    fn start(&mut self, takes_part: impl FnMut(&mut Client) -> bool, held_back: usize) -> Load {
        let clients: Vec<_> = self.clients.extract_if(.., takes_part).collect();
        let queue = Queue { clients: Arc::new(Mutex::new(clients.into_iter())), held_back };
        let (answered, (release, released)) = (Arc::<AtomicUsize>::default(), watch::channel(()));
        let mut workers = JoinSet::new();
        for _ in 0..AT_ONCE {
            let (queue, answered, mut released) =
                (queue.clone(), answered.clone(), released.clone());
            let (patience, gateways) = (self.patience, self.gateways.clone());
            let work = async move {
                let (mut lines, mut done) = (Lines::default(), Vec::new());
                while let Some((mut client, is_last_quarter)) = queue.next() {
                    if is_last_quarter {
                        let _ = released.changed().await;
                    }
                    let answer = client.ask(&mut lines, &gateways, patience).await;
                    answered.fetch_add(1, Ordering::SeqCst);
                    done.push((client, Answer { is_last_quarter, ..answer }));
                }
                done
            };
            workers.spawn_on(work, self.runtime.handle());
        }
        Load { workers, answered, release }
    }
}

/// Clients that have not asked yet.
#[derive(Clone)]
struct Queue {
    clients: Arc<Mutex<IntoIter<Client>>>,
    held_back: usize,
}

impl Queue {
    /// The next one, and whether it is one of those held back.
    fn next(&self) -> Option<(Client, bool)> {
        let mut clients = lock(&self.clients);
        let is_held_back = clients.len() <= self.held_back;
        clients.next().map(|client| (client, is_held_back))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
