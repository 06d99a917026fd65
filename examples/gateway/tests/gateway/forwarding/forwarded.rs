//! The client of a request, as the proxies before tell it and as endpoints are told.

use super::*;
use crate::support::wait_until;

#[test]
fn the_endpoint_learns_address_scheme_and_host() {
    let (gateway, a) = start();
    gateway.fetch(&get("/").with("Host", "shop.example.com")).assert_ok();
    let head = a.last().head;
    assert_eq!(head.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(head.all("x-forwarded-proto"), ["http"]);
    assert_eq!(head.all("x-forwarded-host"), ["shop.example.com"]);
}

#[test]
fn what_a_stranger_says_is_dropped() {
    let (gateway, a) = start();
    let request = get("/")
        .with("Host", "shop.example.com")
        .with("X-Forwarded-For", "203.0.113.7")
        .with("X-Forwarded-For", "203.0.113.8")
        .with("X-Forwarded-Proto", "https")
        .with("X-Forwarded-Host", "evil.example.com");
    let response = gateway.fetch(&request);
    let head = a.last().head;
    assert_eq!(head.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(head.all("x-forwarded-proto"), ["http"]);
    assert_eq!(head.all("x-forwarded-host"), ["shop.example.com"]);
    assert!(!response.set_cookie().expect("a cookie").contains("Secure"));
}

#[test]
fn what_a_trusted_peer_says_is_passed_on_with_its_own_address() {
    let (gateway, a) = start_trusted();
    let request = get("/")
        .with("X-Forwarded-For", "203.0.113.7, 10.0.0.9")
        .with("X-Forwarded-For", "10.0.0.8")
        .with("X-Forwarded-Proto", "https");
    gateway.fetch(&request).assert_ok();
    let head = a.last().head;
    assert_eq!(
        head.get("x-forwarded-for").as_deref(),
        Some("203.0.113.7, 10.0.0.9, 10.0.0.8, 127.0.0.1")
    );
    assert_eq!(head.all("x-forwarded-proto"), ["https"]);
}

#[test]
fn what_a_trusted_peer_says_is_not_the_clients_to_remove() {
    let (gateway, a) = start_trusted();
    let request = get("/")
        .with("Connection", "X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host")
        .with("X-Forwarded-For", "203.0.113.7")
        .with("X-Forwarded-Proto", "https")
        .with("X-Forwarded-Host", "www.example.com");
    gateway.fetch(&request).assert_ok();
    let head = a.last().head;
    assert_eq!(head.all("x-forwarded-for"), ["203.0.113.7, 127.0.0.1"]);
    assert_eq!(head.all("x-forwarded-proto"), ["https"]);
    assert_eq!(head.all("x-forwarded-host"), ["www.example.com"]);
}

/// Who serves clients of 16 addresses, each told in this way.
fn served(trusted: &[&str], told: impl Fn(String) -> String) -> Vec<String> {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let gateway =
        Gateway::start(&shop(&[&a, &b]).by_address().set("trusted_proxies", trusted.to_vec()));
    let visit =
        |last| gateway.fetch(&get("/").with("X-Forwarded-For", told(format!("203.0.113.{last}"))));
    (0..16).map(|last| visit(last).served_by()).collect()
}

const TRUSTED: [&str; 2] = ["127.0.0.1/32", "10.0.0.0/8"];

fn is_spread(served: &[String]) -> bool {
    served.iter().collect::<BTreeSet<_>>().len() == 2
}

#[test]
fn the_client_is_the_right_most_address_that_is_not_trusted() {
    let alone = served(&TRUSTED, |client| client);
    assert!(is_spread(&alone));
    assert_eq!(served(&TRUSTED, |client| format!("{client}, 10.0.0.9,10.1.1.1")), alone);
    assert_eq!(served(&TRUSTED, |client| format!("198.51.100.1, {client} ,10.0.0.9")), alone);
    assert_eq!(served(&TRUSTED, |client| format!("no address, {client}")), alone);
}

#[test]
fn when_all_addresses_are_trusted_the_client_is_the_left_most() {
    let everyone = ["0.0.0.0/0"];
    let alone = served(&TRUSTED, |client| client);
    assert_eq!(served(&everyone, |client| format!("{client}, 10.0.0.9, 10.0.0.8")), alone);
}

#[test]
fn an_entry_that_is_no_bare_address_ends_the_walk() {
    for odd in ["unknown", "_hidden", "198.51.100.1:80", "\"198.51.100.1\""] {
        let served = served(&TRUSTED, |client| format!("{client}, {odd}, 10.0.0.9"));
        assert!(!is_spread(&served), "{odd:?}: {served:?}");
    }
}

#[test]
fn the_client_of_a_stranger_is_the_stranger() {
    assert!(!is_spread(&served(&[], |client| client)));
    assert!(!is_spread(&served(&["10.0.0.0/8"], |client| client)));
}

#[test]
fn a_peer_over_ipv6_with_an_ipv4_address_is_that_address() {
    if std::net::TcpListener::bind("[::]:0").is_err() {
        return eprintln!("skipped: there is no IPv6 here");
    }
    let a = Endpoint::start("a");
    let file = shop(&[&a]).set("trusted_proxies", vec!["127.0.0.1/32"]).set("listen", "[::]:0");
    let gateway = Gateway::start(&file);
    let address = ([127, 0, 0, 1], gateway.address.port()).into();
    let Ok(mut connection) = Connection::try_open(address) else {
        return eprintln!("skipped: IPv6 alone");
    };
    let response = connection.exchange(&get("/").with("X-Forwarded-Proto", "https"));
    assert!(response.set_cookie().expect("a cookie").contains("; Secure"));
    assert_eq!(a.last().head.all("x-forwarded-for"), ["127.0.0.1"]);
}

#[test]
fn an_odd_scheme_never_fails_a_request() {
    let (gateway, _a) = start_trusted();
    for scheme in ["HTTPS", "ftp", "", "https, http", "http,https"] {
        gateway.fetch(&get("/").with("X-Forwarded-Proto", scheme)).assert_ok();
    }
}

#[test]
fn what_a_stranger_says_is_dropped_in_every_field_and_spelling() {
    const NAMES: [&str; 7] = [
        "Forwarded",
        "X-Real-IP",
        "X_Real_IP",
        "X_Forwarded_For",
        "X-Forwarded_For",
        "X_FORWARDED_PROTO",
        "X-Forwarded-Port",
    ];
    let request = NAMES.iter().fold(get("/"), |request, name| request.with(name, "203.0.113.7"));
    let request = request.with("X-Forward", "1").with("X-Real-IPs", "1").with("X_Other", "1");
    let (stranger, a) = start();
    let told = |gateway: &Gateway, request: &Request, a: &Endpoint| {
        gateway.fetch(request).assert_ok();
        let names = a.last().head.fields.into_iter().map(|(name, _)| name);
        names.filter(|name| name.starts_with(['x', 'f'])).collect::<BTreeSet<_>>()
    };
    let ours = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"];
    let others = ["x-forward", "x-real-ips", "x_other"];
    let expected = ours.iter().chain(&others).map(|name| String::from(*name)).collect();
    assert_eq!(told(&stranger, &request, &a), expected);

    // A trusted peer's are passed on, but for spellings that no proxy writes.
    let (trusted, a) = start_trusted();
    let theirs = ["forwarded", "x-real-ip", "x-forwarded-port"];
    let expected: BTreeSet<String> = expected.into_iter().chain(theirs.map(String::from)).collect();
    assert_eq!(told(&trusted, &request, &a), expected);
}

/// Who serves clients of 16 addresses, each told in these fields by the trusted peer.
fn served_by(fields: &[(&str, &str)], ports: bool) -> Vec<String> {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let file = shop(&[&a, &b]).by_address().set("forwarded_ports", ports);
    let gateway = Gateway::start(&file.set("trusted_proxies", TRUSTED.to_vec()));
    let visit = |last| {
        let client = format!("203.0.113.{last}");
        let request = fields.iter().fold(get("/"), |request, (name, value)| {
            request.with(name, value.replace("CLIENT", &client))
        });
        gateway.fetch(&request)
    };
    (0..16).map(|last| visit(last).served_by()).collect()
}

#[test]
fn forwarded_is_read_where_there_is_no_x_forwarded_for_and_x_real_ip_after_both() {
    let alone = served(&TRUSTED, |client| client);
    assert!(is_spread(&alone));
    for fields in [
        &[("Forwarded", "for=CLIENT")][..],
        &[("Forwarded", "for=198.51.100.1, for=\"CLIENT:4711\";proto=https, for=10.0.0.9")],
        &[("Forwarded", "for=198.51.100.1"), ("Forwarded", "For=CLIENT")],
        &[("Forwarded", "for=CLIENT"), ("X-Real-IP", "198.51.100.1"), ("X-Forwarded-For", " ")],
        &[("X-Real-IP", "CLIENT")],
        &[("X-Forwarded-For", "CLIENT"), ("Forwarded", "for=198.51.100.1")],
        &[("X-Forwarded-For", "CLIENT"), ("X-Real-IP", "198.51.100.1")],
    ] {
        assert_eq!(served_by(fields, false), alone, "{fields:?}");
    }
    for fields in [
        &[("X-Forwarded-For", "198.51.100.1"), ("Forwarded", "for=CLIENT")][..],
        &[("Forwarded", "for=198.51.100.1"), ("X-Real-IP", "CLIENT")],
        &[("Forwarded", "for=CLIENT, for=unknown")],
        &[("Forwarded", "for=CLIENT, for=10.0.0.9, \"")],
        &[("X-Real-IP", "CLIENT:80")],
    ] {
        assert!(!is_spread(&served_by(fields, false)), "{fields:?}");
    }
}

#[test]
fn an_address_with_a_port_is_an_address_where_the_file_says_so() {
    let alone = served(&TRUSTED, |client| client);
    for fields in [
        &[("X-Forwarded-For", "CLIENT:5678")][..],
        &[("X-Forwarded-For", "CLIENT, 10.0.0.9:80, [::ffff:10.0.0.8]:80")],
        &[("X-Forwarded-For", "CLIENT")],
        &[("X-Real-IP", "CLIENT:80")],
    ] {
        assert_eq!(served_by(fields, true), alone, "{fields:?}");
    }
    assert!(!is_spread(&served_by(&[("X-Forwarded-For", "CLIENT:5678")], false)));
    assert!(!is_spread(&served_by(&[("X-Forwarded-For", "CLIENT, unknown:80")], true)));
}

#[test]
fn the_endpoint_learns_what_forwarded_and_x_real_ip_say_in_the_usual_fields() {
    let (gateway, a) = start_trusted();
    let told = |request: Request| {
        let response = gateway.fetch(&request);
        let head = a.last().head;
        let is_secure = response.set_cookie().expect("a cookie").contains("; Secure");
        (head.all("x-forwarded-for").join("|"), head.all("x-forwarded-proto").join("|"), is_secure)
    };
    let forwarded = |value: &str| told(get("/").with("Forwarded", value));
    let expected =
        |chain: &str, proto: &str| (chain.to_owned(), proto.to_owned(), proto == "https");
    assert_eq!(
        forwarded("for=203.0.113.7;proto=https, for=10.0.0.9;proto=http"),
        expected("203.0.113.7, 127.0.0.1", "https")
    );
    // What stands before the client's element may be the client's own.
    assert_eq!(
        forwarded("proto=https, for=203.0.113.7"),
        expected("203.0.113.7, 127.0.0.1", "http")
    );
    assert_eq!(forwarded("for=_hidden;proto=https"), expected("127.0.0.1", "https"));
    assert_eq!(
        told(get("/").with("X-Real-IP", "203.0.113.7").with("X-Forwarded-Proto", "https")),
        expected("203.0.113.7, 127.0.0.1", "https")
    );
    assert_eq!(
        told(get("/").with("Forwarded", "for=203.0.113.7").with("X-Forwarded-Proto", "https")),
        expected("203.0.113.7, 127.0.0.1", "https")
    );
}

#[test]
fn what_a_trusted_proxy_says_and_is_not_understood_is_told_once() {
    let warned = |gateway: &Gateway| {
        let lines = gateway.errors().into_iter();
        lines.filter(|line| line.contains("is not understood")).collect::<Vec<_>>()
    };
    let (gateway, _a) = start_trusted();
    for understood in ["203.0.113.7", "unknown", "_hidden", "nonsense, 203.0.113.7", ""] {
        gateway.fetch(&get("/").with("X-Forwarded-For", understood)).assert_ok();
    }
    assert_eq!(warned(&gateway), [""; 0]);
    for odd in ["203.0.113.7:80", "nonsense"] {
        gateway.fetch(&get("/").with("X-Forwarded-For", odd)).assert_ok();
        gateway.fetch(&get("/").with("Forwarded", odd)).assert_ok();
        gateway.fetch(&get("/").with("X-Real-IP", odd)).assert_ok();
    }
    wait_until("a warning", || !warned(&gateway).is_empty());
    let lines = warned(&gateway);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0]
            .contains("x-forwarded-for of a trusted proxy is not understood: \"203.0.113.7:80\""),
        "{lines:?}"
    );

    // Each field is understood or told by itself; a stranger fills no log.
    for (field, odd) in [("Forwarded", "for=x:y"), ("Forwarded", "\""), ("X-Real-IP", "caf\u{e9}")]
    {
        let (gateway, _a) = start_trusted();
        gateway.fetch(&get("/").with(field, odd)).assert_ok();
        wait_until("a warning", || warned(&gateway).len() == 1);
        let (stranger, _a) = start();
        stranger.fetch(&get("/").with(field, odd)).assert_ok();
        assert_eq!(warned(&stranger), [""; 0]);
    }
}
