//! A day of mixed traffic on four gateways, while their operator acts at random and their endpoints
//! fail. Every answer is checked, from outside, against the naive tables of the crate's tests:
//!
//! - A session is kept at its endpoint, without a token, for as long as that endpoint takes it.
//! - What is created or moved brings one token, and never stands where it may not.
//! - What is lent brings none, and the session is back at its endpoint afterwards.
//! - The gateway's own errors bring none, and come only where an endpoint has given a reason.
//! - Where `GET /drain` has said `drained`, no session is served any more.
//! - An endpoint gets no token, and the client gets every byte.
//! - The gateway counts what its clients see, and neither its memory nor its open files grow.
//!
//! ```text
//! cargo run --release -p gateway --example endurance -- --seconds 60
//! cargo run --release -p gateway --example endurance -- --seconds 86400 --seed 7
//! ```
//!
//! It stops at the first broken rule with what happened before, and status 1. The seed decides what
//! the clients and the operator choose; when it happens, the machine decides.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

mod act;
mod client;
mod crowd;
mod day;
mod endpoint;
mod gateway;
mod kind;
#[path = "../../../../tests/naive/mod.rs"]
mod naive;
mod operator;
mod oracle;
mod random;
mod scene;

use day::Day;
use kind::{KINDS, Kind};
use random::Random;

const USAGE: &str = "expected [--seconds N] [--seed N]";

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.as_slice() {
        [serve] if serve == gateway::SERVE => gateway::serve().await,
        _ => run(&mut arguments).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("endurance: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &mut Vec<String>) -> Result<(), String> {
    let seconds = number(arguments, "--seconds")?.unwrap_or(60);
    let seed = number(arguments, "--seed")?.unwrap_or_else(session_affinity::entropy);
    if !arguments.is_empty() || seconds == 0 {
        return Err(USAGE.into());
    }
    println!("seed {seed}, {seconds} s");
    tokio::spawn(watch_for_stalls());
    let mut random = Random(seed);
    let mut days = JoinSet::new();
    for kind in &KINDS {
        let seed = random.next();
        let length = Duration::from_secs(seconds);
        days.spawn(async move { Day::run(kind, seed, length).await.map(|day| (kind, day)) });
    }
    while let Some(day) = days.join_next().await {
        let (kind, day) = day.map_err(|error| error.to_string())?.map_err(|broken| {
            let stall = LONGEST_STALL.load(Relaxed);
            format!("seed {seed}, longest stall of this program {stall} ms\n{broken}")
        })?;
        tell(kind, &day);
    }
    println!(
        "\nno rule was broken; longest stall of this program {} ms",
        LONGEST_STALL.load(Relaxed)
    );
    Ok(())
}

/// The longest time in milliseconds by which this program was late.
static LONGEST_STALL: AtomicU64 = AtomicU64::new(0);

/// Returns whether this program has stalled, and its endpoints with it, for so long that they may
/// have been late with an answer.
fn has_stalled() -> bool {
    LONGEST_STALL.load(Relaxed) > kind::ANSWER_MS / 2
}

async fn watch_for_stalls() {
    let pause = Duration::from_millis(20);
    loop {
        let start = Instant::now();
        tokio::time::sleep(pause).await;
        let late = start.elapsed().saturating_sub(pause).as_millis();
        LONGEST_STALL.fetch_max(u64::try_from(late).unwrap_or(u64::MAX), Relaxed);
    }
}

/// Takes a flag and its number out of the arguments.
fn number(arguments: &mut Vec<String>, flag: &str) -> Result<Option<u64>, String> {
    let Some(at) = arguments.iter().position(|argument| argument == flag) else { return Ok(None) };
    let value = arguments.get(at + 1).and_then(|value| value.parse().ok());
    arguments.drain(at..arguments.len().min(at + 2));
    value.map(Some).ok_or_else(|| format!("{flag}: {USAGE}"))
}

fn tell(kind: &Kind, day: &Day) {
    let requests: u64 = day.outcomes.values().sum();
    let (acts, abandoned) = (day.acts, day.abandoned);
    println!("\n{}: {requests} requests, {abandoned} abandoned, {acts} acts", kind.name);
    for (label, count) in &day.outcomes {
        println!("  {label:<24}{count:>9}");
    }
    if let Some((tenth, end)) = day.taken {
        println!(
            "  memory {} KiB after the first tenth, {} KiB at the end; open files {}, {}",
            tenth.memory, end.memory, tenth.files, end.files
        );
    }
}
