//! No response that sets our cookie may be stored by a shared cache, whatever the endpoint said of
//! caching, as the crate `http-cache-semantics` reads RFC 9111. Field by field it is the same.

use std::time::SystemTime;

use http::header::{CACHE_CONTROL, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_cache_semantics::{CacheOptions, CachePolicy};
use session_affinity::Settlement;
use session_affinity::cookies::FieldChange;

const OURS: &str = "ours=2";

/// Two bytes are the status; each line that follows is a field, and without a colon a line of
/// `Cache-Control`.
pub fn check(input: &[u8]) {
    let Some(([high, low], lines)) = input.split_first_chunk() else { return };
    let status = StatusCode::from_u16(200 + u16::from_be_bytes([*high, *low]) % 400).unwrap();
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) =
            colon.map_or((&b"cache-control"[..], line), |at| (&line[..at], &line[at + 1..]));
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            headers.append(name, value);
        }
    }

    let mut guarded = headers.clone();
    let settlement = || Settlement::cookie(HeaderValue::from_static(OURS));
    assert!(settlement().apply_to(status, &mut guarded).is_none());
    let is_ours = |line: &HeaderValue| line == OURS;
    assert_eq!(guarded.get_all(SET_COOKIE).iter().any(is_ours), status != 304);
    if status == 304 {
        return assert_eq!(guarded, headers);
    }
    assert!(!policy(status, &guarded, true).is_storable(), "{guarded:?} from {headers:?}");
    assert_eq!(guarded.get_all(CACHE_CONTROL).iter().count(), 1);
    for name in guarded.keys() {
        let name = name.as_str();
        let others = ["surrogate-control", "edge-control", "x-accel-expires"];
        assert!(!name.ends_with("-cache-control") && !others.contains(&name), "{name}");
    }
    // What a browser may not store is not made storable, where both readers see the same directives.
    let of_browsers = |headers: &HeaderMap| policy(status, headers, false).is_storable();
    if headers.get_all(CACHE_CONTROL).iter().all(is_plain) {
        assert!(of_browsers(&headers) || !of_browsers(&guarded), "{guarded:?} from {headers:?}");
    }

    let mut changed = headers.clone();
    for change in settlement().changes(&headers).0 {
        match change {
            FieldChange::Remove(name) => drop(changed.remove(name)),
            FieldChange::Append(name, value) => drop(changed.append(name, value)),
        }
    }
    assert_eq!(changed, guarded);
}

/// A line that both readers take apart alike: the oracle skips a line with a byte beyond ASCII,
/// splits a quoted string at its commas, and knows no argument of `no-store`.
fn is_plain(line: &HeaderValue) -> bool {
    let Ok(line) = line.to_str() else { return false };
    let line = line.replace([' ', '\t'], "");
    !line.contains('"') && !line.contains("no-store=")
}

fn policy(status: StatusCode, headers: &HeaderMap, shared: bool) -> CachePolicy {
    let request = Request::get("http://shop.example/").body(()).unwrap();
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.headers_mut() = headers.clone();
    let options = CacheOptions { shared, ..CacheOptions::default() };
    CachePolicy::new_options(&request, &response, SystemTime::UNIX_EPOCH, options)
}
