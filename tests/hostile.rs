//! Hostile clients, one attack after the other. `gateway/…` is below `examples/gateway/tests`.
//!
//! | what they send | where it is tested |
//! |---|---|
//! | tokens that are forged, truncated, stretched or re-encoded | here; every bit in `laws.rs`; over http in `gateway/forwarding/cookies.rs`, `odd_cookies_never_fail_a_request_and_each_has_its_reason` |
//! | a token of another load balancer, cookie name or version | here; between two gateways in `gateway/two_gateways.rs` |
//! | a token of a key that was retired | here; while a gateway runs in `gateway/keys.rs`, over a restart in `gateway/restart.rs` |
//! | 10 000 cookies, values of 64 KiB, values with line breaks | here; over http in `gateway/hostile.rs` |
//! | three good-looking tokens before a good one, and four | here; with other values in `cookies.rs`, `the_first_of_four_that_passes_wins_and_else_the_first_reason_counts` |
//! | a token after its expiry, or after the lifetime was shortened | here; to the second in `gateway/clock.rs` |
//! | whatever they sent before the clock was stepped | here; over http in `gateway/clock.rs` |
//! | one token from many addresses; a token tossed in before the real one | here |
//! | a million header sessions | here; that they allocate nothing in `allocations.rs`, at other sizes in `memory_store.rs` |
//! | X-Forwarded-For, trusted or not | `gateway/forwarding/forwarded.rs` |

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use http::header::COOKIE;
use http::{HeaderMap, HeaderName, HeaderValue};
use session_affinity::config::{Config, SessionAffinity};
use session_affinity::cookies::{CookieDomain, CookieName, CookiePath, SetCookie};
use session_affinity::limits::Percent;
use session_affinity::policy::Claim;
use session_affinity::pools::LoadShedding;
use session_affinity::store::{Lookup, WriteKind};
use session_affinity::token::{Pin, Rejected, Token, TokenCodec};
use session_affinity::*;

mod support;
use support::{NOW, key, keyring, request, shop};

/// The session of the client that is attacked.
const PIN: Pin =
    Pin { endpoint: EndpointId::from_u64(7), issued: NOW, expires: NOW.saturating_add(82_800) };

fn codec(name: &str, cookie: &str, keys: impl Into<Keyring>) -> TokenCodec {
    TokenCodec::new(
        &LoadBalancer::new(name).unwrap(),
        CookieName::new(cookie).unwrap(),
        &keys.into(),
    )
}

/// A token that this load balancer has given out.
fn token() -> String {
    codec("shop.example.com", "__cflb", keyring()).seal(&PIN).as_str().into()
}

fn headers(lines: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(COOKIE, HeaderValue::from_bytes(line.as_bytes()).unwrap());
    }
    headers
}

/// The claim of a request with these Cookie lines.
fn claim(lines: &[&str]) -> Claim {
    CookiePolicy::new(&shop(), &keyring(), SetCookie::default())
        .read(&request(&headers(lines)), NOW)
        .claim
}

/// The claim of a request with this value of our cookie.
fn worth(value: &str) -> Claim {
    claim(&[&format!("__cflb={value}")])
}

fn refused(reason: Rejected) -> Claim {
    Claim::New(Some(reason))
}

/// The bytes of a token, changed.
fn with(change: impl FnOnce(&mut [u8])) -> String {
    let mut bytes = URL_SAFE_NO_PAD.decode(token()).unwrap();
    change(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

#[test]
fn a_forged_token_begins_a_session_of_its_own_and_chooses_nothing() {
    assert_eq!(worth(&token()), Claim::Carried(PIN));
    let names: Vec<String> = (0..8).map(|n| format!("eu-{n}")).collect();
    let pool = names
        .iter()
        .fold(Pool::new("eu"), |pool, name| pool.with_endpoint(Endpoint::new(name.as_str(), ())));
    let pools = Pools::builder().pool(pool).build().unwrap();
    let affinity = Affinity::new(CookiePolicy::new(&shop(), &keyring(), SetCookie::default()));
    let mut served = HashSet::new();
    for number in 0..1_000_u64 {
        // Every masked endpoint and every tag is a guess; the times are good.
        let guess = with(|bytes| {
            bytes[2..10].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
            bytes[20..28].copy_from_slice(&number.to_be_bytes());
        });
        assert_eq!(worth(&guess), refused(Rejected::Forged));
        let headers = headers(&[&format!("__cflb={guess}")]);
        let visit = affinity.recall(&request(&headers), NOW);
        let (attempt, _) = affinity.route(visit, Record::Absent, &pools, || 5).unwrap();
        assert_eq!(attempt.outcome().label(), "created:forged");
        served.insert(attempt.endpoint());
        assert!(affinity.settle(attempt, &pools).set_cookie().is_some());
    }
    assert_eq!(served.len(), 1, "only the number that was drawn chooses");
}

#[test]
fn a_truncated_or_stretched_token_is_refused() {
    let token = token();
    for length in 0..token.len() {
        assert_eq!(worth(&token[..length]), refused(Rejected::Malformed), "the first {length}");
        assert_eq!(
            worth(&token[token.len() - length..]),
            refused(Rejected::Malformed),
            "the last {length}"
        );
    }
    for more in ["A", "=", "==", "AAAA", ".", "\u{e9}", ",a", &token, &"A".repeat(60_000)] {
        assert_eq!(
            worth(&format!("{token}{more}")),
            refused(Rejected::Malformed),
            "{more} behind it"
        );
        assert_eq!(
            worth(&format!("{more}{token}")),
            refused(Rejected::Malformed),
            "{more} before it"
        );
    }
}

/// Each token has one spelling: 48 characters of the URL-safe alphabet without padding.
#[test]
fn a_token_in_another_spelling_is_refused() {
    // One whose spelling needs the letters in which the alphabets differ.
    let pin = |endpoint| Pin { endpoint: EndpointId::from_u64(endpoint), ..PIN };
    let codec = codec("shop.example.com", "__cflb", keyring());
    let both = |token: &str| token.contains('-') && token.contains('_');
    let token = (0..)
        .map(|endpoint| codec.seal(&pin(endpoint)).to_string())
        .find(|token| both(token))
        .unwrap();
    assert!(matches!(worth(&token), Claim::Carried(_)));
    let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let spellings = [
        STANDARD.encode(&bytes),
        token.replace('-', "+"),
        token.replace('_', "/"),
        token.replace('-', "%2D"),
        token.bytes().map(|byte| format!("%{byte:02X}")).collect(),
        URL_SAFE.encode([&bytes[..], &[0]].concat()),
        URL_SAFE.encode(token.as_bytes()),
        hex(&bytes),
        format!("\"{token}\""),
        format!("'{token}'"),
        format!("{} {}", &token[..24], &token[24..]),
        format!("{}\u{200b}{}", &token[..24], &token[24..]),
        token.chars().map(|c| char::from_u32(u32::from(c) + 0xfee0).unwrap()).collect(),
    ];
    for spelling in spellings {
        assert_eq!(worth(&spelling), refused(Rejected::Malformed), "{spelling}");
    }
    // Letters all, but not these ones.
    assert_ne!(token.to_ascii_uppercase(), token);
    for other in
        [token.to_ascii_uppercase(), token.to_ascii_lowercase(), token.chars().rev().collect()]
    {
        assert!(matches!(worth(&other), Claim::New(Some(_))), "{other}");
    }
}

/// manual::security, What the cookie is: "a token of another load balancer, cookie name or header is
/// worth nothing | the names are part of the keys"
#[test]
fn a_token_of_another_load_balancer_cookie_name_or_version_is_refused() {
    for (name, cookie) in [
        ("blog.example.com", "__cflb"),
        ("shop.example.com", "sid"),
        ("shop.example.co", "m__cflb"),
    ] {
        let other = codec(name, cookie, keyring()).seal(&PIN);
        assert_eq!(worth(other.as_str()), refused(Rejected::Forged), "{name} {cookie}");
    }
    for version in (0..=255).filter(|version| *version != 1) {
        assert_eq!(
            worth(&with(|bytes| bytes[0] = version)),
            refused(Rejected::UnknownVersion),
            "{version}"
        );
    }
}

#[test]
fn a_token_of_a_retired_key_is_refused_under_every_id() {
    let retired = codec("shop.example.com", "__cflb", key(2)).seal(&PIN);
    assert_eq!(worth(retired.as_str()), refused(Rejected::UnknownKey));
    let mut bytes = URL_SAFE_NO_PAD.decode(retired.as_str()).unwrap();
    for id in 0..=255 {
        bytes[1] = id;
        let reason = if id == 1 { Rejected::Forged } else { Rejected::UnknownKey };
        assert_eq!(worth(&URL_SAFE_NO_PAD.encode(&bytes)), refused(reason), "{id}");
    }
}

#[test]
fn among_10_000_cookies_ours_is_found_and_of_10_000_of_ours_four_are_tried() {
    let others: Vec<String> = (0..10_000).map(|number| format!("c{number}=__cflb")).collect();
    let ours = format!("__cflb={}", token());
    let one_line = format!("{}; {ours}", others.join("; "));
    assert_eq!(claim(&[&one_line]), Claim::Carried(PIN));
    let mut lines: Vec<&str> = others.iter().map(String::as_str).collect();
    lines.push(&ours);
    assert_eq!(claim(&lines), Claim::Carried(PIN));
    let mut stripped = headers(&[&one_line]);
    CookieName::default().strip(&mut stripped);
    assert_eq!(stripped[COOKIE], others.join("; "));

    let many = vec![format!("__cflb={}", with(|bytes| bytes[35] ^= 1)); 10_000].join("; ");
    assert_eq!(claim(&[&format!("{many}; {ours}")]), refused(Rejected::Forged));
    assert_eq!(claim(&[&format!("{ours}; {many}")]), Claim::Carried(PIN));
    let mut stripped = headers(&[&format!("{many}; a=1; {many}")]);
    CookieName::default().strip(&mut stripped);
    assert_eq!(stripped[COOKIE], "a=1");
}

#[test]
fn values_of_64_kib_are_read_to_their_end_or_refused() {
    let long = "x".repeat(65_536);
    let ours = format!("__cflb={}", token());
    assert_eq!(worth(&long), refused(Rejected::Malformed));
    assert_eq!(claim(&[&format!("a={long}; {ours}")]), Claim::Carried(PIN));
    assert_eq!(
        claim(&[&format!("__cflb{}={long}; {ours}", " ".repeat(65_536))]),
        Claim::Carried(PIN)
    );
    assert_eq!(claim(&[&format!("{}{ours}", ";".repeat(65_536))]), Claim::Carried(PIN));
    assert_eq!(claim(&[&format!("{}{ours}", "__cflb".repeat(10_000))]), Claim::New(None));

    let secret = Secret::new([5; 32]).unwrap();
    let policy = HeaderPolicy::new(&shop(), &secret, &["x-user"]).unwrap();
    let session_key = |value: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("x-user", HeaderValue::from_str(value).unwrap());
        policy.session_key(&request(&headers)).unwrap()
    };
    assert_eq!(session_key(&long), session_key(&long));
    assert_ne!(
        session_key(&format!("{long}a")),
        session_key(&format!("{long}b")),
        "the last byte counts"
    );
    assert_ne!(
        session_key(&format!("a{long}")),
        session_key(&format!("b{long}")),
        "and so does the first"
    );
}

/// manual::security, Cookie tossing: "up to four of our name are tried and the first valid one
/// wins: up to three before ours do no harm"
#[test]
fn a_good_token_behind_three_good_looking_ones_is_found_and_behind_four_it_is_not_tried() {
    let good = format!("__cflb={}", token());
    let bad = |n: u8| format!("__cflb={}", with(|bytes| bytes[20] ^= n));
    let looks_good = |bad: &str| bad.len() == good.len() && bad[..20] == good[..20];
    let bad: Vec<String> = (1..=4).map(bad).collect();
    assert!(bad.iter().all(|bad| looks_good(bad)));
    assert_eq!(claim(&[&bad[..3].join("; "), &good]), Claim::Carried(PIN));
    assert_eq!(claim(&[&bad[..4].join("; "), &good]), refused(Rejected::Forged));
}

/// Whoever can set cookies for a sibling domain can put one before the real one. A good token
/// of their own chooses the endpoint, as it does for them; anything else is passed over.
#[test]
fn a_cookie_tossed_in_before_the_real_one_wins_only_if_it_is_good() {
    let theirs = Pin { endpoint: EndpointId::from_u64(8), ..PIN };
    let before_the_real_one =
        |tossed: Token| claim(&[&format!("__cflb={tossed}; __cflb={}", token())]);
    assert_eq!(
        before_the_real_one(codec("shop.example.com", "__cflb", key(2)).seal(&theirs)),
        Claim::Carried(PIN)
    );
    assert_eq!(
        before_the_real_one(codec("blog.example.com", "__cflb", key(1)).seal(&theirs)),
        Claim::Carried(PIN)
    );
    assert_eq!(
        before_the_real_one(codec("shop.example.com", "__cflb", key(1)).seal(&theirs)),
        Claim::Carried(theirs)
    );
}

fn affinity(change: impl FnOnce(&mut Config)) -> Affinity<Box<dyn AffinityPolicy>> {
    let mut config =
        Config { session_affinity: SessionAffinity::Cookie, ..Config::new("shop.example.com") };
    change(&mut config);
    Affinity::from_config(&config, &keyring()).unwrap()
}

#[test]
fn a_token_is_replayed_in_vain_after_its_expiry_and_after_a_shortened_lifetime() {
    let headers = headers(&[&format!("__cflb={}", token())]);
    let at = |affinity: &Affinity<_>, seconds| {
        affinity.recall(&request(&headers), NOW.saturating_add(seconds)).claim()
    };
    let as_issued = affinity(|_| {});
    assert_eq!(at(&as_issued, 82_799), Claim::Carried(PIN));
    for later in [82_800, 82_801, 1 << 39] {
        assert_eq!(at(&as_issued, later), refused(Rejected::Expired));
    }
    let shortened = affinity(|config| config.session_affinity_ttl = Some(1_800));
    assert!(matches!(at(&shortened, 1_799), Claim::Carried(_)));
    assert_eq!(at(&shortened, 1_800), refused(Rejected::Expired));
    // And a longer one gives no more than the token says.
    let longer = affinity(|config| config.session_affinity_ttl = Some(604_800));
    assert_eq!(at(&longer, 82_800), refused(Rejected::Expired));
}

/// The end of the year 9999 is the last that a cookie can name; tokens go on to 36 812.
#[test]
fn no_clock_fails_a_request_and_a_session_is_live_within_its_times_alone() {
    let affinity = affinity(|_| {});
    let pools = support::pools(&["a", "b"]);
    let serve = |cookie: Option<&str>, now: u64| {
        let headers = headers(&cookie.into_iter().collect::<Vec<_>>());
        let visit = affinity.recall(&request(&headers), UnixTime::from_secs(now));
        let (attempt, _) = affinity.route(visit, Record::Absent, &pools, || 1).unwrap();
        let label = attempt.outcome().label();
        let set_cookie = affinity.settle(attempt, &pools).set_cookie().cloned();
        (label, set_cookie.map(|line| line.to_str().unwrap().split(';').next().unwrap().to_owned()))
    };
    let (year_9999, year_36_000, last) = (253_402_300_799, 1_073_903_270_400, (1 << 40) - 1);
    let times = [0, 1, 299, 86_400, 1_800_000_000, year_9999, year_36_000, last - 1];
    for issued in times {
        let (label, cookie) = serve(None, issued);
        assert_eq!(label, "created:no_cookie");
        for now in times.into_iter().chain([last, u64::MAX]) {
            let now_clamped = now.min(last);
            let expires = (issued + 82_800).min(last);
            let expected = match now_clamped {
                now if issued > (now + 300).min(last) => "created:premature",
                now if expires <= now => "created:expired",
                _ => "kept",
            };
            assert_eq!(serve(cookie.as_deref(), now).0, expected, "issued {issued}, now {now}");
        }
        // One that was stepped on and back again finds its session as it was.
        assert_eq!(serve(cookie.as_deref(), issued).0, "kept");
    }
}

/// The embedder sees the same pin, to the second, from many addresses in `Visit::claim`. This is
/// not an error: a token names an endpoint, not a client. The shedding of live sessions takes the
/// replayed load off the pool by address, so sending the token again does not help.
#[test]
fn one_token_replayed_by_many_clients_is_seen_as_one_pin_and_shed_by_address() {
    let pool = |name: &str| Pool::new(name).with_endpoint(Endpoint::new(format!("{name}-1"), ()));
    let pools = Pools::builder().pool(pool("eu")).pool(pool("us")).build().unwrap();
    let stolen = Pin { endpoint: EndpointId::new("eu", "eu-1"), ..PIN };
    let token = codec("shop.example.com", "__cflb", keyring()).seal(&stolen);
    let headers = headers(&[&format!("__cflb={token}")]);
    let affinity = affinity(|_| {});
    let serve = |pools: &Pools<()>, ip: Option<IpAddr>| {
        let visit = affinity.recall(&request(&headers).with_client_ip(ip), NOW);
        assert_eq!(visit.claim(), Claim::Carried(stolen));
        let drawn = || unreachable!("a live session draws nothing");
        let (attempt, _) = affinity.route(visit, Record::Absent, pools, drawn).unwrap();
        attempt.outcome().label()
    };
    let clients: Vec<IpAddr> =
        (0..10_000).map(|n| Ipv4Addr::from_bits(0xc633_6400 + n * 7).into()).collect();
    let shed_at = |percent| -> HashSet<IpAddr> {
        let session_percent = Percent::new(percent).unwrap();
        let shedding = LoadShedding { session_percent, ..LoadShedding::default() };
        let pools = pools.edited(|edit| edit.pool_shedding("eu", shedding)).unwrap();
        assert_eq!(serve(&pools, None), "kept", "without an address clients are not told apart");
        let is_shed = |ip: &IpAddr| match serve(&pools, Some(*ip)) {
            "kept" => false,
            "moved:shed" => true,
            other => panic!("{other}"),
        };
        clients.iter().copied().filter(is_shed).collect()
    };
    assert_eq!(shed_at(0).len(), 0);
    let third = shed_at(30);
    assert!((2_800..3_200).contains(&third.len()), "{} of 10 000 at 30 percent", third.len());
    assert_eq!(shed_at(30), third, "a client that comes again is shed again");
    assert!(third.is_subset(&shed_at(60)));
    assert_eq!(shed_at(100).len(), clients.len());
}

/// manual::security, Memory and time: "made-up sessions mostly displace each other".
/// manual::security, A full MemoryStore: "a million made-up sessions come to a store for 100 000,
/// while 50 000 sessions are each used once more | fewer than 1 % of these are lost".
#[test]
fn a_million_made_up_header_sessions_leave_the_active_ones_alone() {
    const ACTIVE: u64 = 50_000;
    const MADE_UP: u64 = 1_000_000;
    let secret = Secret::new([5; 32]).unwrap();
    let policy = HeaderPolicy::new(&shop(), &secret, &["x-user"]).unwrap();
    let store = MemoryStore::new(2 * ACTIVE as usize).unwrap();
    let mut headers = HeaderMap::new();
    let mut come = |who: &str, number: u64, now: UnixTime| {
        headers.insert("x-user", HeaderValue::try_from(format!("{who} {number}")).unwrap());
        let key = policy.session_key(&request(&headers)).unwrap();
        let ttl = HeaderPolicy::DEFAULT_TTL;
        let record = store.load(&Lookup { key, ttl, now }).unwrap();
        let own = EndpointId::from_u64(number);
        let kind = match record {
            Record::Found { .. } => WriteKind::Touch,
            _ => WriteKind::Create(own),
        };
        store.save(&StoreWrite { key, ttl, now, kind }).unwrap();
        matches!(record, Record::Found { endpoint, .. } if endpoint == own)
    };
    for _ in 0..2 {
        (0..ACTIVE).for_each(|number| _ = come("user", number, NOW));
    }
    let mut lost = 0;
    for number in 0..MADE_UP {
        let now = NOW.saturating_add(number / 1_000);
        assert!(!come("made up", number, now));
        if number % (MADE_UP / ACTIVE) == 0 && !come("user", number / (MADE_UP / ACTIVE), now) {
            lost += 1;
        }
    }
    let live = store.live(NOW.saturating_add(MADE_UP / 1_000));
    assert!(
        live <= 2 * store.capacity(),
        "{live} sessions are live in a store for {}",
        store.capacity()
    );
    assert!(lost * 100 < ACTIVE, "{lost} of {ACTIVE} active sessions were lost");
    println!(
        "{lost} of {ACTIVE} active sessions were lost to {MADE_UP} made-up ones; {live} are live"
    );
}

/// A line break would end the field and begin one of the client's making. No value of `http` can
/// have one, and no name, path or domain of ours.
#[test]
fn values_with_line_breaks_reach_nothing() {
    for evil in ["a\r\nSet-Cookie: b=1", "a\nb", "a\rb", "\r", "\n", "a\0b", "a\u{b}b", "a\u{7f}"] {
        assert!(
            HeaderValue::from_str(evil).is_err()
                && HeaderValue::from_bytes(evil.as_bytes()).is_err(),
            "{evil:?}"
        );
        assert!(HeaderName::from_bytes(evil.as_bytes()).is_err(), "{evil:?}");
        assert!(CookieName::new(evil).is_err(), "{evil:?}");
        assert!(CookiePath::new(format!("/{evil}")).is_err(), "{evil:?}");
        assert!(CookieDomain::new(format!("a{evil}")).is_err(), "{evil:?}");
        assert!(LoadBalancer::new(evil).is_err(), "{evil:?}");
        assert!(Pools::builder().pool(Pool::<()>::new(evil)).build().is_err(), "{evil:?}");
        assert!(
            Pools::builder()
                .pool(Pool::new("eu").with_endpoint(Endpoint::new(evil, ())))
                .build()
                .is_err(),
            "{evil:?}"
        );
    }
    // The other half of Latin-1 stands in values, and is compared as it came.
    assert_eq!(claim(&["a=\u{85}\u{2028}"]), Claim::New(None));
    assert_eq!(worth("\u{85}\u{2028}"), refused(Rejected::Malformed));
}
