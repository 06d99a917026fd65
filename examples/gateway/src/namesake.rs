//! The cookie or header of an endpoint that has the name of the gateway's own.
//!
//! Two gateways of one name, one behind the other, would each replace the cookie of the other in the
//! client, so that neither keeps a session.

use hyper::header::{HeaderMap, HeaderValue, SET_COOKIE};
use session_affinity::carrier::Carrier;

/// Removes from an answer what an endpoint says under the carrier's name. Returns whether it was
/// there.
pub(crate) fn remove(carrier: &Carrier, headers: &mut HeaderMap) -> bool {
    match carrier {
        Carrier::Header(name) => headers.remove(name.as_str()).is_some(),
        Carrier::Cookie(name) => remove_cookie(name.as_str().as_bytes(), headers),
    }
}

fn remove_cookie(name: &[u8], headers: &mut HeaderMap) -> bool {
    let is_other = |line: &&HeaderValue| cookie_name(line.as_bytes()) != Some(name);
    let lines = headers.get_all(SET_COOKIE);
    if lines.iter().all(|line| is_other(&line)) {
        return false;
    }
    let others: Vec<HeaderValue> = lines.iter().filter(is_other).cloned().collect();
    headers.remove(SET_COOKIE);
    for line in others {
        headers.append(SET_COOKIE, line);
    }
    true
}

/// Returns the name that a browser gives the cookie of a `Set-Cookie` line.
fn cookie_name(line: &[u8]) -> Option<&[u8]> {
    let pair = line.split(|byte| *byte == b';').next()?;
    let end = pair.iter().position(|byte| *byte == b'=')?;
    pair.get(..end).map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use session_affinity::carrier::IssuedHeader;
    use session_affinity::cookies::CookieName;

    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn the_cookie_of_our_name_goes_and_the_others_stay_in_their_order() {
        let carrier = Carrier::from(CookieName::default());
        for ours in ["__cflb=x; Path=/", "__cflb=", " __cflb\t= x", "__cflb=; Max-Age=0"] {
            let ours = ("set-cookie", ours);
            let (a, b) = (("set-cookie", "a=__cflb=1"), ("set-cookie", "b=2; x=__cflb=3"));
            let mut answer = headers(&[a, ours, b, ours]);
            assert!(remove(&carrier, &mut answer), "{ours:?}");
            assert_eq!(answer, headers(&[a, b]), "{ours:?}");
        }
    }

    #[test]
    fn an_answer_without_our_name_stays_as_it_was() {
        let carrier = Carrier::from(CookieName::default());
        for line in ["__CFLB=x", "__cflbx=1", "x__cflb=1", "__cflb", "a; __cflb=1", "=__cflb", ""] {
            let mut answer = headers(&[("set-cookie", line)]);
            assert!(!remove(&carrier, &mut answer), "{line:?}");
            assert_eq!(answer, headers(&[("set-cookie", line)]));
        }
    }

    #[test]
    fn with_an_issued_header_the_header_goes_and_cookies_stay() {
        let carrier = Carrier::from(IssuedHeader::new("X-Session").expect("a name"));
        let cookie = ("set-cookie", "x-session=1");
        let mut answer = headers(&[("x-session", "1"), cookie, ("x-session", "2")]);
        assert!(remove(&carrier, &mut answer));
        assert_eq!(answer, headers(&[cookie]));
        assert!(!remove(&carrier, &mut answer));
    }
}
