//! Looking for an endpoint: pools in order, shedding, suspects, the fallback pool.

use std::cell::Cell;

use siphasher::sip::SipHasher24;

use crate::affinity::AcrossPools;
use crate::bounds::{CoolingOff, DrainDuration, Percent};
use crate::client::{ClientAddress, ClientHash};
use crate::drain;
use crate::endpoint::{EndpointId, Health};
use crate::outcome::Moved;
use crate::pools::{Candidates, Eligible, EndpointView, PoolId, PoolView, Pools, Suspects};
use crate::shedding::{ShedBy, is_shed, shed_number};
use crate::steering::{Candidate, Seed, Seeding};
use crate::time::UnixTime;
use crate::token::Pin;

/// One search for one request, in one snapshot.
pub(crate) struct Search<'p, 's, T> {
    pub(crate) pools: &'p Pools<T>,
    pub(crate) clients: &'s ClientHash,
    pub(crate) client: Option<ClientAddress>,
    pub(crate) seeds: Seeds,
    pub(crate) entropy: &'s Entropy<'s>,
    pub(crate) tried: &'s [EndpointId],
    pub(crate) now: UnixTime,
    pub(crate) across_pools: AcrossPools,
    pub(crate) cooling_off: CoolingOff,
}

/// Who decides the choices for a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Seeds {
    /// A live session with a key, by weights alone: its concurrent requests agree on every
    /// node.
    Live(u64),
    /// The same for one that has no key, by its pin. Most requests are kept and never ask.
    Pinned(Pin),
    /// The policy.
    Policy(u64),
    /// Each pool's steering.
    Pool,
}

/// The seed of a live session that has no key: its pin's endpoint and issued time.
fn seed_of(pin: Pin) -> u64 {
    let mut message = [0; 16];
    let (endpoint, issued) = message.split_at_mut(8);
    endpoint.copy_from_slice(&pin.endpoint.as_u64().to_be_bytes());
    issued.copy_from_slice(&pin.issued.as_secs().to_be_bytes());
    SipHasher24::new_with_key(b"session-affinity").hash(&message)
}

/// Random bits, drawn once and only when needed.
pub(crate) struct Entropy<'a> {
    source: Cell<Option<&'a mut dyn FnMut() -> Option<u64>>>,
    drawn: Cell<Option<u64>>,
}

impl<'a> Entropy<'a> {
    pub(crate) fn new(source: &'a mut dyn FnMut() -> Option<u64>) -> Self {
        Self { source: Cell::new(Some(source)), drawn: Cell::new(None) }
    }

    /// What has been drawn so far.
    pub(crate) fn drawn(&self) -> Option<u64> {
        self.drawn.get()
    }

    fn draw(&self) -> Option<u64> {
        if let Some(source) = self.source.take() {
            self.drawn.set(source());
        }
        self.drawn.get()
    }
}

impl<'p, T> Search<'p, '_, T> {
    /// For a session that begins, and for a request that can have none.
    pub(crate) fn for_new(&self) -> Option<EndpointView<'p, T>> {
        let takers = self.pools.open().filter(|pool| !self.sheds_new(*pool));
        self.first_of(takers, Eligible::TakingNew)
            .or_else(|| self.in_fallback())
            .or_else(|| self.first_of(self.pools.open(), Eligible::TakingNew))
    }

    /// For a live session that its endpoint does not take any more. Shedding new ones does
    /// not concern it.
    pub(crate) fn for_moved(&self) -> Option<EndpointView<'p, T>> {
        self.first_of(self.pools.open(), Eligible::TakingNew).or_else(|| self.in_fallback())
    }

    /// For a live session that its pool sheds: the open pools after it, then the fallback.
    pub(crate) fn for_shed(&self, own: PoolView<'p, T>) -> Option<EndpointView<'p, T>> {
        let after = self.pools.open().filter(|pool| pool.index() > own.index());
        let next = self.first_of(after, Eligible::TakingNew);
        if self.pools.fallback().is_some_and(|fallback| fallback.index() == own.index()) {
            return next;
        }
        next.or_else(|| self.in_fallback())
    }

    /// After a passive failure: the attempt's own pool, critical or not, then perhaps the
    /// other open ones.
    pub(crate) fn next(&self, own: PoolId) -> Option<EndpointView<'p, T>> {
        self.first_of(self.reachable_from(own), Eligible::TakingNew)
    }

    /// The same without suspects.
    pub(crate) fn next_trusted(&self, own: PoolId) -> Option<EndpointView<'p, T>> {
        self.reachable_from(own)
            .find_map(|pool| self.choose(pool, Eligible::TakingNew, Suspects::Left))
    }

    /// Whether an endpoint is an enabled one of the fallback pool and no other pool is open.
    pub(crate) fn is_last_resort(&self, endpoint: EndpointView<'p, T>) -> bool {
        let (own, Some(fallback)) = (endpoint.pool(), self.pools.fallback()) else { return false };
        own.index() == fallback.index()
            && endpoint.state().is_enabled()
            && own.state().is_enabled()
            && self.pools.open().all(|pool| pool.index() == own.index())
    }

    /// Whether an endpoint takes its pinned sessions, or why it does not.
    pub(crate) fn takes_pinned(
        &self,
        endpoint: EndpointView<'p, T>,
        drain: DrainDuration,
    ) -> Result<(), Moved> {
        match drain::over(endpoint.state(), endpoint.pool().state(), drain) {
            Some(over) if over <= self.now && drain == DrainDuration::MIN => Err(Moved::Disabled),
            Some(over) if over <= self.now => Err(Moved::Drained),
            _ if endpoint.health() == Health::Unhealthy => Err(Moved::Unhealthy),
            _ => Ok(()),
        }
    }

    /// Whether a pool sheds this live session. Without a client's address it does not.
    pub(crate) fn sheds_session(&self, pool: PoolView<'p, T>) -> bool {
        let percent = pool.shedding().session_percent;
        percent > Percent::MIN
            && self.client.is_some_and(|client| is_shed(self.clients.shed(client), percent))
    }

    pub(crate) fn is_suspect(&self, endpoint: EndpointView<'p, T>) -> bool {
        self.cooling_off > CoolingOff::MIN && endpoint.is_suspect(self.now)
    }

    fn sheds_new(&self, pool: PoolView<'p, T>) -> bool {
        let shedding = pool.shedding();
        if shedding.default_percent == Percent::MIN {
            return false;
        }
        let number = match (shedding.default_policy, self.client) {
            (ShedBy::Hash, Some(client)) => self.clients.shed(client),
            (ShedBy::Hash, None) | (ShedBy::Random, _) => {
                shed_number(self.entropy.draw().unwrap_or(0), pool.index())
            }
        };
        is_shed(number, shedding.default_percent)
    }

    fn in_fallback(&self) -> Option<EndpointView<'p, T>> {
        self.first_of(self.pools.fallback().into_iter(), Eligible::Enabled)
    }

    /// The own pool, then the other open pools if failover may leave it.
    fn reachable_from(
        &self,
        own: PoolId,
    ) -> impl Iterator<Item = PoolView<'p, T>> + Clone + use<'p, T> {
        let across = self.across_pools == AcrossPools::Yes;
        let others = self.pools.open().filter(move |pool| across && pool.id() != own);
        self.pools.iter().find(|pool| pool.id() == own).into_iter().chain(others)
    }

    /// The choice of the first pool that has one. Suspects come last in their pool, and
    /// before other pools unless failover may leave it.
    fn first_of(
        &self,
        mut pools: impl Iterator<Item = PoolView<'p, T>> + Clone,
        eligible: Eligible,
    ) -> Option<EndpointView<'p, T>> {
        let choose = |suspects| move |pool| self.choose(pool, eligible, suspects);
        if self.cooling_off == CoolingOff::MIN {
            return pools.find_map(choose(Suspects::Ignored));
        }
        if self.across_pools == AcrossPools::Yes {
            let trusted = pools.clone().find_map(choose(Suspects::Left));
            return trusted.or_else(|| pools.find_map(choose(Suspects::Taken)));
        }
        pools
            .find_map(|pool| choose(Suspects::Left)(pool).or_else(|| choose(Suspects::Taken)(pool)))
    }

    fn choose(
        &self,
        pool: PoolView<'p, T>,
        eligible: Eligible,
        suspects: Suspects,
    ) -> Option<EndpointView<'p, T>> {
        let candidates = Candidates::new(pool, eligible, suspects, self.now, self.tried);
        // Nothing is drawn and no embedder is asked where there is nobody to choose.
        if candidates.is_empty() {
            return None;
        }
        let chosen = match self.seeds {
            Seeds::Live(seed) => candidates.preferred(seed),
            Seeds::Pinned(pin) => candidates.preferred(seed_of(pin)),
            Seeds::Policy(seed) => steered(pool, &candidates, Seed::Stable(seed)),
            Seeds::Pool => steered(pool, &candidates, self.pool_seed(pool)),
        };
        self.pools.at(chosen?)
    }

    /// The client's address where the pool steers by it, else entropy. A failover that
    /// comes to a pool of the other kind has only what was drawn before; without that the
    /// address serves as well.
    fn pool_seed(&self, pool: PoolView<'p, T>) -> Seed {
        let by_client = || self.client.map(|client| Seed::Stable(self.clients.seed(client)));
        let by_entropy = || self.entropy.draw().map(Seed::Entropy);
        let seed = match pool.steering().seeding() {
            Seeding::ClientIp => by_client().or_else(by_entropy),
            Seeding::Entropy => by_entropy().or_else(by_client),
        };
        seed.unwrap_or(Seed::Stable(0))
    }
}

fn steered<'a, T>(
    pool: PoolView<'a, T>,
    candidates: &Candidates<'a, T>,
    seed: Seed,
) -> Option<Candidate<'a, T>> {
    pool.steering().choose(candidates, seed).or_else(|| candidates.preferred(seed.value()))
}
