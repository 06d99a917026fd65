//! The places in which a key may stand in a [`MemoryStore`](super::MemoryStore).

use crate::store::SessionKey;

/// A key, as two words, and its hash, which says where the key may stand: in one shard, in two
/// of its sets.
#[derive(Clone, Copy)]
pub(super) struct Address {
    pub(super) head: u64,
    pub(super) tail: u64,
    hash: u64,
}

impl Address {
    #[inline(always)]
    pub(super) fn of(SessionKey(bytes): SessionKey) -> Self {
        // One number: bytes that are taken one by one may be put together again from pieces.
        let key = u128::from_le_bytes(bytes);
        Self::of_words(key as u64, (key >> 64) as u64)
    }

    /// Keys of [`HeaderPolicy`](crate::HeaderPolicy) are keyed hashes, out of a client's control;
    /// mixing spreads the keys of other policies too.
    #[inline(always)]
    pub(super) fn of_words(head: u64, tail: u64) -> Self {
        let product = u128::from(head ^ MIX).wrapping_mul((tail ^ MIX_AGAIN).into());
        // Each bit depends on many bits of both words.
        Self { head, tail, hash: (product >> 64) as u64 ^ product as u64 }
    }

    /// The shard of the key, of this many.
    #[inline(always)]
    pub(super) fn shard(self, count: usize) -> usize {
        scale(self.hash >> 32, count)
    }

    /// The two sets of the key, of this many in its shard. They differ.
    pub(super) fn sets(self, count: usize) -> [usize; 2] {
        [self.first(count), self.second(count)]
    }

    /// The set of the key in the left half of the table.
    #[inline(always)]
    pub(super) fn first(self, count: usize) -> usize {
        scale(self.hash & u64::from(u32::MAX), count / 2)
    }

    /// The set of the key in the right half of the table.
    #[inline(always)]
    pub(super) fn second(self, count: usize) -> usize {
        let left = count / 2;
        let hash = self.hash.wrapping_mul(MIX_AGAIN) >> 32;
        left.saturating_add(scale(hash, count.saturating_sub(left)))
    }

    /// The other set of a key that stands in this one.
    pub(super) fn other(self, set: usize, count: usize) -> usize {
        let [first, second] = self.sets(count);
        if set == first { second } else { first }
    }
}

/// A number below `count`, in proportion to the 32 bits of the hash.
#[inline(always)]
fn scale(hash: u64, count: usize) -> usize {
    (hash.wrapping_mul(count as u64) >> 32) as usize
}

/// Odd numbers whose bits follow no pattern.
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
const MIX_AGAIN: u64 = 0xd6e8_feb8_6659_fd93;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_sets_of_a_key_differ_and_each_is_the_other_of_the_other() {
        for count in [2, 3, 5, 40] {
            let mut keys = vec![0_u64; count];
            for number in 0..300 * count as u64 {
                let address = Address::of_words(number, 0);
                let [first, second] = address.sets(count);
                assert!(first < second && second < count);
                let others = (address.other(first, count), address.other(second, count));
                assert_eq!(others, (second, first));
                keys[first] += 1;
                keys[second] += 1;
            }
            // Of three sets, the two of the right half share the second choices.
            let (least, most) = (keys.iter().min(), keys.iter().max());
            assert!(least > Some(&380) && most < Some(&980), "{least:?} to {most:?} of {count}");
        }
    }
}
