//! Sessions of other proxies are taken over without moving one: thirty clients each of the real
//! HAProxy and the real nginx, on sockets of this machine.
//!
//! manual::coming_from, Keeping the old sessions while you move: "The table says which cookies can be
//! read, and by which format."
//!
//! It is no part of `cargo test`, because it needs programs: `apt-get install haproxy nginx`, and then
//! `cargo test --test migrations`. A program that is missing is an error. nginx has `sticky cookie`
//! since 1.29.6, which Debian does not have; here a `map` and an `add_header` do the same.

mod backend;
mod client;
mod program;

use http::{HeaderMap, Request};
use session_affinity::cookies::{CookieName, SetCookie};
use session_affinity::exchange::{Exchange, Failed};
use session_affinity::policy::{CookieOwner, ForeignCookie, ForeignFormat, MigratingPolicy};
use session_affinity::{
    Affinity, CookiePolicy, Endpoint, EndpointId, Key, Keyring, LoadBalancer, Pool, Pools, Scheme,
    Secret, Trace, UnixTime,
};

use backend::Backend;
use client::Client;
use program::Program;

const CLIENTS: usize = 30;
const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

/// The servers behind the old proxy, which are the endpoints behind the new one.
const SERVERS: [&str; 2] = ["s1", "s2"];

/// The new proxy: the crate's exchange in front of the same servers.
struct Gateway {
    affinity: Affinity<MigratingPolicy<CookiePolicy>>,
    pools: Pools<Backend>,
}

impl Gateway {
    fn new(backends: &[Backend; 2], old: ForeignCookie) -> Self {
        let shop = LoadBalancer::new("shop.example.com").unwrap();
        let keyring = Keyring::from(Key::new(1, Secret::new([7; 32]).unwrap()));
        let cookie = CookiePolicy::new(&shop, &keyring, SetCookie::default());
        let policy = MigratingPolicy::new(cookie).unwrap().with_cookie(old);
        let endpoint = |backend: &Backend| Endpoint::new(backend.name, backend.clone());
        let eu = Pool::new("eu").with_endpoints(backends.iter().map(endpoint));
        let pools = Pools::builder().pool(eu).build().unwrap();
        Self { affinity: Affinity::new(policy), pools }
    }

    /// Serves one request of a client, which keeps the cookies. Returns the outcome, the server that
    /// has answered, and the cookies that it has seen.
    fn serve(&self, client: &mut Client) -> (&'static str, String, String) {
        let mut request = Request::new(());
        *request.headers_mut() = client.headers();
        let exchange = Exchange::new(&self.affinity, &self.pools, Scheme::Http).with_now(NOW);
        let sent = exchange.run(request, async |backend: &Backend, request| {
            let cookies: HeaderMap = request.headers().clone();
            backend.ask(&cookies).map_err(Failed::<(), _>::BrokeOff)
        });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let response = runtime.block_on(sent).unwrap();
        let outcome = response.extensions().get::<Trace>().unwrap().outcome().label();
        client.keep(response.headers());
        let (server, cookies) = backend::read(response.body());
        (outcome, server, cookies)
    }
}

fn cookie(name: &str, format: ForeignFormat) -> ForeignCookie {
    let ids = SERVERS.map(|server| (server, EndpointId::new("eu", server)));
    ForeignCookie::new(CookieName::new(name).unwrap()).with_format(format).with_endpoints(ids)
}

/// Sends thirty clients through the old proxy, and then through the new one. All of them stay where
/// they are: `migrated` once, `kept` from then on.
#[track_caller]
fn all_stay(old: &Program, backends: &[Backend; 2], cookie: ForeignCookie, application: &str) {
    let name = cookie.name().as_str().to_owned();
    let gateway = Gateway::new(backends, cookie);
    let mut served = [0; 2];
    for number in 0..CLIENTS {
        let mut client = Client::default();
        let first = old.serve(&mut client);
        assert_eq!(old.serve(&mut client), first, "the old proxy keeps client {number}");
        assert!(client.value(&name).is_some(), "{client:?}");
        served[usize::from(first == SERVERS[1])] += 1;

        let before = client.value(&name);
        let (outcome, server, seen) = gateway.serve(&mut client);
        assert_eq!((outcome, &server), ("migrated", &first), "client {number} had {before:?}");
        // The application sees its own cookies as it has set them, and no other.
        let unchanged = before.as_ref().filter(|_| name == application);
        let own = client.application.clone().or(unchanged.map(|value| format!("{name}={value}")));
        let own = own.unwrap_or_default();
        assert_eq!(seen, own, "client {number} had {before:?}");
        assert!(client.value("__cflb").is_some(), "{client:?}");
        let left = client.value(&name).is_some();
        assert_eq!(left, name == application, "the proxy's own cookie is taken back: {client:?}");

        let (outcome, server, seen) = gateway.serve(&mut client);
        assert_eq!((outcome, &server, &seen), ("kept", &first, &own), "client {number}");
    }
    assert!(served.iter().all(|count| *count >= 5), "both servers have sessions: {served:?}");
}

/// Servers that set these cookies on a first visit: `#` stands for a number.
fn backends(set_cookie: &'static str) -> [Backend; 2] {
    SERVERS.map(|name| Backend::start(name, set_cookie))
}

fn haproxy(backends: &[Backend; 2], cookie: &str) -> Program {
    let servers = backends.iter().map(|backend| {
        let Backend { name, address, .. } = backend;
        format!("  server {name} {address} cookie {name}\n")
    });
    let timeouts = "  timeout connect 9s\n  timeout client 30s\n  timeout server 30s\n";
    Program::haproxy(&format!(
        "defaults\n  mode http\n{timeouts}\
         frontend old\n  bind unix@SOCKET\n  default_backend shop\n\
         backend shop\n  balance roundrobin\n  cookie {cookie}\n{}",
        servers.collect::<String>()
    ))
}

#[test]
fn the_sessions_of_haproxy_by_an_inserted_cookie_stay() {
    let backends = backends("");
    let old = haproxy(&backends, "SERVERID insert indirect nocache");
    all_stay(&old, &backends, cookie("SERVERID", ForeignFormat::HAPROXY_INSERT), "");
}

#[test]
fn the_sessions_of_haproxy_by_an_inserted_cookie_with_dates_stay() {
    let backends = backends("");
    let old = haproxy(&backends, "SERVERID insert indirect nocache maxidle 30m maxlife 8h");
    let mut client = Client::default();
    old.serve(&mut client);
    let value = client.value("SERVERID").unwrap();
    assert_eq!(value.matches('|').count(), 2, "with both dates: {value}");
    all_stay(&old, &backends, cookie("SERVERID", ForeignFormat::HAPROXY_INSERT), "");
}

#[test]
fn the_sessions_of_haproxy_by_a_prefix_of_the_applications_cookie_stay() {
    let backends = backends("JSESSIONID=app-#");
    let old = haproxy(&backends, "JSESSIONID prefix nocache");
    let mut client = Client::default();
    let server = old.serve(&mut client);
    let value = client.value("JSESSIONID").unwrap();
    assert!(value.starts_with(&format!("{server}~app-")), "{value}");
    all_stay(&old, &backends, cookie("JSESSIONID", ForeignFormat::HAPROXY_PREFIX), "JSESSIONID");
}

#[test]
fn the_sessions_of_haproxy_by_a_rewritten_cookie_stay() {
    let backends = backends("SERVERID=to-be-written");
    let old = haproxy(&backends, "SERVERID rewrite nocache");
    // It is the application's own: without it, each response would set it again.
    let rewritten = cookie("SERVERID", ForeignFormat::Whole).with_owner(CookieOwner::Application);
    all_stay(&old, &backends, rewritten, "SERVERID");
}

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
