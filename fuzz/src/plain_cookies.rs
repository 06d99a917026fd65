//! Cookie lines read as plainly as the rule is: a line is split at each `;`, a part at its first
//! `=`; spaces and tabs are trimmed. A part without `=` is skipped, and names are compared to the
//! letter.

/// The values of the pairs of one name.
pub(crate) fn values<'a>(lines: &[&'a [u8]], name: &str) -> Vec<&'a [u8]> {
    let pairs = lines.iter().flat_map(|line| parts(line)).filter_map(pair);
    pairs.filter(|(of, _)| *of == name.as_bytes()).map(|(_, value)| value).collect()
}

/// The line without the pairs of one name; `None` when nothing is left of it. The other pairs stay
/// as they were, but for blanks and empty parts before the first.
pub(crate) fn without(line: &[u8], name: &str) -> Option<Vec<u8>> {
    let is_ours = |part: &&[u8]| pair(part).is_some_and(|(of, _)| of == name.as_bytes());
    if !parts(line).any(|part| is_ours(&part)) {
        return (!line.is_empty()).then(|| line.to_vec());
    }
    let others = parts(line).filter(|part| !is_ours(part)).skip_while(|part| trim(part).is_empty());
    let mut others: Vec<&[u8]> = others.collect();
    let first = others.first_mut()?;
    *first = trim(first);
    Some(others.join(&b';'))
}

fn parts(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b';')
}

fn pair(part: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = part.iter().position(|byte| *byte == b'=')?;
    Some((trim(&part[..equals]), trim(&part[equals + 1..])))
}

fn trim(bytes: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let Some(first) = bytes.iter().position(|byte| !is_blank(byte)) else { return &[] };
    let last = bytes.iter().rposition(|byte| !is_blank(byte)).unwrap_or(first);
    &bytes[first..=last]
}
