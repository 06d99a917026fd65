//! CPU time: all proxies in turn, in short slices.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::Result;
use crate::children::Process;
use crate::crowd::{Bond, Clients, Crowd};
use crate::gateways;
use crate::peers::{self, Workers};
use crate::spread::{Costs, turns};
use crate::table;

/// The requests of a slice: each of the 240 clients comes twice.
const REQUESTS: usize = 480;

/// The CPU times, in µs.
pub struct Timed {
    pub costs: Costs,
    /// The share of user space in the CPU time of the gateways.
    pub user_share: f64,
}

pub async fn run(endpoints: &[SocketAddr], limit: Duration) -> Result<Timed> {
    let (gateways, addresses) = gateways::start(None, endpoints)?;
    let peers = peers::start(Workers::One, endpoints, |_| None)?;
    let mut proxies: Vec<(String, SocketAddr, &Process)> =
        addresses.into_iter().map(|(name, address)| (name, address, &gateways)).collect();
    proxies.extend(peers.iter().map(|peer| (peer.name.to_owned(), peer.address, &peer.process)));

    let clients =
        Clients::of(gateways::address("cookie", proxies.iter().map(|it| (&*it.0, it.1)))?).await?;
    let mut crowds = Vec::new();
    for (name, address, _) in &proxies {
        let bond = if name.starts_with("off") { Bond::None } else { Bond::Sticky };
        let mut crowd = Crowd::meet(*address, bond, clients.clone()).await.map_err(of(name))?;
        for _ in 0..3 {
            crowd.slice(REQUESTS).await.map_err(of(name))?;
        }
        crowds.push(crowd);
    }

    let mut costs = Costs::new(proxies.iter().map(|(name, ..)| name.clone()).collect());
    let start = Instant::now();
    let mut round = 0;
    while start.elapsed() < limit {
        for turn in turns(round, proxies.len()) {
            let (name, _, process) = &proxies[turn];
            // Another proxy was here before, and the caches are full of it.
            crowds[turn].slice(REQUESTS / 2).await.map_err(of(name))?;
            tokio::time::sleep(Duration::from_millis(2)).await;
            let before = process.cpu()?;
            crowds[turn].slice(REQUESTS).await.map_err(of(name))?;
            // The answers are here before the proxy has laid itself to rest.
            tokio::time::sleep(Duration::from_millis(2)).await;
            let took = process.cpu()?.saturating_sub(before);
            costs.push(turn, took.as_secs_f64() * 1e6 / REQUESTS as f64);
        }
        round += 1;
    }
    let timed = Timed { costs, user_share: gateways.user_share()? };
    table::print("CPU time", "us", &timed.costs);
    println!("\nUser space takes {:.0} % of the gateways' CPU time.", timed.user_share * 100.0);
    Ok(timed)
}

/// Says of which proxy an error is.
pub fn of(
    name: &str,
) -> impl Fn(Box<dyn std::error::Error + Send + Sync>) -> Box<dyn std::error::Error + Send + Sync> {
    move |error| format!("{name}: {error}").into()
}
