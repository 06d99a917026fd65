//! The search for an endpoint: pools in order, shedding, suspects, room, the fallback pool.

use super::room::Preference;
use super::rules::Rules;
use super::visit::Session;
use crate::endpoint::member::Position;
use crate::endpoint::{DrainPhase, EndpointId, Health};
use crate::failover::FailoverScope;
use crate::limits::{CoolingOff, DrainDuration, Percent};
use crate::outcome::Lost;
use crate::pin::Pin;
use crate::policy::ChoiceSeed;
use crate::pools::{Eligible, EndpointView, PoolId, PoolView, Pools, ShedBy, is_shed, shed_number};
use crate::request::{ClientAddress, ClientHash};
use crate::steering::{Candidates, Seed, Seeding, Suspects};
use crate::store::SessionKey;
use crate::time::UnixTime;

/// One search for one request, in one snapshot.
pub(super) struct Search<'p, 's, T> {
    pub(super) pools: &'p Pools<T>,
    pub(super) rules: &'s Rules,
    pub(super) clients: &'s ClientHash,
    pub(super) client: Option<ClientAddress>,
    pub(super) session_key: Option<&'s SessionKey>,
    pub(super) chooser: Chooser<'s>,
    /// The pool that takes a new session before others are asked, with one look at its candidates.
    /// `None` where there is no such pool, and for a live session.
    pub(super) taker: Option<PoolView<'p, T>>,
    /// The random bits, if some were drawn.
    pub(super) drawn: Option<u64>,
    pub(super) tried: &'s [EndpointId],
    pub(super) now: UnixTime,
}

/// The source of the number that decides a choice.
#[derive(Clone, Copy)]
pub(super) enum Chooser<'s> {
    /// A live session with a key. Weights alone decide, so that its concurrent requests agree on
    /// every node.
    Key(u64),
    /// A live session without a key, by its pin. The hash is left until a choice asks for it,
    /// because most requests are kept.
    Pin(&'s Pin),
    /// The policy, and the steering of the pool.
    Policy(ChoiceSeed),
}

impl<'s> Chooser<'s> {
    /// `client` is the hash of the client's address. The pin of a foreign session tells the sessions
    /// of one endpoint apart by the second of the request alone, so they would leave it together.
    pub(super) fn of(
        session: &'s Session,
        is_stored: bool,
        seed: ChoiceSeed,
        client: impl FnOnce() -> Option<u64>,
    ) -> Self {
        match (session, seed) {
            (Session::Live(_), ChoiceSeed::Fixed(seed)) if is_stored => Self::Key(seed),
            (Session::Foreign(pin), _) => {
                client().map_or(Self::Pin(pin), |client| Self::Key(pin.seed_for(client)))
            }
            (Session::Live(pin), _) => Self::Pin(pin),
            (Session::New(_) | Session::Unbound, seed) => Self::Policy(seed),
        }
    }
}

impl<'p, T> Search<'p, '_, T> {
    /// Chooses for a session that begins, and for a request that has none.
    #[inline(always)] // as `choose_inline`
    pub(super) fn for_new(&self) -> Option<Position> {
        if let Some(pool) = self.taker {
            let chosen = self.choose_inline(pool, Eligible::ForNewSessions, Preference::Any);
            if let Some(endpoint) = chosen {
                return Some(endpoint.position());
            }
        }
        self.for_new_in_order()
    }

    #[inline(never)]
    fn for_new_in_order(&self) -> Option<Position> {
        let takers = self.in_order().filter(|pool| !self.sheds_new(*pool));
        self.first_of(takers, Eligible::ForNewSessions)
            .or_else(|| self.in_fallback())
            .or_else(|| self.first_of(self.in_order(), Eligible::ForNewSessions))
            .map(EndpointView::position)
    }

    /// Prepares the search for a session that begins: finds the [`taker`](Search::taker), and draws
    /// the random bits if the choice will use them.
    #[inline]
    pub(super) fn begin(&mut self, entropy: impl FnOnce() -> u64) {
        self.taker = self.pools.taker().filter(|_| matches!(self.preferences(), [_]));
        self.drawn = self.needs_entropy().then(entropy);
    }

    /// Chooses for a live session whose endpoint no longer takes it, to be moved or lent. The
    /// shedding of new sessions does not concern it. `own` is the pool of that endpoint, if it is
    /// known.
    pub(super) fn for_moved(&self, own: Option<PoolView<'p, T>>) -> Option<EndpointView<'p, T>> {
        self.first_of(self.in_order_from(own), Eligible::ForNewSessions)
            .or_else(|| self.in_fallback())
    }

    /// Chooses for a live session that its pool sheds: the open pools after it, then the fallback.
    pub(super) fn for_shed(&self, own: PoolView<'p, T>) -> Option<EndpointView<'p, T>> {
        let next = self.first_of(self.in_order_after(own), Eligible::ForNewSessions);
        if self.pools.fallback().is_some_and(|fallback| fallback.index() == own.index()) {
            return next;
        }
        next.or_else(|| self.in_fallback())
    }

    /// Chooses after a passive failure: from the attempt's own pool, critical or not, then from
    /// the other open pools if the failover scope has them.
    pub(super) fn next(&self, own: PoolId) -> Option<EndpointView<'p, T>> {
        self.first_of(self.reachable_from(own), Eligible::ForNewSessions)
    }

    /// Chooses after a passive failure, as [`Search::next`], but never a suspect.
    pub(super) fn next_trusted(&self, own: PoolId) -> Option<EndpointView<'p, T>> {
        self.next_with_room(own).or_else(|| self.next_of(own, Preference::Trusted))
    }

    /// Chooses as [`Search::next`], but never a suspect, nor an endpoint that is full.
    pub(super) fn next_with_room(&self, own: PoolId) -> Option<EndpointView<'p, T>> {
        self.next_of(own, Preference::WithRoom)
    }

    fn next_of(&self, own: PoolId, preference: Preference) -> Option<EndpointView<'p, T>> {
        self.reachable_from(own)
            .find_map(|pool| self.choose(pool, Eligible::ForNewSessions, preference))
    }

    /// Returns whether an endpoint is an enabled one of the fallback pool, itself enabled, while no
    /// pool is open and no endpoint of the fallback pool takes new sessions either.
    pub(super) fn is_last_resort(&self, endpoint: EndpointView<'p, T>) -> bool {
        let (own, Some(fallback)) = (endpoint.pool(), self.pools.fallback()) else { return false };
        own.index() == fallback.index()
            && !own.is_accepting()
            && endpoint.state().is_enabled()
            && own.state().is_enabled()
            && self.pools.open().next().is_none()
    }

    /// Checks that an endpoint takes its pinned sessions; the error is the reason why it does not.
    pub(super) fn takes_pinned(&self, endpoint: EndpointView<'p, T>) -> Result<(), Lost> {
        let drain = self.rules.drain_duration;
        match endpoint.state().phase(endpoint.pool().state(), drain, self.now) {
            DrainPhase::Over if drain == DrainDuration::NONE => Err(Lost::Disabled),
            DrainPhase::Over => Err(Lost::Drained),
            _ if endpoint.health() == Health::Unhealthy => Err(Lost::Unhealthy),
            _ => Ok(()),
        }
    }

    /// Returns whether a pool sheds this live session: by its key, so that a session has one fate
    /// whatever address states it, or else by the client's address. Without either it does not.
    pub(super) fn sheds_session(&self, pool: PoolView<'p, T>) -> bool {
        let percent = pool.shedding().session_percent;
        percent > Percent::ZERO && self.shed_number().is_some_and(|it| is_shed(it, percent))
    }

    fn shed_number(&self) -> Option<u64> {
        match self.session_key {
            Some(key) => Some(self.clients.shed_session(&key.0)),
            None => self.client.map(|client| self.clients.shed(client)),
        }
    }

    pub(super) fn is_suspect(&self, endpoint: EndpointView<'p, T>) -> bool {
        self.rules.cooling_off > CoolingOff::OFF && endpoint.is_suspect(self.now)
    }

    pub(super) fn is_full(&self, endpoint: EndpointView<'p, T>) -> bool {
        self.pools.has_room_rule() && endpoint.is_full()
    }

    pub(super) fn sheds_new(&self, pool: PoolView<'p, T>) -> bool {
        let shedding = pool.shedding();
        if shedding.default_percent == Percent::ZERO {
            return false;
        }
        let number = match (shedding.shed_by, self.client) {
            (ShedBy::Hash, Some(client)) => self.clients.shed(client),
            (ShedBy::Hash, None) | (ShedBy::Random, _) => {
                shed_number(self.drawn.unwrap_or(0), pool.index())
            }
        };
        is_shed(number, shedding.default_percent)
    }

    fn in_fallback(&self) -> Option<EndpointView<'p, T>> {
        self.first_of(self.pools.fallback().into_iter(), Eligible::ForFallback)
    }

    /// The attempt's own pool, then the other open pools if the failover scope has them.
    fn reachable_from(
        &self,
        own: PoolId,
    ) -> impl Iterator<Item = PoolView<'p, T>> + Clone + use<'p, T> {
        let across = self.rules.failover_scope == FailoverScope::AllPools;
        let others = across.then(|| self.in_order()).into_iter().flatten();
        let others = others.filter(move |pool| pool.id() != own);
        self.pools.iter().find(|pool| pool.id() == own).into_iter().chain(others)
    }

    /// The choice of the first pool that has one. In a pool those with room come first, then full
    /// ones, then suspects; the latter two before other pools unless failover may leave it.
    fn first_of(
        &self,
        mut pools: impl Iterator<Item = PoolView<'p, T>> + Clone,
        eligible: Eligible,
    ) -> Option<EndpointView<'p, T>> {
        let mut preferences = self.preferences().iter();
        match self.rules.failover_scope {
            FailoverScope::OwnPool => pools.find_map(|pool| {
                preferences.clone().find_map(|it| self.choose(pool, eligible, *it))
            }),
            FailoverScope::AllPools => preferences
                .find_map(|it| pools.clone().find_map(|pool| self.choose(pool, eligible, *it))),
        }
    }

    pub(super) fn preferences(&self) -> &'static [Preference] {
        Preference::order(self.pools.has_room_rule(), self.rules.cooling_off)
    }

    #[inline]
    pub(super) fn candidates<'a>(
        &'a self,
        pool: PoolView<'a, T>,
        eligible: Eligible,
        preference: Preference,
    ) -> Candidates<'a, T> {
        let is_trusting =
            preference == Preference::Any || self.rules.cooling_off == CoolingOff::OFF;
        let suspects = if is_trusting { Suspects::Included } else { Suspects::Excluded };
        let mut candidates = pool.candidates(eligible, suspects, self.now, self.tried);
        if preference == Preference::WithRoom {
            candidates.occupancy = pool.occupancy();
        }
        candidates
    }

    #[inline(never)]
    fn choose(
        &self,
        pool: PoolView<'p, T>,
        eligible: Eligible,
        preference: Preference,
    ) -> Option<EndpointView<'p, T>> {
        self.choose_inline(pool, eligible, preference)
    }

    /// Does as [`Search::choose`], for the choice that most new sessions make: its parts would be moved
    /// in vectors, which wait for the words that were written.
    #[inline(always)]
    fn choose_inline(
        &self,
        pool: PoolView<'p, T>,
        eligible: Eligible,
        preference: Preference,
    ) -> Option<EndpointView<'p, T>> {
        let candidates = self.candidates(pool, eligible, preference);
        let preferred = |seed| candidates.preferred(seed).map(|chosen| chosen.place);
        let place = match self.chooser {
            Chooser::Key(seed) => preferred(seed),
            Chooser::Pin(pin) => preferred(pin.seed()),
            // A steering of the embedder's is not asked where there is no candidate.
            Chooser::Policy(_) if candidates.is_empty() => None,
            Chooser::Policy(seed) => {
                let seed = self.seed(seed, pool.steering().seeding());
                match pool.steering().choose(&candidates, seed) {
                    Some(chosen) => Some(chosen.place),
                    None => preferred(seed.value()),
                }
            }
        };
        pool.chosen(place?)
    }

    /// The seed of a choice that no live session decides. A failover that comes to a pool of the
    /// other kind has only the bits that were drawn before; without those the address serves.
    pub(super) fn seed(&self, seed: ChoiceSeed, seeding: Seeding) -> Seed {
        let by_client = || self.client.map(|client| Seed::Stable(self.clients.seed(client)));
        let by_entropy = || self.drawn.map(Seed::Entropy);
        let seed = match (seed, seeding) {
            (ChoiceSeed::Fixed(seed), _) => Some(Seed::Stable(seed)),
            (ChoiceSeed::ClientIp, _) | (ChoiceSeed::Steering, Seeding::ClientIp) => {
                by_client().or_else(by_entropy)
            }
            (ChoiceSeed::Steering, Seeding::Entropy) => by_entropy().or_else(by_client),
        };
        seed.unwrap_or(Seed::Stable(0))
    }
}
