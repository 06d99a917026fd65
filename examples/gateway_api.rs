//! A route of the Gateway API, as an implementation sees it: each rule has its own load balancer,
//! policy and pools. For an invalid rule the error is the message of its condition. Each valid one
//! serves 10 000 new clients, by the weights 70 and 30, and 100 of them once more after the first
//! backend has lost its weight.
//!
//! `cargo run --example gateway_api` prints:
//!
//! ```text
//! browse    Accepted=True   7084 of 10000 in v1, 100 of 100 kept  __cflb-13e6189cdbadcde2
//! checkout  Accepted=True   7019 of 10000 in v1, 100 of 100 kept  __cflb-24f3f69c8afa3823
//! api       Accepted=True   6985 of 10000 in v1, 100 of 100 kept  x-session
//! search    Accepted=False  absoluteTimeout is missing; allowed with cookie.lifetimeType Permanent: 1s to 87600h
//! upload    Accepted=False  absoluteTimeout is "1d"; allowed: 1 to 4 times up to 5 digits and h, m, s or ms, such as 1h30m
//! admin     Accepted=False  header.name is "authorization"; allowed: a name without a meaning in HTTP, such as x-session-affinity
//! ```

use std::error::Error;

use http::HeaderMap;
use http::header::COOKIE;
use session_affinity::carrier::Carrier;
use session_affinity::config::gateway_api::{CookieConfig, CookieLifetimeType, SessionPersistence};
use session_affinity::steering::Random;
use session_affinity::{
    Affinity, AffinityPolicy, CookiePolicy, Endpoint, Key, Keyring, LoadBalancer, Pool, Pools,
    Record, RequestMeta, Scheme, Secret, UnixTime, Weight,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

struct Rule {
    affinity: Affinity<CookiePolicy>,
    pools: Pools<&'static str>,
    carrier: Carrier,
}

impl Rule {
    fn new(policy: CookiePolicy) -> Result<Self> {
        let backend = |name, weight, pods: [&'static str; 2]| -> Result<Pool<&'static str>> {
            let pods = pods.map(|pod| Endpoint::new(pod, pod));
            Ok(Pool::new(name).with_weight(Weight::new(weight)?).with_endpoints(pods))
        };
        let v1 = backend("shop/v1", 70, ["v1-a", "v1-b"])?;
        let v2 = backend("shop/v2", 30, ["v2-a", "v2-b"])?;
        let pools = Pools::builder().pool(v1).pool(v2).with_pool_steering(Random).build()?;
        let carrier = policy.carrier().ok_or("a policy with a token")?.clone();
        Ok(Self { affinity: Affinity::new(policy), pools, carrier })
    }

    /// Serves a request, and gives the client what it sends from then on.
    fn serve(&self, client: &mut HeaderMap, entropy: u64) -> Result<(&'static str, &'static str)> {
        let now = UnixTime::from_secs(1_800_000_000);
        let visit = self.affinity.recall(&RequestMeta::new(client, Scheme::Https), now);
        let (attempt, pod) = self.affinity.route(visit, Record::Absent, &self.pools, || entropy)?;
        let outcome = attempt.outcome().label();
        if let Some(field) = self.affinity.settle(attempt, &self.pools).response {
            let value = field.value().to_str()?;
            match &self.carrier {
                Carrier::Cookie(_) => {
                    let pair = value.split(';').next().unwrap_or_default();
                    client.insert(COOKIE, pair.parse()?)
                }
                Carrier::Header(header) => client.insert(header.name(), value.parse()?),
            };
        }
        Ok((pod, outcome))
    }
}

fn main() -> Result<()> {
    let secret = Secret::from_base64("dGhpcyBpcyBhbiBleGFtcGxlLCBub3QgYSBzZWNyZXQ=")?;
    let keyring = Keyring::from(Key::new(1, secret));
    let cookie = SessionPersistence::in_cookie;
    let permanent =
        CookieConfig { lifetime_type: CookieLifetimeType::Permanent, ..CookieConfig::default() };
    let rules = [
        ("browse", cookie()),
        ("checkout", SessionPersistence { absolute_timeout: Some("8h".into()), ..cookie() }),
        ("api", SessionPersistence::in_header("x-session")),
        ("search", SessionPersistence { cookie: Some(permanent), ..cookie() }),
        ("upload", SessionPersistence { absolute_timeout: Some("1d".into()), ..cookie() }),
        ("admin", SessionPersistence::in_header("authorization")),
    ];
    for (salt, (name, persistence)) in (1_u64..).zip(rules) {
        let load_balancer = LoadBalancer::new(format!("default/shop/{name}"))?;
        let policy = match persistence.policy(&load_balancer, &keyring) {
            Ok(policy) => policy,
            Err(error) => {
                println!("{name:<10}Accepted=False  {error}");
                continue;
            }
        };
        let mut rule = Rule::new(policy)?;
        let (mut clients, mut in_v1) = (Vec::new(), 0);
        for number in 0..10_000_u64 {
            let mut client = HeaderMap::new();
            let entropy = (number << 8 | salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let (pod, _) = rule.serve(&mut client, entropy)?;
            in_v1 += usize::from(pod.starts_with("v1"));
            clients.push((client, pod));
        }
        rule.pools = rule.pools.edited(|edit| edit.pool_weight("shop/v1", Weight::ZERO))?;
        let mut kept = 0;
        for (client, pod) in clients.iter_mut().take(100) {
            kept += usize::from(rule.serve(client, 0)? == (*pod, "kept"));
        }
        let of = format!("{in_v1} of 10000 in v1, {kept} of 100 kept");
        println!("{name:<10}Accepted=True   {of}  {}", rule.carrier.as_str());
    }
    Ok(())
}
