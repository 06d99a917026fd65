//! Secrets are in no Debug output, and are wiped from the memory that they stood in when what
//! holds them is dropped.
//!
//! The second is looked for where it can be seen: the allocator of this test searches every block
//! that is freed for a secret and for what is derived from it. Beside it stands the proof that it
//! finds them in a block that is not wiped, and in the blocks of a value that is still in use. The
//! copies that hashing leaves on the stack and in registers are out of sight, and no claim is made
//! about them.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt::Debug;
use std::hint::black_box;
use std::ptr::null;

use hmac::{Hmac, KeyInit, Mac};
use session_affinity::config::{Config, SessionAffinity};
use session_affinity::cookies::{CookieName, SetCookie};
use session_affinity::token::TokenCodec;
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
    /// The blocks that were allocated during a search and are in use, with their sizes.
    static IN_USE: [Cell<Block>; 128] = const { [const { Cell::new(UNUSED) }; 128] };
}

type Block = (*const u8, usize);

const UNUSED: Block = (null(), 0);

/// Searches what is freed.
struct Searching;

// SAFETY: every call goes to the system's allocator as it came, except that memory is zeroed first.
// A block that is in use or about to be freed is read byte by byte within its layout; beside it
// only thread-local cells without a destructor are touched.
#[allow(unsafe_code, reason = "an allocator cannot be written without")]
unsafe impl GlobalAlloc for Searching {
    // Zeroed, so that a block has no traces of those that were freed before it.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let memory = unsafe { System.alloc_zeroed(layout) };
        if !WANTED.get().is_empty() {
            replace(UNUSED.0, (memory, layout.size()));
        }
        memory
    }

    // `realloc` is the provided one: it frees the block that was too small, which is searched too.
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        search((memory, layout.size()));
        replace(memory, UNUSED);
        unsafe { System.dealloc(memory, layout) }
    }
}

/// Replaces the first entry for a block, if it has one.
fn replace(memory: *const u8, with: Block) {
    IN_USE.with(|blocks| {
        if let Some(block) = blocks.iter().find(|block| block.get().0 == memory) {
            block.set(with);
        }
    });
}

/// Counts the traces in a block.
#[allow(unsafe_code, reason = "memory is read whatever type it has")]
fn search((memory, size): Block) {
    let mut window = Trace::default();
    for at in 0..size {
        window.rotate_left(1);
        // SAFETY: the block was allocated with this size and is not freed yet.
        window[7] = unsafe { memory.add(at).read_volatile() };
        if at >= 7 && WANTED.get().contains(&window) {
            FOUND.set(FOUND.get() + 1);
        }
    }
}

#[global_allocator]
static ALLOCATOR: Searching = Searching;

/// Counts the traces in the blocks that are freed meanwhile.
fn found(wanted: &[Trace], work: impl FnOnce()) -> usize {
    WANTED.set(Vec::leak(wanted.to_vec()));
    FOUND.set(0);
    work();
    WANTED.set(&[]);
    FOUND.get()
}

/// Counts the traces in the blocks that a value keeps.
fn kept<T>(wanted: &[Trace], make: impl FnOnce() -> T) -> usize {
    let mut value = None;
    let count = found(wanted, || {
        IN_USE.with(|blocks| blocks.iter().for_each(|block| block.set(UNUSED)));
        value = Some(Box::new(make()));
        FOUND.set(0);
        IN_USE.with(|blocks| blocks.iter().for_each(|block| search(block.get())));
    });
    drop(black_box(value));
    count
}

/// Counts the traces that a value leaves behind when it is moved, cloned and dropped: in a list
/// that grows, which leaves what it held in the block that was too small, and in boxes.
fn found_when_moved<T: Clone>(wanted: &[Trace], make: impl Fn() -> T) -> usize {
    found(wanted, || {
        let mut list = Vec::new();
        for _ in 0..9 {
            list.push(make());
        }
        list.extend_from_within(..);
        for value in list {
            let boxed = black_box(Box::new(value));
            drop(black_box(Some(*boxed)));
        }
    })
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
    TokenCodec::new(&shop(), CookieName::default(), &keyring())
}

fn cookie_policy() -> CookiePolicy {
    CookiePolicy::new(&shop(), &keyring(), SetCookie::default())
}

fn ip_cookie_policy() -> IpCookiePolicy {
    IpCookiePolicy::new(cookie_policy())
}

fn header_policy() -> HeaderPolicy {
    HeaderPolicy::new(&shop(), &secret(), &["x-user"]).unwrap()
}

fn config(session_affinity: SessionAffinity) -> Config {
    let mut config = Config { session_affinity, ..Config::new("shop.example.com") };
    config.session_affinity_attributes.headers = vec!["x-user".into()];
    config.extensions.session_secret = Some(secret());
    config
}

/// The secret itself, and the two states of SHA-256 that HMAC keeps of it.
fn of_secret() -> Vec<Trace> {
    aside(|| [vec![trace(&SECRET)], states(&SECRET)].concat())
}

/// The keys of tokens, and the states that are kept of the one that authenticates.
fn of_tokens() -> Vec<Trace> {
    aside(|| {
        let mac_key = derived(b"mac\0shop.example.com\0__cflb");
        let mask_key = derived(b"mask\0shop.example.com\0__cflb");
        [states(&mac_key), vec![trace(&mac_key), trace(&mask_key)]].concat()
    })
}

/// The key of header sessions.
fn of_headers() -> Vec<Trace> {
    aside(|| vec![trace(&derived(b"header\0shop.example.com"))])
}

fn of_all() -> Vec<Trace> {
    [of_secret(), of_tokens(), of_headers()].concat()
}

/// Computes traces on another stack. On that of the test they could get into the unused bytes of
/// the values that are looked at.
fn aside(traces: fn() -> Vec<Trace>) -> Vec<Trace> {
    std::thread::spawn(traces).join().unwrap()
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
    // This is what a secret keeps, and a box that is not wiped leaves it. Its unused bytes are
    // those that the stack had, which may be more of the same; those of a secret are not.
    let state = || Hmac::<Sha256>::new_from_slice(&SECRET).unwrap();
    assert!(kept(&of_all(), state) >= 2);
    assert_eq!(kept(&of_all(), secret), 2);
    assert_eq!(kept(&of_all(), keyring), 2 * 9);
    // Two states and a mask, for each of nine keys.
    assert_eq!(kept(&of_all(), codec), 3 * 9);
    assert_eq!(kept(&of_all(), cookie_policy), 3 * 9);
    assert_eq!(kept(&of_all(), header_policy), 1);
    // A key that is not boxed stays behind in the block that a list outgrows.
    let key: [u8; 16] = derived(b"header\0shop.example.com")[..16].try_into().unwrap();
    assert!(found_when_moved(&of_headers(), || black_box(key)) >= 9);
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
    assert_eq!(found_when_dropped(&of_tokens(), Affinity::new(cookie_policy())), 0);
    assert_eq!(found_when_dropped(&of_headers(), header_policy()), 0);
    assert_eq!(found_when_dropped(&of_headers(), Affinity::new(header_policy())), 0);
    let with_own_cookie = header_policy().with_own_cookie(CookieName::new("sid").unwrap());
    assert_eq!(found_when_dropped(&of_headers(), with_own_cookie), 0);
    let config = self::config(SessionAffinity::Header);
    let of_config = Affinity::from_config(&config, &self::keyring()).unwrap();
    assert_eq!(found_when_dropped(&of_headers(), of_config), 0);
}

/// The secret is looked for as bytes and as text: a document of which the deserializer hands over
/// its text has it wiped.
#[cfg(feature = "serde")]
#[test]
fn secrets_leave_nothing_behind_where_they_are_read() {
    use serde_json::{Deserializer, Value, from_str, from_value};
    use session_affinity::config::{Extensions, read_strict};
    use std::collections::HashMap;

    const TEXT: &str =
        r#"{"session_secret": "dDBwczNjcmV0IG9mIDQwIGJ5dGVzLCBkcmF3biBieSBubyBjaGFuYw=="}"#;
    // Its first 31 bytes.
    const SHORT: &str = r#"{"session_secret": "dDBwczNjcmV0IG9mIDQwIGJ5dGVzLCBkcmF3biBieQ=="}"#;
    let wanted = aside(|| [of_secret(), vec![trace(b"dDBwczNj")]].concat());
    let left = found(&wanted, || {
        let read: Extensions = from_str(TEXT).unwrap();
        let strict: Extensions = read_strict(&mut Deserializer::from_str(TEXT)).unwrap();
        let owned: Extensions = from_value(from_str(TEXT).unwrap()).unwrap();
        assert!(read == strict && read == owned && read.session_secret == Some(secret()));
        let secrets: HashMap<String, Secret> = from_str(TEXT).unwrap();
        let moved: HashMap<String, Secret> = from_value(from_str(TEXT).unwrap()).unwrap();
        assert!(secrets == moved && secrets["session_secret"] == secret());
        assert!(from_str::<HashMap<String, Secret>>(SHORT).is_err());
        assert!(from_str::<Extensions>(SHORT).is_err());
        assert!(from_value::<Extensions>(from_str(SHORT).unwrap()).is_err());
    });
    assert_eq!(left, 0);
    assert_eq!(found(&wanted, || drop(from_str::<Value>(TEXT))), 1);
}

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
        drop(TokenCodec::new(&shop(), CookieName::default(), &other));
    });
    assert_eq!(left, 0);
    assert_eq!(found_when_moved(&of_all(), secret), 0);
    assert_eq!(found_when_moved(&of_all(), keyring), 0);
    assert_eq!(found_when_moved(&of_all(), || config(SessionAffinity::Header)), 0);
}

#[test]
fn keys_derived_from_secrets_leave_nothing_behind_where_they_are_moved() {
    assert_eq!(found_when_moved(&of_all(), codec), 0);
    assert_eq!(found_when_moved(&of_all(), cookie_policy), 0);
    assert_eq!(found_when_moved(&of_all(), ip_cookie_policy), 0);
    assert_eq!(found_when_moved(&of_all(), header_policy), 0);
    assert_eq!(found_when_moved(&of_all(), || Affinity::new(cookie_policy())), 0);
    assert_eq!(found_when_moved(&of_all(), || Affinity::new(header_policy())), 0);
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
        &Affinity::new(cookie_policy()),
        &Affinity::new(header_policy()),
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

/// The ways in which the first bytes of a trace could be shown.
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
