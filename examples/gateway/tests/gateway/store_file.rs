//! Header sessions that one process hands over to the next one, in a file.

use serde_json::json;

use crate::support::{
    Config, Endpoint, Gateway, OwnPath, Request, get, run_to_its_end, shop, wait_until,
};

fn by_user(endpoints: &[&Endpoint], path: &OwnPath) -> Config {
    shop(endpoints).by_headers(&["x-user"]).set("store_file", path.text())
}

fn of(user: usize) -> Request {
    get("/").with("X-User", format!("user-{user}"))
}

/// Leaves a file of 30 sessions at `b`, and returns the users of those whose stable choice was `a`.
fn handed_over(file: &Config) -> Vec<usize> {
    let mut gateway = Gateway::start(file);
    let of_a: Vec<_> =
        (0..30).filter(|user| gateway.fetch(&of(*user)).served_by() == "a").collect();
    gateway.patch("/pools/eu/origins/a", json!({ "healthy": false }));
    for user in &of_a {
        assert_eq!(gateway.fetch(&of(*user)).outcome(), "moved:unhealthy");
    }
    gateway.signal("TERM");
    assert!(gateway.ended().success());
    of_a
}

#[test]
fn sessions_that_were_moved_stay_moved_after_a_restart() {
    let (a, b, path) = (Endpoint::start("a"), Endpoint::start("b"), OwnPath::new());
    let file = by_user(&[&a, &b], &path);
    let users = handed_over(&file);
    assert!(users.len() > 1);
    let gateway = Gateway::start(&file);
    assert_eq!(gateway.state()["store"]["sessions"], 30);
    for user in users {
        let kept = gateway.fetch(&of(user));
        assert_eq!((kept.served_by(), kept.outcome()), ("b".into(), "kept".into()));
    }
}

#[cfg(unix)]
#[test]
fn the_file_is_for_its_user_alone_and_names_no_client() {
    use std::os::unix::fs::PermissionsExt;
    let (a, b, path) = (Endpoint::start("a"), Endpoint::start("b"), OwnPath::new());
    path.write("of before, for everyone to read");
    handed_over(&by_user(&[&a, &b], &path));
    let mode = std::fs::metadata(path.text()).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let bytes = path.read();
    assert!(bytes.starts_with(b"session-affinity gateway sessions 1\n"));
    assert!(!bytes.windows(5).any(|part| part == b"user-"));
}

/// Otherwise a crash would bring back sessions that have been moved or ended since.
#[test]
fn a_file_serves_once() {
    let (a, b, path) = (Endpoint::start("a"), Endpoint::start("b"), OwnPath::new());
    let file = by_user(&[&a, &b], &path);
    handed_over(&file);
    Gateway::start(&file).kill();
    assert!(!path.exists());
    assert_eq!(Gateway::start(&file).state()["store"]["sessions"], 0);
}

/// Otherwise it would bring back old sessions once the policy is of headers again.
#[test]
fn a_file_does_not_outlive_a_start_under_a_policy_without_stored_sessions() {
    let (a, b, path) = (Endpoint::start("a"), Endpoint::start("b"), OwnPath::new());
    let file = by_user(&[&a, &b], &path);
    handed_over(&file);
    Gateway::start(&file.set("load_balancer.session_affinity", "cookie")).kill();
    assert!(!path.exists());
}

#[cfg(unix)]
#[test]
fn a_pipe_or_a_link_is_not_read() {
    let (a, b, path) = (Endpoint::start("a"), Endpoint::start("b"), OwnPath::new());
    let file = by_user(&[&a, &b], &path);
    handed_over(&file);
    let link = OwnPath::new();
    std::os::unix::fs::symlink(path.text(), link.text()).expect("a link");
    let pipe = OwnPath::new();
    let made = std::process::Command::new("mkfifo").arg(pipe.text()).status();
    assert!(made.expect("mkfifo").success());
    for other in [&link, &pipe] {
        // It starts: nothing waits for the other end of a pipe.
        let gateway = Gateway::start(&file.clone().set("store_file", other.text()));
        let warned = |line: &String| line.contains("store_file") && line.contains("no regular");
        wait_until("a line", || gateway.errors().iter().any(warned));
        assert_eq!(gateway.state()["store"]["sessions"], 0);
        gateway.kill();
    }
    assert!(path.exists(), "nobody has removed where the link leads");
}

#[test]
fn a_damaged_file_is_said_and_nothing_of_it_is_taken_over() {
    let (a, b, path) = (Endpoint::start("a"), Endpoint::start("b"), OwnPath::new());
    let file = by_user(&[&a, &b], &path);
    handed_over(&file);
    let good = path.read();
    let mut changed = good.clone();
    changed[60] ^= 1;
    for damaged in [&changed, &good[..good.len() - 1], b"not a file of sessions", b""] {
        path.write(damaged);
        let gateway = Gateway::start(&file);
        let warned = |line: &String| line.contains("store_file") && line.contains(path.text());
        wait_until("a line", || gateway.errors().iter().any(warned));
        assert_eq!(gateway.state()["store"]["sessions"], 0);
        gateway.fetch(&of(1)).assert_ok();
        gateway.kill();
        assert_eq!(path.read(), *damaged, "it stays, to be looked into");
    }
    path.write(good);
    assert_eq!(Gateway::start(&file).state()["store"]["sessions"], 30);
}

#[test]
fn what_has_idled_out_meanwhile_is_not_taken_over() {
    let (a, b, path) = (Endpoint::start("a"), Endpoint::start("b"), OwnPath::new());
    let file = by_user(&[&a, &b], &path).set("load_balancer.session_affinity_ttl", 3_600);
    let mut gateway = Gateway::start(&file);
    // The clock of the next process is the real one, by which the first session ended long ago.
    gateway.set_clock(-6_500);
    gateway.fetch(&of(1)).assert_ok();
    gateway.set_clock(-3_000);
    gateway.fetch(&of(2)).assert_ok();
    assert_eq!(gateway.state()["store"]["sessions"], 2);
    gateway.signal("TERM");
    gateway.ended();
    let next = Gateway::start(&file);
    assert_eq!(next.state()["store"]["sessions"], 1);
    assert_eq!(next.fetch(&of(2)).outcome(), "kept");
}

#[test]
fn a_file_that_cannot_be_written_is_said() {
    let a = Endpoint::start("a");
    let nowhere = "/nowhere/at/all";
    let mut gateway = Gateway::start(&shop(&[&a]).by_headers(&["x"]).set("store_file", nowhere));
    gateway.signal("TERM");
    assert!(gateway.ended().success());
    let warned = |line: &String| line.contains("store_file") && line.contains(nowhere);
    wait_until("a line", || gateway.errors().iter().any(warned));
}

#[test]
fn a_store_elsewhere_has_no_file() {
    let a = Endpoint::start("a");
    let file = shop(&[&a]).set("store_file", "x").set("store", "redis://127.0.0.1:1/0");
    let refused = run_to_its_end(Some(&file.to_string()), &[]);
    assert_eq!(refused.status, Some(2));
    assert!(
        refused.stderr.contains("store_file is set, and Redis keeps its sessions"),
        "{refused:?}"
    );
}
