//! A request whose session has been read, before it is routed.

#[cfg(debug_assertions)]
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::limits::Ttl;
use crate::outcome::Created;
use crate::pin::Pin;
use crate::policy::{Claim, Recall};
use crate::request::{ClientAddress, Scheme};
use crate::store::{Lookup, Record, SessionKey};
use crate::time::UnixTime;

/// The session of one request, as the request states it. Owned and `'static`, so that it can
/// wait for a store; not `Clone`, because it is routed once.
///
/// ```
/// # use session_affinity::policy::Claim;
/// # use session_affinity::{Affinity, LoadBalancer, NoAffinity, RequestMeta, Scheme, UnixTime};
/// # let affinity = Affinity::new(NoAffinity::new(&LoadBalancer::new("shop")?));
/// # let headers = http::HeaderMap::new();
/// # let now = UnixTime::from_secs(1_800_000_000);
/// let visit = affinity.recall(&RequestMeta::new(&headers, Scheme::Https), now);
/// assert_eq!(visit.claim(), Claim::Unbound);
/// assert_eq!(visit.lookup(), None); // no store to ask
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
/// ```
/// fn holds<T: Send + Sync + 'static>() {}
/// holds::<session_affinity::Visit>();
/// ```
/// ```compile_fail,E0599
/// fn twice(visit: session_affinity::Visit) -> [session_affinity::Visit; 2] {
///     [visit.clone(), visit]
/// }
/// ```
#[derive(Debug)]
#[must_use = "a request is served only after its visit was routed"]
pub struct Visit {
    /// The answer of the policy, where it was written: a copy would wait for the check of the tag.
    pub(super) recall: Recall,
    pub(super) client: Option<ClientAddress>,
    pub(super) scheme: Scheme,
    pub(super) now: UnixTime,
    /// The idle time of a stored session.
    pub(super) ttl: Ttl,
    /// The reason for a new session where the request carries nothing.
    pub(super) missing: Created,
    pub(super) asked: Asked,
}

impl Visit {
    #[inline]
    pub(super) fn new(
        recall: Recall,
        client: Option<ClientAddress>,
        scheme: Scheme,
        now: UnixTime,
    ) -> Self {
        let (ttl, missing) = (Ttl::MAX, Created::NoCookie);
        Self { recall, client, scheme, now, ttl, missing, asked: Asked::default() }
    }

    /// The question for the session store, for a policy that has one. Pass the answer to
    /// [`Affinity::route`](crate::Affinity::route); pass
    /// [`Record::Absent`](crate::Record::Absent) when this is `None`.
    ///
    /// A header session whose store is never asked is created again by every request. In debug
    /// builds `route` finds that out: see its panics.
    pub fn lookup(&self) -> Option<Lookup> {
        self.asked.note();
        Some(Lookup { key: *self.session_key()?, ttl: self.ttl, now: self.now })
    }

    /// The statement of the request about its session.
    pub fn claim(&self) -> Claim {
        self.asked.note();
        self.recall.claim
    }

    #[inline]
    pub(super) fn session_key(&self) -> Option<&SessionKey> {
        match &self.recall.claim {
            Claim::Stored(key) => Some(key),
            Claim::Carried(_) | Claim::Foreign(_) | Claim::New(_) | Claim::Unbound => None,
        }
    }
}

/// A note, in debug builds, that the key of a session was handed out.
#[derive(Debug, Default)]
pub(super) struct Asked(#[cfg(debug_assertions)] AtomicBool);

impl Asked {
    fn note(&self) {
        #[cfg(debug_assertions)]
        self.0.store(true, Relaxed);
    }

    /// Panics in debug builds when a header session is routed without a record, and no store can
    /// have been asked: its key was never handed out.
    #[inline]
    pub(super) fn check(&self, claim: Claim, record: Record) {
        #[cfg(debug_assertions)]
        assert!(
            !matches!((claim, record), (Claim::Stored(_), Record::Absent)) || self.0.load(Relaxed),
            "a header session is routed without asking a store: pass `store.record(visit.lookup())` to `route`"
        );
        #[cfg(not(debug_assertions))]
        let _ = (claim, record);
    }
}

/// The session of a request when it arrived. It never changes while the request is served.
#[derive(Clone, Copy, Debug)]
pub(super) enum Session {
    Live(Pin),
    /// Live, and pinned by another system. The pin was issued now, and its end is unknown.
    Foreign(Pin),
    New(Created),
    Unbound,
}

impl Session {
    /// Joins what the request states and what the store answered.
    #[inline]
    pub(super) fn of(visit: &Visit, record: Record) -> Self {
        let stored = |endpoint, issued| {
            let expires = visit.now.saturating_add(visit.ttl.get());
            Self::Live(Pin { endpoint, issued, expires })
        };
        match (visit.recall.claim, record) {
            // A policy that is late with its expiry does not keep a session alive.
            (Claim::Carried(pin), _) if pin.expires > visit.now => Self::Live(pin),
            (Claim::Carried(_), _) => Self::New(Created::Expired),
            (Claim::Foreign(endpoint), _) => {
                Self::Foreign(Pin { endpoint, issued: visit.now, expires: UnixTime::MAX })
            }
            (Claim::New(None), _) => Self::New(visit.missing),
            (Claim::New(Some(reason)), _) => Self::New(Created::rejected(reason)),
            (Claim::Stored(_), Record::Found { endpoint, issued }) => stored(endpoint, issued),
            (Claim::Stored(_), Record::Absent) => Self::New(Created::NoRecord),
            (Claim::Stored(_), Record::Unreadable) => Self::New(Created::Unreadable),
            (Claim::Stored(_), Record::Unreachable) => Self::New(Created::StoreUnreachable),
            (Claim::Unbound, _) => Self::Unbound,
        }
    }

    /// The pin of a live session, whichever system has made it.
    pub(super) fn pin(&self) -> Option<&Pin> {
        match self {
            Self::Live(pin) | Self::Foreign(pin) => Some(pin),
            Self::New(_) | Self::Unbound => None,
        }
    }

    /// The answer that the store gave, for a session with a key.
    #[inline]
    pub(super) fn record(&self) -> Record {
        match *self {
            Self::Live(Pin { endpoint, issued, .. }) => Record::Found { endpoint, issued },
            Self::New(Created::Unreadable) => Record::Unreadable,
            Self::New(Created::StoreUnreachable) => Record::Unreachable,
            Self::Foreign(_) | Self::New(_) | Self::Unbound => Record::Absent,
        }
    }
}
