//! Field by field, since pingora's headers hand out no `&mut HeaderMap`: they keep the case of
//! each name beside it.

use http::HeaderMap;
use http::header::{CACHE_CONTROL, COOKIE, SET_COOKIE};
use pingora_core::Result;
use pingora_http::{RequestHeader, ResponseHeader};
use session_affinity::{CookieName, Settlement};

/// Takes our cookie out of what the endpoint gets to see. A request without it stays as it was.
pub fn strip(ours: &CookieName, request: &mut RequestHeader) -> Result<()> {
    if ours.values(&request.headers).next().is_none() {
        return Ok(());
    }
    let mut cookies = HeaderMap::new();
    for line in request.headers.get_all(COOKIE) {
        cookies.append(COOKIE, line.clone());
    }
    ours.strip(&mut cookies);
    request.remove_header(&COOKIE);
    for line in cookies.get_all(COOKIE) {
        request.append_header(COOKIE, line.clone())?;
    }
    Ok(())
}

/// Tells the client, as [`Settlement::apply`] does. A cookie policy writes to no store.
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
