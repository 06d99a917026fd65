//! Secrets are in no Debug output, and are wiped from the memory that they stood in when what
//! holds them is dropped.
//!
//! The second is looked for where it can be seen: the allocator of this test searches every block
//! that is freed for a secret and for what is derived from it. Beside it stands the proof that it
//! finds them where nothing is wiped. What cannot be seen, and is not claimed, are the copies that
//! moving and hashing leave on the stack and in registers.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt::Debug;
use std::mem::ManuallyDrop;

use hmac::{Hmac, KeyInit, Mac};
use session_affinity::config::{Config, SessionAffinity};
use session_affinity::*;
use sha2::Sha256;
use sha2::block_api::compress256;

mod support;
use support::shop;

/// The first eight bytes of what must not be seen: enough to tell it from chance.
type Trace = [u8; 8];

thread_local! {
    static WANTED: Cell<&'static [Trace]> = const { Cell::new(&[]) };
    static FOUND: Cell<usize> = const { Cell::new(0) };
}

/// Searches what is freed.
struct Searching;

// SAFETY: every call goes to the system's allocator as it came. A block that is about to be freed
// is read byte by byte within its layout; beside it only thread-local cells without a destructor
// are touched.
#[allow(unsafe_code, reason = "an allocator cannot be written without")]
unsafe impl GlobalAlloc for Searching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe { System.alloc(layout) }
    }

    // `realloc` is the provided one: it frees the block that was too small, which is searched too.
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        let mut window = Trace::default();
        for at in 0..layout.size() {
            window.rotate_left(1);
            window[7] = unsafe { memory.add(at).read_volatile() };
            if at >= 7 && WANTED.get().contains(&window) {
                FOUND.set(FOUND.get() + 1);
            }
        }
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Searching = Searching;

/// How many traces are in what is freed meanwhile.
fn found(wanted: &[Trace], work: impl FnOnce()) -> usize {
    WANTED.set(Vec::leak(wanted.to_vec()));
    FOUND.set(0);
    work();
    WANTED.set(&[]);
    FOUND.get()
}

/// How many traces a value leaves where it stood when it is freed without being dropped.
fn found_unless_dropped<T>(wanted: &[Trace], value: T) -> usize {
    let value = Box::new(ManuallyDrop::new(value));
    found(wanted, || drop(value))
}

fn found_when_dropped<T>(wanted: &[Trace], value: T) -> usize {
    let value = Box::new(value);
    found(wanted, || drop(value))
}

const SECRET: [u8; 40] = *b"t0ps3cret of 40 bytes, drawn by no chanc";

fn secret() -> Secret {
    Secret::new(SECRET).unwrap()
}

fn keyring() -> Keyring {
    Keyring::new((1..=9).map(|id| Key::new(id, secret()))).unwrap()
}

fn codec() -> TokenCodec {
    TokenCodec::new(&shop(), &CookieName::default(), &keyring())
}

fn cookie_policy() -> CookiePolicy {
    CookiePolicy::new(&shop(), &keyring(), SetCookie::default())
}

fn ip_cookie_policy() -> IpCookiePolicy {
    IpCookiePolicy::new(&shop(), Ipv6Prefix::default(), cookie_policy())
}

fn header_policy() -> HeaderPolicy {
    HeaderPolicy::new(&shop(), &secret(), &["x-user"], Require::Any, CookieName::default()).unwrap()
}

fn config(session_affinity: SessionAffinity) -> Config {
    let mut config = Config { session_affinity, ..Config::new("shop.example.com") };
    config.session_affinity_attributes.headers = vec!["x-user".into()];
    config.extensions.session_secret = Some(secret());
    config
}

/// The secret itself, and the two states of SHA-256 that HMAC keeps of it.
fn of_secret() -> Vec<Trace> {
    [vec![trace(&SECRET)], states(&SECRET)].concat()
}

/// The keys of tokens, and the states that are kept of the one that authenticates.
fn of_tokens() -> Vec<Trace> {
    let mac_key = derived(b"mac\0shop.example.com\0__cflb");
    [states(&mac_key), vec![trace(&mac_key), trace(&derived(b"mask\0shop.example.com\0__cflb"))]]
        .concat()
}

/// The key of header sessions.
fn of_headers() -> Vec<Trace> {
    vec![trace(&derived(b"header\0shop.example.com"))]
}

fn of_all() -> Vec<Trace> {
    [of_secret(), of_tokens(), of_headers()].concat()
}

fn derived(label: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(&SECRET).unwrap();
    mac.update(b"session-affinity v1 ");
    mac.update(label);
    mac.finalize().into_bytes().into()
}

fn states(key: &[u8]) -> Vec<Trace> {
    // FIPS 180-4 section 5.3.3.
    let initial = [
        0x6a09_e667,
        0xbb67_ae85,
        0x3c6e_f372,
        0xa54f_f53a,
        0x510e_527f,
        0x9b05_688c,
        0x1f83_d9ab,
        0x5be0_cd19,
    ];
    let state = |pad| {
        let (mut state, mut block) = (initial, [pad; 64]);
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        compress256(&mut state, &[block]);
        trace(&state.map(u32::to_ne_bytes).concat())
    };
    [0x36, 0x5c].map(state).into()
}

fn trace(bytes: &[u8]) -> Trace {
    bytes[..8].try_into().unwrap()
}

#[test]
fn what_is_not_wiped_is_found() {
    assert_eq!(found(&of_all(), || drop(SECRET.to_vec())), 1);
    // This is what a secret keeps, in a block of its own.
    let state = Hmac::<Sha256>::new_from_slice(&SECRET).unwrap();
    assert_eq!(found_unless_dropped(&of_all(), state), 2);
    assert!(found_unless_dropped(&of_tokens(), codec()) >= 3);
    assert!(found_unless_dropped(&of_tokens(), cookie_policy()) >= 3);
    assert!(found_unless_dropped(&of_headers(), header_policy()) >= 1);
}

#[test]
fn secrets_and_the_keys_derived_from_them_are_wiped_when_dropped() {
    // These have it in a block of its own.
    let (secret, key, keyring, config) =
        (secret(), Key::new(1, secret()), keyring(), config(SessionAffinity::Header));
    assert_eq!(found(&of_secret(), || drop((secret, key, keyring, config))), 0);
    // And these within themselves.
    assert_eq!(found_when_dropped(&of_tokens(), codec()), 0);
    assert_eq!(found_when_dropped(&of_tokens(), cookie_policy()), 0);
    assert_eq!(found_when_dropped(&of_tokens(), ip_cookie_policy()), 0);
    assert_eq!(found_when_dropped(&of_tokens(), Affinity::new(&shop(), cookie_policy())), 0);
    assert_eq!(found_when_dropped(&of_headers(), header_policy()), 0);
    assert_eq!(found_when_dropped(&of_headers(), Affinity::new(&shop(), header_policy())), 0);
}

/// A list that grows leaves what it held in the block that was too small.
#[test]
fn secrets_leave_nothing_behind_where_they_are_moved() {
    let left = found(&of_secret(), || {
        let mut keys = Vec::new();
        for id in 0..=255 {
            keys.push(Key::new(id, secret()));
        }
        let keyring = Keyring::new(keys.into_iter().filter(|key| key.id() != 1)).unwrap();
        let other = keyring.clone();
        assert_eq!(keyring, other);
        drop(TokenCodec::new(&shop(), &CookieName::default(), &other));
    });
    assert_eq!(left, 0);
}

#[test]
fn secrets_are_in_no_debug_output() {
    let all: [&dyn Debug; 12] = [
        &secret(),
        &Key::new(1, secret()),
        &keyring(),
        &codec(),
        &cookie_policy(),
        &ip_cookie_policy(),
        &header_policy(),
        &config(SessionAffinity::Header),
        &config(SessionAffinity::Header).extensions,
        &Affinity::new(&shop(), cookie_policy()),
        &Affinity::new(&shop(), header_policy()),
        &Secret::new(&SECRET[..31]).unwrap_err(),
    ];
    let spellings: Vec<String> = of_all().iter().flat_map(spellings).collect();
    let in_spellings = |shown: &str| spellings.iter().any(|spelling| shown.contains(spelling));
    for value in all {
        let shown = format!("{value:?} {value:x?} {value:X?} {value:#?}");
        assert!(!in_spellings(&shown), "{shown}");
    }
    assert!(in_spellings(&format!("{SECRET:?}")) && in_spellings(&format!("{SECRET:02x?}")));
    assert!(in_spellings(&String::from_utf8_lossy(&SECRET)));
}

/// How the first bytes of a trace could be shown.
fn spellings(trace: &Trace) -> Vec<String> {
    let join = |show: &dyn Fn(&u8) -> String, with: &str| {
        trace[..4].iter().map(show).collect::<Vec<_>>().join(with)
    };
    let (decimal, hex) = (|byte: &u8| byte.to_string(), |byte: &u8| format!("{byte:02x}"));
    let word = u32::from_ne_bytes(trace[..4].try_into().unwrap());
    let mut spellings = vec![
        join(&decimal, ", "),
        join(&hex, ""),
        join(&hex, ", "),
        join(&|byte| format!("{byte:02X}"), ""),
        word.to_string(),
        format!("{word:x}"),
        u64::from_ne_bytes(*trace).to_string(),
        u64::from_be_bytes(*trace).to_string(),
    ];
    spellings.extend(std::str::from_utf8(&trace[..4]).map(str::to_owned));
    spellings
}
