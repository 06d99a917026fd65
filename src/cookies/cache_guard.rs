//! Directives that keep shared caches from replaying one client's cookie to others.

use http::HeaderMap;
use http::header::{CACHE_CONTROL, HeaderName, HeaderValue};

use super::field_change::FieldChange;
use super::needle::{is_token_char, trim};

/// The caching directives of a response that sets the affinity cookie.
///
/// RFC 9111 allows a shared cache to store `Set-Cookie`. Of seven caches tested, those of HAProxy,
/// Apache and hishel replay it from a `public` response to other clients; none of the seven replays
/// it from a `private` one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the guard is applied or not")]
pub enum CacheGuard {
    /// The response keeps its directives.
    LeaveAsIs,
    /// The response is made uncacheable for shared caches; browsers may still store it.
    ///
    /// All `Cache-Control` lines become one. It begins with `private`, in small letters and by
    /// itself, because there are caches that miss it elsewhere. After it come the well-formed
    /// directives (RFC 9111 section 5.2) in ASCII that were there, but `public`, `s-maxage`,
    /// `private` in any form, and `must-understand`, which lets a cache put `no-store` aside
    /// (section 5.2.2.3). The fields that caches obey in place of `Cache-Control` are removed: every
    /// one whose name ends in `-cache-control` (RFC 9213), `Surrogate-Control`, `Edge-Control` and
    /// `X-Accel-Expires`.
    #[default]
    MakePrivate,
}

impl CacheGuard {
    /// Applies the guard to the headers of a response that sets the affinity cookie.
    /// [`Settlement::changes`](crate::Settlement::changes) has the same changes as values.
    ///
    /// ```
    /// use http::{HeaderMap, header::CACHE_CONTROL};
    /// use session_affinity::cookies::CacheGuard;
    /// let mut headers = HeaderMap::new();
    /// headers.insert(CACHE_CONTROL, "public, max-age=60".parse()?);
    /// CacheGuard::MakePrivate.apply(&mut headers);
    /// assert_eq!(headers[CACHE_CONTROL], "private, max-age=60");
    /// # Ok::<(), http::header::InvalidHeaderValue>(())
    /// ```
    pub fn apply(self, headers: &mut HeaderMap) {
        if self == Self::LeaveAsIs {
            return;
        }
        let guarded = guarded(headers);
        // There is one of them at most in nearly every response.
        while let Some(name) = headers.keys().find(|name| is_targeted(name)).cloned() {
            headers.remove(name);
        }
        // A full map refuses even to replace a field; `Settlement::apply` sets no cookie then.
        let _ = headers.try_insert(CACHE_CONTROL, guarded);
    }

    /// Returns the changes of [`CacheGuard::apply`].
    pub(crate) fn changes(self, headers: &HeaderMap) -> impl Iterator<Item = FieldChange> + use<> {
        let mut changes = Vec::new();
        if self == Self::MakePrivate {
            let replaced = |name: &&HeaderName| is_targeted(name) || **name == CACHE_CONTROL;
            changes.extend(headers.keys().filter(replaced).cloned().map(FieldChange::Remove));
            changes.push(FieldChange::Append(CACHE_CONTROL, guarded(headers)));
        }
        changes.into_iter()
    }
}

/// Returns whether some caches obey this field in place of `Cache-Control`.
pub(crate) fn is_targeted(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.ends_with("-cache-control")
        || ["surrogate-control", "edge-control", "x-accel-expires"].contains(&name)
}

/// Returns the one line that replaces those of a response.
fn guarded(headers: &HeaderMap) -> HeaderValue {
    let mut line = Vec::new();
    for directive in
        headers.get_all(CACHE_CONTROL).iter().flat_map(|line| directives(line.as_bytes()))
    {
        let (name, argument) = parts(directive);
        let dropped = ["public", "private", "s-maxage", "must-understand"];
        let is_dropped = dropped.iter().any(|other| name.eq_ignore_ascii_case(other.as_bytes()));
        if !is_dropped && is_token(name) && argument.is_none_or(is_argument) {
            line.extend_from_slice(if line.is_empty() { b"private, " } else { b", " });
            line.extend_from_slice(directive);
        }
    }
    let private = HeaderValue::from_static("private");
    // The line consists of pieces of header values, so the conversion succeeds.
    if line.is_empty() { private } else { HeaderValue::try_from(line).unwrap_or(private) }
}

/// Returns the name of a directive, and its argument after the first `=`.
fn parts(directive: &[u8]) -> (&[u8], Option<&[u8]>) {
    let equals = directive.iter().position(|byte| *byte == b'=');
    let parts = equals.and_then(|equals| directive.split_at_checked(equals));
    parts.map_or((directive, None), |(name, rest)| (name, rest.get(1..)))
}

/// Returns whether this is a token (RFC 9110 section 5.6.2).
fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().copied().all(is_token_char)
}

/// Returns whether this is a token or one quoted string in ASCII (RFC 9110 section 5.6.4).
fn is_argument(text: &[u8]) -> bool {
    let mut quotes = Quotes::default();
    match text.split_last() {
        Some((b'"', inner)) if text.first() == Some(&b'"') => {
            // Open from the first byte to the last.
            let is_open =
                !inner.is_empty() && inner.iter().all(|byte| !quotes.are_closed_after(*byte));
            // Some caches skip the whole line for a byte outside ASCII, and `private` with it.
            let is_text = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~');
            is_open && quotes.are_closed_after(b'"') && inner.iter().all(is_text)
        }
        _ => is_token(text),
    }
}

/// Returns the parts of one line between the commas outside quoted strings, trimmed. A last one with
/// an unclosed quote is not well-formed, so it absorbs nothing of what follows.
fn directives(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quotes = Quotes::default();
    line.split(move |byte| quotes.are_closed_after(*byte) && *byte == b',').map(trim)
}

/// The state of a reader of quoted strings.
#[derive(Default)]
struct Quotes {
    open: bool,
    escaped: bool,
}

impl Quotes {
    fn are_closed_after(&mut self, byte: u8) -> bool {
        let was_escaped = self.escaped;
        self.escaped = self.open && byte == b'\\' && !was_escaped;
        self.open ^= byte == b'"' && !was_escaped;
        !self.open
    }
}
