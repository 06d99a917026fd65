//! Traefik's `sticky.cookie`.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use session_affinity::policy::ServerHash;

use crate::backend::Backend;
use crate::client::PATIENCE;
use crate::program::Program;
use crate::{Fate, all_stay, asked, backends, hashed, with_one_lost};

fn url(address: &str) -> String {
    format!("http://{address}")
}

fn traefik(backends: &[Backend; 2], health_check: Option<Value>, retries: u8) -> Option<Program> {
    let servers = backends.each_ref().map(|backend| json!({ "url": url(&backend.address) }));
    let mut shop = json!({ "sticky": { "cookie": { "name": "lb" } }, "servers": servers });
    if let Some(check) = health_check {
        shop["healthCheck"] = check;
    }
    let router = json!({
        "rule": "PathPrefix(`/`)",
        "service": "shop",
        "entryPoints": ["web"],
        "middlewares": if retries > 0 { vec!["again"] } else { vec![] },
    });
    let again = json!({ "retry": { "attempts": retries.max(1) } });
    let http = json!({
        "routers": { "all": router },
        "services": { "shop": { "loadBalancer": shop } },
        "middlewares": { "again": again },
    });
    Program::traefik(&json!({ "http": http }).to_string())
}

#[test]
fn the_sessions_of_traefik_by_a_hash_of_the_url_stay() {
    let backends = backends("");
    let Some(old) = traefik(&backends, None, 0) else { return };
    all_stay(&old, &backends, hashed("lb", ServerHash::Traefik, &backends, url), "");
}

/// manual::coming_from, Traefik: "an unhealthy server: another one, and the cookie follows", "a
/// server that refuses connections and is not checked: 502, and the cookie stays, with the
/// middleware `retry` too"
#[test]
fn traefik_moves_a_session_whose_server_is_unhealthy_and_no_other() {
    let backends = with_one_lost();
    let value = ServerHash::Traefik.value(&url(&backends[1].address));
    let check = json!({ "path": "/", "interval": "100ms", "timeout": "1s" });
    for (health_check, retries, fate) in [
        (None, 0, (502, Fate::AsItWas)),
        (None, 3, (502, Fate::AsItWas)),
        (Some(check), 0, (200, Fate::Moved)),
    ] {
        let Some(old) = traefik(&backends, health_check.clone(), retries) else { return };
        // The first health check takes its time.
        let start = Instant::now();
        while health_check.is_some()
            && asked(&old, "lb", &value).0 != 200
            && start.elapsed() < PATIENCE
        {
            sleep(Duration::from_millis(20));
        }
        assert_eq!(asked(&old, "lb", &value), fate, "{health_check:?} {retries}");
    }
}
