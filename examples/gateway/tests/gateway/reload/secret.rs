//! The secret of header sessions, where the file leaves it out.

use serde_json::json;

use super::site::Site;
use crate::support::{Endpoint, Gateway, Request, SECRETS, get, shop};

fn of(user: usize) -> Request {
    get("/").with("X-User", format!("user-{user}"))
}

/// The endpoints of the first users. Whose is whose depends on the secret.
fn endpoints(gateway: &Gateway) -> Vec<String> {
    (0..40).map(|user| gateway.fetch(&of(user)).served_by()).collect()
}

#[test]
fn the_last_of_the_keys_at_the_start_takes_its_place_and_that_is_said() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let by_headers = shop(&[&a, &b]).by_headers(&["x-user"]).without("session_secret");
    let expected = endpoints(&Gateway::start(&by_headers));
    let site = Site::start(&shop(&[&a, &b]));
    let key = json!({ "id": 7, "secret": SECRETS[2], "sign": false });
    site.gateway.change("POST", "/keys", &key);
    let warnings = || {
        let errors = site.gateway.errors().into_iter();
        errors.filter(|line| line.contains("session_secret is not set")).count()
    };
    assert_eq!(warnings(), 0, "no session needs it");
    site.reload(&by_headers.to_string());
    assert_eq!(endpoints(&site.gateway), expected);
    assert_eq!(warnings(), 1);
    site.reload(&by_headers.set("retries", 2).to_string());
    assert_eq!((endpoints(&site.gateway), warnings()), (expected, 1), "it is said once");
}

#[test]
fn it_outlives_a_time_of_another_policy() {
    let (a, b) = (Endpoint::start("a"), Endpoint::start("b"));
    let by_headers = shop(&[&a, &b]).by_headers(&["x-user"]);
    let site = Site::start(&by_headers);
    let expected = endpoints(&site.gateway);
    site.reload(&shop(&[&a, &b]).to_string());
    site.reload(&by_headers.without("session_secret").to_string());
    assert_eq!(site.gateway.fetch(&of(1)).outcome(), "kept");
    assert_eq!(endpoints(&site.gateway), expected);
}
