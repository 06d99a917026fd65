//! A session key is the hash of an encoding of the configured headers. The encoding can be read
//! back, so different header sets never give the same bytes; and no two different header sets that
//! were tried give the same key.

use hmac::{Hmac, KeyInit, Mac};
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use session_affinity::cookies::CookieName;
use session_affinity::policy::Require;
use session_affinity::{HeaderPolicy, LoadBalancer, RequestMeta, Scheme, Secret};
use sha2::Sha256;
use siphasher::sip128::{Hasher128, SipHasher24};
use std::hash::Hasher;

use super::choices::Choices;
use super::plain_cookies::values;
use super::support::Chance;

const OURS: &str = "__cflb";
const CONFIGURED: [&[&str]; 6] = [
    &["x-a"],
    &["cookie"],
    &["cookie:a,b"],
    &["x-a", "x-b"],
    &["x-b", "cookie:a,b", "x-a", "cookie", "cookie:b"],
    &["cookie:b", "cookie:a"],
];
const NAMES: [&str; 4] = ["x-a", "x-b", "cookie", "x-c"];
const PIECES: [&[u8]; 12] = [
    b"a",
    b"b",
    b"=",
    b"; ",
    b";",
    b" ",
    b"a=1",
    b"b=1",
    b"__cflb=x",
    b"\xff",
    b"\x01\0\0\0\0\0\0\0",
    b"",
];

pub fn check(input: &[u8]) {
    let mut choices = Choices(input);
    let configured = choices.one_of(&CONFIGURED);
    let require = choices.one_of(&[Require::Any, Require::All]);
    let secret = Secret::new([5; 32]).unwrap();
    let shop = LoadBalancer::new("shop").unwrap();
    let policy = HeaderPolicy::new(&shop, &secret, configured).unwrap().with_require(require);

    let lines = some_lines(&mut choices);
    let mut others = lines.clone();
    for _ in 0..1 + choices.below(3) {
        change(&mut others, &mut choices);
    }
    let keys = [&lines, &others].map(|lines| {
        let headers = map(lines);
        let key = policy.session_key(&RequestMeta::new(&headers, Scheme::Http));
        let counts = what_counts(configured, require, &headers);
        let bytes = counts.as_ref().map(|counts| encode(counts));
        assert_eq!(key.map(|key| key.0), bytes.as_ref().map(|bytes| hash(bytes)), "{lines:?}");
        if let (Some(counts), Some(bytes)) = (&counts, bytes) {
            assert_eq!(decode(configured, &bytes).as_ref(), Some(counts));
        }
        (key, counts)
    });
    let [(one, counts), (other, other_counts)] = keys;
    assert_eq!(one == other, counts == other_counts, "{lines:?} {others:?}");
}

type Lines = Vec<(&'static str, Vec<u8>)>;

fn some_lines(choices: &mut Choices<'_>) -> Lines {
    let line = |choices: &mut Choices<'_>| {
        let name = choices.one_of(&NAMES);
        (name, (0..choices.below(6)).flat_map(|_| piece(choices)).collect())
    };
    (0..choices.below(5)).map(|_| line(choices)).collect()
}

fn piece(choices: &mut Choices<'_>) -> Vec<u8> {
    if choices.percent(20) {
        choices.some_bytes(20).to_vec()
    } else {
        choices.one_of(&PIECES).to_vec()
    }
}

/// A small change: bytes move from one line to another, lines are split, joined, swapped or
/// renamed.
fn change(lines: &mut Lines, choices: &mut Choices<'_>) {
    if lines.is_empty() {
        return lines.extend(some_lines(choices));
    }
    let (at, to) = (choices.below(lines.len()), choices.below(lines.len()));
    match choices.below(8) {
        0 => drop(lines.remove(at)),
        1 => lines.push(lines[at].clone()),
        2 => lines.swap(at, to),
        3 => lines[at].0 = choices.one_of(&NAMES),
        4 => {
            let piece = piece(choices);
            lines[at].1.extend(piece);
        }
        5 => {
            let cut = choices.below(lines[at].1.len() + 1);
            let mut moved = lines[at].1.split_off(cut);
            moved.extend_from_slice(&lines[to].1);
            lines[to].1 = moved;
        }
        6 => {
            let cut = choices.below(lines[at].1.len() + 1);
            let rest = lines[at].1.split_off(cut);
            lines.insert(at + 1, (lines[at].0, rest));
        }
        _ => {
            let (_, moved) = lines.remove(at);
            match lines.get_mut(to) {
                Some((_, line)) => line.extend([b"; ", &moved[..]].concat()),
                None => lines.push((choices.one_of(&NAMES), moved)),
            }
        }
    }
}

/// Those that are header values, as they arrive.
fn map(lines: &Lines) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(*name, value);
        }
    }
    headers
}

/// The part of a request that an entry sees.
#[derive(Debug, PartialEq)]
enum Part {
    Lines(Vec<Vec<u8>>),
    Cookies(Vec<u8>),
    Named(Vec<(u64, Vec<Vec<u8>>)>),
}

/// The entries that are present, and what they see; nothing when they are not enough.
fn what_counts(
    configured: &[&str],
    require: Require,
    headers: &HeaderMap,
) -> Option<Vec<(u64, Part)>> {
    let lines =
        |name: &str| headers.get_all(name).iter().map(HeaderValue::as_bytes).collect::<Vec<_>>();
    let see = |entry: &str| {
        if entry == "cookie" {
            let mut stripped = headers.clone();
            CookieName::new(OURS).unwrap().strip(&mut stripped);
            let left: Vec<&[u8]> =
                stripped.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
            let left: Vec<&[u8]> = left.into_iter().filter(|line| !line.is_empty()).collect();
            let joined = left.join(&b"; "[..]);
            return (!joined.is_empty()).then_some(Part::Cookies(joined));
        }
        let Some(names) = entry.strip_prefix("cookie:") else {
            let lines: Vec<Vec<u8>> = lines(entry).into_iter().map(<[u8]>::to_vec).collect();
            return lines.iter().any(|line| !line.is_empty()).then_some(Part::Lines(lines));
        };
        let all: Vec<Vec<Vec<u8>>> = names
            .split(',')
            .map(|name| values(&lines("cookie"), name).into_iter().map(<[u8]>::to_vec).collect())
            .collect();
        let is_there = |values: &Vec<Vec<u8>>| values.iter().any(|value| !value.is_empty());
        let present = match require {
            Require::Any => all.iter().any(is_there),
            Require::All => all.iter().all(is_there),
        };
        let there = (0..).zip(all).filter(|(_, values)| is_there(values));
        present.then(|| Part::Named(there.collect()))
    };
    let seen: Vec<(u64, Part)> =
        (0..).zip(configured).filter_map(|(index, entry)| Some((index, see(entry)?))).collect();
    let enough = match require {
        Require::Any => !seen.is_empty(),
        Require::All => seen.len() == configured.len(),
    };
    enough.then_some(seen)
}

/// The bytes that are hashed: the index of each entry that is present, then, for a field, the
/// number of its lines and the length and bytes of each; for `cookie`, the length and bytes of all
/// cookies but ours; for `cookie:a,b`, the number of listed cookies that are there, and for each
/// its position, its count, and the length and bytes of each value. Every integer is a u64,
/// little-endian.
fn encode(counts: &[(u64, Part)]) -> Vec<u8> {
    let mut to = Vec::new();
    let number = |to: &mut Vec<u8>, number: u64| to.extend(number.to_le_bytes());
    let bytes = |to: &mut Vec<u8>, bytes: &[u8]| {
        to.extend((bytes.len() as u64).to_le_bytes());
        to.extend(bytes);
    };
    for (index, part) in counts {
        number(&mut to, *index);
        match part {
            Part::Lines(lines) => {
                number(&mut to, lines.len() as u64);
                lines.iter().for_each(|line| bytes(&mut to, line));
            }
            Part::Cookies(joined) => bytes(&mut to, joined),
            Part::Named(there) => {
                number(&mut to, there.len() as u64);
                for (position, values) in there {
                    number(&mut to, *position);
                    number(&mut to, values.len() as u64);
                    values.iter().for_each(|value| bytes(&mut to, value));
                }
            }
        }
    }
    to
}

/// The way back: where there is one, nothing was lost.
fn decode(configured: &[&str], mut from: &[u8]) -> Option<Vec<(u64, Part)>> {
    fn number(from: &mut &[u8]) -> Option<u64> {
        let (number, rest) = from.split_first_chunk()?;
        *from = rest;
        Some(u64::from_le_bytes(*number))
    }
    fn bytes(from: &mut &[u8]) -> Option<Vec<u8>> {
        let count = number(from)?;
        let (bytes, rest) = from.split_at_checked(count as usize)?;
        *from = rest;
        Some(bytes.to_vec())
    }
    fn list(from: &mut &[u8]) -> Option<Vec<Vec<u8>>> {
        (0..number(from)?).map(|_| bytes(from)).collect()
    }
    let mut counts = Vec::new();
    while !from.is_empty() {
        let index = number(&mut from)?;
        let part = match *configured.get(index as usize)? {
            "cookie" => Part::Cookies(bytes(&mut from)?),
            entry if entry.starts_with("cookie:") => {
                let count = number(&mut from)?;
                Part::Named(
                    (0..count)
                        .map(|_| Some((number(&mut from)?, list(&mut from)?)))
                        .collect::<Option<_>>()?,
                )
            }
            _ => Part::Lines(list(&mut from)?),
        };
        counts.push((index, part));
    }
    Some(counts)
}

fn hash(bytes: &[u8]) -> [u8; 16] {
    let mut mac = Hmac::<Sha256>::new_from_slice(&[5; 32]).unwrap();
    mac.update(b"session-affinity v1 header\0shop");
    let key: [u8; 16] = mac.finalize().into_bytes()[..16].try_into().unwrap();
    let mut hasher = SipHasher24::new_with_key(&key);
    hasher.write(bytes);
    hasher.finish128().as_bytes()
}
