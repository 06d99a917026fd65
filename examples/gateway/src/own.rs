//! The gateway's own answers.

use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};

use crate::body::Body;

/// An answer of the gateway's own: its status and its one line.
pub(crate) type Own = (StatusCode, &'static str);

const NO_CONNECT: Own =
    (StatusCode::METHOD_NOT_ALLOWED, "this gateway opens no tunnels with CONNECT\n");
pub(crate) const UNUSABLE: Own =
    (StatusCode::BAD_REQUEST, "the request target or the Host header cannot be used\n");
pub(crate) const CODED: Own =
    (StatusCode::NOT_IMPLEMENTED, "this gateway knows no transfer coding but chunked\n");
pub(crate) const ABANDONED: Own = (StatusCode::BAD_REQUEST, "the request's body broke off\n");
pub(crate) const LATE: Own =
    (StatusCode::REQUEST_TIMEOUT, "the rest of the request's body did not come\n");
pub(crate) const NO_ENDPOINT: Own = (StatusCode::SERVICE_UNAVAILABLE, "no endpoint to try\n");
pub(crate) const OWN_SIDE: Own =
    (StatusCode::SERVICE_UNAVAILABLE, "this gateway cannot open a connection\n");
pub(crate) const LOST: Own =
    (StatusCode::SERVICE_UNAVAILABLE, "the endpoint of this session is not available\n");
pub(crate) const UNREACHED: Own = (StatusCode::BAD_GATEWAY, "no endpoint could be connected to\n");
pub(crate) const BROKE_OFF: Own = (StatusCode::BAD_GATEWAY, "the endpoint broke off\n");
pub(crate) const CODED_ANSWER: Own =
    (StatusCode::BAD_GATEWAY, "the endpoint used a transfer coding other than chunked\n");
pub(crate) const TIMED_OUT: Own =
    (StatusCode::GATEWAY_TIMEOUT, "the endpoint did not answer in time\n");

/// The methods of the answer to CONNECT.
const ALLOWED: HeaderValue =
    HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");

/// Makes the answer to CONNECT.
pub(crate) fn no_connect() -> Response<Body> {
    let mut refusal = answer(NO_CONNECT);
    refusal.headers_mut().insert(ALLOW, ALLOWED);
    refusal
}

/// Makes an answer, in plain text and without a cookie.
pub(crate) fn answer((status, line): Own) -> Response<Body> {
    let mut response = Response::new(Body::text(line));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
