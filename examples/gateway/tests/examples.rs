//! The examples of this package print what their heads say.
//!
//! `cargo test -p gateway` builds them. `cargo test -p gateway --test examples` alone does not: run
//! `cargo build -p gateway --examples` first.

use std::path::Path;
use std::process::Command;

const FLEET_DRAIN: &str = include_str!("../examples/fleet_drain/main.rs");

/// Returns the output in the head of an example.
fn promised(source: &str) -> String {
    let head = source.lines().map_while(|line| line.strip_prefix("//!"));
    let output = head.skip_while(|line| *line != " ```text").skip(1);
    output
        .take_while(|line| *line != " ```")
        .map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line)))
        .collect()
}

/// manual::draining, When it is drained: "a session may have come through any of them, so only all
/// together know".
#[test]
fn the_operator_of_four_gateways_waits_until_all_together_say_drained() {
    let tests = std::env::current_exe().expect("a path");
    let profile = tests.parent().and_then(Path::parent).expect("a directory");
    let name = format!("fleet_drain{}", std::env::consts::EXE_SUFFIX);
    let example = profile.join("examples").join(name);
    assert!(example.exists(), "it is not built: cargo build -p gateway --examples");
    let output = Command::new(example).output().expect("the example");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), promised(FLEET_DRAIN));

    let lines: Vec<_> = promised(FLEET_DRAIN).lines().map(str::to_owned).collect();
    let drained = |line: &String| line.matches("drained").count();
    assert_eq!(lines.iter().filter(|line| drained(line) == 5).count(), 1, "all, and once");
    assert!(lines.iter().any(|line| (1..5).contains(&drained(line))), "single ones say so earlier");
}

#[test]
fn an_operators_loop_has_less_than_100_lines() {
    assert!(FLEET_DRAIN.lines().count() < 100, "{} lines", FLEET_DRAIN.lines().count());
}
