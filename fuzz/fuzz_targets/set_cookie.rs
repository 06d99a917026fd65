//! Whatever is accepted as a name, path and domain writes one line whose attributes, parsed
//! by another parser, are those that were asked for.
#![no_main]

use http::HeaderMap;
use libfuzzer_sys::fuzz_target;
use session_affinity::*;

fuzz_target!(|input: (&str, &str, &str)| {
    let (name, path, domain) = input;
    let (Ok(cookie), Ok(path), Ok(host)) = (CookieName::new(name), CookiePath::new(path), CookieDomain::new(domain)) else {
        return;
    };
    let attributes = CookieAttributes { path, domain: Some(host), secure: Secure::Always, ..CookieAttributes::default() };
    let Ok(set_cookie) = SetCookie::new(cookie, attributes) else { return };
    let shop = Name::new("shop").expect("a name");
    let keyring = Keyring::from(Key::new(1, Secret::new([7; 32]).expect("32 bytes")));
    let affinity = Affinity::new(&shop, CookiePolicy::new(&shop, &keyring, set_cookie));
    let pools = Pools::builder().pool(Pool::new("eu").endpoint(Endpoint::new("eu-1", ()))).build().expect("valid names");
    let headers = HeaderMap::new();
    let request = RequestMeta { headers: &headers, client_ip: None, scheme: Scheme::Http };
    let visit = affinity.recall(&request, UnixTime::from_secs(1_800_000_000));
    let attempt = affinity.route(visit, Record::Absent, &pools, || 0).expect("there is an endpoint");
    let line = affinity.settle(attempt, &pools).set_cookie.expect("a new session");
    let line = line.to_str().expect("ASCII");
    let parts: Vec<&str> = line.split("; ").collect();
    assert_eq!(parts.len(), 8, "{line}");
    assert_eq!(parts[0].split_once('=').map(|(name, token)| (name, token.len())), Some((name, 48)));
    assert_eq!(parts[1], format!("Path={}", input.1));
    assert_eq!(parts[4..], ["HttpOnly", "Secure", "SameSite=Lax", &format!("Domain={domain}")]);
});
