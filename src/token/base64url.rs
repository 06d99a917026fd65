//! The 48 characters of a token: base64url (RFC 4648 section 5) without padding.
//!
//! Every request opens a token, and all tokens have 48 characters. Decoding them eight at a time,
//! in registers and without branches, costs a third of a decoder for any length. Tests compare both
//! directions with a library.

/// Returns the 48 characters that encode 36 bytes, given as six big-endian numbers of 6 bytes each.
pub(crate) fn encode(groups: [u64; 6]) -> [u8; 48] {
    let mut values = [0; 48];
    for (group, eight) in groups.iter().zip(values.chunks_exact_mut(8)) {
        // Eight times 6 bits, split into fours, then pairs, then single values.
        let fours = (group & 0x0000_ffff_ff00_0000) << 8 | (group & 0x0000_0000_00ff_ffff);
        let pairs = (fours & 0x00ff_f000_00ff_f000) << 4 | (fours & 0x0000_0fff_0000_0fff);
        let each = (pairs & 0x0fc0_0fc0_0fc0_0fc0) << 2 | (pairs & 0x003f_003f_003f_003f);
        eight.copy_from_slice(&each.to_be_bytes());
    }
    values.map(character)
}

/// Returns the character that encodes six bits.
const fn character(value: u8) -> u8 {
    // Each term adds the distance in ASCII from one range of the alphabet to the next.
    b'A'.wrapping_add(value)
        .wrapping_add(mask(value > 25) & 6)
        .wrapping_sub(mask(value > 51) & 75)
        .wrapping_sub(mask(value > 61) & 13)
        .wrapping_add(mask(value > 62) & 49)
}

/// Returns the 36 bytes that 48 characters encode, as six big-endian numbers of 6 bytes each, or
/// `None` when a character is outside the alphabet.
///
/// The numbers stay in registers: bytes that are written to memory in pieces of one size and read
/// in pieces of another stall the processor.
#[inline(always)]
pub(crate) fn decode(text: &[u8; 48]) -> Option<[u64; 6]> {
    // One loop over all characters, which the compiler vectorises.
    let mut values = [0; 48];
    for (to, from) in values.iter_mut().zip(text) {
        *to = value(*from);
    }
    let foreign = values.iter().fold(0, |all, value| all | value);
    let mut groups = [0; 6];
    for (eight, group) in values.chunks_exact(8).zip(&mut groups) {
        let eight = u64::from_be_bytes(eight.try_into().unwrap_or_default());
        // Eight times 6 bits, joined to pairs, then fours, then all eight.
        let pairs = (eight & 0x3f00_3f00_3f00_3f00) >> 2 | (eight & 0x003f_003f_003f_003f);
        let fours = (pairs & 0x0fff_0000_0fff_0000) >> 4 | (pairs & 0x0000_0fff_0000_0fff);
        *group = (fours & 0x00ff_ffff_0000_0000) >> 8 | (fours & 0x0000_0000_00ff_ffff);
    }
    (foreign & 0x80 == 0).then_some(groups)
}

/// Returns the six bits that a character encodes, or 0x80 outside the alphabet.
const fn value(character: u8) -> u8 {
    // A character lies in a range when its wrapping distance from the start is below the length.
    let upper = character.wrapping_sub(b'A');
    let lower = character.wrapping_sub(b'a');
    let digit = character.wrapping_sub(b'0');
    let is_upper = mask(upper < 26);
    let is_lower = mask(lower < 26);
    let is_digit = mask(digit < 10);
    let is_minus = mask(character == b'-');
    let is_line = mask(character == b'_');
    let known = is_upper | is_lower | is_digit | is_minus | is_line;
    (is_upper & upper)
        | (is_lower & lower.wrapping_add(26))
        | (is_digit & digit.wrapping_add(52))
        | (is_minus & 62)
        | (is_line & 63)
        | (!known & 0x80)
}

/// Returns 0xff for true and 0 for false.
const fn mask(holds: bool) -> u8 {
    (holds as u8).wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;

    fn plain(text: &[u8; 48]) -> Option<Vec<u8>> {
        URL_SAFE_NO_PAD.decode(text).ok()
    }

    fn ours(text: &[u8; 48]) -> Option<Vec<u8>> {
        Some(
            decode(text)?
                .iter()
                .flat_map(|group| group.to_be_bytes().into_iter().skip(2))
                .collect(),
        )
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(bytes in proptest::array::uniform(any::<u8>())) {
            let bytes: [u8; 36] = bytes;
            let mut text = [0; 48];
            URL_SAFE_NO_PAD.encode_slice(bytes, &mut text).unwrap();
            prop_assert_eq!(ours(&text), Some(bytes.to_vec()));
            prop_assert_eq!(decode(&text).map(encode), Some(text));
        }

        #[test]
        fn anything_else_is_refused_as_the_plain_decoder_does(text in proptest::array::uniform(any::<u8>())) {
            prop_assert_eq!(ours(&text), plain(&text));
        }
    }

    #[test]
    fn every_character_at_every_place() {
        for place in 0..48 {
            // Miri would take minutes for all characters.
            for character in (0..=u8::MAX).step_by(if cfg!(miri) { 23 } else { 1 }) {
                let mut text = [b'Q'; 48];
                text[place] = character;
                assert_eq!(ours(&text), plain(&text), "{character} at {place}");
            }
        }
    }
}
