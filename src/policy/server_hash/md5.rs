//! MD5 (RFC 1321), because nginx names its servers by it. It protects nothing here.

/// Returns the MD5 of a message.
pub(super) fn md5(message: &[u8]) -> [u8; 16] {
    // RFC 1321 section 3.1 and 3.2: a one bit, zero bits up to the length's place, the length.
    let mut padded = message.to_vec();
    padded.push(0x80);
    while padded.len() % BLOCK != LENGTH_AT {
        padded.push(0);
    }
    padded.extend((message.len() as u64).wrapping_mul(8).to_le_bytes());
    let mut state = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476];
    for block in padded.as_chunks::<BLOCK>().0 {
        compress(&mut state, block);
    }
    let mut digest = [0; 16];
    for (to, word) in digest.as_chunks_mut().0.iter_mut().zip(state) {
        *to = word.to_le_bytes();
    }
    digest
}

/// The length of a block, in bytes, and the place in the last one of the message's length.
const BLOCK: usize = 64;
const LENGTH_AT: usize = 56;

/// The four rounds of section 3.4: for each the rotations, and the word with which it begins and the
/// distance to the next one.
const ROUNDS: [([u32; 4], usize, usize); 4] = [
    ([7, 12, 17, 22], 0, 1),
    ([5, 9, 14, 20], 1, 5),
    ([4, 11, 16, 23], 5, 3),
    ([6, 10, 15, 21], 0, 7),
];

fn compress(state: &mut [u32; 4], block: &[u8; BLOCK]) {
    let words = block.as_chunks().0;
    let mut words = words.iter().map(|word| u32::from_le_bytes(*word));
    let words: [u32; 16] = std::array::from_fn(|_| words.next().unwrap_or_default());
    let [mut a, mut b, mut c, mut d] = *state;
    let rounds = SINES.as_chunks::<16>().0.iter().zip(ROUNDS).zip(0_u8..);
    for ((sines, (rotations, begins, distance)), round) in rounds {
        let order = words.iter().cycle().skip(begins).step_by(distance);
        for ((sine, word), rotation) in sines.iter().zip(order).zip(rotations.iter().cycle()) {
            let mixed = match round {
                0 => (b & c) | (!b & d),
                1 => (b & d) | (c & !d),
                2 => b ^ c ^ d,
                _ => c ^ (b | !d),
            };
            let sum = a.wrapping_add(mixed).wrapping_add(*word).wrapping_add(*sine);
            (a, b, c, d) = (d, b.wrapping_add(sum.rotate_left(*rotation)), b, c);
        }
    }
    for (to, word) in state.iter_mut().zip([a, b, c, d]) {
        *to = to.wrapping_add(word);
    }
}

/// The whole part of 2^32 times the absolute sine of 1, 2 and so on, in radians.
const SINES: [u32; 64] = [
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 1321 section A.5.
    #[test]
    fn the_test_suite_of_the_rfc() {
        for (message, digest) in [
            ("", 0xd41d8cd98f00b204e9800998ecf8427e_u128),
            ("a", 0x0cc175b9c0f1b6a831c399e269772661),
            ("abc", 0x900150983cd24fb0d6963f7d28e17f72),
            ("message digest", 0xf96b697d7cb7938d525a2f31aaf161d0),
            ("abcdefghijklmnopqrstuvwxyz", 0xc3fcd3d76192e4007dfb496cca67e13b),
            (
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
                0xd174ab98d277d9f5a5611c2c9f419d9f,
            ),
            (
                "1234567890123456789012345678901234567890\
                 1234567890123456789012345678901234567890",
                0x57edf4a22be3c955ac49da2e2107b67a,
            ),
        ] {
            assert_eq!(md5(message.as_bytes()), digest.to_be_bytes(), "{message}");
        }
    }

    #[test]
    fn the_sines_are_sines() {
        for (number, sine) in (1..).zip(SINES) {
            let exact = f64::from(number).sin().abs() * 4_294_967_296.0;
            assert_eq!(f64::from(sine), exact.floor(), "{number}");
        }
    }

    /// The padding takes a block of its own from 56 bytes on. The digests are those of Python's
    /// `hashlib`.
    #[test]
    fn the_padding_of_every_length() {
        let digests = (0..=129).map(|length| u128::from_be_bytes(md5(&vec![b'x'; length])));
        let all: Vec<u8> = digests.flat_map(u128::to_be_bytes).collect();
        assert_eq!(u128::from_be_bytes(md5(&all)), ALL);
    }

    const ALL: u128 = 0x6c93ccf027822c47aed4077bedd7e658;
}
