//! The command `session-affinity-pingora [--cache] [--header NAME] LISTEN ENDPOINT...`, with the
//! secret in the environment variable SESSION_AFFINITY_SECRET:
//!
//! ```text
//! SESSION_AFFINITY_SECRET=$(openssl rand -hex 32) \
//!   cargo run --manifest-path examples/pingora/Cargo.toml -- 127.0.0.1:8080 127.0.0.1:9001 127.0.0.1:9002
//! ```
//!
//! Sessions are kept by cookie, or with `--header NAME` by that header of the request.

use std::env;
use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use arc_swap::ArcSwap;
use env_logger::Env;
use pingora_cache::MemCache;
use session_affinity::cookies::SetCookie;
use session_affinity::{
    Affinity, AffinityPolicy, CookiePolicy, Endpoint, FailoverMode, HeaderPolicy, Key, Keyring,
    LoadBalancer, MemoryStore, Pool, Pools, Secret,
};
use session_affinity_pingora::{StickyProxy, server};

fn main() -> ExitCode {
    env_logger::Builder::from_env(Env::default().default_filter_or("info")).init();
    match proxy(env::args().skip(1)) {
        Ok((listen, proxy)) => server(listen, proxy).run_forever(),
        Err(error) => {
            eprintln!(
                "{error}\nusage: session-affinity-pingora [--cache] [--header NAME] LISTEN ENDPOINT..."
            );
            ExitCode::from(2)
        }
    }
}

fn proxy(
    arguments: impl Iterator<Item = String>,
) -> Result<(SocketAddr, StickyProxy), Box<dyn Error>> {
    let mut arguments = arguments.peekable();
    let cache = arguments.next_if_eq("--cache").map(|_| &*Box::leak(Box::new(MemCache::new())));
    let header = arguments.next_if_eq("--header").and_then(|_| arguments.next());
    let listen = address(&arguments.next().ok_or("LISTEN is missing")?)?;
    let mut pool = Pool::new("eu");
    for endpoint in arguments {
        // A cookie stands for the name: an address that another server takes over needs a new name.
        pool = pool.with_endpoint(Endpoint::new(&*endpoint, address(&endpoint)?));
    }
    let pools = Pools::builder().pool(pool).build()?;

    let shop = LoadBalancer::new("shop.example.com")?;
    // From outside, so that sessions outlive a restart and each node reads the cookies of the others.
    let secret = env::var("SESSION_AFFINITY_SECRET")
        .map_err(|error| format!("SESSION_AFFINITY_SECRET: {error}"))?;
    let secret = Secret::from_hex(&secret)?;
    let (policy, mode): (Box<dyn AffinityPolicy>, _) = match header {
        Some(name) => {
            (Box::new(HeaderPolicy::new(&shop, &secret, &[name])?), FailoverMode::Temporary)
        }
        None => {
            let keyring = Keyring::from(Key::new(1, secret));
            let policy = CookiePolicy::new(&shop, &keyring, SetCookie::default());
            (Box::new(policy), FailoverMode::Sticky)
        }
    };
    let affinity = Affinity::new(policy).with_failover_mode(mode)?;
    let pools = Arc::new(ArcSwap::from_pointee(pools));
    let store = MemoryStore::new(100_000)?;
    Ok((listen, StickyProxy { affinity, pools, store, cache }))
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|error| format!("{text:?}: {error}; an address is IP:PORT"))
}
