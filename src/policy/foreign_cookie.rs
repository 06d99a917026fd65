//! The cookie by which another system keeps its sessions.

use std::collections::BTreeMap;

use http::HeaderMap;
use http::header::HeaderValue;

use super::foreign_format::{ForeignFormat, Room};
use crate::cookies::{CookieDomain, CookieName, CookiePath};
use crate::endpoint::EndpointId;

/// The cookie by which another system, such as the proxy before this one, keeps its sessions: its
/// name, the form of its values, and the endpoint for each of them. For
/// [`MigratingPolicy`](super::MigratingPolicy).
///
/// Such a cookie is not signed: while it is accepted, a client can choose its endpoint by it, as it
/// could before. Values that are not in the table count as absent.
///
/// ```
/// use session_affinity::EndpointId;
/// use session_affinity::cookies::CookieName;
/// use session_affinity::policy::{ForeignCookie, ForeignFormat};
///
/// // cookie SERVERID insert maxidle 30m; server s1 …; server s2 …
/// let haproxy = ForeignCookie::new(CookieName::new("SERVERID")?)
///     .with_format(ForeignFormat::HAPROXY_INSERT)
///     .with_endpoint("s1", EndpointId::new("eu", "eu-1"))
///     .with_endpoint("s2", EndpointId::new("eu", "eu-2"));
/// assert_eq!(haproxy.endpoint(b"s2|Zx8yA|Zx8x8"), Some(EndpointId::new("eu", "eu-2")));
/// assert_eq!(haproxy.endpoint(b"s3|Zx8yA|Zx8x8"), None);
/// # Ok::<(), session_affinity::cookies::InvalidCookieName>(())
/// ```
#[derive(Clone, Debug)]
pub struct ForeignCookie {
    name: CookieName,
    format: ForeignFormat,
    owner: CookieOwner,
    path: CookiePath,
    domain: Option<CookieDomain>,
    endpoints: BTreeMap<Box<[u8]>, EndpointId>,
    /// The line that takes the cookie back, if it is the proxy's.
    removal: Option<HeaderValue>,
}

/// The owner of a foreign cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "one of the two has set the cookie")]
pub enum CookieOwner {
    /// The other proxy has set the cookie: it is stripped from upstream requests, and taken back
    /// from the client when the session is migrated.
    #[default]
    Proxy,
    /// The application has set the cookie: it goes upstream, and the client keeps it.
    Application,
}

impl ForeignCookie {
    /// Describes a cookie of another proxy whose whole value stands for an endpoint, of the path `/`
    /// and without a domain. Its table is empty.
    pub fn new(name: CookieName) -> Self {
        let cookie = Self {
            name,
            format: ForeignFormat::default(),
            owner: CookieOwner::default(),
            path: CookiePath::default(),
            domain: None,
            endpoints: BTreeMap::new(),
            removal: None,
        };
        cookie.prepared()
    }

    /// Sets the part of the value that stands for an endpoint.
    #[must_use]
    pub fn with_format(mut self, format: ForeignFormat) -> Self {
        self.format = format;
        self.prepared()
    }

    /// Adds the endpoint for one value, or for one part of it as the format says. A value that is
    /// there already gets the new endpoint. Where the other proxy hashes its server's address,
    /// [`ServerHash::value`](super::ServerHash::value) makes the value of it.
    #[must_use]
    pub fn with_endpoint(mut self, value: impl Into<Vec<u8>>, endpoint: EndpointId) -> Self {
        self.endpoints.insert(value.into().into_boxed_slice(), endpoint);
        self
    }

    /// Adds the endpoints for several values.
    #[must_use]
    pub fn with_endpoints<V: Into<Vec<u8>>>(
        self,
        endpoints: impl IntoIterator<Item = (V, EndpointId)>,
    ) -> Self {
        endpoints.into_iter().fold(self, |cookie, (value, id)| cookie.with_endpoint(value, id))
    }

    /// Sets the owner of the cookie, by default the other proxy. A cookie of the format
    /// [`ForeignFormat::Prefix`] is the application's in any case.
    #[must_use]
    pub fn with_owner(mut self, owner: CookieOwner) -> Self {
        self.owner = owner;
        self.prepared()
    }

    /// Sets the `Path` with which the cookie was set. A client drops a cookie only by its own path.
    #[must_use]
    pub fn with_path(mut self, path: CookiePath) -> Self {
        self.path = path;
        self.prepared()
    }

    /// Sets the `Domain` with which the cookie was set. A client drops a cookie only by its own domain.
    #[must_use]
    pub fn with_domain(mut self, domain: CookieDomain) -> Self {
        self.domain = Some(domain);
        self.prepared()
    }

    /// Returns the name of the cookie.
    pub fn name(&self) -> &CookieName {
        &self.name
    }

    /// Returns the endpoint for a value, if the table has it.
    pub fn endpoint(&self, value: &[u8]) -> Option<EndpointId> {
        self.endpoints.get(self.format.part(value, &mut Room::default())?).copied()
    }

    /// Returns the `Set-Cookie` line that takes the cookie back; `None` for the application's own.
    pub fn removal(&self) -> Option<&HeaderValue> {
        self.removal.as_ref()
    }

    /// Removes what the other proxy has put into the headers of a request: its own cookie, or the
    /// prefix of the application's where that is in the table. All other bytes stay as they are.
    pub fn strip(&self, headers: &mut HeaderMap) {
        match (self.format, self.owner) {
            (ForeignFormat::Prefix(_), _) => self.name.cut(headers, |value| self.prefix(value)),
            (_, CookieOwner::Proxy) => self.name.strip(headers),
            (_, CookieOwner::Application) => {}
        }
    }

    /// Returns the endpoint that a request names, by one of the first four cookies of the name.
    pub(super) fn find(&self, headers: &HeaderMap) -> Option<EndpointId> {
        self.name.values(headers).take(MOST_TRIED).find_map(|value| self.endpoint(value))
    }

    /// Returns the length of the prefix that the other proxy has put before a value.
    fn prefix(&self, value: &[u8]) -> usize {
        let mut room = Room::default();
        let part = self.format.part(value, &mut room);
        let known = part.filter(|part| self.endpoints.contains_key(*part));
        known.map_or(0, |part| part.len().saturating_add(1))
    }

    fn prepared(mut self) -> Self {
        self.removal = match (self.format, self.owner) {
            (ForeignFormat::Prefix(_), _) | (_, CookieOwner::Application) => None,
            (_, CookieOwner::Proxy) => self.removal_line(),
        };
        self
    }

    fn removal_line(&self) -> Option<HeaderValue> {
        let Self { name, path, .. } = self;
        let mut line = format!("{name}=; Path={path}; Max-Age=0");
        if let Some(domain) = &self.domain {
            line.push_str("; Domain=");
            line.push_str(domain.as_str());
        }
        // Without it browsers refuse any line of a name with such a prefix.
        let lowercase = name.as_str().to_ascii_lowercase();
        if ["__host-", "__secure-", "__http-"].iter().any(|it| lowercase.starts_with(it)) {
            line.push_str("; Secure");
        }
        let mut line = HeaderValue::try_from(line).ok()?;
        line.set_sensitive(true);
        Some(line)
    }
}

/// The number of cookies of one name that are tried on one request.
const MOST_TRIED: usize = 4;
