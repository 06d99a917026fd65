//! The part of a request that the core reads.

use std::net::IpAddr;

use http::HeaderMap;

mod client;

pub(crate) use client::{ClientAddress, ClientHash};

/// The part of a request that session affinity depends on. Borrowed and `Copy`.
///
/// ```
/// use session_affinity::{RequestMeta, Scheme};
/// let headers = http::HeaderMap::new();
/// let peer = std::net::IpAddr::from([192, 0, 2, 1]);
/// let request = RequestMeta::new(&headers, Scheme::Https).with_client_ip(peer);
/// assert_eq!(request.client_ip, Some(peer));
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RequestMeta<'a> {
    /// The header fields of the request, as the client sent them.
    pub headers: &'a HeaderMap,
    /// The address of the client. Behind trusted proxies the embedder works it out;
    /// behind a Unix socket it is absent.
    pub client_ip: Option<IpAddr>,
    /// The scheme by which the request came to the first trusted hop.
    pub scheme: Scheme,
}

impl<'a> RequestMeta<'a> {
    /// Describes a request without a client address.
    pub const fn new(headers: &'a HeaderMap, scheme: Scheme) -> Self {
        Self { headers, client_ip: None, scheme }
    }

    /// Sets the address of the client: an `IpAddr`, or an `Option` of one.
    #[must_use]
    pub fn with_client_ip(mut self, client_ip: impl Into<Option<IpAddr>>) -> Self {
        self.client_ip = client_ip.into();
        self
    }
}

/// The scheme of a request: clear text or TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a request is encrypted or it is not")]
pub enum Scheme {
    /// The request came in clear text.
    #[default]
    Http,
    /// The request came over TLS.
    Https,
}
