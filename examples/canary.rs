//! A canary release: version 2 of a service gets 5, then 25, 50 and 100 percent of the new sessions.
//! Each version is a pool, and the pools are steered by weight. Browsers keep their cookie, and stay
//! in the version in which their session began. Scripts keep no cookie and begin with each request;
//! with `ip_cookie` their address chooses, so each changes over to version 2 once, and not back. At
//! last a server of version 2 is replaced, and its sessions stay in version 2.
//!
//! `cargo run --example canary` prints:
//!
//! ```text
//! weight   2 000 new browsers, and those of before       20 000 scripts
//!    5 %   105 begin in v2, 0 of 0 are kept              1004 change to v2, 0 back
//!   25 %   498 begin in v2, 2000 of 2000 are kept        3987 change to v2, 0 back
//!   50 %   1004 begin in v2, 4000 of 4000 are kept       4977 change to v2, 0 back
//!  100 %   2000 begin in v2, 6000 of 6000 are kept       10032 change to v2, 0 back
//! v2-3 for v2-1: 1820 sessions move, 1820 of them within v2
//! ```

use std::error::Error;

use http::HeaderMap;
use http::header::COOKIE;
use session_affinity::cookies::SetCookie;
use session_affinity::steering::Random;
use session_affinity::{
    Affinity, CookiePolicy, Endpoint, IpCookiePolicy, Key, Keyring, LoadBalancer, Pool, Pools,
    Record, RequestMeta, Scheme, Secret, UnixTime, Weight,
};

struct Client {
    ip: [u8; 4],
    headers: HeaderMap,
}

fn client(number: u32) -> Client {
    Client { ip: (0x0a00_0000 | number).to_be_bytes(), headers: HeaderMap::new() }
}

struct Proxy {
    affinity: Affinity<IpCookiePolicy>,
    pools: Pools<&'static str>,
}

impl Proxy {
    /// Serves a request, and returns the server and the outcome. A browser keeps the cookie.
    fn serve(&self, client: &mut Client) -> Result<(&'static str, &'static str), Box<dyn Error>> {
        let now = UnixTime::from_secs(1_800_000_000);
        let request = RequestMeta::new(&client.headers, Scheme::Https);
        let request = request.with_client_ip(core::net::IpAddr::from(client.ip));
        let visit = self.affinity.recall(&request, now);
        // The address decides, so no random bits are drawn.
        let (attempt, server) = self.affinity.route(visit, Record::Absent, &self.pools, || 0)?;
        let outcome = attempt.outcome().label();
        if let Some(line) = self.affinity.settle(attempt, &self.pools).set_cookie() {
            let pair = line.to_str()?.split(';').next().unwrap_or_default();
            client.headers.insert(COOKIE, pair.parse()?);
        }
        Ok((server, outcome))
    }
}

fn version(name: &str, servers: [&'static str; 2]) -> Pool<&'static str> {
    Pool::new(name).with_endpoints(servers.map(|server| Endpoint::new(server, server)))
}

fn main() -> Result<(), Box<dyn Error>> {
    let shop = LoadBalancer::new("shop.example.com")?;
    let secret = Secret::from_base64("dGhpcyBpcyBhbiBleGFtcGxlLCBub3QgYSBzZWNyZXQ=")?;
    let keyring = Keyring::from(Key::new(1, secret));
    let cookies = CookiePolicy::new(&shop, &keyring, SetCookie::default());
    let v1 = || version("v1", ["v1-1", "v1-2"]);
    let builder = Pools::builder().pool(v1()).pool(version("v2", ["v2-1", "v2-2"]));
    let pools = builder.with_pool_steering(Random).build()?;
    let mut proxy = Proxy { affinity: Affinity::new(IpCookiePolicy::new(cookies)), pools };

    let mut browsers: Vec<Client> = Vec::new();
    let mut script_in_v2 = vec![false; 20_000];
    println!("weight   2 000 new browsers, and those of before       20 000 scripts");
    for percent in [5, 25, 50, 100] {
        let (old, new) = (Weight::new(100 - percent)?, Weight::new(percent)?);
        proxy.pools = proxy.pools.edited(|edit| {
            edit.pool_weight("v1", old)?;
            edit.pool_weight("v2", new)
        })?;
        let (before, mut kept, mut begun) = (browsers.len(), 0, 0);
        for browser in &mut browsers {
            kept += usize::from(proxy.serve(browser)?.1 == "kept");
        }
        for number in 0..2_000 {
            let mut browser = client(before as u32 + number);
            begun += usize::from(proxy.serve(&mut browser)?.0.starts_with("v2"));
            browsers.push(browser);
        }
        let (mut over, mut back) = (0, 0);
        for (number, was) in (1 << 20..).zip(&mut script_in_v2) {
            let is = proxy.serve(&mut client(number))?.0.starts_with("v2");
            over += usize::from(is && !*was);
            back += usize::from(!is && *was);
            *was = is;
        }
        let browsers = format!("{begun} begin in v2, {kept} of {before} are kept");
        println!("{percent:>4} %   {browsers:<46}{over} change to v2, {back} back");
    }

    // The weights stay as they are, because the description states none.
    let builder = proxy.pools.rebuild().pool(v1()).pool(version("v2", ["v2-2", "v2-3"]));
    proxy.pools = builder.with_pool_steering(Random).build()?;
    let (mut moved, mut within) = (0, 0);
    for browser in &mut browsers {
        if let (server, "moved:removed") = proxy.serve(browser)? {
            moved += 1;
            within += usize::from(server.starts_with("v2"));
        }
    }
    println!("v2-3 for v2-1: {moved} sessions move, {within} of them within v2");
    Ok(())
}
