//! The parts of a message that hold for one connection only: hop-by-hop headers, the form of the
//! request target, and the wish to switch protocols.

use hyper::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use hyper::http::uri::{Authority, Scheme};
use hyper::{Method, Request, Uri, Version};

use crate::forwarded::is_statement;

/// The fields of RFC 9110 section 7.6.1, and those that older proxies removed.
static HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Removes the fields that are not for the next hop, among them `Connection` and those that it
/// names.
pub(crate) fn remove(headers: &mut HeaderMap) {
    // Before the fields that `Connection` names are gone: it may name this one.
    let is_coded = headers.contains_key(TRANSFER_ENCODING);
    let named: Vec<HeaderName> =
        connection(headers).filter_map(|name| HeaderName::from_bytes(name).ok()).collect();
    for name in named.into_iter().filter(|name| !is_kept(name)) {
        headers.remove(name);
    }
    if is_coded {
        // Transfer-Encoding overrides the length (RFC 9112 section 6.3), so the length may be
        // wrong.
        headers.remove(CONTENT_LENGTH);
    }
    // Most messages have few fields and none of these: to look at each field is less work than to look
    // for each of these.
    let is_hop_by_hop = |name: &&HeaderName| HOP_BY_HOP.contains(name);
    for name in headers.keys().filter(is_hop_by_hop).cloned().collect::<Vec<_>>() {
        headers.remove(name);
    }
}

/// Returns whether a message has a transfer coding other than `chunked`, or that one twice. hyper
/// decodes the last coding alone, and removing the field would take the names of the others away.
pub(crate) fn is_coded_otherwise(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(TRANSFER_ENCODING).iter();
    let codings = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let mut codings = codings.map(<[u8]>::trim_ascii).filter(|coding| !coding.is_empty());
    let first_is_chunked =
        codings.next().is_none_or(|coding| coding.eq_ignore_ascii_case(b"chunked"));
    !first_is_chunked || codings.next().is_some()
}

/// Returns whether a field stays although `Connection` names it: a client must not be able to remove
/// the framing, the routing, or what a proxy has said of it.
fn is_kept(name: &HeaderName) -> bool {
    *name == HOST || *name == CONTENT_LENGTH || is_statement(name)
}

/// Returns the protocols that a request wants to switch to. HTTP/2 in clear text is not passed on,
/// because the gateway would not see the requests in that tunnel.
pub(crate) fn upgrade<B>(request: &Request<B>) -> Option<HeaderValue> {
    let wants = connection(request.headers()).any(|name| name.eq_ignore_ascii_case(b"upgrade"));
    let protocol = request
        .headers()
        .get(UPGRADE)
        .filter(|_| wants && request.version() == Version::HTTP_11)?;
    let mut names = protocol.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    (!names.any(|name| name.eq_ignore_ascii_case(b"h2c"))).then(|| protocol.clone())
}

/// Asks the next hop to switch protocols, or confirms that they have been switched.
pub(crate) fn set_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// Changes the target to its origin form, and sets `Host` to the authority of an absolute one.
/// `None` for a request that a gateway cannot serve (RFC 9112 section 3.2).
pub(crate) fn normalise<B>(request: &mut Request<B>) -> Option<()> {
    let (uri, version) = (request.uri(), request.version());
    let target = uri.path_and_query()?.clone();
    let is_asterisk = uri.path() == "*" && request.method() == Method::OPTIONS;
    if !(uri.path().starts_with('/') || is_asterisk)
        || uri.scheme().is_some_and(|scheme| !is_http(scheme))
    {
        return None;
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if is_host(host) => {}
        (None, _) if version != Version::HTTP_11 => {}
        _ => return None,
    }
    if let Some(authority) = uri.authority() {
        let host = HeaderValue::from_str(without_user(authority.as_str())).ok()?;
        request.headers_mut().insert(HOST, host);
    }
    *request.uri_mut() = Uri::from(target);
    *request.version_mut() = Version::HTTP_11;
    Some(())
}

fn is_http(scheme: &Scheme) -> bool {
    [Scheme::HTTP, Scheme::HTTPS].contains(scheme)
}

/// Returns whether a `Host` is valid: empty, which is for targets without an authority, or a name
/// or an address, possibly with a port.
fn is_host(host: &HeaderValue) -> bool {
    host.is_empty()
        || Authority::try_from(host.as_bytes()).is_ok_and(|host| !host.as_str().contains('@'))
}

fn without_user(authority: &str) -> &str {
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

fn connection(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(CONNECTION).iter();
    lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}
