//! A session is taken back: the client drops its cookie, the store its record.

use http::header::{CACHE_CONTROL, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use session_affinity::carrier::IssuedHeader;
use session_affinity::cookies::{
    CacheGuard, CookieAttributes, CookieDomain, CookieName, CookiePath, Lifetime, Secure, SetCookie,
};
use session_affinity::store::{Lookup, WriteKind};
use session_affinity::*;

mod support;
use support::{Client, NOW, cookie_policy, header, keyring, pools, request, shop};

fn forget<P: AffinityPolicy>(
    affinity: &Affinity<P>,
    headers: &HeaderMap,
    scheme: Scheme,
) -> Settlement {
    affinity.forget(affinity.recall(&RequestMeta::new(headers, scheme), NOW))
}

fn line(policy: impl AffinityPolicy, scheme: Scheme) -> String {
    let settlement = forget(&Affinity::new(policy), &HeaderMap::new(), scheme);
    assert_eq!(settlement.store_write, None);
    settlement.set_cookie().unwrap().to_str().unwrap().to_owned()
}

/// manual::security, Taking a session back: "a `Set-Cookie` of the same name, path and domain with
/// `Max-Age=0`".
#[test]
fn a_cookie_is_taken_back_by_a_line_of_the_same_name_path_and_domain() {
    let set_cookie = |attributes| {
        let set_cookie = SetCookie::new(CookieName::new("sid").unwrap(), attributes).unwrap();
        CookiePolicy::new(&shop(), &keyring(), set_cookie)
    };
    let full = CookieAttributes {
        secure: Secure::Always,
        path: CookiePath::new("/shop").unwrap(),
        domain: Some(CookieDomain::new("example.com").unwrap()),
        partitioned: true,
        ..CookieAttributes::default()
    };
    let until_closed = CookieAttributes { lifetime: Lifetime::Session, ..full.clone() };
    let all = "sid=; Path=/shop; Max-Age=0; HttpOnly; Secure; SameSite=Lax; Domain=example.com; Partitioned";
    assert_eq!(line(set_cookie(full), Scheme::Http).replace("SameSite=None", "SameSite=Lax"), all);
    assert_eq!(line(set_cookie(until_closed), Scheme::Http), all);
    let plain = "__cflb=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax";
    assert_eq!(line(cookie_policy(), Scheme::Http), plain);
    assert_eq!(line(IpCookiePolicy::new(cookie_policy()), Scheme::Http), plain);
    assert_eq!(
        line(cookie_policy(), Scheme::Https),
        "__cflb=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=None"
    );
}

/// manual::caching, The guard: a response that takes a cookie back is for one client, too.
#[test]
fn the_response_that_takes_a_cookie_back_is_private_and_no_304() {
    let affinity = Affinity::new(cookie_policy());
    let mut response = Response::new(());
    let none = HeaderMap::new();
    assert!(forget(&affinity, &none, Scheme::Https).apply(&mut response).is_none());
    assert_eq!(response.headers()[CACHE_CONTROL], "private");
    assert!(response.headers()[SET_COOKIE].is_sensitive());
    let mut headers = HeaderMap::new();
    let settlement = forget(&affinity, &none, Scheme::Https);
    assert!(settlement.apply_to(StatusCode::NOT_MODIFIED, &mut headers).is_none());
    assert!(headers.is_empty());
}

#[test]
fn a_guard_that_leaves_responses_as_they_are_holds_for_this_one_too() {
    let affinity = Affinity::new(cookie_policy()).with_cache_guard(CacheGuard::LeaveAsIs);
    let mut response = Response::new(());
    assert!(forget(&affinity, &HeaderMap::new(), Scheme::Https).apply(&mut response).is_none());
    assert!(response.headers().contains_key(SET_COOKIE));
    assert!(!response.headers().contains_key(CACHE_CONTROL));
}

/// A request that is served and whose session is taken back: the last line counts for a browser.
#[test]
fn a_line_that_takes_back_comes_after_the_one_of_the_request() {
    let (affinity, pools) = (Affinity::new(cookie_policy()), pools(&["eu-1"]));
    let none = HeaderMap::new();
    let visit = affinity.recall(&request(&none), NOW);
    let (attempt, _) = affinity.route(visit, Record::Absent, &pools, || 0).unwrap();
    let mut response = Response::new(());
    assert!(affinity.settle(attempt, &pools).apply(&mut response).is_none());
    assert!(forget(&affinity, &none, Scheme::Http).apply(&mut response).is_none());
    let lines: Vec<_> = response.headers().get_all(SET_COOKIE).iter().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[1].to_str().unwrap().contains("; Max-Age=0;"));
}

#[test]
fn a_header_session_is_taken_back_by_removing_its_record() {
    let (affinity, pools) = (Affinity::new(header()), pools(&["eu-1", "eu-2"]));
    let store = MemoryStore::new(100).unwrap();
    let ada = Client::default().with_user("ada").headers;
    let label = |headers: &HeaderMap| {
        let visit = affinity.recall(&request(headers), NOW);
        let record = store.record(visit.lookup());
        let (attempt, _) = affinity.route(visit, record, &pools, || 0).unwrap();
        let label = attempt.outcome().label();
        let write = affinity.settle(attempt, &pools).apply(&mut Response::new(()));
        let Ok(()) = store.commit(write);
        label
    };
    assert_eq!([label(&ada), label(&ada)], ["created:no_record", "kept"]);
    let eve = Client::default().with_user("eve").headers;
    assert_eq!(label(&eve), "created:no_record");

    let settlement = forget(&affinity, &ada, Scheme::Https);
    assert_eq!(settlement.response, None);
    let write = settlement.store_write.unwrap();
    assert_eq!((write.kind, write.now), (WriteKind::Remove, NOW));
    let Ok(()) = store.commit(Some(write));
    let lookup = Lookup { key: write.key, ttl: write.ttl, now: NOW };
    assert_eq!(store.load(&lookup), Ok(Record::Absent));
    assert_eq!([label(&eve), label(&ada)], ["kept", "created:no_record"]);

    // A request without the headers has no session to take back.
    assert_eq!(forget(&affinity, &HeaderMap::new(), Scheme::Https), Settlement::nothing());
}

/// manual::security, Taking a session back: "no field makes a client forget a header".
#[test]
fn an_issued_header_and_no_policy_have_nothing_to_take_back() {
    let name = IssuedHeader::new("x-session-affinity").unwrap();
    let issued = Affinity::new(CookiePolicy::in_header(&shop(), &keyring(), name));
    let mut headers = HeaderMap::new();
    assert_eq!(forget(&issued, &headers, Scheme::Https), Settlement::nothing());
    headers.insert("x-session-affinity", HeaderValue::from_static("any"));
    assert_eq!(forget(&issued, &headers, Scheme::Https), Settlement::nothing());
    let none = Affinity::new(NoAffinity::new(&shop()));
    assert_eq!(forget(&none, &headers, Scheme::Https), Settlement::nothing());
}

/// A policy behind a box, a reference or an `Arc` is taken back as the policy itself.
#[test]
fn pointers_to_a_policy_pass_it_on() {
    fn set_cookie<P: AffinityPolicy>(policy: P) -> bool {
        forget(&Affinity::new(policy), &HeaderMap::new(), Scheme::Http).set_cookie().is_some()
    }
    let boxed: Box<dyn AffinityPolicy> = Box::new(cookie_policy());
    let policy = cookie_policy();
    assert!(set_cookie(boxed) && set_cookie(&policy) && set_cookie(policy));
    assert!(set_cookie(std::sync::Arc::new(cookie_policy())));
}
