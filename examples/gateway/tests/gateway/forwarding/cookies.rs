//! The affinity cookie is taken out of requests, and other cookies pass as they are.

use super::*;

/// The `Cookie` fields as they arrive at the endpoint, when OURS stands for our cookie.
fn arrives(fields: &[&str]) -> Vec<String> {
    let (gateway, a) = start();
    let ours = gateway.visit().cookie();
    let request = fields
        .iter()
        .fold(get("/"), |request, field| request.with("Cookie", field.replace("OURS", &ours)));
    assert_eq!(gateway.fetch(&request).outcome(), "kept", "{fields:?}");
    a.last().head.all("cookie")
}

#[test]
fn the_endpoint_sees_the_other_cookies_as_they_were_and_not_ours() {
    assert_eq!(arrives(&["OURS"]), [""; 0]);
    assert_eq!(arrives(&["a=1; OURS; b=\"2\""]), ["a=1; b=\"2\""]);
    assert_eq!(arrives(&["OURS; a=1"]), ["a=1"]);
    assert_eq!(arrives(&["a=1;b=2; OURS"]), ["a=1;b=2"]);
    assert_eq!(arrives(&["a=1; OURS; OURS; x__cflb=2; __CFLB=3"]), ["a=1; x__cflb=2; __CFLB=3"]);
}

#[test]
fn cookies_in_several_fields_are_all_read() {
    assert_eq!(arrives(&["a=1", "OURS"]), ["a=1"]);
}

#[test]
fn a_cookie_that_cannot_be_used_is_hidden_from_the_endpoint_too() {
    let (gateway, a) = start();
    gateway.fetch(&get("/").with("Cookie", "a=1; __cflb=nonsense")).assert_ok();
    assert_eq!(a.last().head.all("cookie"), ["a=1"]);
}

/// A token with another byte here.
fn changed(cookie: &str, index: usize, byte: impl Fn(u8) -> u8) -> String {
    let (name, value) = cookie.split_once('=').expect("a name and a value");
    let mut bytes = URL_SAFE_NO_PAD.decode(value).expect("base64url");
    bytes[index] = byte(bytes[index]);
    format!("{name}={}", URL_SAFE_NO_PAD.encode(bytes))
}

#[test]
fn odd_cookies_never_fail_a_request_and_each_has_its_reason() {
    let (gateway, _a) = start();
    let good = gateway.visit().cookie();
    let value = &good["__cflb=".len()..];
    let forged = changed(&good, 30, |byte| byte ^ 1);
    let overlong = format!("__cflb={}", "A".repeat(6_000));
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (b"other=1".into(), "created:no_cookie"),
        (b"".into(), "created:no_cookie"),
        (b";;; =; ,".into(), "created:no_cookie"),
        (b"__cflb".into(), "created:no_cookie"),
        (format!("__CFLB={value}").into(), "created:no_cookie"),
        (b"__cflb=".into(), "created:malformed"),
        (good[..good.len() - 1].into(), "created:malformed"),
        (format!("{good}A").into(), "created:malformed"),
        (format!("__cflb=\"{value}\"").into(), "created:malformed"),
        (good.replace(value, &"=".repeat(48)).into(), "created:malformed"),
        (overlong.into(), "created:malformed"),
        ([b"__cflb=", &[0xff; 48][..]].concat(), "created:malformed"),
        ("__cflb=é".into(), "created:malformed"),
        (changed(&good, 0, |_| 2).into(), "created:unknown_version"),
        (changed(&good, 1, |_| 77).into(), "created:unknown_key"),
        (changed(&good, 1, |_| 1).into(), "created:forged"),
        (changed(&good, 2, |byte| byte ^ 1).into(), "created:forged"),
        (changed(&good, 19, |byte| byte ^ 1).into(), "created:forged"),
        (forged.clone().into(), "created:forged"),
        (format!("__cflb=A; {forged}").into(), "created:malformed"),
        (format!("{forged}; __cflb=A").into(), "created:forged"),
        (format!("__cflb=A; {forged}; {good}").into(), "kept"),
        (format!("{good}; {good}").into(), "kept"),
        (format!("__cflb=1; __cflb=2; __cflb=3; {good}").into(), "kept"),
        (format!("__cflb=1; __cflb=2; __cflb=3; __cflb=4; {good}").into(), "created:malformed"),
        (format!("\t{good}\t ; a").into(), "kept"),
        ([b"caf\xe9=1; ", good.as_bytes()].concat(), "kept"),
    ];
    for (cookie, outcome) in cases {
        let response = gateway.fetch(&get("/").with("Cookie", &cookie));
        let shown = String::from_utf8_lossy(&cookie);
        assert_eq!((response.status, response.outcome()), (200, outcome.into()), "{shown}");
        assert_eq!(response.set_cookie().is_some(), outcome != "kept", "{shown}");
    }
}
