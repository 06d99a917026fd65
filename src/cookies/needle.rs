//! Finding the cookies of one name in a field line.
//!
//! Searching for the name first, and examining its surroundings only where it is found, costs a
//! fraction of splitting the line into pairs, of which usually one at most has that name. A test
//! compares the results with those of splitting.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// The name of a cookie, prepared for searching.
#[derive(Clone, Debug)]
pub(super) struct Needle {
    name: Box<str>,
    #[cfg(feature = "memchr")]
    finder: memchr::memmem::Finder<'static>,
}

impl Needle {
    /// Prepares a name, which must be a token of RFC 9110 section 5.6.2: not empty, and without
    /// `;`, `=`, spaces and tabs.
    pub(super) fn new(name: String) -> Self {
        Self {
            #[cfg(feature = "memchr")]
            finder: memchr::memmem::Finder::new(name.as_bytes()).into_owned(),
            name: name.into_boxed_str(),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.name
    }

    /// Returns the values of the pairs of this name, in order.
    pub(super) fn values<'a>(&'a self, line: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + 'a {
        let mut from = 0;
        std::iter::from_fn(move || Some(self.found(line, &mut from)?.value()))
    }

    /// Returns the first pair of this name that begins at `from` or later, and moves `from` behind
    /// the name.
    #[inline]
    pub(super) fn found<'a>(&self, line: &'a [u8], from: &mut usize) -> Option<Found<'a>> {
        loop {
            let start = from.checked_add(self.find(line.get(*from..)?)?)?;
            *from = start.checked_add(self.name.len())?;
            if let Some(found) = found_at(line, start, *from) {
                return Some(found);
            }
        }
    }

    /// Returns whether a part of a line is a pair of this name.
    pub(super) fn names(&self, part: &[u8]) -> bool {
        let after = trim(part).strip_prefix(self.name.as_bytes());
        after.is_some_and(|after| trim(after).first() == Some(&b'='))
    }

    #[cfg(feature = "memchr")]
    fn find(&self, rest: &[u8]) -> Option<usize> {
        self.finder.find(rest)
    }

    #[cfg(not(feature = "memchr"))]
    fn find(&self, rest: &[u8]) -> Option<usize> {
        rest.windows(self.name.len()).position(|window| window == self.name.as_bytes())
    }
}

/// Returns the parts of a field line between semicolons, untrimmed.
pub(super) fn parts(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest.take()?;
        let (part, after) = line.split_at_checked(end_of_pair(line))?;
        rest = after.split_first().map(|(_, after)| after);
        Some(part)
    })
}

/// Returns the bytes without the spaces and tabs around them.
pub(super) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The rest of a line behind the `=` of a pair.
#[derive(Clone, Copy)]
pub(crate) struct Found<'a>(&'a [u8]);

impl<'a> Found<'a> {
    /// Returns the value, without the blanks around it.
    pub(crate) fn value(self) -> &'a [u8] {
        trim(self.0.get(..end_of_pair(self.0)).unwrap_or_default())
    }

    /// Returns the first `N` bytes where the value may end behind them. They are the value unless
    /// there is a `;` or a blank among them. One byte is looked at, where [`Found::value`] has to
    /// search.
    #[inline]
    pub(crate) fn first<const N: usize>(self) -> Option<&'a [u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        rest.first().is_none_or(|byte| *byte == b';').then_some(first)
    }
}

/// Returns the pair whose whole name stands from `start` to `end`: only blanks
/// separate it from a `;` or the beginning of the line before it, and from a `=` after it.
#[inline]
fn found_at(line: &[u8], start: usize, end: usize) -> Option<Found<'_>> {
    let before = line.get(..start)?.iter().rev().find(|byte| !is_blank(byte));
    if before.is_some_and(|byte| *byte != b';') {
        return None;
    }
    let after = line.get(end..)?;
    let equals =
        after.iter().position(|byte| !is_blank(byte)).filter(|at| after.get(*at) == Some(&b'='))?;
    after.get(equals.checked_add(1)?..).map(Found)
}

#[cfg(feature = "memchr")]
fn end_of_pair(rest: &[u8]) -> usize {
    memchr::memchr(b';', rest).unwrap_or(rest.len())
}

#[cfg(not(feature = "memchr"))]
fn end_of_pair(rest: &[u8]) -> usize {
    rest.iter().position(|byte| *byte == b';').unwrap_or(rest.len())
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

impl PartialEq for Needle {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Needle {}

impl PartialOrd for Needle {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Needle {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name.cmp(&other.name)
    }
}

impl Hash for Needle {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// Returns whether a byte is a tchar of RFC 9110 section 5.6.2.
pub(super) fn is_token_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
