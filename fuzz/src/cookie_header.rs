//! Any Cookie lines are read as the plain rule reads them; exactly the cookies of our name are
//! stripped; and a request with the lines is routed.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use session_affinity::cookies::{CookieName, SetCookie};
use session_affinity::policy::Claim;
use session_affinity::token::TokenCodec;
use session_affinity::{
    Affinity, CookiePolicy, Endpoint, Key, Keyring, LoadBalancer, Pool, Pools, Record, RequestMeta,
    Scheme, Secret, UnixTime,
};

use super::plain_cookies::{values, without};

const NAME: &str = "__cflb";
const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

pub fn check(lines: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n') {
        if let Ok(line) = HeaderValue::from_bytes(line) {
            headers.append(COOKIE, line);
        }
    }
    let lines = of(&headers);
    let cookie = CookieName::default();
    let ours: Vec<&[u8]> = cookie.values(&headers).collect();
    assert_eq!(ours, values(&lines, NAME));

    let shop = LoadBalancer::new("shop").unwrap();
    let keyring = Keyring::from(Key::new(1, Secret::new([7; 32]).unwrap()));
    let affinity = Affinity::new(CookiePolicy::new(&shop, &keyring, SetCookie::default()));
    let request = RequestMeta::new(&headers, Scheme::Http);
    let visit = affinity.recall(&request, NOW);
    assert_eq!(visit.claim(), claim(&TokenCodec::new(&shop, &cookie, &keyring), &ours));
    let pool = Pool::new("eu").with_endpoint(Endpoint::new("eu-1", ()));
    let pools = Pools::builder().pool(pool).build().unwrap();
    let (attempt, ()) = affinity.route(visit, Record::Absent, &pools, || 0).unwrap();
    let _ = affinity.settle(attempt, &pools);

    let mut stripped = headers.clone();
    cookie.strip(&mut stripped);
    let left = of(&stripped);
    assert_eq!(values(&left, NAME), Vec::<&[u8]>::new());
    if ours.is_empty() {
        assert_eq!(left, lines);
    } else {
        assert_eq!(left, lines.iter().filter_map(|line| without(line, NAME)).collect::<Vec<_>>());
    }
}

/// manual::security, Cookie tossing: "up to four of our name are tried and the first valid one
/// wins". Where none is valid, the reason of the first is reported.
fn claim(codec: &TokenCodec, ours: &[&[u8]]) -> Claim {
    let opened: Vec<_> = ours.iter().take(4).map(|value| codec.open(value, NOW)).collect();
    match (opened.iter().find_map(|pin| pin.as_ref().ok()), opened.first()) {
        (Some(pin), _) => Claim::Carried(*pin),
        (None, first) => Claim::New(first.and_then(|first| first.err())),
    }
}

fn of(headers: &HeaderMap) -> Vec<&[u8]> {
    headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect()
}
