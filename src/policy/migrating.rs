//! The policy that takes over the sessions of another system.

use super::{
    AffinityPolicy, Claim, ForeignCookie, Forgotten, InvalidLife, Life, Recall, Served, Settlement,
    Transition,
};
use crate::carrier::Carrier;
use crate::failover::FailoverMode;
use crate::names::LoadBalancer;
use crate::request::RequestMeta;
use crate::time::UnixTime;

/// Takes over the sessions of another system, such as the proxy before this one, without moving
/// one: its cookie is accepted where ours is missing, and ours takes its place.
///
/// It wraps [`CookiePolicy`](super::CookiePolicy), [`IpCookiePolicy`](super::IpCookiePolicy) or
/// another policy whose sessions have an absolute life; for a sliding session put
/// [`SlidingPolicy`](super::SlidingPolicy) around it.
///
/// - The wrapped policy reads first. Only a request without any cookie of ours falls back to the
///   foreign ones, in their order: a cookie of ours that has expired or is forged does not.
/// - The session is live at the endpoint that the [`ForeignCookie`] names, so the tables hold for it.
///   Where another session would be kept, its outcome is
///   [`Outcome::Migrated`](crate::Outcome::Migrated): when that label is gone from the metrics, the
///   cookies that the old proxy had made are gone.
/// - A response that brings our cookie takes the foreign ones back, and they are stripped from
///   upstream requests; both unless they are the application's. A request that is lent writes
///   nothing: the old cookie stays.
///
/// The end of a foreign session is unknown, and it becomes a session of ours at any time, on a
/// draining endpoint too. So the life is [`Life::Unknown`]: while the policy is used, each drain takes
/// its whole duration. Afterwards use the wrapped policy itself: its cookies go on. With
/// [`ForeignFormat::Prefix`](super::ForeignFormat::Prefix) clients keep the prefix for as long as the
/// application's cookie lives, whatever the label says, and this policy alone cuts it off: keep it,
/// after [`with_until`](Self::with_until) too, until those cookies have expired.
///
/// ```
/// use session_affinity::cookies::{CookieName, SetCookie};
/// use session_affinity::policy::{ForeignCookie, ForeignFormat, MigratingPolicy};
/// use session_affinity::{Affinity, CookiePolicy, EndpointId, Key, Keyring, LoadBalancer, Secret, UnixTime};
/// let secret = Secret::from_base64("dGhpcyBpcyBhbiBleGFtcGxlLCBub3QgYSBzZWNyZXQ=")?;
/// let keyring = Keyring::from(Key::new(1, secret));
/// let shop = LoadBalancer::new("shop.example.com")?;
/// let cookie = CookiePolicy::new(&shop, &keyring, SetCookie::default());
/// let haproxy = ForeignCookie::new(CookieName::new("SERVERID")?)
///     .with_format(ForeignFormat::HAPROXY_INSERT)
///     .with_endpoint("s1", EndpointId::new("eu", "eu-1"));
/// let policy = MigratingPolicy::new(cookie)?
///     .with_cookie(haproxy)
///     .with_until(UnixTime::from_secs(1_900_000_000));
/// let affinity = Affinity::new(policy);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct MigratingPolicy<P> {
    policy: P,
    cookies: Vec<ForeignCookie>,
    until: UnixTime,
}

impl<P: AffinityPolicy> MigratingPolicy<P> {
    /// Wraps a policy, as yet without a foreign cookie.
    ///
    /// # Errors
    /// [`InvalidLife`] for a policy of another life than [`Life::Absolute`]: a header session is
    /// found by the store, after the foreign cookies would have been read.
    pub fn new(policy: P) -> Result<Self, InvalidLife> {
        match policy.life() {
            Life::Absolute(_) => Ok(Self { policy, cookies: Vec::new(), until: UnixTime::MAX }),
            life => Err(InvalidLife::new("MigratingPolicy", life, "Life::Absolute")),
        }
    }

    /// Adds a foreign cookie. Those before it are read first. Its name must be another one than that
    /// of the wrapped policy's cookie, which is read first and would be of that name.
    #[must_use]
    pub fn with_cookie(mut self, cookie: ForeignCookie) -> Self {
        self.cookies.push(cookie);
        self
    }

    /// Sets the time from which on foreign cookies are not accepted. They are stripped from upstream
    /// requests all the same. By default they are accepted for ever.
    #[must_use]
    pub fn with_until(mut self, until: UnixTime) -> Self {
        self.until = until;
        self
    }

    /// Adds the lines that take the foreign cookies back.
    fn taking_back(&self, settlement: Settlement) -> Settlement {
        let ours = self.policy.carrier().and_then(Carrier::cookie_name);
        // The removal of a cookie of our name would take the new one back.
        let foreign = self.cookies.iter().filter(|cookie| Some(cookie.name()) != ours);
        let removals = foreign.filter_map(ForeignCookie::removal).cloned();
        removals.fold(settlement, Settlement::with_removal)
    }
}

impl<P: AffinityPolicy> AffinityPolicy for MigratingPolicy<P> {
    fn load_balancer(&self) -> &LoadBalancer {
        self.policy.load_balancer()
    }

    fn read(&self, request: &RequestMeta<'_>, now: UnixTime) -> Recall {
        let recall = self.policy.read(request, now);
        if recall.claim != Claim::New(None) || now >= self.until {
            return recall;
        }
        let found = self.cookies.iter().find_map(|cookie| cookie.find(request.headers));
        found.map_or(recall, |endpoint| Recall { claim: Claim::Foreign(endpoint), ..recall })
    }

    fn remember(&self, served: &Served<'_>) -> Settlement {
        let settlement = self.policy.remember(served);
        let is_pinned = match served.transition {
            Transition::Created { .. } | Transition::Moved { .. } => settlement.response.is_some(),
            Transition::Kept(_) | Transition::Lent { .. } => false,
        };
        if served.is_foreign && is_pinned { self.taking_back(settlement) } else { settlement }
    }

    /// Takes the foreign cookies back as well, or the next request would begin with one.
    fn forget(&self, forgotten: &Forgotten<'_>) -> Settlement {
        self.taking_back(self.policy.forget(forgotten))
    }

    fn carrier(&self) -> Option<&Carrier> {
        self.policy.carrier()
    }

    fn foreign_cookies(&self) -> &[ForeignCookie] {
        &self.cookies
    }

    /// Unknown: another system knows when its sessions end.
    fn life(&self) -> Life {
        Life::Unknown
    }

    fn supports(&self, mode: FailoverMode) -> bool {
        self.policy.supports(mode)
    }
}
