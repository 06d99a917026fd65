//! The cost of a request to the whole gateway, with affinity off and on, beside nginx and HAProxy
//! with their own stickiness. Linux only.
//!
//! ```text
//! cargo run --release -p gateway --example load                       # three minutes at most, and the build
//! cargo run --release -p gateway --example load -- time --seconds 300 # CPU time alone, in more rounds
//! cargo run --release -p gateway --example load -- instructions       # a busy machine does not disturb these
//! ```
//!
//! | proxy | it is |
//! |---|---|
//! | off | the gateway, `session_affinity` none |
//! | cookie | the gateway, `session_affinity` cookie: each request is a session that is kept |
//! | off again | the first once more: how far its ratio is from 1 is the noise |
//! | header | the gateway, `session_affinity` header: each request is a session that is kept |
//! | nginx | `hash $cookie_srv consistent`: it checks no signature, and no endpoint leaves |
//! | haproxy | `cookie backend insert indirect nocache`: likewise |
//!
//! The four gateways run in one process with one worker thread, so that they share the code and its
//! place in memory. nginx and HAProxy have one worker each, and are left out where they are missing.
//! All get the same bytes from the same clients, and pass them to the same three endpoints. One proxy
//! at a time is under load, for a slice of some ten milliseconds after half a slice that is not counted;
//! in a round each has its turn, in an order that is drawn for the round.
//!
//! What counts is what the proxy's process takes for a request: its CPU time, user and system, and
//! its instructions in user space, counted by valgrind's callgrind while such slices are played.
//! A slice fails unless each client meets its own endpoint again, and without a new cookie.

use std::process::ExitCode;
use std::time::{Duration, Instant};

mod children;
mod crowd;
mod endpoints;
mod gateways;
mod instructions;
mod peers;
mod spread;
mod table;
mod time;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The most of the gateway's CPU time with affinity off that it may take with affinity on.
const BUDGET: f64 = 1.03;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = |threads| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(threads).enable_all().build()
    };
    let done = match arguments.first().map(String::as_str) {
        Some(endpoints::ROLE) => {
            runtime(1).map_err(Into::into).and_then(|it| it.block_on(endpoints::serve()))
        }
        Some(gateways::ROLE) => runtime(1)
            .map_err(Into::into)
            .and_then(|it| it.block_on(gateways::serve(&arguments[1..]))),
        _ => match Wanted::read(&arguments) {
            Ok(wanted) => {
                runtime(1).map_err(Into::into).and_then(|it| it.block_on(measure(wanted)))
            }
            Err(wrong) => {
                eprintln!("load: {wrong}; allowed: time, instructions, --seconds N (1 to 3600)");
                return ExitCode::from(2);
            }
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The parts of the run that the arguments ask for.
struct Wanted {
    instructions: bool,
    time: Option<Duration>,
}

impl Wanted {
    fn read(arguments: &[String]) -> std::result::Result<Self, String> {
        let (mut instructions, mut time, mut seconds) = (false, false, 90);
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "instructions" => instructions = true,
                "time" => time = true,
                "--seconds" => {
                    let number = rest.next().and_then(|number| number.parse().ok());
                    let range = 1..=3_600;
                    seconds = number
                        .filter(|number| range.contains(number))
                        .ok_or("--seconds has no such number")?;
                }
                other => return Err(format!("{other} is unknown")),
            }
        }
        let all = !instructions && !time;
        let time = (all || time).then(|| Duration::from_secs(seconds));
        Ok(Self { instructions: all || instructions, time })
    }
}

/// Measures until all is done, or until Ctrl-C: what was started ends either way.
async fn measure(wanted: Wanted) -> Result<()> {
    tokio::select! {
        done = all(wanted) => done,
        _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
    }
}

async fn all(wanted: Wanted) -> Result<()> {
    let start = Instant::now();
    let (endpoints, addresses) = endpoints::start()?;
    println!("{}", table::machine()?);
    let counted = match wanted.instructions {
        true => instructions::run(&addresses).await?,
        false => None,
    };
    let timed = match wanted.time {
        Some(seconds) => Some(time::run(&addresses, seconds).await?),
        None => None,
    };
    table::verdicts(counted.as_ref(), timed.as_ref());
    drop(endpoints);
    println!("\nMeasured in {} s.", start.elapsed().as_secs());
    Ok(())
}
