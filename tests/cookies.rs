//! Reading the affinity cookie, writing it, and keeping it from endpoints and shared caches.

use std::hash::{BuildHasher, RandomState};

use http::header::{CACHE_CONTROL, COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use session_affinity::carrier::IssuedHeader;
use session_affinity::cookies::{
    CacheGuard, CookieAttributes, CookieDomain, CookieName, CookiePath, FieldChange,
    InvalidAttributes, Lifetime, SameSite, Secure, SetCookie,
};
use session_affinity::policy::{Claim, ResponseField};
use session_affinity::token::{Pin, Rejected, Token};
use session_affinity::*;

mod support;
use support::{NOW, codec, cookie_policy, keyring, request, shop};

fn cookies(lines: &[&[u8]]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(COOKIE, HeaderValue::from_bytes(line).unwrap());
    }
    headers
}

fn values(lines: &[&[u8]]) -> Vec<Vec<u8>> {
    let headers = cookies(lines);
    CookieName::default().values(&headers).map(<[u8]>::to_vec).collect()
}

fn stripped(lines: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut headers = cookies(lines);
    CookieName::default().strip(&mut headers);
    headers.get_all(COOKIE).iter().map(|line| line.as_bytes().to_vec()).collect()
}

/// manual::concepts, The cookie: "Every `Cookie` field line counts, as HTTP/2 may split the field.
/// A line is split at each `;`, a part at its first `=`, and spaces and tabs around name and value
/// are cut off. A part without `=` is ignored, names are compared byte by byte, and quotes belong
/// to the value."
#[test]
fn pairs_are_read_by_the_rule() {
    let rows: [(&[&[u8]], &[&[u8]]); 13] = [
        (&[b"__cflb=a"], &[b"a"]),
        (&[b"x=1; __cflb=a; y=2"], &[b"a"]),
        (&[b"x=1;__cflb=a;y=2"], &[b"a"]),
        (&[b" \t__cflb \t= \ta \t"], &[b"a"]),
        (&[b"__cflb=a=b=c"], &[b"a=b=c"]),
        (&[b"__cflb=a", b"x=1", b"__cflb=b"], &[b"a", b"b"]),
        (&[b"__cflb=a; __cflb=b"], &[b"a", b"b"]),
        (&[b"__cflb; x=1"], &[]),
        (&[b"__cflb="], &[b""]),
        (&[b"__CFLB=a; __cflb2=b; a__cflb=c; x=__cflb=d"], &[]),
        (&[b"__cflb=\"a\""], &[b"\"a\""]),
        (&[b"__cflb=\xff\xfe"], &[b"\xff\xfe"]),
        (&[b";;; ;=;__cflb=a;;="], &[b"a"]),
    ];
    for (lines, expected) in rows {
        assert_eq!(
            values(lines),
            expected.iter().map(|v| v.to_vec()).collect::<Vec<_>>(),
            "{lines:?}"
        );
    }
}

/// manual::security, Cookie tossing: "up to four of our name are tried and the first valid one
/// wins". manual::concepts, The cookie: "Every cookie of our name counts as tried, whatever its
/// length", "When none passes, the reason of the first one is reported."
#[test]
fn the_first_of_four_that_passes_wins_and_else_the_first_reason_counts() {
    let policy = cookie_policy();
    let codec = codec(&keyring());
    let token = |endpoint: u64, issued: u64| {
        let issued = UnixTime::from_secs(issued);
        codec.seal(&Pin {
            endpoint: EndpointId::from_u64(endpoint),
            issued,
            expires: issued.saturating_add(82_800),
        })
    };
    let now = NOW.as_secs();
    let (one, two, stale) = (token(1, now), token(2, now), token(3, now - 82_800));
    let claim = |line: String| {
        let headers = cookies(&[line.as_bytes()]);
        policy.read(&request(&headers), NOW).claim
    };
    let carried = |endpoint: u64| move |claim: Claim| matches!(claim, Claim::Carried(pin) if pin.endpoint == EndpointId::from_u64(endpoint));
    assert!(carried(1)(claim(format!("__cflb={one}; __cflb={two}"))));
    assert!(carried(2)(claim(format!("__cflb={stale}; __cflb={two}; __cflb={one}"))));
    assert!(carried(1)(claim(format!("__cflb=; __cflb=x; __cflb={stale}; __cflb={one}"))));
    assert_eq!(
        claim(format!("__cflb={stale}; __cflb=; __cflb=x; __cflb=y; __cflb={one}")),
        Claim::New(Some(Rejected::Expired))
    );
    assert_eq!(
        claim(format!("__cflb={}; __cflb={stale}", "x".repeat(60_000))),
        Claim::New(Some(Rejected::Malformed))
    );
    assert_eq!(claim("__cflb".into()), Claim::New(None));
}

/// manual::security, What the embedder must do: "strip the cookie or the header from what goes
/// upstream".
/// manual::concepts, The cookie: "removes every cookie of our name from a request, and a field line
/// that becomes empty; all other cookies keep their bytes."
#[test]
fn only_our_cookie_is_stripped() {
    let rows: [(&[&[u8]], &[&[u8]]); 13] = [
        (&[b"__cflb=a"], &[]),
        (&[b" __cflb = a ;"], &[]),
        (&[b"__cflb=a; __cflb=b"], &[]),
        (&[b"x=1; __cflb=a; y=2"], &[b"x=1; y=2"]),
        (&[b"__cflb=a; x=1"], &[b"x=1"]),
        (&[b"x=1; __cflb=a"], &[b"x=1"]),
        (&[b"x=1;y=2;__cflb=a"], &[b"x=1;y=2"]),
        (&[b"x=1;  y=\"2\" ; __cflb=a"], &[b"x=1;  y=\"2\" "]),
        (&[b"__cflb; __cflb=a"], &[b"__cflb"]),
        (&[b"x=\xff; __cflb=a"], &[b"x=\xff"]),
        (&[b"x=1", b"__cflb=a", b"y=2; __cflb=b"], &[b"x=1", b"y=2"]),
        (&[b" odd ;; line", b"__cflb=a"], &[b" odd ;; line"]),
        (&[b" odd ;; line "], &[b" odd ;; line "]),
    ];
    for (lines, expected) in rows {
        assert_eq!(
            stripped(lines),
            expected.iter().map(|v| v.to_vec()).collect::<Vec<_>>(),
            "{lines:?}"
        );
    }
}

#[test]
fn stripping_leaves_other_headers_and_sensitivity_alone() {
    let mut headers = HeaderMap::new();
    let mut line = HeaderValue::from_static("x=1; __cflb=a");
    line.set_sensitive(true);
    headers.append(COOKIE, line);
    headers.insert("x-other", HeaderValue::from_static("__cflb=a"));
    CookieName::default().strip(&mut headers);
    assert!(headers[COOKIE].is_sensitive());
    assert_eq!(headers["x-other"], "__cflb=a");
}

proptest! {
    #[test]
    fn nothing_of_ours_is_left_after_stripping_and_the_others_are(
        lines in proptest::collection::vec(proptest::collection::vec(part(), 0..6), 0..4),
    ) {
        let joined: Vec<Vec<u8>> = lines.iter().map(|parts| parts.join(&b';')).collect();
        let lines: Vec<&[u8]> = joined.iter().map(Vec::as_slice).collect();
        let after = stripped(&lines);
        let after: Vec<&[u8]> = after.iter().map(Vec::as_slice).collect();
        prop_assert_eq!(values(&after), Vec::<Vec<u8>>::new());
        prop_assert_eq!(naive_pairs(&after, false), naive_pairs(&lines, false));
        prop_assert_eq!(values(&lines), naive_pairs(&lines, true));
    }
}

/// One cookie of a field line: a token that opens, one that is refused, or a damaged one, with
/// other bytes around it.
fn token_pair() -> impl Strategy<Value = Vec<u8>> {
    let token = |endpoint, issued| {
        let expires = NOW.saturating_add(3_600);
        let pin = Pin { endpoint: EndpointId::new("eu", endpoint), issued, expires };
        codec(&keyring()).seal(&pin).to_string()
    };
    let (good, premature) = (token("eu-1", NOW), token("eu-2", NOW.saturating_add(3_000)));
    let (start, rest) = good.split_at(40);
    let values = vec![
        good.clone(),
        token("eu-3", NOW),
        premature,
        format!("{start}AAAAAAAA"),
        format!("{start}; {rest}"),
        format!("{start} {}", &rest[1..]),
        format!("\"{}\"", &good[2..]),
        format!("{good}A"),
        good[1..].into(),
        String::new(),
    ];
    let before = vec!["__cflb=", " __cflb = ", "x=1; __cflb=", "x__cflb="];
    let after = vec!["", ";", " ", "\t;", "; y=2", " y"];
    let parts = [before, after].map(proptest::sample::select);
    let [before, after] = parts;
    (before, proptest::sample::select(values), after)
        .prop_map(|(before, value, after)| [before, &value, after].concat().into_bytes())
}

proptest! {
    /// The first of at most four values that opens counts, or else the reason of the first. The
    /// policy looks for the end of a value only where it is not at the 49th byte.
    #[test]
    fn a_policy_opens_what_a_loop_over_the_split_values_opens(
        lines in proptest::collection::vec(proptest::collection::vec(token_pair(), 1..4), 0..4),
    ) {
        let lines: Vec<Vec<u8>> = lines.iter().map(|pairs| pairs.join(&b';')).collect();
        let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        let tried = naive_pairs(&lines, true).into_iter().take(4);
        let opened: Vec<_> = tried.map(|value| codec(&keyring()).open(&value, NOW)).collect();
        let pin = opened.iter().find_map(|opened| opened.ok());
        let first = opened.first().and_then(|opened| opened.err());
        let plain = pin.map_or(Claim::New(first), Claim::Carried);
        let headers = cookies(&lines);
        prop_assert_eq!(cookie_policy().read(&request(&headers), NOW).claim, plain);
    }
}

/// As a stack without a `HeaderMap` does it: in order, up to the first change that is refused.
fn change(
    headers: &mut HeaderMap,
    changes: impl Iterator<Item = FieldChange>,
) -> Result<(), http::header::MaxSizeReached> {
    for change in changes {
        match change {
            FieldChange::Remove(name) => drop(headers.remove(name)),
            FieldChange::Append(name, value) => drop(headers.try_append(name, value)?),
        }
    }
    Ok(())
}

/// Header fields with the names that stripping and the guard know, and their neighbours.
fn fields() -> impl Strategy<Value = HeaderMap> {
    let cookie = proptest::collection::vec(part(), 0..5)
        .prop_map(|parts| (COOKIE, HeaderValue::from_bytes(&parts.join(&b';')).unwrap()));
    let name = prop_oneof![
        Just(CACHE_CONTROL),
        Just(SET_COOKIE),
        prop::sample::select(TARGETED.to_vec()).prop_map(http::HeaderName::from_static),
        Just(http::header::VARY),
    ];
    let value = prop::sample::select(vec![
        "",
        "private",
        "public, max-age=60",
        "s-maxage=1",
        "no-store",
        "private=\"a",
        "x=\"a, public\"",
    ]);
    let other = (name, value.prop_map(HeaderValue::from_static));
    let field =
        (prop_oneof![cookie, other], any::<bool>()).prop_map(|((name, mut value), secret)| {
            value.set_sensitive(secret);
            (name, value)
        });
    proptest::collection::vec(field, 0..12).prop_map(|fields| {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, value);
        }
        headers
    })
}

/// The lines of each name, in order, with the mark of those that are sensitive.
fn lines(headers: &HeaderMap) -> Vec<(&str, Vec<(&[u8], bool)>)> {
    let mut names: Vec<_> = headers.keys().collect();
    names.sort_by_key(|name| name.as_str());
    let lines = |name| headers.get_all(name).iter().map(|it| (it.as_bytes(), it.is_sensitive()));
    names.into_iter().map(|name| (name.as_str(), lines(name).collect())).collect()
}

proptest! {
    #[test]
    fn the_changes_of_stripping_are_stripping(headers in fields()) {
        let name = CookieName::default();
        let (mut at_once, mut by_field) = (headers.clone(), headers.clone());
        name.strip(&mut at_once);
        change(&mut by_field, name.strip_changes(&headers)).unwrap();
        prop_assert_eq!(lines(&by_field), lines(&at_once));
        if name.values(&headers).next().is_none() {
            prop_assert_eq!(name.strip_changes(&headers).count(), 0);
        }
        let mut by_affinity = headers.clone();
        change(&mut by_affinity, Affinity::new(cookie_policy()).strip_changes(&headers)).unwrap();
        prop_assert_eq!(lines(&by_affinity), lines(&at_once));
        let unbound = Affinity::new(NoAffinity::new(&shop()));
        prop_assert_eq!(unbound.strip_changes(&headers).count(), 0);
    }

    /// manual::caching, The guard: "Stacks that lend no `&mut HeaderMap` take the same changes as
    /// values, one header field at a time". "The token comes last".
    #[test]
    fn the_changes_of_a_settlement_are_its_application(
        headers in fields(),
        carrier in prop::sample::select(vec![None, Some("set-cookie"), Some("x-session-affinity")]),
        own in 0_usize..3,
        leave in any::<bool>(),
    ) {
        let mut headers = headers;
        for _ in 0..own {
            headers.append("x-session-affinity", HeaderValue::from_static("theirs"));
        }
        let settlement = || {
            let mut settlement = Settlement::nothing();
            let value = HeaderValue::from_static("ours=2");
            settlement.response = carrier.map(|name| match name {
                "set-cookie" => ResponseField::SetCookie(value),
                name => ResponseField::Header(IssuedHeader::new(name).unwrap(), value),
            });
            settlement.cache_guard =
                if leave { CacheGuard::LeaveAsIs } else { CacheGuard::MakePrivate };
            settlement
        };
        let (mut at_once, mut by_field) = (headers.clone(), headers.clone());
        let write = settlement().apply_to(http::StatusCode::OK, &mut at_once);
        let (changes, by_field_write) = settlement().changes(&headers);
        change(&mut by_field, changes).unwrap();
        prop_assert_eq!(lines(&by_field), lines(&at_once));
        prop_assert_eq!(by_field_write, write);
        let (changes, _) = settlement().changes(&headers);
        let changes: Vec<_> = changes.collect();
        prop_assert_eq!(changes.is_empty(), carrier.is_none());
        // The token comes last, so that there is none without the guard.
        let is_token = |change: &FieldChange| match change {
            FieldChange::Append(name, _) => Some(name.as_str()) == carrier,
            FieldChange::Remove(_) => false,
        };
        prop_assert_eq!(changes.iter().position(is_token), changes.len().checked_sub(1));
        if carrier == Some("x-session-affinity") {
            // The response's own fields of that name are replaced.
            let issued: Vec<_> = at_once.get_all("x-session-affinity").iter().collect();
            prop_assert_eq!(issued, ["ours=2"]);
        }
    }
}

#[test]
fn the_write_for_the_store_is_beside_the_changes() {
    let mut headers = HeaderMap::new();
    headers.insert("x-user", HeaderValue::from_static("ada"));
    let (affinity, pools) = (Affinity::new(support::header()), support::pools(&["eu-1"]));
    let visit = affinity.recall(&request(&headers), NOW);
    assert!(visit.lookup().is_some());
    let (attempt, _) = affinity.route(visit, Record::Absent, &pools, || 0).unwrap();
    let settlement = affinity.settle(attempt, &pools);
    let expected = settlement.store_write;
    let (changes, write) = settlement.changes(&HeaderMap::new());
    assert_eq!(changes.count(), 0);
    assert!(write.is_some() && write == expected, "{write:?}");
}

/// Parts that come close to our cookie more often than random bytes would.
fn part() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"__cflb=v".to_vec()),
        Just(b" __cflb\t=  w ".to_vec()),
        Just(b"__cflb".to_vec()),
        Just(b" ".to_vec()),
        Just(b"".to_vec()),
        proptest::collection::vec(
            prop_oneof![Just(b'='), Just(b' '), Just(b'a'), Just(0xff_u8), Just(b'"')],
            0..8
        ),
    ]
}

/// The values of our pairs, or all other pairs whole, by way of strings.
fn naive_pairs(lines: &[&[u8]], ours: bool) -> Vec<Vec<u8>> {
    let blank = |c: char| c == ' ' || c == '\t';
    let mut found = Vec::new();
    for line in lines {
        let line: String = line.iter().map(|byte| char::from(*byte)).collect();
        for part in line.split(';') {
            let Some((name, value)) = part.split_once('=') else { continue };
            let (name, value) = (name.trim_matches(blank), value.trim_matches(blank));
            match (name == "__cflb", ours) {
                (true, true) => found.push(value.chars().map(|c| c as u8).collect()),
                (false, false) => {
                    found.push(format!("{name}={value}").chars().map(|c| c as u8).collect())
                }
                _ => {}
            }
        }
    }
    found
}

fn line(
    name: &str,
    attributes: CookieAttributes,
    scheme: Scheme,
) -> Result<String, InvalidAttributes> {
    let set_cookie = SetCookie::new(CookieName::new(name).unwrap(), attributes)?;
    assert_eq!(set_cookie.name().as_str(), name);
    let policy = CookiePolicy::new(&shop(), &keyring(), set_cookie);
    let affinity = Affinity::new(policy);
    let pools = support::pools(&["eu-1"]);
    let headers = HeaderMap::new();
    let visit = affinity.recall(&RequestMeta::new(&headers, scheme), NOW);
    let (attempt, _) = affinity.route(visit, Record::Absent, &pools, || 0).unwrap();
    let value = affinity.settle(attempt, &pools).set_cookie().cloned().unwrap();
    assert!(value.is_sensitive());
    let value = value.to_str().unwrap().to_owned();
    let (pair, rest) = value.split_once("; ").unwrap();
    assert_eq!(pair.len(), name.len() + 1 + Token::LEN);
    Ok(rest.to_owned())
}

/// manual::concepts, The cookie: "`Secure` stands there where it applies, `Domain` and
/// `Partitioned` where they are configured."
#[test]
fn the_set_cookie_line_to_the_letter() {
    let common = "Expires=Sat, 16 Jan 2027 07:00:00 GMT; Max-Age=82800; HttpOnly";
    let plain = CookieAttributes::default();
    assert_eq!(
        line("__cflb", plain.clone(), Scheme::Http).unwrap(),
        format!("Path=/; {common}; SameSite=Lax")
    );
    assert_eq!(
        line("__cflb", plain, Scheme::Https).unwrap(),
        format!("Path=/; {common}; Secure; SameSite=None")
    );
    let full = CookieAttributes {
        samesite: SameSite::Strict,
        secure: Secure::Always,
        path: CookiePath::new("/shop").unwrap(),
        domain: Some(CookieDomain::new("example.com").unwrap()),
        partitioned: true,
        ..CookieAttributes::default()
    };
    assert_eq!(
        line("sid", full.clone(), Scheme::Http).unwrap(),
        format!("Path=/shop; {common}; Secure; SameSite=Strict; Domain=example.com; Partitioned")
    );
    let until_closed = CookieAttributes { lifetime: Lifetime::Session, ..full };
    assert_eq!(
        line("sid", until_closed, Scheme::Http).unwrap(),
        "Path=/shop; HttpOnly; Secure; SameSite=Strict; Domain=example.com; Partitioned"
    );
}

/// manual::choosing, The lifetime: "With `cookie.lifetime` `session` neither is", "the token's expiry
/// holds in both".
#[test]
fn a_session_cookie_has_no_dates_and_its_token_expires_all_the_same() {
    let attributes = CookieAttributes { lifetime: Lifetime::Session, ..Default::default() };
    assert_eq!(
        line("__cflb", attributes.clone(), Scheme::Http).unwrap(),
        "Path=/; HttpOnly; SameSite=Lax"
    );
    let set_cookie = SetCookie::new(CookieName::default(), attributes).unwrap();
    let policy = CookiePolicy::new(&shop(), &keyring(), set_cookie).with_ttl(support::ttl(60));
    let affinity = Affinity::new(policy);
    let pools = support::pools(&["eu-1"]);
    let mut headers = HeaderMap::new();
    let visit = affinity.recall(&request(&headers), NOW);
    let (attempt, _) = affinity.route(visit, Record::Absent, &pools, || 0).unwrap();
    let token = support::token_of(&affinity.settle(attempt, &pools)).unwrap();
    headers.insert(COOKIE, HeaderValue::try_from(format!("__cflb={token}")).unwrap());
    let claim = |seconds| {
        let now = NOW.saturating_add(seconds);
        affinity.recall(&request(&headers), now).claim()
    };
    assert!(matches!(claim(59), Claim::Carried(_)));
    assert_eq!(claim(60), Claim::New(Some(Rejected::Expired)));
}

/// The bytes are in tests/vectors/more.json: see vectors.rs.
#[test]
fn a_name_for_a_scope_is_the_base_and_a_hash_of_the_scope() {
    let scoped = |base, scope| CookieName::scoped(base, scope).unwrap();
    assert_eq!(scoped("__cflb", "route-a"), scoped("__cflb", "route-a"));
    assert_ne!(scoped("__cflb", "route-a"), scoped("__cflb", "route-b"));
    assert_ne!(scoped("__cflb", "route-a"), scoped("lb", "route-a"));
    let longest = "b".repeat(239);
    assert_eq!(scoped(&longest, "").as_str().len(), 256);
    for base in ["", "a b", "a;", &format!("{longest}b")] {
        assert!(CookieName::scoped(base, "route-a").is_err(), "{base}");
    }
}

/// manual::cloudflare, Parameters of a load balancer: "`Auto` is `Lax` with `always_use_https`;
/// else `None` over https and `Lax` over http", Secure is set "also on any request that came over
/// https". manual::choosing, Clients: "Where a request over http would get `None` without `Secure`,
/// which browsers drop, `Lax` is written." manual::concepts, The cookie: "`Partitioned` without
/// `Secure` is left out".
#[test]
fn every_combination_of_samesite_secure_and_scheme() {
    use Scheme::*;
    for samesite in [SameSite::Auto, SameSite::Lax, SameSite::None, SameSite::Strict] {
        for secure in [Secure::Auto, Secure::Always, Secure::Never] {
            for always_use_https in [false, true] {
                for partitioned in [false, true] {
                    for scheme in [Http, Https] {
                        let attributes = CookieAttributes {
                            samesite,
                            secure,
                            always_use_https,
                            partitioned,
                            ..Default::default()
                        };
                        let result = line("__cflb", attributes, scheme);
                        if secure == Secure::Never && samesite == SameSite::None {
                            assert_eq!(result, Err(InvalidAttributes::NoneWithoutSecure));
                            continue;
                        }
                        if secure == Secure::Never && partitioned {
                            assert_eq!(result, Err(InvalidAttributes::PartitionedWithoutSecure));
                            continue;
                        }
                        let is_secure = match secure {
                            Secure::Always => true,
                            Secure::Never => false,
                            Secure::Auto => scheme == Https || always_use_https,
                        };
                        let wanted = match samesite {
                            SameSite::Strict => "Strict",
                            SameSite::None if is_secure => "None",
                            SameSite::Auto if is_secure && scheme == Https && !always_use_https => {
                                "None"
                            }
                            _ => "Lax",
                        };
                        let mut tail = String::from("; HttpOnly");
                        tail += if is_secure { "; Secure" } else { "" };
                        tail += &format!("; SameSite={wanted}");
                        tail += if is_secure && partitioned { "; Partitioned" } else { "" };
                        let line = result.unwrap();
                        assert!(
                            line.ends_with(&tail),
                            "{samesite:?} {secure:?} {scheme:?} {always_use_https:?}: {line}"
                        );
                    }
                }
            }
        }
    }
}

/// manual::security, Cookie tossing: "browsers take such a cookie only from this very host, with
/// `Secure`, for `/` and without a domain, and [`SetCookie::new`] refuses attributes that break
/// this." "`Secure` is certain with `Always`, and with `Auto` where `always_use_https` is set."
#[test]
fn prefixed_names_keep_their_promise_or_are_refused() {
    let secure = CookieAttributes { secure: Secure::Always, ..Default::default() };
    let redirected = CookieAttributes { always_use_https: true, ..Default::default() };
    let with_path = CookieAttributes { path: CookiePath::new("/a").unwrap(), ..secure.clone() };
    let with_domain = CookieAttributes {
        domain: Some(CookieDomain::new("a.example").unwrap()),
        ..secure.clone()
    };
    let never = CookieAttributes { secure: Secure::Never, ..redirected.clone() };
    for name in ["__Host-a", "__Secure-a", "__host-a", "__SECURE-a", "__Http-a", "__Host-Http-a"] {
        assert!(line(name, secure.clone(), Scheme::Http).is_ok(), "{name}");
        assert!(
            line(name, redirected.clone(), Scheme::Http).unwrap().contains("; Secure"),
            "{name}"
        );
        let refused = Err(InvalidAttributes::PrefixWithoutSecure(name.into()));
        assert_eq!(line(name, CookieAttributes::default(), Scheme::Https), refused);
        assert_eq!(line(name, never.clone(), Scheme::Https), refused);
        let is_host = name.to_ascii_lowercase().starts_with("__host-");
        let host_rule = |result: Result<String, _>| {
            if is_host {
                assert_eq!(result, Err(InvalidAttributes::HostPrefix(name.into())));
            } else {
                assert!(result.is_ok());
            }
        };
        host_rule(line(name, with_path.clone(), Scheme::Https));
        host_rule(line(name, with_domain.clone(), Scheme::Https));
    }
}

/// manual::security, HttpOnly, Secure, SameSite: "Path, domain and name are checked when they are
/// configured, so that none of them can add an attribute."
#[test]
fn nothing_can_be_injected() {
    for name in [
        "",
        "a b",
        "a=b",
        "a;b",
        "a,b",
        "a\"",
        "a\r\n",
        "ä",
        "a\0",
        &"a".repeat(257),
        "(a)",
        "a/b",
        "a@b",
    ] {
        assert_eq!(CookieName::new(name).unwrap_err().name, name);
    }
    assert!(CookieName::new("a".repeat(256)).is_ok());
    for path in [
        "",
        "a",
        "/;Domain=x",
        "/ a",
        "/a\t",
        "/\r\n",
        "/ä",
        "/\x7f",
        &format!("/{}", "a".repeat(1_024)),
    ] {
        assert_eq!(CookiePath::new(path).unwrap_err().path, path);
    }
    for domain in [
        "",
        ".",
        "a..b",
        "a;b",
        "a b",
        "-a",
        "a-",
        "a_b",
        "ä.de",
        "a,b",
        "a\n",
        &"a".repeat(64),
        "a.",
    ] {
        assert_eq!(CookieDomain::new(domain).unwrap_err().domain, domain);
    }
    assert!(CookieDomain::new(".example.com").is_ok());
    assert!(CookiePath::new("/a/b%20c,d=e\"f").is_ok());
}

#[test]
fn refusals_name_the_field_what_it_was_and_what_is_allowed() {
    let messages = [
        (
            CookieName::new("a b").unwrap_err().to_string(),
            r#"the cookie name is "a b"; allowed: 1 to 256 letters, digits and any of !#$%&'*+-.^_`|~"#,
        ),
        (
            CookiePath::new("x;y").unwrap_err().to_string(),
            r#"the cookie path is "x;y"; allowed: / and then visible ASCII characters other than ;, 1024 in all"#,
        ),
        (
            CookieDomain::new("x;y").unwrap_err().to_string(),
            r#"the cookie domain is "x;y"; allowed: a host name of letters, digits, - and ., 253 in all"#,
        ),
        (
            InvalidAttributes::NoneWithoutSecure.to_string(),
            "samesite is None with secure Never; allowed: None with secure Auto or Always",
        ),
        (
            InvalidAttributes::PartitionedWithoutSecure.to_string(),
            "partitioned is true with secure Never; allowed: true with secure Auto or Always",
        ),
        (
            InvalidAttributes::PrefixWithoutSecure("__Host-a".into()).to_string(),
            r#"the cookie name is "__Host-a"; allowed with this prefix: secure Always, or always_use_https with secure Auto"#,
        ),
        (
            InvalidAttributes::HostPrefix("__Host-a".into()).to_string(),
            r#"the cookie name is "__Host-a"; allowed with the prefix __Host-: path / and no domain"#,
        ),
    ];
    for (message, expected) in messages {
        assert_eq!(message, expected);
    }
}

/// manual::concepts, The cookie: "`Expires` is the time at which the token expires, at most the end
/// of the year 9999".
#[test]
fn expires_is_clamped_to_the_year_9999() {
    let affinity = Affinity::new(cookie_policy());
    let pools = support::pools(&["eu-1"]);
    let dates = [
        (0, "Thu, 01 Jan 1970 23:00:00 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 23:00:00 GMT"),
        (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
        (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
    ];
    for (now, date) in dates {
        let headers = HeaderMap::new();
        let visit = affinity.recall(&request(&headers), UnixTime::from_secs(now));
        let (attempt, _) = affinity.route(visit, Record::Absent, &pools, || 0).unwrap();
        let line = affinity.settle(attempt, &pools).set_cookie().cloned().unwrap();
        assert!(line.to_str().unwrap().contains(&format!("; Expires={date}; ")), "{line:?}");
    }
}

/// Fields that a CDN's cache heeds in place of Cache-Control.
const TARGETED: [&str; 6] = [
    "cdn-cache-control",
    "cloudflare-cdn-cache-control",
    "of-a-cdn-to-come-cache-control",
    "surrogate-control",
    "edge-control",
    "x-accel-expires",
];

fn applied(lines: &[&'static str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(CACHE_CONTROL, HeaderValue::from_bytes(line.as_bytes()).unwrap());
    }
    for targeted in TARGETED {
        headers.insert(targeted, HeaderValue::from_static("max-age=1"));
    }
    headers.insert(SET_COOKIE, HeaderValue::from_static("theirs=1"));
    assert!(
        Settlement::cookie(HeaderValue::from_static("ours=2"))
            .apply_to(http::StatusCode::OK, &mut headers)
            .is_none()
    );
    headers
}

/// manual::caching, The guard: the table. One line begins with `private`; `public`, `s-maxage`,
/// `private` in any form, `must-understand` and what is not well-formed go; targeted fields are
/// removed.
#[test]
fn the_cache_directive_keeps_shared_caches_away() {
    let rows: [(&[&str], &str); 28] = [
        (&[], "private"),
        (&["public, max-age=60"], "private, max-age=60"),
        (&["max-age=60"], "private, max-age=60"),
        (&["PUBLIC", "S-MaxAge=10 , no-cache"], "private, no-cache"),
        (&["s-maxage=10"], "private"),
        (&["private"], "private"),
        (&["Private, max-age=1"], "private, max-age=1"),
        (&["max-age=1, PRIVATE"], "private, max-age=1"),
        (&["no-store"], "private, no-store"),
        (&["must-understand, no-store"], "private, no-store"),
        (&["Must-Understand=1, No-Store"], "private, No-Store"),
        (&["no-store=0, public"], "private, no-store=0"),
        (&["private=\"set-cookie\", max-age=1"], "private, max-age=1"),
        (&["private=\"a, public\", no-cache=\"b, public\""], "private, no-cache=\"b, public\""),
        (&["ext=\"a\\\", public\", public"], "private, ext=\"a\\\", public\""),
        (&["ext=\"\""], "private, ext=\"\""),
        (&[" , ,public,, "], "private"),
        // Not well-formed.
        (&["max-age=1, ext=\"open, public"], "private, max-age=1"),
        (&["max-age=1, ext=\"open\\\""], "private, max-age=1"),
        (&["max-age = 1"], "private"),
        (&["max-age=", "=1", "="], "private"),
        (&["no store"], "private"),
        (&["ext=\"a\"b, ext=a\"b\", ext=\"a\"\"b\""], "private"),
        (&["a;b, no-cache"], "private, no-cache"),
        (&["\"quoted\""], "private"),
        (&["ext=a=b"], "private"),
        (&["pri\u{fc}vate, max-age=2"], "private, max-age=2"),
        (&["max-age=2, ext=\"\u{fc}\""], "private, max-age=2"),
    ];
    for (lines, expected) in rows {
        let headers = applied(lines);
        let found: Vec<&str> =
            headers.get_all(CACHE_CONTROL).iter().map(|line| line.to_str().unwrap()).collect();
        assert_eq!(found, [expected], "{lines:?}");
        assert!(TARGETED.iter().all(|targeted| !headers.contains_key(*targeted)));
        assert_eq!(headers.get_all(SET_COOKIE).iter().count(), 2);
        assert!(headers.get_all(SET_COOKIE).iter().next_back().unwrap().is_sensitive());
    }
}

/// manual::caching, The guard: "It does so only when there is a `Set-Cookie` or an issued
/// header of ours".
#[test]
fn without_our_cookie_the_response_is_not_touched() {
    let mut headers = HeaderMap::new();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public"));
    let before = headers.clone();
    assert!(Settlement::nothing().apply_to(http::StatusCode::OK, &mut headers).is_none());
    assert_eq!(headers, before);
}

#[test]
fn a_guard_that_leaves_the_response_as_it_is_keeps_its_directives() {
    let affinity = Affinity::new(cookie_policy()).with_cache_guard(CacheGuard::LeaveAsIs);
    let pools = support::pools(&["eu-1"]);
    let none = HeaderMap::new();
    let visit = affinity.recall(&request(&none), NOW);
    let (attempt, _) = affinity.route(visit, Record::Absent, &pools, || 0).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public"));
    assert!(
        affinity.settle(attempt, &pools).apply_to(http::StatusCode::OK, &mut headers).is_none()
    );
    assert_eq!(headers[CACHE_CONTROL], "public");
    assert!(headers.contains_key(SET_COOKIE));
}

/// manual::concepts, The cookie: "The line is appended to the response and replaces no other
/// cookie." A header map without room is left as it was.
#[test]
fn a_full_header_map_causes_no_panic() {
    let mut headers = HeaderMap::new();
    let mut count = 0;
    while headers
        .try_append(
            http::HeaderName::from_bytes(format!("x-{count}").as_bytes()).unwrap(),
            HeaderValue::from_static("v"),
        )
        .is_ok()
    {
        count += 1;
    }
    let before = headers.len();
    assert!(
        Settlement::cookie(HeaderValue::from_static("ours=2"))
            .apply_to(http::StatusCode::OK, &mut headers)
            .is_none()
    );
    assert_eq!(headers.len(), before);
}

#[test]
fn there_is_no_cookie_where_the_map_has_no_room_for_the_guard() {
    for lines in 24_570..24_580 {
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"));
        for number in 1..lines {
            let name = http::HeaderName::from_bytes(format!("x-{number}").as_bytes()).unwrap();
            if headers.try_append(name, HeaderValue::from_static("v")).is_err() {
                break;
            }
        }
        assert!(
            Settlement::cookie(HeaderValue::from_static("ours=2"))
                .apply_to(http::StatusCode::OK, &mut headers)
                .is_none()
        );
        let guarded = headers[CACHE_CONTROL] == "private, max-age=60";
        assert_eq!(headers.contains_key(SET_COOKIE), guarded, "{lines} fields");
    }
}

/// manual::caching, The guard: "a response without room for the guard gets no cookie."
#[test]
fn there_is_no_cookie_where_the_map_has_no_room_for_a_change() {
    let mut refused = 0;
    for lines in 24_570..24_580 {
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"));
        for number in 1..lines {
            let name = http::HeaderName::from_bytes(format!("x-{number}").as_bytes()).unwrap();
            if headers.try_append(name, HeaderValue::from_static("v")).is_err() {
                break;
            }
        }
        let (changes, _) = Settlement::cookie(HeaderValue::from_static("ours=2")).changes(&headers);
        refused += usize::from(change(&mut headers, changes).is_err());
        let guarded = headers.get(CACHE_CONTROL).is_some_and(|line| line == "private, max-age=60");
        assert!(guarded || !headers.contains_key(SET_COOKIE), "{lines} fields");
    }
    assert!((1..10).contains(&refused), "{refused} maps were full");
}

#[test]
fn cookie_names_are_equal_to_the_letter_and_hash_alike() {
    let name = |text| CookieName::new(text).unwrap();
    assert_eq!(name("lb"), name("lb"));
    assert_ne!(name("lb"), name("LB"));
    let state = RandomState::new();
    assert_eq!(state.hash_one(name("lb")), state.hash_one(name("lb")));
    assert_ne!(state.hash_one(name("lb")), state.hash_one(name("LB")));
    assert!(name("LB") < name("lb") && name("lb") < name("lbs"));
}

#[test]
fn names_paths_and_domains_are_read_from_text_and_shown_as_text() {
    let name = CookieName::new("lb").unwrap();
    assert_eq!("lb".parse(), Ok(name.clone()));
    assert_eq!((CookieName::try_from("lb"), CookieName::try_from(String::from("lb"))), {
        (Ok(name.clone()), Ok(name.clone()))
    });
    assert_eq!((name.as_ref(), name.as_str(), name.to_string().as_str()), ("lb", "lb", "lb"));
    let path = CookiePath::new("/shop").unwrap();
    assert_eq!("/shop".parse(), Ok(path.clone()));
    assert_eq!((CookiePath::try_from("/shop"), CookiePath::try_from(String::from("/shop"))), {
        (Ok(path.clone()), Ok(path.clone()))
    });
    assert_eq!((path.as_ref(), path.as_str(), path.to_string().as_str()), {
        ("/shop", "/shop", "/shop")
    });
    assert_eq!(CookiePath::default().as_str(), "/");
    let domain = CookieDomain::new(".a.example").unwrap();
    assert_eq!(".a.example".parse(), Ok(domain.clone()));
    assert_eq!(CookieDomain::try_from(".a.example"), Ok(domain.clone()));
    assert_eq!(CookieDomain::try_from(String::from(".a.example")), Ok(domain.clone()));
    assert_eq!((domain.as_ref(), domain.as_str(), domain.to_string().as_str()), {
        (".a.example", ".a.example", ".a.example")
    });
    assert!("a b".parse::<CookieName>().is_err());
    assert!("shop".parse::<CookiePath>().is_err());
    assert!("a b".parse::<CookieDomain>().is_err());
}
