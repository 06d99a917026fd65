//! The part of another system's cookie that stands for an endpoint.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// The part of a foreign cookie's value that stands for an endpoint. Bytes are compared as the
/// client sends them, quotes included; only [`EnvoyAddress`](Self::EnvoyAddress) is decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ForeignFormat {
    /// The whole value.
    #[default]
    Whole,
    /// The part before the first of these bytes, or the whole value without one.
    Before(u8),
    /// The part after the last of these bytes. A value without one counts as absent.
    AfterLast(u8),
    /// The part before the first of these bytes, which the proxy has put before the application's own
    /// value. A value without one counts as absent. Upstream goes the application's value alone,
    /// and the cookie is not taken back.
    Prefix(u8),
    /// The address of a host as Envoy's `stateful_session` writes it, such as `10.0.0.1:80` or
    /// `[2001:db8::1]:80`: base64 of a protobuf message, in quotes. The first field of the message
    /// is the address. The second one, the end of a session with a `ttl`, is not read: Envoy 1.36
    /// counts it by the clock of its own machine, and 1.40 by Unix time.
    EnvoyAddress,
}

impl ForeignFormat {
    /// HAProxy's `cookie NAME insert`, with or without `maxidle` and `maxlife`: `s1|…|…`. The dates
    /// are not read.
    pub const HAPROXY_INSERT: Self = Self::Before(b'|');
    /// HAProxy's `cookie NAME prefix`: `s1~value`.
    pub const HAPROXY_PREFIX: Self = Self::Prefix(b'~');
    /// Apache's `stickysession` with the route of a member: `value.route`.
    pub const APACHE_ROUTE: Self = Self::AfterLast(b'.');

    /// Returns the part of a value that stands for an endpoint. A decoded one is written to the room.
    pub(super) fn part<'a>(self, value: &'a [u8], room: &'a mut Room) -> Option<&'a [u8]> {
        let first = |end: u8| value.iter().position(|byte| *byte == end);
        match self {
            Self::Whole => Some(value),
            Self::Before(end) => value.get(..first(end).unwrap_or(value.len())),
            Self::AfterLast(start) => {
                let last = value.iter().rposition(|byte| *byte == start)?;
                value.get(last.checked_add(1)?..)
            }
            Self::Prefix(end) => value.get(..first(end)?),
            Self::EnvoyAddress => room.address(value),
        }
    }
}

/// Room for a decoded value: a message with an address of at most 127 bytes and a time.
pub(super) struct Room([u8; Room::BYTES]);

impl Room {
    const BYTES: usize = 144;

    /// Decodes a message and returns its first field, a text of at most 127 bytes.
    fn address(&mut self, value: &[u8]) -> Option<&[u8]> {
        let unquoted = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
        let length = BASE64_STANDARD.decode_slice(unquoted.unwrap_or(value), &mut self.0).ok()?;
        // The key of field 1 with a length, and the length, which is one byte below 128.
        let [0x0a, length @ ..0x80, fields @ ..] = self.0.get(..length)? else { return None };
        fields.get(..usize::from(*length))
    }
}

impl Default for Room {
    fn default() -> Self {
        Self([0; Self::BYTES])
    }
}
