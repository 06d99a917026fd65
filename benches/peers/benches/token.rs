//! Tokens: opening, sealing, refusing a forgery, and the way from a header to an opened pin.

use std::hint::black_box;

use axum_extra::extract::cookie::SignedCookieJar;
use cookie::{Cookie, CookieJar};
use http::HeaderMap;
use http::header::COOKIE;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use session_affinity::cookies::CookieName;

use crate::heap::allocations;
use crate::measure::{Bench, Race};
use crate::scene::{NAME, NOW, Place, TwoCompressions, codec, cookie_header, headers, pin};
use crate::table::{Budget, Report};

/// The value that other libraries sign in the place of a pin.
pub const VALUE: &str = "bf54fd3b4b4ea9db.1800000000.1800003600";

#[derive(serde::Serialize, serde::Deserialize)]
struct Claims {
    sub: String,
    iat: u64,
    exp: u64,
}

pub fn key() -> cookie::Key {
    cookie::Key::from(&[7; 64])
}

/// Returns the value of a cookie that the crate `cookie` has signed.
pub fn signed_value() -> String {
    let mut jar = CookieJar::new();
    jar.signed_mut(&key()).add(Cookie::new(NAME, VALUE));
    jar.get(NAME).expect("it was added").value().into()
}

/// Reads one signed cookie with the crate `cookie`: parses the header as far as that cookie, and
/// keeps nothing else.
pub fn verify_with_cookie(
    headers: &HeaderMap,
    jar: &CookieJar,
    key: &cookie::Key,
) -> Option<Cookie<'static>> {
    let line = headers.get(COOKIE)?.to_str().ok()?;
    let found = Cookie::split_parse(line).flatten().find(|cookie| cookie.name() == NAME)?;
    jar.signed(key).verify(found.into_owned())
}

/// Returns a character other than this one.
pub fn other(character: u8) -> u8 {
    if character == b'A' { b'B' } else { b'A' }
}

pub fn run(bench: &Bench, report: &mut Report) {
    report.section(
        "Tokens",
        "2C: two compressions of SHA-256 on stored midstates, each over the result of the one before. What others read is signed text; the parsing of it is not counted.",
    );
    let codec = codec();
    let (pin, limit) = (pin(), TwoCompressions::new());
    let two = || limit.run();
    let token = codec.seal(&pin);
    let mut forged = *token.as_str().as_bytes().first_chunk::<48>().expect("48 characters");
    forged[40] = other(forged[40]);

    let (key, jar) = (key(), CookieJar::new());
    let mut signed = signed_value();
    let cookie = |value: &str| Cookie::new(NAME, value.to_owned());
    let only = headers(&format!("{NAME}={signed}"));
    let signing = EncodingKey::from_secret(&[7; 32]);
    let verifying = DecodingKey::from_secret(&[7; 32]);
    let rules = Validation::new(Algorithm::HS256);
    let claims = Claims { sub: "bf54fd3b4b4ea9db".into(), iat: 1_800_000_000, exp: 4_000_000_000 };
    let jwt = encode(&Header::default(), &claims, &signing).expect("it is signed");
    assert!(
        jar.signed(&key).verify(cookie(&signed)).is_some()
            && decode::<Claims>(&jwt, &verifying, &rules).is_ok()
    );

    let open = Race::new("open", || codec.open(black_box(token.as_str().as_bytes()), NOW))
        .limit("2C", two)
        .rival("cookie SignedJar", || jar.signed(&key).verify(cookie(black_box(&signed))))
        .rival("axum-extra", || {
            SignedCookieJar::from_headers(black_box(&only), key.clone()).get(NAME)
        })
        .rival("jsonwebtoken", || decode::<Claims>(black_box(&jwt), &verifying, &rules))
        .run(bench);
    let seal = Race::new("seal", || codec.seal(black_box(&pin)))
        .limit("2C", two)
        .rival("cookie SignedJar", || {
            let mut jar = CookieJar::new();
            jar.signed_mut(&key).add(cookie(black_box(VALUE)));
            jar
        })
        .rival("axum-extra", || SignedCookieJar::new(key.clone()).add(cookie(black_box(VALUE))))
        .rival("jsonwebtoken", || encode(&Header::default(), black_box(&claims), &signing))
        .run(bench);

    let whole = cookie_header(300, Place::Last, token.as_str());
    let theirs = cookie_header(300, Place::Last, &signed);
    let last = signed.pop().expect("it is not empty");
    signed.push(char::from(other(last as u8)));
    let mut bad_jwt = jwt.clone();
    let last = bad_jwt.remove(jwt.len() - 8);
    bad_jwt.insert(jwt.len() - 8, char::from(other(last as u8)));
    let refuse = Race::new("refuse a forgery", || codec.open(black_box(&forged), NOW))
        .limit("2C", two)
        .rival("cookie SignedJar", || jar.signed(&key).verify(cookie(black_box(&signed))))
        .rival("jsonwebtoken", || decode::<Claims>(black_box(&bad_jwt), &verifying, &rules))
        .run(bench);

    let name = CookieName::default();
    let read =
        |headers: &HeaderMap| name.values(headers).find_map(|value| codec.open(value, NOW).ok());
    assert!(read(&whole) == Some(pin) && verify_with_cookie(&theirs, &jar, &key).is_some());
    let from_header =
        Race::new("Cookie header of 300 bytes to opened pin", || read(black_box(&whole)))
            .limit("2C", two)
            .rival("cookie SignedJar", || verify_with_cookie(black_box(&theirs), &jar, &key))
            .rival("cookie SignedJar, whole jar", || {
                let line = black_box(&theirs)
                    .get(COOKIE)
                    .and_then(|line| line.to_str().ok())
                    .unwrap_or("");
                let mut jar = CookieJar::new();
                Cookie::split_parse(line)
                    .flatten()
                    .for_each(|cookie| jar.add_original(cookie.into_owned()));
                jar.signed(&key).get(NAME)
            })
            .rival("axum-extra", || {
                SignedCookieJar::from_headers(black_box(&theirs), key.clone()).get(NAME)
            })
            .run(bench);
    let what = "Cookie header of 300 bytes to opened pin";
    let budgets = vec![
        Budget::at_most(what, " × 2C", 1.75, from_header.over_limit()),
        Budget::at_least(
            what,
            " × as fast as SignedJar",
            7.0,
            from_header.faster_than("cookie SignedJar"),
        ),
        Budget::at_most(what, " allocations", 0.0, allocations(|| read(&whole)) as f64),
    ];
    report.races(vec![(open, vec![]), (seal, vec![]), (refuse, vec![]), (from_header, budgets)]);
}
