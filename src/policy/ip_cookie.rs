//! The pin lives in a signed cookie; the client's address makes the first choice.

use super::{AffinityPolicy, CookiePolicy, Life, Recall, Served, Settlement};
use crate::bounds::Ipv6Prefix;
use crate::client::ClientHash;
use crate::cookies::CookieName;
use crate::names::Name;
use crate::request::RequestMeta;
use crate::time::UnixTime;

/// As [`CookiePolicy`], but the client's address makes the first choice, so that a
/// client without a cookie comes to the same endpoint on every node. A valid cookie
/// beats the address; without an address, entropy decides. Cloudflare: `ip_cookie`.
#[derive(Clone, Debug)]
pub struct IpCookiePolicy {
    cookie: CookiePolicy,
    clients: ClientHash,
}

impl IpCookiePolicy {
    /// Adds the address to a cookie policy. The load balancer's name keys the hash:
    /// rotating signing keys moves no client.
    pub fn new(load_balancer: &Name, ipv6_prefix: Ipv6Prefix, cookie: CookiePolicy) -> Self {
        Self { cookie, clients: ClientHash::new(load_balancer, ipv6_prefix) }
    }
}

impl AffinityPolicy for IpCookiePolicy {
    fn recall(&self, request: &RequestMeta<'_>, now: UnixTime) -> Recall {
        let seed = request.client_ip.map(|ip| self.clients.seed(self.clients.address(ip)));
        Recall { seed, ..self.cookie.recall(request, now) }
    }

    fn remember(&self, served: &Served) -> Settlement {
        self.cookie.remember(served)
    }

    fn cookie_name(&self) -> Option<&CookieName> {
        self.cookie.cookie_name()
    }

    fn life(&self) -> Option<Life> {
        self.cookie.life()
    }
}
