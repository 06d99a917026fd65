//! The bytes of a token, version 1: where each field stands.

use super::base64url;
use super::mac::HEAD;
use super::rejected::Rejected;
use crate::time::UnixTime;

/// The length of every token, in characters.
pub(super) const LEN: usize = 48;

const VERSION: u8 = 1;

/// The 16 bytes of a tag, as a big-endian number.
pub(super) type Tag = u128;

/// The fields of the first 20 bytes. The endpoint id is in clear text or masked.
#[derive(Clone, Copy)]
pub(super) struct Plain {
    pub(super) key_id: u8,
    pub(super) endpoint: u64,
    pub(super) issued: UnixTime,
    pub(super) expires: UnixTime,
}

impl Plain {
    /// The bytes that the tag authenticates.
    pub(super) fn to_bytes(self) -> [u8; HEAD] {
        let (issued, expires) = (self.issued.as_secs(), self.expires.as_secs());
        let first = u64::from(VERSION) << 56 | u64::from(self.key_id) << 48 | self.endpoint >> 16;
        let second = self.endpoint << 48 | issued << 8 | expires >> 32;
        let mut bytes = [0; HEAD];
        let (eight, rest) = bytes.split_at_mut(8);
        let (sixteen, last) = rest.split_at_mut(8);
        eight.copy_from_slice(&first.to_be_bytes());
        sixteen.copy_from_slice(&second.to_be_bytes());
        last.copy_from_slice(&(expires as u32).to_be_bytes());
        bytes
    }

    /// Writes the fields and the tag as a token.
    pub(super) fn encode(&self, tag: Tag) -> [u8; LEN] {
        let [a, b, c, d] = self.groups();
        base64url::encode([a, b, c, d | (tag >> 96) as u64, (tag >> 48) as u64, tag as u64])
    }

    /// The first four groups of 6 bytes; the tag completes the last.
    fn groups(&self) -> [u64; 4] {
        let (issued, expires) = (self.issued.as_secs(), self.expires.as_secs());
        [
            u64::from(VERSION) << 40 | u64::from(self.key_id) << 32 | self.endpoint >> 32,
            self.endpoint << 16 | issued >> 24,
            issued << 24 | expires >> 16,
            expires << 32,
        ]
    }

    /// Reads the fields of a token and its tag.
    #[inline(always)]
    pub(super) fn decode(text: &[u8; LEN]) -> Result<(Self, Tag), Rejected> {
        // Six groups of 6 bytes; fields end within them.
        let [a, b, c, d, e, f] = base64url::decode(text).ok_or(Rejected::Malformed)?;
        if a >> 40 != u64::from(VERSION) {
            return Err(Rejected::UnknownVersion);
        }
        let masked = Self {
            key_id: (a >> 32) as u8,
            endpoint: a << 32 | b >> 16,
            issued: UnixTime::from_secs((b & 0xffff) << 24 | c >> 24),
            expires: UnixTime::from_secs((c & 0x00ff_ffff) << 16 | d >> 32),
        };
        Ok((masked, Tag::from(d) << 96 | Tag::from(e) << 48 | Tag::from(f)))
    }
}
