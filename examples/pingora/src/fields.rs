//! Changes of pingora's headers, field by field. They lend no `&mut HeaderMap`, because they keep
//! the case of each name beside it.

use http::HeaderMap;
use http::header::{CACHE_CONTROL, COOKIE, SET_COOKIE};
use pingora_core::Result;
use pingora_http::{RequestHeader, ResponseHeader};
use session_affinity::Settlement;
use session_affinity::cookies::CookieName;

/// Removes the affinity cookie from a request. A request without it stays as it was.
pub fn strip(name: &CookieName, request: &mut RequestHeader) -> Result<()> {
    if name.values(&request.headers).next().is_none() {
        return Ok(());
    }
    let mut cookies = HeaderMap::new();
    for line in request.headers.get_all(COOKIE) {
        cookies.append(COOKIE, line.clone());
    }
    name.strip(&mut cookies);
    request.remove_header(&COOKIE);
    for line in cookies.get_all(COOKIE) {
        request.append_header(COOKIE, line.clone())?;
    }
    Ok(())
}

/// Appends the cookie to a response, as [`Settlement::apply`] does. A cookie policy writes to no
/// store.
pub fn apply(settlement: Settlement, response: &mut ResponseHeader) -> Result<()> {
    let Some(set_cookie) = settlement.set_cookie else { return Ok(()) };
    if let Some(guarded) = settlement.cache_guard.cache_control(&response.headers) {
        response.insert_header(CACHE_CONTROL, guarded)?;
    }
    for targeted in settlement.cache_guard.removes() {
        response.remove_header(&targeted);
    }
    response.append_header(SET_COOKIE, set_cookie)?;
    Ok(())
}
