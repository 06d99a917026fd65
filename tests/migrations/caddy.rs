//! Caddy's `lb_policy cookie`, with a secret and without one.

use session_affinity::policy::ServerHash;

use crate::backend::Backend;
use crate::program::Program;
use crate::{Fate, all_stay, asked, backends, hashed, unanswered, with_one_lost};

fn caddy(backends: &[Backend; 2], policy: &str, options: &str) -> Option<Program> {
    let servers = backends.each_ref().map(|it| it.address.clone()).join(" ");
    Program::caddy(&format!(
        "  reverse_proxy {servers} {{\n    lb_policy cookie {policy} {{\n\
         \x20     fallback round_robin\n    }}\n{options}  }}\n"
    ))
}

#[test]
fn the_sessions_of_caddy_by_an_hmac_of_the_address_stay() {
    let backends = backends("");
    for (policy, name, secret) in [("lb s3cret", "lb", "s3cret"), ("", "lb", "")] {
        let Some(old) = caddy(&backends, policy, "") else { return };
        let hash = ServerHash::Caddy { secret };
        all_stay(&old, &backends, hashed(name, hash, &backends, |address| address.into()), "");
    }
}

/// manual::coming_from, Caddy: "an upstream that refuses connections: 502, and the cookie stays",
/// "`lb_retries`, `lb_try_duration` with `fail_duration`: another upstream, and the cookie follows"
#[test]
fn caddy_moves_a_session_whose_server_refuses_connections_if_it_notes_failures_and_tries_again() {
    let backends = with_one_lost();
    let value = ServerHash::Caddy { secret: "" }.value(&backends[1].address);
    let retries = "    lb_retries 2\n";
    let noted = "    lb_retries 2\n    fail_duration 30s\n";
    for (options, fate) in
        [("", (502, Fate::AsItWas)), (retries, (502, Fate::AsItWas)), (noted, (200, Fate::Moved))]
    {
        let Some(old) = caddy(&backends, "", options) else { return };
        assert_eq!(asked(&old, "lb", &value), fate, "{options}");
    }
}

/// manual::coming_from, Caddy: "a new client gets the cookie with a 502 too, of an upstream that
/// has not answered"
#[test]
fn caddy_gives_a_new_client_the_cookie_of_a_server_that_has_not_answered() {
    let backends = with_one_lost();
    let Some(old) = caddy(&backends, "", "") else { return };
    let value = ServerHash::Caddy { secret: "" }.value(&backends[1].address);
    assert!(unanswered(&old, 502).starts_with(&format!("lb={value};")));
}
