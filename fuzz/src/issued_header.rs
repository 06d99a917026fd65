//! Any lines of an issued header are read as the plain rule reads them; exactly this field is
//! stripped; a session that begins replaces the response's own field; and a name is accepted only if
//! it is safe to issue.

use http::{HeaderMap, HeaderName, HeaderValue, Response};
use session_affinity::carrier::{InvalidIssuedHeader, IssuedHeader};
use session_affinity::policy::Claim;
use session_affinity::token::TokenCodec;
use session_affinity::{
    Affinity, CookiePolicy, Endpoint, Key, Keyring, LoadBalancer, Pool, Pools, Record, RequestMeta,
    Scheme, Secret, UnixTime,
};

const NAME: &str = "x-session-affinity";
const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

/// Each line of the input is a field line. The first one is a name, too.
pub fn check(input: &[u8]) {
    let name = input.split(|byte| *byte == b'\n').next().unwrap_or_default();
    is_safe_or_refused(&String::from_utf8_lossy(name));

    let mut headers = HeaderMap::from_iter([(
        HeaderName::from_static("cookie"),
        HeaderValue::from_static("x-session-affinity=a"),
    )]);
    let others = headers.clone();
    let lines =
        input.split(|byte| *byte == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok());
    let lines: Vec<HeaderValue> = lines.collect();
    for line in &lines {
        headers.append(NAME, line.clone());
    }

    let shop = LoadBalancer::new("shop").unwrap();
    let keyring = Keyring::from(Key::new(1, Secret::new([7; 32]).unwrap()));
    let header = IssuedHeader::new(NAME).unwrap();
    let codec = TokenCodec::new(&shop, &header, &keyring);
    let affinity = Affinity::new(CookiePolicy::in_header(&shop, &keyring, header));
    let request = RequestMeta::new(&headers, Scheme::Http);
    let visit = affinity.recall(&request, NOW);
    let claim = claim(&codec, &lines);
    assert_eq!(visit.claim(), claim);

    let pool = Pool::new("eu").with_endpoint(Endpoint::new("eu-1", ()));
    let pools = Pools::builder().pool(pool).build().unwrap();
    let (attempt, ()) = affinity.route(visit, Record::Absent, &pools, || 0).unwrap();
    let mut response = Response::new(());
    response.headers_mut().append(NAME, HeaderValue::from_static("theirs"));
    assert!(affinity.settle(attempt, &pools).apply(&mut response).is_none());
    let issued: Vec<&HeaderValue> = response.headers().get_all(NAME).iter().collect();
    match claim {
        // One endpoint in the pool: any other one of a token was removed.
        Claim::New(_) => {
            assert_eq!((issued.len(), issued[0].len()), (1, 48));
            assert!(matches!(codec.open(issued[0].as_bytes(), NOW), Ok(pin) if pin.issued == NOW));
        }
        _ => assert_eq!(issued.len(), 1),
    }

    let mut stripped = headers.clone();
    affinity.strip(&mut stripped);
    assert_eq!(stripped, others);
}

/// manual::security, A token in a header: "up to four field lines are tried and the first valid one
/// wins". Where none is valid, the reason of the first is reported.
fn claim(codec: &TokenCodec, lines: &[HeaderValue]) -> Claim {
    let opened: Vec<_> =
        lines.iter().take(4).map(|line| codec.open(line.as_bytes(), NOW)).collect();
    match (opened.iter().find_map(|pin| pin.as_ref().ok()), opened.first()) {
        (Some(pin), _) => Claim::Carried(*pin),
        (None, first) => Claim::New(first.and_then(|first| first.err())),
    }
}

fn is_safe_or_refused(name: &str) {
    match IssuedHeader::new(name) {
        Ok(header) => {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            assert_eq!((header.name(), header.as_str()), (&name, name.as_str()));
            let framing = ["host", "connection", "transfer-encoding", "te", "trailer", "upgrade"];
            assert!(!framing.contains(&name.as_str()) && !name.as_str().starts_with("content-"));
        }
        Err(InvalidIssuedHeader::Name(refused) | InvalidIssuedHeader::Reserved(refused)) => {
            assert_eq!(refused, name);
        }
        Err(other) => panic!("{other}"),
    }
}
