//! Keeping shared caches from replaying one client's cookie to others.

use http::HeaderMap;
use http::header::{CACHE_CONTROL, HeaderName, HeaderValue};

/// Whether a response that sets our cookie is made uncacheable for shared caches.
///
/// All `Cache-Control` lines become one, without `public`, `s-maxage` and qualified
/// `private`; `private` is added unless it or `no-store` is there; the fields that caches of
/// CDNs heed in its place (RFC 9213) are removed: `CDN-Cache-Control`,
/// `Cloudflare-CDN-Cache-Control` and `Surrogate-Control`. Of five caches tried, HAProxy's and Apache's replay
/// a Set-Cookie from a `public` response; `private` is safe in all five.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CacheGuard {
    /// The response's own directives stay.
    Off,
    /// As described above. The default.
    #[default]
    On,
}

impl CacheGuard {
    /// Applies the guard to a response that sets our cookie.
    ///
    /// ```
    /// use http::{HeaderMap, header::CACHE_CONTROL};
    /// use session_affinity::CacheGuard;
    /// let mut headers = HeaderMap::new();
    /// headers.insert(CACHE_CONTROL, "public, max-age=60".parse()?);
    /// CacheGuard::On.apply(&mut headers);
    /// assert_eq!(headers[CACHE_CONTROL], "max-age=60, private");
    /// # Ok::<(), http::header::InvalidHeaderValue>(())
    /// ```
    pub fn apply(self, headers: &mut HeaderMap) {
        let guarded = self.cache_control(headers);
        for targeted in self.removes() {
            headers.remove(targeted);
        }
        if let Some(guarded) = guarded {
            // Fails in a map that has no room for another field, also where there is one to
            // replace; `Settlement::apply` sets no cookie then.
            let _ = headers.try_insert(CACHE_CONTROL, guarded);
        }
    }

    /// The one `Cache-Control` line that takes the place of those in `headers`; `None` where they
    /// stay. Together with [`CacheGuard::removes`] it is the guard field by field, for stacks that
    /// have no `&mut HeaderMap`.
    ///
    /// ```
    /// use http::{HeaderMap, header::CACHE_CONTROL};
    /// use session_affinity::CacheGuard;
    /// let mut headers = HeaderMap::new();
    /// assert_eq!(CacheGuard::On.cache_control(&headers).unwrap(), "private");
    /// headers.insert(CACHE_CONTROL, "public, max-age=60".parse()?);
    /// assert_eq!(CacheGuard::On.cache_control(&headers).unwrap(), "max-age=60, private");
    /// assert_eq!(CacheGuard::Off.cache_control(&headers), None);
    /// # Ok::<(), http::header::InvalidHeaderValue>(())
    /// ```
    pub fn cache_control(self, headers: &HeaderMap) -> Option<HeaderValue> {
        let lines = headers.get_all(CACHE_CONTROL).iter().map(HeaderValue::as_bytes);
        (self == Self::On).then(|| guarded(lines))
    }

    /// The fields that are removed, whether they are there or not; with the guard off there are none.
    pub fn removes(self) -> impl Iterator<Item = HeaderName> {
        TARGETED.into_iter().filter(move |_| self == Self::On)
    }
}

const TARGETED: [HeaderName; 3] = [
    HeaderName::from_static("cdn-cache-control"),
    HeaderName::from_static("cloudflare-cdn-cache-control"),
    HeaderName::from_static("surrogate-control"),
];

/// The one line that takes the place of these.
fn guarded<'a>(lines: impl Iterator<Item = &'a [u8]>) -> HeaderValue {
    let mut line = Vec::new();
    let mut is_private = false;
    for directive in lines.flat_map(directives) {
        let (name, argument) = match directive.iter().position(|byte| *byte == b'=') {
            Some(equals) => (directive.get(..equals).unwrap_or(directive), true),
            None => (directive, false),
        };
        let name = super::trim(name);
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        if is("public") || is("s-maxage") || (is("private") && argument) {
            continue;
        }
        // With an argument it is no directive that caches know (RFC 9111 section 5.2.2.5).
        is_private |= is("private") || (is("no-store") && !argument);
        append(&mut line, directive);
    }
    if !is_private {
        append(&mut line, b"private");
    }
    // Pieces of header values, joined by a comma and a space, are one again.
    HeaderValue::try_from(line).unwrap_or(HeaderValue::from_static("private"))
}

fn append(line: &mut Vec<u8>, directive: &[u8]) {
    if !line.is_empty() {
        line.extend_from_slice(b", ");
    }
    line.extend_from_slice(directive);
}

/// The directives of one line, trimmed, without empty ones: split at commas that
/// stand in no quoted string (RFC 9110 section 5.6.4). A last one whose quotes do not
/// close is left out, as it would swallow what is appended.
fn directives(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quotes = Quotes::default();
    line.split(move |byte| quotes.are_closed_after(*byte) && *byte == b',')
        .map(super::trim)
        .filter(|directive| !directive.is_empty() && Quotes::close_in(directive))
}

/// Where a quoted string begins and ends.
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
