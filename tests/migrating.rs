//! Sessions of other systems that are taken over: `MigratingPolicy`, `ForeignCookie`.

use std::collections::HashMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::{CACHE_CONTROL, COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use proptest::prelude::*;
use session_affinity::cookies::{CacheGuard, CookieDomain, CookieName, CookiePath, FieldChange};
use session_affinity::drain::DrainSessions;
use session_affinity::failover::OnLoss;
use session_affinity::limits::DrainDuration;
use session_affinity::outcome::Lost;
use session_affinity::policy::{
    Claim, CookieOwner, ForeignCookie, ForeignFormat, Life, MigratingPolicy, ServerHash,
    SlidingPolicy,
};
use session_affinity::token::Pin;
use session_affinity::*;

mod support;
use support::{
    Client, NOW, at, cookie_policy, header, in_header, ip_cookie, issued_header, keyring,
    migrating, pools, shop, token_of, ttl,
};

fn name(name: &str) -> CookieName {
    CookieName::new(name).unwrap()
}

fn eu(number: u8) -> EndpointId {
    EndpointId::new("eu", &format!("eu-{number}"))
}

/// `SERVERID`, whose values `s1`, `s2` and `s3` stand for the endpoints of the pool `eu`.
fn serverid() -> ForeignCookie {
    let server = |number| (format!("s{number}"), eu(number));
    ForeignCookie::new(name("SERVERID")).with_endpoints([1, 2, 3].map(server))
}

fn policy(cookie: ForeignCookie) -> MigratingPolicy<CookiePolicy> {
    MigratingPolicy::new(cookie_policy()).unwrap().with_cookie(cookie)
}

fn cookies(lines: &[&str]) -> HeaderMap {
    lines.iter().map(|line| (COOKIE, HeaderValue::from_str(line).unwrap())).collect()
}

fn three() -> Pools<&'static str> {
    pools(&["eu-1", "eu-2", "eu-3"])
}

fn route<T>(
    affinity: &Affinity<impl AffinityPolicy>,
    pools: &Pools<T>,
    headers: &HeaderMap,
) -> Result<Attempt, NoRoute> {
    let request = RequestMeta::new(headers, Scheme::Https);
    let visit = affinity.recall(&request, NOW);
    affinity.route(visit, Record::Absent, pools, || 4).map(|(attempt, _)| attempt)
}

/// manual::coming_from, Keeping the old sessions while you move: "The first response brings our
/// cookie and takes the old one back".
#[test]
fn a_foreign_session_stays_and_our_cookie_takes_the_place_of_the_other_one() {
    let (affinity, pools) = (Affinity::new(policy(serverid())), three());
    let attempt = route(&affinity, &pools, &cookies(&["theme=dark; SERVERID=s2"])).unwrap();
    assert_eq!((attempt.outcome(), attempt.endpoint()), (Outcome::Migrated, eu(2)));
    assert_eq!(attempt.pinned(), Some(eu(2)));
    let trace = format!("migrated pinned={0} endpoint={0}", eu(2));
    assert_eq!(attempt.trace().to_string(), trace);
    let settlement = affinity.settle(attempt, &pools);
    let token = token_of(&settlement).unwrap();
    let mut response = http::Response::new(());
    assert_eq!(settlement.apply(&mut response), None);
    let lines: Vec<_> = response.headers().get_all(SET_COOKIE).iter().collect();
    assert!(lines[0].to_str().unwrap().starts_with(&format!("__cflb={token}; ")));
    assert_eq!(lines[1..], ["SERVERID=; Path=/; Max-Age=0"]);
    assert!(lines.iter().all(|line| line.is_sensitive()));
    assert_eq!(response.headers()[CACHE_CONTROL], "private");

    // A client that keeps the other cookie none the less has a session of ours.
    let both = cookies(&["SERVERID=s1", &format!("__cflb={token}")]);
    let kept = route(&affinity, &pools, &both).unwrap();
    assert_eq!((kept.outcome(), kept.endpoint()), (Outcome::Kept, eu(2)));
    assert_eq!(affinity.settle(kept, &pools), Settlement::nothing());
    // It is a session of the wrapped policy, which reads it alone too.
    let alone = Affinity::new(cookie_policy());
    assert_eq!(route(&alone, &pools, &both).unwrap().outcome(), Outcome::Kept);
}

/// manual::coming_from, Keeping the old sessions while you move: "A cookie of ours comes first, even
/// one that has expired or is forged".
#[test]
fn only_a_request_without_any_cookie_of_ours_falls_back() {
    let (affinity, pools) = (Affinity::new(policy(serverid())), three());
    let codec = support::codec(&keyring());
    let old = Pin { endpoint: eu(1), issued: at(NOW.as_secs() - 90), expires: NOW };
    let expired = format!("SERVERID=s2; __cflb={}", codec.seal(&old).as_str());
    for (line, label) in [
        ("SERVERID=s2", "migrated"),
        (&expired, "created:expired"),
        ("SERVERID=s2; __cflb=x", "created:malformed"),
        ("SERVERID=s4", "created:no_cookie"),
        ("SERVERID=", "created:no_cookie"),
        ("serverid=s2", "created:no_cookie"),
        ("SERVERID=s4; SERVERID=; SERVERID=x; SERVERID=s2", "migrated"),
        ("SERVERID=s4; SERVERID=; SERVERID=x; SERVERID=y; SERVERID=s2", "created:no_cookie"),
    ] {
        let label_of = |attempt: Attempt| attempt.outcome().label();
        assert_eq!(route(&affinity, &pools, &cookies(&[line])).map(label_of), Ok(label), "{line}");
    }
}

#[test]
fn a_foreign_cookie_is_accepted_until_a_date_and_stripped_for_ever() {
    let pools = three();
    let headers = cookies(&["SERVERID=s2; a=1"]);
    for (until, label) in [
        (NOW.saturating_add(1), "migrated"),
        (NOW, "created:no_cookie"),
        (UnixTime::EPOCH, "created:no_cookie"),
    ] {
        let affinity = Affinity::new(policy(serverid()).with_until(until));
        assert_eq!(route(&affinity, &pools, &headers).unwrap().outcome().label(), label);
        let mut stripped = headers.clone();
        affinity.strip(&mut stripped);
        assert_eq!(stripped, cookies(&["a=1"]));
    }
}

/// The part of each format that stands for an endpoint.
#[test]
fn the_formats_of_other_proxies() {
    use ForeignFormat as Format;
    let table = [
        (Format::Whole, "s2", true),
        (Format::Whole, "s2|Zx8yA", false),
        (Format::HAPROXY_INSERT, "s2", true),
        (Format::HAPROXY_INSERT, "s2|Zx8yA", true),
        (Format::HAPROXY_INSERT, "s2|Zx8yA|Zx8x8", true),
        (Format::HAPROXY_INSERT, "|s2", false),
        (Format::HAPROXY_INSERT, "s2 |", false),
        (Format::HAPROXY_PREFIX, "s2~app~value", true),
        (Format::HAPROXY_PREFIX, "s2~", true),
        (Format::HAPROXY_PREFIX, "s2", false),
        (Format::HAPROXY_PREFIX, "app~s2~", false),
        (Format::APACHE_ROUTE, "4711.s2", true),
        (Format::APACHE_ROUTE, ".s2", true),
        (Format::APACHE_ROUTE, "47.11.s2", true),
        (Format::APACHE_ROUTE, "s2", false),
        (Format::APACHE_ROUTE, "s2.", false),
    ];
    for (format, value, is_found) in table {
        let found = serverid().with_format(format).endpoint(value.as_bytes());
        assert_eq!(found, is_found.then_some(eu(2)), "{format:?} {value}");
    }
    // Envoy's value has quotes, which belong to it.
    let envoy = ForeignCookie::new(name("envoy")).with_endpoint("\"Cg4x\"", eu(1));
    let headers = cookies(&["envoy=\"Cg4x\""]);
    let attempt = route(&Affinity::new(policy(envoy)), &three(), &headers).unwrap();
    assert_eq!((attempt.outcome(), attempt.endpoint()), (Outcome::Migrated, eu(1)));
}

/// The values are those that Envoy 1.40.0 has set, without a `ttl` and with one, and 1.36.2.
#[test]
fn the_address_within_the_value_of_envoy_is_found_whatever_its_end() {
    let envoy = serverid()
        .with_format(ForeignFormat::EnvoyAddress)
        .with_endpoint("127.0.0.1:19102", eu(1))
        .with_endpoint("[::1]:19103", eu(2))
        .with_endpoint("", eu(3))
        .with_endpoint("a".repeat(127), eu(1))
        .with_endpoint("a".repeat(128), eu(2));
    let table = [
        ("\"Cg8xMjcuMC4wLjE6MTkxMDI=\"", Some(1)),
        ("\"Cg8xMjcuMC4wLjE6MTkxMDIQm6KJ2AY=\"", Some(1)),
        ("\"Cg8xMjcuMC4wLjE6MTkxMDIQyLMC\"", Some(1)),
        ("\"CgtbOjoxXToxOTEwMw==\"", Some(2)),
        ("Cg8xMjcuMC4wLjE6MTkxMDI=", Some(1)),
        ("\"Cg8xMjcuMC4wLjE6MTkxMDE=\"", None),
        // The address by itself, as the header of a stateful session has it.
        ("MTI3LjAuMC4xOjE5MTAy", None),
        // No padding, one quote, another alphabet, another field first.
        ("\"Cg8xMjcuMC4wLjE6MTkxMDI\"", None),
        ("\"Cg8xMjcuMC4wLjE6MTkxMDI=", None),
        ("\"Cg8xMjcuMC4wLjE6MTkxMDI-\"", None),
        ("\"Eg8xMjcuMC4wLjE6MTkxMDI=\"", None),
        // A text of 0 bytes, of 3 where 2 follow, of 128; the key alone; nothing.
        ("CgA=", Some(3)),
        ("CgNzMQ==", None),
        ("CoABczE=", None),
        ("Cg==", None),
        ("\"\"", None),
        ("", None),
        ("\"", None),
    ];
    for (value, number) in table {
        assert_eq!(envoy.endpoint(value.as_bytes()), number.map(eu), "{value}");
    }
    assert_eq!(envoy.endpoint("A".repeat(4_096).as_bytes()), None);
    // From 128 bytes on the length would take two.
    let message = |length: u8| [&[0x0a, length], "a".repeat(length.into()).as_bytes()].concat();
    for (length, number) in [(127, Some(1)), (128, None)] {
        let value = BASE64_STANDARD.encode(message(length));
        assert_eq!(envoy.endpoint(value.as_bytes()), number.map(eu), "{length}");
    }
    assert_eq!(envoy.removal().unwrap(), "SERVERID=; Path=/; Max-Age=0");
}

/// The values are those that nginx 1.31.3 has set.
#[cfg(feature = "md5")]
#[test]
fn the_hash_of_nginx() {
    for (server, value) in [
        ("127.0.0.1:19101", "fcd6d2d84f578c7cf43723b120257fda"),
        ("127.0.0.1:19102", "7e64277c5fe1b05ce041851cad108bcc"),
        ("[::1]:19103", "9566cafb67eeef033359f31fe9f56821"),
    ] {
        assert_eq!(ServerHash::Nginx.value(server), value, "{server}");
    }
    assert_eq!(format!("{:?}", ServerHash::Nginx), "Nginx");
}

/// The values are those that Traefik 3.7.15, and Caddy 2.6.2 and 2.11.7 have set.
#[test]
fn the_hashes_of_other_proxies() {
    let caddy = |secret| ServerHash::Caddy { secret };
    let with_secret = "08653e4e920da8812992075cb42be44e3f36da4a8a9c5fb4212f01b0403f99b3";
    let without = "d7d1f6efcf550da5417bc54275e9940e6fa1bcaa01f65c8049fe5ae1a36d58a6";
    let by_name = "c9e1f42180ba697427d20cc6691bf12fd11320b3167e175705e5cc44cdaaece1";
    for (hash, server, value) in [
        (ServerHash::Traefik, "http://127.0.0.1:19101", "a7f259357eb701e2"),
        (ServerHash::Traefik, "http://127.0.0.1:19102", "8677392c7f553091"),
        (caddy("mysecret"), "127.0.0.1:19101", with_secret),
        (caddy(""), "127.0.0.1:19101", without),
        (caddy(""), "localhost:19103", by_name),
    ] {
        assert_eq!(hash.value(server), value, "{hash:?} {server}");
    }
    let long = "s3cret".repeat(20);
    assert_eq!(caddy(&long).value("a").len(), 64);
    let shown = [ServerHash::Traefik, caddy("s3cret")].map(|it| format!("{it:?}"));
    assert_eq!(shown, ["Traefik", "Caddy { secret: .. }"]);
}

/// What goes upstream, and what is taken back, for each format and owner.
#[test]
fn the_proxys_own_cookie_goes_and_the_applications_stays() {
    use {CookieOwner::*, ForeignFormat as Format};
    let before = ["a=1; SERVERID=s1~x ; b=2", "SERVERID=s9~y", "__cflb=z"];
    let gone: &[&str] = &["a=1; b=2"];
    let cut: &[&str] = &["a=1; SERVERID=x; b=2", "SERVERID=s9~y"];
    let whole: &[&str] = &before[..2];
    for (format, owner, left, taken_back) in [
        (Format::Whole, Proxy, gone, true),
        (Format::Whole, Application, whole, false),
        (Format::HAPROXY_INSERT, Proxy, gone, true),
        (Format::HAPROXY_PREFIX, Proxy, cut, false),
        (Format::HAPROXY_PREFIX, Application, cut, false),
        (Format::APACHE_ROUTE, Proxy, gone, true),
        (Format::APACHE_ROUTE, Application, whole, false),
    ] {
        let cookie = serverid().with_format(format).with_owner(owner);
        assert_eq!(cookie.removal().is_some(), taken_back, "{format:?} {owner:?}");
        let mut headers = cookies(&before);
        Affinity::new(policy(cookie)).strip(&mut headers);
        assert_eq!(headers, cookies(left), "{format:?} {owner:?}");
    }
}

#[test]
fn a_cookie_is_taken_back_by_its_own_path_and_domain() {
    let removal = |cookie: ForeignCookie| cookie.removal().unwrap().clone();
    let domain = CookieDomain::new("example.com").unwrap();
    let scoped = serverid().with_path(CookiePath::new("/shop").unwrap()).with_domain(domain);
    assert_eq!(removal(scoped), "SERVERID=; Path=/shop; Max-Age=0; Domain=example.com");
    let secure = ForeignCookie::new(name("__Secure-route"));
    assert_eq!(removal(secure), "__Secure-route=; Path=/; Max-Age=0; Secure");
    let host = ForeignCookie::new(name("__HOST-route"));
    assert_eq!(removal(host), "__HOST-route=; Path=/; Max-Age=0; Secure");
}

/// The first that is found names the endpoint, and all of them are taken back.
#[test]
fn several_foreign_cookies_are_read_in_their_order() {
    let route_of = ForeignCookie::new(name("route")).with_endpoint("r3", eu(3));
    let affinity = Affinity::new(policy(serverid()).with_cookie(route_of));
    let pools = three();
    for (line, endpoint) in
        [("route=r3; SERVERID=s2", eu(2)), ("route=r3; SERVERID=x", eu(3)), ("route=r3", eu(3))]
    {
        let attempt = route(&affinity, &pools, &cookies(&[line])).unwrap();
        assert_eq!((attempt.outcome(), attempt.endpoint()), (Outcome::Migrated, endpoint));
        let settlement = affinity.settle(attempt, &pools);
        let removals = ["SERVERID=; Path=/; Max-Age=0", "route=; Path=/; Max-Age=0"];
        assert_eq!(settlement.removals(), removals);
    }
    let mut headers = cookies(&["route=r3; SERVERID=s2; a=1"]);
    affinity.strip(&mut headers);
    assert_eq!(headers, cookies(&["a=1"]));
}

/// manual::tables, The session: "where another one is kept, it is migrated".
#[test]
fn the_tables_hold_for_a_foreign_session() {
    let headers = cookies(&["SERVERID=s2"]);
    let sick = three().edited(|edit| edit.health(eu(2), Health::Unhealthy)).unwrap();
    let affinity = |on_loss| Affinity::new(policy(serverid())).with_on_loss(on_loss);

    let moved = route(&affinity(OnLoss::Move), &sick, &headers).unwrap();
    assert_eq!(moved.outcome().label(), "moved:unhealthy");
    let settlement = affinity(OnLoss::Move).settle(moved, &sick);
    assert!(settlement.set_cookie().is_some() && settlement.removals().len() == 1);

    // The old cookie stays, and the session comes home by it.
    let lent = route(&affinity(OnLoss::Lend), &sick, &headers).unwrap();
    assert_eq!((lent.outcome().label(), lent.pinned()), ("lent:unhealthy", Some(eu(2))));
    assert_eq!(affinity(OnLoss::Lend).settle(lent, &sick), Settlement::nothing());

    let lost = route(&affinity(OnLoss::Refuse), &sick, &headers).unwrap_err();
    assert_eq!(lost, NoRoute::lost(eu(2), Lost::Unhealthy));

    let gone = serverid().with_endpoint("s2", EndpointId::new("eu", "gone"));
    let removed = route(&Affinity::new(policy(gone)), &sick, &headers).unwrap();
    assert_eq!(removed.outcome().label(), "moved:removed");

    for (mode, label) in [
        (FailoverMode::None, "gave_up"),
        (FailoverMode::Temporary, "lent:connect_failed"),
        (FailoverMode::Sticky, "moved:connect_failed"),
    ] {
        let (affinity, pools) = (affinity(OnLoss::Move).with_failover_mode(mode).unwrap(), three());
        let attempt = route(&affinity, &pools, &headers).unwrap();
        let outcome = match affinity.failover(attempt, &pools) {
            Ok((next, _)) => next.outcome(),
            Err(gave_up) => gave_up.outcome(),
        };
        assert_eq!(outcome.label(), label);
    }
}

/// The sessions of an endpoint that goes are spread by address, and each goes to one place on every
/// node; by the second of the request where no address is known.
#[test]
fn foreign_sessions_do_not_leave_an_endpoint_together() {
    let names = ["eu-1", "eu-2", "eu-3", "eu-4", "eu-5", "eu-6", "eu-7"];
    let sick = pools(&names).edited(|edit| edit.health(eu(2), Health::Unhealthy)).unwrap();
    let affinity = Affinity::new(policy(serverid())).with_on_loss(OnLoss::Lend);
    let to = |client: &Client, now: u64| {
        let visit = affinity.recall(&client.request(), at(now));
        let (attempt, _) = affinity.route(visit, Record::Absent, &sick, || panic!()).unwrap();
        assert_eq!(attempt.outcome().label(), "lent:unhealthy");
        attempt.endpoint()
    };
    let mut served: HashMap<EndpointId, usize> = HashMap::new();
    for number in 0..600 {
        let mut client = Client::number(number);
        client.headers = cookies(&["SERVERID=s2"]);
        let first = to(&client, NOW.as_secs());
        assert_eq!(to(&client, NOW.as_secs() + 77), first, "the same second home each time");
        *served.entry(first).or_default() += 1;
    }
    assert!(served.len() == 6 && served.values().all(|count| *count > 60), "{served:?}");
    let mut client = Client::without_address();
    client.headers = cookies(&["SERVERID=s2"]);
    let seconds: std::collections::HashSet<_> = (0..60).map(|it| to(&client, it)).collect();
    assert_eq!(seconds.len(), 6);
}

#[test]
fn a_304_neither_brings_our_cookie_nor_takes_the_other_one_back() {
    let (affinity, pools) = (Affinity::new(policy(serverid())), three());
    let headers = cookies(&["SERVERID=s2"]);
    let settle = || affinity.settle(route(&affinity, &pools, &headers).unwrap(), &pools);
    for status in [StatusCode::NOT_MODIFIED, StatusCode::EARLY_HINTS] {
        let mut response = HeaderMap::new();
        assert_eq!(settle().apply_to(status, &mut response), None);
        assert_eq!(response, HeaderMap::new());
        assert_eq!(settle().for_status(status).changes(&response).0.count(), 0);
    }
}

/// As many changes, one by one, as the settlement makes at once; the removal is the last.
#[test]
fn the_removal_is_the_last_change() {
    let (affinity, pools) = (Affinity::new(policy(serverid())), three());
    let attempt = route(&affinity, &pools, &cookies(&["SERVERID=s2"])).unwrap();
    let (changes, _) = affinity.settle(attempt, &pools).changes(&HeaderMap::new());
    let fields: Vec<_> = changes
        .map(|change| match change {
            FieldChange::Append(name, value) => {
                let value = value.to_str().unwrap();
                format!("{name}: {}", value.split('=').next().unwrap())
            }
            FieldChange::Remove(name) => format!("without {name}"),
        })
        .collect();
    assert_eq!(fields, ["cache-control: private", "set-cookie: __cflb", "set-cookie: SERVERID"]);
}

/// A response that has no room for our cookie leaves the other one where it is.
#[test]
fn no_cookie_is_taken_back_without_ours() {
    let line = || HeaderValue::from_static("ours=1");
    let mut full = HeaderMap::new();
    let mut number = 0;
    while full.try_reserve(1).is_ok() {
        let name = HeaderName::try_from(format!("x-{number}")).unwrap();
        if full.try_insert(name, HeaderValue::from_static("1")).is_err() {
            break;
        }
        number += 1;
    }
    let before = full.clone();
    let settlement = Settlement::cookie(line()).with_removal(HeaderValue::from_static("old="));
    assert_eq!(settlement.apply_to(StatusCode::OK, &mut full), None);
    assert!(full == before);

    let mut alone = HeaderMap::new();
    let settlement = Settlement::nothing().with_removal(HeaderValue::from_static("old="));
    assert_eq!(settlement.apply_to(StatusCode::OK, &mut alone), None);
    assert_eq!(alone[SET_COOKIE], "old=");
    assert_eq!(alone[CACHE_CONTROL], "private");
    let mut settlement = Settlement::nothing().with_removal(HeaderValue::from_static("old="));
    settlement.cache_guard = CacheGuard::LeaveAsIs;
    assert_eq!(settlement.changes(&HeaderMap::new()).0.count(), 1);
}

#[test]
fn a_session_that_is_taken_back_does_not_begin_again_by_the_other_cookie() {
    let affinity = Affinity::new(policy(serverid()));
    let headers = cookies(&["SERVERID=s2"]);
    let visit = affinity.recall(&RequestMeta::new(&headers, Scheme::Https), NOW);
    assert_eq!(visit.claim(), Claim::Foreign(eu(2)));
    let settlement = affinity.forget(visit);
    assert!(settlement.set_cookie().unwrap().to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(settlement.removals(), ["SERVERID=; Path=/; Max-Age=0"]);
}

#[test]
fn the_wrapped_policies_keep_their_carrier_and_their_seed() {
    let pools = three();
    let headers = cookies(&["SERVERID=s2"]);
    let in_header = MigratingPolicy::new(in_header(&keyring())).unwrap().with_cookie(serverid());
    let affinity = Affinity::new(in_header);
    let attempt = route(&affinity, &pools, &headers).unwrap();
    assert_eq!(attempt.outcome(), Outcome::Migrated);
    let mut response = HeaderMap::new();
    assert_eq!(affinity.settle(attempt, &pools).apply_to(StatusCode::OK, &mut response), None);
    assert!(response.contains_key(issued_header().name()));
    assert_eq!(response[SET_COOKIE], "SERVERID=; Path=/; Max-Age=0");

    let by_ip = MigratingPolicy::new(ip_cookie(&keyring())).unwrap().with_cookie(serverid());
    let affinity = Affinity::new(by_ip);
    assert_eq!(route(&affinity, &pools, &headers).unwrap().outcome(), Outcome::Migrated);

    let sliding = SlidingPolicy::new(policy(serverid())).unwrap();
    let affinity = Affinity::new(sliding);
    let attempt = route(&affinity, &pools, &headers).unwrap();
    assert_eq!(attempt.outcome(), Outcome::Migrated);
    let mut stripped = headers.clone();
    affinity.strip(&mut stripped);
    assert_eq!(stripped, HeaderMap::new());
}

/// manual::draining, When it is drained: "each drain takes its whole duration"
#[test]
fn a_drain_takes_its_whole_duration_while_foreign_cookies_are_accepted() {
    let drain = DrainDuration::new(600).unwrap();
    let affinity = Affinity::new(policy(serverid())).with_drain_duration(drain);
    let pools = three();
    pools.begin_census(at(NOW.as_secs() - 1_000_000));
    let disabled = State::Disabled { at: Some(NOW) };
    let pools = pools.edited(|edit| edit.state(eu(2), disabled)).unwrap();
    let endpoint = pools.endpoint(eu(2)).unwrap();
    let drain = affinity.drain(endpoint, endpoint.census(), NOW);
    assert_eq!(drain.sessions, DrainSessions::EndBy(NOW.saturating_add(600)));
    let attempt = route(&affinity, &pools, &cookies(&["SERVERID=s2"])).unwrap();
    assert_eq!((attempt.outcome(), attempt.endpoint()), (Outcome::Migrated, eu(2)));
}

#[test]
fn only_a_policy_of_an_absolute_life_can_be_wrapped() {
    let refused = MigratingPolicy::new(header()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the policy within MigratingPolicy has the life Idle(Ttl(1800)); allowed: Life::Absolute, \
         such as CookiePolicy"
    );
    assert_eq!(refused.life, Life::Idle(ttl(1_800)));
    let none = MigratingPolicy::new(NoAffinity::new(&shop())).unwrap_err();
    assert_eq!(none.life, Life::Sessionless);
    let twice = MigratingPolicy::new(migrating(&keyring())).unwrap_err();
    assert_eq!(twice.life, Life::Unknown);
    let boxed: Box<dyn AffinityPolicy> = Box::new(cookie_policy());
    assert!(MigratingPolicy::new(boxed).is_ok());
}

fn line() -> impl Strategy<Value = String> {
    let pair = prop_oneof![
        Just("SERVERID=s1~x".to_owned()),
        Just("SERVERID=s2".to_owned()),
        Just(" SERVERID = s2~ ".to_owned()),
        Just("__cflb=x".to_owned()),
        Just("route=r3".to_owned()),
        "[ -~]{0,6}",
    ];
    prop::collection::vec(pair, 0..5).prop_map(|pairs| pairs.join(";"))
}

proptest! {
    /// The changes of `strip_changes` are those of `strip`, for every carrier and format.
    #[test]
    fn stripping_by_changes_is_stripping_at_once(
        lines in prop::collection::vec(line(), 0..4),
        is_prefix: bool,
        is_header: bool,
    ) {
        let format = if is_prefix { ForeignFormat::HAPROXY_PREFIX } else { ForeignFormat::Whole };
        let inner = if is_header { in_header(&keyring()) } else { cookie_policy() };
        let policy = MigratingPolicy::new(inner).unwrap()
            .with_cookie(serverid().with_format(format))
            .with_cookie(ForeignCookie::new(name("route")));
        let affinity = Affinity::new(policy);
        let mut headers = cookies(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        headers.insert(issued_header().name(), HeaderValue::from_static("token"));
        headers.insert("x-other", HeaderValue::from_static("1"));
        let (mut at_once, mut by_changes) = (headers.clone(), headers.clone());
        affinity.strip(&mut at_once);
        for change in affinity.strip_changes(&headers) {
            match change {
                FieldChange::Remove(name) => drop(by_changes.remove(name)),
                FieldChange::Append(name, value) => drop(by_changes.append(name, value)),
            }
        }
        prop_assert_eq!(&at_once, &by_changes);
        // The lines of the field are written once, whatever is in them.
        let removed = FieldChange::Remove(COOKIE);
        prop_assert!(affinity.strip_changes(&headers).filter(|it| *it == removed).count() <= 1);
        prop_assert_eq!(at_once.contains_key(issued_header().name()), !is_header);
        prop_assert_eq!(name("route").values(&at_once).count(), 0);
    }

    /// Any address that a host can have, with any end, in any field that a later Envoy may add.
    #[test]
    fn an_address_is_found_in_every_message_that_begins_with_it(
        address in "[ -~]{0,127}",
        rest in prop::collection::vec(any::<u8>(), 0..12),
        is_quoted: bool,
    ) {
        let length = u8::try_from(address.len()).unwrap();
        let message = [&[0x0a, length], address.as_bytes(), &rest].concat();
        let text = BASE64_STANDARD.encode(message);
        let value = if is_quoted { format!("\"{text}\"") } else { text };
        let format = ForeignFormat::EnvoyAddress;
        let envoy = serverid().with_format(format).with_endpoint(address, eu(1));
        prop_assert_eq!(envoy.endpoint(value.as_bytes()), Some(eu(1)));
    }

    /// The empty address is the only one that a table could have for too short a message.
    #[test]
    fn a_value_that_is_no_message_names_no_endpoint(value in prop::collection::vec(any::<u8>(), 0..300)) {
        let envoy = serverid().with_format(ForeignFormat::EnvoyAddress);
        let decoded = BASE64_STANDARD.decode(&value).unwrap_or_default();
        let named = decoded.starts_with(b"\x0a\x02s") && (b'1'..=b'3').contains(decoded.get(3).unwrap_or(&0));
        prop_assert_eq!(envoy.endpoint(&value).is_some(), named);
    }
}
