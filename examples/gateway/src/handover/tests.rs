//! The bytes of the file.

use proptest::prelude::*;

use super::*;

fn session(number: u64) -> StoredSession {
    StoredSession {
        key: SessionKey(u128::from(number).to_be_bytes()),
        endpoint: EndpointId::from_u64(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        issued: UnixTime::from_secs(1_800_000_000 + number),
        end: UnixTime::from_secs(1_800_001_800 + number),
        uses: (number % 4) as u8,
    }
}

#[test]
fn the_checksum_is_the_published_one() {
    assert_eq!(checksum(b"123456789"), 0xcbf4_3926);
}

#[test]
fn what_is_written_is_read() {
    for count in [0, 1, 2, 1_000] {
        let sessions: Vec<_> = (0..count).map(session).collect();
        let bytes = written(sessions.iter().copied());
        assert_eq!(bytes.len(), HEAD.len() + COUNT + sessions.len() * SESSION + SUM);
        assert_eq!(read(&bytes), Ok(sessions));
    }
}

#[test]
fn a_file_of_another_version_or_length_is_refused_whole() {
    let good = written((0..3).map(session));
    let other = [b"session-affinity gateway sessions 2\n", &good[HEAD.len()..]].concat();
    assert_eq!(read(&other), Err("it is no file of sessions, or of another version"));
    for length in 0..good.len() {
        assert!(read(&good[..length]).is_err(), "{length}");
    }
    assert!(read(&[&good[..], b"0"].concat()).is_err());
    // A count of its own, with the checksum that fits.
    let mut lying = good[..good.len() - SUM].to_vec();
    lying[HEAD.len()] = 2;
    let sum = checksum(&lying);
    lying.extend(sum.to_le_bytes());
    assert_eq!(read(&lying), Err(SHORT));
}

proptest! {
    #[test]
    fn one_changed_bit_is_refused(count in 0_u64..20, at in any::<prop::sample::Index>(), bit in 0_u32..8) {
        let mut bytes = written((0..count).map(session));
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        prop_assert!(read(&bytes).is_err());
    }

    #[test]
    fn no_bytes_are_read_in_part(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(read(&bytes).is_err());
        bytes.splice(0..0, HEAD.iter().copied());
        prop_assert!(read(&bytes).is_err());
    }
}
