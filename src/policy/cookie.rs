//! The policy that keeps the pin in a signed cookie, or in an issued header.

use http::HeaderValue;

use super::{AffinityPolicy, Claim, Forgotten, Life, Recall, Served, Settlement, Transition};
use crate::carrier::{Carrier, IssuedHeader};
use crate::cookies::{Lines, SetCookie};
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
/// For clients that keep no cookies but send a header back, [`CookiePolicy::in_header`] puts the
/// same token into a header that the gateway issues.
///
/// ```
/// use session_affinity::cookies::SetCookie;
/// use session_affinity::limits::Ttl;
/// use session_affinity::{Affinity, CookiePolicy, Key, Keyring, LoadBalancer, Secret};
/// let secret = Secret::from_base64("dGhpcyBpcyBhbiBleGFtcGxlLCBub3QgYSBzZWNyZXQ=")?;
/// let keyring = Keyring::from(Key::new(1, secret));
/// let shop = LoadBalancer::new("shop.example.com")?;
/// let policy = CookiePolicy::new(&shop, &keyring, SetCookie::default()).with_ttl(Ttl::new(3_600)?);
/// let affinity = Affinity::new(policy);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct CookiePolicy {
    load_balancer: LoadBalancer,
    codec: TokenCodec,
    carrier: Carrier,
    /// The lines of the cookie; `None` where a header is the carrier.
    cookie: Option<Cookie>,
}

#[derive(Clone, Debug)]
struct Cookie {
    set_cookie: SetCookie,
    lines: Lines,
}

/// The number of cookies or headers of our name that are tried on one request.
const MOST_TRIED: usize = 4;

impl CookiePolicy {
    /// The lifetime of a session unless another one is set: 82 800 seconds.
    pub const DEFAULT_TTL: Ttl = TokenCodec::DEFAULT_TTL;

    /// Creates the policy with the default lifetime and clock skew.
    pub fn new(load_balancer: &LoadBalancer, keyring: &Keyring, set_cookie: SetCookie) -> Self {
        let lines = set_cookie.lines(Self::DEFAULT_TTL, Token::LEN);
        let carrier = Carrier::from(set_cookie.name());
        let cookie = Some(Cookie { set_cookie, lines });
        Self { cookie, ..Self::carried(load_balancer, keyring, carrier) }
    }

    /// Creates the policy with a header in the place of the cookie: the token is the value of this
    /// field in the response that begins a session, and the client sends it back. Lifetime and
    /// clock skew are the default.
    ///
    /// The scope of the tokens has the name of the header, so no token of a cookie opens here.
    ///
    /// ```
    /// use session_affinity::carrier::IssuedHeader;
    /// use session_affinity::{Affinity, CookiePolicy, Key, Keyring, LoadBalancer, Secret};
    /// let secret = Secret::from_base64("dGhpcyBpcyBhbiBleGFtcGxlLCBub3QgYSBzZWNyZXQ=")?;
    /// let keyring = Keyring::from(Key::new(1, secret));
    /// let shop = LoadBalancer::new("shop.example.com")?;
    /// let header = IssuedHeader::new("x-session-affinity")?;
    /// let affinity = Affinity::new(CookiePolicy::in_header(&shop, &keyring, header));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn in_header(
        load_balancer: &LoadBalancer,
        keyring: &Keyring,
        header: IssuedHeader,
    ) -> Self {
        Self::carried(load_balancer, keyring, header.into())
    }

    fn carried(load_balancer: &LoadBalancer, keyring: &Keyring, carrier: Carrier) -> Self {
        let codec = TokenCodec::new(load_balancer, &carrier, keyring);
        Self { load_balancer: load_balancer.clone(), codec, carrier, cookie: None }
    }

    /// Sets the lifetime of a session. Sessions that began under a longer one end sooner too.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Ttl) -> Self {
        self.codec = self.codec.with_ttl(ttl);
        if let Some(Cookie { set_cookie, lines }) = &mut self.cookie {
            *lines = set_cookie.lines(ttl, Token::LEN);
        }
        self
    }

    /// Sets the tolerance for the clocks of other nodes.
    #[must_use]
    pub fn with_clock_skew(mut self, clock_skew: ClockSkew) -> Self {
        self.codec = self.codec.with_clock_skew(clock_skew);
        self
    }

    /// Returns the pin of the first cookie or header of our name that passes all checks, or the
    /// reason of the first one that does not.
    #[inline]
    fn find(&self, request: &RequestMeta<'_>, now: UnixTime) -> Result<Pin, Option<Rejected>> {
        let Carrier::Cookie(name) = &self.carrier else {
            return self.find_among(request, None, now);
        };
        let first = name.first(request.headers).ok_or(None)?;
        match first.first().map(|text| self.codec.open_text(text, now)) {
            Some(Ok(pin)) => Ok(pin),
            // A text of the length and the alphabet of a token is the whole value.
            Some(Err(reason)) if reason != Rejected::Malformed => {
                self.find_among(request, Some(reason), now)
            }
            Some(Err(_)) | None => self.find_among(request, None, now),
        }
    }

    /// Does as [`CookiePolicy::find`], value by value. `first` is the reason for which the first one
    /// was refused, if it was opened already.
    #[inline(never)]
    fn find_among(
        &self,
        request: &RequestMeta<'_>,
        first: Option<Rejected>,
        now: UnixTime,
    ) -> Result<Pin, Option<Rejected>> {
        let opened = usize::from(first.is_some());
        let left = MOST_TRIED.saturating_sub(opened);
        match &self.carrier {
            Carrier::Cookie(name) => {
                let values = name.values(request.headers).skip(opened);
                self.find_in(values.take(left), first, now)
            }
            Carrier::Header(header) => {
                self.find_in(header.values(request.headers).take(left), first, now)
            }
        }
    }

    fn find_in<'a>(
        &self,
        values: impl Iterator<Item = &'a [u8]>,
        mut first: Option<Rejected>,
        now: UnixTime,
    ) -> Result<Pin, Option<Rejected>> {
        for value in values {
            match self.codec.open(value, now) {
                Ok(pin) => return Ok(pin),
                Err(reason) => first = first.or(Some(reason)),
            }
        }
        Err(first)
    }

    fn pin(&self, endpoint: EndpointId, served: &Served<'_>) -> Settlement {
        let expires = served.now.saturating_add(self.codec.ttl().get());
        // Copied and dated while the processor waits for the hashes.
        let line = || Some(self.cookie.as_ref()?.lines.draft(expires, served.scheme));
        let pin = Pin { endpoint, issued: served.now, expires };
        let (token, line) = self.codec.seal_beside(&pin, line);
        let settlement = match &self.carrier {
            Carrier::Cookie(_) => {
                line.and_then(|it| it.with_value(token.as_bytes())).map(Settlement::cookie)
            }
            Carrier::Header(header) => {
                let value = HeaderValue::from_bytes(token.as_bytes()).ok();
                value.map(|value| Settlement::header(header.clone(), value))
            }
        };
        // A token is valid in a field, so there is a settlement.
        settlement.unwrap_or_default()
    }
}

impl AffinityPolicy for CookiePolicy {
    fn load_balancer(&self) -> &LoadBalancer {
        &self.load_balancer
    }

    #[inline]
    fn read(&self, request: &RequestMeta<'_>, now: UnixTime) -> Recall {
        Recall::from(match self.find(request, now) {
            Ok(pin) => Claim::Carried(pin),
            Err(reason) => Claim::New(reason),
        })
    }

    #[inline]
    fn remember(&self, served: &Served<'_>) -> Settlement {
        match served.transition {
            Transition::Kept(_) | Transition::Lent { .. } => Settlement::nothing(),
            Transition::Created { endpoint } | Transition::Moved { endpoint, .. } => {
                self.pin(endpoint, served)
            }
        }
    }

    /// Makes the client drop its cookie. A client that was issued a header is told nothing: there is
    /// no field by which a server makes it forget one.
    fn forget(&self, forgotten: &Forgotten<'_>) -> Settlement {
        let removal = |cookie: &Cookie| cookie.set_cookie.removal(forgotten.scheme);
        self.cookie.as_ref().and_then(removal).map(Settlement::cookie).unwrap_or_default()
    }

    #[inline]
    fn carrier(&self) -> Option<&Carrier> {
        Some(&self.carrier)
    }

    #[inline]
    fn life(&self) -> Life {
        Life::Absolute(self.codec.ttl())
    }
}
