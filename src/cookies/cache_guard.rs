//! Directives that keep shared caches from replaying one client's cookie to others.

use http::HeaderMap;
use http::header::{CACHE_CONTROL, HeaderName, HeaderValue};

use super::field_change::FieldChange;
use super::needle::trim;

/// The caching directives of a response that sets the affinity cookie.
///
/// RFC 9111 allows a shared cache to store `Set-Cookie`. Of five caches tested, those of HAProxy
/// and Apache replay it from a `public` response to other clients; none of the five replays it from
/// a `private` one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the guard is applied or not")]
pub enum CacheGuard {
    /// The response keeps its directives.
    LeaveAsIs,
    /// The response is made uncacheable for shared caches; browsers may still store it.
    ///
    /// All `Cache-Control` lines become one, without `public`, `s-maxage` and qualified `private`.
    /// `private` is added unless `private` or `no-store` is present. The fields that caches of CDNs
    /// obey in place of `Cache-Control` (RFC 9213) are removed: `CDN-Cache-Control`,
    /// `Cloudflare-CDN-Cache-Control` and `Surrogate-Control`.
    #[default]
    MakePrivate,
}

impl CacheGuard {
    /// Applies the guard to the headers of a response that sets the affinity cookie.
    ///
    /// ```
    /// use http::{HeaderMap, header::CACHE_CONTROL};
    /// use session_affinity::cookies::CacheGuard;
    /// let mut headers = HeaderMap::new();
    /// headers.insert(CACHE_CONTROL, "public, max-age=60".parse()?);
    /// CacheGuard::MakePrivate.apply(&mut headers);
    /// assert_eq!(headers[CACHE_CONTROL], "max-age=60, private");
    /// # Ok::<(), http::header::InvalidHeaderValue>(())
    /// ```
    pub fn apply(self, headers: &mut HeaderMap) {
        let guarded = self.cache_control(headers);
        for targeted in self.removes() {
            headers.remove(targeted);
        }
        if let Some(guarded) = guarded {
            // A full map refuses even to replace a field; `Settlement::apply` sets no cookie then.
            let _ = headers.try_insert(CACHE_CONTROL, guarded);
        }
    }

    /// Returns the one `Cache-Control` line that replaces those in `headers`, or `None` when they
    /// stay. [`Settlement::changes`](crate::Settlement::changes) has it among its changes.
    ///
    /// ```
    /// use http::{HeaderMap, header::CACHE_CONTROL};
    /// use session_affinity::cookies::CacheGuard;
    /// let mut headers = HeaderMap::new();
    /// assert_eq!(CacheGuard::MakePrivate.cache_control(&headers).unwrap(), "private");
    /// headers.insert(CACHE_CONTROL, "public, max-age=60".parse()?);
    /// assert_eq!(CacheGuard::MakePrivate.cache_control(&headers).unwrap(), "max-age=60, private");
    /// assert_eq!(CacheGuard::LeaveAsIs.cache_control(&headers), None);
    /// # Ok::<(), http::header::InvalidHeaderValue>(())
    /// ```
    pub fn cache_control(self, headers: &HeaderMap) -> Option<HeaderValue> {
        let lines = headers.get_all(CACHE_CONTROL).iter().map(HeaderValue::as_bytes);
        (self == Self::MakePrivate).then(|| guarded(lines))
    }

    /// Returns the names of the fields to remove from the response, present or not.
    pub fn removes(self) -> impl Iterator<Item = HeaderName> {
        TARGETED.into_iter().filter(move |_| self == Self::MakePrivate)
    }

    /// Returns the changes of [`CacheGuard::apply`].
    pub(crate) fn changes(self, headers: &HeaderMap) -> impl Iterator<Item = FieldChange> + use<> {
        let remove = |name| headers.contains_key(&name).then_some(FieldChange::Remove(name));
        let on = self == Self::MakePrivate;
        let targeted = TARGETED.map(|name| remove(name).filter(|_| on));
        let lines = self.cache_control(headers).map(|guarded| {
            let guarded = FieldChange::Append(CACHE_CONTROL, guarded);
            [remove(CACHE_CONTROL), Some(guarded)].into_iter().flatten()
        });
        targeted.into_iter().flatten().chain(lines.into_iter().flatten())
    }
}

const TARGETED: [HeaderName; 3] = [
    HeaderName::from_static("cdn-cache-control"),
    HeaderName::from_static("cloudflare-cdn-cache-control"),
    HeaderName::from_static("surrogate-control"),
];

/// Returns the one line that replaces these.
fn guarded<'a>(lines: impl Iterator<Item = &'a [u8]>) -> HeaderValue {
    let mut line = Vec::new();
    let mut is_private = false;
    for directive in lines.flat_map(directives) {
        let (name, argument) = match directive.iter().position(|byte| *byte == b'=') {
            Some(equals) => (directive.get(..equals).unwrap_or(directive), true),
            None => (directive, false),
        };
        let name = trim(name);
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        if is("public") || is("s-maxage") || (is("private") && argument) {
            continue;
        }
        // Caches do not know `no-store` with an argument (RFC 9111 section 5.2.2.5).
        is_private |= is("private") || (is("no-store") && !argument);
        append(&mut line, directive);
    }
    if !is_private {
        append(&mut line, b"private");
    }
    // The line consists of pieces of header values, so the conversion succeeds.
    HeaderValue::try_from(line).unwrap_or(HeaderValue::from_static("private"))
}

fn append(line: &mut Vec<u8>, directive: &[u8]) {
    if !line.is_empty() {
        line.extend_from_slice(b", ");
    }
    line.extend_from_slice(directive);
}

/// Returns the directives of one line, trimmed and not empty. The line is split at commas outside
/// quoted strings (RFC 9110 section 5.6.4). A last directive with an unclosed quote is left out, as
/// it would absorb what is appended.
fn directives(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quotes = Quotes::default();
    line.split(move |byte| quotes.are_closed_after(*byte) && *byte == b',')
        .map(trim)
        .filter(|directive| !directive.is_empty() && Quotes::close_in(directive))
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

    fn close_in(directive: &[u8]) -> bool {
        let mut quotes = Self::default();
        directive.iter().fold(true, |_, byte| quotes.are_closed_after(*byte))
    }
}
