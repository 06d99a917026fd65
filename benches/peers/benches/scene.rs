//! The parts that the subjects share: names, keys, pools, headers, and the limit.

use std::cell::Cell;
use std::net::IpAddr;

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use session_affinity::cookies::{CookieName, SetCookie};
use session_affinity::token::{Pin, TokenCodec};
use session_affinity::*;
use sha2::block_api::compress256;

pub const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
pub const NAME: &str = "__cflb";

pub fn shop() -> LoadBalancer {
    LoadBalancer::new("shop.example.com").unwrap()
}

pub fn keyring() -> Keyring {
    Keyring::from(Key::new(1, Secret::new([7; 32]).unwrap()))
}

pub fn codec() -> TokenCodec {
    TokenCodec::new(&shop(), CookieName::default(), &keyring())
}

pub fn cookie_policy() -> CookiePolicy {
    CookiePolicy::new(&shop(), &keyring(), SetCookie::default())
}

pub fn pin() -> Pin {
    Pin { endpoint: EndpointId::new("eu", "eu-1"), issued: NOW, expires: NOW.saturating_add(3_600) }
}

pub fn request(headers: &HeaderMap) -> RequestMeta<'_> {
    RequestMeta::new(headers, Scheme::Https).with_client_ip(IpAddr::from([192, 0, 2, 1]))
}

/// The differences between the endpoints of a pool.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mix {
    Equal,
    Weights,
    HalfUnhealthy,
}

impl Mix {
    pub fn name(self) -> &'static str {
        match self {
            Self::Equal => "equal weights",
            Self::Weights => "mixed weights",
            Self::HalfUnhealthy => "mixed, half unhealthy",
        }
    }

    pub fn weight(self, number: usize) -> u64 {
        if self == Self::Equal { 100 } else { 1 + number as u64 * 37 % 100 }
    }

    pub fn health(self, number: usize) -> Health {
        if self == Self::HalfUnhealthy && number % 2 == 1 {
            Health::Unhealthy
        } else {
            Health::Healthy
        }
    }
}

pub fn pool(count: usize, mix: Mix) -> Pool<usize> {
    (0..count).fold(Pool::new("eu"), |pool, number| {
        let weight = Weight::new(mix.weight(number)).unwrap();
        let endpoint = Endpoint::new(format!("eu-{number}"), number);
        pool.with_endpoint(endpoint.with_weight(weight).with_health(mix.health(number)))
    })
}

pub fn pools(count: usize, mix: Mix) -> Pools<usize> {
    Pools::builder().pool(pool(count, mix)).build().unwrap()
}

/// The place of the affinity cookie in a header.
#[derive(Clone, Copy)]
pub enum Place {
    First,
    Last,
    Absent,
}

/// Returns headers with a Cookie line of this many bytes: the affinity cookie among others.
pub fn cookie_header(length: usize, place: Place, value: &str) -> HeaderMap {
    let ours = format!("{NAME}={value}");
    let room = match place {
        Place::First | Place::Last => length - ours.len() - 2,
        Place::Absent => length,
    };
    let mut others = String::from("theme=dark; session=0123456789abcdef0123456789abcdef");
    while others.len() + 40 < room {
        others.push_str(&format!("; _ga_{:04}=GS1.1.1700000000", others.len()));
    }
    others.push_str("; pad=");
    others.extend(std::iter::repeat_n('x', room.saturating_sub(others.len())));
    let line = match place {
        Place::First => format!("{ours}; {others}"),
        Place::Last => format!("{others}; {ours}"),
        Place::Absent => others,
    };
    assert_eq!(line.len(), length);
    headers(&line)
}

pub fn headers(cookies: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("shop.example.com"));
    headers.insert("user-agent", HeaderValue::from_static("Mozilla/5.0"));
    headers.insert(COOKIE, HeaderValue::from_str(cookies).unwrap());
    headers.insert("x-user", HeaderValue::from_static("alice@example.com"));
    headers
}

/// The limit `2C`: two compressions of SHA-256 on stored midstates, the second over the result of
/// the first, and the first of the next pair over that of the second. It is the least that an
/// HMAC-SHA-256 over so few bytes takes. Pairs that do not wait for each other overlap, by how much
/// depends on the place of the loop.
pub struct TwoCompressions {
    inner: [u32; 8],
    outer: [u32; 8],
    block: Cell<Block>,
}

/// A block on a cache line of its own.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Block([u8; 64]);

impl Block {
    /// Replaces the first half by a digest.
    fn set(&mut self, digest: [u32; 8]) {
        for (to, word) in self.0.chunks_exact_mut(4).zip(digest) {
            to.copy_from_slice(&word.to_be_bytes());
        }
    }
}

impl TwoCompressions {
    pub fn new() -> Self {
        let block = Cell::new(Block([0x5a; 64]));
        Self { inner: [0x0123_4567; 8], outer: [0x89ab_cdef; 8], block }
    }

    // One code for all rows: inlined, each would have a limit of its own.
    #[inline(never)]
    pub fn run(&self) {
        let mut block = self.block.get();
        for midstate in [self.inner, self.outer] {
            let mut digest = midstate;
            compress256(&mut digest, &[block.0]);
            block.set(digest);
        }
        self.block.set(block);
    }
}

/// SplitMix64: a fixed stream of numbers.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }
}

pub fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
