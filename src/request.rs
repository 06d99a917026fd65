//! What the core is told of a request.

use std::net::IpAddr;

use http::HeaderMap;

/// A request, as far as session affinity is concerned. Borrowed and `Copy`.
///
/// ```
/// use session_affinity::{RequestMeta, Scheme};
/// let headers = http::HeaderMap::new();
/// let request = RequestMeta { headers: &headers, client_ip: Some([192, 0, 2, 1].into()), scheme: Scheme::Https };
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RequestMeta<'a> {
    /// Its header fields, as they came.
    pub headers: &'a HeaderMap,
    /// The client's address. Behind trusted proxies it is the embedder's to find out;
    /// behind a Unix socket there is none.
    pub client_ip: Option<IpAddr>,
    /// How the client's request came to the first hop that is trusted.
    pub scheme: Scheme,
}

/// Whether a request came over TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// It came in the clear.
    #[default]
    Http,
    /// It came over TLS.
    Https,
}
