//! What passes through the gateway, and what it changes on the way.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::support::{
    Answer, Connection, Endpoint, Gateway, Request, Response, get, pattern, post, request, shop,
};

mod cache;
mod codings;
mod cookies;
mod explain;
mod forwarded;
mod hop_by_hop;
mod many_fields;
mod messages;
mod namesake;
mod set_cookie;

fn start() -> (Gateway, Endpoint) {
    let a = Endpoint::start("a");
    (Gateway::start(&shop(&[&a])), a)
}

/// With the peer trusted.
fn start_trusted() -> (Gateway, Endpoint) {
    let a = Endpoint::start("a");
    (Gateway::start(&shop(&[&a]).set("trusted_proxies", vec!["127.0.0.1/32", "10.0.0.0/8"])), a)
}
