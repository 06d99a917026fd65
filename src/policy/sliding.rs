//! The policy that renews the sessions of another one when they are used.

use super::{
    AffinityPolicy, ForeignCookie, Forgotten, InvalidLife, Life, Recall, Served, Settlement,
    Transition,
};
use crate::carrier::Carrier;
use crate::failover::FailoverMode;
use crate::limits::RenewAfter;
use crate::names::LoadBalancer;
use crate::pin::Pin;
use crate::request::RequestMeta;
use crate::time::UnixTime;

/// Renews a session in a cookie or an issued header when it is used: a sliding session, which ends
/// one lifetime after the last renewal. HAProxy: `maxidle`.
///
/// It wraps [`CookiePolicy`](super::CookiePolicy), [`IpCookiePolicy`](super::IpCookiePolicy) or
/// another policy whose sessions have an absolute life. A kept request gets a new token once
/// [`RenewAfter`] of the life is over, by default half of it, so few responses carry one; the
/// endpoint, the bytes and the outcome `kept` are those of the wrapped policy. So a session ends
/// between that share of the life and the whole of it after its last use. A request that is lent
/// renews nothing: its pin is unchanged.
///
/// A renewed pin has a new time of issue, so later choices (a second home, a move) are those of a session that
/// begins now.
///
/// ```
/// use session_affinity::cookies::SetCookie;
/// use session_affinity::limits::{RenewAfter, Ttl};
/// use session_affinity::policy::SlidingPolicy;
/// use session_affinity::{Affinity, CookiePolicy, Key, Keyring, LoadBalancer, Secret};
/// let secret = Secret::from_base64("dGhpcyBpcyBhbiBleGFtcGxlLCBub3QgYSBzZWNyZXQ=")?;
/// let keyring = Keyring::from(Key::new(1, secret));
/// let shop = LoadBalancer::new("shop.example.com")?;
/// let cookie = CookiePolicy::new(&shop, &keyring, SetCookie::default()).with_ttl(Ttl::new(1_800)?);
/// let policy = SlidingPolicy::new(cookie)?.with_renew_after(RenewAfter::new(25)?);
/// let affinity = Affinity::new(policy);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SlidingPolicy<P> {
    policy: P,
    life: Life,
    renew_after: RenewAfter,
}

impl<P: AffinityPolicy> SlidingPolicy<P> {
    /// Lets use renew the sessions of a policy, once half of their life is over.
    ///
    /// # Errors
    /// [`InvalidLife`] for a policy of another life than [`Life::Absolute`] or [`Life::Unknown`]: a
    /// header session is renewed by each use as it is, and `none` has no sessions.
    pub fn new(policy: P) -> Result<Self, InvalidLife> {
        let life = match policy.life() {
            Life::Absolute(ttl) => Life::Idle(ttl),
            Life::Unknown => Life::Unknown,
            life @ (Life::Idle(_) | Life::Sessionless) => {
                let allowed = "Life::Absolute or Life::Unknown";
                return Err(InvalidLife::new("SlidingPolicy", life, allowed));
            }
        };
        Ok(Self { policy, life, renew_after: RenewAfter::DEFAULT })
    }

    /// Sets the share of the life after which use renews a session.
    #[must_use]
    pub fn with_renew_after(mut self, renew_after: RenewAfter) -> Self {
        self.renew_after = renew_after;
        self
    }

    fn is_due(&self, pin: Pin, now: UnixTime) -> bool {
        let life = pin.expires.seconds_since(pin.issued);
        let share = life.saturating_mul(self.renew_after.get().into());
        now.seconds_since(pin.issued).saturating_mul(100) >= share
    }
}

impl<P: AffinityPolicy> AffinityPolicy for SlidingPolicy<P> {
    fn load_balancer(&self) -> &LoadBalancer {
        self.policy.load_balancer()
    }

    fn read(&self, request: &RequestMeta<'_>, now: UnixTime) -> Recall {
        self.policy.read(request, now)
    }

    fn remember(&self, served: &Served<'_>) -> Settlement {
        match served.transition {
            Transition::Kept(pin) if self.is_due(pin, served.now) => {
                // To the wrapped policy it is a new session at the same endpoint.
                let renewed = Transition::Created { endpoint: pin.endpoint };
                self.policy.remember(&served.with_transition(renewed))
            }
            _ => self.policy.remember(served),
        }
    }

    fn forget(&self, forgotten: &Forgotten<'_>) -> Settlement {
        self.policy.forget(forgotten)
    }

    fn carrier(&self) -> Option<&Carrier> {
        self.policy.carrier()
    }

    fn foreign_cookies(&self) -> &[ForeignCookie] {
        self.policy.foreign_cookies()
    }

    /// Idle, with the lifetime of the wrapped policy: a drain is measured by it.
    fn life(&self) -> Life {
        self.life
    }

    fn supports(&self, mode: FailoverMode) -> bool {
        self.policy.supports(mode)
    }
}
