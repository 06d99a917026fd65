//! The cost of each operation beside a lower bound and beside other libraries.
//!
//! Those libraries are dependencies of a package of its own, `benches/peers`, so that tests and
//! examples do not build them. This program runs that package and passes its arguments on.

#![allow(missing_docs, reason = "a program has no items to document")]

use std::env;
use std::path::Path;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<String> =
        env::args().skip(1).filter(|argument| argument != "--bench").collect();
    // `cargo test --benches` runs this without `--bench`, and without need for numbers.
    if arguments.len() + 1 == env::args().len() {
        println!("to measure: cargo bench --bench ratios");
        return ExitCode::SUCCESS;
    }
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/Cargo.toml");
    if !manifest.exists() {
        println!("the peers are in the repository, not in the published package");
        return ExitCode::SUCCESS;
    }
    // The program is told as well, because other budgets hold there.
    let is_release = arguments.iter().any(|argument| argument == "--release");
    let profile: &[&str] = if is_release { &["--profile", "release"] } else { &[] };
    let has_zentinel = arguments.iter().any(|argument| argument == "--zentinel");
    let features: &[&str] = if has_zentinel { &["--features", "zentinel"] } else { &[] };
    let cargo = env::var_os("CARGO").unwrap_or("cargo".into());
    let bench = Command::new(cargo)
        .args(["bench", "--manifest-path"])
        .arg(manifest)
        .args(profile)
        .args(features)
        .arg("--")
        .args(arguments)
        .status();
    match bench {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cargo: {error}");
            ExitCode::FAILURE
        }
    }
}
