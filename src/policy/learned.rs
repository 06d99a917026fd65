//! The policy that learns sessions from the application's own session cookie.

use super::{
    AffinityPolicy, Claim, Forgotten, HeaderPolicy, Life, Recall, Served, Settlement, Transition,
    is_interim,
};
use crate::carrier::Carrier;
use crate::cookies::{CookieName, ResponseCookie};
use crate::endpoint::EndpointId;
use crate::failover::FailoverMode;
use crate::keys::Secret;
use crate::limits::Ttl;
use crate::names::LoadBalancer;
use crate::request::RequestMeta;
use crate::store::WriteKind;
use crate::time::UnixTime;

/// Keeps the pin in a store, under the application's own session cookie, and learns it from the
/// response that sets the cookie: the endpoint that has made the session gets its next request.
/// HAProxy: `stick store-response res.cook(NAME)` with `stick on req.cook(NAME)`; nginx: `sticky
/// learn`.
///
/// Keys and records are those of [`HeaderPolicy`] with the entry `cookie:NAME`, so either reads the
/// sessions of the other. Of several cookies of the name in one request the first with a value
/// counts, as clients send that of the longest path first.
///
/// | the response | is written |
/// |---|---|
/// | sets the cookie to another value than that of the request's first cookie | *create*: a record of the new value, for the endpoint that has answered; the record of the old one stays until it idles out |
/// | removes the cookie: an empty value, `Max-Age` 0 or less, or `Expires` in the past | *remove*: the record of the request's cookie |
/// | does neither | as for a header session; nothing for a request without the cookie |
///
/// The policy has to see the response: [`Affinity::settle_response`](crate::Affinity::settle_response)
/// shows it, and so do [`Exchange`](crate::Exchange) and the tower layer. The cookie goes upstream,
/// as it is the application's. [`FailoverMode::Sticky`] is refused, as by `header`.
///
/// ```
/// use session_affinity::cookies::CookieName;
/// use session_affinity::policy::LearnedPolicy;
/// use session_affinity::{Affinity, LoadBalancer, Secret};
/// let shop = LoadBalancer::new("shop.example.com")?;
/// let secret = Secret::from_base64("dGhpcyBpcyBhbiBleGFtcGxlLCBub3QgYSBzZWNyZXQ=")?;
/// let affinity = Affinity::new(LearnedPolicy::new(&shop, &secret, CookieName::new("JSESSIONID")?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct LearnedPolicy {
    header: HeaderPolicy,
    name: CookieName,
}

impl LearnedPolicy {
    /// Creates the policy for the application's cookie of this name, with the idle time of
    /// [`HeaderPolicy::DEFAULT_TTL`].
    pub fn new(load_balancer: &LoadBalancer, session_secret: &Secret, name: CookieName) -> Self {
        let header = HeaderPolicy::of_cookie(load_balancer, session_secret, name.clone());
        Self { header, name }
    }

    /// Sets the idle time after which a session ends.
    #[must_use]
    pub fn with_ttl(self, ttl: Ttl) -> Self {
        Self { header: self.header.with_ttl(ttl), ..self }
    }

    /// Sets the name of the affinity cookie that clients may have from another policy, by default
    /// `__cflb`. It is stripped from upstream requests.
    #[must_use]
    pub fn with_own_cookie(self, own_cookie: CookieName) -> Self {
        Self { header: self.header.with_own_cookie(own_cookie), ..self }
    }

    /// Returns what the response does to the application's cookie.
    fn learned<'a>(&self, served: &Served<'a>) -> Option<ResponseCookie<'a>> {
        let response = served.response?;
        if is_interim(response.status) {
            return None;
        }
        ResponseCookie::of(&self.name, response.headers, served.now)
    }
}

/// Returns the endpoint that has answered.
fn answered(transition: Transition) -> EndpointId {
    match transition {
        Transition::Kept(pin) => pin.endpoint,
        Transition::Created { endpoint }
        | Transition::Moved { endpoint, .. }
        | Transition::Lent { endpoint, .. } => endpoint,
    }
}

impl AffinityPolicy for LearnedPolicy {
    fn load_balancer(&self) -> &LoadBalancer {
        self.header.load_balancer()
    }

    /// A request without the cookie is new, not unbound: its response may begin the session, and a
    /// drain must know of it.
    fn read(&self, request: &RequestMeta<'_>, _: UnixTime) -> Recall {
        let value = self.name.values(request.headers).find(|value| !value.is_empty());
        let key = value.map(|value| self.header.key_of_cookie(value));
        key.map_or(Recall::from(Claim::New(None)), HeaderPolicy::recall)
    }

    fn remember(&self, served: &Served<'_>) -> Settlement {
        match (self.learned(served), served.session_key) {
            (Some(ResponseCookie::Set(value)), old) => {
                let key = self.header.key_of_cookie(value);
                if old == Some(&key) {
                    return self.header.remember(served);
                }
                let kind = WriteKind::Create(answered(served.transition));
                self.header.write(&key, kind, served.now)
            }
            (Some(ResponseCookie::Removed), Some(key)) => {
                self.header.write(key, WriteKind::Remove, served.now)
            }
            (Some(ResponseCookie::Removed), None) => Settlement::nothing(),
            (None, _) => self.header.remember(served),
        }
    }

    /// Removes the record.
    fn forget(&self, forgotten: &Forgotten<'_>) -> Settlement {
        self.header.forget(forgotten)
    }

    /// The cookie that clients may have from another policy. `None` where the application's own has
    /// that name: it goes upstream.
    fn carrier(&self) -> Option<&Carrier> {
        self.header.carrier().filter(|carrier| carrier.cookie_name() != Some(&self.name))
    }

    fn life(&self) -> Life {
        self.header.life()
    }

    fn supports(&self, mode: FailoverMode) -> bool {
        self.header.supports(mode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Scheme;
    use http::HeaderMap;
    use http::header::{COOKIE, HeaderValue};

    #[test]
    fn a_key_is_that_of_the_policy_header_with_the_entry_of_the_cookie() {
        let shop = LoadBalancer::new("shop").unwrap();
        let secret = Secret::new([7; 32]).unwrap();
        let learned = LearnedPolicy::new(&shop, &secret, CookieName::new("SID").unwrap());
        let header = HeaderPolicy::new(&shop, &secret, &["cookie:SID"]).unwrap();
        for value in ["1", "a=b", "\"quoted\""] {
            let line = HeaderValue::from_str(&format!("x=y; SID={value}")).unwrap();
            let headers = HeaderMap::from_iter([(COOKIE, line)]);
            let request = RequestMeta::new(&headers, Scheme::Https);
            let now = UnixTime::EPOCH;
            assert_eq!(learned.read(&request, now), header.read(&request, now), "{value}");
        }
    }
}
