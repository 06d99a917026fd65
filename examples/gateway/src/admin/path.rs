//! The paths of the admin listener: names and ids in their segments.

/// Returns the segments of a path, percent-decoded one by one, so that a name may contain a slash.
/// `None` for a path that is not UTF-8 or has a `%` without two hexadecimal digits.
pub(super) fn decoded(path: &str) -> Option<Vec<String>> {
    path.strip_prefix('/')?.split('/').map(decoded_segment).collect()
}

fn decoded_segment(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => digit(rest.next()?)? << 4 | digit(rest.next()?)?,
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

fn digit(byte: u8) -> Option<u8> {
    u8::try_from(char::from(byte).to_digit(16)?).ok()
}

/// Reads the id of a key in its shortest notation: neither `+1` nor `01`.
pub(super) fn key_id(text: &str) -> Option<u8> {
    text.parse().ok().filter(|id: &u8| id.to_string() == text)
}
