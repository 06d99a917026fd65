//! Responses that set the cookie stay out of shared caches.

use super::*;

const PUBLIC: &str = "HTTP/1.1 200 OK\r\nCache-Control: public, max-age=60\r\nCache-Control: s-maxage=90\r\n\
                      CDN-Cache-Control: max-age=60\r\nSurrogate-Control: max-age=60\r\nContent-Length: 0\r\n\r\n";

fn answer(file_guard: bool) -> (Response, Response) {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]).set("cache_guard", file_guard));
    a.answers(Answer::Bytes(PUBLIC.into()));
    let first = gateway.visit();
    let kept = gateway.revisit(&first.cookie());
    (first, kept)
}

#[test]
fn a_response_with_our_cookie_is_kept_out_of_shared_caches() {
    let (first, kept) = answer(true);
    assert_eq!(first.head.all("cache-control"), ["private, max-age=60"]);
    assert!(!first.head.has("cdn-cache-control") && !first.head.has("surrogate-control"));
    assert_eq!(kept.head.get("cache-control").as_deref(), Some("public, max-age=60, s-maxage=90"));
    assert!(kept.head.has("cdn-cache-control") && kept.head.has("surrogate-control"));
}

#[test]
fn without_the_guard_the_response_says_what_it_said() {
    let (first, _) = answer(false);
    assert_eq!(first.head.get("cache-control").as_deref(), Some("public, max-age=60, s-maxage=90"));
    assert!(first.head.has("cdn-cache-control"));
}
