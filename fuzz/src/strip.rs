//! Reading and stripping a cookie, as the crate `cookie` reads the lines before and after: exactly
//! the cookies of our name go, and all others stay as they were, in their order.

use cookie::{Cookie, ParseError};
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};
use session_affinity::EndpointId;
use session_affinity::cookies::{CookieName, FieldChange};
use session_affinity::policy::{ForeignCookie, ForeignFormat};

const NAMES: [&str; 4] = ["__cflb", "a", "SID", "!#$%&'*+-.^_`|~9"];
/// The servers of the proxy before.
const SERVERS: [&[u8]; 3] = [b"s1", b"", b"a=b"];

/// The first byte chooses our name; each line that follows is one of `Cookie` and one of
/// `Set-Cookie`.
pub fn check(input: &[u8]) {
    let Some((choice, lines)) = input.split_first() else { return };
    let name = NAMES[usize::from(*choice) % NAMES.len()];
    let ours = CookieName::new(name).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("x-other", HeaderValue::from_static("__cflb=1; a=1"));
    for line in lines.split(|byte| *byte == b'\n') {
        if let Ok(line) = HeaderValue::from_bytes(line) {
            headers.append(COOKIE, line.clone());
            headers.append(SET_COOKIE, line);
        }
    }
    let before = parts(&headers);

    let values: Vec<String> = ours.values(&headers).map(text).collect();
    let named = before.iter().flatten().filter(|(of, _)| of == name);
    assert_eq!(values, named.map(|(_, value)| value.clone()).collect::<Vec<_>>());

    let mut stripped = headers.clone();
    ours.strip(&mut stripped);
    let is_other = |part: &&Part| !part.as_ref().is_ok_and(|(of, _)| of == name);
    let others: Vec<Part> = before.iter().filter(is_other).cloned().collect();
    assert_eq!(parts(&stripped), others, "{stripped:?} from {headers:?}");
    let mut again = stripped.clone();
    ours.strip(&mut again);
    assert_eq!(again, stripped);
    let mut changed = headers.clone();
    for change in ours.strip_changes(&headers) {
        match change {
            FieldChange::Remove(name) => drop(changed.remove(name)),
            FieldChange::Append(name, value) => drop(changed.append(name, value)),
        }
    }
    assert_eq!(changed, stripped);
    stripped.remove(COOKIE);
    headers.remove(COOKIE);
    assert_eq!(stripped, headers);

    a_prefix_is_cut(&ours, lines);
    a_response_is_stripped(&ours, headers);
}

/// Of the application's cookie goes the name of a server that the proxy before has put first.
fn a_prefix_is_cut(ours: &CookieName, lines: &[u8]) {
    let mut headers = HeaderMap::new();
    let lines =
        lines.split(|byte| *byte == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok());
    headers.extend(lines.map(|line| (COOKIE, line)));
    let home = EndpointId::new("a", "1");
    let known = ForeignCookie::new(ours.clone())
        .with_format(ForeignFormat::HAPROXY_PREFIX)
        .with_endpoints(SERVERS.map(|server| (server, home)));
    let shortened = |value: &String| match value.split_once('~') {
        Some((server, rest)) if SERVERS.contains(&server.as_bytes()) => rest.trim().to_owned(),
        _ => value.clone(),
    };
    let expected: Vec<Part> = parts(&headers)
        .into_iter()
        .map(|part| {
            part.map(|(of, value)| {
                let value = if of == ours.as_str() { shortened(&value) } else { value };
                (of, value)
            })
        })
        .collect();
    known.strip(&mut headers);
    assert_eq!(parts(&headers), expected, "{headers:?}");
}

fn a_response_is_stripped(ours: &CookieName, mut headers: HeaderMap) {
    let is_ours = |line: &HeaderValue| {
        let line = text(line.as_bytes());
        Cookie::parse(line).is_ok_and(|cookie| cookie.name() == ours.as_str())
    };
    let all: Vec<HeaderValue> = headers.get_all(SET_COOKIE).iter().cloned().collect();
    let others: Vec<&HeaderValue> = all.iter().filter(|line| !is_ours(line)).collect();
    let count = ours.strip_response(&mut headers);
    assert_eq!(count, all.len() - others.len(), "{all:?}");
    assert_eq!(headers.get_all(SET_COOKIE).iter().collect::<Vec<_>>(), others);
    assert_eq!(headers["x-other"], "__cflb=1; a=1");
}

/// A name and a value, or the reason for which a part is no cookie.
type Part = Result<(String, String), ParseError>;

/// The parts of the `Cookie` lines that are not blank, as the crate reads them.
fn parts(headers: &HeaderMap) -> Vec<Part> {
    let lines = headers.get_all(COOKIE).iter().map(|line| text(line.as_bytes()));
    let split = lines.flat_map(|line| Cookie::split_parse(line).collect::<Vec<_>>());
    split.map(|cookie| cookie.map(|it| (it.name().to_owned(), it.value().to_owned()))).collect()
}

/// The bytes of a header value as characters, of which none but space and tab is a blank.
fn text(bytes: &[u8]) -> String {
    let char = |byte: &u8| match byte {
        0..0x80 => char::from(*byte),
        _ => char::from_u32(0x100 + u32::from(*byte)).unwrap(),
    };
    bytes.iter().map(char).collect()
}
