//! Custom steering: the trait `Steering` lets the embedder choose the endpoints of new sessions,
//! here by the power of two choices. Of two candidates drawn by weight it takes the one with fewer
//! requests in flight, by a count that the embedder keeps as the `T` of `Pools<T>`.
//!
//! One request arrives every millisecond. eu-1 and eu-2 serve one in 2 ms, eu-3 in 4 ms.
//!
//! `cargo run --example custom_steering` prints:
//!
//! ```text
//!               eu-1                      eu-2                      eu-3, half as fast
//! Random        2017 served, queue 7      2016 served, queue 5      1499 served, queue 468
//! TwoChoices    2272 served, queue 4      2323 served, queue 3      1403 served, queue 7
//! ```

use std::error::Error;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use http::HeaderMap;
use session_affinity::steering::{Candidate, Candidates, Random, Seed, Steering};
use session_affinity::{
    Affinity, Endpoint, LoadBalancer, NoAffinity, Pool, Pools, Record, RequestMeta, Scheme,
    UnixTime,
};

struct TwoChoices;

/// The number of requests that an endpoint has not answered yet.
#[derive(Default)]
struct Outstanding(AtomicU32);

impl Steering<Outstanding> for TwoChoices {
    fn choose<'a>(
        &self,
        candidates: &Candidates<'a, Outstanding>,
        seed: Seed,
    ) -> Option<Candidate<'a, Outstanding>> {
        // A stable seed gives the same choice on every node, so the counts of this node must not
        // matter. `None` leaves the choice to weights and seed.
        let Seed::Entropy(drawn) = seed else { return None };
        let two = [candidates.preferred(drawn)?, candidates.preferred(drawn.rotate_left(32))?];
        two.into_iter().min_by_key(|candidate| candidate.target().0.load(Relaxed))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("{:<14}{:<26}{:<26}eu-3, half as fast", "", "eu-1", "eu-2");
    println!("{:<14}{}", "Random", serve(pool().with_steering(Random))?);
    println!("{:<14}{}", "TwoChoices", serve(pool().with_steering(TwoChoices))?);
    Ok(())
}

fn pool() -> Pool<Outstanding> {
    let names = ["eu-1", "eu-2", "eu-3"];
    names.into_iter().fold(Pool::new("eu"), |pool, name| {
        pool.with_endpoint(Endpoint::new(name, Outstanding::default()))
    })
}

/// Simulates six seconds and reports the requests served and the longest queue of each endpoint.
fn serve(pool: Pool<Outstanding>) -> Result<String, Box<dyn Error>> {
    let pools = Pools::builder().pool(pool).build()?;
    let affinity = Affinity::new(NoAffinity::new(&LoadBalancer::new("shop.example.com")?));
    let (headers, now) = (HeaderMap::new(), UnixTime::from_secs(1_800_014_400));
    let request = RequestMeta::new(&headers, Scheme::Https);
    let mut drawn = 0x5eed_u64; // xorshift; a proxy passes `session_affinity::entropy`
    let mut entropy = || {
        drawn ^= drawn << 13;
        drawn ^= drawn >> 7;
        drawn ^= drawn << 17;
        drawn
    };
    let endpoints = pools.iter().flat_map(|pool| pool.endpoints());
    // Each endpoint with the requests it has served and its longest queue.
    let mut seen: Vec<_> = endpoints.map(|endpoint| (endpoint, 0_u32, 0)).collect();
    for millisecond in 0..6_000 {
        let visit = affinity.recall(&request, now);
        let (attempt, outstanding) = affinity.route(visit, Record::Absent, &pools, &mut entropy)?;
        outstanding.0.fetch_add(1, Relaxed);
        drop(affinity.settle(attempt, &pools)); // without a session there is nothing to write
        for (endpoint, served, longest) in &mut seen {
            let outstanding = &endpoint.target().0;
            *longest = outstanding.load(Relaxed).max(*longest);
            let pace = if endpoint.name() == "eu-3" { 4 } else { 2 };
            if millisecond % pace == 0 && outstanding.load(Relaxed) > 0 {
                outstanding.fetch_sub(1, Relaxed);
                *served += 1;
            }
        }
    }
    let columns = seen
        .iter()
        .map(|(_, served, longest)| format!("{:<26}", format!("{served} served, queue {longest}")));
    Ok(columns.collect::<String>().trim_end().to_owned())
}
