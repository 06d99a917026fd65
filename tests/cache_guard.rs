//! The cache guard against another reader of RFC 9111, the crate `http-cache-semantics`.

use std::time::SystemTime;

use http::header::{CACHE_CONTROL, HeaderName};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_cache_semantics::{CacheOptions, CachePolicy};
use proptest::prelude::*;
use session_affinity::Settlement;

/// Directives in small letters, because the other reader knows them in no other.
const DIRECTIVES: [&str; 17] = [
    "public",
    "private",
    "private=\"set-cookie\"",
    "private=\"a, b\"",
    "no-store",
    "must-understand",
    "no-cache",
    "no-cache=\"set-cookie\"",
    "max-age=60",
    "max-age=0",
    "s-maxage=600",
    "immutable",
    "must-revalidate",
    "proxy-revalidate",
    "stale-while-revalidate=600",
    "ext",
    "ext=\"\\\"\"",
];

const FIELDS: [(&str, &str); 5] = [
    ("expires", "Sun, 06 Nov 2094 08:49:37 GMT"),
    ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ("etag", "\"1\""),
    ("cdn-cache-control", "public, max-age=600"),
    ("vary", "accept-language"),
];

/// The header fields of an endpoint's response.
fn headers() -> impl Strategy<Value = HeaderMap> {
    let line = proptest::collection::vec(proptest::sample::select(&DIRECTIVES[..]), 1..5);
    let lines = proptest::collection::vec(line, 0..3);
    let fields = proptest::sample::subsequence(&FIELDS[..], 0..=FIELDS.len());
    (lines, fields).prop_map(|(lines, fields)| {
        let lines = lines.into_iter().map(|line| line.join(", "));
        let lines = lines.map(|line| (CACHE_CONTROL, HeaderValue::try_from(line).unwrap()));
        let field =
            |(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        lines.chain(fields.into_iter().map(field)).collect()
    })
}

/// Those that may be stored without a word of the endpoint's (RFC 9110 section 15.1), and others.
const STORABLE: [u16; 10] = [200, 203, 204, 301, 308, 404, 405, 410, 414, 501];
const OTHERS: [u16; 4] = [302, 307, 500, 503];

fn statuses(of: &[u16]) -> impl Strategy<Value = StatusCode> + use<> {
    let statuses = of.iter().map(|status| StatusCode::from_u16(*status).unwrap());
    proptest::sample::select(statuses.collect::<Vec<_>>())
}

/// A cache's reading of a response, whose date is the beginning of the epoch.
fn policy(status: StatusCode, headers: &HeaderMap, shared: bool) -> CachePolicy {
    let request = Request::get("http://shop.example/").body(()).unwrap();
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.headers_mut() = headers.clone();
    let options = CacheOptions { shared, ..CacheOptions::default() };
    CachePolicy::new_options(&request, &response, SystemTime::UNIX_EPOCH, options)
}

fn guarded(status: StatusCode, headers: &HeaderMap) -> HeaderMap {
    let mut guarded = headers.clone();
    let settlement = Settlement::cookie(HeaderValue::from_static("ours=2"));
    assert!(settlement.apply_to(status, &mut guarded).is_none());
    guarded
}

proptest! {
    /// manual::caching, The guard: "a response that gets our cookie, or the header that we issue,
    /// `private`".
    #[test]
    fn no_shared_cache_may_store_a_response_with_our_cookie(
        status in statuses(&[&STORABLE[..], &OTHERS].concat()),
        headers in headers(),
    ) {
        let guarded = guarded(status, &headers);
        prop_assert!(!policy(status, &guarded, true).is_storable(), "{:?}", guarded);
    }

    /// manual::caching, The guard: "the browser may keep it, others may not". Of another status,
    /// this reader takes `public` for a leave to store, and `private` for none.
    #[test]
    fn a_browser_may_keep_a_response_with_our_cookie_as_long_as_before(
        status in statuses(&STORABLE),
        headers in headers(),
    ) {
        let guarded = guarded(status, &headers);
        let [before, after] = [&headers, &guarded].map(|headers| policy(status, headers, false));
        prop_assert_eq!(after.is_storable(), before.is_storable(), "{:?}", guarded);
        let now = SystemTime::UNIX_EPOCH;
        prop_assert_eq!(after.time_to_live(now), before.time_to_live(now), "{:?}", guarded);
    }
}
