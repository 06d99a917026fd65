//! What a newcomer runs first: no file, three endpoints of its own, and commands to try.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use crate::support::{Gateway, get, wait_until};

fn start() -> Gateway {
    Gateway::start_with(None, &["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
}

/// The commands that it prints.
fn commands(gateway: &Gateway) -> Vec<String> {
    let mut known = 0;
    // It prints no end: wait until nothing has come for a while.
    wait_until("commands to try", || {
        sleep(Duration::from_millis(100));
        let lines = gateway.output().len();
        std::mem::replace(&mut known, lines) == lines && lines > 2
    });
    let lines = gateway.output();
    lines
        .iter()
        .filter_map(|line| line.find("curl ").map(|start| line[start..].to_string()))
        .collect()
}

#[test]
fn three_endpoints_of_its_own_serve() {
    let gateway = start();
    let mut bodies = BTreeSet::new();
    for _ in 0..100 {
        let response = gateway.visit();
        response.assert_ok();
        assert!(response.set_cookie().is_some());
        bodies.insert(response.body);
    }
    let state = gateway.state();
    let origins = state["pools"].as_array().expect("pools").iter();
    let count: usize = origins.map(|pool| pool["origins"].as_array().map_or(0, Vec::len)).sum();
    assert_eq!(count, 3, "{state}");
    assert!(bodies.len() > 1, "they tell who they are");
}

#[test]
fn a_session_is_kept() {
    let gateway = start();
    let mut browser = gateway.browser();
    for _ in 0..7 {
        browser.get("/").assert_ok();
    }
    assert_eq!(gateway.counted("kept"), 6);
    let pools = gateway.state()["pools"].as_array().expect("pools").clone();
    let origins = pools.iter().flat_map(|pool| pool["origins"].as_array().expect("origins"));
    let mut counts: Vec<_> =
        origins.map(|origin| origin["requests"].as_u64().expect("a count")).collect();
    counts.sort_unstable();
    assert_eq!(counts, [0, 0, 7]);
}

#[test]
fn it_needs_no_flag_at_all() {
    let mut gateway = Gateway::start_with(None, &[]);
    gateway.fetch(&get("/any/path")).assert_ok();
    gateway.signal("TERM");
    assert_eq!(gateway.ended().code(), Some(0));
}

#[test]
fn the_commands_that_it_prints_work() {
    if !Command::new("curl").arg("--version").output().is_ok_and(|curl| curl.status.success()) {
        return println!("skipped: there is no curl");
    }
    let gateway = start();
    let commands = commands(&gateway);
    assert!(!commands.is_empty(), "{:?}", gateway.output());
    let directory =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-demo", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let mut told = Vec::new();
    for command in &commands {
        let output = Command::new("sh")
            // The jar is the test's own.
            .args(["-c", &command.replace("/tmp/", "./")])
            .current_dir(&directory)
            .env("CURL_HOME", &directory)
            .env("NO_PROXY", "127.0.0.1")
            .output()
            .expect("sh");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{command}: {output:?}");
        assert!(!said.is_empty() && !said.contains("\"error\""), "{command}: {said}");
        told.extend(
            said.lines()
                .filter_map(|line| line.strip_prefix("x-affinity-outcome: "))
                .map(str::to_string),
        );
    }
    let _ = std::fs::remove_dir_all(&directory);
    // What the comments above the commands announce.
    let story = [
        "created:no_cookie",
        "kept",
        "moved:unhealthy",
        "kept",
        "created:expired",
        "moved:connect_failed",
        "kept",
    ];
    assert_eq!(told, story);
}

#[test]
fn no_comment_among_the_commands_opens_a_string_in_a_shell() {
    let gateway = start();
    assert!(!commands(&gateway).is_empty(), "{:?}", gateway.output());
    let lines = gateway.output();
    let comments: Vec<_> = lines.iter().filter(|line| line.starts_with('#')).collect();
    assert!(comments.len() >= 5, "{lines:?}");
    for comment in comments {
        assert!(!comment.contains(['\'', '"', '`', '$']), "{comment}");
    }
}
