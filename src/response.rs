//! The part of a response that policies read.

use http::{HeaderMap, Response, StatusCode};

/// The part of an endpoint's response that a policy may learn from. Borrowed and `Copy`; made of a
/// `&Response` by itself.
///
/// ```
/// use session_affinity::ResponseMeta;
/// let response = http::Response::new("hello");
/// let meta = ResponseMeta::from(&response);
/// assert_eq!((meta.status, meta.headers.len()), (http::StatusCode::OK, 0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResponseMeta<'a> {
    /// The status of the response.
    pub status: StatusCode,
    /// The header fields of the response, as the endpoint sent them.
    pub headers: &'a HeaderMap,
}

impl<'a> ResponseMeta<'a> {
    /// Describes a response, for stacks that keep status and header fields apart.
    pub const fn new(status: StatusCode, headers: &'a HeaderMap) -> Self {
        Self { status, headers }
    }
}

impl<'a, B> From<&'a Response<B>> for ResponseMeta<'a> {
    fn from(response: &'a Response<B>) -> Self {
        Self::new(response.status(), response.headers())
    }
}
