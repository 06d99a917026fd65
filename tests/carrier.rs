//! A token in a header that the gateway issues, in the place of a cookie.

use std::io::Error;
use std::net::IpAddr;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use http::header::{CACHE_CONTROL, COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use proptest::prelude::*;
use session_affinity::carrier::{Carrier, InvalidIssuedHeader, IssuedHeader};
use session_affinity::cookies::{CacheGuard, CookieName, FieldChange};
use session_affinity::exchange::Failed;
use session_affinity::policy::{Claim, ResponseField};
use session_affinity::token::{Pin, Rejected, TokenCodec};
use session_affinity::*;

mod support;
use support::{NOW, cookie_policy, keyring, pools, request, shop};

const NAME: &str = "x-session-affinity";

fn header() -> IssuedHeader {
    IssuedHeader::new(NAME).unwrap()
}

fn policy() -> CookiePolicy {
    CookiePolicy::in_header(&shop(), &keyring(), header())
}

fn codec() -> TokenCodec {
    TokenCodec::new(&shop(), header(), &keyring())
}

fn pin(endpoint: u64, issued: UnixTime) -> Pin {
    let expires = issued.saturating_add(82_800);
    Pin { endpoint: EndpointId::from_u64(endpoint), issued, expires }
}

fn lines<V: AsRef<[u8]>>(values: &[V]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(NAME, HeaderValue::from_bytes(value.as_ref()).unwrap());
    }
    headers
}

fn claim(headers: &HeaderMap) -> Claim {
    policy().read(&request(headers), NOW).claim
}

/// manual::security, A token in a header: "up to four field lines are tried and the first valid one
/// wins". Each line is one value: it is not split at commas. Where none is valid, the reason of the
/// first is reported.
#[test]
fn the_first_of_four_lines_that_passes_wins_and_else_the_first_reason_counts() {
    let codec = codec();
    let token = |endpoint, issued| codec.seal(&pin(endpoint, issued)).to_string();
    let (one, two) = (token(1, NOW), token(2, NOW));
    let stale = token(3, NOW.saturating_sub(82_800));
    let both = format!("{one}, {two}");
    let rows: [(&[&str], Claim); 9] = [
        (&[], Claim::New(None)),
        (&[&one], Claim::Carried(pin(1, NOW))),
        (&[&two, &one], Claim::Carried(pin(2, NOW))),
        (&[&stale, "", "x", &one], Claim::Carried(pin(1, NOW))),
        (&[&stale, "", "x", "y", &one], Claim::New(Some(Rejected::Expired))),
        (&["", &stale], Claim::New(Some(Rejected::Malformed))),
        (&[&both], Claim::New(Some(Rejected::Malformed))),
        (&[&format!("__cflb={one}")], Claim::New(Some(Rejected::Malformed))),
        (&[&format!(" {one}")], Claim::New(Some(Rejected::Malformed))),
    ];
    for (values, expected) in rows {
        assert_eq!(claim(&lines(values)), expected, "{values:?}");
    }
    assert_eq!(claim(&lines(&[b"\xff\xfe".as_slice()])), Claim::New(Some(Rejected::Malformed)));
}

/// manual::security, A token in a header: "A token of a cookie does not open in a header, nor the
/// other way round".
#[test]
fn a_cookie_and_a_header_never_open_each_others_tokens() {
    let of_cookie = |name: &str| {
        let name = CookieName::new(name).unwrap();
        TokenCodec::new(&shop(), &name, &keyring()).seal(&pin(1, NOW)).to_string()
    };
    for name in ["__cflb", NAME] {
        let forged = Claim::New(Some(Rejected::Forged));
        assert_eq!(claim(&lines(&[of_cookie(name)])), forged, "{name}");
    }
    // A cookie of that name is none of the header's values, nor the other way round.
    let mut headers = HeaderMap::new();
    headers.insert(COOKIE, HeaderValue::try_from(format!("{NAME}={}", of_cookie(NAME))).unwrap());
    assert_eq!(claim(&headers), Claim::New(None));
    let headers = lines(&[of_cookie("__cflb")]);
    assert_eq!(cookie_policy().read(&request(&headers), NOW).claim, Claim::New(None));
    // No name of a cookie has the colon of a header's scope.
    assert!(CookieName::new(format!("header:{NAME}")).is_err());
}

/// manual::choosing, The carrier: "`cookie` and `ip_cookie` in the same header do, a header and a
/// cookie never."
#[test]
fn ip_cookie_reads_the_same_header_and_begins_by_the_address() {
    let (affinity, pools) = (Affinity::new(IpCookiePolicy::new(policy())), pools(&["a", "b", "c"]));
    let headers = HeaderMap::new();
    let request = request(&headers).with_client_ip(IpAddr::from([192, 0, 2, 1]));
    let none = || -> u64 { panic!("the address decides") };
    let visit = affinity.recall(&request, NOW);
    let (attempt, _) = affinity.route(visit, Record::Absent, &pools, none).unwrap();
    assert_eq!(attempt.outcome().label(), "created:no_header");
    let home = attempt.endpoint();
    let field = affinity.settle(attempt, &pools).response.unwrap();
    let Claim::Carried(pin) = claim(&lines(&[field.value()])) else { panic!("not carried") };
    assert_eq!(pin.endpoint, home);
}

/// A proxy without a store: a request with these fields is answered with these, by `status`.
fn serve(sent: HeaderMap, status: u16, own: &HeaderMap) -> (&'static str, HeaderMap) {
    let (affinity, pools) = (Affinity::new(policy()), pools(&["eu-1", "eu-2", "eu-3"]));
    let mut request = Request::new(());
    *request.headers_mut() = sent;
    let exchange = Exchange::new(&affinity, &pools, Scheme::Https).with_now(NOW);
    let served = exchange.run(request, async |_, request| {
        assert_eq!(request.headers().get(NAME), None, "the endpoint does not see the token");
        assert!(request.headers().get("x-other").is_none_or(|value| value == "stays"));
        let mut response = Response::builder().status(status).body(()).unwrap();
        response.headers_mut().extend(own.clone());
        Ok::<_, Failed<(), Error>>(response)
    });
    let mut served = pin!(served);
    let Poll::Ready(response) = served.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    else {
        panic!("the exchange waits")
    };
    let response = response.unwrap();
    let trace = response.extensions().get::<Trace>();
    (trace.map_or("-", |trace| trace.outcome().label()), response.headers().clone())
}

#[test]
fn a_session_is_created_kept_and_its_header_stripped() {
    let (created, headers) = serve(HeaderMap::new(), 200, &HeaderMap::new());
    assert_eq!(created, "created:no_header");
    assert!(!headers.contains_key(SET_COOKIE));
    assert_eq!(headers[CACHE_CONTROL], "private", "the guard holds for a header too");
    assert!(headers[NAME].is_sensitive());
    let mut sent = lines(&[&headers[NAME]]);
    sent.insert("x-other", HeaderValue::from_static("stays"));
    let (kept, headers) = serve(sent, 200, &HeaderMap::new());
    assert_eq!((kept, headers.len()), ("kept", 0), "a kept session writes nothing");
    assert_eq!(serve(lines(&["A".repeat(48)]), 200, &headers).0, "created:unknown_version");
}

/// manual::caching, Which responses.
#[test]
fn a_header_is_issued_with_the_responses_that_would_carry_a_cookie() {
    for (status, issues) in
        [(100, false), (101, true), (103, false), (200, true), (304, false), (503, true)]
    {
        let (_, headers) = serve(HeaderMap::new(), status, &HeaderMap::new());
        assert_eq!(headers.contains_key(NAME), issues, "{status}");
        assert_eq!(headers.contains_key(CACHE_CONTROL), issues, "{status}");
    }
}

#[test]
fn the_responses_own_field_of_that_name_is_replaced() {
    let own = lines(&["theirs", "theirs too"]);
    let (_, headers) = serve(HeaderMap::new(), 200, &own);
    let values: Vec<_> = headers.get_all(NAME).iter().collect();
    assert_eq!(values.len(), 1);
    assert!(matches!(claim(&lines(&values)), Claim::Carried(_)));
    // Where nothing is issued, the client would take the endpoint's for a token of ours.
    let (_, headers) = serve(HeaderMap::new(), 304, &own);
    assert!(!headers.contains_key(NAME));
}

#[test]
fn the_changes_replace_the_field_and_the_token_comes_last() {
    let value = HeaderValue::from_static("ours");
    let settlement = Settlement::header(header(), value.clone());
    assert_eq!(settlement.set_cookie(), None);
    assert_eq!(settlement.response, Some(ResponseField::Header(header(), value.clone())));
    let (changes, write) = settlement.changes(&lines(&["theirs"]));
    let name = header().name().clone();
    let private = FieldChange::Append(CACHE_CONTROL, HeaderValue::from_static("private"));
    assert_eq!(
        changes.collect::<Vec<_>>(),
        [private, FieldChange::Remove(name.clone()), FieldChange::Append(name, value)]
    );
    assert!(write.is_none());
}

#[test]
fn a_guard_that_leaves_the_response_as_it_is_issues_the_header_all_the_same() {
    let mut settlement = Settlement::header(header(), HeaderValue::from_static("ours"));
    settlement.cache_guard = CacheGuard::LeaveAsIs;
    let mut headers = HeaderMap::new();
    assert!(settlement.apply_to(StatusCode::OK, &mut headers).is_none());
    assert_eq!((headers.len(), &headers[NAME]), (1, &HeaderValue::from_static("ours")));
}

/// A map without room for the header and the guard stays as it was.
#[test]
fn a_full_header_map_causes_no_panic_and_no_header_without_the_guard() {
    for lines in 24_570..24_580 {
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public"));
        for number in 1..lines {
            let name = http::HeaderName::from_bytes(format!("x-{number}").as_bytes()).unwrap();
            if headers.try_append(name, HeaderValue::from_static("v")).is_err() {
                break;
            }
        }
        let settlement = Settlement::header(header(), HeaderValue::from_static("ours"));
        assert!(settlement.apply_to(StatusCode::OK, &mut headers).is_none());
        assert_eq!(headers.contains_key(NAME), headers[CACHE_CONTROL] == "private", "{lines}");
    }
}

proptest! {
    #[test]
    fn stripping_removes_the_header_and_nothing_else(
        fields in proptest::collection::vec(
            (prop::sample::select(vec![NAME, "X-Session-Affinity", "cookie", "x-other"]), "[a-z=; ]{0,8}"),
            0..8,
        ),
    ) {
        let mut headers = HeaderMap::new();
        for (name, value) in &fields {
            headers.append(*name, value.parse().unwrap());
        }
        let (mut stripped, mut by_field) = (headers.clone(), headers.clone());
        let affinity = Affinity::new(policy());
        affinity.strip(&mut stripped);
        let mut changes = 0;
        for change in affinity.strip_changes(&headers) {
            changes += 1;
            match change {
                FieldChange::Remove(name) => drop(by_field.remove(name)),
                FieldChange::Append(name, value) => drop(by_field.append(name, value)),
            }
        }
        prop_assert_eq!(&by_field, &stripped);
        prop_assert_eq!(changes, usize::from(headers.contains_key(NAME)));
        headers.remove(NAME);
        prop_assert_eq!(stripped, headers);
    }
}

#[test]
fn the_affinity_strips_what_its_policy_is_carried_by() {
    let both = || {
        let mut headers = lines(&["a"]);
        headers.insert(COOKIE, HeaderValue::from_static("__cflb=a; b=2"));
        headers
    };
    let left = |affinity: &dyn Fn(&mut HeaderMap)| {
        let mut headers = both();
        affinity(&mut headers);
        (headers[COOKIE].clone(), headers.contains_key(NAME))
    };
    let (cookie, issued) = (Affinity::new(cookie_policy()), Affinity::new(policy()));
    let by_key = Affinity::new(support::header());
    let none = Affinity::new(NoAffinity::new(&shop()));
    assert_eq!(left(&|headers| cookie.strip(headers)), ("b=2".parse().unwrap(), true));
    assert_eq!(left(&|headers| by_key.strip(headers)), ("b=2".parse().unwrap(), true));
    assert_eq!(left(&|headers| issued.strip(headers)), ("__cflb=a; b=2".parse().unwrap(), false));
    assert_eq!(left(&|headers| none.strip(headers)), ("__cflb=a; b=2".parse().unwrap(), true));

    assert_eq!(cookie.carrier(), Some(&Carrier::from(CookieName::default())));
    assert_eq!(issued.carrier(), Some(&Carrier::from(header())));
    assert_eq!((none.carrier(), issued.cookie_name()), (None, None));
    assert_eq!(cookie.cookie_name(), Some(&CookieName::default()));
}

/// manual::security, A token in a header: "Names that frame or route a message are refused".
#[test]
fn names_that_http_gives_a_meaning_to_are_refused() {
    for name in [
        "Accept",
        "accept-encoding",
        "access-control-allow-origin",
        "Authorization",
        "cache-control",
        "cdn-cache-control",
        "Connection",
        "content-length",
        "Content-Type",
        "cookie",
        "date",
        "etag",
        "Expect",
        "expires",
        "forwarded",
        "grpc-status",
        "Host",
        "if-none-match",
        "keep-alive",
        "location",
        "origin",
        "proxy-authorization",
        "proxy-connection",
        "range",
        "Sec-WebSocket-Key",
        "Set-Cookie",
        "surrogate-control",
        "TE",
        "trailer",
        "Transfer-Encoding",
        "Upgrade",
        "vary",
        "via",
        "www-authenticate",
        "X-Forwarded-For",
        "x-original-url",
        "x-real-ip",
    ] {
        assert_eq!(IssuedHeader::new(name), Err(InvalidIssuedHeader::Reserved(name.into())));
    }
    for name in ["", " ", "a b", "a:b", ":path", "a\r\nb", "ä", "a\0", "(a)", &"a".repeat(257)] {
        assert_eq!(IssuedHeader::new(name), Err(InvalidIssuedHeader::Name(name.into())));
    }
    for name in [NAME, "a", "affinity", "contents", "hostess", "x-lb", &"a".repeat(256)] {
        assert_eq!(IssuedHeader::new(name).unwrap().as_str(), name);
    }
    let messages = [
        (
            IssuedHeader::new("a b"),
            "the issued header is \"a b\"; allowed: 1 to 256 letters, digits and any of !#$%&'*+-.^_`|~",
        ),
        (
            IssuedHeader::new("Host"),
            "the issued header is \"Host\"; allowed: a name without a meaning in HTTP, such as x-session-affinity",
        ),
    ];
    for (refused, message) in messages {
        assert_eq!(refused.unwrap_err().to_string(), message);
    }
}

#[test]
fn a_name_is_read_from_text_and_shown_in_small_letters() {
    assert_eq!("X-Session-Affinity".parse(), Ok(header()));
    assert_eq!(IssuedHeader::try_from("X-SESSION-AFFINITY"), Ok(header()));
    assert_eq!(IssuedHeader::try_from(String::from(NAME)), Ok(header()));
    assert_eq!((header().to_string().as_str(), header().as_ref(), header().name().as_str()), {
        (NAME, NAME, NAME)
    });
    assert_eq!(Carrier::from(&header()).as_str(), NAME);
    assert_eq!(Carrier::from(&CookieName::default()).as_str(), "__cflb");
}

/// Field lines as the tests of [`Carrier::strip_response`] write them.
fn answer(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_static(value));
    }
    headers
}

/// The headers after the changes of [`Carrier::strip_response_changes`].
fn changed(carrier: &Carrier, headers: &HeaderMap) -> HeaderMap {
    let mut changed = headers.clone();
    for change in carrier.strip_response_changes(headers) {
        match change {
            FieldChange::Remove(name) => drop(changed.remove(name)),
            FieldChange::Append(name, value) => drop(changed.append(name, value)),
        }
    }
    changed
}

/// manual::security, Two gateways of one name: "What the endpoint's response says under the
/// gateway's own name is dropped".
#[test]
fn an_endpoints_cookie_of_our_name_goes_and_the_others_stay_in_their_order() {
    let carrier = Carrier::from(CookieName::default());
    for ours in ["__cflb=x; Path=/", "__cflb=", " __cflb\t= x", "__cflb=; Max-Age=0"] {
        let ours = ("set-cookie", ours);
        let (a, b) = (("set-cookie", "a=__cflb=1"), ("set-cookie", "b=2; x=__cflb=3"));
        let mut headers = answer(&[a, ours, b, ours]);
        assert_eq!(changed(&carrier, &headers), answer(&[a, b]), "{ours:?}");
        assert_eq!(carrier.strip_response(&mut headers), 2, "{ours:?}");
        assert_eq!(headers, answer(&[a, b]), "{ours:?}");
    }
    for other in ["__CFLB=x", "__cflbx=1", "x__cflb=1", "__cflb", "a; __cflb=1", "=__cflb", ""] {
        let mut headers = answer(&[("set-cookie", other)]);
        assert_eq!(carrier.strip_response_changes(&headers).count(), 0, "{other:?}");
        assert_eq!(carrier.strip_response(&mut headers), 0, "{other:?}");
        assert_eq!(headers, answer(&[("set-cookie", other)]));
    }
}

#[test]
fn with_an_issued_header_the_endpoints_header_goes_and_cookies_stay() {
    let cookie = ("set-cookie", "x-session-affinity=1");
    let mut headers = answer(&[(NAME, "1"), cookie, (NAME, "2")]);
    let affinity = Affinity::new(policy());
    let removed = FieldChange::Remove(NAME.parse().unwrap());
    assert_eq!(affinity.strip_response_changes(&headers).collect::<Vec<_>>(), [removed]);
    assert_eq!(affinity.strip_response(&mut headers), 2);
    assert_eq!(affinity.strip_response_changes(&headers).count(), 0);
    assert_eq!(headers, answer(&[cookie]));
    assert_eq!(affinity.strip_response(&mut headers), 0);
    let without_a_carrier = Affinity::new(NoAffinity::new(&shop()));
    let mut headers = answer(&[(NAME, "1"), cookie]);
    assert_eq!(without_a_carrier.strip_response_changes(&headers).count(), 0);
    assert_eq!(without_a_carrier.strip_response(&mut headers), 0);
}
