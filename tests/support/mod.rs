//! The helpers of all test files and fuzz targets: names, keys, policies, requests, chance.

#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::net::IpAddr;

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use session_affinity::carrier::{Carrier, IssuedHeader};
use session_affinity::cookies::{CookieName, SetCookie};
use session_affinity::limits::Ttl;
use session_affinity::outcome::Created;
use session_affinity::policy::{
    Claim, ForeignCookie, ForeignFormat, Forgotten, Life, MigratingPolicy, Recall, Served,
    SlidingPolicy,
};
use session_affinity::token::{Pin, TokenCodec};
use session_affinity::{
    AffinityPolicy, CookiePolicy, Endpoint, EndpointId, HeaderPolicy, IpCookiePolicy, Key, Keyring,
    LoadBalancer, NoAffinity, Pool, Pools, RequestMeta, Scheme, Secret, Settlement, UnixTime,
};

/// Friday, 15 January 2027, 08:00:00 UTC.
pub const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

pub fn at(seconds: u64) -> UnixTime {
    UnixTime::from_secs(seconds)
}

pub fn shop() -> LoadBalancer {
    LoadBalancer::new("shop.example.com").unwrap()
}

pub fn key(id: u8) -> Key {
    Key::new(id, Secret::new([id; 32]).unwrap())
}

/// The keyring of key 1 alone.
pub fn keyring() -> Keyring {
    Keyring::from(key(1))
}

pub fn codec(keyring: &Keyring) -> TokenCodec {
    TokenCodec::new(&shop(), CookieName::default(), keyring)
}

pub fn cookie(keyring: &Keyring) -> CookiePolicy {
    CookiePolicy::new(&shop(), keyring, SetCookie::default())
}

/// The policy `cookie` with the keys of [`keyring`].
pub fn cookie_policy() -> CookiePolicy {
    cookie(&keyring())
}

pub fn ip_cookie(keyring: &Keyring) -> IpCookiePolicy {
    IpCookiePolicy::new(cookie(keyring))
}

pub fn issued_header() -> IssuedHeader {
    IssuedHeader::new("x-session-affinity").unwrap()
}

/// The policy `cookie`, its token in [`issued_header`].
pub fn in_header(keyring: &Keyring) -> CookiePolicy {
    CookiePolicy::in_header(&shop(), keyring, issued_header())
}

/// The policy `header` with the one field `x-user`.
pub fn header() -> HeaderPolicy {
    let secret = Secret::new([9; 32]).unwrap();
    HeaderPolicy::new(&shop(), &secret, &["x-user"]).unwrap()
}

/// The cookie of another proxy: `SERVERID=a.1|…|…` names the endpoint `1` of the pool `a`.
pub fn old_cookie() -> ForeignCookie {
    let names = ["1", "2", "3", "4", "pin", "s1", "s2"];
    let paths = ["a", "b", "c", "f"].into_iter().flat_map(|pool| names.map(|name| (pool, name)));
    let value = |(pool, name)| (format!("{pool}.{name}"), EndpointId::new(pool, name));
    ForeignCookie::new(CookieName::new("SERVERID").unwrap())
        .with_format(ForeignFormat::HAPROXY_INSERT)
        .with_endpoints(paths.map(value))
}

/// The policy `cookie`, which takes over the sessions of [`old_cookie`].
pub fn migrating(keyring: &Keyring) -> MigratingPolicy<CookiePolicy> {
    MigratingPolicy::new(cookie(keyring)).unwrap().with_cookie(old_cookie())
}

/// The policy `cookie`, whose sessions are renewed after half of their life.
pub fn sliding(keyring: &Keyring) -> SlidingPolicy<CookiePolicy> {
    SlidingPolicy::new(cookie(keyring)).unwrap()
}

/// A request with these headers over http, without a client address.
pub fn request(headers: &HeaderMap) -> RequestMeta<'_> {
    RequestMeta::new(headers, Scheme::Http)
}

/// One pool, `eu`, of healthy endpoints of full weight whose targets are their names.
pub fn pools(names: &[&'static str]) -> Pools<&'static str> {
    let pool = names
        .iter()
        .fold(Pool::new("eu"), |pool, name| pool.with_endpoint(Endpoint::new(*name, *name)));
    Pools::builder().pool(pool).build().unwrap()
}

/// The policies of the crate that a request alone decides, one of them with its other carrier too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Cookie,
    IpCookie,
    Header,
    NoAffinity,
    /// The policy `cookie`, its token in the header `x-session-affinity`.
    IssuedHeader,
    /// The policy `cookie`, its sessions renewed by use.
    Sliding,
    /// The policy `cookie`, with another proxy's sessions.
    Migrating,
}

impl Kind {
    pub const ALL: [Self; 7] = [
        Self::Cookie,
        Self::IpCookie,
        Self::Header,
        Self::NoAffinity,
        Self::IssuedHeader,
        Self::Sliding,
        Self::Migrating,
    ];

    pub fn policy(self, keyring: &Keyring) -> Box<dyn AffinityPolicy> {
        match self {
            Self::Cookie => Box::new(cookie(keyring)),
            Self::IpCookie => Box::new(ip_cookie(keyring)),
            Self::Header => Box::new(header()),
            Self::NoAffinity => Box::new(NoAffinity::new(&shop())),
            Self::IssuedHeader => Box::new(in_header(keyring)),
            Self::Sliding => Box::new(sliding(keyring)),
            Self::Migrating => Box::new(migrating(keyring)),
        }
    }

    /// Returns whether the client carries the session.
    pub fn has_token(self) -> bool {
        !matches!(self, Self::Header | Self::NoAffinity)
    }

    /// The reason for which a session begins where the client carries nothing.
    pub fn missing(self) -> Created {
        match self {
            Self::IssuedHeader => Created::NoHeader,
            _ => Created::NoCookie,
        }
    }

    pub fn codec(self, keyring: &Keyring) -> TokenCodec {
        match self {
            Self::IssuedHeader => TokenCodec::new(&shop(), issued_header(), keyring),
            _ => codec(keyring),
        }
    }

    /// The client with this token, where the policy reads it.
    pub fn with_token(self, mut client: Client, token: &str) -> Client {
        if self == Self::IssuedHeader {
            let value = HeaderValue::from_str(token).unwrap();
            client.headers.insert(issued_header().name(), value);
            return client;
        }
        client.with_token(token)
    }
}

/// A client: its address and the headers that it sends, over https.
#[derive(Clone, Debug, Default)]
pub struct Client {
    pub ip: Option<IpAddr>,
    pub headers: HeaderMap,
}

impl Client {
    /// The client behind the address 192.0.x.y.
    pub fn number(number: u16) -> Self {
        let [x, y] = number.to_be_bytes();
        Self { ip: Some([192, 0, x, y].into()), headers: HeaderMap::new() }
    }

    pub fn without_address() -> Self {
        Self::default()
    }

    /// Sends this token.
    pub fn with_token(mut self, token: &str) -> Self {
        self.headers.insert(COOKIE, HeaderValue::try_from(format!("__cflb={token}")).unwrap());
        self
    }

    /// Sends the other proxy's cookie for this endpoint too: `a.1` for the endpoint `1` of `a`.
    pub fn with_old_cookie(mut self, server: &str) -> Self {
        let line = format!("theme=dark; SERVERID={server}|Zx8yA|Zx8x8");
        self.headers.append(COOKIE, HeaderValue::try_from(line).unwrap());
        self
    }

    /// Sends this pin, sealed under the one key of [`keyring`].
    pub fn with_pin(self, pin: Pin) -> Self {
        self.with_token(codec(&keyring()).seal(&pin).as_str())
    }

    /// Sends this field `x-user`.
    pub fn with_user(mut self, user: &str) -> Self {
        self.headers.insert("x-user", HeaderValue::from_str(user).unwrap());
        self
    }

    pub fn request(&self) -> RequestMeta<'_> {
        RequestMeta::new(&self.headers, Scheme::Https).with_client_ip(self.ip)
    }
}

/// The token in a settlement's Set-Cookie or issued header.
pub fn token_of(settlement: &Settlement) -> Option<String> {
    let field = settlement.response.as_ref()?;
    let line = field.value().to_str().unwrap();
    if field.set_cookie().is_none() {
        return Some(line.into());
    }
    let pair = line.split(';').next().unwrap();
    Some(pair.strip_prefix("__cflb=").unwrap().into())
}

/// A policy whose sessions all carry the same pin: a test steers a request by it.
#[derive(Clone, Debug)]
pub struct PinnedTo {
    load_balancer: LoadBalancer,
    endpoint: EndpointId,
}

impl PinnedTo {
    pub fn new(endpoint: EndpointId) -> Self {
        Self { load_balancer: shop(), endpoint }
    }
}

impl AffinityPolicy for PinnedTo {
    fn load_balancer(&self) -> &LoadBalancer {
        &self.load_balancer
    }

    fn read(&self, _: &RequestMeta<'_>, now: UnixTime) -> Recall {
        let pin = Pin { endpoint: self.endpoint, issued: now, expires: UnixTime::MAX };
        Recall::from(Claim::Carried(pin))
    }

    fn remember(&self, _: &Served<'_>) -> Settlement {
        Settlement::nothing()
    }

    fn forget(&self, _: &Forgotten<'_>) -> Settlement {
        Settlement::nothing()
    }

    fn carrier(&self) -> Option<&Carrier> {
        None
    }

    fn life(&self) -> Life {
        Life::Unknown
    }
}

/// A time to live of this many seconds.
pub fn ttl(seconds: u64) -> Ttl {
    Ttl::new(seconds).unwrap()
}

/// A source of decisions: random numbers, or the bytes of a fuzzer.
pub trait Chance {
    fn next(&mut self) -> u64;

    /// Returns whether the source has no more decisions to give.
    fn is_used_up(&self) -> bool {
        false
    }

    /// A number below this one.
    fn number(&mut self, below: u64) -> u64 {
        self.next() % below
    }

    fn below(&mut self, n: usize) -> usize {
        self.number(n as u64) as usize
    }

    fn one_of<V: Copy>(&mut self, values: &[V]) -> V {
        values[self.below(values.len())]
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.number(100) < percent
    }
}

/// SplitMix64 from this state on: the same numbers in every run.
pub struct Random(pub u64);

impl Chance for Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
}
