//! HMAC-SHA-256 of the head of a token, in the two compressions that it needs at least.
//!
//! The API of the `hmac` crate clones a keyed state of some 200 bytes, buffers, and pads at run
//! time. For 20 bytes that costs as much as the hash itself. Here the two midstates of the key are
//! stored and both blocks are written whole. A test compares the results with those of the API.

use hmac::digest::zeroize::Zeroizing;
use sha2::block_api::compress256;

/// A key, stored as the states of SHA-256 after the inner and the outer pad (RFC 2104 section 4).
/// It is wiped when dropped.
#[derive(Clone, Default)]
pub(crate) struct MacKey {
    inner: Zeroizing<[u32; 8]>,
    outer: Zeroizing<[u32; 8]>,
}

impl MacKey {
    /// Replaces both states by those of a key, in place.
    pub(crate) fn set(&mut self, key: &[u8; 32]) {
        for (state, pad) in [(&mut self.inner, 0x36), (&mut self.outer, 0x5c)] {
            let mut block = Zeroizing::new([pad; BLOCK]);
            for (to, from) in block.iter_mut().zip(key) {
                *to ^= *from;
            }
            **state = INITIAL;
            compress256(state, std::slice::from_ref(&*block));
        }
    }

    /// Returns the first 16 bytes of the MAC, as a big-endian number.
    pub(crate) fn tag(&self, head: &[u8; HEAD]) -> u128 {
        let mut digest = *self.inner;
        compress256(&mut digest, &[last_block(head)]);
        let mut bytes = [0; 32];
        for (to, word) in bytes.chunks_exact_mut(4).zip(digest) {
            to.copy_from_slice(&word.to_be_bytes());
        }
        let mut mac = *self.outer;
        compress256(&mut mac, &[last_block(&bytes)]);
        let [a, b, c, d, ..] = mac.map(u128::from);
        a << 96 | b << 64 | c << 32 | d
    }

    /// Returns whether the tag is that of the head. The comparison takes constant time: one
    /// operation on registers, hidden from an optimiser that might stop early.
    pub(crate) fn verifies(&self, head: &[u8; HEAD], tag: u128) -> bool {
        std::hint::black_box(self.tag(head) ^ tag) == 0
    }
}

/// The length of the authenticated part of a token, in bytes.
pub(crate) const HEAD: usize = 20;
const BLOCK: usize = 64;

/// The initial state of SHA-256 (FIPS 180-4 section 5.3.3).
const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// Returns the block without its message.
const fn padding<const LENGTH: usize>() -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    if let Some((mark, _)) = block.split_at_mut(LENGTH).1.split_first_mut() {
        *mark = 0x80;
    }
    if let Some(bits) = block.last_chunk_mut::<8>() {
        *bits = (BLOCK.saturating_add(LENGTH) as u64).saturating_mul(8).to_be_bytes();
    }
    block
}

/// Returns the padded message (FIPS 180-4 section 5.1.1) as the block that follows the block of the
/// key. At most 55 bytes fit, which the compiler checks.
fn last_block<const LENGTH: usize>(message: &[u8; LENGTH]) -> [u8; BLOCK] {
    const { assert!(LENGTH <= 55, "the padding takes nine bytes") };
    // The padding is a constant, so that it is written in vectors, as the hash reads it: bytes that
    // are written one by one and read together stall the processor.
    let mut block = const { padding::<LENGTH>() };
    if let Some(to) = block.first_chunk_mut::<LENGTH>() {
        *to = *message;
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;
    use hmac::{Hmac, KeyInit, Mac};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_what_the_plain_api_says(key: [u8; 32], head: [u8; HEAD], bit in 0_u32..128) {
            let mut plain = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
            plain.update(&head);
            let full: [u8; 32] = plain.finalize().into_bytes().into();
            let tag = u128::from_be_bytes(full[..16].try_into().unwrap());
            let mut ours = MacKey::default();
            ours.set(&key);
            prop_assert_eq!(ours.tag(&head), tag);
            prop_assert!(ours.verifies(&head, tag));
            prop_assert!(!ours.verifies(&head, tag ^ 1 << bit));
        }
    }
}
