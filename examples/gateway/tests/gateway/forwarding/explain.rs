//! The header that tells the outcome.

use super::*;

#[test]
fn the_outcome_is_told_only_when_asked_for() {
    let a = Endpoint::start("a");
    for file in [shop(&[&a]).set("explain", false), shop(&[&a]).without("explain")] {
        let gateway = Gateway::start(&file);
        assert!(!gateway.visit().head.has("x-affinity-outcome"));
        assert_eq!(gateway.counted("created:no_cookie"), 1, "it is counted all the same");
    }
}

#[test]
fn what_the_endpoint_says_of_it_does_not_count() {
    let (gateway, a) = start();
    a.answers(Answer::Bytes(
        b"HTTP/1.1 200 OK\r\nX-Affinity-Outcome: kept\r\nContent-Length: 0\r\n\r\n".to_vec(),
    ));
    assert_eq!(gateway.visit().head.all("x-affinity-outcome"), ["created:no_cookie"]);
}

#[test]
fn a_request_with_a_body_is_explained_like_any_other() {
    let (gateway, _a) = start();
    let send = |request: &Request| gateway.fetch(request).outcome();
    assert_eq!(send(&post("/", "x")), "created:no_cookie");
}
