//! The pin lives in a signed cookie.

use super::{AffinityPolicy, Claim, Life, Recall, Served, Settlement, Transition};
use crate::cookies::{CookieName, Lines, SetCookie};
use crate::endpoint::EndpointId;
use crate::keys::Keyring;
use crate::names::Name;
use crate::request::RequestMeta;
use crate::time::UnixTime;
use crate::token::{Pin, Rejected, TokenCodec};

/// The pin lives in a signed cookie, and nowhere else: every node with the same keys
/// reads it. Cloudflare: `cookie`.
///
/// A session's life is absolute: use does not restart it. A new session's endpoint is
/// chosen by entropy, or by the client's address where the pool steers by
/// [`Hash`](struct@crate::steering::Hash).
///
/// ```
/// use session_affinity::{Affinity, CookiePolicy, Key, Keyring, Name, Secret};
/// let keyring = Keyring::from(Key::new(1, Secret::new([7; 32])?));
/// let shop = Name::new("shop.example.com")?;
/// let affinity = Affinity::new(&shop, CookiePolicy::new(&shop, &keyring, Default::default()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct CookiePolicy {
    codec: TokenCodec,
    set_cookie: SetCookie,
    lines: Lines,
}

/// How many cookies of our name are tried on one request.
const MOST_TRIED: usize = 4;

impl CookiePolicy {
    /// With the default lifetime and clock skew.
    pub fn new(load_balancer: &Name, keyring: &Keyring, set_cookie: SetCookie) -> Self {
        let codec = TokenCodec::new(load_balancer, set_cookie.name(), keyring);
        Self { lines: set_cookie.lines(codec.ttl()), codec, set_cookie }
    }

    /// With another lifetime or clock skew, by way of [`TokenCodec::with_ttl`] and
    /// [`TokenCodec::with_clock_skew`].
    #[must_use]
    pub fn map_codec(mut self, change: impl FnOnce(TokenCodec) -> TokenCodec) -> Self {
        self.codec = change(self.codec);
        self.lines = self.set_cookie.lines(self.codec.ttl());
        self
    }

    /// The first cookie of our name that passes all checks, or the first one's reason.
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

    fn pin(&self, endpoint: EndpointId, served: &Served) -> Settlement {
        let expires = served.now.saturating_add(self.codec.ttl().get());
        let token = self.codec.seal(&Pin { endpoint, issued: served.now, expires });
        match self.lines.line(&token, expires, served.scheme) {
            Some(line) => Settlement::cookie(line),
            None => Settlement::nothing(),
        }
    }
}

impl AffinityPolicy for CookiePolicy {
    fn recall(&self, request: &RequestMeta<'_>, now: UnixTime) -> Recall {
        let claim = match self.find(request, now) {
            Ok(pin) => Claim::Carried(pin),
            Err(reason) => Claim::New(reason),
        };
        Recall { claim, seed: None }
    }

    fn remember(&self, served: &Served) -> Settlement {
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

    fn life(&self) -> Option<Life> {
        Some(Life::Absolute(self.codec.ttl().get()))
    }
}
