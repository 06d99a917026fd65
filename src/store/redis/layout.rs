//! The layout in Redis: keys, values, and the commands that read and write them.

use std::fmt::Write;

use ::redis::{Cmd, Value as Answer, cmd};

use crate::endpoint::EndpointId;
use crate::names::LoadBalancer;
use crate::store::{SessionKey, StoreWrite, WriteKind};
use crate::time::UnixTime;

/// The keys of the sessions of one load balancer.
pub(super) struct Layout {
    prefix: Box<str>,
}

impl Layout {
    pub(super) fn new(load_balancer: &LoadBalancer) -> Self {
        let prefix = format!("session-affinity:1:{}:", escaped(load_balancer.as_str()));
        Self { prefix: prefix.into() }
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn get(&self, key: SessionKey) -> Cmd {
        let mut get = cmd("GET");
        get.arg(self.key(key));
        get
    }

    pub(super) fn command(&self, write: &StoreWrite) -> Cmd {
        let StoreWrite { key, ttl, now, kind } = *write;
        let (name, seconds) = (self.key(key), ttl.get());
        let mut command;
        match kind {
            WriteKind::Touch => {
                command = cmd("EXPIRE");
                command.arg(name).arg(seconds);
            }
            WriteKind::Create(endpoint) => {
                command = cmd("SET");
                command.arg(name).arg(&value(key, endpoint, now)).arg("NX").arg("EX").arg(seconds);
            }
            WriteKind::Replace(endpoint) => {
                command = cmd("SET");
                command.arg(name).arg(&value(key, endpoint, now)).arg("EX").arg(seconds);
            }
            WriteKind::Remove => {
                command = cmd("DEL");
                command.arg(name);
            }
        }
        command
    }

    fn key(&self, key: SessionKey) -> String {
        format!("{}{key}", self.prefix)
    }
}

/// Returns a name as part of a key: every byte other than letters, digits and `-._~` as `%XX`.
pub(super) fn escaped(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                text.push(byte.into())
            }
            // Writing to a String does not fail.
            _ => _ = write!(text, "%{byte:02X}"),
        }
    }
    text
}

/// The value of a key, as far as it can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Absent,
    Record {
        endpoint: EndpointId,
        issued: UnixTime,
    },
    /// One of another version or length, or of another kind than a text.
    Unreadable,
    /// The record of another key.
    Foreign,
}

/// Reads the answer to [`Layout::get`], other than an error.
pub(super) fn answered(key: SessionKey, answer: &Answer) -> Value {
    match answer {
        Answer::Nil => Value::Absent,
        Answer::BulkString(value) => read(key, value),
        _ => Value::Unreadable,
    }
}

fn read(key: SessionKey, value: &[u8]) -> Value {
    let Ok([version, a, b, c, d, e, f, g, h, i, j, k, l, m, name @ ..]) =
        <[u8; LENGTH]>::try_from(value)
    else {
        return Value::Unreadable;
    };
    if version != VERSION {
        return Value::Unreadable;
    }
    if name != self::name(key) {
        return Value::Foreign;
    }
    let endpoint = EndpointId::from_u64(u64::from_be_bytes([a, b, c, d, e, f, g, h]));
    let issued = UnixTime::from_secs(u64::from_be_bytes([0, 0, 0, i, j, k, l, m]));
    Value::Record { endpoint, issued }
}

const VERSION: u8 = 2;
const LENGTH: usize = 20;

pub(super) fn value(key: SessionKey, endpoint: EndpointId, issued: UnixTime) -> [u8; LENGTH] {
    let [a, b, c, d, e, f, g, h] = endpoint.as_u64().to_be_bytes();
    // Times have 40 bits.
    let [.., i, j, k, l, m] = issued.as_secs().to_be_bytes();
    let [n, o, p, q, r, s] = name(key);
    [VERSION, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s]
}

/// The part of a key that its value repeats. Keys of clients are hashes, so two of them have the
/// same part once in 2^48.
fn name(key: SessionKey) -> [u8; 6] {
    let [.., n, o, p, q, r, s] = key.0;
    [n, o, p, q, r, s]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Ttl;

    const KEY: SessionKey = SessionKey([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255]);
    const NOW: UnixTime = UnixTime::from_secs(0x01_6b49_d200);
    const EU_1: u64 = 0xbf54_fd3b_4b4e_a9db;

    fn layout(name: &str) -> Layout {
        Layout::new(&LoadBalancer::new(name).unwrap())
    }

    fn record(endpoint: EndpointId, issued: UnixTime) -> Value {
        Value::Record { endpoint, issued }
    }

    #[test]
    fn a_value_has_20_bytes_version_endpoint_issued_and_the_end_of_the_key() {
        let golden =
            *b"\x02\xbf\x54\xfd\x3b\x4b\x4e\xa9\xdb\x01\x6b\x49\xd2\x00\x0a\x0b\x0c\x0d\x0e\xff";
        let eu_1 = EndpointId::from_u64(EU_1);
        assert_eq!(value(KEY, eu_1, NOW), golden);
        assert_eq!(read(KEY, &golden), record(eu_1, NOW));
        let last = EndpointId::from_u64(u64::MAX);
        assert_eq!(read(KEY, &value(KEY, last, UnixTime::MAX)), record(last, UnixTime::MAX));
    }

    #[test]
    fn a_value_of_another_version_or_length_is_not_read() {
        let good = value(KEY, EndpointId::from_u64(EU_1), NOW);
        for version in (0..=u8::MAX).filter(|version| *version != 2) {
            let mut other = good;
            other[0] = version;
            assert_eq!(read(KEY, &other), Value::Unreadable);
        }
        for length in 0..LENGTH {
            assert_eq!(read(KEY, &good[..length]), Value::Unreadable);
        }
        assert_eq!(read(KEY, &[&good[..], &[0]].concat()), Value::Unreadable);
    }

    #[test]
    fn a_value_of_another_key_is_not_believed() {
        let value = value(KEY, EndpointId::from_u64(EU_1), NOW);
        for byte in 0..16 {
            let mut other = KEY;
            other.0[byte] ^= 1;
            let is_repeated = byte >= 10;
            assert_eq!(read(other, &value) == Value::Foreign, is_repeated, "byte {byte}");
        }
    }

    #[test]
    fn each_write_is_one_command_and_these_are_its_words() {
        let (key, endpoint, now) = (KEY, EndpointId::from_u64(EU_1), NOW);
        let name = "session-affinity:1:shop.example.com:000102030405060708090a0b0c0d0eff";
        let value = String::from_utf8_lossy(&value(key, endpoint, now)).into_owned();
        let commands: [(WriteKind, u64, &[&str]); 6] = [
            (WriteKind::Touch, 1_800, &["EXPIRE", name, "1800"]),
            (WriteKind::Create(endpoint), 30, &["SET", name, &value, "NX", "EX", "30"]),
            (WriteKind::Replace(endpoint), 3_600, &["SET", name, &value, "EX", "3600"]),
            (WriteKind::Remove, 1_800, &["DEL", name]),
            (WriteKind::Touch, Ttl::MIN.get(), &["EXPIRE", name, "1"]),
            (WriteKind::Touch, Ttl::MAX.get(), &["EXPIRE", name, "315360000"]),
        ];
        let layout = layout("shop.example.com");
        for (kind, seconds, words) in commands {
            let write = StoreWrite { key, ttl: Ttl::new(seconds).unwrap(), now, kind };
            assert_eq!(self::words(&layout.command(&write)), words);
        }
        assert_eq!(self::words(&layout.get(key)), ["GET", name]);
    }

    #[test]
    fn no_name_reaches_into_the_keys_of_another_or_has_a_hash_tag() {
        let prefixes = [
            ("shop.example.com", "session-affinity:1:shop.example.com:"),
            ("shop:eu", "session-affinity:1:shop%3Aeu:"),
            ("shop%3Aeu", "session-affinity:1:shop%253Aeu:"),
            ("{shop}", "session-affinity:1:%7Bshop%7D:"),
            ("sh*p [a] ?", "session-affinity:1:sh%2Ap%20%5Ba%5D%20%3F:"),
            ("Zürich", "session-affinity:1:Z%C3%BCrich:"),
        ];
        for (name, prefix) in prefixes {
            assert_eq!(layout(name).prefix(), prefix);
        }
    }

    fn words(command: &Cmd) -> Vec<String> {
        let argument = |argument| match argument {
            ::redis::Arg::Simple(word) => String::from_utf8_lossy(word).into_owned(),
            _ => panic!("not a word"),
        };
        command.args_iter().map(argument).collect()
    }
}
