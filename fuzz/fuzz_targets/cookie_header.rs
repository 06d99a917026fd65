//! Any Cookie lines can be read and stripped; nothing of ours is left, and a request with
//! them is routed.
#![no_main]

use http::{HeaderMap, HeaderValue, header::COOKIE};
use libfuzzer_sys::fuzz_target;
use session_affinity::*;

fuzz_target!(|lines: &[u8]| {
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n') {
        if let Ok(line) = HeaderValue::from_bytes(line) {
            headers.append(COOKIE, line);
        }
    }
    let name = Name::new("shop").expect("a name");
    let keyring = Keyring::from(Key::new(1, Secret::new([7; 32]).expect("32 bytes")));
    let affinity = Affinity::new(&name, CookiePolicy::new(&name, &keyring, SetCookie::default()));
    let pools = Pools::builder().pool(Pool::new("eu").endpoint(Endpoint::new("eu-1", ()))).build().expect("valid names");
    let request = RequestMeta { headers: &headers, client_ip: None, scheme: Scheme::Http };
    let visit = affinity.recall(&request, UnixTime::from_secs(1_800_000_000));
    let attempt = affinity.route(visit, Record::Absent, &pools, || 0).expect("there is an endpoint");
    let _ = affinity.settle(attempt, &pools);
    let cookie = CookieName::default();
    cookie.strip(&mut headers);
    assert_eq!(cookie.values(&headers).count(), 0);
});
