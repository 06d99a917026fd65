//! What several test files build their cases from.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use http::HeaderMap;
use session_affinity::*;

/// Friday, 15 January 2027, 08:00:00 UTC.
pub const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

pub fn shop() -> Name {
    Name::new("shop.example.com").unwrap()
}

pub fn key(id: u8) -> Key {
    Key::new(id, Secret::new([id; 32]).unwrap())
}

pub fn keyring() -> Keyring {
    Keyring::from(key(1))
}

pub fn cookie_policy() -> CookiePolicy {
    CookiePolicy::new(&shop(), &keyring(), SetCookie::default())
}

pub fn request(headers: &HeaderMap) -> RequestMeta<'_> {
    RequestMeta { headers, client_ip: None, scheme: Scheme::Http }
}

/// One pool, `eu`, of healthy endpoints of full weight whose targets are their names.
pub fn pools(names: &[&'static str]) -> Pools<&'static str> {
    let pool =
        names.iter().fold(Pool::new("eu"), |pool, name| pool.endpoint(Endpoint::new(*name, *name)));
    Pools::builder().pool(pool).build().unwrap()
}
