//! The client of a request, as the proxies before tell it and as endpoints are told.

use super::*;

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
