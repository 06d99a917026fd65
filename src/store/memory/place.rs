//! One session in the memory of a [`MemoryStore`](super::MemoryStore).

use crate::endpoint::EndpointId;
use crate::store::SessionKey;
use crate::time::UnixTime;

/// One session in 36 bytes. Its words have 32 bits, so that alignment wastes no memory. A place
/// whose bytes are all zero is free.
#[derive(Clone, Copy, Default)]
pub(super) struct Place {
    key: [u32; 4],
    endpoint: [u32; 2],
    issued: u32,
    end: u32,
    /// Bits 32 to 39 of `issued`, those of `end`, and 1 if the session was used again.
    rest: [u8; 4],
}

impl Place {
    /// The place of a session that begins.
    pub(super) fn new(
        key: SessionKey,
        endpoint: EndpointId,
        issued: UnixTime,
        end: UnixTime,
    ) -> Self {
        let [issued_high, issued] = halves(issued.as_secs());
        let [end_high, end] = halves(end.as_secs());
        Self {
            key: words(key),
            endpoint: halves(endpoint.as_u64()),
            issued,
            end,
            // Times have 40 bits: the upper halves fit a byte.
            rest: [issued_high as u8, end_high as u8, 0, 0],
        }
    }

    /// Returns the place with its session marked as used again.
    pub(super) fn used(mut self) -> Self {
        self.rest = [self.rest[0], self.rest[1], 1, 0];
        self
    }

    /// Moves the end of the session, which is used again.
    pub(super) fn touch(&mut self, end: UnixTime) {
        let [end_high, end] = halves(end.as_secs());
        self.end = end;
        self.rest = [self.rest[0], end_high as u8, 1, 0];
    }

    /// Returns whether this is the place of the live session with these words of its key.
    pub(super) fn holds(&self, words: [u32; 4], now: UnixTime) -> bool {
        self.is_of(words) && self.is_live(now)
    }

    /// Returns whether this is the place of a session, live or idled out, with these words of its
    /// key.
    pub(super) fn is_of(&self, words: [u32; 4]) -> bool {
        self.key == words
    }

    pub(super) fn endpoint(&self) -> EndpointId {
        let [high, low] = self.endpoint;
        EndpointId::from_u64(u64::from(high) << 32 | u64::from(low))
    }

    pub(super) fn issued(&self) -> UnixTime {
        UnixTime::from_secs(u64::from(self.rest[0]) << 32 | u64::from(self.issued))
    }

    pub(super) fn end(&self) -> UnixTime {
        UnixTime::from_secs(u64::from(self.rest[1]) << 32 | u64::from(self.end))
    }

    pub(super) fn is_used(&self) -> bool {
        self.rest[2] != 0
    }

    pub(super) fn is_live(&self, now: UnixTime) -> bool {
        self.end() > now
    }
}

/// The key as it stands in a place.
pub(super) fn words(
    SessionKey([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]): SessionKey,
) -> [u32; 4] {
    [
        u32::from_be_bytes([a, b, c, d]),
        u32::from_be_bytes([e, f, g, h]),
        u32::from_be_bytes([i, j, k, l]),
        u32::from_be_bytes([m, n, o, p]),
    ]
}

fn halves(number: u64) -> [u32; 2] {
    [(number >> 32) as u32, number as u32]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_36_bytes() {
        assert_eq!(size_of::<Place>(), 36);
    }
}
