//! The policy that keeps the pin in a signed cookie.

use super::{AffinityPolicy, Claim, Life, Recall, Served, Settlement, Transition};
use crate::cookies::{CookieName, Lines, SetCookie};
use crate::endpoint::EndpointId;
use crate::keys::Keyring;
use crate::limits::{ClockSkew, Ttl};
use crate::names::LoadBalancer;
use crate::pin::Pin;
use crate::request::RequestMeta;
use crate::time::UnixTime;
use crate::token::{Rejected, Token, TokenCodec};

/// Keeps the pin in a signed cookie and nowhere else: every node with the same keys reads it.
/// Cloudflare: `cookie`.
///
/// A session ends a fixed time after it began; use does not restart it. Entropy chooses the
/// endpoint of a new session, or the client's address where the pool steers by
/// [`IpHash`](crate::steering::IpHash).
///
/// ```
/// use session_affinity::cookies::SetCookie;
/// use session_affinity::limits::Ttl;
/// use session_affinity::{Affinity, CookiePolicy, Key, Keyring, LoadBalancer, Secret};
/// let keyring = Keyring::from(Key::new(1, Secret::new([7; 32])?));
/// let shop = LoadBalancer::new("shop.example.com")?;
/// let policy = CookiePolicy::new(&shop, &keyring, SetCookie::default()).with_ttl(Ttl::new(3_600)?);
/// let affinity = Affinity::new(policy);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct CookiePolicy {
    load_balancer: LoadBalancer,
    codec: TokenCodec,
    set_cookie: SetCookie,
    lines: Lines,
}

/// The number of cookies of our name that are tried on one request.
const MOST_TRIED: usize = 4;

impl CookiePolicy {
    /// The lifetime of a session unless another one is set: 82 800 seconds.
    pub const DEFAULT_TTL: Ttl = TokenCodec::DEFAULT_TTL;

    /// Creates the policy with the default lifetime and clock skew.
    pub fn new(load_balancer: &LoadBalancer, keyring: &Keyring, set_cookie: SetCookie) -> Self {
        let codec = TokenCodec::new(load_balancer, set_cookie.name(), keyring);
        let lines = set_cookie.lines(codec.ttl(), Token::LEN);
        Self { load_balancer: load_balancer.clone(), codec, set_cookie, lines }
    }

    /// Sets the lifetime of a session. Sessions that began under a longer one end sooner too.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Ttl) -> Self {
        self.codec = self.codec.with_ttl(ttl);
        self.lines = self.set_cookie.lines(ttl, Token::LEN);
        self
    }

    /// Sets the tolerance for the clocks of other nodes.
    #[must_use]
    pub fn with_clock_skew(mut self, clock_skew: ClockSkew) -> Self {
        self.codec = self.codec.with_clock_skew(clock_skew);
        self
    }

    /// Returns the pin of the first cookie of our name that passes all checks, or the reason
    /// of the first one that does not.
    fn find(&self, request: &RequestMeta<'_>, now: UnixTime) -> Result<Pin, Option<Rejected>> {
        let mut first = None;
        for value in self.set_cookie.name().values(request.headers).take(MOST_TRIED) {
            match self.codec.open(value, now) {
                Ok(pin) => return Ok(pin),
                Err(reason) => first = first.or(Some(reason)),
            }
        }
        Err(first)
    }

    fn pin(&self, endpoint: EndpointId, served: &Served<'_>) -> Settlement {
        let expires = served.now.saturating_add(self.codec.ttl().get());
        let token = self.codec.seal(&Pin { endpoint, issued: served.now, expires });
        match self.lines.line(token.as_bytes(), expires, served.scheme) {
            Some(line) => Settlement::cookie(line),
            None => Settlement::nothing(),
        }
    }
}

impl AffinityPolicy for CookiePolicy {
    fn load_balancer(&self) -> &LoadBalancer {
        &self.load_balancer
    }

    fn read(&self, request: &RequestMeta<'_>, now: UnixTime) -> Recall {
        Recall::from(match self.find(request, now) {
            Ok(pin) => Claim::Carried(pin),
            Err(reason) => Claim::New(reason),
        })
    }

    fn remember(&self, served: &Served<'_>) -> Settlement {
        match served.transition {
            Transition::Kept(_) | Transition::Lent { .. } => Settlement::nothing(),
            Transition::Created { endpoint } | Transition::Moved { endpoint, .. } => {
                self.pin(endpoint, served)
            }
        }
    }

    fn cookie_name(&self) -> Option<&CookieName> {
        Some(self.set_cookie.name())
    }

    fn life(&self) -> Life {
        Life::Absolute(self.codec.ttl())
    }
}
