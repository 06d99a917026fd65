//! Session keys: which headers count, and that no two inputs collide.

use http::header::COOKIE;
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use session_affinity::policy::{InvalidHeaders, Require};
use session_affinity::store::{Lookup, SessionKey, WriteKind};
use session_affinity::*;

mod support;
use support::{NOW, pools, request, shop, ttl};

fn policy(entries: &[&str], require: Require) -> Result<HeaderPolicy, InvalidHeaders> {
    let secret = Secret::new([5; 32]).unwrap();
    Ok(HeaderPolicy::new(&shop(), &secret, entries)?.with_require(require))
}

fn headers(list: &[(&str, &[u8])]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in list {
        let name: HeaderName = name.parse().unwrap();
        headers.append(name, HeaderValue::from_bytes(value).unwrap());
    }
    headers
}

fn key(policy: &HeaderPolicy, list: &[(&str, &[u8])]) -> Option<SessionKey> {
    policy.session_key(&request(&headers(list)))
}

/// manual::concepts, The session key: "an entry is present when something non-empty is left of it",
/// "with `require_all_headers` all of them must be there". manual::cloudflare, Parameters of a load
/// balancer: "all, or at least one", "and of the cookies in `cookie:a,b` likewise".
#[test]
fn a_request_has_a_session_when_enough_headers_are_present() {
    let rows: [(&[&str], &[(&str, &[u8])], bool, bool); 14] = [
        (&["x-user"], &[("x-user", b"a")], true, true),
        (&["x-user"], &[("x-user", b"")], false, false),
        (&["x-user"], &[("x-user", b""), ("x-user", b"a")], true, true),
        (&["x-user"], &[], false, false),
        (&["x-user", "x-tenant"], &[("x-tenant", b"a")], true, false),
        (&["x-user", "x-tenant"], &[("x-tenant", b"a"), ("x-user", b"b")], true, true),
        (&["cookie"], &[("cookie", b"a=1")], true, true),
        (&["cookie"], &[("cookie", b"__cflb=1")], false, false),
        (&["cookie"], &[("cookie", b"__cflb=1; a=1")], true, true),
        (&["cookie:a,b"], &[("cookie", b"b=1")], true, false),
        (&["cookie:a,b"], &[("cookie", b"b=1"), ("cookie", b"a=2")], true, true),
        (&["cookie:a,b"], &[("cookie", b"a=; b=; c=1")], false, false),
        (&["cookie:A"], &[("cookie", b"a=1")], false, false),
        (&["Cookie:a"], &[("cookie", b"a=1")], true, true),
    ];
    for (entries, list, any, all) in rows {
        assert_eq!(
            key(&policy(entries, Require::Any).unwrap(), list).is_some(),
            any,
            "{entries:?} any {list:?}"
        );
        assert_eq!(
            key(&policy(entries, Require::All).unwrap(), list).is_some(),
            all,
            "{entries:?} all {list:?}"
        );
    }
}

/// manual::cloudflare, Features: "adding or removing one of the headers makes a new session". So
/// does another value.
#[test]
fn adding_removing_or_changing_one_makes_a_new_session() {
    let policy = policy(&["x-user", "x-tenant", "cookie:sid"], Require::Any).unwrap();
    let lists: [&[(&str, &[u8])]; 9] = [
        &[("x-user", b"a")],
        &[("x-user", b"b")],
        &[("x-tenant", b"a")],
        &[("x-user", b"a"), ("x-tenant", b"a")],
        &[("x-user", b"a"), ("x-user", b"a")],
        &[("x-user", b"aa")],
        &[("x-user", b"a"), ("cookie", b"sid=a")],
        &[("x-user", b"a"), ("cookie", b"sid=a; sid=b")],
        &[("x-user", b"\xff\xfe")],
    ];
    let keys: std::collections::HashSet<_> =
        lists.iter().map(|list| key(&policy, list).unwrap()).collect();
    assert_eq!(keys.len(), lists.len());
    let with_others: &[(&str, &[u8])] =
        &[("x-user", b"a"), ("cookie", b"theme=dark; __cflb=x"), ("accept", b"*/*")];
    assert_eq!(key(&policy, with_others), key(&policy, &[("x-user", b"a")]));
}

/// manual::cloudflare, Parameters of a load balancer: "1 to 100 characters each", "1 to 5, each
/// once without regard to case".
#[test]
fn entries_that_make_no_key_are_refused() {
    let long = "x".repeat(101);
    let refused: [(&[&str], String); 12] = [
        (&[], "session_affinity_attributes.headers has 0 entries; allowed: 1 to 5".into()),
        (&["a", "b", "c", "d", "e", "f"], "session_affinity_attributes.headers has 6 entries; allowed: 1 to 5".into()),
        (
            &["a", "A"],
            r#"session_affinity_attributes.headers has "A" twice; allowed: each entry once, without regard to case"#.into(),
        ),
        (
            &["cookie:a", "COOKIE:A"],
            r#"session_affinity_attributes.headers has "COOKIE:A" twice; allowed: each entry once, without regard to case"#
                .into(),
        ),
        (&[""], entry("")),
        (&["x y"], entry("x y")),
        (&["cookie:"], entry("cookie:")),
        (&["cookie:a,"], entry("cookie:a,")),
        (&["cookie:a,,b"], entry("cookie:a,,b")),
        (&["cookie:a,a"], entry("cookie:a,a")),
        (&["x-user:a"], entry("x-user:a")),
        (&[&long], entry(&long)),
    ];
    for (entries, message) in refused {
        assert_eq!(policy(entries, Require::Any).unwrap_err().to_string(), message);
    }
    assert!(policy(&[&"x".repeat(100), "cookie", "cookie:a,b", "d", "E"], Require::Any).is_ok());
}

fn entry(entry: &str) -> String {
    format!(
        "session_affinity_attributes.headers has {entry:?}; allowed: a field name, cookie or cookie:a,b, of 1 to 100 characters"
    )
}

/// manual::choosing, The failover mode: "`header` refuses `sticky`, as Cloudflare does."
#[test]
fn header_is_refused_with_sticky() {
    let affinity = || Affinity::new(policy(&["x-user"], Require::Any).unwrap());
    assert!(affinity().with_failover_mode(FailoverMode::Sticky).is_err());
    assert!(affinity().with_failover_mode(FailoverMode::Temporary).is_ok());
}

/// manual::concepts, What is read, and what is written: *create*, *replace*, *touch*.
#[test]
fn the_write_depends_on_the_record_that_was_found() {
    let affinity = Affinity::new(policy(&["x-user"], Require::Any).unwrap());
    let affinity = affinity.with_failover_mode(FailoverMode::Temporary).unwrap();
    let pools = pools(&["a", "b"]);
    let headers = headers(&[("x-user", b"alice")]);
    let visit = || {
        let visit = affinity.recall(&request(&headers), NOW);
        let lookup = visit.lookup().unwrap();
        (visit, lookup)
    };
    let (_, session) = visit();
    assert_eq!((session.ttl, session.now), (ttl(1_800), NOW));
    let written = |record| {
        let (attempt, _) = affinity.route(visit().0, record, &pools, || 0).unwrap();
        let endpoint = attempt.endpoint();
        let write = affinity.settle(attempt, &pools).apply(&mut http::Response::new(())).unwrap();
        assert_eq!((write.key, write.ttl, write.now), (session.key, session.ttl, session.now));
        (write.kind, endpoint)
    };
    for record in [Record::Absent, Record::Unreachable] {
        let (kind, endpoint) = written(record);
        assert_eq!(kind, WriteKind::Create(endpoint));
    }
    let (kind, endpoint) = written(Record::Unreadable);
    assert_eq!(kind, WriteKind::Replace(endpoint));
    let found = |name| Record::Found { endpoint: EndpointId::new("eu", name), issued: NOW };
    assert_eq!(written(found("a")).0, WriteKind::Touch);
    let (kind, endpoint) = written(found("gone"));
    assert_eq!(kind, WriteKind::Replace(endpoint));
    let (attempt, _) = affinity.route(visit().0, found("a"), &pools, || 0).unwrap();
    let (lent, target) = affinity.failover(attempt, &pools).unwrap();
    assert_eq!((lent.outcome().label(), *target), ("lent:connect_failed", "b"));
    let Lookup { key, ttl, now } = session;
    assert_eq!(
        affinity.settle(lent, &pools).store_write,
        Some(StoreWrite { key, ttl, now, kind: WriteKind::Touch })
    );
}

#[test]
fn keys_differ_by_load_balancer_and_secret_and_stay_out_of_debug() {
    let make = |name: &str, secret: u8| {
        let (name, secret) = (LoadBalancer::new(name).unwrap(), Secret::new([secret; 32]).unwrap());
        HeaderPolicy::new(&name, &secret, &["x-user"]).unwrap()
    };
    let list: &[(&str, &[u8])] = &[("x-user", b"alice")];
    let keys = [key(&make("a", 1), list), key(&make("b", 1), list), key(&make("a", 2), list)];
    assert!(keys[0] != keys[1] && keys[0] != keys[2] && keys[1] != keys[2]);
    let shown = format!("{:?}", make("a", 1));
    assert!(!shown.contains('[') || !shown.contains("key"), "{shown}");
    assert_eq!(format!("{:?}", SessionKey([0xab; 16])), format!("SessionKey({})", "ab".repeat(16)));
}

proptest! {
    /// manual::concepts, The session key: "different values never give the hash the same bytes".
    #[test]
    fn different_headers_make_different_keys(one in request_headers(), two in request_headers()) {
        let policy = policy(&["x-a", "x-b", "cookie:a,b"], Require::Any).unwrap();
        let canonical = |list: &[(usize, Vec<u8>)]| {
            let lines = |kind| list.iter().filter(|(k, v)| *k == kind && !v.is_empty()).map(|(_, v)| v.clone()).collect::<Vec<_>>();
            [lines(0), lines(1), lines(2), lines(3)]
        };
        let make = |list: &[(usize, Vec<u8>)]| {
            let mut headers = HeaderMap::new();
            for (kind, value) in list.iter().filter(|(_, value)| !value.is_empty()) {
                let cookie = |name: &[u8]| [name, b"=", value].concat();
                match kind {
                    0 => headers.append("x-a", HeaderValue::from_bytes(value).unwrap()),
                    1 => headers.append("x-b", HeaderValue::from_bytes(value).unwrap()),
                    2 => headers.append(COOKIE, HeaderValue::from_bytes(&cookie(b"a")).unwrap()),
                    _ => headers.append(COOKIE, HeaderValue::from_bytes(&cookie(b"b")).unwrap()),
                };
            }
            policy.session_key(&request(&headers))
        };
        prop_assert_eq!(make(&one) == make(&two), canonical(&one) == canonical(&two));
    }
}

fn request_headers() -> impl Strategy<Value = Vec<(usize, Vec<u8>)>> {
    let byte = prop_oneof![Just(b'a'), Just(b'b'), Just(0xff_u8), Just(b'=')];
    proptest::collection::vec((0_usize..4, proptest::collection::vec(byte, 0..3)), 0..4)
}
