//! The `Set-Cookie` line, by the configuration and by the scheme of the request.

use super::*;

fn big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn imf_fixdate(seconds: u64) -> String {
    let date = time::UtcDateTime::from_unix_timestamp(i64::try_from(seconds).expect("a time"))
        .expect("a date");
    let (weekday, month) = (date.weekday().to_string(), date.month().to_string());
    let (hour, minute, second) = date.time().as_hms();
    let (day, year) = (date.day(), date.year());
    format!(
        "{}, {day:02} {} {year} {hour:02}:{minute:02}:{second:02} GMT",
        &weekday[..3],
        &month[..3]
    )
}

/// The line, to the letter, with these attributes after `HttpOnly`.
#[track_caller]
fn assert_line(response: &Response, ttl: u64, path: &str, tail: &str) {
    let line = response.set_cookie().expect("a cookie");
    let token = response.cookie();
    assert_eq!(token.len(), "__cflb=".len() + 48);
    let expires = imf_fixdate(big_endian(&response.token()[15..20]));
    assert_eq!(
        line,
        format!("{token}; Path={path}; Expires={expires}; Max-Age={ttl}; HttpOnly{tail}")
    );
}

#[test]
fn by_default_it_is_this_to_the_letter() {
    let (gateway, _a) = start();
    let before = gateway.clock();
    let response = gateway.visit();
    assert_line(&response, 82_800, "/", "; SameSite=Lax");
    let token = response.token();
    assert_eq!(token[0], 1, "the version");
    let issued = big_endian(&token[10..15]);
    assert!((before..=gateway.clock()).contains(&issued));
    assert_eq!(big_endian(&token[15..20]), issued + 82_800);
}

#[test]
fn over_https_as_a_trusted_peer_tells_it_is_secure_and_for_all_sites() {
    let (gateway, _a) = start_trusted();
    let response = gateway.fetch(&get("/").with("X-Forwarded-Proto", "https"));
    assert_line(&response, 82_800, "/", "; Secure; SameSite=None");
    let response = gateway.fetch(&get("/").with("X-Forwarded-Proto", "http"));
    assert_line(&response, 82_800, "/", "; SameSite=Lax");
}

#[test]
fn all_its_attributes_come_in_their_order() {
    let a = Endpoint::start("a");
    let file = shop(&[&a])
        .set("load_balancer.session_affinity_ttl", 1_800)
        .attribute("samesite", "Strict")
        .attribute("secure", "Always")
        .set("cookie.path", "/shop")
        .set("cookie.domain", "example.com")
        .set("cookie.partitioned", true);
    let response = Gateway::start(&file).visit();
    assert_line(
        &response,
        1_800,
        "/shop",
        "; Secure; SameSite=Strict; Domain=example.com; Partitioned",
    );
}

#[test]
fn samesite_and_secure_follow_the_table() {
    for (samesite, secure, always_https, over_http, over_https) in [
        ("Auto", "Auto", false, "; SameSite=Lax", "; Secure; SameSite=None"),
        ("Auto", "Auto", true, "; Secure; SameSite=Lax", "; Secure; SameSite=Lax"),
        ("Auto", "Always", false, "; Secure; SameSite=Lax", "; Secure; SameSite=None"),
        ("Auto", "Never", false, "; SameSite=Lax", "; SameSite=Lax"),
        ("None", "Auto", false, "; SameSite=Lax", "; Secure; SameSite=None"),
        ("None", "Always", false, "; Secure; SameSite=None", "; Secure; SameSite=None"),
        ("Lax", "Auto", false, "; SameSite=Lax", "; Secure; SameSite=Lax"),
        ("Strict", "Never", false, "; SameSite=Strict", "; SameSite=Strict"),
    ] {
        let a = Endpoint::start("a");
        let file = shop(&[&a])
            .set("trusted_proxies", vec!["127.0.0.1/32"])
            .attribute("samesite", samesite)
            .attribute("secure", secure)
            .set("always_use_https", always_https);
        let gateway = Gateway::start(&file);
        assert_line(&gateway.visit(), 82_800, "/", over_http);
        let response = gateway.fetch(&get("/").with("X-Forwarded-Proto", "https"));
        assert_line(&response, 82_800, "/", over_https);
    }
}

#[test]
fn it_can_have_another_name() {
    let a = Endpoint::start("a");
    let gateway =
        Gateway::start(&shop(&[&a]).set("cookie.name", "__Host-lb").attribute("secure", "Always"));
    let mut browser = gateway.browser();
    let line = browser.get("/").head.get("set-cookie").expect("a cookie");
    assert!(line.starts_with("__Host-lb=") && line.contains("; Path=/; "), "{line}");
    assert_eq!(browser.get("/").outcome(), "kept");
}
