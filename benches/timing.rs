//! A test of whether the time to refuse a forged token depends on the place at which its tag is
//! wrong. If it did, a tag could be guessed byte by byte.
//!
//! `cargo bench --bench timing` takes some 25 s (`-- 16`: millions of samples, 8 by default). The
//! method is that of dudect (Reparaz, Balasch and Verbauwhede 2017): two classes of input in random
//! order, one time for each, outliers cropped at many thresholds, Welch's t for each crop, of which
//! the greatest counts. Above 4.5 there is a leak: then t grows with the root of the samples, and
//! otherwise it does not. The same run measures the same work followed by a comparison of the two
//! halves of the tag, of which the second is skipped when the first differs. This is as fine as a
//! leak gets: `memcmp`, which a careless `==` calls, takes 16 bytes in two steps. So the instrument
//! shows that it would see one branch on registers.
//!
//! The exit status is 1 when the library leaks or when the instrument is blind.

#![allow(missing_docs, reason = "a program has no items to document")]

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use session_affinity::cookies::CookieName;
use session_affinity::token::{Pin, Rejected, TokenCodec};
use session_affinity::{EndpointId, Key, Keyring, LoadBalancer, Secret, UnixTime};
use sha2::Sha256;
use siphasher::sip::SipHasher24;

const SECRET: [u8; 32] = [7; 32];
const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
const LIMIT: f64 = 4.5;
/// Samples are taken in rounds: inputs are made before the clock runs, each is used once.
const ROUND: usize = 20_000;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    // `cargo test --benches` runs this without `--bench`, and without need for numbers.
    if !arguments.any(|argument| argument == "--bench") {
        println!("to measure: cargo bench --bench timing");
        return ExitCode::SUCCESS;
    }
    let millions = std::env::args().find_map(|word| word.parse().ok()).unwrap_or(8);
    let forge = Forge::new();
    println!(
        "|t| of two classes of forged tokens, by samples; below {LIMIT}: no difference is seen\n"
    );
    let mut is_good = true;
    for (title, classes) in
        [("first byte of the tag or last", CLASSES[0]), ("one bit of the tag or all", CLASSES[1])]
    {
        println!("{title}");
        let ours =
            forge.measure("  TokenCodec::open", millions, classes, |forged| forge.open(forged));
        let leaky = forge.measure("  and a compare of two halves", millions, classes, |forged| {
            forge.open(forged) ^ is_equal_by_halves(&forged.given, &forged.expected)
        });
        is_good &= ours < LIMIT && leaky > LIMIT;
    }
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The bits to flip in the right tag, made from random bits.
type Flip = fn(u128) -> u128;

const CLASSES: [[Flip; 2]; 2] = [
    [|random| u128::from(random as u8 | 1) << 120, |random| u128::from(random as u8 | 1)],
    [|random| 1 << (random % 128), |_| u128::MAX],
];

/// A maker of tokens that are right except for some bits of the tag.
struct Forge {
    codec: TokenCodec,
    mac_key: [u8; 32],
    mask_key: [u8; 16],
}

/// A forged token, its tag, and the right tag.
struct Forged {
    value: [u8; 48],
    given: [u8; 16],
    expected: [u8; 16],
}

impl Forge {
    fn new() -> Self {
        let keyring = Keyring::from(Key::new(1, Secret::new(SECRET).unwrap()));
        let codec =
            TokenCodec::new(&LoadBalancer::new("shop").unwrap(), CookieName::default(), &keyring);
        let derived = |label: &str| {
            hmac(&SECRET, format!("session-affinity v1 {label}\0shop\0__cflb").as_bytes())
        };
        let forge = Self {
            codec,
            mac_key: derived("mac"),
            mask_key: derived("mask")[..16].try_into().unwrap(),
        };
        // Without a flipped bit this is the token that the codec seals.
        let endpoint = EndpointId::from_u64(7);
        let pin = Pin { endpoint, issued: NOW, expires: NOW.saturating_add(3_600) };
        assert_eq!(forge.forge(7, 0).value, forge.codec.seal(&pin).as_str().as_bytes());
        forge
    }

    /// Makes a token with these bits of its tag flipped. The mask depends on the tag, so it takes
    /// the key to flip a bit and leave the endpoint, and so the expected tag, as they were.
    fn forge(&self, endpoint: u64, flipped: u128) -> Forged {
        let head = |endpoint: u64| {
            let times = [NOW, NOW.saturating_add(3_600)].map(|time| time.as_secs().to_be_bytes());
            [&[1, 1], &endpoint.to_be_bytes()[..], &times[0][3..], &times[1][3..]].concat()
        };
        let expected: [u8; 16] = hmac(&self.mac_key, &head(endpoint))[..16].try_into().unwrap();
        let given = (u128::from_be_bytes(expected) ^ flipped).to_be_bytes();
        let mask = SipHasher24::new_with_key(&self.mask_key).hash(&given);
        let value = URL_SAFE_NO_PAD.encode([&head(endpoint ^ mask)[..], &given].concat());
        Forged { value: value.into_bytes().try_into().unwrap(), given, expected }
    }

    fn open(&self, forged: &Forged) -> bool {
        black_box(self.codec.open(black_box(&forged.value), NOW)) == Err(Rejected::Forged)
    }

    /// Returns the greatest |t| over all crops, and prints it whenever the samples have doubled.
    fn measure(
        &self,
        title: &str,
        millions: u64,
        classes: [Flip; 2],
        work: impl Fn(&Forged) -> bool,
    ) -> f64 {
        let mut random = Random(0x5eed);
        let mut crops: Vec<Welch> = Vec::new();
        let mut limits: Vec<u64> = Vec::new();
        let mut taken = 0;
        let mut next_print = 1_000_000;
        print!("{title:34}");
        while taken < millions * 1_000_000 {
            let inputs: Vec<(usize, Forged)> = (0..ROUND)
                .map(|_| {
                    let class = (random.next() >> 63) as usize;
                    let bits = u128::from(random.next()) << 64 | u128::from(random.next());
                    (class, self.forge(random.next(), classes[class](bits)))
                })
                .collect();
            let times: Vec<u64> = inputs
                .iter()
                .map(|(_, forged)| {
                    let start = Instant::now();
                    black_box(work(forged));
                    start.elapsed().as_nanos() as u64
                })
                .collect();
            if limits.is_empty() {
                // The first round only sets the crops: at the quantiles 1 - 2^-(i/10), and none.
                let mut sorted = times.clone();
                sorted.sort_unstable();
                let at = |i: i32| {
                    sorted[((1.0 - 0.5_f64.powf(f64::from(i) / 10.0)) * ROUND as f64) as usize]
                };
                limits = (1..=100).map(at).chain([u64::MAX]).collect();
                crops = vec![Welch::default(); limits.len()];
                continue;
            }
            for (time, (class, _)) in times.iter().zip(&inputs) {
                for (limit, crop) in limits.iter().zip(&mut crops) {
                    if time <= limit {
                        crop.add(*class, *time as f64);
                    }
                }
            }
            taken += ROUND as u64;
            if taken >= next_print {
                print!("  {} M: {:.2}", taken / 1_000_000, greatest(&crops));
                next_print *= 2;
            }
        }
        println!();
        greatest(&crops)
    }
}

/// Compares as `TokenCodec` must not: the second half only where the first ones are equal. The
/// differences are hidden from the optimizer, which would look at both at once.
fn is_equal_by_halves(one: &[u8; 16], other: &[u8; 16]) -> bool {
    let difference = u128::from_be_bytes(*one) ^ u128::from_be_bytes(*other);
    if black_box((difference >> 64) as u64) != 0 {
        return false;
    }
    black_box(difference as u64) == 0
}

/// Welch's t-test, one sample at a time.
#[derive(Clone, Default)]
struct Welch {
    classes: [Moments; 2],
}

#[derive(Clone, Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Welch {
    fn add(&mut self, class: usize, sample: f64) {
        let Moments { count, mean, squares } = &mut self.classes[class];
        *count += 1.0;
        let off = sample - *mean;
        *mean += off / *count;
        *squares += off * (sample - *mean);
    }

    /// Returns t; `None` with too few samples.
    fn t(&self) -> Option<f64> {
        let [one, other] = &self.classes;
        let error = |class: &Moments| class.squares / (class.count - 1.0) / class.count;
        let enough = one.count.min(other.count) > 10_000.0;
        let spread = (error(one) + error(other)).sqrt();
        (enough && spread > 0.0).then(|| (one.mean - other.mean) / spread)
    }
}

fn greatest(crops: &[Welch]) -> f64 {
    crops.iter().filter_map(Welch::t).fold(0.0, |most, t| most.max(t.abs()))
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
}
