//! The layout in Redis: keys, values, and the commands that read and write them.

use std::fmt::Write;

use ::redis::{Cmd, cmd};

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
        let (key, seconds) = (self.key(key), ttl.get());
        let mut command;
        match kind {
            WriteKind::Touch => {
                command = cmd("EXPIRE");
                command.arg(key).arg(seconds);
            }
            WriteKind::Create(endpoint) => {
                command = cmd("SET");
                command.arg(key).arg(&value(endpoint, now)).arg("NX").arg("EX").arg(seconds);
            }
            WriteKind::Replace(endpoint) => {
                command = cmd("SET");
                command.arg(key).arg(&value(endpoint, now)).arg("EX").arg(seconds);
            }
            WriteKind::Remove => {
                command = cmd("DEL");
                command.arg(key);
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

/// Reads a value. `None` if it has another version or length.
pub(super) fn read(value: &[u8]) -> Option<(EndpointId, UnixTime)> {
    let [version, a, b, c, d, e, f, g, h, i, j, k, l, m] =
        *<&[u8; LENGTH]>::try_from(value).ok()?;
    let endpoint = EndpointId::from_u64(u64::from_be_bytes([a, b, c, d, e, f, g, h]));
    let issued = UnixTime::from_secs(u64::from_be_bytes([0, 0, 0, i, j, k, l, m]));
    (version == VERSION).then_some((endpoint, issued))
}

const VERSION: u8 = 1;
const LENGTH: usize = 14;

fn value(endpoint: EndpointId, issued: UnixTime) -> [u8; LENGTH] {
    let [a, b, c, d, e, f, g, h] = endpoint.as_u64().to_be_bytes();
    // Times have 40 bits.
    let [.., i, j, k, l, m] = issued.as_secs().to_be_bytes();
    [VERSION, a, b, c, d, e, f, g, h, i, j, k, l, m]
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

    #[test]
    fn a_value_has_14_bytes_version_endpoint_and_issued() {
        let golden = *b"\x01\xbf\x54\xfd\x3b\x4b\x4e\xa9\xdb\x01\x6b\x49\xd2\x00";
        assert_eq!(value(EndpointId::from_u64(EU_1), NOW), golden);
        assert_eq!(read(&golden), Some((EndpointId::from_u64(EU_1), NOW)));
        let last = value(EndpointId::from_u64(u64::MAX), UnixTime::MAX);
        assert_eq!(read(&last), Some((EndpointId::from_u64(u64::MAX), UnixTime::MAX)));
    }

    #[test]
    fn a_value_of_another_version_or_length_is_not_read() {
        let good = value(EndpointId::from_u64(EU_1), NOW);
        for version in (0..=u8::MAX).filter(|version| *version != 1) {
            let mut other = good;
            other[0] = version;
            assert_eq!(read(&other), None);
        }
        for length in 0..LENGTH {
            assert_eq!(read(&good[..length]), None);
        }
        assert_eq!(read(&[&good[..], &[0]].concat()), None);
    }

    #[test]
    fn each_write_is_one_command_and_these_are_its_words() {
        let (key, endpoint, now) = (KEY, EndpointId::from_u64(EU_1), NOW);
        let name = "session-affinity:1:shop.example.com:000102030405060708090a0b0c0d0eff";
        let value = String::from_utf8_lossy(&value(endpoint, now)).into_owned();
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
