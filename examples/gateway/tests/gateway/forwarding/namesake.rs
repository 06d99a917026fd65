//! A cookie or header of an endpoint that has the name of the gateway's own.

use serde_json::json;

use super::*;
use crate::metrics::scrape;
use crate::support::wait_until;

const SERIES: &str = r#"affinity_endpoint_namesakes_total{pool="eu",endpoint="a"}"#;

fn warnings(gateway: &Gateway) -> Vec<String> {
    gateway.errors().into_iter().filter(|line| line.contains("answers of endpoints")).collect()
}

#[test]
fn an_endpoints_cookie_of_our_name_is_dropped_counted_and_warned_about_once() {
    let (gateway, a) = start();
    let answer = "HTTP/1.1 200 OK\r\nSet-Cookie: theirs=1\r\nSet-Cookie: __cflb=theirs; Path=/\r\n\
                  Set-Cookie: more=2\r\nContent-Length: 0\r\n\r\n";
    a.answers(Answer::Bytes(answer.into()));
    let created = gateway.visit();
    assert_eq!(created.head.all("set-cookie").len(), 3, "{created:?}");
    assert_eq!(created.cookie().len(), "__cflb=".len() + 48, "the gateway's own");
    let kept = gateway.revisit(&created.cookie());
    assert_eq!(kept.outcome(), "kept");
    assert_eq!(kept.head.all("set-cookie"), ["theirs=1", "more=2"]);
    assert_eq!(scrape(&gateway)[SERIES], 2);
    wait_until("a warning", || !warnings(&gateway).is_empty());
    let warned = warnings(&gateway);
    assert!(warned.len() == 1 && warned[0].contains("__cflb"), "{warned:?}");
    assert!(warned[0].contains(&a.address.to_string()), "{warned:?}");
}

#[test]
fn an_endpoints_header_of_our_name_is_dropped_too() {
    let a = Endpoint::start("a");
    let file = shop(&[&a]).set("carrier", json!({ "header": "X-Affinity" }));
    let gateway = Gateway::start(&file);
    let answer = "HTTP/1.1 200 OK\r\nX-Affinity: theirs\r\nSet-Cookie: __cflb=theirs\r\n\
                  Content-Length: 0\r\n\r\n";
    a.answers(Answer::Bytes(answer.into()));
    let token = gateway.visit().head.get("x-affinity").expect("a token");
    assert_eq!(token.len(), 48);
    let kept = gateway.fetch(&get("/").with("X-Affinity", token));
    assert_eq!(kept.outcome(), "kept");
    assert!(!kept.head.has("x-affinity"), "{kept:?}");
    assert_eq!(kept.head.all("set-cookie"), ["__cflb=theirs"], "no cookie is the gateway's");
    assert_eq!(scrape(&gateway)[SERIES], 2);
}

#[test]
fn what_has_another_name_is_not_counted() {
    let (gateway, a) = start();
    let answer = "HTTP/1.1 200 OK\r\nSet-Cookie: __CFLB=1\r\nContent-Length: 0\r\n\r\n";
    a.answers(Answer::Bytes(answer.into()));
    assert!(gateway.visit().head.all("set-cookie").contains(&"__CFLB=1".into()));
    assert_eq!(scrape(&gateway)[SERIES], 0);
    assert_eq!(warnings(&gateway), [""; 0]);
}

#[test]
fn behind_a_gateway_of_the_same_name_the_session_of_the_one_in_front_is_kept() {
    let a = Endpoint::start("a");
    let behind = Gateway::start(&shop(&[&a]).without("explain"));
    let file = shop(&[&a]).set("pools.0.origins.0.address", behind.address.to_string());
    let front = Gateway::start(&file);
    let mut browser = front.browser();
    assert_eq!(browser.get("/").outcome(), "created:no_cookie");
    for _ in 0..3 {
        assert_eq!(browser.get("/").outcome(), "kept");
    }
    wait_until("a warning", || warnings(&front).len() == 1);
}
