//! A settlement changes its own fields of a response and no other, says the same as values, and
//! leaves a response that it has nothing for byte by byte as it was: with any status, any fields,
//! and in a map that is nearly full.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use http::header::{CACHE_CONTROL, COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use session_affinity::carrier::IssuedHeader;
use session_affinity::cookies::{CacheGuard, FieldChange};
use session_affinity::limits::Ttl;
use session_affinity::policy::ResponseField;
use session_affinity::store::{Record, SessionKey, StoreWrite, WriteKind};
use session_affinity::{Affinity, EndpointId, Settlement};

use super::choices::Choices;
use super::support::{Chance, Client, Kind, NOW, issued_header, keyring, pools, token_of, ttl};

/// The number of names that a map has room for: three quarters of 2^15.
const MOST: usize = 24_576;

const NAMES: [&str; 12] = [
    "set-cookie",
    "cache-control",
    "x-session-affinity",
    "cdn-cache-control",
    "surrogate-control",
    "x-cache-control",
    "x-accel-expires",
    "edge-control",
    "vary",
    "etag",
    "content-length",
    "x-1",
];

pub fn check(input: &[u8]) {
    let mut choices = Choices(input);
    let status = match choices.below(4) {
        0 => StatusCode::OK,
        1 => choices.one_of(&[304, 101, 100, 103, 206, 404]).try_into().unwrap(),
        _ => StatusCode::from_u16(100 + choices.number(900) as u16).unwrap(),
    };
    let settlement = a_settlement(&mut choices);
    let guard = choices.one_of(&[CacheGuard::MakePrivate, CacheGuard::LeaveAsIs]);
    let headers = some_headers(&mut choices);
    let settlement = || {
        let mut settlement = settlement();
        settlement.cache_guard = guard;
        settlement
    };
    applied(status, settlement, guard, &headers);
    if !is_nearly_full(&headers) {
        as_values(status, settlement, &headers);
    }
    if !is_nearly_full(&headers) {
        a_kept_session_changes_nothing(&mut choices, status, headers);
    }
}

fn is_numbered(name: &HeaderName) -> bool {
    let number = name.as_str().strip_prefix("x-");
    number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_nearly_full(headers: &HeaderMap) -> bool {
    headers.keys_len() > MOST / 2
}

/// Any parts of a settlement, made again by each call.
fn a_settlement(choices: &mut Choices<'_>) -> impl Fn() -> Settlement + use<> {
    let field = match choices.below(4) {
        0 => None,
        1 => Some(ResponseField::Header(issued_header(), value(choices))),
        2 => Some(ResponseField::Header(other_header(choices), value(choices))),
        _ => Some(ResponseField::SetCookie(value(choices))),
    };
    let removals: Vec<HeaderValue> = (0..choices.below(4)).map(|_| value(choices)).collect();
    let write = choices.percent(30).then(|| a_write(choices));
    move || {
        let mut settlement = Settlement::nothing();
        settlement.response = field.clone();
        settlement.store_write = write;
        removals.iter().cloned().fold(settlement, Settlement::with_removal)
    }
}

/// A name that is not refused, and may end as those do that the guard removes.
fn other_header(choices: &mut Choices<'_>) -> IssuedHeader {
    let names = ["x-cache-control", "x-surrogate-control", "a", "edge-control"];
    IssuedHeader::new(choices.one_of(&names)).unwrap_or_else(|_| issued_header())
}

fn a_write(choices: &mut Choices<'_>) -> StoreWrite {
    let endpoint = EndpointId::from_u64(choices.next());
    let kinds = [WriteKind::Touch, WriteKind::Create(endpoint), WriteKind::Replace(endpoint)];
    let key = SessionKey(u128::from(choices.next()).to_be_bytes());
    let ttl = choices.one_of(&[Ttl::MIN, ttl(1_800), Ttl::MAX]);
    StoreWrite { key, ttl, now: NOW, kind: choices.one_of(&kinds) }
}

fn value(choices: &mut Choices<'_>) -> HeaderValue {
    let text = match choices.below(3) {
        0 => choices.text(),
        1 => choices.one_of(&["ours=2", "ours=; Max-Age=0", "__cflb=a; Path=/"]).to_owned(),
        _ => String::from_utf8_lossy(choices.some_bytes(40)).into_owned(),
    };
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("odd"))
}

/// Lines of fields that matter here and of others; sometimes so many that there is hardly room.
fn some_headers(choices: &mut Choices<'_>) -> HeaderMap {
    const DIRECTIVES: [&str; 6] = [
        "public",
        "private=\"set-cookie\"",
        "s-maxage=9",
        "no-store",
        "max-age=60",
        "must-understand",
    ];
    let mut headers = HeaderMap::new();
    // Two bytes that are seldom found, because these maps are slow.
    if choices.number(10_000) >= 9_900 {
        headers.clone_from(&FULL);
        for left in 0..choices.below(6) {
            headers.remove(numbered(left));
        }
    }
    for _ in 0..choices.below(9) {
        let name = match choices.below(8) {
            0 => HeaderName::from_bytes(choices.some_bytes(12)).ok(),
            _ => Some(HeaderName::from_static(choices.one_of(&NAMES))),
        };
        let Some(name) = name else { continue };
        let value = match choices.below(3) {
            0 => HeaderValue::from_static(choices.one_of(&DIRECTIVES)),
            _ => value(choices),
        };
        // There is no room for another one.
        let _ = headers.try_append(name, value);
    }
    headers
}

/// A map without room for one more name.
static FULL: LazyLock<HeaderMap> = LazyLock::new(|| {
    let mut headers = HeaderMap::new();
    for number in 0..MOST {
        headers.append(numbered(number), HeaderValue::from_static("v"));
    }
    assert!(headers.try_reserve(1).is_err());
    headers
});

fn numbered(number: usize) -> HeaderName {
    HeaderName::from_bytes(format!("x-{number}").as_bytes()).unwrap()
}

/// Applies a settlement, and finds in the response the settlement's own fields as they were given,
/// the guard where it is to be, and everything else as before.
fn applied(
    status: StatusCode,
    settlement: impl Fn() -> Settlement,
    guard: CacheGuard,
    headers: &HeaderMap,
) {
    let Settlement { response, store_write, .. } = settlement();
    let removals = settlement().removals().to_vec();
    let mut changed = headers.clone();
    assert_eq!(settlement().apply_to(status, &mut changed), store_write);

    // manual::concepts, The cookie: a 304 and an interim response get no field.
    let is_final = !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS;
    let gets_fields = is_final && status != StatusCode::NOT_MODIFIED;
    let mut names = headers.keys_len();
    let mut written: Vec<ResponseField> = Vec::new();
    let fields = response.into_iter().chain(removals.into_iter().map(ResponseField::SetCookie));
    for field in fields.filter(|_| gets_fields) {
        // Room for the field and for the guard, whether they are new names or not.
        if names + 2 > MOST {
            break;
        }
        let name = name_of(&field);
        let is_new = headers.get(&name).is_none() && written.iter().all(|it| name_of(it) != name);
        names += usize::from(is_new);
        written.push(field);
    }
    if written.is_empty() {
        return assert!(same(headers, &changed), "{changed:?} from {headers:?}");
    }

    let is_replaced = |name: &HeaderName| match guard {
        CacheGuard::LeaveAsIs => false,
        CacheGuard::MakePrivate => {
            let text = name.as_str();
            let others = ["surrogate-control", "edge-control", "x-accel-expires"];
            text.ends_with("-cache-control") || others.contains(&text)
        }
    };
    let issued = written.iter().find_map(|field| match field {
        ResponseField::Header(header, value) => Some((header.name(), value)),
        ResponseField::SetCookie(_) => None,
    });
    // Of the thousands of others in a map that is nearly full, the number of lines has to do.
    let is_nearly_full = is_nearly_full(headers);
    let counts = |name: &&HeaderName| !is_nearly_full || !is_numbered(name);
    let names: Vec<&HeaderName> = headers.keys().chain(changed.keys()).filter(counts).collect();
    let of_names = |map: &HeaderMap| {
        let names: BTreeSet<&str> = names.iter().map(|name| name.as_str()).collect();
        names.into_iter().map(|name| map.get_all(name).iter().count()).sum::<usize>()
    };
    assert_eq!(changed.len() - of_names(&changed), headers.len() - of_names(headers));
    for name in names {
        let (before, after) = (lines(headers, name), lines(&changed, name));
        if issued.is_some_and(|(issued, _)| issued == name) {
            assert_eq!(after, [issued.unwrap().1]);
        } else if *name == SET_COOKIE {
            let ours = written.iter().filter_map(ResponseField::set_cookie);
            assert_eq!(after, before.into_iter().chain(ours).collect::<Vec<_>>());
        } else if *name == CACHE_CONTROL && guard == CacheGuard::MakePrivate {
            assert_eq!(after.len(), 1);
            let line = after[0].as_bytes();
            assert!(line == b"private" || line.starts_with(b"private, "), "{line:?}");
        } else if is_replaced(name) {
            assert!(after.is_empty(), "{name}");
        } else {
            assert_eq!(after, before, "{name}");
        }
    }
    if guard == CacheGuard::MakePrivate {
        assert!(changed.contains_key(CACHE_CONTROL));
    }
    for field in &written {
        let mut lines = changed.get_all(name_of(field)).iter();
        assert!(lines.any(|line| line == field.value() && line.is_sensitive()));
    }
}

fn name_of(field: &ResponseField) -> HeaderName {
    match field {
        ResponseField::SetCookie(_) => SET_COOKIE,
        ResponseField::Header(header, _) => header.name().clone(),
    }
}

fn lines<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a HeaderValue> {
    headers.get_all(name).iter().collect()
}

/// Returns whether two maps have the same lines, and mark the same ones as sensitive.
fn same(one: &HeaderMap, other: &HeaderMap) -> bool {
    let marks = |map: &HeaderMap| map.values().filter(|line| line.is_sensitive()).count();
    one == other && marks(one) == marks(other)
}

/// Field by field, for a stack that lends no map, it is the same.
fn as_values(status: StatusCode, settlement: impl Fn() -> Settlement, headers: &HeaderMap) {
    let mut applied = headers.clone();
    let write = settlement().apply_to(status, &mut applied);
    let (changes, same_write) = settlement().for_status(status).changes(headers);
    assert_eq!(write, same_write);
    let mut changed = headers.clone();
    for change in changes {
        match change {
            FieldChange::Remove(name) => assert!(changed.remove(name).is_some(), "not there"),
            FieldChange::Append(name, value) => drop(changed.append(name, value)),
        }
    }
    assert!(same(&changed, &applied), "{changed:?} and {applied:?}");
}

/// A session that begins gets one line, and the next request, which is kept, none: its response
/// stays as it is.
fn a_kept_session_changes_nothing(
    choices: &mut Choices<'_>,
    status: StatusCode,
    headers: HeaderMap,
) {
    let kind = choices.one_of(&Kind::ALL);
    let affinity = Affinity::new(kind.policy(&keyring()));
    let pools = pools(&["1"]);
    let mut client = Client::number(7).with_user("ada");
    let home = EndpointId::new("eu", "1");
    for visit in 0..2 {
        let record = match visit {
            0 => Record::Absent,
            _ => Record::Found { endpoint: home, issued: NOW },
        };
        let recalled = affinity.recall(&client.request(), NOW);
        let record = if recalled.lookup().is_some() { record } else { Record::Absent };
        let (attempt, _) = affinity.route(recalled, record, &pools, || 0).unwrap();
        let settlement = affinity.settle(attempt, &pools);
        if visit == 0 {
            let token = token_of(&settlement);
            assert_eq!(token.is_some(), kind.has_token());
            client =
                token.into_iter().fold(client, |client, token| kind.with_token(client, &token));
        } else {
            let mut changed = headers.clone();
            let write = settlement.apply_to(status, &mut changed);
            assert!(write.is_none_or(|write| write.kind == WriteKind::Touch));
            assert!(same(&changed, &headers), "{changed:?} from {headers:?}");
        }
    }
    assert!(client.headers.len() <= 2 && client.headers.get_all(COOKIE).iter().count() <= 1);
}
