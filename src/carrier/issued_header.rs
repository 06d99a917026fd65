//! The name of a header that the gateway issues, and the values of that name in a request.

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

use crate::cookies::{FieldChange, is_targeted};
use crate::names::checked_text;

/// The name of a header that carries the token in place of a cookie, for clients that keep no
/// cookies but can send a header back: gRPC clients, mobile apps, other services. The gateway
/// issues the header in the response that begins a session, and the client repeats it in its
/// requests.
///
/// A name has 1 to 256 characters. Names are compared without regard to case. Fields that HTTP and
/// its proxies act on are refused: framing, routing, forwarding, authentication, cookies, caching,
/// conditions and content, and those of gRPC.
///
/// ```
/// use session_affinity::carrier::IssuedHeader;
/// assert_eq!(IssuedHeader::new("X-Session-Affinity")?.as_str(), "x-session-affinity");
/// assert!(IssuedHeader::new("content-length").is_err());
/// # Ok::<(), session_affinity::carrier::InvalidIssuedHeader>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IssuedHeader(HeaderName);

impl IssuedHeader {
    /// Checks a name.
    ///
    /// # Errors
    /// [`InvalidIssuedHeader`] when the name is not that of a field, is longer than 256 characters,
    /// or belongs to a field with a meaning of its own.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidIssuedHeader> {
        let name = name.into();
        let field = HeaderName::try_from(&name).ok().filter(|_| name.len() <= 256);
        let Some(field) = field else { return Err(InvalidIssuedHeader::Name(name)) };
        let known = field.as_str();
        let is_reserved = RESERVED.contains(&known) || is_targeted(&field);
        if is_reserved || FAMILIES.iter().any(|start| known.starts_with(start)) {
            return Err(InvalidIssuedHeader::Reserved(name));
        }
        Ok(Self(field))
    }

    /// Returns the name as text, in small letters.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Returns the name of the field.
    pub fn name(&self) -> &HeaderName {
        &self.0
    }

    /// Returns the values of all field lines of this name, in order. A line is one value: it is
    /// not split at commas. Nothing is allocated or converted, and a value may contain any byte.
    ///
    /// ```
    /// use http::HeaderMap;
    /// use session_affinity::carrier::IssuedHeader;
    /// let header = IssuedHeader::new("x-session-affinity")?;
    /// let mut headers = HeaderMap::new();
    /// headers.append("x-session-affinity", "first, and the same".parse()?);
    /// headers.append("x-session-affinity", "second".parse()?);
    /// let values: Vec<&[u8]> = header.values(&headers).collect();
    /// assert_eq!(values, [b"first, and the same".as_slice(), b"second"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn values<'a>(&'a self, headers: &'a HeaderMap) -> impl Iterator<Item = &'a [u8]> + 'a {
        headers.get_all(&self.0).iter().map(HeaderValue::as_bytes)
    }

    /// Removes every field line of this name from the headers of a request.
    pub fn strip(&self, headers: &mut HeaderMap) {
        headers.remove(&self.0);
    }

    /// Returns the changes of [`IssuedHeader::strip`], for a request without a `&mut HeaderMap`. A
    /// request without the field has none.
    pub fn strip_changes(&self, headers: &HeaderMap) -> impl Iterator<Item = FieldChange> + use<> {
        let is_there = headers.contains_key(&self.0);
        is_there.then(|| FieldChange::Remove(self.0.clone())).into_iter()
    }
}

checked_text!(IssuedHeader, InvalidIssuedHeader);

/// The error for a name that is not valid for an issued header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidIssuedHeader {
    /// The name is not that of a field.
    #[error(
        "the issued header is {0:?}; allowed: 1 to 256 letters, digits and any of !#$%&'*+-.^_`|~"
    )]
    Name(String),
    /// The name belongs to a field with a meaning of its own.
    #[error(
        "the issued header is {0:?}; allowed: a name without a meaning in HTTP, such as x-session-affinity"
    )]
    Reserved(String),
}

/// The names that are refused beside those of [`FAMILIES`].
const RESERVED: [&str; 58] = [
    "age",
    "allow",
    "alt-svc",
    "alt-used",
    "authentication-info",
    "authorization",
    "cache-control",
    "cache-status",
    "cdn-cache-control",
    "cdn-loop",
    "cf-connecting-ip",
    "clear-site-data",
    "cloudflare-cdn-cache-control",
    "connection",
    "cookie",
    "cookie2",
    "date",
    "digest",
    "early-data",
    "etag",
    "expect",
    "expires",
    "forwarded",
    "from",
    "host",
    "http2-settings",
    "keep-alive",
    "last-modified",
    "link",
    "location",
    "max-forwards",
    "origin",
    "pragma",
    "priority",
    "range",
    "referer",
    "refresh",
    "retry-after",
    "server",
    "set-cookie",
    "set-cookie2",
    "strict-transport-security",
    "surrogate-control",
    "te",
    "trailer",
    "transfer-encoding",
    "true-client-ip",
    "upgrade",
    "upgrade-insecure-requests",
    "user-agent",
    "vary",
    "via",
    "www-authenticate",
    "x-client-ip",
    "x-host",
    "x-http-method-override",
    "x-real-ip",
    "x-rewrite-url",
];

/// The beginnings of families of names that are refused whole.
const FAMILIES: [&str; 10] = [
    "accept",
    "access-control-",
    "content-",
    "grpc-",
    "if-",
    "proxy-",
    "sec-",
    "x-accel-",
    "x-forwarded-",
    "x-original-",
];
