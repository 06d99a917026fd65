//! Whatever is accepted as a configuration writes one line that, read as browsers read it
//! (RFC 6265bis section 5.6), is our cookie with the attributes that were asked for and no other.

use http::{HeaderMap, HeaderValue};
use session_affinity::config::{Config, SessionAffinity, SessionAffinityAttributes};
use session_affinity::cookies::{Lifetime, SameSite, Secure};
use session_affinity::policy::Claim;
use session_affinity::{
    Affinity, Endpoint, Key, Keyring, Pool, Pools, Record, RequestMeta, Scheme, Secret, UnixTime,
};

use super::choices::Choices;
use super::support::Chance;

/// The last seconds of 2^40 and of the year 9999.
const LAST: u64 = (1 << 40) - 1;
const LAST_DATE: u64 = 253_402_300_799;

pub fn check(input: &[u8]) {
    let mut choices = Choices(input);
    let config = config(&mut choices);
    let scheme = choices.one_of(&[Scheme::Http, Scheme::Https]);
    let now = choices.one_of(&[1_800_000_000, 0, 951_782_400, LAST_DATE - 82_800, LAST_DATE, LAST]);
    let now = (now + choices.number(1 << 24)).min(LAST);

    let keyring = Keyring::from(Key::new(1, Secret::new([7; 32]).unwrap()));
    let affinity = match Affinity::from_config(&config, &keyring) {
        Ok(affinity) => affinity,
        Err(refused) => return drop(refused.to_string()),
    };
    let pool = Pool::new("eu").with_endpoint(Endpoint::new("eu-1", ()));
    let pools = Pools::builder().pool(pool).build().unwrap();
    let mut headers = HeaderMap::new();
    let at = UnixTime::from_secs(now);
    let visit = affinity.recall(&RequestMeta::new(&headers, scheme), at);
    let (attempt, ()) = affinity.route(visit, Record::Absent, &pools, || 0).unwrap();
    let line = affinity.settle(attempt, &pools).set_cookie().cloned().unwrap();

    let read = read(line.as_bytes());
    assert_eq!(read.name, config.extensions.cookie.name);
    assert_eq!(read.value.len(), 48);
    assert!(read.value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
    let ttl = config.session_affinity_ttl.unwrap_or(82_800);
    let expires = (now + ttl).min(LAST);
    let dates = match config.extensions.cookie.lifetime {
        Lifetime::Permanent => {
            vec![("expires", expires.min(LAST_DATE).to_string()), ("max-age", ttl.to_string())]
        }
        Lifetime::Session => Vec::new(),
    };
    assert_eq!(read.attributes, asked_for(&config, scheme, dates), "{line:?}");
    keeps_the_promise_of_its_prefix(&read);
    is_taken_back(&affinity, &config, scheme, at);

    // The cookie brings the session back.
    if now < expires {
        headers.insert(
            "cookie",
            HeaderValue::try_from(format!("{}={}", read.name, read.value)).unwrap(),
        );
        let again = affinity.recall(&RequestMeta::new(&headers, scheme), at);
        assert!(matches!(again.claim(), Claim::Carried(_)));
    }
}

/// The line that takes the cookie back replaces it: it has the same name and attributes, and no
/// value.
fn is_taken_back(affinity: &Affinity, config: &Config, scheme: Scheme, at: UnixTime) {
    let none = HeaderMap::new();
    let forgotten = affinity.forget(affinity.recall(&RequestMeta::new(&none, scheme), at));
    let line = forgotten.set_cookie().cloned().unwrap();
    let read = read(line.as_bytes());
    assert_eq!(
        (read.name.as_str(), read.value.as_str()),
        (config.extensions.cookie.name.as_str(), "")
    );
    assert_eq!(
        read.attributes,
        asked_for(config, scheme, vec![("max-age", "0".into())]),
        "{line:?}"
    );
    keeps_the_promise_of_its_prefix(&read);
}

fn config(choices: &mut Choices<'_>) -> Config {
    let mut config = Config {
        session_affinity: choices.one_of(&[SessionAffinity::Cookie, SessionAffinity::IpCookie]),
        session_affinity_ttl: choices.one_of(&[None, Some(1_800), Some(604_800), Some(1_799)]),
        session_affinity_attributes: SessionAffinityAttributes {
            samesite: choices.one_of(&[
                SameSite::Auto,
                SameSite::Lax,
                SameSite::None,
                SameSite::Strict,
            ]),
            secure: choices.one_of(&[Secure::Auto, Secure::Always, Secure::Never]),
            ..Default::default()
        },
        ..Config::new("shop")
    };
    let extensions = &mut config.extensions;
    extensions.always_use_https = choices.percent(50);
    extensions.cookie.partitioned = choices.percent(50);
    match choices.below(3) {
        0 => extensions.cookie.name = choices.text(),
        1 => {
            extensions.cookie.name =
                choices.one_of(&["__Host-", "__Secure-", "__http-", "__HOST-"]).to_owned()
                    + &choices.text()
        }
        _ => {}
    }
    match choices.below(3) {
        0 => extensions.cookie.path = choices.text(),
        1 => extensions.cookie.path = "/".to_owned() + &choices.text(),
        _ => {}
    }
    extensions.cookie.domain = choices.percent(50).then(|| choices.text());
    extensions.cookie.lifetime = choices.one_of(&[Lifetime::Permanent, Lifetime::Session]);
    config
}

/// The attributes that manual::security, HttpOnly, Secure, SameSite, and manual::choosing, Clients,
/// ask for, and these dates: names in lower case and values, sorted.
fn asked_for(config: &Config, scheme: Scheme, dates: Vec<(&str, String)>) -> Vec<(String, String)> {
    let (attributes, extensions) = (&config.session_affinity_attributes, &config.extensions);
    let secure = match attributes.secure {
        Secure::Always => true,
        Secure::Never => false,
        Secure::Auto => scheme == Scheme::Https || extensions.always_use_https,
    };
    let samesite = match attributes.samesite {
        SameSite::Strict => "Strict",
        SameSite::Lax => "Lax",
        SameSite::Auto if extensions.always_use_https || scheme == Scheme::Http => "Lax",
        SameSite::Auto | SameSite::None if secure => "None",
        SameSite::Auto | SameSite::None => "Lax",
    };
    let mut expected = vec![
        ("path", extensions.cookie.path.clone()),
        ("httponly", String::new()),
        ("samesite", samesite.into()),
    ];
    expected.extend(dates);
    if secure {
        expected.push(("secure", String::new()));
    }
    if let Some(domain) = &extensions.cookie.domain {
        expected.push(("domain", domain.clone()));
    }
    if secure && extensions.cookie.partitioned {
        expected.push(("partitioned", String::new()));
    }
    let mut expected: Vec<_> =
        expected.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    expected.sort();
    expected
}

/// RFC 6265bis section 4.1.3, as browsers compare: without regard to case.
fn keeps_the_promise_of_its_prefix(read: &Read) {
    let of = |name: &str| {
        read.attributes.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str())
    };
    let name = read.name.to_ascii_lowercase();
    if name.starts_with("__host-") || name.starts_with("__secure-") || name.starts_with("__http-") {
        assert_eq!(of("secure"), Some(""));
    }
    if name.starts_with("__host-") {
        assert_eq!((of("path"), of("domain")), (Some("/"), None));
    }
    if of("samesite") == Some("None") || of("partitioned").is_some() {
        assert_eq!(of("secure"), Some(""));
    }
}

struct Read {
    name: String,
    value: String,
    /// Names in lower case, sorted; a date in seconds.
    attributes: Vec<(String, String)>,
}

/// The algorithm of RFC 6265bis section 5.6.
fn read(line: &[u8]) -> Read {
    assert!(
        !line.iter().any(|byte| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f),
        "a control character"
    );
    let line = std::str::from_utf8(line).unwrap();
    let (pair, mut rest) = line.split_once(';').unwrap_or((line, ""));
    let blanks = [' ', '\t'];
    let (name, value) = pair.split_once('=').unwrap();
    let mut attributes = Vec::new();
    while !rest.is_empty() {
        let (attribute, after) = rest.split_once(';').unwrap_or((rest, ""));
        rest = after;
        let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
        let (name, value) =
            (name.trim_matches(blanks).to_ascii_lowercase(), value.trim_matches(blanks));
        let value = if name == "expires" { seconds(value).to_string() } else { value.to_owned() };
        attributes.push((name, value));
    }
    attributes.sort();
    Read {
        name: name.trim_matches(blanks).into(),
        value: value.trim_matches(blanks).into(),
        attributes,
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` by a calendar.
fn seconds(date: &str) -> i64 {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let words: Vec<&str> = date.split([' ', ':']).collect();
    let [weekday, day, month, year, hour, minute, second, "GMT"] = words[..] else {
        panic!("{date}")
    };
    let number = |digits: &str| digits.parse::<u8>().unwrap();
    let month = MONTHS.iter().position(|name| *name == month).unwrap() as u8 + 1;
    let date = time::Date::from_calendar_date(
        year.parse().unwrap(),
        month.try_into().unwrap(),
        number(day),
    )
    .unwrap();
    assert_eq!(format!("{:.3},", date.weekday().to_string()), weekday);
    let time = time::Time::from_hms(number(hour), number(minute), number(second)).unwrap();
    time::PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp()
}
