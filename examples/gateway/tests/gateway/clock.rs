//! Sessions end: the gateway's clock is put forward and back instead of waiting.

use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::{Endpoint, Gateway, Response, get, shop};

/// Does something within one second of the clock, so that it can be said what time it was. `None`: the second
/// passed meanwhile.
fn within_one_second<T>(act: impl FnOnce(u64) -> T) -> Option<T> {
    let since = || SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    while since().subsec_millis() > 500 {
        sleep(Duration::from_millis(10));
    }
    let second = since().as_secs();
    let done = act(second);
    (since().as_secs() == second).then_some(done)
}

/// Sends a request at exactly this time of the gateway's clock.
fn at(gateway: &Gateway, time: u64, request: &crate::support::Request) -> Option<Response> {
    within_one_second(|now| {
        gateway
            .set_clock(i64::try_from(time).expect("a time") - i64::try_from(now).expect("a time"));
        gateway.fetch(request)
    })
}

/// Tries until it was done within the seconds it needed.
fn eventually(mut attempt: impl FnMut(usize) -> Option<()>) {
    assert!(
        (0..20).any(|number| attempt(number).is_some()),
        "the machine is too slow to tell the second"
    );
}

fn big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[test]
fn a_cookie_session_ends_its_ttl_after_it_began_whether_used_or_not() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]).set("load_balancer.session_affinity_ttl", 1_800));
    let first = gateway.visit();
    let (issued, expires) =
        (big_endian(&first.token()[10..15]), big_endian(&first.token()[15..20]));
    assert_eq!(expires, issued + 1_800);
    let request = get("/").with("Cookie", first.cookie());
    for (time, outcome) in
        [(issued + 900, "kept"), (expires - 1, "kept"), (expires, "created:expired")]
    {
        eventually(|_| {
            let response = at(&gateway, time, &request)?;
            assert_eq!(
                response.outcome(),
                outcome,
                "{} seconds before its end",
                expires.saturating_sub(time)
            );
            assert_eq!(response.set_cookie().is_some(), outcome != "kept");
            Some(())
        });
    }
}

#[test]
fn a_cookie_session_lives_82800_seconds_by_default() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]));
    let first = gateway.visit();
    gateway.set_clock(82_790);
    assert_eq!(gateway.revisit(&first.cookie()).outcome(), "kept");
    gateway.set_clock(82_800);
    assert_eq!(gateway.revisit(&first.cookie()).outcome(), "created:expired");
}

#[test]
fn a_header_session_is_alive_one_second_before_it_has_idled_out_and_use_restarts_it() {
    let a = Endpoint::start("a");
    let file = shop(&[&a]).by_headers(&["x-user"]).set("load_balancer.session_affinity_ttl", 30);
    let gateway = Gateway::start(&file);
    eventually(|attempt| {
        let request = get("/").with("X-User", format!("user-{attempt}"));
        let start = 2_000_000_000 + 1_000 * attempt as u64;
        assert_eq!(at(&gateway, start, &request)?.outcome(), "created:no_record");
        for uses in 1..=3 {
            assert_eq!(
                at(&gateway, start + 29 * uses, &request)?.outcome(),
                "kept",
                "29 seconds after the last use"
            );
        }
        assert_eq!(at(&gateway, start + 87 + 30, &request)?.outcome(), "created:no_record");
        Some(())
    });
}

#[test]
fn a_clock_that_is_stepped_back_a_little_keeps_its_sessions() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]));
    let cookie = gateway.visit().cookie();
    gateway.set_clock(-290);
    assert_eq!(gateway.revisit(&cookie).outcome(), "kept");
    gateway.set_clock(-320);
    let premature = gateway.revisit(&cookie);
    assert_eq!((premature.status, premature.outcome()), (200, "created:premature".into()));
    assert_eq!(gateway.revisit(&premature.cookie()).outcome(), "kept");
}

#[test]
fn clock_skew_says_how_far_ahead_another_clock_may_be() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]).set("clock_skew", 0));
    gateway.set_clock(30);
    let cookie = gateway.visit().cookie();
    gateway.set_clock(0);
    assert_eq!(gateway.revisit(&cookie).outcome(), "created:premature");
    gateway.set_clock(31);
    assert_eq!(gateway.revisit(&cookie).outcome(), "kept");
}

#[test]
fn header_sessions_survive_a_clock_that_is_stepped_back() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]).by_headers(&["x-user"]));
    let request = get("/").with("X-User", "ann");
    assert_eq!(gateway.fetch(&request).outcome(), "created:no_record");
    gateway.set_clock(-100_000);
    assert_eq!(gateway.fetch(&request).outcome(), "kept");
    gateway.set_clock(0);
    gateway.fetch(&request).assert_ok();
}

#[test]
fn the_clock_runs_as_far_ahead_as_it_was_told() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]));
    for offset in [0, 86_400, -86_400] {
        gateway.set_clock(offset);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let ahead = gateway.clock().cast_signed() - now.cast_signed();
        assert!((offset..=offset + 5).contains(&ahead), "{ahead} seconds, not {offset}");
    }
}

#[test]
fn no_clock_makes_a_request_fail() {
    let a = Endpoint::start("a");
    let gateway = Gateway::start(&shop(&[&a]));
    let cookie = gateway.visit().cookie();
    for offset in [i64::MIN, -2_000_000_000_000, 2_000_000_000_000, i64::MAX] {
        let (status, answer) =
            gateway.admin("PUT", "/clock", &format!("{{\"offset_seconds\": {offset}}}"));
        assert!(matches!(status, 200..=299 | 400), "{offset}: {status} {answer}");
        gateway.visit().assert_ok();
        gateway.revisit(&cookie).assert_ok();
    }
}
