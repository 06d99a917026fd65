//! The policy that keeps the pin in a store, under a key made of the request's headers.

use std::fmt;

use hmac::digest::zeroize::Zeroizing;
use siphasher::sip128::{Hasher128, SipHasher24};

use super::{
    AffinityPolicy, ChoiceSeed, Claim, Forgotten, Life, Recall, Served, Settlement, Transition,
};
use crate::carrier::Carrier;
use crate::cookies::CookieName;
use crate::failover::FailoverMode;
use crate::keys::{Boxed, Secret};
use crate::limits::Ttl;
use crate::names::LoadBalancer;
use crate::request::RequestMeta;
use crate::store::{Record, SessionKey, StoreWrite, WriteKind};
use crate::time::UnixTime;

mod entry;

pub use entry::Require;

use entry::{HeaderEntry, bytes, number};

/// Keeps the pin in a store, under a key made of the configured headers. A session ends after
/// an idle time, which use restarts. Cloudflare: `header`.
///
/// Adding, removing or changing one of the headers makes a new session. The key is a
/// keyed hash of 16 bytes: the store never sees the value of a header, and clients cannot
/// construct two sets of headers with one key.
///
/// Each request asks the store before it is routed, and writes to it after it was served:
/// without the store every request is `created:no_record`. [`FailoverMode::Sticky`] is refused,
/// as Cloudflare does.
///
/// ```
/// use session_affinity::policy::Require;
/// use session_affinity::{Affinity, HeaderPolicy, LoadBalancer, Secret};
/// let shop = LoadBalancer::new("shop.example.com")?;
/// let secret = Secret::from_base64("dGhpcyBpcyBhbiBleGFtcGxlLCBub3QgYSBzZWNyZXQ=")?;
/// let policy = HeaderPolicy::new(&shop, &secret, &["x-user", "cookie:lang"])?.with_require(Require::All);
/// let affinity = Affinity::new(policy);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct HeaderPolicy {
    load_balancer: LoadBalancer,
    key: Boxed<Zeroizing<[u8; 16]>>,
    entries: Vec<HeaderEntry>,
    require: Require,
    own_cookie: CookieName,
    /// The own cookie again, as the carrier to be stripped.
    carrier: Carrier,
    ttl: Ttl,
}

impl HeaderPolicy {
    /// The idle time of a session unless another one is set: 1 800 seconds.
    pub const DEFAULT_TTL: Ttl = Ttl::clamped(1_800);

    /// Creates the policy: one header is enough, the idle time is the default.
    ///
    /// # Errors
    /// [`InvalidHeaders`] unless there are 1 to 5 entries of 1 to 100 characters, each a
    /// field name, `cookie` or `cookie:a,b`, unique without regard to case.
    pub fn new<S: AsRef<str>>(
        load_balancer: &LoadBalancer,
        session_secret: &Secret,
        headers: &[S],
    ) -> Result<Self, InvalidHeaders> {
        if !(1..=5).contains(&headers.len()) {
            return Err(InvalidHeaders::Count(headers.len()));
        }
        let mut entries = Vec::with_capacity(headers.len());
        let mut seen: Vec<String> = Vec::with_capacity(headers.len());
        for header in headers {
            let header = header.as_ref();
            let lowercase = header.to_ascii_lowercase();
            let entry = HeaderEntry::read(header);
            entries.push(entry.ok_or_else(|| InvalidHeaders::Entry(header.into()))?);
            if seen.contains(&lowercase) {
                return Err(InvalidHeaders::Duplicate(header.into()));
            }
            seen.push(lowercase);
        }
        Ok(Self::of_entries(load_balancer, session_secret, entries))
    }

    /// Creates the policy with the one entry `cookie:NAME`.
    pub(super) fn of_cookie(
        load_balancer: &LoadBalancer,
        session_secret: &Secret,
        name: CookieName,
    ) -> Self {
        let entry = HeaderEntry::NamedCookies(vec![name]);
        Self::of_entries(load_balancer, session_secret, vec![entry])
    }

    fn of_entries(
        load_balancer: &LoadBalancer,
        session_secret: &Secret,
        entries: Vec<HeaderEntry>,
    ) -> Self {
        let label = b"session-affinity v1 header";
        let key = Boxed::new(|| {
            let mut key = Box::default();
            session_secret.derive_into(&mut key, &[label, &[0], load_balancer.as_str().as_bytes()]);
            key
        });
        Self {
            load_balancer: load_balancer.clone(),
            key,
            entries,
            require: Require::default(),
            own_cookie: CookieName::default(),
            carrier: CookieName::default().into(),
            ttl: Self::DEFAULT_TTL,
        }
    }

    /// Sets the number of headers that a request must have.
    #[must_use]
    pub fn with_require(mut self, require: Require) -> Self {
        self.require = require;
        self
    }

    /// Sets the idle time after which a session ends.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Ttl) -> Self {
        self.ttl = ttl;
        self
    }

    /// Sets the name of the affinity cookie that clients may have from another policy, by
    /// default `__cflb`. The entry `cookie` leaves it out, and it is stripped from upstream
    /// requests.
    #[must_use]
    pub fn with_own_cookie(mut self, own_cookie: CookieName) -> Self {
        self.carrier = Carrier::from(&own_cookie);
        self.own_cookie = own_cookie;
        self
    }

    /// Returns the session key of a request; `None` when it lacks the configured headers.
    pub fn session_key(&self, request: &RequestMeta<'_>) -> Option<SessionKey> {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        let mut present = 0_usize;
        for (index, entry) in self.entries.iter().enumerate() {
            if entry.is_present(request, &self.own_cookie, self.require) {
                present = present.saturating_add(1);
                number(&mut hasher, index);
                entry.write(&mut hasher, request, &self.own_cookie);
            }
        }
        let enough = match self.require {
            Require::Any => present > 0,
            Require::All => present == self.entries.len(),
        };
        enough.then(|| SessionKey(hasher.finish128().as_bytes()))
    }
}

impl HeaderPolicy {
    /// Returns the session key of a request that has one cookie of the one entry `cookie:NAME`, with
    /// this value.
    pub(super) fn key_of_cookie(&self, value: &[u8]) -> SessionKey {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        // The first entry, one cookie of it, the first of its names, one value.
        for it in [0, 1, 0, 1] {
            number(&mut hasher, it);
        }
        bytes(&mut hasher, value);
        SessionKey(hasher.finish128().as_bytes())
    }

    /// Returns the answer for a request with this session key.
    pub(super) fn recall(key: SessionKey) -> Recall {
        let seed = ChoiceSeed::Fixed((u128::from_be_bytes(key.0) >> 64) as u64);
        Recall { claim: Claim::Stored(key), seed }
    }

    /// Returns a write to the record of this key.
    pub(super) fn write(&self, key: &SessionKey, kind: WriteKind, now: UnixTime) -> Settlement {
        Settlement::store(StoreWrite { key: *key, ttl: self.ttl, now, kind })
    }
}

/// Leaves the key out.
impl fmt::Debug for HeaderPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeaderPolicy")
            .field("load_balancer", &self.load_balancer)
            .field("entries", &self.entries)
            .field("require", &self.require)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

impl AffinityPolicy for HeaderPolicy {
    fn load_balancer(&self) -> &LoadBalancer {
        &self.load_balancer
    }

    fn read(&self, request: &RequestMeta<'_>, _: UnixTime) -> Recall {
        self.session_key(request).map_or(Recall::from(Claim::Unbound), Self::recall)
    }

    fn remember(&self, served: &Served<'_>) -> Settlement {
        let Some(key) = served.session_key else { return Settlement::nothing() };
        let kind = match (served.transition, served.record) {
            (Transition::Kept(_) | Transition::Lent { .. }, _) => WriteKind::Touch,
            // A record that came first stays, also where the store was out of reach when asked.
            (Transition::Created { endpoint }, Record::Absent | Record::Unreachable) => {
                WriteKind::Create(endpoint)
            }
            (Transition::Created { endpoint } | Transition::Moved { endpoint, .. }, _) => {
                WriteKind::Replace(endpoint)
            }
        };
        self.write(key, kind, served.now)
    }

    /// Removes the record.
    fn forget(&self, forgotten: &Forgotten<'_>) -> Settlement {
        let Some(key) = forgotten.session_key else { return Settlement::nothing() };
        self.write(key, WriteKind::Remove, forgotten.now)
    }

    /// The cookie that the entry `cookie` leaves out: clients may have it from another policy.
    fn carrier(&self) -> Option<&Carrier> {
        Some(&self.carrier)
    }

    fn life(&self) -> Life {
        Life::Idle(self.ttl)
    }

    fn supports(&self, mode: FailoverMode) -> bool {
        mode != FailoverMode::Sticky
    }
}

/// A list of headers that [`HeaderPolicy::new`] refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidHeaders {
    /// The list is empty or has more than five entries.
    #[error("session_affinity_attributes.headers has {0} entries; allowed: 1 to 5")]
    Count(usize),
    /// An entry is not a field name, `cookie` or `cookie:a,b`.
    #[error(
        "session_affinity_attributes.headers has {0:?}; allowed: a field name, cookie or cookie:a,b, of 1 to 100 characters"
    )]
    Entry(String),
    /// An entry occurs twice, without regard to case.
    #[error(
        "session_affinity_attributes.headers has {0:?} twice; allowed: each entry once, without regard to case"
    )]
    Duplicate(String),
}
