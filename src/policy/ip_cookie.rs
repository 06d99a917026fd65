//! The policy that keeps the pin in a cookie and makes the first choice by the client's address.

use super::{
    AffinityPolicy, ChoiceSeed, CookiePolicy, Forgotten, Life, Recall, Served, Settlement,
};
use crate::carrier::Carrier;
use crate::names::LoadBalancer;
use crate::request::RequestMeta;
use crate::time::UnixTime;

/// Keeps the pin in a signed cookie or an issued header as [`CookiePolicy`] does, but makes the first choice by the
/// client's address, so that a client without a cookie comes to the same endpoint on every
/// node. A valid cookie beats the address. Without an address, entropy decides. Cloudflare:
/// `ip_cookie`.
///
/// The bits of an IPv6 address that count are set by
/// [`Affinity::with_ipv6_prefix`](crate::Affinity::with_ipv6_prefix). The name of the load
/// balancer keys the hash of the address, so rotating signing keys moves no client.
///
/// ```
/// use session_affinity::cookies::SetCookie;
/// use session_affinity::{Affinity, CookiePolicy, IpCookiePolicy, Key, Keyring, LoadBalancer, Secret};
/// let secret = Secret::from_base64("dGhpcyBpcyBhbiBleGFtcGxlLCBub3QgYSBzZWNyZXQ=")?;
/// let keyring = Keyring::from(Key::new(1, secret));
/// let shop = LoadBalancer::new("shop.example.com")?;
/// let policy = IpCookiePolicy::new(CookiePolicy::new(&shop, &keyring, SetCookie::default()));
/// let affinity = Affinity::new(policy);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct IpCookiePolicy {
    cookie: CookiePolicy,
}

impl IpCookiePolicy {
    /// Adds the client's address to a cookie policy.
    pub fn new(cookie: CookiePolicy) -> Self {
        Self { cookie }
    }
}

impl AffinityPolicy for IpCookiePolicy {
    fn load_balancer(&self) -> &LoadBalancer {
        self.cookie.load_balancer()
    }

    fn read(&self, request: &RequestMeta<'_>, now: UnixTime) -> Recall {
        Recall { seed: ChoiceSeed::ClientIp, ..self.cookie.read(request, now) }
    }

    fn remember(&self, served: &Served<'_>) -> Settlement {
        self.cookie.remember(served)
    }

    fn forget(&self, forgotten: &Forgotten<'_>) -> Settlement {
        self.cookie.forget(forgotten)
    }

    fn carrier(&self) -> Option<&Carrier> {
        self.cookie.carrier()
    }

    fn life(&self) -> Life {
        self.cookie.life()
    }
}
