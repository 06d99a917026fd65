//! A balancer of one's own makes the first choice: `Steering`, here by the power of two choices. It draws
//! two candidates by their weights and takes the one with less to do, by a count that the embedder
//! keeps as the `T` of `Pools<T>`.
//!
//! One request arrives in each millisecond. eu-1 and eu-2 take 2 ms to serve one, eu-3 takes 4 ms.
//!
//! `cargo run --example custom_steering` prints:
//!
//! ```text
//!               eu-1                      eu-2                      eu-3, half as fast
//! Random        1940 served, queue 5      2006 served, queue 5      1499 served, queue 555
//! TwoChoices    2277 served, queue 3      2288 served, queue 3      1432 served, queue 5
//! ```

use std::error::Error;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use http::HeaderMap;
use session_affinity::steering::{Candidate, Random, Seed, Steering};
use session_affinity::{
    Affinity, Candidates, Endpoint, Name, NoAffinity, Pool, Pools, Record, RequestMeta, Scheme,
    UnixTime,
};

struct TwoChoices;

/// How many requests an endpoint has not answered yet.
#[derive(Default)]
struct Outstanding(AtomicU32);

impl Steering<Outstanding> for TwoChoices {
    fn choose<'a>(
        &self,
        candidates: &Candidates<'a, Outstanding>,
        seed: Seed,
    ) -> Option<Candidate<'a, Outstanding>> {
        // A stable seed leads every node to the same choice, so none may look at its own counts.
        // `None` leaves it to the weights and the seed.
        let Seed::Entropy(drawn) = seed else { return None };
        let two = [candidates.preferred(drawn)?, candidates.preferred(drawn.rotate_left(32))?];
        two.into_iter().min_by_key(|candidate| candidate.target().0.load(Relaxed))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("{:<14}{:<26}{:<26}eu-3, half as fast", "", "eu-1", "eu-2");
    println!("{:<14}{}", "Random", serve(pool().steering(Random))?);
    println!("{:<14}{}", "TwoChoices", serve(pool().steering(TwoChoices))?);
    Ok(())
}

fn pool() -> Pool<Outstanding> {
    let names = ["eu-1", "eu-2", "eu-3"];
    names.into_iter().fold(Pool::new("eu"), |pool, name| {
        pool.endpoint(Endpoint::new(name, Outstanding::default()))
    })
}

/// Six seconds of it.
fn serve(pool: Pool<Outstanding>) -> Result<String, Box<dyn Error>> {
    let pools = Pools::builder().pool(pool).build()?;
    let affinity = Affinity::new(&Name::new("shop.example.com")?, NoAffinity);
    let (headers, now) = (HeaderMap::new(), UnixTime::from_secs(1_800_014_400));
    let request = RequestMeta { headers: &headers, client_ip: None, scheme: Scheme::Https };
    let mut drawn = 0x5eed_u64; // xorshift: a proxy asks the operating system
    let mut entropy = || {
        drawn ^= drawn << 13;
        drawn ^= drawn >> 7;
        drawn ^= drawn << 17;
        drawn
    };
    let endpoints = pools.iter().flat_map(|pool| pool.endpoints());
    let mut seen: Vec<_> = endpoints.map(|endpoint| (endpoint, 0_u32, 0)).collect(); // served, longest queue
    for millisecond in 0..6_000 {
        let attempt =
            affinity.route(affinity.recall(&request, now), Record::Absent, &pools, &mut entropy)?;
        pools.target(attempt.endpoint()).ok_or("not in the snapshot")?.0.fetch_add(1, Relaxed);
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
