//! nginx: a `map` in that of Debian, and `sticky` in a later one.

use session_affinity::EndpointId;
use session_affinity::cookies::CookieName;
use session_affinity::policy::{CookieOwner, ForeignCookie, ForeignFormat, ServerHash};

use crate::backend::Backend;
use crate::program::Program;
use crate::{Fate, all_stay, asked, backends, cookie, hashed, with_one_lost};

/// A cookie made of the server's address, as `map $cookie_route` reads it.
#[test]
fn the_sessions_of_nginx_by_a_map_stay() {
    let backends = backends("");
    let rows = backends.each_ref().map(|it| format!("    {0} {0};\n", it.address)).concat();
    let servers = backends.each_ref().map(|it| format!("server {}; ", it.address)).concat();
    let old = Program::nginx(&format!(
        "  upstream shop {{ {servers}}}\n\
         \x20 map $cookie_route $server {{\n    default shop;\n{rows}  }}\n\
         \x20 server {{\n    listen unix:SOCKET;\n    location / {{\n\
         \x20     proxy_pass http://$server;\n\
         \x20     add_header Set-Cookie \"route=$upstream_addr; Path=/\";\n    }}\n  }}\n"
    ));
    let ids = backends.each_ref().map(|it| (it.address.clone(), EndpointId::new("eu", it.name)));
    let route = ForeignCookie::new(CookieName::new("route").unwrap()).with_endpoints(ids);
    all_stay(&old, &backends, route, "");
}

/// nginx with these servers, `route=` and the like included, and this `sticky`.
fn sticky(servers: [String; 2], sticky: &str) -> Option<Program> {
    let servers = servers.map(|server| format!("    server {server};\n")).concat();
    Program::sticky_nginx(&format!(
        "  map $cookie_jsessionid $route {{ ~\\.(?<last>\\w+)$ $last; }}\n\
         \x20 upstream shop {{\n{servers}    sticky {sticky};\n  }}\n\
         \x20 server {{\n    listen unix:SOCKET;\n\
         \x20   location / {{ proxy_pass http://shop; }}\n  }}\n"
    ))
}

fn with_routes(backends: &[Backend; 2]) -> [String; 2] {
    backends.each_ref().map(|it| format!("{} route={}", it.address, it.name))
}

#[test]
fn the_sessions_of_nginx_by_a_hash_of_the_address_stay() {
    let backends = backends("");
    let addresses = backends.each_ref().map(|it| it.address.clone());
    let Some(old) = sticky(addresses, "cookie srv_id expires=1h path=/") else { return };
    let table = hashed("srv_id", ServerHash::Nginx, &backends, |address| address.into());
    all_stay(&old, &backends, table, "");
}

#[test]
fn the_sessions_of_nginx_by_a_cookie_of_routes_stay() {
    let backends = backends("");
    let Some(old) = sticky(with_routes(&backends), "cookie srv_id path=/") else { return };
    all_stay(&old, &backends, cookie("srv_id", ForeignFormat::Whole), "");
}

#[test]
fn the_sessions_of_nginx_by_a_route_in_the_applications_cookie_stay() {
    let backends = backends("JSESSIONID=app-#.@");
    let Some(old) = sticky(with_routes(&backends), "route $route") else { return };
    let table = cookie("JSESSIONID", ForeignFormat::APACHE_ROUTE);
    all_stay(&old, &backends, table.with_owner(CookieOwner::Application), "JSESSIONID");
}

/// manual::coming_from, nginx: "when the designated server fails, another one is chosen afresh, and
/// the cookie follows"
#[test]
fn nginx_moves_a_session_whose_server_refuses_connections() {
    let backends = with_one_lost();
    let addresses = backends.each_ref().map(|it| it.address.clone());
    let Some(old) = sticky(addresses, "cookie srv_id path=/") else { return };
    let value = ServerHash::Nginx.value(&backends[1].address);
    assert_eq!(asked(&old, "srv_id", &value), (200, Fate::Moved));
}
