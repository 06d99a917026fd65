//! A cookie that an endpoint sets in its response.

use http::header::{HeaderMap, HeaderValue, SET_COOKIE};

use super::date::read_date;
use super::name::CookieName;
use super::needle::{parts, trim};
use crate::time::UnixTime;

/// A cookie of an endpoint's response, as the client will keep it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResponseCookie<'a> {
    /// The client sends this value from now on.
    Set(&'a [u8]),
    /// The client drops the cookie: its value is empty, or it has expired.
    Removed,
}

impl<'a> ResponseCookie<'a> {
    /// Returns what a client does with the cookies of this name. A line takes the place of those
    /// before it that have its path and domain (RFC 6265 section 5.3); of what is left the last cookie
    /// that is set counts, as one of another path or domain stays where one is removed.
    pub(crate) fn of(name: &CookieName, headers: &'a HeaderMap, now: UnixTime) -> Option<Self> {
        let mut left: Vec<(Scope<'a>, Self)> = Vec::new();
        for line in headers.get_all(SET_COOKIE).iter().rev() {
            let Some((scope, cookie)) = Self::read(name, line.as_bytes(), now) else { continue };
            if left.iter().all(|(later, _)| *later != scope) {
                left.push((scope, cookie));
            }
        }
        let set = left.iter().find(|(_, cookie)| matches!(cookie, Self::Set(_)));
        set.or(left.first()).map(|(_, cookie)| *cookie)
    }

    /// Reads one line as RFC 6265 section 5.2 says; `None` for a cookie of another name.
    fn read(name: &CookieName, line: &'a [u8], now: UnixTime) -> Option<(Scope<'a>, Self)> {
        let mut parts = parts(line);
        let (key, value) = pair(parts.next()?);
        let value = value.filter(|_| key == name.as_str().as_bytes())?;
        // `Max-Age` has precedence, and the last attribute of a name counts.
        let (mut max_age, mut expires) = (None, None);
        let mut scope = Scope::default();
        for (attribute, value) in parts.map(pair) {
            let value = value.unwrap_or_default();
            if attribute.eq_ignore_ascii_case(b"max-age") {
                max_age = is_over(value).or(max_age);
            } else if attribute.eq_ignore_ascii_case(b"expires") {
                expires = read_date(value).map(|end| end <= now).or(expires);
            } else if attribute.eq_ignore_ascii_case(b"path") {
                scope.path = value;
            } else if attribute.eq_ignore_ascii_case(b"domain") {
                scope.domain = value.strip_prefix(b".").unwrap_or(value);
            }
        }
        let is_removed = value.is_empty() || max_age.or(expires).unwrap_or(false);
        Some((scope, if is_removed { Self::Removed } else { Self::Set(value) }))
    }
}

/// The path and the domain of a cookie, as its line states them.
#[derive(Clone, Copy, Default)]
struct Scope<'a> {
    path: &'a [u8],
    domain: &'a [u8],
}

impl PartialEq for Scope<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path && self.domain.eq_ignore_ascii_case(other.domain)
    }
}

impl CookieName {
    /// Removes the `Set-Cookie` lines of this name from the headers of an endpoint's response, and
    /// returns their number. The other lines stay as they are.
    ///
    /// ```
    /// use http::header::{HeaderMap, HeaderValue, SET_COOKIE};
    /// use session_affinity::cookies::CookieName;
    /// let mut response = HeaderMap::new();
    /// response.append(SET_COOKIE, HeaderValue::from_static("theirs=1"));
    /// response.append(SET_COOKIE, HeaderValue::from_static("__cflb=2; Path=/"));
    /// assert_eq!(CookieName::default().strip_response(&mut response), 1);
    /// assert_eq!(response[SET_COOKIE], "theirs=1");
    /// ```
    pub fn strip_response(&self, headers: &mut HeaderMap) -> usize {
        let is_ours = |line: &HeaderValue| {
            let (name, value) = pair(parts(line.as_bytes()).next().unwrap_or_default());
            value.is_some() && name == self.as_str().as_bytes()
        };
        let lines = headers.get_all(SET_COOKIE);
        let count = lines.iter().filter(|line| is_ours(line)).count();
        if count > 0 {
            let others: Vec<_> = lines.iter().filter(|line| !is_ours(line)).cloned().collect();
            headers.remove(SET_COOKIE);
            for line in others {
                // The map has room: fewer lines return than were removed.
                let _ = headers.try_append(SET_COOKIE, line);
            }
        }
        count
    }
}

/// Returns the name before the first `=`, and the value after it, trimmed.
fn pair(part: &[u8]) -> (&[u8], Option<&[u8]>) {
    let equals = part.iter().position(|byte| *byte == b'=');
    let split = equals.and_then(|equals| part.split_at_checked(equals));
    split.map_or((trim(part), None), |(name, rest)| (trim(name), rest.get(1..).map(trim)))
}

/// Returns whether a `Max-Age` is not above 0; `None` for what is no number.
fn is_over(max_age: &[u8]) -> Option<bool> {
    let (is_negative, digits) = match max_age.split_first()? {
        (b'-', digits) => (true, digits),
        _ => (false, max_age),
    };
    let is_number = digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| is_negative || digits.iter().all(|digit| *digit == b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&'static str]) -> Option<String> {
        let headers: HeaderMap =
            lines.iter().map(|line| (SET_COOKIE, HeaderValue::from_static(line))).collect();
        let name = CookieName::new("SID").unwrap();
        let cookie = ResponseCookie::of(&name, &headers, UnixTime::from_secs(1_800_000_000));
        cookie.map(|cookie| match cookie {
            ResponseCookie::Set(value) => String::from_utf8(value.to_vec()).unwrap(),
            ResponseCookie::Removed => "removed".into(),
        })
    }

    #[test]
    fn the_value_that_a_client_keeps() {
        for (line, value) in [
            ("SID=1", Some("1")),
            (" SID = 1 ; Path=/; HttpOnly", Some("1")),
            ("SID=\"a=b\"; Max-Age=60", Some("\"a=b\"")),
            ("SID", None),
            ("sid=1", None),
            ("ASID=1; SID=2", None),
            ("SID=", Some("removed")),
            ("SID=1; Max-Age=0", Some("removed")),
            ("SID=1; max-age=-5; Expires=Fri, 31 Dec 9999 23:59:59 GMT", Some("removed")),
            ("SID=1; Max-Age=0; Max-Age=9", Some("1")),
            ("SID=1; Max-Age=9; Expires=Thu, 01 Jan 1970 00:00:00 GMT", Some("1")),
            ("SID=1; Max-Age=x; Expires=Thu, 01 Jan 1970 00:00:00 GMT", Some("removed")),
            ("SID=deleted; expires=Thu, 01-Jan-1970 00:00:01 GMT", Some("removed")),
            ("SID=1; Expires=Fri, 15 Jan 2027 08:00:00 GMT", Some("removed")),
            ("SID=1; Expires=Fri, 15 Jan 2027 08:00:01 GMT", Some("1")),
            ("SID=1; Expires=soon", Some("1")),
        ] {
            assert_eq!(of(&[line]).as_deref(), value, "{line}");
        }
    }

    #[test]
    fn a_cookie_of_another_path_or_domain_is_another_cookie() {
        for other in ["SID=; Path=/app; Max-Age=0", "SID=; Domain=example.com; Max-Age=0"] {
            assert_eq!(of(&["SID=1", other]).as_deref(), Some("1"), "{other}");
            assert_eq!(of(&[other, "SID=1"]).as_deref(), Some("1"), "{other}");
            assert_eq!(of(&["SID=; Max-Age=0", other]).as_deref(), Some("removed"), "{other}");
        }
    }

    #[test]
    fn the_last_line_of_the_name_counts() {
        assert_eq!(of(&["SID=1", "SID=2", "other=3"]).as_deref(), Some("2"));
        assert_eq!(of(&["SID=1", "SID=; Max-Age=0"]).as_deref(), Some("removed"));
        assert_eq!(of(&["SID=; Max-Age=0", "SID=1"]).as_deref(), Some("1"));
        let same = ["SID=1; Domain=.Example.com; Path=/", "SID=; path=/; domain=example.COM"];
        assert_eq!(of(&same).as_deref(), Some("removed"));
        assert_eq!(of(&[]), None);
    }
}
