//! Cutting off what another system has put before the value of an application's cookie.

use http::HeaderMap;
use http::header::{COOKIE, HeaderValue};

use super::name::CookieName;
use super::needle::{parts, trim};

impl CookieName {
    /// Cuts bytes off the beginnings of the values of this name: as many as `prefix` says of each
    /// value. All other bytes stay as they are.
    pub(crate) fn cut(&self, headers: &mut HeaderMap, prefix: impl Fn(&[u8]) -> usize) {
        if self.values(headers).all(|value| prefix(value) == 0) {
            return;
        }
        let lines = headers.get_all(COOKIE).iter();
        let lines: Vec<HeaderValue> = lines.map(|line| self.shortened(line, &prefix)).collect();
        headers.remove(COOKIE);
        for line in lines {
            // The map has room: as many lines return as were removed.
            let _ = headers.try_append(COOKIE, line);
        }
    }

    fn shortened(&self, line: &HeaderValue, prefix: &impl Fn(&[u8]) -> usize) -> HeaderValue {
        let mut left = Vec::with_capacity(line.len());
        for (place, part) in parts(line.as_bytes()).enumerate() {
            if place > 0 {
                left.push(b';');
            }
            let pair = self.0.names(part).then(|| split(part)).flatten();
            let (name, value) = pair.unwrap_or((part, &[]));
            left.extend_from_slice(name);
            left.extend_from_slice(value.get(prefix(value)..).unwrap_or_default());
        }
        // It is what a header value was, with fewer bytes.
        let mut shortened = HeaderValue::try_from(left).unwrap_or_else(|_| line.clone());
        shortened.set_sensitive(line.is_sensitive());
        shortened
    }
}

/// Returns a pair as its name with the `=`, and its value without the blanks around it.
fn split(part: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = part.iter().position(|byte| *byte == b'=')?;
    let (name, value) = part.split_at_checked(equals.checked_add(1)?)?;
    Some((name, trim(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(lines: &[&'static str]) -> Vec<String> {
        let mut headers: HeaderMap =
            lines.iter().map(|line| (COOKIE, HeaderValue::from_static(line))).collect();
        let name = CookieName::new("SID").unwrap();
        name.cut(&mut headers, |value| if value.starts_with(b"s1~") { 3 } else { 0 });
        let left = headers.get_all(COOKIE).iter();
        left.map(|line| line.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_prefix_goes_and_all_other_bytes_stay() {
        for (lines, left) in [
            (["a=1; SID=s1~x; b=2", "c"], ["a=1; SID=x; b=2", "c"]),
            (["SID = s1~x ;SID=s1~;", "SID=s1~y"], ["SID =x;SID=;", "SID=y"]),
            (["SID=s2~x;  ASID=s1~x", "=;; SID"], ["SID=s2~x;  ASID=s1~x", "=;; SID"]),
            (["SID=x~s1~y; SID=s1~s1~z", ""], ["SID=x~s1~y; SID=s1~z", ""]),
        ] {
            assert_eq!(cut(&lines), left);
        }
    }
}
